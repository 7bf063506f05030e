import Destinations
import ExactJSON
import HTTPMessage
import Simulator
import Testing
import Trust
import Vitals

/// The hub's own code against the simulated services, over HTTP: tokens, bundles, documents, and what goes wrong on the way.
/// One after the other: tests beside it measure time.
@Suite(.serialized) struct NHNFlowTests {
    private static let person = "01819540094"

    private static func act(_ number: Int) -> Act {
        let quantities = [
            Quantity(.systolic, type: .systolic, value: .number(ExactDecimal(118 + number)), unit: .millimetreOfMercury),
            Quantity(.diastolic, type: .diastolic, value: .number(87), unit: .millimetreOfMercury),
            Quantity(.pulseRate, type: .pulseRateNonInvasive, value: .number(61), unit: .perMinute),
        ]
        let measurement = Measurement(
            kind: .bloodPressure, quantities: quantities,
            projection: StoredProjection(codec: "test/1", bytes: [], distinguishes: true))
        return Act(
            id: SubjectID(rawValue: "5d1f0a3e-9a50-4c6e-8f43-00000000000\(number)"), measurement: measurement,
            readings: measurement.readings.enumerated().map { position, reading in
                .init(id: SubjectID(rawValue: "5d1f0a3e-9a50-4c6e-8f43-0000000\(position + 1)000\(number)"), reading: reading)
            },
            effective: MeasuredTime(Instant(seconds: 1_677_144_248 + Int64(number) * 600), offsetMinutes: 60),
            timeBasis: .corrected,
            device: DeviceIdentity(manufacturer: "A&D Medical", modelNumber: "UA-651BLE", serialNumber: "5181000124"),
            specialization: MDC(528_391), patient: PatientAlias(rawValue: "anna"))
    }

    private static func due(_ act: Act, from item: Int64 = 1) -> DispatchAct {
        DispatchAct(
            act: act,
            items: act.readings.enumerated().map { DispatchItem(id: item + Int64($0.offset), reading: $0.element.id) })
    }

    private static let context = DispatchContext(
        patientID: person,
        gateway: GatewayIdentity(systemID: nil, instance: "7b0c8f46-4f3c-4f0e-9d55-0d5f6c9e2a11", softwareVersion: "1.0.0"))

    private static func pmd(_ run: NHNRun, _ settings: PMDSettings = PMDSettings()) -> PMDDestination {
        PMDDestination(
            settings: ReceiverSettings(name: "pmd", kind: .pmd, baseURL: run.endpoints.pmd, maximumActs: 8), pmd: settings)
    }

    private static func vkp(_ run: NHNRun, searches: Bool = false) throws -> VKPDestination {
        VKPDestination(
            settings: ReceiverSettings(name: "vkp", kind: .vkp, baseURL: run.endpoints.vkp),
            vkp: VKPSettings(
                organisation: try NorwegianOrganisationNumber("999999204"),
                author: .init(system: VKPSettings.Author.hpr, value: "999999999", name: "Kari Prøve"), searches: searches))
    }

    private static let vkpScopes = [
        NHNSettings.Scope.bundleWrite, NHNSettings.Scope.compositionRead, NHNSettings.Scope.carePlanRead,
    ]

    private static func verdicts(_ verdict: DispatchVerdict) -> [ItemVerdict] {
        if case .items(let results) = verdict { results.map(\.verdict) } else { [] }
    }

    private static func isDelivered(_ verdict: ItemVerdict) -> Bool { if case .delivered = verdict { true } else { false } }

    /// What a courier does with an unclear outcome: asks for each item.
    private static func reconcile(
        _ draft: DispatchDraft, _ destination: some Destination, _ hub: inout NHNHub
    ) async throws -> [ItemVerdict] {
        var verdicts: [ItemVerdict] = []
        for inquiry in destination.reconciliation(of: draft) ?? [] {
            let outcome = try await hub.send(inquiry.request)
            verdicts += Self.verdicts(
                destination.verdict(
                    onReconciliation: outcome, of: inquiry.item, in: draft, now: Instant(seconds: 1_700_000_000)))
        }
        return verdicts
    }

    // MARK: PMD

    @Test(
        "Three readings to PMD through a nonce challenge, one entry refused, the others stored",
        arguments: NHNSettings.Echo.allCases, [true, false])
    func partialFailure(echo: NHNSettings.Echo, reorders: Bool) async throws {
        // By the order alone nothing can be told when the order changes.
        guard !(echo == .none && reorders) else { return }
        try await NHNRun.with(NHNSettings(nonces: .everywhere, echo: echo, reordersEntries: reorders)) { run in
            var hub = try await NHNHub(run)
            let destination = Self.pmd(run)
            await run.state.set(NHNFaultPlan([NHNFaultRule(.entryRefused(1, status: 422), path: "/pmd", times: 2)]))
            let draft = try destination.dispatch(
                of: [Self.due(Self.act(1)), Self.due(Self.act(2), from: 3)], context: Self.context)
            let outcome = try await hub.send(draft.request)
            let verdicts = Self.verdicts(destination.verdict(on: outcome, to: draft, now: hub.clock.wall))
            #expect(verdicts.count == 4)
            #expect(verdicts.map(Self.isDelivered) == [true, false, true, true])
            guard case .quarantine("business-rule", _) = verdicts[1] else {
                Issue.record("\(verdicts[1])")
                return
            }
            #expect(await run.state.observations().count == 3)
            let exchanges = await run.state.exchanges
            #expect(exchanges.filter { $0.code == "use_dpop_nonce" }.map(\.path) == ["/helseid/connect/token", "/pmd"])
            // Only what failed is sent again.
            let again = try destination.dispatch(
                of: [DispatchAct(act: Self.act(1), items: [DispatchItem(id: 2, reading: Self.act(1).readings[1].id)])],
                context: Self.context)
            let second = try await hub.send(again.request)
            #expect(
                Self.verdicts(destination.verdict(on: second, to: again, now: hub.clock.wall)).map(Self.isDelivered) == [true])
            #expect(await run.state.observations().count == 4)
        }
    }

    @Test(
        "Stored and not answered: the search finds it, and nothing is sent twice; not stored: it is sent again",
        arguments: [true, false])
    func unanswered(stored: Bool) async throws {
        try await NHNRun.with { run in
            var hub = try await NHNHub(run)
            let destination = Self.pmd(run)
            await run.state.set(NHNFaultPlan([NHNFaultRule(.cut(stored: stored), path: "/pmd", times: 1)]))
            let draft = try destination.dispatch(of: [Self.due(Self.act(1))], context: Self.context)
            let outcome = try await hub.send(draft.request)
            guard case .reconcile = destination.verdict(on: outcome, to: draft, now: hub.clock.wall) else {
                Issue.record("\(outcome)")
                return
            }
            let found = try await Self.reconcile(draft, destination, &hub)
            if stored {
                #expect(found.map(Self.isDelivered) == [true, true])
                #expect(
                    found.first
                        == .delivered(
                            ServerReference(
                                reference: "Observation/1000", version: "1",
                                lastModified: await run.state.observations()[0].lastUpdated)))
            } else {
                #expect(found == [.resend(nil), .resend(nil)])
                _ = try await hub.send(draft.request)
            }
            #expect(await run.state.observations().count == 2)
        }
    }

    @Test(
        "A body that is none, a failing service, one that is too busy",
        arguments: [
            (NHNFault.garbage(stored: true), "reconcile"), (.status(503), "reconcile"), (.status(500), "reconcile"),
            (.status(429, retryAfter: 7), "wait"), (.status(401), "credential"), (.status(403), "hold"), (.status(404), "hold"),
            (.status(400), "items"), (.status(422), "items"), (.slow(.milliseconds(50)), "items"),
        ])
    func errors(fault: NHNFault, expected: String) async throws {
        try await NHNRun.with { run in
            var hub = try await NHNHub(run)
            let destination = Self.pmd(run)
            await run.state.set(NHNFaultPlan([NHNFaultRule(fault, path: "/pmd", times: 1)]))
            let draft = try destination.dispatch(of: [Self.due(Self.act(1))], context: Self.context)
            let verdict = destination.verdict(on: try await hub.send(draft.request), to: draft, now: hub.clock.wall)
            let name =
                switch verdict {
                case .reconcile: "reconcile"
                case .waitUntilRetryAfter(.seconds(7)): "wait"
                case .refreshCredential: "credential"
                case .holdChannel: "hold"
                case .items: "items"
                default: "\(verdict)"
                }
            #expect(name == expected)
        }
    }

    @Test("Every published shape is taken: collection and batch, POST and PUT; another than the service takes is refused")
    func shapes() async throws {
        try await NHNRun.with(NHNSettings(tellsLocation: true)) { run in
            var hub = try await NHNHub(run)
            let shapes = [
                PMDSettings(municipality: "0301"), PMDSettings(form: .batch), PMDSettings(form: .batch, method: .put),
                PMDSettings(sendsPersonHeader: true), PMDSettings(form: .batch, family: .legacy),
            ]
            for (number, shape) in shapes.enumerated() {
                let destination = Self.pmd(run, shape)
                let draft = try destination.dispatch(of: [Self.due(Self.act(number))], context: Self.context)
                let verdicts = Self.verdicts(
                    destination.verdict(on: try await hub.send(draft.request), to: draft, now: hub.clock.wall))
                #expect(verdicts.map(Self.isDelivered) == [true, true])
            }
            #expect(await run.state.observations().count == 10)
            await run.state.set(NHNSettings(bundleTypes: ["batch"]))
            let destination = Self.pmd(run)
            let draft = try destination.dispatch(of: [Self.due(Self.act(9))], context: Self.context)
            let refused = destination.verdict(on: try await hub.send(draft.request), to: draft, now: hub.clock.wall)
            #expect(Self.verdicts(refused).allSatisfy { if case .quarantine("not-supported", _) = $0 { true } else { false } })
        }
    }

    @Test(
        "A retraction reaches what was delivered, whether or not the server said where it was", arguments: [true, false],
        PMDSettings.Form.allCases)
    func retraction(located: Bool, form: PMDSettings.Form) async throws {
        for method in PMDSettings.Method.allCases { try await retraction(located, form, method) }
    }

    private func retraction(_ located: Bool, _ form: PMDSettings.Form, _ method: PMDSettings.Method) async throws {
        try await NHNRun.with(NHNSettings(tellsLocation: located)) { run in
            var hub = try await NHNHub(run)
            let destination = Self.pmd(run, PMDSettings(form: form, method: method))
            let draft = try destination.dispatch(of: [Self.due(Self.act(1))], context: Self.context)
            let delivered = Self.verdicts(
                destination.verdict(on: try await hub.send(draft.request), to: draft, now: hub.clock.wall))
            let items = zip(Self.act(1).readings, delivered).enumerated().compactMap { position, pair -> DispatchItem? in
                guard case .delivered(let reference) = pair.1 else { return nil }
                return DispatchItem(id: Int64(position + 1), reading: pair.0.id, serverReference: reference)
            }
            #expect(items.count == 2)
            let correction = try destination.correction(of: DispatchAct(act: Self.act(1), items: items), context: Self.context)
            let verdicts = Self.verdicts(
                destination.verdict(on: try await hub.send(correction.request), to: correction, now: hub.clock.wall))
            #expect(verdicts.map(Self.isDelivered) == [true, true])
            let observations = await run.state.observations()
            #expect(observations.count == 2)
            #expect(observations.allSatisfy { $0.isRetracted && $0.version == 2 })
            #expect(try await Self.reconcile(correction, destination, &hub).map(Self.isDelivered) == [true, true])
        }
    }

    @Test("Ten seconds of clock difference either way is told as such, by HelseID before anything is sent", arguments: [10, -10])
    func clockSkew(seconds: Int) async throws {
        try await NHNRun.with { run in
            var hub = try await NHNHub(run)
            hub.skew = .seconds(seconds)
            do {
                _ = try await hub.token()
                Issue.record("a token")
            } catch let HelseIDError.clockSkew(skew, _) {
                #expect((5...11).contains(skew.components.seconds * Int64(seconds.signum())))
            }
            #expect(await run.state.grants().isEmpty)
        }
    }

    @Test("A clock that goes wrong after the token was given is told by the API's refusal")
    func clockSkewAtAPI() async throws {
        try await NHNRun.with { run in
            var hub = try await NHNHub(run)
            _ = try await hub.token()
            hub.skew = .seconds(-10)
            let draft = try Self.pmd(run).dispatch(of: [Self.due(Self.act(1))], context: Self.context)
            do {
                _ = try await hub.send(draft.request)
                Issue.record("it was taken")
            } catch let HelseIDError.clockSkew(skew, code) {
                // The least that it can be: whole seconds, and Hummingbird renews its date once a second, later on a busy machine.
                #expect((-10 ... -5).contains(skew.components.seconds))
                #expect(code == "invalid_dpop_proof")
            }
            #expect(await run.state.observations().isEmpty)
        }
    }

    @Test("Every algorithm of NHN's list", arguments: SignatureAlgorithm.allCases)
    func algorithms(algorithm: SignatureAlgorithm) async throws {
        try await NHNRun.with { run in
            var hub = try await NHNHub(run, algorithm: algorithm)
            let draft = try Self.pmd(run).dispatch(of: [Self.due(Self.act(1))], context: Self.context)
            #expect(try await hub.send(draft.request).status == 200)
        }
    }

    @Test("A key rotation: begun, registered, taken, and the old one revoked without a gap")
    func rotation() async throws {
        try await NHNRun.with { run in
            var hub = try await NHNHub(run)
            let old = try await hub.token()
            var candidate: JSON?
            _ = try hub.session.update { (keys) throws(JWKError) in
                try keys.beginRotation(.ps256)
                candidate = keys.publicJWK
            }
            hub.session.dropToken()
            // Not registered: the current key still signs.
            #expect(try await hub.token().key.keyIdentifier == old.key.keyIdentifier)
            #expect(await run.state.register(key: try #require(candidate), of: "hub"))
            _ = try hub.session.update { (keys) throws(JWKError) in keys.candidateRegistered() }
            hub.session.dropToken()
            let new = try await hub.token()
            #expect(new.key.keyIdentifier != old.key.keyIdentifier)
            #expect(hub.persisted.last?.current.keyIdentifier == new.key.keyIdentifier)
            #expect(await run.state.revoke(key: old.key.keyIdentifier, of: "hub"))
            let draft = try Self.pmd(run).dispatch(of: [Self.due(Self.act(1))], context: Self.context)
            #expect(try await hub.send(draft.request).status == 200)
            #expect(await run.state.grants().last?.keyIdentifier == new.key.keyIdentifier)
        }
    }

    // MARK: Any order of faults

    /// Draws the same faults for the same seed.
    private struct Weather: RandomNumberGenerator {
        var state: UInt64

        mutating func next() -> UInt64 {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return state ^ (state >> 29)
        }

        mutating func plan() -> NHNFaultPlan {
            let faults: [NHNFault] = [
                .cut(stored: true), .cut(stored: false), .garbage(stored: true), .garbage(stored: false), .status(500),
                .status(503), .status(502), .entryRefused(0, status: 500), .entryRefused(1, status: 503),
                .status(429, retryAfter: 0),
            ]
            return NHNFaultPlan(
                (0..<12).map { _ in
                    NHNFaultRule(
                        faults.randomElement(using: &self) ?? .status(500), path: "/pmd",
                        after: Int.random(in: 0...1, using: &self),
                        times: 1)
                })
        }
    }

    /// What a courier does, as far as it decides what is sent again. Returns the requests that it took.
    ///
    /// - Parameter asks: whether it looks before it sends again.
    private static func deliver(_ act: Act, _ destination: PMDDestination, _ hub: inout NHNHub, asks: Bool) async throws -> Int {
        var due = Self.due(act).items
        for round in 1...60 {
            guard !due.isEmpty else { return round }
            let draft = try destination.dispatch(of: [DispatchAct(act: act, items: due)], context: context)
            let verdict = destination.verdict(on: try await hub.send(draft.request), to: draft, now: hub.clock.wall)
            var unclear: Set<Int64> = []
            switch verdict {
            case .items(let results):
                for result in results {
                    switch result.verdict {
                    case .delivered: due.removeAll { $0.id == result.item }
                    case .reconcile: unclear.insert(result.item)
                    default: Issue.record("\(result)")
                    }
                }
            case .reconcile: unclear = Set(draft.entries.map(\.item))
            case .retry, .serverFailure, .waitUntilRetryAfter: break
            default: Issue.record("\(verdict)")
            }
            guard asks else { continue }
            for inquiry in destination.reconciliation(of: draft) ?? [] where unclear.contains(inquiry.item) {
                // Until it is told: a search that fails changes nothing.
                for _ in 0..<30 {
                    let answer = destination.verdict(
                        onReconciliation: try await hub.send(inquiry.request), of: inquiry.item, in: draft, now: hub.clock.wall)
                    guard let found = verdicts(answer).first else { continue }
                    if isDelivered(found) { due.removeAll { $0.id == inquiry.item } }
                    if case .uncertain = found { continue }
                    break
                }
            }
        }
        return 60
    }

    @Test("Whatever fails in whatever order, each reading stands there once", arguments: 0..<12)
    func anyFaults(seed: UInt64) async throws {
        try await NHNRun.with(NHNSettings(nonces: .everywhere)) { run in
            var weather = Weather(state: seed &+ 1)
            var hub = try await NHNHub(run)
            for number in 1...4 {
                await run.state.set(weather.plan())
                #expect(try await Self.deliver(Self.act(number), Self.pmd(run), &hub, asks: true) < 60)
            }
            let identifiers = await run.state.observations().compactMap { $0.resource["identifier"]?[0]?["value"]?.string }
            #expect(identifiers.count == 8)
            #expect(Set(identifiers).count == 8)
        }
    }

    @Test("Control: whoever sends again without asking has some of them twice")
    func anyFaultsControl() async throws {
        try await NHNRun.with(NHNSettings(nonces: .everywhere)) { run in
            var weather = Weather(state: 1)
            var hub = try await NHNHub(run)
            for number in 1...4 {
                await run.state.set(weather.plan())
                _ = try await Self.deliver(Self.act(number), Self.pmd(run), &hub, asks: false)
            }
            #expect(await run.state.observations().count > 8)
        }
    }

    // MARK: VKP

    @Test("A document to VKP, as a bearer and with DPoP", arguments: HelseIDClient.TokenType.allCases)
    func document(type: HelseIDClient.TokenType) async throws {
        try await NHNRun.with(NHNSettings(vkpNeedsDPoP: type == .dpop)) { run in
            var hub = try await NHNHub(run, scopes: Self.vkpScopes, type: type)
            let destination = try Self.vkp(run, searches: true)
            let draft = try destination.dispatch(of: [Self.due(Self.act(1))], context: Self.context)
            let verdicts = Self.verdicts(
                destination.verdict(on: try await hub.send(draft.request), to: draft, now: hub.clock.wall))
            #expect(verdicts.map(Self.isDelivered) == [true, true])
            let journal = await run.state.journal()
            #expect(journal.count == 1)
            #expect(journal[0].patient == Self.person)
            #expect(journal[0].composition?["title"] == "Måledata rapportert")
            #expect(try await Self.reconcile(draft, destination, &hub).map(Self.isDelivered) == [true, true])
        }
    }

    @Test("A token without a bound key is refused where VKP wants one")
    func bearerRefused() async throws {
        try await NHNRun.with(NHNSettings(vkpNeedsDPoP: true)) { run in
            var hub = try await NHNHub(run, scopes: Self.vkpScopes, type: .bearer)
            let draft = try Self.vkp(run).dispatch(of: [Self.due(Self.act(1))], context: Self.context)
            let outcome = try await hub.send(draft.request)
            #expect(outcome.status == 401)
            #expect(try Self.vkp(run).verdict(on: outcome, to: draft, now: hub.clock.wall) == .refreshCredential)
        }
    }

    @Test("Not reported, and the late reading that follows it up")
    func notReported() async throws {
        try await NHNRun.with { run in
            var hub = try await NHNHub(run, scopes: Self.vkpScopes, type: .bearer)
            let destination = try Self.vkp(run)
            let measured = Self.act(1).effective.instant
            let slot = VKPSlot(
                id: "plan-7/1", kinds: [.bloodPressure], start: measured - .seconds(3_600), end: measured + .seconds(3_600))
            let absence = try destination.dispatch(notReported: slot, item: 9, offsetMinutes: 60, context: Self.context)
            _ = try await hub.send(absence.request)
            var context = Self.context
            context.target = VKPTarget(late: slot).json
            let late = try destination.dispatch(of: [Self.due(Self.act(1))], context: context)
            _ = try await hub.send(late.request)
            let journal = await run.state.journal()
            #expect(journal.map { $0.composition?["title"] } == ["Måling ikke rapportert", "Måledata rapportert"])
            #expect(
                journal[1].composition?["relatesTo"]?[0]?["targetIdentifier"]?["value"]?.string == journal[0].identifier)
        }
    }

    @Test("VKP's own refusals")
    func refusals() async throws {
        try await NHNRun.with(NHNSettings(served: [])) { run in
            var hub = try await NHNHub(run, scopes: Self.vkpScopes, type: .bearer)
            let destination = try Self.vkp(run)
            let draft = try destination.dispatch(of: [Self.due(Self.act(1))], context: Self.context)
            func verdict() async throws -> DispatchVerdict {
                destination.verdict(on: try await hub.send(draft.request), to: draft, now: hub.clock.wall)
            }
            #expect(
                try await verdict() == .holdChannel(.receiverHeld, reason: "the receiver answered 1.3 MissingActiveService"))
            await run.state.set(NHNSettings(municipalities: []))
            #expect(try await verdict() == .holdChannel(.receiverHeld, reason: "the receiver answered 2.2 InvalidOrg"))
            await run.state.set(NHNSettings())
            await run.state.set(NHNFaultPlan([NHNFaultRule(.code("3.1"), path: "/bundle", times: 1)]))
            #expect(try await verdict() == .reconcile(reason: "the receiver answered 3.1 TimedOut"))
            #expect(await run.state.journal().isEmpty)
            #expect(Self.verdicts(try await verdict()).map(Self.isDelivered) == [true, true])
        }
    }

    @Test("A document that is still on its way to the journal is not found, and not sent again for that")
    func journalDelay() async throws {
        try await NHNRun.with(NHNSettings(journalDelay: .seconds(60))) { run in
            var hub = try await NHNHub(run, scopes: Self.vkpScopes, type: .bearer)
            let destination = try Self.vkp(run, searches: true)
            await run.state.set(NHNFaultPlan([NHNFaultRule(.cut(stored: true), path: "/bundle", times: 1)]))
            let draft = try destination.dispatch(of: [Self.due(Self.act(1))], context: Self.context)
            guard case .reconcile = destination.verdict(on: try await hub.send(draft.request), to: draft, now: hub.clock.wall)
            else {
                Issue.record("an answer")
                return
            }
            let early = try await Self.reconcile(draft, destination, &hub)
            #expect(early.allSatisfy { if case .uncertain = $0 { true } else { false } })
            await run.state.advance(by: .seconds(61))
            #expect(try await Self.reconcile(draft, destination, &hub).map(Self.isDelivered) == [true, true])
            #expect(await run.state.journal().count == 1)
        }
    }

    @Test("What was ordered")
    func carePlans() async throws {
        let plan: JSON = [
            "resourceType": "CarePlan", "id": "1", "status": "active",
            "subject": ["identifier": ["value": .string(Self.person)]],
            "activity": [["detail": ["status": "scheduled", "description": "Mål blodtrykk"]]],
        ]
        try await NHNRun.with(NHNSettings(carePlans: [plan])) { run in
            var hub = try await NHNHub(run, scopes: Self.vkpScopes, type: .bearer)
            let now = hub.clock.wall
            let outcome = try await hub.send(
                try Self.vkp(run).carePlans(patientID: Self.person, from: now, until: now))
            let plans = try #require(VKPCarePlan.plans(in: outcome.json ?? .null))
            #expect(plans.map(\.id) == ["1"])
            #expect(plans[0].activities[0].description == "Mål blodtrykk")
        }
    }

    // MARK: Control

    @Test("Control over HTTP does what tests do, and says what it does not understand")
    func control() async throws {
        try await NHNRun.with { run in
            func post(_ path: String, _ body: JSON) async -> Int? {
                await run.client.send(
                    HTTPRequest(
                        .post, "\(run.endpoints.control)/\(path)", headers: [HTTPHeader("content-type", "application/json")],
                        body: body.bytes)
                ).status
            }
            #expect(await post("clients", ["id": "other", "allowsBearer": true]) == 200)
            #expect(await post("keys", ["client": "other", "jwk": ["kid": "k9"]]) == 200)
            #expect(await post("keys", ["client": "nobody", "jwk": [:]]) == 400)
            #expect(await post("settings", ["nonces": "never", "echo": "extension", "journalDelay": 5]) == 200)
            #expect(await post("settings", ["nonces": "always"]) == 400)
            #expect(await run.state.currentSettings().echo == .extension)
            #expect(await post("faults", ["rules": [["fault": "status", "status": 500, "path": "/pmd"]]]) == 200)
            #expect(await post("faults", ["rules": [["fault": "flood"]]]) == 400)
            #expect(await post("clock", ["advance": 60]) == 200)
            #expect(await post("nonce", [:]) == 200)
            let state = await run.client.send(HTTPRequest(.get, run.endpoints.control + "/state"))
            #expect(state.json?["clients"] == [["id": "other", "keys": ["k9"]]])
            #expect(await run.client.send(HTTPRequest(.post, run.endpoints.pmd)).status == 500)
        }
    }
}
