import Glibc
import Logging

/// Where the daemon's log goes. Once per process, in the composition root.
public enum LogOutput {
    public static func start(_ log: Configuration.Log) {
        let level = Logger.Level(rawValue: log.level.rawValue) ?? .info
        switch log.format == .automatic ? (isJournalBehindStandardError ? .journal : .text) : log.format {
        case .journal: LoggingSystem.bootstrap { JournalLogHandler(label: $0, level: level) }
        case .json: LoggingSystem.bootstrap { StandardErrorLogHandler(label: $0, format: .json, level: level) }
        case .text, .automatic: LoggingSystem.bootstrap { StandardErrorLogHandler(label: $0, format: .text, level: level) }
        }
    }

    /// Whether standard error is the stream to the journal that systemd made (`$JOURNAL_STREAM`, systemd.exec(5)): then the journal can
    /// be spoken to directly, with fields.
    static var isJournalBehindStandardError: Bool {
        guard let stream = getenv("JOURNAL_STREAM") else { return false }
        var status = stat()
        guard fstat(STDERR_FILENO, &status) == 0 else { return false }
        return String(cString: stream) == "\(status.st_dev):\(status.st_ino)"
    }
}
