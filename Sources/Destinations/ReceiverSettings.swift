public import Vitals

/// One configured receiver, as values.
public struct ReceiverSettings: Hashable, Sendable {
    public var name: String
    public var kind: DestinationKind
    /// The FHIR base, absolute, without a trailing slash.
    public var baseURL: String
    public var rounding: RoundingTable
    /// How many acts one request may hold. More than one is split when the receiver refuses it.
    public var maximumActs: Int
    /// What to do where the receiver cannot be asked whether it has something.
    public var whenUncertain: UncertainPolicy
    /// Of a PHD receiver: the edition of the guide that it takes.
    public var phdEdition: PHDEdition

    public enum UncertainPolicy: String, Hashable, Sendable, CaseIterable {
        /// Send again: it may stand there twice.
        case resend
        /// Leave it to a person, with a condition.
        case hold
    }

    public init(
        name: String, kind: DestinationKind, baseURL: String, rounding: RoundingTable = .standard, maximumActs: Int = 1,
        whenUncertain: UncertainPolicy = .hold, phdEdition: PHDEdition = .v2
    ) {
        self.name = name
        self.kind = kind
        var base = baseURL[...]
        while base.hasSuffix("/") { base = base.dropLast() }
        self.baseURL = String(base)
        self.rounding = rounding
        self.maximumActs = max(1, maximumActs)
        self.whenUncertain = whenUncertain
        self.phdEdition = phdEdition
    }
}

extension ReceiverSettings {
    /// The channel of a patient at a receiver that has one for each (R6): a surrogate, for logs and conditions.
    public static func channel(of receiver: String, for patient: PatientAlias) -> String {
        receiver + "/" + StableUUID.text("channel", receiver, patient.rawValue).prefix(8)
    }
}

/// The kinds of receivers, by the name that configuration and command line use.
public enum DestinationKind: String, Hashable, Sendable, CaseIterable {
    case phd, fut, pmd, vkp, kih
}

extension DestinationKind {
    /// The destination of this kind, or `nil` where this release has none.
    public func destination(_ settings: ReceiverSettings) -> (any Destination)? {
        switch self {
        case .phd: PHDDestination(settings: settings)
        // The published table; one that was configured is given to the destination itself.
        case .fut: FUTDestination(settings: settings, fut: .published().placed(at: settings.baseURL))
        // Nobody responsible, no municipality: what needs none.
        case .pmd: PMDDestination(settings: settings, pmd: PMDSettings())
        // VKP journals in somebody's name: never without one.
        case .vkp, .kih: nil
        }
    }
}

/// How a receiver wants numbers rounded, by unit; `[[receiver.rounding]]` of the configuration.
public struct RoundingTable: Hashable, Sendable {
    public struct Rule: Hashable, Sendable {
        /// Decimals of a value that was converted into this unit.
        public var converted: Int?
        /// Decimals of a value that the device itself sent in this unit; `nil` leaves the device's precision.
        public var sent: Int?

        public init(converted: Int? = nil, sent: Int? = nil) {
            self.converted = converted
            self.sent = sent
        }
    }

    public var rules: [UCUM: Rule]

    public init(_ rules: [UCUM: Rule]) { self.rules = rules }

    /// Whole mmHg after a conversion from kPa; everything else as the device sent it.
    public static let standard = RoundingTable([.millimetreOfMercury: Rule(converted: 0)])
}

/// What receivers are told of this hub.
public struct GatewayIdentity: Hashable, Sendable {
    /// EUI-64, most significant byte first; `nil` where the hub has none: then it is known by `instance` alone.
    public var systemID: [UInt8]?
    /// A UUID of the hub's own, lower case.
    public var instance: String
    public var manufacturer: String
    public var model: String
    public var softwareVersion: String
    public var serialNumber: String?

    public init(
        systemID: [UInt8]?, instance: String, manufacturer: String = "vitalgate", model: String = "vitalgate",
        softwareVersion: String, serialNumber: String? = nil
    ) {
        self.systemID = systemID
        self.instance = instance
        self.manufacturer = manufacturer
        self.model = model
        self.softwareVersion = softwareVersion
        self.serialNumber = serialNumber
    }
}
