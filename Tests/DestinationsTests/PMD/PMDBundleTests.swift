import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

/// What PMD is sent, rule by rule.
@Suite struct PMDBundleTests {
    private static let loinc = "http://loinc.org"
    private static let sct = "http://snomed.info/sct"
    private static let mdc = "urn:iso:std:iso:11073:10101"

    // MARK: Bundle

    @Test("A collection has identifier, time and municipality, and no requests")
    func collection() throws {
        let draft = try PMDSamples.draft(Samples.bloodPressure, settings: PMDSettings(municipality: "0301"))
        let body = try Samples.body(draft)
        #expect(body["type"] == "collection")
        #expect(
            body["meta"]?["tag"] == [
                [
                    "system": "https://register.geonorge.no/sosi-kodelister/inndelinger/inndelingsbase/kommunenummer",
                    "code": "0301",
                ]
            ])
        #expect(body["meta"]?["profile"] == nil)
        #expect(body["identifier"]?["system"] == "https://www.nhn.no/komlink/bundle-identifier")
        #expect(body["timestamp"] == "2023-02-23T10:24:08+01:00")
        #expect(body["entry"]?.array?.count == 2)
        for entry in body["entry"]?.array ?? [] {
            #expect(entry["request"] == nil)
            #expect(entry["fullUrl"]?.string == "urn:uuid:" + (entry["resource"]?["id"]?.string ?? ""))
        }
        #expect(try Samples.body(PMDSamples.draft(Samples.bloodPressure))["meta"] == nil)
    }

    @Test("A batch claims its profile and has a request in each entry, POST or PUT", arguments: PMDSettings.Method.allCases)
    func batch(method: PMDSettings.Method) throws {
        let settings = PMDSettings(form: .batch, method: method, municipality: "4601")
        let body = try Samples.body(PMDSamples.draft(Samples.bloodPressure, settings: settings))
        #expect(body["type"] == "batch")
        #expect(body.profiles == ["http://hl7.no/fhir/vkpobservation/StructureDefinition/pmd-Bundle-Observation"])
        #expect(body["meta"]?["tag"]?[0]?["code"] == "4601")
        for entry in body["entry"]?.array ?? [] {
            let id = try #require(entry["resource"]?["id"]?.string)
            let request = try #require(entry["request"])
            #expect(request["method"]?.string == method.rawValue.uppercased())
            #expect(request["url"]?.string == (method == .put ? "Observation/\(id)" : "Observation"))
        }
    }

    @Test("To the root, with a correlation id, the configured headers, and the number of the person in the body alone")
    func request() throws {
        let settings = PMDSettings(headers: [HTTPHeader("x-system", "hub")])
        let request = try PMDSamples.draft(Samples.bloodPressure, settings: settings).request
        #expect(request.method == .post)
        #expect(request.url == PMDSamples.root)
        #expect(request.headers.contains(HTTPHeader("content-type", "application/fhir+json")))
        #expect(request.headers.contains(HTTPHeader("x-system", "hub")))
        #expect(request.headers.contains { $0.name == "correlation-id" && $0.value.utf8.count == 36 })
        #expect(!request.headers.contains { $0.name == "person-id" || $0.value.contains(PMDSamples.person) })
        #expect(String(decoding: request.body, as: UTF8.self).contains(PMDSamples.person))
        let named = try PMDSamples.draft(Samples.bloodPressure, settings: PMDSettings(sendsPersonHeader: true)).request
        #expect(named.headers.contains(HTTPHeader("person-id", PMDSamples.person)))
    }

    @Test("The same items give the same bytes; other items another bundle", arguments: PMDSettings.Form.allCases)
    func deterministic(form: PMDSettings.Form) throws {
        let settings = PMDSettings(form: form)
        let one = try PMDSamples.draft(Samples.bloodPressure, settings: settings)
        #expect(try PMDSamples.draft(Samples.bloodPressure, settings: settings) == one)
        let other = try PMDSamples.draft(Samples.kilopascal, settings: settings)
        #expect(try Samples.body(one)["identifier"] != Samples.body(other)["identifier"])
        #expect(one.request.headers != other.request.headers)
        let correction = try PMDSamples.destination(settings).correction(
            of: Samples.due(Samples.bloodPressure, references: true), context: PMDSamples.context)
        #expect(try Samples.body(one)["identifier"] != Samples.body(correction)["identifier"])
    }

    @Test("Several acts of one patient in one bundle; more than the receiver takes are refused")
    func several() throws {
        let draft = try PMDSamples.draft(Samples.bloodPressure, Samples.kilopascal)
        #expect(try Samples.body(draft)["entry"]?.array?.count == 4)
        #expect(draft.entries.map(\.index) == [0, 1, 2, 3])
        #expect(throws: MappingError(.tooManyActs, "2 acts, at most 1")) {
            try PMDSamples.destination(acts: 1).dispatch(
                of: [Samples.due(Samples.bloodPressure), Samples.due(Samples.kilopascal)], context: PMDSamples.context)
        }
    }

    // MARK: Whose

    @Test(
        "The system follows from the number; what no national register knows is not sent",
        arguments: [(PMDSamples.person, "4.1"), (PMDSamples.dNumber, "4.2"), ("80000000000", "4.3")])
    func subject(number: String, tail: String) throws {
        let draft = try PMDSamples.destination().dispatch(
            of: [Samples.due(Samples.bloodPressure)], context: DispatchContext(patientID: number, gateway: Samples.gateway))
        let subject = try Samples.body(draft)["entry"]?[0]?["resource"]?["subject"]
        #expect(
            subject == [
                "identifier": ["system": .string("urn:oid:2.16.578.1.12.4.1." + tail), "value": .string(number)]
            ])
    }

    @Test(
        "No number, or one of a single organisation: refused without saying the number", arguments: ["hub-7f3a", "01419540018"])
    func noSubject(number: String) throws {
        do throws(MappingError) {
            _ = try PMDSamples.destination().dispatch(
                of: [Samples.due(Samples.bloodPressure)], context: DispatchContext(patientID: number, gateway: Samples.gateway))
            Issue.record("it was sent")
        } catch {
            #expect(error.code == .patientID)
            #expect(!error.message.contains(number))
        }
    }

    @Test("r4_ Test and guest readings, and what the device calls invalid, never leave")
    func r4_notForChart() throws {
        func code(_ act: Act) -> MappingError.Code? {
            do throws(MappingError) {
                _ = try PMDSamples.destination().dispatch(of: [Samples.due(act)], context: PMDSamples.context)
            } catch {
                return error.code
            }
            return nil
        }
        for caution in [Act.Caution.technicianTest, .guest] {
            var act = Samples.bloodPressure
            act.cautions = [caution]
            #expect(code(act) == .notForChart)
        }
        #expect(code(Samples.act(Samples.spot([.invalid]), number: 40, device: Samples.oximeter)) == .invalidMeasurement)
    }

    // MARK: Codes

    @Test(
        "LOINC first, SNOMED CT of VKP and of no-domain, the device's MDC code last",
        arguments: [
            ("blood-pressure", 0, ["\(loinc)|85354-9", "\(sct)|75367002", "\(mdc)|150020"]),
            ("blood-pressure", 1, ["\(loinc)|8867-4", "\(sct)|364075005", "\(sct)|78564009", "\(mdc)|149546"]),
            ("oximeter-spot", 0, ["\(loinc)|2708-6", "\(loinc)|59408-5", "\(sct)|431314004", "\(mdc)|150456"]),
            ("oximeter-spot", 1, ["\(loinc)|8867-4", "\(sct)|364075005", "\(sct)|78564009", "\(mdc)|149530"]),
            ("oximeter-spot", 2, ["\(mdc)|150320"]),
            ("weight", 0, ["\(loinc)|29463-7", "\(sct)|27113001", "\(mdc)|188736"]),
            ("temperature", 0, ["\(loinc)|8310-5", "\(sct)|276885007", "\(mdc)|150364"]),
        ])
    func codes(sample: String, index: Int, expected: [String]) throws {
        #expect(try PMDSamples.observation(sample, at: index).codes == expected)
    }

    @Test("Pressures are components with both SNOMED CT codes each; one that could not be measured says why")
    func pressures() throws {
        let observation = try PMDSamples.observation("blood-pressure")
        #expect(observation["valueQuantity"] == nil)
        let expected: [(String, [String], Int64)] = [
            ("8480-6", ["271649006", "4471000202106"], 118), ("8462-4", ["271650006", "4481000202108"], 87),
            ("8478-0", ["4501000202102"], 99),
        ]
        for (loinc, snomed, value) in expected {
            let component = try #require(observation.component(loinc))
            for code in snomed { #expect(component.codes.contains("\(Self.sct)|\(code)")) }
            #expect(
                component["valueQuantity"] == [
                    "value": .integer(value), "unit": "mm[Hg]", "system": "http://unitsofmeasure.org", "code": "mm[Hg]",
                ])
        }
        let half = try PMDSamples.observation("blood-pressure-no-diastolic")
        #expect(half.component("8462-4")?["dataAbsentReason"]?["coding"]?[0]?["code"] == "not-a-number")
        #expect(half.component("8478-0") == nil)
    }

    @Test("kPa becomes whole mmHg with the device's own number beside it; weight and temperature keep the device's digits")
    func values() throws {
        let systolic = try #require(try PMDSamples.observation("blood-pressure-kpa").component("8480-6")?["valueQuantity"])
        #expect(systolic["value"] == .number(ExactDecimal(mantissa: 120)))
        #expect(systolic["extension"]?[0]?["valueQuantity"]?["code"] == "kPa")
        let weight = try PMDSamples.observation("weight")["valueQuantity"]
        #expect(weight?["value"]?.number == ExactDecimal(mantissa: 7_400, exponent: -2))
        #expect(weight?["code"] == "kg")
        #expect(try PMDSamples.observation("temperature")["valueQuantity"]?["code"] == "Cel")
    }

    @Test("Glucose has the published codes only where it is an amount of substance in whole blood")
    func glucose() throws {
        func codes(_ type: MDC, _ unit: UCUM) throws -> [String] {
            let quantity = Quantity(.glucose, type: type, value: .number(ExactDecimal(mantissa: 63, exponent: -4)), unit: unit)
            let act = Samples.act(Samples.measurement([quantity], kind: .glucose), number: 41)
            let body = try Samples.body(PMDSamples.draft(act))
            return try #require(body["entry"]?[0]?["resource"]).codes
        }
        #expect(
            try codes(.glucoseCapillaryWholeBlood, .molePerLitre) == [
                "\(Self.loinc)|15074-8", "\(Self.sct)|434912009", "urn:oid:2.16.578.1.12.4.1.1.7280|NPU02187",
                "\(Self.mdc)|160184",
            ])
        #expect(try codes(.glucoseCapillaryPlasma, .molePerLitre) == ["\(Self.mdc)|160188"])
        #expect(try codes(.glucoseCapillaryWholeBlood, .kilogramPerLitre) == ["\(Self.mdc)|160184"])
    }

    // MARK: Profiles

    private static let current = "http://hl7.no/fhir/vkpobservation/StructureDefinition/vkp-Observation"
    private static let noDomain =
        "http://hl7.no/fhir/no-domain/vitalsigns/StructureDefinition/no-domain-VitalSigns-Observation-"

    @Test(
        "Current family: the profile of the kind",
        arguments: [
            ("blood-pressure", 0, "-Bloodpressure", "bloodpressure"), ("blood-pressure", 1, "-Heartrate", "pulse"),
            ("oximeter-spot", 0, "-Oxygensat", "oxygensaturation"), ("weight", 0, "-Bodyweight", "bodyweight"),
            ("temperature", 0, "-Bodytemp", "bodytemp"),
        ])
    func currentProfiles(sample: String, index: Int, tail: String, noDomain: String) throws {
        let observation = try PMDSamples.observation(sample, at: index)
        #expect(observation.profiles == [Self.current + tail, Self.noDomain + noDomain])
        #expect(observation["performer"] == nil)
    }

    @Test("What has no profile of its own claims the generic one")
    func generic() throws {
        #expect(try PMDSamples.observation("oximeter-spot", at: 2).profiles == [Self.current])
        #expect(try PMDSamples.observation("oximeter-spot", at: 2)["category"] == nil)
        let plain = PMDSettings(family: .none, claimsNoDomain: false)
        #expect(try PMDSamples.observation("blood-pressure", settings: plain)["meta"] == nil)
    }

    @Test("Legacy family: canonicals as published, whose hosts differ")
    func legacyProfiles() throws {
        let settings = PMDSettings(family: .legacy, claimsNoDomain: false)
        let expected = [
            ("blood-pressure", 0, "http://ehelse.no/fhir/StructureDefinition/vkp-Observation-Bloodpressure-v090"),
            ("blood-pressure", 1, "http://hl7.no/fhir/StructureDefinition/vkp-Observation-Heartrate-v090"),
            ("oximeter-spot", 0, "http://hl7.no/fhir/StructureDefinition/vkp-Observation-Oxygensat-v090"),
            ("oximeter-spot", 2, "http://ehelse.no/fhir/StructureDefinition/vkp-Observation-v090"),
            ("weight", 0, "http://hl7.no/fhir/StructureDefinition/vkp-Observation-Bodyweight-v090"),
            ("temperature", 0, "http://hl7.no/fhir/StructureDefinition/vkp-Observation-Bodytemp-v090"),
        ]
        for (sample, index, profile) in expected {
            #expect(try PMDSamples.observation(sample, settings: settings, at: index).profiles == [profile])
        }
    }

    @Test("An organisation as performer satisfies the generic current profile alone, so nothing else is claimed")
    func organisation() throws {
        var settings = PMDSettings(claimsNoDomain: false, performer: try PMDSamples.organisation())
        let observation = try PMDSamples.observation("blood-pressure", settings: settings)
        #expect(observation.profiles == [Self.current])
        #expect(
            observation["performer"] == [
                [
                    "type": "Organization",
                    "identifier": ["system": "urn:oid:2.16.578.1.12.4.1.4.101", "value": "999999204"],
                    "display": "Eksempel kommune",
                ]
            ])
        settings.family = .legacy
        #expect(try PMDSamples.observation("blood-pressure", settings: settings)["meta"] == nil)
    }

    // MARK: The rest

    @Test("A result is final, unless registered is asked for, also where the device calls it an early estimate")
    func status() throws {
        #expect(try PMDSamples.observation("oximeter-early")["status"] == "final")
        #expect(try PMDSamples.observation("weight", settings: PMDSettings(status: .registered))["status"] == "registered")
    }

    @Test("The device by its serial number, trimmed; without one by its name; without a name as unknown")
    func device() throws {
        #expect(
            try PMDSamples.observation("blood-pressure")["device"] == [
                "type": "Device",
                "identifier": ["system": "http://komlink.nhn.no/devices/serial", "value": "5181000124"],
                "display": "A&D Medical UA-651BLE",
            ])
        #expect(
            try PMDSamples.observation("blood-pressure-unknown-device")["device"]
                == ["type": "Device", "display": "Ukjent utstyr"])
        let other = PMDSettings(deviceSystem: "https://example.org/serial")
        #expect(
            try PMDSamples.observation("blood-pressure", settings: other)["device"]?["identifier"]?["system"]
                == "https://example.org/serial")
    }

    @Test("Cautions, the basis of the time and status bits in words")
    func notes() throws {
        #expect(
            try PMDSamples.observation("blood-pressure-unlikely").noteTexts == ["Uvanlig verdi: kontroller verdi og person."])
        #expect(
            try PMDSamples.observation("blood-pressure-stated").noteTexts == ["Tidspunktet er oppgitt av en person."])
        #expect(try PMDSamples.observation("blood-pressure-status").noteTexts.count == 3)
        #expect(try PMDSamples.observation("oximeter-derived").noteTexts.count == 1)
        #expect(
            try PMDSamples.observation("blood-pressure-unlikely", settings: PMDSettings(sendsNotes: false))["note"] == nil)
    }

    // MARK: Corrections

    @Test("A retraction is an update under the server's id, as entered in error, with the same identifier")
    func correction() throws {
        let draft = try PMDSamples.destination(PMDSamples.batch).correction(
            of: Samples.due(Samples.bloodPressure, references: true), context: PMDSamples.context)
        let body = try Samples.body(draft)
        let first = try #require(body["entry"]?[0])
        #expect(first["request"] == ["method": "PUT", "url": "Observation/srv-1"])
        #expect(first["resource"]?["id"] == "srv-1")
        #expect(first["resource"]?["status"] == "entered-in-error")
        #expect(first["resource"]?.identifier(ownIdentifier) == "urn:uuid:" + Samples.bloodPressure.readings[0].id.rawValue)
    }

    @Test("Where the server never said its id, the identifier names it; without a reference nothing is retracted")
    func correctionWithoutID() throws {
        let id = Samples.bloodPressure.readings[0].id
        let item = DispatchItem(
            id: 1, reading: id, serverReference: ServerReference(reference: "Observation/\(id.rawValue)"))
        let due = DispatchAct(act: Samples.bloodPressure, items: [item])
        func url(_ settings: PMDSettings) throws -> String? {
            let draft = try PMDSamples.destination(settings).correction(of: due, context: PMDSamples.context)
            return try Samples.body(draft)["entry"]?[0]?["request"]?["url"]?.string
        }
        #expect(try url(PMDSamples.put) == "Observation/\(id.rawValue)")
        #expect(
            try url(PMDSamples.batch) == "Observation?identifier=urn:ietf:rfc:3986%7Curn:uuid:\(id.rawValue)")
        #expect(throws: MappingError.self) {
            try PMDSamples.destination().correction(of: Samples.due(Samples.bloodPressure), context: PMDSamples.context)
        }
    }
}
