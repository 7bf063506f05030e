public import ExactJSON
public import Vitals

// MARK: Dispatches

extension Transaction {
    private static let columns = "id, receiver, channel, created, head, memo, body"

    /// Freezes a request before its first attempt.
    public func insertDispatch(
        receiver: String, channel: String, method: String, url: String, headers: [[String]], body: [UInt8],
        entries: [DispatchRecord.Entry], memo: JSON, created: Instant
    ) throws(JournalError) -> DispatchRecord {
        let id = try nextID("dispatch")
        let head = JSON.members([
            "m": .string(method), "u": .string(url), "h": .array(headers.map { .array($0.map { .string($0) }) }),
        ])
        try run(
            "INSERT INTO dispatch (id, receiver, channel, created, dropped, head, memo, body) VALUES (?, ?, ?, ?, 0, ?, ?, ?)",
            [
                id, try nameID(.receiver, receiver), try nameID(.channel, channel), created.milliseconds,
                try seal(head, "dispatch", "head", row: id), try seal(memo, "dispatch", "memo", row: id),
                try store.sealer.seal(body, "dispatch", "body", row: id),
            ])
        for entry in entries {
            try run("INSERT INTO dispatch_entry (dispatch, item, position) VALUES (?, ?, ?)", [id, entry.item, entry.index])
        }
        return DispatchRecord(
            id: id, receiver: receiver, channel: channel, method: method, url: url, headers: headers, body: body,
            entries: entries,
            memo: memo, created: created)
    }

    public func dispatch(id: Int64) throws(JournalError) -> DispatchRecord? {
        try first("SELECT \(Self.columns) FROM dispatch WHERE id = ?", [id], dispatch)
    }

    /// The frozen request that an item is in and that may be sent again: the last one that was not dropped.
    public func openDispatch(item: Int64) throws(JournalError) -> DispatchRecord? {
        let id = try integer(
            """
            SELECT max(dispatch.id) FROM dispatch_entry JOIN dispatch ON dispatch.id = dispatch_entry.dispatch
            WHERE dispatch_entry.item = ? AND dispatch.dropped = 0 AND dispatch.body IS NOT NULL
            """, [item])
        return if let id { try dispatch(id: id) } else { nil }
    }

    /// Never to be sent again: refused, split, or outdated. It stays for the history of its attempts.
    public func dropDispatch(id: Int64) throws(JournalError) {
        try run("UPDATE dispatch SET dropped = 1 WHERE id = ?", [id])
    }

    public func updateMemo(_ memo: JSON, dispatch id: Int64) throws(JournalError) {
        try run("UPDATE dispatch SET memo = ? WHERE id = ?", [try seal(memo, "dispatch", "memo", row: id), id])
    }

    private func dispatch(_ row: Row) throws(JournalError) -> DispatchRecord {
        let id = row.integer(0)
        let head = try open(row.blob(4), "dispatch", "head", row: id)
        guard let method = head["m"]?.string, let url = head["u"]?.string, let headers = head["h"]?.array else {
            throw unreadable("dispatch", "head", id)
        }
        let entries = try all(
            "SELECT item, position FROM dispatch_entry WHERE dispatch = ? ORDER BY position, item", [id]
        ) { row throws(JournalError) in DispatchRecord.Entry(item: row.integer(0), index: row.int(1)) }
        let body: [UInt8] =
            if let sealed = row.optionalBlob(6) { try store.sealer.open(sealed, "dispatch", "body", row: id) } else { [] }
        return DispatchRecord(
            id: id, receiver: try name(row.integer(1)), channel: try name(row.integer(2)), method: method, url: url,
            headers: headers.map { ($0.array ?? []).compactMap(\.string) }, body: body, entries: entries,
            memo: try open(row.blob(5), "dispatch", "memo", row: id), created: Instant(milliseconds: row.integer(3)))
    }
}

// MARK: Attempts

extension Transaction {
    private static let attemptColumns = """
        attempt.id, attempt.dispatch, attempt.receiver, started, started_offset, monotonic, boot, clock, ended, outcome, sealed,
        detail
        """

    /// To be committed before the first byte leaves.
    public func beginAttempt(dispatch: Int64, receiver: String, at clock: ClockReading) throws(JournalError) -> Int64 {
        let id = try nextID("attempt")
        try run(
            """
            INSERT INTO attempt (id, dispatch, receiver, started, started_offset, monotonic, boot, clock)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                id, dispatch, try nameID(.receiver, receiver), clock.wall.milliseconds, clock.offsetMinutes,
                clock.monotonic.milliseconds, try boot(clock), clock.source.rawValue,
            ])
        return id
    }

    /// - Parameters:
    ///   - outcome: `answered`, `unknown` or the like.
    ///   - detail: the OperationOutcome or the failure's own words; sealed.
    public func endAttempt(
        _ id: Int64, outcome: String, status: Int?, durationMilliseconds: Int?, detail: String?, at: Instant
    ) throws(JournalError) {
        let json = JSON.members(["s": status.map { .integer($0) }, "d": durationMilliseconds.map { .integer($0) }])
        let sealedDetail: [UInt8]? = if let detail { try seal(detail, "attempt", "detail", row: id) } else { nil }
        try run(
            "UPDATE attempt SET ended = ?, outcome = ?, sealed = ?, detail = ? WHERE id = ?",
            [at.milliseconds, outcome, try seal(json, "attempt", row: id), sealedDetail, id])
    }

    /// Takes an attempt away of which no byte left: such failures are counted on the channel (R6).
    public func discardAttempt(_ id: Int64) throws(JournalError) {
        try run("DELETE FROM attempt WHERE id = ?", [id])
    }

    public func attempts(dispatch: Int64) throws(JournalError) -> [AttemptRecord] {
        try all("SELECT \(Self.attemptColumns) FROM attempt WHERE dispatch = ? ORDER BY id", [dispatch], attempt)
    }

    public func attempts(item: Int64) throws(JournalError) -> [AttemptRecord] {
        try all(
            """
            SELECT \(Self.attemptColumns) FROM dispatch_entry JOIN attempt ON attempt.dispatch = dispatch_entry.dispatch
            WHERE dispatch_entry.item = ? ORDER BY attempt.id
            """, [item], attempt)
    }

    /// Attempts without an outcome: found at start, their outcome is unknown.
    public func openAttempts() throws(JournalError) -> [AttemptRecord] {
        try all("SELECT \(Self.attemptColumns) FROM attempt WHERE outcome IS NULL ORDER BY id", [], attempt)
    }

    private func attempt(_ row: Row) throws(JournalError) -> AttemptRecord {
        let id = row.integer(0)
        var attempt = AttemptRecord(
            id: id, dispatch: row.integer(1), receiver: try name(row.integer(2)),
            started: try clockReading(row, wall: 3, offset: 4, monotonic: 5, boot: 6, source: 7),
            ended: row.optionalInteger(8).map { Instant(milliseconds: $0) }, outcome: row.optionalText(9))
        if let sealed = row.optionalBlob(10) {
            let json = try open(sealed, "attempt", row: id)
            attempt.status = json["s"]?.integer
            attempt.durationMilliseconds = json["d"]?.integer
        }
        if let detail = row.optionalBlob(11) { attempt.detail = try openText(detail, "attempt", "detail", row: id) }
        return attempt
    }
}
