public import ExactJSON
public import Vitals

/// For whom the hub acts, as `assertion_details` says it.
///
/// A client for one organisation is registered with its parent unit, and names a child where the token is for one. A client for
/// many names the parent each time; HelseID looks for its delegation in Altinn.
public enum HelseIDOrganisation: Hashable, Sendable {
    /// The organisation that the client is registered with: nothing to say.
    case ofClient
    case singleTenant(child: NorwegianOrganisationNumber)
    case multiTenant(parent: NorwegianOrganisationNumber, child: NorwegianOrganisationNumber?)

    /// `nil` where nothing is to be said; an object and not an array where it is one, as NHN's library writes it.
    ///
    /// Source: NHN, HelseID.Library 1.1.3, `OrganizationNumberCreatorForSingleTenantClient` and `…ForMultiTenantClient`.
    public var assertionDetails: JSON? {
        switch self {
        case .ofClient: nil
        case .singleTenant(let child):
            Self.details(system: NorwegianOrganisationNumber.system, value: child.digits)
        case .multiTenant(let parent, let child):
            // ISO 6523: scheme, register, parent, child; the last colon stays where there is no child.
            Self.details(system: "urn:oid:1.0.6523", value: "NO:ORGNR:\(parent.digits):\(child?.digits ?? "")")
        }
    }

    private static func details(system: String, value: String) -> JSON {
        [
            "type": "helseid_authorization",
            "practitioner_role": [
                "organization": ["identifier": ["system": .string(system), "type": "ENH", "value": .string(value)]]
            ],
        ]
    }
}
