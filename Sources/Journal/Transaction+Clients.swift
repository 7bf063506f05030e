public import ExactJSON
public import Vitals

// MARK: What the hub proves itself with

extension Transaction {
    /// Keeps the keys of a client of the hub's own, in place of what was kept before.
    ///
    /// - Parameters:
    ///   - client: which one, of which authorization server; opaque here.
    ///   - keys: opaque too.
    public func setClientKeys(_ keys: JSON, of client: String) throws(JournalError) {
        let id = try nameID(.client, client)
        try run(
            "INSERT INTO client_key (id, sealed) VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET sealed = excluded.sealed",
            [id, try seal(keys, "client_key", row: id)])
    }

    public func clientKeys(of client: String) throws(JournalError) -> JSON? {
        guard let id = try knownNameID(.client, client) else { return nil }
        return try first("SELECT sealed FROM client_key WHERE id = ?", [id]) { row throws(JournalError) in
            try open(row.blob(0), "client_key", row: id)
        }
    }
}

// MARK: How receivers know a patient

extension Transaction {
    /// The receiver's own identifier of a patient, such as a national number; `nil` where it knows the patient by the alias.
    public func identifier(of patient: PatientAlias, at receiver: String) throws(JournalError) -> String? {
        guard let patientID = try knownNameID(.patient, patient.rawValue), let receiverID = try knownNameID(.receiver, receiver)
        else { return nil }
        return try first(
            "SELECT id, sealed FROM identifier WHERE patient = ? AND receiver = ?", [patientID, receiverID]
        ) { row throws(JournalError) in
            try openText(row.blob(1), "identifier", "sealed", row: row.integer(0))
        }
    }

    /// - Parameter identifier: `nil` forgets it.
    public func setIdentifier(
        _ identifier: String?, of patient: PatientAlias, at receiver: String
    ) throws(JournalError) {
        let patientID = try nameID(.patient, patient.rawValue)
        let receiverID = try nameID(.receiver, receiver)
        try run("DELETE FROM identifier WHERE patient = ? AND receiver = ?", [patientID, receiverID])
        guard let identifier else { return }
        let id = try nextID("identifier")
        try run(
            "INSERT INTO identifier (id, patient, receiver, sealed) VALUES (?, ?, ?, ?)",
            [id, patientID, receiverID, try seal(identifier, "identifier", "sealed", row: id)])
    }
}
