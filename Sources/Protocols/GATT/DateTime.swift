public import Vitals

/// Date Time 2A08: `year u16 | month | day | hour | minute | second`, 7 bytes, the device's wall time without zone.
///
/// 0 as year, month or day means that it is not known (Bluetooth GSS, Date Time). Fields are kept as sent, valid or not.
public struct DateTime: CharacteristicValue {
    public static let uuid = GATTCharacteristic.dateTime
    public static let length = 7

    public var time: LocalDateTime

    public init(_ time: LocalDateTime) { self.time = time }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        time = try reader.dateTime("date and time")
        try reader.finish()
    }

    /// A field that does not fit its byte is written as the nearest value that does.
    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: Self.length)
        writer.dateTime(time)
        return writer.bytes
    }

    public var warnings: [String] { TimeStamp(time).warnings }
}

/// Current Time 2A2B: `Date Time | day of week | fractions of 1/256 s | adjust reason`, 10 bytes (Current Time Service 1.1).
///
/// Some cuffs write and read the 7 bytes of a Date Time here; they are read, and ``isShort`` tells.
public struct CurrentTime: CharacteristicValue {
    public static let uuid = GATTCharacteristic.currentTime

    public var time: LocalDateTime
    /// 1 Monday ... 7 Sunday, 0 not known.
    public var dayOfWeek: UInt8
    /// 1/256 seconds.
    public var fractions: UInt8
    public var adjustReason: AdjustReason
    /// Only date and time were sent.
    public var isShort: Bool

    public struct AdjustReason: OptionSet, Hashable, Sendable {
        public let rawValue: UInt8
        public init(rawValue: UInt8) { self.rawValue = rawValue }
        public static let manualUpdate = AdjustReason(rawValue: 1 << 0)
        public static let externalReference = AdjustReason(rawValue: 1 << 1)
        public static let timeZoneChange = AdjustReason(rawValue: 1 << 2)
        public static let daylightSavingChange = AdjustReason(rawValue: 1 << 3)
    }

    public init(
        _ time: LocalDateTime, dayOfWeek: UInt8, fractions: UInt8 = 0, adjustReason: AdjustReason = [], isShort: Bool = false
    ) {
        self.time = time
        self.dayOfWeek = dayOfWeek
        self.fractions = fractions
        self.adjustReason = adjustReason
        self.isShort = isShort
    }

    /// The value to set a clock with: the day of the week follows from the date.
    public init(setting time: LocalDateTime) {
        // 1970-01-01 was a Thursday, day 4.
        let days = (time.secondsSince1970 - Int64(time.hour) * 3_600 - Int64(time.minute) * 60 - Int64(time.second)) / 86_400
        let day = UInt8(((days + 3) % 7 + 7) % 7 + 1)
        self.init(time, dayOfWeek: day, adjustReason: [.externalReference])
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        time = try reader.dateTime("date and time")
        isShort = reader.remaining == 0
        dayOfWeek = isShort ? 0 : try reader.u8("day of week")
        fractions = isShort ? 0 : try reader.u8("fractions of a second")
        adjustReason = AdjustReason(rawValue: isShort ? 0 : try reader.u8("adjust reason"))
        try reader.finish()
        guard dayOfWeek <= 7 else { throw reader.error(.invalidValue, at: 7, "expected a day of the week of 0 to 7") }
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 10)
        writer.dateTime(time)
        if !isShort {
            writer.u8(dayOfWeek)
            writer.u8(fractions)
            writer.u8(adjustReason.rawValue)
        }
        return writer.bytes
    }

    public var warnings: [String] {
        TimeStamp(time).warnings
            + (isShort ? ["only 7 of 10 bytes: no day of the week, fractions or adjust reason"] : [])
            + reservedWarning("adjust reason", UInt32(adjustReason.rawValue & 0xF0))
    }
}

/// Date of Birth 2A85: `year u16 | month | day`, 0 where not known (User Data Service 1.1).
public struct DateOfBirth: CharacteristicValue {
    public static let uuid = GATTCharacteristic.dateOfBirth

    public var year: UInt16
    public var month: UInt8
    public var day: UInt8

    public init(year: UInt16, month: UInt8, day: UInt8) {
        self.year = year
        self.month = month
        self.day = day
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        year = try reader.u16("year of birth")
        month = try reader.u8("month of birth")
        day = try reader.u8("day of birth")
        try reader.finish()
        guard month <= 12 else { throw reader.error(.invalidValue, at: 2, "expected a month of 0 to 12") }
        guard day <= 31 else { throw reader.error(.invalidValue, at: 3, "expected a day of 0 to 31") }
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 4)
        writer.u16(year)
        writer.u8(month)
        writer.u8(day)
        return writer.bytes
    }
}

extension ByteReader {
    @inline(__always)
    mutating func dateTime(_ field: StaticString) throws(DecodeError) -> LocalDateTime {
        LocalDateTime(
            year: Int(try u16(field)), month: Int(try u8(field)), day: Int(try u8(field)), hour: Int(try u8(field)),
            minute: Int(try u8(field)), second: Int(try u8(field)))
    }
}

extension ByteWriter {
    mutating func dateTime(_ time: LocalDateTime) {
        u16(UInt16(clamping: time.year))
        u8(UInt8(clamping: time.month))
        u8(UInt8(clamping: time.day))
        u8(UInt8(clamping: time.hour))
        u8(UInt8(clamping: time.minute))
        u8(UInt8(clamping: time.second))
    }
}

/// A measurement's timestamp field, judged: absent, unset, or a time that may be invalid.
struct TimeStamp {
    /// The time as sent; `nil` where there is none or where its date is not known.
    let deviceTime: LocalDateTime?
    /// The device sent the field but knows no date.
    let isUnset: Bool

    init(_ sent: LocalDateTime?) {
        let hasDate = sent.map { $0.year != 0 && $0.month != 0 && $0.day != 0 } ?? false
        deviceTime = hasDate ? sent : nil
        isUnset = sent != nil && !hasDate
    }

    var warnings: [String] {
        guard let deviceTime, !deviceTime.isValid else { return [] }
        return ["the device's time is no valid date and time"]
    }
}
