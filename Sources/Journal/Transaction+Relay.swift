import Steward
public import Vitals

// MARK: What hubs sent to a relay

extension Transaction {
    /// The act that a hub's own name of a reading became.
    public func relayedAct(_ name: String, of hub: String) throws(JournalError) -> Int64? {
        try integer("SELECT act FROM relayed WHERE name = ?", [relayed(name, hub)])
    }

    public func setRelayed(_ name: String, of hub: String, act: Int64) throws(JournalError) {
        try run("INSERT OR IGNORE INTO relayed (name, act) VALUES (?, ?)", [relayed(name, hub), act])
    }

    private func relayed(_ name: String, _ hub: String) -> [UInt8] {
        store.sealer.blind("relayed", "\(hub.utf8.count):\(hub)\(name)")
    }

    /// A hub was heard.
    public func heard(hub: String, at now: Instant) throws(JournalError) {
        let id = try nameID(.hub, hub)
        try run(
            "INSERT INTO hub (id, heard) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET heard = max(heard, excluded.heard)",
            [id, now.milliseconds])
    }

    /// When each was heard last, by name.
    public func hubs() throws(JournalError) -> [String: Instant] {
        let rows = try all("SELECT id, heard FROM hub") { row throws(JournalError) in
            (name: try name(row.integer(0)), heard: Instant(milliseconds: row.integer(1)))
        }
        return Dictionary(rows.map { ($0.name, $0.heard) }, uniquingKeysWith: { first, _ in first })
    }
}
