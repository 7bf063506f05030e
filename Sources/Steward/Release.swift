public import Vitals

/// Somebody, or a rule, said that a receiver must not have a patient's readings.
public struct Refusal: Hashable, Sendable {
    /// `nil` refuses every receiver.
    public var receiver: String?
    public var from: Instant
    public var until: Instant?

    public init(receiver: String?, from: Instant, until: Instant? = nil) {
        self.receiver = receiver
        self.from = from
        self.until = until
    }

    func stands(against receiver: String, at now: Instant) -> Bool {
        (self.receiver == nil || self.receiver == receiver) && from <= now && until.map { now < $0 } ?? true
    }
}

/// What is known when an item is about to be sent.
public struct ReleaseFacts: Hashable, Sendable {
    public var receiver: String
    /// It retracts what was delivered.
    public var isCorrection: Bool
    public var state: ActState
    /// `nil` while the time is unknown.
    public var effective: Instant?
    /// Of the assignment that the act is bound to, as it stands now.
    public var recipients: [Assignment.Recipient]
    /// A person took the binding back.
    public var isBindingRevoked: Bool
    /// Of the patient.
    public var refusals: [Refusal]
    /// A person stopped patient or device for the time being.
    public var isHeld: Bool
    /// The patient's data are being removed.
    public var isPurged: Bool
    public var consent: Consent
    /// The transfer that brought it has not yet looked at the device's clock, and the look may move its time (R5).
    public var isClockLookDue: Bool

    /// Whether this programme waits for a consent. The absence of one is not a refusal.
    public enum Consent: String, Hashable, Sendable, CaseIterable {
        case notRequired = "not-required"
        case given
        case missing
    }

    public init(
        receiver: String, isCorrection: Bool = false, state: ActState, effective: Instant?, recipients: [Assignment.Recipient],
        isBindingRevoked: Bool = false, refusals: [Refusal] = [], isHeld: Bool = false, isPurged: Bool = false,
        consent: Consent = .notRequired, isClockLookDue: Bool = false
    ) {
        self.receiver = receiver
        self.isCorrection = isCorrection
        self.state = state
        self.effective = effective
        self.recipients = recipients
        self.isBindingRevoked = isBindingRevoked
        self.refusals = refusals
        self.isHeld = isHeld
        self.isPurged = isPurged
        self.consent = consent
        self.isClockLookDue = isClockLookDue
    }
}

/// Whether a receiver is told now (R7). The raw values are the codes in the item's reason and in the audit log.
public enum ReleaseDecision: Hashable, Sendable {
    case send
    /// Still owed: asked again when the cause is gone.
    case wait(WaitReason)
    /// No longer owed.
    case withdraw(WithdrawReason)

    public enum WaitReason: String, Hashable, Sendable, CaseIterable {
        case actHeld = "act-held"
        case hold
        case consentMissing = "consent-missing"
        case hubClock = "hub-clock"
        case deviceClockLook = "device-clock-look"
    }

    public enum WithdrawReason: String, Hashable, Sendable, CaseIterable {
        case refused
        case entitlementEnded = "entitlement-ended"
        case bindingRevoked = "binding-revoked"
        case purged
        /// Invalid, a test's, a guest's, rejected or retracted.
        case neverSent = "never-sent"
    }
}

/// Decides at the moment of sending whether a receiver may have an item (R7).
///
/// What ends the obligation comes before what delays it: a refusal acts at once, also on what is waiting for something else. A
/// correction is owed wherever the wrong reading is, so neither refusal nor the end of a period stops it; it only waits.
public func decideRelease(_ facts: ReleaseFacts, now: ClockReading) -> ReleaseDecision {
    if !facts.isCorrection, let reason = withdrawal(facts, now: now) { return .withdraw(reason) }
    if facts.isHeld { return .wait(.hold) }
    // Uploads wait for a right clock (R5): a signed request, a certificate's period and the time of sending all hang on it.
    if !now.isSynchronised { return .wait(.hubClock) }
    if facts.isCorrection { return .send }
    if facts.state.holdReason != nil || facts.effective == nil { return .wait(.actHeld) }
    if facts.isClockLookDue { return .wait(.deviceClockLook) }
    if facts.consent == .missing { return .wait(.consentMissing) }
    return .send
}

private func withdrawal(_ facts: ReleaseFacts, now: ClockReading) -> ReleaseDecision.WithdrawReason? {
    if facts.isPurged { return .purged }
    switch facts.state {
    case .ready, .held: break
    case .invalid, .test, .guest, .rejected, .retracted: return .neverSent
    }
    if facts.isBindingRevoked { return .bindingRevoked }
    if facts.refusals.contains(where: { $0.stands(against: facts.receiver, at: now.wall) }) { return .refused }
    guard let effective = facts.effective else { return nil }
    let isEntitled = facts.recipients.contains {
        $0.receiver == facts.receiver && $0.from <= effective && $0.until.map { effective < $0 } ?? true
    }
    return isEntitled ? nil : .entitlementEnded
}
