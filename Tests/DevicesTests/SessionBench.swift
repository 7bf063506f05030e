import Catalogue
import Protocols
import Vitals

@testable import Devices

/// A look at the hub's clocks, some milliseconds after the start: 2026-11-21 12:00:00 on a wall one hour east of UTC.
func reading(_ milliseconds: Int, synchronised: Bool = true) -> ClockReading {
    ClockReading(
        wall: Instant(milliseconds: 1_795_258_800_000 + Int64(milliseconds)), offsetMinutes: 60,
        monotonic: MonotonicTime(milliseconds: 5_000_000 + Int64(milliseconds)), boot: BootID(rawValue: "boot"),
        source: synchronised ? .ntp : .unsynchronised)
}

/// A session on the bench: a fake device that answers from a handle map and a table of values, no server logic.
struct SessionBench {
    enum Event: Hashable {
        case subscribed(BluetoothUUID)
        case read(BluetoothUUID)
        case wrote(BluetoothUUID, [UInt8])
        case confirmation
        case action(SessionAction)
    }

    static let map = HandleMap(services: [
        .init(
            type: 0x1801, range: HandleRange(1, 4),
            characteristics: [.init(type: .serviceChanged, properties: .indicate, value: 3, configuration: 4)]),
        .init(
            type: 0x1810, range: HandleRange(10, 29),
            characteristics: [
                .init(type: 0x2A35, properties: .indicate, value: 12, configuration: 13),
                .init(type: 0x2A36, properties: .notify, value: 15, configuration: 16),
                .init(type: 0x2A49, properties: .read, value: 18),
            ]),
        .init(
            type: 0x1822, range: HandleRange(30, 49),
            characteristics: [
                .init(type: 0x2A5E, properties: .indicate, value: 32, configuration: 33),
                .init(type: 0x2A5F, properties: .notify, value: 35, configuration: 36),
                .init(type: 0x2A52, properties: [.indicate, .write], value: 38, configuration: 39),
            ]),
        .init(
            type: 0x1805, range: HandleRange(50, 59),
            characteristics: [.init(type: 0x2A2B, properties: [.read, .write], value: 52)]),
        .init(
            type: 0x180A, range: HandleRange(60, 79),
            characteristics: [
                .init(type: 0x2A29, properties: .read, value: 62), .init(type: 0x2A25, properties: .read, value: 64),
                .init(type: 0x2A23, properties: .read, value: 66),
            ]),
        .init(type: 0x180F, range: HandleRange(80, 89), characteristics: [.init(type: 0x2A19, properties: [.read], value: 82)]),
    ])

    var session: DeviceSession
    var log: [Event] = []
    var clock: [UInt8] = CurrentTime(setting: LocalDateTime(year: 2026, month: 11, day: 21, hour: 12, minute: 0, second: 5))
        .encoded
    var refusals: [UInt16: ATTErrorCode] = [:]
    var mtuRequests = 0
    /// A request is not answered.
    var isMute = false
    /// Writes to the control point come to nothing but the Write Response.
    var now: ClockReading
    var synchronised = true
    var wake: MonotonicTime?

    init(
        _ model: Model, isEnrolled: Bool = true, map: HandleMap? = SessionBench.map, mayWriteClock: Bool = true,
        hasAskedMTU: Bool = false
    ) {
        session = DeviceSession(
            model: model,
            facts: SessionFacts(
                isEnrolled: isEnrolled, handleMap: map?.bytes, mayWriteClock: mayWriteClock, hasAskedMTU: hasAskedMTU))
        now = reading(0)
    }

    mutating func start() { take(session.start(at: now)) }
    mutating func pass(_ milliseconds: Int) {
        now.wall = now.wall + .milliseconds(milliseconds)
        now.monotonic = now.monotonic + .milliseconds(milliseconds)
    }
    /// Waits until the session's own wake-up.
    mutating func sleep() {
        guard let wake else { return }
        pass(Int((wake - now.monotonic).milliseconds))
        take(session.timer(at: now))
    }
    mutating func receive(_ pdu: ATTPDU) { take(session.receive(pdu.bytes, at: now)) }
    mutating func receive(raw bytes: [UInt8]) { take(session.receive(bytes, at: now)) }
    mutating func commit(_ token: Int) { take(session.committed(FrameToken(rawValue: token), at: now)) }
    mutating func refuse(_ token: Int) { take(session.refused(FrameToken(rawValue: token), at: now)) }
    mutating func enrol() { take(session.enrolled(at: now)) }
    mutating func loseLink() { take(session.linkEnded(at: now)) }

    mutating func take(_ actions: [SessionAction]) {
        for action in actions {
            switch action {
            case .send(let bytes):
                guard let pdu = try? ATTPDU(decoding: bytes) else { continue }
                answer(pdu)
            case .wake(let at): wake = at
            default: log.append(.action(action))
            }
        }
    }

    private mutating func answer(_ pdu: ATTPDU) {
        let type = Self.map.services.flatMap(\.characteristics)
        switch pdu {
        case .confirmation: log.append(.confirmation)
        case .mtuRequest:
            mtuRequests += 1
            if !isMute { receive(.mtuResponse(65)) }
        case .readRequest(let handle):
            guard let found = type.first(where: { $0.value == handle }) else { return refuse(pdu, handle, .invalidHandle) }
            log.append(.read(found.type))
            if let code = refusals[handle] { return refuse(pdu, handle, code) }
            if !isMute { receive(.readResponse(value(of: found.type))) }
        case .writeRequest(let handle, let value):
            if let subscribed = type.first(where: { $0.configuration == handle }) {
                log.append(.subscribed(subscribed.type))
            } else if let written = type.first(where: { $0.value == handle }) {
                log.append(.wrote(written.type, value))
            } else {
                return refuse(pdu, handle, .invalidHandle)
            }
            if let code = refusals[handle] { return refuse(pdu, handle, code) }
            if !isMute { receive(.writeResponse) }
        case .readByGroupTypeRequest(let range, _):
            guard let service = Self.map.services.first(where: { $0.range.first >= range.first }) else {
                return refuse(pdu, range.first, .attributeNotFound)
            }
            receive(.readByGroupTypeResponse([.init(range: service.range, value: service.type.littleEndian)]))
        case .readByTypeRequest(let range, _):
            guard let next = type.first(where: { $0.value - 1 >= range.first && $0.value <= range.last }) else {
                return refuse(pdu, range.first, .attributeNotFound)
            }
            let declaration = [next.properties.rawValue, UInt8(next.value), 0] + next.type.littleEndian
            receive(.readByTypeResponse([.init(handle: next.value - 1, value: declaration)]))
        case .findInformationRequest(let range):
            guard
                let next = type.first(where: { ($0.configuration ?? 0) >= range.first && ($0.configuration ?? 0) <= range.last })
            else {
                return refuse(pdu, range.first, .attributeNotFound)
            }
            receive(.findInformationResponse([.init(handle: next.configuration ?? 0, type: .clientCharacteristicConfiguration)]))
        default: break
        }
    }

    private mutating func refuse(_ pdu: ATTPDU, _ handle: UInt16, _ code: ATTErrorCode) {
        receive(.errorResponse(request: pdu.opcode.rawValue, handle: handle, code: code))
    }

    private func value(of type: BluetoothUUID) -> [UInt8] {
        switch type {
        case 0x2A2B: clock
        case 0x2A29: Array("Maker".utf8)
        case 0x2A25: Array("S-1".utf8) + [0]
        case 0x2A23: [8, 7, 6, 5, 4, 3, 2, 1]
        case 0x2A19: [66]
        default: [0x0F, 0x00]
        }
    }

    // MARK: What was seen

    var actions: [SessionAction] { log.compactMap { if case .action(let action) = $0 { action } else { nil } } }
    var notes: [SessionNote] { actions.compactMap { if case .note(let note) = $0 { note } else { nil } } }
    var stored: [(token: FrameToken, frame: Frame, role: FrameRole)] {
        actions.compactMap { if case .store(let token, let frame, let role) = $0 { (token, frame, role) } else { nil } }
    }
    var outcome: SessionOutcome? { actions.compactMap { if case .end(let outcome) = $0 { outcome } else { nil } }.first }
    var confirmations: Int { log.count { $0 == .confirmation } }
    func index(of event: Event) -> Int? { log.firstIndex(of: event) }
    func index(where matches: (SessionAction) -> Bool) -> Int? {
        log.firstIndex { if case .action(let action) = $0 { matches(action) } else { false } }
    }

    // MARK: Models

    static func cuff(
        acknowledges: Acknowledgement = .confirmation,
        steps: [Model.Session.Step] = [.subscribe, .clock, .records, .identity, .battery],
        everyConnect: Bool = false, disconnects: Model.Session.Side = .device, settle: Int = 0,
        commands: [Model.Session.Command] = []
    ) -> Model {
        Model(
            id: "bench-cuff", name: "Bench cuff", driver: .bloodPressure, match: .init(), specialization: MDC(528_391),
            acknowledges: acknowledges, clock: .init(read: 0x2A2B, write: 0x2A2B, writesOnEveryConnect: everyConnect),
            session: .init(steps: steps, settleMilliseconds: settle, disconnects: disconnects, commands: commands))
    }

    static func oximeter(
        acknowledges: Acknowledgement = .confirmation, records: Model.Records = .racp, medianSeconds: Int = 10
    ) -> Model {
        Model(
            id: "bench-oximeter", name: "Bench oximeter", driver: .pulseOximeter, match: .init(), specialization: MDC(528_388),
            acknowledges: acknowledges, clock: .init(read: 0x2A2B, write: 0x2A2B), records: records,
            session: .init(disconnects: .hub), stream: .init(resultFlags: [.fullyQualified], medianSeconds: medianSeconds))
    }

    /// 120/80/93 mmHg at 12:00, pulse 70.
    static let record: [UInt8] = [
        0x06, 0x78, 0x00, 0x50, 0x00, 0x5D, 0x00, 0xEA, 0x07, 0x0B, 0x15, 0x0C, 0x00, 0x00, 0x46, 0x00,
    ]
}
