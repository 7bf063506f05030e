public import Vitals

/// Who uses a device, in which period, and who may be told (R4, R7).
public struct Assignment: Hashable, Sendable {
    public var id: Int64
    public var device: Int64
    /// The user's slot on a device for several; `nil` covers every slot.
    public var userIndex: Int?
    public var patient: PatientAlias
    /// Covers effective times in `from..<until`.
    public var from: Instant
    public var until: Instant?
    public var recipients: [Recipient]

    public struct Recipient: Hashable, Sendable {
        /// The receiver's name in the configuration.
        public var receiver: String
        public var from: Instant
        public var until: Instant?
        public init(receiver: String, from: Instant, until: Instant? = nil) {
            self.receiver = receiver
            self.from = from
            self.until = until
        }
    }

    public init(
        id: Int64, device: Int64, userIndex: Int?, patient: PatientAlias, from: Instant, until: Instant? = nil,
        recipients: [Recipient]
    ) {
        self.id = id
        self.device = device
        self.userIndex = userIndex
        self.patient = patient
        self.from = from
        self.until = until
        self.recipients = recipients
    }

    public func covers(_ instant: Instant, userIndex slot: Int?) -> Bool {
        (userIndex == nil || userIndex == slot) && from <= instant && until.map { instant < $0 } ?? true
    }

    /// Whether what is measured at that moment goes to the receiver (R7).
    public func tells(_ receiver: String, at instant: Instant) -> Bool {
        covers(instant, userIndex: userIndex)
            && recipients.contains {
                $0.receiver == receiver && $0.from <= instant && $0.until.map { instant < $0 } ?? true
            }
    }
}
