public import Vitals

/// Every plan that was fetched for a patient: which version of a request was valid when, and whether it is active still.
public struct FUTPlanHistory: Hashable, Sendable {
    /// By the time of fetching, oldest first.
    public private(set) var plans: [FUTPlan]

    public init(_ plans: [FUTPlan] = []) { self.plans = plans.sorted { $0.fetched < $1.fetched } }

    public mutating func add(_ plan: FUTPlan) {
        let position = plans.firstIndex { $0.fetched > plan.fetched } ?? plans.endIndex
        plans.insert(plan, at: position)
    }

    /// Forgets plans that say nothing of any moment from then on; no reading older than that may be waiting.
    public mutating func forget(before instant: Instant) {
        plans.removeAll { plan in plan.window.until.map { $0 < instant } ?? false }
    }

    /// The latest plan that says something of the moment.
    public func latest(covering instant: Instant) -> FUTPlan? { plans.last { $0.window.covers(instant) } }

    /// All requests that any plan ever showed, as `ServiceRequest/id`.
    var tails: [String] {
        var tails: [String] = []
        for plan in plans {
            for request in plan.requests {
                if let tail = FUTReference.tail(request.reference), !tails.contains(tail) { tails.append(tail) }
            }
        }
        return tails
    }

    /// What was valid at a moment.
    public enum Validity: Hashable, Sendable {
        case version(FUTPlan.Request)
        /// A version held then that no plan of ours showed.
        case unknown
        /// The request is not in any plan.
        case noRequest
    }

    /// The version of a request that was valid at the moment: the last that the server wrote before it.
    ///
    /// Of a moment before the first version there is, that first one: whether the request covers the moment is said by its period.
    /// Where numbers are missing between two known versions, nothing is guessed.
    public func version(of tail: String, at instant: Instant) -> Validity {
        var versions: [(request: FUTPlan.Request, from: Instant, lastSeen: Instant)] = []
        for plan in plans {
            for request in plan.requests where FUTReference.tail(request.reference) == tail {
                if let known = versions.firstIndex(where: { $0.request.version == request.version }) {
                    versions[known].lastSeen = plan.fetched
                } else {
                    versions.append((request, request.validFrom ?? plan.fetched, plan.fetched))
                }
            }
        }
        versions.sort { $0.from < $1.from }
        guard let first = versions.first else { return .noRequest }
        guard let position = versions.lastIndex(where: { $0.from <= instant }) else {
            return first.request.version == "1" ? .version(first.request) : .unknown
        }
        let valid = versions[position]
        if position + 1 < versions.count, instant > valid.lastSeen, let number = Int(valid.request.version),
            let next = Int(versions[position + 1].request.version), next > number + 1
        {
            return .unknown
        }
        return .version(valid.request)
    }

    public enum Activity: Hashable, Sendable {
        case active(asOf: Instant)
        case inactive(asOf: Instant)
        /// No plan says anything of the moment.
        case unknown
    }

    /// Whether a request that asks for something at the moment is active still, by the latest plan that speaks of the moment.
    public func activity(of tail: String, at instant: Instant) -> Activity {
        guard let plan = latest(covering: instant) else { return .unknown }
        return plan.request(tail)?.isActive == true ? .active(asOf: plan.fetched) : .inactive(asOf: plan.fetched)
    }
}
