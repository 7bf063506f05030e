import ExactJSON
public import Vitals

// MARK: Channels (R6)

extension Transaction {
    private static let columns = "id, receiver, held_since, failures, first_failure, last_failure, sealed"

    public func channel(_ name: String) throws(JournalError) -> ChannelRecord? {
        guard let id = try knownNameID(.channel, name) else { return nil }
        return try first("SELECT \(Self.columns) FROM channel WHERE id = ?", [id], channel)
    }

    public func setChannel(_ channel: ChannelRecord) throws(JournalError) {
        let id = try nameID(.channel, channel.channel)
        let json = JSON.members([
            "c": channel.held.map { .string($0.code.rawValue) }, "r": channel.held.map { .string($0.reason) },
            "k": channel.failureKind.map { .string($0) },
        ])
        try run(
            """
            INSERT INTO channel (id, receiver, held_since, failures, first_failure, last_failure, sealed)
            VALUES (?, ?, ?, ?, ?, ?, ?)
            ON CONFLICT (id) DO UPDATE SET receiver = excluded.receiver, held_since = excluded.held_since,
                failures = excluded.failures, first_failure = excluded.first_failure, last_failure = excluded.last_failure,
                sealed = excluded.sealed
            """,
            [
                id, try nameID(.receiver, channel.receiver), channel.held?.since.milliseconds, channel.failures,
                channel.firstFailure?.milliseconds, channel.lastFailure?.milliseconds, try seal(json, "channel", row: id),
            ])
    }

    public func channelRecords() throws(JournalError) -> [ChannelRecord] {
        try all("SELECT \(Self.columns) FROM channel ORDER BY id", [], channel)
    }

    public func heldChannels() throws(JournalError) -> [ChannelRecord] {
        try all("SELECT \(Self.columns) FROM channel WHERE held_since IS NOT NULL ORDER BY id", [], channel)
    }

    /// A channel that an item names has a row, open until it is held.
    func registerChannel(_ id: Int64, receiver: Int64) throws(JournalError) {
        guard try integer("SELECT 1 FROM channel WHERE id = ?", [id]) == nil else { return }
        try run(
            "INSERT INTO channel (id, receiver, failures, sealed) VALUES (?, ?, 0, ?)",
            [id, receiver, try seal(.object([]), "channel", row: id)])
    }

    private func channel(_ row: Row) throws(JournalError) -> ChannelRecord {
        let id = row.integer(0)
        let json = try open(row.blob(6), "channel", row: id)
        var held: ChannelRecord.Hold?
        if let since = row.optionalInteger(2) {
            guard let code = json["c"]?.string.flatMap(Condition.Code.init(rawValue:)) else {
                throw unreadable("channel", "sealed", id)
            }
            held = ChannelRecord.Hold(code: code, reason: json["r"]?.string ?? "", since: Instant(milliseconds: since))
        }
        return ChannelRecord(
            channel: try name(id), receiver: try name(row.integer(1)), held: held, failures: row.int(3),
            firstFailure: row.optionalInteger(4).map { Instant(milliseconds: $0) },
            lastFailure: row.optionalInteger(5).map { Instant(milliseconds: $0) }, failureKind: json["k"]?.string)
    }
}

// MARK: Claims

extension Transaction {
    /// Takes a receiver-side identifier for a reading; it stays taken for ever, also after a purge. `false` where another
    /// reading has it.
    public func claim(receiver: String, identifier: String, reading: SubjectID) throws(JournalError) -> Bool {
        // The receiver's length keeps "ab" + "c" and "a" + "bc" apart.
        let blind = store.sealer.blind("claim", "\(receiver.utf8.count):\(receiver)\(identifier)")
        let holder = try first("SELECT subject FROM claim WHERE identifier = ?", [blind]) { row throws(JournalError) in
            row.blob(0)
        }
        if let holder { return holder == reading.bytes }
        try run("INSERT INTO claim (identifier, subject) VALUES (?, ?)", [blind, reading.bytes])
        return true
    }
}
