/// Where a request goes, as far as a proof needs it.
public struct RequestTarget: Hashable, Sendable {
    /// Scheme and authority in lower case: what a server's nonces belong to (RFC 9449, section 9: to one server, not to another).
    public let origin: String
    /// The target URI without query and fragment (RFC 9449, section 4.2, `htu`).
    public let htu: String

    /// Takes an absolute http or https URL. An empty path is written `/`, as it goes over the wire (RFC 3986, section 6.2.3);
    /// nothing else is normalised: the server compares with what it received.
    public init(url: String) throws(DPoPError) {
        let bare = url.prefix { $0 != "?" && $0 != "#" }
        guard let end = bare.firstRange(of: "://"), ["http", "https"].contains(bare[..<end.lowerBound].lowercased()) else {
            throw .url(expected: "http:// or https:// in front")
        }
        let authority = bare[end.upperBound...].prefix { $0 != "/" }
        guard !authority.isEmpty, authority.first != ":" else { throw .url(expected: "a host") }
        guard !authority.contains("@") else { throw .url(expected: "no user before the host") }
        guard bare.utf8.allSatisfy({ (0x21...0x7E).contains($0) }) else { throw .url(expected: "visible ASCII") }
        origin = bare[..<authority.endIndex].lowercased()
        htu = authority.endIndex == bare.endIndex ? bare + "/" : String(bare)
    }

    /// TLS, or the machine itself (simulators).
    public var isProtected: Bool {
        if origin.hasPrefix("https://") { return true }
        let host = origin.dropFirst("http://".count)
        return ["127.0.0.1", "localhost", "[::1]"].contains { host == $0 || host.hasPrefix($0 + ":") }
    }
}
