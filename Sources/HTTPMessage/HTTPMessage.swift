/// A request as a value: what is to be sent, nothing of how.
public struct HTTPRequest: Hashable, Sendable {
    public enum Method: String, Hashable, Sendable {
        case get = "GET"
        case post = "POST"
        case put = "PUT"
        case patch = "PATCH"
        case delete = "DELETE"
    }

    public var method: Method
    /// The absolute URL.
    public var url: String
    /// In order; names in lower case. Credentials are added by the courier, not by a destination.
    public var headers: [HTTPHeader]
    public var body: [UInt8]

    public init(_ method: Method, _ url: String, headers: [HTTPHeader] = [], body: [UInt8] = []) {
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
    }
}

public struct HTTPHeader: Hashable, Sendable {
    public var name: String
    public var value: String
    public init(_ name: String, _ value: String) {
        self.name = name
        self.value = value
    }
}

/// A complete answer.
public struct HTTPResponse: Hashable, Sendable {
    public var status: Int
    /// Names in lower case.
    public var headers: [HTTPHeader]
    public var body: [UInt8]

    public init(status: Int, headers: [HTTPHeader] = [], body: [UInt8] = []) {
        self.status = status
        self.headers = headers
        self.body = body
    }

    public func header(_ name: String) -> String? { headers.first { $0.name == name }?.value }
}

/// How an exchange ended. "We do not know whether it arrived" is a case of its own.
public enum HTTPOutcome: Hashable, Sendable {
    case answered(HTTPResponse)
    /// It failed before the request was on the wire: the receiver cannot have seen it.
    case notSent(HTTPFailure)
    /// The request was (partly) sent and no complete answer came: the receiver may have acted on it.
    case unknown(HTTPFailure)
}

/// Why an exchange failed.
public struct HTTPFailure: Error, Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case invalidURL = "invalid-url"
        case resolve = "dns"
        case proxy = "proxy"
        case connect = "connect"
        case tls = "tls"
        /// The receiver's certificate is not one that we trust for this name.
        case certificate = "certificate"
        case timeout = "timeout"
        case interrupted = "interrupted"
        /// The answer is larger than the limit.
        case tooLarge = "too-large"
        case cancelled = "cancelled"
        /// A file of the client's own (certificate, key, CA bundle) cannot be read.
        case credential = "credential"
        case other = "other"
    }

    public var kind: Kind
    /// What the library said; without URL, headers and body.
    public var message: String

    public init(_ kind: Kind, _ message: String) {
        self.kind = kind
        self.message = message
    }
}
