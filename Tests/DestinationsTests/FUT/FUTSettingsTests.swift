import Destinations
import ExactJSON
import Testing
import Vitals

@Suite struct FUTSettingsTests {
    @Test("The table that is shipped says what stands in the code")
    func shippedTable() throws {
        let table = try JSON(parsing: Published.text("../config/fut-codes.json"))
        #expect(try FUTSettings(table: table) == .published())
    }

    @Test("Codes, units and value types are the published ones")
    func publishedCodes() throws {
        let table = try JSON(parsing: Published.text("Judges/fut/published/terminology/observation-codes-v10.0.2.json"))
        let types = try JSON(parsing: Published.text("Judges/fut/published/terminology/ConceptMap-obs-code-to-value-type.json"))
        for (role, code) in FUTSettings.published().codes {
            let row = try #require(
                table["codes"]?.array?.first {
                    $0["code"]?.string == code.coding.code && $0["system"]?.string == code.coding.system
                }, "\(role) is not in the value set")
            #expect(row["ucum"]?.string == code.unit?.code)
            let type = (types["group"]?.array ?? []).flatMap { $0["element"]?.array ?? [] }
                .first { $0["code"]?.string == code.coding.code }?["target"]?[0]?["code"]?.string
            #expect(type == nil ? code.unit == nil : type == code.valueType.rawValue)
        }
    }

    @Test("A table changes what it names and leaves the rest")
    func overlay() throws {
        let settings = try FUTSettings(
            table: JSON(
                parsing: """
                    {"environment":"test002","services":{"measurement":"https://m.example.dk/fhir/"},
                    "codes":{"pulse-rate":{"system":"s","code":"c","ucum":"1/min","symbol":"slag","value":"integer"},
                    "body-weight":null},"observation":{"effective":"date-time","moment-tolerance-minutes":5}}
                    """))
        #expect(settings.base(.measurement) == "https://m.example.dk/fhir")
        #expect(settings.base(.careplan) == "https://careplan.test002.ehealth.sundhed.dk/fhir")
        #expect(settings.codes[.pulseRate]?.coding == FUTCoding("s", "c"))
        #expect(settings.codes[.bodyWeight] == nil)
        #expect(settings.codes[.systolic] == FUTSettings.published().codes[.systolic])
        #expect(settings.effective == .dateTime)
        #expect(settings.momentTolerance == .seconds(300))
    }

    @Test(
        "A wrong member is named",
        arguments: [
            (#"{"hosts":{}}"#, "hosts"), (#"{"services":{"gp":"https://x"}}"#, "services.gp"),
            (#"{"services":{"device":"http://x"}}"#, "services.device"), (#"{"codes":{"pulse":{}}}"#, "codes.pulse"),
            (#"{"codes":{"systolic":{"system":"s"}}}"#, "codes.systolic"),
            (#"{"codes":{"systolic":{"system":"s","code":"c","ucum":"u"}}}"#, "codes.systolic.symbol"),
            (#"{"codes":{"systolic":{"system":"s","code":"c","value":"float"}}}"#, "codes.systolic.value"),
            (#"{"codes":{"systolic":{"system":"s","code":"c","converted-decimals":9}}}"#, "codes.systolic.converted-decimals"),
            (#"{"observation":{"effective":"instant"}}"#, "observation.effective"),
            (#"{"observation":{"quality":"yes"}}"#, "observation.quality"), (#"{"observation":{"dmq":true}}"#, "observation.dmq"),
            (#"{"status-notes":{"bad-mood":"x"}}"#, "status-notes.bad-mood"), (#"{"notes":{"x":"y"}}"#, "notes.x"),
            (#"{"canonicals":{"x":"y"}}"#, "canonicals.x"), (#"{"environment":7}"#, "environment"), ("[]", ""),
        ])
    func wrongTable(text: String, path: String) throws {
        let json = try JSON(parsing: text)
        let error = try #require(throws: FUTSettings.TableError.self) { try FUTSettings(table: json) }
        #expect(error.path == path)
    }

    @Test("The services of an environment stand where its measurement service does")
    func placed() {
        let placed = FUTSettings.published().placed(at: "https://measurement.preprod.ehealth.sundhed.dk/fhir")
        #expect(placed == .published(environment: "preprod"))
        #expect(FUTSettings.published().placed(at: "https://receiver.invalid") == .published())
    }
}
