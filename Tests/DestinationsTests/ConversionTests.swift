import Destinations
import ExactJSON
import Testing
import Vitals

@Suite struct ConversionTests {
    private static let received = MeasuredTime(Instant(seconds: 1_767_261_848), offsetMinutes: 60)

    private func body(_ text: String) throws -> JSON {
        let act = try Conversion.act(reading: JSON(parsing: text), received: Self.received, zone: FixedZone(minutes: 60))
        let request = try Conversion.request(of: act, to: Samples.destination, context: Samples.context)
        return try JSON(parsing: request.body)
    }

    @Test("What decode prints becomes what a receiver would be sent")
    func bloodPressure() throws {
        let body = try body(
            """
            {"kind":"blood-pressure","unit":"mm[Hg]","systolic":127.0,"diastolic":79.0,"mean":null,"pulseRate":69.0,
            "deviceTime":"2020-01-20T08:43:00","userIndex":1,"status":["irregular-pulse"],"statusBits":4,"warnings":[],
            "values":[{"name":"systolic","mdc":150021,"value":127.0,"unit":"mm[Hg]","special":null},
            {"name":"diastolic","mdc":150022,"value":79.0,"unit":"mm[Hg]","special":null},
            {"name":"mean","mdc":150023,"value":null,"unit":"mm[Hg]","special":"nres"},
            {"name":"pulseRate","mdc":149546,"value":69.0,"unit":"/min","special":null}]}
            """)
        let pressure = try #require(body.observation(150_020))
        #expect(pressure.component("8480-6")?["valueQuantity"]?["value"]?.number?.description == "127.0")
        #expect(pressure.component("150023")?["dataAbsentReason"]?["coding"]?[0]?["code"]?.string == "error")
        #expect(pressure["effectiveDateTime"]?.string == "2020-01-20T08:43:00+01:00")
        #expect(body.observation(149_546)?["valueQuantity"]?["value"]?.number?.description == "69.0")
        #expect(body.observation(8_410_608) != nil)
        #expect(body.resources[1]["_manufacturer"] != nil)
    }

    @Test("Kilopascal, an oximeter without a clock, a described device")
    func others() throws {
        let pressure = try body(
            #"{"kind":"blood-pressure","unit":"kPa","systolic":16.0,"diastolic":10.7,"mean":null,"deviceTime":null}"#)
        #expect(pressure.observation(150_020)?.component("8480-6")?["valueQuantity"]?["value"]?.number == 120)
        let spot = try body(
            """
            {"kind":"pulse-oximetry-spot","spo2":97.5,"pulseRate":61,"deviceTime":null,
            "device":{"address":"00:1C:05:FF:4E:58","manufacturer":"Nonin","modelNumber":"3230"}}
            """
        )
        #expect(spot.observation(150_456)?["valueQuantity"]?["value"]?.number?.description == "97.5")
        #expect(spot.observation(150_456)?["effectiveDateTime"]?.string == "2026-01-01T11:04:08+01:00")
        #expect(spot.resources[1]["identifier"]?[0]?["value"]?.string == "00-1C-05-FF-4E-58")
    }

    @Test("A field that the format has and the frame had not is no missing value")
    func absentFields() throws {
        let body = try body(
            """
            {"kind":"body-weight","unit":"kg","weight":74.00,"bodyMassIndex":null,"height":null,"deviceTime":null,
            "values":[{"name":"weight","mdc":188736,"value":74.00,"unit":"kg","special":null}]}
            """)
        #expect(body.observation(188_736)?["valueQuantity"]?["value"]?.number?.description == "74.00")
        #expect(body.resources.count { $0["resourceType"]?.string == "Observation" } == 1)
    }

    @Test("The same reading converts to the same bytes")
    func deterministic() throws {
        let text = #"{"kind":"blood-pressure","unit":"mm[Hg]","systolic":127,"diastolic":79,"mean":null,"deviceTime":null}"#
        #expect(try body(text) == body(text))
    }

    @Test(
        "What is no result or no reading is an error that repeats no value",
        arguments: [
            "{}", #"{"kind":"x"}"#, #"{"kind":"blood-pressure"}"#, #"{"kind":"cuff-pressure","cuffPressure":123}"#,
            #"{"kind":"blood-pressure","systolic":"123","diastolic":80}"#,
            #"{"kind":"blood-pressure","systolic":123,"deviceTime":"123"}"#,
            #"{"kind":"blood-pressure","systolic":123,"status":["123"]}"#, #"{"kind":"pulse-oximetry-continuous","spo2":123}"#,
        ])
    func errors(text: String) throws {
        let json = try JSON(parsing: text)
        do {
            _ = try Conversion.act(reading: json, received: Self.received, zone: FixedZone(minutes: 0))
            Issue.record("no error")
        } catch {
            #expect(!error.message.contains("123"))
        }
    }
}
