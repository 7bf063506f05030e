import Crypto
import ExactJSON
import Glibc
import HTTPMessage
import Trust
import Vitals

/// SplitMix64 (Steele, Lea, Flood 2014): the same sequence for the same seed on every machine.
struct SeededGenerator: RandomNumberGenerator {
    let seed: UInt64
    private var state: UInt64

    /// A seed of chance, or the one in the environment: `VITALGATE_SEED=123 make test` runs a failure again.
    init(_ property: String) {
        let given = getenv("VITALGATE_SEED").flatMap { UInt64(String(cString: $0)) }
        self.init(seed: given ?? UInt64.random(in: .min ... .max))
        print("\(property): VITALGATE_SEED=\(seed)")
    }

    init(seed: UInt64) {
        self.seed = seed
        state = seed
    }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}

let start = Instant(seconds: 1_764_064_800)
let issuer = "https://saml.test.invalid/auth/realms/nemlogin"
let clientIdentifier = "hub"
let patient = "https://patient.test.invalid/fhir/Patient/1"
let otherPatient = "https://patient.test.invalid/fhir/Patient/2"
let episode = "https://careplan.test.invalid/fhir/EpisodeOfCare/7"
let client = OAuthClient(identifier: clientIdentifier, scopes: ["openid", "profile", "offline_access"])

/// Every secret of the tests says this, so that one search finds a leak.
let planted = "PLANTED"

func discoveryDocument(_ issuer: String = issuer, _ changes: [String: JSON] = [:]) -> JSON {
    var document = JSON.members([
        "issuer": .string(issuer),
        "authorization_endpoint": .string(issuer + "/protocol/openid-connect/auth"),
        "token_endpoint": .string(issuer + "/protocol/openid-connect/token"),
        "device_authorization_endpoint": .string(issuer + "/protocol/openid-connect/auth/device"),
        "jwks_uri": .string(issuer + "/protocol/openid-connect/certs"),
        "code_challenge_methods_supported": ["plain", "S256"],
        "authorization_response_iss_parameter_supported": true,
    ])
    for (name, value) in changes { document = document.setting(name, to: value) }
    return document
}

func server(_ issuer: String = issuer, _ changes: [String: JSON] = [:]) throws -> AuthorizationServer {
    try AuthorizationServer(parsing: discoveryDocument(issuer, changes).bytes, issuer: issuer)
}

func token(_ claims: JSON, header: JSON = ["alg": "RS256"], signature: String = "c2ln") -> String {
    "\(Base64URL.encode(header.bytes)).\(Base64URL.encode(claims.bytes)).\(signature)"
}

func answer(_ status: Int, _ body: JSON, _ headers: [HTTPHeader] = []) -> HTTPOutcome {
    .answered(HTTPResponse(status: status, headers: headers, body: body.bytes))
}

func refusal(_ code: String, status: Int = 400) -> HTTPOutcome {
    answer(status, ["error": .string(code), "error_description": .string(planted)])
}

let broken = HTTPFailure(.interrupted, "reset")

/// The parameters of a query or a form body, read independently of the code under test.
func parameters(_ text: some StringProtocol) -> [String: String] {
    var found: [String: String] = [:]
    for pair in text.split(separator: "&") {
        let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
        found[percentDecoded(parts[0])] = parts.count == 2 ? percentDecoded(parts[1]) : ""
    }
    return found
}

func form(_ request: HTTPRequest) -> [String: String] { parameters(String(decoding: request.body, as: UTF8.self)) }

private func percentDecoded(_ text: some StringProtocol) -> String {
    var bytes: [UInt8] = []
    var rest = text.utf8[...]
    while let byte = rest.popFirst() {
        if byte == UInt8(ascii: "%"), let code = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
            bytes.append(code)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}

/// An authorization server as a value: Keycloak's rules of codes, device codes and refresh tokens, as far as a client meets them.
struct ModelServer {
    /// "Revoke Refresh Token": each use gives a new one.
    var isRotating = true
    /// "Refresh Token Max Reuse": how often a token that was replaced is still taken.
    var reuse = 0
    /// Whether a token that is used too often ends the whole sign-in (RFC 9700 section 4.14.2).
    var endsOnReuse = true
    var citizen = patient
    var issuer = TrustTests.issuer
    var expiresIn = 300

    private struct Code {
        let challenge: String?
        let nonce: String?
        let redirect: String?
        var isApproved: Bool
    }

    private var codes: [String: Code] = [:]
    private var redeemed: Set<String> = []
    /// Uses so far, by refresh token; those of an ended sign-in are gone.
    private var uses: [String: Int] = [:]
    private var newest: String?
    private var counter = 0

    init() {}

    /// Whether this refresh token would be taken now.
    func accepts(_ token: String) -> Bool {
        guard let used = uses[token] else { return false }
        return !isRotating || token == newest || used <= reuse
    }

    mutating func endSignIn() { uses = [:] }

    private mutating func fresh(_ name: String) -> String {
        counter += 1
        return "\(planted)-\(name)-\(counter)"
    }

    /// The person signs in at the authorization URL; the address that their browser is sent to.
    mutating func authorize(_ url: String) -> String {
        let query = parameters(url.drop { $0 != "?" }.dropFirst())
        let code = fresh("code")
        codes[code] = Code(
            challenge: query["code_challenge"], nonce: query["nonce"], redirect: query["redirect_uri"], isApproved: true)
        return "\(query["redirect_uri"] ?? "")?state=\(query["state"] ?? "")&iss=\(issuer)&code=\(code)"
    }

    mutating func deviceAuthorization(_ request: HTTPRequest, interval: Int? = nil) -> HTTPOutcome {
        let code = fresh("device")
        codes[code] = Code(challenge: form(request)["code_challenge"], nonce: nil, redirect: nil, isApproved: false)
        return answer(
            200,
            .members([
                "device_code": .string(code), "user_code": .string("\(planted)-AB"),
                "verification_uri": .string(issuer + "/device"),
                "verification_uri_complete": .string(issuer + "/device?user_code=\(planted)-AB"), "expires_in": 600,
                "interval": interval.map { .integer($0) },
            ]))
    }

    mutating func approveDevices() { for code in codes.keys { codes[code]?.isApproved = true } }

    /// The token endpoint.
    mutating func token(_ request: HTTPRequest, at now: Instant) -> HTTPOutcome {
        let form = form(request)
        guard form["client_id"] == clientIdentifier else { return refusal("invalid_client", status: 401) }
        switch form["grant_type"] {
        case "authorization_code", "urn:ietf:params:oauth:grant-type:device_code":
            let name = form["code"] ?? form["device_code"] ?? ""
            guard let code = codes[name], code.redirect == form["redirect_uri"] else { return refusal("invalid_grant") }
            if redeemed.contains(name) {
                endSignIn()
                return refusal("invalid_grant")
            }
            guard code.isApproved else { return refusal("authorization_pending") }
            let challenge = form["code_verifier"].map { Base64URL.encode(Array(SHA256.hash(data: Array($0.utf8)))) }
            guard challenge == code.challenge else { return refusal("invalid_grant") }
            redeemed.insert(name)
            return grant(form, nonce: code.nonce, at: now)
        case "refresh_token":
            let token = form["refresh_token"] ?? ""
            guard accepts(token) else {
                if endsOnReuse, uses[token] != nil { endSignIn() }
                return refusal("invalid_grant")
            }
            uses[token, default: 0] += 1
            return grant(form, nonce: nil, keeping: isRotating ? nil : token, at: now)
        default: return refusal("unsupported_grant_type")
        }
    }

    private mutating func grant(
        _ form: [String: String], nonce: String?, keeping kept: String? = nil, at now: Instant
    ) -> HTTPOutcome {
        let refreshToken = kept ?? fresh("refresh")
        if kept == nil {
            uses[refreshToken] = 0
            newest = refreshToken
        }
        let context = ["organization_id", "care_team_id", "patient_id", "episode_of_care_id"].compactMap { name in
            form[name].map { JSON.Member(name, .string($0)) }
        }
        let seconds = now.milliseconds / 1_000
        let accessToken = TrustTests.token(
            .members([
                "iss": .string(issuer), "user_type": "PATIENT", "user_id": .string(citizen), "jti": .string(fresh("access")),
                "iat": .integer(seconds), "exp": .integer(seconds + Int64(expiresIn)),
                "context": context.isEmpty ? nil : .object(context),
            ]))
        let idToken = TrustTests.token(
            .members([
                "iss": .string(issuer), "aud": .string(clientIdentifier), "sub": .string("\(planted)-subject"),
                "iat": .integer(seconds), "exp": .integer(seconds + 300), "nonce": nonce.map { .string($0) },
            ]))
        return answer(
            200,
            .members([
                "access_token": .string(accessToken), "token_type": "Bearer", "expires_in": .integer(expiresIn),
                "refresh_token": .string(refreshToken), "refresh_expires_in": 0, "id_token": .string(idToken),
                "scope": "openid profile offline_access", "not-before-policy": 0, "session_state": "s",
            ]))
    }
}
