import Bluetooth
import Catalogue
import Devices
import EventLoop
import Glibc
import Journal
import Protocols
import Simulator
import Steward
import Synchronization
import Testing
import Vitals

@testable import Intake

/// A directory that goes when the test is over.
final class Scratch: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/vitalgate-intake-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } ?? "/tmp/vitalgate-intake-none"
        }
    }

    deinit {
        guard let directory = opendir(path) else { return }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if name != ".", name != ".." { unlink(path + "/" + name) }
        }
        closedir(directory)
        rmdir(path)
    }
}

/// The hub's clocks, set at will; the true time runs beside them.
final class TestClock: Vitals.Clock {
    struct State {
        /// What the hub's wall shows when its true time is `noon`.
        var wall = TestClock.noon
        var source = ClockSource.ntp
        var boot = "boot-1"
        var ahead = Duration.zero
    }

    private let start = ContinuousClock.now
    private let state = Mutex(State())

    /// 12:00 UTC on 21 November 2026.
    static let noon = Instant(milliseconds: 1_795_262_400_000)
    static let zone = FixedZone(minutes: 60)

    private var elapsed: Duration { ContinuousClock.now - start + state.withLock { $0.ahead } }

    /// The time that a good clock on the wall shows.
    var trueTime: Instant { Self.noon + elapsed }
    var localTime: LocalDateTime { LocalDateTime(secondsSince1970: trueTime.milliseconds / 1_000 + 3_600) }

    func now() -> ClockReading {
        let elapsed = elapsed
        return state.withLock { state in
            ClockReading(
                wall: state.wall + elapsed, offsetMinutes: 60, monotonic: MonotonicTime(milliseconds: 5_000_000) + elapsed,
                boot: BootID(rawValue: state.boot), source: state.source)
        }
    }

    /// The hub starts in 1970 and knows that it does not know.
    func losePower(boot: String = "boot-1") {
        state.withLock {
            $0.wall = Instant(milliseconds: 1_000)
            $0.source = .unsynchronised
            $0.boot = boot
        }
    }

    func synchronise(boot: String = "boot-1") {
        state.withLock {
            $0.wall = Self.noon
            $0.source = .ntp
            $0.boot = boot
        }
    }

    func advance(_ duration: Duration) { state.withLock { $0.ahead += duration } }
}

/// A bearer that looks at each PDU before it leaves.
struct WatchedBearer: Bearer {
    let inner: SocketBearer
    /// False: the process "dies" here; nothing leaves any more.
    let mayLeave: @Sendable ([UInt8]) async -> Bool
    /// Why the link ended, as a radio would tell.
    var endReason: String?

    var incoming: AsyncStream<[UInt8]> { inner.incoming }

    func send(_ pdu: [UInt8]) async throws {
        guard await mayLeave(pdu) else {
            await inner.close()
            throw BearerError.closed
        }
        try await inner.send(pdu)
    }

    func close() async { await inner.close() }
}

/// What happened in one link.
struct LinkStory: Sendable {
    var outcome: SessionOutcome
    var events: [IntakeEvent]

    var reason: String { outcome.reason.name }
    var confirmed: Int { events.count { if case .confirmed = $0 { true } else { false } } }
    var refused: Int { events.count { if case .commitRefused = $0 { true } else { false } } }
    var notes: [String] { events.compactMap { if case .note(_, let text) = $0 { text } else { nil } } }
    var clockSets: Int { events.count { if case .clockSet = $0 { true } else { false } } }
}

/// A hub with a cuff: a real journal, a real socket, a simulated peripheral.
struct Home: Sendable {
    let scratch: Scratch
    let journal: Journal
    let clock: TestClock
    let loop: EventLoop
    let device: Int64
    var model: Model
    var ranges: [ValueRange] = []
    var confirmsBeforeCommit = false
    /// Called within the transaction, where an obligation is made.
    var inTransaction: @Sendable () -> Void = {}

    static let patient = PatientAlias(rawValue: "p1")

    static func with<Result: Sendable>(
        _ change: (inout Model) -> Void = { _ in }, pages: Int? = nil, _ body: (Home) async throws -> Result
    ) async throws -> Result {
        let loop = try EventLoop(name: "intake-test")
        defer { loop.stop() }
        let scratch = Scratch()
        let journal = try await Self.open(scratch, pages: pages)
        var model = cuff
        change(&model)
        let id = model.id
        let device = try await journal.write { tx in
            try tx.addDevice(name: "cuff", model: id, bearer: "socket:/x", state: .verified, at: TestClock.noon).id
        }
        let home = Home(scratch: scratch, journal: journal, clock: TestClock(), loop: loop, device: device, model: model)
        let result = try await body(home)
        await journal.close()
        return result
    }

    static func open(_ scratch: Scratch, pages: Int? = nil) async throws(JournalError) -> Journal {
        try await Journal.open(
            JournalOptions(
                path: scratch.path + "/journal.db", key: .credential(Array("a credential of 32 bytes or more".utf8)),
                ballastBytes: 0, maxPageCount: pages))
    }

    /// A cuff of one user whose maker is known. The hub ends the link, so that a loaded machine cuts no transfer short.
    static let cuff = Model(
        id: "test-cuff", name: "Test cuff", driver: .bloodPressure, match: .init(), specialization: MDC(528_391),
        acknowledges: .confirmation, clock: .init(read: 0x2A2B, write: 0x2A2B), users: .single, records: .all,
        session: .init(quietMilliseconds: 400, cooldownSeconds: 0, disconnects: .hub))

    /// The same files opened again, as after a restart.
    func reopened(pages: Int? = nil) async throws -> Home {
        await journal.close()
        var home = Home(
            scratch: scratch, journal: try await Self.open(scratch, pages: pages), clock: clock, loop: loop, device: device,
            model: model)
        home.ranges = ranges
        return home
    }

    func intake(_ report: @escaping @Sendable (IntakeEvent) -> Void = { _ in }) -> Intake {
        let inTransaction = inTransaction
        return Intake(
            journal: journal, catalogue: DeviceCatalogue([model]), clock: clock, zone: TestClock.zone,
            settings: IntakeSettings(
                ranges: ranges,
                channel: { receiver, _ in
                    inTransaction()
                    return ["clinic", "research"].contains(receiver) ? receiver : nil
                }, confirmsBeforeCommit: confirmsBeforeCommit), report: report)
    }

    var desk: Desk { intake().desk }

    func peripheral(
        _ scenario: Scenario, count: Int = 10, ledger: String? = nil, linger: Duration = .seconds(20)
    ) throws -> SimulatedPeripheral {
        let clock = clock
        // Ten times as fast: it repeats an indication after 3 s, which a machine with much else to do still comes before.
        return try SimulatedPeripheral(
            kind: scenario.kind, scenario: scenario,
            options: .init(
                seed: 1, speed: 10, linger: linger, count: count, ledger: ledger,
                localTime: { clock.localTime }), loop: loop)
    }

    /// One link with the device, from its beginning to its end.
    @discardableResult
    func link(
        _ peripheral: SimulatedPeripheral, security: LinkSecurity = .local, endReason: String? = nil,
        mayLeave: @escaping @Sendable ([UInt8]) async -> Bool = { _ in true }
    ) async throws -> LinkStory {
        var ends: [Int32] = [-1, -1]
        #expect(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &ends) == 0)
        let (hubEnd, deviceEnd) = (ends[0], ends[1])
        let events = Mutex<[IntakeEvent]>([])
        let bearer = WatchedBearer(
            inner: try await SocketBearer(descriptor: hubEnd, loop: loop), mayLeave: mayLeave, endReason: endReason)
        let (id, model) = (device, model)
        let record = try #require(try await journal.read { tx in try tx.device(id: id) })
        async let serving: Void = peripheral.serve(descriptor: deviceEnd)
        let outcome = try await intake { event in events.withLock { $0.append(event) } }.run(
            bearer, device: record, model: model, security: security)
        try await serving
        return LinkStory(outcome: outcome, events: events.withLock { $0 })
    }

    // MARK: People

    func assign(
        _ patient: PatientAlias = patient, user: Int? = nil, from: Instant = TestClock.noon - .seconds(100 * 86_400),
        until: Instant? = nil, to receivers: [String] = ["clinic"]
    ) async throws {
        let device = device
        try await journal.write { tx in
            _ = try tx.insertAssignment(
                Assignment(
                    id: 0, device: device, userIndex: user, patient: patient, from: from, until: until,
                    recipients: receivers.map { .init(receiver: $0, from: from, until: until) }))
        }
    }

    // MARK: Looking

    func acts() async throws -> [ActRecord] { try await journal.read { tx in try tx.acts(limit: 1_000) } }
    func states() async throws -> [ActState] { try await acts().map(\.state) }
    func items(_ act: Int64) async throws -> [ItemRecord] { try await journal.read { tx in try tx.items(act: act) } }
    func conditions() async throws -> Set<Condition.Code> {
        Set(try await journal.read { tx in try tx.conditions() }.map(\.code))
    }
    func suppressed() async throws -> [SuppressedRecord] { try await journal.read { tx in try tx.suppressed(limit: 100) } }
    func frames() async throws -> Int { try await journal.read { tx in try tx.counts() }.frames }
    func frame(_ act: ActRecord) async throws -> FrameRecord? { try await journal.read { tx in try tx.frame(id: act.frame) } }
}

/// The device's own witness: what it sent, and what it holds as confirmed.
func ledger(_ path: String) -> (sent: [String], confirmed: [String]) {
    guard let file = fopen(path, "r") else { return ([], []) }
    defer { fclose(file) }
    var (sent, confirmed): ([String], [String]) = ([], [])
    var line = [CChar](repeating: 0, count: 4_096)
    while fgets(&line, Int32(line.count), file) != nil {
        let text = String(decoding: line.prefix { $0 != 0 && $0 != 10 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let words = text.split(separator: " ").map(String.init)
        guard words.count == 3 else { continue }
        if words[0] == "sent" { sent.append(words[2]) } else { confirmed.append(words[2]) }
    }
    return (sent, confirmed)
}

func hex(_ bytes: [UInt8]) -> String {
    bytes.map { byte in
        let text = String(byte, radix: 16)
        return text.count == 1 ? "0" + text : text
    }.joined()
}
