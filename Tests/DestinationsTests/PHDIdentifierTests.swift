import Destinations
import ExactJSON
import Testing
import Vitals

@Suite struct PHDIdentifierTests {
    @Test("The identifier follows the normative text: seconds since 2000 on the device's face, no value, no unit")
    func normative() throws {
        let body = try Samples.body(Samples.draft(Samples.bloodPressure))
        #expect(body.observation(150_020)?.identifier(phdIdentifier) == "C4F312FFFE53F2C9-hub-7f3a-150020-730463048")
        #expect(body.observation(149_546)?.identifier(phdIdentifier) == "C4F312FFFE53F2C9-hub-7f3a-149546-730463048")
        let spot = try Samples.named("oximeter-spot")
        #expect(
            try Samples.body(Samples.draft(spot.act)).observation(150_456)?.identifier(phdIdentifier)
                == "001C05FF4E58-hub-7f3a-150456-730463048-150588")
    }

    @Test("The IG's worked example, with its arithmetic mended: 2021-11-22 11:56:30 is 690897390 s")
    func workedExample() {
        let time = LocalDateTime(year: 2021, month: 11, day: 22, hour: 11, minute: 56, second: 30)
        #expect(
            PHDIdentifier.value(device: Samples.cuff, patientID: "p", type: MDC(150_364), time: time)
                == "C4F312FFFE53F2C9-p-150364-690897390")
    }

    @Test("Both identifiers stand in the resource; the conditional create goes by the IG's, percent-encoded")
    func conditionalCreate() throws {
        let entry = try #require(try Samples.body(Samples.draft(Samples.bloodPressure)).entry(150_020))
        #expect(entry["resource"]?.identifier(ownIdentifier) == "urn:uuid:" + Samples.bloodPressure.readings[0].id.rawValue)
        #expect(
            entry["request"]?["ifNoneExist"]?.string
                == "identifier=\(phdIdentifier)%7CC4F312FFFE53F2C9-hub-7f3a-150020-730463048"
        )
        #expect(entry["resource"]?["identifier"]?.array?.allSatisfy { $0["type"] == nil } == true)
    }

    @Test(
        "Without a time of the device's own, or where another reading holds it, our own identifier alone",
        arguments: [
            "blood-pressure-live", "blood-pressure-same-minute", "blood-pressure-stated", "blood-pressure-unknown-device",
            "oximeter-derived",
        ])
    func ownAlone(name: String) throws {
        let sample = try Samples.named(name)
        let body = try Samples.body(Samples.draft(sample.act, claimed: sample.isClaimed))
        for entry in body["entry"]?.array ?? [] where entry["resource"]?["resourceType"]?.string == "Observation" {
            #expect(entry["resource"]?.identifier(phdIdentifier) == nil)
            let own = try #require(entry["resource"]?.identifier(ownIdentifier))
            #expect(entry["request"]?["ifNoneExist"]?.string == "identifier=urn:ietf:rfc:3986%7C\(own)")
        }
    }

    @Test("An invalid time makes no identifier")
    func invalidTime() {
        let time = LocalDateTime(year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0)
        #expect(PHDIdentifier.value(device: Samples.cuff, patientID: "p", type: .bloodPressure, time: time) == nil)
        #expect(
            PHDIdentifier.value(device: DeviceIdentity(), patientID: "p", type: .bloodPressure, time: Samples.deviceTime) == nil)
    }

    @Test(
        "Every observation of every sample is created conditionally, by something that stands in it",
        arguments: Samples.all.map(\.name))
    func idempotent(name: String) throws {
        let sample = try Samples.named(name)
        let body = try Samples.body(Samples.draft(sample.act, claimed: sample.isClaimed))
        var searches: Set<String> = []
        for entry in body["entry"]?.array ?? [] {
            guard let search = entry["request"]?["ifNoneExist"]?.string else {
                // A device that nobody can name is created each time: there is nothing to find it by.
                #expect(entry["resource"]?["resourceType"]?.string == "Device" && name == "blood-pressure-unknown-device")
                continue
            }
            #expect(searches.insert(search).inserted)
            let value = try #require(search.split(separator: "%7C").last)
            #expect(entry["resource"]?["identifier"]?.array?.contains { $0["value"]?.string == String(value) } == true)
        }
    }
}
