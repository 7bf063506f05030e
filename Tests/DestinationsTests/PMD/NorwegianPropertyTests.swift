import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

/// What holds of any answer and of any history.
@Suite struct NorwegianPropertyTests {
    private static let bodies: [String] =
        [
            "", "OK", "null", "[]", #"{"resourceType":"Bundle"}"#, #"{"resourceType":"Bundle","type":"batch-response"}"#,
            #"{"resourceType":"Bundle","type":"batch-response","entry":[{},{}]}"#,
            #"{"resourceType":"Bundle","type":"batch-response","entry":[{"response":{"status":"200"}},{"response":{"status":"999"}}]}"#,
            #"{"resourceType":"OperationOutcome"}"#, #"{"resourceType":"OperationOutcome","issue":[{"details":3}]}"#,
        ]
        + ["throttled", "login", "forbidden", "timeout", "conflict", "too-long", "invariant", "processing"].map {
            Answers.outcome($0)
        }

    @Test("Any status with any body gives a verdict that names every item once, or one on the channel")
    func total() throws {
        let drafts: [(any Destination, DispatchDraft)] = [
            (PMDSamples.destination(), try PMDSamples.draft(Samples.bloodPressure)),
            (PMDSamples.destination(), try PMDSamples.draft(Samples.bloodPressure, Samples.kilopascal, settings: PMDSamples.put)),
            (try VKPSamples.destination(), try VKPSamples.draft(Samples.bloodPressure)),
            (try VKPSamples.destination(), try VKPSamples.absence()),
        ]
        for (destination, draft) in drafts {
            for status in [
                100, 200, 201, 204, 301, 304, 400, 401, 403, 404, 405, 409, 410, 412, 413, 415, 418, 422, 425, 429, 500, 503, 599,
            ] {
                for body in Self.bodies {
                    let outcome = Answers.response(status, body)
                    if case .items(let results) = destination.verdict(on: outcome, to: draft, now: Samples.now) {
                        #expect(results.map(\.item) == draft.entries.map(\.item))
                    }
                    let item = try #require(draft.entries.first?.item)
                    if case .items(let results) = destination.verdict(
                        onReconciliation: outcome, of: item, in: draft, now: Samples.now)
                    {
                        #expect(results.map(\.item) == [item])
                        // What an answer does not show is never taken for delivered.
                        if case .delivered = results[0].verdict { Issue.record("\(status) \(body)") }
                    }
                }
            }
        }
    }

    @Test("No refused or unclear status is ever delivered")
    func neverDelivered() throws {
        let draft = try PMDSamples.draft(Samples.bloodPressure)
        let document = try VKPSamples.draft(Samples.bloodPressure)
        for status in [301, 400, 401, 403, 404, 409, 412, 413, 422, 429, 500, 503] {
            for body in Self.bodies {
                let verdicts = [
                    PMDSamples.destination().verdict(on: Answers.response(status, body), to: draft, now: Samples.now),
                    try VKPSamples.destination().verdict(on: Answers.response(status, body), to: document, now: Samples.now),
                ]
                for case .items(let results) in verdicts {
                    #expect(results.allSatisfy { if case .delivered = $0.verdict { false } else { true } })
                }
            }
        }
    }

    /// Minutes of a day on which something was well, drawn by a generator that gives the same day for the same seed.
    private struct Day {
        var state: UInt64

        mutating func next(_ bound: Int) -> Int {
            state = state &* 6_364_136_223_846_793_005 &+ 1_442_695_040_888_963_407
            return Int(state >> 33) % bound
        }

        mutating func spans() -> [(Int, Int)] {
            // Mostly one long span, sometimes with a gap.
            let cut = next(3) == 0 ? next(1_440) : nil
            guard let cut else { return [(0, 1_440)] }
            return [(0, cut), (cut + next(3), 1_440)]
        }
    }

    @Test(
        "Not measured is said only where every minute was watched and the memory read after the slot, as a count of minutes finds",
        arguments: 0..<200)
    func absence(seed: Int) {
        var day = Day(state: UInt64(seed) &* 7_919 &+ 1)
        func at(_ minute: Int) -> Instant { Instant(seconds: 1_677_110_400 + Int64(minute) * 60) }
        let start = day.next(1_000)
        let end = start + day.next(300)
        let grace = day.next(120)
        let parts = [day.spans(), day.spans(), day.spans()]
        let memory = day.next(4) == 0 ? nil : day.next(1_440)
        let reading = day.next(3) == 0 ? day.next(1_440) : nil
        let now = day.next(4) == 0 ? day.next(1_440) : 1_440
        let slot = VKPSlot(
            id: "s", kinds: [.bloodPressure], start: at(start), end: at(end), grace: .seconds(grace * 60))
        func spans(_ part: [(Int, Int)]) -> [VKPWatch.Span] { part.map { VKPWatch.Span(from: at($0.0), until: at($0.1)) } }
        let watch = VKPWatch(
            hub: spans(parts[0]), clock: spans(parts[1]), radio: spans(parts[2]), memoryRead: memory.map(at),
            readings: reading.map { [.init(.bloodPressure, at($0))] } ?? [])
        let isWatched = parts.allSatisfy { part in
            (start..<max(start, min(end + grace, 2_000))).allSatisfy { minute in
                part.contains { $0.0 <= minute && minute + 1 <= $0.1 }
            }
        }
        let isMeasured = reading.map { (start...end).contains($0) } ?? false
        let expected =
            !isMeasured && now >= end + grace && isWatched && (memory.map { $0 >= end } ?? false) && end + grace <= 1_440
        #expect((VKPAbsence(of: slot, watch: watch, now: at(now)) == .notMeasured) == expected)
    }

    @Test("A decoded reading is converted for PMD as for the others")
    func conversion() throws {
        let json = try JSON(
            parsing: """
                {"kind":"blood-pressure","systolic":118,"diastolic":87,"mean":99,"unit":"mm[Hg]","deviceTime":"2023-02-23T10:24:08"}
                """)
        let act = try Conversion.act(
            reading: json, received: MeasuredTime(Samples.now, offsetMinutes: 60), zone: FixedZone(minutes: 60))
        let destination = try #require(
            DestinationKind.pmd.destination(ReceiverSettings(name: "pmd", kind: .pmd, baseURL: PMDSamples.root)))
        let request = try Conversion.request(of: act, to: destination, context: PMDSamples.context)
        #expect(try JSON(parsing: request.body)["entry"]?[0]?["resource"]?.codes.first == "http://loinc.org|85354-9")
    }
}
