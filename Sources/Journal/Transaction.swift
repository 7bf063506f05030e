import CSQLite
import Vitals

/// What can be done in one transaction. Valid only inside the body of ``Journal/write(_:_:)`` or ``Journal/read(_:)``.
public final class Transaction {
    let store: Store
    let isReadOnly: Bool
    /// The first failure of the disk, so that a body that catches it still cannot commit.
    private(set) var failure: JournalError?

    init(_ store: Store, isReadOnly: Bool) {
        self.store = store
        self.isReadOnly = isReadOnly
    }

    private func translate(_ error: SQLiteError) -> JournalError {
        let translated = JournalError(error, path: store.database.path)
        if failure == nil {
            if case .full = translated { failure = translated }
            if translated.poisons { failure = translated }
        }
        return translated
    }

    // MARK: Statements

    func execute(_ sql: String) throws(JournalError) {
        do throws(SQLiteError) {
            try store.database.execute(sql)
        } catch { throw translate(error) }
    }

    /// Runs a changing statement. Returns how many rows changed.
    @discardableResult
    func run(_ sql: String, _ values: [any SQLBindable] = []) throws(JournalError) -> Int {
        guard !isReadOnly else { throw .fault("a change inside Journal.read") }
        do throws(SQLiteError) {
            try store.database.run(sql, values)
        } catch { throw translate(error) }
        return store.database.changes
    }

    func each(
        _ sql: String, _ values: [any SQLBindable] = [], _ body: (Row) throws(JournalError) -> Void
    ) throws(JournalError) {
        try store.database.query(sql, values, failure: translate) { row throws(JournalError) in
            try body(row)
            return true
        }
    }

    func all<T>(
        _ sql: String, _ values: [any SQLBindable] = [], _ body: (Row) throws(JournalError) -> T
    ) throws(JournalError) -> [T] {
        var found: [T] = []
        try each(sql, values) { row throws(JournalError) in found.append(try body(row)) }
        return found
    }

    func first<T>(
        _ sql: String, _ values: [any SQLBindable] = [], _ body: (Row) throws(JournalError) -> T
    ) throws(JournalError) -> T? {
        var found: T?
        try store.database.query(sql, values, failure: translate) { row throws(JournalError) in
            found = try body(row)
            return false
        }
        return found
    }

    func integer(_ sql: String, _ values: [any SQLBindable] = []) throws(JournalError) -> Int64? {
        try first(sql, values) { row throws(JournalError) in row.optionalInteger(0) } ?? nil
    }

    /// The next row id of a table. Known before the row is written, since sealing binds a value to its row.
    func nextID(_ table: String) throws(JournalError) -> Int64 {
        let last: Int64
        if let known = store.cache.lastIDs[table] {
            last = known
        } else {
            last = try integer("SELECT max(id) FROM \(table)") ?? 0
        }
        store.cache.lastIDs[table] = last + 1
        return last + 1
    }

    // MARK: Names

    /// The surrogate key of a text that many rows name; made where it is new.
    func nameID(_ kind: NameKind, _ text: String) throws(JournalError) -> Int64 {
        if let known = try knownNameID(kind, text) { return known }
        let id = try nextID("name")
        let sealed = try store.sealer.seal(Array(text.utf8), "name", "sealed", row: id)
        try run("INSERT INTO name (id, kind, blind, sealed) VALUES (?, ?, ?, ?)", [id, kind.rawValue, blind(kind, text), sealed])
        store.cache.nameIDs[Store.NameKey(kind: kind, text: text)] = id
        return id
    }

    /// The same where it is there already, else `nil`.
    func knownNameID(_ kind: NameKind, _ text: String) throws(JournalError) -> Int64? {
        let key = Store.NameKey(kind: kind, text: text)
        if let known = store.cache.nameIDs[key] { return known }
        guard let id = try integer("SELECT id FROM name WHERE blind = ?", [blind(kind, text)]) else { return nil }
        store.cache.nameIDs[key] = id
        return id
    }

    func name(_ id: Int64) throws(JournalError) -> String {
        if let known = store.cache.names[id] { return known }
        guard let sealed = try first("SELECT sealed FROM name WHERE id = ?", [id], { row throws(JournalError) in row.blob(0) })
        else {
            throw .fault("name \(id) is not there")
        }
        let text = String(decoding: try store.sealer.open(sealed, "name", "sealed", row: id), as: UTF8.self)
        store.cache.names[id] = text
        return text
    }

    private func blind(_ kind: NameKind, _ text: String) -> [UInt8] { store.sealer.blind("name.\(kind.rawValue)", text) }

    // MARK: Hub clock

    /// Boots are few, clocks many: the boot id is named, the rest stands in the row.
    func clockReading(
        _ row: Row, wall: Int32, offset: Int32, monotonic: Int32, boot: Int32, source: Int32
    ) throws(JournalError) -> ClockReading {
        ClockReading(
            wall: Instant(milliseconds: row.integer(wall)), offsetMinutes: row.int(offset),
            monotonic: MonotonicTime(milliseconds: row.integer(monotonic)), boot: BootID(rawValue: try name(row.integer(boot))),
            source: ClockSource(rawValue: row.text(source)) ?? .unsynchronised)
    }

    func boot(_ reading: ClockReading) throws(JournalError) -> Int64 { try nameID(.boot, reading.boot.rawValue) }
}
