public import ExactJSON
public import HTTPMessage
public import Vitals

/// The question `$get-patient-procedures` asks: what may be submitted for a patient in a period.
public struct FUTPlanQuery: Hashable, Sendable {
    /// Absolute.
    public var patient: String
    public var start: String
    public var end: String
    public var episodes: [String]
    public var tags: [FUTCoding]
    public var extra: Bool?

    public init(
        patient: String, start: String, end: String, episodes: [String] = [], tags: [FUTCoding] = [], extra: Bool? = true
    ) {
        self.patient = patient
        self.start = start
        self.end = end
        self.episodes = episodes
        self.tags = tags
        self.extra = extra
    }

    /// `nil` where it is no such Parameters resource.
    public init?(_ json: JSON) {
        guard json["resourceType"]?.string == "Parameters", let parameters = json["parameter"]?.array else { return nil }
        func all(_ name: String) -> [JSON] { parameters.filter { $0["name"]?.string == name } }
        guard let patient = all("patient").first?["valueReference"]?["reference"]?.string,
            let start = all("start").first?["valueDateTime"]?.string, let end = all("end").first?["valueDateTime"]?.string
        else { return nil }
        self.init(
            patient: patient, start: start, end: end,
            episodes: all("episodeOfCare").compactMap { $0["valueReference"]?["reference"]?.string },
            tags: all("_tag").compactMap { $0["valueCoding"].flatMap(FUTCoding.init) },
            extra: all("extra").first?["valueBoolean"]?.bool)
    }

    public var json: JSON {
        var parameters: [JSON] = [
            ["name": "patient", "valueReference": FUT.reference(patient)],
            ["name": "start", "valueDateTime": .string(start)], ["name": "end", "valueDateTime": .string(end)],
        ]
        parameters += episodes.map { ["name": "episodeOfCare", "valueReference": FUT.reference($0)] }
        parameters += tags.map { ["name": "_tag", "valueCoding": $0.json] }
        if let extra { parameters.append(["name": "extra", "valueBoolean": .bool(extra)]) }
        return ["resourceType": "Parameters", "parameter": .array(parameters)]
    }

    /// An operation that changes nothing may be asked again at any time.
    public func request(_ settings: FUTSettings) -> HTTPRequest {
        HTTPRequest(.post, settings.base(.careplan) + "/$get-patient-procedures", headers: FUT.postHeaders, body: json.bytes)
    }
}

extension FUTPlan {
    /// The answer is none to the question.
    public struct AnswerError: Error, Hashable, Sendable {
        public var expected: String
        init(_ expected: String) { self.expected = expected }
    }

    /// Reads the answer to a query.
    public init(answer: JSON, to query: FUTPlanQuery, fetched: Instant, settings: FUTSettings) throws(AnswerError) {
        guard answer["resourceType"]?.string == "Bundle" else { throw AnswerError("a Bundle") }
        let resources = (answer["entry"]?.array ?? []).compactMap { $0["resource"] }
        func all(_ type: String) -> [JSON] { resources.filter { $0["resourceType"]?.string == type } }
        var items: [Item] = []
        var unreadable: [String] = []
        for parameter in all("Parameters").flatMap({ $0["parameter"]?.array ?? [] }) {
            if let item = Item(parameter) {
                items.append(item)
            } else {
                unreadable.append(parameter["name"]?.string ?? "")
            }
        }
        var groups = PlanGroups(all("ServiceRequest"), settings: settings)
        for plan in all("CarePlan") { groups.read(plan, careplanBase: settings.base(.careplan)) }
        // How the platform itself writes the references, where it does.
        let written = Dictionary(
            items.map { (FUTReference.tail($0.request), $0.request) }, uniquingKeysWith: { first, _ in first })
        let plans = Dictionary(
            items.map { (FUTReference.tail($0.request), $0.carePlan) }, uniquingKeysWith: { first, _ in first })
        var requests: [Request] = []
        for resource in all("ServiceRequest") {
            guard let id = resource["id"]?.string, let version = resource["meta"]?["versionId"]?.string else { continue }
            let tail = "ServiceRequest/" + id
            let place = groups.places[tail]
            let extensions = resource["extension"]?.array ?? []
            func value(_ url: String) -> JSON? { extensions.first { $0["url"]?.string == url } }
            guard
                let episode = value(settings.canonicals.episodeOfCare)?["valueReference"]?["reference"]?.string ?? place?.episode
            else { continue }
            requests.append(
                Request(
                    reference: written[tail] ?? settings.base(.careplan) + "/" + tail, version: version,
                    validFrom: resource["meta"]?["lastUpdated"]?.string.flatMap { Instant(iso8601: $0) },
                    codings: (resource["code"]?["coding"]?.array ?? []).compactMap(FUTCoding.init), episode: episode,
                    carePlan: plans[tail] ?? place?.carePlan,
                    includesExtra: value(settings.canonicals.includeAsExtra)?["valueBoolean"]?.bool ?? false,
                    isActive: resource["status"]?.string == "active",
                    bounds: (resource["occurrenceTiming"]?["repeat"]?["boundsPeriod"]).flatMap(Period.init),
                    activePeriods: Self.activePeriods(extensions, settings), companions: place?.companions ?? []))
        }
        self.init(
            patient: query.patient, fetched: fetched,
            window: Period(from: Instant(iso8601: query.start), until: Instant(iso8601: query.end)), requests: requests,
            items: items, unreadable: unreadable)
    }

    private static func activePeriods(_ extensions: [JSON], _ settings: FUTSettings) -> [Period] {
        extensions.filter { $0["url"]?.string == settings.canonicals.statusHistory }.compactMap { history -> Period? in
            let parts = history["extension"]?.array ?? []
            let status = parts.first { $0["url"]?.string == "status" }?["valueCodeableConcept"]?["coding"]?[0]?["code"]?.string
            guard status == "active" else { return nil }
            return (parts.first { $0["url"]?.string == "period" }?["valuePeriod"]).flatMap(Period.init)
        }
    }
}

/// Which request belongs to which plan and device group.
///
/// A request does not point at its plan or its group. The plan lists its activities in the order in which they are done; a head of
/// code SDG ("same device group") stands before the members of its group, and the next head, SDG or HA, ends it. (Guide 8.0.0,
/// CodeSystem activitydefinition-code; the order as in the platform's official test data.)
private struct PlanGroups {
    struct Place {
        var carePlan: String
        var episode: String?
        var companions: [FUTCoding]
    }

    var places: [String: Place] = [:]
    private let codings: [String: [FUTCoding]]
    private let settings: FUTSettings

    init(_ requests: [JSON], settings: FUTSettings) {
        self.settings = settings
        codings = Dictionary(
            requests.compactMap { request in
                request["id"]?.string.map {
                    ("ServiceRequest/" + $0, (request["code"]?["coding"]?.array ?? []).compactMap(FUTCoding.init))
                }
            }, uniquingKeysWith: { first, _ in first })
    }

    mutating func read(_ plan: JSON, careplanBase: String) {
        guard let id = plan["id"]?.string else { return }
        let reference = careplanBase + "/CarePlan/" + id
        let episode = (plan["extension"]?.array ?? []).first { $0["url"]?.string == settings.canonicals.episodeOfCare }?[
            "valueReference"]?["reference"]?.string
        var group: [String] = []
        var isInGroup = false
        func close(_ members: [String], _ places: inout [String: Place]) {
            for (position, member) in members.enumerated() {
                let others = members[..<position].reversed() + members[(position + 1)...]
                places[member]?.companions = others.flatMap { codings[$0] ?? [] }
            }
        }
        for activity in plan["activity"]?.array ?? [] {
            guard let tail = (activity["reference"]?["reference"]?.string).flatMap(FUTReference.tail) else { continue }
            places[tail] = Place(carePlan: reference, episode: episode, companions: [])
            let own = codings[tail] ?? []
            func isHead(_ code: String) -> Bool { own.contains(FUTCoding(settings.canonicals.activityCodes, code)) }
            if isHead("SDG") || isHead("HA") {
                close(group, &places)
                group = []
                isInGroup = isHead("SDG")
            } else if isInGroup {
                group.append(tail)
            }
        }
        close(group, &places)
    }
}

extension FUTPlan.Period {
    init?(_ json: JSON) {
        let from = json["start"]?.string.flatMap { Instant(iso8601: $0) }
        let until = json["end"]?.string.flatMap { Instant(iso8601: $0) }
        guard from != nil || until != nil else { return nil }
        self.init(from: from, until: until)
    }
}

extension FUTPlan.Item {
    /// A parameter `item_N`; `nil` where what identifies it is missing, or a time that is there cannot be read.
    init?(_ parameter: JSON) {
        guard parameter["name"]?.string?.hasPrefix("item_") == true else { return nil }
        let parts = parameter["part"]?.array ?? []
        func part(_ name: String) -> JSON? { parts.first { $0["name"]?.string == name } }
        func moment(_ name: String) -> FUTMoment?? {
            guard let value = part(name)?["valueDateTime"] else { return .some(nil) }
            return value.string.flatMap { FUTMoment($0) }.map { .some($0) }
        }
        guard let carePlan = part("CarePlan")?["valueReference"]?["reference"]?.string,
            let request = part("ServiceRequest")?["valueReference"]?["reference"]?.string,
            let version = part("ServiceRequestVersionId")?["valueId"]?.string,
            let timing = part("TimingType")?["valueCodeableConcept"]?["coding"]?[0]?["code"]?.string.flatMap({
                FUTPlan.Timing(rawValue: $0)
            }), let start = moment("ResolvedTimingStart"), let end = moment("ResolvedTimingEnd")
        else { return nil }
        self.init(
            carePlan: carePlan, request: request, version: version, activity: part("Activity")?["valueString"]?.string,
            start: start, end: end, totalSubmitted: part("TotalSubmitted")?["valueInteger"]?.integer,
            submittedTimely: part("SubmittedTimely")?["valueInteger"]?.integer,
            occurrencesRequested: part("OccurrencesRequested")?["valueInteger"]?.integer,
            totalInvalidated: part("TotalInvalidated")?["valueInteger"]?.integer, timing: timing)
    }

    /// As the platform writes it, in the order of its columns.
    public func parameter(number: Int, settings: FUTSettings) -> JSON {
        func part(_ name: String, _ key: String, _ value: JSON?) -> JSON {
            value.map { .object([JSON.Member("name", .string(name)), JSON.Member(key, $0)]) } ?? ["name": .string(name)]
        }
        func count(_ name: String, _ value: Int?) -> [JSON] {
            value.map { [part(name, "valueInteger", .integer($0))] } ?? []
        }
        var parts = [
            part("CarePlan", "valueReference", FUT.reference(carePlan)),
            part("ServiceRequest", "valueReference", FUT.reference(request)),
            part("ServiceRequestVersionId", "valueId", .string(version)),
        ]
        if let activity { parts.append(part("Activity", "valueString", .string(activity))) }
        parts.append(part("ResolvedTimingStart", "valueDateTime", start.map { .string($0.text) }))
        parts.append(part("ResolvedTimingEnd", "valueDateTime", end.map { .string($0.text) }))
        parts += count("TotalSubmitted", totalSubmitted) + count("SubmittedTimely", submittedTimely)
        let coding: JSON = [
            "system": .string(settings.canonicals.resolvedTimingType), "code": .string(timing.rawValue),
            "display": .string(timing.rawValue),
        ]
        parts.append(part("TimingType", "valueCodeableConcept", ["coding": [coding]]))
        parts += count("OccurrencesRequested", occurrencesRequested) + count("TotalInvalidated", totalInvalidated)
        return ["name": .string("item_\(number)"), "part": .array(parts)]
    }
}
