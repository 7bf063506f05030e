import CSQLite

/// What SQLite said, with its own names. Holds no bound values: SQLite's messages name tables and columns only.
public struct SQLiteError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The extended result code, such as 1034 (SQLITE_IOERR_FSYNC).
    public let extendedCode: Int32
    /// SQLite's own text for the connection's last error.
    public let message: String
    /// The system's errno where the error came from a system call, else 0.
    public let systemCode: Int32
    /// What was being done: `commit`, `checkpoint`, or the first word of the statement.
    public let operation: String

    public init(extendedCode: Int32, message: String, systemCode: Int32 = 0, operation: String) {
        self.extendedCode = extendedCode
        self.message = message
        self.systemCode = systemCode
        self.operation = operation
    }

    /// The primary result code, the low byte of the extended one (sqlite.org/rescode.html).
    public var primaryCode: Int32 { extendedCode & 0xFF }

    /// What to do next with the connection that said so.
    enum Consequence {
        /// No room: roll back, go on when there is room.
        case full
        /// Another process holds the database.
        case locked
        /// The connection cannot be trusted: close, reopen, check (R1).
        case poisoned
        /// The database itself is damaged.
        case corrupt
        /// The path cannot be written.
        case notWritable
        /// The caller asked for what the schema forbids.
        case constraint
        /// A fault of ours.
        case fault
    }

    var consequence: Consequence {
        switch primaryCode {
        case SQLITE_FULL: .full
        case SQLITE_BUSY, SQLITE_LOCKED: .locked
        case SQLITE_IOERR, SQLITE_PROTOCOL: .poisoned
        case SQLITE_CORRUPT, SQLITE_NOTADB: .corrupt
        case SQLITE_CANTOPEN, SQLITE_READONLY, SQLITE_PERM, SQLITE_AUTH: .notWritable
        case SQLITE_CONSTRAINT: .constraint
        default: .fault
        }
    }

    /// SQLite's name of the primary code.
    public var name: String {
        switch primaryCode {
        case SQLITE_ERROR: "SQLITE_ERROR"
        case SQLITE_INTERNAL: "SQLITE_INTERNAL"
        case SQLITE_PERM: "SQLITE_PERM"
        case SQLITE_ABORT: "SQLITE_ABORT"
        case SQLITE_BUSY: "SQLITE_BUSY"
        case SQLITE_LOCKED: "SQLITE_LOCKED"
        case SQLITE_NOMEM: "SQLITE_NOMEM"
        case SQLITE_READONLY: "SQLITE_READONLY"
        case SQLITE_INTERRUPT: "SQLITE_INTERRUPT"
        case SQLITE_IOERR: "SQLITE_IOERR"
        case SQLITE_CORRUPT: "SQLITE_CORRUPT"
        case SQLITE_NOTFOUND: "SQLITE_NOTFOUND"
        case SQLITE_FULL: "SQLITE_FULL"
        case SQLITE_CANTOPEN: "SQLITE_CANTOPEN"
        case SQLITE_PROTOCOL: "SQLITE_PROTOCOL"
        case SQLITE_SCHEMA: "SQLITE_SCHEMA"
        case SQLITE_TOOBIG: "SQLITE_TOOBIG"
        case SQLITE_CONSTRAINT: "SQLITE_CONSTRAINT"
        case SQLITE_MISMATCH: "SQLITE_MISMATCH"
        case SQLITE_MISUSE: "SQLITE_MISUSE"
        case SQLITE_AUTH: "SQLITE_AUTH"
        case SQLITE_RANGE: "SQLITE_RANGE"
        case SQLITE_NOTADB: "SQLITE_NOTADB"
        default: "SQLITE_\(primaryCode)"
        }
    }

    public var description: String {
        "\(name) (\(extendedCode))\(systemCode == 0 ? "" : ", errno \(systemCode)") in \(operation): \(message)"
    }
}
