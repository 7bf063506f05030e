import Courier
import EventLoop
import Glibc
import Intake
import Journal
import Logging
import ServiceLifecycle
import Steward
import Synchronization
import Vitals

/// Tells the service manager that the daemon lives: only when every loop and the journal have answered within half the watchdog's
/// time. Idle is progress, and a slow disk is not death: the journal has that long for one transaction.
struct Watchdog: Service {
    let notifier: SystemdNotifier
    let loops: [EventLoop]
    let journal: Journal
    let logger: Logger

    func run() async throws {
        await cancelWhenGracefulShutdown {
            // Without a watchdog there is nothing to feed; the service has to stay, or the group would end.
            guard let limit = notifier.watchdogInterval else {
                await Doorbell().wait()
                return
            }
            let half = limit / 2
            while !Task.isCancelled {
                let started = ContinuousClock.now
                if await allAnswer(within: half) {
                    notifier.alive()
                } else if !Task.isCancelled {
                    logger.note(.critical, "a loop does not answer", .duration(half))
                }
                try? await Task.sleep(until: started + half / 2, clock: .continuous)
            }
        }
    }

    private func allAnswer(within limit: Duration) async -> Bool {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask {
                for loop in loops where !(await loop.ping()) { return false }
                _ = await journal.state
                return true
            }
            group.addTask {
                try? await Task.sleep(for: limit)
                return false
            }
            let answered = await group.next() ?? false
            group.cancelAll()
            return answered
        }
    }
}

/// Watches whether the hub's clock is synchronised; when it becomes so, what waited for it is put right and leaves (R5).
struct ClockWatch: Service {
    let clock: any Clock
    let journal: Journal
    let desk: Desk
    let courier: Courier
    /// How long without synchronisation before a person is told.
    let patience: Duration
    let logger: Logger

    /// While unsynchronised: readings wait for it. A look is one system call.
    private static let impatient = Duration.seconds(1)
    /// While synchronised: the kernel drops the flag after its error bound grew for 16,000 s (adjtimex(2), MAXPHASE at 500 ppm), so a
    /// minute is soon enough.
    private static let calm = Duration.seconds(60)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            // Since when nothing has vouched for the clock.
            var began = clock.now()
            var wasSynchronised = false
            var isTold = false
            while !Task.isCancelled {
                let now = clock.now()
                do throws(JournalError) {
                    if now.isSynchronised {
                        if wasSynchronised { try await putRightLatecomers(now) } else { try await synchronised(now) }
                        began = now
                        isTold = false
                    } else if now.monotonic - began.monotonic >= patience, !isTold {
                        let began = began
                        try await journal.write { tx in
                            try tx.raise(
                                Condition(
                                    .clockUnsynchronised, subject: "hub", since: began.wall,
                                    reason: "Nothing vouches for the hub's clock: readings are taken and do not leave."))
                        }
                        isTold = true
                    }
                    wasSynchronised = now.isSynchronised
                } catch {
                    logger.note(.error, "clock watch failed", .reason(error.what))
                }
                try? await Task.sleep(for: now.isSynchronised ? Self.calm : Self.impatient)
            }
        }
    }

    /// A frame that came before the synchronisation may have been committed after it: behind a slow disk, or on a link that was
    /// up already.
    private func putRightLatecomers(_ now: ClockReading) async throws(JournalError) {
        if try await desk.clockSynchronised(now) > 0 { courier.ring() }
    }

    private func synchronised(_ now: ClockReading) async throws(JournalError) {
        let count = try await desk.clockSynchronised(now)
        try await journal.write { tx in try tx.clear(.clockUnsynchronised, subject: "hub") }
        logger.note(.notice, "hub clock synchronised", .code(now.source), .count(count))
        courier.ring()
    }
}

/// Rung when a write failed for want of space, so that housekeeping looks at once.
final class SpaceAlarm: Sendable {
    private let isRung = Mutex(false)
    private let standing = Mutex<Condition?>(nil)
    private let bell = Doorbell()

    func ring() {
        isRung.withLock { $0 = true }
        bell.ring()
    }

    func take() -> Bool {
        isRung.withLock { isRung in
            defer { isRung = false }
            return isRung
        }
    }

    /// What stands about the disk; kept here too, since a full disk may not take it into the journal.
    var condition: Condition? {
        get { standing.withLock(\.self) }
        set { standing.withLock { $0 = newValue } }
    }

    func wait(atMost duration: Duration) async { await bell.wait(atMost: duration) }
}

/// Retention and the disk-full order (R9).
struct Housekeeping: Service {
    let journal: Journal
    let storage: Configuration.Storage
    let gate: IntakeGate
    let alarm: SpaceAlarm
    let capture: CaptureService?
    let clock: any Clock
    let logger: Logger

    /// While the disk has room: retention runs in days, and a disk that fills up suddenly rings the alarm.
    private static let calm = Duration.seconds(600)
    /// While it is short: room may come back any moment, and devices wait.
    private static let pressed = Duration.seconds(2)
    /// Acts a piece, so that no intake commit waits behind one (R1: 20 ms).
    private static let piece = 20

    func run() async throws {
        await cancelWhenGracefulShutdown {
            var pressure = StoragePressure(
                limits: .init(
                    low: Int64(storage.lowMegabytes) << 20, full: Int64(storage.fullMegabytes) << 20,
                    ballast: Int64(storage.ballastMegabytes) << 20),
                isBallastHeld: await journal.reserve == .held)
            await forgetEarlierRun()
            while !Task.isCancelled {
                await look(&pressure)
                await alarm.wait(atMost: pressure.level == .ok ? Self.calm : Self.pressed)
            }
        }
    }

    /// What an earlier run said of the disk: the first look says it anew where it still holds.
    private func forgetEarlierRun() async {
        do throws(JournalError) {
            try await journal.write { tx in
                for code in [Condition.Code.storageLow, .storageFull] { try tx.clear(code, subject: "hub") }
            }
        } catch {
            logger.note(.error, "housekeeping failed", .reason(error.what))
        }
    }

    private func look(_ pressure: inout StoragePressure) async {
        let now = clock.now()
        do throws(JournalError) {
            let free = Int64(clamping: try await journal.storage().freeBytes)
            if now.isSynchronised { try await purge(at: now) }
            var actions = alarm.take() ? pressure.writeFailedForSpace() : pressure.observe(freeBytes: free)
            while !actions.isEmpty {
                let action = actions.removeFirst()
                logger.note(.warning, "storage", .code(action))
                do throws(JournalError) {
                    actions += try await take(action, &pressure, free: free, at: now)
                } catch {
                    // On a full disk even a deletion may fail: the ballast is still to be released, and the person to be told.
                    logger.note(.error, "housekeeping failed", .reason(error.what))
                }
            }
            try await tell(pressure, at: now)
        } catch {
            logger.note(.error, "housekeeping failed", .reason(error.what))
        }
    }

    /// Past retention only: what a receiver has and the programme still wants on the hub is kept to the last.
    private func purge(at now: ClockReading) async throws(JournalError) {
        let before = now.wall - .seconds(Int64(storage.retentionDeliveredDays) * 86_400)
        var purged = 0
        while !Task.isCancelled,
            case let count = try await journal.purgeDelivered(before: before, limit: Self.piece, at: now.wall), count > 0
        {
            purged += count
        }
        if purged > 0 { logger.note(.info, "delivered readings past retention purged", .count(purged)) }
    }

    /// - Returns: what follows from how it went.
    private func take(
        _ action: StoragePressure.Action, _ pressure: inout StoragePressure, free: Int64, at now: ClockReading
    ) async throws(JournalError) -> [StoragePressure.Action] {
        switch action {
        case .dropCapture: await capture?.drop(why: "the disk filled up")
        case .purgeDelivered: if now.isSynchronised { try await purge(at: now) }
        case .dropLogs:
            _ = try await journal.write { tx in try tx.dropDeviceLog(limit: 1_000) }
            _ = try await journal.write { tx in try tx.dropTransfers(before: now.wall, limit: 1_000) }
        case .dropAttemptDetail: _ = try await journal.write { tx in try tx.dropAttemptDetail(before: now.wall, limit: 1_000) }
        case .releaseBallast: try await journal.releaseReserve()
        case .restoreBallast: return pressure.ballastRestored(await journal.restoreReserve() == .held, freeBytes: free)
        case .stopConfirming, .stopConnecting: gate.close()
        case .resumeConfirming, .resumeConnecting: gate.open()
        }
        return []
    }

    private func tell(_ pressure: StoragePressure, at now: ClockReading) async throws(JournalError) {
        let code = pressure.condition
        guard code != alarm.condition?.code || code == .storageFull else { return }
        alarm.condition = code.map {
            Condition(
                $0, subject: "hub", since: alarm.condition?.since ?? now.wall,
                reason: "The state directory's disk is \($0 == .storageFull ? "full" : "nearly full").")
        }
        let condition = alarm.condition
        try await journal.write { tx in
            for other in [Condition.Code.storageLow, .storageFull] where other != code { try tx.clear(other, subject: "hub") }
            if let condition { try tx.raise(condition) }
        }
    }
}
