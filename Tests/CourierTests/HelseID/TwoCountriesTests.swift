import Destinations
import ExactJSON
import HTTP
import Journal
import Simulator
import Testing
import Trust
import Vitals

@testable import Courier

/// One hub, one device, a Danish and a Norwegian recipient, each with its own identifier of the patient.
/// One after the other: tests beside it measure time.
@Suite("Denmark and Norway in one hub", .serialized) struct TwoCountriesTests {
    private static let anna = FUTScene.anna
    private static let number = "01819540094"

    /// FUT's scene with PMD beside it on the same journal and clock.
    private struct Scene: Sendable {
        let fut: FUTScene
        let norway: NHNState
        let pmd: HelseIDReceiver
        let receivers: [Receiver]

        /// Anna's pressure, owed to both.
        func pressure(_ systolic: Int64) async throws -> Int64 {
            let act = try await fut.pressure(anna, ago: .seconds(60), systolic: systolic)
            let channel = pmd.channel(for: anna)
            let now = fut.clock.now().wall
            try await fut.journal.write { tx throws in
                guard let record = try tx.act(id: act), let effective = record.effective?.instant else {
                    throw TestFailure.noDispatch
                }
                for reading in record.readings {
                    _ = try tx.insertItem(
                        act: act, reading: reading, kind: .observation, receiver: "pmd", channel: channel, effective: effective,
                        created: now)
                }
            }
            return act
        }

        func states(_ act: Int64) async throws -> [String: [String]] {
            try await fut.journal.read { tx in
                Dictionary(grouping: try tx.items(act: act), by: \.receiver).mapValues { $0.map(\.state.rawValue) }
            }
        }

        func advance(_ step: Duration) async {
            fut.clock.advance(step)
            await fut.state.advance(by: step)
            await norway.advance(by: step)
        }

        func running(_ body: @Sendable (Courier) async throws -> Void) async throws {
            let courier = Courier(journal: fut.journal, receivers: receivers, clock: fut.clock) { _ in }
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await courier.run() }
                do {
                    try await body(courier)
                    group.cancelAll()
                } catch {
                    group.cancelAll()
                    throw error
                }
            }
        }

        func expect(
            _ act: Int64, _ receiver: String, _ wanted: [String], _ courier: Courier,
            sourceLocation: SourceLocation = #_sourceLocation
        ) async throws {
            let reached = try await eventually(.seconds(20), every: .milliseconds(20)) {
                if try await states(act)[receiver] == wanted { return true }
                await advance(.seconds(5))
                courier.ring()
                return false
            }
            if !reached {
                Issue.record("\(receiver): \(try await states(act)), expected \(wanted)", sourceLocation: sourceLocation)
            }
        }
    }

    private static func with(_ body: @escaping @Sendable (Scene) async throws -> Void) async throws {
        try await FUTScene.with { fut in
            let simulator = try NHNSimulator(.init())
            let (origins, source) = AsyncStream<String>.makeStream()
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask {
                    defer { source.finish() }
                    try await simulator.run { source.yield($0) }
                }
                guard let origin = await origins.first(where: { _ in true }) else { throw TestFailure.noDispatch }
                let endpoints = NHNEndpoints(origin: origin)
                var http = HTTPClientSettings()
                http.requestTimeout = .seconds(2)
                let client = HTTPClient(settings: http, loop: fut.loop)
                let keeper = HelseIDKeeper(
                    .init(issuer: endpoints.issuer, identifier: "hub"), source: .journal(.es256), http: client,
                    journal: fut.journal, clock: fut.clock)
                let pmd = HelseIDReceiver(
                    name: "pmd",
                    client: HelseIDClient(
                        issuer: endpoints.issuer, clientID: "hub",
                        scopes: [NHNSettings.Scope.pmdWrite, NHNSettings.Scope.pmdRead]),
                    keeper: keeper, journal: fut.journal)
                _ = try await keeper.change(.generate, actor: "test")
                let jwk = try JSON(parsing: try #require(try await keeper.standing()).publicJWK)
                await simulator.state.register(
                    HelseIDClientRegistration(id: "hub", scopes: NHNSettings.Scope.all, keys: [jwk]))
                try await fut.journal.write { tx in try tx.setIdentifier(number, of: anna, at: "pmd") }
                try await body(
                    Scene(
                        fut: fut, norway: simulator.state, pmd: pmd,
                        receivers: [
                            fut.receiver,
                            Receiver(
                                destination: PMDDestination(
                                    settings: ReceiverSettings(name: "pmd", kind: .pmd, baseURL: endpoints.pmd),
                                    pmd: PMDSettings()), client: client, desks: pmd, gateway: fut.receiver.gateway,
                                settling: .milliseconds(50)),
                        ]))
                group.cancelAll()
            }
        }
    }

    private static let there = ["delivered", "delivered"]
    /// The pulse of a cuff is nobody's order in Denmark.
    private static let thereAsOrdered = ["delivered", "held"]

    @Test("R4 each country is told of the patient by its own identifier, and of nothing of the other's")
    func r4_identifiers() async throws {
        try await Self.with { scene in
            guard case .signedIn = try await scene.fut.signIn(Self.anna, as: "anna") else {
                Issue.record("no sign-in")
                return
            }
            let act = try await scene.pressure(127)
            try await scene.running { courier in
                try await scene.expect(act, "fut", Self.thereAsOrdered, courier)
                try await scene.expect(act, "pmd", Self.there, courier)
            }
            let danish = await scene.fut.stored(Self.anna)
            #expect(danish == ["3001 Resolved"], "\(danish)")
            let stored = await scene.norway.observations()
            #expect(stored.count == 2)
            #expect(stored.allSatisfy { $0.resource["subject"]?["identifier"]?["value"]?.string == Self.number })
            #expect(stored.allSatisfy { !$0.resource.text.contains("Patient/1001") })
        }
    }

    @Test(
        "R6 Norway is closed for a week: Denmark's readings arrive day by day, and Norway's all at once when it opens, once each")
    func r6_norwayClosed() async throws {
        try await Self.with { scene in
            guard case .signedIn = try await scene.fut.signIn(Self.anna, as: "anna") else {
                Issue.record("no sign-in")
                return
            }
            await scene.norway.set(NHNFaultPlan([NHNFaultRule(.status(503), path: "/pmd")]))
            try await scene.running { courier in
                var acts: [Int64] = []
                for day in 0..<7 {
                    let act = try await scene.pressure(120 + Int64(day))
                    acts.append(act)
                    try await scene.expect(act, "fut", Self.thereAsOrdered, courier)
                    let norway = try await scene.states(act)["pmd"] ?? []
                    #expect(norway.count == 2 && !norway.contains("delivered"))
                    await scene.advance(.seconds(86_400))
                }
                await scene.norway.set(NHNFaultPlan())
                for act in acts { try await scene.expect(act, "pmd", Self.there, courier) }
            }
            let stored = await scene.norway.observations()
            #expect(stored.count == 14)
            #expect(Set(stored.map { $0.resource["identifier"]?[0]?["value"]?.string }).count == 14)
            #expect(await scene.fut.stored(Self.anna).count == 7)
        }
    }

    @Test("R6 Denmark's sign-in lapses for a week: Norway's readings arrive day by day, and Denmark's when she signs in again")
    func r6_denmarkClosed() async throws {
        try await Self.with { scene in
            try await scene.running { courier in
                var acts: [Int64] = []
                for day in 0..<7 {
                    let act = try await scene.pressure(120 + Int64(day))
                    acts.append(act)
                    try await scene.expect(act, "pmd", Self.there, courier)
                    let denmark = try await scene.states(act)["fut"]
                    #expect(denmark == ["waiting", "waiting"])
                    await scene.advance(.seconds(86_400))
                }
                guard case .signedIn = try await scene.fut.signIn(Self.anna, as: "anna", courier: courier) else {
                    Issue.record("no sign-in")
                    return
                }
                for act in acts { try await scene.expect(act, "fut", Self.thereAsOrdered, courier) }
            }
            #expect(await scene.fut.stored(Self.anna).count == 7)
            #expect(await scene.norway.observations().count == 14)
        }
    }
}
