import Destinations
import EventLoop
import ExactJSON
import HTTP
import HTTPMessage
import Journal
import Simulator
import Steward
import Synchronization
import Testing
import Trust
import Vitals

@testable import Courier

/// The machine's own time, moved forward at will.
final class HubClock: Vitals.Clock {
    private let start = ContinuousClock.now
    private let wall: Instant
    private let ahead = Mutex(Duration.zero)
    private let source = Mutex(ClockSource.ntp)
    /// By which the wall clock alone is moved.
    private let shift = Mutex(Duration.zero)

    init(_ wall: Instant) { self.wall = wall }

    func now() -> ClockReading {
        let elapsed = ContinuousClock.now - start + ahead.withLock(\.self)
        return ClockReading(
            wall: wall + elapsed + shift.withLock(\.self), offsetMinutes: 0,
            monotonic: MonotonicTime(milliseconds: 1_000_000) + elapsed,
            boot: BootID(rawValue: "boot-1"), source: source.withLock(\.self))
    }

    func advance(_ duration: Duration) { ahead.withLock { $0 += duration } }
    /// Pauses pass, and no time on the wall: a simulator's answers are dated by the machine's own clock.
    func pass(_ duration: Duration) {
        advance(duration)
        setWrong(by: .zero - duration, more: true)
    }
    /// The wall clock is wrong by this much.
    func setWrong(by duration: Duration, more: Bool = false) { shift.withLock { $0 = more ? $0 + duration : duration } }
    func setSource(_ new: ClockSource) { source.withLock { $0 = new } }
}

/// A hub with a FUT receiver and a simulated FUT: anna (1001) and bent (1002), each with a cuff and an oximeter.
struct FUTScene: Sendable {
    let scratch: Scratch
    let journal: Journal
    let clock: HubClock
    let simulator: FUTSimulator
    let endpoints: FUTEndpoints
    let loop: EventLoop
    let citizens: FUTReceiver
    let receiver: Receiver
    let devices: [String: (device: Int64, assignment: Int64)]

    static let anna = PatientAlias(rawValue: "1001")
    static let bent = PatientAlias(rawValue: "1002")

    var state: FUTState { simulator.state }

    /// Anna: two pressures a slot and extra ones, saturation and pulse of one group; Bent: pressure whenever he likes.
    static let world = #"""
        [{"citizen": "anna", "patient": "1001", "episodes": [{"id": "2001", "carePlan": "2501", "since": -43200, "requests": [
            {"id": "3001", "code": "ZZ3170", "extra": true, "timing": {"slots": [{"from": -120, "to": 180, "occurrences": 2}]}},
            {"id": "3002", "code": "SDG", "timing": "adhoc"},
            {"id": "3003", "code": "NPU03011", "timing": {"slots": [{"from": -120, "to": 180, "occurrences": 1}]}},
            {"id": "3004", "code": "NPU21692", "timing": {"slots": [{"from": -120, "to": 180, "occurrences": 1}]}}]}]},
         {"citizen": "bent", "patient": "1002", "episodes": [{"id": "2002", "carePlan": "2502", "since": -43200, "requests": [
            {"id": "3011", "code": "ZZ3170", "timing": "adhoc"}]}]}]
        """#

    static func with(
        _ settings: (inout Simulator.FUTSettings) -> Void = { _ in }, idle: Duration = .seconds(30 * 86_400),
        timeout: Duration = .seconds(2), retraction: FUTDestination.Retraction = .patch,
        _ body: @Sendable (FUTScene) async throws -> Void
    ) async throws {
        var own = Simulator.FUTSettings()
        own.deviceInterval = 0
        settings(&own)
        let simulator = try FUTSimulator(.init(settings: own, world: try FUTWorld(try JSON(parsing: world))))
        let loop = try EventLoop(name: "fut-courier")
        defer { loop.stop() }
        let (origins, source) = AsyncStream<String>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { source.finish() }
                try await simulator.run { source.yield($0) }
            }
            guard let origin = await origins.first(where: { _ in true }) else { throw TestFailure.noDispatch }
            let scratch = Scratch()
            let scene = try await FUTScene(
                scratch: scratch, journal: journal(scratch), clock: HubClock(await simulator.state.now), simulator: simulator,
                endpoints: FUTEndpoints(origin: origin), loop: loop, idle: idle, timeout: timeout, retraction: retraction)
            try await body(scene)
            group.cancelAll()
        }
    }

    private static func journal(_ scratch: Scratch) async throws -> Journal {
        try await Journal.open(
            JournalOptions(
                path: scratch.path + "/journal.db", key: .credential(Array("a credential of 32 bytes or more".utf8)),
                ballastBytes: 0))
    }

    private init(
        scratch: Scratch, journal: Journal, clock: HubClock, simulator: FUTSimulator, endpoints: FUTEndpoints, loop: EventLoop,
        idle: Duration, timeout: Duration, retraction: FUTDestination.Retraction = .patch
    ) async throws {
        self.scratch = scratch
        self.journal = journal
        self.clock = clock
        self.simulator = simulator
        self.endpoints = endpoints
        self.loop = loop
        var http = HTTPClientSettings()
        http.requestTimeout = timeout
        let client = HTTPClient(settings: http, loop: loop)
        var fut = Destinations.FUTSettings.published()
        fut.services = [
            .patient: endpoints.patient, .careplan: endpoints.carePlan, .measurement: endpoints.measurement,
            .device: endpoints.device, .task: endpoints.task,
        ]
        citizens = FUTReceiver(
            .init(
                name: "fut", fut: fut, issuer: endpoints.issuer,
                client: OAuthClient(identifier: "vitalgate", scopes: ["openid", "profile", "offline_access"]),
                redirect: try EndpointURL("http://127.0.0.1:4711/callback"), idle: idle, maximum: nil),
            client: client, journal: journal, clock: clock)
        receiver = Receiver(
            destination: FUTDestination(
                settings: ReceiverSettings(name: "fut", kind: .fut, baseURL: endpoints.measurement), fut: fut,
                retraction: retraction), client: client,
            desks: citizens,
            gateway: GatewayIdentity(
                systemID: [2, 9, 9, 9, 9, 9, 9, 9], instance: "6f1a1a52-0000-8000-8000-000000000001", softwareVersion: "0"),
            settling: .milliseconds(50), isChronological: true)
        devices = try await Self.devices(in: journal, at: clock.now().wall)
    }

    private static func devices(
        in journal: Journal, at now: Instant
    ) async throws -> [String: (device: Int64, assignment: Int64)] {
        try await journal.write { tx throws in
            var devices: [String: (device: Int64, assignment: Int64)] = [:]
            let long = now - .seconds(100 * 86_400)
            for (number, owner) in [anna, bent].enumerated() {
                for kind in ["cuff", "oximeter"] {
                    let name = "\(owner.rawValue)-\(kind)"
                    var device =
                        try tx.device(named: name)
                        ?? tx.addDevice(
                            name: name, model: "generic-blood-pressure", bearer: "socket:/x", state: .verified, at: long)
                    if device.key == nil {
                        device.identity = DeviceIdentity(
                            manufacturer: "sim", modelNumber: "SIM", serialNumber: "S-\(name)",
                            systemID: [2, 0, 0, 0, 0, 0, UInt8(number), kind == "cuff" ? 1 : 2])
                        device.key = DeviceKey.enrol(device.identity)
                        try tx.update(device)
                    }
                    let assignment =
                        try tx.assignments(device: device.id).first
                        ?? tx.insertAssignment(
                            Assignment(
                                id: 0, device: device.id, userIndex: nil, patient: owner, from: long,
                                recipients: ["fut", "pmd"].map { .init(receiver: $0, from: long) }))
                    devices[name] = (device.id, assignment.id)
                }
            }
            return devices
        }
    }

    /// The same files opened again, as after a restart.
    func reopened() async throws -> FUTScene {
        await journal.close()
        return try await FUTScene(
            scratch: scratch, journal: Self.journal(scratch), clock: clock, simulator: simulator, endpoints: endpoints,
            loop: loop, idle: citizens.settings.idle, timeout: .seconds(2))
    }

    // MARK: People

    /// The citizen types the code in on a phone, and signs in as `name`.
    func signIn(_ patient: PatientAlias, as name: String, courier: Courier? = nil) async throws -> FUTSignIns.Progress? {
        let signIns = FUTSignIns { channel in try? await courier?.release(channel: channel) }
        let invitation = try await signIns.begin(.deviceCode, at: citizens, for: patient, actor: "test")
        let code = try #require(invitation.userCode)
        #expect(await state.decide(userCode: code.text, as: name))
        clock.advance(.seconds(1))
        await state.advance(by: .seconds(1))
        return await signIns.progress(of: invitation.id)
    }

    func signInBoth() async throws {
        guard case .signedIn = try await signIn(Self.anna, as: "anna"), case .signedIn = try await signIn(Self.bent, as: "bent")
        else {
            Issue.record("a sign-in failed")
            return
        }
    }

    func channel(_ patient: PatientAlias) -> String { citizens.channel(for: patient) }

    // MARK: Readings

    /// A cuff's act (pressure and pulse), owed to FUT.
    @discardableResult
    func pressure(_ patient: PatientAlias, ago: Duration = .seconds(60), systolic: Int64 = 127) async throws -> Int64 {
        try await act(
            patient, "cuff", .bloodPressure, ago: ago,
            [
                Quantity(.systolic, type: .systolic, value: .number(ExactDecimal(systolic)), unit: .millimetreOfMercury),
                Quantity(.diastolic, type: .diastolic, value: .number(79), unit: .millimetreOfMercury),
                Quantity(.mean, type: .meanArterialPressure, value: .number(95), unit: .millimetreOfMercury),
                Quantity(.pulseRate, type: .pulseRateNonInvasive, value: .number(69), unit: .perMinute),
            ])
    }

    /// An oximeter's act (saturation and pulse).
    @discardableResult
    func saturation(_ patient: PatientAlias, ago: Duration = .seconds(60), spo2: Int64 = 96) async throws -> Int64 {
        try await act(
            patient, "oximeter", .pulseOximetrySpot, ago: ago,
            [
                Quantity(.spo2, type: .oxygenSaturation, value: .number(ExactDecimal(spo2)), unit: .percent),
                Quantity(.pulseRate, type: .pulseRateOximeter, value: .number(71), unit: .perMinute),
            ])
    }

    private func act(
        _ patient: PatientAlias, _ kind: String, _ measured: Measurement.Kind, ago: Duration, _ quantities: [Quantity]
    ) async throws -> Int64 {
        let (clock, channel) = (clock, channel(patient))
        guard let (device, assignment) = devices["\(patient.rawValue)-\(kind)"] else { throw TestFailure.noKey }
        let effective = Instant(seconds: (clock.now().wall - ago).milliseconds / 1_000)
        return try await journal.write { tx throws in
            let now = clock.now()
            let stamp = LocalDateTime(secondsSince1970: effective.milliseconds / 1_000)
            let bytes = Array("\(stamp)/\(quantities[0].value)".utf8)
            let measurement = Measurement(
                kind: measured, quantities: quantities, deviceTime: stamp,
                projection: StoredProjection(codec: "2a35/1", bytes: bytes, distinguishes: true))
            let transfer = try tx.beginTransfer(device: device, at: now)
            let frame = try tx.insertFrame(
                Frame(source: .gatt(characteristic: 0x2A35, handle: 3), bytes: bytes, received: now), device: device,
                transfer: transfer, word: .sent)
            guard let key = try tx.device(id: device)?.key else { throw TestFailure.noKey }
            let act = try tx.insertAct(
                ActDraft(
                    device: device, frame: frame, transfer: transfer,
                    identity: ReadingIdentity(base: ReadingIdentity.base(of: measurement, from: key), ordinal: 0),
                    measurement: measurement, state: .ready, effective: MeasuredTime(effective, offsetMinutes: 0),
                    timeBasis: .corrected, patient: patient, assignment: assignment, cautions: [],
                    coincidence: ClockCoincidence(device: stamp, hub: now), batteryPercent: 80, received: now))
            try tx.endTransfer(transfer, outcome: "peer-ended", at: now)
            for reading in act.readings {
                _ = try tx.insertItem(
                    act: act.id, reading: reading, kind: .observation, receiver: "fut", channel: channel, effective: effective,
                    created: now.wall)
            }
            return act.id
        }
    }

    // MARK: Looking

    /// State and reason of each reading's item, in the order of the readings.
    func standing(_ act: Int64) async throws -> [String] {
        try await journal.read { tx in
            try tx.items(act: act).map { item in
                item.state.rawValue + (item.state == .delivered ? "" : item.reason.map { " \($0)" } ?? "")
            }
        }
    }

    func conditions() async throws -> [Condition] { try await journal.read { tx in try tx.conditions() } }

    func held(_ patient: PatientAlias) async throws -> ChannelRecord.Hold? {
        let channel = channel(patient)
        return try await journal.read { tx in try tx.channel(channel)?.held }
    }

    /// Runs a courier while `body` does.
    func running(_ body: @Sendable (Courier) async throws -> Void) async throws {
        let courier = Courier(journal: journal, receivers: [receiver], clock: clock) { _ in }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await courier.run() }
            do {
                try await body(courier)
                group.cancelAll()
            } catch {
                group.cancelAll()
                throw error
            }
        }
    }

    /// Moves both clocks on in steps, so that every pause passes, until the act stands so.
    func expect(
        _ act: Int64, _ wanted: [String], _ courier: Courier, by step: Duration = .seconds(5),
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let reached = try await eventually(.seconds(15), every: .milliseconds(20)) {
            if try await standing(act) == wanted { return true }
            clock.advance(step)
            await state.advance(by: step)
            courier.ring()
            return false
        }
        if !reached { Issue.record("\(try await standing(act)), expected \(wanted)", sourceLocation: sourceLocation) }
    }

    /// The same for the hold of a channel.
    func expectHeld(
        _ patient: PatientAlias, _ code: Condition.Code, _ courier: Courier, sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        let reached = try await eventually(.seconds(15), every: .milliseconds(20)) {
            if try await held(patient)?.code == code { return true }
            clock.advance(.seconds(5))
            await state.advance(by: .seconds(5))
            courier.ring()
            return false
        }
        if !reached { Issue.record("held: \(String(describing: try await held(patient)))", sourceLocation: sourceLocation) }
    }

    /// What FUT stored of a patient, by request.
    func stored(_ patient: PatientAlias) async -> [String] {
        await state.observations().filter { $0.patient == patient.rawValue && !$0.isInvalidated }.map {
            "\($0.request) \($0.timing)"
        }
    }
}
