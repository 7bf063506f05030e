public import Catalogue
import Protocols
public import Vitals

/// One connection with a device, decided without touching the radio.
///
/// Design constraints:
/// - a frame's word leaves only after ``committed(_:at:)`` (R1), and the frame is handed up as it came (R2);
/// - the clock is read before it is written, and an unsynchronised hub writes none (R5);
/// - a device that may leave at any moment is asked for nothing that its reading does not need before the reading: the order is
///   the model's, only a device without a key says who it is first;
/// - a step that fails (clock, identity, battery, command) is noted and never ends a transfer;
/// - no client configuration is ever cleared: some cuffs drop their bond on it.
///
/// Operation: every call returns what to do, in order; see ``SessionAction``. Sources: Blood Pressure Profile 1.1.1, Pulse
/// Oximeter Profile 1.0.1; differences between models are data of `devices/`.
public struct DeviceSession: Session {
    /// Timing constants.
    enum Timing {
        /// The response to a Record Access Control Point request, and each record before it, comes within the time of an ATT
        /// transaction (30 s, as the profiles that share 2A52 ask of their collectors).
        static let records = Duration.seconds(30)
        /// A link on which nothing comes at all. Cuffs stay up for two minutes at most after a measurement.
        static let idle = Duration.seconds(120)
    }
    /// Values that may wait while it is not yet known who the device is. One indication waits at most, so only notifications add
    /// up.
    static let longestWait = 256

    /// One thing to do on a fresh link, before and between the model's own steps.
    enum Step: Hashable {
        case exchangeMTU, checkMap, discover, enrol
        case model(Model.Session.Step)
    }

    /// A procedure under way, with what it still has to do.
    enum Stage {
        case mtu
        case checkMap
        case discovery
        case identity(BluetoothUUID, remaining: [HandleMap.Characteristic])
        case subscribing(HandleMap.Characteristic, remaining: [HandleMap.Characteristic])
        case readingClock(ClockFace)
        case writingClock(before: LocalDateTime?, after: LocalDateTime, at: ClockReading)
        case battery
        case commanding(BluetoothUUID, remaining: [Model.Session.Command])
        /// A Record Access Control Point procedure; `isWritten` once the device has taken the request.
        case records(RecordsStage, isWritten: Bool, since: MonotonicTime)
        /// All records came; the count is asked for when they are committed.
        case committingRecords
    }

    enum RecordsStage { case reporting, counting, deleting }

    enum State {
        case idle
        case settling(until: MonotonicTime)
        case stepping(Step, Stage)
        case awaitingEnrolment
        case collecting
        /// Nothing more is wanted; what was handed up is still being committed.
        case finishing(SessionOutcome.Reason)
        case ended
    }

    /// A value that came before its meaning was known.
    struct Waiting {
        var handle: UInt16
        var value: [UInt8]
        var indication: ATTClient.IndicationID?
        var at: ClockReading
    }

    /// A frame that was handed up and is not yet committed.
    struct Pending {
        var role: FrameRole
        var indication: ATTClient.IndicationID?
    }

    let model: Model
    let profile: DriverProfile
    var mayWriteClock: Bool
    var isEnrolled: Bool
    /// Set until the answer to a request that left before the session has come.
    var hasAskedMTU: Bool

    var state = State.idle
    var client = ATTClient()
    var request: ATTClient.RequestID?
    var plan: [Step] = []
    var map: HandleMap?
    /// The map is from an earlier link and may be stale.
    var mapIsKept = false
    var identity = DeviceIdentity()

    var waiting: [Waiting] = []
    var pending: [FrameToken: Pending] = [:]
    var tokens: [ATTClient.IndicationID: FrameToken] = [:]
    /// Committed, and the word is not an ATT confirmation.
    var awaitingWord: [FrameToken] = []
    /// Answers of the Record Access Control Point, confirmed when all frames before them are committed.
    var heldAnswers: [ATTClient.IndicationID] = []
    var lastToken = 0
    var readings = 0
    var readingsOfTransfer = 0
    var stream: StreamWindow?
    var lastActivity = MonotonicTime(milliseconds: 0)
    var transferIsOpen = false
    var hadTransfer = false
    var linkHasEnded = false
    var resultsSubscribed = 0
    var securityRefusal: ATTErrorCode?

    var actions: [SessionAction] = []
    var announcedWake: MonotonicTime?

    public init(model: Model, facts: SessionFacts) {
        self.model = model
        profile = DriverProfile(for: model)
        mayWriteClock = facts.mayWriteClock
        isEnrolled = facts.isEnrolled
        hasAskedMTU = facts.hasAskedMTU
        if let bytes = facts.handleMap, !bytes.isEmpty {
            do {
                map = try HandleMap(bytes: bytes)
                mapIsKept = true
            } catch {
                actions.append(.note(.handleMapStale(.unreadable)))
            }
        }
        var steps = model.session.steps
        plan = [.exchangeMTU, map == nil ? .discover : .checkMap]
        if !facts.isEnrolled {
            plan += [.model(.identity), .enrol]
            steps.removeAll { $0 == .identity }
        }
        plan += steps.map(Step.model)
    }

    // MARK: What happens

    /// The link is up.
    public mutating func start(at now: ClockReading) -> [SessionAction] {
        guard case .idle = state else { return [] }
        lastActivity = now.monotonic
        if hasAskedMTU { proceed(at: now) } else { settle(at: now) }
        return taken()
    }

    /// Leaves the device alone for a while where its model wants that, before the next request.
    mutating func settle(at now: ClockReading) {
        guard model.session.settleMilliseconds > 0 else { return proceed(at: now) }
        state = .settling(until: now.monotonic + .milliseconds(model.session.settleMilliseconds))
    }

    /// One PDU came at that moment. It may be handed in after what was done since, such as a commit that it waited behind.
    public mutating func receive(_ pdu: [UInt8], at now: ClockReading) -> [SessionAction] {
        if case .ended = state { return [] }
        perform(client.receive(pdu, at: now.monotonic), at: now)
        return taken()
    }

    /// The frame is durable: its word may leave (R1).
    public mutating func committed(_ token: FrameToken, at now: ClockReading) -> [SessionAction] {
        guard let frame = pending.removeValue(forKey: token) else { return [] }
        let takesOtherWord = model.acknowledges == .disconnect || model.acknowledges == .command
        if takesOtherWord, frame.role == .result { awaitingWord.append(token) }
        if linkHasEnded {
            giveWordOfDisconnect()
            return taken()
        }
        if case .ended = state { return [] }
        lastActivity = max(lastActivity, now.monotonic)
        if let indication = frame.indication { perform(client.confirm(indication, at: now.monotonic), at: now) }
        if pending.isEmpty { allCommitted(at: now) }
        return taken()
    }

    /// The frame could not be committed.
    ///
    /// The word is withheld and the link ended, so that the device sends it again. Where the end of the link is itself the word,
    /// or there is none, nothing is closed: the caller tries again while the link lasts and then calls ``committed(_:at:)``.
    public mutating func refused(_ token: FrameToken, at now: ClockReading) -> [SessionAction] {
        if case .ended = state { return [] }
        guard let frame = pending[token] else { return [] }
        actions.append(.note(.commitRefused(token)))
        switch model.acknowledges {
        case .disconnect, .link: break
        case .command, .response: end(.refused)
        // Of a notification there is no word to withhold, and it would not come again.
        case .confirmation, .none: if frame.indication != nil { end(.refused) }
        }
        return taken()
    }

    /// The device has its key: its frames can be readings now.
    public mutating func enrolled(at now: ClockReading) -> [SessionAction] {
        guard !isEnrolled else { return [] }
        isEnrolled = true
        takeWaiting()
        if case .awaitingEnrolment = state { proceed(at: now) }
        return taken()
    }

    /// The time of the last ``SessionAction/wake(at:)`` has come; earlier calls change nothing.
    public mutating func timer(at now: ClockReading) -> [SessionAction] {
        if case .ended = state { return [] }
        perform(client.timer(at: now.monotonic), at: now)
        switch state {
        case .settling(let until) where now.monotonic >= until: proceed(at: now)
        case .stepping(_, .records(_, _, let since)) where now.monotonic >= since + Timing.records:
            actions.append(.note(.recordsTimedOut))
            closeRecords()
            proceed(at: now)
        case .collecting: collectingTimer(at: now)
        default: break
        }
        announcedWake = nil
        return taken()
    }

    /// The link is gone, by whichever side.
    public mutating func linkEnded(at now: ClockReading) -> [SessionAction] {
        guard !linkHasEnded else { return [] }
        linkHasEnded = true
        switch state {
        case .ended: break
        case .finishing(let reason): end(reason)
        default:
            let open = !pending.isEmpty || client.hasUnconfirmed || !waiting.isEmpty
            var isCollecting = false
            if case .collecting = state { isCollecting = true }
            // A device that has said all it had may leave in the middle of our curiosity.
            end(!open && (isCollecting || readings > 0) ? .peerEnded : .linkLost)
        }
        giveWordOfDisconnect()
        return taken()
    }

    // MARK: Events of the client

    mutating func perform(_ events: [ATTClient.Event], at now: ClockReading) {
        for event in events {
            switch event {
            case .send(let pdu): actions.append(.send(pdu.bytes))
            case .answered(let id, let result) where id == request:
                request = nil
                answered(result, at: now)
            case .answered: break
            case .notified(let handle, let value): receiveValue(Waiting(handle: handle, value: value, at: now))
            case .indicated(let id, let handle, let value):
                receiveValue(Waiting(handle: handle, value: value, indication: id, at: now))
            case .repeated(let id): actions.append(.note(.repeated(tokens[id])))
            case .confirmed(let ids):
                let given = ids.compactMap { tokens.removeValue(forKey: $0) }
                if model.acknowledges == .confirmation { actions += given.map(SessionAction.confirmed) }
            case .refusedPeer(let opcode): actions.append(.note(.peerRequest(opcode: opcode)))
            case .malformed(let error): actions.append(.note(.malformed(error)))
            }
        }
    }

    mutating func submit(_ wanted: ATTClient.Request, at now: ClockReading) {
        let (id, events) = client.submit(wanted, at: now.monotonic)
        request = id
        perform(events, at: now)
    }

    // MARK: Ends

    /// Ends once everything that was handed up is committed.
    mutating func finish(_ reason: SessionOutcome.Reason) {
        closeTransfer()
        if pending.isEmpty { end(reason) } else { state = .finishing(reason) }
    }

    mutating func end(_ reason: SessionOutcome.Reason) {
        closeTransfer()
        state = .ended
        actions.append(.end(SessionOutcome(readings: readings, reason: reason)))
    }

    /// The stream, if any, becomes its one reading, and what came so far is one transfer.
    mutating func closeTransfer() {
        closeStream()
        closeRecords()
        guard transferIsOpen else { return }
        transferIsOpen = false
        hadTransfer = true
        actions.append(.transferEnded)
    }

    /// The stored records that came are one transfer; a stream beside them goes on.
    mutating func closeRecords() {
        hadTransfer = hadTransfer || readingsOfTransfer > 0
        if readingsOfTransfer > 0, stream != nil {
            actions.append(.transferEnded)
        } else if stream == nil, transferIsOpen {
            transferIsOpen = false
            hadTransfer = true
            actions.append(.transferEnded)
        }
        readingsOfTransfer = 0
    }

    /// The end of the link was the word for all that is committed.
    private mutating func giveWordOfDisconnect() {
        guard model.acknowledges == .disconnect else { return }
        actions += awaitingWord.map(SessionAction.confirmed)
        awaitingWord.removeAll()
    }

    private mutating func allCommitted(at now: ClockReading) {
        for id in heldAnswers { perform(client.confirm(id, at: now.monotonic), at: now) }
        heldAnswers.removeAll()
        switch state {
        case .finishing(let reason): end(reason)
        case .stepping(_, .committingRecords): countRecords(at: now)
        default: break
        }
    }

    private mutating func collectingTimer(at now: ClockReading) {
        guard let deadline = collectingDeadline, now.monotonic >= deadline else { return }
        let endsByQuiet = model.session.disconnects == .hub && (transferIsOpen || hadTransfer)
        if transferIsOpen, !endsByQuiet { closeTransfer() } else { finish(.quiet) }
    }

    /// Quiet after records, or a link on which nothing comes. Not while the device waits for us.
    private var collectingDeadline: MonotonicTime? {
        guard pending.isEmpty, !client.hasUnconfirmed else { return nil }
        let quiet = transferIsOpen || (model.session.disconnects == .hub && hadTransfer)
        return lastActivity + (quiet ? .milliseconds(model.session.quietMilliseconds) : Timing.idle)
    }

    private var deadline: MonotonicTime? {
        let own: MonotonicTime? =
            switch state {
            case .settling(let until): until
            case .stepping(_, .records(_, _, let since)): since + Timing.records
            case .collecting: collectingDeadline
            default: nil
            }
        if case .ended = state { return nil }
        return [own, client.deadline].compactMap { $0 }.min()
    }

    private mutating func taken() -> [SessionAction] {
        let deadline = deadline
        // First, so that a caller that commits while it performs what follows ends with the newest wish.
        if let deadline, deadline != announcedWake { actions.insert(.wake(at: deadline), at: 0) }
        announcedWake = deadline
        defer { actions.removeAll() }
        return actions
    }
}
