import Devices
import Journal
import Simulator
import Steward
import Synchronization
import Testing
import Vitals

@testable import Intake

@Suite("R3 one identity")
struct IdentityTests {
    @Test("R3 a memory that is sent again on every connect stays as many readings as it is")
    func r3_resendAll() async throws {
        try await Home.with { home in
            let peripheral = try home.peripheral(.cuffResendAll)
            for _ in 0..<3 { try await home.link(peripheral) }
            let acts = try await home.acts()
            #expect(acts.count == 3)
            #expect(Set(acts.map(\.identity)).count == 3)
            let suppressed = try await home.suppressed()
            #expect(suppressed.map(\.count) == [2, 2, 2])
        }
    }

    @Test("R3 a link lost before the confirmation: the device sends it again, and it stays one reading")
    func r3_lostBefore() async throws {
        try await Home.with { home in
            let peripheral = try home.peripheral(.cuffLostBefore)
            let first = try await home.link(peripheral)
            // Mostly the link is gone before the word can leave; where the kernel took it in time it counts as sent.
            let record = try await home.acts()[0]
            #expect(try await home.frame(record)?.word == (first.reason == "link-lost" ? .pending : .sent))
            let second = try await home.link(peripheral)
            #expect(second.reason == "quiet")
            #expect(try await home.acts().count == 1)
        }
    }

    @Test("R3 a link lost after a confirmation: the rest comes, nothing twice")
    func r3_lostAfter() async throws {
        try await Home.with { home in
            let peripheral = try home.peripheral(.cuffLostAfter)
            try await home.link(peripheral)
            try await home.link(peripheral)
            #expect(try await home.acts().count == 3)
            #expect(try await home.suppressed().isEmpty)
        }
    }

    @Test(
        "R3 a crash between the commit and the word: sent again, one reading", arguments: [Scenario.cuffLive, .cuffNoTimestamp])
    func r3_crashBeforeWord(_ scenario: Scenario) async throws {
        try await Home.with { home in
            let peripheral = try home.peripheral(scenario)
            // The process dies where it would confirm.
            try await home.link(peripheral) { $0 != [0x1E] }
            #expect(try await home.acts().count == 1)
            let after = try await home.reopened()
            let again = try await after.link(peripheral)
            #expect(again.reason == "quiet")
            // The scenario without stamps has two equal readings in all, the live one a single one.
            let expected = scenario == .cuffLive ? 1 : 2
            #expect(try await after.acts().count == expected)
            #expect(try await after.suppressed().map(\.count) == [1])
            await after.journal.close()
        }
    }

    @Test("R3 two equal readings without stamp are two, each confirmed before the next")
    func r3_equalWithoutStamp() async throws {
        try await Home.with { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffNoTimestamp))
            let acts = try await home.acts()
            #expect(acts.map(\.identity.ordinal) == [0, 1])
            #expect(try await home.suppressed().isEmpty)
        }
    }

    @Test("R3 of a model of which nothing is known, the second is held for a person")
    func r3_unknownModel() async throws {
        try await Home.with({ $0.id = "generic-blood-pressure" }) { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffNoTimestamp))
            #expect(try await home.states().last == .held(.possibleDuplicate))
            #expect(try await home.conditions().contains(.possibleDuplicate))
        }
    }

    @Test("R3 a memory sent again after its purge adds nothing")
    func r3_afterPurge() async throws {
        try await Home.with { home in
            let peripheral = try home.peripheral(.cuffResendAll)
            try await home.link(peripheral)
            let acts = try await home.acts().map(\.id)
            try await home.journal.write { tx in try tx.purge(acts: acts, outcome: "test", at: TestClock.noon) }
            #expect(try await home.acts().isEmpty)
            let again = try await home.link(peripheral)
            #expect(again.confirmed == 3)
            #expect(try await home.acts().isEmpty)
        }
    }

    @Test("R3 the same device has the same identities on another hub")
    func r3_everyHub() async throws {
        var identities: [[ReadingIdentity]] = []
        for _ in 0..<2 {
            identities.append(
                try await Home.with { home in
                    try await home.link(home.peripheral(.cuffCaptured))
                    return try await home.acts().map(\.identity)
                })
        }
        #expect(!identities[0].isEmpty)
        #expect(identities[0] == identities[1])
    }

    @Test("R3 a suppressed repeat can be released by a person: a reading of its own")
    func r3_release() async throws {
        try await Home.with { home in
            try await home.assign()
            let peripheral = try home.peripheral(.cuffResendAll)
            for _ in 0..<2 { try await home.link(peripheral) }
            let number = try #require(try await home.suppressed().first?.id)
            let released = try await home.desk.release(suppressed: number, actor: "test")
            #expect(try await home.acts().count == 4)
            #expect(try await home.suppressed().count == 2)
            guard case .success(let act) = released else { return #expect(Bool(false), "\(released)") }
            #expect(act.identity.ordinal == 1)
            #expect(try await home.desk.release(suppressed: number, actor: "test") == .failure(.init(.noSuchReading)))
        }
    }
}
