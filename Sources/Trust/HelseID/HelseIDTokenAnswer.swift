import ExactJSON
import HTTPMessage

/// What the token endpoint answered (RFC 6749, sections 5.1 and 5.2; members as NHN's library reads them).
enum HelseIDTokenAnswer {
    struct Granted {
        var accessToken: Secret
        var type: String?
        var expiresIn: Int64
        /// `nil` where the answer does not say (RFC 6749, section 5.1: then they are the ones asked for).
        var scopes: [String]?
    }

    case token(Granted)
    case refusal(code: String, description: String)
    /// Neither; what was expected.
    case malformed(expected: String)

    init(_ response: HTTPResponse) {
        let json = try? JSON(parsing: response.body)
        guard (200...299).contains(response.status) else {
            guard (400...499).contains(response.status), let code = json?["error"]?.string else {
                self = .malformed(expected: "a token or an error code")
                return
            }
            self = .refusal(code: code, description: json?["error_description"]?.string ?? "")
            return
        }
        guard let token = json?["access_token"]?.string, Self.isToken(token) else {
            self = .malformed(expected: "access_token")
            return
        }
        guard let seconds = json?["expires_in"]?.integer, seconds > 0 else {
            self = .malformed(expected: "expires_in above 0")
            return
        }
        // `rejected_scope` is NHN's own, for multi-tenant clients: a text that lists what the organisation may not have.
        let rejected = json?["rejected_scope"]?.string?.split(separator: " ").map(String.init) ?? []
        let scopes = json?["scope"]?.string?.split(separator: " ").map(String.init)
        self = .token(
            Granted(
                accessToken: Secret(token), type: json?["token_type"]?.string, expiresIn: Int64(seconds),
                scopes: scopes.map { $0.filter { !rejected.contains($0) } }))
    }

    /// token68 (RFC 9110, section 11.2): the only characters that go into an Authorization header of the scheme DPoP.
    private static func isToken(_ text: String) -> Bool {
        let body = text.utf8.reversed().drop { $0 == UInt8(ascii: "=") }
        return !body.isEmpty
            && body.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"):
                    true
                default: "-._~+/".utf8.contains(byte)
                }
            }
    }

    /// Whether a refusal asks for the same again with a nonce. RFC 9449, section 8: `use_dpop_nonce`. NHN's library looks at the
    /// header alone, so that other codes with a nonce count too, once, except those that a nonce cannot mend.
    static func asksForNonce(code: String, given: String?, isChallenged: Bool) -> Bool {
        if code == "use_dpop_nonce" { return true }
        return given != nil && !isChallenged
            && !["invalid_client", "unauthorized_client", "invalid_scope", "unsupported_grant_type"].contains(code)
    }

    /// Whether a wrong time may be why: of the assertion (`invalid_client`, `invalid_grant`, `invalid_request`) or the proof.
    static func mayBeTime(code: String) -> Bool {
        ["invalid_client", "invalid_dpop_proof", "invalid_request", "invalid_grant"].contains(code)
    }
}
