public import ExactJSON
public import Vitals

/// How the simulated realm and services behave where the guide leaves it open, or a test wants it otherwise.
public struct FUTSettings: Hashable, Sendable {
    /// Clients known to the realm; all public.
    public var clients: Set<String> = ["vitalgate"]
    /// Redirect addresses registered for them, compared exactly, but for the port of a loopback address (RFC 8252, section 7.3).
    public var redirects = ["http://127.0.0.1/callback", "https://hub.example/callback"]
    /// Whether the realm offers the device authorization grant (RFC 8628).
    public var offersDeviceGrant = true
    /// Seconds between two polls of a device code (RFC 8628, section 3.2).
    public var deviceInterval = 5
    /// Seconds that a device code lives.
    public var deviceLife = 600
    /// Seconds of an access token.
    public var accessLife = 300
    /// Seconds that a refresh token may lie unused: 30 min, as Keycloak's sessions by default.
    public var refreshIdle = 1_800
    /// The same with `offline_access`. The wiki says 30 days in one place, 120 in another.
    public var offlineIdle = 30 * 86_400
    /// Seconds after a sign-in with `offline_access` after which it ends whatever is done (1200 days).
    public var offlineLife = 1_200 * 86_400
    /// Each refresh makes a new refresh token and uses up the old one (Keycloak: "Revoke Refresh Token").
    public var rotates = true
    /// A used-up refresh token may be sent once more while the one it brought is unused (Keycloak: "Refresh Token Max Reuse" 1).
    public var allowsReuseOfLast = false
    /// A refresh token used too often ends its session (RFC 9700, section 4.14.2).
    public var reuseEndsSession = true
    /// Who is signed in without a page: a citizen's name.
    public var approves: String?
    /// Authorization answers name the issuer (RFC 9207).
    public var tellsIssuer = true
    /// `Extra` is refused where the ServiceRequest does not allow it. The guide gives the flag and no error for it.
    public var enforcesExtra = true
    /// Whether a client's `Observation.identifier` survives. The guide does not say.
    public var keepsIdentifiers = true
    /// Where an error's code stands in the OperationOutcome: `details` (a coding) or `diagnostics` (before the text). Not documented.
    public var errorPlace = ErrorPlace.details
    /// Entries of a page of search results.
    public var pageSize = 20

    public enum ErrorPlace: String, Hashable, Sendable { case details, diagnostics }

    public init() {}
}

/// A control message or a world that cannot be read.
public struct FUTControlError: Error, Hashable, Sendable, CustomStringConvertible {
    public let description: String
    init(_ description: String) { self.description = description }
}

extension FUTSettings {
    /// Changes those that the object names, by the names of the properties.
    public mutating func change(_ json: JSON) throws(FUTControlError) {
        for member in json.object ?? [] {
            func number() throws(FUTControlError) -> Int {
                guard let value = member.value.integer else { throw FUTControlError("\(member.key) is a whole number") }
                return value
            }
            func flag() throws(FUTControlError) -> Bool {
                guard let value = member.value.bool else { throw FUTControlError("\(member.key) is true or false") }
                return value
            }
            func names() throws(FUTControlError) -> [String] {
                guard let values = member.value.array else { throw FUTControlError("\(member.key) is a list") }
                return values.compactMap(\.string)
            }
            switch member.key {
            case "clients": clients = Set(try names())
            case "redirects": redirects = try names()
            case "offersDeviceGrant": offersDeviceGrant = try flag()
            case "deviceInterval": deviceInterval = try number()
            case "deviceLife": deviceLife = try number()
            case "accessLife": accessLife = try number()
            case "refreshIdle": refreshIdle = try number()
            case "offlineIdle": offlineIdle = try number()
            case "offlineLife": offlineLife = try number()
            case "rotates": rotates = try flag()
            case "allowsReuseOfLast": allowsReuseOfLast = try flag()
            case "reuseEndsSession": reuseEndsSession = try flag()
            case "approves": approves = member.value.string
            case "tellsIssuer": tellsIssuer = try flag()
            case "enforcesExtra": enforcesExtra = try flag()
            case "keepsIdentifiers": keepsIdentifiers = try flag()
            case "errorPlace":
                guard let place = member.value.string.flatMap(ErrorPlace.init(rawValue:)) else {
                    throw FUTControlError("errorPlace is details or diagnostics")
                }
                errorPlace = place
            case "pageSize": pageSize = max(1, try number())
            default: throw FUTControlError("no such setting: \(member.key)")
            }
        }
    }
}

/// When a plan wants a measurement.
public enum FUTTiming: Hashable, Sendable {
    /// Without a regime.
    case adhoc
    /// A regime that the platform cannot resolve.
    case unresolved
    case slots([FUTSlot])
    /// Every day at this minute after midnight UTC, for so many minutes.
    case daily(minute: Int, minutes: Int, occurrences: Int)

    /// The slots that overlap the period, in order.
    func slots(from start: Instant, to end: Instant) -> [FUTSlot] {
        switch self {
        case .adhoc, .unresolved: return []
        case .slots(let slots): return slots.filter { $0.start <= end && $0.end >= start }.sorted { $0.start < $1.start }
        case .daily(let minute, let minutes, let occurrences):
            let day: Int64 = 86_400_000
            let first = start.milliseconds / day - 1
            let last = end.milliseconds / day
            guard first <= last, last - first < 4_000 else { return [] }
            return (first...last).map { number in
                let begin = Instant(milliseconds: number * day + Int64(minute) * 60_000)
                return FUTSlot(start: begin, end: begin + .seconds(minutes * 60), occurrences: occurrences)
            }.filter { $0.start <= end && $0.end >= start }
        }
    }
}

public struct FUTSlot: Hashable, Sendable {
    public var start: Instant
    public var end: Instant
    public var occurrences: Int

    public init(start: Instant, end: Instant, occurrences: Int = 1) {
        self.start = start
        self.end = end
        self.occurrences = occurrences
    }
}

/// An ordered activity (ServiceRequest).
public struct FUTRequest: Hashable, Sendable {
    public var id: String
    public var code: String
    /// What the patient is told, such as "Iltmætning".
    public var activity: String
    public var status = "active"
    /// May be measured outside its slots (`ehealth-include-as-extra`).
    public var includesExtra = false
    public var timing = FUTTiming.adhoc
    /// Counts its changes.
    public var version = 1
    public var changed: Instant

    public init(id: String, code: String, activity: String, timing: FUTTiming, includesExtra: Bool = false, changed: Instant) {
        self.id = id
        self.code = code
        self.activity = activity
        self.timing = timing
        self.includesExtra = includesExtra
        self.changed = changed
    }
}

/// A treatment (EpisodeOfCare) with one CarePlan.
public struct FUTEpisode: Hashable, Sendable {
    public var id: String
    public var carePlan: String
    public var status = "active"
    public var carePlanStatus = "active"
    public var organization = "9001"
    public var careTeam = "9101"
    public var started: Instant
    public var requests: [FUTRequest]

    public init(id: String, carePlan: String, started: Instant, requests: [FUTRequest]) {
        self.id = id
        self.carePlan = carePlan
        self.started = started
        self.requests = requests
    }
}

/// Equipment lent to a citizen (Device and DeviceUseStatement).
public struct FUTDevice: Hashable, Sendable {
    public var id: String
    /// The DeviceUseStatement's id.
    public var use: String
    public var manufacturer: String
    public var model: String
    public var serial: String
    /// SNOMED CT. Unreliable in FUT's own examples.
    public var type: String
    /// Status of the DeviceUseStatement.
    public var status = "active"
    public var since: Instant

    public init(id: String, use: String, manufacturer: String, model: String, serial: String, type: String, since: Instant) {
        self.id = id
        self.use = use
        self.manufacturer = manufacturer
        self.model = model
        self.serial = serial
        self.type = type
        self.since = since
    }
}

public struct FUTCitizen: Hashable, Sendable {
    /// Under which a person signs in here.
    public var name: String
    /// Of the Patient.
    public var patient: String
    /// PATIENT, or what a test wants.
    public var userType = "PATIENT"
    public var roles: Set<String> = [
        "$submit-measurement", "$get-patient-procedures", "$search-measurements-bundle-limit", "Observation.read",
        "Observation.search", "Observation.patch", "Observation$validate", "CarePlan.read", "CarePlan.search",
        "ServiceRequest.read",
        "ServiceRequest.search", "EpisodeOfCare.read", "EpisodeOfCare.search", "Device.read", "Device.search",
        "DeviceUseStatement.read", "DeviceUseStatement.search", "ClinicalImpression$set-measurement-validity",
    ]
    public var episodes: [FUTEpisode]
    public var devices: [FUTDevice]

    public init(name: String, patient: String, episodes: [FUTEpisode], devices: [FUTDevice]) {
        self.name = name
        self.patient = patient
        self.episodes = episodes
        self.devices = devices
    }
}

/// Who lives in the simulated infrastructure.
public struct FUTWorld: Hashable, Sendable {
    public var citizens: [FUTCitizen]

    public init(_ citizens: [FUTCitizen]) { self.citizens = citizens }

    /// Two spouses with one cuff each and one oximeter: anna is to measure pressure, saturation and pulse in slots around `now`,
    /// bent pressure whenever he likes.
    public static func spouses(now: Instant) -> FUTWorld {
        let slot = [FUTSlot(start: now - .seconds(3_600), end: now + .seconds(3 * 3_600), occurrences: 2)]
        return FUTWorld([
            FUTCitizen(
                name: "anna", patient: "1001",
                episodes: [
                    FUTEpisode(
                        id: "2001", carePlan: "2501", started: now - .seconds(30 * 86_400),
                        requests: [
                            FUTRequest(
                                id: "3001", code: "ZZ3170", activity: "Blodtryk", timing: .slots(slot), includesExtra: true,
                                changed: now),
                            FUTRequest(id: "3002", code: "NPU03011", activity: "Iltmætning", timing: .slots(slot), changed: now),
                            FUTRequest(id: "3003", code: "NPU21692", activity: "Puls", timing: .slots(slot), changed: now),
                        ])
                ],
                devices: [
                    FUTDevice(
                        id: "4001", use: "4101", manufacturer: "A&D Medical", model: "UA-651BLE", serial: "SIM-BP-1",
                        type: "258057004", since: now - .seconds(20 * 86_400)),
                    FUTDevice(
                        id: "4002", use: "4102", manufacturer: "Nonin Medical", model: "3230", serial: "SIM-OX-1",
                        type: "59181002",
                        since: now - .seconds(20 * 86_400)),
                ]),
            FUTCitizen(
                name: "bent", patient: "1002",
                episodes: [
                    FUTEpisode(
                        id: "2002", carePlan: "2502", started: now - .seconds(10 * 86_400),
                        requests: [FUTRequest(id: "3011", code: "ZZ3170", activity: "Blodtryk", timing: .adhoc, changed: now)])
                ],
                devices: [
                    FUTDevice(
                        id: "4003", use: "4103", manufacturer: "A&D Medical", model: "UA-651BLE", serial: "SIM-BP-2",
                        type: "258057004", since: now - .seconds(9 * 86_400))
                ]),
        ])
    }

    func citizen(named name: String) -> FUTCitizen? { citizens.first { $0.name == name } }
    func citizen(ofPatient id: String) -> FUTCitizen? { citizens.first { $0.patient == id } }
    func citizen(ofEpisode id: String) -> FUTCitizen? { citizens.first { $0.episodes.contains { $0.id == id } } }
    func episode(_ id: String) -> FUTEpisode? { citizens.lazy.flatMap(\.episodes).first { $0.id == id } }
}
