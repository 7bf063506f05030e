import ExactJSON
public import Steward
public import Vitals

// MARK: Suppressed duplicates (R3)

extension Transaction {
    /// Lists a record that was sent again and made nothing new; the same one once more only counts up.
    public func recordSuppressed(
        frame: Frame, device: Int64, identity: ReadingIdentity, act: Int64?, at: Instant
    ) throws(JournalError) {
        let subject = store.sealer.subject(of: identity).bytes
        let known = try run(
            "UPDATE suppressed SET repeats = repeats + 1, last = ?, act = ? WHERE subject = ?", [at.milliseconds, act, subject])
        guard known == 0 else { return }
        let id = try nextID("suppressed")
        try run(
            "INSERT INTO suppressed (id, subject, device, act, repeats, first, last, sealed) VALUES (?, ?, ?, ?, 1, ?, ?, ?)",
            [id, subject, device, act, at.milliseconds, at.milliseconds, try sealed(frame, id)])
        change { $0.suppressed += 1 }
    }

    /// The same for a frame that is stored; its row gets the identity's base, so that equal ones in its transfer are counted.
    public func recordSuppressed(
        frame id: Int64, device: Int64, identity: ReadingIdentity, act: Int64?, at: Instant
    ) throws(JournalError) {
        guard let stored = try frame(id: id) else { throw .fault("frame \(id) is not there") }
        try setBase(identity.base, frame: id)
        try recordSuppressed(frame: stored.frame, device: device, identity: identity, act: act, at: at)
    }

    public func suppressed(after id: Int64 = 0, limit: Int) throws(JournalError) -> [SuppressedRecord] {
        try all(
            "SELECT id, device, act, repeats, first, last, sealed FROM suppressed WHERE id > ? ORDER BY id LIMIT ?", [id, limit],
            suppressed)
    }

    public func suppressed(id: Int64) throws(JournalError) -> SuppressedRecord? {
        try first("SELECT id, device, act, repeats, first, last, sealed FROM suppressed WHERE id = ?", [id], suppressed)
    }

    public func removeSuppressed(id: Int64) throws(JournalError) {
        let removed = try run("DELETE FROM suppressed WHERE id = ?", [id])
        change { $0.suppressed -= removed }
    }

    private func sealed(_ frame: Frame, _ id: Int64) throws(JournalError) -> [UInt8] {
        // The source in two places: characteristic and attribute handle, or the name of a serial format and nothing.
        let source: [JSON] =
            switch frame.source {
            case .gatt(let characteristic, let handle): [.integer(characteristic), .integer(handle)]
            case .vendor(let format): [.string(format), nil]
            }
        return try seal(
            .array(source + [.string(frame.bytes.hex), JSONCoding.json(frame.received)]), "suppressed", row: id)
    }

    private static func source(_ json: JSON) -> Frame.Source? {
        if let format = json[0]?.string { return .vendor(format: format) }
        guard let characteristic = json[0]?.integer.flatMap({ UInt16(exactly: $0) }),
            let handle = json[1]?.integer.flatMap({ UInt16(exactly: $0) })
        else { return nil }
        return .gatt(characteristic: characteristic, handle: handle)
    }

    private func suppressed(_ row: Row) throws(JournalError) -> SuppressedRecord {
        let id = row.integer(0)
        let json = try open(row.blob(6), "suppressed", row: id)
        guard let source = Self.source(json), let bytes = json[2]?.string.flatMap({ [UInt8](hex: $0) }),
            let received = json[3].flatMap(JSONCoding.clock)
        else { throw unreadable("suppressed", "sealed", id) }
        return SuppressedRecord(
            id: id, device: row.integer(1), act: row.optionalInteger(2),
            frame: Frame(source: source, bytes: bytes, received: received),
            count: row.int(3), first: Instant(milliseconds: row.integer(4)), last: Instant(milliseconds: row.integer(5)))
    }
}
