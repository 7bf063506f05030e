import ExactJSON
import Vitals

/// The careplan service: who is to measure what, when.
struct FUTCarePlans {
    var access: FUTAccess
    /// What was submitted, for the counts.
    var measured: [FUTMeasurements.Stored]

    func answer(_ call: FUTCall) throws(FUTError) -> FUTAnswer {
        switch (call.method, call.steps.count) {
        case ("POST", 3) where call.steps[2] == "$get-patient-procedures":
            return FUTAnswer(status: 200, body: .fhir(try procedures(try access.needBody(call))))
        case ("GET", 4): return try read(call.steps[2], call.steps[3])
        case ("GET", 3): return try search(call)
        default: throw FUTError("GENERAL_VALIDATION_ERROR", "Validation error: not offered here.", status: 405)
        }
    }

    // MARK: Resources

    private func read(_ type: String, _ id: String) throws(FUTError) -> FUTAnswer {
        try access.need("\(type).read", for: type)
        guard let found = resources(type).first(where: { $0.resource["id"]?.string == id }) else {
            throw FUTError.notFound(type, id)
        }
        let version = found.resource["meta"]?["versionId"]?.string ?? "1"
        return FUTAnswer(status: 200, headers: [("etag", "W/\"\(version)\"")], body: .fhir(found.resource))
    }

    private func search(_ call: FUTCall) throws(FUTError) -> FUTAnswer {
        let type = call.steps[2]
        try access.need("\(type).search", for: type)
        let search = try FUTSearch(call.query, known: ["_id", "patient", "subject", "status", "episodeOfCare"])
        try access.needOwn(search["patient"] ?? search["subject"])
        let matches = resources(type).filter { match in
            search.holds("_id") { $0 == match.resource["id"]?.string }
                && search.holds("status") { $0 == match.resource["status"]?.string }
                && search.holds("episodeOfCare") { wanted in
                    let episode = FUT.extensions(match.resource, FUT.episodeExtension).first?["valueReference"]?["reference"]?
                        .string
                    return episode.map { FUTAccess.matches(wanted, $0) } ?? false
                }
        }
        return search.page(matches, call, at: access.endpoints.carePlan, access.setting)
    }

    private func resources(_ type: String) -> [(url: String, resource: JSON)] {
        let episodes = access.citizen.episodes
        switch type {
        case "EpisodeOfCare": return episodes.map { (access.url(ofEpisode: $0.id), episode($0)) }
        case "CarePlan": return episodes.map { (access.url(ofPlan: $0.carePlan), carePlan($0)) }
        case "ServiceRequest":
            return episodes.flatMap { episode in
                episode.requests.map { (access.url(ofRequest: $0.id), request($0, of: episode)) }
            }
        default: return []
        }
    }

    private func episode(_ episode: FUTEpisode) -> JSON {
        let organization = "\(access.endpoints.organization)/Organization/\(episode.organization)"
        return [
            "resourceType": "EpisodeOfCare", "id": .string(episode.id),
            "meta": FUT.meta(1, episode.started, "ehealth-episodeofcare"),
            "extension": [
                [
                    "url": .string("\(FUT.profiles)/ehealth-episodeofcare-caremanagerOrganization"),
                    "valueReference": FUT.reference(organization),
                ]
            ],
            "status": .string(episode.status),
            "patient": FUT.reference(access.patient), "managingOrganization": FUT.reference(organization),
            "period": ["start": .string(FUTTime.text(episode.started))],
            "team": [FUT.reference("\(access.endpoints.organization)/CareTeam/\(episode.careTeam)")],
        ]
    }

    private func carePlan(_ episode: FUTEpisode) -> JSON {
        [
            "resourceType": "CarePlan", "id": .string(episode.carePlan),
            "meta": FUT.meta(1, episode.started, "ehealth-careplan"),
            "extension": [
                FUT.episodeReference(access.url(ofEpisode: episode.id)),
                FUT.statusHistory("ehealth-careplan", episode.carePlanStatus, since: episode.started),
            ],
            "instantiatesCanonical": [.string("\(access.endpoints.plan)/PlanDefinition/\(episode.carePlan)")],
            "status": .string(episode.carePlanStatus), "intent": "option",
            "subject": FUT.reference(access.patient), "period": ["start": .string(FUTTime.text(episode.started))],
            "activity": .array(episode.requests.map { ["reference": FUT.reference(access.url(ofRequest: $0.id))] }),
        ]
    }

    private func request(_ request: FUTRequest, of episode: FUTEpisode) -> JSON {
        var resource: JSON = [
            "resourceType": "ServiceRequest", "id": .string(request.id),
            "meta": FUT.meta(request.version, request.changed, "ehealth-servicerequest"),
            "extension": [
                FUT.episodeReference(access.url(ofEpisode: episode.id)),
                [
                    "url": .string("\(FUT.profiles)/ehealth-sharingPolicy"),
                    "valueCodeableConcept": FUT.coded("http://ehealth.sundhed.dk/cs/measurement-sharing-policies", "noSharing"),
                ],
                FUT.statusHistory("ehealth-servicerequest", request.status, since: request.changed),
                [
                    "url": .string("\(FUT.profiles)/ehealth-include-as-extra"), "valueBoolean": .bool(request.includesExtra),
                ],
            ],
            "instantiatesCanonical": [.string("\(access.endpoints.plan)/ActivityDefinition/\(request.id)")],
            "status": .string(request.status), "intent": "filler-order",
            "code": FUT.coded(FUT.system(of: request.code), request.code).setting("text", to: .string(request.activity)),
            "subject": FUT.reference(access.patient),
        ]
        let bounds: JSON = ["start": .string(FUTTime.text(episode.started))]
        switch request.timing {
        case .adhoc: resource = resource.setting("occurrenceTiming", to: ["repeat": ["boundsPeriod": bounds]])
        case .unresolved:
            resource = resource.setting(
                "occurrenceTiming",
                to: ["repeat": ["boundsPeriod": bounds, "frequency": 1, "period": 1, "periodUnit": "d", "when": ["AC"]]])
        case .daily(_, let minutes, let occurrences):
            resource = resource.setting(
                "occurrenceTiming",
                to: [
                    "repeat": [
                        "boundsPeriod": bounds, "duration": .integer(minutes), "durationUnit": "min",
                        "frequency": .integer(occurrences), "period": 1, "periodUnit": "d",
                    ]
                ])
        case .slots(let slots):
            guard let first = slots.map(\.start).min(), let last = slots.map(\.end).max() else { break }
            resource =
                first == last
                ? resource.setting("occurrenceDateTime", to: .string(FUTTime.text(first)))
                : resource.setting(
                    "occurrencePeriod", to: ["start": .string(FUTTime.text(first)), "end": .string(FUTTime.text(last))])
        }
        return resource
    }

    // MARK: $get-patient-procedures

    /// OperationDefinition `-s-get-patient-procedures` of guide 8.0.0; the form is that of its example.
    private func procedures(_ input: JSON) throws(FUTError) -> JSON {
        try access.need("$get-patient-procedures", for: "CarePlan")
        let parameters = input["parameter"]?.array ?? []
        func values(_ name: String) -> [JSON] { parameters.filter { $0["name"]?.string == name } }
        guard let patient = values("patient").first?["valueReference"]?["reference"]?.string,
            let start = FUTTime.instant(values("start").first?["valueDateTime"]?.string),
            let end = FUTTime.instant(values("end").first?["valueDateTime"]?.string), start <= end
        else { throw FUTError.validation("patient, start and end are mandatory") }
        guard patient == access.patient else {
            throw FUTError(
                "SECURITY_RESOURCE_NOT_MATCHING_TOKEN_CONTEXT", "Resource not matching security token context: \(patient)")
        }
        let episodes = values("episodeOfCare").compactMap { $0["valueReference"]?["reference"]?.string }
        let extra = values("extra").first?["valueBoolean"]?.bool ?? false

        var plans: [JSON] = []
        var requests: [JSON] = []
        var rows: [JSON] = []
        var warnings: [String] = []
        for episode in access.citizen.episodes where episode.status == "active" && episode.carePlanStatus == "active" {
            guard episodes.isEmpty || episodes.contains(access.url(ofEpisode: episode.id)) else { continue }
            plans.append(["fullUrl": .string("CarePlan/\(episode.carePlan)"), "resource": carePlan(episode)])
            for request in episode.requests where request.status == "active" {
                let own = self.rows(request, episode, from: start, to: end, extra: extra, warnings: &warnings)
                guard !own.isEmpty else { continue }
                requests.append([
                    "fullUrl": .string("ServiceRequest/\(request.id)"), "resource": self.request(request, of: episode),
                ])
                rows += own
            }
        }
        let numbered = rows.enumerated().map { index, part -> JSON in ["name": .string("item_\(index + 1)"), "part": part] }
        var entries = plans + requests
        entries.append([
            "resource": .members([
                "resourceType": "Parameters", "id": .string(randomName(12)),
                "parameter": numbered.isEmpty ? JSON?.none : .array(numbered),
            ])
        ])
        if !warnings.isEmpty {
            let issues = warnings.map { text -> JSON in
                ["severity": "warning", "code": "informational", "diagnostics": .string(text)]
            }
            entries.append(["resource": FUTNarrative.outcome(issues, id: randomName(12))])
        }
        return ["resourceType": "Bundle", "type": "collection", "entry": .array(entries)]
    }

    /// The rows of one request, each a list of `part`.
    private func rows(
        _ request: FUTRequest, _ episode: FUTEpisode, from start: Instant, to end: Instant, extra: Bool, warnings: inout [String]
    ) -> [JSON] {
        var left = measured.filter { $0.request == request.id && $0.effective >= start && $0.effective <= end }
        func take(_ belongs: (FUTMeasurements.Stored) -> Bool) -> [FUTMeasurements.Stored] {
            let taken = left.filter(belongs)
            left.removeAll(where: belongs)
            return taken
        }
        func row(
            _ type: String, version: Int, _ slot: FUTSlot?, _ stored: [FUTMeasurements.Stored], requested: Int?
        ) -> JSON {
            let valid = stored.filter { !$0.isInvalidated }
            let timely = slot.map { slot in valid.count { $0.effective >= slot.start && $0.effective <= slot.end } } ?? 0
            let invalidated = stored.count - valid.count
            func time(_ name: String, _ instant: Instant?) -> JSON {
                .members(["name": .string(name), "valueDateTime": instant.map { .string(FUTTime.text($0)) }])
            }
            func number(_ name: String, _ value: Int?) -> JSON? {
                value.map { ["name": .string(name), "valueInteger": .integer($0)] }
            }
            let parts: [JSON?] = [
                ["name": "CarePlan", "valueReference": FUT.reference(access.url(ofPlan: episode.carePlan))],
                ["name": "ServiceRequest", "valueReference": FUT.reference(access.url(ofRequest: request.id))],
                ["name": "ServiceRequestVersionId", "valueId": .string(String(version))],
                ["name": "Activity", "valueString": .string(request.activity)],
                time("ResolvedTimingStart", slot?.start), time("ResolvedTimingEnd", slot?.end),
                number("TotalSubmitted", valid.isEmpty ? nil : valid.count),
                number("SubmittedTimely", timely == 0 ? nil : timely),
                ["name": "TimingType", "valueCodeableConcept": FUT.coded(FUT.timingSystem, type, display: type)],
                number("OccurrencesRequested", requested),
                number("TotalInvalidated", invalidated == 0 ? nil : invalidated),
            ]
            return .array(parts.compactMap { $0 })
        }

        var rows: [JSON] = []
        let extras = take { $0.timing == "Extra" }
        if extra, request.includesExtra { rows.append(row("Extra", version: request.version, nil, extras, requested: nil)) }
        switch request.timing {
        case .adhoc: rows.append(row("Adhoc", version: request.version, nil, take { $0.timing == "Adhoc" }, requested: nil))
        case .unresolved:
            rows.append(row("Unresolved", version: request.version, nil, take { $0.timing == "Unresolved" }, requested: nil))
        case .slots, .daily:
            for slot in request.timing.slots(from: start, to: end) {
                let own = take {
                    $0.timing == "Resolved" && $0.slot.map { $0.start == slot.start && $0.end == slot.end } ?? false
                }
                rows.append(row("Resolved", version: request.version, slot, own, requested: slot.occurrences))
            }
        }
        // What was submitted for a slot or a version that the plan does not have (any more).
        while let first = left.first {
            let own = take { $0.timing == first.timing && $0.requestVersion == first.requestVersion && $0.slot == first.slot }
            rows.append(row(first.timing, version: first.requestVersion, first.slot, own, requested: nil))
            warnings.append(
                "Measurement without expected ResolvedTiming match identified for ServiceRequest/\(request.id)/_history/\(first.requestVersion)"
            )
        }
        return rows
    }
}
