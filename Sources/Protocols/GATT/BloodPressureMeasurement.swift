public import Vitals

/// Blood Pressure Measurement 2A35 (indicated), at most 19 bytes:
///
///     flags u8 | systolic, diastolic, mean SFLOAT | [b1 time 7] | [b2 pulse SFLOAT] | [b3 user u8] | [b4 status u16]
///
/// Flag b0: 0 mmHg, 1 kPa; b5 to b7 are reserved. Source: Blood Pressure Service 1.1.1, Bluetooth GSS.
public struct BloodPressureMeasurement: MeasurementValue {
    public static let uuid = GATTCharacteristic.bloodPressureMeasurement

    public var isKilopascal: Bool
    public var systolic: SFloat
    public var diastolic: SFloat
    /// NaN on cuffs that do not measure it; some send 0 instead.
    public var mean: SFloat
    public var timeStamp: LocalDateTime?
    public var pulseRate: SFloat?
    /// 0xFF is the unknown user.
    public var userID: UInt8?
    public var status: UInt16?
    /// Flag bits 5 to 7 as sent.
    public var reservedFlags: UInt8

    public init(
        isKilopascal: Bool = false, systolic: SFloat, diastolic: SFloat, mean: SFloat = .notANumber,
        timeStamp: LocalDateTime? = nil,
        pulseRate: SFloat? = nil, userID: UInt8? = nil, status: UInt16? = nil, reservedFlags: UInt8 = 0
    ) {
        self.isKilopascal = isKilopascal
        self.systolic = systolic
        self.diastolic = diastolic
        self.mean = mean
        self.timeStamp = timeStamp
        self.pulseRate = pulseRate
        self.userID = userID
        self.status = status
        self.reservedFlags = reservedFlags & Self.reserved
    }

    static let reserved: UInt8 = 0b1110_0000

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let flags = try reader.u8("flags")
        isKilopascal = flags & 1 != 0
        systolic = SFloat(bits: try reader.u16("systolic pressure"))
        diastolic = SFloat(bits: try reader.u16("diastolic pressure"))
        mean = SFloat(bits: try reader.u16("mean pressure"))
        timeStamp = flags & 2 != 0 ? try reader.dateTime("time stamp") : nil
        pulseRate = flags & 4 != 0 ? SFloat(bits: try reader.u16("pulse rate")) : nil
        userID = flags & 8 != 0 ? try reader.u8("user id") : nil
        status = flags & 16 != 0 ? try reader.u16("measurement status") : nil
        reservedFlags = flags & Self.reserved
        try reader.finish()
    }

    private var flags: UInt8 {
        (isKilopascal ? 1 : 0) | (timeStamp != nil ? 2 : 0) | (pulseRate != nil ? 4 : 0) | (userID != nil ? 8 : 0)
            | (status != nil ? 16 : 0)
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        write(to: &writer, flags: flags | reservedFlags, withUser: true)
        return writer.bytes
    }

    private func write(to writer: inout ByteWriter, flags: UInt8, withUser: Bool) {
        writer.u8(flags)
        writer.u16(systolic.bits)
        writer.u16(diastolic.bits)
        writer.u16(mean.bits)
        if let timeStamp { writer.dateTime(timeStamp) }
        if let pulseRate { writer.u16(pulseRate.bits) }
        if withUser, let userID { writer.u8(userID) }
        if let status { writer.u16(status) }
    }

    public var unit: UCUM { isKilopascal ? .kilopascal : .millimetreOfMercury }

    public var measurement: Measurement { measurement(kind: .bloodPressure, codec: "2a35/1") }

    /// `2a35/1`: the frame without the user (who has a place of its own in the identity) and without reserved flags.
    func measurement(kind: Measurement.Kind, codec: String) -> Measurement {
        var stored = ByteWriter()
        write(to: &stored, flags: flags & ~8, withUser: false)
        let stamp = TimeStamp(timeStamp)
        var quantities: [Quantity] = []
        quantities.reserveCapacity(4)
        if kind == .cuffPressure {
            quantities.append(Quantity(.cuffPressure, type: .cuffPressure, value: systolic.value, unit: unit))
        } else {
            quantities.append(Quantity(.systolic, type: .systolic, value: systolic.value, unit: unit))
            quantities.append(Quantity(.diastolic, type: .diastolic, value: diastolic.value, unit: unit))
            quantities.append(Quantity(.mean, type: .meanArterialPressure, value: mean.value, unit: unit))
        }
        if let pulseRate {
            quantities.append(Quantity(.pulseRate, type: .pulseRateNonInvasive, value: pulseRate.value, unit: .perMinute))
        }
        return Measurement(
            kind: kind, quantities: quantities, deviceTime: stamp.deviceTime, userIndex: BloodPressureStatus.user(userID),
            statusBits: status.map(UInt32.init), status: BloodPressureStatus.flags(status), isDeviceClockUnset: stamp.isUnset,
            projection: StoredProjection(codec: codec, bytes: stored.bytes, distinguishes: stamp.deviceTime != nil),
            warnings: reservedWarning("flag", UInt32(reservedFlags)) + stamp.warnings + BloodPressureStatus.warnings(status))
    }
}

/// Intermediate Cuff Pressure 2A36 (notified): the layout of 2A35, with the pressure of the moment in the systolic field and
/// NaN, on some cuffs 0, in the other two. Never a result.
public struct IntermediateCuffPressure: MeasurementValue {
    public static let uuid = GATTCharacteristic.intermediateCuffPressure

    /// The fields by the layout of 2A35.
    public var layout: BloodPressureMeasurement

    public init(_ pressure: SFloat, isKilopascal: Bool = false) {
        layout = BloodPressureMeasurement(isKilopascal: isKilopascal, systolic: pressure, diastolic: .notANumber)
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) { layout = try BloodPressureMeasurement(decoding: bytes) }

    public var encoded: [UInt8] { layout.encoded }

    public var measurement: Measurement { layout.measurement(kind: .cuffPressure, codec: "2a36/1") }
}

/// The measurement status of 2A35 and 2B34.
enum BloodPressureStatus {
    static let pulseRangeReserved: UInt16 = 0b1_1000

    static func flags(_ status: UInt16?) -> Set<StatusFlag> {
        guard let status, status != 0 else { return [] }
        var found: Set<StatusFlag> = []
        if status & 1 != 0 { found.insert(.bodyMovement) }
        if status & 2 != 0 { found.insert(.cuffTooLoose) }
        if status & 4 != 0 { found.insert(.irregularPulse) }
        // Two bits that are one field: 0 in range, 1 above, 2 below, 3 reserved.
        switch status >> 3 & 3 {
        case 1: found.insert(.pulseRateAboveRange)
        case 2: found.insert(.pulseRateBelowRange)
        default: break
        }
        if status & 32 != 0 { found.insert(.improperPosition) }
        return found
    }

    static func warnings(_ status: UInt16?) -> [String] {
        guard let status, status != 0 else { return [] }
        var warnings = reservedWarning("status", UInt32(status & 0xFFC0))
        if status & pulseRangeReserved == pulseRangeReserved { warnings.append("reserved pulse range 3 ignored") }
        return warnings
    }

    /// 0xFF is the unknown user (Bluetooth GSS).
    static func user(_ id: UInt8?) -> Int? { id.flatMap { $0 == 0xFF ? nil : Int($0) } }
}

/// Blood Pressure Feature 2A49: 16 bits, read.
public struct BloodPressureFeature: CharacteristicValue {
    public static let uuid = GATTCharacteristic.bloodPressureFeature

    public var bits: UInt16

    public init(bits: UInt16) { self.bits = bits }

    /// The bits in order, from bit 0.
    public enum Feature: String, Hashable, Sendable, CaseIterable {
        case bodyMovementDetection = "body-movement-detection"
        case cuffFitDetection = "cuff-fit-detection"
        case irregularPulseDetection = "irregular-pulse-detection"
        case pulseRateRangeDetection = "pulse-rate-range-detection"
        case measurementPositionDetection = "measurement-position-detection"
        case multipleBonds = "multiple-bonds"
        case endToEndChecksum = "e2e-crc"
        case userDataService = "user-data-service"
        case userFacingTime = "user-facing-time"
    }

    public var features: [Feature] {
        Feature.allCases.enumerated().filter { bits & 1 << UInt16($0.offset) != 0 }.map(\.element)
    }

    public func has(_ feature: Feature) -> Bool { features.contains(feature) }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        bits = try reader.u16("feature bits")
        try reader.finish()
    }

    public var encoded: [UInt8] { [UInt8(truncatingIfNeeded: bits), UInt8(truncatingIfNeeded: bits >> 8)] }

    public var warnings: [String] { reservedWarning("feature", UInt32(bits & 0xFE00)) }
}
