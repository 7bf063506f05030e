import CSystemd
import Glibc
public import Logging

/// swift-log to the systemd journal, with structured fields: `VITALGATE_RECEIVER=...` and the like (sd_journal_sendv(3)).
public struct JournalLogHandler: LogHandler {
    public var logLevel: Logger.Level
    public var metadata: Logger.Metadata = [:]
    public var metadataProvider: Logger.MetadataProvider?
    let label: String

    public init(label: String, level: Logger.Level = .info) {
        self.label = label
        logLevel = level
    }

    public subscript(metadataKey key: String) -> Logger.Metadata.Value? {
        get { metadata[key] }
        set { metadata[key] = newValue }
    }

    public func log(event: LogEvent) {
        Self.send(Self.fields(event, metadata.merging(event.metadata ?? [:], uniquingKeysWith: { $1 }), label: label))
    }

    static func fields(_ event: LogEvent, _ metadata: Logger.Metadata, label: String) -> [String] {
        let (kept, dropped) = LogFilter.apply(metadata)
        var fields = [
            "MESSAGE=\(LogFilter.line(event.message.description))", "PRIORITY=\(event.level.priority)",
            "SYSLOG_IDENTIFIER=vitalgate",
            "VITALGATE_LOGGER=\(label)", "CODE_FILE=\(event.file)", "CODE_LINE=\(event.line)", "CODE_FUNC=\(event.function)",
        ]
        fields += kept.map { "VITALGATE_\($0.key.uppercased())=\($0.value)" }
        if !dropped.isEmpty { fields.append("VITALGATE_DROPPED=\(dropped.joined(separator: ","))") }
        return fields
    }

    /// A journal that does not listen is no reason to stop; the daemon's conditions stand in the database.
    private static func send(_ fields: [String]) {
        var bytes: [UInt8] = []
        var lengths: [Int] = []
        for field in fields {
            let utf8 = Array(field.utf8)
            bytes += utf8
            lengths.append(utf8.count)
        }
        bytes.withUnsafeMutableBytes { all in
            var vectors: [iovec] = []
            var start = 0
            for length in lengths {
                vectors.append(iovec(iov_base: all.baseAddress?.advanced(by: start), iov_len: length))
                start += length
            }
            _ = sd_journal_sendv(vectors, Int32(vectors.count))
        }
    }
}

extension Logger.Level {
    /// syslog(3)'s priority.
    var priority: Int {
        switch self {
        case .trace, .debug: 7
        case .info: 6
        case .notice: 5
        case .warning: 4
        case .error: 3
        case .critical: 2
        }
    }
}
