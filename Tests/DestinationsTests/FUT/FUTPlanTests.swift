import Destinations
import ExactJSON
import Testing
import Vitals

@Suite struct FUTPlanTests {
    private let query: FUTPlanQuery
    private let answer: JSON
    private let plan: FUTPlan

    init() throws {
        query = try #require(FUTPlanQuery(Published.example("POST_get-patient-procedures.request")))
        answer = try Published.example("POST_get-patient-procedures.response")
        plan = try FUTPlan(
            answer: answer, to: query, fetched: FUTSamples.at("2025-10-21T12:30:00Z"), settings: FUTSamples.settings)
    }

    @Test("The published question is read and written back unchanged")
    func question() throws {
        #expect(query.json == (try Published.example("POST_get-patient-procedures.request")))
        let request = query.request(FUTSamples.settings)
        #expect(request.url == "https://careplan.test001.ehealth.sundhed.dk/fhir/$get-patient-procedures")
        #expect(try JSON(parsing: request.body) == query.json)
    }

    @Test("A question asks for whole days in UTC, so that those of one day are the same")
    func window() throws {
        let (from, to) = (try FUTSamples.at("2023-02-21T10:00:00+01:00"), try FUTSamples.at("2023-03-02T00:30:00+01:00"))
        let query = FUTPlanQuery(patient: FUTSamples.patient, from: from, to: to)
        #expect(query.start == "2023-02-21T00:00:00+00:00")
        #expect(query.end == "2023-03-02T00:00:00+00:00")
        #expect(query == FUTPlanQuery(patient: FUTSamples.patient, from: from + .seconds(3_600), to: to))
        #expect(query.extra == true)
        #expect(FUTPlanQuery(query.json) == query)
    }

    @Test("R4 an answer that tells of somebody else is known by its plans and requests")
    func r4_anothers() throws {
        let subjects = (answer["entry"]?.array ?? []).compactMap { $0["resource"]?["subject"]?["reference"]?.string }
        let own = try #require(subjects.first)
        #expect(!FUTPlan.isAnothers(answer, than: own))
        #expect(FUTPlan.isAnothers(answer, than: own + "9"))
        #expect(!FUTPlan.isAnothers(["resourceType": "Bundle"], than: own))
    }

    @Test("A later plan of the same days takes an earlier one's place where it says all of it, and not else")
    func contained() throws {
        var later = plan
        later.fetched = later.fetched + .seconds(60)
        #expect(plan.isContained(in: later) && !later.isContained(in: plan))
        var other = later
        other.window.until = other.window.until.map { $0 + .seconds(86_400) }
        #expect(!plan.isContained(in: other))
        other = later
        other.requests[0].version = "7"
        #expect(!plan.isContained(in: other))
        other = later
        other.items.removeLast()
        #expect(!plan.isContained(in: other))
        // Without a time of the server's own the first look dates a version: it has to stay.
        var undated = plan
        undated.requests[0].validFrom = nil
        other = undated
        other.fetched = later.fetched
        #expect(!undated.isContained(in: other))
    }

    @Test("News is a version or state that no plan showed before, or a place that was left")
    func news() throws {
        #expect(FUTPlanHistory().isNews(plan))
        let history = FUTPlanHistory([plan])
        var later = plan
        later.fetched = later.fetched + .seconds(60)
        #expect(!history.isNews(later))
        // Of other days, fewer requests are told: no news.
        var other = later
        other.window.from = other.window.from.map { $0 - .seconds(86_400) }
        other.requests.removeLast()
        #expect(!history.isNews(other))
        other = later
        other.requests[1].version = "9"
        #expect(history.isNews(other))
        other = later
        other.requests[1].isActive = false
        #expect(history.isNews(other))
        other = later
        other.items[0].totalInvalidated = (other.items[0].totalInvalidated ?? 0) + 1
        #expect(history.isNews(other))
    }

    @Test("Each item of the published answer is read and written back unchanged")
    func items() throws {
        let parameters = try #require(
            answer["entry"]?.array?.compactMap { $0["resource"] }.first { $0["resourceType"]?.string == "Parameters" })
        let written = plan.items.enumerated().map { $0.element.parameter(number: $0.offset + 1, settings: FUTSamples.settings) }
        #expect(JSON.array(written) == parameters["parameter"])
        #expect(plan.unreadable.isEmpty)
    }

    @Test("What the published answer says of its requests")
    func requests() throws {
        #expect(plan.requests.map(\.version) == ["1", "2", "1"])
        #expect(plan.requests.map(\.includesExtra) == [true, false, false])
        #expect(plan.requests.allSatisfy { $0.isActive && $0.episode.hasSuffix("EpisodeOfCare/314") })
        #expect(plan.requests[1].reference == "https://careplan.cit-careplan-3596.local/fhir/ServiceRequest/316")
        #expect(plan.requests[1].carePlan == "https://careplan.cit-careplan-3596.local/fhir/CarePlan/319")
        #expect(try plan.requests[1].validFrom == FUTSamples.at("2025-10-21T12:23:42.037Z"))
        #expect(try plan.requests[1].covers(FUTSamples.at("2025-10-22T10:30:00Z")))
        // Before it was active; after its bounds.
        #expect(try !plan.requests[1].covers(FUTSamples.at("2025-10-21T07:00:00Z")))
        #expect(try !plan.requests[1].covers(FUTSamples.at("2025-10-24T10:00:00Z")))
    }

    @Test("Due is what the present version asks for; what only counts submissions is not")
    func schedule() throws {
        let due = plan.schedule(from: try FUTSamples.at("2025-10-20T00:00:00Z"), to: try FUTSamples.at("2025-10-30T00:00:00Z"))
        #expect(due.map(\.activity) == ["Vægt", "Iltmætning", "Iltmætning"])
        #expect(due.map(\.requested) == [1, 2, 2])
        #expect(due.map(\.submitted) == [0, 1, 0])
        #expect(due.allSatisfy { !$0.isFulfilled })
        #expect(
            plan.schedule(from: try FUTSamples.at("2025-10-23T00:00:00Z"), to: try FUTSamples.at("2025-10-30T00:00:00Z")).isEmpty)
    }

    @Test("A plan survives its keeping")
    func kept() throws {
        #expect(FUTPlan(json: try JSON(parsing: plan.json.bytes)) == plan)
        let full = try FUTSamples.plan(
            [FUTSamples.request("1", [FUTSamples.pulse], until: "2023-05-01T00:00:00Z", companions: [FUTSamples.saturation])],
            [FUTSamples.item("1", FUTSamples.slot(), submitted: 2, invalidated: 1)])
        #expect(FUTPlan(json: full.json) == full)
        #expect(!full.json.text.contains(":null"))
        #expect(!plan.json.text.contains(":null"))
        #expect(FUTPlan(json: ["version": 2]) == nil)
    }

    @Test("An item whose time has no zone is named, and the others are read")
    func unreadable() throws {
        let broken = try JSON(parsing: answer.text.replacing("2025-10-22T10:00:00+00:00", with: "2025-10-22"))
        let plan = try FUTPlan(answer: broken, to: query, fetched: Samples.now, settings: FUTSamples.settings)
        #expect(plan.unreadable == ["item_4"])
        #expect(plan.items.count == 6)
    }

    @Test("An answer that is no Bundle is no plan, and takes nothing from the one that is kept")
    func noAnswer() throws {
        let query = query
        #expect(throws: FUTPlan.AnswerError.self) {
            try FUTPlan(
                answer: ["resourceType": "OperationOutcome"], to: query, fetched: Samples.now, settings: FUTSamples.settings)
        }
    }

    /// A plan of the form of the platform's own test data: activities in the order in which they are done, SDG before its group.
    static func grouped(_ activities: [(id: String, system: String, code: String)]) throws -> FUTPlan {
        let requests = activities.map { activity -> JSON in
            [
                "resource": [
                    "resourceType": "ServiceRequest", "id": .string(activity.id), "meta": ["versionId": "1"], "status": "active",
                    "code": ["coding": [["system": .string(activity.system), "code": .string(activity.code)]]],
                ]
            ]
        }
        let references = activities.map { activity -> JSON in
            ["reference": ["reference": .string(FUTSamples.careplan + "/ServiceRequest/" + activity.id)]]
        }
        let plan: JSON = [
            "resource": [
                "resourceType": "CarePlan", "id": "7",
                "extension": [
                    [
                        "url": "http://hl7.org/fhir/StructureDefinition/workflow-episodeOfCare",
                        "valueReference": ["reference": .string(FUTSamples.episode)],
                    ]
                ],
                "activity": .array(references),
            ]
        ]
        return try FUTPlan(
            answer: ["resourceType": "Bundle", "entry": .array([plan] + requests)],
            to: FUTPlanQuery(patient: FUTSamples.patient, from: FUTSamples.measured, to: FUTSamples.measured),
            fetched: FUTSamples.measured,
            settings: FUTSamples.settings)
    }

    @Test("A device group is what the plan lists between one head and the next")
    func deviceGroups() throws {
        let activity = "http://ehealth.sundhed.dk/cs/activitydefinition-code"
        let plan = try Self.grouped([
            ("head", activity, "HA"), ("bp", FUTSamples.panel.system, "ZZ3170"), ("group", activity, "SDG"),
            ("sat", FUTSamples.npu, "NPU03011"), ("pulse", FUTSamples.npu, "NPU21692"), ("end", activity, "HA"),
            ("alone", FUTSamples.npu, "NPU21692"),
        ])
        func companions(_ id: String) -> [FUTCoding]? { plan.request("ServiceRequest/" + id)?.companions }
        #expect(companions("pulse") == [FUTSamples.saturation])
        #expect(companions("sat") == [FUTSamples.pulse])
        #expect(companions("bp") == [])
        #expect(companions("alone") == [])
        #expect(plan.request("ServiceRequest/bp")?.episode == FUTSamples.episode)
    }
}

@Suite struct FUTPlanHistoryTests {
    @Test("A reading uses the version that was valid when it was measured, not the one that is valid now")
    func versions() throws {
        let first = try FUTSamples.request("1", [FUTSamples.pulse])
        let second = try FUTSamples.request("1", [FUTSamples.pulse], version: "2", validFrom: "2023-02-23T10:00:00Z")
        let history = FUTPlanHistory([
            try FUTSamples.plan([second], [], fetched: "2023-02-23T11:00:00Z"),
            try FUTSamples.plan([first], [], fetched: "2023-02-23T06:00:00Z"),
        ])
        #expect(history.version(of: "ServiceRequest/1", at: FUTSamples.measured) == .version(first))
        #expect(try history.version(of: "ServiceRequest/1", at: FUTSamples.at("2023-02-23T10:00:00Z")) == .version(second))
        #expect(history.version(of: "ServiceRequest/2", at: FUTSamples.measured) == .noRequest)
    }

    @Test("Before the first version there is, that one; before the first that we know, nothing is guessed")
    func beforeTheFirst() throws {
        let first = try FUTSamples.request("1", [FUTSamples.pulse], validFrom: "2023-02-23T10:00:00Z")
        let later = try FUTSamples.request("2", [FUTSamples.pulse], version: "3", validFrom: "2023-02-23T10:00:00Z")
        let history = FUTPlanHistory([try FUTSamples.plan([first, later], [])])
        #expect(history.version(of: "ServiceRequest/1", at: FUTSamples.measured) == .version(first))
        #expect(history.version(of: "ServiceRequest/2", at: FUTSamples.measured) == .unknown)
    }

    @Test("Where a version was missed between two fetches, nothing is guessed")
    func missedVersion() throws {
        let first = try FUTSamples.request("1", [FUTSamples.pulse])
        let third = try FUTSamples.request("1", [FUTSamples.pulse], version: "3", validFrom: "2023-02-23T10:00:00Z")
        let history = FUTPlanHistory([
            try FUTSamples.plan([first], [], fetched: "2023-02-23T06:00:00Z"),
            try FUTSamples.plan([third], [], fetched: "2023-02-23T11:00:00Z"),
        ])
        #expect(history.version(of: "ServiceRequest/1", at: FUTSamples.measured) == .unknown)
        #expect(try history.version(of: "ServiceRequest/1", at: FUTSamples.at("2023-02-23T05:00:00Z")) == .version(first))
    }

    @Test("A refresh tells whether a request is active still, of the time that it was asked about")
    func activity() throws {
        let request = try FUTSamples.request("1", [FUTSamples.pulse])
        var history = FUTPlanHistory([try FUTSamples.plan([request], [])])
        #expect(
            try history.activity(of: "ServiceRequest/1", at: FUTSamples.measured)
                == .active(asOf: FUTSamples.at("2023-02-23T06:00:00Z")))
        #expect(try history.activity(of: "ServiceRequest/1", at: FUTSamples.at("2023-04-01T00:00:00Z")) == .unknown)
        let refreshed = "2023-02-24T06:00:00Z"
        history.add(try FUTSamples.plan([], [], fetched: refreshed, from: "2023-02-22T00:00:00Z"))
        #expect(
            try history.activity(of: "ServiceRequest/1", at: FUTSamples.measured) == .inactive(asOf: FUTSamples.at(refreshed)))
        #expect(
            try history.activity(of: "ServiceRequest/1", at: FUTSamples.at("2023-02-21T12:00:00Z"))
                == .active(asOf: FUTSamples.at("2023-02-23T06:00:00Z")))
    }

    @Test("Plans that speak of no moment any more are forgotten")
    func forget() throws {
        var history = FUTPlanHistory([
            try FUTSamples.plan([], [], until: "2023-02-22T00:00:00Z"), try FUTSamples.plan([], []),
        ])
        history.forget(before: FUTSamples.measured)
        #expect(history.plans.count == 1)
    }
}
