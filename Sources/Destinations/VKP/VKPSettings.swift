public import Vitals

/// One municipality's journal behind Velferdsteknologisk knutepunkt (VKP), and in whose name this hub writes there.
///
/// There is no published default: VKP journals what staff have handled, so nothing is sent without a responsible author.
///
/// Source: NHN, VKP.Samples (10 April 2025) and utviklerportal.nhn.no; Simplifier, guide "Velferdsteknologisk knutepunkt DHO R4".
public struct VKPSettings: Hashable, Sendable {
    /// Who answers for what is journaled.
    public struct Author: Hashable, Sendable {
        /// ``hpr``, ``NorwegianOrganisationNumber/system``, or a system of the municipality's own.
        public var system: String
        public var value: String
        public var name: String

        /// Health personnel number.
        public static let hpr = "urn:oid:2.16.578.1.12.4.1.4.4"

        public init(system: String, value: String, name: String) {
            self.system = system
            self.value = value
            self.name = name
        }
    }

    /// The municipality, as a part of each URL: `…/epj/r4/{organisation}/bundle`.
    public var organisation: NorwegianOrganisationNumber
    public var author: Author
    /// The service by which VKP establishes the need (*tjenstlig behov*), in searches: `dho`.
    public var serviceCodes: String
    /// Whether what may have arrived is looked for in the patient's journal. Off: it takes a scope to read journals, which a hub
    /// rarely needs, and finds only what the journal has already taken in.
    public var searches: Bool
    /// Whether VKP is told where nothing was measured, by the care plans that it has. It takes a scope to read them.
    public var saysNotReported: Bool
    /// The system of a device's serial number.
    public var deviceSystem: String
    /// Whether status bits and cautions go along as `Observation.note`.
    public var sendsNotes: Bool

    public init(
        organisation: NorwegianOrganisationNumber, author: Author, serviceCodes: String = "dho", searches: Bool = false,
        saysNotReported: Bool = false, deviceSystem: String = PMDSettings.komlinkSerial, sendsNotes: Bool = true
    ) {
        self.organisation = organisation
        self.author = author
        self.serviceCodes = serviceCodes
        self.searches = searches
        self.saysNotReported = saysNotReported
        self.deviceSystem = deviceSystem
        self.sendsNotes = sendsNotes
    }

    /// The legacy family: VKP's own profiles are of it.
    var observations: PMDSettings {
        PMDSettings(family: .legacy, claimsNoDomain: false, deviceSystem: deviceSystem, sendsNotes: sendsNotes)
    }
}
