import Journal
import Simulator
import Steward
import Testing
import Vitals

@testable import Intake

@Suite("R4 a device is proved before its readings are a patient's")
struct VerificationTests {
    private func begin(_ home: Home) async throws {
        let (device, now) = (home.device, home.clock.now())
        let record = try await home.journal.write { tx in try tx.beginVerification(device: device, at: now) }
        #expect(record?.state == .provisioning && record?.verification == .open(since: now))
    }

    private func prove(_ home: Home) async throws -> Int {
        let (device, now) = (home.device, home.clock.now())
        let record = try await home.journal.write { tx in try tx.proveVerification(device: device, at: now) }
        #expect(record?.state == .verified && record?.verification == .proved(at: now.wall))
        return try await home.desk.verificationEnded(device: device)
    }

    private func setState(_ home: Home, _ state: DeviceRecord.State) async throws {
        let device = home.device
        try await home.journal.write { tx throws in
            var record = try #require(try tx.device(id: device))
            record.state = state
            try tx.update(record)
        }
    }

    @Test("R4 while a verification is open its readings are tests, and stay tests; after the proof they are the patient's")
    func r4_openThenProved() async throws {
        try await Home.with { home in
            try await home.assign()
            try await begin(home)
            #expect(try await home.conditions() == [.verificationOpen])
            try await home.link(home.peripheral(.cuffLive))
            #expect(try await home.states() == [.test])
            #expect(try await prove(home) == 0)
            #expect(try await home.conditions().isEmpty)
            #expect(try await home.states() == [.test])
            #expect(try await home.items(try await home.acts()[0].id).isEmpty)
            // An assignment that comes later makes no patient's reading of a test.
            try await home.assign(PatientAlias(rawValue: "p2"), user: 1)
            #expect(try await home.desk.assigned(device: home.device) == 0)
            home.clock.advance(.seconds(120))
            try await home.link(home.peripheral(.cuffLive))
            #expect(try await home.states() == [.test, .ready])
        }
    }

    @Test("R4 30 minutes without proof: readings are held, the condition goes, and a later proof gives them to the patient")
    func r4_unprovedThenProved() async throws {
        try await Home.with { home in
            try await home.assign()
            try await begin(home)
            home.clock.advance(.seconds(29 * 60))
            #expect(try await home.desk.expireVerifications(home.clock.now()) == [])
            home.clock.advance(.seconds(2 * 60))
            // Before housekeeping has looked.
            try await home.link(home.peripheral(.cuffLive))
            #expect(try await home.states() == [.held(.unproved)])
            #expect(try await home.conditions() == [.verificationOpen, .unassigned])
            #expect(try await home.desk.expireVerifications(home.clock.now()) == [home.device])
            #expect(try await home.desk.expireVerifications(home.clock.now()) == [])
            #expect(try await home.conditions() == [.unassigned])
            home.clock.advance(.seconds(120))
            try await home.link(home.peripheral(.cuffLive))
            #expect(try await home.states() == [.held(.unproved), .held(.unproved)])
            // No assignment binds what is not proved.
            #expect(try await home.desk.assigned(device: home.device) == 0)
            #expect(try await home.desk.verificationEnded(device: home.device) == 0)

            #expect(try await prove(home) == 2)
            #expect(try await home.states() == [.ready, .ready])
            #expect(try await home.acts().map(\.patient) == [Home.patient, Home.patient])
            #expect(try await home.conditions().isEmpty)
            for act in try await home.acts() { #expect(try await home.items(act.id).count == 2) }
            #expect(try await home.desk.verificationEnded(device: home.device) == 0)
        }
    }

    @Test("R4 a device that was added and never proved: its readings wait for the proof; one that stood as proved needs none")
    func r4_provisioning() async throws {
        try await Home.with { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffLive))
            #expect(try await home.states() == [.ready])
            try await setState(home, .provisioning)
            home.clock.advance(.seconds(120))
            try await home.link(home.peripheral(.cuffLive))
            #expect(try await home.states() == [.ready, .held(.unproved)])
            #expect(try await prove(home) == 1)
            #expect(try await home.states() == [.ready, .ready])
        }
    }

    @Test("R4 readings that were held before a verification are no tests when an assignment comes during it")
    func r4_heldBefore() async throws {
        try await Home.with { home in
            try await home.link(home.peripheral(.cuffLive))
            #expect(try await home.states() == [.held(.unassigned)])
            home.clock.advance(.seconds(60))
            try await begin(home)
            try await home.assign()
            #expect(try await home.desk.assigned(device: home.device) == 1)
            #expect(try await home.states() == [.ready])
        }
    }

    @Test("R4 what another device brought in this one's place waits for a person: no proof and no assignment bind it")
    func r4_otherDevice() async throws {
        try await Home.with { home in
            try await setState(home, .provisioning)
            try await home.link(home.peripheral(.cuffLive))
            let registrar = Registrar(
                settings: IntakeSettings(channel: { receiver, _ in receiver }), catalogue: .init([home.model]),
                zone: TestClock.zone)
            let act = try await home.acts()[0]
            try await home.journal.write { tx in try registrar.holdForAPerson(act, in: tx) }
            try await home.assign()
            #expect(try await prove(home) == 0)
            #expect(try await home.desk.assigned(device: home.device) == 0)
            #expect(try await home.states() == [.held(.unproved)])
        }
    }

    @Test("R4 a verification that is ended by hand, and a device that was given back")
    func r4_endedByHand() async throws {
        try await Home.with { home in
            try await begin(home)
            home.clock.advance(.seconds(60))
            let (device, now) = (home.device, home.clock.now())
            let ended = try await home.journal.write { tx in try tx.endVerificationUnproved(device: device, at: now) }
            guard case .endedUnproved(let from, let until) = ended?.verification else {
                Issue.record("\(String(describing: ended))")
                return
            }
            #expect(until == now.wall && until - from >= .seconds(60))
            #expect(try await home.conditions().isEmpty)
            #expect(try await home.journal.write { tx in try tx.endVerificationUnproved(device: device, at: now) } == nil)
            try await setState(home, .returned)
            #expect(try await home.journal.write { tx in try tx.beginVerification(device: device, at: now) } == nil)
            #expect(try await home.journal.write { tx in try tx.proveVerification(device: device, at: now) } == nil)
        }
    }
}
