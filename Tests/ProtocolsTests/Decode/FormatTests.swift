import ExactJSON
import Protocols
import Testing
import Vitals

@Suite("Formats of the decode command")
struct FormatTests {
    @Test("Every promised format is there, once, with a line about it")
    func list() {
        let promised =
            [
                "2a35", "2a36", "2a5e", "2a5f", "2a60", "2a49", "2a9d", "2a9c", "2a1c", "2a18", "2a2b", "2a08", "2a19", "2a52",
                "2a9f",
                "2a85", "2b36", "2b34", "2a34", "2a23", "2a24", "2a25", "2a26", "2a27", "2a28", "2a29", "2a2a", "2bff", "2a50",
            ].map { "gatt:" + $0 } + [13, 8, 7, 2].map { "vendor:nonin-df\($0)" } + [
                "sfloat-le", "sfloat-be", "float-le", "float-be", "gap:advertising",
            ]
        let names = DecodeFormat.all.map(\.name)
        #expect(Set(names).isSuperset(of: promised))
        #expect(Set(names).count == names.count)
        #expect(DecodeFormat.all.allSatisfy { !$0.summary.isEmpty })
    }

    @Test("An unknown format is an error of its own; a known one may be written in capitals")
    func unknown() throws {
        let error = #expect(throws: DecodeError.self) { try DecodeFormat.decode(format: "gatt:ffff", bytes: [0]) }
        #expect(error?.code == .unknownFormat)
        #expect(try DecodeFormat.decode(format: "GATT:2A19", bytes: [87])["percent"]?.integer == 87)
    }

    @Test(
        "Numbers with mantissa, exponent and special",
        arguments: [
            ("sfloat-le", "cff3", #"{"kind":"number","value":97.5,"mantissa":975,"exponent":-1,"special":null}"#),
            ("sfloat-be", "f3cf", #"{"kind":"number","value":97.5,"mantissa":975,"exponent":-1,"special":null}"#),
            ("sfloat-le", "ffff", #"{"kind":"number","value":-0.1,"mantissa":-1,"exponent":-1,"special":null}"#),
            ("sfloat-le", "ff07", #"{"kind":"number","value":null,"mantissa":null,"exponent":null,"special":"nan"}"#),
            ("sfloat-be", "0800", #"{"kind":"number","value":null,"mantissa":null,"exponent":null,"special":"nres"}"#),
            ("sfloat-be", "07fe", #"{"kind":"number","value":null,"mantissa":null,"exponent":null,"special":"+inf"}"#),
            ("sfloat-be", "0802", #"{"kind":"number","value":null,"mantissa":null,"exponent":null,"special":"-inf"}"#),
            ("sfloat-be", "0801", #"{"kind":"number","value":null,"mantissa":null,"exponent":null,"special":"reserved"}"#),
            ("float-le", "4c0e00fe", #"{"kind":"number","value":36.60,"mantissa":3660,"exponent":-2,"special":null}"#),
            ("float-be", "fe000e4c", #"{"kind":"number","value":36.60,"mantissa":3660,"exponent":-2,"special":null}"#),
            ("float-be", "007fffff", #"{"kind":"number","value":null,"mantissa":null,"exponent":null,"special":"nan"}"#),
        ])
    func numbers(format: String, hex: String, json: String) throws {
        #expect(try DecodeFormat.decode(format: format, bytes: bytes(hex)).text == json)
    }

    @Test("Every key of a kind stands in it, null where absent")
    func keys() throws {
        let common = [
            "kind", "unit", "deviceTime", "userIndex", "status", "statusBits", "sensorStatusBits", "sequence",
            "timeOffsetMinutes",
            "warnings", "values",
        ]
        let frames: [(String, String, [String])] = [
            ("gatt:2a35", "0078005000ff07", ["systolic", "diastolic", "mean", "pulseRate"]),
            ("gatt:2a36", "0078005000ff07", ["cuffPressure"]),
            ("gatt:2a5e", "0061003c00", ["spo2", "pulseRate", "perfusionIndex"]),
            (
                "gatt:2a5f", "0061003c00",
                ["spo2", "pulseRate", "spo2Fast", "pulseRateFast", "spo2Slow", "pulseRateSlow", "perfusionIndex"]
            ),
            ("gatt:2a9d", "00783e", ["weight"]), ("gatt:2a9c", "0000c200", ["bodyFat", "weight"]),
            ("gatt:2a1c", "004c0e00fe", ["temperature"]), ("gatt:2a18", "000600e407040d10260a", ["glucose"]),
        ]
        for (format, hex, own) in frames {
            let json = try DecodeFormat.decode(format: format, bytes: bytes(hex))
            for key in common + own { #expect(json[key] != nil, "\(format) has no \(key)") }
        }
    }

    @Test("The example of a blood pressure, byte for byte")
    func bloodPressureText() throws {
        let json = try DecodeFormat.decode(format: "gatt:2a35", bytes: bytes("0478005000ff074800"))
        #expect(
            json.text
                == #"{"kind":"blood-pressure","unit":"mm[Hg]","systolic":120,"diastolic":80,"mean":null,"pulseRate":72,"#
                + #""deviceTime":null,"deviceTimeAsSent":null,"deviceClockUnset":false,"userIndex":null,"sequence":null,"#
                + #""timeOffsetMinutes":null,"status":[],"statusBits":null,"sensorStatusBits":null,"warnings":[],"values":["#
                + #"{"name":"systolic","mdc":150021,"value":120,"unit":"mm[Hg]","special":null},"#
                + #"{"name":"diastolic","mdc":150022,"value":80,"unit":"mm[Hg]","special":null},"#
                + #"{"name":"mean","mdc":150023,"value":null,"unit":"mm[Hg]","special":"nan"},"#
                + #"{"name":"pulseRate","mdc":149546,"value":72,"unit":"/min","special":null}]}"#)
    }

    @Test("Advertising data, byte for byte; what cannot be read is a warning")
    func advertisingText() throws {
        let hex = "020106050310180f18050942502d3103198103020af404ff0e020104160f1864"
        let json = try DecodeFormat.decode(format: "gap:advertising", bytes: bytes(hex))
        #expect(
            json.text
                == #"{"kind":"advertising","flags":6,"discoverable":true,"localName":"BP-1","localNameComplete":true,"#
                + #""services":["1810","180f"],"solicitedServices":[],"appearance":897,"txPower":-12,"#
                + #""manufacturerData":[{"company":526,"bytes":"01"}],"serviceData":[{"service":"180f","bytes":"64"}],"#
                + #""classOfDevice":null,"deviceID":null,"malformed":false,"warnings":[]}"#)
        let cut = try DecodeFormat.decode(format: "gap:advertising", bytes: bytes("0910010095013412 0201 05ff"))
        #expect(cut["deviceID"]?["vendor"]?.integer == 0x0195)
        #expect(cut["malformed"]?.bool == true)
        #expect(cut["warnings"]?.array?.count == 1)
    }

    @Test("No bytes at all trap a decoder, and none gives JSON that is none")
    func randomBytes() {
        var generator = freshGenerator("random bytes")
        for entry in DecodeFormat.all {
            for _ in 0..<1_000 {
                let frame = generator.bytes(Int.random(in: 0...32, using: &generator))
                guard let json = try? DecodeFormat.decode(format: entry.name, bytes: frame) else { continue }
                // A FLOAT may stand for more digits than our own parser takes; everything else is read back.
                if entry.name.hasPrefix("float") || entry.name == "gatt:2a1c" { continue }
                if (try? JSON(parsing: json.bytes))?.means(json) != true { Issue.record("\(entry.name) \(frame.hex)") }
            }
        }
    }

    @Test("An error tells no measured value")
    func errorsAreSilent() {
        let error = #expect(throws: DecodeError.self) {
            try DecodeFormat.decode(format: "gatt:2a35", bytes: bytes("0078005000ff"))
        }
        #expect(error?.message == "expected mean pressure (2 bytes), found 1 more")
        #expect(
            error?.json.text
                == #"{"error":{"code":"too-short","offset":5,"message":"expected mean pressure (2 bytes), found 1 more"}}"#)
    }

    @Test("A frame from the store is decoded by its source; what carries no measurement gives none")
    func frameDecoder() throws {
        let spot = PulseOximeterSpotCheck(spo2: 97, pulseRate: 60)
        #expect(try FrameDecoder.measurement(.gatt(characteristic: 0x2A5E, handle: 12), spot.encoded) == spot.measurement)
        #expect(try FrameDecoder.measurement(.gatt(characteristic: 0x2A19, handle: 12), [87]) == nil)
        #expect(throws: DecodeError.self) { try FrameDecoder.measurement(.gatt(characteristic: 0x2A5E, handle: 12), []) }
    }
}
