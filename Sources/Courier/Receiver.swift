public import Destinations
public import HTTP
public import HTTPMessage
public import Vitals

/// A receiver with everything needed to speak with it.
public struct Receiver: Sendable {
    public var destination: any Destination
    public var client: HTTPClient
    public var credential: any CredentialSource
    public var gateway: GatewayIdentity
    /// How long after an attempt of unknown outcome the receiver is asked: what it began must have ended by then.
    ///
    /// The request's own time-out has passed already when the outcome is unknown; 5 s more lets a transaction commit that the
    /// receiver began at the last moment (ours: FHIR servers' default transaction time-outs are longer, but they hold the row).
    public var settling: Duration

    public init(
        destination: any Destination, client: HTTPClient, credential: any CredentialSource = NoCredential(),
        gateway: GatewayIdentity,
        settling: Duration = .seconds(5)
    ) {
        self.destination = destination
        self.client = client
        self.credential = credential
        self.gateway = gateway
        self.settling = settling
    }

    public var name: String { destination.settings.name }

    /// Whether a request that was frozen earlier goes to this receiver's base as it is configured now.
    func isAddressed(by url: String) -> Bool {
        let base = destination.settings.baseURL
        guard url.hasPrefix(base) else { return false }
        return url.utf8.count == base.utf8.count || base.hasSuffix("/") || ["/", "?"].contains(url.dropFirst(base.count).first)
    }

    /// Receiver + credential + patient context (R6). A plain FHIR server has one credential and no patient context.
    public func channel(for patient: PatientAlias) -> String { name }
}

/// What a request carries to show who sends it.
public protocol CredentialSource: Sendable {
    /// Headers to add to each request; empty where there is nothing to show.
    func headers() async -> [HTTPHeader]
    /// After a 401: gets a new credential. False where there is none to be had.
    func refresh() async -> Bool
}

/// The receiver asks for none, or the client certificate is all.
public struct NoCredential: CredentialSource {
    public init() {}
    public func headers() async -> [HTTPHeader] { [] }
    public func refresh() async -> Bool { false }
}
