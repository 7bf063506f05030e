import ExactJSON
import Vitals

// MARK: Bonds

extension Transaction {
    /// Keeps a device's bond in place of an earlier one.
    public func setBond(_ bond: BondRecord) throws(JournalError) {
        guard bond.hasWholeKeys else { throw .fault("a key of the wrong length in the bond of device \(bond.device)") }
        let json = JSON.members([
            "adapter": .string(bond.adapter), "address": .string(bond.address),
            "ltk": .array(bond.longTermKeys.map { .string($0.hex) }),
            "irk": bond.identityResolvingKey.map { .string($0.hex) }, "link": bond.linkKey.map { .string($0.hex) },
            "security": .string(bond.security.rawValue), "bonded": .integer(bond.bonded.milliseconds),
        ])
        try run(
            "INSERT INTO bond (device, sealed) VALUES (?, ?) ON CONFLICT (device) DO UPDATE SET sealed = excluded.sealed",
            [bond.device, try seal(json, "bond", row: bond.device)])
    }

    public func bond(device: Int64) throws(JournalError) -> BondRecord? {
        try first("SELECT device, sealed FROM bond WHERE device = ?", [device], bond)
    }

    /// All, for the kernel that has to know them before the adapter is powered.
    public func bonds() throws(JournalError) -> [BondRecord] {
        try all("SELECT device, sealed FROM bond ORDER BY device", [], bond)
    }

    /// Returns whether there was one. The bytes are overwritten (`secure_delete`).
    @discardableResult
    public func removeBond(device: Int64) throws(JournalError) -> Bool {
        try run("DELETE FROM bond WHERE device = ?", [device]) > 0
    }

    private func bond(_ row: Row) throws(JournalError) -> BondRecord {
        let device = row.integer(0)
        let json = try open(row.blob(1), "bond", row: device)
        let keys = json["ltk"]?.array?.compactMap { $0.string.flatMap { [UInt8](hex: $0) } }
        guard let adapter = json["adapter"]?.string, let address = json["address"]?.string, let keys,
            let security = json["security"]?.string.flatMap(LinkSecurity.init(rawValue:)),
            let bonded = json["bonded"].flatMap(JSONCoding.instant),
            case let record = BondRecord(
                device: device, adapter: adapter, address: address, longTermKeys: keys,
                identityResolvingKey: json["irk"]?.string.flatMap { [UInt8](hex: $0) },
                linkKey: json["link"]?.string.flatMap { [UInt8](hex: $0) }, security: security, bonded: bonded),
            record.hasWholeKeys
        else { throw unreadable("bond", "sealed", device) }
        return record
    }
}
