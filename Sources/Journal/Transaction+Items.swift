import ExactJSON
public import Steward
public import Vitals

/// What waits in a channel.
public struct ChannelWork: Hashable, Sendable {
    public var channel: String
    /// Items that wait.
    public var waiting: Int
    /// Effective time of the oldest.
    public var oldest: Instant
}

/// An act with waiting items, and the place in the queue to go on from.
public struct ActCursor: Hashable, Sendable {
    public var effective: Instant
    public var act: Int64
    public init(effective: Instant, act: Int64) {
        self.effective = effective
        self.act = act
    }
}

public enum QueueOrder: Hashable, Sendable {
    case oldestFirst, newestFirst
}

// MARK: Items

extension Transaction {
    private static let columns = """
        item.id, item.act, item.reading, reading.subject, item.kind, item.receiver, item.channel, item.state, item.effective,
        item.created, item.failures, item.sealed
        """
    private static let source = "item JOIN reading ON reading.id = item.reading"

    /// Makes an obligation, waiting. `nil` where the receiver has one for this reading, kind and target already; without a target, where it
    /// has one for reading and kind at all: where that goes may have been decided since.
    public func insertItem(
        act: Int64, reading: ActRecord.ReadingID, kind: ItemRecord.Kind, receiver: String, channel: String, target: String = "",
        effective: Instant, created: Instant
    ) throws(JournalError) -> ItemRecord? {
        let receiverID = try nameID(.receiver, receiver)
        let blind = store.sealer.blind("item.target", target)
        let isThere = try integer(
            "SELECT id FROM item WHERE reading = ?1 AND receiver = ?2 AND kind = ?3 AND (target = ?4 OR ?5) LIMIT 1",
            [reading.id, receiverID, kind.rawValue, blind, target.isEmpty ? 1 : 0])
        guard isThere == nil else { return nil }
        let item = ItemRecord(
            id: try nextID("item"), act: act, reading: reading.id, readingSubject: reading.subject, kind: kind,
            receiver: receiver,
            channel: channel, target: target, state: .waiting, reason: nil, effective: effective, created: created,
            serverFailures: 0,
            serverReference: nil)
        let channelID = try nameID(.channel, channel)
        try registerChannel(channelID, receiver: receiverID)
        try run(
            """
            INSERT INTO item (id, act, reading, kind, receiver, channel, target, state, effective, created, failures, sealed)
            VALUES (?, ?, ?, ?, ?, ?, ?, 'waiting', ?, ?, 0, ?)
            """,
            [
                item.id, act, reading.id, kind.rawValue, receiverID, channelID, blind, effective.milliseconds,
                created.milliseconds,
                try sealed(item),
            ])
        change { tally in
            tally.items[Tally.ItemKey(receiver: receiverID, state: "waiting"), default: 0] += 1
            tally.waiting[channelID, default: 0] += 1
        }
        return item
    }

    public func item(id: Int64) throws(JournalError) -> ItemRecord? {
        try first("SELECT \(Self.columns) FROM \(Self.source) WHERE item.id = ?", [id], item)
    }

    public func items(act: Int64) throws(JournalError) -> [ItemRecord] {
        try all("SELECT \(Self.columns) FROM \(Self.source) WHERE reading.act = ? ORDER BY item.id", [act], item)
    }

    /// Items of a state in the order of their ids.
    /// - Parameter id: the last one of the page before.
    public func items(
        state: ItemState, receiver: String? = nil, after id: Int64 = 0, limit: Int
    ) throws(JournalError) -> [ItemRecord] {
        var receivers = try receiverIDs()
        if let receiver {
            guard let known = try knownNameID(.receiver, receiver) else { return [] }
            receivers = [known]
        }
        // What is settled is nearly all there is: walk by id. The rest is found by its state, where `settled` is NULL.
        let isSettled = state == .delivered || state == .withdrawn
        let condition =
            isSettled ? "+item.state = ? AND +item.receiver = ?" : "item.state = ? AND item.receiver = ? AND settled IS NULL"
        var items: [ItemRecord] = []
        for receiver in receivers {
            items += try all(
                "SELECT \(Self.columns) FROM \(Self.source) WHERE \(condition) AND item.id > ? ORDER BY item.id LIMIT ?",
                [state.rawValue, receiver, id, limit], item)
        }
        return Array(items.sorted { $0.id < $1.id }.prefix(limit))
    }

    /// Receivers that were ever owed something; a handful.
    func receiverIDs() throws(JournalError) -> [Int64] {
        try all("SELECT DISTINCT receiver FROM channel ORDER BY receiver") { row throws(JournalError) in row.integer(0) }
    }

    /// Puts an item into a state.
    /// - Parameters:
    ///   - reason: a code without health data; replaces the one before, `nil` clears it.
    ///   - serverReference: `nil` leaves it as it is, as with `serverFailures`.
    ///   - at: now, where the state is final (delivered, withdrawn): retention counts from it.
    public func setItem(
        _ id: Int64, state: ItemState, reason: String? = nil, serverReference: String? = nil, serverFailures: Int? = nil,
        at: Instant? = nil
    ) throws(JournalError) {
        guard var item = try item(id: id) else { throw .fault("item \(id) is not there") }
        let before = item.state
        item.state = state
        item.reason = reason
        if let serverReference { item.serverReference = serverReference }
        if let serverFailures { item.serverFailures = serverFailures }
        let isSettled = state == .delivered || state == .withdrawn
        try run(
            "UPDATE item SET state = ?, settled = ?, failures = ?, sealed = ? WHERE id = ?",
            [
                state.rawValue, isSettled ? (at ?? item.created).milliseconds : nil, item.serverFailures, try sealed(item), id,
            ])
        let receiver = try nameID(.receiver, item.receiver)
        let channel = try nameID(.channel, item.channel)
        change { tally in
            tally.items[Tally.ItemKey(receiver: receiver, state: before.rawValue), default: 0] -= 1
            tally.items[Tally.ItemKey(receiver: receiver, state: state.rawValue), default: 0] += 1
            tally.waiting[channel, default: 0] += (state == .waiting ? 1 : 0) - (before == .waiting ? 1 : 0)
        }
    }

    /// Moves an item to another channel of its receiver: its credential or patient context has changed.
    public func setItem(_ id: Int64, channel: String) throws(JournalError) {
        guard let item = try item(id: id) else { throw .fault("item \(id) is not there") }
        let channelID = try nameID(.channel, channel)
        let before = try nameID(.channel, item.channel)
        try registerChannel(channelID, receiver: try nameID(.receiver, item.receiver))
        try run("UPDATE item SET channel = ? WHERE id = ?", [channelID, id])
        guard item.state == .waiting else { return }
        change { tally in
            tally.waiting[before, default: 0] -= 1
            tally.waiting[channelID, default: 0] += 1
        }
    }

    /// - Parameter ids: receiver, channel, and the blind index of no target.
    func openPlaced(_ state: ItemState, _ ids: [any SQLBindable]) throws(JournalError) -> [ItemRecord] {
        try all(
            """
            SELECT \(Self.columns) FROM \(Self.source)
            WHERE item.state = ? AND item.receiver = ? AND item.settled IS NULL AND +item.channel = ? AND +item.target <> ?
            ORDER BY item.id
            """, [state.rawValue] + ids, item)
    }

    func deliveredPlaced(since: Instant, _ ids: [any SQLBindable]) throws(JournalError) -> [PlacedItem] {
        try all(
            """
            SELECT \(Self.columns), item.settled FROM \(Self.source)
            WHERE item.state = 'delivered' AND item.settled >= ? AND item.receiver = ? AND +item.channel = ? AND +item.target <> ?
            ORDER BY item.id
            """, [since.milliseconds] + ids
        ) { row throws(JournalError) in
            PlacedItem(item: try item(row), delivered: row.optionalInteger(12).map { Instant(milliseconds: $0) })
        }
    }

    func sealed(_ item: ItemRecord) throws(JournalError) -> [UInt8] {
        let json = JSON.members([
            "t": item.target.isEmpty ? nil : .string(item.target), "r": item.reason.map { .string($0) },
            "s": item.serverReference.map { .string($0) },
        ])
        return try seal(json, "item", row: item.id)
    }

    private func item(_ row: Row) throws(JournalError) -> ItemRecord {
        let id = row.integer(0)
        let json = try open(row.blob(11), "item", row: id)
        guard let kind = ItemRecord.Kind(rawValue: row.text(4)), let state = ItemState(rawValue: row.text(7)) else {
            throw unreadable("item", "state", id)
        }
        return ItemRecord(
            id: id, act: row.integer(1), reading: row.integer(2), readingSubject: SubjectID(bytes: row.blob(3)), kind: kind,
            receiver: try name(row.integer(5)), channel: try name(row.integer(6)), target: json["t"]?.string ?? "", state: state,
            reason: json["r"]?.string, effective: Instant(milliseconds: row.integer(8)),
            created: Instant(milliseconds: row.integer(9)), serverFailures: row.int(10), serverReference: json["s"]?.string)
    }
}

// MARK: The queue

extension Transaction {
    /// The channels of a receiver that have waiting items.
    public func channels(receiver: String) throws(JournalError) -> [ChannelWork] {
        guard let receiverID = try knownNameID(.receiver, receiver) else { return [] }
        let waiting = try tally().waiting
        let known = try all(
            """
            SELECT id, (
                SELECT min(effective) FROM item INDEXED BY item_waiting WHERE item.channel = channel.id AND state = 'waiting')
            FROM channel WHERE receiver = ? ORDER BY id
            """, [receiverID]
        ) { row throws(JournalError) in (id: row.integer(0), oldest: row.optionalInteger(1)) }
        var work: [ChannelWork] = []
        for channel in known {
            guard let oldest = channel.oldest else { continue }
            work.append(
                ChannelWork(
                    channel: try name(channel.id), waiting: waiting[channel.id] ?? 0, oldest: Instant(milliseconds: oldest)))
        }
        return work
    }

    /// Items of a channel that its receiver did not ask for, in the order of their ids.
    /// - Parameter id: the last one of the page before.
    public func heldItems(channel: String, receiver: String, after id: Int64 = 0, limit: Int) throws(JournalError) -> [ItemRecord]
    {
        guard let channelID = try knownNameID(.channel, channel), let receiverID = try knownNameID(.receiver, receiver) else {
            return []
        }
        return try all(
            """
            SELECT \(Self.columns) FROM \(Self.source)
            WHERE item.state = 'held' AND item.receiver = ? AND item.settled IS NULL AND +item.channel = ? AND item.id > ?
            ORDER BY item.id LIMIT ?
            """, [receiverID, channelID, id, limit], item)
    }

    /// Acts that have waiting items in a channel, each once, in the order of their effective times.
    /// - Parameter cursor: the last one of the page before.
    public func nextActs(
        channel: String, limit: Int, after cursor: ActCursor? = nil, order: QueueOrder = .oldestFirst
    ) throws(JournalError) -> [ActCursor] {
        guard let id = try knownNameID(.channel, channel) else { return [] }
        var values: [any SQLBindable] = [id]
        var condition = "channel = ? AND state = 'waiting'"
        if let cursor {
            condition += " AND (effective, act) \(order == .oldestFirst ? ">" : "<") (?, ?)"
            values.append(cursor.effective.milliseconds)
            values.append(cursor.act)
        }
        let direction = order == .oldestFirst ? "ASC" : "DESC"
        values.append(limit)
        return try all(
            """
            SELECT DISTINCT effective, act FROM item INDEXED BY item_waiting WHERE \(condition)
            ORDER BY effective \(direction), act \(direction) LIMIT ?
            """, values
        ) { row throws(JournalError) in
            ActCursor(effective: Instant(milliseconds: row.integer(0)), act: row.integer(1))
        }
    }

    public func waitingItems(act: Int64, channel: String) throws(JournalError) -> [ItemRecord] {
        guard let id = try knownNameID(.channel, channel) else { return [] }
        // The act has few items; the plus keeps SQLite from walking the channel's queue instead.
        return try all(
            """
            SELECT \(Self.columns) FROM \(Self.source)
            WHERE reading.act = ? AND +item.channel = ? AND +item.state = 'waiting' ORDER BY item.id
            """, [act, id], item)
    }
}
