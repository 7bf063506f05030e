import Destinations
import ExactJSON
import Testing
import Vitals

/// PHD IG 1.1.0, held against DK Core's example of an A&D cuff: the sample act is that measurement.
@Suite struct PHDEditionTests {
    private static let destination = PHDDestination(
        settings: ReceiverSettings(name: "phd", kind: .phd, baseURL: "https://fhir.example.org/r4/", phdEdition: .v1))

    private func body(_ act: Act) throws -> JSON {
        try Samples.body(Self.destination.dispatch(of: [Samples.due(act)], context: Samples.context))
    }

    private var cuff: Act {
        var act = Samples.bloodPressure
        act.measurement.status = [.irregularPulse]
        act.coincidence = ClockCoincidence(
            device: LocalDateTime(year: 2023, month: 2, day: 23, hour: 10, minute: 24, second: 25), hub: Samples.hub)
        return act
    }

    /// The identifier without a system.
    private func identifier(_ observation: JSON?) -> String? {
        observation?["identifier"]?.array?.first { $0["system"] == nil && $0["type"] == nil }?["value"]?.string
    }

    @Test("The identifiers are those of the published example, but for the patient, who has no national id here")
    func identifiers() throws {
        let example = try Published.text("Judges/examples/dk-core-3.8.0/continua-bundle.fsh")
        let published = example.split(separator: "\n").filter { $0.hasPrefix("* identifier.value") }
            .compactMap { $0.split(separator: "\"").dropFirst().first }
            .map { $0.replacing("3001749995-urn:oid:1.2.208.176.1.2", with: "hub-7f3a") }
        #expect(published.count == 3)
        let body = try body(cuff)
        #expect([150_020, 149_546, 8_410_608].map { identifier(body.observation($0)) } == published.map { String($0) })
        let search = body.entry(149_546)?["request"]?["ifNoneExist"]?.string
        #expect(search == "identifier=C4F312FFFE53F2C9-hub-7f3a-149546-93-%7Bbeat%7D/min-20230223T102408.00")
        // Ours stands beside it, so that both editions are found again.
        #expect(body.observation(150_020)?.identifier(ownIdentifier) != nil)
    }

    @Test("Category, bits, clock and device identifiers have the form of 1.1.0")
    func forms() throws {
        let body = try body(cuff)
        let pressure = try #require(body.observation(150_020))
        #expect(pressure["category"]?[1]?["coding"]?[0]?["code"]?.string == "phd-observation")
        let clock = try #require(body.entry(67_975))
        #expect(pressure["extension"]?.array?.count == 1)
        #expect(pressure["derivedFrom"] == [["reference": clock["fullUrl"] ?? .null]])
        #expect(clock["resource"]?["extension"]?[0]?["url"]?.string?.hasSuffix("observation-gatewayDevice") == true)
        #expect(clock["resource"]?["device"] == pressure["device"])
        let bits = try #require(body.observation(8_410_608))
        #expect(
            bits["component"]?[0]?["code"]?["coding"]?[0]?["system"]?.string == "http://hl7.org/fhir/uv/phd/CodeSystem/ASN1ToHL7")
        #expect(bits["component"]?[0]?["valueCodeableConcept"]?["coding"]?[0]?["code"]?.string == "Y")
        #expect(bits["component"]?[0]?["valueBoolean"] == nil)
        #expect(
            bits["derivedFrom"]
                == [["reference": clock["fullUrl"] ?? .null], ["reference": body.entry(150_020)?["fullUrl"] ?? .null]])
        for device in body.resources where device["resourceType"]?.string == "Device" {
            #expect(
                device["identifier"]?[0]?["type"]?["coding"]?[0]?["system"]?.string
                    == "http://hl7.org/fhir/uv/phd/CodeSystem/ContinuaDeviceIdentifiers")
        }
    }

    @Test("A device that tells its address alone has the System ID that 1.1.0 requires")
    func systemID() throws {
        let act = try Samples.named("oximeter-spot").act
        let body = try body(act)
        let device = try #require(body.resources.first { $0["modelNumber"]?.string == "Model 3230" })
        #expect(device["identifier"]?[0]?["value"]?.string == "00-1C-05-FF-FE-FF-4E-58")
        #expect(identifier(body.observation(150_456)) == "001C05FFFEFF4E58-hub-7f3a-150456-97.5-%-20230223T102408.00-150588")
    }

    @Test("2.0.0 is what is sent where nothing is said")
    func standard() throws {
        #expect(Samples.settings.phdEdition == .v2)
        #expect(PHDEdition.allCases.map(\.rawValue) == ["2.0.0", "1.1.0"])
    }
}
