import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

/// What VKP's answers mean: one document of two items.
@Suite struct VKPVerdictTests {
    private let draft: DispatchDraft
    private let name: String

    init() throws {
        draft = try VKPSamples.draft(Samples.bloodPressure)
        name = try #require(try Samples.body(draft)["identifier"]?["value"]?.string)
    }

    private func verdict(_ outcome: HTTPOutcome) throws -> DispatchVerdict {
        try VKPSamples.destination().verdict(on: outcome, to: draft, now: Samples.now)
    }

    private static func each(_ verdict: ItemVerdict) -> DispatchVerdict {
        .items([ItemResult(1, verdict), ItemResult(2, verdict)])
    }

    private static func isReconcile(_ verdict: DispatchVerdict) -> Bool { if case .reconcile = verdict { true } else { false } }

    private var delivered: ItemVerdict {
        .delivered(ServerReference(reference: "Bundle/" + name.replacing("urn:uuid:", with: "")))
    }

    @Test("Taken, whatever the body says or does not say, as long as it is no error")
    func taken() throws {
        for status in [200, 201, 202, 204] { #expect(try verdict(Answers.response(status)) == Self.each(delivered)) }
        #expect(try verdict(Answers.response(200, "OK")) == Self.each(delivered))
        #expect(
            try verdict(Answers.response(200, Answers.outcome("informational", severity: "information"))) == Self.each(delivered))
    }

    static let codes: [(code: String, name: String, expected: Character)] = [
        ("1", "Forbidden", "H"), ("1.1", "NotActive", "H"), ("1.2", "NotAllowed", "H"), ("1.3", "MissingActiveService", "H"),
        ("1.4", "NoAccess", "H"), ("1.5", "NotAuthorized", "H"), ("2", "Invalid", "Q"), ("2.1", "InvalidSsn", "H"),
        ("2.2", "InvalidOrg", "H"), ("2.3", "InvalidParameterCount", "Q"), ("2.4", "InvalidFormat", "Q"), ("3", "Other", "R"),
        ("3.1", "TimedOut", "R"),
    ]

    @Test("Every code of the code system has its verdict, as a coding or by its name", arguments: codes, [200, 400, 403, 500])
    func code(code: (code: String, name: String, expected: Character), status: Int) throws {
        let details: [JSON] = [
            [
                "coding": [
                    [
                        "system": "http://ehelse.no/fhir/CodeSystem/vkp-operation-outcome-v090", "code": .string(code.code),
                    ]
                ]
            ],
            ["text": .string(code.name)],
        ]
        for detail in details {
            let body: JSON = [
                "resourceType": "OperationOutcome",
                "issue": [["severity": "error", "code": "processing", "details": detail]],
            ]
            let verdict = try verdict(Answers.response(status, body.text))
            switch (code.expected, verdict) {
            case ("H", .holdChannel(.receiverHeld, "the receiver answered \(code.code) \(code.name)")), ("R", .reconcile): break
            case ("Q", .items(let results)):
                #expect(results.count == 2)
                for result in results {
                    guard case .quarantine("vkp-" + code.code, _) = result.verdict else {
                        Issue.record("\(result)")
                        continue
                    }
                }
            default: Issue.record("\(code) \(status): \(verdict)")
            }
        }
    }

    @Test("A status without a code")
    func status() throws {
        #expect(try verdict(Answers.response(400)) == Self.each(.quarantine(code: "http-400", text: "")))
        #expect(try verdict(Answers.response(401)) == .refreshCredential)
        #expect(try verdict(Answers.response(403)) == .holdChannel(.receiverHeld, reason: "the receiver answered 403"))
        #expect(
            try verdict(Answers.response(404)) == .holdChannel(.receiverHeld, reason: "the receiver answered 404 on its bundle"))
        #expect(try verdict(Answers.response(429)) == .waitUntilRetryAfter(nil))
        for status in [409, 412, 500, 502, 503, 504] { #expect(Self.isReconcile(try verdict(Answers.response(status)))) }
        #expect(Self.isReconcile(try verdict(.unknown(HTTPFailure(.timeout, "slow")))))
        #expect(try verdict(.notSent(HTTPFailure(.connect, "down"))) == .retry(kind: "connect", reason: "down"))
    }

    @Test("Without a scope to read journals it cannot be asked; with one, by a search of the day")
    func inquiries() throws {
        #expect(try VKPSamples.destination().reconciliation(of: draft) == nil)
        let inquiries = try #require(try VKPSamples.destination(searches: true).reconciliation(of: draft))
        #expect(inquiries.map(\.item) == [1, 2])
        #expect(inquiries[0].request.url == "https://vkp.example.org/epj/r4/999999204/composition/_search")
        #expect(
            String(decoding: inquiries[0].request.body, as: UTF8.self)
                == "patient.identifier=01819540094&date=ge2023-02-22T09:24:08Z&date=le2023-02-24T09:24:08Z")
    }

    @Test("A document that is found is there; one that is not may be on its way")
    func found() throws {
        func verdict(_ resources: [JSON], status: Int = 200) throws -> DispatchVerdict {
            try VKPSamples.destination(searches: true).verdict(
                onReconciliation: Answers.response(status, Answers.searchset(resources)), of: 1, in: draft, now: Samples.now)
        }
        let composition: JSON = [
            "resourceType": "Composition", "identifier": ["system": "urn:ietf:rfc:3986", "value": .string(name)],
        ]
        #expect(try verdict([composition]) == .items([ItemResult(1, delivered)]))
        let reason = "the journal does not show the document, or not yet"
        #expect(try verdict([]) == .items([ItemResult(1, .uncertain(reason: reason))]))
        #expect(
            try verdict([], status: 403)
                == .items([ItemResult(1, .uncertain(reason: "the receiver cannot be asked (403)"))]))
        #expect(try verdict([], status: 401) == .refreshCredential)
    }
}
