public import Vitals

// MARK: Retention (R9)

extension Transaction {
    /// Acts that some receiver has, that no receiver is owed, and whose last item was settled before a moment; the longest
    /// settled first.
    public func purgeCandidates(deliveredBefore moment: Instant, limit: Int) throws(JournalError) -> [Int64] {
        var candidates: [(settled: Int64, act: Int64)] = []
        for receiver in try receiverIDs() {
            candidates += try all(
                """
                SELECT settled, act FROM item AS delivered
                WHERE state = 'delivered' AND receiver = ?1 AND settled < ?2
                    AND (SELECT state IN ('ready', 'retracted') FROM act WHERE act.id = delivered.act)
                    AND NOT EXISTS (
                        SELECT 1 FROM reading JOIN item AS other ON other.reading = reading.id
                        WHERE reading.act = delivered.act AND (other.settled IS NULL OR other.settled >= ?2))
                ORDER BY settled LIMIT ?3
                """, [receiver, moment.milliseconds, limit * Self.readingsAtMost]
            ) { row throws(JournalError) in (row.integer(0), row.integer(1)) }
        }
        var acts: [Int64] = []
        for candidate in candidates.sorted(by: { $0 < $1 }) where !acts.contains(candidate.act) { acts.append(candidate.act) }
        return Array(acts.prefix(limit))
    }

    /// An act has at most so many readings at one receiver, each with an item or two.
    private static let readingsAtMost = 8

    /// Removes acts with their readings, items, frames and the requests that carried nothing else. A tombstone of each identity
    /// stays for ever, so that a device that sends it again adds nothing (R3). Some ten statements an act: give a few at a
    /// time.
    /// - Parameter outcome: what became of it, such as `delivered`; no health data.
    public func purge(acts: [Int64], outcome: String, at: Instant) throws(JournalError) {
        for act in acts { try purge(act, outcome: outcome, at: at) }
    }

    private func purge(_ act: Int64, outcome: String, at: Instant) throws(JournalError) {
        struct Purged {
            var subject: [UInt8]
            var base: [UInt8]
            var frame: Int64
            var key: Tally.ActKey
        }
        let found = try first("SELECT subject, base, frame, state, hold FROM act WHERE id = ?", [act]) {
            row throws(JournalError) in
            Purged(
                subject: row.blob(0), base: row.blob(1), frame: row.integer(2),
                key: Tally.ActKey(state: row.text(3), hold: row.optionalText(4)))
        }
        guard let found else { return }
        try run(
            "INSERT INTO tombstone (subject, base, outcome, at) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
            [found.subject, found.base, outcome, at.milliseconds])
        try purgeItems(of: act)
        try run("DELETE FROM reading WHERE act = ?", [act])
        try run("UPDATE suppressed SET act = NULL WHERE act = ?", [act])
        try run("DELETE FROM act WHERE id = ?", [act])
        change { $0.acts[found.key, default: 0] -= 1 }
        let isLastOfBase = try integer("SELECT 1 FROM act WHERE base = ?", [found.base]) == nil
        // The frames that only repeated it go with the last act of that base; the device's last frame stays to compare with (R3).
        try deleteFrames(
            where: (isLastOfBase ? "base = ?" : "id = ?")
                + " AND " + Self.isNotLast,
            [isLastOfBase ? found.base : found.frame])
    }

    private func purgeItems(of act: Int64) throws(JournalError) {
        let items = try all(
            """
            SELECT item.id, receiver, state, channel FROM reading JOIN item ON item.reading = reading.id WHERE reading.act = ?
            """, [act]
        ) { row throws(JournalError) in
            (id: row.integer(0), key: Tally.ItemKey(receiver: row.integer(1), state: row.text(2)), channel: row.integer(3))
        }
        for item in items {
            let dispatches = try all("SELECT dispatch FROM dispatch_entry WHERE item = ?", [item.id]) {
                row throws(JournalError) in
                row.integer(0)
            }
            try run("DELETE FROM dispatch_entry WHERE item = ?", [item.id])
            for dispatch in dispatches
            where try integer("SELECT 1 FROM dispatch_entry WHERE dispatch = ?", [dispatch]) == nil {
                try run("DELETE FROM attempt WHERE dispatch = ?", [dispatch])
                try run("DELETE FROM dispatch WHERE id = ?", [dispatch])
            }
            try run("DELETE FROM item WHERE id = ?", [item.id])
            change { tally in
                tally.items[item.key, default: 0] -= 1
                if item.key.state == "waiting" { tally.waiting[item.channel, default: 0] -= 1 }
            }
        }
    }

    /// Removes what receivers answered in attempts that ended before a moment, and the bodies of requests that wholly failed or
    /// arrived before it; time, status and duration stay. Returns how many attempts it touched.
    public func dropAttemptDetail(before moment: Instant, limit: Int) throws(JournalError) -> Int {
        let attempts = try all(
            "SELECT id, dispatch FROM attempt WHERE detail IS NOT NULL AND ended < ? ORDER BY ended LIMIT ?",
            [moment.milliseconds, limit]
        ) { row throws(JournalError) in (id: row.integer(0), dispatch: row.integer(1)) }
        for attempt in attempts {
            try run("UPDATE attempt SET detail = NULL WHERE id = ?", [attempt.id])
            try run(
                """
                UPDATE dispatch SET body = NULL WHERE id = ?1 AND NOT EXISTS (
                    SELECT 1 FROM dispatch_entry JOIN item ON item.id = dispatch_entry.item
                    WHERE dispatch_entry.dispatch = ?1 AND item.settled IS NULL)
                """, [attempt.dispatch])
        }
        return attempts.count
    }

    /// Removes the log of connections that ended before a moment: their frames that are no records of an act (clocks, features,
    /// repeats), then the connections that have no frame left. What no decoder has understood stays (R2). Returns how many rows.
    public func dropTransfers(before moment: Instant, limit: Int) throws(JournalError) -> Int {
        let frames = try all(
            """
            SELECT frame.id FROM transfer JOIN frame ON frame.transfer = transfer.id
            WHERE ended < ? AND decoded = 1 AND NOT EXISTS (SELECT 1 FROM act WHERE act.frame = frame.id)
                AND (base IS NULL OR frame.\(Self.isNotLast))
            LIMIT ?
            """, [moment.milliseconds, limit]
        ) { row throws(JournalError) in row.integer(0) }
        for frame in frames { try deleteFrames(where: "id = ?", [frame]) }
        guard frames.count < limit else { return frames.count }
        return frames.count
            + (try run(
                """
                DELETE FROM transfer WHERE id IN (
                    SELECT id FROM transfer WHERE ended < ? AND NOT EXISTS (SELECT 1 FROM frame WHERE frame.transfer = transfer.id)
                    ORDER BY id LIMIT ?)
                """, [moment.milliseconds, limit - frames.count]))
    }
}
