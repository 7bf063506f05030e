import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

@Suite struct ReconciliationTests {
    private let draft: DispatchDraft
    private let pressure: JSON

    init() throws {
        draft = try Samples.draft(Samples.bloodPressure)
        pressure = try #require(try Samples.body(draft).observation(150_020))
    }

    private func readBack(_ outcome: HTTPOutcome) -> DispatchVerdict {
        Samples.destination.verdict(
            onReadBack: outcome, of: 1, at: ServerReference(reference: "Observation/srv-9"), in: draft, now: Samples.now)
    }

    private func reconciled(_ outcome: HTTPOutcome) -> DispatchVerdict {
        Samples.destination.verdict(onReconciliation: outcome, of: 1, in: draft, now: Samples.now)
    }

    private static func one(_ verdict: ItemVerdict) -> DispatchVerdict { .items([ItemResult(1, verdict)]) }

    private let delivered = ItemVerdict.delivered(
        ServerReference(reference: "Observation/srv-9", version: "2", lastModified: Instant(milliseconds: 1_767_263_048_123)))

    @Test("What stood there already is read at its own place, never where the receiver points to")
    func readBackRequest() throws {
        let reference = try #require(ServerReference("https://elsewhere.example/fhir/Observation/srv-9/_history/2"))
        let request = Samples.destination.readBack(of: 1, at: reference, in: draft)
        #expect(request.method == .get)
        #expect(request.url == "https://fhir.example.org/r4/Observation/srv-9")
        #expect(ServerReference(reference.description) == reference)
        for text in ["", "Observation", "Observation/a b", "/x/../y", "observation/1", "Observation/1?x=2"] {
            #expect(ServerReference(text) == nil)
        }
    }

    @Test("Equal by value is delivered, trailing zeros and additions of the receiver aside")
    func equal() throws {
        #expect(readBack(Answers.response(200, pressure.stored().text)) == Self.one(delivered))
        let padded = pressure.stored().text.replacing(#""value":118"#, with: #""value":118.0"#)
        #expect(readBack(Answers.response(200, padded)) == Self.one(delivered))
        let more = pressure.stored().setting("text", to: .members(["status": "generated"])).setting(
            "issued", to: "2026-01-01T10:24:08Z")
        #expect(readBack(Answers.response(200, more.text)) == Self.one(delivered))
    }

    @Test(
        "Different by value, patient, code or status is quarantined, and says in which element",
        arguments: [
            (#""value":118"#, #""value":119"#, "component"), ("Patient/hub-7f3a", "Patient/other", "subject"),
            ("85354-9", "85354-9", nil), (#""status":"final""#, #""status":"entered-in-error""#, "status"),
            (#""code":"mm[Hg]""#, #""code":"kPa""#, "component"),
            (#""resourceType":"Observation""#, #""resourceType":"Device""#, "resourceType"),
        ] as [(String, String, String?)])
    func different(from: String, to: String, element: String?) {
        let theirs = pressure.stored().text.replacing(from, with: to)
        let verdict = readBack(Answers.response(200, theirs))
        if let element {
            #expect(
                verdict
                    == Self.one(
                        .quarantine(code: "different", text: "the receiver holds another one under this identifier: \(element)")))
        } else {
            #expect(verdict == Self.one(delivered))
        }
    }

    @Test("A missing number is equal only to a missing number")
    func missing() throws {
        let sample = try Samples.named("blood-pressure-no-diastolic")
        let draft = try Samples.draft(sample.act)
        let ours = try #require(try Samples.body(draft).observation(150_020))
        let reference = ServerReference(reference: "Observation/srv-9")
        func verdict(_ theirs: JSON) -> DispatchVerdict {
            Samples.destination.verdict(
                onReadBack: Answers.response(200, theirs.text), of: 1, at: reference, in: draft, now: Samples.now)
        }
        #expect(verdict(ours.stored()) == Self.one(delivered))
        guard case .items(let results) = verdict(pressure.stored()), case .quarantine = results.first?.verdict else {
            Issue.record("a number was taken for none")
            return
        }
    }

    @Test("A receiver that does not let us read leaves it uncertain, not lost", arguments: [403, 404, 405, 410, 400])
    func unreadable(status: Int) {
        for verdict in [readBack(Answers.response(status)), reconciled(Answers.response(status))] {
            guard case .items(let results) = verdict, case .uncertain = results.first?.verdict else {
                Issue.record("\(status) is not uncertain")
                return
            }
        }
    }

    @Test("An unknown outcome is asked for by our own identifier, item by item")
    func inquiries() throws {
        let inquiries = try #require(Samples.destination.reconciliation(of: draft))
        #expect(inquiries.map(\.item) == [1, 2])
        #expect(
            inquiries[0].request.url
                == "https://fhir.example.org/r4/Observation?identifier=urn:ietf:rfc:3986%7Curn:uuid:"
                + Samples.bloodPressure.readings[0].id.rawValue)
        #expect(inquiries.allSatisfy { $0.request.method == .get && $0.request.body.isEmpty })
    }

    @Test("Found and equal is delivered; not found is sent again; found twice or different is a person's")
    func answers() throws {
        #expect(reconciled(Answers.response(200, Answers.searchset([pressure.stored()]))) == Self.one(delivered))
        #expect(reconciled(Answers.response(200, Answers.searchset([]))) == Self.one(.resend(nil)))
        #expect(
            reconciled(Answers.response(200, Answers.searchset([pressure.stored(), pressure.stored(id: "b")])))
                == Self.one(.quarantine(code: "multiple-matches", text: "the receiver holds it 2 times")))
        let changed = try JSON(parsing: pressure.stored().text.replacing(#""value":118"#, with: #""value":119"#))
        guard case .items(let results) = reconciled(Answers.response(200, Answers.searchset([changed]))),
            case .quarantine(code: "different", _) = results.first?.verdict
        else {
            Issue.record("a different one was taken for ours")
            return
        }
    }

    @Test("A receiver that ignores the search is not believed")
    func ignoredSearch() throws {
        let stranger = try JSON(parsing: pressure.stored().text.replacing("urn:uuid:", with: "urn:uuid:0"))
        #expect(
            reconciled(Answers.response(200, Answers.searchset([stranger])))
                == Self.one(.uncertain(reason: "the receiver ignores the identifier in a search")))
    }

    @Test("While asking, the channel's troubles are the channel's")
    func channel() {
        #expect(reconciled(Answers.response(401)) == .refreshCredential)
        #expect(reconciled(Answers.response(429)) == .waitUntilRetryAfter(nil))
        #expect(reconciled(.notSent(HTTPFailure(.connect, "refused"))) == .retry(kind: "connect", reason: "refused"))
        #expect(reconciled(.unknown(HTTPFailure(.timeout, "late"))) == .retry(kind: "timeout", reason: "asked, no answer"))
        #expect(reconciled(Answers.response(302)) == .holdChannel(.receiverHeld, reason: "the receiver answered 302"))
    }
}

@Suite struct CorrectionTests {
    private let draft: DispatchDraft
    private let body: JSON

    init() throws {
        let sample = try Samples.named("blood-pressure-status")
        draft = try Samples.destination.correction(of: Samples.due(sample.act, references: true), context: Samples.context)
        body = try Samples.body(draft)
    }

    @Test("A retraction updates the delivered version, with its status bits, and keeps the identifiers")
    func request() throws {
        let pressure = try #require(body.entry(150_020))
        #expect(pressure["request"]?["method"]?.string == "PUT")
        #expect(pressure["request"]?["url"]?.string == "Observation/srv-1")
        #expect(pressure["request"]?["ifMatch"]?.string == "W/\"3\"")
        #expect(pressure["resource"]?["id"]?.string == "srv-1")
        #expect(pressure["resource"]?["status"]?.string == "entered-in-error")
        #expect(pressure["resource"]?.identifier(phdIdentifier) != nil)
        let bits = try #require(body.entry(8_410_608))
        #expect(bits["resource"]?["status"]?.string == "entered-in-error")
        #expect(bits["request"]?["url"]?.string?.hasPrefix("Observation?identifier=") == true)
        #expect(draft.entries.map(\.item) == [1, 2])
    }

    @Test("A reading that should never have been sent can still be retracted; one that nobody knows the place of cannot")
    func always() throws {
        var act = Samples.bloodPressure
        act.cautions = [.guest]
        act.measurement.status = [.invalid]
        #expect(throws: Never.self) {
            try Samples.destination.correction(of: Samples.due(act, references: true), context: Samples.context)
        }
        #expect(throws: MappingError.self) {
            try Samples.destination.correction(of: Samples.due(act), context: Samples.context)
        }
    }

    @Test("The update's 200 is its success")
    func success() {
        let answer = Answers.response(200, Answers.transaction(["200", "200", "200", "200", "200"]))
        guard case .items(let results) = Samples.destination.verdict(on: answer, to: draft, now: Samples.now) else {
            Issue.record("no items")
            return
        }
        #expect(results.map(\.item) == [1, 2])
        #expect(results.allSatisfy { if case .delivered = $0.verdict { true } else { false } })
    }

    @Test(
        "A version that moved on: read it; retracted is done, unchanged is sent again for the new version, changed is a person's")
    func movedOn() throws {
        guard case .reconcile = Samples.destination.verdict(on: Answers.response(412), to: draft, now: Samples.now) else {
            Issue.record("not reconciled")
            return
        }
        let inquiry = try #require(Samples.destination.reconciliation(of: draft)?.first)
        #expect(inquiry.request.url == "https://fhir.example.org/r4/Observation/srv-1")
        let ours = try #require(body.observation(150_020))
        func verdict(_ outcome: HTTPOutcome) -> DispatchVerdict {
            Samples.destination.verdict(onReconciliation: outcome, of: 1, in: draft, now: Samples.now)
        }
        let known = ServerReference(
            reference: "Observation/srv-1", version: "4", lastModified: Instant(milliseconds: 1_767_263_048_123))
        let retracted = ours.stored(id: "srv-1", version: "4")
        #expect(verdict(Answers.response(200, retracted.text)) == .items([ItemResult(1, .delivered(known))]))
        let standing = retracted.setting("status", to: "final")
        #expect(verdict(Answers.response(200, standing.text)) == .items([ItemResult(1, .resend(known))]))
        guard
            case .items(let results) = verdict(
                Answers.response(200, standing.text.replacing(#""value":118"#, with: #""value":1"#))),
            case .quarantine = results.first?.verdict
        else {
            Issue.record("somebody's change would be overwritten")
            return
        }
        guard case .items(let gone) = verdict(Answers.response(410)), case .delivered = gone.first?.verdict else {
            Issue.record("what is gone needs no retraction")
            return
        }
    }
}
