import ExactJSON
public import Steward
public import Vitals

// MARK: Identity (R3)

extension Transaction {
    public func identityState(_ identity: ReadingIdentity) throws(JournalError) -> IdentityState {
        let subject = store.sealer.subject(of: identity).bytes
        if let act = try integer("SELECT id FROM act WHERE subject = ?", [subject]) { return .act(act) }
        let isBuried = try integer("SELECT 1 FROM tombstone WHERE subject = ?", [subject]) != nil
        return isBuried ? .tombstone : .unknown
    }

    /// Acts and tombstones with this base.
    public func equalCount(base: [UInt8]) throws(JournalError) -> Int {
        let blind = blindBase(base)
        let acts = try integer("SELECT count(*) FROM act WHERE base = ?", [blind]) ?? 0
        return Int(acts + (try integer("SELECT count(*) FROM tombstone WHERE base = ?", [blind]) ?? 0))
    }

    /// Frames of the transfer with this base whose word is known to have been sent, or whose device takes none.
    public func equalCount(base: [UInt8], inTransfer transfer: Int64) throws(JournalError) -> Int {
        Int(
            try integer(
                "SELECT count(*) FROM frame WHERE transfer = ? AND base = ? AND word <> 'pending'", [transfer, blindBase(base)])
                ?? 0)
    }

    /// The public id that an act of this identity has or would have.
    public func subject(of identity: ReadingIdentity) -> SubjectID { store.sealer.subject(of: identity) }

    public func subject(of identity: ReadingIdentity, kind: Reading.Kind) -> SubjectID {
        store.sealer.subject(of: identity, kind: kind)
    }
}

// MARK: Acts

extension Transaction {
    private static let columns = """
        id, device, frame, transfer, state, hold, effective, effective_offset, patient, assignment, received, received_offset,
        monotonic, boot, clock, revision, sealed
        """

    /// Stores an act with its readings. Throws ``JournalError/constraint(_:)`` where its identity is there already.
    public func insertAct(_ draft: ActDraft) throws(JournalError) -> ActRecord {
        var act = ActRecord(
            draft, id: try nextID("act"), subject: store.sealer.subject(of: draft.identity), readings: [])
        let clock = act.received
        try run(
            """
            INSERT INTO act (id, subject, base, device, frame, transfer, state, hold, effective, effective_offset, patient,
                assignment, received, received_offset, monotonic, boot, clock, revision, sealed)
            VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
            """,
            [
                act.id, act.subject.bytes, blindBase(act.identity.base), act.device, act.frame, act.transfer, act.state.name,
                act.state.holdReason?.rawValue, act.effective?.instant.milliseconds, act.effective?.offsetMinutes,
                try patient(act.patient), act.assignment, clock.wall.milliseconds, clock.offsetMinutes,
                clock.monotonic.milliseconds,
                try boot(clock), clock.source.rawValue, act.revision, try sealed(act),
            ])
        change { $0.acts[Tally.ActKey(act.state), default: 0] += 1 }
        try setBase(act.identity.base, frame: act.frame)
        act.readings = try readings(of: act)
        return act
    }

    /// Stores what was decided or decoded again. Ids and identity stay; readings that it did not have before are added, and
    /// none is taken away, since items may name it.
    @discardableResult
    public func update(_ act: ActRecord) throws(JournalError) -> ActRecord {
        let before = try first("SELECT state, hold FROM act WHERE id = ?", [act.id]) { row throws(JournalError) in
            Tally.ActKey(state: row.text(0), hold: row.optionalText(1))
        }
        guard let before else { throw .fault("act \(act.id) is not there") }
        let clock = act.received
        try run(
            """
            UPDATE act SET frame = ?, transfer = ?, state = ?, hold = ?, effective = ?, effective_offset = ?, patient = ?,
                assignment = ?, received = ?, received_offset = ?, monotonic = ?, boot = ?, clock = ?, revision = ?, sealed = ?
            WHERE id = ?
            """,
            [
                act.frame, act.transfer, act.state.name, act.state.holdReason?.rawValue, act.effective?.instant.milliseconds,
                act.effective?.offsetMinutes, try patient(act.patient), act.assignment, clock.wall.milliseconds,
                clock.offsetMinutes,
                clock.monotonic.milliseconds, try boot(clock), clock.source.rawValue, act.revision, try sealed(act), act.id,
            ])
        change { tally in
            tally.acts[before, default: 0] -= 1
            tally.acts[Tally.ActKey(act.state), default: 0] += 1
        }
        var updated = act
        updated.readings = try readings(of: act)
        return updated
    }

    public func act(id: Int64) throws(JournalError) -> ActRecord? {
        try first("SELECT \(Self.columns) FROM act WHERE id = ?", [id], act)
    }

    /// The act that was made of a frame.
    public func act(frame: Int64) throws(JournalError) -> ActRecord? {
        try first("SELECT \(Self.columns) FROM act WHERE frame = ? ORDER BY id DESC LIMIT 1", [frame], act)
    }

    /// The act with this public id, or with a reading of this id.
    /// - Parameter subject: an id, or its first six characters or more where no other begins so; else `nil`.
    public func act(subject: String) throws(JournalError) -> ActRecord? {
        guard subject.utf8.count >= 6 else { return nil }
        let digits = subject.lowercased().filter { $0 != "-" }
        guard digits.utf8.count <= 32, digits.allSatisfy({ $0.isASCII && $0.isHexDigit }) else { return nil }
        let padding = 32 - digits.utf8.count
        guard let lowest = [UInt8](hex: digits + String(repeating: "0", count: padding)),
            let highest = [UInt8](hex: digits + String(repeating: "f", count: padding))
        else { return nil }
        let acts = try all(
            """
            SELECT id FROM act WHERE subject BETWEEN ?1 AND ?2
            UNION SELECT act FROM reading WHERE subject BETWEEN ?1 AND ?2 LIMIT 2
            """, [lowest, highest]
        ) { row throws(JournalError) in row.integer(0) }
        guard acts.count == 1 else { return nil }
        return try act(id: acts[0])
    }

    /// Acts in the order of their ids.
    /// - Parameter id: the last one of the page before.
    public func acts(_ filter: ActFilter = ActFilter(), after id: Int64 = 0, limit: Int) throws(JournalError) -> [ActRecord] {
        var conditions = ["id > ?"]
        var values: [any SQLBindable] = [id]
        func ask(_ condition: String, _ value: any SQLBindable) {
            conditions.append(condition)
            values.append(value)
        }
        if let reason = filter.heldReason {
            // The partial index wants to be told that the state is not `ready`.
            conditions.append("state <> 'ready'")
            ask("state = ?", "held")
            ask("hold = ?", reason.rawValue)
        } else if let state = filter.state {
            if state != "ready" { conditions.append("state <> 'ready'") }
            ask("state = ?", state)
        }
        if let device = filter.device { ask("device = ?", device) }
        if let boot = filter.boot {
            guard let known = try knownNameID(.boot, boot.rawValue) else { return [] }
            ask("boot = ?", known)
        }
        if let since = filter.since { ask("received >= ?", since.milliseconds) }
        values.append(limit)
        return try all(
            "SELECT \(Self.columns) FROM act WHERE \(conditions.joined(separator: " AND ")) ORDER BY id LIMIT ?", values, act)
    }

    /// Acts of a boot that wait for the hub's clock to be synchronised in it (R5).
    public func acts(
        heldForHubClockInBoot boot: BootID, after id: Int64 = 0, limit: Int = 100
    ) throws(JournalError) -> [ActRecord] {
        try acts(ActFilter(heldReason: .hubClock, boot: boot), after: id, limit: limit)
    }

    // MARK: Rows

    private func patient(_ alias: PatientAlias?) throws(JournalError) -> Int64? {
        if let alias { try nameID(.patient, alias.rawValue) } else { nil }
    }

    /// The rows of the act's readings, in the order of its measurement; those that are missing are made.
    private func readings(of act: ActRecord) throws(JournalError) -> [ActRecord.ReadingID] {
        var known: [[UInt8]: Int64] = [:]
        try each("SELECT subject, id FROM reading WHERE act = ?", [act.id]) { row throws(JournalError) in
            known[row.blob(0)] = row.integer(1)
        }
        var readings: [ActRecord.ReadingID] = []
        for reading in act.measurement.readings {
            let subject = store.sealer.subject(of: act.identity, kind: reading.kind)
            if let id = known[subject.bytes] {
                readings.append(ActRecord.ReadingID(id: id, subject: subject))
            } else if !isReadOnly {
                let id = try nextID("reading")
                try run("INSERT INTO reading (id, act, subject) VALUES (?, ?, ?)", [id, act.id, subject.bytes])
                readings.append(ActRecord.ReadingID(id: id, subject: subject))
            }
        }
        return readings
    }

    private func sealed(_ act: ActRecord) throws(JournalError) -> [UInt8] {
        let json = JSON.members([
            "i": .string(act.identity.base.hex), "n": .integer(act.identity.ordinal),
            "m": MeasurementCoding.json(act.measurement), "t": act.timeBasis.map { .string($0.rawValue) },
            "c": act.cautions.isEmpty ? nil : .array(act.cautions.map(\.rawValue).sorted().map { .string($0) }),
            "x": act.coincidence.map(JSONCoding.json), "b": act.batteryPercent.map { .integer($0) },
            "d": act.isDerived ? true : nil,
        ])
        return try seal(json, "act", row: act.id)
    }

    private func act(_ row: Row) throws(JournalError) -> ActRecord {
        let id = row.integer(0)
        let json = try open(row.blob(16), "act", row: id)
        guard let base = json["i"]?.string.flatMap({ [UInt8](hex: $0) }), let ordinal = json["n"]?.integer,
            let measurement = json["m"].flatMap(MeasurementCoding.measurement),
            let state = ActState(name: row.text(4), holdReason: row.optionalText(5).flatMap(HoldReason.init(rawValue:)))
        else { throw unreadable("act", "sealed", id) }
        let identity = ReadingIdentity(base: base, ordinal: ordinal)
        let patient: PatientAlias? =
            if let patient = row.optionalInteger(8) { PatientAlias(rawValue: try name(patient)) } else { nil }
        let effective = row.optionalInteger(6).map { MeasuredTime(Instant(milliseconds: $0), offsetMinutes: row.int(7)) }
        var act = ActRecord(
            ActDraft(
                device: row.integer(1), frame: row.integer(2), transfer: row.integer(3), identity: identity,
                measurement: measurement,
                state: state, effective: effective, timeBasis: json["t"]?.string.flatMap(TimeBasis.init(rawValue:)),
                patient: patient,
                assignment: row.optionalInteger(9),
                cautions: Set((json["c"]?.array ?? []).compactMap { $0.string.flatMap(Act.Caution.init(rawValue:)) }),
                coincidence: json["x"].flatMap(JSONCoding.coincidence), batteryPercent: json["b"]?.integer,
                isDerived: json["d"]?.bool ?? false,
                received: try clockReading(row, wall: 10, offset: 11, monotonic: 12, boot: 13, source: 14),
                revision: row.int(15)),
            id: id, subject: store.sealer.subject(of: identity), readings: [])
        act.readings = try readings(of: act)
        return act
    }
}
