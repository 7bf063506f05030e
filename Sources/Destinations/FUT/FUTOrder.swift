public import Vitals

/// Which ordered procedure a reading answers.
///
/// FUT takes nothing that nobody ordered: an observation is based on one active request whose code matches, with a resolved timing
/// (reference: guide 8.0.0, `$submit-measurement`, ehealth-resolved-timing).
public enum FUTOrder: Hashable, Sendable {
    /// Fulfils a slot that contained the time of measurement.
    case resolved(FUTPlan.Request, FUTSlot)
    /// The request has no slots.
    case adhoc(FUTPlan.Request)
    /// The request's regime cannot be resolved to slots by the platform.
    case unresolved(FUTPlan.Request)
    /// Outside every slot, or beyond what the slot asks for, where the request allows that.
    case extra(FUTPlan.Request)
    /// The slot has all the measurements that it asks for, and the request takes no others: held.
    case beyondRequested(FUTPlan.Request, FUTSlot)
    /// Nobody ordered it: it stays on the hub with the reason, and is decided anew when a plan comes that speaks of its time.
    case notOrdered(NotOrdered)

    /// Why no request takes the reading.
    public enum NotOrdered: String, Hashable, Sendable, CaseIterable {
        /// FUT has no code for it.
        case noCode = "no-code"
        /// No request of this code.
        case noRequest = "no-request"
        /// A request of this code asks for it from another device: a cuff's pulse never fills the oximeter group's request.
        case otherDeviceGroup = "other-device-group"
        /// The requests of this code did not hold when it was measured.
        case outsidePeriod = "outside-period"
        /// Measured outside the slots of a request that takes nothing extra.
        case outsideSlot = "outside-slot"
        /// The request is no longer active.
        case noLongerActive = "no-longer-active"
        /// A version of the request held then that the hub never saw.
        case unknownVersion = "unknown-version"
        /// No plan was fetched that speaks of the time of measurement: fetch one before deciding.
        case planUnknown = "plan-unknown"
    }

    /// The request it goes to; `nil` for what stays here.
    public var request: FUTPlan.Request? {
        switch self {
        case .resolved(let request, _), .adhoc(let request), .unresolved(let request), .extra(let request): request
        case .beyondRequested, .notOrdered: nil
        }
    }

    public var timing: FUTPlan.Timing? {
        switch self {
        case .resolved: .resolved
        case .adhoc: .adhoc
        case .unresolved: .unresolved
        case .extra: .extra
        case .beyondRequested, .notOrdered: nil
        }
    }

    public var slot: FUTSlot? { if case .resolved(_, let slot) = self { slot } else { nil } }

    /// A short name for a held reading; `nil` for one that goes out.
    public var heldReason: String? {
        switch self {
        case .resolved, .adhoc, .unresolved, .extra: nil
        case .beyondRequested: "beyond-requested"
        case .notOrdered(let reason): reason.rawValue
        }
    }
}

/// A resolved slot, in the server's own words.
public struct FUTSlot: Hashable, Sendable {
    public var start: FUTMoment
    public var end: FUTMoment

    public init(start: FUTMoment, end: FUTMoment) {
        self.start = start
        self.end = end
    }
}

/// A place in a slot that a reading of this hub took.
public struct FUTClaim: Hashable, Sendable {
    public var reading: SubjectID
    public var request: String
    public var slot: FUTSlot
    /// When it was delivered; `nil` while it is not. A plan that was fetched later counts it itself.
    public var delivered: Instant?

    public init(reading: SubjectID, request: String, slot: FUTSlot, delivered: Instant?) {
        self.reading = reading
        self.request = request
        self.slot = slot
        self.delivered = delivered
    }
}

/// What of an act goes where: one for each observation that would be made of it.
public struct FUTDecision: Hashable, Sendable {
    public var reading: SubjectID
    /// As what: the panel, or one of its pressures where only that was ordered.
    public var role: FUTCode.Role?
    public var order: FUTOrder

    public init(reading: SubjectID, role: FUTCode.Role?, order: FUTOrder) {
        self.reading = reading
        self.role = role
        self.order = order
    }
}

/// Decides for the readings of an act, from the plans that were fetched and the places that this hub's readings took already.
public struct FUTOrdering: Sendable {
    public var history: FUTPlanHistory
    public var claims: [FUTClaim]
    public var settings: FUTSettings

    public init(history: FUTPlanHistory, claims: [FUTClaim] = [], settings: FUTSettings) {
        self.history = history
        self.claims = claims
        self.settings = settings
    }

    /// Each reading of the act; a pressure reading that only single pressures were ordered of gives one decision for each of those.
    ///
    /// One reading goes to one request. Where several plans ask for the same, an open slot goes before a request without slots and
    /// that before an extra one; among slots the one that begins first. (A second plan would take the same measurement by FUT's
    /// reuse, which is the citizen's own choice.)
    public func decide(_ act: Act) -> [FUTDecision] {
        act.readings.flatMap { identified -> [FUTDecision] in
            guard let role = identified.reading.kind.futRole, settings.codes[role] != nil else {
                return [FUTDecision(reading: identified.id, role: nil, order: .notOrdered(.noCode))]
            }
            let whole = decide(role, reading: identified, of: act)
            let isOrdered = whole != .notOrdered(.noRequest)
            if role == .bloodPressure, !isOrdered {
                let parts = [FUTCode.Role.systolic, .diastolic].compactMap { part -> FUTDecision? in
                    let order = decide(part, reading: identified, of: act)
                    return order == .notOrdered(.noRequest)
                        ? nil : FUTDecision(reading: identified.id, role: part, order: order)
                }
                if !parts.isEmpty { return parts }
            }
            return [FUTDecision(reading: identified.id, role: role, order: whole)]
        }
    }

    private func decide(_ role: FUTCode.Role, reading: Act.IdentifiedReading, of act: Act) -> FUTOrder {
        guard let coding = settings.codes[role]?.coding else { return .notOrdered(.noCode) }
        let instant = act.effective.instant
        var best: FUTOrder = history.plans.isEmpty ? .notOrdered(.planUnknown) : .notOrdered(.noRequest)
        for tail in history.tails {
            let candidate = consider(tail, coding, reading: reading.id, of: act, at: instant)
            if Self.precedes(candidate, best) { best = candidate }
        }
        if best == .notOrdered(.noRequest), history.latest(covering: instant) == nil { return .notOrdered(.planUnknown) }
        return best
    }

    /// What one request makes of the reading.
    private func consider(
        _ tail: String, _ coding: FUTCoding, reading: SubjectID, of act: Act, at instant: Instant
    ) -> FUTOrder {
        let request: FUTPlan.Request
        switch history.version(of: tail, at: instant) {
        case .version(let valid): request = valid
        case .unknown:
            let isOfCode = history.plans.contains { $0.request(tail)?.codings.contains(coding) ?? false }
            return .notOrdered(isOfCode ? .unknownVersion : .noRequest)
        case .noRequest: return .notOrdered(.noRequest)
        }
        guard request.codings.contains(coding) else { return .notOrdered(.noRequest) }
        guard fits(act, request) else { return .notOrdered(.otherDeviceGroup) }
        guard request.covers(instant) else { return .notOrdered(.outsidePeriod) }
        let order = matched(tail, request, reading: reading, at: instant)
        guard order.request != nil || order.heldReason == "beyond-requested" else { return order }
        // A refresh only tells whether the request is active still.
        switch history.activity(of: tail, at: instant) {
        case .active: return order
        case .inactive: return .notOrdered(.noLongerActive)
        case .unknown: return .notOrdered(.planUnknown)
        }
    }

    private func matched(_ tail: String, _ request: FUTPlan.Request, reading: SubjectID, at instant: Instant) -> FUTOrder {
        // Plans in which this version was the present one, and which speak of the moment.
        let plans = history.plans.filter { $0.window.covers(instant) && $0.request(tail)?.version == request.version }
        guard !plans.isEmpty else { return .notOrdered(.planUnknown) }
        var takesExtra = request.includesExtra
        var isAdhoc = false
        var isUnresolved = false
        var open: FUTSlot?
        var full: FUTSlot?
        for plan in plans {
            for item in plan.items where FUTReference.tail(item.request) == tail && item.version == request.version {
                switch item.timing {
                case .extra: takesExtra = true
                case .adhoc: isAdhoc = true
                case .unresolved: isUnresolved = true
                case .resolved:
                    guard plan.isPlanned(item), let start = item.start, let end = item.end else { continue }
                    let slot = FUTSlot(start: start, end: end)
                    guard contains(slot, instant) else { continue }
                    let taken = taken(tail, request.version, slot, except: reading)
                    if taken < item.occurrencesRequested ?? 0 {
                        if open.map({ start.instant < $0.start.instant }) ?? true { open = slot }
                    } else {
                        full = full ?? slot
                    }
                }
            }
        }
        if let open { return .resolved(request, open) }
        if isAdhoc { return .adhoc(request) }
        if isUnresolved { return .unresolved(request) }
        if takesExtra { return .extra(request) }
        if let full { return .beyondRequested(request, full) }
        return .notOrdered(.outsideSlot)
    }

    /// Whether the slot contained the time of measurement, both ends included; a slot that is a moment has a tolerance.
    private func contains(_ slot: FUTSlot, _ instant: Instant) -> Bool {
        let tolerance = slot.start.instant == slot.end.instant ? settings.momentTolerance : .zero
        return slot.start.instant - tolerance <= instant && instant <= slot.end.instant + tolerance
    }

    /// How many measurements stand in a slot: those that the receiver counted when it was asked last, and ours since.
    private func taken(_ tail: String, _ version: String, _ slot: FUTSlot, except reading: SubjectID) -> Int {
        var counted = 0
        var asOf = Instant(milliseconds: .min)
        for plan in history.plans {
            for item in plan.items
            where item.version == version && item.timing == .resolved && FUTReference.tail(item.request) == tail
                && item.start?.instant == slot.start.instant && item.end?.instant == slot.end.instant
            {
                counted = item.standing
                asOf = plan.fetched
            }
        }
        let ours = claims.filter { claim in
            claim.reading != reading && FUTReference.tail(claim.request) == tail
                && claim.slot.start.instant == slot.start.instant && claim.slot.end.instant == slot.end.instant
                && (claim.delivered.map { $0 >= asOf } ?? true)
        }
        return counted + ours.count
    }

    /// Whether the request may be answered by this act's device: the nearest code of its group that only one kind of device can
    /// give says which. A request in no group takes it from any.
    private func fits(_ act: Act, _ request: FUTPlan.Request) -> Bool {
        let ofCuff = Set([FUTCode.Role.bloodPressure, .systolic, .diastolic].compactMap { settings.codes[$0]?.coding })
        let ofOximeter = Set([FUTCode.Role.oxygenSaturation].compactMap { settings.codes[$0]?.coding })
        for companion in request.companions {
            if ofCuff.contains(companion) { return act.measurement.kind == .bloodPressure }
            if ofOximeter.contains(companion) {
                return act.measurement.kind == .pulseOximetrySpot || act.measurement.kind == .pulseOximetryContinuous
            }
        }
        return true
    }

    private static func precedes(_ left: FUTOrder, _ right: FUTOrder) -> Bool {
        let (l, r) = (rank(left), rank(right))
        if l != r { return l < r }
        if case .resolved(let first, let earlier) = left, case .resolved(let second, let later) = right {
            return (earlier.start.instant, first.reference) < (later.start.instant, second.reference)
        }
        return (left.request?.reference ?? "") < (right.request?.reference ?? "")
    }

    /// What is sent before what is held, and of what is held the reason that says most.
    private static func rank(_ order: FUTOrder) -> Int {
        switch order {
        case .resolved: 0
        case .adhoc: 1
        case .unresolved: 2
        case .extra: 3
        case .beyondRequested: 4
        case .notOrdered(.planUnknown): 5
        case .notOrdered(.unknownVersion): 6
        case .notOrdered(.noLongerActive): 7
        case .notOrdered(.outsideSlot): 8
        case .notOrdered(.otherDeviceGroup): 9
        case .notOrdered(.outsidePeriod): 10
        case .notOrdered(.noRequest): 11
        case .notOrdered(.noCode): 12
        }
    }
}
