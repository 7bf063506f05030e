public import Steward
public import Vitals

/// What intake needs to know besides journal and catalogue.
public struct IntakeSettings: Sendable {
    /// The programme's bounds: outside, a value goes out flagged (R4). The model's own are added.
    public var ranges: [ValueRange]
    /// The channel through which a receiver is told of a patient; `nil` where no such receiver is configured.
    public var channel: @Sendable (_ receiver: String, _ patient: PatientAlias) -> String?
    /// A fault for tests: gives the word before the commit. A crash rig must catch it.
    public var confirmsBeforeCommit: Bool

    public init(
        ranges: [ValueRange] = [], channel: @escaping @Sendable (String, PatientAlias) -> String?,
        confirmsBeforeCommit: Bool = false
    ) {
        self.ranges = ranges
        self.channel = channel
        self.confirmsBeforeCommit = confirmsBeforeCommit
    }
}

/// What intake tells the composition root: surrogate keys and codes, no health data (R8).
public enum IntakeEvent: Sendable {
    case connected(device: Int64)
    case enrolled(device: Int64)
    /// It said who it is.
    case identified(device: Int64)
    /// It will send what the characteristic (a UUID) has to tell.
    case subscribed(device: Int64, characteristic: String)
    /// A result came and is about to be stored.
    case frame(device: Int64, bytes: Int)
    /// A new record is on disk, so many milliseconds after it came.
    case committed(device: Int64, subject: SubjectID, state: ActState, took: Duration)
    /// A stored record that is no reading: no result, or bytes that cannot be decoded (with the decoder's code).
    case kept(device: Int64, reason: String)
    /// The word left (R1).
    case confirmed(device: Int64)
    case suppressed(device: Int64)
    /// A transaction failed, and with it the word that depended on it.
    case commitRefused(device: Int64, reason: String, isFull: Bool)
    case clockRead(device: Int64, hubAhead: Duration?)
    case clockSet(device: Int64)
    case battery(device: Int64, percent: Int)
    case note(device: Int64, text: String)
    case ended(device: Int64, readings: Int, reason: String)
}
