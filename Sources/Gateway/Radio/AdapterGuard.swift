import Bluetooth
import Courier
import EventLoop
import ExactJSON
import HubAPI
import Journal
import Logging
import Protocols
import ServiceLifecycle
import Vitals

/// Keeps the radio going: starts it when nothing is in its way, sees when an adapter is stuck, and brings it back rung by rung.
/// Tells as a condition what a person has to mend.
actor AdapterGuard: Service {
    private let radio: Radio
    private let wanted: [String]
    private let journal: Journal
    private let clock: any Vitals.Clock
    private let logger: Logger
    /// Files of /sys and /proc are read here, off the cooperative pool.
    private let files: EventLoop
    private let surgery = AdapterSurgery()
    private let bell = Doorbell()
    private var detector = StuckDetector<DeviceAddress>()
    private var ladder = RecoveryLadder()
    /// The adapter that is stuck, or was the last to be.
    private var index: UInt16 = 0
    private var hasStarted = false
    private var isProbing = false
    private var ladderWake: MonotonicTime?
    private var nextStart = MonotonicTime(milliseconds: 0)
    private var began: MonotonicTime
    private var waiters: [CheckedContinuation<Void, Never>] = []
    /// Whether an adapter was ready once since the last start: what follows is a loss, not an absence.
    private var isReady = false

    /// Between tries at a machine that does not let us: rights, modules and dongles change by a person's hand.
    private static let startPause = Duration.seconds(10)

    init(
        radio: Radio, wanted: [String], journal: Journal, clock: any Vitals.Clock, files: EventLoop, logger: Logger
    ) {
        self.radio = radio
        self.wanted = wanted
        self.journal = journal
        self.clock = clock
        self.files = files
        self.logger = logger
        began = clock.now().monotonic
    }

    private var now: MonotonicTime { clock.now().monotonic }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await self.turn()
                await self.bell.wait(atMost: self.pause)
            }
        }
    }

    private var pause: Duration {
        var times = [ladderWake, isReady ? detector.nextLook(from: began) : nil].compactMap { $0 }
        if !hasStarted || !isReady { times.append(nextStart) }
        return max(.milliseconds(50), (times.min() ?? now + .seconds(60)) - now)
    }

    private func turn() async {
        if !hasStarted || !isReady, now >= nextStart {
            nextStart = now + Self.startPause
            await start()
        }
        if let wake = ladderWake, now >= wake {
            ladderWake = nil
            await climb(ladder.timer(at: now))
        }
        if isReady, !ladder.isActive, !isProbing, now >= detector.nextLook(from: began) {
            isProbing = true
            await radio.scan(true)
        }
    }

    /// What stands in the way is told; where nothing does, the radio is started.
    private func start() async {
        let facts = await read()
        // Of an earlier boot: a fault lasts until the machine is started anew.
        if !facts.kernel.hasDied { await clear(.kernelFault) }
        let obstacles = facts.obstacles(wanting: wanted)
        if let first = obstacles.first {
            logger.note(.warning, "radio obstructed", .reason(first.what))
            await tell(first.condition, "\(first.what) \(first.why) \(first.remedy)")
            if first.isLiftedByLadder, hasStarted, !ladder.isActive { await climb(ladder.start(at: now)) }
        }
        // Beside bluetoothd nothing is started: it would confirm what is not stored (R1). Without rights or kernel nothing can be.
        guard !hasStarted, !obstacles.contains(where: \.forbidsStart) else { return }
        do throws(BearerError) {
            try await radio.start()
            hasStarted = true
        } catch {
            logger.note(.error, "radio not started", .reason("\(error)"))
        }
    }

    private func read() async -> AdapterFacts {
        await withCheckedContinuation { done in files.execute { done.resume(returning: AdapterFacts.read()) } }
    }

    // MARK: What the radio tells

    func hear(_ report: AdapterMachine.Report, of index: UInt16) async {
        switch report {
        case .ready:
            self.index = index
            isReady = true
            began = now
            await tell(nil, "")
            await climb(ladder.proved(true, at: now))
        case .unusable(let opcode, let status):
            isReady = await radio.isReady
            if !ladder.isActive { await stuck(index, "The adapter refuses \"\(opcode)\": \(status).") }
        case .poweredOff:
            isReady = await radio.isReady
            await stuck(index, "Somebody switched the adapter off.")
        case .unanswered(let opcode): await observe(.unanswered(opcode: opcode.rawValue), index)
        case .controllerError(let code): await observe(.controllerError(code), index)
        case .connectFailed(let address, _): await observe(.connectFailed(address), index)
        case .connected(let address): await observe(.connected(address), index)
        case .found: if !isProbing { await observe(.heard, index) }
        case .looked(let heard):
            if isProbing {
                isProbing = false
                await radio.scan(false)
            }
            await observe(.looked(heard: heard), index)
        case .passedOver(let address): await observe(.passedOver(address), index)
        case .lacks, .disconnected, .keyRefused, .bondLost, .pairing, .pairingRefused: break
        }
        bell.ring()
    }

    /// The management channel is gone, or the last adapter.
    func lost(channel: Bool) async {
        isReady = false
        isProbing = false
        if channel { hasStarted = false }
        nextStart = now
        bell.ring()
    }

    /// The kernel took a fault in our name. The radio goes on; a person has to know, for the kernel's memory may be harmed.
    func kernelFault() async {
        logger.note(.error, "kernel fault", .reason("a thread did not come back from closing a link"))
        let condition = Condition(
            .kernelFault, subject: "adapter", since: clock.now().wall,
            reason: "The kernel took a fault while a lost link was closed.")
        await write { try $0.raise(condition) }
    }

    private func clear(_ code: Condition.Code) async {
        await write { try $0.clear(code, subject: "adapter") }
    }

    private func observe(_ event: StuckDetector<DeviceAddress>.Event, _ index: UInt16) async {
        guard let reason = detector.observe(event, at: now) else { return }
        await stuck(index, "\(reason)")
    }

    private func stuck(_ index: UInt16, _ reason: String) async {
        self.index = index
        logger.note(.error, "adapter stuck", .reason(reason))
        await tell(.adapterStuck, reason)
        await climb(ladder.start(at: now))
    }

    // MARK: The ladder

    private func climb(_ actions: [RecoveryLadder.Action]) async {
        for action in actions {
            switch action {
            case .wake(let at):
                ladderWake = at
                bell.ring()
            case .climb(let rung): await climb(rung)
            case .prove: if !(await radio.isReady) { await radio.restart() } else { await climb(ladder.proved(true, at: now)) }
            case .report(let report): note(report)
            }
        }
    }

    private func climb(_ rung: RecoveryLadder.Rung) async {
        let adapter = Int(index)
        let outcome: RecoveryLadder.Outcome
        switch rung {
        case .rfkillUnblock: outcome = await surgery.rfkillUnblock(adapter: adapter)
        case .powerCycle:
            guard hasStarted else {
                outcome = .notApplicable("the radio is not started")
                break
            }
            isReady = false
            await radio.restart()
            outcome = .succeeded
        case .interfaceDownUp: outcome = await surgery.interfaceDownUp(adapter: adapter)
        case .usbReset:
            let (reset, back) = await surgery.usbReset(adapter: adapter)
            outcome = reset
            index = UInt16(clamping: back)
        }
        await climb(ladder.ended(rung, outcome, at: now))
    }

    private func note(_ report: RecoveryLadder.Report) {
        switch report {
        case .step(let step): logger.note(.notice, "adapter recovery", .reason("\(step.rung.rawValue): \(step.outcome)"))
        case .recovered(let rung): logger.note(.notice, "adapter works again", .reason(rung?.rawValue ?? "by itself"))
        case .exhausted: logger.note(.error, "adapter recovery exhausted")
        }
        if case .step = report { return }
        let all = waiters
        waiters.removeAll()
        for waiter in all { waiter.resume() }
    }

    /// A person asks for the whole ladder; returns when it has ended, one way or the other.
    func reset() async -> JSON {
        await climb(ladder.startAsked(at: now))
        if ladder.isActive { await withCheckedContinuation { waiters.append($0) } }
        return .members([
            "works": .bool(await radio.isReady),
            "steps": .array(
                ladder.steps.map { step in
                    .members([
                        "rung": .string(step.rung.rawValue), "outcome": .string("\(step.outcome)"),
                        "milliseconds": .integer(step.took.milliseconds), "works": step.works.map { .bool($0) },
                    ])
                }),
        ])
    }

    // MARK: Conditions

    private static let codes: [Condition.Code] = [.adapterStuck, .adapterMissing, .adapterBlocked]

    /// - Parameter code: `nil` where the adapter works.
    private func tell(_ code: Condition.Code?, _ reason: String) async {
        let now = clock.now().wall
        await write { tx in
            for other in Self.codes where other != code { try tx.clear(other, subject: "adapter") }
            if let code { try tx.raise(Condition(code, subject: "adapter", since: now, reason: reason)) }
        }
    }

    private func write(_ body: @escaping @Sendable (Transaction) throws -> Void) async {
        do throws(JournalError) {
            try await journal.write { try body($0) }
        } catch {
            logger.note(.error, "condition not written", .reason(error.what))
        }
    }
}

extension AdapterFacts.Obstacle {
    /// Whether the radio must not, or cannot, be started while it stands. A missing or blocked adapter may come: it is waited for.
    fileprivate var forbidsStart: Bool {
        switch self {
        case .bluetoothdRunning, .notInKernel, .familyForbidden, .socketRefused, .rightMissing: true
        case .noAdapter, .noDriver, .wantedNotThere, .firmwareMissing, .hardBlocked, .softBlocked: false
        }
    }
}
