import ExactJSON
import Vitals

/// The measurement service's store: what was submitted, and the interactions on it.
struct FUTMeasurements {
    struct Stored {
        var type: String
        var id: String
        var resource: JSON
        var version = 1
        /// Counts the submissions.
        var submission: Int
        /// Logical ids.
        var patient: String
        var episode: String
        var request: String
        /// Of the ServiceRequest, as the client said.
        var requestVersion: Int
        var timing: String
        var slot: FUTSlot?
        var effective: Instant
        var effectiveEnd: Instant

        var isInvalidated: Bool { resource["status"]?.string == "entered-in-error" }
    }

    private(set) var stored: [Stored] = []
    private var submissions = 0
    private var lastID = 0
    /// What was stored or changed since the caller last took it, for the ledger.
    private(set) var written: [Stored] = []

    mutating func takeWritten() -> [Stored] {
        defer { written.removeAll() }
        return written
    }

    /// - Parameter steps: those of the path, "measurement" and "fhir" first.
    mutating func answer(_ call: FUTCall, _ access: FUTAccess) throws(FUTError) -> FUTAnswer {
        let steps = Array(call.steps.dropFirst(2))
        switch (call.method, steps.count) {
        case ("POST", 1) where steps[0] == "$submit-measurement":
            return FUTAnswer(status: 200, body: .fhir(try submit(try access.needBody(call), access)))
        case ("POST", 1) where steps[0] == "$search-measurements-bundle-limit":
            return FUTAnswer(status: 200, body: .fhir(try bundles(try access.needBody(call), access)))
        case ("POST", 2) where steps == ["Observation", "$validate"]:
            return FUTAnswer(status: 200, body: .fhir(try validate(try access.needBody(call), access)))
        case ("GET", 1) where steps[0] == "Observation": return try search(call, access)
        case ("GET", 2) where steps[0] == "Observation": return try read(steps[1], access)
        case ("GET", 4) where steps[0] == "Observation" && steps[2] == "_history":
            return try read(steps[1], version: steps[3], access)
        case ("PATCH", 2) where steps[0] == "Observation":
            return try patch(steps[1], try access.needBody(call, "application/json-patch+json"), access)
        default: throw FUTError("GENERAL_VALIDATION_ERROR", "Validation error: not offered here.", status: 405)
        }
    }

    // MARK: Submission

    private mutating func submit(_ input: JSON, _ access: FUTAccess) throws(FUTError) -> JSON {
        let submission = try FUTSubmission(input, access)
        submissions += 1
        let bundle = FUTSubmission.Bundle(number: submissions)
        var refused: (entry: Int, code: String)?
        if case .entryRefused(let entry, let code) = access.setting.fault { refused = (entry, code) }
        var answers: [JSON] = []
        for (index, entry) in submission.entries.enumerated() {
            if let refused, refused.entry == index {
                let error = FUTError(refused.code, "the simulator was told to refuse this entry")
                answers.append([
                    "response": [
                        "status": .string(receiverStatusText(error.status)),
                        "outcome": error.outcome(access.setting.settings.errorPlace),
                    ]
                ])
                continue
            }
            answers.append(store(entry, in: bundle, access))
        }
        return ["resourceType": "Bundle", "type": "transaction-response", "entry": .array(answers)]
    }

    private mutating func store(_ entry: FUTSubmission.Entry, in bundle: FUTSubmission.Bundle, _ access: FUTAccess) -> JSON {
        lastID += 1
        let id = String(lastID)
        let time = FUTTime.text(access.now)
        var resource = entry.resource
        if !access.setting.settings.keepsIdentifiers, case .object(let members) = resource {
            resource = .object(members.filter { $0.key != "identifier" })
        }
        resource = Self.versioned(resource, id: id, version: 1, at: time)
        let stored = Stored(
            type: entry.type, id: id, resource: resource, submission: bundle.number, patient: entry.patient,
            episode: entry.episode,
            request: entry.request, requestVersion: entry.version, timing: entry.timing, slot: entry.slot,
            effective: entry.effective,
            effectiveEnd: entry.effectiveEnd)
        self.stored.append(stored)
        written.append(stored)
        let place = "\(entry.type)/\(id)/_history/1"
        let text = "Successfully created resource \"\(place)\". Took 1ms."
        return [
            "response": [
                "status": "201 Created", "location": .string("\(access.endpoints.measurement)/\(place)"), "etag": "1",
                "lastModified": .string(time),
                "outcome": FUTNarrative.outcome([
                    [
                        "severity": "information", "code": "informational",
                        "details": FUT.coded(
                            "https://hapifhir.io/fhir/CodeSystem/hapi-fhir-storage-response-code", "SUCCESSFUL_CREATE",
                            display: "Create succeeded."),
                        "diagnostics": .string(text),
                    ]
                ]),
            ]
        ]
    }

    /// With id and meta set, in the order in which FUT's examples have them.
    private static func versioned(_ resource: JSON, id: String, version: Int, at time: String) -> JSON {
        let meta = (resource["meta"] ?? [:]).setting("versionId", to: .string(String(version)))
            .setting("lastUpdated", to: .string(time)).setting("source", to: "#simulator")
        let head: [JSON.Member] = [
            .init("resourceType", resource["resourceType"] ?? .null), .init("id", .string(id)), .init("meta", meta),
        ]
        let rest = (resource.object ?? []).filter { !["resourceType", "id", "meta"].contains($0.key) }
        return .object(head + rest)
    }

    // MARK: Validation alone

    private func validate(_ input: JSON, _ access: FUTAccess) throws(FUTError) -> JSON {
        try access.need("Observation$validate", for: "Observation")
        let parameter = input["parameter"]?.array?.first { $0["name"]?.string == "resource" }
        guard let resource = parameter?["resource"] else { throw FUTError.validation("resource is missing") }
        do throws(FUTError) {
            try FUTObservationProfile(access: access).check(resource, at: "Observation")
        } catch {
            return error.outcome(access.setting.settings.errorPlace)
        }
        return FUTNarrative.outcome([
            ["severity": "information", "code": "informational", "diagnostics": "No issues detected during validation"]
        ])
    }

    // MARK: Reading

    private func index(of id: String, _ access: FUTAccess) throws(FUTError) -> Int {
        guard let index = stored.firstIndex(where: { $0.type == "Observation" && $0.id == id }) else {
            throw FUTError.notFound("Observation", id)
        }
        guard stored[index].patient == access.citizen.patient else {
            throw FUTError(
                "SECURITY_RESOURCE_NOT_MATCHING_TOKEN_CONTEXT", "Resource not matching security token context: Observation/\(id)")
        }
        return index
    }

    private func read(_ id: String, version: String? = nil, _ access: FUTAccess) throws(FUTError) -> FUTAnswer {
        try access.need("Observation.read", for: "Observation")
        let found = stored[try index(of: id, access)]
        // Of older versions only the newest is kept here: the one change is a status.
        if let version, version != String(found.version) { throw FUTError.notFound("Observation", "\(id)/_history/\(version)") }
        return FUTAnswer(status: 200, headers: [("etag", "W/\"\(found.version)\"")], body: .fhir(found.resource))
    }

    /// The parameters of CapabilityStatement-measurement of guide 8.0.0, without text searches.
    private static let parameters: Set<String> = [
        "_id", "based-on", "code", "date", "episodeOfCare", "identifier", "patient", "subject", "qualityCode", "qualityType",
        "resolvedTimingStart", "resolvedTimingEnd", "resolvedTimingType", "resolvedTimingServiceRequestVersionId",
    ]

    private func search(_ call: FUTCall, _ access: FUTAccess) throws(FUTError) -> FUTAnswer {
        try access.need("Observation.search", for: "Observation")
        let search = try FUTSearch(call.query, known: Self.parameters)
        try access.needOwn(search["patient"] ?? search["subject"])
        var found = stored.filter {
            $0.type == "Observation" && $0.patient == access.citizen.patient && matches($0, search, access)
        }
        switch search.sort {
        case "date": found.sort { $0.effective < $1.effective }
        case "-date": found.sort { $0.effective > $1.effective }
        default: break
        }
        return search.page(
            found.map { ("\(access.endpoints.measurement)/Observation/\($0.id)", $0.resource) }, call,
            at: access.endpoints.measurement, access.setting)
    }

    private func matches(_ one: Stored, _ search: FUTSearch, _ access: FUTAccess) -> Bool {
        func quality(_ part: String, _ wanted: String) -> Bool {
            FUT.extensions(one.resource, FUT.qualityExtension).contains { quality in
                FUT.extensions(quality, part).first?["valueCodeableConcept"]?["coding"]?.array?.contains {
                    FUTSearch.token(wanted, $0["system"]?.string ?? "", $0["code"]?.string ?? "")
                } ?? false
            }
        }
        return search.holds("_id") { $0 == one.id }
            && search.holds("based-on") { FUTAccess.matches($0, access.url(ofRequest: one.request)) }
            && search.holds("episodeOfCare") { FUTAccess.matches($0, access.url(ofEpisode: one.episode)) }
            && search.holds("date") { FUTSearch.date($0, one.effective, one.effectiveEnd) }
            && search.holds("code") { wanted in
                one.resource["code"]?["coding"]?.array?.contains {
                    FUTSearch.token(wanted, $0["system"]?.string ?? "", $0["code"]?.string ?? "")
                } ?? false
            }
            && search.holds("identifier") { wanted in
                ReceiverQuery.identifiers(of: one.resource).contains { FUTSearch.token(wanted, $0.system, $0.value) }
            }
            && search.holds("qualityType") { quality("qualityType", $0) }
            && search.holds("qualityCode") { quality("qualityCode", $0) }
            && search.holds("resolvedTimingType") { FUTSearch.token($0, FUT.timingSystem, one.timing) }
            && search.holds("resolvedTimingServiceRequestVersionId") { $0 == String(one.requestVersion) }
            && search.holds("resolvedTimingStart") { wanted in
                one.slot.map { FUTSearch.date(wanted, $0.start, $0.start) } ?? false
            }
            && search.holds("resolvedTimingEnd") { wanted in one.slot.map { FUTSearch.date(wanted, $0.end, $0.end) } ?? false }
    }

    // MARK: $search-measurements-bundle-limit

    /// OperationDefinition `-s-search-measurements-bundle-limit` of guide 8.0.0: a Bundle for each submission.
    private func bundles(_ input: JSON, _ access: FUTAccess) throws(FUTError) -> JSON {
        try access.need("$search-measurements-bundle-limit", for: "Observation")
        let prefix = "MEASUREMENT_SEARCHMEASUREMENT"
        let parameters = input["parameter"]?.array ?? []
        func values(_ name: String) -> [JSON] { parameters.filter { $0["name"]?.string == name } }
        func references(_ name: String) -> [String] { values(name).compactMap { $0["valueReference"]?["reference"]?.string } }
        let (patients, episodes, requests) = (references("patient"), references("episodeOfCare"), references("based-on"))
        guard !(patients.isEmpty && episodes.isEmpty && requests.isEmpty) else {
            throw FUTError(
                "\(prefix)_PATIENT_AND_EPISODE_AND_SERVICEREQUEST_NOT_SPECIFIED",
                "At least one patient, episodeOfCare or serviceRequest must be specified")
        }
        guard let count = values("count").first?["valueInteger"]?.integer, count > 0 else {
            throw FUTError("\(prefix)_COUNT_NOT_SPECIFIED", "A positive number for Count must be specified")
        }
        guard count <= 100 else { throw FUTError("\(prefix)_COUNT_LIMIT_EXCEEDED", "Count limit of 100 exceeded") }
        let start = values("start").first?["valueDateTime"]?.string
        let end = values("end").first?["valueDateTime"]?.string
        if start != nil, end != nil {
            throw FUTError("\(prefix)_START_AND_END_BOTH_SPECIFIED", "Both start and end cannot be specified")
        }
        guard let bound = FUTTime.instant(start ?? end) else {
            throw FUTError(
                "\(prefix)_START_OR_END_NOT_SPECIFIED", "Either start or end must be provided, but none was provided")
        }
        guard patients.allSatisfy({ $0 == access.patient }) else {
            throw FUTError(
                "SECURITY_SEARCH_PARAM_NOT_MATCHING_TOKEN_CONTEXT",
                "Search parameters not matching security token context: patient")
        }
        let found = stored.filter { one in
            one.patient == access.citizen.patient && (start != nil ? one.effective > bound : one.effective < bound)
                && (episodes.isEmpty || episodes.contains(access.url(ofEpisode: one.episode)))
                && (requests.isEmpty || requests.contains(access.url(ofRequest: one.request)))
        }.sorted { start != nil ? $0.effective < $1.effective : $0.effective > $1.effective }
        var order: [Int] = []
        for one in found where !order.contains(one.submission) { order.append(one.submission) }
        let nested = order.prefix(count).map { submission -> JSON in
            let entries = stored.filter { $0.submission == submission }.map { one -> JSON in
                ["fullUrl": .string("\(access.endpoints.measurement)/\(one.type)/\(one.id)"), "resource": one.resource]
            }
            return [
                "fullUrl": .string("urn:uuid:\(randomUUID())"),
                "resource": ["resourceType": "Bundle", "type": "collection", "entry": .array(entries)],
            ]
        }
        return .members([
            "resourceType": "Bundle", "type": "collection", "entry": nested.isEmpty ? JSON?.none : .array(Array(nested)),
        ])
    }

    // MARK: PATCH

    /// The one change that there is: `status` to `entered-in-error`.
    private mutating func patch(_ id: String, _ operations: JSON, _ access: FUTAccess) throws(FUTError) -> FUTAnswer {
        try access.need("Observation.patch", for: "Observation")
        let index = try index(of: id, access)
        for operation in operations.array ?? [] where operation["op"]?.string != "test" {
            guard operation["path"]?.string == "/status", operation["value"]?.string == "entered-in-error" else {
                throw FUTError.validation("only the status may be changed, to entered-in-error")
            }
        }
        var one = stored[index]
        do throws(ReceiverError) {
            one.resource = try ReceiverPatch.apply(operations, to: one.resource)
        } catch {
            throw FUTError("GENERAL_VALIDATION_ERROR", "Validation error: \(error.text).", status: error.status)
        }
        one = keep(one, at: index, access)
        return FUTAnswer(status: 200, headers: [("etag", "W/\"\(one.version)\"")], body: .fhir(one.resource))
    }

    /// As the next version.
    private mutating func keep(_ changed: Stored, at index: Int, _ access: FUTAccess) -> Stored {
        var one = changed
        one.version += 1
        one.resource = Self.versioned(one.resource, id: one.id, version: one.version, at: FUTTime.text(access.now))
        stored[index] = one
        written.append(one)
        return one
    }

    // MARK: The task service

    /// `ClinicalImpression/$set-measurement-validity`, which changes the measurement and answers with the impression.
    mutating func assess(_ call: FUTCall, _ access: FUTAccess) throws(FUTError) -> FUTAnswer {
        guard call.method == "POST", call.steps.dropFirst(2) == ["ClinicalImpression", "$set-measurement-validity"] else {
            throw FUTError("GENERAL_VALIDATION_ERROR", "Validation error: not offered here.", status: 405)
        }
        let validity = try FUTValidity(try access.needBody(call), access)
        let index = try index(of: validity.measurement, access)
        try validity.check(stored[index])
        var one = stored[index]
        one.resource = one.resource.setting("status", to: "entered-in-error")
        one = keep(one, at: index, access)
        lastID += 1
        let place = "\(access.endpoints.measurement)/Observation/\(one.id)/_history/\(one.version)"
        return FUTAnswer(status: 200, body: .fhir(validity.answer(id: String(lastID), modified: place)))
    }
}

/// RFC 9562, version 4.
private func randomUUID() -> String {
    var bytes = (0..<16).map { _ in UInt8.random(in: .min ... .max) }
    bytes[6] = bytes[6] & 0x0F | 0x40
    bytes[8] = bytes[8] & 0x3F | 0x80
    var text = ""
    for (index, byte) in bytes.enumerated() {
        if [4, 6, 8, 10].contains(index) { text += "-" }
        let digits = String(byte, radix: 16)
        text += digits.count == 1 ? "0\(digits)" : digits
    }
    return text
}
