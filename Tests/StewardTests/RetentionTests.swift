import Steward
import Testing
import Vitals

@Suite struct RetentionTests {
    let rule = Retention(days: 90)
    let settled = utc("2026-01-01T00:00:00")
    let past = look("2026-04-01T00:00:00")

    @Test(
        "R9 only what is delivered everywhere and past retention may be purged",
        arguments: [
            ([ItemState.delivered], true), ([.delivered, .delivered], true), ([.delivered, .withdrawn], true),
            ([], false), ([.withdrawn], false), ([.delivered, .waiting], false), ([.delivered, .sending], false),
            ([.delivered, .uncertain], false), ([.delivered, .quarantined], false), ([.waiting], false),
        ])
    func r9_onlyDelivered(items: [ItemState], expected: Bool) {
        #expect(rule.mayPurge(state: .ready, items: items, lastSettled: settled, now: past) == expected)
    }

    @Test("R9 not before its time, and not by a clock that nothing vouches for")
    func r9_retentionPeriod() {
        let items = [ItemState.delivered]
        #expect(rule.mayPurge(state: .ready, items: items, lastSettled: settled, now: past))
        #expect(!rule.mayPurge(state: .ready, items: items, lastSettled: settled, now: look("2026-03-31T23:59:59")))
        #expect(!rule.mayPurge(state: .ready, items: items, lastSettled: nil, now: past))
        #expect(
            !rule.mayPurge(
                state: .ready, items: items, lastSettled: settled, now: look("2040-01-01T00:00:00", source: .unsynchronised)))
    }

    @Test(
        "R9 held, invalid, test, guest and rejected readings are not dropped by age",
        arguments: [
            ActState.held(.unassigned), .invalid, .test, .guest, .rejected,
        ])
    func r9_nothingUndeliveredByAge(state: ActState) {
        #expect(!rule.mayPurge(state: state, items: [.delivered], lastSettled: settled, now: past))
    }

    @Test("R9 a retracted reading goes when its retraction is delivered")
    func r9_retracted() {
        #expect(rule.mayPurge(state: .retracted, items: [.delivered, .delivered], lastSettled: settled, now: past))
        #expect(!rule.mayPurge(state: .retracted, items: [.delivered, .waiting], lastSettled: settled, now: past))
    }
}

@Suite struct StoragePressureTests {
    static let limits = StoragePressure.Limits(low: 1_000, full: 400, ballast: 300)

    @Test("R9 gently: one reclaiming step a look, in the stated order, until there is room")
    func r9_lowOrder() {
        var storage = StoragePressure(limits: Self.limits, isBallastHeld: true)
        #expect(storage.observe(freeBytes: 1_000) == [])
        #expect(storage.observe(freeBytes: 999) == [.dropCapture])
        #expect(storage.condition == .storageLow)
        #expect(storage.observe(freeBytes: 999) == [.purgeDelivered])
        #expect(storage.observe(freeBytes: 999) == [.dropLogs])
        #expect(storage.observe(freeBytes: 999) == [.dropAttemptDetail])
        #expect(storage.observe(freeBytes: 999) == [.dropCapture])
        #expect(storage.observe(freeBytes: 999) == [.purgeDelivered])
        // Hysteresis: a quarter more than where it began.
        #expect(storage.observe(freeBytes: 1_249) == [.dropLogs])
        #expect(storage.observe(freeBytes: 1_250) == [])
        #expect(storage.condition == nil)
        // From the start again.
        #expect(storage.observe(freeBytes: 500) == [.dropCapture])
        #expect(!storage.isIntakeStopped)
    }

    @Test("R9 full: stops confirming and connecting, releases the ballast, and comes back by itself with the ballast restored")
    func r9_fullAndBack() {
        var storage = StoragePressure(limits: Self.limits, isBallastHeld: true)
        #expect(storage.observe(freeBytes: 399) == [.stopConfirming, .stopConnecting, .releaseBallast, .dropCapture])
        #expect(storage.isIntakeStopped)
        #expect(storage.condition == .storageFull)
        // The ballast's own bytes are no room.
        #expect(storage.observe(freeBytes: 699) == [.purgeDelivered])
        #expect(storage.observe(freeBytes: 799) == [.dropLogs])
        #expect(storage.observe(freeBytes: 800) == [.restoreBallast])
        #expect(storage.isIntakeStopped)
        #expect(storage.ballastRestored(true, freeBytes: 500) == [.resumeConfirming, .resumeConnecting])
        #expect(!storage.isIntakeStopped)
        #expect(storage.level == .low)
        #expect(storage.observe(freeBytes: 2_000) == [])
        #expect(storage.level == .ok)
    }

    @Test("R9 a write that fails for space is full, whatever the free bytes said")
    func r9_writeFailed() {
        var storage = StoragePressure(limits: Self.limits, isBallastHeld: true)
        #expect(
            storage.writeFailedForSpace() == [.stopConfirming, .stopConnecting, .releaseBallast, .dropCapture])
        #expect(storage.writeFailedForSpace() == [.purgeDelivered])
        #expect(storage.level == .full)
    }

    @Test("R9 a ballast that cannot be restored keeps the hub full")
    func r9_ballastNotRestored() {
        var storage = StoragePressure(limits: Self.limits, isBallastHeld: true)
        _ = storage.observe(freeBytes: 0)
        #expect(storage.observe(freeBytes: 10_000) == [.restoreBallast])
        #expect(storage.ballastRestored(false, freeBytes: 9_000) == [.purgeDelivered])
        #expect(storage.isIntakeStopped)
        #expect(storage.observe(freeBytes: 10_000) == [.restoreBallast])
        #expect(storage.ballastRestored(true, freeBytes: 9_000) == [.resumeConfirming, .resumeConnecting])
        #expect(storage.level == .ok)
    }

    @Test("R9 a hub that starts without its ballast takes it back when there is room")
    func r9_startWithoutBallast() {
        var storage = StoragePressure(limits: Self.limits, isBallastHeld: false)
        #expect(storage.observe(freeBytes: 1_400) == [])
        #expect(storage.observe(freeBytes: 1_550) == [.restoreBallast])
        #expect(storage.ballastRestored(true, freeBytes: 1_250) == [])
        #expect(storage.observe(freeBytes: 1_550) == [])
    }

    @Test("R9 over any course of the disk: intake is stopped exactly while full, and the ballast is released only when held")
    func r9_anyCourse() {
        var generator = SeededGenerator("R9 any course")
        for _ in 0..<200 {
            var storage = StoragePressure(limits: Self.limits, isBallastHeld: true)
            var (stopped, ballast) = (false, true)
            var free: Int64 = 2_000
            func apply(_ actions: [StoragePressure.Action]) {
                for action in actions {
                    switch action {
                    case .stopConfirming:
                        #expect(!stopped)
                        stopped = true
                    case .resumeConfirming:
                        #expect(stopped && ballast)
                        stopped = false
                    case .releaseBallast:
                        #expect(ballast)
                        ballast = false
                        free += Self.limits.ballast
                    case .restoreBallast:
                        #expect(!ballast)
                        ballast = true
                        free -= Self.limits.ballast
                        apply(storage.ballastRestored(true, freeBytes: free))
                    default: break
                    }
                }
            }
            for _ in 0..<200 {
                free = max(0, free + Int64.random(in: -300...300, using: &generator))
                apply(storage.observe(freeBytes: free))
                #expect(storage.isIntakeStopped == (storage.level == .full), "seed \(generator.seed)")
                #expect(storage.isIntakeStopped == stopped, "seed \(generator.seed)")
                #expect(storage.isBallastHeld == ballast, "seed \(generator.seed)")
                // Nothing is taken where a checkpoint could not run.
                if free < Self.limits.full { #expect(stopped, "seed \(generator.seed)") }
            }
            for _ in 0..<3 { apply(storage.observe(freeBytes: free + 10_000)) }
            #expect(!stopped && ballast, "seed \(generator.seed)")
        }
    }
}

@Suite struct BackOffTests {
    @Test(
        "R6 the ceiling doubles from 5 s to 15 min",
        arguments: [
            (Int.min, 5), (0, 5), (1, 5), (2, 10), (3, 20), (7, 320), (8, 640), (9, 900), (64, 900), (Int.max, 900),
        ])
    func ceiling(attempt: Int, seconds: Int) {
        #expect(BackOff.standard.ceiling(attempt: attempt) == .seconds(seconds))
    }

    @Test("R6 full jitter: anything from nothing to the ceiling")
    func jitter() {
        #expect(BackOff.standard.delay(attempt: 3, random: 0) == .zero)
        #expect(BackOff.standard.delay(attempt: 3, random: 0.5) == .seconds(10))
        #expect(BackOff.standard.delay(attempt: 3, random: 2) == .seconds(20))
        var generator = SeededGenerator("back-off")
        let delays = (0..<1_000).map { _ in BackOff.standard.delay(attempt: 9, using: &generator) }
        #expect(delays.allSatisfy { $0 >= .zero && $0 < .seconds(900) })
        #expect(Set(delays).count > 900, "seed \(generator.seed)")
        #expect(BackOff(base: .seconds(1_000_000_000_000), cap: .seconds(60)).ceiling(attempt: 60) == .seconds(60))
    }

    @Test(
        "R6 Retry-After is obeyed for at most an hour",
        arguments: [(120, 120), (0, 0), (3_600, 3_600), (3_601, 3_600), (-5, 0)])
    func retryAfter(asked: Int, seconds: Int) {
        #expect(RetryAfter.wait(.seconds(asked)) == .seconds(seconds))
    }
}
