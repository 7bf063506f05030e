public import ExactJSON
public import Steward
public import Vitals

// MARK: When the hub was well

/// What has to be well for a measurement not to be missed.
public enum WatchedPart: String, Hashable, Sendable, CaseIterable {
    /// The daemon runs and can store.
    case hub
    /// The wall clock is synchronised.
    case clock
    /// Devices are listened for.
    case radio
}

extension Transaction {
    /// Says that a part was well from one look to the next: a span that reaches there goes on, else a new one begins.
    public func extendWatch(_ part: WatchedPart, from: Instant, until: Instant) throws(JournalError) {
        let reached = try integer(
            "SELECT id FROM watch WHERE part = ? AND began <= ? AND ended >= ? ORDER BY ended DESC LIMIT 1",
            [part.rawValue, from.milliseconds, from.milliseconds])
        if let reached {
            try run("UPDATE watch SET ended = max(ended, ?) WHERE id = ?", [until.milliseconds, reached])
            return
        }
        let id = try nextID("watch")
        try run(
            "INSERT INTO watch (id, part, began, ended) VALUES (?, ?, ?, ?)",
            [id, part.rawValue, from.milliseconds, until.milliseconds])
    }

    /// The spans that touch a window, the earliest first.
    public func watch(_ part: WatchedPart, from: Instant, until: Instant) throws(JournalError) -> [ClosedRange<Instant>] {
        try all(
            "SELECT began, ended FROM watch WHERE part = ? AND ended >= ? AND began <= ? ORDER BY began",
            [part.rawValue, from.milliseconds, until.milliseconds]
        ) { row throws(JournalError) in
            Instant(milliseconds: row.integer(0))...Instant(milliseconds: max(row.integer(0), row.integer(1)))
        }
    }

    /// Spans that ended before then are of no use any more.
    public func pruneWatch(before: Instant) throws(JournalError) {
        try run("DELETE FROM watch WHERE ended < ?", [before.milliseconds])
    }

    /// Acts of a patient by the time of the measurement.
    public func acts(of patient: PatientAlias, from: Instant, until: Instant) throws(JournalError) -> [ActRecord] {
        guard let id = try knownNameID(.patient, patient.rawValue) else { return [] }
        let found = try all(
            "SELECT id FROM act WHERE patient = ? AND effective BETWEEN ? AND ?", [id, from.milliseconds, until.milliseconds]
        ) { row throws(JournalError) in row.integer(0) }
        var acts: [ActRecord] = []
        for id in found { if let act = try act(id: id) { acts.append(act) } }
        return acts
    }

    /// Whether something of the device since then is not placed: a frame that cannot be decoded, a record held for a person or for the
    /// clock.
    public func hasUnplaced(device: Int64, since: Instant) throws(JournalError) -> Bool {
        try integer(
            """
            SELECT EXISTS (SELECT 1 FROM frame WHERE device = ?1 AND decoded = 0 AND received >= ?2)
                OR EXISTS (SELECT 1 FROM act WHERE device = ?1 AND state = 'held' AND received >= ?2)
            """, [device, since.milliseconds]) == 1
    }
}

// MARK: What is said of a slot

/// What a receiver is told of a slot in which nothing was measured.
public struct NoticeRecord: Hashable, Sendable {
    public var id: Int64
    public var channel: String
    public var patient: PatientAlias
    /// In the destination's own words.
    public var slot: JSON
    /// `waiting`, `sending`, then how it ended.
    public var state: ItemState
    public var starts: Instant
    public var ends: Instant
    public var reason: String?
}

extension Transaction {
    /// `nil` where there is one of this slot already, however it stands.
    public func insertNotice(
        channel: String, patient: PatientAlias, slotID: String, slot: JSON, starts: Instant, ends: Instant
    ) throws(JournalError) -> NoticeRecord? {
        let blind = store.sealer.blind("notice.slot", "\(channel.utf8.count):\(channel)\(slotID)")
        guard try integer("SELECT 1 FROM notice WHERE slot = ?", [blind]) == nil else { return nil }
        let record = NoticeRecord(
            id: try nextID("notice"), channel: channel, patient: patient, slot: slot, state: .waiting, starts: starts, ends: ends)
        try run(
            "INSERT INTO notice (id, channel, slot, state, starts, ends, sealed) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [
                record.id, try nameID(.channel, channel), blind, record.state.rawValue, starts.milliseconds, ends.milliseconds,
                try sealed(record),
            ])
        return record
    }

    /// Whether something was decided of the slot.
    public func hasNotice(channel: String, slotID: String) throws(JournalError) -> Bool {
        let blind = store.sealer.blind("notice.slot", "\(channel.utf8.count):\(channel)\(slotID)")
        return try integer("SELECT 1 FROM notice WHERE slot = ?", [blind]) != nil
    }

    /// Of a channel, by state; or those whose slot an instant is in.
    public func notices(
        channel: String, state: ItemState? = nil, covering instant: Instant? = nil
    ) throws(JournalError) -> [NoticeRecord] {
        guard let id = try knownNameID(.channel, channel) else { return [] }
        return try all(
            """
            SELECT id, channel, state, starts, ends, sealed FROM notice
            WHERE channel = ?1 AND (?2 = '' OR state = ?2) AND (?3 OR ?4 BETWEEN starts AND ends) ORDER BY starts, id
            """, [id, state?.rawValue ?? "", instant == nil ? 1 : 0, instant?.milliseconds ?? 0], notice)
    }

    public func notice(id: Int64) throws(JournalError) -> NoticeRecord? {
        try first("SELECT id, channel, state, starts, ends, sealed FROM notice WHERE id = ?", [id], notice)
    }

    /// The latest first.
    public func notices(limit: Int) throws(JournalError) -> [NoticeRecord] {
        try all("SELECT id, channel, state, starts, ends, sealed FROM notice ORDER BY id DESC LIMIT ?", [limit], notice)
    }

    public func setNotice(_ record: NoticeRecord) throws(JournalError) {
        try run(
            "UPDATE notice SET state = ?, sealed = ? WHERE id = ?", [record.state.rawValue, try sealed(record), record.id])
    }

    private func sealed(_ record: NoticeRecord) throws(JournalError) -> [UInt8] {
        let json = JSON.members([
            "p": .string(record.patient.rawValue), "s": record.slot, "r": record.reason.map { .string($0) },
        ])
        return try seal(json, "notice", row: record.id)
    }

    private func notice(_ row: Row) throws(JournalError) -> NoticeRecord {
        let id = row.integer(0)
        let json = try open(row.blob(5), "notice", row: id)
        guard let patient = json["p"]?.string, let slot = json["s"], let state = ItemState(rawValue: row.text(2)) else {
            throw unreadable("notice", "sealed", id)
        }
        return NoticeRecord(
            id: id, channel: try name(row.integer(1)), patient: PatientAlias(rawValue: patient), slot: slot, state: state,
            starts: Instant(milliseconds: row.integer(3)), ends: Instant(milliseconds: row.integer(4)),
            reason: json["r"]?.string)
    }
}
