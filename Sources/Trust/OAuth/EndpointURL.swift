/// An absolute URL that a token may travel to or come back from: `https`, or `http` to the machine itself.
///
/// Strict where programs differ in what they read (user info, backslashes, control characters): what is compared here must be
/// what is fetched later.
public struct EndpointURL: Hashable, Sendable {
    /// As given.
    public let text: String
    /// `https://host:port`, the port left out where it is the scheme's own.
    public let origin: String
    /// From the first slash to the question mark; `/` where there is none.
    public let path: String
    /// After the question mark, as given; `nil` where there is none.
    public let query: String?

    /// 8 KiB is what servers and browsers commonly take.
    static let maximumLength = 8 * 1_024

    public init(_ text: String) throws(EndpointURLError) {
        guard text.utf8.count <= Self.maximumLength else { throw .tooLong }
        guard text.utf8.allSatisfy({ (0x21...0x7E).contains($0) && $0 != UInt8(ascii: "\\") }) else { throw .character }
        let isSecure = text.hasPrefix("https://")
        guard isSecure || text.hasPrefix("http://") else { throw .scheme }
        let rest = text.dropFirst(isSecure ? 8 : 7)
        let authority = rest.prefix { $0 != "/" && $0 != "?" && $0 != "#" }
        let (host, port) = try Self.split(authority)
        guard isSecure || Self.loopback.contains(host) else { throw .notProtected }
        let standardPort = isSecure ? 443 : 80
        origin = (isSecure ? "https://" : "http://") + host + (port.map { $0 == standardPort ? "" : ":\($0)" } ?? "")
        let tail = rest.dropFirst(authority.count)
        guard !tail.contains("#") else { throw .fragment }
        let path = tail.prefix { $0 != "?" }
        self.path = path.isEmpty ? "/" : String(path)
        query = path.count < tail.count ? String(tail.dropFirst(path.count + 1)) : nil
        self.text = text
    }

    /// The literals alone: the name `localhost` may be resolved to somewhere else (RFC 8252 section 8.3).
    private static let loopback: Set<String> = ["127.0.0.1", "[::1]"]

    private static func split(_ authority: Substring) throws(EndpointURLError) -> (host: String, port: Int?) {
        let bracket = authority.lastIndex(of: "]")
        let colon = authority[(bracket ?? authority.startIndex)...].firstIndex(of: ":")
        let host = authority[..<(colon ?? authority.endIndex)].lowercased()
        let allowed = Set(bracket == nil ? "abcdefghijklmnopqrstuvwxyz0123456789.-" : "[]abcdef0123456789:.")
        guard !host.isEmpty, host.allSatisfy(allowed.contains), bracket == nil || host.hasPrefix("[") else { throw .host }
        guard let colon else { return (host, nil) }
        let digits = authority[authority.index(after: colon)...]
        guard digits.utf8.count <= 5, digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let port = Int(digits), (1...65_535).contains(port)
        else { throw .port }
        return (host, port)
    }
}

extension EndpointURL: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Without the query, where codes stand.
    public var description: String { origin + path + (query == nil ? "" : "?…") }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}

/// Why a text is no URL that a token may travel to.
public enum EndpointURLError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLong
    case character
    case scheme
    case notProtected
    case host
    case port
    case fragment
    case query

    public var description: String {
        switch self {
        case .tooLong: "a URL of more than \(EndpointURL.maximumLength) bytes"
        case .character: "a URL with a character that must be percent-encoded"
        case .scheme: "a URL that begins with neither https:// nor http://"
        case .notProtected: "http:// to another machine: only https://, or http:// to 127.0.0.1 or [::1]"
        case .host: "a URL without a plain host name"
        case .port: "a URL whose port is none"
        case .fragment: "a URL with a fragment"
        case .query: "a URL with a query"
        }
    }
}
