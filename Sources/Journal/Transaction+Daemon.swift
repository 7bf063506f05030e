public import Vitals

// MARK: What the daemon asks at its start and for people

extension Transaction {
    /// Ends transfers that an earlier run of the daemon left open: their links ended with it.
    public func endOpenTransfers(outcome: String, at now: ClockReading) throws(JournalError) {
        let open = try all("SELECT id FROM transfer WHERE ended IS NULL") { row throws(JournalError) in row.integer(0) }
        for id in open { try endTransfer(id, outcome: outcome, at: now) }
    }

    /// The acts that a transfer brought, in the order in which they came.
    public func acts(inTransfer transfer: Int64) throws(JournalError) -> [Int64] {
        try all(
            "SELECT act.id FROM frame JOIN act ON act.frame = frame.id WHERE frame.transfer = ? ORDER BY act.id", [transfer]
        ) { row throws(JournalError) in row.integer(0) }
    }

    /// Acts, the newest first.
    /// - Parameter state: the name of an `ActState`; `nil` for all.
    public func newestActs(state: String?, limit: Int) throws(JournalError) -> [ActRecord] {
        let ids: [Int64]
        if let state {
            // The index of the acts that are not ready wants to be told so.
            let condition = state == "ready" ? "state = ?" : "state <> 'ready' AND state = ?"
            ids = try all("SELECT id FROM act WHERE \(condition) ORDER BY id DESC LIMIT ?", [state, limit]) {
                row throws(JournalError) in
                row.integer(0)
            }
        } else {
            ids = try all("SELECT id FROM act ORDER BY id DESC LIMIT ?", [limit]) { row throws(JournalError) in row.integer(0) }
        }
        var acts: [ActRecord] = []
        for id in ids { if let act = try act(id: id) { acts.append(act) } }
        return acts
    }

    /// How many obligations about a device's readings are neither delivered nor withdrawn. What a receiver did not ask for is none.
    public func openItems(device: Int64) throws(JournalError) -> Int {
        Int(
            try integer(
                """
                SELECT count(*) FROM act JOIN reading ON reading.act = act.id JOIN item ON item.reading = reading.id
                WHERE act.device = ? AND item.settled IS NULL AND item.state <> 'held'
                """, [device]) ?? 0)
    }

    /// A withdrawn obligation is owed again: its act was decided anew before anything left.
    public func renew(_ item: Int64, channel: String, effective: Instant) throws(JournalError) {
        try setItem(item, state: .waiting)
        try setItem(item, channel: channel)
        try run("UPDATE item SET effective = ? WHERE id = ?", [effective.milliseconds, item])
    }
}
