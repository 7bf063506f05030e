public import Logging
public import Vitals

/// One fact beside a log message.
///
/// The list of keys is closed and each has a typed constructor, so that a value, a patient or an identifier of a person cannot be
/// logged by mistake (R8): there is no constructor that takes one. Handlers drop every other key, also of libraries.
public struct LogField: Hashable, Sendable {
    public enum Key: String, Hashable, Sendable, CaseIterable {
        case receiver, device, item, dispatch, transfer, attempt, status, count, code, condition, reason, milliseconds, bytes,
            path, phase
        case microseconds, version, seed, reading, state, channel
    }

    let key: Key
    let value: String

    private init(_ key: Key, _ value: some CustomStringConvertible) {
        self.key = key
        self.value = value.description
    }

    /// A receiver by its configured name.
    public static func receiver(_ name: String) -> LogField { LogField(.receiver, name) }
    /// A device by its row id: its name may be a person's.
    public static func device(_ id: Int64) -> LogField { LogField(.device, id) }
    public static func item(_ id: Int64) -> LogField { LogField(.item, id) }
    /// A reading or act by its public id, which tells nothing of its values.
    public static func reading(_ id: SubjectID) -> LogField { LogField(.reading, id) }
    /// Where an act or item stands, by its name.
    public static func state(_ name: String) -> LogField { LogField(.state, name) }
    /// A channel: a receiver's name, and where it has several contexts a number.
    public static func channel(_ name: String) -> LogField { LogField(.channel, name) }
    public static func dispatch(_ id: Int64) -> LogField { LogField(.dispatch, id) }
    public static func transfer(_ id: Int64) -> LogField { LogField(.transfer, id) }
    public static func attempt(_ number: Int) -> LogField { LogField(.attempt, number) }
    /// An HTTP status.
    public static func status(_ code: Int) -> LogField { LogField(.status, code) }
    public static func count(_ number: Int) -> LogField { LogField(.count, number) }
    /// A word of the program's own, such as a verdict or an error's code.
    public static func code(_ code: StaticString) -> LogField { LogField(.code, code) }
    public static func code(_ code: some RawRepresentable<String>) -> LogField { LogField(.code, code.rawValue) }
    public static func condition(_ code: Condition.Code) -> LogField { LogField(.condition, code.rawValue) }
    /// Why, in a sentence of an error of ours or of the system, which carries no health data by rule.
    public static func reason(_ text: String) -> LogField { LogField(.reason, text) }
    public static func duration(_ duration: Duration) -> LogField { LogField(.milliseconds, duration.milliseconds) }
    public static func microseconds(_ duration: Duration) -> LogField {
        let (seconds, attoseconds) = duration.components
        return LogField(.microseconds, seconds * 1_000_000 + attoseconds / 1_000_000_000_000)
    }
    public static func bytes(_ count: Int) -> LogField { LogField(.bytes, count) }
    /// A file or socket of the hub's own.
    public static func path(_ path: String) -> LogField { LogField(.path, path) }
    public static func phase(_ name: StaticString) -> LogField { LogField(.phase, name) }
    public static func version(_ version: String) -> LogField { LogField(.version, version) }
    public static func seed(_ seed: UInt64) -> LogField { LogField(.seed, seed) }
}

extension Logger {
    /// A message without interpolation, and typed facts beside it: the way to log in this project.
    public func note(
        _ level: Logger.Level, _ message: StaticString, _ fields: LogField..., file: String = #fileID,
        function: String = #function,
        line: UInt = #line
    ) {
        guard level >= logLevel else { return }
        log(
            level: level, "\(message)",
            metadata: Dictionary(fields.map { ($0.key.rawValue, "\($0.value)") }, uniquingKeysWith: { $1 }),
            file: file, function: function, line: line)
    }
}

/// What a handler may write of a record's metadata.
struct LogFilter {
    static let known = Set(LogField.Key.allCases.map(\.rawValue))
    /// Longer texts are cut: a reason is a sentence, and a body has no business in a log.
    static let longest = 300

    /// Known keys with their values on one line, in alphabetical order, and the names of those that were dropped.
    static func apply(_ metadata: Logger.Metadata) -> (kept: [(key: String, value: String)], dropped: [String]) {
        var kept: [(key: String, value: String)] = []
        var dropped: [String] = []
        for (key, value) in metadata.sorted(by: { $0.key < $1.key }) {
            if known.contains(key) {
                kept.append((key, line(value.description)))
            } else {
                dropped.append(line(key))
            }
        }
        return (kept, dropped)
    }

    static func line(_ text: String) -> String {
        String(text.prefix(longest).map { $0.isNewline || $0.asciiValue.map { $0 < 0x20 } ?? false ? " " : $0 })
    }
}
