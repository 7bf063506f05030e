import Crypto
import Steward
import Vitals

/// Seals columns and makes blind indexes (R8).
///
/// A sealed value is: format (1 byte, 1), schema at sealing (2 bytes), version of the data key (2 bytes), nonce (12),
/// ciphertext, tag (16); AES-256-GCM with the associated data `table.column.row.schema`, so that a value opens only where it
/// was written.
struct Sealer {
    private static let format: UInt8 = 1
    private static let headerCount = 5

    private let dataKeys: [UInt16: SymmetricKey]
    private let currentVersion: UInt16
    private let indexKey: SymmetricKey

    init(dataKeys: [UInt16: SymmetricKey], currentVersion: UInt16, indexKey: SymmetricKey) {
        self.dataKeys = dataKeys
        self.currentVersion = currentVersion
        self.indexKey = indexKey
    }

    private static func place(_ table: String, _ column: String, _ row: Int64, schema: UInt16) -> [UInt8] {
        Array("\(table).\(column).\(row).\(schema)".utf8)
    }

    func seal(_ bytes: [UInt8], _ table: String, _ column: String, row: Int64) throws(JournalError) -> [UInt8] {
        let schema = UInt16(Migrations.supported)
        guard let key = dataKeys[currentVersion] else { throw .keyMissing("Data key \(currentVersion) is not there.") }
        do {
            let box = try AES.GCM.seal(bytes, using: key, authenticating: Self.place(table, column, row, schema: schema))
            var sealed: [UInt8] = [Self.format]
            sealed.reserveCapacity(Self.headerCount + 28 + bytes.count)
            sealed.append(contentsOf: [UInt8(schema >> 8), UInt8(schema & 0xFF)])
            sealed.append(contentsOf: [UInt8(currentVersion >> 8), UInt8(currentVersion & 0xFF)])
            sealed.append(contentsOf: box.nonce)
            sealed.append(contentsOf: box.ciphertext)
            sealed.append(contentsOf: box.tag)
            return sealed
        } catch {
            throw .fault("sealing \(table).\(column) failed")
        }
    }

    func open(_ sealed: [UInt8], _ table: String, _ column: String, row: Int64) throws(JournalError) -> [UInt8] {
        guard sealed.count >= Self.headerCount + 28, sealed[0] == Self.format else {
            throw .sealBroken(table: table, column: column, row: row)
        }
        let schema = UInt16(sealed[1]) << 8 | UInt16(sealed[2])
        let version = UInt16(sealed[3]) << 8 | UInt16(sealed[4])
        guard let key = dataKeys[version] else { throw .keyMissing("Data key \(version) is not there.") }
        do {
            let box = try AES.GCM.SealedBox(combined: sealed[Self.headerCount...])
            return Array(try AES.GCM.open(box, using: key, authenticating: Self.place(table, column, row, schema: schema)))
        } catch {
            throw .sealBroken(table: table, column: column, row: row)
        }
    }

    /// The first 16 bytes of an HMAC-SHA256 under the index key: equal texts of one purpose are equal, and nothing else is told.
    func blind(_ purpose: String, _ bytes: [UInt8]) -> [UInt8] {
        var code = HMAC<SHA256>(key: indexKey)
        code.update(data: Array(purpose.utf8))
        code.update(data: [0])
        code.update(data: bytes)
        return Array(code.finalize().prefix(16))
    }

    func blind(_ purpose: String, _ text: String) -> [UInt8] { blind(purpose, Array(text.utf8)) }

    /// 32 bytes that chain an audit record to the one before it.
    func chain(_ previous: [UInt8], _ record: [UInt8]) -> [UInt8] {
        var code = HMAC<SHA256>(key: indexKey)
        code.update(data: Array("audit".utf8))
        code.update(data: [0])
        code.update(data: previous)
        code.update(data: record)
        return Array(code.finalize())
    }

    /// The subject id of an act (`kind` nil) or of one of its readings.
    func subject(of identity: ReadingIdentity, kind: Reading.Kind? = nil) -> SubjectID {
        SubjectID(identity, part: kind?.rawValue ?? "act", key: indexKey.withUnsafeBytes { [UInt8]($0) })
    }
}

extension SubjectID {
    /// The id of a stored one.
    /// - Parameter bytes: 16 bytes.
    init(bytes: [UInt8]) {
        var text = ""
        for (position, byte) in bytes.enumerated() {
            if [4, 6, 8, 10].contains(position) { text.append("-") }
            text.append([byte].hex)
        }
        self.init(rawValue: text)
    }

    /// The 16 bytes as stored; empty where it is no UUID, which no row has.
    var bytes: [UInt8] {
        guard let bytes = [UInt8](hex: rawValue.filter { $0 != "-" }), bytes.count == 16 else { return [] }
        return bytes
    }
}
