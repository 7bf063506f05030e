/// What a client trusts, who it is, and how long it waits.
///
/// There is no way to turn certificate checks off, to follow redirects, or to take a proxy, cookies or passwords from the
/// environment: what is not set here is not used.
public struct HTTPClientSettings: Sendable {
    /// Certificates or a private key in PEM. Bytes stay in memory: systemd credentials need no file of ours.
    public enum PEM: Hashable, Sendable, CustomStringConvertible {
        case file(String)
        case bytes([UInt8])

        /// Without content: a private key must not come into a log.
        public var description: String {
            switch self {
            case .file(let path): path
            case .bytes(let bytes): "\(bytes.count) bytes of PEM"
            }
        }
    }

    /// Our side of mutual TLS. `certificate` may hold the chain, leaf first; the key has no password.
    public struct Identity: Hashable, Sendable {
        public var certificate: PEM
        public var key: PEM

        public init(certificate: PEM, key: PEM) {
            self.certificate = certificate
            self.key = key
        }
    }

    /// An HTTP proxy, used by CONNECT for `https://`; never for loopback.
    public struct Proxy: Hashable, Sendable, CustomStringConvertible {
        /// `http://host:port` or `https://host:port`, without user and password.
        public var url: String
        public var user: String?
        public var password: String?

        public init(_ url: String, user: String? = nil, password: String? = nil) {
            self.url = url
            self.user = user
            self.password = password
        }

        /// Without user and password.
        public var description: String { url }
    }

    /// Who may sign a receiver's certificate. Given: these alone. `nil`: the system's (`ca-certificates`).
    public var authorities: PEM?
    public var identity: Identity?
    public var proxy: Proxy?
    /// Every request goes to this Unix socket whatever host its URL names; `http://` is then allowed.
    public var unixSocket: String?

    /// For name, connection, proxy and TLS together. At most this, then `.notSent(.timeout)`.
    public var connectTimeout: Duration = .seconds(15)
    /// For the whole exchange. Not for ``HTTPClient/stream(_:onHead:onChunk:)``.
    public var requestTimeout: Duration = .seconds(60)
    /// So long without a byte in either direction ends the exchange; whole seconds, `nil` for never. Not for streams.
    public var stallTimeout: Duration? = .seconds(30)
    /// Bytes of an answer's body. The largest real answer is a transaction's, a few hundred bytes an entry.
    public var maximumAnswer = 4 * 1_024 * 1_024
    /// How long an unused connection is kept; whole seconds. Apache and Node close theirs after 5 s, and a request that meets
    /// such a close is an unknown outcome, so we close first.
    public var idleLifetime: Duration = .seconds(4)
    /// Connections to one receiver at a time; further requests wait. With HTTP/2 they share one.
    public var maximumConnections = 4
    public var userAgent = "vitalgate"

    public init(
        authorities: PEM? = nil, identity: Identity? = nil, proxy: Proxy? = nil, unixSocket: String? = nil
    ) {
        self.authorities = authorities
        self.identity = identity
        self.proxy = proxy
        self.unixSocket = unixSocket
    }
}
