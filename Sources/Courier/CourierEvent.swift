public import Vitals

/// What the courier tells the composition root: surrogate ids and codes, no health data (R8).
public enum CourierEvent: Sendable {
    case delivered(subjects: [SubjectID], receiver: String, sinceReceived: Duration?)
    case quarantined(subjects: [SubjectID], receiver: String, code: String)
    case uncertain(subjects: [SubjectID], receiver: String)
    /// The receiver did not ask for it.
    case unasked(subjects: [SubjectID], receiver: String, reason: String)
    case withdrawn(subjects: [SubjectID], receiver: String, reason: String)
    /// An answer that concerns the channel, such as `dns`, `http-503`.
    case failed(channel: String, kind: String)
    case held(channel: String, code: Condition.Code, reason: String)
    /// The journal failed the courier; it tries again by itself.
    case journalFailed(channel: String, reason: String)
}
