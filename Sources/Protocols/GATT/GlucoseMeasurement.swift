public import Vitals

/// Glucose Measurement 2A18 (notified):
///
///     flags u8 | sequence u16 | base time 7 | [b0 time offset s16, minutes] | [b1 concentration SFLOAT, type and location u8]
///     | [b3 sensor status u16]
///
/// Flag b2: 0 kg/L, 1 mol/L; b4: a context 2A34 with the same sequence number follows; b5 to b7 are reserved. The user's time
/// is base time plus offset. Source: Glucose Service 1.0.1, Bluetooth GSS.
public struct GlucoseMeasurement: MeasurementValue {
    public static let uuid = GATTCharacteristic.glucoseMeasurement

    public var sequence: UInt16
    public var baseTime: LocalDateTime
    /// Minutes; 0x7FFF is overrun, -0x8000 underrun: the user's time is then not known.
    public var timeOffset: Int16?
    public var concentration: Concentration?
    public var status: UInt16?
    public var isMolePerLitre: Bool
    public var hasContext: Bool
    /// Flag bits 5 to 7 as sent.
    public var reservedFlags: UInt8

    public struct Concentration: Hashable, Sendable {
        public var value: SFloat
        /// 4 bits: see ``SampleType``.
        public var type: UInt8
        /// 4 bits: see ``SampleLocation``.
        public var location: UInt8
        public init(value: SFloat, type: UInt8, location: UInt8) {
            self.value = value
            self.type = type & 0xF
            self.location = location & 0xF
        }
    }

    public enum SampleType: UInt8, Hashable, Sendable, CaseIterable {
        case capillaryWholeBlood = 1
        case capillaryPlasma = 2
        case venousWholeBlood = 3
        case venousPlasma = 4
        case arterialWholeBlood = 5
        case arterialPlasma = 6
        case undeterminedWholeBlood = 7
        case undeterminedPlasma = 8
        case interstitialFluid = 9
        case controlSolution = 10

        public var name: String {
            switch self {
            case .capillaryWholeBlood: "capillary-whole-blood"
            case .capillaryPlasma: "capillary-plasma"
            case .venousWholeBlood: "venous-whole-blood"
            case .venousPlasma: "venous-plasma"
            case .arterialWholeBlood: "arterial-whole-blood"
            case .arterialPlasma: "arterial-plasma"
            case .undeterminedWholeBlood: "undetermined-whole-blood"
            case .undeterminedPlasma: "undetermined-plasma"
            case .interstitialFluid: "interstitial-fluid"
            case .controlSolution: "control-solution"
            }
        }

        var code: MDC {
            switch self {
            case .capillaryWholeBlood: .glucoseCapillaryWholeBlood
            case .capillaryPlasma: .glucoseCapillaryPlasma
            case .venousWholeBlood: .glucoseVenousWholeBlood
            case .venousPlasma: .glucoseVenousPlasma
            case .arterialWholeBlood: .glucoseArterialWholeBlood
            case .arterialPlasma: .glucoseArterialPlasma
            case .undeterminedWholeBlood: .glucoseUndeterminedWholeBlood
            case .undeterminedPlasma: .glucoseUndeterminedPlasma
            case .interstitialFluid: .glucoseInterstitialFluid
            case .controlSolution: .glucoseControlSolution
            }
        }
    }

    public enum SampleLocation: UInt8, Hashable, Sendable, CaseIterable {
        case finger = 1
        case alternateSite = 2
        case earlobe = 3
        case controlSolution = 4
        case notAvailable = 15

        public var name: String {
            switch self {
            case .finger: "finger"
            case .alternateSite: "alternate-site"
            case .earlobe: "earlobe"
            case .controlSolution: "control-solution"
            case .notAvailable: "not-available"
            }
        }
    }

    public var sampleType: SampleType? { concentration.flatMap { SampleType(rawValue: $0.type) } }
    public var sampleLocation: SampleLocation? { concentration.flatMap { SampleLocation(rawValue: $0.location) } }

    public init(
        sequence: UInt16, baseTime: LocalDateTime, timeOffset: Int16? = nil, concentration: Concentration? = nil,
        status: UInt16? = nil, isMolePerLitre: Bool = false, hasContext: Bool = false, reservedFlags: UInt8 = 0
    ) {
        self.sequence = sequence
        self.baseTime = baseTime
        self.timeOffset = timeOffset
        self.concentration = concentration
        self.status = status
        self.isMolePerLitre = isMolePerLitre
        self.hasContext = hasContext
        self.reservedFlags = reservedFlags & 0xE0
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let flags = try reader.u8("flags")
        sequence = try reader.u16("sequence number")
        baseTime = try reader.dateTime("base time")
        timeOffset = flags & 1 != 0 ? try reader.i16("time offset") : nil
        if flags & 2 != 0 {
            let value = SFloat(bits: try reader.u16("glucose concentration"))
            let sample = try reader.u8("type and sample location")
            concentration = Concentration(value: value, type: sample & 0xF, location: sample >> 4)
        } else {
            concentration = nil
        }
        isMolePerLitre = flags & 4 != 0
        status = flags & 8 != 0 ? try reader.u16("sensor status") : nil
        hasContext = flags & 16 != 0
        reservedFlags = flags & 0xE0
        try reader.finish()
    }

    private var flags: UInt8 {
        (timeOffset != nil ? 1 : 0) | (concentration != nil ? 2 : 0) | (isMolePerLitre ? 4 : 0) | (status != nil ? 8 : 0)
            | (hasContext ? 16 : 0)
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        writer.u8(flags | reservedFlags)
        writer.u16(sequence)
        writer.dateTime(baseTime)
        if let timeOffset { writer.u16(UInt16(bitPattern: timeOffset)) }
        writeSample(to: &writer)
        if let status { writer.u16(status) }
        return writer.bytes
    }

    private func writeSample(to writer: inout ByteWriter) {
        guard let concentration else { return }
        writer.u16(concentration.value.bits)
        writer.u8(concentration.location << 4 | concentration.type)
    }

    static let statusTable: [StatusBit] = [
        (0, .batteryLow), (1, .sensorMalfunctioning), (2, .sampleInsufficient), (3, .stripInsertionError),
        (4, .stripTypeIncorrect),
        (5, .resultTooHigh), (6, .resultTooLow), (7, .temperatureTooHigh), (8, .temperatureTooLow), (9, .readInterrupted),
        (10, .generalFault), (11, .timeFault),
    ]

    /// Status bit 0 tells of the battery, not of the record.
    private static let batteryLow: UInt16 = 1

    /// `2a18/1`: sequence, base time, unit, concentration and status, without the offset (a meter whose user sets its display's
    /// time may send old records with another), the battery bit and the context flag.
    private var projection: StoredProjection {
        var stored = ByteWriter()
        stored.u8(flags & 0b1110)
        stored.u16(sequence)
        stored.dateTime(baseTime)
        writeSample(to: &stored)
        if let status { stored.u16(status & ~Self.batteryLow) }
        return StoredProjection(codec: "2a18/1", bytes: stored.bytes, distinguishes: true)
    }

    public var measurement: Measurement {
        let stamp = TimeStamp(baseTime)
        let isOffsetUnknown = timeOffset == .max || timeOffset == .min
        var status: Set<StatusFlag> = []
        insertFlags(in: self.status.map(UInt32.init), Self.statusTable, into: &status)
        // By type or by location: meters use either for a test of the meter itself.
        if sampleType == .controlSolution || sampleLocation == .controlSolution { status.insert(.controlSolution) }
        var quantities: [Quantity] = []
        if let concentration {
            quantities.append(
                Quantity(
                    .glucose, type: sampleType?.code ?? .glucose, value: concentration.value.value,
                    unit: isMolePerLitre ? .molePerLitre : .kilogramPerLitre))
        }
        return Measurement(
            kind: .glucose, quantities: quantities, deviceTime: stamp.deviceTime,
            timeOffsetMinutes: isOffsetUnknown ? nil : timeOffset.map(Int.init), sequence: Int(sequence),
            statusBits: self.status.map(UInt32.init), status: status,
            // Without a usable offset nobody knows the time: held, not guessed (R5).
            isDeviceClockUnset: stamp.isUnset || isOffsetUnknown, projection: projection,
            warnings: warnings(stamp, isOffsetUnknown))
    }

    private func warnings(_ stamp: TimeStamp, _ isOffsetUnknown: Bool) -> [String] {
        var warnings = reservedWarning("flag", UInt32(reservedFlags)) + stamp.warnings
        if isOffsetUnknown { warnings.append("time offset overrun or underrun: the time is not known") }
        if let concentration {
            if sampleType == nil { warnings.append("reserved sample type \(concentration.type) ignored") }
            if sampleLocation == nil { warnings.append("reserved sample location \(concentration.location) ignored") }
        }
        return warnings + reservedWarning("status", UInt32((status ?? 0) & 0xF000))
    }
}
