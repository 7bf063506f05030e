public import Vitals

/// Who uses a device of a model, as its catalogue entry says.
public enum UserRule: String, Hashable, Sendable, CaseIterable {
    case single
    /// It sends the user's slot with each record.
    case indexed
    /// Several use it and it need not say who: nobody is assumed.
    case shared
}

/// The time from a device's pairing to the technician's proof that it works.
public enum Verification: Hashable, Sendable {
    /// None that decides anything: it was proved, or the device needs no proof.
    case none
    case open(since: ClockReading)
    /// It ended without proof: the readings after `until` wait until a person has looked.
    case endedUnproved(from: Instant, until: Instant)
    /// The device needs a proof, and nobody has begun with it: its readings wait.
    case never

    /// An open one ends by itself after this time, unproved.
    public static let limit = Duration.seconds(30 * 60)

    /// Whether the time of one that is open is over. Not where nothing tells how long it took.
    public static func isOver(since: ClockReading, at now: ClockReading) -> Bool {
        guard now.boot == since.boot || (now.isSynchronised && since.isSynchronised) else { return false }
        return now.elapsed(since: since) > limit
    }

    /// From when until when one counts that ends now: ``limit`` at most.
    ///
    /// Both by the present wall clock where the boot is the same: a hub that began in 1970 may know the time by now.
    public static func span(since: ClockReading, until now: ClockReading) -> (from: Instant, until: Instant) {
        let elapsed = max(.zero, now.elapsed(since: since))
        let from = now.boot == since.boot && now.isSynchronised ? now.wall - elapsed : since.wall
        return (from, from + min(elapsed, limit))
    }
}

/// Somebody else uses the device once.
///
/// Pass an open one on until the next begins, also when its time is over: a record that was taken in it and is sent later is
/// still the guest's. After its one act pass ``none``.
public enum GuestMode: Hashable, Sendable {
    case none
    case open(since: ClockReading)

    public static let limit = Duration.seconds(15 * 60)
}

/// Whose a record is (R4).
public enum PatientDecision: Hashable, Sendable {
    case bound(Assignment)
    case held(HoldReason)
    /// A technician's; can never reach a chart.
    case test
    /// A guest's; can never reach a chart.
    case guest
}

/// Decides whose a record is: a known patient's or nobody's (R4). Nothing is inferred from the values.
///
/// - Parameters:
///   - time: what R5 made of its stamp.
///   - received: when it arrived.
///   - userIndex: the slot that the device sent.
///   - assignments: all of the device, the past ones too.
public func decidePatient(
    time: TimeDecision, received: ClockReading, userIndex: Int?, users: UserRule, assignments: [Assignment],
    verification: Verification, guest: GuestMode
) -> PatientDecision {
    switch verification {
    case .none: break
    case .open(let since):
        // A test never reaches a chart: where nothing tells how long it took, the reading waits instead.
        guard received.boot == since.boot || (received.isSynchronised && since.isSynchronised) else { return .held(.unproved) }
        let elapsed = received.elapsed(since: since)
        // By reception: a device under test sends whatever it holds, and a patient before may have filled it. What was received
        // before is none of the verification's.
        if elapsed >= .zero { return elapsed <= Verification.limit ? .test : .held(.unproved) }
    case .endedUnproved(let from, let until):
        guard received.isSynchronised else { return .held(.unproved) }
        if received.wall >= until { return .held(.unproved) }
        if received.wall >= from { return .test }
    case .never: return .held(.unproved)
    }
    if isGuests(time: time, received: received, guest: guest) { return .guest }

    switch time {
    case .held: return .held(.timeUnknown)
    case .waitsForHubClock: return .held(.hubClock)
    case .effective(let effective, let basis, _):
        return patient(at: effective.instant, basis: basis, userIndex: userIndex, users: users, assignments: assignments)
    }
}

private func isGuests(time: TimeDecision, received: ClockReading, guest: GuestMode) -> Bool {
    guard case .open(let since) = guest else { return false }
    if case .effective(let effective, let basis, _) = time, since.isSynchronised {
        // Error on the guest's side: a stamp cut to the minute may fall before the moment at which the mode began, and a
        // patient's reading taken for a guest's can be assigned, a guest's in a patient's chart cannot be unread.
        let start = since.wall - inaccuracy(of: basis)
        return effective.instant >= start && effective.instant <= since.wall + GuestMode.limit
    }
    let elapsed = received.elapsed(since: since)
    return elapsed >= .zero && elapsed <= GuestMode.limit
}

private func patient(
    at instant: Instant, basis: TimeBasis, userIndex: Int?, users: UserRule, assignments: [Assignment]
) -> PatientDecision {
    // A device marked as shared never says who; one with slots says so unless nobody has chosen a slot, and then only an
    // assignment of the whole device, beside none of a slot, can mean its only user.
    let isAnybodys = users == .shared || (users == .indexed && assignments.contains { $0.userIndex != nil })
    if userIndex == nil, isAnybodys { return .held(.noUserIndex) }
    let relevant = assignments.filter { assignment in
        // On a device that several share, an assignment of the whole device would assume somebody.
        assignment.userIndex == userIndex || (assignment.userIndex == nil && users != .shared)
    }
    let patients = Set(relevant.map(\.patient))
    // A stamp that nothing vouches for cannot choose between two people.
    if basis == .local, patients.count > 1 { return .held(.beforeAssignment) }

    guard let assignment = covering(instant, relevant, userIndex) else {
        return .held(relevant.contains { instant < $0.from } ? .beforeAssignment : .unassigned)
    }
    // Around a hand-over the stamp's resolution decides nothing.
    let margin = inaccuracy(of: basis)
    for moment in [instant, instant - margin, instant + margin]
    where relevant.contains(where: { $0.patient != assignment.patient && $0.covers(moment, userIndex: userIndex) }) {
        // Where the slot's own assignment stands beside one of the whole device at the same moment, the slot's is meant.
        let others = relevant.filter { $0.patient != assignment.patient && $0.covers(moment, userIndex: userIndex) }
        if assignment.userIndex == nil || others.contains(where: { $0.userIndex != nil }) { return .held(.beforeAssignment) }
    }
    return .bound(assignment)
}

/// The assignment that covers the moment: the slot's own before the whole device's, then the latest.
private func covering(_ instant: Instant, _ assignments: [Assignment], _ userIndex: Int?) -> Assignment? {
    let covering = assignments.filter { $0.covers(instant, userIndex: userIndex) }
    let own = covering.filter { $0.userIndex != nil }
    return (own.isEmpty ? covering : own).max { ($0.from, $0.id) < ($1.from, $1.id) }
}

/// How far a time may be from the true one: a device's stamp by the minute that many of them cut to; the hub's own and a person's
/// word not at all.
private func inaccuracy(of basis: TimeBasis) -> Duration {
    switch basis {
    case .received, .stated: .zero
    case .corrected, .local: .seconds(60)
    }
}

/// The state in which an act begins, from the decisions about it.
///
/// What the device itself calls invalid comes first, then what can never reach a chart, then what a person must look at.
public func decideState(isInvalid: Bool, arrival: ArrivalDecision, patient: PatientDecision) -> ActState {
    if isInvalid { return .invalid }
    switch (patient, arrival) {
    case (.test, _): return .test
    case (.guest, _): return .guest
    case (_, .possibleDuplicate): return .held(.possibleDuplicate)
    case (.held(let reason), _): return .held(reason)
    case (.bound, _): return .ready
    }
}
