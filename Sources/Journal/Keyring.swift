import Crypto

/// The data keys and the index key, wrapped in the table `key` (R8).
///
/// The wrapping key is derived from the source's bytes with HKDF-SHA256; each key is wrapped by AES-256-GCM with the associated
/// data `key.<purpose>.<version>`. Rotation wraps the same keys anew; the index key never changes, since ids and blind indexes
/// rest on it.
struct Keyring {
    private static let index = "index"
    private static let data = "data"

    private static func wrappingKey(from bytes: [UInt8]) -> SymmetricKey {
        HKDF<SHA256>.deriveKey(
            inputKeyMaterial: SymmetricKey(data: bytes), salt: Array("vitalgate".utf8),
            info: Array("journal key wrapping 1".utf8),
            outputByteCount: 32)
    }

    /// Reads the keys, or makes them for a new journal (inside a transaction of its own).
    static func open(_ source: KeySource, in database: Database) throws(JournalError) -> Sealer {
        let isNew: Bool
        do throws(SQLiteError) {
            if try database.firstInteger("SELECT value FROM meta WHERE name = 'wiped'") != nil {
                throw SQLiteError(extendedCode: 0, message: "wiped", operation: "open")
            }
            isNew = try database.firstInteger("SELECT count(*) FROM key") == 0
        } catch {
            if error.extendedCode == 0 { throw .keyMissing("This journal's keys were wiped; nothing in it can be opened.") }
            throw JournalError(error, path: database.path)
        }
        let wrapping = wrappingKey(from: try source.load(isNew: isNew))
        if isNew {
            try transact(database) { () throws(JournalError) in
                try insert(FileSystem.randomBytes(32), purpose: index, version: 1, wrapping: wrapping, in: database)
                try insert(FileSystem.randomBytes(32), purpose: data, version: 1, wrapping: wrapping, in: database)
            }
        }
        return try sealer(from: try unwrapAll(in: database, wrapping: wrapping))
    }

    /// Wraps every key with the new source's key, and begins a new version of the data key where asked for. Old versions stay,
    /// for what they sealed.
    static func rotate(from old: KeySource, to new: KeySource, newDataKey: Bool, in database: Database) throws(JournalError)
        -> Sealer
    {
        let keys = try unwrapAll(in: database, wrapping: wrappingKey(from: try old.load(isNew: false)))
        let wrapping = wrappingKey(from: try new.load(isNew: true))
        try transact(database) { () throws(JournalError) in
            try run("DELETE FROM key", [], in: database)
            for key in keys {
                try insert(key.bytes, purpose: key.purpose, version: key.version, wrapping: wrapping, in: database)
            }
            if newDataKey {
                let version = (keys.filter { $0.purpose == data }.map(\.version).max() ?? 0) + 1
                try insert(FileSystem.randomBytes(32), purpose: data, version: version, wrapping: wrapping, in: database)
            }
        }
        return try sealer(from: try unwrapAll(in: database, wrapping: wrapping))
    }

    /// Destroys the wrapped keys: what they sealed cannot be opened by anyone again. `secure_delete` overwrites them in the
    /// database; the caller writes the log back and truncates it.
    static func wipe(in database: Database) throws(JournalError) {
        try transact(database) { () throws(JournalError) in
            try run("DELETE FROM key", [], in: database)
            try run("INSERT INTO meta (name, value) VALUES ('wiped', 1)", [], in: database)
        }
    }

    private struct Key {
        let purpose: String
        let version: Int
        let bytes: [UInt8]
    }

    private static func insert(
        _ bytes: [UInt8], purpose: String, version: Int, wrapping: SymmetricKey, in database: Database
    ) throws(JournalError) {
        let wrapped: [UInt8]
        do {
            let box = try AES.GCM.seal(bytes, using: wrapping, authenticating: Array("key.\(purpose).\(version)".utf8))
            wrapped = Array(box.nonce) + box.ciphertext + box.tag
        } catch {
            throw .fault("wrapping a key failed")
        }
        try run("INSERT INTO key (purpose, version, wrapped) VALUES (?, ?, ?)", [purpose, version, wrapped], in: database)
    }

    private static func unwrapAll(in database: Database, wrapping: SymmetricKey) throws(JournalError) -> [Key] {
        var keys: [Key] = []
        try database.query(
            "SELECT purpose, version, wrapped FROM key ORDER BY purpose, version", [],
            failure: { JournalError($0, path: database.path) }
        ) { row throws(JournalError) in
            let (purpose, version) = (row.text(0), row.int(1))
            do {
                let box = try AES.GCM.SealedBox(combined: row.blob(2))
                let bytes = try AES.GCM.open(box, using: wrapping, authenticating: Array("key.\(purpose).\(version)".utf8))
                keys.append(Key(purpose: purpose, version: version, bytes: Array(bytes)))
            } catch {
                throw JournalError.keyWrong
            }
            return true
        }
        return keys
    }

    private static func sealer(from keys: [Key]) throws(JournalError) -> Sealer {
        var dataKeys: [UInt16: SymmetricKey] = [:]
        for key in keys where key.purpose == data { dataKeys[UInt16(clamping: key.version)] = SymmetricKey(data: key.bytes) }
        guard let current = dataKeys.keys.max(), let indexKey = keys.first(where: { $0.purpose == index }) else {
            throw .keyMissing("The database holds no wrapped keys.")
        }
        return Sealer(dataKeys: dataKeys, currentVersion: current, indexKey: SymmetricKey(data: indexKey.bytes))
    }

    private static func run(_ sql: String, _ values: [any SQLBindable], in database: Database) throws(JournalError) {
        do throws(SQLiteError) {
            try database.run(sql, values)
        } catch {
            throw JournalError(error, path: database.path)
        }
    }

    private static func transact(_ database: Database, _ body: () throws(JournalError) -> Void) throws(JournalError) {
        try run("BEGIN IMMEDIATE", [], in: database)
        do throws(JournalError) {
            try body()
            try run("COMMIT", [], in: database)
        } catch {
            if !database.isAutocommit { try? database.execute("ROLLBACK") }
            throw error
        }
    }
}
