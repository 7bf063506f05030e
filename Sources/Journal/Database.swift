import CSQLite
import Glibc

/// One SQLite connection and its prepared statements. Confined to the journal's thread.
///
/// Design constraints: it alone holds the database file (an exclusive lock, so no shared-memory file), and what it says about
/// durability is read back from SQLite and asserted, never assumed (R1).
final class Database {
    let path: String
    private var connection: OpaquePointer?
    private var statements: [String: Statement] = [:]
    /// Frames in the write-ahead log after the last commit. Heap-allocated: the hook keeps the address.
    private let walFrames = UnsafeMutablePointer<Int32>.allocate(capacity: 1)

    /// More distinct statements than the journal has; a bound against a mistake that builds SQL from values.
    private static let cacheLimit = 192

    /// Opens or creates the file, takes the exclusive lock and changes nothing: the schema is judged first.
    init(path: String, busyMilliseconds: Int32) throws(SQLiteError) {
        self.path = path
        walFrames.initialize(to: 0)
        // NOMUTEX: one thread only. EXRESCODE: extended codes tell an fsync failure from a read failure.
        let flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE
        var opened: OpaquePointer?
        let code = sqlite3_open_v2(path, &opened, flags, nil)
        connection = opened
        guard code == SQLITE_OK else {
            let failure = error(code, "open")
            close()
            throw failure
        }
        vg_sqlite_no_checkpoint_on_close(opened)
        sqlite3_busy_timeout(opened, busyMilliseconds)
        do throws(SQLiteError) {
            // Before the first read: the write-ahead log's index then lives in memory, and no other process can join.
            try execute("PRAGMA locking_mode = EXCLUSIVE")
        } catch {
            close()
            throw error
        }
        let frames = walFrames
        sqlite3_wal_hook(
            opened,
            { context, _, _, count in
                context?.assumingMemoryBound(to: Int32.self).pointee = count
                return SQLITE_OK
            }, frames)
    }

    deinit {
        close()
        walFrames.deallocate()
    }

    /// Ends the connection and with it the lock. Writes nothing.
    func close() {
        statements.removeAll()
        sqlite3_close_v2(connection)
        connection = nil
    }

    // MARK: Statements

    /// Runs statements that take no parameters and return nothing of interest.
    func execute(_ sql: String) throws(SQLiteError) {
        let code = sqlite3_exec(connection, sql, nil, nil, nil)
        guard code == SQLITE_OK else { throw error(code, String(sql.prefix { !$0.isWhitespace }).lowercased()) }
    }

    /// Steps a cached statement over its rows until `each` returns `false`.
    func query<Failure: Error>(
        _ sql: String, _ values: [any SQLBindable], failure: (SQLiteError) -> Failure, each: (Row) throws(Failure) -> Bool
    ) throws(Failure) {
        let statement: Statement
        do throws(SQLiteError) {
            statement = try prepared(sql)
        } catch { throw failure(error) }
        defer { statement.reset() }
        do throws(SQLiteError) {
            try statement.bind(values)
        } catch { throw failure(error) }
        while true {
            let hasRow: Bool
            do throws(SQLiteError) {
                hasRow = try statement.step()
            } catch { throw failure(error) }
            guard hasRow, try each(statement.row) else { return }
        }
    }

    /// Runs a cached statement to its end.
    func run(_ sql: String, _ values: [any SQLBindable] = []) throws(SQLiteError) {
        try query(sql, values, failure: { $0 }) { _ throws(SQLiteError) in true }
    }

    /// The first column of the first row as text, `nil` where there is no row.
    func firstText(_ sql: String, _ values: [any SQLBindable] = []) throws(SQLiteError) -> String? {
        var text: String?
        try query(sql, values, failure: { $0 }) { row throws(SQLiteError) in
            text = row.optionalText(0)
            return false
        }
        return text
    }

    /// The first column of the first row as a whole number, `nil` where there is no row or NULL.
    func firstInteger(_ sql: String, _ values: [any SQLBindable] = []) throws(SQLiteError) -> Int64? {
        var number: Int64?
        try query(sql, values, failure: { $0 }) { row throws(SQLiteError) in
            number = row.optionalInteger(0)
            return false
        }
        return number
    }

    private func prepared(_ sql: String) throws(SQLiteError) -> Statement {
        if let statement = statements[sql] { return statement }
        guard let connection else { throw SQLiteError(extendedCode: SQLITE_MISUSE, message: "closed", operation: "prepare") }
        if statements.count >= Self.cacheLimit { statements.removeAll() }
        let statement = try Statement(sql, in: self, connection: connection)
        statements[sql] = statement
        return statement
    }

    /// What is in the cache, for the test that looks at every query's plan.
    var preparedSQL: [String] { Array(statements.keys) }

    // MARK: Transactions and the write-ahead log

    /// Whether no transaction is open: SQLite itself rolls back after some errors.
    var isAutocommit: Bool { connection.map { sqlite3_get_autocommit($0) != 0 } ?? true }

    /// Frames (pages) in the write-ahead log that are not yet in the database file, as of the last commit.
    var pendingFrames: Int {
        get { Int(walFrames.pointee) }
        set { walFrames.pointee = Int32(clamping: newValue) }
    }

    /// Changes that the last statement made.
    var changes: Int { Int(sqlite3_changes(connection)) }

    /// Writes the log back into the database file. Returns the frames that are left in the log.
    func checkpoint(truncating: Bool) throws(SQLiteError) {
        var logged: Int32 = 0
        var done: Int32 = 0
        let mode = truncating ? SQLITE_CHECKPOINT_TRUNCATE : SQLITE_CHECKPOINT_PASSIVE
        let code = sqlite3_wal_checkpoint_v2(connection, "main", mode, &logged, &done)
        guard code == SQLITE_OK else { throw error(code, "checkpoint") }
        pendingFrames = Int(max(0, logged - done))
    }

    func error(_ code: Int32, _ operation: String) -> SQLiteError {
        guard let connection else { return SQLiteError(extendedCode: code, message: "closed", operation: operation) }
        let extended = sqlite3_extended_errcode(connection)
        // The connection's own code is finer where it is of the same kind; else it belongs to an older error.
        let best = extended & 0xFF == code & 0xFF ? extended : code
        let system = best & 0xFF == SQLITE_IOERR || best & 0xFF == SQLITE_CANTOPEN ? sqlite3_system_errno(connection) : 0
        return SQLiteError(
            extendedCode: best, message: sqlite3_errmsg(connection).map { String(cString: $0) } ?? "", systemCode: system,
            operation: operation)
    }
}
