public import ExactJSON
public import Vitals

/// The sign-in of a channel's patient at a receiver.
public struct SignInRecord: Hashable, Sendable {
    public var channel: String
    public var receiver: String
    public var patient: PatientAlias
    /// Counts up: the one with the highest number is what holds.
    public var revision: Int
    /// The tokens and what is known of them, opaque here.
    public var session: JSON

    public init(channel: String, receiver: String, patient: PatientAlias, revision: Int, session: JSON) {
        self.channel = channel
        self.receiver = receiver
        self.patient = patient
        self.revision = revision
        self.session = session
    }
}

extension SignInRecord: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Without patient and tokens (R8).
    public var description: String { "[sign-in of \(channel), revision \(revision)]" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}

// MARK: Sign-ins

extension Transaction {
    /// Keeps a sign-in in place of an earlier revision; an older one never takes the place of a newer.
    public func setSignIn(_ record: SignInRecord) throws(JournalError) {
        let channel = try nameID(.channel, record.channel)
        let receiver = try nameID(.receiver, record.receiver)
        try registerChannel(channel, receiver: receiver)
        let json: JSON = ["p": .string(record.patient.rawValue), "s": record.session]
        try run(
            """
            INSERT INTO sign_in (channel, receiver, revision, sealed) VALUES (?, ?, ?, ?)
            ON CONFLICT (channel) DO UPDATE SET revision = excluded.revision, sealed = excluded.sealed
            WHERE excluded.revision > sign_in.revision
            """,
            [channel, receiver, record.revision, try seal(json, "sign_in", row: channel)])
    }

    public func signIn(channel name: String) throws(JournalError) -> SignInRecord? {
        guard let id = try knownNameID(.channel, name) else { return nil }
        return try first("SELECT channel, receiver, revision, sealed FROM sign_in WHERE channel = ?", [id], signIn)
    }

    /// All of a receiver's; one a patient.
    public func signIns(receiver: String) throws(JournalError) -> [SignInRecord] {
        guard let id = try knownNameID(.receiver, receiver) else { return [] }
        return try all(
            "SELECT channel, receiver, revision, sealed FROM sign_in WHERE receiver = ? ORDER BY channel", [id], signIn)
    }

    private func signIn(_ row: Row) throws(JournalError) -> SignInRecord {
        let channel = row.integer(0)
        let json = try open(row.blob(3), "sign_in", row: channel)
        guard let patient = json["p"]?.string, let session = json["s"] else { throw unreadable("sign_in", "sealed", channel) }
        return SignInRecord(
            channel: try name(channel), receiver: try name(row.integer(1)), patient: PatientAlias(rawValue: patient),
            revision: row.int(2), session: session)
    }
}
