import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

/// The table of what an answer means: one act of two items (a cuff's pressure and pulse), sent as four entries.
@Suite struct VerdictTests {
    static func verdict(_ outcome: HTTPOutcome, acts: Int = 1) throws -> DispatchVerdict {
        let settings = ReceiverSettings(name: "x", kind: .phd, baseURL: "https://x.example", maximumActs: 2)
        let destination = PHDDestination(settings: settings)
        let all = [Samples.due(Samples.bloodPressure), Samples.due(Samples.kilopascal)]
        let draft = try destination.dispatch(of: Array(all.prefix(acts)), context: Samples.context)
        return destination.verdict(on: outcome, to: draft, now: Samples.now)
    }

    static func each(_ verdict: ItemVerdict) -> DispatchVerdict { .items([ItemResult(1, verdict), ItemResult(2, verdict)]) }

    @Test("2xx with an entry each: delivered, with id and version")
    func delivered() throws {
        #expect(
            try Self.verdict(Answers.response(200, Answers.transaction(["200", "200", "201", "201"])))
                == .items([
                    ItemResult(1, .delivered(ServerReference(reference: "Observation/srv-2", version: "1"))),
                    ItemResult(2, .delivered(ServerReference(reference: "Observation/srv-3", version: "1"))),
                ]))
    }

    @Test("200 to a conditional create: read it and compare")
    func alreadyThere() throws {
        #expect(
            try Self.verdict(Answers.response(200, Answers.transaction(["200", "200", "201", "200"])))
                == .items([
                    ItemResult(1, .delivered(ServerReference(reference: "Observation/srv-2", version: "1"))),
                    ItemResult(2, .readBack(ServerReference(reference: "Observation/srv-3", version: "1"))),
                ]))
    }

    @Test(
        "An error inside an entry is that entry's, not the batch's",
        arguments: [
            ("422:invariant", ItemVerdict.quarantine(code: "invariant", text: "invariant")),
            ("400", .quarantine(code: "http-400", text: "")),
            ("412", .reconcile(reason: "the receiver answered 412")),
            ("409", .reconcile(reason: "the receiver answered 409")),
            ("500", .serverFailure(status: 500, reason: "the receiver answered 500")),
            ("429", .serverFailure(status: 429, reason: "the entry was answered 429")),
            ("403", .quarantine(code: "http-403", text: "")),
            ("413", .quarantine(code: "too-large", text: "the receiver answered 413")),
            ("201:invariant", .quarantine(code: "invariant", text: "invariant")),
            ("201:processing", .quarantine(code: "processing", text: "processing")),
            ("nonsense", .reconcile(reason: "an entry without status")),
        ])
    func entryError(entry: String, expected: ItemVerdict) throws {
        #expect(
            try Self.verdict(Answers.response(200, Answers.transaction(["200", "200", entry, "201"])))
                == .items([
                    ItemResult(1, expected),
                    ItemResult(2, .delivered(ServerReference(reference: "Observation/srv-3", version: "1"))),
                ]))
    }

    @Test("What goes along and fails keeps the items from being told in full")
    func supportingEntry() throws {
        #expect(
            try Self.verdict(Answers.response(200, Answers.transaction(["200", "422:structure", "201", "201"])))
                == Self.each(.quarantine(code: "structure", text: "structure")))
    }

    @Test(
        "2xx that is no answer to a transaction may have been taken: reconcile",
        arguments: [
            (200, "<html>Please sign in</html>"), (202, ""), (204, ""), (200, "{}"),
            (200, #"{"resourceType":"Bundle","type":"searchset"}"#),
            (200, #"{"resourceType":"Bundle","type":"transaction-response"}"#),
        ])
    func noAnswer(status: Int, body: String) throws {
        guard case .reconcile = try Self.verdict(Answers.response(status, body)) else {
            Issue.record("not reconciled")
            return
        }
    }

    @Test("A success without a place is asked for")
    func noLocation() throws {
        let entry: JSON = ["response": ["status": "201"]]
        let entries = JSON.array(Array(repeating: entry, count: 4))
        let body = JSON.members(["resourceType": "Bundle", "type": "transaction-response", "entry": entries]).text
        #expect(
            try Self.verdict(Answers.response(200, body))
                == Self.each(.reconcile(reason: "the receiver did not say where it put the entry")))
    }

    @Test("Before the body was sent: again, for ever", arguments: HTTPFailure.Kind.allCases)
    func notSent(kind: HTTPFailure.Kind) throws {
        let verdict = try Self.verdict(.notSent(HTTPFailure(kind, "words")))
        switch kind {
        case .certificate, .credential, .invalidURL:
            guard case .holdChannel(.receiverHeld, _) = verdict else {
                Issue.record("\(kind) does not hold")
                return
            }
        default: #expect(verdict == .retry(kind: kind.rawValue, reason: "words"))
        }
    }

    @Test("Sent and no answer: ask before sending again", arguments: HTTPFailure.Kind.allCases)
    func unknown(kind: HTTPFailure.Kind) throws {
        #expect(
            try Self.verdict(.unknown(HTTPFailure(kind, "words"))) == .reconcile(reason: "sent, no answer (\(kind.rawValue))"))
    }

    static let statuses: [(Int, DispatchVerdict)] = [
        (408, .retry(kind: "http-408", reason: "the receiver answered 408")),
        (425, .retry(kind: "http-425", reason: "the receiver answered 425")),
        (401, .refreshCredential),
        (403, .holdChannel(.receiverHeld, reason: "the receiver answered 403")),
        (407, .holdChannel(.receiverHeld, reason: "the receiver answered 407")),
        (301, .holdChannel(.receiverHeld, reason: "the receiver answered 301")),
        (302, .holdChannel(.receiverHeld, reason: "the receiver answered 302")),
        (308, .holdChannel(.receiverHeld, reason: "the receiver answered 308")),
        (404, .holdChannel(.receiverHeld, reason: "the receiver answered 404 on its base")),
        (410, .holdChannel(.receiverHeld, reason: "the receiver answered 410 on its base")),
        (405, .holdChannel(.receiverHeld, reason: "the receiver answered 405")),
        (415, .holdChannel(.receiverHeld, reason: "the receiver answered 415")),
        (418, .holdChannel(.receiverHeld, reason: "the receiver answered 418")),
        (100, .holdChannel(.receiverHeld, reason: "the receiver answered 100")),
        (600, .holdChannel(.receiverHeld, reason: "the receiver answered 600")),
        (409, .reconcile(reason: "the receiver answered 409")),
        (412, .reconcile(reason: "the receiver answered 412")),
        (413, each(.quarantine(code: "too-large", text: "the receiver answered 413"))),
        (400, each(.quarantine(code: "http-400", text: ""))),
        (422, each(.quarantine(code: "http-422", text: ""))),
        (429, .waitUntilRetryAfter(nil)),
        (503, .waitUntilRetryAfter(nil)),
        (500, .serverFailure(status: 500, reason: "the receiver answered 500")),
        (502, .serverFailure(status: 502, reason: "the receiver answered 502")),
        (504, .serverFailure(status: 504, reason: "the receiver answered 504")),
    ]

    @Test("Each status has its verdict", arguments: statuses)
    func status(status: Int, expected: DispatchVerdict) throws {
        #expect(try Self.verdict(Answers.response(status)) == expected)
        #expect(try Self.verdict(Answers.response(status, "<html>")) == expected)
    }

    @Test("Several acts are split until alone", arguments: [400, 413, 422])
    func split(status: Int) throws {
        guard case .split = try Self.verdict(Answers.response(status), acts: 2) else {
            Issue.record("not split")
            return
        }
    }

    @Test(
        "A known OperationOutcome code outranks the status",
        arguments: [
            (500, "invariant", each(.quarantine(code: "invariant", text: "invariant"))),
            (404, "business-rule", each(.quarantine(code: "business-rule", text: "business-rule"))),
            (403, "throttled", .waitUntilRetryAfter(nil)),
            (500, "throttled", .waitUntilRetryAfter(nil)),
            (400, "login", .refreshCredential),
            (403, "expired", .refreshCredential),
            (422, "forbidden", .holdChannel(.receiverHeld, reason: "the receiver answered 422 forbidden")),
            (422, "lock-error", .serverFailure(status: 422, reason: "the receiver answered 422 lock-error")),
            (400, "transient", .serverFailure(status: 400, reason: "the receiver answered 400 transient")),
            (422, "duplicate", .reconcile(reason: "the receiver answered 422 duplicate")),
            (400, "multiple-matches", .reconcile(reason: "the receiver answered 400 multiple-matches")),
            (400, "too-long", each(.quarantine(code: "too-large", text: "the receiver answered 400 too-long"))),
            // About who asks, not about what was sent: no reading is burnt.
            (401, "required", .refreshCredential),
            (403, "structure", .holdChannel(.receiverHeld, reason: "the receiver answered 403")),
            // Codes that servers use for anything.
            (500, "processing", .serverFailure(status: 500, reason: "the receiver answered 500")),
            (422, "processing", each(.quarantine(code: "processing", text: "processing"))),
            (404, "not-found", .holdChannel(.receiverHeld, reason: "the receiver answered 404 on its base")),
        ] as [(Int, String, DispatchVerdict)])
    func outranks(status: Int, code: String, expected: DispatchVerdict) throws {
        #expect(try Self.verdict(Answers.response(status, Answers.outcome(code))) == expected)
    }

    @Test("An OperationOutcome with an error is no success, whatever the status line says; a warning is none")
    func errorInSuccess() throws {
        #expect(
            try Self.verdict(Answers.response(200, Answers.outcome("required", diagnostics: "subject")))
                == Self.each(.quarantine(code: "required", text: "required: subject")))
        #expect(
            try Self.verdict(Answers.response(422, Answers.outcome("throttled", severity: "warning")))
                == Self.each(.quarantine(code: "http-422", text: "")))
    }

    @Test(
        "Retry-After in seconds and as a date, at most an hour",
        arguments: [
            ("120", Duration.seconds(120)), (" 0", .zero), ("7200", .seconds(3_600)),
            ("99999999999999999999999", .seconds(3_600)),
            ("Thu, 01 Jan 2026 10:05:08 GMT", .seconds(60)), ("Thursday, 01-Jan-26 10:05:08 GMT", .seconds(60)),
            ("Thu Jan  1 10:05:08 2026", .seconds(60)), ("Thu, 01 Jan 2025 10:05:08 GMT", .zero),
            ("Fri, 01 Jan 2027 10:05:08 GMT", .seconds(3_600)),
            ("soon", nil), ("", nil), ("Thu, 41 Jan 2026 10:05:08 GMT", nil), ("-5", nil), ("1.5", nil),
        ] as [(String, Duration?)])
    func retryAfter(text: String, expected: Duration?) throws {
        let now = Instant(seconds: 1_767_261_848)
        #expect(now.description == "2026-01-01T10:04:08Z")
        let draft = try Samples.draft(Samples.bloodPressure)
        let outcome = Answers.response(429, headers: [HTTPHeader("retry-after", text)])
        #expect(Samples.destination.verdict(on: outcome, to: draft, now: now) == .waitUntilRetryAfter(expected))
    }

    @Test("The table is total: any status and body gives a verdict that names every item once, or one on the channel")
    func total() throws {
        var generator = SplitMix(seed: 0x5EED)
        let codes = [
            "throttled", "login", "invariant", "conflict", "processing", "", "x", "too-long", "lock-error", "forbidden",
            "not-found",
        ]
        let destination = Samples.destination
        let draft = try Samples.draft(Samples.bloodPressure)
        let entries = ["200", "201", "204", "400", "409:conflict", "422:invariant", "500", "999", "", "abc", "201:value"]
        for _ in 0..<5_000 {
            let status = Int.random(in: 0...700, using: &generator)
            let body: String
            switch Int.random(in: 0...5, using: &generator) {
            case 0: body = ""
            case 1: body = Answers.outcome(codes.randomElement(using: &generator) ?? "")
            case 2:
                body = Answers.transaction(
                    (0..<Int.random(in: 0...6, using: &generator)).map { _ in
                        entries.compactMap { $0.isEmpty ? nil : $0 }.randomElement(using: &generator) ?? "200"
                    })
            case 3: body = String(decoding: (0..<40).map { _ in UInt8.random(in: 0...255, using: &generator) }, as: UTF8.self)
            case 4: body = #"{"resourceType":"Bundle","type":"transaction-response","entry":[{"response":7},3,null,{}]}"#
            default: body = "[1,2]"
            }
            let headers =
                Bool.random(using: &generator)
                ? [HTTPHeader("retry-after", String(Int.random(in: -9...9_999, using: &generator)))] : []
            let verdicts = [
                destination.verdict(on: Answers.response(status, body, headers: headers), to: draft, now: Samples.now),
                destination.verdict(
                    onReadBack: Answers.response(status, body, headers: headers), of: 1,
                    at: ServerReference(reference: "Observation/1"),
                    in: draft, now: Samples.now),
                destination.verdict(
                    onReconciliation: Answers.response(status, body, headers: headers), of: 1, in: draft, now: Samples.now),
            ]
            for (position, verdict) in verdicts.enumerated() {
                switch verdict {
                case .items(let results): #expect(results.map(\.item) == (position == 0 ? [1, 2] : [1]))
                case .waitUntilRetryAfter(let duration): #expect(duration.map { $0 >= .zero && $0 <= .seconds(3_600) } ?? true)
                case .split: Issue.record("one act cannot be split")
                case .retry, .refreshCredential, .holdChannel, .reconcile, .serverFailure: break
                }
                // Nothing but a success with the place in it counts as delivered.
                if case .items(let results) = verdict,
                    results.contains(where: { if case .delivered = $0.verdict { true } else { false } })
                {
                    #expect((200..<300).contains(status))
                }
            }
        }
    }
}

/// A small generator with a seed (Steele, Lea, Flood: SplitMix64), so that a failure can be run again.
struct SplitMix: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
