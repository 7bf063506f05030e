public import Vitals

/// A spot-check of data format 13, 21 bytes or more, multi-byte fields most significant byte first:
///
///     [00] | 02 | 00 0D | length u16 | data | checksum u8 | 03
///     data: century, year, month, day, hour, minute, second, hundredths (BCD) | status u16 | pulse u16 | reserved u8 | SpO2 u8
///
/// The zero in front lets the receiver synchronise; it is no part of the packet, and kept where it was sent. The length is 14; later
/// firmware may append to the data. The checksum is the least significant byte of the sum of the data alone.
///
/// Status: b9 SmartPoint, b8 no measurement, b4 from memory, b0 battery low. Source: Nonin 9560 Bluetooth specification, data format
/// 13, by way of open implementations (OpenTele; mattjlewis/NoninPulseOx), whose test packets stand in the tests.
public struct NoninSpotCheck: Hashable, Sendable {
    /// On the device's own clock.
    public var time: LocalDateTime
    /// 1/100 seconds of ``time``.
    public var hundredths: UInt8
    public var status: Status
    /// Per minute; 511 where there is none.
    public var pulseRate: UInt16
    public var reserved: UInt8
    /// Percent; 127 where there is none.
    public var spo2: UInt8
    /// Data after those that are known here.
    public var further: [UInt8]
    /// Whether the zero in front was sent.
    public var hasStartByte: Bool

    public struct Status: OptionSet, Hashable, Sendable {
        public let rawValue: UInt16
        public init(rawValue: UInt16) { self.rawValue = rawValue }
        public static let batteryLow = Status(rawValue: 1 << 0)
        public static let fromMemory = Status(rawValue: 1 << 4)
        public static let noMeasurement = Status(rawValue: 1 << 8)
        /// The maker's SmartPoint algorithm found the measurement to be one of high quality.
        public static let smartPoint = Status(rawValue: 1 << 9)
        static let known: Status = [.batteryLow, .fromMemory, .noMeasurement, .smartPoint]
        /// What belongs to the record, not to how and when it was sent.
        static let stored: Status = [.noMeasurement, .smartPoint]
    }

    /// The packet type in front of the length.
    static let packetType: UInt16 = 0x000D
    static let shortestData = 14

    public init(
        time: LocalDateTime, hundredths: UInt8 = 0, status: Status = [], pulseRate: UInt16, reserved: UInt8 = 0, spo2: UInt8,
        further: [UInt8] = [], hasStartByte: Bool = true
    ) {
        self.time = time
        self.hundredths = hundredths
        self.status = status
        self.pulseRate = pulseRate
        self.reserved = reserved
        self.spo2 = spo2
        self.further = further
        self.hasStartByte = hasStartByte
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        hasStartByte = bytes.first == 0
        if hasStartByte { _ = try reader.u8("start byte") }
        let start = reader.offset
        guard try reader.u8("start of text") == Nonin.startOfText else {
            throw reader.error(.invalidValue, at: start, "expected start of text (02)")
        }
        guard try reader.u16BigEndian("packet type") == Self.packetType else {
            throw reader.error(.reservedOpcode, at: start + 1, "expected packet type 000d")
        }
        let length = Int(try reader.u16BigEndian("data length"))
        guard length >= Self.shortestData else {
            throw reader.error(.invalidValue, at: start + 3, "expected a data length of 14 or more")
        }
        let dataStart = reader.offset
        let data = try reader.take(length, "spot-check data")
        let sum = try reader.u8("checksum")
        let end = try reader.u8("end of text")
        try reader.finish()
        guard sum == Nonin.checksum(data) else {
            throw reader.error(.checksumMismatch, at: dataStart + length, "the checksum is not that of the data")
        }
        guard end == Nonin.endOfText else {
            throw reader.error(.invalidValue, at: dataStart + length + 1, "expected end of text (03)")
        }
        var digits: [Int] = []
        for (index, byte) in data.prefix(8).enumerated() {
            guard byte >> 4 < 10, byte & 0xF < 10 else {
                throw reader.error(.invalidValue, at: dataStart + index, "expected two decimal digits")
            }
            digits.append(Int(byte >> 4) * 10 + Int(byte & 0xF))
        }
        time = LocalDateTime(
            year: digits[0] * 100 + digits[1], month: digits[2], day: digits[3], hour: digits[4], minute: digits[5],
            second: digits[6])
        hundredths = UInt8(digits[7])
        status = Status(rawValue: UInt16(data[8]) << 8 | UInt16(data[9]))
        pulseRate = UInt16(data[10]) << 8 | UInt16(data[11])
        reserved = data[12]
        spo2 = data[13]
        further = Array(data[14...])
    }

    /// A field of the time that does not fit two digits is written as the nearest value that does.
    private var clock: [UInt8] {
        [time.year / 100, time.year % 100, time.month, time.day, time.hour, time.minute, time.second, Int(hundredths)].map {
            let number = UInt8(min(max($0, 0), 99))
            return (number / 10) << 4 | number % 10
        }
    }

    private static func bigEndian(_ number: UInt16) -> [UInt8] { [UInt8(number >> 8), UInt8(number & 0xFF)] }

    public var encoded: [UInt8] {
        let data =
            clock + Self.bigEndian(status.rawValue) + Self.bigEndian(pulseRate) + [reserved, spo2] + further
        return (hasStartByte ? [0] : []) + [Nonin.startOfText] + Self.bigEndian(Self.packetType)
            + Self.bigEndian(UInt16(clamping: data.count)) + data + [Nonin.checksum(data), Nonin.endOfText]
    }

    /// `nonin-df13/1`: the stamp, both numbers, and of the status what does not tell how or when the record was sent.
    public var measurement: Measurement {
        let stamp = TimeStamp(time)
        var flags: Set<StatusFlag> = []
        // SmartPoint is the device's own word that the reading stands, as PLX has it in "fully qualified".
        if status.contains(.smartPoint) { flags.insert(.fullyQualified) }
        if status.contains(.noMeasurement) { flags.insert(.unavailable) }
        if status.contains(.fromMemory) { flags.insert(.fromStorage) }
        if status.contains(.batteryLow) { flags.insert(.batteryLow) }
        return Measurement(
            kind: .pulseOximetrySpot, quantities: [Nonin.spo2(.spo2, spo2), Nonin.pulse(.pulseRate, pulseRate)],
            deviceTime: stamp.deviceTime, statusBits: UInt32(status.rawValue), status: flags, isDeviceClockUnset: stamp.isUnset,
            projection: StoredProjection(
                codec: "nonin-df13/1",
                bytes: clock + Self.bigEndian(status.intersection(.stored).rawValue) + Self.bigEndian(pulseRate) + [spo2],
                distinguishes: stamp.deviceTime != nil),
            warnings: reservedWarning("status", UInt32(status.subtracting(.known).rawValue)) + stamp.warnings
                + (further.isEmpty ? [] : ["\(further.count) bytes after the known data ignored"]))
    }
}
