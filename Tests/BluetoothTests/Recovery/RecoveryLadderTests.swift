import Testing
import Vitals

@testable import Bluetooth

private func at(_ seconds: Int64) -> MonotonicTime { MonotonicTime(milliseconds: seconds * 1_000) }
private typealias Rung = RecoveryLadder.Rung

@Suite("recovery ladder") struct RecoveryLadderTests {
    @Test("rung by rung: what is not applicable or failed is followed by the next at once, what went well by a proof")
    func climbs() {
        var ladder = RecoveryLadder()
        #expect(ladder.start(at: at(0)) == [.climb(.rfkillUnblock), .wake(at: at(2))])
        #expect(ladder.isActive)
        #expect(ladder.start(at: at(0)) == [])
        #expect(
            ladder.ended(.rfkillUnblock, .notApplicable("not blocked"), at: at(1)) == [
                .report(.step(step(.rfkillUnblock, .notApplicable("not blocked"), 1))), .climb(.powerCycle), .wake(at: at(22)),
            ])
        #expect(
            ladder.ended(.powerCycle, .failed("no answer"), at: at(11)) == [
                .report(.step(step(.powerCycle, .failed("no answer"), 10))), .climb(.interfaceDownUp), .wake(at: at(34)),
            ])
        #expect(ladder.ended(.interfaceDownUp, .succeeded, at: at(15)) == [.prove, .wake(at: at(39))])
        #expect(
            ladder.proved(false, at: at(20)) == [
                .report(.step(step(.interfaceDownUp, .succeeded, 4, works: false))), .climb(.usbReset), .wake(at: at(45)),
            ])
        #expect(ladder.ended(.usbReset, .succeeded, at: at(23)) == [.prove, .wake(at: at(47))])
        #expect(
            ladder.proved(true, at: at(30)) == [
                .report(.step(step(.usbReset, .succeeded, 3, works: true))), .report(.recovered(by: .usbReset)),
            ])
        #expect(!ladder.isActive)
        #expect(ladder.steps.map(\.rung) == Rung.allCases)
        #expect(ladder.timer(at: at(99)) == [])
    }

    private func step(
        _ rung: RecoveryLadder.Rung, _ outcome: RecoveryLadder.Outcome, _ seconds: Int, works: Bool? = nil
    ) -> RecoveryLadder.Step {
        RecoveryLadder.Step(rung: rung, outcome: outcome, took: .seconds(seconds), works: works)
    }

    @Test("a rung that does not end counts as failed, and its late outcome is not listened to")
    func overrun() {
        var ladder = RecoveryLadder()
        _ = ladder.start(at: at(0))
        #expect(ladder.timer(at: at(1)) == [.wake(at: at(2))])
        let actions = ladder.timer(at: at(2))
        #expect(actions.contains(.climb(.powerCycle)))
        #expect(ladder.steps.first?.outcome == .failed("it has not ended after 2 s"))
        #expect(ladder.ended(.rfkillUnblock, .succeeded, at: at(3)) == [])
    }

    @Test("without a proof in time, the next rung follows")
    func unproved() {
        var ladder = RecoveryLadder()
        _ = ladder.start(at: at(0))
        _ = ladder.ended(.rfkillUnblock, .succeeded, at: at(0))
        #expect(ladder.timer(at: at(23)) == [.wake(at: at(24))])
        #expect(ladder.timer(at: at(24)).contains(.climb(.powerCycle)))
    }

    @Test("an adapter that works again by itself ends the climb and the rest", arguments: [true, false])
    func byItself(_ isResting: Bool) {
        var ladder = RecoveryLadder()
        _ = ladder.start(at: at(0))
        if isResting { _ = failAll(&ladder, from: at(0)) }
        #expect(ladder.proved(false, at: at(1)) == [])
        #expect(ladder.isActive)
        #expect(ladder.proved(true, at: at(1)) == [.report(.recovered(by: nil))])
        #expect(!ladder.isActive)
    }

    /// Lets every rung fail at once.
    private func failAll(_ ladder: inout RecoveryLadder, from time: MonotonicTime) -> [RecoveryLadder.Action] {
        var actions: [RecoveryLadder.Action] = []
        for rung in Rung.allCases { actions += ladder.ended(rung, .failed("x"), at: time) }
        return actions
    }

    @Test("after the last rung it rests, longer each time, at most an hour, and begins again")
    func rests() {
        var ladder = RecoveryLadder()
        var now = at(0)
        _ = ladder.start(at: now)
        for seconds in [300, 600, 1_200, 2_400, 3_600, 3_600, 3_600] as [Int64] {
            let actions = failAll(&ladder, from: now)
            let until = now + .seconds(seconds)
            #expect(actions.suffix(2) == [.report(.exhausted(nextAt: until)), .wake(at: until)])
            #expect(ladder.start(at: now) == [])
            #expect(ladder.timer(at: until) == [.climb(.rfkillUnblock), .wake(at: until + .seconds(2))])
            now = until
        }
    }

    @Test("a rung that helped for less than ten minutes is passed over; after the last one it rests")
    func relapse() {
        var ladder = RecoveryLadder()
        _ = ladder.start(at: at(0))
        _ = ladder.ended(.rfkillUnblock, .notApplicable("x"), at: at(0))
        _ = ladder.ended(.powerCycle, .succeeded, at: at(5))
        _ = ladder.proved(true, at: at(10))
        #expect(ladder.start(at: at(609)).first == .climb(.interfaceDownUp))
        _ = ladder.ended(.interfaceDownUp, .failed("x"), at: at(610))
        _ = ladder.ended(.usbReset, .succeeded, at: at(611))
        _ = ladder.proved(true, at: at(620))
        #expect(ladder.start(at: at(1_219)) == [.report(.exhausted(nextAt: at(1_519))), .wake(at: at(1_519))])
        // A person does not wait for that.
        #expect(ladder.startAsked(at: at(1_230)).first == .climb(.rfkillUnblock))
        #expect(ladder.startAsked(at: at(1_231)) == [])
    }

    @Test("a relapse after ten minutes begins at the bottom")
    func later() {
        var ladder = RecoveryLadder()
        _ = ladder.start(at: at(0))
        _ = ladder.ended(.rfkillUnblock, .succeeded, at: at(0))
        _ = ladder.proved(true, at: at(1))
        #expect(ladder.start(at: at(601)).first == .climb(.rfkillUnblock))
    }

    @Test(
        "whatever happens: rungs in order, each once a climb, an alarm clock wherever it waits, and an end within 167 s",
        arguments: 0..<200)
    func anyCourse(_ seed: Int) {
        var random = Seeded(UInt64(seed))
        var ladder = RecoveryLadder()
        var now = at(0)
        var wake: MonotonicTime?
        var open: RecoveryLadder.Rung?
        var climb: [RecoveryLadder.Rung] = []
        var climbBegan = now
        func take(_ actions: [RecoveryLadder.Action]) {
            for action in actions {
                switch action {
                case .climb(let rung):
                    if rung == .rfkillUnblock || open == nil && climb.isEmpty {
                        climb = []
                        climbBegan = now
                    }
                    #expect(climb.allSatisfy { position($0) < position(rung) })
                    climb.append(rung)
                    open = rung
                case .wake(let time):
                    #expect(time >= now)
                    wake = time
                case .prove: break
                case .report(.recovered):
                    wake = nil
                    climb = []
                case .report(.exhausted):
                    #expect(now - climbBegan <= .seconds(167))
                    climb = []
                case .report(.step): open = nil
                }
            }
        }
        func position(_ rung: RecoveryLadder.Rung) -> Int { Rung.allCases.firstIndex(of: rung) ?? -1 }
        for _ in 0..<200 {
            // A shell that keeps its promise: the timer is called when it is due.
            if let due = wake, Bool.random(using: &random) {
                now = max(now, due)
                take(ladder.timer(at: now))
            }
            switch Int.random(in: 0..<8, using: &random) {
            case 0: take(ladder.start(at: now))
            case 1: take(ladder.startAsked(at: now))
            case 2, 3, 4:
                let rung = Rung.allCases.randomElement(using: &random) ?? .usbReset
                let outcome: RecoveryLadder.Outcome =
                    [.succeeded, .failed("x"), .notApplicable("y")].randomElement(using: &random) ?? .succeeded
                take(ladder.ended(rung, outcome, at: now))
            case 5: take(ladder.proved(Int.random(in: 0..<4, using: &random) == 0, at: now))
            case 6: take(ladder.timer(at: now))
            default:
                let step = now + .milliseconds(Int64.random(in: 0..<20_000, using: &random))
                now = wake.map { min($0, step) } ?? step
            }
            #expect(ladder.isActive == (wake != nil))
        }
    }

    @Test("a climb in which nothing answers takes 71 s")
    func nothingAnswers() {
        var ladder = RecoveryLadder()
        var now = at(0)
        var actions = ladder.start(at: now)
        while case .wake(let time)? = actions.last,
            !actions.contains(where: { if case .report(.exhausted) = $0 { true } else { false } })
        {
            now = time
            actions = ladder.timer(at: now)
        }
        #expect(now == at(2 + 21 + 23 + 25))
    }
}
