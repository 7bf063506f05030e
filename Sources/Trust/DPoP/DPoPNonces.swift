public import HTTPMessage

/// The nonces that servers gave, one for each server: a server's nonce goes back to that server and to no other (RFC 9449,
/// sections 8 and 9).
public struct DPoPNonces: Hashable, Sendable {
    private var byOrigin: [String: String] = [:]

    public init() {}

    public func nonce(for target: RequestTarget) -> String? { byOrigin[target.origin] }

    /// Takes the nonce of any answer, whatever its status: a server that gives one expects it from then on (section 8.2).
    /// What it gave, or `nil` where it gave none.
    @discardableResult
    public mutating func learn(from response: HTTPResponse, of target: RequestTarget) -> String? {
        guard let nonce = response.header("dpop-nonce"), Self.isNonce(nonce) else { return nil }
        byOrigin[target.origin] = nonce
        return nonce
    }

    /// Whether an API asks for the same request with its nonce: 401 and the error `use_dpop_nonce` in a challenge of the scheme
    /// DPoP (section 9).
    public static func isChallenge(_ response: HTTPResponse) -> Bool {
        response.status == 401 && DPoPChallenge.error(in: response) == "use_dpop_nonce"
    }

    /// Section 8.1: one or more of the characters %x21, %x23-5B and %x5D-7E. No server needs a thousand of them.
    static func isNonce(_ text: String) -> Bool {
        (1...1_024).contains(text.utf8.count)
            && text.utf8.allSatisfy { (0x21...0x7E).contains($0) && $0 != 0x22 && $0 != 0x5C }
    }
}

/// What a `WWW-Authenticate` of the scheme DPoP says.
enum DPoPChallenge {
    /// The `error` of the challenge; `nil` where the answer has no such challenge or the challenge no error.
    ///
    /// A header may carry several challenges (`Bearer realm="a", DPoP algs="ES256", error="use_dpop_nonce"`, RFC 9110, section
    /// 11.6.1): read from the word DPoP to the next scheme, which is a word that no `=` follows.
    static func error(in response: HTTPResponse) -> String? {
        for header in response.headers where header.name == "www-authenticate" {
            var inChallenge = false
            for part in split(header.value) {
                var part = part
                if let space = part.firstIndex(of: " "), !part[..<space].contains("=") {
                    inChallenge = part[..<space].lowercased() == "dpop"
                    part = part[part.index(after: space)...].drop { $0 == " " }
                } else if !part.contains("=") {
                    inChallenge = part.lowercased() == "dpop"
                }
                guard inChallenge, let equals = part.firstIndex(of: "="), part[..<equals].lowercased() == "error" else {
                    continue
                }
                return part[part.index(after: equals)...].filter { $0 != "\"" }
            }
        }
        return nil
    }

    /// The parts between commas that are not inside quotes, without spaces around them.
    private static func split(_ text: String) -> [Substring] {
        var quoted = false
        let parts = text.split {
            if $0 == "\"" { quoted.toggle() }
            return $0 == "," && !quoted
        }
        return parts.map { part in
            let start = part.drop { $0 == " " }
            return start.lastIndex { $0 != " " }.map { start[...$0] } ?? start
        }
    }
}
