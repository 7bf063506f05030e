import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

/// What FUT's answers mean: one act of two items, sent as two entries.
@Suite struct FUTVerdictTests {
    private let draft: DispatchDraft

    init() throws { draft = try FUTSamples.draft(Samples.bloodPressure) }

    private func verdict(_ outcome: HTTPOutcome) -> DispatchVerdict {
        FUTSamples.destination.verdict(on: outcome, to: draft, now: Samples.now)
    }

    private static func each(_ verdict: ItemVerdict) -> DispatchVerdict {
        .items([ItemResult(1, verdict), ItemResult(2, verdict)])
    }

    private static func isReconcile(_ verdict: DispatchVerdict) -> Bool { if case .reconcile = verdict { true } else { false } }

    private static func entry(_ status: String, type: String = "Observation", outcome: JSON? = nil) -> JSON {
        let location = "https://measurement.cit-measurement-2050.local/fhir/\(type)/921/_history/1"
        return [
            "response": .members([
                "status": .string(status), "location": status.hasPrefix("2") ? .string(location) : nil,
                "etag": status.hasPrefix("2") ? "1" : nil, "lastModified": "2025-02-06T14:40:51.131+00:00", "outcome": outcome,
            ])
        ]
    }

    private static func response(_ entries: JSON...) -> String {
        JSON.members(["resourceType": "Bundle", "type": "transaction-response", "entry": .array(entries)]).text
    }

    /// An OperationOutcome of HAPI's form; the guide does not say in which of the three places its code stands.
    static func outcome(_ code: String, at place: Int = 0) -> JSON {
        var issue: JSON = ["severity": "error", "code": "processing"]
        switch place {
        case 0: issue = issue.setting("diagnostics", to: .string("HAPI-0389: \(code): words of the server"))
        case 1: issue = issue.setting("details", to: ["coding": [["system": "x", "code": .string(code), "display": "words"]]])
        default: issue = issue.setting("details", to: ["text": .string(code)])
        }
        return ["resourceType": "OperationOutcome", "issue": [issue]]
    }

    static let delivered = ServerReference(
        reference: "Observation/921", version: "1", lastModified: Instant(milliseconds: 1_738_852_851_131))

    @Test("Created: id, version and the server's time, from the resource itself or from Parameters")
    func created() throws {
        let body = Self.response(Self.entry("201 Created"), Self.entry("201 Created"))
        #expect(verdict(Answers.response(200, body)) == Self.each(.delivered(Self.delivered)))
        let wrapped: JSON = [
            "resourceType": "Parameters", "parameter": [["name": "return", "resource": try JSON(parsing: body)]],
        ]
        #expect(verdict(Answers.response(200, wrapped.text)) == Self.each(.delivered(Self.delivered)))
    }

    @Test("The published answer is understood, up to its being about something else than an observation")
    func publishedAnswer() throws {
        let example = try Published.example("POST_submit-measurement.response")
        let entry = try #require(example["entry"]?[0])
        let media = Self.response(entry, entry)
        #expect(
            verdict(Answers.response(200, media))
                == Self.each(.reconcile(reason: "the receiver did not say where it put the entry")))
        #expect(
            verdict(Answers.response(200, media.replacing("/fhir/Media/", with: "/fhir/Observation/")))
                == Self.each(.delivered(Self.delivered)))
        // One answer to two entries.
        #expect(Self.isReconcile(verdict(Answers.response(200, example.text))))
    }

    @Test("Each entry has its own answer")
    func entries() {
        func one(_ entry: JSON) -> ItemVerdict? {
            guard case .items(let results) = verdict(Answers.response(200, Self.response(entry, Self.entry("201 Created"))))
            else {
                return nil
            }
            #expect(results.last == ItemResult(2, .delivered(Self.delivered)))
            return results.first?.verdict
        }
        #expect(
            one(Self.entry("422", outcome: Self.outcome("MEASUREMENT_SUBMITMEASUREMENT_PROCEDURE_REQUEST_IS_NOT_ACTIVE")))
                == .reassign(reason: "procedure-request-is-not-active"))
        #expect(one(Self.entry("400")) == .quarantine(code: "http-400", text: ""))
        #expect(one(Self.entry("500")) == .reconcile(reason: "the receiver answered 500"))
        #expect(one(Self.entry("409")) == .reconcile(reason: "the receiver answered 409"))
        #expect(one(Self.entry("404")) == .quarantine(code: "http-404", text: ""))
        #expect(one(["response": [:]]) == .reconcile(reason: "an entry without status"))
        #expect(one(["response": ["status": "201"]]) == .reconcile(reason: "the receiver did not say where it put the entry"))
    }

    // MARK: The guide's codes

    /// What each code of the guide asks for. `R` decide anew, `W` wrong patient, `C` token's context, `H` hold, `L` look first, `F`
    /// failure; all others are refusals.
    static let reactions: [String: Character] = [
        "GENERAL_RESOURCE_NOT_FOUND": "R", "GENERAL_EXPORT_FAILED": "F", "GENERAL_FIELD_ACCESS_FAILURE": "F",
        "GENERAL_FIELD_COMPARE_FAILURE": "F",
        "CONTEXT_VALIDATION_EPISODEOFCARE_EXCEPTION": "C",
        "DEVICE_WRITE_WRONG_PATIENT_CONTEXT": "W", "DEVICE_WRONG_PATIENT_CONTEXT": "W",
        "DEVICE_WRITE_WRONG_ORGANIZATION_CONTEXT": "H", "DEVICE_METRIC_WRITE_WRONG_ORGANIZATION_CONTEXT": "H",
        "DEVICE_USE_STATEMENT_WRITE_WRONG_ORGANIZATION_CONTEXT": "H", "DEVICE_WRITE_NON_PRIVATELY_OWNED": "H",
        "MEASUREMENT_SUBMITMEASUREMENT_PROCEDURE_REQUEST_IS_NOT_ACTIVE": "R",
        "MEASUREMENT_SUBMITMEASUREMENT_INVALID_RESOLVED_TIMING": "R",
        "MEASUREMENT_SUBMITMEASUREMENT_INPUT_FOR_DIFFERENT_PATIENTS": "W",
        "MEASUREMENT_SUBMITMEASUREMENT_INPUT_NOT_PART_OF_SAME_EPISODEOFCARE": "W",
        "MEASUREMENT_SUBMITMEASUREMENT_DIFFERENT_PATIENT_REFERENCE": "W",
        "SECURITY_TOKEN_CONTEXT_NOT_ALLOWED": "C", "SECURITY_TOKEN_INSUFFICIENT_PERMISSION": "C",
        "SECURITY_USER_NOT_ALLOWED": "C", "SECURITY_TOKEN_CONTEXT_MISSING": "C", "SECURITY_TOKEN_CONTEXT_MISSING_CONTEXT": "C",
        "SECURITY_RESOURCE_NOT_MATCHING_TOKEN_CONTEXT": "C", "SECURITY_SEARCH_PARAM_NOT_MATCHING_TOKEN_CONTEXT": "C",
        "SECURITY_OPERATION_NOT_ALLOWED_FOR_USER_TYPE": "H", "SECURITY_SEARCH_PARAMS_MANDATORY": "H",
        "SECURITY_SEARCH_OPERATION_POST_CONSTRAINT": "H",
        "TASK_MEASUREMENT_VALIDITY_REFERENCE_MISMATCH": "L",
        "TASK_MEASUREMENT_VALIDITY_INVALID_PREVIOUS_EXPECTING_INVALIDATION_RETRACTION": "L",
        "TASK_MEASUREMENT_VALIDITY_MULTIPLE_PREVIOUS": "L",
    ]

    @Test("Every code of the guide has its verdict, whatever the status and wherever the code stands")
    func everyCode() throws {
        let codes = try Published.errorCodes()
        #expect(codes.count == 92)
        #expect(Set(Self.reactions.keys).isSubset(of: codes))
        for code in codes {
            for status in [200, 400, 401, 403, 404, 409, 412, 422, 500, 503] {
                for place in 0..<3 {
                    let body = Self.outcome(code, at: place).text
                    let verdict = verdict(Answers.response(status, body))
                    switch (Self.reactions[code], verdict) {
                    case ("R", .items(let results)):
                        #expect(results.allSatisfy { if case .reassign = $0.verdict { true } else { false } })
                    case ("W", .holdChannel(.wrongPatient, _)), ("H", .holdChannel(.receiverHeld, _)), ("C", .refreshCredential),
                        ("L", .reconcile), ("F", .serverFailure):
                        break
                    case (nil, .items(let results)):
                        for result in results {
                            guard case .quarantine(let name, let text) = result.verdict else {
                                Issue.record("\(code) \(status): \(result.verdict)")
                                continue
                            }
                            #expect(
                                (1...32).contains(name.utf8.count) && name.allSatisfy { $0 == "-" || ("a"..."z").contains($0) })
                            #expect(!text.isEmpty)
                        }
                    default: Issue.record("\(code) \(status): \(verdict)")
                    }
                }
            }
        }
    }

    @Test("Of several codes the gravest decides")
    func gravest() throws {
        let issues = [
            "MEASUREMENT_SUBMITMEASUREMENT_INVALID_OBSERVATION_CODE", "MEASUREMENT_SUBMITMEASUREMENT_DIFFERENT_PATIENT_REFERENCE",
        ]
        .map { JSON.members(["severity": "error", "code": "processing", "diagnostics": .string($0)]) }
        let body: JSON = ["resourceType": "OperationOutcome", "issue": .array(issues)]
        guard case .holdChannel(.wrongPatient, _) = verdict(Answers.response(422, body.text)) else {
            Issue.record("a wrong patient was not noticed")
            return
        }
    }

    @Test("A code in a warning or in a text that is no error means nothing")
    func warnings() {
        let body = Self.outcome("SECURITY_USER_NOT_ALLOWED").text.replacing(#""error""#, with: #""warning""#)
        #expect(Self.isReconcile(verdict(Answers.response(200, body))))
        let page = "<html>SECURITY_USER_NOT_ALLOWED</html>"
        #expect(verdict(Answers.response(403, page)) == .holdChannel(.receiverHeld, reason: "the receiver answered 403"))
    }

    @Test("A code that a newer guide adds to a known family")
    func newCode() {
        #expect(
            verdict(Answers.response(422, Self.outcome("MEASUREMENT_SUBMITMEASUREMENT_TOO_LATE").text))
                == Self.each(
                    .quarantine(
                        code: "too-late",
                        text: "processing: HAPI-0389: MEASUREMENT_SUBMITMEASUREMENT_TOO_LATE: words of the server")))
        #expect(verdict(Answers.response(403, Self.outcome("SECURITY_NEW").text)) == .refreshCredential)
        #expect(Self.isReconcile(verdict(Answers.response(500, Self.outcome("OTHER_CODE").text))))
    }

    // MARK: Statuses

    enum Expected: Sendable { case reconcile, retry, refresh, hold, wait, refused }

    static let statuses: [(Int, Expected)] = [
        (100, .hold), (200, .reconcile), (202, .reconcile), (204, .reconcile), (301, .hold), (302, .hold), (307, .hold),
        (400, .refused), (401, .refresh), (403, .hold), (404, .hold), (405, .hold), (407, .hold), (408, .retry),
        (409, .reconcile),
        (410, .hold), (412, .reconcile), (413, .refused), (415, .hold), (418, .hold), (422, .refused), (425, .retry),
        (429, .wait),
        (500, .reconcile), (501, .reconcile), (502, .reconcile), (503, .reconcile), (504, .reconcile), (599, .reconcile),
        (600, .hold),
    ]

    @Test(
        "Without a code the status decides; after a 5xx it is looked for first, since FUT has no idempotency", arguments: statuses
    )
    func status(status: Int, expected: Expected) {
        for body in ["", "<html>", "{}", Answers.outcome("processing", severity: "warning")] {
            switch (expected, verdict(Answers.response(status, body))) {
            case (.reconcile, .reconcile), (.retry, .retry), (.refresh, .refreshCredential), (.hold, .holdChannel),
                (.wait, .waitUntilRetryAfter):
                break
            case (.refused, .items(let results)):
                #expect(results.allSatisfy { if case .quarantine = $0.verdict { true } else { false } })
            case (_, let verdict): Issue.record("\(status) \(body): \(verdict)")
            }
        }
    }

    @Test("A receiver that names a time did not look at it")
    func retryAfter() {
        let headers = [HTTPHeader("retry-after", "30")]
        #expect(verdict(Answers.response(503, headers: headers)) == .waitUntilRetryAfter(.seconds(30)))
        #expect(verdict(Answers.response(429, headers: headers)) == .waitUntilRetryAfter(.seconds(30)))
    }

    @Test("Not sent: again; sent without an answer: look first", arguments: HTTPFailure.Kind.allCases)
    func failures(kind: HTTPFailure.Kind) {
        #expect(verdict(.unknown(HTTPFailure(kind, "words"))) == .reconcile(reason: "sent, no answer (\(kind.rawValue))"))
        switch verdict(.notSent(HTTPFailure(kind, "words"))) {
        case .retry, .holdChannel: break
        default: Issue.record("\(kind)")
        }
    }
}

@Suite struct FUTReconciliationTests {
    private let draft: DispatchDraft
    private let ours: JSON

    init() throws {
        draft = try FUTSamples.draft(Samples.bloodPressure)
        ours = try FUTSamples.observations(draft)[0]
    }

    private func reconciled(_ outcome: HTTPOutcome) -> DispatchVerdict {
        FUTSamples.destination.verdict(onReconciliation: outcome, of: 1, in: draft, now: Samples.now)
    }

    private func found(_ resources: JSON...) -> ItemVerdict? {
        guard case .items(let results) = reconciled(Answers.response(200, Answers.searchset(resources))) else { return nil }
        return results.first?.verdict
    }

    private func isQuarantine(_ verdict: ItemVerdict?) -> Bool { if case .quarantine = verdict { true } else { false } }
    private func isUncertain(_ verdict: ItemVerdict?) -> Bool { if case .uncertain = verdict { true } else { false } }

    private static let known = ServerReference(
        reference: "Observation/srv-9", version: "2", lastModified: Instant(milliseconds: 1_767_263_048_123))

    /// As a server would hold it that drops identifiers.
    private var anonymous: JSON {
        guard case .object(let members) = ours else { return ours }
        return .object(members.filter { $0.key != "identifier" }).stored()
    }

    @Test("One search an item, by the parameters that the measurement service lists")
    func inquiries() throws {
        let inquiries = try #require(FUTSamples.destination.reconciliation(of: draft))
        #expect(inquiries.map(\.item) == [1, 2])
        #expect(
            inquiries[0].request.url
                == "https://measurement.test001.ehealth.sundhed.dk/fhir/Observation"
                + "?patient=https://patient.test001.ehealth.sundhed.dk/fhir/Patient/1001"
                + "&based-on=https://careplan.test001.ehealth.sundhed.dk/fhir/ServiceRequest/3001"
                + "&code=urn:oid:1.2.208.176.2.4%7CZZ3170&date=ge2023-02-23T09:23:08Z&date=le2023-02-23T09:25:08Z&_count=100")
        #expect(inquiries[0].request.method == .get)
    }

    @Test("Found: delivered, by our identifier or, where it was dropped, by moment, request and values")
    func delivered() {
        #expect(found(ours.stored()) == .delivered(Self.known))
        #expect(found(anonymous) == .delivered(Self.known))
    }

    @Test("Either form of the time is the same moment")
    func otherForm() throws {
        guard case .object(let members) = anonymous else { return }
        let moment = JSON.object(
            members.map { $0.key == "effectivePeriod" ? JSON.Member("effectiveDateTime", "2023-02-23T09:24:08Z") : $0 })
        #expect(found(moment) == .delivered(Self.known))
    }

    @Test("Not there, in an answer that is about what was asked: send again")
    func absent() throws {
        #expect(found() == .resend(nil))
        // Another measurement of the same request in the same minute.
        let other = try JSON(parsing: anonymous.text.replacing(#""value":118"#, with: #""value":121"#))
        #expect(found(other) == .resend(nil))
        let later = try JSON(parsing: anonymous.text.replacing("10:24:08", with: "10:24:50"))
        #expect(found(later) == .resend(nil))
        // The same values under another identifier of ours are another reading.
        let ownOther = try JSON(parsing: ours.stored().text.replacing("urn:uuid:5d1f", with: "urn:uuid:6d1f"))
        #expect(found(ownOther) == .resend(nil))
    }

    @Test("An answer that does not say enough is not believed")
    func unbelievable() throws {
        let elsewhere = try JSON(parsing: anonymous.text.replacing("ServiceRequest/3001", with: "ServiceRequest/9"))
        #expect(isUncertain(found(elsewhere)))
        let somebody = try JSON(parsing: anonymous.text.replacing("Patient/1001", with: "Patient/9"))
        #expect(isUncertain(found(somebody)))
        let more = Answers.searchset([]).replacing(#""total""#, with: #""link":[{"relation":"next","url":"x"}],"total""#)
        guard case .items(let results) = reconciled(Answers.response(200, more)) else { return }
        #expect(isUncertain(results.first?.verdict))
        for body in ["<html>", "{}", #"{"resourceType":"Patient"}"#] {
            guard case .items(let results) = reconciled(Answers.response(200, body)) else {
                Issue.record("\(body)")
                continue
            }
            #expect(isUncertain(results.first?.verdict))
        }
    }

    @Test("Twice there, or different under our name: a person's")
    func persons() throws {
        #expect(isQuarantine(found(ours.stored(), ours.stored(id: "srv-8"))))
        #expect(isQuarantine(found(anonymous, anonymous.stored(id: "srv-8"))))
        #expect(isQuarantine(found(try JSON(parsing: ours.stored().text.replacing(#""value":118"#, with: #""value":119"#)))))
        #expect(isQuarantine(found(ours.stored().setting("status", to: "entered-in-error"))))
        #expect(isQuarantine(found(try JSON(parsing: ours.stored().text.replacing("10:24:08", with: "10:24:09")))))
    }

    @Test("While asking, the channel's troubles are the channel's")
    func channel() {
        #expect(reconciled(Answers.response(401)) == .refreshCredential)
        #expect(reconciled(Answers.response(429)) == .waitUntilRetryAfter(nil))
        #expect(reconciled(.notSent(HTTPFailure(.connect, "refused"))) == .retry(kind: "connect", reason: "refused"))
        #expect(reconciled(.unknown(HTTPFailure(.timeout, "late"))) == .retry(kind: "timeout", reason: "asked, no answer"))
        let context = FUTVerdictTests.outcome("SECURITY_SEARCH_PARAM_NOT_MATCHING_TOKEN_CONTEXT").text
        #expect(reconciled(Answers.response(403, context)) == .refreshCredential)
        for status in [403, 405, 404, 400] {
            guard case .items(let results) = reconciled(Answers.response(status)) else {
                Issue.record("\(status)")
                continue
            }
            #expect(isUncertain(results.first?.verdict))
        }
    }

    @Test("A read of one says whether it is ours")
    func readBack() {
        let request = FUTSamples.destination.readBack(of: 1, at: Self.known, in: draft)
        #expect(request.url == "https://measurement.test001.ehealth.sundhed.dk/fhir/Observation/srv-9")
        let answer = Answers.response(200, ours.stored().text)
        #expect(
            FUTSamples.destination.verdict(onReadBack: answer, of: 1, at: Self.known, in: draft, now: Samples.now)
                == .items([ItemResult(1, .delivered(Self.known))]))
    }
}

@Suite struct FUTRetractionTests {
    private let reference = ServerReference(reference: "Observation/196", version: "1")
    private var due: DispatchAct {
        DispatchAct(
            act: Samples.bloodPressure,
            items: [DispatchItem(id: 7, reading: Samples.bloodPressure.readings[0].id, serverReference: reference)])
    }

    private func patch() throws -> DispatchDraft {
        try FUTSamples.destination.correction(of: due, context: FUTSamples.context(nil))
    }

    private func verdict(_ outcome: HTTPOutcome) throws -> DispatchVerdict {
        FUTSamples.destination.verdict(on: outcome, to: try patch(), now: Samples.now)
    }

    @Test("A retraction is the published patch")
    func request() throws {
        let draft = try patch()
        #expect(draft.request.method == .patch)
        #expect(draft.request.url == "https://measurement.test001.ehealth.sundhed.dk/fhir/Observation/196")
        #expect(draft.request.headers.contains(HTTPHeader("content-type", "application/json-patch+json")))
        #expect(try JSON(parsing: draft.request.body) == Published.example("PATCH_Observation.request"))
        #expect(draft.entries == [.init(item: 7, index: 0)])
    }

    @Test("The published answer is its success")
    func success() throws {
        let answer = try Published.example("PATCH_Observation.response").text
        #expect(
            try verdict(Answers.response(200, answer))
                == .items([
                    ItemResult(
                        7,
                        .delivered(
                            ServerReference(
                                reference: "Observation/196", version: "2",
                                lastModified: FUTSamples.at("2025-02-06T14:33:58.289Z")))
                    )
                ]))
    }

    @Test("The other answers")
    func answers() throws {
        #expect(try verdict(Answers.response(410)) == .items([ItemResult(7, .delivered(reference))]))
        guard case .items(let results) = try verdict(Answers.response(404)),
            case .quarantine("not-found", _) = results.first?.verdict
        else {
            Issue.record("what was never there is a person's")
            return
        }
        // Setting a status twice takes effect once: a failure is tried again.
        guard case .serverFailure = try verdict(Answers.response(502)) else {
            Issue.record("502")
            return
        }
        for outcome in [Answers.response(200), Answers.response(409), .unknown(HTTPFailure(.timeout, "late"))] {
            guard case .reconcile = try verdict(outcome) else {
                Issue.record("\(outcome)")
                continue
            }
        }
        #expect(try verdict(Answers.response(401)) == .refreshCredential)
    }

    @Test("Unknown outcome: read it; retracted is done, standing is retracted again")
    func reconciled() throws {
        let draft = try patch()
        let inquiry = try #require(FUTSamples.destination.reconciliation(of: draft)?.first)
        #expect(inquiry.request.url == "https://measurement.test001.ehealth.sundhed.dk/fhir/Observation/196")
        let retracted = try Published.example("PATCH_Observation.response")
        func verdict(_ outcome: HTTPOutcome) -> ItemVerdict? {
            guard
                case .items(let results) = FUTSamples.destination.verdict(
                    onReconciliation: outcome, of: 7, in: draft, now: Samples.now)
            else { return nil }
            return results.first?.verdict
        }
        guard case .delivered = verdict(Answers.response(200, retracted.text)) else {
            Issue.record("retracted is not done")
            return
        }
        guard case .resend(let known?) = verdict(Answers.response(200, retracted.setting("status", to: "final").text)) else {
            Issue.record("standing is not retracted again")
            return
        }
        #expect(known.version == "2")
        #expect(verdict(Answers.response(410)) == .delivered(reference))
    }

    @Test("By ClinicalImpression, of the published form, where the receiver wants that")
    func validity() throws {
        let destination = FUTDestination(settings: FUTSamples.receiver, fut: FUTSamples.settings, retraction: .validity)
        let target = try FUTSamples.target(Samples.bloodPressure)
        let draft = try destination.correction(of: due, context: FUTSamples.context(target))
        #expect(
            draft.request.url
                == "https://task.test001.ehealth.sundhed.dk/fhir/ClinicalImpression/$set-measurement-validity")
        let example = try Published.example("POST_ClinicalImpression_set-measurement-validity.request").text
            .replacing("https://careplan.cit-task-2140.local/fhir/EpisodeOfCare/83448", with: FUTSamples.episode)
            .replacing("https://patient.cit-task-2140.local/fhir/Patient/83257", with: FUTSamples.patient)
            .replacing(
                "https://measurement.cit-task-2140.local/fhir/Observation/67651",
                with: FUTSamples.settings.base(.measurement) + "/Observation/196"
            )
            .replacing(#","display":"invalidated-fulfills""#, with: "").replacing(
                "invalidated-fulfills", with: "invalidated-is-not-fulfillment"
            )
            .replacing(#","display":"measurement-invalidated""#, with: "")
        #expect(try JSON(parsing: draft.request.body) == JSON(parsing: example))
        // It answers with the impression: whether the observation changed is asked.
        guard
            case .reconcile = destination.verdict(
                on: Answers.response(200, #"{"resourceType":"ClinicalImpression","status":"completed"}"#), to: draft,
                now: Samples.now)
        else {
            Issue.record("not asked")
            return
        }
        let error = try #require(throws: MappingError.self) {
            try destination.correction(of: due, context: FUTSamples.context(nil))
        }
        #expect(error.code == .noTarget)
    }

    @Test("One at a time, and only of what has a place")
    func refused() throws {
        #expect(FUTSamples.destination.correctsOneByOne)
        #expect(!Samples.destination.correctsOneByOne)
        var two = due
        two.items += two.items
        let many = two
        #expect(
            try #require(throws: MappingError.self) {
                try FUTSamples.destination.correction(of: many, context: FUTSamples.context(nil))
            }.code == .oneCorrection)
        var nowhere = due
        nowhere.items[0].serverReference = nil
        let lost = nowhere
        #expect(
            try #require(throws: MappingError.self) {
                try FUTSamples.destination.correction(of: lost, context: FUTSamples.context(nil))
            }.code == .noServerReference)
    }
}
