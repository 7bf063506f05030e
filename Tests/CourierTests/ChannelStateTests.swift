import Destinations
import Testing
import Vitals

@testable import Courier

/// What follows from an answer, without clock, network or disk.
@Suite("R6 a channel's state")
struct ChannelStateTests {
    private let now = MonotonicTime(milliseconds: 1_000)

    struct Row: Sendable, CustomTestStringConvertible {
        var verdict: DispatchVerdict
        var steps: [ChannelState.Step]
        var phase: ChannelState.Phase
        var testDescription: String { "\(verdict)" }
    }

    /// With the random number 0.5 the first pause is half of five seconds.
    private static let firstPause = ChannelState.Phase.pausing(until: MonotonicTime(milliseconds: 3_500))

    private static let busy = [ChannelState.Step.rollFailure(kind: "busy", reason: "The receiver asks to wait.")]

    @Test(
        "R6 every verdict has its step",
        arguments: [
            Row(verdict: .items([]), steps: [], phase: .open),
            Row(verdict: .reconcile(reason: "x"), steps: [], phase: .open),
            Row(verdict: .split(reason: "x"), steps: [.sendSmaller], phase: .open),
            Row(verdict: .refreshCredential, steps: [.refreshCredential], phase: .open),
            Row(
                verdict: .retry(kind: "dns", reason: "x"), steps: [.rollFailure(kind: "dns", reason: "x")], phase: firstPause),
            Row(
                verdict: .waitUntilRetryAfter(.seconds(7)), steps: busy,
                phase: .pausing(until: MonotonicTime(milliseconds: 8_000))),
            Row(verdict: .waitUntilRetryAfter(nil), steps: busy, phase: firstPause),
            Row(
                verdict: .waitUntilRetryAfter(.seconds(86_400)), steps: busy,
                phase: .pausing(until: MonotonicTime(milliseconds: 3_601_000))),
            Row(
                verdict: .holdChannel(.receiverHeld, reason: "x"), steps: [.hold(.receiverHeld, reason: "x")], phase: .held),
            Row(
                verdict: .serverFailure(status: 500, reason: "x"),
                steps: [
                    .stepAside(until: MonotonicTime(milliseconds: 3_500)), .rollFailure(kind: "server-failure", reason: "x"),
                ], phase: .open),
        ])
    func r6_everyVerdict(_ row: Row) {
        var state = ChannelState(isHeld: false)
        #expect(state.decide(row.verdict, act: 1, at: now, random: 0.5) == row.steps)
        #expect(state.phase == row.phase)
    }

    @Test("R6 pauses grow to a quarter of an hour and end with the first answer")
    func r6_pausesGrow() {
        var state = ChannelState(isHeld: false)
        var pauses: [Int64] = []
        for _ in 0..<12 {
            _ = state.decide(.retry(kind: "dns", reason: ""), act: 1, at: now, random: 0.999)
            guard case .pausing(let until) = state.phase else { return #expect(Bool(false)) }
            pauses.append((until - now).milliseconds)
            state.resume(at: until)
            #expect(state.phase == .open)
        }
        #expect(pauses == pauses.sorted())
        #expect(pauses[0] < 5_000)
        #expect((899_000..<900_000).contains(pauses[11]))
        state.passed()
        _ = state.decide(.retry(kind: "dns", reason: ""), act: 1, at: now, random: 0.999)
        #expect(state.phase == .pausing(until: MonotonicTime(milliseconds: 1_000 + pauses[0])))
    }

    @Test("R6 a second 401 after a new credential holds the channel; a delivery between them does not")
    func r6_credential() {
        var state = ChannelState(isHeld: false)
        #expect(state.decide(.refreshCredential, act: 1, at: now, random: 0) == [.refreshCredential])
        state.delivered(act: 1)
        #expect(state.decide(.refreshCredential, act: 2, at: now, random: 0) == [.refreshCredential])
        let steps = state.decide(.refreshCredential, act: 2, at: now, random: 0)
        guard case .hold(.signInNeeded, _)? = steps.first else { return #expect(Bool(false), "\(steps)") }
        #expect(state.phase == .held)
        state.release()
        #expect(state.phase == .open)
        #expect(state.decide(.refreshCredential, act: 2, at: now, random: 0) == [.refreshCredential])
    }

    @Test("R6 ten equal refusals in a row hold the channel; another code or a delivery begins again")
    func r6_equalRefusals() {
        func held(_ codes: [String?]) -> Bool {
            var state = ChannelState(isHeld: false)
            for (act, code) in codes.enumerated() {
                if let code {
                    if state.refused(code: code, act: Int64(act)) { return true }
                } else {
                    state.delivered(act: Int64(act))
                }
            }
            return false
        }
        #expect(held(Array(repeating: "invariant", count: 10)))
        #expect(!held(Array(repeating: "invariant", count: 9)))
        #expect(!held(Array(repeating: "invariant", count: 9) + ["value"] + Array(repeating: "invariant", count: 9)))
        #expect(!held(Array(repeating: "invariant", count: 9) + [nil] + Array(repeating: "invariant", count: 9)))
    }

    @Test("R6 the fifth server failure of one act is a person's business, once")
    func r6_itemFailing() {
        var state = ChannelState(isHeld: false)
        var raised: [Int] = []
        for count in 1...8 {
            let steps = state.decide(.serverFailure(status: 500, reason: ""), act: 7, at: now, random: 0)
            if steps.contains(.raiseItemFailing) { raised.append(count) }
            state.delivered(act: 8)
        }
        #expect(raised == [5])
        #expect(state.serverFailures(of: 7) == 8)
        state.delivered(act: 7)
        #expect(state.serverFailures(of: 7) == 0)
    }

    @Test("R6 where nothing passes it is not the act's fault: the channel waits, and no act is blamed")
    func r6_allFail() {
        var state = ChannelState(isHeld: false)
        for round in 0..<10 {
            for act in Int64(1)...3 {
                let steps = state.decide(.serverFailure(status: 500, reason: ""), act: act, at: now, random: 0.5)
                #expect(!steps.contains(.raiseItemFailing))
                #expect((state.phase == .open) == (round == 0 && act == 1))
            }
        }
        #expect(Set(state.failingActs) == [1, 2, 3])
        state.delivered(act: 1)
        #expect(state.decide(.serverFailure(status: 500, reason: ""), act: 2, at: now, random: 0.5).contains(.raiseItemFailing))
    }

    @Test("R6 a hold outlives pauses")
    func r6_holdStays() {
        var state = ChannelState(isHeld: true)
        state.resume(at: MonotonicTime(milliseconds: .max))
        #expect(state.phase == .held)
    }
}
