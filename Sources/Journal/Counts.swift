public import Steward

/// How much of what the journal holds.
public struct JournalCounts: Hashable, Sendable {
    /// By the name of the act's state.
    public var acts: [String: Int]
    /// Held acts by their reason.
    public var held: [HoldReason: Int]
    /// By receiver.
    public var items: [String: [ItemState: Int]]
    public var suppressed: Int
    public var frames: Int
    /// Frames that no decoder has understood yet.
    public var undecoded: Int

    /// Items of all receivers in a state.
    public func items(in state: ItemState) -> Int { items.values.reduce(0) { $0 + ($1[state] ?? 0) } }
}

extension Tally.ActKey {
    init(_ state: ActState) { self.init(state: state.name, hold: state.holdReason?.rawValue) }
}

extension Transaction {
    /// Counted once by reading the tables, then kept up to date: asking costs nothing with 100,000 readings queued.
    public func counts() throws(JournalError) -> JournalCounts {
        let tally = try tally()
        var counts = JournalCounts(
            acts: [:], held: [:], items: [:], suppressed: tally.suppressed, frames: tally.frames, undecoded: tally.undecoded)
        for (key, count) in tally.acts where count != 0 {
            counts.acts[key.state, default: 0] += count
            if let reason = key.hold.flatMap(HoldReason.init(rawValue:)) { counts.held[reason, default: 0] += count }
        }
        for (key, count) in tally.items where count != 0 {
            guard let state = ItemState(rawValue: key.state) else { continue }
            counts.items[try name(key.receiver), default: [:]][state, default: 0] += count
        }
        return counts
    }

    func tally() throws(JournalError) -> Tally {
        if let tally = store.cache.tally { return tally }
        let tally = try countedTally()
        store.cache.tally = tally
        return tally
    }

    /// The same from the tables.
    func countedTally() throws(JournalError) -> Tally {
        var tally = Tally()
        // Each in the order of an index that has all of it: no sorting, and the tables themselves are not read.
        var ready = Int(try integer("SELECT count(*) FROM act") ?? 0)
        try each("SELECT state, hold, count(*) FROM act WHERE state <> 'ready' GROUP BY state, hold") {
            row throws(JournalError) in
            tally.acts[Tally.ActKey(state: row.text(0), hold: row.optionalText(1))] = row.int(2)
            ready -= row.int(2)
        }
        tally.acts[Tally.ActKey(.ready)] = ready
        try each("SELECT state, receiver, count(*) FROM item GROUP BY state, receiver") { row throws(JournalError) in
            tally.items[Tally.ItemKey(receiver: row.integer(1), state: row.text(0))] = row.int(2)
        }
        try each("SELECT channel, count(*) FROM item INDEXED BY item_waiting WHERE state = 'waiting' GROUP BY channel") {
            row throws(JournalError) in
            tally.waiting[row.integer(0)] = row.int(1)
        }
        tally.suppressed = Int(try integer("SELECT count(*) FROM suppressed") ?? 0)
        tally.frames = Int(try integer("SELECT count(*) FROM frame") ?? 0)
        tally.undecoded = Int(try integer("SELECT count(*) FROM frame WHERE decoded = 0") ?? 0)
        return tally
    }

    /// Keeps the counts up to date where they are known. A rollback takes it back.
    func change(_ body: (inout Tally) -> Void) {
        guard var tally = store.cache.tally.take() else { return }
        body(&tally)
        store.cache.tally = tally
    }
}
