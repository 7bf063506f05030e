import ExactJSON
import Glibc
public import Logging
import Vitals

/// swift-log to standard error, a line a record: JSON for programs that follow the daemon, text for people.
///
/// JSON: `{"time":"2026-01-01T09:24:08.123Z","level":"info","message":"...","logger":"...","receiver":"...", ...}`. Each line is one
/// write(2), so that lines of several threads do not mix.
public struct StandardErrorLogHandler: LogHandler {
    public enum Format: Hashable, Sendable { case json, text }

    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    let label: String
    let format: Format

    public init(label: String, format: Format, level: Logger.Level = .info) {
        self.label = label
        self.format = format
        logLevel = level
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        let all = metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 })
        let time = Instant(milliseconds: Machine.milliseconds(of: CLOCK_REALTIME))
        let line = Array((Self.line(event, all, label: label, format: format, time: time) + "\n").utf8)
        _ = line.withUnsafeBytes { write(STDERR_FILENO, $0.baseAddress, $0.count) }
    }

    static func line(_ event: LogEvent, _ metadata: Logger.Metadata, label: String, format: Format, time: Instant) -> String {
        let (kept, dropped) = LogFilter.apply(metadata)
        let message = LogFilter.line(event.message.description)
        switch format {
        case .json:
            var members: [JSON.Member] = [
                .init("time", .string(time.description)), .init("level", .string(event.level.rawValue)),
                .init("message", .string(message)), .init("logger", .string(label)),
            ]
            members += kept.map { .init($0.key, .string($0.value)) }
            if !dropped.isEmpty { members.append(.init("dropped", .array(dropped.map { .string($0) }))) }
            return JSON.object(members).text
        case .text:
            let facts =
                kept.map { "\($0.key)=\($0.value)" } + (dropped.isEmpty ? [] : ["dropped=\(dropped.joined(separator: ","))"])
            return (["\(time)", event.level.rawValue, message] + facts).joined(separator: " ")
        }
    }
}
