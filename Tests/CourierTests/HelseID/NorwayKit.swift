import Destinations
import EventLoop
import ExactJSON
import HTTP
import HTTPMessage
import Journal
import Simulator
import Steward
import Testing
import Trust
import Vitals

@testable import Courier

/// A hub with PMD and VKP behind one HelseID client, and the simulated services of NHN: anna and bent, each with a cuff.
struct NorwayScene: Sendable {
    let scratch: Scratch
    let journal: Journal
    let clock: HubClock
    let simulator: NHNSimulator
    let endpoints: NHNEndpoints
    let loop: EventLoop
    let keeper: HelseIDKeeper
    let pmd: HelseIDReceiver
    let receivers: [Receiver]
    let devices: [PatientAlias: (device: Int64, assignment: Int64)]

    static let anna = PatientAlias(rawValue: "anna")
    static let bent = PatientAlias(rawValue: "bent")
    /// Synthetic.
    static let numbers = [anna: "01819540094", bent: "13826540200"]

    var state: NHNState { simulator.state }

    static func with(
        _ settings: (inout NHNSettings) -> Void = { _ in }, pmd: PMDSettings = PMDSettings(), isRegistered: Bool = true,
        isIdentified: Bool = true, timeout: Duration = .seconds(2), whenUncertain: ReceiverSettings.UncertainPolicy = .hold,
        _ body: @Sendable (NorwayScene) async throws -> Void
    ) async throws {
        var own = NHNSettings()
        settings(&own)
        let simulator = try NHNSimulator(.init(settings: own))
        let loop = try EventLoop(name: "nhn-courier")
        defer { loop.stop() }
        let (origins, source) = AsyncStream<String>.makeStream()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { source.finish() }
                try await simulator.run { source.yield($0) }
            }
            guard let origin = await origins.first(where: { _ in true }) else { throw TestFailure.noDispatch }
            let scratch = Scratch()
            let scene = try await NorwayScene(
                scratch: scratch, journal: journal(scratch), clock: HubClock(await simulator.state.now), simulator: simulator,
                endpoints: NHNEndpoints(origin: origin), loop: loop, pmd: pmd, timeout: timeout, whenUncertain: whenUncertain)
            if isIdentified { try await scene.identifyBoth() }
            if isRegistered {
                #expect(try await scene.keeper.change(.generate, actor: "test") == nil)
                try await scene.register()
            }
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
        scratch: Scratch, journal: Journal, clock: HubClock, simulator: NHNSimulator, endpoints: NHNEndpoints, loop: EventLoop,
        pmd: PMDSettings, timeout: Duration, whenUncertain: ReceiverSettings.UncertainPolicy
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
        let keeper = HelseIDKeeper(
            .init(issuer: endpoints.issuer, identifier: "hub"), source: .journal(.es256), http: client, journal: journal,
            clock: clock)
        self.keeper = keeper
        func desks(_ name: String, _ scopes: [String], _ token: HelseIDClient.TokenType) -> HelseIDReceiver {
            HelseIDReceiver(
                name: name, client: HelseIDClient(issuer: endpoints.issuer, clientID: "hub", scopes: scopes, tokenType: token),
                keeper: keeper, journal: journal)
        }
        let pmdDesks = desks("pmd", [NHNSettings.Scope.pmdWrite, NHNSettings.Scope.pmdRead], .dpop)
        let vkp = desks("vkp", [NHNSettings.Scope.bundleWrite, NHNSettings.Scope.carePlanRead], .bearer)
        self.pmd = pmdDesks
        let gateway = GatewayIdentity(
            systemID: [2, 9, 9, 9, 9, 9, 9, 9], instance: "6f1a1a52-0000-8000-8000-000000000001", softwareVersion: "0")
        receivers = [
            Receiver(
                destination: PMDDestination(
                    settings: ReceiverSettings(
                        name: "pmd", kind: .pmd, baseURL: endpoints.pmd, whenUncertain: whenUncertain), pmd: pmd),
                client: client, desks: pmdDesks, gateway: gateway, settling: .milliseconds(50)),
            Receiver(
                destination: VKPDestination(
                    settings: ReceiverSettings(
                        name: "vkp", kind: .vkp, baseURL: endpoints.vkp, whenUncertain: whenUncertain),
                    vkp: VKPSettings(
                        organisation: try NorwegianOrganisationNumber("999999204"),
                        author: .init(system: VKPSettings.Author.hpr, value: "999999999", name: "Kari Prøve"))),
                client: client, desks: vkp, gateway: gateway, settling: .milliseconds(50)),
        ]
        devices = try await Self.devices(in: journal, at: clock.now().wall)
    }

    private static func devices(
        in journal: Journal, at now: Instant
    ) async throws -> [PatientAlias: (device: Int64, assignment: Int64)] {
        try await journal.write { tx throws in
            var devices: [PatientAlias: (device: Int64, assignment: Int64)] = [:]
            let long = now - .seconds(100 * 86_400)
            for (number, owner) in [anna, bent].enumerated() {
                let name = "\(owner.rawValue)-cuff"
                if let known = try tx.device(named: name), let assignment = try tx.assignments(device: known.id).first {
                    devices[owner] = (known.id, assignment.id)
                    continue
                }
                var device = try tx.addDevice(
                    name: name, model: "generic-blood-pressure", bearer: "socket:/x", state: .verified, at: long)
                device.identity = DeviceIdentity(
                    manufacturer: "sim", modelNumber: "SIM", serialNumber: "S-\(name)",
                    systemID: [2, 0, 0, 0, 0, 0, 0, UInt8(number)])
                device.key = DeviceKey.enrol(device.identity)
                try tx.update(device)
                let assignment = try tx.insertAssignment(
                    Assignment(
                        id: 0, device: device.id, userIndex: nil, patient: owner, from: long,
                        recipients: ["pmd", "vkp", "fut"].map { .init(receiver: $0, from: long) }))
                devices[owner] = (device.id, assignment.id)
            }
            return devices
        }
    }

    /// The same files opened again, as after a restart.
    func reopened() async throws -> NorwayScene {
        await journal.close()
        return try await NorwayScene(
            scratch: scratch, journal: Self.journal(scratch), clock: clock, simulator: simulator, endpoints: endpoints,
            loop: loop, pmd: PMDSettings(), timeout: .seconds(2), whenUncertain: .hold)
    }

    // MARK: People

    func identifyBoth() async throws {
        let names = receivers.map(\.name)
        try await journal.write { tx in
            for (patient, number) in Self.numbers { for name in names { try tx.setIdentifier(number, of: patient, at: name) } }
        }
    }

    /// As NHN's self-service: the public half that the hub shows becomes the client's, or one more of its keys.
    func register() async throws {
        let jwk = try JSON(parsing: try #require(try await keeper.standing()).publicJWK)
        if await !state.register(key: jwk, of: "hub") {
            await state.register(
                HelseIDClientRegistration(
                    id: "hub", scopes: NHNSettings.Scope.all, keys: [jwk], allowsBearer: true, vkpID: "supplier-1-999999204"))
        }
    }

    // MARK: Readings

    /// A cuff's act (pressure and pulse), owed to these receivers.
    @discardableResult
    func pressure(
        _ patient: PatientAlias = anna, ago: Duration = .seconds(60), systolic: Int64 = 127, to names: [String] = ["pmd"]
    ) async throws -> Int64 {
        guard let (device, assignment) = devices[patient] else { throw TestFailure.noKey }
        let clock = clock
        let channels = names.map { name in (name, ReceiverSettings.channel(of: name, for: patient)) }
        let effective = Instant(seconds: (clock.now().wall - ago).milliseconds / 1_000)
        return try await journal.write { tx throws in
            let now = clock.now()
            let stamp = LocalDateTime(secondsSince1970: effective.milliseconds / 1_000)
            let bytes = Array("\(stamp)/\(systolic)".utf8)
            let measurement = Measurement(
                kind: .bloodPressure,
                quantities: [
                    Quantity(.systolic, type: .systolic, value: .number(ExactDecimal(systolic)), unit: .millimetreOfMercury),
                    Quantity(.diastolic, type: .diastolic, value: .number(79), unit: .millimetreOfMercury),
                    Quantity(.pulseRate, type: .pulseRateNonInvasive, value: .number(69), unit: .perMinute),
                ], deviceTime: stamp,
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
            for (name, channel) in channels {
                for reading in act.readings {
                    _ = try tx.insertItem(
                        act: act.id, reading: reading, kind: .observation, receiver: name, channel: channel,
                        effective: effective, created: now.wall)
                }
            }
            return act.id
        }
    }

    // MARK: Looking

    /// State and reason of each item, in the order of the readings; of one receiver or of all.
    func standing(_ act: Int64, at receiver: String? = nil) async throws -> [String] {
        try await journal.read { tx in
            try tx.items(act: act).filter { receiver == nil || $0.receiver == receiver }.map { item in
                item.state.rawValue + (item.state == .delivered ? "" : item.reason.map { " \($0)" } ?? "")
            }
        }
    }

    func conditions() async throws -> [Condition] { try await journal.read { tx in try tx.conditions() } }

    func channel(_ patient: PatientAlias = anna, at receiver: String = "pmd") async throws -> ChannelRecord? {
        try await journal.read { tx in try tx.channel(ReceiverSettings.channel(of: receiver, for: patient)) }
    }

    func attempts(_ act: Int64) async throws -> [String] {
        try await journal.read { tx in
            var all: [Int64: AttemptRecord] = [:]
            for item in try tx.items(act: act) { for attempt in try tx.attempts(item: item.id) { all[attempt.id] = attempt } }
            return all.values.sorted { $0.id < $1.id }.map { "\($0.outcome ?? "open") \($0.status ?? 0)" }
        }
    }

    /// How often PMD holds each observation's identifier.
    func copies() async -> [Int] {
        let names = await state.observations().map { $0.resource["identifier"]?[0]?["value"]?.string ?? "" }
        return Dictionary(grouping: names, by: \.self).values.map(\.count)
    }

    /// Runs a courier while `body` does.
    func running(_ body: @Sendable (Courier) async throws -> Void) async throws {
        let courier = Courier(journal: journal, receivers: receivers, clock: clock) { _ in }
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

    /// Lets time pass for the hub in steps, so that every pause passes, until it is so.
    func pump(
        _ courier: Courier, by step: Duration = .seconds(5), sourceLocation: SourceLocation = #_sourceLocation,
        until condition: () async throws -> Bool
    ) async throws -> Bool {
        try await eventually(.seconds(15), every: .milliseconds(20)) {
            if try await condition() { return true }
            clock.pass(step)
            courier.ring()
            return false
        }
    }

    /// The same, until the act stands so.
    func expect(
        _ act: Int64, _ wanted: [String], at receiver: String? = nil, _ courier: Courier,
        sourceLocation: SourceLocation = #_sourceLocation
    ) async throws {
        if try await !pump(courier, until: { try await standing(act, at: receiver) == wanted }) {
            let found = try await standing(act, at: receiver)
            Issue.record("\(found), expected \(wanted); \(try await conditions())", sourceLocation: sourceLocation)
        }
    }
}
