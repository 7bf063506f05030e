/// Where a request goes, as far as a proof needs it.
public struct RequestTarget: Hashable, Sendable {
    /// Scheme, host and port in one form: what a server's nonces belong to (RFC 9449, section 9: to one server, not to another).
    public let origin: String
    /// The target URI without query and fragment (RFC 9449, section 4.2, `htu`).
    public let htu: String

    /// Takes what ``EndpointURL`` takes, with any query and fragment. An empty path is written `/`, as it goes over the wire (RFC
    /// 3986, section 6.2.3); nothing else is normalised: the server compares with what it received.
    public init(url: String) throws(EndpointURLError) {
        let bare = String(url.prefix { $0 != "?" && $0 != "#" })
        let endpoint = try EndpointURL(bare)
        origin = endpoint.origin
        htu = endpoint.path == "/" && !bare.hasSuffix("/") ? bare + "/" : bare
    }
}
