import ExactJSON
import Vitals

/// Who asks a FHIR service, and what his token allows.
struct FUTAccess {
    var citizen: FUTCitizen
    var context: FUTContext
    var setting: FUTRealm.Setting

    var endpoints: FUTEndpoints { setting.endpoints }
    var now: Instant { setting.now }
    var patient: String { url(ofPatient: citizen.patient) }

    func url(ofPatient id: String) -> String { "\(endpoints.patient)/Patient/\(id)" }
    func url(ofEpisode id: String) -> String { "\(endpoints.carePlan)/EpisodeOfCare/\(id)" }
    func url(ofRequest id: String) -> String { "\(endpoints.carePlan)/ServiceRequest/\(id)" }
    func url(ofPlan id: String) -> String { "\(endpoints.carePlan)/CarePlan/\(id)" }
    func url(ofDevice id: String) -> String { "\(endpoints.device)/Device/\(id)" }

    /// The id in an absolute reference to a resource of this service, else `nil`.
    static func id(_ reference: String?, of type: String, at base: String) -> String? {
        let prefix = "\(base)/\(type)/"
        guard let reference, reference.hasPrefix(prefix) else { return nil }
        let id = reference.dropFirst(prefix.count)
        return id.isEmpty || id.contains("/") ? nil : String(id)
    }

    func need(_ role: String, for what: String) throws(FUTError) {
        guard citizen.roles.contains(role) else {
            throw FUTError("SECURITY_TOKEN_INSUFFICIENT_PERMISSION", "Insufficient permission for \(role) for \(what)")
        }
    }

    /// A search parameter's reference: a full URL, `Type/id` or the id alone.
    static func matches(_ wanted: String, _ url: String) -> Bool {
        if wanted.contains("://") { return wanted == url }
        return url.hasSuffix("/\(wanted)")
    }

    /// A citizen sees what is his: a search that does not say so is refused.
    func needOwn(_ patients: [String]?) throws(FUTError) {
        guard let patients else {
            throw FUTError(
                "SECURITY_SEARCH_PARAMS_MANDATORY",
                "Search parameters mandatory with current user type and combination of search parameters: patient")
        }
        for wanted in patients where !Self.matches(wanted, patient) {
            throw FUTError(
                "SECURITY_SEARCH_PARAM_NOT_MATCHING_TOKEN_CONTEXT",
                "Search parameters not matching security token context: patient")
        }
    }

    func needBody(_ call: FUTCall, _ type: String = "application/fhir+json") throws(FUTError) -> JSON {
        guard call.contentType == type || (type.hasSuffix("fhir+json") && call.contentType == "application/json") else {
            throw FUTError("GENERAL_VALIDATION_ERROR", "Validation error: this needs the content type \(type).", status: 415)
        }
        do {
            return try JSON(parsing: call.body)
        } catch {
            throw FUTError("GENERAL_VALIDATION_ERROR", "Validation error: \(error).", status: 400)
        }
    }
}

/// A FHIR search: parameters known to the resource, each a list of alternatives.
struct FUTSearch {
    private var values: [(name: String, alternatives: [String])] = []
    private(set) var count: Int?
    private(set) var offset = 0
    private(set) var sort: String?

    /// - Throws: 400 for a parameter that the resource does not have, as HAPI FHIR.
    init(_ query: String, known: Set<String>) throws(FUTError) {
        for field in FUTForm(query).fields {
            switch field.name {
            case "_count": count = Int(field.value)
            case "_offset": offset = max(0, Int(field.value) ?? 0)
            case "_sort": sort = field.value
            case "_format", "_pretty": break
            case let name where known.contains(name):
                values.append((name, ReceiverQuery.alternatives(field.value, at: ",").map(ReceiverQuery.unescaped)))
            case let name:
                throw FUTError(
                    "GENERAL_VALIDATION_ERROR", "Validation error: Unknown search parameter \"\(name)\".", status: 400)
            }
        }
    }

    subscript(name: String) -> [String]? { values.first { $0.name == name }?.alternatives }

    /// Whether each occurrence of the parameter has an alternative that holds.
    func holds(_ name: String, _ test: (String) -> Bool) -> Bool {
        values.allSatisfy { $0.name != name || $0.alternatives.contains(where: test) }
    }

    /// `system|code`, `code`, `|code`.
    static func token(_ wanted: String, _ system: String, _ code: String) -> Bool {
        let token = ReceiverQuery.token(wanted)
        return token.value == code && (token.system == nil || token.system == system)
    }

    /// FHIR R4 search, section "date": the range of the parameter against that of the resource.
    static func date(_ wanted: String, _ first: Instant, _ last: Instant) -> Bool {
        let prefix = wanted.prefix { $0.isLetter }
        guard let range = FUTTime.range(String(wanted.dropFirst(prefix.count))) else { return false }
        switch prefix {
        case "", "eq": return first >= range.first && last <= range.last
        case "ge": return last >= range.first
        case "gt": return last > range.last
        case "sa": return first > range.last
        case "le": return first <= range.last
        case "lt": return first < range.first
        case "eb": return last < range.first
        default: return false
        }
    }

    /// The page that is asked for, with the links to itself and the next.
    func page(_ matches: [(url: String, resource: JSON)], _ call: FUTCall, at base: String, _ setting: FUTRealm.Setting)
        -> FUTAnswer
    {
        let size = min(max(count ?? setting.settings.pageSize, 0), 1_000)
        let start = min(offset, matches.count)
        let end = min(start + size, matches.count)
        let address = "\(base)/\(call.steps.dropFirst(2).joined(separator: "/"))"
        let others = call.query.split(separator: "&").filter { !$0.hasPrefix("_offset=") }.joined(separator: "&")
        let next = end < matches.count && size > 0 ? "\(address)?\(others)\(others.isEmpty ? "" : "&")_offset=\(end)" : nil
        return FUTAnswer(
            status: 200,
            body: .fhir(
                FUT.searchset(
                    matches[start..<end], total: matches.count, own: "\(address)?\(call.query)", next: next, now: setting.now)))
    }
}
