public import Vitals

/// Bytes on the disk.
public struct StorageReport: Hashable, Sendable {
    public var databaseBytes: Int
    /// The write-ahead log.
    public var logBytes: Int
    /// What is kept back (R9).
    public var ballastBytes: Int
    /// What this user can still write on that file system.
    public var freeBytes: Int
    public var reserve: ReserveState
}

// Long work in short transactions, so that intake comes in between (R1: no other transaction delays an intake commit by more
// than 20 ms).
extension Journal {
    /// Acts a transaction: some ten statements each, 2 to 4 ms together on the slowest machine that was measured.
    private static let purgedTogether = 8
    /// Records of the audit log a transaction: an HMAC of some 200 bytes each.
    private static let verifiedTogether = 500

    /// Purges what was delivered before a moment, the longest delivered first. Returns how many acts.
    public func purgeDelivered(before moment: Instant, limit: Int, at now: Instant) async throws(JournalError) -> Int {
        var purged = 0
        while purged < limit {
            let together = min(Self.purgedTogether, limit - purged)
            let count = try write { transaction in
                let acts = try transaction.purgeCandidates(deliveredBefore: moment, limit: together)
                try transaction.purge(acts: acts, outcome: "delivered", at: now)
                return acts.count
            }
            purged += count
            if count < together { break }
            await Task.yield()
        }
        return purged
    }

    /// Follows the audit log from its first record. `false` where one was altered or taken out.
    public func verifyAuditChain() async throws(JournalError) -> Bool {
        var link = AuditLink()
        while true {
            let start = link
            let next = try read { transaction in
                try transaction.verifyChain(from: start, limit: Self.verifiedTogether)
            }
            guard let next else { return false }
            if next.id == start.id { return true }
            link = next
            await Task.yield()
        }
    }
}
