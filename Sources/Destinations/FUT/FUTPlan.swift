public import Vitals

/// What a patient's care plans ask for, as one answer to `$get-patient-procedures` said it.
///
/// Kept as it was fetched: a reading is judged by the version of a request that was valid when it was measured
/// (``FUTPlanHistory``). Source: guide 8.0.0, OperationDefinition `-s-get-patient-procedures`.
public struct FUTPlan: Hashable, Sendable {
    /// The kind of an item, and of a reading's resolved timing (CodeSystem `resolved-timing-type`).
    public enum Timing: String, Hashable, Sendable, CaseIterable {
        /// A slot with start and end.
        case resolved = "Resolved"
        /// A regime that the platform cannot resolve to slots.
        case unresolved = "Unresolved"
        /// No regime, or one that says "ad hoc".
        case adhoc = "Adhoc"
        /// May be done outside the slots.
        case extra = "Extra"
    }

    /// From and until, either of them open.
    public struct Period: Hashable, Sendable {
        public var from: Instant?
        public var until: Instant?

        public init(from: Instant?, until: Instant?) {
            self.from = from
            self.until = until
        }

        public func covers(_ instant: Instant) -> Bool {
            if let from, instant < from { return false }
            if let until, instant > until { return false }
            return true
        }
    }

    /// One version of a ServiceRequest.
    public struct Request: Hashable, Sendable {
        /// Absolute, without version.
        public var reference: String
        public var version: String
        /// The server's time of this version (`meta.lastUpdated`).
        public var validFrom: Instant?
        public var codings: [FUTCoding]
        /// Absolute.
        public var episode: String
        /// Absolute; `nil` where no plan in the answer names the request.
        public var carePlan: String?
        public var includesExtra: Bool
        public var isActive: Bool
        /// The bounds of its timing.
        public var bounds: Period?
        /// When it was active, by its status history; empty where it has none.
        public var activePeriods: [Period]
        /// The codes of its device group ("same device group", SDG), the nearest first: those that the plan lists before it and
        /// after its group's head, then those after it. Empty where it stands in no such group.
        public var companions: [FUTCoding]

        public init(
            reference: String, version: String, validFrom: Instant?, codings: [FUTCoding], episode: String, carePlan: String?,
            includesExtra: Bool, isActive: Bool = true, bounds: Period? = nil, activePeriods: [Period] = [],
            companions: [FUTCoding] = []
        ) {
            self.reference = reference
            self.version = version
            self.validFrom = validFrom
            self.codings = codings
            self.episode = episode
            self.carePlan = carePlan
            self.includesExtra = includesExtra
            self.isActive = isActive
            self.bounds = bounds
            self.activePeriods = activePeriods
            self.companions = companions
        }

        /// Whether something measured then can answer it.
        public func covers(_ instant: Instant) -> Bool {
            (bounds?.covers(instant) ?? true) && (activePeriods.isEmpty || activePeriods.contains { $0.covers(instant) })
        }
    }

    /// One item of the answer: a slot, or a request without slots, with the server's counts.
    public struct Item: Hashable, Sendable {
        public var carePlan: String
        public var request: String
        /// The current version for what is expected; that of the submission for what was submitted.
        public var version: String
        public var activity: String?
        public var start: FUTMoment?
        public var end: FUTMoment?
        public var totalSubmitted: Int?
        public var submittedTimely: Int?
        public var occurrencesRequested: Int?
        public var totalInvalidated: Int?
        public var timing: Timing

        public init(
            carePlan: String, request: String, version: String, activity: String? = nil, start: FUTMoment? = nil,
            end: FUTMoment? = nil, totalSubmitted: Int? = nil, submittedTimely: Int? = nil, occurrencesRequested: Int? = nil,
            totalInvalidated: Int? = nil, timing: Timing
        ) {
            self.carePlan = carePlan
            self.request = request
            self.version = version
            self.activity = activity
            self.start = start
            self.end = end
            self.totalSubmitted = totalSubmitted
            self.submittedTimely = submittedTimely
            self.occurrencesRequested = occurrencesRequested
            self.totalInvalidated = totalInvalidated
            self.timing = timing
        }

        /// What counts against the occurrences that are requested: a measurement that was invalidated leaves its place again.
        public var standing: Int { max(0, (totalSubmitted ?? 0) - (totalInvalidated ?? 0)) }
    }

    /// Absolute.
    public var patient: String
    public var fetched: Instant
    /// What was asked for: outside of it the answer says nothing.
    public var window: Period
    public var requests: [Request]
    public var items: [Item]
    /// Items of the answer that could not be read, by name.
    public var unreadable: [String]

    public init(
        patient: String, fetched: Instant, window: Period, requests: [Request], items: [Item], unreadable: [String] = []
    ) {
        self.patient = patient
        self.fetched = fetched
        self.window = window
        self.requests = requests
        self.items = items
        self.unreadable = unreadable
    }

    public func request(_ reference: String) -> Request? {
        let tail = FUTReference.tail(reference)
        return requests.first { FUTReference.tail($0.reference) == tail }
    }

    /// Whether it is a slot that waits for measurements: of the request's present version, with a number that is asked for. The
    /// answer also has items that only count what was submitted under an older version or another timing.
    func isPlanned(_ item: Item) -> Bool {
        item.timing == .resolved && item.start != nil && item.end != nil && item.occurrencesRequested != nil
            && request(item.request)?.version == item.version
    }
}

// MARK: What is due when

extension FUTPlan {
    /// A slot as people see it, on the page and for "not measured".
    public struct Due: Hashable, Sendable {
        public var request: String
        public var activity: String
        public var codings: [FUTCoding]
        public var start: Instant
        public var end: Instant
        public var requested: Int
        /// Known to the receiver when the plan was fetched.
        public var submitted: Int
        public var isFulfilled: Bool { submitted >= requested }
    }

    /// The slots that touch the period, by time. Requests without slots are never due.
    public func schedule(from: Instant, to: Instant) -> [Due] {
        items.compactMap { item -> Due? in
            guard isPlanned(item), let start = item.start?.instant, let end = item.end?.instant, start <= to, end >= from,
                let requested = item.occurrencesRequested
            else { return nil }
            return Due(
                request: item.request, activity: item.activity ?? "", codings: request(item.request)?.codings ?? [], start: start,
                end: end, requested: requested, submitted: item.standing)
        }.sorted { ($0.start, $0.end, $0.request) < ($1.start, $1.end, $1.request) }
    }
}
