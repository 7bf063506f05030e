import Crypto
import ExactJSON
import Vitals

/// HelseID's token service for clients without a user: it finds fault wherever RFC 7523, RFC 9449 and NHN's security requirements
/// let it, and says what it found.
///
/// A value without a socket. Where NHN publishes nothing (statuses, how a refusal is worded) it does what RFC 6749 and Duende
/// IdentityServer, which HelseID is built on, do: 400 for all.
struct HelseIDServer {
    var clients: [String: HelseIDClientRegistration] = [:]
    private var proofs = HelseIDProofs()
    private var tokens: [String: (grant: HelseIDGrant, until: Instant)] = [:]
    private let key = P256.Signing.PrivateKey()
    private let keyIdentifier = randomName(12)
    private var count = 0
    private(set) var grants: [HelseIDGrant] = []

    struct Setting {
        /// `http://127.0.0.1:port/helseid`.
        var issuer: String
        var settings: NHNSettings
        var now: Instant

        var tokenEndpoint: String { issuer + "/connect/token" }
        var nonceLifetime: Duration? { settings.nonces == .never ? nil : settings.nonceLifetime }
    }

    mutating func answer(_ call: NHNCall, _ path: [String], _ setting: Setting) -> NHNAnswer {
        switch (call.method, path.joined(separator: "/")) {
        case ("GET", ".well-known/openid-configuration"): return NHNAnswer(status: 200, body: .json(metadata(setting)))
        case ("GET", ".well-known/openid-configuration/jwks"): return NHNAnswer(status: 200, body: .json(keySet))
        case ("POST", "connect/token"):
            do throws(HelseIDFault) {
                return NHNAnswer(
                    status: 200, headers: [("cache-control", "no-store")], body: .json(try token(call, setting)))
            } catch {
                var answer = NHNAnswer.oauth(error)
                if let lifetime = setting.nonceLifetime, error.code == "use_dpop_nonce" {
                    answer.headers.append(("dpop-nonce", proofs.currentNonce(lifetime: lifetime, now: setting.now)))
                }
                return answer
            }
        default: return NHNAnswer(status: 404)
        }
    }

    /// The next proof is challenged.
    mutating func dropNonce() { proofs.dropNonce() }

    private func metadata(_ setting: Setting) -> JSON {
        let algorithms = JSON.array(HelseIDJWT.algorithms.map { .string($0) })
        return [
            "issuer": .string(setting.issuer), "token_endpoint": .string(setting.tokenEndpoint),
            "jwks_uri": .string(setting.issuer + "/.well-known/openid-configuration/jwks"),
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": algorithms, "dpop_signing_alg_values_supported": algorithms,
            "response_types_supported": ["code"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
        ]
    }

    // MARK: The token endpoint

    private mutating func token(_ call: NHNCall, _ setting: Setting) throws(HelseIDFault) -> JSON {
        guard call.contentType == "application/x-www-form-urlencoded" else {
            throw HelseIDFault("invalid_request", "content type")
        }
        let form = FUTForm(call.text)
        guard Set(form.fields.map(\.name)).count == form.fields.count else {
            throw HelseIDFault("invalid_request", "a field twice")
        }
        guard form["grant_type"] == "client_credentials" else { throw HelseIDFault("unsupported_grant_type", "grant_type") }
        guard let client = form["client_id"].flatMap({ clients[$0] }) else { throw HelseIDFault("invalid_client", "client_id") }
        let assertion = try assertion(form, of: client, setting)
        let (parent, child) = try organisation(assertion.claims["assertion_details"], of: client)
        let scopes = Set((form["scope"] ?? "").split(separator: " ").map(String.init))
        guard !scopes.isEmpty, scopes.isSubset(of: client.scopes) else { throw HelseIDFault("invalid_scope", "scope") }
        let headers = call.values(of: "dpop")
        var boundTo: String?
        if !headers.isEmpty || !client.allowsBearer {
            boundTo = try proofs.check(
                headers, method: call.method, url: setting.tokenEndpoint, token: nil, nonceLifetime: setting.nonceLifetime,
                now: setting.now)
        }
        let grant = HelseIDGrant(
            client: client.id, scopes: scopes, keyIdentifier: assertion.header["kid"]?.string ?? "", boundTo: boundTo,
            parent: parent, child: child, vkpID: client.vkpID)
        grants.append(grant)
        let lifetime = setting.settings.tokenLifetime
        let token = issue(grant, setting, lifetime)
        tokens[token] = (grant, setting.now + lifetime)
        return [
            "access_token": .string(token), "expires_in": .integer(lifetime.components.seconds),
            "token_type": boundTo == nil ? "Bearer" : "DPoP",
            "scope": .string(scopes.sorted().joined(separator: " ")),
        ]
    }

    /// RFC 7523, section 3, with NHN's rules: the issuer as the audience, 60 s at most, `jti` once.
    private mutating func assertion(
        _ form: FUTForm, of client: HelseIDClientRegistration, _ setting: Setting
    ) throws(HelseIDFault) -> HelseIDJWT {
        func refused(_ text: String) -> HelseIDFault { HelseIDFault("invalid_client", text) }
        guard form["client_assertion_type"] == "urn:ietf:params:oauth:client-assertion-type:jwt-bearer" else {
            throw refused("client_assertion_type")
        }
        guard let assertion = form["client_assertion"].flatMap({ HelseIDJWT($0) }) else { throw refused("client_assertion") }
        guard let type = assertion.header["typ"]?.string, type == "client-authentication+jwt" || type == "JWT" else {
            throw refused("typ")
        }
        guard let algorithm = assertion.header["alg"]?.string, HelseIDJWT.algorithms.contains(algorithm) else {
            throw refused("alg")
        }
        guard let key = client.keys.first(where: { $0["kid"] == assertion.header["kid"] }) else { throw refused("kid") }
        guard assertion.isSigned(by: key) else { throw refused("signature") }
        let claims = assertion.claims
        guard claims["iss"]?.string == client.id, claims["sub"]?.string == client.id else { throw refused("iss, sub") }
        guard claims["aud"]?.string == setting.issuer || claims["aud"]?.array == [.string(setting.issuer)] else {
            throw refused("aud")
        }
        guard let issued = claims["iat"]?.integer, let until = claims["exp"]?.integer, until - issued <= 60, until > issued else {
            throw refused("iat, exp")
        }
        let (made, end) = (Instant(seconds: Int64(issued)), Instant(seconds: Int64(until)))
        guard made <= setting.now + HelseIDProofs.skew else { throw refused("iat is ahead") }
        guard claims["nbf"]?.integer.map({ Instant(seconds: Int64($0)) <= setting.now + HelseIDProofs.skew }) ?? true else {
            throw refused("nbf is ahead")
        }
        guard end > setting.now - HelseIDProofs.skew else { throw refused("exp is over") }
        try proofs.use(
            claims["jti"]?.string.map { client.id + " " + $0 }, until: end + HelseIDProofs.skew, now: setting.now,
            or: refused("jti"))
        return assertion
    }

    /// `assertion_details`: an object, or an array of one. Parent and child.
    private func organisation(
        _ details: JSON?, of client: HelseIDClientRegistration
    ) throws(HelseIDFault) -> (parent: String?, child: String?) {
        guard let details else {
            guard client.tenants.isEmpty else { throw HelseIDFault("invalid_request", "assertion_details are missing") }
            return (nil, nil)
        }
        let one = details.array?.first ?? details
        let identifier = one["practitioner_role"]?["organization"]?["identifier"]
        guard one["type"]?.string == "helseid_authorization", identifier?["type"]?.string == "ENH",
            let value = identifier?["value"]?.string
        else { throw HelseIDFault("invalid_request", "assertion_details") }
        switch identifier?["system"]?.string {
        case "urn:oid:2.16.578.1.12.4.1.4.101" where client.tenants.isEmpty: return (nil, value)
        case "urn:oid:1.0.6523" where !client.tenants.isEmpty:
            let parts = value.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
            guard parts.count == 4, parts[0] == "NO", parts[1] == "ORGNR", client.tenants.contains(parts[2]) else {
                throw HelseIDFault("invalid_request", "no delegation of that organisation")
            }
            return (parts[2], parts[3].isEmpty ? nil : parts[3])
        default: throw HelseIDFault("invalid_request", "assertion_details: system")
        }
    }

    /// RFC 9068: `at+jwt`, with the client's claims as NHN names them.
    private mutating func issue(_ grant: HelseIDGrant, _ setting: Setting, _ lifetime: Duration) -> String {
        count += 1
        let now = setting.now.milliseconds / 1_000
        let claims: JSON = .members([
            "iss": .string(setting.issuer), "client_id": .string(grant.client),
            "scope": .array(grant.scopes.sorted().map { .string($0) }), "iat": .integer(now), "nbf": .integer(now),
            "exp": .integer(now + lifetime.components.seconds), "jti": .string(randomName(16)),
            "helseid://claims/client/amr": "private_key_jwt",
            "helseid://claims/client/claims/orgnr_parent": grant.parent.map { .string($0) },
            "helseid://claims/client/claims/orgnr_child": grant.child.map { .string($0) },
            "nhn:vkp/client/claims/vkp-id": grant.vkpID.map { .string($0) },
            "cnf": grant.boundTo.map { ["jkt": .string($0)] },
        ])
        let header: JSON = ["alg": "ES256", "typ": "at+jwt", "kid": .string(keyIdentifier)]
        let input = "\(base64URL(header.bytes)).\(base64URL(claims.bytes))"
        // Signing with a key in memory has no way to fail; a token without signature would be refused by whoever checks.
        let signature = (try? key.signature(for: Array(input.utf8))).map { Array($0.rawRepresentation) } ?? []
        return "\(input).\(base64URL(signature))"
    }

    private var keySet: JSON {
        let point = Array(key.publicKey.rawRepresentation)
        return [
            "keys": [
                [
                    "kid": .string(keyIdentifier), "kty": "EC", "alg": "ES256", "use": "sig", "crv": "P-256",
                    "x": .string(base64URL(point.prefix(32))), "y": .string(base64URL(point.suffix(32))),
                ]
            ]
        ]
    }

    // MARK: At an API

    /// What an API knows of a request's token: what it was given for. Its proof is checked against the API's own memory.
    ///
    /// - Parameter needsDPoP: whether a token that is bound to no key is refused.
    func grant(
        _ call: NHNCall, url: String, scope: String, needsDPoP: Bool, _ setting: Setting, proofs: inout HelseIDProofs
    ) throws(HelseIDFault) -> HelseIDGrant {
        let parts = (call.headers["authorization"] ?? "").split(separator: " ", maxSplits: 1).map(String.init)
        guard parts.count == 2 else { throw HelseIDFault("", "no token") }
        let (scheme, token) = (parts[0].lowercased(), parts[1])
        guard let (grant, until) = tokens[token], until > setting.now else {
            throw HelseIDFault("invalid_token", "unknown or over")
        }
        if let boundTo = grant.boundTo {
            // RFC 9449, section 7.1: a bound token under the other scheme is none.
            guard scheme == "dpop" else { throw HelseIDFault("invalid_token", "a bound token as \(parts[0])") }
            let lifetime = setting.settings.nonces == .everywhere ? setting.settings.nonceLifetime : nil
            let thumbprint = try proofs.check(
                call.values(of: "dpop"), method: call.method, url: url, token: token, nonceLifetime: lifetime, now: setting.now)
            guard thumbprint == boundTo else { throw HelseIDFault.proof("another key") }
        } else {
            guard scheme == "bearer", !needsDPoP else { throw HelseIDFault("invalid_token", "a token that is bound to no key") }
        }
        guard grant.scopes.contains(scope) else { throw HelseIDFault("insufficient_scope", scope) }
        return grant
    }
}
