public import ExactJSON
public import Vitals

/// What a municipality ordered, from VKP's care plans (profile vkp-CarePlan-v090: `activity.detail` describes it).
public struct VKPCarePlan: Hashable, Sendable {
    public struct Activity: Hashable, Sendable {
        public var description: String?
        /// `system|code` of what is to be done.
        public var codes: [String]
        public var status: String?
        /// R4 Timing or Period, as sent; its times of day are of the patient's zone.
        public var scheduled: JSON?
    }

    /// The plan's own identifier, a UUID in VKP, else its resource id.
    public var id: String
    public var isActive: Bool
    /// Code of vkp-careplan-category: 1 treatment, 2 self-treatment, 3 visits, 0 other.
    public var category: String?
    public var start: Instant?
    public var end: Instant?
    public var activities: [Activity]

    /// The plans of a searchset; `nil` where it is none.
    public static func plans(in answer: JSON) -> [VKPCarePlan]? {
        guard answer["resourceType"]?.string == "Bundle" else { return nil }
        return (answer["entry"]?.array ?? []).compactMap { $0["resource"].flatMap(VKPCarePlan.init) }
    }

    init?(_ json: JSON) {
        guard json["resourceType"]?.string == "CarePlan",
            let id = json["identifier"]?[0]?["value"]?.string ?? json["id"]?.string
        else { return nil }
        self.id = id
        isActive = json["status"]?.string == "active"
        category = json["category"]?[0]?["coding"]?[0]?["code"]?.string
        start = json["period"]?["start"]?.string.flatMap { Instant(iso8601: $0) }
        end = json["period"]?["end"]?.string.flatMap { Instant(iso8601: $0) }
        activities = (json["activity"]?.array ?? []).compactMap { activity in
            guard let detail = activity["detail"] else { return nil }
            return Activity(
                description: detail["description"]?.string,
                codes: (detail["code"]?["coding"]?.array ?? []).compactMap { coding in
                    coding["code"]?.string.map { "\(coding["system"]?.string ?? "")|\($0)" }
                },
                status: detail["status"]?.string, scheduled: detail["scheduledTiming"] ?? detail["scheduledPeriod"])
        }
    }
}
