public import ExactJSON
public import Vitals

/// What of FUT changes with its quarterly guide or differs between its environments: hosts, codes, units, canonicals, forms.
///
/// Data of `config/fut-codes.json`, which the composition root reads; the published values stand here too, so that nothing has to
/// be configured to convert a reading.
public struct FUTSettings: Hashable, Sendable {
    /// A FHIR service of the platform: each has a host of its own, and references name it absolutely.
    public enum Service: String, Hashable, Sendable, CaseIterable {
        case patient, careplan, measurement, device, task, terminology
    }

    /// The form of `effective[x]`.
    public enum EffectiveForm: String, Hashable, Sendable, CaseIterable {
        /// `effectivePeriod` with start = end: the form of the guide's own examples, hence the default.
        case period
        /// `effectiveDateTime`: the form of the platform's official test data.
        case dateTime = "date-time"
    }

    public struct Canonicals: Hashable, Sendable {
        public var observationProfile = "http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-observation"
        public var episodeOfCare = "http://hl7.org/fhir/StructureDefinition/workflow-episodeOfCare"
        public var resolvedTiming = "http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-resolved-timing"
        public var resolvedTimingType = "http://ehealth.sundhed.dk/cs/resolved-timing-type"
        public var quality = "http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-quality"
        public var qualityTypes = "http://ehealth.sundhed.dk/cs/quality-types"
        public var usageQuality = "http://ehealth.sundhed.dk/cs/usage-quality"
        public var includeAsExtra = "http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-include-as-extra"
        public var statusHistory = "http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-servicerequest-statusHistory"
        public var activityCodes = "http://ehealth.sundhed.dk/cs/activitydefinition-code"

        public init() {}
    }

    /// The FHIR base of each service, absolute, without a trailing slash.
    public var services: [Service: String]
    public var canonicals: Canonicals
    public var codes: [FUTCode.Role: FUTCode]
    public var effective: EffectiveForm
    /// Whether our own identifier goes along. Whether the server keeps it is not documented; where it does, reconciliation is sure.
    public var sendsIdentifier: Bool
    /// Whether "automatically transferred" is said as usage quality.
    public var sendsQuality: Bool
    /// Whether what has no coded place goes along as `Observation.note`, which the profile leaves open.
    public var sendsNotes: Bool
    /// How far from the moment of a slot without duration a reading may lie, either way: the guide gives no measure.
    public var momentTolerance: Duration
    /// What staff read of a status bit, in their language. A bit without a text has no place.
    public var statusNotes: [StatusFlag: String]
    /// What staff read of the other things that have no coded place.
    public var notes: [Note: String]

    /// What is said in words besides status bits.
    public enum Note: String, Hashable, Sendable, CaseIterable {
        case unlikelyValue = "unlikely-value"
        case localTime = "local-time"
        case statedTime = "stated-time"
        case derived
        case unknownDevice = "unknown-device"
    }

    public init(
        services: [Service: String], canonicals: Canonicals = Canonicals(), codes: [FUTCode.Role: FUTCode],
        effective: EffectiveForm = .period, sendsIdentifier: Bool = true, sendsQuality: Bool = true, sendsNotes: Bool = true,
        momentTolerance: Duration = .seconds(1_800), statusNotes: [StatusFlag: String], notes: [Note: String]
    ) {
        self.services = services
        self.canonicals = canonicals
        self.codes = codes
        self.effective = effective
        self.sendsIdentifier = sendsIdentifier
        self.sendsQuality = sendsQuality
        self.sendsNotes = sendsNotes
        self.momentTolerance = momentTolerance
        self.statusNotes = statusNotes
        self.notes = notes
    }

    /// The base of a service. A service that is not configured stands on a name that resolves nowhere (RFC 2606).
    public func base(_ service: Service) -> String { services[service] ?? "https://\(service.rawValue).invalid/fhir" }
}

extension FUTSettings {
    /// The published values for one of the named environments: `devenvcgi`, `inttest`, `exttest`, `test001`, `test002`, `preprod`.
    /// The production host is not published: it is configured by service.
    public static func published(environment: String = "devenvcgi") -> FUTSettings {
        FUTSettings(
            services: hosts(environment), codes: FUTCode.published, statusNotes: publishedStatusNotes, notes: publishedNotes)
    }

    static func hosts(_ environment: String) -> [Service: String] {
        Dictionary(
            uniqueKeysWithValues: Service.allCases.map {
                ($0, "https://\($0.rawValue).\(environment).ehealth.sundhed.dk/fhir")
            })
    }

    /// These settings with the services of the environment in which the measurement service has this base; as they are, where the
    /// base is not of the platform's form.
    public func placed(at measurementBase: String) -> FUTSettings {
        let prefix = "https://measurement."
        guard measurementBase.hasPrefix(prefix) else { return self }
        var other = self
        for service in Service.allCases {
            other.services[service] = "https://\(service.rawValue)." + measurementBase.dropFirst(prefix.utf8.count)
        }
        return other
    }

    private static let publishedStatusNotes: [StatusFlag: String] = [
        .bodyMovement: "Blodtryksmåleren registrerede bevægelse under målingen.",
        .cuffTooLoose: "Blodtryksmåleren meldte, at manchetten sad for løst.",
        .irregularPulse: "Blodtryksmåleren registrerede uregelmæssig puls.",
        .pulseRateAboveRange: "Pulsen lå over blodtryksmålerens måleområde.",
        .pulseRateBelowRange: "Pulsen lå under blodtryksmålerens måleområde.",
        .improperPosition: "Blodtryksmåleren meldte forkert målestilling.",
        .earlyEstimate: "Iltmåleren kalder værdien et tidligt skøn.",
        .questionable: "Iltmåleren kalder målingen tvivlsom.",
        .signalProcessingIrregularity: "Iltmåleren meldte uregelmæssighed i signalbehandlingen.",
        .inadequateSignal: "Iltmåleren meldte utilstrækkeligt signal.",
        .poorSignal: "Iltmåleren meldte dårligt signal.",
        .lowPerfusion: "Iltmåleren meldte lav perfusion.",
        .erraticSignal: "Iltmåleren meldte ustabilt signal.",
        .nonpulsatileSignal: "Iltmåleren meldte signal uden puls.",
        .questionablePulse: "Iltmåleren kalder pulsen tvivlsom.",
        .ongoing: "Målingen var ikke afsluttet, da værdien blev sendt.",
        .timeFault: "Udstyret meldte fejl i sit ur.",
        .generalFault: "Udstyret meldte en fejl.",
    ]

    private static let publishedNotes: [Note: String] = [
        .unlikelyValue: "Usædvanlig værdi: kontrollér værdi og person.",
        .localTime: "Tidspunktet er udstyrets eget; dets ur kunne ikke kontrolleres.",
        .statedTime: "Tidspunktet er oplyst af en person.",
        .derived: "Værdien er udledt af en løbende måling efter udstyrsmodellens faste regel.",
        .unknownDevice: "Udstyret er ikke registreret på borgeren i FUT:",
    ]
}

// MARK: JSON

extension FUTSettings {
    /// What is wrong in the table; names the member, which holds no health data.
    public struct TableError: Error, Hashable, Sendable {
        public var path: String
        public var expected: String

        init(_ path: String, _ expected: String) {
            self.path = path
            self.expected = expected
        }
    }

    /// Reads `fut-codes.json`. What the table does not name keeps its published value; a member that nobody knows is an error.
    public init(table json: JSON) throws(TableError) {
        guard case .object(let members) = json else { throw TableError("", "an object") }
        let environment = try json["environment"].map { (value) throws(TableError) in try Self.text(value, "environment") }
        self = .published(environment: environment ?? "devenvcgi")
        for member in members {
            let value = member.value
            switch member.key {
            case "source", "licence", "guide", "environment": break
            case "services":
                for (key, url) in try Self.texts(value, "services") {
                    guard let service = Service(rawValue: key) else { throw TableError("services.\(key)", "a service of FUT") }
                    guard url.hasPrefix("https://") || url.hasPrefix("http://127.0.0.1") || url.hasPrefix("http://[::1]") else {
                        throw TableError("services.\(key)", "an absolute https URL")
                    }
                    services[service] = url.hasSuffix("/") ? String(url.dropLast()) : url
                }
            case "canonicals":
                for (key, url) in try Self.texts(value, "canonicals") {
                    guard let path = Canonicals.members[key] else { throw TableError("canonicals.\(key)", "a known canonical") }
                    canonicals[keyPath: path] = url
                }
            case "codes":
                guard case .object(let roles) = value else { throw TableError("codes", "an object") }
                for role in roles {
                    guard let known = FUTCode.Role(rawValue: role.key) else { throw TableError("codes.\(role.key)", "a reading") }
                    codes[known] = role.value == .null ? nil : try Self.code(role.value, "codes.\(role.key)")
                }
            case "observation": try observation(value)
            case "status-notes":
                statusNotes = [:]
                for (key, text) in try Self.texts(value, member.key) {
                    guard let flag = StatusFlag(rawValue: key) else { throw TableError("status-notes.\(key)", "a status flag") }
                    statusNotes[flag] = text
                }
            case "notes":
                for (key, text) in try Self.texts(value, member.key) {
                    guard let note = Note(rawValue: key) else { throw TableError("notes.\(key)", "a known note") }
                    notes[note] = text
                }
            default: throw TableError(member.key, "a known member")
            }
        }
    }

    private mutating func observation(_ json: JSON) throws(TableError) {
        guard case .object(let members) = json else { throw TableError("observation", "an object") }
        for member in members {
            let path = "observation." + member.key
            func flag() throws(TableError) -> Bool {
                guard let value = member.value.bool else { throw TableError(path, "true or false") }
                return value
            }
            switch member.key {
            case "effective":
                guard let form = member.value.string.flatMap({ EffectiveForm(rawValue: $0) }) else {
                    throw TableError(path, "period or date-time")
                }
                effective = form
            case "identifier": sendsIdentifier = try flag()
            case "quality": sendsQuality = try flag()
            case "notes": sendsNotes = try flag()
            case "moment-tolerance-minutes":
                guard let minutes = member.value.integer, (0...1_440).contains(minutes) else {
                    throw TableError(path, "minutes, 0 to 1440")
                }
                momentTolerance = .seconds(minutes * 60)
            default: throw TableError(path, "a known member")
            }
        }
    }

    private static func text(_ json: JSON, _ path: String) throws(TableError) -> String {
        guard let text = json.string, !text.isEmpty else { throw TableError(path, "a text") }
        return text
    }

    private static func texts(_ json: JSON, _ path: String) throws(TableError) -> [(String, String)] {
        guard case .object(let members) = json else { throw TableError(path, "an object") }
        var texts: [(String, String)] = []
        for member in members { texts.append((member.key, try text(member.value, path + "." + member.key))) }
        return texts
    }

    private static func code(_ json: JSON, _ path: String) throws(TableError) -> FUTCode {
        guard let system = json["system"]?.string, let code = json["code"]?.string else {
            throw TableError(path, "system and code")
        }
        var unit: FUTCode.Unit?
        if let ucum = json["ucum"] {
            unit = FUTCode.Unit(try text(ucum, path + ".ucum"), try text(json["symbol"] ?? .null, path + ".symbol"))
        }
        var type = FUTCode.ValueType.decimal
        if let value = json["value"] {
            guard let known = value.string.flatMap({ FUTCode.ValueType(rawValue: $0) }) else {
                throw TableError(path + ".value", "integer or decimal")
            }
            type = known
        }
        var decimals = 0
        if let value = json["converted-decimals"] {
            guard let number = value.integer, (0...6).contains(number) else {
                throw TableError(path + ".converted-decimals", "0 to 6")
            }
            decimals = number
        }
        return FUTCode(FUTCoding(system, code), unit: unit, valueType: type, convertedDecimals: decimals)
    }
}

extension FUTSettings.Canonicals {
    /// By the names of the table.
    static var members: [String: WritableKeyPath<FUTSettings.Canonicals, String>] {
        [
            "observation-profile": \.observationProfile, "episode-of-care": \.episodeOfCare,
            "resolved-timing": \.resolvedTiming, "resolved-timing-type": \.resolvedTimingType, "quality": \.quality,
            "quality-types": \.qualityTypes, "usage-quality": \.usageQuality, "include-as-extra": \.includeAsExtra,
            "status-history": \.statusHistory, "activity-codes": \.activityCodes,
        ]
    }
}
