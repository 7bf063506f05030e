public import Catalogue
import Protocols
public import Vitals

/// One connection with a Nonin 9560 over its serial port, in data format 13.
///
/// Design constraints:
/// - the device sends its spot-checks by itself, oldest first, and is told by an ACK that it may forget one: that
///   leaves only after ``committed(_:at:)`` (R1), and the packet is handed up as it came (R2);
/// - the clock is read before it is set, and an unsynchronised hub sets none (R5);
/// - one command is under way at a time, and a spot-check that comes in between is taken all the same;
/// - a command that fails or is not answered is noted and never ends a transfer.
///
/// Operation: the steps of the model are `subscribe` (select the format), `clock` and `identity`; the others do not exist here. Source:
/// Nonin 9560 Bluetooth specification, as far as ``NoninCommand`` knows it.
public struct NoninSerialSession: Session {
    /// Timing constants, ours: the maker names none.
    enum Timing {
        /// Ten bytes at the 9,600 baud of the maker's other devices take 10 ms, a sniffing radio link adds half a second. Three seconds is
        /// well beyond, and three commands unanswered still leave time within the ten seconds after which the device switches off.
        static let answer = Duration.seconds(3)
        /// A link on which nothing comes at all, as for the attribute drivers.
        static let idle = Duration.seconds(120)
    }

    /// Spot-checks that may wait while it is not yet known who the device is; it stores 20.
    static let longestWait = 256
    /// A packet whose checksum is wrong is asked for again so often on one link; after that the device keeps it.
    static let mostRefusals = 3
    /// Serial numbers asked for before a new device is known by its address: the key of one that has a number should stand on it.
    static let identityAttempts = 2

    private enum Step: Hashable { case selectFormat, clock, identity, enrol }

    private enum Request: Hashable {
        case selectFormat
        case readSerialNumber(attempt: Int)
        case readClock
        case setClock(before: LocalDateTime?, after: LocalDateTime, at: ClockReading)
        /// Whether it was set is not known: its face tells.
        case verifyClock(before: LocalDateTime?, after: LocalDateTime, at: ClockReading)

        var procedure: SessionNote.SerialProcedure {
            switch self {
            case .selectFormat: .selectFormat
            case .readSerialNumber: .serialNumber
            case .readClock, .verifyClock: .clockRead
            case .setClock: .clockWrite
            }
        }
    }

    private enum State {
        case idle
        case settling(until: MonotonicTime)
        case asking(Request, since: MonotonicTime)
        case awaitingEnrolment
        case collecting
        case ended
    }

    /// What the device is told when a packet is durable.
    private enum Answer {
        /// It may forget the record.
        case acknowledge
        /// The packet was damaged: send it again.
        case refuse
    }

    private let model: Model
    private let mayWriteClock: Bool
    private let address: String?
    private var isEnrolled: Bool

    private var state = State.idle
    private var plan: [Step]
    private var stream = NoninStream(format: .df13)
    private var pending: [FrameToken: Answer] = [:]
    private var waiting: [Frame] = []
    private var refusals = 0
    private var hasNotedNoise = false
    private var lastToken = 0
    private var readings = 0
    private var lastActivity = MonotonicTime(milliseconds: 0)
    private var transferIsOpen = false
    private var hadTransfer = false
    private var linkHasEnded = false
    private var actions: [SessionAction] = []
    private var announcedWake: MonotonicTime?

    public init(model: Model, facts: SessionFacts) {
        self.model = model
        mayWriteClock = facts.mayWriteClock
        address = facts.address
        isEnrolled = facts.isEnrolled
        plan = model.session.steps.compactMap { step in
            switch step {
            case .subscribe: .selectFormat
            case .clock: .clock
            case .identity: .identity
            case .battery, .records, .commands: nil
            }
        }
        // Who it is comes first where that is not known: nothing can be a reading before.
        if !facts.isEnrolled { plan = [.identity, .enrol] + plan.filter { $0 != .identity } }
    }

    // MARK: What happens

    public mutating func start(at now: ClockReading) -> [SessionAction] {
        guard case .idle = state else { return [] }
        lastActivity = now.monotonic
        if model.session.settleMilliseconds > 0 {
            state = .settling(until: now.monotonic + .milliseconds(model.session.settleMilliseconds))
        } else {
            proceed(at: now)
        }
        return taken()
    }

    public mutating func receive(_ bytes: [UInt8], at now: ClockReading) -> [SessionAction] {
        guard !hasEnded else { return [] }
        for item in stream.append(bytes) {
            switch item {
            case .frame(let packet): take(Frame(source: NoninDataFormat.df13.source, bytes: packet, received: now))
            case .reply(let reply): answered(reply, at: now)
            case .damaged(let packet): takeDamaged(Frame(source: NoninDataFormat.df13.source, bytes: packet, received: now))
            }
            if hasEnded { break }
        }
        // Once, or a device that streams in another format would fill the log.
        if stream.skipped > 0, !hasNotedNoise, !hasEnded {
            hasNotedNoise = true
            actions.append(.note(.noise(bytes: stream.skipped)))
        }
        return taken()
    }

    public mutating func committed(_ token: FrameToken, at now: ClockReading) -> [SessionAction] {
        guard let answer = pending.removeValue(forKey: token), !linkHasEnded, !hasEnded else { return [] }
        lastActivity = max(lastActivity, now.monotonic)
        switch answer {
        case .acknowledge: actions += [.send([NoninReply.acknowledge]), .confirmed(token)]
        case .refuse: actions.append(.send([NoninReply.refuse]))
        }
        return taken()
    }

    /// The word is withheld and the link ended, so that the device keeps the record. A NAK would have it sent again at once, into the
    /// same full disk.
    public mutating func refused(_ token: FrameToken, at now: ClockReading) -> [SessionAction] {
        guard !hasEnded, pending.removeValue(forKey: token) != nil else { return [] }
        actions.append(.note(.commitRefused(token)))
        end(.refused)
        return taken()
    }

    public mutating func enrolled(at now: ClockReading) -> [SessionAction] {
        guard !isEnrolled else { return [] }
        isEnrolled = true
        let frames = waiting
        waiting.removeAll()
        for frame in frames { take(frame) }
        if case .awaitingEnrolment = state { proceed(at: now) }
        return taken()
    }

    public mutating func timer(at now: ClockReading) -> [SessionAction] {
        guard !hasEnded else { return [] }
        switch state {
        case .settling(let until) where now.monotonic >= until: proceed(at: now)
        case .asking(let request, let since) where now.monotonic >= since + Timing.answer: unanswered(request, at: now)
        case .collecting: collectingTimer(at: now)
        default: break
        }
        announcedWake = nil
        return taken()
    }

    public mutating func linkEnded(at now: ClockReading) -> [SessionAction] {
        guard !linkHasEnded else { return [] }
        linkHasEnded = true
        switch state {
        case .ended: break
        default:
            let isOpen = !pending.isEmpty || !waiting.isEmpty
            var isCollecting = false
            if case .collecting = state { isCollecting = true }
            // A device that has said all it had may leave in the middle of our curiosity.
            end(!isOpen && (isCollecting || readings > 0) ? .peerEnded : .linkLost)
        }
        return taken()
    }

    // MARK: Spot-checks

    private mutating func take(_ frame: Frame) {
        lastActivity = max(lastActivity, frame.received.monotonic)
        guard isEnrolled else {
            waiting.append(frame)
            if waiting.count > Self.longestWait { end(.protocolError(.flood)) }
            return
        }
        readings += 1
        transferIsOpen = true
        actions.append(.store(token(for: .acknowledge), frame, role: .result))
    }

    /// Kept as it came (R2), should the checksum be other than we know it; asked for again, but not forever.
    private mutating func takeDamaged(_ frame: Frame) {
        lastActivity = max(lastActivity, frame.received.monotonic)
        actions.append(.note(.damaged(bytes: frame.bytes.count)))
        guard isEnrolled, refusals < Self.mostRefusals else { return }
        refusals += 1
        actions.append(.store(token(for: .refuse), frame, role: .unrecognized))
    }

    private mutating func token(for answer: Answer) -> FrameToken {
        lastToken += 1
        let token = FrameToken(rawValue: lastToken)
        pending[token] = answer
        return token
    }

    // MARK: Commands

    /// Begins the next step that has anything to do; after the last one only the device speaks.
    private mutating func proceed(at now: ClockReading) {
        while let step = plan.first {
            plan.removeFirst()
            switch step {
            case .selectFormat: return ask(.selectFormat, .selectFormat(.df13), at: now)
            case .identity: return ask(.readSerialNumber(attempt: 1), .readSerialNumber, at: now)
            case .enrol:
                guard !isEnrolled else { continue }
                state = .awaitingEnrolment
                return
            case .clock:
                if model.clock.read != nil { return ask(.readClock, .readClock, at: now) }
                if setClock(before: nil, isKnownWrong: true, at: now) { return }
            }
        }
        lastActivity = max(lastActivity, now.monotonic)
        state = .collecting
    }

    private mutating func ask(_ request: Request, _ command: NoninCommand, at now: ClockReading) {
        state = .asking(request, since: now.monotonic)
        actions.append(.send(command.encoded))
    }

    /// An answer that fits the command under way; another one answers nothing.
    private mutating func answered(_ reply: NoninReply, at now: ClockReading) {
        guard case .asking(let request, _) = state else { return }
        switch (request, reply) {
        case (.selectFormat, .acknowledged): proceed(at: now)
        case (.readSerialNumber, .serialNumber(let text)): identify(text, at: now)
        case (.readClock, .clock(let face)): clockRead(face, at: now)
        case (.setClock(let before, let after, let then), .acknowledged):
            actions.append(.clockSet(before: before, after: after, at: then))
            proceed(at: now)
        case (.verifyClock(let before, let after, let then), .clock(let face)):
            if face.isValid, abs(face.secondsSince1970 - now.localFace.secondsSince1970) <= ClockFace.tolerance {
                actions.append(.clockSet(before: before, after: after, at: then))
            } else {
                actions.append(.note(.serial(.clockWrite, .unanswered)))
            }
            proceed(at: now)
        case (_, .refused):
            actions.append(.note(.serial(request.procedure, .refused)))
            abandon(request, at: now)
        default: break
        }
    }

    private mutating func unanswered(_ request: Request, at now: ClockReading) {
        actions.append(.note(.serial(request.procedure, .unanswered)))
        switch request {
        case .setClock(let before, let after, let then):
            ask(.verifyClock(before: before, after: after, at: then), .readClock, at: now)
        case .readSerialNumber(let attempt) where !isEnrolled && attempt < Self.identityAttempts:
            ask(.readSerialNumber(attempt: attempt + 1), .readSerialNumber, at: now)
        default: abandon(request, at: now)
        }
    }

    private mutating func abandon(_ request: Request, at now: ClockReading) {
        if case .readSerialNumber = request { return identify(nil, at: now) }
        proceed(at: now)
    }

    /// Maker and model are the catalogue's: the protocol has no field for them.
    private mutating func identify(_ serialNumber: String?, at now: ClockReading) {
        actions.append(
            .identity(
                DeviceIdentity(
                    manufacturer: model.manufacturer, modelNumber: model.match.modelNumbers.first ?? model.name,
                    serialNumber: serialNumber, address: address)))
        proceed(at: now)
    }

    private mutating func clockRead(_ face: LocalDateTime, at now: ClockReading) {
        let before = face.isValid ? face : nil
        actions.append(.clockRead(device: before, at: now))
        let hub = now.localFace.secondsSince1970
        let isKnownWrong = before.map { abs($0.secondsSince1970 - hub) > ClockFace.tolerance } ?? true
        if !setClock(before: before, isKnownWrong: isKnownWrong, at: now) { proceed(at: now) }
    }

    /// Sets the clock to the hub's local time, where the model wants it and the hub knows the time (R5).
    private mutating func setClock(before: LocalDateTime?, isKnownWrong: Bool, at now: ClockReading) -> Bool {
        guard model.clock.write != nil, model.clock.writesOnEveryConnect || isKnownWrong else { return false }
        guard mayWriteClock, now.isSynchronised else {
            actions.append(.note(.clockNotSetUnsynchronised))
            return false
        }
        let after = now.localFace
        ask(.setClock(before: before, after: after, at: now), .setClock(after), at: now)
        return true
    }

    // MARK: Ends

    private var hasEnded: Bool { if case .ended = state { true } else { false } }

    private mutating func end(_ reason: SessionOutcome.Reason) {
        closeTransfer()
        state = .ended
        actions.append(.end(SessionOutcome(readings: readings, reason: reason)))
    }

    private mutating func closeTransfer() {
        guard transferIsOpen else { return }
        transferIsOpen = false
        hadTransfer = true
        actions.append(.transferEnded)
    }

    private mutating func collectingTimer(at now: ClockReading) {
        guard let deadline = collectingDeadline, now.monotonic >= deadline else { return }
        let endsByQuiet = model.session.disconnects == .hub && (transferIsOpen || hadTransfer)
        if transferIsOpen, !endsByQuiet { return closeTransfer() }
        end(.quiet)
    }

    /// Quiet after records, or a link on which nothing comes. Not while the device waits for us.
    private var collectingDeadline: MonotonicTime? {
        guard pending.isEmpty else { return nil }
        let isQuiet = transferIsOpen || (model.session.disconnects == .hub && hadTransfer)
        return lastActivity + (isQuiet ? .milliseconds(model.session.quietMilliseconds) : Timing.idle)
    }

    private var deadline: MonotonicTime? {
        switch state {
        case .settling(let until): until
        case .asking(_, let since): since + Timing.answer
        case .collecting: collectingDeadline
        case .idle, .awaitingEnrolment, .ended: nil
        }
    }

    private mutating func taken() -> [SessionAction] {
        // First, so that a caller that commits while it performs what follows ends with the newest wish.
        if let deadline, deadline != announcedWake { actions.insert(.wake(at: deadline), at: 0) }
        announcedWake = deadline
        defer { actions.removeAll() }
        return actions
    }
}
