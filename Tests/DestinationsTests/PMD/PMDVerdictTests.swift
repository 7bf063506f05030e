import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

/// What PMD's answers mean: one act of two items, sent as two entries.
@Suite struct PMDVerdictTests {
    private let draft: DispatchDraft
    private let names: [String]

    init() throws {
        draft = try PMDSamples.draft(Samples.bloodPressure, settings: PMDSamples.put)
        names = try (Samples.body(draft)["entry"]?.array ?? []).compactMap { $0["fullUrl"]?.string }
    }

    private func verdict(_ outcome: HTTPOutcome) -> DispatchVerdict {
        PMDSamples.destination().verdict(on: outcome, to: draft, now: Samples.now)
    }

    private static func isReconcile(_ verdict: DispatchVerdict) -> Bool { if case .reconcile = verdict { true } else { false } }

    private func known(_ position: Int) -> ItemVerdict {
        .delivered(ServerReference(reference: "Observation/" + Samples.bloodPressure.readings[position].id.rawValue))
    }

    // MARK: Which answer is of which entry

    private func response(_ entries: [JSON]) -> HTTPOutcome {
        Answers.response(
            200, JSON.members(["resourceType": "Bundle", "type": "batch-response", "entry": .array(entries)]).text)
    }

    private static func entry(fullURL: String? = nil, echo: String? = nil, _ response: [JSON.Member]) -> JSON {
        var members = response
        if let echo {
            members.insert(
                .init(
                    "extension",
                    [
                        [
                            "url":
                                "http://hl7.no/fhir/vkpobservation/StructureDefinition/PmdBundleResponseEntryIdExtension",
                            "valueUri": .string(echo),
                        ]
                    ]), at: 0)
        }
        return .members(["fullUrl": fullURL.map { .string($0) }, "response": .object(members)])
    }

    private static let ok: [JSON.Member] = [.init("status", "200")]
    private static let refused: [JSON.Member] = [
        .init("status", "422"),
        .init(
            "outcome",
            [
                "resourceType": "OperationOutcome",
                "issue": [
                    [
                        "severity": "error", "code": "business-rule",
                        "details": [
                            "coding": [["system": "http://nhn.no/hit/fhir/error/CodeSystem/ErrorCode", "code": "PMD-0001"]]
                        ],
                    ]
                ],
            ]),
    ]

    @Test("A partial failure falls on its own item, found by the echoed full URL, whatever the order")
    func echoedFullURL() {
        let answer = response([
            Self.entry(fullURL: names[1], Self.ok), Self.entry(fullURL: names[0], Self.refused),
        ])
        #expect(
            verdict(answer)
                == .items([
                    ItemResult(1, .quarantine(code: "business-rule", text: "business-rule: PMD-0001")), ItemResult(2, known(1)),
                ]))
    }

    @Test("Or by the extension of 0.5.1, with our full URL or with our request's URL")
    func echoedExtension() {
        let url = "Observation/" + Samples.bloodPressure.readings[0].id.rawValue
        let answer = response([Self.entry(echo: names[1], Self.refused), Self.entry(echo: url, Self.ok)])
        #expect(
            verdict(answer)
                == .items([
                    ItemResult(1, known(0)), ItemResult(2, .quarantine(code: "business-rule", text: "business-rule: PMD-0001")),
                ]))
        // A full URL of the server's own beside it does no harm.
        let both = response([
            Self.entry(fullURL: "https://pmd.example.org/Observation/1", echo: names[0], Self.ok),
            Self.entry(fullURL: "https://pmd.example.org/Observation/2", echo: names[1], Self.ok),
        ])
        #expect(verdict(both) == .items([ItemResult(1, known(0)), ItemResult(2, known(1))]))
    }

    @Test("Or, where nothing is echoed and all are answered, by the order")
    func order() {
        #expect(
            verdict(response([Self.entry(Self.refused), Self.entry(Self.ok)]))
                == .items([
                    ItemResult(1, .quarantine(code: "business-rule", text: "business-rule: PMD-0001")), ItemResult(2, known(1)),
                ]))
    }

    @Test("What is not answered, answered twice or answered to nobody is asked for")
    func unclear() throws {
        let unclear = ItemVerdict.reconcile(reason: "no answer for this entry alone")
        #expect(
            verdict(response([Self.entry(fullURL: names[0], Self.ok)]))
                == .items([ItemResult(1, known(0)), ItemResult(2, unclear)]))
        #expect(
            verdict(response([Self.entry(Self.ok)])) == .items([ItemResult(1, unclear), ItemResult(2, unclear)]))
        let twice = response([
            Self.entry(fullURL: names[0], Self.ok), Self.entry(fullURL: names[0], Self.refused),
            Self.entry(fullURL: names[1], Self.ok),
        ])
        #expect(verdict(twice) == .items([ItemResult(1, unclear), ItemResult(2, known(1))]))
        // The URL of all POSTs says nothing.
        let posted = try PMDSamples.draft(Samples.bloodPressure, settings: PMDSamples.batch)
        let answer = response([Self.entry(echo: "Observation", Self.ok), Self.entry(echo: "Observation", Self.ok)])
        #expect(
            PMDSamples.destination().verdict(on: answer, to: posted, now: Samples.now)
                == .items([ItemResult(1, unclear), ItemResult(2, unclear)]))
    }

    @Test("One answer to the URL of all POSTs is nobody's")
    func ambiguous() throws {
        let posted = try PMDSamples.draft(Samples.bloodPressure, settings: PMDSamples.batch)
        let unclear = ItemVerdict.reconcile(reason: "no answer for this entry alone")
        #expect(
            PMDSamples.destination().verdict(
                on: response([Self.entry(echo: "Observation", Self.ok)]), to: posted, now: Samples.now)
                == .items([ItemResult(1, unclear), ItemResult(2, unclear)]))
    }

    @Test("The published example answer is understood as an answer to a request of its own example")
    func publishedAnswer() {
        let answer = response([
            Self.entry(echo: "test.url", Self.ok)
        ])
        let request = """
            {"resourceType":"Bundle","type":"batch","entry":[{"fullUrl":"BundleExample","resource":{"resourceType":"Observation",\
            "id":"vkp-body-temperature-create"},"request":{"method":"PUT","url":"test.url"}}]}
            """
        let published = DispatchDraft(
            request: HTTPRequest(.post, PMDSamples.root, body: Array(request.utf8)),
            entries: [.init(item: 7, index: 0)], memo: [:])
        #expect(
            PMDSamples.destination().verdict(on: answer, to: published, now: Samples.now)
                == .items([
                    ItemResult(7, .delivered(ServerReference(reference: "Observation/vkp-body-temperature-create")))
                ]))
    }

    // MARK: One entry

    @Test("Where the server says location, version and time, they are kept")
    func located() {
        let members: [JSON.Member] = [
            .init("status", "201 Created"), .init("location", "https://pmd.example.org/Observation/77/_history/2"),
            .init("lastModified", "2026-01-01T10:24:08Z"),
        ]
        let answer = response([Self.entry(fullURL: names[0], members), Self.entry(fullURL: names[1], Self.ok)])
        guard case .items(let results) = verdict(answer) else { return #expect(Bool(false)) }
        #expect(
            results[0].verdict
                == .delivered(
                    ServerReference(
                        reference: "Observation/77", version: "2", lastModified: Instant(iso8601: "2026-01-01T10:24:08Z"))))
    }

    static let entries: [(String, ItemVerdict)] = [
        ("400", .quarantine(code: "http-400", text: "")), ("403", .quarantine(code: "http-403", text: "")),
        ("404", .quarantine(code: "http-404", text: "")), ("409", .reconcile(reason: "the receiver answered 409")),
        ("412", .reconcile(reason: "the receiver answered 412")),
        ("413", .quarantine(code: "too-large", text: "the receiver answered 413")),
        ("429", .reconcile(reason: "the entry was answered 429")), ("500", .reconcile(reason: "the receiver answered 500")),
        ("x", .reconcile(reason: "an entry without status")),
    ]

    @Test("An entry's own status", arguments: entries)
    func entryStatus(status: String, expected: ItemVerdict) {
        let answer = response([
            Self.entry(fullURL: names[0], [.init("status", .string(status))]), Self.entry(fullURL: names[1], Self.ok),
        ])
        #expect(verdict(answer) == .items([ItemResult(1, expected), ItemResult(2, known(1))]))
    }

    // MARK: The whole request

    @Test("A status of the whole request")
    func status() throws {
        #expect(
            verdict(Answers.response(400))
                == .items([1, 2].map { ItemResult($0, .quarantine(code: "http-400", text: "")) }))
        #expect(verdict(Answers.response(401)) == .refreshCredential)
        #expect(
            verdict(Answers.response(403)) == .holdChannel(.receiverHeld, reason: "the receiver answered 403"))
        #expect(
            verdict(Answers.response(404)) == .holdChannel(.receiverHeld, reason: "the receiver answered 404 on its root"))
        #expect(
            verdict(Answers.response(429, headers: [HTTPHeader("retry-after", "30")]))
                == .waitUntilRetryAfter(.seconds(30)))
        #expect(
            verdict(Answers.response(503, headers: [HTTPHeader("retry-after", "30")]))
                == .waitUntilRetryAfter(.seconds(30)))
        for status in [409, 412, 500, 502, 503, 504] { #expect(Self.isReconcile(verdict(Answers.response(status)))) }
        // Taken, but not said what became of it.
        for status in [200, 202, 204] { #expect(Self.isReconcile(verdict(Answers.response(status, "OK")))) }
        let two = try PMDSamples.draft(Samples.bloodPressure, Samples.kilopascal)
        for (status, reason) in [(422, "http-422"), (413, "the receiver answered 413")] {
            #expect(
                PMDSamples.destination().verdict(on: Answers.response(status), to: two, now: Samples.now)
                    == .split(reason: reason))
        }
    }

    @Test("Not sent: again; sent without an answer: asked for first")
    func noAnswer() {
        #expect(Self.isReconcile(verdict(.unknown(HTTPFailure(.timeout, "slow")))))
        #expect(verdict(.notSent(HTTPFailure(.resolve, "no name"))) == .retry(kind: "dns", reason: "no name"))
    }

    // MARK: Asking

    @Test("One question an item, by POST: the number of the person is in the form and not in the URL")
    func inquiries() throws {
        let inquiries = try #require(PMDSamples.destination().reconciliation(of: draft))
        #expect(inquiries.map(\.item) == [1, 2])
        let request = inquiries[0].request
        #expect(request.method == .post)
        #expect(request.url == PMDSamples.root + "/Observation/_search")
        #expect(
            String(decoding: request.body, as: UTF8.self)
                == "patient.identifier=urn:oid:2.16.578.1.12.4.1.4.1%7C01819540094&code=http://loinc.org%7C85354-9"
                + "&date=ge2023-02-23T09:23:08Z&date=le2023-02-23T09:25:08Z")
        #expect(request.headers.contains(HTTPHeader("content-type", "application/x-www-form-urlencoded")))
        let readBack = PMDSamples.destination().readBack(
            of: 1, at: ServerReference(reference: "Observation/1"), in: draft)
        #expect(readBack == request)
    }

    private func found(_ resources: [JSON], in draft: DispatchDraft? = nil) -> ItemVerdict? {
        let verdict = PMDSamples.destination().verdict(
            onReconciliation: Answers.response(200, Answers.searchset(resources)), of: 1, in: draft ?? self.draft,
            now: Samples.now)
        guard case .items(let results) = verdict else { return nil }
        return results.first?.verdict
    }

    private func ours() throws -> JSON { try #require(try Samples.body(draft)["entry"]?[0]?["resource"]) }

    private static let stored = ServerReference(
        reference: "Observation/srv-9", version: "2", lastModified: Instant(iso8601: "2026-01-01T10:24:08.123Z"))

    @Test("Under our identifier with the same values: delivered, also with a patient reference that the server added")
    func foundAgain() throws {
        let copy = try ours().stored()
        #expect(found([copy]) == .delivered(Self.stored))
        let subject = try #require(copy["subject"]).setting("reference", to: "Patient/5")
        #expect(found([copy.setting("subject", to: subject)]) == .delivered(Self.stored))
        // A server that drops identifiers: the same patient, code, moment and values.
        #expect(found([copy.setting("identifier", to: .array([]))]) == .delivered(Self.stored))
    }

    @Test("Nothing in a whole answer: send again. Anything that leaves a doubt: not")
    func foundNothing() throws {
        #expect(found([]) == .resend(nil))
        let other = try #require(try Samples.body(draft)["entry"]?[1]?["resource"]).stored()
        #expect(found([other]) == .uncertain(reason: "the receiver ignores the search"))
        let page = JSON.members([
            "resourceType": "Bundle", "type": "searchset", "link": [["relation": "next", "url": "x"]],
        ])
        #expect(
            PMDSamples.destination().verdict(
                onReconciliation: Answers.response(200, page.text), of: 1, in: draft, now: Samples.now)
                == .items([ItemResult(1, .uncertain(reason: "the receiver's answer goes on"))]))
        for status in [403, 405] {
            #expect(
                PMDSamples.destination().verdict(
                    onReconciliation: Answers.response(status), of: 1, in: draft, now: Samples.now)
                    == .items([
                        ItemResult(1, .uncertain(reason: "the receiver does not let us read (\(status))"))
                    ]))
        }
    }

    @Test("Another reading of ours with the same values at the same moment is not this one")
    func foundAnotherOfOurs() throws {
        let other: JSON = [["system": "urn:ietf:rfc:3986", "value": "urn:uuid:5d1f0a3e-9a50-4c6e-8f43-000000019999"]]
        #expect(try found([ours().stored().setting("identifier", to: other)]) == .resend(nil))
    }

    @Test("Another value, time or patient under our identifier is a person's; so are two")
    func foundDifferent() throws {
        let copy = try ours().stored()
        func code(_ resources: [JSON]) -> String? {
            if case .quarantine(let code, let text) = found(resources) {
                "\(code): \(text.split(separator: " ").last ?? "")"
            } else {
                nil
            }
        }
        #expect(code([copy.setting("effectiveDateTime", to: "2023-02-23T10:24:09+01:00")]) == "different: effective")
        let subject: JSON = ["identifier": ["system": .string(PMDSamples.personSystem), "value": "01819540175"]]
        #expect(code([copy.setting("subject", to: subject)]) == "different: subject")
        #expect(code([copy.setting("status", to: "entered-in-error")]) == "different: status")
        #expect(code([copy, copy.setting("id", to: "srv-10")]) == "multiple-matches: times")
    }

    @Test("A retraction that may have arrived: done where it says so, else again")
    func correction() throws {
        let draft = try PMDSamples.destination(PMDSamples.batch).correction(
            of: Samples.due(Samples.bloodPressure, references: true), context: PMDSamples.context)
        let ours = try #require(try Samples.body(draft)["entry"]?[0]?["resource"])
        #expect(found([ours.stored()], in: draft) == .delivered(Self.stored))
        #expect(found([ours.stored().setting("status", to: "final")], in: draft) == .resend(Self.stored))
        let answer = response(["Observation/srv-1", "Observation/srv-2"].map { Self.entry(echo: $0, Self.ok) })
        #expect(
            PMDSamples.destination().verdict(on: answer, to: draft, now: Samples.now)
                == .items([
                    ItemResult(1, .delivered(ServerReference(reference: "Observation/srv-1", version: "3"))),
                    ItemResult(2, .delivered(ServerReference(reference: "Observation/srv-2", version: "3"))),
                ]))
    }
}
