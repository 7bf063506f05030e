public import ExactJSON
public import Vitals

/// An observation that PMD holds, for tests that count.
public struct PMDStored: Hashable, Sendable {
    public var id: String
    public var version: Int
    /// The number of the person.
    public var patient: String
    public var lastUpdated: Instant
    /// As it was sent, with id and meta.
    public var resource: JSON

    public var isRetracted: Bool { resource["status"]?.string == "entered-in-error" }
}

/// Pasientens måledata: takes bundles of observations, stores each entry for itself, and is searched by POST.
///
/// A value without a socket. It gives ids of its own and takes the same observation twice, unless it is told to know identifiers:
/// nothing is published about that, and a client has to live with the worse.
struct PMDService {
    private(set) var stored: [PMDStored] = []
    var proofs = HelseIDProofs()
    private var written: [PMDStored] = []

    /// What was written since it was last asked.
    mutating func takeWritten() -> [PMDStored] {
        defer { written = [] }
        return written
    }

    struct Setting {
        /// `http://127.0.0.1:port/pmd`.
        var root: String
        var settings: NHNSettings
        var now: Instant
        var fault: NHNFault?
    }

    /// A refused entry or request; the HTTP status and a code of FHIR's issue types.
    private struct Refusal: Error {
        var status: Int
        var code: String
        var text: String

        init(_ status: Int, _ code: String, _ text: String) {
            self.status = status
            self.code = code
            self.text = text
        }

        /// NHN's convention for errors of its FHIR APIs; the codes of PMD are not published, so this one is made up.
        var coding: (system: String, code: String) {
            ("http://nhn.no/hit/fhir/error/CodeSystem/ErrorCode", "PMD-\(status)")
        }
    }

    mutating func answer(_ call: NHNCall, _ path: [String], _ setting: Setting) -> NHNAnswer {
        do throws(Refusal) {
            guard call.query.isEmpty else { throw Refusal(400, "not-supported", "parameters in the URL") }
            guard call.method == "POST" else { throw Refusal(405, "not-supported", call.method) }
            switch path {
            case []: return try take(call, setting)
            case ["Observation", "_search"]: return NHNAnswer(status: 200, body: .fhir(try found(call, setting)))
            default: throw Refusal(404, "not-found", "no such resource")
            }
        } catch {
            return .outcome(error.status, error.code, error.text, coding: error.coding)
        }
    }

    // MARK: Bundles

    private mutating func take(_ call: NHNCall, _ setting: Setting) throws(Refusal) -> NHNAnswer {
        guard call.contentType == "application/fhir+json" else { throw Refusal(415, "not-supported", "content type") }
        guard call.headers["correlation-id"]?.isEmpty == false else { throw Refusal(400, "required", "header correlation-id") }
        guard let bundle = try? JSON(parsing: call.body), bundle["resourceType"]?.string == "Bundle",
            let entries = bundle["entry"]?.array, !entries.isEmpty
        else { throw Refusal(400, "structure", "no Bundle with entries") }
        guard let type = bundle["type"]?.string, setting.settings.bundleTypes.contains(type) else {
            throw Refusal(400, "not-supported", "Bundle.type")
        }
        if type == "collection" {
            guard bundle["identifier"]?["value"] != nil, bundle["timestamp"]?.string.flatMap({ Instant(iso8601: $0) }) != nil
            else {
                throw Refusal(400, "required", "Bundle.identifier, Bundle.timestamp")
            }
        }
        let names = entries.compactMap { $0["fullUrl"]?.string }
        guard Set(names).count == entries.count else { throw Refusal(400, "required", "entry.fullUrl, each its own") }
        if let person = call.headers["person-id"] {
            guard entries.allSatisfy({ $0["resource"]?["subject"]?["identifier"]?["value"]?.string == person }) else {
                throw Refusal(400, "business-rule", "header person-id is another person")
            }
        }
        var answers: [JSON] = []
        for (index, entry) in entries.enumerated() {
            var response: [JSON.Member]
            do throws(Refusal) {
                if case .entryRefused(index, let status) = setting.fault {
                    throw Refusal(
                        status, status < 500 ? "business-rule" : "exception", "the simulator was told to refuse it")
                }
                let (one, isNew) = try store(entry, isBatch: type == "batch", setting)
                response = [.init("status", .string(isNew ? "201" : "200"))]
                if setting.settings.tellsLocation {
                    response.append(.init("location", .string("\(setting.root)/Observation/\(one.id)/_history/\(one.version)")))
                    response.append(.init("etag", .string("W/\"\(one.version)\"")))
                    response.append(.init("lastModified", .string(one.lastUpdated.iso8601(offsetMinutes: 0))))
                }
            } catch {
                response = [
                    .init("status", .string(String(error.status))),
                    .init("outcome", NHNAnswer.outcome(error.code, error.text, coding: error.coding)),
                ]
            }
            answers.append(Self.echoing(names[index], response, setting.settings.echo))
        }
        if setting.settings.reordersEntries { answers.reverse() }
        return NHNAnswer(
            status: 200,
            body: .fhir(["resourceType": "Bundle", "type": "batch-response", "entry": .array(answers)]))
    }

    private static func echoing(_ name: String, _ response: [JSON.Member], _ echo: NHNSettings.Echo) -> JSON {
        switch echo {
        case .fullURL: return .object([.init("fullUrl", .string(name)), .init("response", .object(response))])
        case .none: return .object([.init("response", .object(response))])
        case .extension:
            let url = "http://hl7.no/fhir/vkpobservation/StructureDefinition/PmdBundleResponseEntryIdExtension"
            let named: JSON = [["url": .string(url), "valueUri": .string(name)]]
            return .object([.init("response", .object([.init("extension", named)] + response))])
        }
    }

    private mutating func store(_ entry: JSON, isBatch: Bool, _ setting: Setting) throws(Refusal) -> (PMDStored, isNew: Bool) {
        let resource = entry["resource"] ?? .null
        try Self.check(resource)
        let own = ReceiverQuery.identifiers(of: resource)
        func known() -> [Int] {
            stored.indices.filter { index in
                ReceiverQuery.identifiers(of: stored[index].resource).contains { one in own.contains { $0 == one } }
            }
        }
        if isBatch {
            guard let url = entry["request"]?["url"]?.string else { throw Refusal(400, "required", "entry.request") }
            switch entry["request"]?["method"]?.string {
            case "POST":
                guard url == "Observation" else { throw Refusal(400, "value", "entry.request.url") }
            case "PUT" where url.hasPrefix("Observation?identifier="):
                let matches = known()
                guard matches.count < 2 else { throw Refusal(412, "multiple-matches", "several have the identifier") }
                if let index = matches.first { return (replace(index, resource, setting), false) }
            case "PUT":
                let id = String(url.dropFirst("Observation/".utf8.count))
                guard url.hasPrefix("Observation/"), resource["id"]?.string == id else {
                    throw Refusal(400, "value", "entry.request.url and the resource's id")
                }
                if let index = stored.firstIndex(where: { $0.id == id }) { return (replace(index, resource, setting), false) }
                return (add(id, resource, setting), true)
            default: throw Refusal(405, "not-supported", "entry.request.method")
            }
        } else if let index = stored.firstIndex(where: { $0.id == resource["id"]?.string }) {
            return (replace(index, resource, setting), false)
        } else if resource["status"]?.string == "entered-in-error", let index = known().first {
            return (replace(index, resource, setting), false)
        }
        if setting.settings.knowsIdentifiers, let index = known().first { return (stored[index], false) }
        return (add(String(1_000 + stored.count), resource, setting), true)
    }

    private mutating func add(_ id: String, _ resource: JSON, _ setting: Setting) -> PMDStored {
        let one = Self.copy(id, 1, resource, setting)
        stored.append(one)
        written.append(one)
        return one
    }

    private mutating func replace(_ index: Int, _ resource: JSON, _ setting: Setting) -> PMDStored {
        let one = Self.copy(stored[index].id, stored[index].version + 1, resource, setting)
        stored[index] = one
        written.append(one)
        return one
    }

    private static func copy(_ id: String, _ version: Int, _ resource: JSON, _ setting: Setting) -> PMDStored {
        let meta = (resource["meta"] ?? [:]).setting("versionId", to: .string(String(version)))
            .setting("lastUpdated", to: .string(setting.now.iso8601(offsetMinutes: 0)))
        return PMDStored(
            id: id, version: version, patient: resource["subject"]?["identifier"]?["value"]?.string ?? "",
            lastUpdated: setting.now, resource: resource.setting("id", to: .string(id)).setting("meta", to: meta))
    }

    private static let statuses = ["registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error"]
    private static let patientSystems = ["1", "2", "3"].map { "urn:oid:2.16.578.1.12.4.1.4.\($0)" }

    /// What FHIR and the profile vkp-Observation require of any observation.
    private static func check(_ resource: JSON) throws(Refusal) {
        guard resource["resourceType"]?.string == "Observation" else { throw Refusal(400, "structure", "only Observation") }
        guard let status = resource["status"]?.string, statuses.contains(status) else {
            throw Refusal(422, "code-invalid", "Observation.status")
        }
        let coding = resource["code"]?["coding"]?.array ?? []
        guard !coding.isEmpty, coding.allSatisfy({ $0["system"]?.string != nil && $0["code"]?.string != nil }) else {
            throw Refusal(422, "required", "Observation.code.coding")
        }
        let identifier = resource["subject"]?["identifier"]
        guard identifier?["system"]?.string.map(patientSystems.contains) ?? false,
            identifier?["value"]?.string.map({ $0.utf8.count == 11 && $0.allSatisfy(\.isNumber) }) ?? false
        else { throw Refusal(422, "value", "Observation.subject.identifier") }
        // vs-1: at least to the day.
        guard (resource["effectiveDateTime"]?.string).flatMap({ FUTTime.range($0) }) != nil else {
            throw Refusal(422, "invariant", "vs-1: Observation.effective")
        }
        let hasValue = resource["valueQuantity"] != nil || resource["dataAbsentReason"] != nil
        guard hasValue || !(resource["component"]?.array ?? []).isEmpty else {
            throw Refusal(422, "invariant", "vs-2: neither value nor reason")
        }
    }

    // MARK: Search

    private func found(_ call: NHNCall, _ setting: Setting) throws(Refusal) -> JSON {
        guard call.contentType == "application/x-www-form-urlencoded" else { throw Refusal(415, "not-supported", "content type") }
        let form = FUTForm(call.text)
        let patients = form.fields.filter { $0.name == "patient.identifier" }.map(\.value)
        guard patients.count == 1 else { throw Refusal(400, "required", "patient.identifier, one at a time") }
        let (system, number) = Self.token(patients[0])
        var matches = stored.filter { one in
            one.patient == number
                && system.map { $0 == one.resource["subject"]?["identifier"]?["system"]?.string } ?? true
        }
        for field in form.fields where field.name != "patient.identifier" {
            switch field.name {
            case "code":
                let (system, code) = Self.token(field.value)
                matches.removeAll { one in
                    !(one.resource["code"]?["coding"]?.array ?? []).contains { coding in
                        coding["code"]?.string == code && system.map { $0 == coding["system"]?.string } ?? true
                    }
                }
            case "date":
                guard let test = Self.date(field.value) else { throw Refusal(400, "value", "date") }
                matches.removeAll { one in
                    !((one.resource["effectiveDateTime"]?.string).flatMap { FUTTime.range($0)?.first }.map(test) ?? false)
                }
            default: throw Refusal(400, "not-supported", field.name)
            }
        }
        return .members([
            "resourceType": "Bundle", "type": "searchset", "total": .integer(matches.count),
            "entry": matches.isEmpty
                ? nil
                : .array(
                    matches.map {
                        ["fullUrl": .string("\(setting.root)/Observation/\($0.id)"), "resource": $0.resource]
                    }),
        ])
    }

    /// `system|value`, or the value alone.
    private static func token(_ text: String) -> (system: String?, value: String) {
        guard let bar = text.firstIndex(of: "|") else { return (nil, text) }
        return (String(text[..<bar]), String(text[text.index(after: bar)...]))
    }

    /// `eq`, `ge`, `gt`, `lt`, `le`: the documented ones.
    private static func date(_ text: String) -> ((Instant) -> Bool)? {
        let prefixed = text.first?.isLetter ?? false
        guard let (first, last) = FUTTime.range(String(prefixed ? text.dropFirst(2) : text[...])) else { return nil }
        switch prefixed ? text.prefix(2) : "eq" {
        case "eq": return { first <= $0 && $0 <= last }
        case "ge": return { $0 >= first }
        case "gt": return { $0 > last }
        case "le": return { $0 <= last }
        case "lt": return { $0 < first }
        default: return nil
        }
    }
}
