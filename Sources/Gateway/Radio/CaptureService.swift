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
    private var details: CaptureDetails?
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
            case .none: return .failure(.noCapture("Nothing was deleted."))
            case .running: return .failure(.captureRuns("Nothing was deleted."))
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

    private func begin(minutes: Int, reason: String, by actor: String) async -> Result<JSON, OperationError> {
        switch course.state {
        case .running: return .failure(.captureRuns("No second capture was started."))
        case .kept:
            return .failure(
                OperationError(
                    OperationError.captureNotStarted, why: "An earlier capture is kept, and there is room for one.",
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
                        OperationError.captureNotStarted,
                        why: "The disk has too little room left for a capture (\(free >> 20) MB).",
                        remedy: "Make room on the disk of the state directory, then start it again.", exitCode: 75))
            }
            do throws(BearerError) {
                try await monitor.start { [bell] in bell.ring() }
            } catch {
                return .failure(.captureRefused(error))
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
        let details = CaptureDetails(actor: actor, reason: reason, began: now, minutes: minutes)
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
            _ = try await writer.append(kind: CaptureBlock.beginning.rawValue, details.beginning.bytes)
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
                guard try await writer.append(kind: CaptureBlock.records.rawValue, chunk.bytes) else {
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
                _ = try await writer.append(
                    kind: CaptureBlock.end.rawValue, CaptureDetails.ending(end, details, at: now).bytes, isLast: true)
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
        while let block = try wholeBlock(of: spool, at: offset) {
            offset = block.next
            switch CaptureBlock(rawValue: block.kind) {
            case .beginning: details = CaptureDetails(block.bytes, foundAt: now)
            case .records:
                details?.bytes += block.bytes.count
                details?.records += BTSnoop.count(of: block.bytes)
            case .end:
                let json = try? JSON(parsing: block.bytes)
                let end = (json?["end"]?.string).flatMap(CaptureCourse.End.init(rawValue:)) ?? .restart
                details?.drops = json?["drops"]?.integer ?? 0
                ending = (ClockReading(captured: json?["clock"]) ?? now, end)
            case nil: break
            }
        }
        if let ending {
            course.found(ended: ending.clock, ending.end, at: now)
            // Also where the power went between the end and its telling.
            try await journal.write { tx in try Self.raiseKept(tx, ending.end, at: ending.clock) }
            return
        }
        course.found(ended: now, .restart, at: now)
        if let writer = try await journal.continueSpool(Self.name, at: offset, limit: CaptureCourse.mostBytes, on: files) {
            let block = CaptureDetails.ending(.restart, details, at: now)
            _ = try await writer.append(kind: CaptureBlock.end.rawValue, block.bytes, isLast: true)
            await writer.close()
        }
        logger.note(.notice, "radio capture ended", .code(CaptureCourse.End.restart))
        await tellKept(.restart, by: "hub", at: now)
    }

    /// What a power cut left of the last block may be of its length and not of its bytes: there the capture ends.
    private func wholeBlock(of spool: SpoolReader, at offset: Int) throws(JournalError) -> SealedSpool.Block? {
        do throws(JournalError) {
            return try spool.block(at: offset)
        } catch {
            guard case .sealBroken = error, offset > spool.start else { throw error }
            logger.note(.warning, "radio capture cut short", .reason(error.what), .bytes(spool.count - offset))
            return nil
        }
    }

    // MARK: Export

    private func piece(from offset: Int, by actor: String) async -> Result<JSON, OperationError> {
        let what = "The capture was not exported."
        switch course.state {
        case .none: return .failure(.noCapture(what))
        case .running: return .failure(.captureRuns(what))
        case .kept: break
        }
        do throws(JournalError) {
            guard let spool = try await journal.spool(Self.name) else { return .failure(.noCapture(what)) }
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
                if block.kind == CaptureBlock.records.rawValue { bytes = block.bytes }
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
}
