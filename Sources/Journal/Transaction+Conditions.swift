import ExactJSON
public import Vitals

// MARK: Conditions (R10)

extension Transaction {
    /// Lets a condition stand. Where it stands already its `since` stays and its reason is renewed. Returns whether it is new.
    @discardableResult
    public func raise(_ condition: Condition) throws(JournalError) -> Bool {
        let blind = blind(condition.code, condition.subject)
        let known = try integer("SELECT id FROM condition WHERE blind = ?", [blind])
        let id = if let known { known } else { try nextID("condition") }
        let json = JSON.members([
            "c": .string(condition.code.rawValue), "s": .string(condition.subject), "r": .string(condition.reason),
        ])
        let sealed = try seal(json, "condition", row: id)
        if known != nil {
            try run("UPDATE condition SET sealed = ? WHERE id = ?", [sealed, id])
            return false
        }
        try run(
            "INSERT INTO condition (id, blind, since, sealed) VALUES (?, ?, ?, ?)",
            [id, blind, condition.since.milliseconds, sealed])
        return true
    }

    /// Its cause is gone. Returns whether it stood.
    @discardableResult
    public func clear(_ code: Condition.Code, subject: String) throws(JournalError) -> Bool {
        try run("DELETE FROM condition WHERE blind = ?", [blind(code, subject)]) > 0
    }

    /// In the order in which they arose.
    public func conditions() throws(JournalError) -> [Condition] {
        try all("SELECT id, since, sealed FROM condition ORDER BY since, id") { row throws(JournalError) in
            let json = try self.open(row.blob(2), "condition", row: row.integer(0))
            guard let code = json["c"]?.string.flatMap(Condition.Code.init(rawValue:)), let subject = json["s"]?.string,
                let reason = json["r"]?.string
            else { throw self.unreadable("condition", "sealed", row.integer(0)) }
            return Condition(code, subject: subject, since: Instant(milliseconds: row.integer(1)), reason: reason)
        }
    }

    private func blind(_ code: Condition.Code, _ subject: String) -> [UInt8] {
        store.sealer.blind("condition", "\(code.rawValue) \(subject)")
    }
}

// MARK: Audit

extension Transaction {
    /// Adds a record to the chain: each carries a code over the one before, so that none can be altered or taken out unseen.
    public func audit(at: Instant, actor: String, action: String, subject: String, detail: String? = nil) throws(JournalError) {
        let previous =
            try first("SELECT chain FROM audit ORDER BY id DESC LIMIT 1") { row throws(JournalError) in row.blob(0) } ?? []
        let id = try nextID("audit")
        let json = JSON.members([
            "a": .string(actor), "x": .string(action), "s": .string(subject), "d": detail.map { .string($0) },
        ])
        let sealed = try seal(json, "audit", row: id)
        try run(
            "INSERT INTO audit (id, at, sealed, chain) VALUES (?, ?, ?, ?)",
            [id, at.milliseconds, sealed, chain(previous, id: id, at: at.milliseconds, sealed: sealed)])
    }

    /// The latest first.
    public func auditRecords(limit: Int) throws(JournalError) -> [AuditRecord] {
        try all("SELECT id, at, sealed FROM audit ORDER BY id DESC LIMIT ?", [limit]) { row throws(JournalError) in
            let id = row.integer(0)
            let json = try self.open(row.blob(2), "audit", row: id)
            return AuditRecord(
                id: id, at: Instant(milliseconds: row.integer(1)), actor: json["a"]?.string ?? "",
                action: json["x"]?.string ?? "",
                subject: json["s"]?.string ?? "", detail: json["d"]?.string)
        }
    }

    /// Follows the chain through one piece of the log. Returns where it stands, `nil` where it is broken.
    func verifyChain(from link: AuditLink, limit: Int) throws(JournalError) -> AuditLink? {
        var current = link
        var isWhole = true
        try each(
            "SELECT id, at, sealed, chain FROM audit WHERE id > ? ORDER BY id LIMIT ?", [link.id, limit]
        ) { row throws(JournalError) in
            let expected = self.chain(current.chain, id: row.integer(0), at: row.integer(1), sealed: row.blob(2))
            // Ids of the log have no gaps: a missing one was taken out.
            isWhole = isWhole && row.integer(0) == current.id + 1 && expected == row.blob(3)
            current = AuditLink(id: row.integer(0), chain: row.blob(3))
        }
        return isWhole ? current : nil
    }

    private func chain(_ previous: [UInt8], id: Int64, at: Int64, sealed: [UInt8]) -> [UInt8] {
        store.sealer.chain(previous, Array("\(id).\(at).".utf8) + sealed)
    }
}

/// A place in the audit log.
struct AuditLink: Sendable {
    var id: Int64 = 0
    var chain: [UInt8] = []
}
