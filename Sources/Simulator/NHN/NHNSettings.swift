public import ExactJSON

/// Where NHN's services are not published or differ between environments, and what a test wants of them.
public struct NHNSettings: Hashable, Sendable {
    public enum Nonces: String, Hashable, Sendable, CaseIterable {
        case never
        /// HelseID challenges.
        case token
        /// The APIs too, with nonces of their own.
        case everywhere
    }

    /// How PMD's answer names the entries that it is about.
    public enum Echo: String, Hashable, Sendable, CaseIterable {
        /// VkpObservation 0.5.2.
        case fullURL = "full-url"
        /// VkpObservation 0.5.1.
        case `extension` = "extension"
        /// A plain FHIR server: by the order.
        case none
    }

    public var nonces: Nonces
    public var nonceLifetime: Duration
    public var tokenLifetime: Duration
    /// Bundle types that PMD takes.
    public var bundleTypes: Set<String>
    public var echo: Echo
    /// Whether PMD's answers are in another order than what was sent.
    public var reordersEntries: Bool
    /// Whether PMD says where it put an entry.
    public var tellsLocation: Bool
    /// Whether PMD takes a second observation with the identifier of a first for the same. Nothing of it is published.
    public var knowsIdentifiers: Bool
    /// Municipalities in VKP, by organisation number.
    public var municipalities: Set<String>
    /// Patients with an active service, by number; `nil` for all.
    public var served: Set<String>?
    /// Whether VKP takes tokens that are bound to a key alone.
    public var vkpNeedsDPoP: Bool
    /// How long a document is on its way from VKP to the journal.
    public var journalDelay: Duration
    /// What VKP's care plans are, as resources.
    public var carePlans: [JSON]

    public init(
        nonces: Nonces = .token, nonceLifetime: Duration = .seconds(60), tokenLifetime: Duration = .seconds(300),
        bundleTypes: Set<String> = ["collection", "batch"], echo: Echo = .fullURL, reordersEntries: Bool = false,
        tellsLocation: Bool = false, knowsIdentifiers: Bool = false, municipalities: Set<String> = ["999999204"],
        served: Set<String>? = nil, vkpNeedsDPoP: Bool = false, journalDelay: Duration = .zero, carePlans: [JSON] = []
    ) {
        self.nonces = nonces
        self.nonceLifetime = nonceLifetime
        self.tokenLifetime = tokenLifetime
        self.bundleTypes = bundleTypes
        self.echo = echo
        self.reordersEntries = reordersEntries
        self.tellsLocation = tellsLocation
        self.knowsIdentifiers = knowsIdentifiers
        self.municipalities = municipalities
        self.served = served
        self.vkpNeedsDPoP = vkpNeedsDPoP
        self.journalDelay = journalDelay
        self.carePlans = carePlans
    }

    /// Scopes. Those of VKP are published (`nhn:vkp/api/user/<resource>.<read|write>`); of PMD none is, and these two are made up.
    public enum Scope {
        public static let pmdWrite = "nhn:pmd/observation.write"
        public static let pmdRead = "nhn:pmd/observation.read"
        public static let bundleWrite = "nhn:vkp/api/user/bundle.write"
        public static let compositionRead = "nhn:vkp/api/user/composition.read"
        public static let carePlanRead = "nhn:vkp/api/user/careplan.read"
        public static let all: Set<String> = [pmdWrite, pmdRead, bundleWrite, compositionRead, carePlanRead]
    }
}

/// A control request that is not understood; the words go back to whoever sent it.
public struct NHNControlError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

extension NHNSettings {
    /// Changes what the object names: `{"nonces": "everywhere", "echo": "extension", "tellsLocation": true}`; durations in seconds.
    public mutating func change(_ json: JSON) throws(NHNControlError) {
        guard let members = json.object else { throw NHNControlError("an object was expected") }
        for member in members {
            let value = member.value
            func flag() throws(NHNControlError) -> Bool {
                guard let flag = value.bool else { throw NHNControlError("\(member.key): true or false") }
                return flag
            }
            func seconds() throws(NHNControlError) -> Duration {
                guard let seconds = value.integer, seconds >= 0 else { throw NHNControlError("\(member.key): seconds") }
                return .seconds(seconds)
            }
            func texts() throws(NHNControlError) -> Set<String> {
                guard let texts = value.array?.compactMap(\.string) else {
                    throw NHNControlError("\(member.key): a list of texts")
                }
                return Set(texts)
            }
            switch member.key {
            case "nonces":
                guard let known = value.string.flatMap({ Nonces(rawValue: $0) }) else {
                    throw NHNControlError("nonces: never, token or everywhere")
                }
                nonces = known
            case "echo":
                guard let known = value.string.flatMap({ Echo(rawValue: $0) }) else {
                    throw NHNControlError("echo: full-url, extension or none")
                }
                echo = known
            case "nonceLifetime": nonceLifetime = try seconds()
            case "tokenLifetime": tokenLifetime = try seconds()
            case "journalDelay": journalDelay = try seconds()
            case "bundleTypes": bundleTypes = try texts()
            case "municipalities": municipalities = try texts()
            case "served": served = value == .null ? nil : try texts()
            case "reordersEntries": reordersEntries = try flag()
            case "tellsLocation": tellsLocation = try flag()
            case "knowsIdentifiers": knowsIdentifiers = try flag()
            case "vkpNeedsDPoP": vkpNeedsDPoP = try flag()
            case "carePlans": carePlans = value.array ?? []
            default: throw NHNControlError("no setting \(member.key)")
            }
        }
    }
}
