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

/// A technician's capture of the radio: at most one, sealed on disk, ended and deleted by itself, and told as a condition for as long as
/// there is anything of it. The shell around ``CaptureCourse``.
actor CaptureService: Service {
    /// Who asked for it and why, and what came of it so far.
    private struct Details {
        var actor: String
        var reason: String
        var began: ClockReading
        var minutes: Int
        var records = 0
        var drops = 0
        var bytes = 0
    }

    /// What a block of the spool is.
    private enum Kind: UInt8 {
        /// JSON: by whom, why, when, for how long.
        case beginning = 1
        /// btsnoop records.
        case records
        /// JSON: when and why it ended.
        case end
    }

    nonisolated var unownedExecutor: UnownedSerialExecutor { files.asUnownedSerialExecutor() }

    private let journal: Journal
    private let monitor: RadioMonitor
    /// What the free space may not fall to (R9).
    private let lowBytes: Int
    private let alarm: SpaceAlarm
    private let clock: any Vitals.Clock
    /// The file is read and written here, where no device waits.
    private nonisolated let files: EventLoop
    private let logger: Logger
    private let bell = Doorbell()
    private var course = CaptureCourse()
    private var details: Details?
    private var writer: SpoolWriter?
    /// Where the export that somebody reads goes on; what begins elsewhere is an export of its own.
    private var exporting: Int?
    private var isRecovered = false
    private var isBusy = false
    private var waiters: [CheckedContinuation<Void, Never>] = []

    private static let name = "capture"
    private static let subject = "adapter"
    /// With a kept capture, whose end is hours away, and with none.
    private static let look = Duration.seconds(600)

    init(
        journal: Journal, monitor: RadioMonitor, lowBytes: Int, alarm: SpaceAlarm, clock: any Vitals.Clock, files: EventLoop,
        logger: Logger
    ) {
        self.journal = journal
        self.monitor = monitor
        self.lowBytes = lowBytes
        self.alarm = alarm
        self.clock = clock
        self.files = files
        self.logger = logger
    }

    func run() async throws {
        await exclusively {}
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await self.bell.wait(atMost: self.pause)
                await self.exclusively { await self.turn() }
            }
        }
        await exclusively { if self.course.isRunning { await self.end(.restart, by: "hub") } }
    }

    private var pause: Duration {
        guard let left = course.left(at: clock.now()) else { return Self.look }
        return max(.milliseconds(50), min(left, course.isRunning ? CaptureCourse.interval : Self.look))
    }

    private func turn() async {
        if course.isRunning { await drain() }
        switch course.due(at: clock.now()) {
        case .end(let end): await self.end(end, by: "hub")
        case .delete: await delete(by: "hub", why: "kept for its time")
        case nil: break
        }
    }

    /// What an earlier run left comes first. Then one after the other: each of them waits for the journal or the file in between.
    private func exclusively<Value: Sendable>(_ body: () async -> Value) async -> Value {
        if isBusy { await withCheckedContinuation { waiters.append($0) } } else { isBusy = true }
        if !isRecovered {
            isRecovered = true
            await recover()
        }
        let value = await body()
        if waiters.isEmpty { isBusy = false } else { waiters.removeFirst().resume() }
        return value
    }

    // MARK: Asked by people

    func start(minutes: Int, reason: String, by actor: String) async -> Result<JSON, OperationError> {
        await exclusively { await self.begin(minutes: minutes, reason: reason, by: actor) }
    }

    func stop(by actor: String) async -> Result<JSON, OperationError> {
        await exclusively {
            guard self.course.isRunning else {
                return .failure(
                    OperationError(
                        "Nothing was stopped.", why: "No capture is running.",
                        remedy: "See `vitalgate adapter capture status`.", exitCode: 65))
            }
            await self.drain()
            if self.course.isRunning { await self.end(.stopped, by: actor) }
            return .success(self.story)
        }
    }

    func status() async -> JSON { await exclusively { self.story } }

    func delete(by actor: String) async -> Result<JSON, OperationError> {
        await exclusively {
            switch self.course.state {
            case .none: return .failure(Self.nothing("Nothing was deleted."))
            case .running: return .failure(Self.runs("Nothing was deleted."))
            case .kept:
                await self.delete(by: actor, why: "a person said so")
                return .success(["deleted": true])
            }
        }
    }

    /// A piece of the btsnoop file, and where the next begins; each export is audited before its first byte leaves.
    func read(from offset: Int, by actor: String) async -> Result<JSON, OperationError> {
        await exclusively { await self.piece(from: offset, by: actor) }
    }

    /// The disk fills, or the hub is wiped: nothing of it stays.
    func drop(why: String) async {
        await exclusively {
            if self.course.isRunning { await self.end(.storage, by: "hub") }
            if case .kept = self.course.state { await self.delete(by: "hub", why: why) }
        }
    }

    // MARK: Its course

    private static let notStarted = "The radio is not being recorded."

    private func begin(minutes: Int, reason: String, by actor: String) async -> Result<JSON, OperationError> {
        switch course.state {
        case .running: return .failure(Self.runs("No second capture was started."))
        case .kept:
            return .failure(
                OperationError(
                    Self.notStarted, why: "An earlier capture is kept, and there is room for one.",
                    remedy: "Fetch it with `vitalgate adapter capture export`, then `vitalgate adapter capture delete`.",
                    exitCode: 75))
        case .none: break
        }
        let now = clock.now()
        do throws(JournalError) {
            let free = try await journal.storage().freeBytes
            guard alarm.condition == nil, free - CaptureCourse.mostBytes >= lowBytes else {
                return .failure(
                    OperationError(
                        Self.notStarted, why: "The disk has too little room left for a capture (\(free >> 20) MB).",
                        remedy: "Make room on the disk of the state directory, then start it again.", exitCode: 75))
            }
            do throws(BearerError) {
                try await monitor.start { [bell] in bell.ring() }
            } catch {
                return .failure(Self.refused(error))
            }
            do throws(JournalError) {
                let begun = try await open(minutes: minutes, reason: reason, by: actor, at: now)
                writer = begun
            } catch {
                await monitor.stop()
                await journal.deleteSpool(Self.name)
                throw error
            }
        } catch {
            return .failure(OperationError(error))
        }
        course.start(minutes: minutes, at: now)
        logger.note(.warning, "radio capture started", .duration(.seconds(minutes * 60)))
        bell.ring()
        return .success(story)
    }

    /// Told and audited before anything is written.
    private func open(minutes: Int, reason: String, by actor: String, at now: ClockReading) async throws(JournalError)
        -> SpoolWriter
    {
        let details = Details(actor: actor, reason: reason, began: now, minutes: minutes)
        try await journal.write { tx in
            try tx.audit(
                at: now.wall, actor: actor, action: "capture-start", subject: Self.subject, detail: "\(minutes) min: \(reason)")
            try tx.clear(.captureKept, subject: Self.subject)
            try tx.raise(
                Condition(
                    .captureRunning, subject: Self.subject, since: now.wall,
                    reason: "A technician records the radio; it holds health data. It ends by itself after \(minutes) min."))
        }
        do throws(JournalError) {
            let writer = try await journal.makeSpool(Self.name, limit: CaptureCourse.mostBytes, on: files)
            let beginning = JSON.members([
                "by": .string(actor), "why": .string(reason), "minutes": .integer(minutes), "clock": Self.json(now),
            ])
            _ = try await writer.append(kind: Kind.beginning.rawValue, beginning.bytes)
            self.details = details
            return writer
        } catch {
            try await journal.write { tx in try tx.clear(.captureRunning, subject: Self.subject) }
            throw error
        }
    }

    /// Writes what was heard; ends the capture where its file is full, or it cannot be gone on with.
    private func drain() async {
        while course.isRunning, let writer, let chunk = await monitor.take() {
            do throws(JournalError) {
                guard try await writer.append(kind: Kind.records.rawValue, chunk.bytes) else {
                    return await end(.size, by: "hub")
                }
                details?.records += chunk.records
                details?.bytes += chunk.bytes.count
            } catch {
                logger.note(.error, "radio capture not written", .reason(error.what))
                return await end(.failed, by: "hub")
            }
        }
        guard course.isRunning, let failure = await monitor.failure else { return }
        logger.note(.error, "radio capture failed", .reason("\(failure)"))
        await end(.failed, by: "hub")
    }

    private func end(_ end: CaptureCourse.End, by actor: String) async {
        await monitor.stop()
        let now = clock.now()
        details?.drops = Int(await monitor.drops)
        course.end(end, at: now)
        if let writer {
            do throws(JournalError) {
                _ = try await writer.append(kind: Kind.end.rawValue, Self.endBlock(end, details, now).bytes, isLast: true)
            } catch {
                // It will be found as interrupted.
                logger.note(.error, "radio capture not written", .reason(error.what))
            }
            await writer.close()
        }
        writer = nil
        logger.note(.notice, "radio capture ended", .code(end), .count(details?.records ?? 0))
        await tellKept(end, by: actor, at: now)
    }

    private func tellKept(_ end: CaptureCourse.End, by actor: String, at now: ClockReading) async {
        do throws(JournalError) {
            try await journal.write { tx in
                try tx.audit(at: now.wall, actor: actor, action: "capture-stop", subject: Self.subject, detail: end.words)
                try Self.raiseKept(tx, end, at: now)
            }
        } catch {
            logger.note(.error, "condition not written", .reason(error.what))
        }
    }

    private static func raiseKept(_ tx: Transaction, _ end: CaptureCourse.End, at now: ClockReading) throws(JournalError) {
        try tx.clear(.captureRunning, subject: subject)
        try tx.raise(
            Condition(
                .captureKept, subject: subject, since: now.wall,
                reason: "A record of the radio is kept, sealed; it holds health data. It ended because \(end.words). "
                    + "It is deleted \(CaptureCourse.keeping.milliseconds / 3_600_000) h after its end."))
    }

    private func delete(by actor: String, why: String) async {
        await journal.deleteSpool(Self.name)
        course.deleted()
        details = nil
        exporting = nil
        let now = clock.now().wall
        logger.note(.notice, "radio capture deleted")
        do throws(JournalError) {
            try await journal.write { tx in
                try tx.clear(.captureRunning, subject: Self.subject)
                try tx.clear(.captureKept, subject: Self.subject)
                try tx.audit(at: now, actor: actor, action: "capture-delete", subject: Self.subject, detail: why)
            }
        } catch {
            logger.note(.error, "condition not written", .reason(error.what))
        }
    }

    // MARK: After a restart

    /// What an earlier run of the daemon left: one that it interrupted has ended with it.
    private func recover() async {
        do throws(JournalError) {
            guard let spool = try await journal.spool(Self.name) else {
                try await journal.write { tx in
                    for code in [Condition.Code.captureRunning, .captureKept] { try tx.clear(code, subject: Self.subject) }
                }
                return
            }
            try await adopt(spool)
        } catch {
            logger.note(.error, "radio capture not readable", .reason(error.what))
            if await journal.hasSpool(Self.name) { await delete(by: "hub", why: "it could not be read: \(error.what)") }
        }
    }

    private func adopt(_ spool: SpoolReader) async throws(JournalError) {
        let now = clock.now()
        var offset = spool.start
        var ending: (clock: ClockReading, end: CaptureCourse.End)?
        while let block = try spool.block(at: offset) {
            offset = block.next
            switch Kind(rawValue: block.kind) {
            case .beginning: details = Self.details(block.bytes, now)
            case .records: details?.bytes += block.bytes.count
            case .end:
                let json = try? JSON(parsing: block.bytes)
                let end = (json?["end"]?.string).flatMap(CaptureCourse.End.init(rawValue:)) ?? .restart
                details?.records = json?["records"]?.integer ?? 0
                details?.drops = json?["drops"]?.integer ?? 0
                ending = (Self.clock(json?["clock"]) ?? now, end)
            case nil: break
            }
        }
        if let ending {
            course.found(ended: ending.clock, ending.end, at: now)
            return
        }
        course.found(ended: now, .restart, at: now)
        if let writer = try await journal.continueSpool(Self.name, at: offset, limit: CaptureCourse.mostBytes, on: files) {
            let block = Self.endBlock(.restart, details, now)
            _ = try await writer.append(kind: Kind.end.rawValue, block.bytes, isLast: true)
            await writer.close()
        }
        logger.note(.notice, "radio capture ended", .code(CaptureCourse.End.restart))
        await tellKept(.restart, by: "hub", at: now)
    }

    // MARK: Export

    private func piece(from offset: Int, by actor: String) async -> Result<JSON, OperationError> {
        let what = "The capture was not exported."
        switch course.state {
        case .none: return .failure(Self.nothing(what))
        case .running: return .failure(Self.runs(what))
        case .kept: break
        }
        do throws(JournalError) {
            guard let spool = try await journal.spool(Self.name) else { return .failure(Self.nothing(what)) }
            if offset == 0 || offset != exporting {
                let now = clock.now().wall
                try await journal.write { tx in
                    try tx.audit(at: now, actor: actor, action: "capture-export", subject: Self.subject, detail: nil)
                }
                logger.note(.notice, "radio capture exported")
            }
            var bytes: [UInt8] = []
            var next: Int? = spool.start
            if offset == 0 {
                bytes = BTSnoop.header
            } else if let block = try spool.block(at: offset) {
                if block.kind == Kind.records.rawValue { bytes = block.bytes }
                next = block.next
            } else {
                next = nil
            }
            exporting = next
            return .success(
                .members([
                    "hex": .string(bytes.hex), "next": next.map { .integer($0) }, "bytes": .integer(spool.count),
                ]))
        } catch {
            return .failure(OperationError(error))
        }
    }

    // MARK: Words

    private var story: JSON {
        let now = clock.now()
        let left = course.left(at: now).map { JSON.integer(max($0, .zero).milliseconds / 1_000) }
        let told = JSON.members([
            "reason": details.map { .string($0.reason) }, "by": details.map { .string($0.actor) },
            "since": details.map { .string("\($0.began.wall)") }, "minutes": details.map { .integer($0.minutes) },
            "records": details.map { .integer($0.records) }, "bytes": details.map { .integer($0.bytes) },
            "drops": details.map { .integer($0.drops) },
        ])
        let state: JSON =
            switch course.state {
            case .none: ["state": "none"]
            case .running: .members(["state": "running", "secondsLeft": left])
            case .kept(let ended, let end, _):
                .members([
                    "state": "kept", "ended": .string("\(ended.wall)"), "endedBecause": .string(end.words),
                    "deletedInSeconds": left,
                ])
            }
        return .object((state.object ?? []) + (told.object ?? []))
    }

    private static func nothing(_ what: String) -> OperationError {
        OperationError(
            what, why: "There is no capture.", remedy: "Start one with `vitalgate adapter capture start --reason TEXT`.",
            exitCode: 65)
    }

    private static func runs(_ what: String) -> OperationError {
        OperationError(
            what, why: "A capture is running.", remedy: "End it first: `vitalgate adapter capture stop`.", exitCode: 75)
    }

    static func refused(_ error: BearerError) -> OperationError {
        if case .system(_, let code) = error, code == EPERM || code == EACCES {
            let name = AdapterFacts.Rights.Capability.netRaw.name
            return OperationError(
                notStarted, why: "The daemon does not have \(name), which the kernel asks for before it shows packets.",
                remedy:
                    "Run it as the service vitalgate.service, whose unit gives \(name); `vitalgate doctor` shows what it has.",
                exitCode: 77)
        }
        return OperationError(
            notStarted, why: "The kernel's monitor channel could not be opened (\(error)).",
            remedy: "`vitalgate doctor` says what is missing.", exitCode: 69)
    }

    // MARK: Blocks

    private static func json(_ clock: ClockReading) -> JSON {
        [
            "wall": .integer(clock.wall.milliseconds), "monotonic": .integer(clock.monotonic.milliseconds),
            "boot": .string(clock.boot.rawValue),
        ]
    }

    private static func clock(_ json: JSON?) -> ClockReading? {
        guard let wall = json?["wall"]?.integer, let monotonic = json?["monotonic"]?.integer, let boot = json?["boot"]?.string
        else { return nil }
        return ClockReading(
            wall: Instant(milliseconds: Int64(wall)), offsetMinutes: 0, monotonic: MonotonicTime(milliseconds: Int64(monotonic)),
            boot: BootID(rawValue: boot), source: .unsynchronised)
    }

    private static func details(_ bytes: [UInt8], _ now: ClockReading) -> Details {
        let json = try? JSON(parsing: bytes)
        return Details(
            actor: json?["by"]?.string ?? "unknown", reason: json?["why"]?.string ?? "", began: clock(json?["clock"]) ?? now,
            minutes: json?["minutes"]?.integer ?? 0)
    }

    private static func endBlock(_ end: CaptureCourse.End, _ details: Details?, _ now: ClockReading) -> JSON {
        [
            "end": .string(end.rawValue), "clock": json(now), "records": .integer(details?.records ?? 0),
            "drops": .integer(details?.drops ?? 0),
        ]
    }
}

extension CaptureCourse.End {
    /// Behind "because".
    var words: String {
        switch self {
        case .stopped: "a person stopped it"
        case .time: "its minutes were over"
        case .size: "its file was full"
        case .storage: "the disk filled up, or the hub was wiped"
        case .failed: "it could not be gone on with"
        case .restart: "the daemon ended"
        }
    }
}
