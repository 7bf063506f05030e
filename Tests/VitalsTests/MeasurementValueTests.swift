import ExactJSON
import Testing
import Vitals

private func pressure(_ name: Quantity.Name, _ value: MeasuredValue, _ unit: UCUM = .millimetreOfMercury) -> Quantity {
    let type: MDC =
        switch name {
        case .systolic: .systolic
        case .diastolic: .diastolic
        case .pulseRate: .pulseRateNonInvasive
        default: .meanArterialPressure
        }
    return Quantity(name, type: type, value: value, unit: unit)
}

private func measurement(_ quantities: [Quantity], kind: Measurement.Kind = .bloodPressure, status: Set<StatusFlag> = [])
    -> Measurement
{
    Measurement(
        kind: kind, quantities: quantities, status: status,
        projection: StoredProjection(codec: "2a35/1", bytes: [], distinguishes: false))
}

@Suite struct QuantityTests {
    @Test(
        "a conversion is exact, and rounding is the receiver's",
        arguments: [
            (169, -1, UCUM.kilopascal, UCUM.millimetreOfMercury, "126.760478", "127"),
            (100, -1, .kilopascal, .millimetreOfMercury, "75.006200", "75"),
            (150, 0, .pound, .kilogram, "68.03885550", "68"),
            (127, 0, .millimetreOfMercury, .millimetreOfMercury, "127", "127"),
        ] as [(Int64, Int, UCUM, UCUM, String, String)])
    func conversion(mantissa: Int64, exponent: Int, from: UCUM, to: UCUM, exact: String, whole: String) {
        let number = ExactDecimal(mantissa: mantissa, exponent: exponent)
        let converted = pressure(.systolic, .number(number), from).converted(to: to)
        #expect(converted?.unit == to)
        #expect(converted?.value.number == ExactDecimal(exact))
        #expect(converted?.value.number?.rounded(toExponent: 0).description == whole)
    }

    @Test("no conversion is invented, and none overflows")
    func noConversion() {
        #expect(pressure(.systolic, .number(127)).converted(to: .percent) == nil)
        #expect(
            pressure(.systolic, .number(ExactDecimal(mantissa: .max)), .kilopascal).converted(to: .millimetreOfMercury) == nil)
    }

    @Test("what was not measured stays that in any unit", arguments: SpecialValue.allCases)
    func specialValues(value: SpecialValue) {
        let converted = pressure(.mean, .special(value), .kilopascal).converted(to: .millimetreOfMercury)
        #expect(converted?.value == .special(value))
        #expect(converted?.unit == .millimetreOfMercury)
        #expect(converted?.value.number == nil)
    }
}

@Suite struct MeasurementValueTests {
    let cuff = [pressure(.systolic, .number(127)), pressure(.diastolic, .number(79)), pressure(.mean, .special(.notANumber))]

    @Test("a cuff's pressures are one reading, with the one that is missing; its pulse is another")
    func bloodPressureReadings() {
        let pulse = Quantity(.pulseRate, type: .pulseRateNonInvasive, value: .number(69), unit: .perMinute)
        let readings = measurement(cuff + [pulse]).readings
        #expect(readings.map(\.kind) == [.bloodPressure, .pulseRate])
        #expect(readings.first?.quantities.map(\.name) == [.systolic, .diastolic, .mean])
        let none = Quantity(.pulseRate, type: .pulseRateNonInvasive, value: .special(.notANumber), unit: .perMinute)
        #expect(measurement(cuff + [none]).readings.map(\.kind) == [.bloodPressure])
    }

    @Test(
        "intermediate and stream values are never readings",
        arguments: [
            Measurement.Kind.cuffPressure, .pulseOximetryContinuous, .glucoseContext,
        ])
    func notResults(kind: Measurement.Kind) {
        #expect(!kind.isResult)
        #expect(measurement(cuff, kind: kind).readings.isEmpty)
    }

    @Test(
        "a device's own word that it is no measurement makes it invalid; a quality bit does not", arguments: StatusFlag.allCases)
    func invalidFlags(flag: StatusFlag) {
        let invalid: Set<StatusFlag> = [
            .invalid, .unavailable, .calibrating, .demonstration, .testing, .sensorInterference, .sensorUnconnectedToUser,
            .unknownSensor,
            .sensorDisplaced, .sensorDisconnected, .sensorMalfunctioning, .equipmentMalfunction, .controlSolution,
        ]
        #expect(measurement(cuff, status: [flag]).isInvalid == invalid.contains(flag))
    }

    @Test("a record without a single number is no measurement")
    func withoutNumbers() {
        #expect(measurement([]).isInvalid)
        #expect(measurement([pressure(.systolic, .special(.notANumber))]).isInvalid)
        #expect(!measurement(cuff).isInvalid)
    }
}

@Suite struct ByteTests {
    @Test("hex both ways")
    func hex() {
        #expect([UInt8](hex: "00 0f FF")?.hex == "000fff")
        #expect([UInt8](hex: "") == [])
        #expect([UInt8](hex: "0") == nil)
        #expect([UInt8](hex: "0g") == nil)
        #expect([UInt8](hex: "００") == nil)
        #expect(UInt16(0x2A35).hex4 == "2a35")
        #expect(UInt16(5).hex4 == "0005")
        #expect(Frame.Source.gatt(characteristic: 0x2A35, handle: 3).format == "gatt:2a35")
    }

    @Test("every condition says what to do about it", arguments: Condition.Code.allCases)
    func remedies(code: Condition.Code) {
        #expect(code.remedy.hasSuffix("."))
    }

    @Test("an identity is completed, never overwritten")
    func completedIdentity() {
        let known = DeviceIdentity(manufacturer: "A", serialNumber: "1")
        let later = DeviceIdentity(manufacturer: "B", modelNumber: "M", address: "AA:BB:CC:DD:EE:FF")
        #expect(
            known.completed(by: later)
                == DeviceIdentity(manufacturer: "A", modelNumber: "M", serialNumber: "1", address: "AA:BB:CC:DD:EE:FF"))
    }
}
