public import ExactJSON
public import HTTPMessage

/// What the person may choose as context (FUT wiki, "Switching Context"): `GET {realm}/resource/ehealth-connect/contexts`.
///
/// ```json
/// { "care_teams": [ { "id": "https://…/CareTeam/4", "name": "…", "affiliation": { "id": "https://…/Organization/38", "name": "…" },
///                     "roles": [ "urn:dk:sundhed:ehealth:role:…" ] } ],
///   "organizations": [ { "id": "https://…/Organization/1", "name": "…", "roles": [ "…" ] } ] }
/// ```
///
/// That is the published answer for a clinician; how a citizen's differs is not published, so a list that is missing is empty
/// and members beyond these are passed over.
public struct FUTContexts: Hashable, Sendable {
    public struct Organization: Hashable, Sendable {
        public let id: String
        public let name: String?
        public let roles: [String]
    }

    public struct CareTeam: Hashable, Sendable {
        public let id: String
        public let name: String?
        public let roles: [String]
        /// The organization that the team belongs to.
        public let affiliation: Organization?
    }

    public let careTeams: [CareTeam]
    public let organizations: [Organization]

    /// Some hundred entries of a few hundred bytes.
    static let maximumLength = 1_024 * 1_024

    /// The issuer of a Keycloak realm is the realm's own address.
    public static func request(issuer: String, _ token: FUTAccessToken) -> HTTPRequest {
        let base = issuer.hasSuffix("/") ? String(issuer.dropLast()) : issuer
        return HTTPRequest(
            .get, base + "/resource/ehealth-connect/contexts",
            headers: [HTTPHeader("accept", "application/json"), token.header])
    }

    public init(parsing body: [UInt8]) throws(FUTContextsError) {
        guard body.count <= Self.maximumLength else { throw .tooLong(bytes: body.count) }
        let json: JSON
        do {
            json = try JSON(parsing: body)
        } catch {
            throw .json(error)
        }
        guard json.object != nil else { throw .notAnObject }
        careTeams = try Self.list("care_teams", in: json).map { entry throws(FUTContextsError) in
            CareTeam(
                id: try Self.id(of: entry, in: "care_teams"), name: entry["name"]?.string, roles: Self.roles(of: entry),
                affiliation: try entry["affiliation"].map { entry throws(FUTContextsError) in
                    try Self.organization(entry, in: "affiliation")
                })
        }
        organizations = try Self.list("organizations", in: json).map { entry throws(FUTContextsError) in
            try Self.organization(entry, in: "organizations")
        }
    }

    private static func list(_ name: String, in json: JSON) throws(FUTContextsError) -> [JSON] {
        guard let value = json[name], value != .null else { return [] }
        guard let list = value.array else { throw .list(name) }
        return list
    }

    private static func organization(_ entry: JSON, in list: String) throws(FUTContextsError) -> Organization {
        Organization(id: try id(of: entry, in: list), name: entry["name"]?.string, roles: roles(of: entry))
    }

    private static func id(of entry: JSON, in list: String) throws(FUTContextsError) -> String {
        guard let id = entry["id"]?.string, (try? EndpointURL(id)) != nil else { throw .id(list) }
        return id
    }

    private static func roles(of entry: JSON) -> [String] { entry["roles"]?.array?.compactMap(\.string) ?? [] }
}

/// What is wrong with a listing of contexts.
public enum FUTContextsError: Error, Hashable, Sendable, CustomStringConvertible {
    case tooLong(bytes: Int)
    case json(JSONError)
    case notAnObject
    case list(String)
    case id(String)

    public var description: String {
        switch self {
        case .tooLong(let bytes): "a listing of contexts of \(bytes) bytes: at most \(FUTContexts.maximumLength) are read"
        case .json(let error): "the listing of contexts is \(error)"
        case .notAnObject: "the listing of contexts is no JSON object"
        case .list(let name): "the listing's \(name) is no list"
        case .id(let name): "an entry of the listing's \(name) has no absolute URL as id"
        }
    }
}
