import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

@Suite struct PHDBundleTests {
    @Test("A blood pressure is one compound with its LOINC codes, and the pulse another observation")
    func bloodPressure() throws {
        let draft = try Samples.draft(Samples.bloodPressure)
        let body = try Samples.body(draft)
        #expect(draft.request.method == .post)
        #expect(draft.request.url == "https://fhir.example.org/r4")
        #expect(body["type"]?.string == "transaction")
        #expect(body.resources.map { $0["resourceType"]?.string } == ["Device", "Device", "Observation", "Observation"])
        #expect(draft.entries == [.init(item: 1, index: 2), .init(item: 2, index: 3)])
        let pressure = try #require(body.observation(150_020))
        #expect(pressure["code"]?["coding"]?[1]?["code"]?.string == "85354-9")
        #expect(pressure["subject"]?["reference"]?.string == "Patient/hub-7f3a")
        #expect(pressure["effectiveDateTime"]?.string == "2023-02-23T10:24:08+01:00")
        #expect(pressure["valueQuantity"] == nil)
        for (loinc, value) in [("8480-6", 118), ("8462-4", 87), ("150023", 99)] {
            let quantity = pressure.component(loinc)?["valueQuantity"]
            #expect(quantity?["value"]?.number == ExactDecimal(value))
            #expect(quantity?["code"]?.string == "mm[Hg]")
        }
        let pulse = try #require(body.observation(149_546))
        #expect(pulse["code"]?["coding"]?[1]?["code"]?.string == "8867-4")
        #expect(pulse["valueQuantity"]?["code"]?.string == "/min")
        // Nothing odd about it: no note, no interpretation, no bits.
        #expect(pressure["note"] == nil && pressure["interpretation"] == nil)
    }

    @Test("Devices are created once, by their own identifiers; without a patient resource")
    func devices() throws {
        let body = try Samples.body(Samples.draft(Samples.bloodPressure))
        let requests = (body["entry"]?.array ?? []).compactMap { $0["request"]?["ifNoneExist"]?.string }
        #expect(requests[0] == "identifier=urn:oid:1.2.840.10004.1.1.1.0.0.1.0.0.1.2680%7CFE-ED-DA-DA-DE-AD-BE-EF")
        #expect(requests[1] == "identifier=urn:oid:1.2.840.10004.1.1.1.0.0.1.0.0.1.2680%7CC4-F3-12-FF-FE-53-F2-C9")
        let device = body.resources[1]
        #expect(device["type"]?["coding"]?[0]?["code"]?.string == "65573")
        #expect(device["modelNumber"]?.string == "UA-651BLE")
        #expect(device["identifier"]?[1]?["value"]?.string == "C4-F3-12-53-F2-C9")
        #expect(body.resources[0]["type"]?["coding"]?[0]?["code"]?.string == "531981")
        #expect(!body.resources.contains { $0["resourceType"]?.string == "Patient" })
    }

    @Test(
        "Kilopascal become whole mmHg, half up, with the device's number kept",
        arguments: [
            ("16.0", "120"), ("10.7", "80"), ("12.5", "94"), ("13.267", "100"), ("9.9992", "75"), ("0.0667", "1"),
        ])
    func kilopascal(sent: String, expected: String) throws {
        let quantity = MeasuredValue.number(try number(sent))
        let act = Samples.act(
            Samples.measurement(
                Samples.pressures(quantity, .number(ExactDecimal(mantissa: 107, exponent: -1)), Samples.nan, unit: .kilopascal)),
            number: 40)
        let systolic = try Samples.body(Samples.draft(act)).observation(150_020)?.component("8480-6")?["valueQuantity"]
        #expect(systolic?["value"]?.number?.description == expected)
        #expect(systolic?["code"]?.string == "mm[Hg]")
        let original = systolic?["extension"]?[0]?["valueQuantity"]
        #expect(original?["value"]?.number == (try number(sent)))
        #expect(original?["code"]?.string == "kPa")
    }

    @Test("A receiver may round what the device sent too; the device's number stays with it")
    func roundingTable() throws {
        let settings = ReceiverSettings(
            name: "x", kind: .phd, baseURL: "https://x.example", rounding: RoundingTable([.percent: .init(sent: 0)]))
        let act = Samples.act(Samples.spot(), number: 41, device: Samples.oximeter)
        let draft = try PHDDestination(settings: settings).dispatch(of: [Samples.due(act)], context: Samples.context)
        let value = try Samples.body(draft).observation(150_456)?["valueQuantity"]
        #expect(value?["value"]?.number == 98)
        #expect(value?["extension"]?[0]?["valueQuantity"]?["value"]?.number == ExactDecimal(mantissa: 975, exponent: -1))
    }

    @Test("The device's precision is kept where nothing was converted")
    func precision() throws {
        let act = Samples.act(Samples.spot(), number: 42, device: Samples.oximeter)
        #expect(
            try Samples.body(Samples.draft(act)).observation(150_456)?["valueQuantity"]?["value"]?.number?.description == "97.5")
        let temperature = try Samples.named("temperature")
        #expect(
            try Samples.body(Samples.draft(temperature.act)).observation(150_364)?["valueQuantity"]?["value"]?.number?.description
                == "36.60")
    }

    @Test(
        "A missing number says why",
        arguments: [
            (SpecialValue.notANumber, "not-a-number"), (.positiveInfinity, "positive-infinity"),
            (.negativeInfinity, "negative-infinity"),
            (.notAtThisResolution, "error"), (.reserved, "error"), (.absent, "unknown"),
        ])
    func specials(special: SpecialValue, code: String) throws {
        let act = Samples.act(
            Samples.measurement(Samples.pressures(.number(120), .special(special), .special(special))), number: 43)
        let pressure = try #require(try Samples.body(Samples.draft(act)).observation(150_020))
        for component in ["8462-4", "150023"] {
            #expect(pressure.component(component)?["valueQuantity"] == nil)
            #expect(pressure.component(component)?["dataAbsentReason"]?["coding"]?[0]?["code"]?.string == code)
        }
    }

    @Test("A frame without a mean has no mean; without a required pressure it has its reason")
    func missingFields() throws {
        let systolic = Quantity(.systolic, type: .systolic, value: .number(120), unit: .millimetreOfMercury)
        let pressure = try #require(
            try Samples.body(Samples.draft(Samples.act(Samples.measurement([systolic]), number: 44))).observation(150_020))
        #expect(pressure.component("150023") == nil)
        #expect(pressure.component("8462-4")?["dataAbsentReason"]?["coding"]?[0]?["code"]?.string == "unknown")
    }

    @Test("Status bits are an observation of their own, derived from the reading that they speak of")
    func statusBits() throws {
        let sample = try Samples.named("blood-pressure-status")
        let body = try Samples.body(Samples.draft(sample.act))
        let bits = try #require(body.observation(8_410_608))
        #expect(bits["derivedFrom"]?[0]?["reference"]?.string == body.entry(150_020)?["fullUrl"]?.string)
        let codes = (bits["component"]?.array ?? []).compactMap { $0["code"]?["coding"]?[0]?["code"]?.string }
        #expect(codes == ["8410608.0", "8410608.2", "8410608.5"])
        #expect(bits["component"]?.array?.allSatisfy { $0["valueBoolean"]?.bool == true } == true)
        let poor = try Samples.named("oximeter-poor-signal")
        let signal = try #require(try Samples.body(Samples.draft(poor.act)).observation(150_604))
        #expect(
            (signal["component"]?.array ?? []).compactMap { $0["code"]?["coding"]?[0]?["code"]?.string } == [
                "150604.10", "150604.11",
            ])
    }

    @Test("An oximeter's spot check: both LOINC codes, per cent, the modality, the perfusion index, the status in the IG's words")
    func oximeter() throws {
        let sample = try Samples.named("oximeter-spot")
        let body = try Samples.body(Samples.draft(sample.act))
        let saturation = try #require(body.observation(150_456))
        #expect(
            (saturation["code"]?["coding"]?.array ?? []).compactMap { $0["code"]?.string } == ["150456", "2708-6", "59408-5"])
        #expect(saturation["valueQuantity"]?["code"]?.string == "%")
        #expect(saturation.component("68193")?["valueCodeableConcept"]?["coding"]?[0]?["code"]?.string == "150588")
        #expect(saturation["interpretation"]?[0]?["coding"]?[0]?["code"]?.string == "validated")
        #expect(body.observation(149_530)?["valueQuantity"]?["code"]?.string == "/min")
        #expect(body.observation(150_320)?["valueQuantity"]?["value"]?.number?.description == "4.2")
        let early = try Samples.named("oximeter-early")
        let preliminary = try #require(try Samples.body(Samples.draft(early.act)).observation(150_456))
        #expect(preliminary["status"]?.string == "preliminary")
        #expect(
            (preliminary["interpretation"]?.array ?? []).map { $0["coding"]?[0]?["code"]?.string } == [
                "questionable", "early-indication",
            ])
    }

    @Test("The two clocks and the battery go along once for all acts of a transfer")
    func clockAndBattery() throws {
        let sample = try Samples.named("blood-pressure-clock")
        var other = sample.act
        other.id = SubjectID(rawValue: "5d1f0a3e-9a50-4c6e-8f43-000000000099")
        other.readings = [
            .init(id: SubjectID(rawValue: "5d1f0a3e-9a50-4c6e-8f43-000000001099"), reading: sample.act.readings[0].reading)
        ]
        let settings = ReceiverSettings(name: "x", kind: .phd, baseURL: "https://x.example", maximumActs: 2)
        let due = DispatchAct(act: other, items: [DispatchItem(id: 7, reading: other.readings[0].id)], claimedIdentifier: true)
        let draft = try PHDDestination(settings: settings).dispatch(of: [Samples.due(sample.act), due], context: Samples.context)
        let body = try Samples.body(draft)
        #expect(body.resources.count { $0["resourceType"]?.string == "Device" } == 2)
        let clock = try #require(body.observation(67_975))
        #expect(body.resources.count { $0["code"]?["coding"]?[0]?["code"]?.string == "67975" } == 1)
        #expect(clock["valueDateTime"]?.string == "2023-02-23T10:24:25+01:00")
        #expect(clock["effectiveDateTime"]?.string == "2023-02-23T10:24:34+01:00")
        #expect(clock["subject"]?["reference"] == body["entry"]?[1]?["fullUrl"])
        #expect(clock["device"]?["reference"] == body["entry"]?[0]?["fullUrl"])
        let battery = try #require(body.observation(67_996))
        #expect(battery["subject"]?["reference"] == body["entry"]?[1]?["fullUrl"])
        #expect(battery["valueQuantity"]?["value"]?.number == 95)
        #expect(body.observation(150_020)?["extension"]?[1]?["valueReference"]?["reference"] == body.entry(67_975)?["fullUrl"])
        #expect(draft.entries.map(\.item) == [1, 2, 7])
        for entry in draft.entries { #expect(body["entry"]?[entry.index]?["resource"]?["resourceType"]?.string == "Observation") }
    }

    @Test("R4 an unlikely value goes out, with a visible word of caution")
    func r4_unlikelyValueGoesOutWithACaution() throws {
        let sample = try Samples.named("blood-pressure-unlikely")
        let body = try Samples.body(Samples.draft(sample.act))
        #expect(body.observation(150_020)?["note"]?[0]?["text"]?.string == "Unlikely value: check value or person.")
        #expect(body.observation(149_546)?["note"]?[0]?["text"]?.string == "Unlikely value: check value or person.")
        #expect(body.observation(150_020)?["status"]?.string == "final")
    }

    @Test("R4 what is no patient's measurement is not mapped", arguments: [Act.Caution.technicianTest, .guest])
    func r4_testAndGuestReadingsReachNoChart(caution: Act.Caution) {
        var act = Samples.bloodPressure
        act.cautions = [caution]
        #expect(throws: MappingError.self) { try Samples.draft(act) }
        var invalid = Samples.bloodPressure
        invalid.measurement.status = [.invalid]
        #expect(throws: MappingError.self) { try Samples.draft(invalid) }
    }

    @Test(
        "A patient id that is no logical id is refused before it stands in a URL",
        arguments: ["", "a b", "a/b", "a|b", String(repeating: "x", count: 65)])
    func patientID(id: String) {
        let context = DispatchContext(patientID: id, gateway: Samples.gateway)
        #expect(throws: MappingError.self) {
            try Samples.destination.dispatch(of: [Samples.due(Samples.bloodPressure)], context: context)
        }
    }

    @Test("The same act gives the same bytes, which are what the exact JSON room would write", arguments: Samples.all.map(\.name))
    func deterministic(name: String) throws {
        let sample = try Samples.named(name)
        let bytes = try Samples.draft(sample.act, claimed: sample.isClaimed).request.body
        #expect(try Samples.draft(sample.act, claimed: sample.isClaimed).request.body == bytes)
        #expect(try JSON(parsing: bytes).bytes == bytes)
    }

    @Test("Every entry has a full URL of its own and every reference in the bundle resolves", arguments: Samples.all.map(\.name))
    func references(name: String) throws {
        let sample = try Samples.named(name)
        let body = try Samples.body(Samples.draft(sample.act, claimed: sample.isClaimed))
        let urls = (body["entry"]?.array ?? []).compactMap { $0["fullUrl"]?.string }
        #expect(Set(urls).count == body["entry"]?.array?.count)
        func references(_ json: JSON) -> [String] {
            switch json {
            case .object(let members):
                members.flatMap { $0.key == "reference" ? [$0.value.string ?? ""] : references($0.value) }
            case .array(let elements): elements.flatMap(references)
            default: []
            }
        }
        for reference in references(body) where reference != "Patient/hub-7f3a" { #expect(urls.contains(reference)) }
    }

    @Test("Only the items that are due are in it")
    func partlyDue() throws {
        let sample = try Samples.named("blood-pressure-status")
        var due = Samples.due(sample.act)
        due.items.removeFirst()
        let body = try Samples.body(Samples.destination.dispatch(of: [due], context: Samples.context))
        #expect(body.observation(150_020) == nil && body.observation(8_410_608) == nil)
        #expect(body.observation(149_546) != nil)
        due.items = [DispatchItem(id: 1, reading: SubjectID(rawValue: "another"))]
        #expect(throws: MappingError.self) { try Samples.destination.dispatch(of: [due], context: Samples.context) }
    }
}
