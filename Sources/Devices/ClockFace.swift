import Protocols
import Vitals

/// A device clock's characteristic: Current Time (2A2B) or Date Time (2A08, some makers' inside their 0x1810).
struct ClockFace {
    /// A face this many seconds off is set right. A minute is what cuffs show; less is drift between two transfers.
    static let tolerance: Int64 = 60

    var characteristic: BluetoothUUID
    /// The device's Current Time has the 7 octets of a Date Time, and so it is written.
    var isShort = false

    /// The time on the face; `nil` where it is unset (a field 0) or unreadable.
    mutating func time(in value: [UInt8]) -> LocalDateTime? {
        isShort = value.count == DateTime.length
        // The date is at the front of both; a strange day of the week or fraction says nothing against it.
        guard let time = try? DateTime(decoding: Array(value.prefix(DateTime.length))).time, time.isValid else { return nil }
        return time
    }

    /// What to write for a time.
    func value(for time: LocalDateTime) -> [UInt8] {
        characteristic == .currentTime && !isShort ? CurrentTime(setting: time).encoded : DateTime(time).encoded
    }
}

extension ClockReading {
    /// The hub's wall clock on the face of a local clock.
    var localFace: LocalDateTime {
        let local = wall.milliseconds + Int64(offsetMinutes) * 60_000
        return LocalDateTime(secondsSince1970: (local - ((local % 1_000) + 1_000) % 1_000) / 1_000)
    }
}
