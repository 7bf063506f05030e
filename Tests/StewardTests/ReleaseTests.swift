import Steward
import Testing
import Vitals

@Suite struct ReleaseTests {
    let now = look("2026-05-20T10:00:00")
    let base = ReleaseFacts(
        receiver: "ehr", state: .ready, effective: utc("2026-05-10T10:00:00"),
        recipients: [
            Assignment.Recipient(receiver: "ehr", from: utc("2026-05-01T10:00:00"), until: utc("2026-05-15T10:00:00")),
            Assignment.Recipient(receiver: "other", from: utc("2026-01-01T10:00:00")),
        ])

    func with(_ change: (inout ReleaseFacts) -> Void) -> ReleaseDecision {
        var facts = base
        change(&facts)
        return decideRelease(facts, now: now)
    }

    @Test("R7 a recipient's period covers the effective time, not the time of sending")
    func r7_period() {
        #expect(decideRelease(base, now: now) == .send)
        #expect(with { $0.effective = utc("2026-05-15T10:00:00") } == .withdraw(.entitlementEnded))
        #expect(with { $0.effective = utc("2026-04-30T10:00:00") } == .withdraw(.entitlementEnded))
        #expect(with { $0.receiver = "nobody" } == .withdraw(.entitlementEnded))
        #expect(with { $0.recipients = [] } == .withdraw(.entitlementEnded))
    }

    @Test("R7 a known refusal acts at once, also on what waits")
    func r7_refusal() {
        let refusal = Refusal(receiver: "ehr", from: utc("2026-05-19T10:00:00"))
        #expect(with { $0.refusals = [refusal] } == .withdraw(.refused))
        #expect(with { $0.refusals = [Refusal(receiver: nil, from: utc("2026-05-19T10:00:00"))] } == .withdraw(.refused))
        #expect(with { $0.refusals = [Refusal(receiver: "other", from: utc("2026-05-19T10:00:00"))] } == .send)
        #expect(with { $0.refusals = [Refusal(receiver: "ehr", from: utc("2026-05-21T10:00:00"))] } == .send)
        #expect(
            with {
                $0.refusals = [
                    Refusal(receiver: "ehr", from: utc("2026-05-01T10:00:00"), until: utc("2026-05-20T10:00:00"))
                ]
            } == .send)
        #expect(
            with {
                $0.refusals = [refusal]
                $0.isHeld = true
            } == .withdraw(.refused))
        var facts = base
        facts.refusals = [refusal]
        #expect(decideRelease(facts, now: look("2026-05-20T10:00:00", source: .unsynchronised)) == .withdraw(.refused))
    }

    @Test("R7 the absence of a consent is not a refusal: it waits, where the programme asks for one")
    func r7_consent() {
        #expect(with { $0.consent = .given } == .send)
        #expect(with { $0.consent = .missing } == .wait(.consentMissing))
    }

    @Test("R7 a revoked binding and a purge withdraw, a hold waits")
    func r7_bindingHoldPurge() {
        #expect(with { $0.isBindingRevoked = true } == .withdraw(.bindingRevoked))
        #expect(with { $0.isPurged = true } == .withdraw(.purged))
        #expect(with { $0.isHeld = true } == .wait(.hold))
    }

    @Test(
        "R4 R7 test, guest, invalid, rejected and retracted readings are never sent",
        arguments: [
            ActState.test, .guest, .invalid, .rejected, .retracted,
        ])
    func r7_neverSent(state: ActState) {
        #expect(with { $0.state = state } == .withdraw(.neverSent))
    }

    @Test("R7 a held act waits, whatever holds it", arguments: HoldReason.allCases)
    func r7_heldActWaits(reason: HoldReason) {
        #expect(with { $0.state = .held(reason) } == .wait(.actHeld))
        #expect(
            with {
                $0.state = .held(reason)
                $0.effective = nil
            } == .wait(.actHeld))
    }

    @Test(
        "R5 uploads wait for a synchronised clock, and for the look at the device's",
        arguments: [
            ClockSource.ntp, .https, .declared, .unsynchronised,
        ])
    func r5_uploadsWait(source: ClockSource) {
        let expected = source == .unsynchronised ? ReleaseDecision.wait(.hubClock) : .send
        #expect(decideRelease(base, now: look("2026-05-20T10:00:00", source: source)) == expected)
        #expect(with { $0.isClockLookDue = true } == .wait(.deviceClockLook))
    }

    @Test("R7 a correction is owed wherever the wrong reading is: nothing withdraws it")
    func r7_correction() {
        func correction(_ change: (inout ReleaseFacts) -> Void) -> ReleaseDecision {
            with {
                $0.isCorrection = true
                $0.state = .retracted
                change(&$0)
            }
        }
        #expect(correction { _ in } == .send)
        #expect(correction { $0.isBindingRevoked = true } == .send)
        #expect(correction { $0.recipients = [] } == .send)
        #expect(correction { $0.refusals = [Refusal(receiver: nil, from: utc("2026-05-01T10:00:00"))] } == .send)
        #expect(correction { $0.isHeld = true } == .wait(.hold))
    }

    @Test("R7 nothing is sent to a receiver whose period does not cover it, over every combination")
    func r7_everyCombination() {
        let states: [ActState] = [.ready, .test, .guest, .invalid, .rejected, .retracted] + HoldReason.allCases.map { .held($0) }
        for state in states {
            for bits in 0..<128 {
                func bit(_ n: Int) -> Bool { bits & (1 << n) != 0 }
                let facts = ReleaseFacts(
                    receiver: "ehr", state: state, effective: bit(0) ? base.effective : nil,
                    recipients: bit(1) ? base.recipients : [], isBindingRevoked: bit(2),
                    refusals: bit(3) ? [Refusal(receiver: nil, from: utc("2026-01-01T00:00:00"))] : [], isHeld: bit(4),
                    isPurged: bit(5), consent: bit(6) ? .missing : .notRequired)
                let mayBeSent = state == .ready && bits == 0b11
                #expect((decideRelease(facts, now: now) == .send) == mayBeSent)
            }
        }
    }
}
