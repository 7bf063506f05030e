import ExactJSON
import HTTPMessage
import Simulator
import Testing
import Trust
import Vitals

@testable import Courier

/// PMD and VKP through the courier against NHN's simulated services: the error matrix, and what outlives a restart.
/// One after the other: tests beside it measure time.
@Suite("HelseID, PMD and VKP through the courier", .serialized) struct HelseIDDeliveryTests {
    private typealias Scene = NorwayScene
    private static let both = ["delivered", "delivered"]

    @Test("a reading of each patient and a document, with one token for each set of scopes")
    func deliveries() async throws {
        try await Scene.with { scene in
            let first = try await scene.pressure()
            let second = try await scene.pressure(Scene.bent)
            let third = try await scene.pressure(ago: .seconds(30), to: ["vkp"])
            try await scene.running { courier in
                for act in [first, second, third] { try await scene.expect(act, Self.both, courier) }
            }
            let subjects = await scene.state.observations().map { $0.resource["subject"]?["identifier"]?["value"]?.string }
            #expect(Set(subjects) == Set(Scene.numbers.values) && subjects.count == 4)
            let grants = await scene.state.grants()
            #expect(grants.count == 2)
            #expect(
                grants.filter { $0.boundTo != nil }.map(\.scopes) == [[NHNSettings.Scope.pmdWrite, NHNSettings.Scope.pmdRead]])
            #expect(await scene.state.journal().count == 1)
            #expect(try await scene.attempts(first) == ["answered 200"])
        }
    }

    @Test("the nonce of HelseID and those of the services: the same request once more, and no failure is counted")
    func nonces() async throws {
        try await Scene.with({ $0.nonces = .everywhere }) { scene in
            let first = try await scene.pressure()
            try await scene.running { courier in
                try await scene.expect(first, Self.both, courier)
                let codes = await scene.state.exchanges.compactMap(\.code)
                #expect(codes == ["use_dpop_nonce", "use_dpop_nonce"])
                #expect(try await scene.attempts(first) == ["answered 200"])
                let failures = try await scene.channel()?.failures ?? 0
                #expect(failures == 0)
                let second = try await scene.pressure(ago: .seconds(20))
                try await scene.expect(second, Self.both, courier)
            }
            // The nonce was kept: no further challenge.
            let codes = await scene.state.exchanges.compactMap(\.code)
            #expect(codes.count == 2)
            #expect(try await scene.conditions().isEmpty)
        }
    }

    @Test("a token that ends is replaced before it is used")
    func tokenEnds() async throws {
        try await Scene.with({ $0.tokenLifetime = .seconds(60) }) { scene in
            let first = try await scene.pressure()
            try await scene.running { courier in
                try await scene.expect(first, Self.both, courier)
                scene.clock.pass(.seconds(61))
                let second = try await scene.pressure(ago: .seconds(20))
                try await scene.expect(second, Self.both, courier)
            }
            #expect(await scene.state.grants().count == 2)
            let exchanges = await scene.state.exchanges
            #expect(exchanges.allSatisfy { $0.status != 401 })
        }
    }

    @Test("a 401 at the service drops the token: a new one, and the reading goes")
    func unauthorised() async throws {
        try await Scene.with { scene in
            let first = try await scene.pressure()
            try await scene.running { courier in
                try await scene.expect(first, Self.both, courier)
                await scene.state.set(NHNFaultPlan([NHNFaultRule(.status(401), path: "/pmd", times: 1)]))
                let second = try await scene.pressure(ago: .seconds(20))
                try await scene.expect(second, Self.both, courier)
                #expect(await scene.state.grants().count == 2)
                // Twice in a row: a person has to look, the reading waits.
                await scene.state.set(NHNFaultPlan([NHNFaultRule(.status(401), path: "/pmd", times: 2)]))
                let third = try await scene.pressure(ago: .seconds(10))
                let isHeld = try await scene.pump(courier) { try await scene.channel()?.held?.code == .signInNeeded }
                #expect(isHeld)
                #expect(try await scene.standing(third) == ["waiting", "waiting"])
                try await courier.release(receiver: "pmd")
                try await scene.expect(third, Self.both, courier)
            }
        }
    }

    @Test(
        "clocks that differ by 10 s either way: readings wait, nobody is asked in a circle, and they leave when the clock is right",
        arguments: [10, -10])
    func clockSkew(seconds: Int64) async throws {
        try await Scene.with { scene in
            let act = try await scene.pressure()
            scene.clock.setWrong(by: .seconds(seconds), more: true)
            try await scene.running { courier in
                let reached = try await scene.pump(courier) { try await scene.channel()?.failureKind == "clock-skew" }
                let channel = try await scene.channel()
                #expect(reached, "\(String(describing: channel))")
                #expect(try await scene.standing(act) == ["waiting", "waiting"])
                #expect(await scene.state.observations().isEmpty)
                let reason = try await scene.conditions().first { $0.code == .credentialRefused }?.reason ?? ""
                #expect(reason.contains("check the hub's time source"), "\(reason)")
                scene.clock.setWrong(by: .seconds(-seconds), more: true)
                try await scene.expect(act, Self.both, courier)
            }
            #expect(try await scene.conditions().isEmpty)
        }
    }

    @Test("R5 without a synchronised clock nothing is signed and nothing is asked")
    func r5_unsynchronised() async throws {
        try await Scene.with { scene in
            let act = try await scene.pressure()
            scene.clock.setSource(.unsynchronised)
            try await scene.running { courier in
                try? await Task.sleep(for: .milliseconds(300))
                #expect(await scene.state.exchanges.isEmpty)
                scene.clock.setSource(.ntp)
                try await scene.expect(act, Self.both, courier)
            }
        }
    }

    @Test("one entry refused: it is set aside, the other is delivered, and nothing is sent twice")
    func entryRefused() async throws {
        try await Scene.with { scene in
            await scene.state.set(NHNFaultPlan([NHNFaultRule(.entryRefused(1, status: 422), path: "/pmd", times: 1)]))
            let act = try await scene.pressure()
            try await scene.running { courier in
                let isThere = try await scene.pump(courier) { try await scene.standing(act).first == "delivered" }
                #expect(isThere)
                let states = try await scene.standing(act)
                #expect(states[1].hasPrefix("quarantined"))
            }
            #expect(await scene.copies() == [1])
        }
    }

    @Test(
        "stored and not answered: it is asked for, and stands there once",
        arguments: [NHNFault.hang(stored: true), .cut(stored: true), .hang(stored: false), .cut(stored: false)])
    func unanswered(fault: NHNFault) async throws {
        try await Scene.with({ $0.nonces = .everywhere }, timeout: .milliseconds(500)) { scene in
            let warm = try await scene.pressure(ago: .seconds(90))
            try await scene.running { courier in
                try await scene.expect(warm, Self.both, courier)
                await scene.state.set(NHNFaultPlan([NHNFaultRule(fault, path: "/pmd", times: 1)]))
                let act = try await scene.pressure(ago: .seconds(20))
                try await scene.expect(act, Self.both, courier)
            }
            let copies = await scene.copies()
            #expect(copies.allSatisfy { $0 == 1 })
            #expect(await scene.state.observations().count == 4)
        }
    }

    @Test(
        "HelseID is down, asks to wait, or says nonsense: readings wait and leave by themselves",
        arguments: [
            NHNFault.status(503), .status(429, retryAfter: 1), .garbage(stored: false), .cut(stored: false),
            .code("invalid_scope"),
        ])
    func helseIDFails(fault: NHNFault) async throws {
        try await Scene.with(timeout: .milliseconds(500)) { scene in
            await scene.state.set(NHNFaultPlan([NHNFaultRule(fault, path: "/token", times: 2)]))
            let act = try await scene.pressure()
            try await scene.running { courier in
                if try await !scene.pump(courier, by: .seconds(30), until: { try await scene.standing(act) == Self.both }) {
                    Issue.record("\(try await scene.standing(act))")
                }
            }
            #expect(await scene.copies() == [1, 1])
            #expect(try await scene.conditions().isEmpty)
        }
    }

    @Test("without a key and with one that nobody registered: a condition, and the reading goes as soon as it is")
    func register() async throws {
        try await Scene.with(isRegistered: false) { scene in
            let act = try await scene.pressure()
            try await scene.running { courier in
                let isTold = try await scene.pump(courier) {
                    try await scene.conditions().contains { $0.code == .credentialRefused }
                }
                #expect(isTold)
                #expect(try await scene.keeper.standing() == nil)
                #expect(try await scene.keeper.change(.generate, actor: "test") == nil)
                let made = try #require(try await scene.keeper.standing())
                #expect(!made.publicJWK.contains("\"d\""))
                // Nobody registered it yet.
                let isRefused = try await scene.pump(courier) {
                    try await scene.conditions().contains {
                        $0.reason.contains("vitalgate helseid register") && $0.reason.contains(made.current)
                    }
                }
                #expect(isRefused)
                try await scene.register()
                #expect(try await scene.keeper.change(.registered, actor: "test") == nil)
                try await scene.expect(act, Self.both, courier)
            }
            let conditions = try await scene.conditions()
            #expect(conditions.allSatisfy { $0.code != .credentialRefused })
            #expect(try await scene.keeper.change(.generate, actor: "test") == nil)
            let standing = try await scene.keeper.standing()
            let granted = await scene.state.grants().last
            #expect(standing?.current == granted?.keyIdentifier)
        }
    }

    @Test("a rotation with overlap: no moment without a key that HelseID knows, also over a restart in the middle")
    func rotation() async throws {
        try await Scene.with({ $0.tokenLifetime = .seconds(20) }) { scene in
            let first = try await scene.pressure()
            try await scene.running { courier in try await scene.expect(first, Self.both, courier) }
            let old = try #require(try await scene.keeper.standing())
            #expect(try await scene.keeper.change(.rotate, actor: "test") == nil)
            let begun = try #require(try await scene.keeper.standing())
            #expect(begun.current == old.current && begun.candidate != nil && begun.publicJWK != old.publicJWK)

            let again = try await scene.reopened()
            #expect(try await again.keeper.standing() == begun)
            let second = try await again.pressure(ago: .seconds(20))
            try await again.running { courier in try await again.expect(second, Self.both, courier) }
            #expect(await again.state.grants().last?.keyIdentifier == old.current)

            // Told before it is so: HelseID refuses it, and the present key goes on.
            #expect(try await again.keeper.change(.registered, actor: "test") == nil)
            again.clock.pass(.seconds(30))
            let third = try await again.pressure(ago: .seconds(10))
            try await again.running { courier in try await again.expect(third, Self.both, courier) }
            #expect(await again.state.grants().last?.keyIdentifier == old.current)

            try await again.register()
            #expect(try await again.keeper.change(.registered, actor: "test") == nil)
            again.clock.pass(.seconds(30))
            let fourth = try await again.pressure(ago: .seconds(5), to: ["pmd", "vkp"])
            try await again.running { courier in try await again.expect(fourth, Self.both + Self.both, courier) }
            let newest = await again.state.grants().suffix(2)
            #expect(newest.allSatisfy { $0.keyIdentifier == begun.candidate })

            let last = try await again.reopened()
            let standing = try #require(try await last.keeper.standing())
            #expect(standing.current == begun.candidate && standing.previous == old.current && standing.candidate == nil)
            #expect(await last.state.revoke(key: old.current, of: "hub"))
            let fifth = try await last.pressure(ago: .seconds(3))
            try await last.running { courier in try await last.expect(fifth, Self.both, courier) }
        }
    }

    @Test(
        "R4 R8 a patient whose number nobody said: the channel is held, the alias goes nowhere, the other patient is not delayed")
    func r4_identifier() async throws {
        try await Scene.with { scene in
            try await scene.journal.write { tx in try tx.setIdentifier(nil, of: Scene.anna, at: "pmd") }
            let first = try await scene.pressure()
            let second = try await scene.pressure(Scene.bent)
            try await scene.running { courier in
                try await scene.expect(second, Self.both, courier)
                let isHeld = try await scene.pump(courier) { try await scene.channel()?.held?.code == .identifierNeeded }
                #expect(isHeld)
                #expect(try await scene.standing(first) == ["waiting", "waiting"])
                try await scene.identifyBoth()
                try await courier.release(channel: scene.pmd.channel(for: Scene.anna))
                try await scene.expect(first, Self.both, courier)
            }
            let channels = try await scene.journal.read { tx in try tx.channelRecords().map(\.channel) }
            #expect(channels.allSatisfy { channel in Scene.numbers.values.allSatisfy { !channel.contains($0) } })
        }
    }

    @Test("R6 one service is closed: the other goes on")
    func r6_independent() async throws {
        try await Scene.with { scene in
            await scene.state.set(NHNFaultPlan([NHNFaultRule(.status(503), path: "/pmd")]))
            let act = try await scene.pressure(to: ["pmd", "vkp"])
            try await scene.running { courier in
                try await scene.expect(act, Self.both, at: "vkp", courier)
                #expect(try await scene.standing(act, at: "pmd") != Self.both)
                await scene.state.set(NHNFaultPlan())
                try await scene.expect(act, Self.both, at: "pmd", courier)
            }
            #expect(await scene.state.journal().count == 1)
            #expect(await scene.copies() == [1, 1])
        }
    }

    @Test(
        "VKP's own codes: a document that it does not read is refused, a time-out is a person's, since the journal cannot be asked"
    )
    func vkpCodes() async throws {
        try await Scene.with { scene in
            await scene.state.set(
                NHNFaultPlan([
                    NHNFaultRule(.code("2.4"), path: "/bundle", times: 1), NHNFaultRule(.code("3.1"), path: "/bundle", times: 1),
                ]))
            let first = try await scene.pressure(ago: .seconds(90), to: ["vkp"])
            try await scene.running { courier in
                try await scene.expect(first, ["quarantined error", "quarantined error"], courier)
                let second = try await scene.pressure(ago: .seconds(20), to: ["vkp"])
                try await scene.expect(second, ["uncertain for-a-person", "uncertain for-a-person"], courier)
            }
            #expect(await scene.state.journal().isEmpty)
        }
    }
}
