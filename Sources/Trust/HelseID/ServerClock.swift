import HTTPMessage
import Vitals

/// What an answer's Date header (RFC 9110, section 6.6.1) says of the two clocks.
enum ServerClock {
    /// The hub's clock minus the server's, as far as it cannot be explained by the exchange's own duration; zero where it can, or
    /// where the answer has no date.
    ///
    /// The server cut its time to whole seconds at some moment between `sentAt` and `receivedAt`: its clock then showed from
    /// `date` to just under `date + 1 s`.
    static func skew(of response: HTTPResponse, sentAt: Instant, receivedAt: Instant) -> Duration {
        guard let date = response.header("date").flatMap(date) else { return .zero }
        if date > receivedAt { return receivedAt - date }
        let latest = date + .milliseconds(999)
        return latest < sentAt ? sentAt - latest : .zero
    }

    /// From here on a difference counts as the cause of a refusal. NHN's library itself allows for 2 s between two clocks that are
    /// both well.
    static let tolerance = Duration.seconds(2)

    static func isSkewed(_ skew: Duration) -> Bool { skew > tolerance || skew < .zero - tolerance }

    /// IMF-fixdate, the only form that a sender may use (RFC 9110, section 5.6.7): `Sun, 06 Nov 1994 08:49:37 GMT`.
    static func date(_ text: String) -> Instant? {
        let fields = text.split(separator: " ", omittingEmptySubsequences: false)
        guard fields.count == 6, fields[5] == "GMT", let day = Int(fields[1]),
            let month = months.firstIndex(of: String(fields[2])),
            let year = Int(fields[3]), case let time = fields[4].split(separator: ":", omittingEmptySubsequences: false),
            time.count == 3, let hour = Int(time[0]), let minute = Int(time[1]), let second = Int(time[2])
        else { return nil }
        // A leap second is the second before it here.
        let local = LocalDateTime(
            year: year, month: month + 1, day: day, hour: hour, minute: minute, second: min(second, 59))
        return local.isValid ? Instant(seconds: local.secondsSince1970) : nil
    }

    private static let months = ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"]
}
