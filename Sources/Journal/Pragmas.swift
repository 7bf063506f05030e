/// The settings that durability and secrecy rest on, each set, read back and asserted whenever a connection opens (R1, R8).
enum Pragmas {
    struct Setting {
        let name: String
        /// What is asked for; `nil` where the value is only asserted.
        let set: String?
        let expected: String
    }

    /// KiB of page cache. Pages of 4 KiB: enough for the inner pages of every index with 100,000 readings queued; the rest is the
    /// kernel's page cache, which is not ours to pay for.
    static let cacheKibibytes = 1024

    /// Those that may be set while the schema has not been judged: they change nothing in the file.
    static let harmless = [
        Setting(name: "locking_mode", set: "EXCLUSIVE", expected: "exclusive"),
        Setting(name: "synchronous", set: "FULL", expected: "2"),
        Setting(name: "secure_delete", set: "ON", expected: "1"),
        Setting(name: "temp_store", set: "MEMORY", expected: "2"),
        Setting(name: "foreign_keys", set: "ON", expected: "1"),
        Setting(name: "cache_size", set: "-\(cacheKibibytes)", expected: "-\(cacheKibibytes)"),
        Setting(name: "mmap_size", set: "0", expected: "0"),
        Setting(name: "trusted_schema", set: "OFF", expected: "0"),
        Setting(name: "cell_size_check", set: "ON", expected: "1"),
    ]

    /// The log, and that nothing but the journal writes it back. 4 MiB: what a log that grew for once shrinks to.
    static let log = [
        Setting(name: "journal_mode", set: "WAL", expected: "wal"),
        Setting(name: "wal_autocheckpoint", set: nil, expected: "0"),
        Setting(name: "journal_size_limit", set: "4194304", expected: "4194304"),
    ]

    static func apply(_ settings: [Setting], to database: Database) throws(JournalError) {
        do throws(SQLiteError) {
            for setting in settings {
                if let value = setting.set { _ = try database.firstText("PRAGMA \(setting.name) = \(value)") }
            }
        } catch {
            throw JournalError(error, path: database.path)
        }
        try verify(settings, of: database)
    }

    /// The fault of ``JournalOptions/breaksDurability``.
    static func breakDurability(of database: Database) throws(JournalError) {
        do throws(SQLiteError) {
            _ = try database.firstText("PRAGMA synchronous = OFF")
        } catch {
            throw JournalError(error, path: database.path)
        }
    }

    static func verify(_ settings: [Setting], of database: Database) throws(JournalError) {
        for setting in settings {
            let found: String?
            do throws(SQLiteError) {
                found = try database.firstText("PRAGMA \(setting.name)")
            } catch {
                throw JournalError(error, path: database.path)
            }
            guard found == setting.expected else {
                throw .unsafe(setting: setting.name, expected: setting.expected, found: found ?? "unset")
            }
        }
    }
}
