public import ExactJSON
public import Vitals

/// When a plan is asked for, whose it must be, and what of the earlier ones it replaces.
extension FUTPlanQuery {
    /// Whole days in UTC: plans that were fetched on one day have one window, so that a later one can take an earlier one's place.
    public init(patient: String, from: Instant, to: Instant) {
        let day: Int64 = 86_400_000
        let first = Instant(milliseconds: from.milliseconds / day * day)
        let last = Instant(milliseconds: (to.milliseconds / day + 1) * day)
        self.init(patient: patient, start: first.iso8601(offsetMinutes: 0), end: last.iso8601(offsetMinutes: 0))
    }
}

extension FUTPlan {
    /// Whether an answer tells of somebody else than it was asked about (R4): such a plan is not to be used for anything.
    public static func isAnothers(_ answer: JSON, than patient: String) -> Bool {
        let own = FUTReference.tail(patient)
        return (answer["entry"]?.array ?? []).contains { entry in
            guard let subject = entry["resource"]?["subject"]?["reference"]?.string else { return false }
            return FUTReference.tail(subject) != own
        }
    }

    /// Whether everything that decides stands in the later plan too: the versions with their times, and the slots. (Counts are the
    /// later one's anyway.)
    public func isContained(in later: FUTPlan) -> Bool {
        guard patient == later.patient, window == later.window, fetched <= later.fetched, unreadable.isEmpty else { return false }
        let hasAllRequests = requests.allSatisfy { request in
            // Without a time of the server's own, the first look dates a version.
            request.validFrom != nil && later.requests.contains(request)
        }
        return hasAllRequests
            && items.allSatisfy { item in later.items.contains { $0.isSamePlace(as: item) } }
    }
}

extension FUTPlanHistory {
    /// Whether a plan says something by which a reading that nobody asked for may be asked for after all: a version or a state of a
    /// request that no plan showed before, or a place that an invalidated measurement left. What a plan does not show is no news: it
    /// may lie outside its window.
    public func isNews(_ plan: FUTPlan) -> Bool {
        let hasNewRequest = plan.requests.contains { request in
            let tail = FUTReference.tail(request.reference)
            let known = plans.lazy.reversed().compactMap { earlier in
                earlier.requests.first { FUTReference.tail($0.reference) == tail && $0.version == request.version }
            }.first
            return known.map { $0.isActive != request.isActive || $0.activePeriods != request.activePeriods } ?? true
        }
        if hasNewRequest { return true }
        guard let earlier = plans.last(where: { $0.window == plan.window }) else { return false }
        func invalidated(_ plan: FUTPlan) -> Int { plan.items.reduce(0) { $0 + ($1.totalInvalidated ?? 0) } }
        return invalidated(earlier) != invalidated(plan)
    }
}

extension FUTPlan.Item {
    fileprivate func isSamePlace(as other: FUTPlan.Item) -> Bool {
        request == other.request && version == other.version && start == other.start && end == other.end && timing == other.timing
            && occurrencesRequested == other.occurrencesRequested
    }
}

extension FUTSettings {
    /// The patient's absolute reference by the logical id; `nil` where that is none.
    public func patientReference(_ id: String) -> String? {
        LogicalID.isValid(id) ? base(.patient) + "/Patient/" + id : nil
    }
}

extension FUTTarget {
    /// The places in slots that an item with this target takes.
    public func claim(of reading: SubjectID, delivered: Instant?) -> FUTClaim? {
        guard let slot, let order = orders.first(where: { $0.reading == reading }) else { return nil }
        return FUTClaim(reading: reading, request: order.request, slot: slot, delivered: delivered)
    }
}
