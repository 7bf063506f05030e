public import Destinations
public import HTTP
import HTTPMessage
public import Journal
import Synchronization
public import Trust
public import Vitals

/// A FUT receiver: a channel for each citizen, with a sign-in and plans of its own (R6).
public final class FUTReceiver: ChannelDesks {
    public struct Settings: Sendable {
        /// The receiver's name.
        public var name: String
        public var fut: FUTSettings
        /// The realm, exactly as its document names it.
        public var issuer: String
        public var client: OAuthClient
        /// Where the browser returns to after a sign-in by code; `nil` where the citizens sign in by device code alone.
        public var redirect: EndpointURL?
        /// How long an offline token lives unused, and at the latest after the sign-in.
        public var idle: Duration
        public var maximum: Duration?
        /// A fault for tests: uses a refresh token before it is on disk. The rig that kills the daemon must find a lost sign-in.
        public var usesBeforeDurable: Bool

        public init(
            name: String, fut: FUTSettings, issuer: String, client: OAuthClient, redirect: EndpointURL?, idle: Duration,
            maximum: Duration?, usesBeforeDurable: Bool = false
        ) {
            self.name = name
            self.fut = fut
            self.issuer = issuer
            self.client = client
            self.redirect = redirect
            self.idle = idle
            self.maximum = maximum
            self.usesBeforeDurable = usesBeforeDurable
        }
    }

    public let settings: Settings
    let client: HTTPClient
    let journal: Journal
    let clock: any Clock
    private let citizens = Mutex<[String: FUTCitizen]>([:])
    private let known = Mutex<AuthorizationServer?>(nil)

    public init(_ settings: Settings, client: HTTPClient, journal: Journal, clock: any Clock) {
        self.settings = settings
        self.client = client
        self.journal = journal
        self.clock = clock
    }

    public func channel(for patient: PatientAlias) -> String { FUTDestination.channel(of: settings.name, for: patient) }

    public func desk(for patient: PatientAlias) -> any ChannelDesk { citizen(patient) }

    public func citizen(_ patient: PatientAlias) -> FUTCitizen {
        citizens.withLock { citizens in
            let channel = channel(for: patient)
            if let known = citizens[channel] { return known }
            let made = FUTCitizen(patient, channel: channel, of: self)
            citizens[channel] = made
            return made
        }
    }

    /// Those who signed in here once, whose devices tell this receiver now, or whose readings were on their way since the start.
    public func everybody() async throws(JournalError) -> [FUTCitizen] {
        let (name, now) = (settings.name, clock.now().wall)
        let known = try await journal.read { tx in
            try tx.signIns(receiver: name).map(\.patient)
                + tx.assignments().filter { $0.tells(name, at: now) }.map(\.patient)
        }
        for patient in known { _ = citizen(patient) }
        return citizens.withLock { Array($0.values) }.sorted { $0.channel < $1.channel }
    }

    /// The realm by its own document, which is read once a run: what it says changes with releases of Keycloak.
    func server() async -> Result<AuthorizationServer, Unavailable> {
        if let server = known.withLock(\.self) { return .success(server) }
        do throws(AuthorizationServerError) {
            let request = try AuthorizationServer.discovery(issuer: settings.issuer)
            switch await client.send(request) {
            case .notSent(let failure), .unknown(let failure):
                return .failure(.init(.retry(kind: failure.kind.rawValue, reason: "The sign-in server is not reached.")))
            case .answered(let response):
                guard response.status == 200 else {
                    return .failure(
                        .init(.retry(kind: "http-\(response.status)", reason: "The sign-in server does not tell what it offers."))
                    )
                }
                let server = try AuthorizationServer(parsing: response.body, issuer: settings.issuer)
                known.withLock { $0 = server }
                return .success(server)
            }
        } catch {
            return .failure(.init(.holdChannel(.receiverHeld, reason: "The sign-in server cannot be used: \(error).")))
        }
    }

    /// Why there is no token now, as a verdict on the channel.
    public struct Unavailable: Error, Hashable, Sendable {
        public var verdict: DispatchVerdict
        init(_ verdict: DispatchVerdict) { self.verdict = verdict }

        /// In a sentence.
        var reason: String {
            switch verdict {
            case .retry(_, let reason), .holdChannel(_, let reason), .reconcile(let reason), .split(let reason),
                .serverFailure(_, let reason):
                reason
            case .items, .refreshCredential, .waitUntilRetryAfter: "The server asks to wait."
            }
        }
    }
}
