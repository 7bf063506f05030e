/// A moment in UTC, in whole milliseconds since 1970-01-01T00:00:00Z (leap seconds not counted).
///
/// Whole milliseconds and not a floating-point date: formatting a `Double` of seconds turns .123 into .122.
public struct Instant: Hashable, Comparable, Sendable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }
    public init(seconds: Int64) { milliseconds = seconds * 1_000 }

    public static func < (left: Instant, right: Instant) -> Bool { left.milliseconds < right.milliseconds }
    public static func + (instant: Instant, duration: Duration) -> Instant {
        Instant(milliseconds: instant.milliseconds + duration.milliseconds)
    }
    public static func - (instant: Instant, duration: Duration) -> Instant {
        Instant(milliseconds: instant.milliseconds - duration.milliseconds)
    }
    public static func - (left: Instant, right: Instant) -> Duration {
        .milliseconds(left.milliseconds - right.milliseconds)
    }

    /// ISO 8601 with the zone offset: `2026-01-01T10:24:08+01:00`, with milliseconds only where there are any.
    public func iso8601(offsetMinutes: Int) -> String {
        let local = milliseconds + Int64(offsetMinutes) * 60_000
        let seconds = local >= 0 ? local / 1_000 : (local - 999) / 1_000
        let fraction = Int(local - seconds * 1_000)
        let zone = offsetMinutes.magnitude
        return "\(LocalDateTime(secondsSince1970: seconds))"
            + (fraction == 0 ? "" : ".\(padded(fraction, 3))")
            + "\(offsetMinutes < 0 ? "-" : "+")\(padded(Int(zone / 60), 2)):\(padded(Int(zone % 60), 2))"
    }

    /// Reads ISO 8601 with seconds and an offset or `Z`; fractions beyond milliseconds are cut.
    public init?(iso8601 text: some StringProtocol) {
        let characters = Array(text.utf8)
        guard characters.count >= 20, let local = LocalDateTime(String(decoding: characters[0..<19], as: UTF8.self)),
            local.isValid
        else { return nil }
        var position = 19
        var fraction: Int64 = 0
        if characters[position] == UInt8(ascii: ".") {
            position += 1
            var scale: Int64 = 100
            let start = position
            while position < characters.count, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(characters[position]) {
                fraction += Int64(characters[position] - UInt8(ascii: "0")) * scale
                scale /= 10
                position += 1
            }
            guard position > start else { return nil }
        }
        let zone = characters[position...]
        var offset: Int64 = 0
        if !zone.elementsEqual("Z".utf8) {
            guard zone.count == 6, let sign = zone.first, sign == UInt8(ascii: "+") || sign == UInt8(ascii: "-"),
                zone[position + 3] == UInt8(ascii: ":"), let hours = digits(zone[position + 1..<position + 3]),
                let minutes = digits(zone[position + 4..<position + 6]), hours <= 14, minutes < 60
            else { return nil }
            offset = Int64(hours * 60 + minutes) * (sign == UInt8(ascii: "-") ? -1 : 1)
        }
        milliseconds = (local.secondsSince1970 - offset * 60) * 1_000 + fraction
    }
}

extension Instant: CustomStringConvertible {
    /// ISO 8601 in UTC.
    public var description: String { String(iso8601(offsetMinutes: 0).dropLast(6)) + "Z" }
}

extension Duration {
    /// Whole milliseconds, cut towards zero.
    public var milliseconds: Int64 {
        let (seconds, attoseconds) = components
        return seconds * 1_000 + attoseconds / 1_000_000_000_000_000
    }
}

/// A time of the machine's own since it started (CLOCK_BOOTTIME), in milliseconds: never set, never jumps.
public struct MonotonicTime: Hashable, Comparable, Sendable {
    public var milliseconds: Int64

    public init(milliseconds: Int64) { self.milliseconds = milliseconds }

    public static func < (left: MonotonicTime, right: MonotonicTime) -> Bool { left.milliseconds < right.milliseconds }
    public static func + (time: MonotonicTime, duration: Duration) -> MonotonicTime {
        MonotonicTime(milliseconds: time.milliseconds + duration.milliseconds)
    }
    public static func - (left: MonotonicTime, right: MonotonicTime) -> Duration {
        .milliseconds(left.milliseconds - right.milliseconds)
    }
}

/// When something was measured: the moment, and the zone offset that held there.
public struct MeasuredTime: Hashable, Sendable {
    public var instant: Instant
    public var offsetMinutes: Int

    public init(_ instant: Instant, offsetMinutes: Int) {
        self.instant = instant
        self.offsetMinutes = offsetMinutes
    }
}

extension MeasuredTime: CustomStringConvertible {
    public var description: String { instant.iso8601(offsetMinutes: offsetMinutes) }
}
