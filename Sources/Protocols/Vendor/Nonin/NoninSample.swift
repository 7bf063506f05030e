public import Vitals

/// A sample of data format 8, four bytes once a second, without checksum:
///
///     status 1 | pulse rate b6-0 | SpO2 | status 2
///
/// Status 1: b7 always set, b6 sensor disconnected, b5 out of track, b4 low perfusion, b3 marginal perfusion, b2 artifact, b1-0 bits 8
/// and 7 of the pulse rate. Status 2: b5 SmartPoint, b3 sensor alarm, b0 battery low. Bit 7 of all but the first byte is clear, by
/// which a receiver synchronises. Pulse rate 511 and SpO2 127 say that there is none.
///
/// Source: Nonin 9560 Bluetooth specification, data format 8, by way of open implementations (OpenTele; mattjlewis/NoninPulseOx).
public struct NoninSample: Hashable, Sendable {
    public var status: Status
    /// Per minute, nine bits; 511 where there is none.
    public var pulseRate: UInt16
    /// Percent, for display; 127 where there is none.
    public var spo2: UInt8

    /// Status 1 without the bits of the pulse rate in the high byte, status 2 in the low one.
    public struct Status: OptionSet, Hashable, Sendable {
        public let rawValue: UInt16
        /// Only bits that are no others' on the wire.
        public init(rawValue: UInt16) { self.rawValue = rawValue & 0x7C7F }
        public static let batteryLow = Status(rawValue: 1 << 0)
        public static let sensorAlarm = Status(rawValue: 1 << 3)
        public static let smartPoint = Status(rawValue: 1 << 5)
        public static let artifact = Status(rawValue: 1 << 10)
        public static let marginalPerfusion = Status(rawValue: 1 << 11)
        public static let lowPerfusion = Status(rawValue: 1 << 12)
        public static let outOfTrack = Status(rawValue: 1 << 13)
        public static let sensorDisconnected = Status(rawValue: 1 << 14)
        static let known: Status = [
            .batteryLow, .sensorAlarm, .smartPoint, .artifact, .marginalPerfusion, .lowPerfusion, .outOfTrack,
            .sensorDisconnected,
        ]
    }

    public static let length = 4

    /// Numbers are cut to their bits: nine for the pulse rate, seven for SpO2.
    public init(status: Status = [], pulseRate: UInt16, spo2: UInt8) {
        self.status = status
        self.pulseRate = pulseRate & 0x1FF
        self.spo2 = spo2 & 0x7F
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let fields = try reader.take(Self.length, "sample")
        try reader.finish()
        for (index, byte) in fields.enumerated() where (byte & 0x80 != 0) != (index == 0) {
            throw reader.error(.invalidValue, at: index, "expected bit 7 \(index == 0 ? "set" : "clear")")
        }
        self.init(
            status: Status(rawValue: UInt16(fields[0]) << 8 | UInt16(fields[3])),
            pulseRate: Nonin.pulse(high: fields[0], low: fields[1]), spo2: fields[2])
    }

    public var encoded: [UInt8] {
        [
            0x80 | UInt8(status.rawValue >> 8) | UInt8(pulseRate >> 7), UInt8(pulseRate & 0x7F), spo2,
            UInt8(status.rawValue & 0xFF),
        ]
    }

    /// `nonin-df8/1`. A sample has neither time nor number: nothing tells it from an equal one.
    public var measurement: Measurement {
        Measurement(
            kind: .pulseOximetryContinuous, quantities: [Nonin.spo2(.spo2, spo2), Nonin.pulse(.pulseRate, pulseRate)],
            statusBits: UInt32(status.rawValue), status: status.flags,
            projection: StoredProjection(codec: "nonin-df8/1", bytes: encoded, distinguishes: false),
            warnings: reservedWarning("status", UInt32(status.subtracting(.known).rawValue)))
    }
}

extension NoninSample.Status {
    /// In the words of the oximeter profile. Nonin's marginal perfusion is PLX's low perfusion; its low perfusion is that and a poor
    /// signal. A sensor alarm is what a finger that was taken out gives.
    var flags: Set<StatusFlag> {
        var flags: Set<StatusFlag> = []
        if contains(.batteryLow) { flags.insert(.batteryLow) }
        if contains(.sensorAlarm) { flags.insert(.sensorUnconnectedToUser) }
        if contains(.smartPoint) { flags.insert(.fullyQualified) }
        if contains(.artifact) { flags.insert(.erraticSignal) }
        if contains(.marginalPerfusion) { flags.insert(.lowPerfusion) }
        if contains(.lowPerfusion) { flags.formUnion([.lowPerfusion, .poorSignal]) }
        if contains(.outOfTrack) { flags.insert(.inadequateSignal) }
        if contains(.sensorDisconnected) { flags.insert(.sensorDisconnected) }
        return flags
    }
}
