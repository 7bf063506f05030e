import ExactJSON
public import Vitals

// MARK: Devices

extension Transaction {
    /// Throws ``JournalError/constraint(_:)`` where the name is taken: by a device that was not returned.
    public func addDevice(
        name: String, model: String, bearer: String, state: DeviceRecord.State, at: Instant
    ) throws(JournalError) -> DeviceRecord {
        // One that was returned under an earlier release stands there with its name still.
        if let returned = try row(named: name), returned.state == .returned { try update(returned) }
        let device = DeviceRecord(id: try nextID("device"), name: name, model: model, bearer: bearer, state: state, enrolled: at)
        try run(
            "INSERT INTO device (id, name, state, enrolled, last_seen, sealed) VALUES (?, ?, ?, ?, ?, ?)",
            [device.id, blindName(device), state.rawValue, at.milliseconds, Int64?.none, try sealed(device)])
        return device
    }

    public func device(id: Int64) throws(JournalError) -> DeviceRecord? {
        try first("SELECT id, state, enrolled, last_seen, sealed FROM device WHERE id = ?", [id], device)
    }

    /// The device that has the name; where none has it now, the last one that had it when it was returned.
    public func device(named name: String) throws(JournalError) -> DeviceRecord? {
        if let device = try row(named: name) { return device }
        return try devices().last { $0.state == .returned && $0.name == name }
    }

    /// The device that keeps others from the name: one that was returned does not.
    public func holder(of name: String) throws(JournalError) -> DeviceRecord? {
        try row(named: name).flatMap { $0.state == .returned ? nil : $0 }
    }

    private func row(named name: String) throws(JournalError) -> DeviceRecord? {
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
                blindName(device), device.state.rawValue, device.enrolled.milliseconds, device.lastSeen?.milliseconds,
                try sealed(device), device.id,
            ])
    }

    private func blindName(_ name: String) -> [UInt8] { store.sealer.blind("device.name", name) }

    /// Names are unique among the devices that the hub has. One that was returned keeps its name for people to read, and stands under
    /// its number, so that the next may have it.
    private func blindName(_ device: DeviceRecord) -> [UInt8] {
        device.state == .returned ? store.sealer.blind("device.returned", "\(device.id)") : blindName(device.name)
    }

    private func sealed(_ device: DeviceRecord) throws(JournalError) -> [UInt8] {
        let json = JSON.members([
            "name": .string(device.name), "key": device.key.map { .string($0.rawValue) },
            "identity": JSONCoding.json(device.identity), "model": .string(device.model), "bearer": .string(device.bearer),
            "handles": device.handleMap.map { .string($0.hex) }, "battery": device.batteryPercent.map { .integer($0) },
            "security": device.security.map { .string($0.rawValue) },
            "verification": device.verification.map { JSONCoding.json($0) },
        ])
        return try seal(json, "device", row: device.id)
    }

    /// Every reading asks for its device, since a verification may have ended a moment ago (R4). The row is read each time, and opened
    /// only where it has changed.
    private func opened(_ sealed: [UInt8], row id: Int64) throws(JournalError) -> JSON {
        if let last = store.cache.devices[id], last.sealed == sealed { return last.json }
        let json = try open(sealed, "device", row: id)
        store.cache.devices[id] = Store.OpenedRow(sealed: sealed, json: json)
        return json
    }

    private func device(_ row: Row) throws(JournalError) -> DeviceRecord {
        let id = row.integer(0)
        let json = try opened(row.blob(4), row: id)
        guard let state = DeviceRecord.State(rawValue: row.text(1)), let name = json["name"]?.string,
            let model = json["model"]?.string, let bearer = json["bearer"]?.string
        else { throw unreadable("device", "sealed", id) }
        return DeviceRecord(
            id: id, name: name, key: json["key"]?.string.map { DeviceKey(rawValue: $0) },
            identity: json["identity"].map(JSONCoding.deviceIdentity) ?? DeviceIdentity(), model: model, bearer: bearer,
            state: state,
            enrolled: Instant(milliseconds: row.integer(2)), handleMap: json["handles"]?.string.flatMap { [UInt8](hex: $0) },
            batteryPercent: json["battery"]?.integer, lastSeen: row.optionalInteger(3).map { Instant(milliseconds: $0) },
            security: json["security"]?.string.flatMap(LinkSecurity.init(rawValue:)),
            verification: json["verification"].flatMap(JSONCoding.verification))
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
    /// Why the link ended, in the bearer's own words; `nil` where it told none.
    public var endReason: String?
    /// What the link achieved; `nil` where it was not recorded.
    public var security: LinkSecurity?
}

extension Transaction {
    /// - Parameter security: of the link; `nil` where it came over none.
    public func beginTransfer(
        device: Int64, at clock: ClockReading, security: LinkSecurity? = nil
    ) throws(JournalError) -> Int64 {
        let id = try nextID("transfer")
        try run(
            """
            INSERT INTO transfer (id, device, began, began_offset, began_monotonic, began_boot, began_clock, security)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                id, device, clock.wall.milliseconds, clock.offsetMinutes, clock.monotonic.milliseconds, try boot(clock),
                clock.source.rawValue, security?.rawValue,
            ])
        return id
    }

    /// - Parameters:
    ///   - outcome: a code or a sentence without health data.
    ///   - endReason: why the link ended, where its bearer told.
    public func endTransfer(
        _ id: Int64, outcome: String, endReason: String? = nil, at clock: ClockReading
    ) throws(JournalError) {
        let json = JSON.members([
            "outcome": .string(outcome), "ended": JSONCoding.json(clock), "why": endReason.map { .string($0) },
        ])
        try run(
            "UPDATE transfer SET ended = ?, sealed = ? WHERE id = ?",
            [clock.wall.milliseconds, try seal(json, "transfer", row: id), id])
    }

    private static let transferColumns =
        "id, device, began, began_offset, began_monotonic, began_boot, began_clock, sealed, security"

    public func transfer(id: Int64) throws(JournalError) -> TransferRecord? {
        try first("SELECT \(Self.transferColumns) FROM transfer WHERE id = ?", [id], transfer)
    }

    /// The latest first.
    public func lastTransfers(device: Int64, limit: Int) throws(JournalError) -> [TransferRecord] {
        try all(
            "SELECT \(Self.transferColumns) FROM transfer WHERE device = ? ORDER BY id DESC LIMIT ?", [device, limit], transfer)
    }

    private func transfer(_ row: Row) throws(JournalError) -> TransferRecord {
        let id = row.integer(0)
        var transfer = TransferRecord(
            id: id, device: row.integer(1),
            began: try clockReading(row, wall: 2, offset: 3, monotonic: 4, boot: 5, source: 6))
        if let sealed = row.optionalBlob(7) {
            let json = try open(sealed, "transfer", row: id)
            transfer.outcome = json["outcome"]?.string
            transfer.ended = json["ended"].flatMap(JSONCoding.clock)
            transfer.endReason = json["why"]?.string
        }
        transfer.security = row.optionalText(8).flatMap(LinkSecurity.init(rawValue:))
        return transfer
    }
}
