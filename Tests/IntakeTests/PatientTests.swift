import Catalogue
import ExactJSON
import Journal
import Simulator
import Steward
import Testing
import Vitals

@testable import Intake

@Suite("R4 known patient or nobody")
struct PatientTests {
    @Test("R4 without an assignment a reading is held and a condition says so; the assignment binds it and clears that")
    func r4_assignBinds() async throws {
        try await Home.with { home in
            try await home.link(home.peripheral(.cuffLive))
            #expect(try await home.states() == [.held(.unassigned)])
            #expect(try await home.conditions() == [.unassigned])
            let held = try await home.acts()[0]
            #expect(try await home.items(held.id).isEmpty)

            try await home.assign(to: ["clinic", "research", "unknown"])
            #expect(try await home.desk.assigned(device: home.device) == 1)
            let act = try await home.acts()[0]
            #expect(act.state == .ready)
            #expect(act.patient == Home.patient)
            #expect(act.subject == held.subject)
            #expect(try await home.conditions().isEmpty)
            let receivers = try await home.items(act.id).map(\.receiver).sorted()
            #expect(receivers == ["clinic", "clinic", "research", "research"])
            // Again: nothing is bound or owed twice.
            #expect(try await home.desk.assigned(device: home.device) == 0)
            #expect(try await home.items(act.id).count == 4)
        }
    }

    @Test("R4 two users of one cuff: each reading is its user's, and the unknown one's is nobody's")
    func r4_twoUsers() async throws {
        try await Home.with({ $0.users = .indexed }) { home in
            let (anna, bent) = (PatientAlias(rawValue: "anna"), PatientAlias(rawValue: "bent"))
            try await home.assign(anna, user: 0)
            try await home.assign(bent, user: 1)
            try await home.link(home.peripheral(.cuffTwoUsers))
            let acts = try await home.acts()
            #expect(acts.map(\.patient) == [anna, bent, nil])
            #expect(acts.map(\.state) == [.ready, .ready, .held(.noUserIndex)])
            #expect(try await home.items(acts[2].id).isEmpty)
        }
    }

    @Test("R4 a cuff that several share and that does not say who: nobody is assumed")
    func r4_shared() async throws {
        try await Home.with({ $0.users = .shared }) { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffLive))
            #expect(try await home.states() == [.held(.noUserIndex)])
        }
    }

    @Test("R4 records older than the assignment are held")
    func r4_beforeAssignment() async throws {
        try await Home.with { home in
            // The stored records are of the last five minutes.
            try await home.assign(from: TestClock.noon + .seconds(3_600))
            try await home.link(home.peripheral(.cuffStored))
            #expect(Set(try await home.states()) == [.held(.beforeAssignment)])
        }
    }

    @Test("R4 a hand-over: each reading by its time, and what lies at the border is held")
    func r4_handOver() async throws {
        try await Home.with { home in
            try await home.assign(PatientAlias(rawValue: "old"), until: TestClock.noon - .seconds(86_400))
            try await home.assign(PatientAlias(rawValue: "new"), from: TestClock.noon - .seconds(86_400))
            try await home.link(home.peripheral(.cuffStored))
            #expect(Set(try await home.acts().map(\.patient)) == [PatientAlias(rawValue: "new")])
        }
    }

    @Test("R4 an unlikely value goes out, flagged")
    func r4_unlikely() async throws {
        try await Home.with { home in
            try await home.assign()
            var strict = home
            strict.ranges = [ValueRange(name: .systolic, unit: .millimetreOfMercury, low: 300, high: 301)]
            try await strict.link(home.peripheral(.cuffLive))
            let act = try await home.acts()[0]
            #expect(act.state == .ready)
            #expect(act.cautions == [.unlikelyValue])
            #expect(try await home.items(act.id).count == 2)
        }
    }

    @Test("R2 kilopascals are kept as the device sent them")
    func r2_kilopascal() async throws {
        try await Home.with { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffKilopascal))
            let systolic = try #require(try await home.acts()[0].measurement[.systolic])
            #expect(systolic.unit == .kilopascal)
            #expect(systolic.value == .number(ExactDecimal(mantissa: 176, exponent: -1)))
        }
    }

    @Test("a mean pressure that is not a number is kept as such, and the reading is owed")
    func nanMean() async throws {
        try await Home.with { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffNaNMean))
            let act = try await home.acts()[0]
            #expect(act.measurement[.mean]?.value == .special(.notANumber))
            #expect(act.state == .ready)
        }
    }

    // MARK: A person's decisions

    @Test("R4 a person says whose a held reading is; the audit has it")
    func r4_assignReading() async throws {
        try await Home.with { home in
            try await home.link(home.peripheral(.cuffLive))
            let act = try await home.acts()[0]
            let desk = home.desk
            #expect(
                try await desk.assign(
                    reading: "nothing-like-it", patient: Home.patient, receivers: ["clinic"], at: nil, actor: "t")
                    == .failure(.init(.noSuchReading)))
            #expect(
                try await desk.assign(
                    reading: act.subject.rawValue, patient: Home.patient, receivers: ["nobody"], at: nil, actor: "t")
                    == .failure(.init(.noSuchReceiver("nobody"))))
            guard
                case .success(let bound) = try await desk.assign(
                    reading: act.subject.rawValue, patient: Home.patient, receivers: ["clinic"], at: nil, actor: "t")
            else { return #expect(Bool(false)) }
            #expect(bound.state == .ready)
            #expect(bound.patient == Home.patient)
            #expect(try await home.items(act.id).map(\.receiver) == ["clinic", "clinic"])
            let audit = try await home.journal.read { tx in try tx.auditRecords(limit: 10) }
            #expect(audit.first?.action == "assign-reading")
            #expect(audit.first?.actor == "t")
            // Once.
            #expect(
                try await desk.assign(
                    reading: act.subject.rawValue, patient: Home.patient, receivers: ["clinic"], at: nil, actor: "t")
                    == .failure(.init(.wrongState(.ready))))
        }
    }

    @Test("R5 a reading whose time is not known needs a person's word for it")
    func r5_statedTime() async throws {
        try await Home.with({ $0.clock.liveWithoutStamp = false }) { home in
            try await home.link(home.peripheral(.cuffClockUnset))
            let act = try await home.acts()[0]
            #expect(act.state == .held(.timeUnknown))
            let desk = home.desk
            #expect(
                try await desk.assign(
                    reading: act.subject.rawValue, patient: Home.patient, receivers: ["clinic"], at: nil, actor: "t")
                    == .failure(.init(.timeNeeded)))
            guard
                case .success(let bound) = try await desk.assign(
                    reading: act.subject.rawValue, patient: Home.patient, receivers: ["clinic"], at: TestClock.noon, actor: "t")
            else { return #expect(Bool(false)) }
            #expect(bound.effective == MeasuredTime(TestClock.noon, offsetMinutes: 60))
            #expect(bound.timeBasis == .stated)
        }
    }

    /// A bound act whose pressures were delivered and whose pulse still waits.
    private func halfDelivered(_ home: Home) async throws -> ActRecord {
        try await home.assign()
        try await home.link(home.peripheral(.cuffLive))
        let act = try await home.acts()[0]
        let items = try await home.items(act.id)
        try await home.journal.write { tx in
            try tx.setItem(items[0].id, state: .delivered, serverReference: "Observation/7/_history/1", at: TestClock.noon)
        }
        return act
    }

    @Test("R4 a reading taken back: who has it is told, who waits for it never hears of it")
    func r4_retract() async throws {
        try await Home.with { home in
            let act = try await halfDelivered(home)
            guard
                case .success(let retracted) = try await home.desk.retract(reading: act.subject.rawValue, reason: "x", actor: "t")
            else { return #expect(Bool(false)) }
            #expect(retracted.state == .retracted)
            let items = try await home.items(act.id)
            let found = items.map { "\($0.kind.rawValue) \($0.state.rawValue)" }.sorted()
            #expect(found == ["correction waiting", "observation delivered", "observation withdrawn"])
            #expect(items.first { $0.kind == .correction }?.serverReference == "Observation/7/_history/1")
        }
    }

    @Test("R4 a reading given to another patient: taken back from the first, owed for the second under ids of its own")
    func r4_rebind() async throws {
        try await Home.with { home in
            let act = try await halfDelivered(home)
            let other = PatientAlias(rawValue: "p2")
            guard
                case .success(let bound) = try await home.desk.rebind(
                    reading: act.subject.rawValue, patient: other, reason: "x", actor: "t")
            else { return #expect(Bool(false)) }
            #expect(bound.patient == other)
            #expect(bound.subject != act.subject)
            #expect(bound.measurement == act.measurement)
            #expect(try await home.items(bound.id).map(\.state) == [.waiting, .waiting])
            #expect(try await home.acts().first { $0.id == act.id }?.state == .retracted)
            // Sent again by the device it is still the first one.
            let peripheral = try home.peripheral(.cuffLive)
            try await home.link(peripheral)
            #expect(try await home.acts().count == 2)
        }
    }

    @Test("R4 while a request is under way nothing is decided about it")
    func r4_underWay() async throws {
        try await Home.with { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffLive))
            let act = try await home.acts()[0]
            let item = try await home.items(act.id)[0].id
            for state in [ItemState.sending, .uncertain] {
                try await home.journal.write { tx in try tx.setItem(item, state: state) }
                let id = act.subject.rawValue
                #expect(try await home.desk.retract(reading: id, reason: "x", actor: "t") == .failure(.init(.underWay)))
                #expect(try await home.desk.reject(reading: id, reason: "x", actor: "t") == .failure(.init(.underWay)))
                #expect(
                    try await home.desk.rebind(reading: id, patient: PatientAlias(rawValue: "p2"), reason: "x", actor: "t")
                        == .failure(.init(.underWay)))
            }
        }
    }

    @Test("R4 a rejected reading is kept and owed to nobody, also when an assignment comes")
    func r4_reject() async throws {
        try await Home.with { home in
            try await home.link(home.peripheral(.cuffLive))
            let act = try await home.acts()[0]
            guard case .success = try await home.desk.reject(reading: act.subject.rawValue, reason: "x", actor: "t") else {
                return #expect(Bool(false))
            }
            try await home.assign()
            #expect(try await home.desk.assigned(device: home.device) == 0)
            #expect(try await home.states() == [.rejected])
            #expect(try await home.items(act.id).isEmpty)
        }
    }
}
