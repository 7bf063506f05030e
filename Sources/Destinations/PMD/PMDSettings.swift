public import HTTPMessage
public import Vitals

/// Where PMD's publications leave room or contradict each other. The defaults are those of the newer one, NHN's documentation of
/// June 2026 (utviklerportal.nhn.no, pasientens-maaledata, `pmd-20/api`, `pmd-20/examples`), over HL7 Norway's VkpObservation
/// 0.5.1/0.5.2 of March 2026; but a result is `final`.
public struct PMDSettings: Hashable, Sendable {
    /// The shape of what is sent.
    public enum Form: String, Hashable, Sendable, CaseIterable {
        /// `Bundle.type` collection with identifier, timestamp and municipality; entries without a request. NHN's documentation.
        case collection
        /// `Bundle.type` batch with a request in each entry: profile pmd-Bundle-Observation.
        case batch
    }

    /// What a batch asks for each entry (value set pmd-bundle-requests: both).
    public enum Method: String, Hashable, Sendable, CaseIterable {
        /// The server gives the id.
        case post
        /// Under the reading's own id: the same again is the same.
        case put
    }

    /// Which profiles an observation claims.
    public enum Family: String, Hashable, Sendable, CaseIterable {
        /// `http://hl7.no/fhir/vkpobservation/…`, VkpObservation 0.5.1.
        case current
        /// `…-v090` of HL7Norway/Velferdsteknologi.
        case legacy
        /// No vkp-Observation.
        case none
    }

    public enum Performer: Hashable, Sendable {
        /// The organisation that is responsible for the registering (NHN's documentation).
        case organisation(NorwegianOrganisationNumber, name: String?)
        case none
    }

    public enum Status: String, Hashable, Sendable, CaseIterable {
        case final
        /// As NHN's example: received, not yet looked at.
        case registered
    }

    public var form: Form
    public var method: Method
    public var family: Family
    /// Whether the hospital-oriented profiles of no-domain-VitalSigns 0.9.0 are claimed too.
    public var claimsNoDomain: Bool
    public var performer: Performer
    public var status: Status
    /// Four digits, `0301`: the patient's municipality, as a tag of the bundle.
    public var municipality: String?
    /// The system of a device's serial number. The default is that of NHN's example.
    public var deviceSystem: String
    /// Whether the number of the patient goes along as header `person-id`, which NHN's documentation names and does not explain.
    /// Off: a header ends in a proxy's log, and the number belongs in the body.
    public var sendsPersonHeader: Bool
    /// Further headers of each request, such as an environment wants them.
    public var headers: [HTTPHeader]
    /// Whether what has no coded place goes along as `Observation.note`.
    public var sendsNotes: Bool

    public static let komlinkSerial = "http://komlink.nhn.no/devices/serial"

    public init(
        form: Form = .collection, method: Method = .post, family: Family = .current, claimsNoDomain: Bool = true,
        performer: Performer = .none, status: Status = .final, municipality: String? = nil,
        deviceSystem: String = PMDSettings.komlinkSerial, sendsPersonHeader: Bool = false, headers: [HTTPHeader] = [],
        sendsNotes: Bool = true
    ) {
        self.form = form
        self.method = method
        self.family = family
        self.claimsNoDomain = claimsNoDomain
        self.performer = performer
        self.status = status
        self.municipality = municipality
        self.deviceSystem = deviceSystem
        self.sendsPersonHeader = sendsPersonHeader
        self.headers = headers
        self.sendsNotes = sendsNotes
    }

    /// Four digits.
    public static func isMunicipality(_ text: String) -> Bool {
        text.utf8.count == 4 && text.utf8.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }
    }
}

extension PMDSettings {
    /// The profiles that an observation satisfies and hence claims.
    ///
    /// An organisation as performer satisfies the generic vkp-Observation of the current family and no other: the vital-sign
    /// profiles of both families, and the generic legacy one, bind `performer.identifier.system` to numbers of persons.
    func profiles(of code: PMDCode) -> [String] {
        var profiles: [String] = []
        switch (family, performer) {
        case (.current, .organisation): profiles = [PMD.current("")]
        case (.current, .none): profiles = [PMD.current(code.profile.map { "-" + $0.current } ?? "")]
        case (.legacy, .none): profiles = [code.profile?.legacy ?? PMD.legacy]
        case (.legacy, .organisation), (.none, _): break
        }
        if claimsNoDomain, let tail = code.noDomain { profiles.append(PMD.noDomain + tail) }
        return profiles
    }
}
