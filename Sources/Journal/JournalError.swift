/// Why the journal could not do what it was asked. Carries no health data.
public enum JournalError: Error, Hashable, Sendable {
    /// No room: on the disk, or the reserve is reached (R9). Nothing was changed.
    case full(path: String)
    /// The disk failed. The connection is reopened and checked before anything else is written (R1).
    case io(SQLiteError)
    /// Another process holds the database.
    case locked(path: String)
    /// The file is damaged or is no database.
    case corrupt(path: String, detail: String)
    /// The database was written by a later release that this one cannot read; it was not touched.
    case schemaTooNew(found: Int, supported: Int)
    /// There is no key to open the sealed columns with.
    case keyMissing(String)
    /// The key does not open this database.
    case keyWrong
    /// The key file can be read by others than its owner.
    case keyExposed(path: String)
    case notWritable(path: String)
    /// What was asked contradicts what is there, such as a name that is taken.
    case constraint(SQLiteError)
    /// SQLite did not take a setting that durability or secrecy rests on.
    case unsafe(setting: String, expected: String, found: String)
    /// A sealed column does not open where it stands: it was altered, or moved from another row.
    case sealBroken(table: String, column: String, row: Int64)
    /// The journal was closed.
    case closed
    /// A fault of ours.
    case fault(String)
}

extension JournalError {
    init(_ error: SQLiteError, path: String) {
        switch error.consequence {
        case .full: self = .full(path: path)
        case .locked: self = .locked(path: path)
        case .poisoned: self = .io(error)
        case .corrupt: self = .corrupt(path: path, detail: error.message)
        case .notWritable: self = .notWritable(path: path)
        case .constraint: self = .constraint(error)
        case .fault: self = .fault("\(error)")
        }
    }

    /// Whether the connection must be reopened and checked before it is used again.
    var poisons: Bool {
        switch self {
        case .io, .corrupt, .notWritable: true
        default: false
        }
    }

    /// What happened, in a sentence.
    public var what: String {
        switch self {
        case .full: "The journal has no room."
        case .io: "Reading or writing the journal failed."
        case .locked: "The journal is in use by another process."
        case .corrupt: "The journal is damaged."
        case .schemaTooNew: "The journal was written by a later release."
        case .keyMissing: "The journal's key is missing."
        case .keyWrong: "The journal's key is the wrong one."
        case .keyExposed: "The journal's key file can be read by others."
        case .notWritable: "The journal cannot be written."
        case .constraint: "The journal refused a change that contradicts what it holds."
        case .unsafe: "The journal would not be safe."
        case .sealBroken: "A sealed value in the journal does not open."
        case .closed: "The journal is closed."
        case .fault: "The journal was used wrongly."
        }
    }

    /// Why, with the particulars.
    public var why: String {
        switch self {
        case .full(let path): "The disk that holds \(path) is full, or only the reserve is left."
        case .io(let error): "\(error)."
        case .locked(let path): "\(path) is locked; only one daemon can have it."
        case .corrupt(let path, let detail): "\(path): \(detail)."
        case .schemaTooNew(let found, let supported):
            "It has schema \(found); this release reads up to \(supported). It was not touched."
        case .keyMissing(let detail): detail
        case .keyWrong: "It does not unwrap the keys that this journal was sealed with."
        case .keyExposed(let path): "\(path) has permissions for group or others; it must have 0600."
        case .notWritable(let path): "\(path) or its directory cannot be written by this user."
        case .constraint(let error): "\(error)."
        case .unsafe(let setting, let expected, let found): "SQLite's \(setting) is \(found) and must be \(expected)."
        case .sealBroken(let table, let column, let row):
            "\(table).\(column) of row \(row) was altered, or moved from another row."
        case .closed: "It was closed, or its keys were wiped."
        case .fault(let detail): detail
        }
    }

    /// What a person does about it.
    public var remedy: String {
        switch self {
        case .full: "Free space on that disk; the hub goes on by itself. Devices keep what was not confirmed."
        case .io: "Check the disk (`dmesg`, SMART) and replace it if it fails again. Devices keep what was not confirmed."
        case .locked: "Stop the other daemon (`systemctl status vitalgate`)."
        case .corrupt: "Restore the state directory from a backup, or move it away to begin anew; keep the damaged one."
        case .schemaTooNew: "Install the later release again, or use another state directory."
        case .keyMissing, .keyWrong:
            "Give the service the key that this journal was made with, or move the state directory away to begin anew."
        case .keyExposed(let path): "Run `chmod 600 \(path)`, and replace the key if others may have read it."
        case .notWritable(let path): "Give the service's user the directory of \(path) (systemd does so with StateDirectory=)."
        case .constraint: "Ask for something else, or report it with the text above."
        case .unsafe: "Use Debian's libsqlite3 and a local file system with locks (no network file system)."
        case .sealBroken: "Restore the state directory from a backup, and ask who had access to it."
        case .closed: "Start the daemon again."
        case .fault: "Report it with the text above."
        }
    }

    /// The process's exit code where this ends it (sysexits.h).
    public var exitCode: Int32 {
        switch self {
        case .full, .locked: 75  // EX_TEMPFAIL
        case .io, .corrupt, .sealBroken: 74  // EX_IOERR
        case .notWritable: 73  // EX_CANTCREAT
        case .keyExposed: 77  // EX_NOPERM
        case .schemaTooNew, .keyMissing, .keyWrong, .unsafe: 78  // EX_CONFIG
        case .constraint, .closed, .fault: 70  // EX_SOFTWARE
        }
    }
}
