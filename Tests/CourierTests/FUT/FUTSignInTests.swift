import Destinations
import ExactJSON
import HTTP
import HTTPMessage
import Journal
import Simulator
import Testing
import Trust
import Vitals

@testable import Courier

@Suite("FUT: who speaks for whom") struct FUTSignInTests {
    private typealias Scene = FUTScene
    private static let question = HTTPRequest(.get, "https://fut.invalid/fhir/Observation")

    @Test("R6 one spouse's lapse never stops the other, and a new sign-in sends what waited, once")
    func r6_oneLapses() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            try await scene.running { courier in
                let first = try await scene.pressure(Scene.bent, ago: .seconds(300))
                courier.ring()
                try await scene.expect(first, ["delivered", "held no-request"], courier)
                #expect(await scene.state.endSessions(of: "bent") == 1)
                scene.clock.advance(.seconds(301))
                await scene.state.advance(by: .seconds(301))
                let waits = try await scene.pressure(Scene.bent, ago: .seconds(100), systolic: 133)
                let goes = try await scene.pressure(Scene.anna, ago: .seconds(100))
                courier.ring()
                try await scene.expectHeld(Scene.bent, .signInNeeded, courier)
                try await scene.expect(goes, ["delivered", "held other-device-group"], courier)
                #expect(try await scene.standing(waits).first == "waiting")
                #expect(try await scene.held(Scene.anna) == nil)
                let condition = try #require(try await scene.conditions().first { $0.code == .signInNeeded })
                #expect(condition.subject == scene.channel(Scene.bent))
                #expect(condition.code.remedy.contains("vitalgate sign-in"))

                guard case .signedIn = try await scene.signIn(Scene.bent, as: "bent", courier: courier) else {
                    Issue.record("bent is not signed in")
                    return
                }
                try await scene.expect(waits, ["delivered", "held no-request"], courier)
                #expect(try await scene.conditions().isEmpty)
            }
            #expect(await scene.stored(Scene.bent) == ["3011 Adhoc", "3011 Adhoc"])
        }
    }

    @Test("R4 who signs in on another patient's page is not taken, and nothing leaves under their name")
    func r4_wrongSpouse() async throws {
        try await FUTScene.with { scene in
            guard case .failed(let reason) = try await scene.signIn(Scene.anna, as: "bent") else {
                Issue.record("bent was taken for anna")
                return
            }
            #expect(reason == "somebody else than this patient signed in")
            let act = try await scene.pressure(Scene.anna)
            try await scene.running { courier in try await scene.expectHeld(Scene.anna, .signInNeeded, courier) }
            #expect(try await scene.standing(act) == ["waiting", "waiting"])
            #expect(await scene.state.observations().isEmpty)
        }
    }

    @Test("R10 who has to sign in is said before a reading waits: at the assignment, and in the transaction that keeps the lapse")
    func r10_saidAtOnce() async throws {
        try await FUTScene.with { scene in
            func needed() async throws -> [String] {
                try await scene.conditions().filter { $0.code == .signInNeeded }.map(\.subject)
            }
            // Assigned, and never signed in.
            for citizen in try await scene.citizens.everybody() { try await citizen.lookAfter() }
            #expect(try await needed().sorted() == [scene.channel(Scene.anna), scene.channel(Scene.bent)].sorted())
            try await scene.signInBoth()
            #expect(try await needed().isEmpty)

            #expect(await scene.state.endSessions(of: "bent") == 1)
            // Whoever asks first hears it: here nobody sends, looks after, or holds a channel.
            let bent = scene.citizens.citizen(Scene.bent)
            guard case .verdict(.holdChannel(.signInNeeded, _)) = await bent.authorize(Self.question, target: "") else {
                Issue.record("bent's token was taken")
                return
            }
            #expect(try await needed() == [bent.channel])
            #expect(try await scene.held(Scene.bent) == nil)
            let after = try await scene.reopened()
            #expect(try await after.conditions().map(\.subject) == [bent.channel])

            // Signed out, though the realm is out of reach.
            await scene.state.set(FUTFaultPlan([FUTFaultRule(.status(503), path: "/auth/")]))
            let anna = after.citizens.citizen(Scene.anna)
            try await anna.signOut()
            #expect(try await after.conditions().count { $0.code == .signInNeeded } == 2)
            await scene.state.set(FUTFaultPlan())
            let later = try await after.reopened()
            guard
                case .verdict(.holdChannel(.signInNeeded, _)) = await later.citizens.citizen(Scene.anna).authorize(
                    Self.question, target: "")
            else {
                Issue.record("anna's tokens were not forgotten")
                return
            }

            // She moved away: nobody wants her sign-in any more.
            let now = scene.clock.now().wall
            try await later.journal.write { tx in
                for assignment in try tx.assignments() where assignment.patient == Scene.anna {
                    try tx.endAssignment(id: assignment.id, at: now)
                }
            }
            scene.clock.advance(.seconds(1))
            for citizen in try await later.citizens.everybody() { try await citizen.lookAfter() }
            #expect(try await later.conditions().map(\.subject) == [bent.channel])
        }
    }

    @Test("the citizen's own copy of the returned address, and a copy of another one")
    func pasted() async throws {
        try await FUTScene.with({ $0.approves = "anna" }) { scene in
            let signIns = FUTSignIns { _ in }
            let invitation = try await signIns.begin(.paste, at: scene.citizens, for: Scene.anna, actor: "test")
            let client = HTTPClient(settings: HTTPClientSettings(), loop: scene.loop)
            guard case .answered(let answer) = await client.send(HTTPRequest(.get, invitation.address)) else {
                Issue.record("no answer of the realm")
                return
            }
            let address = try #require(answer.header("location"))
            guard case .failed = await signIns.answer(invitation.id, address: invitation.address, host: nil) else {
                Issue.record("the wrong address was taken")
                return
            }
            guard case .waiting = await signIns.progress(of: invitation.id) else {
                Issue.record("a wrong copy ended the sign-in")
                return
            }
            guard case .signedIn = await signIns.answer(invitation.id, address: address, host: nil) else {
                Issue.record("the right address was not taken")
                return
            }
            // Replayed.
            guard case .signedIn = await signIns.answer(invitation.id, address: address, host: nil) else {
                Issue.record("a replay changed the sign-in")
                return
            }
            await client.close()
        }
    }

    @Test("patient and organisation are warned before the end, and the warning goes with a use of the sign-in")
    func warning() async throws {
        try await FUTScene.with(idle: .seconds(20 * 86_400)) { scene in
            try await scene.signInBoth()
            let citizen = scene.citizens.citizen(Scene.anna)
            try await citizen.lookAfter()
            #expect(try await scene.conditions().isEmpty)
            // Offline for a week: nothing could use the grant, and 13 days are left.
            await scene.state.set(FUTFaultPlan([FUTFaultRule(.status(503), path: "/auth/")]))
            scene.clock.advance(.seconds(7 * 86_400))
            await scene.state.advance(by: .seconds(7 * 86_400))
            try await citizen.lookAfter()
            let condition = try #require(try await scene.conditions().first { $0.subject == citizen.channel })
            #expect(condition.code == .signInEnding)
            await scene.state.set(FUTFaultPlan())
            scene.clock.advance(.seconds(600))
            await scene.state.advance(by: .seconds(600))
            try await citizen.lookAfter()
            #expect(try await scene.conditions().filter { $0.subject == citizen.channel }.isEmpty)
        }
    }

    @Test("one refresh at a time, and the newest refresh token is on disk before it is used")
    func oneRefresh() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            let citizen = scene.citizens.citizen(Scene.anna)
            await withTaskGroup(of: Bool.self) { group in
                for _ in 0..<8 {
                    group.addTask {
                        if case .request(let request) = await citizen.authorize(Self.question, target: "") {
                            return request.headers.count == 1
                        }
                        return false
                    }
                }
                for await isAuthorized in group { #expect(isAuthorized) }
            }
            let session = try #require(await scene.state.sessions().first { $0.citizen == "anna" })
            // The sign-in's own and one refresh.
            #expect(session.generation == 2 && !session.isEnded)
            // After a restart the stored one is the one that the realm takes.
            let after = try await scene.reopened()
            guard case .request = await after.citizens.citizen(Scene.anna).authorize(Self.question, target: "") else {
                Issue.record("the stored token is not the newest")
                return
            }
        }
    }

    // MARK: The matrix of token failures

    enum Outcome: Sendable { case delivered, signIn, held }

    struct Failure: Sendable, CustomTestStringConvertible {
        var name: String
        var rules: [FUTFaultRule] = []
        var reusesLast = false
        var endsSession = false
        var roles: Bool = false
        var outcome: Outcome
        var testDescription: String { name }
    }

    static let failures = [
        Failure(
            name: "access token ends before its time",
            rules: [FUTFaultRule(.tokenLife(told: 300, actual: 0), path: "/token", after: 1, times: 1)], outcome: .delivered),
        Failure(
            name: "401 for ever", rules: [FUTFaultRule(.status(401), path: "/measurement/")], outcome: .signIn),
        Failure(
            name: "context missing once",
            rules: [FUTFaultRule(.code("SECURITY_TOKEN_CONTEXT_MISSING"), path: "$submit", times: 1)], outcome: .delivered),
        Failure(
            name: "context missing for ever",
            rules: [FUTFaultRule(.code("SECURITY_TOKEN_CONTEXT_MISSING"), path: "$submit")], outcome: .signIn),
        Failure(
            name: "wrong context for the plan",
            rules: [FUTFaultRule(.code("SECURITY_RESOURCE_NOT_MATCHING_TOKEN_CONTEXT"), path: "$get-patient", times: 1)],
            outcome: .delivered),
        Failure(name: "session revoked", endsSession: true, outcome: .signIn),
        Failure(
            name: "the realm refuses the refresh",
            rules: [FUTFaultRule(.code("invalid_grant"), path: "/token")], outcome: .signIn),
        Failure(
            name: "the realm refuses the client", rules: [FUTFaultRule(.code("invalid_client"), path: "/token")], outcome: .held),
        Failure(
            name: "the realm refuses the context", rules: [FUTFaultRule(.code("invalid_request"), path: "/token")],
            outcome: .held),
        Failure(
            name: "the realm is down for a while", rules: [FUTFaultRule(.status(503), path: "/token", times: 3)],
            outcome: .delivered),
        Failure(
            name: "the realm cuts the exchange before it acts",
            rules: [FUTFaultRule(.cut(stored: false), path: "/token", times: 1)], outcome: .delivered),
        Failure(
            name: "the rotation's answer is lost, the last token may be used again",
            rules: [FUTFaultRule(.cut(stored: true), path: "/token", times: 1)], reusesLast: true, outcome: .delivered),
        Failure(
            name: "the rotation's answer is lost for good",
            rules: [FUTFaultRule(.cut(stored: true), path: "/token", times: 1)], outcome: .signIn),
        Failure(
            name: "the rotation's answer is garbage",
            rules: [FUTFaultRule(.garbage(stored: true), path: "/token", times: 1)], outcome: .signIn),
        Failure(
            name: "the kind of user may not submit",
            rules: [FUTFaultRule(.code("SECURITY_OPERATION_NOT_ALLOWED_FOR_USER_TYPE"), path: "$submit")], outcome: .held),
    ]

    @Test("every token failure: delivered, or held with a condition; nothing lost, nothing twice", arguments: failures)
    func matrix(_ failure: Failure) async throws {
        try await FUTScene.with({ $0.allowsReuseOfLast = failure.reusesLast }) { scene in
            try await scene.signInBoth()
            await scene.state.set(FUTFaultPlan(failure.rules))
            if failure.endsSession { _ = await scene.state.endSessions(of: "bent") }
            let act = try await scene.pressure(Scene.bent)
            try await scene.running { courier in
                switch failure.outcome {
                case .delivered: try await scene.expect(act, ["delivered", "held no-request"], courier)
                case .signIn: try await scene.expectHeld(Scene.bent, .signInNeeded, courier)
                case .held: try await scene.expectHeld(Scene.bent, .receiverHeld, courier)
                }
                guard failure.outcome != .delivered else { return }
                #expect(try await scene.standing(act).first == "waiting")
                let condition = try #require(try await scene.conditions().first)
                #expect(condition.subject == scene.channel(Scene.bent) && !condition.reason.isEmpty)
                // Mended: the realm is well, the citizen signs in anew.
                await scene.state.set(FUTFaultPlan())
                guard case .signedIn = try await scene.signIn(Scene.bent, as: "bent", courier: courier) else {
                    Issue.record("bent is not signed in")
                    return
                }
                try await scene.expect(act, ["delivered", "held no-request"], courier)
            }
            #expect(await scene.stored(Scene.bent) == ["3011 Adhoc"])
            #expect(try await scene.conditions().isEmpty)
        }
    }

    // MARK: The matrix of the guide's errors

    @Test("every error code of the guide has its end: set aside, held or decided anew; nothing lost, nothing twice")
    func everyCode() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            var seconds = 4_000
            for code in FUTSubmissionCodes.all {
                seconds -= 30
                await scene.state.set(FUTFaultPlan([FUTFaultRule(.code(code.name), path: "$submit-measurement")]))
                let act = try await scene.pressure(
                    Scene.bent, ago: .seconds(seconds), systolic: 110 + Int64(seconds % 50))
                let before = await scene.stored(Scene.bent).count
                try await scene.running { courier in
                    let isSettled = try await eventually(.seconds(10)) {
                        let item = try await scene.standing(act).first ?? ""
                        if item.hasPrefix("quarantined") { return true }
                        if try await scene.held(Scene.bent) != nil { return item == "waiting" }
                        scene.clock.advance(.seconds(2))
                        await scene.state.advance(by: .seconds(2))
                        courier.ring()
                        return false
                    }
                    let item = try await scene.standing(act).first ?? ""
                    #expect(isSettled, "\(code.name): \(item)")
                    let hold = try await scene.held(Scene.bent)?.code
                    #expect(code.agrees(item: item, hold: hold), "\(code.name): \(item), \(String(describing: hold))")
                    let refused = await scene.stored(Scene.bent).count
                    #expect(refused == before)
                    // Mended: it is sent again, and arrives once.
                    await scene.state.set(FUTFaultPlan())
                    try await scene.journal.write { tx in
                        for item in try tx.items(act: act) where item.state == .quarantined {
                            if let dispatch = try tx.openDispatch(item: item.id) { try tx.dropDispatch(id: dispatch.id) }
                            try tx.setItem(item.id, state: .waiting)
                        }
                    }
                    try await courier.release(receiver: "fut")
                    try await scene.expect(act, ["delivered", "held no-request"], courier)
                    let stored = await scene.stored(Scene.bent).count
                    #expect(stored == before + 1)
                }
            }
        }
    }
}

/// What the guide's error codes of a submission lead to, from the guide's page "Error Messages" and written down apart from the code's table.
struct FUTSubmissionCodes {
    enum End { case setAside, held(Condition.Code) }
    var name: String
    var end: End

    func agrees(item: String, hold: Condition.Code?) -> Bool {
        switch end {
        case .setAside: item.hasPrefix("quarantined") && hold == nil
        case .held(let code): item == "waiting" && hold == code
        }
    }

    static let all: [FUTSubmissionCodes] =
        [
            "INVALID_OBSERVATION_CODE", "INVALID_STATUS", "EMPTY_INPUT_BUNDLE",
            "INPUT_BUNDLE_CONTAINS_NONE_OF_EXPECTED_RESOURCES",
            "INPUT_BUNDLE_CONTAINS_INVALID_RESOURCES", "INPUT_SHOULD_REFERENCE_PATIENT", "INPUT_SHOULD_REFERENCE_EPISODEOFCARE",
            "INPUT_SHOULD_REFERENCE_RELATEDPERSON", "MORE_THAN_ONE_DEVICE_QUALITY", "INPUT_PROVENANCE_INVALID",
            "REUSE_NOT_ALLOWED",
            "ASSOCIATED_QUALITY_NOT_PRESENT", "QUALITY_IS_NOT_SUBSUMED", "RESOURCE_TO_OLD_TO_BE_USED_FOR_REUSE",
            "TOO_MANY_ANSWERS",
            "TOO_FEW_ANSWERS", "INVALID_QUESTIONNAIRE_REFERENCE", "SERVICEREQUEST_NOT_MARKED_FOR_AGGREGATION",
            "INVALID_RESOURCE_FOR_AGGREGATION",
            // Decided anew, the same place again: a contradiction for a person.
            "PROCEDURE_REQUEST_IS_NOT_ACTIVE", "INVALID_RESOLVED_TIMING",
        ].map { FUTSubmissionCodes(name: "MEASUREMENT_SUBMITMEASUREMENT_" + $0, end: .setAside) }
        + ["INPUT_FOR_DIFFERENT_PATIENTS", "INPUT_NOT_PART_OF_SAME_EPISODEOFCARE", "DIFFERENT_PATIENT_REFERENCE"].map {
            FUTSubmissionCodes(name: "MEASUREMENT_SUBMITMEASUREMENT_" + $0, end: .held(.wrongPatient))
        }
        + [
            "TOKEN_CONTEXT_MISSING", "TOKEN_CONTEXT_MISSING_CONTEXT", "TOKEN_CONTEXT_NOT_ALLOWED",
            "TOKEN_INSUFFICIENT_PERMISSION",
            "RESOURCE_NOT_MATCHING_TOKEN_CONTEXT", "USER_NOT_ALLOWED",
        ].map { FUTSubmissionCodes(name: "SECURITY_" + $0, end: .held(.signInNeeded)) }
        + [
            FUTSubmissionCodes(name: "SECURITY_OPERATION_NOT_ALLOWED_FOR_USER_TYPE", end: .held(.receiverHeld)),
            FUTSubmissionCodes(name: "SYSTEM_TAG_UNEXPECTED_TAG", end: .setAside),
            FUTSubmissionCodes(name: "GENERAL_VALIDATION_ERROR", end: .setAside),
            FUTSubmissionCodes(name: "GENERAL_RESOURCE_NOT_FOUND", end: .setAside),
        ]
}
