import Destinations
import EventLoop
import ExactJSON
import Glibc
import HTTP
import HTTPMessage
import Journal
import Simulator
import Steward
import Synchronization
import Testing
import Vitals

@testable import Courier

/// A directory that goes when the test is over.
final class Scratch: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/vitalgate-courier-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } ?? "/tmp/vitalgate-courier-none"
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

/// The machine's own time, moved forward at will; its wall begins at noon of 21 November 2026.
final class TestClock: Vitals.Clock {
    private let start = ContinuousClock.now
    private let state = Mutex((ahead: Duration.zero, source: ClockSource.ntp))

    static let noon = Instant(milliseconds: 1_795_262_400_000)

    func now() -> ClockReading {
        let (ahead, source) = state.withLock { ($0.ahead, $0.source) }
        let elapsed = ContinuousClock.now - start + ahead
        return ClockReading(
            wall: Self.noon + elapsed, offsetMinutes: 0, monotonic: MonotonicTime(milliseconds: 1_000_000) + elapsed,
            boot: BootID(rawValue: "boot-1"), source: source)
    }

    func advance(_ duration: Duration) { state.withLock { $0.ahead += duration } }
    func setSource(_ source: ClockSource) { state.withLock { $0.source = source } }
}

/// A journal with acts and what they owe, as intake would have left it.
struct Hub: Sendable {
    let scratch: Scratch
    let journal: Journal
    let clock: TestClock
    let device: Int64
    let assignment: Int64

    static let patient = PatientAlias(rawValue: "p1")

    static func open(clock: TestClock = TestClock(), receivers: [String] = ["clinic"]) async throws -> Hub {
        let scratch = Scratch()
        let journal = try await Self.journal(scratch)
        let (device, assignment) = try await journal.write { tx throws in
            let long = TestClock.noon - .seconds(100 * 86_400)
            var device = try tx.addDevice(
                name: "cuff", model: "generic-blood-pressure", bearer: "socket:/x", state: .verified, at: long)
            device.identity = DeviceIdentity(
                manufacturer: "sim", modelNumber: "SIM-BP", serialNumber: "S1", systemID: [2, 0, 0, 0, 0, 0, 0, 1])
            device.key = DeviceKey.enrol(device.identity)
            try tx.update(device)
            let assignment = try tx.insertAssignment(
                Assignment(
                    id: 0, device: device.id, userIndex: nil, patient: patient, from: long,
                    recipients: receivers.map { .init(receiver: $0, from: long) }))
            return (device.id, assignment.id)
        }
        return Hub(scratch: scratch, journal: journal, clock: clock, device: device, assignment: assignment)
    }

    private static func journal(_ scratch: Scratch) async throws -> Journal {
        try await Journal.open(
            JournalOptions(
                path: scratch.path + "/journal.db", key: .credential(Array("a credential of 32 bytes or more".utf8)),
                ballastBytes: 0))
    }

    /// The same files opened again, as after a restart.
    func reopened() async throws -> Hub {
        await journal.close()
        return Hub(
            scratch: scratch, journal: try await Self.journal(scratch), clock: clock, device: device, assignment: assignment)
    }

    /// A ready act of the patient, taken so long ago, owed to these receivers.
    @discardableResult
    func act(ago: Duration, systolic: Int64 = 127, to receivers: [String] = ["clinic"]) async throws -> Int64 {
        try await act(
            at: Instant(seconds: (clock.now().wall - ago).milliseconds / 1_000), systolic: systolic, to: receivers)
    }

    @discardableResult
    func act(at effective: Instant, systolic: Int64 = 127, to receivers: [String] = ["clinic"]) async throws -> Int64 {
        let (clock, device, assignment) = (clock, device, assignment)
        return try await journal.write { tx throws in
            let now = clock.now()
            let stamp = LocalDateTime(secondsSince1970: effective.milliseconds / 1_000)
            let bytes = Array("\(stamp)/\(systolic)".utf8)
            let measurement = Measurement(
                kind: .bloodPressure,
                quantities: [
                    Quantity(.systolic, type: .systolic, value: .number(ExactDecimal(systolic)), unit: .millimetreOfMercury),
                    Quantity(.diastolic, type: .diastolic, value: .number(79), unit: .millimetreOfMercury),
                    Quantity(.mean, type: .meanArterialPressure, value: .number(95), unit: .millimetreOfMercury),
                    Quantity(.pulseRate, type: .pulseRateNonInvasive, value: .number(69), unit: .perMinute),
                ],
                deviceTime: stamp, projection: StoredProjection(codec: "2a35/1", bytes: bytes, distinguishes: true))
            let transfer = try tx.beginTransfer(device: device, at: now)
            let frame = try tx.insertFrame(
                Frame(source: .gatt(characteristic: 0x2A35, handle: 3), bytes: bytes, received: now), device: device,
                transfer: transfer, word: .sent)
            guard let key = try tx.device(id: device)?.key else { throw TestFailure.noKey }
            let act = try tx.insertAct(
                ActDraft(
                    device: device, frame: frame, transfer: transfer,
                    identity: ReadingIdentity(
                        base: ReadingIdentity.base(of: measurement, from: key), ordinal: 0),
                    measurement: measurement, state: .ready, effective: MeasuredTime(effective, offsetMinutes: 0),
                    timeBasis: .corrected, patient: Self.patient, assignment: assignment, cautions: [],
                    coincidence: ClockCoincidence(device: stamp, hub: now), batteryPercent: 80, received: now))
            try tx.endTransfer(transfer, outcome: "peer-ended", at: now)
            for receiver in receivers {
                for reading in act.readings {
                    _ = try tx.insertItem(
                        act: act.id, reading: reading, kind: .observation, receiver: receiver, channel: receiver,
                        effective: effective, created: now.wall)
                }
            }
            return act.id
        }
    }

    // MARK: Looking

    func items(_ act: Int64, _ receiver: String? = nil) async throws -> [ItemRecord] {
        try await journal.read { tx in try tx.items(act: act).filter { receiver == nil || $0.receiver == receiver } }
    }

    /// The one state of all its items, or `nil` where they differ.
    func state(_ act: Int64, _ receiver: String? = nil) async throws -> ItemState? {
        let states = Set(try await items(act, receiver).map(\.state))
        return states.count == 1 ? states.first : nil
    }

    func attempts(_ act: Int64) async throws -> [AttemptRecord] {
        try await journal.read { tx in
            var all: [Int64: AttemptRecord] = [:]
            for item in try tx.items(act: act) { for attempt in try tx.attempts(item: item.id) { all[attempt.id] = attempt } }
            return all.values.sorted { $0.id < $1.id }
        }
    }

    func conditions() async throws -> Set<Condition.Code> {
        Set(try await journal.read { tx in try tx.conditions() }.map(\.code))
    }

    func channel(_ name: String = "clinic") async throws -> ChannelRecord? {
        try await journal.read { tx in try tx.channel(name) }
    }

    func audit() async throws -> [String] {
        try await journal.read { tx in try tx.auditRecords(limit: 1_000) }.map(\.action)
    }

    /// As `vitalgate outbox retry`: sent again, converted anew.
    func replay(_ act: Int64) async throws {
        try await journal.write { tx in
            for item in try tx.items(act: act) where item.state == .quarantined {
                if let dispatch = try tx.openDispatch(item: item.id) { try tx.dropDispatch(id: dispatch.id) }
                try tx.setItem(item.id, state: .waiting)
            }
        }
    }

    /// Waits until all items of the act (at one receiver) stand so.
    func expect(
        _ act: Int64, _ state: ItemState, at receiver: String? = nil, within: Duration = .seconds(10),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let reached = try await eventually(within) { try await self.state(act, receiver) == state }
        if !reached {
            let found = try await items(act, receiver).map { "\($0.state) (\($0.reason ?? "-"))" }
            Issue.record("items are \(found), expected \(state)", sourceLocation: sourceLocation)
        }
    }

    /// Runs a courier while `body` does.
    func running<Result: Sendable>(
        _ receivers: [Receiver], _ body: @Sendable (Courier) async throws -> Result
    ) async throws -> Result {
        let courier = Courier(journal: journal, receivers: receivers, clock: clock) { _ in }
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await courier.run() }
            do {
                let result = try await body(courier)
                group.cancelAll()
                return result
            } catch {
                group.cancelAll()
                throw error
            }
        }
    }

    /// Moves the clock on in steps, so that every pause passes, until it is so.
    func pump(
        _ courier: Courier, by step: Duration = .seconds(20), within: Duration = .seconds(10),
        sourceLocation: SourceLocation = #_sourceLocation, until condition: () async throws -> Bool
    ) async throws {
        try await becomes(within, every: .milliseconds(20), sourceLocation: sourceLocation) {
            if try await condition() { return true }
            clock.advance(step)
            courier.ring()
            return false
        }
    }
}

enum TestFailure: Error { case noKey, noDispatch }

/// Asks again and again until it is so, or the time is over.
func eventually(
    _ within: Duration = .seconds(10), every: Duration = .milliseconds(10), _ condition: () async throws -> Bool
) async rethrows -> Bool {
    let end = ContinuousClock.now + within
    while ContinuousClock.now < end {
        if try await condition() { return true }
        try? await Task.sleep(for: every)
    }
    return try await condition()
}

/// Fails the test where it does not become so in time.
func becomes(
    _ within: Duration = .seconds(10), every: Duration = .milliseconds(10), sourceLocation: SourceLocation = #_sourceLocation,
    _ condition: () async throws -> Bool
) async rethrows {
    if try await !eventually(within, every: every, condition) {
        Issue.record("it did not come to this in time", sourceLocation: sourceLocation)
    }
}

/// Simulated receivers and the loop of the clients that speak with them.
struct Net: Sendable {
    let loop: EventLoop

    static func with<Result: Sendable>(_ body: (Net) async throws -> Result) async throws -> Result {
        let loop = try EventLoop(name: "courier-test")
        defer { loop.stop() }
        return try await body(Net(loop: loop))
    }

    /// Runs `body` against a receiver of its own.
    func serving<Result: Sendable>(
        _ faults: [ReceiverFaultRule] = [], token: String? = nil, seed: UInt64 = 1,
        _ body: (Server) async throws -> Result
    ) async throws -> Result {
        let fhir = try FHIRReceiver(.init(token: token, faults: ReceiverFaultPlan(faults, seed: seed)))
        let (bases, source) = AsyncStream<String>.makeStream()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { source.finish() }
                try await fhir.run { source.yield($0) }
            }
            guard let base = await bases.first(where: { _ in true }) else {
                try await group.waitForAll()
                throw CancellationError()
            }
            do {
                let result = try await body(Server(fhir: fhir, base: base))
                group.cancelAll()
                return result
            } catch {
                group.cancelAll()
                throw error
            }
        }
    }

    func client(timeout: Duration = .milliseconds(600)) -> HTTPClient {
        var settings = HTTPClientSettings()
        settings.requestTimeout = timeout
        settings.connectTimeout = .seconds(2)
        return HTTPClient(settings: settings, loop: loop)
    }

    func receiver(
        _ base: String, name: String = "clinic", credential: any CredentialSource = NoCredential(),
        timeout: Duration = .milliseconds(600), uncertain: ReceiverSettings.UncertainPolicy = .hold,
        wrap: (PHDDestination) -> any Destination = { $0 }
    ) -> Receiver {
        Receiver(
            destination: wrap(
                PHDDestination(settings: ReceiverSettings(name: name, kind: .phd, baseURL: base, whenUncertain: uncertain))),
            client: client(timeout: timeout), credential: credential,
            gateway: GatewayIdentity(
                systemID: [2, 9, 9, 9, 9, 9, 9, 9], instance: "6f1a1a52-0000-8000-8000-000000000001", softwareVersion: "0"),
            settling: .milliseconds(50))
    }
}

struct Server: Sendable {
    let fhir: FHIRReceiver
    let base: String

    func requests(_ method: String? = nil) async -> [ReceiverRequest] {
        await fhir.state.requests.filter { method == nil || $0.method == method }
    }

    func set(_ rules: ReceiverFaultRule...) async { await fhir.state.set(ReceiverFaultPlan(rules)) }

    /// How often it holds each reading of the act.
    func copies(of act: Int64, in hub: Hub) async throws -> [Int] {
        let subjects = Set(try await hub.items(act).map(\.readingSubject.rawValue))
        let held = await fhir.state.resources("Observation").map(\.bytes).map { String(decoding: $0, as: UTF8.self) }
        return subjects.sorted().map { subject in held.count { $0.contains("\"urn:uuid:\(subject)\"") } }
    }
}

/// A credential that a test renews.
final class TestCredential: CredentialSource {
    private let state: Mutex<(token: String, renewals: [String], refreshes: Int)>

    init(_ token: String, renewals: [String] = []) { state = Mutex((token, renewals, 0)) }

    var refreshes: Int { state.withLock { $0.refreshes } }

    func headers() async -> [HTTPHeader] { [HTTPHeader("authorization", "Bearer " + state.withLock { $0.token })] }

    func refresh() async -> Bool {
        state.withLock { state in
            state.refreshes += 1
            guard !state.renewals.isEmpty else { return false }
            state.token = state.renewals.removeFirst()
            return true
        }
    }
}
