public import ExactJSON
public import HTTPMessage

/// What a token endpoint grants (RFC 6749 section 5.1; `id_token` of OpenID Connect Core 3.1.3.3; `refresh_expires_in` is
/// Keycloak's own).
public struct TokenResponse: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable {
        case bearer
        case dpop
    }

    public let accessToken: Secret
    public let kind: Kind
    /// `nil` where the server did not say.
    public let expiresIn: Duration?
    /// The refresh token to keep from now on; `nil`: the one in use stays (RFC 6749 section 6).
    public let refreshToken: Secret?
    /// `nil` where the server did not say, or said 0, Keycloak's word for an offline token without an end of its own.
    public let refreshExpiresIn: Duration?
    /// `nil`: as asked for.
    public let scopes: [String]?
    public let idToken: Secret?

    /// Three tokens of 16 KiB and the names around them.
    static let maximumLength = 64 * 1_024

    public init(parsing body: [UInt8]) throws(TokenResponseError) {
        let json = try Self.object(body)
        guard let accessToken = try Self.secret("access_token", in: json) else { throw .missing("access_token") }
        guard let kindName = try Self.text("token_type", in: json) else { throw .missing("token_type") }
        // Case does not count (RFC 6749 section 5.1).
        guard let kind = Kind(rawValue: kindName.lowercased()) else { throw .tokenType }
        self.accessToken = accessToken
        self.kind = kind
        expiresIn = try Self.seconds("expires_in", in: json)
        guard expiresIn != .zero else { throw .invalid("expires_in", expected: "at least one second") }
        refreshToken = try Self.secret("refresh_token", in: json)
        refreshExpiresIn = try Self.seconds("refresh_expires_in", in: json).flatMap { $0 == .zero ? nil : $0 }
        scopes = try Self.text("scope", in: json)?.split(separator: " ").map(String.init)
        idToken = try Self.secret("id_token", in: json)
    }

    static func object(_ body: [UInt8]) throws(TokenResponseError) -> JSON {
        guard body.count <= maximumLength else { throw .tooLong(bytes: body.count) }
        let json: JSON
        do {
            json = try JSON(parsing: body)
        } catch {
            throw .json(error)
        }
        guard let members = json.object else { throw .notAnObject }
        guard Set(members.map(\.key)).count == members.count else { throw .repeatedName }
        return json
    }

    static func text(_ name: String, in json: JSON) throws(TokenResponseError) -> String? {
        guard let value = json[name], value != .null else { return nil }
        guard let text = value.string else { throw .invalid(name, expected: "a text") }
        return text
    }

    /// Printable ASCII (RFC 6749 appendix A.12, A.17), so that it can stand in a header line and in a form.
    static func secret(_ name: String, in json: JSON) throws(TokenResponseError) -> Secret? {
        guard let text = try text(name, in: json) else { return nil }
        guard (1...JWT.maximumLength).contains(text.utf8.count), text.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else {
            throw .invalid(name, expected: "1 to \(JWT.maximumLength) printable ASCII characters")
        }
        return Secret(text)
    }

    /// Whole seconds of at most ten years: a larger number is a mistake, and overflows somewhere.
    static func seconds(_ name: String, in json: JSON) throws(TokenResponseError) -> Duration? {
        guard let value = json[name], value != .null else { return nil }
        guard let seconds = value.integer, (0...315_360_000).contains(seconds) else {
            throw .invalid(name, expected: "whole seconds, at most ten years")
        }
        return .seconds(seconds)
    }
}

/// What is wrong with an answer of the token endpoint; never with a byte of it.
public enum TokenResponseError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLong(bytes: Int)
    case json(JSONError)
    case notAnObject
    case repeatedName
    case missing(String)
    case invalid(String, expected: String)
    case tokenType

    public var description: String {
        switch self {
        case .tooLong(let bytes): "an answer of \(bytes) bytes: at most \(TokenResponse.maximumLength) are read"
        case .json(let error): "the answer is \(error)"
        case .notAnObject: "the answer is no JSON object"
        case .repeatedName: "the answer names a member twice"
        case .missing(let name): "the answer has no \(name)"
        case .invalid(let name, let expected): "the answer's \(name): expected \(expected)"
        case .tokenType: "the answer's token_type is neither Bearer nor DPoP"
        }
    }
}

/// An answer of the token endpoint, by what to do next.
public enum TokenAnswer: Hashable, Sendable {
    case granted(TokenResponse)
    /// RFC 6749 section 5.2: the server read the request and refused it.
    case refused(OAuthErrorCode)
    /// The server did not get to it, or failed on the way: it may have acted on it unless it is 429.
    case unavailable(status: Int, retryAfter: Duration?)
    /// A success that cannot be read: the server has acted. A refresh token that can be read all the same is the newest one, and
    /// lost if it is not kept.
    case unreadable(TokenResponseError, refreshToken: Secret?)

    public init(_ response: HTTPResponse) {
        switch response.status {
        case 200:
            do throws(TokenResponseError) {
                self = .granted(try TokenResponse(parsing: response.body))
            } catch {
                let json = try? TokenResponse.object(response.body)
                self = .unreadable(error, refreshToken: json.flatMap { try? TokenResponse.secret("refresh_token", in: $0) })
            }
        case 400, 401, 403:
            // A proxy answers with these too; only OAuth's own error decides about a sign-in.
            if let name = (try? TokenResponse.object(response.body))?["error"]?.string {
                self = .refused(OAuthErrorCode(name))
            } else {
                self = .unavailable(status: response.status, retryAfter: nil)
            }
        default: self = .unavailable(status: response.status, retryAfter: Self.retryAfter(response))
        }
    }

    /// Seconds (RFC 9110 section 10.2.3); the form with a date needs a clock and is not read.
    private static func retryAfter(_ response: HTTPResponse) -> Duration? {
        guard let text = response.header("retry-after"), (1...6).contains(text.utf8.count),
            text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) })
        else { return nil }
        return Int(text).map { .seconds($0) }
    }
}
