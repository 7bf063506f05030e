public import Vitals

/// Enhanced Blood Pressure Measurement 2B34 (indicated), at most 24 bytes:
///
///     flags u8 | systolic, diastolic, mean SFLOAT | [b1 time stamp u32] | [b2 pulse SFLOAT] | [b3 user u8] | [b4 status u16]
///     | [b5 user-facing time u32]
///
/// Flag b0: kPa; b6: times count seconds from 2000-01-01, else from 1900-01-01; b7 is reserved. The time stamp counts UTC, the
/// user-facing time what the display shows. Source: Blood Pressure Service 1.1.1, Bluetooth GSS.
public struct EnhancedBloodPressureMeasurement: MeasurementValue {
    public static let uuid = GATTCharacteristic.enhancedBloodPressureMeasurement

    public var isKilopascal: Bool
    public var systolic: SFloat
    public var diastolic: SFloat
    public var mean: SFloat
    /// Seconds from the epoch, in UTC; 0 is unset.
    public var timeStamp: UInt32?
    public var pulseRate: SFloat?
    public var userID: UInt8?
    public var status: UInt16?
    /// Seconds from the epoch, on the clock that the user sees; 0 is unset.
    public var userFacingTime: UInt32?
    /// Seconds from 2000-01-01, else from 1900-01-01.
    public var countsFrom2000: Bool
    /// Flag bit 7 as sent.
    public var reservedFlags: UInt8

    public init(
        isKilopascal: Bool = false, systolic: SFloat, diastolic: SFloat, mean: SFloat = .notANumber, timeStamp: UInt32? = nil,
        pulseRate: SFloat? = nil, userID: UInt8? = nil, status: UInt16? = nil, userFacingTime: UInt32? = nil,
        countsFrom2000: Bool = true, reservedFlags: UInt8 = 0
    ) {
        self.isKilopascal = isKilopascal
        self.systolic = systolic
        self.diastolic = diastolic
        self.mean = mean
        self.timeStamp = timeStamp
        self.pulseRate = pulseRate
        self.userID = userID
        self.status = status
        self.userFacingTime = userFacingTime
        self.countsFrom2000 = countsFrom2000
        self.reservedFlags = reservedFlags & 0x80
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let flags = try reader.u8("flags")
        isKilopascal = flags & 1 != 0
        systolic = SFloat(bits: try reader.u16("systolic pressure"))
        diastolic = SFloat(bits: try reader.u16("diastolic pressure"))
        mean = SFloat(bits: try reader.u16("mean pressure"))
        timeStamp = flags & 2 != 0 ? try reader.u32("time stamp") : nil
        pulseRate = flags & 4 != 0 ? SFloat(bits: try reader.u16("pulse rate")) : nil
        userID = flags & 8 != 0 ? try reader.u8("user id") : nil
        status = flags & 16 != 0 ? try reader.u16("measurement status") : nil
        userFacingTime = flags & 32 != 0 ? try reader.u32("user-facing time") : nil
        countsFrom2000 = flags & 64 != 0
        reservedFlags = flags & 0x80
        try reader.finish()
    }

    /// The length that the flags call for.
    static func length(flags: UInt8) -> Int {
        7 + (flags & 2 != 0 ? 4 : 0) + (flags & 4 != 0 ? 2 : 0) + (flags & 8 != 0 ? 1 : 0) + (flags & 16 != 0 ? 2 : 0)
            + (flags & 32 != 0 ? 4 : 0)
    }

    private var flags: UInt8 {
        (isKilopascal ? 1 : 0) | (timeStamp != nil ? 2 : 0) | (pulseRate != nil ? 4 : 0) | (userID != nil ? 8 : 0)
            | (status != nil ? 16 : 0) | (userFacingTime != nil ? 32 : 0) | (countsFrom2000 ? 64 : 0)
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
        if let timeStamp { writer.u32(timeStamp) }
        if let pulseRate { writer.u16(pulseRate.bits) }
        if withUser, let userID { writer.u8(userID) }
        if let status { writer.u16(status) }
        if let userFacingTime { writer.u32(userFacingTime) }
    }

    /// A count of seconds as calendar fields; `nil` for 0, which is unset.
    public func time(_ seconds: UInt32?) -> LocalDateTime? {
        guard let seconds, seconds != 0 else { return nil }
        return LocalDateTime(secondsSince1970: Int64(seconds) + (countsFrom2000 ? 946_684_800 : -2_208_988_800))
    }

    public var unit: UCUM { isKilopascal ? .kilopascal : .millimetreOfMercury }

    public var measurement: Measurement { measurement(kind: .bloodPressure, codec: "2b34/1") }

    /// `2b34/1`: the frame without user and reserved flags. The device time is the user-facing time, else the time stamp.
    func measurement(kind: Measurement.Kind, codec: String) -> Measurement {
        var stored = ByteWriter()
        write(to: &stored, flags: flags & ~8, withUser: false)
        let deviceTime = time(userFacingTime) ?? time(timeStamp)
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
        var warnings = reservedWarning("flag", UInt32(reservedFlags)) + BloodPressureStatus.warnings(status)
        if deviceTime != nil, time(userFacingTime) == nil {
            warnings.append("no user-facing time: the time is the time stamp, which counts UTC")
        }
        return Measurement(
            kind: kind, quantities: quantities, deviceTime: deviceTime, userIndex: BloodPressureStatus.user(userID),
            statusBits: status.map(UInt32.init), status: BloodPressureStatus.flags(status),
            isDeviceClockUnset: deviceTime == nil && (timeStamp != nil || userFacingTime != nil),
            projection: StoredProjection(codec: codec, bytes: stored.bytes, distinguishes: deviceTime != nil), warnings: warnings)
    }
}

/// Enhanced Intermediate Cuff Pressure 2B35 (notified): the layout of 2B34 with the pressure of the moment as systolic. Never a
/// result.
public struct EnhancedIntermediateCuffPressure: MeasurementValue {
    public static let uuid = GATTCharacteristic.enhancedIntermediateCuffPressure

    public var layout: EnhancedBloodPressureMeasurement

    public init(_ pressure: SFloat, isKilopascal: Bool = false) {
        layout = EnhancedBloodPressureMeasurement(isKilopascal: isKilopascal, systolic: pressure, diastolic: .notANumber)
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) { layout = try EnhancedBloodPressureMeasurement(decoding: bytes) }

    public var encoded: [UInt8] { layout.encoded }

    public var measurement: Measurement { layout.measurement(kind: .cuffPressure, codec: "2b35/1") }
}
