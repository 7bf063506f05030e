import Vitals

// MARK: Device log

extension Transaction {
    /// Entries that are kept of each device. A reading makes some 15 (found, connected, encrypted, clock read and set,
    /// identity, battery, subscribed, frame, committed, confirmed, notes, disconnected), so these are the last 130 readings: a month
    /// of four a day. At some 150 bytes a row 300 kB a device.
    public static let deviceLogLimit = 2_000

    /// Rows beyond its own number that an insertion removes at most, so that a log that is far too long (a lower limit of a later
    /// release) shrinks without delaying an intake commit (R1: 20 ms).
    private static let deviceLogPiece = 100

    /// Adds what happened, in this order, in the caller's transaction: gather entries, for each transaction costs an fsync.
    public func appendLog(_ entries: [DeviceLogEntry]) throws(JournalError) {
        var counts: [Int64: Int] = [:]
        for entry in entries {
            let id = try nextID("device_log")
            try run(
                "INSERT INTO device_log (id, device, wall, monotonic, boot, kind, detail) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    id, entry.device, entry.wall.milliseconds, entry.monotonic.milliseconds,
                    try nameID(.boot, entry.boot.rawValue), entry.kind.rawValue,
                    try entry.detail.map { detail throws(JournalError) in try seal(detail, "device_log", "detail", row: id) },
                ])
            counts[entry.device, default: 0] += 1
        }
        for (device, added) in counts { try trimLog(device: device, atMost: added + Self.deviceLogPiece) }
    }

    private func trimLog(device: Int64, atMost piece: Int) throws(JournalError) {
        let tooOld = try integer(
            "SELECT id FROM device_log WHERE device = ? ORDER BY id DESC LIMIT 1 OFFSET ?", [device, Self.deviceLogLimit])
        guard let tooOld else { return }
        try run(
            """
            DELETE FROM device_log WHERE id IN (
                SELECT id FROM device_log WHERE device = ? AND id <= ? ORDER BY id LIMIT ?)
            """, [device, tooOld, piece])
    }

    /// The last entries of a device, the newest last.
    public func log(device: Int64, limit: Int) throws(JournalError) -> [DeviceLogEntry] {
        try all(
            """
            SELECT id, device, wall, monotonic, boot, kind, detail FROM device_log WHERE device = ? ORDER BY id DESC LIMIT ?
            """, [device, limit]
        ) { row throws(JournalError) in
            let id = row.integer(0)
            return DeviceLogEntry(
                device: row.integer(1), wall: Instant(milliseconds: row.integer(2)),
                monotonic: MonotonicTime(milliseconds: row.integer(3)), boot: BootID(rawValue: try self.name(row.integer(4))),
                // The kind of a later release, or of an earlier one, is still worth its line.
                kind: DeviceLogEntry.Kind(rawValue: row.text(5)) ?? .note,
                detail: try row.optionalBlob(6).map { sealed throws(JournalError) in
                    try self.openText(sealed, "device_log", "detail", row: id)
                })
        }.reversed()
    }

    /// Removes the oldest entries of all devices (R9). Returns how many.
    public func dropDeviceLog(limit: Int) throws(JournalError) -> Int {
        try run("DELETE FROM device_log WHERE id IN (SELECT id FROM device_log ORDER BY id LIMIT ?)", [limit])
    }
}
