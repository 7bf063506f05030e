/// Where an act stands on the hub, before and beside its delivery.
public enum ActState: Hashable, Sendable {
    /// Bound to a patient, its time known: its items may be released.
    case ready
    /// Held for a person (or for a clock), with the reason.
    case held(HoldReason)
    /// The device itself says that it is no measurement: kept, never sent.
    case invalid
    /// A technician's reading between pairing and proof; can never reach a chart.
    case test
    /// A guest's reading; can never reach a chart.
    case guest
    /// A person decided that it is nobody's; kept, never sent.
    case rejected
    /// Delivered, then found wrong: a correction item tells the receivers.
    case retracted
}

/// Why an act waits for a person.
public enum HoldReason: String, Hashable, Sendable, CaseIterable {
    /// The device's stamp cannot be trusted, or the hub did not know the time (R5).
    case timeUnknown = "time-unknown"
    /// Equal to the last record of a device that sends neither timestamp nor sequence (R3).
    case possibleDuplicate = "possible-duplicate"
    /// No assignment covers its effective time (R4).
    case unassigned = "unassigned"
    /// Older than the assignment of a device that had another user before, or whose time is not trusted (R4).
    case beforeAssignment = "before-assignment"
    /// A device for several that did not say whose reading it is (R4).
    case noUserIndex = "no-user-index"
    /// Taken during a verification that ended without proof, or over a link that turned out to be another device's (R4).
    case unproved = "unproved"
    /// Waits for the hub's clock to be synchronised in this boot; put right by itself (R5).
    case hubClock = "hub-clock"
}

/// Where an item (one receiver's obligation) stands.
public enum ItemState: String, Hashable, Sendable, CaseIterable {
    /// To be sent when the channel allows it.
    case waiting
    /// An attempt is committed and has no outcome yet.
    case sending
    case delivered
    /// It was sent and no answer came: to be reconciled, or decided by a person where the receiver cannot be asked.
    case uncertain
    /// The receiver refused it for what it is; a person decides.
    case quarantined
    /// Not owed as things stand: the receiver takes only what it asked for, and did not ask for this. Decided anew when it asks anew.
    case held
    /// No longer owed: entitlement ended before it was sent, or it was superseded.
    case withdrawn
}

extension ItemState {
    /// The receiver was never told: what is decided about the act may still change.
    public var isUntold: Bool { self == .waiting || self == .held }
}

extension ActState {
    /// The state's name in schema, command line and JSON.
    public var name: String {
        switch self {
        case .ready: "ready"
        case .held: "held"
        case .invalid: "invalid"
        case .test: "test"
        case .guest: "guest"
        case .rejected: "rejected"
        case .retracted: "retracted"
        }
    }

    public var holdReason: HoldReason? { if case .held(let reason) = self { reason } else { nil } }

    public init?(name: String, holdReason: HoldReason?) {
        switch (name, holdReason) {
        case ("ready", nil): self = .ready
        case ("held", let reason?): self = .held(reason)
        case ("invalid", nil): self = .invalid
        case ("test", nil): self = .test
        case ("guest", nil): self = .guest
        case ("rejected", nil): self = .rejected
        case ("retracted", nil): self = .retracted
        default: return nil
        }
    }
}
