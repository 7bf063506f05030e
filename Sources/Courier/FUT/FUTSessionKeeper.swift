import Destinations
import HTTPMessage
import Journal
import Trust
import Vitals

/// The shell around one citizen's ``FUTSession``: makes durable, sends and waits as the session says.
///
/// A refresh token is on disk before anything else happens with the answer that brought it, and that a refresh begins is on disk before
/// it is sent; so a power cut at any moment leaves the newest token that this hub has seen, and the knowledge whether it was used.
actor FUTSessionKeeper {
    private let channel: String
    private let patient: PatientAlias
    /// The citizen's Patient at the receiver; nobody else's token is taken (R4).
    private let reference: String
    private let receiver: FUTReceiver
    private var state = State.unread
    /// The token handed out last, by what it is for: what a service refuses is one of these.
    private var handedOut: [FUTContext: FUTAccessToken] = [:]

    private enum State {
        case unread
        /// Read from disk; the realm's document is not here yet.
        case read(FUTSession.Record?)
        case open(FUTSession)
    }

    /// While another's exchange is under way: an exchange takes a second, a look costs nothing.
    private static let look = Duration.milliseconds(100)

    init(channel: String, patient: PatientAlias, reference: String, receiver: FUTReceiver) {
        self.channel = channel
        self.patient = patient
        self.reference = reference
        self.receiver = receiver
    }

    // MARK: Tokens

    func token(for context: FUTContext) async throws(JournalError) -> Result<FUTAccessToken, FUTReceiver.Unavailable> {
        // Known without the realm, which may be out of reach.
        if case .signInNeeded(let verdict) = try await standing() { return .failure(.init(verdict)) }
        if let unavailable = try await open() { return .failure(unavailable) }
        while !Task.isCancelled {
            let now = receiver.clock.now().wall
            if let answer = await run(for: context, { $0.need(context, at: now) }) { return answer }
            // Another's exchange is under way, or a record waits to be written once more.
            if let answer = await run(for: context, { $0.tick(at: now) }) { return answer }
            try? await Task.sleep(for: Self.look)
        }
        return .failure(.init(.retry(kind: "cancelled", reason: "The daemon ends.")))
    }

    /// A service refused what it was shown.
    func refused() {
        guard case .open(var session) = state else { return }
        for token in handedOut.values { session.accessRefused(token) }
        handedOut = [:]
        state = .open(session)
    }

    /// Time has passed: a grant that nobody uses is used, so that it does not lapse.
    func tick() async throws(JournalError) {
        guard try await open() == nil else { return }
        let now = receiver.clock.now().wall
        _ = await run(for: .none) { $0.tick(at: now) }
    }

    // MARK: Signing in

    /// Takes a sign-in, and returns when it is durable.
    func signIn(_ signIn: SignIn) async throws(FUTSignInFailure) {
        let unavailable: FUTReceiver.Unavailable?
        do throws(JournalError) {
            unavailable = try await open()
        } catch {
            throw FUTSignInFailure(error.what)
        }
        if let unavailable { throw FUTSignInFailure(unavailable.reason) }
        guard case .open(var session) = state else { return }
        let now = receiver.clock.now().wall
        let actions: [FUTSession.Action]
        do throws(FUTSignInError) {
            actions = try session.signIn(signIn, at: now)
        } catch {
            throw FUTSignInFailure(error.description)
        }
        handedOut = [:]
        state = .open(session)
        _ = await run(for: .none) { _ in actions }
        guard case .open(let signedIn) = state, signedIn.standing == .signedIn else {
            throw FUTSignInFailure("it could not be stored: the disk refuses")
        }
    }

    /// Forgets the tokens, whether the realm can be reached or not.
    func signOut() async throws(JournalError) {
        try await read()
        handedOut = [:]
        if case .read(let record) = state {
            let signedOut = FUTSession.Record(
                revision: (record?.revision ?? 0) + 1, issuer: receiver.settings.issuer,
                client: receiver.settings.client.identifier, content: .signedOut)
            state = .read(signedOut)
            try await store(signedOut)
            return
        }
        _ = await run(for: .none) { $0.signOut() }
    }

    // MARK: Standing

    enum Standing {
        case signedIn(lapses: Instant?, warning: Instant?)
        case signInNeeded(DispatchVerdict)
    }

    /// By what is on disk and in memory; asks nobody.
    func standing() async throws(JournalError) -> Standing {
        try await read()
        switch state {
        case .unread: return .signedIn(lapses: nil, warning: nil)
        case .read(let record):
            switch record?.content {
            case .granted: return .signedIn(lapses: nil, warning: nil)
            case .lapsed(let lapse, _): return .signInNeeded(Self.needed(lapse))
            case .signedOut, nil: return .signInNeeded(Self.needed(nil))
            }
        case .open(let session):
            switch session.standing {
            case .signedIn, .refreshing:
                return .signedIn(lapses: session.lapsesAt, warning: session.warningDue(now: receiver.clock.now().wall))
            case .lapsed(let lapse): return .signInNeeded(Self.needed(lapse))
            case .signedOut: return .signInNeeded(Self.needed(nil))
            }
        }
    }

    private static func needed(_ lapse: FUTSession.Lapse?) -> DispatchVerdict {
        .holdChannel(.signInNeeded, reason: reason(lapse))
    }

    private static func reason(_ lapse: FUTSession.Lapse?) -> String {
        lapse?.reason.sentence ?? "Nobody has signed in for this patient."
    }

    // MARK: The session's shell

    private func read() async throws(JournalError) {
        guard case .unread = state else { return }
        let name = channel
        let stored = try await receiver.journal.read { tx in try tx.signIn(channel: name) }
        // Somebody else may have read it meanwhile.
        guard case .unread = state else { return }
        guard let stored else {
            state = .read(nil)
            return
        }
        do throws(FUTRecordError) {
            state = .read(try FUTSession.Record(stored.session))
        } catch {
            // A later release's, or damaged: the citizen signs in again, and the number goes on so that the new record takes its place.
            state = .read(
                FUTSession.Record(
                    revision: stored.revision, issuer: receiver.settings.issuer, client: receiver.settings.client.identifier,
                    content: .signedOut))
        }
    }

    /// `nil`: the session is there.
    private func open() async throws(JournalError) -> FUTReceiver.Unavailable? {
        try await read()
        guard case .read = state else { return nil }
        switch await receiver.server() {
        case .failure(let unavailable): return unavailable
        case .success(let server):
            guard case .read(let record) = state else { return nil }
            var settings = FUTSession.Settings(
                server: server, client: receiver.settings.client.identifier, citizen: reference)
            settings.idle = receiver.settings.idle
            settings.maximum = receiver.settings.maximum
            state = .open(FUTSession(record, settings: settings, at: receiver.clock.now().wall))
            return nil
        }
    }

    /// Lets the session decide, and says what it decided.
    private func decide(_ body: (inout FUTSession) -> [FUTSession.Action]) -> [FUTSession.Action] {
        guard case .open(var session) = state else { return [] }
        let actions = body(&session)
        state = .open(session)
        return actions
    }

    /// Does what the session asks for until it asks for nothing more.
    ///
    /// - Returns: what became of the wish for this context; `nil` where another's exchange is under way.
    private func run(
        for wanted: FUTContext, _ body: (inout FUTSession) -> [FUTSession.Action]
    ) async -> Result<FUTAccessToken, FUTReceiver.Unavailable>? {
        var answer: Result<FUTAccessToken, FUTReceiver.Unavailable>?
        var queue = decide(body)
        while !queue.isEmpty {
            switch queue.removeFirst() {
            case .persist(let record): queue += await persist(record)
            case .send(let request, let exchange):
                // A task of its own, which no end of ours breaks off: the realm may have used the token up, and its answer is the only
                // one that brings the next.
                let client = receiver.client
                let outcome = await Task { await client.send(request) }.value
                let now = receiver.clock.now().wall
                queue += decide { $0.receive(outcome, of: exchange, at: now) }
            case .use(let token):
                handedOut[token.context] = token
                if token.context == wanted { answer = .success(token) }
            case .contextRefused(let context, let refusal):
                guard context == wanted else { continue }
                answer = .failure(
                    .init(
                        .holdChannel(.receiverHeld, reason: "The sign-in server gives no token for this treatment (\(refusal))."))
                )
            case .clientRefused(let code):
                answer = .failure(
                    .init(.holdChannel(.receiverHeld, reason: "The sign-in server does not take this client (\(code)).")))
            case .wait:
                answer = answer ?? .failure(.init(.retry(kind: "sign-in", reason: "The sign-in server gives no token now.")))
            case .signInNeeded(let lapse): answer = .failure(.init(Self.needed(lapse)))
            }
        }
        return answer
    }

    /// The record, and what a person must know of it.
    private func store(_ record: FUTSession.Record) async throws(JournalError) {
        let kept = SignInRecord(
            channel: channel, receiver: receiver.settings.name, patient: patient, revision: record.revision, session: record.json)
        let reason: String? =
            switch record.content {
            case .granted: nil
            case .lapsed(let lapse, _): Self.reason(lapse)
            case .signedOut: Self.reason(nil)
            }
        let now = receiver.clock.now().wall
        try await receiver.journal.write { tx in
            try tx.setSignIn(kept)
            // Said when it is known, and not only to whom a reading waits for (R10).
            guard let reason else { return }
            try tx.tellSignInNeeded(of: kept.patient, at: kept.receiver, kept.channel, reason: reason, now: now)
        }
    }

    private func persist(_ record: FUTSession.Record) async -> [FUTSession.Action] {
        let isDurable: Bool
        do throws(JournalError) {
            if receiver.settings.usesBeforeDurable, case .granted = record.content {
                // The fault that a rig must find, in a task that nobody waits for: on disk once the next token may have come.
                Task {
                    try? await Task.sleep(for: .seconds(1))
                    try? await store(record)
                }
            } else {
                try await store(record)
            }
            isDurable = true
        } catch {
            isDurable = false
        }
        let now = receiver.clock.now().wall
        return decide {
            isDurable ? $0.persisted(record.revision, at: now) : $0.persistFailed(record.revision, at: now)
        }
    }
}

extension Transaction {
    /// Somebody has to sign in: a condition while a device tells the receiver of this patient, or something waits for the sign-in. Of
    /// whoever moved away nothing is wanted any more.
    func tellSignInNeeded(
        of patient: PatientAlias, at receiver: String, _ channel: String, reason: String, now: Instant
    ) throws(JournalError) {
        try clear(.signInEnding, subject: channel)
        let isTold = try assignments().contains { $0.patient == patient && $0.tells(receiver, at: now) }
        let hasWork = try channels(receiver: receiver).contains { $0.channel == channel }
        guard isTold || hasWork else {
            try clear(.signInNeeded, subject: channel)
            return
        }
        try raise(Condition(.signInNeeded, subject: channel, since: now, reason: reason))
    }
}

/// Why a sign-in was not taken, in words for the person.
public struct FUTSignInFailure: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}
