public import Vitals

/// PLX Spot-Check Measurement 2A5E (indicated), at most 19 bytes:
///
///     flags u8 | SpO2, pulse SFLOAT | [b0 time 7] | [b1 measurement status u16] | [b2 sensor status u24] | [b3 amplitude SFLOAT]
///
/// Flag b4: the device's clock is not set; b5 to b7 are reserved. Source: Pulse Oximeter Service 1.0.1, Bluetooth GSS.
public struct PulseOximeterSpotCheck: MeasurementValue {
    public static let uuid = GATTCharacteristic.pulseOximeterSpotCheck

    public var spo2: SFloat
    public var pulseRate: SFloat
    public var timeStamp: LocalDateTime?
    public var status: UInt16?
    /// 24 bits.
    public var sensorStatus: UInt32?
    /// Pulse amplitude index, in percent.
    public var perfusionIndex: SFloat?
    public var isClockUnset: Bool
    /// Flag bits 5 to 7 as sent.
    public var reservedFlags: UInt8

    public init(
        spo2: SFloat, pulseRate: SFloat, timeStamp: LocalDateTime? = nil, status: UInt16? = nil, sensorStatus: UInt32? = nil,
        perfusionIndex: SFloat? = nil, isClockUnset: Bool = false, reservedFlags: UInt8 = 0
    ) {
        self.spo2 = spo2
        self.pulseRate = pulseRate
        self.timeStamp = timeStamp
        self.status = status
        self.sensorStatus = sensorStatus.map { $0 & 0xFF_FFFF }
        self.perfusionIndex = perfusionIndex
        self.isClockUnset = isClockUnset
        self.reservedFlags = reservedFlags & Self.reserved
    }

    private static let reserved: UInt8 = 0b1110_0000

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let flags = try reader.u8("flags")
        spo2 = SFloat(bits: try reader.u16("oxygen saturation"))
        pulseRate = SFloat(bits: try reader.u16("pulse rate"))
        timeStamp = flags & 1 != 0 ? try reader.dateTime("time stamp") : nil
        status = flags & 2 != 0 ? try reader.u16("measurement status") : nil
        sensorStatus = flags & 4 != 0 ? try reader.u24("device and sensor status") : nil
        perfusionIndex = flags & 8 != 0 ? SFloat(bits: try reader.u16("pulse amplitude index")) : nil
        isClockUnset = flags & 16 != 0
        reservedFlags = flags & Self.reserved
        try reader.finish()
    }

    private var presence: UInt8 {
        (timeStamp != nil ? 1 : 0) | (status != nil ? 2 : 0) | (sensorStatus != nil ? 4 : 0) | (perfusionIndex != nil ? 8 : 0)
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        write(to: &writer, flags: presence | (isClockUnset ? 16 : 0) | reservedFlags, status: status)
        return writer.bytes
    }

    private func write(to writer: inout ByteWriter, flags: UInt8, status: UInt16?) {
        writer.u8(flags)
        writer.u16(spo2.bits)
        writer.u16(pulseRate.bits)
        if let timeStamp { writer.dateTime(timeStamp) }
        if let status { writer.u16(status) }
        if let sensorStatus { writer.u24(sensorStatus) }
        if let perfusionIndex { writer.u16(perfusionIndex.bits) }
    }

    /// `2a5e/1`: the frame without reserved flags, without the clock flag, which tells of the clock now, and without "from
    /// storage", which tells how the record came.
    public var measurement: Measurement {
        var stored = ByteWriter()
        write(to: &stored, flags: presence, status: status.map { $0 & ~OximeterStatus.fromStorage })
        let stamp = TimeStamp(timeStamp)
        var quantities: [Quantity] = []
        quantities.reserveCapacity(3)
        quantities.append(Quantity(.spo2, type: .oxygenSaturation, value: spo2.value, unit: .percent))
        quantities.append(Quantity(.pulseRate, type: .pulseRateOximeter, value: pulseRate.value, unit: .perMinute))
        if let perfusionIndex {
            quantities.append(Quantity(.perfusionIndex, type: .perfusionIndex, value: perfusionIndex.value, unit: .percent))
        }
        return Measurement(
            kind: .pulseOximetrySpot, quantities: quantities, deviceTime: stamp.deviceTime, statusBits: status.map(UInt32.init),
            sensorStatusBits: sensorStatus, status: OximeterStatus.flags(status, sensorStatus),
            isDeviceClockUnset: isClockUnset || stamp.isUnset,
            projection: StoredProjection(codec: "2a5e/1", bytes: stored.bytes, distinguishes: stamp.deviceTime != nil),
            warnings: reservedWarning("flag", UInt32(reservedFlags)) + stamp.warnings
                + OximeterStatus.warnings(status, sensorStatus))
    }
}

/// PLX Continuous Measurement 2A5F (notified), at most 20 bytes: one sample of a stream.
///
///     flags u8 | SpO2, pulse SFLOAT | [b0 fast SpO2, pulse] | [b1 slow SpO2, pulse] | [b2 measurement status u16]
///     | [b3 sensor status u24] | [b4 amplitude SFLOAT]
///
/// Flag bits 5 to 7 are reserved. Source: Pulse Oximeter Service 1.0.1, Bluetooth GSS.
public struct PulseOximeterContinuous: MeasurementValue {
    public static let uuid = GATTCharacteristic.pulseOximeterContinuous

    public struct Pair: Hashable, Sendable {
        public var spo2: SFloat
        public var pulseRate: SFloat
        public init(spo2: SFloat, pulseRate: SFloat) {
            self.spo2 = spo2
            self.pulseRate = pulseRate
        }
    }

    public var normal: Pair
    public var fast: Pair?
    public var slow: Pair?
    public var status: UInt16?
    /// 24 bits.
    public var sensorStatus: UInt32?
    public var perfusionIndex: SFloat?
    /// Flag bits 5 to 7 as sent.
    public var reservedFlags: UInt8

    public init(
        spo2: SFloat, pulseRate: SFloat, fast: Pair? = nil, slow: Pair? = nil, status: UInt16? = nil, sensorStatus: UInt32? = nil,
        perfusionIndex: SFloat? = nil, reservedFlags: UInt8 = 0
    ) {
        normal = Pair(spo2: spo2, pulseRate: pulseRate)
        self.fast = fast
        self.slow = slow
        self.status = status
        self.sensorStatus = sensorStatus.map { $0 & 0xFF_FFFF }
        self.perfusionIndex = perfusionIndex
        self.reservedFlags = reservedFlags & Self.reserved
    }

    private static let reserved: UInt8 = 0b1110_0000

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let flags = try reader.u8("flags")
        normal = try Self.pair(&reader)
        fast = flags & 1 != 0 ? try Self.pair(&reader) : nil
        slow = flags & 2 != 0 ? try Self.pair(&reader) : nil
        status = flags & 4 != 0 ? try reader.u16("measurement status") : nil
        sensorStatus = flags & 8 != 0 ? try reader.u24("device and sensor status") : nil
        perfusionIndex = flags & 16 != 0 ? SFloat(bits: try reader.u16("pulse amplitude index")) : nil
        reservedFlags = flags & Self.reserved
        try reader.finish()
    }

    private static func pair(_ reader: inout ByteReader) throws(DecodeError) -> Pair {
        Pair(spo2: SFloat(bits: try reader.u16("oxygen saturation")), pulseRate: SFloat(bits: try reader.u16("pulse rate")))
    }

    private var presence: UInt8 {
        (fast != nil ? 1 : 0) | (slow != nil ? 2 : 0) | (status != nil ? 4 : 0) | (sensorStatus != nil ? 8 : 0)
            | (perfusionIndex != nil ? 16 : 0)
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter()
        write(to: &writer, flags: presence | reservedFlags, status: status)
        return writer.bytes
    }

    private func write(to writer: inout ByteWriter, flags: UInt8, status: UInt16?) {
        writer.u8(flags)
        for pair in [normal, fast, slow] {
            guard let pair else { continue }
            writer.u16(pair.spo2.bits)
            writer.u16(pair.pulseRate.bits)
        }
        if let status { writer.u16(status) }
        if let sensorStatus { writer.u24(sensorStatus) }
        if let perfusionIndex { writer.u16(perfusionIndex.bits) }
    }

    /// `2a5f/1`. A sample has neither time nor number: nothing tells it from an equal one.
    public var measurement: Measurement {
        var stored = ByteWriter()
        write(to: &stored, flags: presence, status: status.map { $0 & ~OximeterStatus.fromStorage })
        var quantities: [Quantity] = []
        quantities.reserveCapacity(7)
        func add(_ pair: Pair?, _ spo2: Quantity.Name, _ pulse: Quantity.Name) {
            guard let pair else { return }
            quantities.append(Quantity(spo2, type: .oxygenSaturation, value: pair.spo2.value, unit: .percent))
            quantities.append(Quantity(pulse, type: .pulseRateOximeter, value: pair.pulseRate.value, unit: .perMinute))
        }
        add(normal, .spo2, .pulseRate)
        add(fast, .spo2Fast, .pulseRateFast)
        add(slow, .spo2Slow, .pulseRateSlow)
        if let perfusionIndex {
            quantities.append(Quantity(.perfusionIndex, type: .perfusionIndex, value: perfusionIndex.value, unit: .percent))
        }
        return Measurement(
            kind: .pulseOximetryContinuous, quantities: quantities, statusBits: status.map(UInt32.init),
            sensorStatusBits: sensorStatus, status: OximeterStatus.flags(status, sensorStatus),
            projection: StoredProjection(codec: "2a5f/1", bytes: stored.bytes, distinguishes: false),
            warnings: reservedWarning("flag", UInt32(reservedFlags)) + OximeterStatus.warnings(status, sensorStatus))
    }
}

/// The two status fields of the oximeter service.
enum OximeterStatus {
    /// Measurement status b9: how the record came, not what it says.
    static let fromStorage: UInt16 = 1 << 9

    static let measurement: [StatusBit] = [
        (5, .ongoing), (6, .earlyEstimate), (7, .validated), (8, .fullyQualified), (9, .fromStorage), (10, .demonstration),
        (11, .testing), (12, .calibrating), (13, .unavailable), (14, .questionable), (15, .invalid),
    ]

    static let sensor: [StatusBit] = [
        (0, .extendedDisplayUpdate), (1, .equipmentMalfunction), (2, .signalProcessingIrregularity), (3, .inadequateSignal),
        (4, .poorSignal), (5, .lowPerfusion), (6, .erraticSignal), (7, .nonpulsatileSignal), (8, .questionablePulse),
        (9, .signalAnalysisOngoing), (10, .sensorInterference), (11, .sensorUnconnectedToUser), (12, .unknownSensor),
        (13, .sensorDisplaced), (14, .sensorMalfunctioning), (15, .sensorDisconnected),
    ]

    static func flags(_ status: UInt16?, _ sensorStatus: UInt32?) -> Set<StatusFlag> {
        guard (status ?? 0) != 0 || (sensorStatus ?? 0) != 0 else { return [] }
        var found: Set<StatusFlag> = []
        insertFlags(in: status.map(UInt32.init), measurement, into: &found)
        insertFlags(in: sensorStatus, sensor, into: &found)
        return found
    }

    static func warnings(_ status: UInt16?, _ sensorStatus: UInt32?) -> [String] {
        reservedWarning("measurement status", UInt32((status ?? 0) & 0x1F))
            + reservedWarning("sensor status", (sensorStatus ?? 0) & 0xFF_0000)
    }
}

/// PLX Features 2A60 (read): `features u16 | [b0 supported measurement status u16] | [b1 supported sensor status u24]`.
public struct PulseOximeterFeatures: CharacteristicValue {
    public static let uuid = GATTCharacteristic.pulseOximeterFeatures

    /// Bits 2 to 7; bits 0 and 1 follow from the two fields below.
    public var bits: UInt16
    public var supportedStatus: UInt16?
    public var supportedSensorStatus: UInt32?

    /// The bits in order, from bit 0.
    public enum Feature: String, Hashable, Sendable, CaseIterable {
        case measurementStatus = "measurement-status"
        case sensorStatus = "sensor-status"
        case measurementStorage = "measurement-storage"
        case timestamp
        case fast
        case slow
        case perfusionIndex = "perfusion-index"
        case multipleBonds = "multiple-bonds"
    }

    public init(features: Set<Feature>, supportedStatus: UInt16? = nil, supportedSensorStatus: UInt32? = nil) {
        bits = Feature.allCases.enumerated().reduce(0) { features.contains($1.element) ? $0 | 1 << UInt16($1.offset) : $0 } & ~3
        self.supportedStatus = supportedStatus
        self.supportedSensorStatus = supportedSensorStatus.map { $0 & 0xFF_FFFF }
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let sent = try reader.u16("features")
        bits = sent & ~3
        supportedStatus = sent & 1 != 0 ? try reader.u16("supported measurement status bits") : nil
        supportedSensorStatus = sent & 2 != 0 ? try reader.u24("supported sensor status bits") : nil
        try reader.finish()
    }

    /// All 16 bits as they stand on the wire.
    public var wireBits: UInt16 { bits & ~3 | (supportedStatus != nil ? 1 : 0) | (supportedSensorStatus != nil ? 2 : 0) }

    public var features: [Feature] {
        Feature.allCases.enumerated().filter { wireBits & 1 << UInt16($0.offset) != 0 }.map(\.element)
    }

    public func has(_ feature: Feature) -> Bool { features.contains(feature) }

    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 7)
        writer.u16(wireBits)
        if let supportedStatus { writer.u16(supportedStatus) }
        if let supportedSensorStatus { writer.u24(supportedSensorStatus) }
        return writer.bytes
    }

    public var warnings: [String] { reservedWarning("feature", UInt32(bits & 0xFF00)) }
}
