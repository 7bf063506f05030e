public import HTTPMessage

/// Why there is no token, or why an API does not take it: what happened, why, and what to do.
public enum HelseIDError: Error, Hashable, Sendable {
    /// The exchange failed, or HelseID answered 5xx or 429: again later.
    case unreachable(HTTPFailure)
    case server(status: Int)
    /// An answer that is none: not JSON, a member missing, a redirect.
    case malformedAnswer(status: Int, expected: String)
    case metadata(HelseIDMetadataError)
    /// `invalid_client`: HelseID does not take the assertion, with any key that the hub has.
    case clientRefused(keyIdentifier: String, description: String)
    /// A refusal, and the clocks differ by this much (the hub's minus the server's): the hub's or theirs is wrong.
    case clockSkew(Duration, code: String)
    /// Asked for a nonce again although its own was in the proof.
    case nonceLoop
    /// Asked for a nonce and gave none.
    case nonceMissing
    /// HelseID gave a token without these scopes.
    case scopesRejected([String])
    /// A token of another type than was asked for, or bound to another key.
    case tokenType(String)
    case tokenOfOtherKey
    /// Another error of RFC 6749, section 5.2, or of an API's challenge.
    case refused(code: String, description: String)
    /// The hub cannot make what it must send.
    case key(JWSError)
    case target(EndpointURLError)
}

extension HelseIDError {
    /// Whether waiting alone may help: nothing was refused.
    public var isTransient: Bool {
        switch self {
        case .unreachable, .server: true
        default: false
        }
    }

    /// A server's own words, cut and without control characters: they go into a log.
    static func shortened(_ text: String) -> String {
        String(text.unicodeScalars.prefix(200).map { (0x20...0x7E).contains($0.value) ? Character($0) : "?" })
    }
}

extension HelseIDError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreachable(let failure):
            "HelseID cannot be reached (\(failure.kind.rawValue)): check the hub's connection; it tries again by itself"
        case .server(let status): "HelseID answered \(status): nothing to do here; the hub tries again by itself"
        case .malformedAnswer(let status, let expected):
            "HelseID's answer (\(status)) is not understood, expected \(expected): check the issuer's address and any proxy"
        case .metadata(let error): "HelseID's metadata cannot be used, \(error): check the issuer's address"
        case .clientRefused(let key, let text):
            "HelseID refuses the client\(Self.quoted(text)): check its id, and that the key \(key) is registered with it"
                + " (`vitalgate helseid register` prints it)"
        case .clockSkew(let skew, let code):
            "HelseID refuses the hub (\(code)), and the hub's clock is \(skew.components.seconds.magnitude) s"
                + " \(skew < .zero ? "behind" : "ahead of") theirs: check the hub's time source"
        case .nonceLoop: "the server asks for a nonce again and again: report it to its operator; the hub tries again later"
        case .nonceMissing: "the server asks for a nonce and gives none: report it to its operator"
        case .scopesRejected(let scopes):
            "HelseID does not grant \(Self.shortened(scopes.joined(separator: " "))): check the client's scopes and delegation"
        case .tokenType(let type):
            "HelseID gave a token of the type \(Self.shortened(type)): check whether the client is registered for DPoP"
        case .tokenOfOtherKey: "HelseID gave a token that is bound to another key: report it to its operator"
        case .refused(let code, let text):
            "refused with \(Self.shortened(code))\(Self.quoted(text)): check the client's registration"
        case .key(let error): "\(error): check the hub's key"
        case .target(let error): "\(error): check the receiver's address"
        }
    }

    private static func quoted(_ text: String) -> String { text.isEmpty ? "" : " (\"\(shortened(text))\")" }
}
