/// How a database of an older schema becomes one of this release.
///
/// Expand-only: a step adds tables, columns with defaults and indexes, so that the release before can still read and write the
/// result. `user_version` is the schema; `meta.min_reader` the oldest schema whose release can still work with it. A release
/// that meets a `min_reader` above its own schema touches nothing (exit 78).
enum Migrations {
    struct Step {
        let version: Int
        /// The oldest schema whose release can read the result.
        let minimumReader: Int
        let sql: String
    }

    static let steps = [
        Step(version: 1, minimumReader: 1, sql: Schema.version1),
        Step(version: 2, minimumReader: 1, sql: Schema.version2),
        Step(version: 3, minimumReader: 1, sql: Schema.version3),
        Step(version: 4, minimumReader: 1, sql: Schema.version4),
    ]

    /// The schema that this release writes.
    static var supported: Int { steps.last?.version ?? 0 }

    /// Throws `schemaTooNew` where a later release forbids it. Reads only.
    static func check(_ database: Database) throws(JournalError) {
        let found: Int
        let oldest: Int
        do throws(SQLiteError) {
            found = Int(try database.firstInteger("PRAGMA user_version") ?? 0)
            guard found > supported else { return }
            oldest = Int(try database.firstInteger("SELECT value FROM meta WHERE name = 'min_reader'") ?? Int64(found))
        } catch {
            throw JournalError(error, path: database.path)
        }
        guard oldest <= supported else { throw .schemaTooNew(found: found, supported: supported) }
    }

    /// Brings an older schema up to this release's, each step in one transaction.
    static func run(_ database: Database) throws(JournalError) {
        do throws(SQLiteError) {
            let found = Int(try database.firstInteger("PRAGMA user_version") ?? 0)
            for step in steps where step.version > found {
                try database.execute("BEGIN IMMEDIATE")
                do throws(SQLiteError) {
                    try database.execute(step.sql)
                    try database.run(
                        """
                        INSERT INTO meta (name, value) VALUES ('min_reader', ?)
                        ON CONFLICT (name) DO UPDATE SET value = excluded.value
                        """,
                        [step.minimumReader])
                    // A pragma takes no parameters; the number is ours.
                    try database.execute("PRAGMA user_version = \(step.version)")
                    try database.execute("COMMIT")
                } catch {
                    if !database.isAutocommit { try? database.execute("ROLLBACK") }
                    throw error
                }
            }
        } catch {
            throw JournalError(error, path: database.path)
        }
    }
}
