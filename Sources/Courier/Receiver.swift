public import Destinations
public import HTTP
public import HTTPMessage
public import Vitals

/// A receiver with everything needed to speak with it.
public struct Receiver: Sendable {
    public var destination: any Destination
    public var client: HTTPClient
    /// What each channel has of its own.
    public var desks: any ChannelDesks
    public var gateway: GatewayIdentity
    /// How long after an attempt of unknown outcome the receiver is asked: what it began must have ended by then.
    ///
    /// The request's own time-out has passed already when the outcome is unknown; 5 s more lets a transaction commit that the
    /// receiver began at the last moment (ours: FHIR servers' default transaction time-outs are longer, but they hold the row).
    public var settling: Duration
    /// Strictly by effective time, where what came before tells the receiver something about what comes (FUT's triage is relative).
    public var isChronological: Bool
    /// Between two dispatches of a channel: a backlog is no bulk upload.
    public var pace: Duration

    public init(
        destination: any Destination, client: HTTPClient, desks: any ChannelDesks, gateway: GatewayIdentity,
        settling: Duration = .seconds(5), isChronological: Bool = false, pace: Duration = .zero
    ) {
        self.destination = destination
        self.client = client
        self.desks = desks
        self.gateway = gateway
        self.settling = settling
        self.isChronological = isChronological
        self.pace = pace
    }

    /// One credential for all patients, and no plan that a receiver has for them.
    public init(
        destination: any Destination, client: HTTPClient, credential: any CredentialSource = NoCredential(),
        gateway: GatewayIdentity, settling: Duration = .seconds(5)
    ) {
        self.init(
            destination: destination, client: client,
            desks: OneDesk(channel: destination.settings.name, credential: credential), gateway: gateway, settling: settling)
    }

    public var name: String { destination.settings.name }

    /// Whether a request that was frozen earlier goes to this receiver's base as it is configured now.
    func isAddressed(by url: String) -> Bool {
        let base = destination.settings.baseURL
        guard url.hasPrefix(base) else { return false }
        return url.utf8.count == base.utf8.count || base.hasSuffix("/") || ["/", "?"].contains(url.dropFirst(base.count).first)
    }

    /// Receiver + credential + patient context (R6).
    public func channel(for patient: PatientAlias) -> String { desks.channel(for: patient) }
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
