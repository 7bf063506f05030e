import ExactJSON
public import Steward
public import Vitals

// MARK: Clock epochs (R5)

extension Transaction {
    /// In the order in which they began.
    public func clockEpochs(device: Int64) throws(JournalError) -> [ClockEpoch] {
        try all("SELECT id, closed, sealed FROM clock_epoch WHERE device = ? ORDER BY id", [device]) { row throws(JournalError) in
            let id = row.integer(0)
            let json = try self.open(row.blob(2), "clock_epoch", row: id)
            guard let latest = json["latest"].flatMap(JSONCoding.local),
                let coincidence = json["coincidence"].flatMap(JSONCoding.coincidence),
                let origin = json["origin"]?.string.flatMap(ClockEpoch.Origin.init(rawValue:))
            else { throw self.unreadable("clock_epoch", "sealed", id) }
            return ClockEpoch(
                id: id, deviceStart: json["start"].flatMap(JSONCoding.local), deviceLatest: latest, coincidence: coincidence,
                origin: origin, isClosed: row.bool(1))
        }
    }

    public func insertClockEpoch(
        device: Int64, deviceStart: LocalDateTime?, deviceLatest: LocalDateTime, coincidence: ClockCoincidence,
        origin: ClockEpoch.Origin, isClosed: Bool = false
    ) throws(JournalError) -> ClockEpoch {
        let epoch = ClockEpoch(
            id: try nextID("clock_epoch"), deviceStart: deviceStart, deviceLatest: deviceLatest, coincidence: coincidence,
            origin: origin, isClosed: isClosed)
        try run(
            "INSERT INTO clock_epoch (id, device, closed, sealed) VALUES (?, ?, ?, ?)",
            [epoch.id, device, isClosed, try sealed(epoch)])
        return epoch
    }

    public func update(_ epoch: ClockEpoch, device: Int64) throws(JournalError) {
        try run(
            "UPDATE clock_epoch SET closed = ?, sealed = ? WHERE id = ? AND device = ?",
            [epoch.isClosed, try sealed(epoch), epoch.id, device])
    }

    private func sealed(_ epoch: ClockEpoch) throws(JournalError) -> [UInt8] {
        let json = JSON.members([
            "start": epoch.deviceStart.map(JSONCoding.json), "latest": JSONCoding.json(epoch.deviceLatest),
            "coincidence": JSONCoding.json(epoch.coincidence), "origin": .string(epoch.origin.rawValue),
        ])
        return try seal(json, "clock_epoch", row: epoch.id)
    }
}

// MARK: Assignments (R4, R7)

extension Transaction {
    /// - Parameter assignment: its id is ignored; the journal gives one.
    public func insertAssignment(_ assignment: Assignment) throws(JournalError) -> Assignment {
        var stored = assignment
        stored.id = try nextID("assignment")
        let json = JSON.members(["user": assignment.userIndex.map { .integer($0) }])
        try run(
            "INSERT INTO assignment (id, device, patient, starts, ends, sealed) VALUES (?, ?, ?, ?, ?, ?)",
            [
                stored.id, assignment.device, try nameID(.patient, assignment.patient.rawValue), assignment.from.milliseconds,
                assignment.until?.milliseconds, try seal(json, "assignment", row: stored.id),
            ])
        for recipient in assignment.recipients { try addRecipient(recipient, assignment: stored.id) }
        return stored
    }

    public func assignment(id: Int64) throws(JournalError) -> Assignment? {
        try first("SELECT id, device, patient, starts, ends, sealed FROM assignment WHERE id = ?", [id], assignment)
    }

    public func assignments(device: Int64) throws(JournalError) -> [Assignment] {
        try all(
            "SELECT id, device, patient, starts, ends, sealed FROM assignment WHERE device = ? ORDER BY id", [device], assignment)
    }

    public func assignments() throws(JournalError) -> [Assignment] {
        try all("SELECT id, device, patient, starts, ends, sealed FROM assignment ORDER BY id", [], assignment)
    }

    public func endAssignment(id: Int64, at: Instant) throws(JournalError) {
        try run("UPDATE assignment SET ends = ? WHERE id = ?", [at.milliseconds, id])
    }

    public func addRecipient(_ recipient: Assignment.Recipient, assignment: Int64) throws(JournalError) {
        try run(
            "INSERT INTO recipient (id, assignment, receiver, starts, ends) VALUES (?, ?, ?, ?, ?)",
            [
                try nextID("recipient"), assignment, try nameID(.receiver, recipient.receiver), recipient.from.milliseconds,
                recipient.until?.milliseconds,
            ])
    }

    /// Ends (or reopens, with `nil`) what a receiver is told under an assignment.
    public func setRecipientEnd(assignment: Int64, receiver: String, until: Instant?) throws(JournalError) {
        guard let id = try knownNameID(.receiver, receiver) else { return }
        try run(
            "UPDATE recipient SET ends = ? WHERE assignment = ? AND receiver = ?", [until?.milliseconds, assignment, id])
    }

    private func assignment(_ row: Row) throws(JournalError) -> Assignment {
        let id = row.integer(0)
        let json = try open(row.blob(5), "assignment", row: id)
        let recipients = try all(
            "SELECT receiver, starts, ends FROM recipient WHERE assignment = ? ORDER BY id", [id]
        ) { row throws(JournalError) in
            Assignment.Recipient(
                receiver: try self.name(row.integer(0)), from: Instant(milliseconds: row.integer(1)),
                until: row.optionalInteger(2).map { Instant(milliseconds: $0) })
        }
        return Assignment(
            id: id, device: row.integer(1), userIndex: json["user"]?.integer,
            patient: PatientAlias(rawValue: try name(row.integer(2))), from: Instant(milliseconds: row.integer(3)),
            until: row.optionalInteger(4).map { Instant(milliseconds: $0) }, recipients: recipients)
    }
}

// MARK: Refusals (R7)

extension Transaction {
    /// The stored receiver of a refusal that holds against every receiver: no row of `name` has it.
    private static let everyReceiver: Int64 = 0

    /// - Parameter receiver: `nil` refuses every receiver.
    public func insertRefusal(patient: PatientAlias, receiver: String?, at: Instant, until: Instant? = nil) throws(JournalError) {
        let id = if let receiver { try nameID(.receiver, receiver) } else { Self.everyReceiver }
        try run(
            """
            INSERT INTO refusal (patient, receiver, since, until) VALUES (?, ?, ?, ?)
            ON CONFLICT (patient, receiver) DO UPDATE SET until = excluded.until
            """,
            [try nameID(.patient, patient.rawValue), id, at.milliseconds, until?.milliseconds])
    }

    public func removeRefusal(patient: PatientAlias, receiver: String?) throws(JournalError) {
        guard let patient = try knownNameID(.patient, patient.rawValue) else { return }
        var id = Self.everyReceiver
        if let receiver {
            guard let known = try knownNameID(.receiver, receiver) else { return }
            id = known
        }
        try run("DELETE FROM refusal WHERE patient = ? AND receiver = ?", [patient, id])
    }

    public func refusals(patient: PatientAlias) throws(JournalError) -> [Refusal] {
        guard let patient = try knownNameID(.patient, patient.rawValue) else { return [] }
        return try all(
            "SELECT receiver, since, until FROM refusal WHERE patient = ? ORDER BY since, receiver", [patient]
        ) { row throws(JournalError) in
            let receiver: String? = row.integer(0) == Self.everyReceiver ? nil : try self.name(row.integer(0))
            return Refusal(
                receiver: receiver, from: Instant(milliseconds: row.integer(1)),
                until: row.optionalInteger(2).map { Instant(milliseconds: $0) })
        }
    }
}
