import ExactJSON
import Protocols
import Testing
import Vitals

@Suite("Measurements")
struct MeasurementTests {
    static let noon = LocalDateTime(year: 2026, month: 5, day: 12, hour: 12, minute: 0, second: 1)

    // MARK: Blood pressure

    @Test("kPa stays kPa, with the cuff's digits")
    func kilopascal() throws {
        let systolic = try #require(SFloat(ExactDecimal(mantissa: 176, exponent: -1)))
        let sent = BloodPressureMeasurement(isKilopascal: true, systolic: systolic, diastolic: 11, pulseRate: 60)
        let measurement = try BloodPressureMeasurement(decoding: sent.encoded).measurement
        #expect(measurement[.systolic]?.value.number?.description == "17.6")
        #expect(measurement[.systolic]?.unit == .kilopascal)
        #expect(measurement[.mean]?.value == .special(.notANumber))
        #expect(measurement[.pulseRate]?.unit == .perMinute)
    }

    @Test(
        "Each status bit by its meaning; the pulse range is one field of two bits",
        arguments: [
            (0x00, [], 0), (0x01, [.bodyMovement], 0), (0x02, [.cuffTooLoose], 0), (0x04, [.irregularPulse], 0),
            (0x08, [.pulseRateAboveRange], 0), (0x10, [.pulseRateBelowRange], 0), (0x18, [], 1), (0x20, [.improperPosition], 0),
            (0x40, [], 1), (0xFFC0, [], 1),
            (0x2F, [.bodyMovement, .cuffTooLoose, .irregularPulse, .pulseRateAboveRange, .improperPosition], 0),
        ] as [(UInt16, Set<StatusFlag>, Int)])
    func bloodPressureStatus(bits: UInt16, flags: Set<StatusFlag>, warnings: Int) {
        let measurement = BloodPressureMeasurement(systolic: 120, diastolic: 80, status: bits).measurement
        #expect(measurement.status == flags)
        #expect(measurement.statusBits == UInt32(bits))
        #expect(measurement.warnings.count == warnings)
    }

    @Test("User 0xFF is nobody, user 0 is user 0")
    func users() {
        func index(_ id: UInt8?) -> Int? {
            BloodPressureMeasurement(systolic: 120, diastolic: 80, userID: id).measurement.userIndex
        }
        #expect(index(0xFF) == nil)
        #expect(index(0) == 0)
        #expect(index(1) == 1)
        #expect(index(nil) == nil)
    }

    @Test(
        "A time stamp without a date is unset, an impossible one is kept with a warning",
        arguments: [
            (LocalDateTime(year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0), true, 0),
            (LocalDateTime(year: 2026, month: 0, day: 1, hour: 0, minute: 0, second: 0), true, 0),
            (LocalDateTime(year: 0, month: 5, day: 1, hour: 7, minute: 1, second: 0), true, 0),
            (LocalDateTime(year: 2026, month: 13, day: 1, hour: 0, minute: 0, second: 0), false, 1),
            (LocalDateTime(year: 2026, month: 2, day: 30, hour: 25, minute: 61, second: 99), false, 1),
            (noon, false, 0),
        ] as [(LocalDateTime, Bool, Int)])
    func timeStamps(time: LocalDateTime, isUnset: Bool, warnings: Int) throws {
        let sent = BloodPressureMeasurement(systolic: 120, diastolic: 80, timeStamp: time)
        let measurement = try BloodPressureMeasurement(decoding: sent.encoded).measurement
        #expect(measurement.deviceTime == (isUnset ? nil : time))
        #expect(measurement.isDeviceClockUnset == isUnset)
        #expect(measurement.projection.distinguishes == !isUnset)
        #expect(measurement.warnings.count == warnings)
        #expect(measurement.json()["deviceTime"] == (isUnset ? .null : .string(time.description)))
    }

    @Test("An intermediate cuff pressure is no result and gives no reading")
    func cuffPressure() throws {
        var sent = IntermediateCuffPressure(140)
        sent.layout.diastolic = 0
        let measurement = try IntermediateCuffPressure(decoding: sent.encoded).measurement
        #expect(measurement.kind == .cuffPressure)
        #expect(!measurement.kind.isResult)
        #expect(measurement.readings.isEmpty)
        #expect(measurement.quantities.map(\.name) == [.cuffPressure])
        #expect(measurement[.cuffPressure]?.value == .number(140))
    }

    @Test("Feature bits")
    func features() throws {
        let feature = try BloodPressureFeature(decoding: bytes("4502"))
        #expect(feature.features == [.bodyMovementDetection, .irregularPulseDetection, .endToEndChecksum])
        #expect(feature.warnings == ["reserved feature bits 0x200 ignored"])
        #expect(feature.encoded == bytes("4502"))
    }

    @Test("Enhanced: seconds from 1900 or 2000, the user-facing time before the time stamp")
    func enhanced() throws {
        let seconds: UInt32 = 831_902_400
        let sent = EnhancedBloodPressureMeasurement(
            systolic: 120, diastolic: 80, timeStamp: seconds, userFacingTime: seconds + 7_200)
        let measurement = try EnhancedBloodPressureMeasurement(decoding: sent.encoded).measurement
        #expect(measurement.deviceTime?.description == "2026-05-12T14:00:00")
        #expect(measurement.warnings.isEmpty)
        let from1900 = EnhancedBloodPressureMeasurement(
            systolic: 120, diastolic: 80, timeStamp: 3_155_673_600 + seconds, countsFrom2000: false)
        #expect(from1900.measurement.deviceTime?.description == "2026-05-12T12:00:00")
        #expect(from1900.measurement.warnings.count == 1)
        let unset = EnhancedBloodPressureMeasurement(systolic: 120, diastolic: 80, timeStamp: 0).measurement
        #expect(unset.deviceTime == nil)
        #expect(unset.isDeviceClockUnset)
        #expect(!unset.projection.distinguishes)
    }

    // MARK: Oximeter

    @Test("Every oximeter status bit by its meaning, in bit order")
    func oximeterStatus() {
        let measurement = PulseOximeterSpotCheck(spo2: 97, pulseRate: 60, status: 0xFFE0, sensorStatus: 0xFFFF).measurement
        #expect(measurement.status.count == 27)
        let json = measurement.json()
        #expect(json["status"]?[0] == "measurement-ongoing")
        #expect(json["status"]?[10] == "invalid")
        #expect(json["status"]?[11] == "extended-display-update")
        #expect(json["status"]?[26] == "sensor-disconnected")
        #expect(measurement.isInvalid)
        #expect(
            PulseOximeterSpotCheck(spo2: 97, pulseRate: 60, status: 0x1F, sensorStatus: 0xFF_0000).measurement.warnings.count == 2
        )
    }

    @Test("A clock that the oximeter calls unset gives no device time in the JSON, and keeps what was sent")
    func clockUnset() throws {
        let sent = PulseOximeterSpotCheck(spo2: 97, pulseRate: 60, timeStamp: Self.noon, isClockUnset: true)
        let measurement = try PulseOximeterSpotCheck(decoding: sent.encoded).measurement
        #expect(measurement.isDeviceClockUnset)
        #expect(measurement.deviceTime == Self.noon)
        #expect(measurement.json()["deviceTime"] == .null)
        #expect(measurement.json()["deviceTimeAsSent"] == "2026-05-12T12:00:01")
    }

    @Test("A stream sample with fast and slow values, and amplitude")
    func continuous() throws {
        let sent = PulseOximeterContinuous(
            spo2: 97, pulseRate: 60, fast: .init(spo2: 96, pulseRate: 61), slow: .init(spo2: .notANumber, pulseRate: 62),
            perfusionIndex: 12)
        let measurement = try PulseOximeterContinuous(decoding: sent.encoded).measurement
        #expect(
            measurement.quantities.map(\.name)
                == [.spo2, .pulseRate, .spo2Fast, .pulseRateFast, .spo2Slow, .pulseRateSlow, .perfusionIndex])
        #expect(measurement.json()["spo2Slow"] == .null)
        #expect(!measurement.kind.isResult)
    }

    @Test("Oximeter features with the status bits that it supports")
    func oximeterFeatures() throws {
        let features = try PulseOximeterFeatures(decoding: bytes("4f00 e0ff 200000"))
        #expect(features.features == [.measurementStatus, .sensorStatus, .measurementStorage, .timestamp, .perfusionIndex])
        #expect(features.supportedStatus == 0xFFE0)
        #expect(features.supportedSensorStatus == 0x20)
        #expect(features.encoded == bytes("4f00e0ff200000"))
        #expect(throws: DecodeError.self) { try PulseOximeterFeatures(decoding: bytes("0100")) }
        #expect(throws: DecodeError.self) { try PulseOximeterFeatures(decoding: bytes("000000")) }
    }

    // MARK: Scale, thermometer, glucose meter

    @Test(
        "A scale's steps are fixed: 0.005 kg and 0.01 lb; 0xFFFF is no weight",
        arguments: [(false, 15_992, "79.960", "kg"), (true, 17_628, "176.28", "[lb_av]"), (false, 0xFFFF, nil, "kg")]
            as [(Bool, UInt16, String?, String)])
    func weight(isImperial: Bool, steps: UInt16, text: String?, unit: String) throws {
        let sent = WeightMeasurement(isImperial: isImperial, weight: steps)
        let decoded = try WeightMeasurement(decoding: sent.encoded).measurement
        let quantity = try #require(decoded[.weight])
        #expect(quantity.value.number?.description == text)
        #expect(quantity.unit.rawValue == unit)
    }

    @Test("An empty body composition is called a possible placeholder")
    func placeholder() throws {
        let measurement = try BodyCompositionMeasurement(decoding: bytes("00000000")).measurement
        #expect(measurement.warnings == ["every value is 0: perhaps a placeholder"])
        #expect(BodyCompositionMeasurement(bodyFat: 0xFFFF).measurement.isInvalid)
    }

    @Test("36.60 degrees stay 36.60; the site by name; a site that nobody defined by a warning")
    func temperature() throws {
        let measured = try TemperatureMeasurement(decoding: bytes("04 4c0e00fe 02"))
        #expect(measured.measurement[.temperature]?.value.number?.description == "36.60")
        #expect(measured.site == .body)
        #expect(try TemperatureMeasurement(decoding: bytes("05 d20300ff 0b")).measurement.warnings.count == 1)
        #expect(try TemperatureMeasurement(decoding: bytes("01 d20300ff")).measurement[.temperature]?.unit == .degreeFahrenheit)
    }

    @Test(
        "Control solution, by type or by location, is no measurement of the patient",
        arguments: [(10, 1), (1, 4), (10, 4)] as [(UInt8, UInt8)])
    func controlSolution(type: UInt8, location: UInt8) {
        let measurement = Self.glucose(type: type, location: location).measurement
        #expect(measurement.status == [.controlSolution])
        #expect(measurement.isInvalid)
    }

    @Test("A time offset that ran over leaves the time unknown", arguments: [Int16.max, .min])
    func offsetOverrun(offset: Int16) {
        let measurement = Self.glucose(offset: offset).measurement
        #expect(measurement.timeOffsetMinutes == nil)
        #expect(measurement.isDeviceClockUnset)
        #expect(measurement.json()["deviceTime"] == .null)
        #expect(measurement.warnings.count == 1)
        #expect(Self.glucose(offset: -60).measurement.timeOffsetMinutes == -60)
    }

    @Test("Each glucose sample type has its own code; a reserved one the general code and a warning")
    func sampleTypes() {
        let codes = (1...10).map { Self.glucose(type: $0).measurement[.glucose]?.type?.rawValue }
        #expect(codes == [160_184, 160_188, 160_192, 160_196, 160_200, 160_204, 160_364, 160_368, 160_212, 160_208])
        let reserved = Self.glucose(type: 11, location: 9).measurement
        #expect(reserved[.glucose]?.type == .glucose)
        #expect(reserved.warnings.count == 2)
        #expect(Self.glucose(isMolePerLitre: true).measurement[.glucose]?.unit == .molePerLitre)
    }

    @Test("Each glucose status bit by its meaning, in bit order")
    func glucoseStatus() {
        let measurement = Self.glucose(status: 0x0FFF).measurement
        #expect(measurement.status.count == 12)
        #expect(measurement.json()["status"]?[0] == "battery-low")
        #expect(measurement.json()["status"]?[1] == "sensor-malfunctioning")
        #expect(measurement.json()["status"]?[11] == "time-fault")
        #expect(Self.glucose(status: 0xF000).measurement.warnings.count == 1)
    }

    @Test("A glucose context belongs to a sequence number and is no result")
    func glucoseContext() throws {
        let sent = GlucoseContext(
            sequence: 6, extendedFlags: 0, carbohydrate: .init(id: 1, value: 20), meal: 2, testerAndHealth: 0x51,
            exercise: .init(duration: 600, intensity: 40), medication: .init(id: 1, value: 5), isMedicationInLitres: true,
            hba1c: 6)
        let context = try GlucoseContext(decoding: sent.encoded)
        #expect(context == sent)
        #expect(context.measurement.sequence == 6)
        #expect(!context.measurement.kind.isResult)
    }

    static func glucose(
        sequence: UInt16 = 6, offset: Int16? = nil, type: UInt8 = 1, location: UInt8 = 1, status: UInt16? = nil,
        isMolePerLitre: Bool = false, hasContext: Bool = false
    ) -> GlucoseMeasurement {
        GlucoseMeasurement(
            sequence: sequence, baseTime: noon, timeOffset: offset,
            concentration: .init(value: SFloat(bits: 0xB078), type: type, location: location), status: status,
            isMolePerLitre: isMolePerLitre, hasContext: hasContext)
    }
}
