import ExactJSON

/// An open database with its keys: what a transaction works on.
final class Store {
    let database: Database
    private(set) var sealer: Sealer
    /// What is known of names and counters without asking; dropped when a transaction rolls back.
    var cache = Cache()

    struct Cache {
        var nameIDs: [NameKey: Int64] = [:]
        var names: [Int64: String] = [:]
        /// The last row id given out in each table: ids are not given twice while the journal runs.
        var lastIDs: [String: Int64] = [:]
        var tally: Tally?
        /// Device rows as they were opened last, a few hundred bytes for each device.
        var devices: [Int64: OpenedRow] = [:]

        /// Forgets what a rollback may have made untrue. Row ids given out stay given, except in the audit log, whose ids have
        /// no gaps.
        /// - Parameter tally: the counts before the transaction.
        mutating func rollBack(to tally: Tally?) {
            nameIDs = [:]
            names = [:]
            lastIDs["audit"] = nil
            self.tally = tally
        }
    }

    /// What a sealed column held. Good for as long as the row has the very bytes: whatever changes it seals it anew, under a nonce of
    /// its own, and a rollback brings the old bytes back.
    struct OpenedRow {
        let sealed: [UInt8]
        let json: JSON
    }

    struct NameKey: Hashable {
        let kind: NameKind
        let text: String
    }

    /// Opens, judges the schema, sets and asserts the settings, migrates, and unwraps the keys; in this order, so that a
    /// database of a later release stays as it was, byte for byte.
    init(_ options: JournalOptions, key: KeySource) throws(JournalError) {
        try FileSystem.touch(options.path)
        let opened: Database
        do throws(SQLiteError) {
            opened = try Database(path: options.path, busyMilliseconds: Int32(clamping: options.busyMilliseconds))
        } catch {
            throw JournalError(error, path: options.path)
        }
        do throws(JournalError) {
            try Migrations.check(opened)
            try Pragmas.apply(Pragmas.harmless + Pragmas.log, to: opened)
            try Self.claimLock(opened)
            try Migrations.run(opened)
            if let pages = options.maxPageCount { try Self.limit(opened, toPages: pages) }
            if options.breaksDurability { try Pragmas.breakDurability(of: opened) }
            sealer = try Keyring.open(key, in: opened)
        } catch {
            opened.close()
            throw error
        }
        database = opened
    }

    /// A write lock taken once: in exclusive mode it is never given back.
    private static func claimLock(_ database: Database) throws(JournalError) {
        do throws(SQLiteError) {
            try database.execute("BEGIN IMMEDIATE; COMMIT")
        } catch {
            throw JournalError(error, path: database.path)
        }
    }

    private static func limit(_ database: Database, toPages pages: Int) throws(JournalError) {
        do throws(SQLiteError) {
            _ = try database.firstInteger("PRAGMA max_page_count = \(pages)")
        } catch {
            throw JournalError(error, path: database.path)
        }
    }

    /// After an I/O error (R1): every page is checked, and the log is written back and cut, so that nothing that the failed
    /// connection left in the kernel's cache passes for durable. (After a failed fsync Linux marks the pages clean: a
    /// transaction that was reported as failed could be read from the cache and yet never reach the disk.)
    func check() throws(JournalError) {
        let verdict: String?
        do throws(SQLiteError) {
            verdict = try database.firstText("PRAGMA integrity_check(1)")
            try database.checkpoint(truncating: true)
        } catch {
            throw JournalError(error, path: database.path)
        }
        guard verdict == "ok" else { throw .corrupt(path: database.path, detail: verdict ?? "no answer") }
    }

    func rotate(from old: KeySource, to new: KeySource, newDataKey: Bool) throws(JournalError) {
        sealer = try Keyring.rotate(from: old, to: new, newDataKey: newDataKey, in: database)
    }
}

/// Counts that are kept while the journal runs, so that asking for them costs nothing with 100,000 readings queued.
struct Tally {
    struct ItemKey: Hashable {
        let receiver: Int64
        let state: String
    }
    struct ActKey: Hashable {
        let state: String
        let hold: String?
    }

    var acts: [ActKey: Int] = [:]
    var items: [ItemKey: Int] = [:]
    /// Waiting items of each channel.
    var waiting: [Int64: Int] = [:]
    var suppressed = 0
    var frames = 0
    var undecoded = 0
}
