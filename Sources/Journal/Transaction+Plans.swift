public import ExactJSON
import Steward
public import Vitals

// MARK: What receivers ask of a patient

extension Transaction {
    /// Keeps a plan as it was fetched for a channel's patient. Returns its number.
    @discardableResult
    public func insertPlan(_ plan: JSON, channel: String, fetched: Instant) throws(JournalError) -> Int64 {
        let id = try nextID("plan")
        try run(
            "INSERT INTO plan (id, channel, fetched, sealed) VALUES (?, ?, ?, ?)",
            [id, try nameID(.channel, channel), fetched.milliseconds, try seal(plan, "plan", row: id)])
        return id
    }

    /// All plans that are kept for a channel, the oldest first, with their numbers.
    public func plans(channel: String) throws(JournalError) -> [(id: Int64, plan: JSON)] {
        guard let channelID = try knownNameID(.channel, channel) else { return [] }
        return try all("SELECT id, sealed FROM plan WHERE channel = ? ORDER BY fetched, id", [channelID]) {
            row throws(JournalError) in
            (id: row.integer(0), plan: try open(row.blob(1), "plan", row: row.integer(0)))
        }
    }

    /// One that says nothing that a later one does not say as well.
    public func removePlan(id: Int64) throws(JournalError) { try run("DELETE FROM plan WHERE id = ?", [id]) }
}

/// An item whose place at the receiver is decided, and when it was delivered, if it was.
public struct PlacedItem: Hashable, Sendable {
    public var item: ItemRecord
    public var delivered: Instant?
}

// MARK: What answers them

extension Transaction {
    /// Writes down where an item goes at its receiver, in the destination's own words.
    public func setItem(_ id: Int64, target: String) throws(JournalError) {
        guard var item = try item(id: id) else { throw .fault("item \(id) is not there") }
        guard item.target != target else { return }
        item.target = target
        try run(
            "UPDATE item SET target = ?, sealed = ? WHERE id = ?",
            [store.sealer.blind("item.target", target), try sealed(item), id])
    }

    /// Items of a channel that were decided to go to some place at the receiver and count there, or may: all that are open, and those
    /// that were delivered since.
    public func placedItems(channel: String, receiver: String, deliveredSince: Instant) throws(JournalError) -> [PlacedItem] {
        guard let channelID = try knownNameID(.channel, channel), let receiverID = try knownNameID(.receiver, receiver) else {
            return []
        }
        let nowhere = store.sealer.blind("item.target", "")
        var items: [PlacedItem] = []
        for state in [ItemState.waiting, .sending, .uncertain] {
            items += try openPlaced(state, [receiverID, channelID, nowhere]).map { PlacedItem(item: $0, delivered: nil) }
        }
        return items + (try deliveredPlaced(since: deliveredSince, [receiverID, channelID, nowhere]))
    }
}
