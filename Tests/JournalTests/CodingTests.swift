import ExactJSON
import Testing
import Vitals

@testable import Journal

@Suite("Measurements in sealed columns")
struct CodingTests {
    @Test("Any measurement comes back digit for digit", arguments: [UInt64(1), 2, 3, 4])
    func roundTrip(seed: UInt64) throws {
        var generator = Generator(seed: seed)
        for _ in 0..<500 {
            let measurement = Self.measurement(&generator)
            let bytes = MeasurementCoding.json(measurement).bytes
            #expect(MeasurementCoding.measurement(try JSON(parsing: bytes)) == measurement, "seed \(seed)")
        }
    }

    @Test(
        "What is no measurement of ours is refused, not guessed",
        arguments: ["{}", "[]", "null", #"{"k":"blood-pressure","q":[7]}"#])
    func refused(text: String) throws {
        #expect(MeasurementCoding.measurement(try JSON(parsing: text)) == nil)
    }

    static func measurement(_ generator: inout Generator) -> Measurement {
        func optional<T>(_ value: T) -> T? { Bool.random(using: &generator) ? value : nil }
        let units: [UCUM] = [.kilopascal, .millimetreOfMercury, .perMinute, UCUM("\"odd\\ü")]
        let quantities = (0..<Int.random(in: 0...5, using: &generator)).map { _ -> Quantity in
            let mantissa =
                [Int64.min, .max, 0, -1, Int64.random(in: .min ... .max, using: &generator), 3_660]
                .randomElement(using: &generator) ?? 0
            let exponent = Int.random(in: ExactDecimal.exponentRange, using: &generator)
            let special = SpecialValue.allCases.randomElement(using: &generator) ?? .absent
            return Quantity(
                Quantity.Name.allCases.randomElement(using: &generator) ?? .mean,
                type: optional(MDC(.random(in: 0 ... .max, using: &generator))),
                value: Bool.random(using: &generator)
                    ? .number(ExactDecimal(mantissa: mantissa, exponent: exponent)) : .special(special),
                unit: units.randomElement(using: &generator) ?? .one)
        }
        let flags = StatusFlag.allCases.filter { _ in Int.random(in: 0..<4, using: &generator) == 0 }
        return Measurement(
            kind: Measurement.Kind.allCases.randomElement(using: &generator) ?? .glucose, quantities: quantities,
            deviceTime: optional(
                LocalDateTime(
                    year: .random(in: 0...65_535, using: &generator), month: .random(in: 0...255, using: &generator), day: 40,
                    hour: 0,
                    minute: 99, second: 255)),
            timeOffsetMinutes: optional(-300), sequence: optional(65_535), userIndex: optional(3),
            statusBits: optional(UInt32.random(in: 0 ... .max, using: &generator)), sensorStatusBits: optional(0xFFFFFF),
            status: Set(flags), isDeviceClockUnset: .random(using: &generator),
            projection: StoredProjection(
                codec: "2a35/1", bytes: (0..<Int.random(in: 0...20, using: &generator)).map { UInt8($0) },
                distinguishes: .random(using: &generator)),
            warnings: ["\u{0}\n\t\"", "ü🩺"].filter { _ in Bool.random(using: &generator) })
    }
}
