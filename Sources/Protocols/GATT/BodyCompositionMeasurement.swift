public import Vitals

/// Body Composition Measurement 2A9C (indicated):
///
///     flags u16 | fat u16 × 0.1 % | [b1 time 7] | [b2 user u8] | [b3 basal metabolism u16 kJ] | [b4 muscle u16 × 0.1 %]
///     | [b5 muscle mass] | [b6 fat-free mass] | [b7 soft lean mass] | [b8 body water mass] | [b9 impedance u16 × 0.1 ohm]
///     | [b10 weight] | [b11 height]
///
/// Masses in steps of 0.005 kg or, with b0, 0.01 lb. b12: one of two indications for one measurement; b13 to b15 are reserved.
/// 0xFFFF as fat: the measurement was unsuccessful. Source: Body Composition Service 1.0.1, Bluetooth GSS.
public struct BodyCompositionMeasurement: MeasurementValue {
    public static let uuid = GATTCharacteristic.bodyCompositionMeasurement

    public var isImperial: Bool
    /// In steps of 0.1 %.
    public var bodyFat: UInt16
    public var timeStamp: LocalDateTime?
    public var userID: UInt8?
    /// In kilojoules.
    public var basalMetabolism: UInt16?
    /// In steps of 0.1 %.
    public var musclePercentage: UInt16?
    public var muscleMass: UInt16?
    public var fatFreeMass: UInt16?
    public var softLeanMass: UInt16?
    public var bodyWaterMass: UInt16?
    /// In steps of 0.1 ohm.
    public var impedance: UInt16?
    public var weight: UInt16?
    public var height: UInt16?
    /// The rest of the measurement comes in another indication.
    public var isMultiplePacket: Bool
    /// Flag bits 13 to 15 as sent.
    public var reservedFlags: UInt16

    public init(
        isImperial: Bool = false, bodyFat: UInt16, timeStamp: LocalDateTime? = nil, userID: UInt8? = nil,
        basalMetabolism: UInt16? = nil, musclePercentage: UInt16? = nil, muscleMass: UInt16? = nil, fatFreeMass: UInt16? = nil,
        softLeanMass: UInt16? = nil, bodyWaterMass: UInt16? = nil, impedance: UInt16? = nil, weight: UInt16? = nil,
        height: UInt16? = nil, isMultiplePacket: Bool = false, reservedFlags: UInt16 = 0
    ) {
        self.isImperial = isImperial
        self.bodyFat = bodyFat
        self.timeStamp = timeStamp
        self.userID = userID
        self.basalMetabolism = basalMetabolism
        self.musclePercentage = musclePercentage
        self.muscleMass = muscleMass
        self.fatFreeMass = fatFreeMass
        self.softLeanMass = softLeanMass
        self.bodyWaterMass = bodyWaterMass
        self.impedance = impedance
        self.weight = weight
        self.height = height
        self.isMultiplePacket = isMultiplePacket
        self.reservedFlags = reservedFlags & 0xE000
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let flags = try reader.u16("flags")
        isImperial = flags & 1 != 0
        bodyFat = try reader.u16("body fat")
        timeStamp = flags & 1 << 1 != 0 ? try reader.dateTime("time stamp") : nil
        userID = flags & 1 << 2 != 0 ? try reader.u8("user id") : nil
        basalMetabolism = flags & 1 << 3 != 0 ? try reader.u16("basal metabolism") : nil
        musclePercentage = flags & 1 << 4 != 0 ? try reader.u16("muscle percentage") : nil
        muscleMass = flags & 1 << 5 != 0 ? try reader.u16("muscle mass") : nil
        fatFreeMass = flags & 1 << 6 != 0 ? try reader.u16("fat-free mass") : nil
        softLeanMass = flags & 1 << 7 != 0 ? try reader.u16("soft lean mass") : nil
        bodyWaterMass = flags & 1 << 8 != 0 ? try reader.u16("body water mass") : nil
        impedance = flags & 1 << 9 != 0 ? try reader.u16("impedance") : nil
        weight = flags & 1 << 10 != 0 ? try reader.u16("weight") : nil
        height = flags & 1 << 11 != 0 ? try reader.u16("height") : nil
        isMultiplePacket = flags & 1 << 12 != 0
        reservedFlags = flags & 0xE000
        try reader.finish()
    }

    private var flags: UInt16 {
        let fields = [
            basalMetabolism, musclePercentage, muscleMass, fatFreeMass, softLeanMass, bodyWaterMass, impedance, weight, height,
        ]
        var flags: UInt16 = (isImperial ? 1 : 0) | (timeStamp != nil ? 2 : 0) | (userID != nil ? 4 : 0)
        for (index, field) in fields.enumerated() where field != nil { flags |= 1 << UInt16(index + 3) }
        return flags | (isMultiplePacket ? 1 << 12 : 0)
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 32)
        write(to: &writer, flags: flags | reservedFlags, withUser: true)
        return writer.bytes
    }

    private func write(to writer: inout ByteWriter, flags: UInt16, withUser: Bool) {
        writer.u16(flags)
        writer.u16(bodyFat)
        if let timeStamp { writer.dateTime(timeStamp) }
        if withUser, let userID { writer.u8(userID) }
        let fields = [
            basalMetabolism, musclePercentage, muscleMass, fatFreeMass, softLeanMass, bodyWaterMass, impedance, weight, height,
        ]
        for case .some(let field) in fields { writer.u16(field) }
    }

    /// `2a9c/1`: the frame without user and reserved flags.
    public var measurement: Measurement {
        var stored = ByteWriter(capacity: 32)
        write(to: &stored, flags: flags & ~4, withUser: false)
        let stamp = TimeStamp(timeStamp)
        let quantities = self.quantities
        var warnings = reservedWarning("flag", UInt32(reservedFlags)) + stamp.warnings
        if isMultiplePacket { warnings.append("one of two indications for one measurement") }
        // Beurer scales send such a frame before they know anything.
        if quantities.allSatisfy({ $0.value.number?.mantissa == 0 }) {
            warnings.append("every value is 0: perhaps a placeholder")
        }
        return Measurement(
            kind: .bodyComposition, quantities: quantities, deviceTime: stamp.deviceTime,
            userIndex: BloodPressureStatus.user(userID), isDeviceClockUnset: stamp.isUnset,
            projection: StoredProjection(codec: "2a9c/1", bytes: stored.bytes, distinguishes: stamp.deviceTime != nil),
            warnings: warnings)
    }

    private var quantities: [Quantity] {
        var list = [
            Quantity(.bodyFat, type: .bodyFat, value: FixedResolution.value(bodyFat, 1, exponent: -1), unit: .percent)
        ]
        func add(_ steps: UInt16?, _ name: Quantity.Name, _ type: MDC, exponent: Int, _ unit: UCUM) {
            guard let steps else { return }
            list.append(Quantity(name, type: type, value: FixedResolution.value(steps, 1, exponent: exponent), unit: unit))
        }
        func addMass(_ steps: UInt16?, _ name: Quantity.Name, _ type: MDC) {
            guard let steps else { return }
            list.append(
                Quantity(
                    name, type: type, value: FixedResolution.mass(steps, isImperial), unit: FixedResolution.massUnit(isImperial)))
        }
        add(basalMetabolism, .basalMetabolism, .basalMetabolism, exponent: 0, .kilojoule)
        add(musclePercentage, .musclePercentage, .musclePercentage, exponent: -1, .percent)
        addMass(muscleMass, .muscleMass, .muscleMass)
        addMass(fatFreeMass, .fatFreeMass, .fatFreeMass)
        addMass(softLeanMass, .softLeanMass, .softLeanMass)
        addMass(bodyWaterMass, .bodyWaterMass, .bodyWater)
        add(impedance, .impedance, .impedance, exponent: -1, .ohm)
        if let weight { list.append(FixedResolution.weight(weight, isImperial)) }
        if let height { list.append(FixedResolution.height(height, isImperial)) }
        return list
    }
}
