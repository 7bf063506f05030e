import ExactJSON
import HTTPMessage
import Trust
import Vitals

/// A token endpoint that finds fault wherever RFC 7523, RFC 9449 and NHN's rules let it, and says what it found.
struct StrictHelseID {
    static let issuer = "https://helseid-sts.test.nhn.no"

    var now: Instant
    /// Keys registered with the client.
    var registered: [PublicJWK]
    /// Where there is one, a proof must carry it.
    var nonce: String?
    var tokenLifetime = 300
    var scopes: String?
    var tokenType: String? = "DPoP"
    /// Wrong on purpose, to be looked for by the hub.
    var boundTo: String?
    private var seen: Set<String> = []
    private(set) var tokens = 0
    /// What was wrong with each refused request.
    private(set) var faults: [String] = []

    init(now: Instant, registered: [PublicJWK]) {
        self.now = now
        self.registered = registered
    }

    static let metadata = HTTPResponse(
        status: 200,
        body: StrictHelseID.bytes([
            "issuer": .string(issuer), "token_endpoint": .string(issuer + "/connect/token"),
            "jwks_uri": .string(issuer + "/.well-known/openid-configuration/jwks"),
            "grant_types_supported": ["authorization_code", "client_credentials"],
            "token_endpoint_auth_methods_supported": ["private_key_jwt"],
            "token_endpoint_auth_signing_alg_values_supported": ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"],
            "dpop_signing_alg_values_supported": ["ES256", "ES384", "ES512", "PS256", "PS384", "PS512"],
        ]))

    static func bytes(_ json: JSON) -> [UInt8] { json.bytes }

    mutating func answer(_ request: HTTPRequest) -> HTTPResponse {
        if request.method == .get {
            return request.url == Self.issuer + "/.well-known/openid-configuration" ? Self.metadata : HTTPResponse(status: 404)
        }
        do {
            return try token(request)
        } catch let fault as Fault {
            faults.append(fault.text)
            var headers = [HTTPHeader("date", Self.date(now))]
            if let nonce { headers.append(HTTPHeader("dpop-nonce", nonce)) }
            return HTTPResponse(
                status: fault.code == "invalid_client" ? 401 : 400, headers: headers,
                body: StrictHelseID.bytes(["error": .string(fault.code), "error_description": .string(fault.text)]))
        } catch {
            faults.append("\(error)")
            return HTTPResponse(status: 400, body: StrictHelseID.bytes(["error": "invalid_request"]))
        }
    }

    private struct Fault: Error {
        var code: String
        var text: String
    }

    private mutating func token(_ request: HTTPRequest) throws -> HTTPResponse {
        guard request.url == Self.issuer + "/connect/token" else { throw Fault(code: "invalid_request", text: "url") }
        guard request.header("content-type") == "application/x-www-form-urlencoded" else {
            throw Fault(code: "invalid_request", text: "content-type")
        }
        let form = Self.form(request.body)
        guard form["grant_type"] == "client_credentials" else { throw Fault(code: "unsupported_grant_type", text: "grant_type") }
        guard form["client_assertion_type"] == ClientAssertion.formType else {
            throw Fault(code: "invalid_client", text: "client_assertion_type")
        }
        let assertion = try JWT(parsing: form["client_assertion"] ?? "")
        guard let key = registered.first(where: { $0.keyIdentifier == assertion.keyIdentifier }) else {
            throw Fault(code: "invalid_client", text: "kid")
        }
        do {
            try assertion.verify(with: key, algorithms: SignatureAlgorithm.allCases)
        } catch {
            throw Fault(code: "invalid_client", text: "\(error)")
        }
        let claims = assertion.claims
        guard assertion.header["typ"]?.string == "client-authentication+jwt" else {
            throw Fault(code: "invalid_client", text: "typ")
        }
        guard claims["iss"]?.string == form["client_id"], claims["sub"]?.string == form["client_id"] else {
            throw Fault(code: "invalid_client", text: "iss, sub")
        }
        guard try assertion.audience == [Self.issuer] else { throw Fault(code: "invalid_client", text: "aud") }
        guard let issued = try assertion.instant("iat"), let until = try assertion.instant("exp"),
            let from = try assertion.instant("nbf"), until - issued <= .seconds(60), issued <= now, from <= now, until > now
        else { throw Fault(code: "invalid_client", text: "time of the assertion") }
        try use(claims["jti"]?.string, code: "invalid_client")

        var thumbprint: String?
        if tokenType == "DPoP" {
            let proof = try JWT(parsing: request.header("dpop") ?? "")
            let publicKey = try PublicJWK(json: proof.header["jwk"] ?? .null)
            try proof.verify(with: publicKey, algorithms: SignatureAlgorithm.allCases)
            thumbprint = publicKey.thumbprint
            guard proof.header["typ"]?.string == "dpop+jwt" else { throw Fault(code: "invalid_dpop_proof", text: "typ") }
            guard proof.claims["htm"]?.string == "POST", proof.claims["htu"]?.string == request.url else {
                throw Fault(code: "invalid_dpop_proof", text: "htm, htu")
            }
            guard let made = try proof.instant("iat"), made <= now, now - made <= .seconds(6) else {
                throw Fault(code: "invalid_dpop_proof", text: "iat")
            }
            guard proof.claims["ath"] == nil else { throw Fault(code: "invalid_dpop_proof", text: "ath") }
            try use(proof.claims["jti"]?.string, code: "invalid_dpop_proof")
            if let nonce, proof.claims["nonce"]?.string != nonce { throw Fault(code: "use_dpop_nonce", text: "nonce") }
        }
        tokens += 1
        var members: [JSON.Member] = [.init("access_token", .string("t\(tokens)")), .init("expires_in", .integer(tokenLifetime))]
        if let tokenType { members.append(.init("token_type", .string(tokenType))) }
        members.append(.init("scope", .string(scopes ?? form["scope"] ?? "")))
        if let bound = boundTo ?? thumbprint {
            let header = Base64URL.encode(Array(#"{"alg":"PS256","typ":"at+jwt"}"#.utf8))
            let body = Base64URL.encode(StrictHelseID.bytes(["n": .integer(tokens), "cnf": ["jkt": .string(bound)]]))
            members[0].value = .string("\(header).\(body).c2ln")
        }
        return HTTPResponse(status: 200, headers: [HTTPHeader("date", Self.date(now))], body: JSON.object(members).bytes)
    }

    private mutating func use(_ identifier: String?, code: String) throws {
        guard let identifier, identifier.utf8.count >= 16, seen.insert(identifier).inserted else {
            throw Fault(code: code, text: "jti")
        }
    }

    static func form(_ body: [UInt8]) -> [String: String] {
        var fields: [String: String] = [:]
        for pair in String(decoding: body, as: UTF8.self).split(separator: "&") {
            let parts = pair.split(separator: "=", omittingEmptySubsequences: false)
            if parts.count == 2 { fields[decoded(parts[0])] = decoded(parts[1]) }
        }
        return fields
    }

    private static func decoded(_ text: Substring) -> String {
        var bytes: [UInt8] = []
        var rest = text.utf8[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    /// IMF-fixdate. The name of the day is not looked at.
    static func date(_ instant: Instant) -> String {
        let time = LocalDateTime(secondsSince1970: instant.milliseconds / 1_000)
        let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
        func two(_ number: Int) -> String { number < 10 ? "0\(number)" : "\(number)" }
        return "Mon, \(two(time.day)) \(months[time.month - 1]) \(time.year)"
            + " \(two(time.hour)):\(two(time.minute)):\(two(time.second)) GMT"
    }
}

extension HTTPRequest {
    func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
}
