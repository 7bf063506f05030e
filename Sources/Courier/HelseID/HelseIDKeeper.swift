public import HTTP
import ExactJSON
import HTTPMessage
public import Journal
public import Trust
public import Vitals

/// The shell around one HelseID client of the hub's: its keys, and a ``HelseIDSession`` for each set of scopes, shared by all receivers
/// and patients.
///
/// The keys are on disk before anything is signed with them, and what HelseID took is on disk before it is used, or as soon as the disk
/// lets us: until then the earlier record still names the key that was taken as the candidate, and nothing is lost.
public actor HelseIDKeeper {
    /// A client as HelseID knows it.
    public struct Client: Hashable, Sendable {
        public var issuer: String
        public var identifier: String

        public init(issuer: String, identifier: String) {
            self.issuer = issuer
            self.identifier = identifier
        }

        /// How the journal and conditions name it.
        public var name: String { "helseid/\(identifier)" }
        var record: String { "\(issuer) \(identifier)" }
    }

    public enum Source: Hashable, Sendable {
        /// Made on the hub, sealed in its journal.
        case journal(SignatureAlgorithm)
        /// Somebody else's: a JWK that was put beside the configuration.
        case given(PrivateJWK)
    }

    public nonisolated let client: Client
    private let source: Source
    private let http: HTTPClient
    private let journal: Journal
    private let clock: any Clock
    private var held = Held.unread
    private var sessions: [HelseIDClient: HelseIDSession] = [:]
    /// The last change of the keys could not be written down.
    private var isUnwritten = false
    /// What the condition of the client says; `nil` while this run has not looked.
    private var told: String??
    private var generator = SystemRandomNumberGenerator()

    private enum Held {
        case unread
        case none
        case keys(HelseIDKeys)
    }

    /// While another's exchange is under way: an exchange takes a second, a look costs nothing.
    private static let look = Duration.milliseconds(50)

    public init(_ client: Client, source: Source, http: HTTPClient, journal: Journal, clock: any Clock) {
        self.client = client
        self.source = source
        self.http = http
        self.journal = journal
        self.clock = clock
    }

    // MARK: Tokens

    enum Unavailable: Error, Hashable {
        case noKey
        case clock
        case ended
        case error(HelseIDError)
    }

    /// A token for these scopes, from memory or from HelseID.
    func token(for wanted: HelseIDClient) async throws(JournalError) -> Result<HelseIDToken, Unavailable> {
        while !Task.isCancelled {
            guard let keys = try await keys() else {
                try await tell("the hub has no key for it yet: `vitalgate helseid register` makes one")
                return .failure(.noKey)
            }
            if isUnwritten { await write(keys) }
            var session = sessions[wanted] ?? HelseIDSession(wanted, keys: keys)
            let action = session.next(clock.now(), using: &generator)
            sessions[wanted] = session
            switch action {
            case .use(let token):
                try await tell(nil)
                return .success(token)
            case .send(let request): await exchange(request, for: wanted)
            case .awaitsAnswer: try? await Task.sleep(for: Self.look)
            case .waitsForClock: return .failure(.clock)
            case .waits(_, let error):
                // A line that is down is not HelseID's word about the hub.
                if !error.isTransient { try await tell(error.description) }
                return .failure(.error(error))
            case .persist(let keys): await write(keys)
            }
        }
        return .failure(.ended)
    }

    private func exchange(_ request: HTTPRequest, for wanted: HelseIDClient) async {
        var next: HTTPRequest? = request
        while let request = next {
            next = nil
            // A task of its own, which no end of a channel breaks off: others wait for the same answer.
            let http = http
            let outcome = await Task { await http.send(request) }.value
            guard var session = sessions[wanted] else { return }
            let actions = session.receive(outcome, clock.now(), using: &generator)
            sessions[wanted] = session
            for action in actions {
                switch action {
                case .persist(let keys): await take(keys)
                case .send(let request): next = request
                default: break
                }
            }
        }
    }

    /// The request with its credential; each sending has a proof of its own.
    func authorise(
        _ request: HTTPRequest, with token: HelseIDToken, for wanted: HelseIDClient
    ) -> Result<HTTPRequest, Unavailable> {
        guard let session = sessions[wanted] else { return .failure(.noKey) }
        do throws(HelseIDError) {
            switch try session.authorise(request, with: token, clock.now(), using: &generator) {
            case .ready(let request): return .success(request)
            case .waitsForClock: return .failure(.clock)
            }
        } catch {
            return .failure(.error(error))
        }
    }

    func received(
        _ response: HTTPResponse, from url: String, sent: ClockReading, isRepeated: Bool, for wanted: HelseIDClient
    ) -> HelseIDSession.APIAnswer {
        guard var session = sessions[wanted] else { return .settled }
        let answer = session.receive(response, from: url, sentAt: sent.wall, clock.now(), isRepeated: isRepeated)
        sessions[wanted] = session
        return answer
    }

    // MARK: Keys

    /// How the keys stand.
    public struct Standing: Hashable, Sendable {
        public var current: String
        public var candidate: String?
        public var isCandidateRegistered: Bool
        public var previous: String?
        /// The public half that is to be registered.
        public var publicJWK: String
        /// Whether they are the hub's own.
        public var isOwn: Bool
    }

    /// `nil`: there is no key yet.
    public func standing() async throws(JournalError) -> Standing? {
        guard let keys = try await keys() else { return nil }
        var isOwn = false
        if case .journal = source { isOwn = true }
        return Standing(
            current: keys.current.keyIdentifier, candidate: keys.candidate?.keyIdentifier,
            isCandidateRegistered: keys.isCandidateRegistered, previous: keys.previous?.keyIdentifier,
            publicJWK: keys.publicJWK.text, isOwn: isOwn)
    }

    public enum Change: Hashable, Sendable {
        /// The first key, where there is none.
        case generate
        /// The next key, beside the one in use.
        case rotate
        /// Somebody registered the public half.
        case registered
        case abandon
    }

    /// Changes the keys, and returns when the change is on disk.
    ///
    /// - Returns: why it was not made.
    public func change(_ change: Change, actor: String) async throws(JournalError) -> String? {
        guard case .journal(let algorithm) = source else { return "the key is a file of somebody else's" }
        let present = try await keys()
        var keys: HelseIDKeys
        do throws(JWKError) {
            switch (change, present) {
            case (.generate, nil): keys = try .generate(algorithm)
            case (.generate, let present?): keys = present
            case (_, nil): return "there is no key yet"
            case (.rotate, let present?):
                keys = present
                try keys.beginRotation(algorithm)
            case (.registered, let present?):
                keys = present
                keys.candidateRegistered()
            case (.abandon, let present?):
                keys = present
                keys.dropCandidate()
            }
        } catch {
            return "\(error)"
        }
        if keys != present {
            guard let json = Self.json(keys) else { return "the key cannot be exported" }
            let record = client.record
            let name = client.name
            let now = clock.now().wall
            try await journal.write { tx in
                try tx.setClientKeys(json, of: record)
                try tx.audit(at: now, actor: actor, action: "client-key", subject: name, detail: "\(change)")
            }
            // What HelseID took meanwhile is not undone by an older copy.
            if case .keys(let newer) = held, newer != present {
                await write(newer)
                return "the keys changed meanwhile: look at them again"
            }
            adopt(keys)
        }
        // Whatever was refused before is tried again at once: a person says that something changed outside.
        for (wanted, var session) in sessions {
            _ = try? session.update(keys: { $0 = keys })
            session.retryNow()
            sessions[wanted] = session
        }
        return nil
    }

    private func keys() async throws(JournalError) -> HelseIDKeys? {
        if case .given(let key) = source { return HelseIDKeys(current: key) }
        switch held {
        case .keys(let keys): return keys
        case .none: return nil
        case .unread: break
        }
        let record = client.record
        let json = try await journal.read { tx in try tx.clientKeys(of: record) }
        guard case .unread = held else { return try await keys() }
        guard let json else {
            held = .none
            return nil
        }
        do throws(JWKError) {
            let keys = try HelseIDKeys(Secret(json.text))
            held = .keys(keys)
            return keys
        } catch {
            throw .fault("the keys of \(client.name) are not in a form that this release reads: \(error)")
        }
    }

    /// HelseID took a key: what the session made of it holds for all others of the client too.
    private func take(_ keys: HelseIDKeys) async {
        adopt(keys)
        await write(keys)
    }

    private func adopt(_ keys: HelseIDKeys) {
        held = .keys(keys)
        for (wanted, var session) in sessions where session.keys != keys {
            // The closure throws nothing.
            if (try? session.update(keys: { $0 = keys })) != nil { sessions[wanted] = session }
        }
    }

    private func write(_ keys: HelseIDKeys) async {
        guard case .journal = source, let json = Self.json(keys) else { return }
        let record = client.record
        do throws(JournalError) {
            try await journal.write { tx in try tx.setClientKeys(json, of: record) }
            isUnwritten = false
        } catch {
            isUnwritten = true
        }
    }

    private static func json(_ keys: HelseIDKeys) -> JSON? { try? JSON(parsing: keys.exported.text) }

    /// Says what a person must do about the client, once; `nil`: nothing any more.
    private func tell(_ reason: String?) async throws(JournalError) {
        guard told != .some(reason) else { return }
        let name = client.name
        let now = clock.now().wall
        try await journal.write { tx in
            if let reason {
                try tx.raise(Condition(.credentialRefused, subject: name, since: now, reason: reason))
            } else {
                try tx.clear(.credentialRefused, subject: name)
            }
        }
        told = .some(reason)
    }
}
