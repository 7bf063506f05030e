public import Vitals

/// Exponential back-off with full jitter: a random time up to a ceiling that doubles, so that a thousand hubs do not come back to
/// a server in step.
///
/// Marc Brooker, "Exponential Backoff And Jitter" (AWS Architecture Blog, 2015).
public struct BackOff: Hashable, Sendable {
    public var base: Duration
    public var cap: Duration

    public init(base: Duration, cap: Duration) {
        self.base = base
        self.cap = cap
    }

    /// 5 s, and never more than 15 min: a receiver that is back is found within a quarter of an hour.
    public static let standard = BackOff(base: .seconds(5), cap: .seconds(15 * 60))

    /// The longest wait before the attempt that follows `attempt` failed ones (0 counts as 1).
    public func ceiling(attempt: Int) -> Duration {
        // Doubled 40 times, a second is 34,000 years: no cap is beyond, and nothing overflows.
        let doublings = min(max(attempt, 1) - 1, 40)
        let milliseconds = base.milliseconds.multipliedReportingOverflow(by: Int64(1) << Int64(doublings))
        return milliseconds.overflow ? cap : min(.milliseconds(milliseconds.partialValue), cap)
    }

    /// The wait for a random number in 0..<1.
    public func delay(attempt: Int, random: Double) -> Duration {
        let ceiling = ceiling(attempt: attempt).milliseconds
        return .milliseconds(Int64(Double(ceiling) * min(max(random, 0), 1)))
    }

    public func delay(attempt: Int, using generator: inout some RandomNumberGenerator) -> Duration {
        delay(attempt: attempt, random: Double.random(in: 0..<1, using: &generator))
    }
}

/// What a server asked for in `Retry-After` (RFC 9110, section 10.2.3).
public enum RetryAfter {
    /// A channel waits at most this long on a server's word: a wrong date in a header must not close it for a year.
    public static let cap = Duration.seconds(3_600)

    /// The wait, within 0 and ``cap``.
    public static func wait(_ asked: Duration) -> Duration { max(.zero, min(asked, cap)) }

    /// The wait that a header's value asks for: seconds, or a date as `Sun, 06 Nov 1994 08:49:37 GMT`; `nil` where it is neither.
    public static func wait(header: String, now: Instant) -> Duration? {
        let text = header.drop { $0 == " " }
        if !text.isEmpty, text.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }) {
            return Int64(text).map { $0 >= cap.components.seconds ? cap : .seconds($0) } ?? cap
        }
        return date(text).map { wait($0 - now) }
    }

    private static func date(_ text: Substring) -> Instant? {
        let fields = text.split(separator: " ")
        guard fields.count == 6, fields[5] == "GMT", let day = Int(fields[1]), let year = Int(fields[3]),
            let month = months.firstIndex(where: { fields[2] == $0 })
        else { return nil }
        let time = fields[4].split(separator: ":").map { Int($0) }
        guard time.count == 3, let hour = time[0], let minute = time[1], let second = time[2] else { return nil }
        let date = LocalDateTime(year: year, month: month + 1, day: day, hour: hour, minute: minute, second: second)
        return date.isValid ? Instant(seconds: date.secondsSince1970) : nil
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
