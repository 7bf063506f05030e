public import ExactJSON
import Vitals

/// How a plan is kept on the hub (sealed by the journal): every fact that the decisions need, none of the resources.
extension FUTPlan {
    public var json: JSON {
        .members([
            "version": 1, "patient": .string(patient), "fetched": .string(fetched.description), "window": window.json,
            "requests": .array(requests.map(\.json)), "items": .array(items.map(\.json)),
            "unreadable": unreadable.isEmpty ? nil : .array(unreadable.map { .string($0) }),
        ])
    }

    /// `nil` where it is not what ``json`` wrote.
    public init?(json: JSON) {
        guard json["version"]?.integer == 1, let patient = json["patient"]?.string,
            let fetched = json["fetched"]?.string.flatMap({ Instant(iso8601: $0) }),
            let window = json["window"].map(Period.init(kept:)),
            let requests = json["requests"]?.array, let items = json["items"]?.array
        else { return nil }
        let readRequests = requests.compactMap(Request.init(kept:))
        let readItems = items.compactMap(Item.init(kept:))
        guard readRequests.count == requests.count, readItems.count == items.count else { return nil }
        self.init(
            patient: patient, fetched: fetched, window: window, requests: readRequests, items: readItems,
            unreadable: (json["unreadable"]?.array ?? []).compactMap(\.string))
    }
}

extension FUTPlan.Period {
    var json: JSON {
        .members(["from": from.map { .string($0.description) }, "until": until.map { .string($0.description) }])
    }

    init(kept json: JSON) {
        self.init(
            from: json["from"]?.string.flatMap { Instant(iso8601: $0) },
            until: json["until"]?.string.flatMap { Instant(iso8601: $0) })
    }
}

extension FUTPlan.Request {
    public var json: JSON {
        .members([
            "reference": .string(reference), "version": .string(version),
            "validFrom": validFrom.map { .string($0.description) }, "codings": .array(codings.map(\.json)),
            "episode": .string(episode), "carePlan": carePlan.map { .string($0) }, "extra": .bool(includesExtra),
            "active": .bool(isActive), "bounds": bounds?.json,
            "activePeriods": activePeriods.isEmpty ? nil : .array(activePeriods.map(\.json)),
            "companions": companions.isEmpty ? nil : .array(companions.map(\.json)),
        ])
    }

    init?(kept json: JSON) {
        guard let reference = json["reference"]?.string, let version = json["version"]?.string,
            let episode = json["episode"]?.string, let extra = json["extra"]?.bool, let active = json["active"]?.bool
        else { return nil }
        self.init(
            reference: reference, version: version, validFrom: json["validFrom"]?.string.flatMap { Instant(iso8601: $0) },
            codings: (json["codings"]?.array ?? []).compactMap(FUTCoding.init), episode: episode,
            carePlan: json["carePlan"]?.string, includesExtra: extra, isActive: active,
            bounds: json["bounds"].map(FUTPlan.Period.init(kept:)),
            activePeriods: (json["activePeriods"]?.array ?? []).map(FUTPlan.Period.init(kept:)),
            companions: (json["companions"]?.array ?? []).compactMap(FUTCoding.init))
    }
}

extension FUTPlan.Item {
    public var json: JSON {
        .members([
            "carePlan": .string(carePlan), "request": .string(request), "version": .string(version),
            "activity": activity.map { .string($0) }, "start": start.map { .string($0.text) },
            "end": end.map { .string($0.text) },
            "submitted": totalSubmitted.map { .integer($0) }, "timely": submittedTimely.map { .integer($0) },
            "requested": occurrencesRequested.map { .integer($0) }, "invalidated": totalInvalidated.map { .integer($0) },
            "timing": .string(timing.rawValue),
        ])
    }

    init?(kept json: JSON) {
        guard let carePlan = json["carePlan"]?.string, let request = json["request"]?.string,
            let version = json["version"]?.string,
            let timing = json["timing"]?.string.flatMap({ FUTPlan.Timing(rawValue: $0) })
        else { return nil }
        self.init(
            carePlan: carePlan, request: request, version: version, activity: json["activity"]?.string,
            start: json["start"]?.string.flatMap { FUTMoment($0) }, end: json["end"]?.string.flatMap { FUTMoment($0) },
            totalSubmitted: json["submitted"]?.integer, submittedTimely: json["timely"]?.integer,
            occurrencesRequested: json["requested"]?.integer, totalInvalidated: json["invalidated"]?.integer, timing: timing)
    }
}
