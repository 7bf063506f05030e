public import Steward
public import Vitals

/// What is known of an identity (R3).
public enum IdentityState: Hashable, Sendable {
    case unknown
    case act(Int64)
    /// Purged; sent again it adds nothing.
    case tombstone
}

/// An act that is about to be stored: an ``ActRecord`` without the ids that the journal gives.
public struct ActDraft: Hashable, Sendable {
    public var device: Int64
    public var frame: Int64
    public var transfer: Int64
    public var identity: ReadingIdentity
    public var measurement: Measurement
    public var state: ActState
    public var effective: MeasuredTime?
    public var timeBasis: TimeBasis?
    public var patient: PatientAlias?
    public var assignment: Int64?
    public var cautions: Set<Act.Caution>
    public var coincidence: ClockCoincidence?
    public var batteryPercent: Int?
    public var isDerived: Bool
    public var received: ClockReading
    public var revision: Int

    public init(
        device: Int64, frame: Int64, transfer: Int64, identity: ReadingIdentity, measurement: Measurement, state: ActState,
        effective: MeasuredTime? = nil, timeBasis: TimeBasis? = nil, patient: PatientAlias? = nil, assignment: Int64? = nil,
        cautions: Set<Act.Caution> = [], coincidence: ClockCoincidence? = nil, batteryPercent: Int? = nil,
        isDerived: Bool = false,
        received: ClockReading, revision: Int = 0
    ) {
        self.device = device
        self.frame = frame
        self.transfer = transfer
        self.identity = identity
        self.measurement = measurement
        self.state = state
        self.effective = effective
        self.timeBasis = timeBasis
        self.patient = patient
        self.assignment = assignment
        self.cautions = cautions
        self.coincidence = coincidence
        self.batteryPercent = batteryPercent
        self.isDerived = isDerived
        self.received = received
        self.revision = revision
    }
}

extension ActRecord {
    init(_ draft: ActDraft, id: Int64, subject: SubjectID, readings: [ReadingID]) {
        self.init(
            id: id, subject: subject, device: draft.device, frame: draft.frame, transfer: draft.transfer,
            identity: draft.identity,
            measurement: draft.measurement, state: draft.state, effective: draft.effective, timeBasis: draft.timeBasis,
            patient: draft.patient, assignment: draft.assignment, cautions: draft.cautions, coincidence: draft.coincidence,
            batteryPercent: draft.batteryPercent, isDerived: draft.isDerived, received: draft.received, revision: draft.revision,
            readings: readings)
    }
}

/// Which acts are asked for; a field that is `nil` asks nothing.
public struct ActFilter: Hashable, Sendable {
    /// The name of an ``ActState``, such as `held`.
    public var state: String?
    public var device: Int64?
    public var heldReason: HoldReason?
    public var boot: BootID?
    /// Received at or after.
    public var since: Instant?

    public init(
        state: String? = nil, device: Int64? = nil, heldReason: HoldReason? = nil, boot: BootID? = nil, since: Instant? = nil
    ) {
        self.state = state
        self.device = device
        self.heldReason = heldReason
        self.boot = boot
        self.since = since
    }
}
