import Catalogue
import Protocols
import Vitals

@testable import Devices

/// A session with a 9560 on the bench: it answers commands at once, and sends its records when told to.
struct NoninBench {
    enum Event: Hashable {
        case command(NoninCommand)
        /// The one byte that a packet is answered with.
        case word(UInt8)
        case action(SessionAction)
    }

    var session: any Session
    var log: [Event] = []
    var face = LocalDateTime(year: 2007, month: 10, day: 1, hour: 0, minute: 1, second: 0)
    var serial: String? = "501493200"
    /// Commands that it refuses, and those that it does not answer.
    var refuses: Set<UInt8> = []
    var ignores: Set<UInt8> = []
    /// It sets its clock, but says nothing.
    var setsInSilence = false
    var now = reading(0)
    var wake: MonotonicTime?

    init(_ model: Model = NoninBench.model(), isEnrolled: Bool = true, mayWriteClock: Bool = true) {
        session = makeSession(
            model: model,
            facts: SessionFacts(isEnrolled: isEnrolled, address: "00:1C:05:00:00:01", mayWriteClock: mayWriteClock))
    }

    mutating func start() { take(session.start(at: now)) }
    mutating func pass(_ milliseconds: Int) {
        now.wall = now.wall + .milliseconds(milliseconds)
        now.monotonic = now.monotonic + .milliseconds(milliseconds)
    }
    mutating func sleep() {
        guard let wake else { return }
        pass(Int((wake - now.monotonic).milliseconds))
        take(session.timer(at: now))
    }
    mutating func receive(_ bytes: [UInt8]) { take(session.receive(bytes, at: now)) }
    mutating func commit(_ token: Int) { take(session.committed(FrameToken(rawValue: token), at: now)) }
    mutating func refuse(_ token: Int) { take(session.refused(FrameToken(rawValue: token), at: now)) }
    mutating func enrol() { take(session.enrolled(at: now)) }
    mutating func loseLink() { take(session.linkEnded(at: now)) }

    mutating func take(_ actions: [SessionAction]) {
        for action in actions {
            switch action {
            case .send(let bytes):
                if let command = try? NoninCommand(decoding: bytes) {
                    log.append(.command(command))
                    answer(command, bytes[1])
                } else {
                    log += bytes.map(Event.word)
                }
            case .wake(let at): wake = at
            default: log.append(.action(action))
            }
        }
    }

    private mutating func answer(_ command: NoninCommand, _ code: UInt8) {
        if case .setClock(let time) = command, setsInSilence {
            face = time
            return
        }
        guard !ignores.contains(code) else { return }
        guard !refuses.contains(code) else { return receive(NoninReply.refused.encoded) }
        switch command {
        case .selectFormat: receive(NoninReply.acknowledged.encoded)
        case .readClock: receive(NoninReply.clock(face).encoded)
        case .setClock(let time):
            face = time
            receive(NoninReply.acknowledged.encoded)
        case .readSerialNumber:
            if let serial { receive(NoninReply.serialNumber(serial).encoded) }
        }
    }

    // MARK: What was seen

    var actions: [SessionAction] { log.compactMap { if case .action(let action) = $0 { action } else { nil } } }
    var notes: [SessionNote] { actions.compactMap { if case .note(let note) = $0 { note } else { nil } } }
    var stored: [(token: FrameToken, frame: Frame, role: FrameRole)] {
        actions.compactMap { if case .store(let token, let frame, let role) = $0 { (token, frame, role) } else { nil } }
    }
    var identities: [DeviceIdentity] { actions.compactMap { if case .identity(let identity) = $0 { identity } else { nil } } }
    var commands: [NoninCommand] { log.compactMap { if case .command(let command) = $0 { command } else { nil } } }
    var words: [UInt8] { log.compactMap { if case .word(let word) = $0 { word } else { nil } } }
    var confirmed: [Int] { actions.compactMap { if case .confirmed(let token) = $0 { token.rawValue } else { nil } } }
    var outcome: SessionOutcome? { actions.compactMap { if case .end(let outcome) = $0 { outcome } else { nil } }.first }

    static func model(
        steps: [Model.Session.Step] = [.subscribe, .clock, .identity], everyConnect: Bool = false,
        disconnects: Model.Session.Side = .device
    ) -> Model {
        Model(
            id: "bench-9560", manufacturer: "Nonin Medical, Inc.", name: "Onyx II 9560", driver: .noninSerial,
            transport: .classicSerial, match: .init(modelNumbers: ["9560"]), specialization: MDC(528_388),
            acknowledges: .response, clock: .init(read: 0x72, write: 0x72, writesOnEveryConnect: everyConnect),
            records: .unsent, session: .init(steps: steps, disconnects: disconnects))
    }

    /// Some spot-check, the `number`th second of a minute.
    static func record(_ number: Int = 0) -> [UInt8] {
        NoninSpotCheck(
            time: LocalDateTime(year: 2026, month: 11, day: 21, hour: 11, minute: 50, second: number), status: .smartPoint,
            pulseRate: 60, spo2: 97
        ).encoded
    }
}
