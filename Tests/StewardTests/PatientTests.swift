import ExactJSON
import Steward
import Testing
import Vitals

private func at(_ text: String, _ basis: TimeBasis = .corrected) -> TimeDecision {
    .effective(MeasuredTime(utc(text), offsetMinutes: 120), basis, epoch: nil)
}

private func decide(
    _ time: TimeDecision, received: String = "2026-05-20T10:00:00", user: Int? = nil, users: UserRule = .single,
    _ assignments: [Assignment], verification: Verification = .none, guest: GuestMode = .none
) -> PatientDecision {
    decidePatient(
        time: time, received: look(received), userIndex: user, users: users, assignments: assignments, verification: verification,
        guest: guest)
}

@Suite struct PatientTests {
    let anna = assignment(1, "anna", from: "2026-05-01T10:00:00")
    let formerly = assignment(1, "anna", from: "2026-03-01T10:00:00", until: "2026-04-01T10:00:00")
    let next = assignment(2, "bo", from: "2026-05-01T10:00:00")

    @Test("R4 bound by the assignment that covers the effective time, or held")
    func r4_assignment() {
        #expect(decide(at("2026-05-02T10:00:00"), [anna]) == .bound(anna))
        #expect(decide(at("2026-05-02T10:00:00"), []) == .held(.unassigned))
        #expect(decide(at("2026-04-30T10:00:00"), [anna]) == .held(.beforeAssignment))
        #expect(decide(at("2026-05-01T10:00:00"), [anna]) == .bound(anna))
        #expect(decide(at("2026-05-01T09:59:59"), [anna]) == .held(.beforeAssignment))
        #expect(decide(at("2026-05-02T10:00:00"), [formerly]) == .held(.unassigned))
        // Sent late: the effective time chooses, not the arrival.
        #expect(decide(at("2026-03-15T10:00:00"), [formerly, next]) == .bound(formerly))
        #expect(decide(at("2026-05-15T10:00:00"), [formerly, next]) == .bound(next))
        #expect(decide(at("2026-04-15T10:00:00"), [formerly, next]) == .held(.beforeAssignment))
        #expect(decide(at("2026-02-15T10:00:00"), [formerly, next]) == .held(.beforeAssignment))
    }

    @Test("R4 an unknown time binds nobody")
    func r4_unknownTime() {
        #expect(decide(.held(.ahead), [anna]) == .held(.timeUnknown))
        #expect(decide(.waitsForHubClock, [anna]) == .held(.hubClock))
    }

    @Test("R4 a time that nothing vouches for does not choose between two people")
    func r4_untrustedTime() {
        #expect(decide(at("2026-05-15T10:00:00", .local), [anna]) == .bound(anna))
        #expect(decide(at("2026-05-15T10:00:00", .local), [formerly, next]) == .held(.beforeAssignment))
        #expect(decide(at("2026-03-15T10:00:00", .local), [formerly, next]) == .held(.beforeAssignment))
        // The same person before: nobody else's chart can be hit.
        let again = assignment(3, "anna", from: "2026-05-01T10:00:00")
        #expect(decide(at("2026-05-15T10:00:00", .local), [formerly, again]) == .bound(again))
        #expect(decide(at("2026-05-15T10:00:00", .received), [formerly, next]) == .bound(next))
        #expect(decide(at("2026-05-15T10:00:00", .stated), [formerly, next]) == .bound(next))
    }

    @Test("R4 around a hand-over the resolution of a stamp decides nothing")
    func r4_handOver() {
        let before = assignment(1, "anna", from: "2026-03-01T10:00:00", until: "2026-05-01T10:00:00")
        #expect(decide(at("2026-05-01T09:59:30"), [before, next]) == .held(.beforeAssignment))
        #expect(decide(at("2026-05-01T10:00:30"), [before, next]) == .held(.beforeAssignment))
        #expect(decide(at("2026-05-01T09:58:59"), [before, next]) == .bound(before))
        #expect(decide(at("2026-05-01T10:01:00"), [before, next]) == .bound(next))
        // The hub's own clock saw it.
        #expect(decide(at("2026-05-01T09:59:30", .received), [before, next]) == .bound(before))
        #expect(decide(at("2026-05-01T10:00:30", .received), [before, next]) == .bound(next))
    }

    @Test("R4 two people at once on one slot are nobody")
    func r4_overlap() {
        let other = assignment(2, "bo", from: "2026-05-10T10:00:00")
        #expect(decide(at("2026-05-15T10:00:00"), [anna, other]) == .held(.beforeAssignment))
        #expect(decide(at("2026-05-05T10:00:00"), [anna, other]) == .bound(anna))
    }

    @Test("R4 a device for several: the slot chooses, and no slot is nobody")
    func r4_userIndex() {
        let one = assignment(1, "anna", user: 1, from: "2026-05-01T10:00:00")
        let two = assignment(2, "bo", user: 2, from: "2026-05-01T10:00:00")
        let time = at("2026-05-15T10:00:00")
        #expect(decide(time, user: 1, users: .indexed, [one, two]) == .bound(one))
        #expect(decide(time, user: 2, users: .indexed, [one, two]) == .bound(two))
        #expect(decide(time, user: 3, users: .indexed, [one, two]) == .held(.unassigned))
        #expect(decide(time, user: nil, users: .indexed, [one, two]) == .held(.noUserIndex))
        // Nobody has a slot: the whole device's only user is meant. As soon as anybody has one, nobody is.
        #expect(decide(time, user: nil, users: .indexed, [anna]) == .bound(anna))
        #expect(decide(time, user: nil, users: .indexed, [anna, two]) == .held(.noUserIndex))
        #expect(decide(time, user: 1, users: .indexed, [anna]) == .bound(anna))
        // The slot's own assignment before the whole device's.
        #expect(decide(time, user: 2, users: .indexed, [anna, two]) == .bound(two))
        #expect(decide(time, user: 1, users: .indexed, [anna, two]) == .bound(anna))
        // Another slot's user does not make this one's time doubtful.
        #expect(decide(at("2026-05-15T10:00:00", .local), user: 1, users: .indexed, [one, two]) == .bound(one))
    }

    @Test("R4 a shared device assumes nobody")
    func r4_shared() {
        let one = assignment(1, "anna", user: 1, from: "2026-05-01T10:00:00")
        let time = at("2026-05-15T10:00:00")
        #expect(decide(time, users: .shared, [anna]) == .held(.noUserIndex))
        #expect(decide(time, user: 1, users: .shared, [one]) == .bound(one))
        #expect(decide(time, user: 1, users: .shared, [anna]) == .held(.unassigned))
    }

    @Test("R4 during verification every reading is a technician's test, for at most 30 minutes")
    func r4_verification() {
        let open = Verification.open(since: look("2026-05-20T10:00:00"))
        let time = at("2026-05-15T10:00:00")
        #expect(decide(time, received: "2026-05-20T10:00:00", [anna], verification: open) == .test)
        #expect(decide(time, received: "2026-05-20T10:30:00", [anna], verification: open) == .test)
        #expect(decide(time, received: "2026-05-20T10:30:01", [anna], verification: open) == .held(.unproved))
        #expect(decide(.held(.unset), received: "2026-05-20T10:10:00", [], verification: open) == .test)
        #expect(decide(.waitsForHubClock, received: "2026-05-20T10:10:00", [], verification: open) == .test)
    }

    @Test("R4 after a verification without proof the readings are held, not lost and not a patient's")
    func r4_unproved() {
        let ended = Verification.endedUnproved(from: utc("2026-05-20T10:00:00"), until: utc("2026-05-20T10:20:00"))
        let time = at("2026-05-15T10:00:00")
        #expect(decide(time, received: "2026-05-20T10:10:00", [anna], verification: ended) == .test)
        #expect(decide(time, received: "2026-05-20T10:20:00", [anna], verification: ended) == .held(.unproved))
        #expect(decide(time, received: "2026-05-20T09:59:00", [anna], verification: ended) == .bound(anna))
    }

    @Test("R4 the 30 minutes are the machine's own, whatever happens to the wall clock")
    func r4_verificationIsMonotonic() {
        let since = look(utc("1970-01-01T00:01:00"), monotonic: 60_000, source: .unsynchronised)
        let later = look(utc("2026-05-20T10:00:00"), monotonic: 120_000)
        let decision = decidePatient(
            time: .waitsForHubClock, received: later, userIndex: nil, users: .single, assignments: [],
            verification: .open(since: since), guest: .none)
        #expect(decision == .test)
    }

    @Test("R4 a device that needs a proof and has none: its readings wait")
    func r4_neverProved() {
        let time = at("2026-05-15T10:00:00")
        #expect(decide(time, [anna], verification: .never) == .held(.unproved))
        #expect(decide(.waitsForHubClock, [anna], verification: .never) == .held(.unproved))
    }

    @Test("R4 what was received before a verification began is a patient's as before: no test is made of it")
    func r4_beforeVerification() {
        let open = Verification.open(since: look("2026-05-20T10:00:00"))
        let time = at("2026-05-15T10:00:00")
        #expect(decide(time, received: "2026-05-20T09:59:59", [anna], verification: open) == .bound(anna))
        #expect(decide(time, received: "2026-05-20T09:59:59", [], verification: open) == .held(.unassigned))
    }

    @Test("R4 where nothing tells when in a verification it came, a reading waits: a test never reaches a chart")
    func r4_verificationOverARestart() {
        let since = look("2026-05-20T10:00:00")
        let ended = Verification.endedUnproved(from: since.wall, until: since.wall + .seconds(600))
        var later = look("1970-01-01T00:01:00")
        later.boot = BootID(rawValue: "next boot")
        later.source = .unsynchronised
        func decision(_ verification: Verification) -> PatientDecision {
            decidePatient(
                time: .waitsForHubClock, received: later, userIndex: nil, users: .single, assignments: [anna],
                verification: verification, guest: .none)
        }
        #expect(decision(.open(since: since)) == .held(.unproved))
        #expect(decision(ended) == .held(.unproved))
        // Both clocks good: the wall tells, over the restart too.
        later.source = .ntp
        later.wall = since.wall + .seconds(60)
        #expect(decision(.open(since: since)) == .test)
        #expect(decision(ended) == .test)
        later.wall = since.wall + .seconds(31 * 60)
        #expect(decision(.open(since: since)) == .held(.unproved))
    }

    @Test("R4 a verification is over after 30 minutes, and counts for no longer than that")
    func r4_verificationEnds() {
        let since = look("2026-05-20T10:00:00")
        func later(_ minutes: Int64) -> ClockReading {
            var now = since
            now.wall = since.wall + .seconds(minutes * 60)
            now.monotonic = since.monotonic + .seconds(minutes * 60)
            return now
        }
        #expect(!Verification.isOver(since: since, at: later(30)))
        #expect(Verification.isOver(since: since, at: later(31)))
        #expect(Verification.span(since: since, until: later(12)) == (since.wall, later(12).wall))
        #expect(Verification.span(since: since, until: later(45)) == (since.wall, later(30).wall))

        // The hub began in 1970 and knows the time by now: the span is told in that.
        var began = since
        began.wall = utc("1970-01-01T00:10:00")
        began.source = .unsynchronised
        #expect(Verification.span(since: began, until: later(45)) == (since.wall, later(30).wall))
        #expect(Verification.isOver(since: began, at: later(31)))

        // Another boot whose clock nothing vouches for: nobody knows.
        var restarted = later(90)
        restarted.boot = BootID(rawValue: "next boot")
        restarted.source = .unsynchronised
        #expect(!Verification.isOver(since: since, at: restarted))
        restarted.source = .ntp
        #expect(Verification.isOver(since: since, at: restarted))
    }

    @Test("R4 guest mode: what was taken in its 15 minutes is the guest's, whenever it comes; before and after is not")
    func r4_guest() {
        let guest = GuestMode.open(since: look("2026-05-20T10:00:20"))
        #expect(decide(at("2026-05-20T10:05:00"), [anna], guest: guest) == .guest)
        #expect(decide(at("2026-05-20T10:15:20"), received: "2026-05-21T10:00:00", [anna], guest: guest) == .guest)
        #expect(decide(at("2026-05-20T10:15:21"), [anna], guest: guest) == .bound(anna))
        #expect(decide(at("2026-05-19T10:00:00"), received: "2026-05-20T10:05:00", [anna], guest: guest) == .bound(anna))
        // Cut to the minute by the device.
        #expect(decide(at("2026-05-20T10:00:00"), [anna], guest: guest) == .guest)
        #expect(decide(at("2026-05-20T10:00:00", .received), [anna], guest: guest) == .bound(anna))
        // Without a time the reception decides.
        #expect(decide(.held(.unset), received: "2026-05-20T10:10:00", [anna], guest: guest) == .guest)
        #expect(decide(.held(.unset), received: "2026-05-20T10:20:00", [anna], guest: guest) == .held(.timeUnknown))
        #expect(decide(at("2026-05-20T10:05:00"), [anna], guest: .none) == .bound(anna))
    }

    @Test("R4 no reading reaches a patient whose assignment does not cover its time")
    func r4_neverSomebodyElses() {
        var generator = SeededGenerator("R4 never somebody else's")
        let names = ["anna", "bo", "carl"]
        for _ in 0..<2_000 {
            let assignments = (0..<Int64.random(in: 0..<5, using: &generator)).map { id in
                let from = Int64.random(in: 0..<1_000, using: &generator)
                return Assignment(
                    id: id, device: 1, userIndex: [nil, 1, 2].randomElement(using: &generator) ?? nil,
                    patient: PatientAlias(rawValue: names.randomElement(using: &generator) ?? "anna"),
                    from: Instant(seconds: from * 60),
                    until: Bool.random(using: &generator)
                        ? Instant(seconds: (from + Int64.random(in: 0..<400, using: &generator)) * 60) : nil,
                    recipients: [])
            }
            let instant = Instant(seconds: Int64.random(in: 0..<72_000, using: &generator))
            let user = [nil, 1, 2].randomElement(using: &generator) ?? nil
            let users = UserRule.allCases.randomElement(using: &generator) ?? .single
            let basis = TimeBasis.allCases.randomElement(using: &generator) ?? .local
            let decision = decidePatient(
                time: .effective(MeasuredTime(instant, offsetMinutes: 0), basis, epoch: nil),
                received: look("2026-05-20T10:00:00"),
                userIndex: user, users: users, assignments: assignments, verification: .none, guest: .none)
            guard case .bound(let assignment) = decision else { continue }
            #expect(assignment.covers(instant, userIndex: user), "seed \(generator.seed)")
            #expect(users != .shared || user != nil, "seed \(generator.seed)")
            let hasSlots = assignments.contains { $0.userIndex != nil }
            #expect(users != .indexed || user != nil || !hasSlots, "seed \(generator.seed)")
            // Nobody else's assignment for the very slot covers the moment too.
            let others = assignments.filter {
                $0.patient != assignment.patient && $0.userIndex == assignment.userIndex && $0.covers(instant, userIndex: user)
            }
            #expect(others.isEmpty, "seed \(generator.seed)")
        }
    }

    @Test("R4 the first state of an act")
    func r4_firstState() {
        let new = ArrivalDecision.new(ReadingIdentity(base: [], ordinal: 0))
        let possible = ArrivalDecision.possibleDuplicate(ReadingIdentity(base: [], ordinal: 1))
        #expect(decideState(isInvalid: false, arrival: new, patient: .bound(anna)) == .ready)
        #expect(decideState(isInvalid: true, arrival: new, patient: .bound(anna)) == .invalid)
        #expect(decideState(isInvalid: true, arrival: new, patient: .test) == .invalid)
        #expect(decideState(isInvalid: false, arrival: possible, patient: .bound(anna)) == .held(.possibleDuplicate))
        #expect(decideState(isInvalid: false, arrival: possible, patient: .test) == .test)
        #expect(decideState(isInvalid: false, arrival: possible, patient: .guest) == .guest)
        #expect(decideState(isInvalid: false, arrival: new, patient: .held(.noUserIndex)) == .held(.noUserIndex))
    }
}

@Suite struct CautionTests {
    let ranges = [ValueRange(name: .systolic, unit: .millimetreOfMercury, low: 60, high: 279)]

    func cautions(_ mantissa: Int64, _ exponent: Int = 0, _ unit: UCUM = .millimetreOfMercury, state: ActState = .ready)
        -> Set<Act.Caution>
    {
        let value = MeasuredValue.number(ExactDecimal(mantissa: mantissa, exponent: exponent))
        return decideCautions(
            of: record(quantities: [Quantity(.systolic, type: .systolic, value: value, unit: unit)]), state: state, ranges: ranges
        )
    }

    @Test("R4 an unlikely value is flagged, compared after conversion of its unit")
    func r4_unlikelyValue() {
        #expect(cautions(127) == [])
        #expect(cautions(60) == [])
        #expect(cautions(279) == [])
        #expect(cautions(59) == [.unlikelyValue])
        #expect(cautions(2791, -1) == [.unlikelyValue])
        #expect(cautions(169, -1, .kilopascal) == [])
        #expect(cautions(373, -1, .kilopascal) == [.unlikelyValue])
        #expect(cautions(500, 0, UCUM("furlong")) == [])
        #expect(cautions(59, state: .test) == [.unlikelyValue, .technicianTest])
        #expect(cautions(127, state: .guest) == [.guest])
    }

    @Test("R4 what was not measured is not unlikely")
    func r4_absentIsNotUnlikely() {
        let absent = Quantity(.systolic, type: .systolic, value: .special(.notANumber), unit: .millimetreOfMercury)
        #expect(decideCautions(of: record(quantities: [absent]), state: .ready, ranges: ranges) == [])
    }

    @Test("R4 a caution never withholds: the state of an act does not depend on its values")
    func r4_neverWithheld() {
        // `decideState` has no value among its inputs; this holds that an unlikely one still goes out.
        let facts = ReleaseFacts(
            receiver: "ehr", state: .ready, effective: utc("2026-05-02T10:00:00"),
            recipients: [Assignment.Recipient(receiver: "ehr", from: utc("2026-05-01T10:00:00"))])
        #expect(cautions(400) == [.unlikelyValue])
        #expect(decideRelease(facts, now: look("2026-05-02T11:00:00")) == .send)
    }
}
