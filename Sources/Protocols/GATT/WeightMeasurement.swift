import ExactJSON
public import Vitals

/// Weight Measurement 2A9D (indicated):
///
///     flags u8 | weight u16 | [b1 time 7] | [b2 user u8] | [b3 BMI u16, height u16]
///
/// Flag b0: 0 kg and m, 1 lb and in; b4 to b7 are reserved. The resolution is fixed, whatever 2A9E says: 0.005 kg, 0.01 lb,
/// 0.001 m, 0.1 in, 0.1 kg/m2. 0xFFFF: the measurement was unsuccessful. Source: Weight Scale Service 1.0.1, Bluetooth GSS.
public struct WeightMeasurement: MeasurementValue {
    public static let uuid = GATTCharacteristic.weightMeasurement

    public var isImperial: Bool
    /// In steps of 0.005 kg or 0.01 lb.
    public var weight: UInt16
    public var timeStamp: LocalDateTime?
    /// 0xFF is the unknown user.
    public var userID: UInt8?
    /// In steps of 0.1 kg/m2; sent together with the height.
    public var bodyMassIndexAndHeight: BodyMassIndexAndHeight?
    /// Flag bits 4 to 7 as sent.
    public var reservedFlags: UInt8

    public struct BodyMassIndexAndHeight: Hashable, Sendable {
        /// In steps of 0.1 kg/m2.
        public var bodyMassIndex: UInt16
        /// In steps of 0.001 m or 0.1 in.
        public var height: UInt16
        public init(bodyMassIndex: UInt16, height: UInt16) {
            self.bodyMassIndex = bodyMassIndex
            self.height = height
        }
    }

    public init(
        isImperial: Bool = false, weight: UInt16, timeStamp: LocalDateTime? = nil, userID: UInt8? = nil,
        bodyMassIndexAndHeight: BodyMassIndexAndHeight? = nil, reservedFlags: UInt8 = 0
    ) {
        self.isImperial = isImperial
        self.weight = weight
        self.timeStamp = timeStamp
        self.userID = userID
        self.bodyMassIndexAndHeight = bodyMassIndexAndHeight
        self.reservedFlags = reservedFlags & 0xF0
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let flags = try reader.u8("flags")
        isImperial = flags & 1 != 0
        weight = try reader.u16("weight")
        timeStamp = flags & 2 != 0 ? try reader.dateTime("time stamp") : nil
        userID = flags & 4 != 0 ? try reader.u8("user id") : nil
        bodyMassIndexAndHeight =
            flags & 8 != 0
            ? BodyMassIndexAndHeight(bodyMassIndex: try reader.u16("body mass index"), height: try reader.u16("height")) : nil
        reservedFlags = flags & 0xF0
        try reader.finish()
    }

    private var flags: UInt8 {
        (isImperial ? 1 : 0) | (timeStamp != nil ? 2 : 0) | (userID != nil ? 4 : 0) | (bodyMassIndexAndHeight != nil ? 8 : 0)
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        write(to: &writer, flags: flags | reservedFlags, withUser: true)
        return writer.bytes
    }

    private func write(to writer: inout ByteWriter, flags: UInt8, withUser: Bool) {
        writer.u8(flags)
        writer.u16(weight)
        if let timeStamp { writer.dateTime(timeStamp) }
        if withUser, let userID { writer.u8(userID) }
        if let both = bodyMassIndexAndHeight {
            writer.u16(both.bodyMassIndex)
            writer.u16(both.height)
        }
    }

    /// `2a9d/1`: the frame without user and reserved flags.
    public var measurement: Measurement {
        var stored = ByteWriter()
        write(to: &stored, flags: flags & ~4, withUser: false)
        let stamp = TimeStamp(timeStamp)
        var quantities = [FixedResolution.weight(weight, isImperial)]
        if let both = bodyMassIndexAndHeight {
            quantities.append(
                Quantity(
                    .bodyMassIndex, type: .bodyMassIndex, value: FixedResolution.value(both.bodyMassIndex, 1, exponent: -1),
                    unit: .kilogramPerSquareMetre))
            quantities.append(FixedResolution.height(both.height, isImperial))
        }
        return Measurement(
            kind: .bodyWeight, quantities: quantities, deviceTime: stamp.deviceTime, userIndex: BloodPressureStatus.user(userID),
            isDeviceClockUnset: stamp.isUnset,
            projection: StoredProjection(codec: "2a9d/1", bytes: stored.bytes, distinguishes: stamp.deviceTime != nil),
            warnings: reservedWarning("flag", UInt32(reservedFlags)) + stamp.warnings)
    }
}

/// Whole numbers of a stated step, as scales send them.
enum FixedResolution {
    /// `steps` × `factor` × 10^`exponent`; 0xFFFF is "no value".
    static func value(_ steps: UInt16, _ factor: Int64, exponent: Int) -> MeasuredValue {
        steps == 0xFFFF ? .special(.absent) : .number(ExactDecimal(mantissa: Int64(steps) * factor, exponent: exponent))
    }

    static func mass(_ steps: UInt16, _ isImperial: Bool) -> MeasuredValue {
        isImperial ? value(steps, 1, exponent: -2) : value(steps, 5, exponent: -3)
    }

    static func massUnit(_ isImperial: Bool) -> UCUM { isImperial ? .pound : .kilogram }

    static func weight(_ steps: UInt16, _ isImperial: Bool) -> Quantity {
        Quantity(.weight, type: .bodyWeight, value: mass(steps, isImperial), unit: massUnit(isImperial))
    }

    static func height(_ steps: UInt16, _ isImperial: Bool) -> Quantity {
        Quantity(
            .height, type: .bodyHeight, value: isImperial ? value(steps, 1, exponent: -1) : value(steps, 1, exponent: -3),
            unit: isImperial ? .inch : .metre)
    }
}
