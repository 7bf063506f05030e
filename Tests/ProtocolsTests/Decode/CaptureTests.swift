import ExactJSON
import Protocols
import Testing
import Vitals

/// Frames of real devices, decoded as their sources say.
@Suite("Captured frames")
struct CaptureTests {
    struct Capture: CustomTestStringConvertible, Sendable {
        let profile: String
        let hex: String
        let expected: JSON
        var testDescription: String { profile }
    }

    static let all: [Capture] = {
        let text = String(decoding: Checkout.read("Tests/Captures/captures.jsonl") ?? [], as: UTF8.self)
        return text.split(separator: "\n").compactMap { line in
            guard let json = try? JSON(parsing: String(line)), let profile = json["profile"]?.string,
                let hex = json["hex"]?.string
            else { return nil }
            return Capture(profile: profile, hex: hex, expected: json["expected"] ?? .null)
        }
    }()

    static func capture(_ profile: String) throws -> Capture { try #require(all.first { $0.profile == profile }) }

    static func decode(_ profile: String, _ format: String) throws -> (JSON, expected: JSON) {
        let capture = try capture(profile)
        return (try DecodeFormat.decode(format: format, bytes: bytes(capture.hex)), capture.expected)
    }

    @Test("The copy is whole")
    func copy() { #expect(Self.all.count == 20) }

    @Test("A cuff that sets reserved flags and sends NaN as mean pressure")
    func bloodPressure() throws {
        let (json, expected) = try Self.decode("BLS.2A35", "gatt:2A35")
        #expect(json["kind"] == "blood-pressure")
        #expect(json["unit"] == "mm[Hg]")
        #expect(json["systolic"]?.means(expected["systolic"] ?? nil) == true)
        #expect(json["systolic"]?.number?.description == "127.0")
        #expect(json["diastolic"]?.means(expected["diastolic"] ?? nil) == true)
        #expect(json["mean"] == .null)
        #expect(json["pulseRate"]?.means(expected["pulse_rate"] ?? nil) == true)
        #expect(json["deviceTime"] == expected["timestamp"])
        #expect(json["userIndex"] == expected["user_id"])
        #expect(json["statusBits"] == expected["measurement_status"])
        #expect(json["status"] == [])
        #expect(json["warnings"] == ["reserved flag bits 0xc0 ignored", "reserved status bits 0x80 ignored"])
        #expect(json["values"]?[0]?["mdc"]?.integer == 150_021)
        #expect(json["values"]?[2]?["value"] == .null)
    }

    @Test("The Beurer BM85's frame is longer than its flags say: rejected, its bytes kept")
    func beurer() throws {
        let frame = bytes(try Self.capture("BLS.2A35.quirk.beurer-BM85").hex)
        let error = #expect(throws: DecodeError.self) { try BloodPressureMeasurement(decoding: frame) }
        #expect(error?.code == .lengthMismatch)
        #expect(error?.offset == 18)
        #expect(error?.bytes == frame)
    }

    @Test("A ChoiceMMed oximeter's sample of a stream")
    func oximeter() throws {
        let (json, expected) = try Self.decode("PLXS.2A5F", "gatt:2a5f")
        #expect(json["kind"] == "pulse-oximetry-continuous")
        #expect(json["spo2"] == expected["spo2"])
        #expect(json["pulseRate"] == expected["pulse_rate"])
        #expect(json["statusBits"] == expected["measurement_status"])
        #expect(json["sensorStatusBits"] == expected["device_sensor_status"])
        #expect(json["status"] == ["measurement-ongoing"])
        #expect(json["spo2Fast"] == .null)
    }

    @Test("A glucose meter's record")
    func glucose() throws {
        let (json, expected) = try Self.decode("GLS.2A18", "gatt:2a18")
        #expect(json["kind"] == "glucose")
        #expect(json["unit"] == expected["unit"])
        #expect(json["glucose"]?.number?.description == "0.00120")
        #expect(json["glucose"]?.means(expected["concentration"] ?? nil) == true)
        #expect(json["sequence"] == expected["sequence"])
        #expect(json["deviceTime"] == expected["base_time"])
        #expect(json["timeOffsetMinutes"] == expected["time_offset_min"])
        #expect(json["sampleType"] == "capillary-whole-blood")
        #expect(json["location"] == "not-available")
        #expect(json["values"]?[0]?["mdc"]?.integer == 160_184)
    }

    @Test("A Beurer BF720's weight")
    func weight() throws {
        let (json, expected) = try Self.decode("WSS.2A9D", "gatt:2a9d")
        #expect(json["kind"] == "body-weight")
        #expect(json["weight"]?.means(expected["weight"] ?? nil) == true)
        #expect(json["bodyMassIndex"]?.means(expected["bmi"] ?? nil) == true)
        #expect(json["height"]?.means(expected["height"] ?? nil) == true)
        #expect(json["userIndex"] == expected["user_id"])
        #expect(json["deviceTime"] == expected["timestamp"])
    }

    @Test("A Beurer BF720's body composition")
    func bodyComposition() throws {
        let (json, expected) = try Self.decode("BCS.2A9C", "gatt:2a9c")
        #expect(json["kind"] == "body-composition")
        for (key, name) in [
            ("bodyFat", "body_fat_pct"), ("basalMetabolism", "basal_kj"), ("musclePercentage", "muscle_pct"),
            ("softLeanMass", "soft_lean_mass"), ("bodyWaterMass", "body_water_mass"), ("impedance", "impedance_ohm"),
        ] {
            #expect(json[key]?.means(expected[name] ?? nil) == true, "\(key)")
        }
        #expect(json["weight"] == .null)
    }

    @Test("A consent to a scale's user")
    func consent() throws {
        let (json, expected) = try Self.decode("UDS.2A9F", "gatt:2a9f")
        #expect(json["operation"] == "consent")
        #expect(json["userIndex"] == expected["user_index"])
        #expect(json["consentCode"] == expected["consent_code"])
    }
}
