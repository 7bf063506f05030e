import Vitals

/// The Retry-After header (RFC 9110, 10.2.3): seconds, or a date in one of the three forms of section 5.6.7.
enum RetryAfter {
    /// Never longer than this, whatever the receiver asks: a wrong date must not close a channel for a year.
    static let maximum = Duration.seconds(3_600)

    /// How long to wait from `now`; `nil` where the text is neither. A date that has passed is zero.
    static func duration(_ text: String?, now: Instant) -> Duration? {
        guard let text else { return nil }
        let trimmed = text.drop { $0 == " " }
        if !trimmed.isEmpty, trimmed.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            return min(Int64(trimmed).map { .seconds(min($0, 3_600)) } ?? maximum, maximum)
        }
        guard let date = date(trimmed) else { return nil }
        return min(max(date - now, .zero), maximum)
    }

    /// `Sun, 06 Nov 1994 08:49:37 GMT`, `Sunday, 06-Nov-94 08:49:37 GMT` or `Sun Nov  6 08:49:37 1994`.
    static func date(_ text: Substring) -> Instant? {
        var fields = text.split(whereSeparator: { " ,-:".contains($0) }).map(String.init)
        guard fields.count >= 7 else { return nil }
        if fields.last == "GMT" {
            fields.removeLast()
        } else {
            // asctime: name, month, day, hour, minute, second, year. As the others: name, day, month, year, hour, minute, second.
            guard fields.count == 7 else { return nil }
            fields = [fields[0], fields[2], fields[1], fields[6], fields[3], fields[4], fields[5]]
        }
        guard fields.count == 7, let day = Int(fields[1]), let month = months.firstIndex(of: fields[2]),
            var year = Int(fields[3]), let hour = Int(fields[4]), let minute = Int(fields[5]), let second = Int(fields[6])
        else { return nil }
        // RFC 850 has two digits; this century, since no answer of the last one is still on its way.
        if year < 100 { year += 2_000 }
        let time = LocalDateTime(year: year, month: month + 1, day: day, hour: hour, minute: minute, second: min(second, 59))
        return time.isValid ? Instant(seconds: time.secondsSince1970) : nil
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
