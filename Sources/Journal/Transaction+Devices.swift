import ExactJSON
public import Vitals

// MARK: Devices

extension Transaction {
    /// Throws ``JournalError/constraint(_:)`` where the name is taken.
    public func addDevice(
        name: String, model: String, bearer: String, state: DeviceRecord.State, at: Instant
    ) throws(JournalError) -> DeviceRecord {
        let device = DeviceRecord(id: try nextID("device"), name: name, model: model, bearer: bearer, state: state, enrolled: at)
        try run(
            "INSERT INTO device (id, name, state, enrolled, last_seen, sealed) VALUES (?, ?, ?, ?, ?, ?)",
            [device.id, blindName(name), state.rawValue, at.milliseconds, Int64?.none, try sealed(device)])
        return device
    }

    public func device(id: Int64) throws(JournalError) -> DeviceRecord? {
        try first("SELECT id, state, enrolled, last_seen, sealed FROM device WHERE id = ?", [id], device)
    }

    public func device(named name: String) throws(JournalError) -> DeviceRecord? {
        try first("SELECT id, state, enrolled, last_seen, sealed FROM device WHERE name = ?", [blindName(name)], device)
    }

    public func devices() throws(JournalError) -> [DeviceRecord] {
        try all("SELECT id, state, enrolled, last_seen, sealed FROM device ORDER BY id", [], device)
    }

    /// Throws ``JournalError/constraint(_:)`` where another device has the name.
    public func update(_ device: DeviceRecord) throws(JournalError) {
        try run(
            "UPDATE device SET name = ?, state = ?, enrolled = ?, last_seen = ?, sealed = ? WHERE id = ?",
            [
                blindName(device.name), device.state.rawValue, device.enrolled.milliseconds, device.lastSeen?.milliseconds,
                try sealed(device), device.id,
            ])
    }

    private func blindName(_ name: String) -> [UInt8] { store.sealer.blind("device.name", name) }

    private func sealed(_ device: DeviceRecord) throws(JournalError) -> [UInt8] {
        let json = JSON.members([
            "name": .string(device.name), "key": device.key.map { .string($0.rawValue) },
            "identity": JSONCoding.json(device.identity), "model": .string(device.model), "bearer": .string(device.bearer),
            "handles": device.handleMap.map { .string($0.hex) }, "battery": device.batteryPercent.map { .integer($0) },
        ])
        return try seal(json, "device", row: device.id)
    }

    private func device(_ row: Row) throws(JournalError) -> DeviceRecord {
        let id = row.integer(0)
        let json = try open(row.blob(4), "device", row: id)
        guard let state = DeviceRecord.State(rawValue: row.text(1)), let name = json["name"]?.string,
            let model = json["model"]?.string, let bearer = json["bearer"]?.string
        else { throw unreadable("device", "sealed", id) }
        return DeviceRecord(
            id: id, name: name, key: json["key"]?.string.map { DeviceKey(rawValue: $0) },
            identity: json["identity"].map(JSONCoding.deviceIdentity) ?? DeviceIdentity(), model: model, bearer: bearer,
            state: state,
            enrolled: Instant(milliseconds: row.integer(2)), handleMap: json["handles"]?.string.flatMap { [UInt8](hex: $0) },
            batteryPercent: json["battery"]?.integer, lastSeen: row.optionalInteger(3).map { Instant(milliseconds: $0) })
    }
}

// MARK: Transfers

/// One sending of a device's records: a connection, or one record procedure in it.
public struct TransferRecord: Hashable, Sendable {
    public var id: Int64
    public var device: Int64
    public var began: ClockReading
    /// `nil` while it runs, or where the hub went down in it.
    public var ended: ClockReading?
    public var outcome: String?
}

extension Transaction {
    public func beginTransfer(device: Int64, at clock: ClockReading) throws(JournalError) -> Int64 {
        let id = try nextID("transfer")
        try run(
            """
            INSERT INTO transfer (id, device, began, began_offset, began_monotonic, began_boot, began_clock)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            """,
            [
                id, device, clock.wall.milliseconds, clock.offsetMinutes, clock.monotonic.milliseconds, try boot(clock),
                clock.source.rawValue,
            ])
        return id
    }

    /// - Parameter outcome: a code or a sentence without health data.
    public func endTransfer(_ id: Int64, outcome: String, at clock: ClockReading) throws(JournalError) {
        let json = JSON.members(["outcome": .string(outcome), "ended": JSONCoding.json(clock)])
        try run(
            "UPDATE transfer SET ended = ?, sealed = ? WHERE id = ?",
            [clock.wall.milliseconds, try seal(json, "transfer", row: id), id])
    }

    /// The latest first.
    public func lastTransfers(device: Int64, limit: Int) throws(JournalError) -> [TransferRecord] {
        try all(
            """
            SELECT id, device, began, began_offset, began_monotonic, began_boot, began_clock, sealed
            FROM transfer WHERE device = ? ORDER BY id DESC LIMIT ?
            """, [device, limit]
        ) { row throws(JournalError) in
            let id = row.integer(0)
            var transfer = TransferRecord(
                id: id, device: row.integer(1),
                began: try self.clockReading(row, wall: 2, offset: 3, monotonic: 4, boot: 5, source: 6))
            if let sealed = row.optionalBlob(7) {
                let json = try self.open(sealed, "transfer", row: id)
                transfer.outcome = json["outcome"]?.string
                transfer.ended = json["ended"].flatMap(JSONCoding.clock)
            }
            return transfer
        }
    }
}
