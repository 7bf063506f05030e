import Glibc
import Vitals

/// A request as the simulated infrastructure sees it.
struct FUTCall {
    var method: String
    /// Split at the slashes, decoded.
    var steps: [String]
    /// As it came.
    var query: String
    var body: [UInt8]
    /// Names in lower case.
    var headers: [String: String]

    var path: String { "/" + steps.joined(separator: "/") }
    var text: String { String(decoding: body, as: UTF8.self) }
    var contentType: String { (headers["content-type"] ?? "").prefix { $0 != ";" }.filter { $0 != " " }.lowercased() }

    var bearer: String? {
        guard let value = headers["authorization"], value.lowercased().hasPrefix("bearer ") else { return nil }
        return String(value.dropFirst("bearer ".count))
    }
}

/// FHIR's date, dateTime and instant, as far as measurements use them.
enum FUTTime {
    /// First and last millisecond of what the text names: a day (of UTC), a second or a millisecond. `nil` where it has a time
    /// without zone, or is none.
    static func range(_ text: String) -> (first: Instant, last: Instant)? {
        if text.utf8.count == 10 {
            return Instant(iso8601: "\(text)T00:00:00Z").map { ($0, $0 + .milliseconds(86_399_999)) }
        }
        return Instant(iso8601: text).map { ($0, $0 + .milliseconds(text.contains(".") ? 0 : 999)) }
    }

    static func instant(_ text: String?) -> Instant? { text.flatMap { range($0)?.first } }

    static func machine() -> Instant {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
    }

    /// As FUT's examples write it.
    static func text(_ instant: Instant) -> String { instant.iso8601(offsetMinutes: 0) }
}
