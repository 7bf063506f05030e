import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

/// What VKP is sent, rule by rule.
@Suite struct VKPDocumentTests {
    private static let systems = "http://ehelse.no/fhir/CodeSystem/vkp-"

    private static func code(_ concept: JSON?) -> String? {
        guard let coding = concept?["coding"]?[0], let system = coding["system"]?.string, let code = coding["code"]?.string
        else { return nil }
        return "\(system.replacing(systems, with: ""))|\(code)"
    }

    @Test("Reported: Composition, DetectedIssue and an Observation for each reading, each reachable from the Composition")
    func reported() throws {
        let body = try Samples.body(VKPSamples.draft(Samples.bloodPressure))
        #expect(body["type"] == "document")
        #expect(
            body.resources.map { $0["resourceType"]?.string } == ["Composition", "DetectedIssue", "Observation", "Observation"])
        let urls = (body["entry"]?.array ?? []).compactMap { $0["fullUrl"]?.string }
        #expect(Set(urls).count == 4)
        let composition = try #require(body.resource("Composition"))
        #expect(composition["status"] == "final")
        #expect(Self.code(composition["type"]) == "http://loinc.org|34133-9")
        #expect(Self.code(composition["category"]?[0]) == "composition-category-v090|2")
        #expect(Self.code(composition["event"]?[0]?["code"]?[0]) == "composition-event-v090|0")
        #expect(Self.code(composition["section"]?[0]?["code"]) == "composition-section-v090|2")
        #expect(composition["section"]?[0]?["entry"] == [["reference": .string(urls[1])]])
        #expect(composition["section"]?[0]?["text"]?["status"] == "additional")
        #expect(
            composition["section"]?[0]?["text"]?["div"]
                == "<div xmlns=\"http://www.w3.org/1999/xhtml\">Blodtrykk 118/87 mmHg; Puls 93 /min</div>")
        #expect(composition["title"] == "Måledata rapportert")
        #expect(composition["relatesTo"] == nil)
        let issue = try #require(body.resource("DetectedIssue"))
        #expect(Self.code(issue["code"]) == "alert-code-v090|5.2.1")
        #expect(issue["identifiedDateTime"] == "2023-02-23T10:24:08+01:00")
        #expect(
            issue["evidence"] == [
                ["detail": [["reference": .string(urls[2])], ["reference": .string(urls[3])]]]
            ])
        let observation = try #require(body.resource("Observation"))
        #expect(observation.profiles == ["http://ehelse.no/fhir/StructureDefinition/vkp-Observation-Bloodpressure-v090"])
        #expect(observation["performer"] == nil)
    }

    @Test("The patient by national identifier in each resource, the author as configured, and neither in URL or header")
    func people() throws {
        let draft = try VKPSamples.draft(Samples.bloodPressure)
        let body = try Samples.body(draft)
        let patient: JSON = [
            "identifier": ["system": .string(PMDSamples.personSystem), "value": .string(PMDSamples.person)]
        ]
        #expect(body.resource("Composition")?["subject"] == patient)
        #expect(body.resource("DetectedIssue")?["patient"] == patient)
        #expect(body.resource("Observation")?["subject"] == patient)
        #expect(
            body.resource("Composition")?["author"] == [
                [
                    "identifier": ["system": "urn:oid:2.16.578.1.12.4.1.4.4", "value": "999999999"],
                    "display": "Kari <Prøve> Sykepleier",
                ]
            ])
        #expect(draft.request.method == .post)
        #expect(draft.request.url == "https://vkp.example.org/epj/r4/999999204/bundle")
        #expect(draft.request.headers.allSatisfy { !$0.value.contains(PMDSamples.person) })
    }

    @Test("Without a configured author there is no destination of this kind")
    func author() {
        #expect(DestinationKind.vkp.destination(ReceiverSettings(name: "v", kind: .vkp, baseURL: VKPSamples.base)) == nil)
        #expect(DestinationKind.pmd.destination(ReceiverSettings(name: "p", kind: .pmd, baseURL: PMDSamples.root)) != nil)
    }

    @Test("The same document is the same bytes; each act and each slot has its own identifier")
    func deterministic() throws {
        let one = try VKPSamples.draft(Samples.bloodPressure)
        #expect(try VKPSamples.draft(Samples.bloodPressure) == one)
        #expect(try VKPSamples.absence() == VKPSamples.absence())
        let others = [try VKPSamples.draft(Samples.kilopascal), try VKPSamples.absence(), one]
        let identifiers = try others.map { try Samples.body($0)["identifier"]?["value"]?.string }
        #expect(Set(identifiers).count == 3)
        #expect(try Samples.body(one)["identifier"] == Samples.body(one).resource("Composition")?["identifier"])
        #expect(try Samples.body(one)["timestamp"] == "2023-02-23T10:24:08+01:00")
    }

    @Test("Not reported: Composition and DetectedIssue of the slot, dated at the end of the grace")
    func notReported() throws {
        let draft = try VKPSamples.absence()
        #expect(draft.entries == [.init(item: 9, index: 0)])
        let body = try Samples.body(draft)
        #expect(body.resources.map { $0["resourceType"]?.string } == ["Composition", "DetectedIssue"])
        #expect(body["timestamp"] == "2023-02-23T13:00:00+01:00")
        let issue = try #require(body.resource("DetectedIssue"))
        #expect(Self.code(issue["code"]) == "alert-code-v090|5.3.2")
        #expect(
            issue["identifiedPeriod"] == ["start": "2023-02-23T08:00:00+01:00", "end": "2023-02-23T12:00:00+01:00"])
        #expect(body.resource("Composition")?["title"] == "Måling ikke rapportert")
        #expect(
            body.resource("Composition")?["section"]?[0]?["text"]?["div"]
                == "<div xmlns=\"http://www.w3.org/1999/xhtml\">Ingen måling mellom 23.02.2023 kl. 08:00 og 23.02.2023 kl. 12:00; utstyrets minne er lest etterpå.</div>"
        )
    }

    @Test("A late reading makes a document that follows up the one that said nothing was reported")
    func followUp() throws {
        let absence = try Samples.body(VKPSamples.absence())["identifier"]
        let late = try VKPSamples.draft(Samples.bloodPressure, target: VKPTarget(late: VKPSamples.slot()))
        let composition = try #require(try Samples.body(late).resource("Composition"))
        #expect(composition["relatesTo"] == [["code": "appends", "targetIdentifier": try #require(absence)]])
        #expect(composition["status"] == "final")
        // It is the act's document all the same.
        #expect(try Samples.body(late)["identifier"] == Samples.body(VKPSamples.draft(Samples.bloodPressure))["identifier"])
    }

    @Test("What was journaled wrongly is replaced by a document of its own, as entered in error throughout")
    func retraction() throws {
        let draft = try VKPSamples.destination().correction(
            of: Samples.due(Samples.bloodPressure, references: true), context: VKPSamples.context())
        let body = try Samples.body(draft)
        let original = try Samples.body(VKPSamples.draft(Samples.bloodPressure))["identifier"]
        #expect(body["identifier"] != original)
        #expect(
            body.resource("Composition")?["relatesTo"] == [
                ["code": "replaces", "targetIdentifier": try #require(original)]
            ])
        for resource in body.resources { #expect(resource["status"] == "entered-in-error") }
        #expect(body.resource("Composition")?["title"] == "Feilregistrert: Måledata rapportert")
    }

    @Test("r4_ One act a document, and nothing of a test, a guest or an invalid measurement")
    func r4_refused() throws {
        func code(_ acts: [Act]) throws -> MappingError.Code? {
            let destination = try VKPSamples.destination()
            do throws(MappingError) {
                _ = try destination.dispatch(of: acts.map { Samples.due($0) }, context: VKPSamples.context())
            } catch { return error.code }
            return nil
        }
        var guest = Samples.bloodPressure
        guest.cautions = [.guest]
        #expect(try code([guest]) == .notForChart)
        #expect(try code([Samples.bloodPressure, Samples.kilopascal]) == .tooManyActs)
        #expect(
            try code([Samples.act(Samples.spot([.invalid]), number: 60, device: Samples.oximeter)]) == .invalidMeasurement)
    }

    @Test("What the journal shows is escaped, and a pressure that was not measured is a question mark")
    func words() throws {
        let body = try Samples.body(VKPSamples.draft(Samples.named("blood-pressure-no-diastolic").act))
        #expect(
            body.resource("Composition")?["section"]?[0]?["text"]?["div"]?.string?.contains("Blodtrykk 120/? mmHg") ?? false)
    }

    @Test("What was ordered is asked for by POST with the bare number in the form")
    func carePlans() throws {
        let request = try VKPSamples.destination().carePlans(
            patientID: PMDSamples.person, from: VKPSamples.slot().start, until: VKPSamples.slot().end)
        #expect(request.url == "https://vkp.example.org/epj/r4/999999204/careplan/_search")
        #expect(
            String(decoding: request.body, as: UTF8.self)
                == "patient.identifier=01819540094&date=ge2023-02-23T07:00:00Z&date=le2023-02-23T11:00:00Z")
        #expect(request.headers.contains(HTTPHeader("servicecodes", "dho")))
    }

    @Test("The plans of an answer, with what each activity says of itself")
    func readPlans() throws {
        let answer = """
            {"resourceType":"Bundle","type":"searchset","entry":[{"resource":{"resourceType":"CarePlan","id":"1","identifier":[\
            {"system":"urn:ietf:rfc:3986","value":"urn:uuid:3b0c"}],"status":"active","intent":"plan","category":[{"coding":[\
            {"system":"http://ehelse.no/fhir/CodeSystem/vkp-careplan-category-v090","code":"1"}]}],"period":{"start":\
            "2023-01-01T00:00:00+01:00"},"activity":[{"detail":{"status":"scheduled","description":"Mål blodtrykk","code":{"coding":[\
            {"system":"http://loinc.org","code":"85354-9"}]},"scheduledTiming":{"repeat":{"timeOfDay":["08:00:00"]}}}},\
            {"reference":{"reference":"Task/1"}}]}},{"resource":{"resourceType":"OperationOutcome"}}]}
            """
        let plans = try #require(VKPCarePlan.plans(in: JSON(parsing: answer)))
        let plan = try #require(plans.first)
        #expect(plans.count == 1)
        #expect(plan.id == "urn:uuid:3b0c")
        #expect(plan.isActive)
        #expect(plan.category == "1")
        #expect(plan.start == Instant(iso8601: "2023-01-01T00:00:00+01:00"))
        #expect(plan.activities.count == 1)
        #expect(plan.activities[0].codes == ["http://loinc.org|85354-9"])
        #expect(plan.activities[0].description == "Mål blodtrykk")
        #expect(plan.activities[0].scheduled?["repeat"]?["timeOfDay"] == ["08:00:00"])
        #expect(VKPCarePlan.plans(in: ["resourceType": "OperationOutcome"]) == nil)
    }
}
