import Courier
import Destinations
import ExactJSON
import HubAPI
import Intake
import Journal
import Logging
import ServiceLifecycle
import Steward
import Synchronization
import Vitals

/// Takes in what hubs send, into the same journal as a hub's own readings, and answers as a FHIR server would.
///
/// The answer is the hub's word that its readings are here, so it leaves after the commit (R1). What comes again is known by the hub's own
/// identifiers and adds nothing (R3); the hub may ask by them what is here. A patient of a relay is "hub.alias": one hub's word about patients
/// says nothing of another's (R4).
final class RelayDesk: RelayOperations {
    private let hubs: [String: Configuration.Relay.Hub]
    private let journal: Journal
    private let courier: Courier
    private let desk: Desk
    private let gate: IntakeGate
    private let clock: any Clock
    private let logger: Logger
    /// Rows of devices that were seen in this run.
    private let devices = Mutex<[DeviceKey: Int64]>([:])

    init(
        _ relay: Configuration.Relay, journal: Journal, courier: Courier, desk: Desk, gate: IntakeGate, clock: any Clock,
        logger: Logger
    ) {
        hubs = Dictionary(relay.hubs.map { ($0.name, $0) }, uniquingKeysWith: { first, _ in first })
        self.journal = journal
        self.courier = courier
        self.desk = desk
        self.gate = gate
        self.clock = clock
        self.logger = logger
    }

    func answer(_ request: RelayRequest) async -> RelayAnswer {
        guard let hub = hubs[request.hub] else { return RelayAnswer(403) }
        let steps = request.path.split(separator: "/").map(String.init)
        let place = steps.firstIndex(of: "Observation").map { steps[steps.index(after: $0)...] }
        do throws(JournalError) {
            switch (request.method, place) {
            case ("GET", nil) where steps.last == "metadata": return RelayAnswer(200, json: Self.capabilities)
            case ("POST", nil): return try await take(request.body, from: hub)
            case ("GET", let rest?) where rest.isEmpty: return try await search(request.query, of: hub)
            case ("GET", let rest?) where rest.count == 1: return try await read(rest.first ?? "", of: hub)
            default: return RelayAnswer(405)
            }
        } catch {
            // The hub keeps what was not taken, and comes again.
            logger.note(.error, "relay cannot store", .reason(error.what))
            return Self.busy
        }
    }

    /// What a hub's `doctor` looks for.
    private static let capabilities: JSON = [
        "resourceType": "CapabilityStatement", "status": "active", "kind": "instance", "fhirVersion": "4.0.1",
        "format": ["application/fhir+json"],
        "rest": [["mode": "server", "interaction": [["code": "transaction"]]]],
    ]

    private static let busy = RelayAnswer(503, headers: ["retry-after": "30"])

    // MARK: Taking in

    private func take(_ body: [UInt8], from hub: Configuration.Relay.Hub) async throws(JournalError) -> RelayAnswer {
        guard gate.isOpen else { return Self.busy }
        guard let bundle = try? JSON(parsing: body) else { return Self.refused(400, "the body is no JSON") }
        let reception: PHDReception
        do throws(PHDReception.Refusal) {
            reception = try PHDReception(bundle)
        } catch {
            return Self.refused(422, error.reason)
        }
        let now = clock.now()
        let acts = reception.acts.filter { !$0.isRetraction }
        let known = devices.withLock(\.self)
        let taken = try await journal.write { tx -> (fresh: Set<Int>, devices: [DeviceKey: Int64]) in
            var rows = known
            var fresh: Set<Int> = []
            try tx.heard(hub: hub.name, at: now.wall)
            try tx.clear(.hubSilent, subject: hub.name)
            for act in acts where try register(act, from: hub, devices: &rows, at: now, in: tx) {
                fresh.formUnion(act.positions)
            }
            return (fresh, rows)
        }
        devices.withLock { $0 = taken.devices }
        courier.ring()
        for act in reception.acts where act.isRetraction {
            guard try await retract(act, from: hub) else { return Self.busy }
        }
        return Self.response(bundle, created: taken.fresh, version: reception.acts.contains(where: \.isRetraction) ? 2 : 1)
    }

    /// True where it is new here.
    private func register(
        _ act: PHDReception.Received, from hub: Configuration.Relay.Hub, devices: inout [DeviceKey: Int64], at now: ClockReading,
        in tx: Transaction
    ) throws(JournalError) -> Bool {
        let key = DeviceKey.enrol(act.device) ?? DeviceKey(rawValue: "relay-\(hub.name)")
        let identity = ReadingIdentity(base: ReadingIdentity.base(of: act.measurement, from: key), ordinal: 0)
        switch try tx.identityState(identity) {
        case .tombstone: return false
        case .act(let id):
            for name in act.names.values { try tx.setRelayed(name, of: hub.name, act: id) }
            return false
        case .unknown: break
        }
        let device = try row(of: act, key: key, from: hub, devices: &devices, at: now.wall, in: tx)
        let transfer = try tx.beginTransfer(device: device, at: now)
        try tx.endTransfer(transfer, outcome: "relayed", at: now)
        let frame = try tx.insertFrame(
            Frame(source: .vendor(format: "phd-bundle"), bytes: JSON.array(act.resources).bytes, received: now), device: device,
            transfer: transfer, word: .none, base: identity.base)
        let patient = PatientAlias(rawValue: "\(hub.name).\(act.patient)")
        // Without an assignment: the hub decided whose it is and when it was, and nothing here decides it again.
        let record = try tx.insertAct(
            ActDraft(
                device: device, frame: frame, transfer: transfer, identity: identity, measurement: act.measurement, state: .ready,
                effective: act.effective, timeBasis: act.timeBasis, patient: patient, assignment: nil, cautions: act.cautions,
                coincidence: nil, batteryPercent: nil, isDerived: act.isDerived, received: now))
        for receiver in hub.recipients {
            guard let channel = courier.channel(of: receiver, for: patient) else { continue }
            for reading in record.readings {
                _ = try tx.insertItem(
                    act: record.id, reading: reading, kind: .observation, receiver: receiver, channel: channel,
                    effective: act.effective.instant, created: now.wall)
            }
        }
        for name in act.names.values { try tx.setRelayed(name, of: hub.name, act: record.id) }
        return true
    }

    private func row(
        of act: PHDReception.Received, key: DeviceKey, from hub: Configuration.Relay.Hub, devices: inout [DeviceKey: Int64],
        at now: Instant, in tx: Transaction
    ) throws(JournalError) -> Int64 {
        if let known = devices[key] { return known }
        if let known = try tx.devices().first(where: { $0.key == key }) {
            devices[key] = known.id
            return known.id
        }
        let model = act.measurement.kind == .pulseOximetrySpot ? "generic-pulse-oximeter" : "generic-blood-pressure"
        var device = try tx.addDevice(
            name: "\(hub.name)-\(key.rawValue.suffix(8))", model: model, bearer: "relay:" + hub.name, state: .verified, at: now)
        device.identity = act.device
        device.key = key
        try tx.update(device)
        devices[key] = device.id
        return device.id
    }

    /// False where a request about it is under way here: the hub comes again.
    private func retract(
        _ act: PHDReception.Received, from hub: Configuration.Relay.Hub
    ) async throws(JournalError) -> Bool {
        guard let name = act.names.values.first,
            let subject = try await journal.read({ tx -> SubjectID? in
                guard let (record, _) = try tx.relayed(name, of: hub.name), record.state == .ready else { return nil }
                return record.subject
            })
        else { return true }
        switch try await desk.retract(reading: subject.rawValue, reason: "taken back by the hub", actor: "hub:" + hub.name) {
        case .success:
            courier.ring()
            return true
        case .failure(let refused):
            if case .underWay = refused.refusal { return false }
            return true
        }
    }

    // MARK: Answering

    private static func response(_ bundle: JSON, created: Set<Int>, version: Int) -> RelayAnswer {
        let entries = (bundle["entry"]?.array ?? []).enumerated().map { position, entry -> JSON in
            let resource = entry["resource"]
            let type = resource?["resourceType"]?.string ?? "Basic"
            let name = resource.flatMap(PHDReception.name) ?? entry["fullUrl"]?.string ?? ""
            let id = name.hasPrefix("urn:uuid:") ? String(name.dropFirst("urn:uuid:".utf8.count)) : "unknown"
            let isNew = created.contains(position)
            return [
                "response": [
                    "status": .string(isNew ? "201 Created" : "200 OK"),
                    "location": .string("\(type)/\(id)/_history/\(version)"), "etag": .string("W/\"\(version)\""),
                ]
            ]
        }
        return RelayAnswer(
            200, json: ["resourceType": "Bundle", "type": "transaction-response", "entry": .array(entries)])
    }

    private static func refused(_ status: Int, _ reason: String) -> RelayAnswer {
        RelayAnswer(
            status,
            json: [
                "resourceType": "OperationOutcome",
                "issue": [["severity": "error", "code": "not-supported", "diagnostics": .string(reason)]],
            ])
    }

    private func read(_ id: String, of hub: Configuration.Relay.Hub) async throws(JournalError) -> RelayAnswer {
        guard let resource = try await resource("urn:uuid:" + id, of: hub) else { return RelayAnswer(404) }
        return RelayAnswer(200, json: resource)
    }

    /// By the hub's own identifier alone.
    private func search(_ query: String, of hub: Configuration.Relay.Hub) async throws(JournalError) -> RelayAnswer {
        var resource: JSON?
        for parameter in query.split(separator: "&") where parameter.hasPrefix("identifier=") {
            let value = Self.decoded(parameter.dropFirst("identifier=".utf8.count))
            if let name = value.split(separator: "|").last { resource = try await self.resource(String(name), of: hub) }
        }
        let entries: [JSON] = resource.map { [["resource": $0]] } ?? []
        return RelayAnswer(
            200,
            json: .members([
                "resourceType": "Bundle", "type": "searchset", "total": .integer(entries.count),
                "entry": entries.isEmpty ? nil : .array(entries),
            ]))
    }

    private func resource(_ name: String, of hub: Configuration.Relay.Hub) async throws(JournalError) -> JSON? {
        try await journal.read { tx -> JSON? in
            guard let (act, found) = try tx.relayed(name, of: hub.name) else { return nil }
            let isRetracted = act.state == .retracted
            let whole = found.setting("id", to: .string(String(name.dropFirst("urn:uuid:".utf8.count))))
                .setting("meta", to: ["versionId": .string(isRetracted ? "2" : "1")])
            return isRetracted ? whole.setting("status", to: "entered-in-error") : whole
        }
    }

    private static func decoded(_ text: some StringProtocol) -> String {
        var bytes: [UInt8] = []
        var rest = Array(text.utf8)[...]
        while let byte = rest.popFirst() {
            if byte == UInt8(ascii: "%"), rest.count >= 2,
                let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16)
            {
                bytes.append(value)
                rest = rest.dropFirst(2)
            } else {
                bytes.append(byte == UInt8(ascii: "+") ? UInt8(ascii: " ") : byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}

extension Transaction {
    /// What a hub's own name stands for here, as it came; `nil` where it was removed since.
    fileprivate func relayed(_ name: String, of hub: String) throws(JournalError) -> (act: ActRecord, resource: JSON)? {
        guard let id = try relayedAct(name, of: hub), let act = try act(id: id), let frame = try frame(id: act.frame),
            let resources = (try? JSON(parsing: frame.frame.bytes))?.array,
            // A row's number may have been given again after a removal: the name decides.
            let found = resources.first(where: { PHDReception.name($0) == name })
        else { return nil }
        return (act, found)
    }
}

/// Says which hubs are silent: not whether anybody measured.
struct HubWatch: Service {
    let relay: Configuration.Relay
    let journal: Journal
    let clock: any Clock
    let logger: Logger

    /// Against a silence of minutes.
    private static let look = Duration.seconds(10)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            let started = clock.now().wall
            while !Task.isCancelled {
                let now = clock.now().wall
                do throws(JournalError) {
                    let silent = try await journal.read { tx -> [(String, Instant)] in
                        let heard = try tx.hubs()
                        return relay.hubs.compactMap { hub in
                            // One that was never heard is silent since we listen.
                            let last = heard[hub.name] ?? started
                            return now - last > .seconds(hub.silentMinutes * 60) ? (hub.name, last) : nil
                        }
                    }
                    if !silent.isEmpty {
                        try await journal.write { tx in
                            for (name, last) in silent {
                                try tx.raise(
                                    Condition(
                                        .hubSilent, subject: name, since: last,
                                        reason: "Nothing was heard of the hub since then, no heartbeat either."))
                            }
                        }
                    }
                } catch {
                    logger.note(.error, "hubs not looked at", .reason(error.what))
                }
                try? await Task.sleep(for: Self.look)
            }
        }
    }
}
