import ExactJSON
import Vitals

/// A checked `$submit-measurement`: everything that the guide demands, with its error codes, before anything is stored.
///
/// Guide 8.0.0, OperationDefinition `-s-submit-measurement` and `error-messages.md`. In which order FUT looks is not documented.
struct FUTSubmission {
    struct Entry {
        var type: String
        var resource: JSON
        /// Logical ids.
        var patient: String
        var episode: String
        var request: String
        var version: Int
        var timing: String
        var slot: FUTSlot?
        var effective: Instant
        var effectiveEnd: Instant
    }

    struct Bundle { var number: Int }

    private(set) var entries: [Entry] = []
    private let access: FUTAccess

    private static func error(_ name: String, _ text: String, at expression: String? = nil) -> FUTError {
        FUTError("MEASUREMENT_SUBMITMEASUREMENT_\(name)", text, expression: expression)
    }

    init(_ input: JSON, _ access: FUTAccess) throws(FUTError) {
        self.access = access
        try checkToken()
        let resources = try Self.resources(input)
        let patient = try commonPatient(resources)
        let episode = try commonEpisode(resources)
        try checkContext(patient, episode)
        for (index, resource) in resources.enumerated() {
            entries.append(try entry(resource, at: "Bundle.entry[\(index)].resource", patient, episode))
        }
    }

    // MARK: The token

    private func checkToken() throws(FUTError) {
        try access.need("$submit-measurement", for: "Observation")
        let type = access.citizen.userType
        guard ["PATIENT", "PRACTITIONER", "RELATED_PERSON", "SYSTEM"].contains(type) else {
            throw FUTError("SECURITY_OPERATION_NOT_ALLOWED_FOR_USER_TYPE", "Operation not allowed for user type: \(type)")
        }
        guard !access.context.isEmpty else {
            throw FUTError("SECURITY_TOKEN_CONTEXT_MISSING", "Security token context missing for user type: \(type)")
        }
        guard let url = access.context.episode else {
            throw FUTError(
                "SECURITY_TOKEN_CONTEXT_MISSING_CONTEXT", "Security token context missing for context type: episode_of_care")
        }
        // It was active when the token was made.
        guard let id = FUTAccess.id(url, of: "EpisodeOfCare", at: access.endpoints.carePlan),
            access.setting.world.episode(id)?.status == "active"
        else { throw FUTError("SECURITY_TOKEN_CONTEXT_NOT_ALLOWED", "Security token context not allowed: \(url)") }
    }

    private func checkContext(_ patient: String, _ episode: FUTEpisode) throws(FUTError) {
        let url = access.url(ofEpisode: episode.id)
        guard access.context.episode == url,
            access.context.patient == nil || access.context.patient == access.url(ofPatient: patient)
        else {
            throw FUTError("SECURITY_RESOURCE_NOT_MATCHING_TOKEN_CONTEXT", "Resource not matching security token context: \(url)")
        }
        if access.citizen.userType == "PATIENT", patient != access.citizen.patient {
            throw FUTError("SECURITY_USER_NOT_ALLOWED", "Resource not allowed for user: \(access.patient)")
        }
    }

    // MARK: The bundle

    private static let measurements: Set<String> = ["Observation", "Media", "QuestionnaireResponse"]

    private static func resources(_ input: JSON) throws(FUTError) -> [JSON] {
        guard input["resourceType"]?.string == "Parameters",
            let bundle = input["parameter"]?.array?.first(where: { $0["name"]?.string == "measurement" })?["resource"],
            bundle["resourceType"]?.string == "Bundle"
        else { throw FUTError.validation("Parameters with a Bundle as measurement belong here") }
        guard bundle["type"]?.string == "transaction" else {
            throw FUTError.validation("the Bundle is of type transaction", at: "Bundle.type")
        }
        let entries = bundle["entry"]?.array ?? []
        guard !entries.isEmpty else { throw error("EMPTY_INPUT_BUNDLE", "The input bundle does not contain any resources.") }
        var resources: [JSON] = []
        for (index, entry) in entries.enumerated() {
            guard let resource = entry["resource"], let type = resource["resourceType"]?.string else {
                throw FUTError.validation("an entry without resource", at: "Bundle.entry[\(index)]")
            }
            guard measurements.contains(type) || type == "Provenance" else {
                throw error(
                    "INPUT_BUNDLE_CONTAINS_INVALID_RESOURCES",
                    "The input bundle contains resources which are not of type EHealthObservation, EHealthMedia, "
                        + "EHealthQuestionnaireResponse or EHealthProvenance.", at: "Bundle.entry[\(index)]")
            }
            guard entry["fullUrl"]?.string?.hasPrefix("urn:uuid:") ?? false, entry["request"]?["method"]?.string == "POST",
                entry["request"]?["url"]?.string == type
            else {
                throw FUTError.validation("an entry has a urn:uuid as fullUrl and POST of its type", at: "Bundle.entry[\(index)]")
            }
            resources.append(resource)
        }
        guard resources.contains(where: { measurements.contains($0["resourceType"]?.string ?? "") }) else {
            throw error(
                "INPUT_BUNDLE_CONTAINS_NONE_OF_EXPECTED_RESOURCES",
                "The input bundle does not contain any resources of type EHealthObservation, EHealthMedia, EHealthQuestionnaireResponse."
            )
        }
        for resource in resources where resource["resourceType"]?.string == "Provenance" {
            let policies = resource["policy"]?.array?.compactMap(\.string) ?? []
            guard policies.contains("http://ehealth.sundhed.dk/policy/ehealth/reuse-by-patient") else {
                throw error(
                    "INPUT_PROVENANCE_INVALID_POLICY",
                    "Submitted provenances should use the policy 'Reuse of measurement chosen by citizen'")
            }
            // No request here allows it (`ehealth-reuseCriteria`).
            throw error("REUSE_NOT_ALLOWED", "Reuse of resource is not allowed.")
        }
        return resources
    }

    private func commonPatient(_ resources: [JSON]) throws(FUTError) -> String {
        var patients: Set<String> = []
        for resource in resources {
            guard let id = FUTAccess.id(resource["subject"]?["reference"]?.string, of: "Patient", at: access.endpoints.patient)
            else {
                throw Self.error(
                    "INPUT_SHOULD_REFERENCE_PATIENT",
                    "Input resources of type EHealthObservation, EHealthMedia and EHealthQuestionnaireResponse should reference a patient."
                )
            }
            patients.insert(id)
        }
        guard let patient = patients.first, patients.count == 1 else {
            throw Self.error("INPUT_FOR_DIFFERENT_PATIENTS", "The resources provided are for different patients.")
        }
        return patient
    }

    private func commonEpisode(_ resources: [JSON]) throws(FUTError) -> FUTEpisode {
        var ids: Set<String> = []
        var patients: Set<String> = []
        for resource in resources {
            let reference = FUT.extensions(resource, FUT.episodeExtension).first?["valueReference"]?["reference"]?.string
            guard let id = FUTAccess.id(reference, of: "EpisodeOfCare", at: access.endpoints.carePlan) else {
                throw Self.error(
                    "INPUT_SHOULD_REFERENCE_EPISODEOFCARE",
                    "Input resources of type EHealthObservation, EHealthMedia and EHealthQuestionnaireResponse should reference an "
                        + "episode of care.")
            }
            ids.insert(id)
            if let patient = FUTAccess.id(resource["subject"]?["reference"]?.string, of: "Patient", at: access.endpoints.patient)
            {
                patients.insert(patient)
            }
        }
        guard let id = ids.first, ids.count == 1 else {
            throw Self.error(
                "INPUT_NOT_PART_OF_SAME_EPISODEOFCARE", "The resources provided are not all part of the same episode of care.")
        }
        guard let episode = access.setting.world.episode(id) else { throw FUTError.notFound("EpisodeOfCare", id) }
        guard patients.allSatisfy({ access.setting.world.citizen(ofEpisode: id)?.patient == $0 }) else {
            throw Self.error(
                "DIFFERENT_PATIENT_REFERENCE",
                "The patient referenced by the EpisodeOfCare is different than the patient referenced by the provided resources")
        }
        return episode
    }

    // MARK: One resource

    private func entry(_ resource: JSON, at path: String, _ patient: String, _ episode: FUTEpisode) throws(FUTError) -> Entry {
        let type = resource["resourceType"]?.string ?? ""
        let expected = type == "Observation" ? "final" : "completed"
        guard resource["status"]?.string == expected else {
            throw Self.error(
                "INVALID_STATUS",
                "Measurement status \(resource["status"]?.string ?? "null") is invalid. Status must be \(expected) for measurement of type "
                    + type, at: "\(path).status")
        }
        // No episode here has a coexistence tag.
        if let tags = resource["meta"]?["tag"]?.array, tags.contains(where: { $0["system"]?.string == FUT.systemTag }) {
            throw FUTError(
                "SYSTEM_TAG_UNEXPECTED_TAG", "Resource contains system tag(s), which do not match related resource.",
                expression: "\(path).meta.tag")
        }
        let timing = try FUTResolvedTiming(resource, at: path)
        let deviceQualities = FUT.extensions(resource, FUT.qualityExtension).count { quality in
            FUT.extensions(quality, "qualityType").first?["valueCodeableConcept"]?["coding"]?.array?.contains {
                $0["code"]?.string == "DMQ"
            } ?? false
        }
        guard deviceQualities <= 1 else {
            throw Self.error(
                "MORE_THAN_ONE_DEVICE_QUALITY", "Only one device quality allowed for each observation/media", at: path)
        }
        if type == "Observation" { try FUTObservationProfile(access: access).check(resource, at: path) }
        let request = try request(resource, at: path, episode)
        if type == "Observation" {
            let codings = resource["code"]?["coding"]?.array ?? []
            let system = FUT.system(of: request.code)
            guard codings.contains(where: { $0["code"]?.string == request.code && $0["system"]?.string == system }) else {
                throw Self.error(
                    "INVALID_OBSERVATION_CODE",
                    "Observation.code does not match the code of the referenced ServiceRequest with id \(request.id).",
                    at: "\(path).code")
            }
        }
        guard (1...request.version).contains(timing.version) else {
            throw FUTError.notFound("ServiceRequest", "\(request.id)/_history/\(timing.version)")
        }
        if timing.type == "Extra", access.setting.settings.enforcesExtra, !request.includesExtra {
            throw FUTResolvedTiming.invalid(at: path)
        }
        let effective = try FUTObservationProfile.effective(resource, type, at: path)
        return Entry(
            type: type, resource: resource, patient: patient, episode: episode.id, request: request.id, version: timing.version,
            timing: timing.type, slot: timing.slot, effective: effective.start, effectiveEnd: effective.end)
    }

    private func request(_ resource: JSON, at path: String, _ episode: FUTEpisode) throws(FUTError) -> FUTRequest {
        let references = resource["basedOn"]?.array ?? []
        guard references.count == 1,
            let id = FUTAccess.id(references[0]["reference"]?.string, of: "ServiceRequest", at: access.endpoints.carePlan)
        else { throw FUTError.validation("basedOn is one absolute reference to a ServiceRequest", at: "\(path).basedOn") }
        guard let request = episode.requests.first(where: { $0.id == id }) else { throw FUTError.notFound("ServiceRequest", id) }
        guard request.status == "active", episode.carePlanStatus == "active" else {
            throw Self.error(
                "PROCEDURE_REQUEST_IS_NOT_ACTIVE", "Procedure request with id:[\(id)] is not active.", at: "\(path).basedOn")
        }
        return request
    }
}

/// The extension `ehealth-resolved-timing`.
struct FUTResolvedTiming {
    var type: String
    var version: Int
    var slot: FUTSlot?

    static func invalid(at path: String) -> FUTError {
        FUTError(
            "MEASUREMENT_SUBMITMEASUREMENT_INVALID_RESOLVED_TIMING",
            "ResolvedTiming must have either type=Resolved and start/end or type=Unresolved/Adhoc/Extra and no start/end",
            expression: path)
    }

    init(_ resource: JSON, at path: String) throws(FUTError) {
        let found = FUT.extensions(resource, FUT.timingExtension)
        guard found.count == 1 else { throw FUTError.validation("ehealth-resolved-timing stands once", at: "\(path).extension") }
        func part(_ name: String) throws(FUTError) -> JSON? {
            let parts = FUT.extensions(found[0], name)
            guard parts.count <= 1 else { throw FUTError.validation("\(name) stands at most once", at: "\(path).extension") }
            return parts.first
        }
        guard let version = try part("serviceRequestVersionId")?["valueId"]?.string, let number = Int(version) else {
            throw FUTError.validation("serviceRequestVersionId is missing", at: "\(path).extension")
        }
        let coding = try part("type")?["valueCodeableConcept"]?["coding"]?[0]
        guard let type = coding?["code"]?.string, coding?["system"]?.string == FUT.timingSystem,
            ["Resolved", "Adhoc", "Unresolved", "Extra"].contains(type)
        else { throw FUTError.validation("the type is not of the value set resolved-timing-type", at: "\(path).extension") }
        let (start, end) = (try part("start"), try part("end"))
        if type == "Resolved" {
            guard let start = FUTTime.instant(start?["valueDateTime"]?.string),
                let end = FUTTime.instant(end?["valueDateTime"]?.string), start <= end
            else { throw Self.invalid(at: path) }
            slot = FUTSlot(start: start, end: end)
        } else {
            guard start == nil, end == nil else { throw Self.invalid(at: path) }
        }
        self.type = type
        self.version = number
    }
}

/// What the profile `ehealth-observation` demands beyond what the operation names, and the general rules of `guidance.md`.
struct FUTObservationProfile {
    var access: FUTAccess

    func check(_ resource: JSON, at path: String) throws(FUTError) {
        func fail(_ what: String, _ element: String) -> FUTError { .validation(what, at: "\(path).\(element)") }
        guard resource["resourceType"]?.string == "Observation" else { throw fail("an Observation belongs here", "resourceType") }
        guard FUT.extensions(resource, FUT.episodeExtension).count == 1 else {
            throw fail("workflow-episodeOfCare stands once", "extension")
        }
        _ = try FUTResolvedTiming(resource, at: path)
        guard resource["basedOn"]?.array?.count == 1 else { throw fail("basedOn is one reference", "basedOn") }
        try checkCode(resource["code"], at: "\(path).code")
        _ = try Self.effective(resource, "Observation", at: path)
        let performers = resource["performer"]?.array ?? []
        guard performers.count == 1, performers[0]["reference"]?.string?.contains("://") ?? false else {
            throw fail("performer is exactly one absolute reference", "performer")
        }
        try checkValue(resource, at: path)
        let components = resource["component"]?.array ?? []
        for (index, component) in components.enumerated() {
            let place = "\(path).component[\(index)]"
            try checkCode(component["code"], at: "\(place).code")
            try checkValue(component, at: place)
        }
        let code = resource["code"]?["coding"]?[0]?["code"]?.string
        if code == FUT.panel {
            guard resource["valueQuantity"] == nil,
                components.compactMap({ $0["code"]?["coding"]?[0]?["code"]?.string }).sorted() == FUT.panelComponents
            else { throw fail("ZZ3170 has the components DNK05472 and DNK05473", "component") }
        }
        // A value is 0..1: the published example of $validate has neither a value nor a reason, and passes.
        if let reason = resource["dataAbsentReason"] {
            guard let code = reason["coding"]?[0]?["code"]?.string, ["asked-declined", "error"].contains(code) else {
                throw fail("not of the value set data-absent-reason", "dataAbsentReason")
            }
        }
        try checkQualities(resource, at: path)
        if let device = resource["device"]?["reference"]?.string {
            let id = FUTAccess.id(device, of: "Device", at: access.endpoints.device)
            guard let id, access.setting.world.citizens.contains(where: { $0.devices.contains { $0.id == id } }) else {
                throw FUTError.notFound("Device", device)
            }
        }
    }

    /// One binding of the code is enough; every coding has system and code.
    private func checkCode(_ concept: JSON?, at path: String) throws(FUTError) {
        let codings = concept?["coding"]?.array ?? []
        guard !codings.isEmpty, codings.allSatisfy({ $0["system"]?.string != nil && $0["code"]?.string != nil }) else {
            throw FUTError.validation("every coding has system and code", at: path)
        }
        guard
            codings.contains(where: { FUT.isObservationCode($0["code"]?.string ?? "", system: $0["system"]?.string ?? "") })
        else { throw FUTError.validation("not of the value set observation-codes", at: path) }
    }

    private func checkValue(_ holder: JSON, at path: String) throws(FUTError) {
        for member in holder.object ?? [] where member.key.hasPrefix("value") {
            guard ["valueQuantity", "valueCodeableConcept"].contains(member.key) else {
                throw FUTError.validation("a value is a Quantity or a CodeableConcept", at: "\(path).\(member.key)")
            }
        }
        guard let quantity = holder["valueQuantity"] else { return }
        let place = "\(path).valueQuantity"
        guard quantity["value"]?.number != nil, quantity["unit"]?.string != nil, let system = quantity["system"]?.string,
            let unit = quantity["code"]?.string
        else { throw FUTError.validation("a Quantity has value, unit, system and code", at: place) }
        guard let code = holder["code"]?["coding"]?[0]?["code"]?.string, let expected = FUT.units[code] else { return }
        let isOwnUnit = expected.hasSuffix("sec")
        guard unit == expected,
            system == (isOwnUnit ? "http://ehealth.sundhed.dk/cs/ehealth-unit-code" : "http://unitsofmeasure.org")
        else { throw FUTError.validation("the unit of \(code) is \(expected)", at: place) }
    }

    private static let qualitySystems = [
        "UQ": "http://ehealth.sundhed.dk/cs/usage-quality", "SQ": "http://ehealth.sundhed.dk/cs/situation-quality",
        "DMQ": "http://ehealth.sundhed.dk/cs/device-measuring-quality",
    ]

    private func checkQualities(_ resource: JSON, at path: String) throws(FUTError) {
        for quality in FUT.extensions(resource, FUT.qualityExtension) {
            func coding(_ name: String) -> JSON? {
                let parts = FUT.extensions(quality, name)
                return parts.count == 1 ? parts[0]["valueCodeableConcept"]?["coding"]?[0] : nil
            }
            guard let type = coding("qualityType"), type["system"]?.string == "http://ehealth.sundhed.dk/cs/quality-types",
                let system = Self.qualitySystems[type["code"]?.string ?? ""], let code = coding("qualityCode"),
                code["system"]?.string == system, code["code"]?.string != nil
            else {
                throw FUTError.validation("a quality has qualityType and a qualityCode of its system", at: "\(path).extension")
            }
        }
    }

    /// When it was measured: `effective[x]`, for Media `created[x]`, for a QuestionnaireResponse `authored`.
    static func effective(_ resource: JSON, _ type: String, at path: String) throws(FUTError) -> (start: Instant, end: Instant) {
        let (dateTime, period) =
            switch type {
            case "Media": (resource["createdDateTime"], resource["createdPeriod"])
            case "QuestionnaireResponse": (resource["authored"], nil)
            default: (resource["effectiveDateTime"], resource["effectivePeriod"])
            }
        if let text = dateTime?.string, period == nil, text.utf8.count > 10, let range = FUTTime.range(text) {
            return (range.first, range.first)
        }
        if let period, dateTime == nil, let start = FUTTime.instant(period["start"]?.string),
            let end = FUTTime.instant(period["end"]?.string), start <= end
        {
            return (start, end)
        }
        throw FUTError.validation("one effective time with time and zone is mandatory", at: "\(path).effective[x]")
    }
}
