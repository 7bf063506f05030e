import Bluetooth
import Catalogue
import Courier
import ExactJSON
import HubAPI
import Intake
import Journal
import Logging
import Protocols
import ServiceLifecycle
import Vitals

/// The technician's window into the radio: one procedure at a time, told step by step to whoever asks.
///
/// The shell around a ``Procedure``: it does what the procedure says, and keeps what it told until the next one begins.
actor Technician: Service {
    private struct Running {
        var id: Int
        var procedure: any Procedure
        var device: StoredDevice?
        var actor: String
        /// The name that a paired device gets, and the adapter that paired it.
        var name: String?
        var index: UInt16 = 0
        var adapter: String?
        var isScanning = false
    }

    private enum State {
        case idle
        case running(Running)
    }

    /// Some 20 commands of a few milliseconds and powering of half a second, with a wide margin.
    private static let setUp = Duration.seconds(5)

    private let journal: Journal
    private let radio: Radio
    private let desk: Desk
    private let catalogue: DeviceCatalogue
    private let clock: any Vitals.Clock
    private let courier: Courier
    private let hearing: Hearing
    private let log: DeviceLog
    private let logger: Logger
    private var state = State.idle
    private var lastID = 0
    private var steps: [ProcedureStep] = []
    private var question: ProcedureStep?
    private var failure: OperationError?
    private var waiters: [CheckedContinuation<Void, Never>] = []
    private let bell = Doorbell()

    init(
        journal: Journal, radio: Radio, desk: Desk, catalogue: DeviceCatalogue, clock: any Vitals.Clock, courier: Courier,
        hearing: Hearing, log: DeviceLog, logger: Logger
    ) {
        self.hearing = hearing
        self.log = log
        self.journal = journal
        self.radio = radio
        self.desk = desk
        self.catalogue = catalogue
        self.clock = clock
        self.courier = courier
        self.logger = logger
    }

    private var now: MonotonicTime { clock.now().monotonic }

    // MARK: Begun and asked by people

    /// - Returns: the number by which it is followed.
    func begin(_ procedure: any Procedure, device: StoredDevice? = nil, name: String? = nil, by actor: String)
        async throws(OperationError) -> Int
    {
        if !(procedure is VerificationProcedure), !(await isRadioReady()) { throw .noAdapter }
        if case .running = state {
            throw OperationError(
                "The hub is busy with another scan, pairing or verification.", why: "It does one at a time.",
                remedy: "Wait until it has ended: a pairing within three minutes, the others when their own time is over.",
                exitCode: 75)
        }
        lastID += 1
        steps.removeAll()
        question = nil
        failure = nil
        var procedure = procedure
        let effects = procedure.start(at: now)
        state = .running(Running(id: lastID, procedure: procedure, device: device, actor: actor, name: name))
        bell.ring()
        await perform(effects)
        return lastID
    }

    /// An adapter that is being set up, at the daemon's start or after a reset, is ready within a second: it is waited for.
    private func isRadioReady() async -> Bool {
        let end = ContinuousClock.now + Self.setUp
        while !(await radio.isReady) {
            guard ContinuousClock.now < end, (try? await Task.sleep(for: .milliseconds(50))) != nil else { return false }
        }
        return true
    }

    /// What was told after the first `after` steps; waits up to `patience` for something new.
    func progress(of id: Int, after: Int, patience: Duration) async -> JSON? {
        guard id == lastID else { return nil }
        if steps.count <= after, question == nil, isRunning(id) { await news(within: patience) }
        guard id == lastID else { return nil }
        let isDone = !isRunning(id)
        return .members([
            "id": .integer(id), "steps": .array(steps.dropFirst(after).map(\.json)), "next": .integer(steps.count),
            "question": question.map(\.json), "done": .bool(isDone), "error": isDone ? failure.map(\.json) : nil,
        ])
    }

    func answer(_ id: Int, _ text: String) async -> Bool {
        guard isRunning(id), question != nil else { return false }
        question = nil
        await hear(.answered(text))
        return true
    }

    func cancel(_ id: Int) async -> Bool {
        guard isRunning(id) else { return false }
        await hear(.cancelled)
        return true
    }

    private func isRunning(_ id: Int) -> Bool { if case .running(let running) = state { running.id == id } else { false } }

    // MARK: Told by the radio and by intake

    /// - Parameter device: where it is about one device, that one.
    func hear(_ event: ProcedureEvent, of device: Int64? = nil, index: UInt16? = nil, adapter: String? = nil) async {
        guard case .running(var running) = state else { return }
        if let device, running.device?.id != device { return }
        if let index { running.index = index }
        if let adapter { running.adapter = adapter }
        let effects = running.procedure.receive(event, at: now)
        state = .running(running)
        await perform(effects)
    }

    private func hear(_ event: IntakeEvent) async {
        switch event {
        case .identified(let device), .enrolled(let device): await hear(.device(.identified), of: device)
        case .clockSet(let device): await hear(.device(.clockSet), of: device)
        case .subscribed(let device, _): await hear(.device(.subscribed), of: device)
        case .battery(let device, let percent): await hear(.device(.battery(percent)), of: device)
        case .committed(let device, _, _, _), .suppressed(let device), .kept(let device, _):
            await hear(.device(.reading), of: device)
        case .ended(let device, let readings, let reason):
            await hear(.device(.ended(readings: readings, reason: reason)), of: device)
        case .connected, .frame, .confirmed, .commitRefused, .clockRead, .note: break
        }
    }

    /// Tells the procedure what intake reports, and that time passes.
    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                group.addTask { for await event in self.hearing.events { await self.hear(event) } }
                while !Task.isCancelled {
                    if await self.isIdle { await self.bell.wait() }
                    try? await Task.sleep(for: .seconds(1))
                    await self.hear(.tick)
                }
                group.cancelAll()
            }
        }
    }

    private var isIdle: Bool { if case .idle = state { true } else { false } }

    // MARK: Effects

    private func perform(_ effects: [ProcedureEffect]) async {
        for effect in effects {
            switch effect {
            case .step(let step): tell(step)
            case .ask(let step):
                question = step
                tell(step)
            case .scan(let isWanted):
                change { $0.isScanning = isWanted }
                await radio.scan(isWanted)
            case .pair(let plan, let model):
                tell(ProcedureStep("model", "Taken as \(model.name) (\(model.id))."))
                if !(await radio.pair(plan)) { await hear(.adapterLost) }
            case .answer(let answer): await radio.answer(answer)
            case .cancelPairing: await radio.cancelPairing()
            case .store(let address, let keys, let model): await store(address, keys, model)
            case .hangUp: if case .running(let running) = state, let device = running.device { await hangUp(device.id) }
            case .prove: await prove()
            case .finish: await end(nil)
            case .fail(let error): await end(error)
            }
        }
    }

    private func change(_ body: (inout Running) -> Void) {
        guard case .running(var running) = state else { return }
        body(&running)
        state = .running(running)
    }

    private func tell(_ step: ProcedureStep) {
        // A room full of advertisers must not fill the memory.
        if steps.count < 10_000 { steps.append(step) }
        wake()
    }

    private func end(_ error: OperationError?) async {
        guard case .running(let running) = state else { return }
        state = .idle
        failure = error
        question = nil
        if running.isScanning { await radio.scan(false) }
        wake()
    }

    private func store(_ address: DeviceAddress, _ keys: BondKeys, _ model: Model) async {
        guard case .running(let running) = state else { return }
        let (now, actor, name, adapter) = (clock.now(), running.actor, running.name, running.adapter ?? "")
        let result: Result<StoredDevice, OperationError>
        do throws(JournalError) {
            result = try await journal.write { tx in
                try tx.keepPaired(address, keys, adapter: adapter, model: model, name: name, by: actor, at: now)
            }
        } catch {
            result = .failure(OperationError(error))
        }
        if case .success(let device) = result {
            log.note(.paired, device.id, keys.security.rawValue)
            change { $0.device = device }
            let bond = BondRecord(device: device.id, adapter: adapter, address: address, keys: keys, at: now.wall)
            await hear(.stored(result))
            await radio.bondStored(KnownDevice(address, model: model, bond: bond), index: running.index)
        } else {
            await radio.cancelPairing()
            await hear(.stored(result))
        }
    }

    private func hangUp(_ device: Int64) async {
        do throws(JournalError) {
            let record = try await journal.read { tx in try tx.device(id: device) }
            if let address = record?.bluetoothAddress { await radio.hangUp(address) }
        } catch {
            logger.note(.error, "device not looked up", .device(device), .reason(error.what))
        }
    }

    private func prove() async {
        guard case .running(let running) = state, let device = running.device else { return }
        let (now, actor) = (clock.now(), running.actor)
        do throws(JournalError) {
            try await journal.write { tx in
                try tx.proveVerification(device: device.id, at: now)
                try tx.audit(at: now.wall, actor: actor, action: "verify-device", subject: "device:\(device.id)")
            }
            _ = try await desk.verificationEnded(device: device.id)
            courier.ring()
        } catch {
            failure = OperationError(error)
            logger.note(.error, "verification not written", .device(device.id), .reason(error.what))
        }
    }

    // MARK: Waiting

    private func wake() {
        let all = waiters
        waiters.removeAll()
        for waiter in all { waiter.resume() }
    }

    private func news(within patience: Duration) async {
        await withTaskGroup { group in
            group.addTask { await self.waitForNews() }
            group.addTask { try? await Task.sleep(for: patience) }
            await group.next()
            group.cancelAll()
            wake()
        }
    }

    private func waitForNews() async {
        await withCheckedContinuation { waiters.append($0) }
    }
}

/// What intake reports, on its way to the technician's procedure. Only the newest are kept: who proves a device hears of seconds, not
/// of months.
struct Hearing: Sendable {
    let events: AsyncStream<IntakeEvent>
    private let feed: AsyncStream<IntakeEvent>.Continuation

    init() {
        (events, feed) = AsyncStream.makeStream(of: IntakeEvent.self, bufferingPolicy: .bufferingNewest(256))
    }

    func hear(_ event: IntakeEvent) { feed.yield(event) }
}

extension Transaction {
    /// The paired device with its bond, and the beginning of its verification: one transaction, before anybody says "paired".
    ///
    /// A device that the hub knows by this address keeps its name, its key and its readings.
    func keepPaired(
        _ address: DeviceAddress, _ keys: BondKeys, adapter: String, model: Model, name: String?, by actor: String,
        at now: ClockReading
    ) throws(JournalError) -> Result<StoredDevice, OperationError> {
        let known = try devices().first { $0.bluetoothAddress == address && $0.state != .returned }
        let bearer = "bluetooth:\(address)"
        let device: DeviceRecord
        if let known {
            device = known
        } else {
            let wished = if let name { name } else { try freeName(for: model) }
            if let other = try holder(of: wished) {
                return .failure(
                    OperationError(
                        "The device was not paired.", why: "There is another device named \"\(other.name)\".",
                        remedy: "Give this one a name of its own with --name.", exitCode: 65))
            }
            device = try addDevice(name: wished, model: model.id, bearer: bearer, state: .provisioning, at: now.wall)
        }
        var record = device
        record.model = model.id
        record.identity.address = address.text
        // Handles may differ after a new pairing: the bond they were kept with is gone.
        record.handleMap = nil
        try update(record)
        try setBond(BondRecord(device: record.id, adapter: adapter, address: address, keys: keys, at: now.wall))
        try beginVerification(device: record.id, at: now)
        try clear(.bondLost, subject: record.conditionSubject)
        try audit(at: now.wall, actor: actor, action: "pair-device", subject: record.conditionSubject, detail: model.id)
        return .success(StoredDevice(id: record.id, name: record.name))
    }

    /// `cuff`, `cuff-2`: something that people can type.
    private func freeName(for model: Model) throws(JournalError) -> String {
        let base = model.driver == .bloodPressure ? "cuff" : "oximeter"
        var name = base
        var number = 1
        while try holder(of: name) != nil {
            number += 1
            name = "\(base)-\(number)"
        }
        return name
    }
}
