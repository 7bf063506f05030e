import Vitals

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

/// What a server asked for in `Retry-After` (RFC 9110, section 10.2.3), once its destination has read it.
public enum RetryAfter {
    /// A channel waits at most this long on a server's word: a wrong date in a header must not close it for a year.
    public static let cap = Duration.seconds(3_600)

    /// The wait, within 0 and ``cap``.
    public static func wait(_ asked: Duration) -> Duration { max(.zero, min(asked, cap)) }
}
