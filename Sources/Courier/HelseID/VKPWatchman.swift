import Destinations
import ExactJSON
import HTTPMessage
public import Journal
import Steward
public import Vitals

/// Says to VKP that nothing was measured in a time for which the municipality ordered a measurement, where that is certain.
///
/// ```text
/// care plan -> slots that have closed -> VKPAbsence over what the journal knows
///     notMeasured -> a notice (waiting) -> decided once more, and "sending" on disk -> the request -> delivered | uncertain | ...
///     measured meanwhile                -> withdrawn
///     a reading of a told slot later    -> its document follows the notice up (HelseIDDesk.route)
/// ```
///
/// A notice that was being sent when the daemon ended is of unknown outcome: VKP names what it took by no id, so a person decides
/// (`vitalgate outbox notices`).
public struct VKPWatchman: Sendable {
    /// What a model can do.
    public struct Ability: Hashable, Sendable {
        public var measures: Set<Reading.Kind>
        /// Its memory brings what was measured while the hub did not hear it.
        public var keepsMemory: Bool

        public init(measures: Set<Reading.Kind>, keepsMemory: Bool) {
            self.measures = measures
            self.keepsMemory = keepsMemory
        }
    }

    private let receiver: Receiver
    private let desks: HelseIDReceiver
    private let destination: VKPDestination
    private let journal: Journal
    private let clock: any Clock
    private let zone: any Zone
    private let ability: @Sendable (String) -> Ability?

    /// Slots that began longer ago are not spoken of any more: what was missed then is known by other ways.
    private static let window = Duration.seconds(2 * 86_400)

    /// `nil` where the receiver is no VKP.
    public init?(
        _ receiver: Receiver, journal: Journal, clock: any Clock, zone: any Zone,
        ability: @escaping @Sendable (_ model: String) -> Ability?
    ) {
        guard let destination = receiver.destination as? VKPDestination, let desks = receiver.desks as? HelseIDReceiver else {
            return nil
        }
        self.receiver = receiver
        self.desks = desks
        self.destination = destination
        self.journal = journal
        self.clock = clock
        self.zone = zone
        self.ability = ability
    }

    public var name: String { receiver.name }

    /// Looks once at everybody whose readings go there. One at a time; nobody else sends notices.
    public func lookAfter() async throws(JournalError) {
        let now = clock.now()
        // Nothing may be said by a clock that nothing vouches for (R5).
        guard now.isSynchronised else { return }
        let name = receiver.name
        let earliest = now.wall - Self.window
        let patients = try await journal.read { tx in
            Set(
                try tx.assignments().filter { assignment in
                    assignment.recipients.contains { $0.receiver == name } && assignment.until.map { $0 > earliest } ?? true
                }.map(\.patient))
        }
        for patient in patients.sorted(by: { $0.rawValue < $1.rawValue }) { try await lookAfter(patient) }
    }

    private func lookAfter(_ patient: PatientAlias) async throws(JournalError) {
        let (name, channel, now) = (receiver.name, desks.channel(for: patient), clock.now())
        let standing = try await journal.write { tx -> (number: String?, isHeld: Bool) in
            for var left in try tx.notices(channel: channel, state: .sending) {
                left.state = .uncertain
                left.reason = Settlement.outcomeUnknown
                try tx.setNotice(left)
                try tx.raise(
                    Condition(
                        .outcomeUnknown, subject: channel, since: now.wall,
                        reason: "The daemon ended while it told that a measurement was not reported."))
            }
            return (try tx.identifier(of: patient, at: name), try tx.channel(channel)?.held != nil)
        }
        // Whoever holds the channel is asked by its readings' own condition.
        guard let number = standing.number, !standing.isHeld else { return }
        let desk = desks.desk(for: patient)
        if let slots = await slots(number, desk, now: now.wall) {
            for slot in slots { try await decide(slot, patient, channel, now: now) }
        }
        for notice in try await journal.read({ tx in try tx.notices(channel: channel, state: .waiting) }) {
            guard try await deliver(notice, number, desk) else { return }
        }
    }

    // MARK: What was ordered

    /// Slots that have closed; `nil` where VKP does not tell the plan now.
    private func slots(_ number: String, _ desk: any ChannelDesk, now: Instant) async -> [VKPSlot]? {
        let from = now - Self.window
        guard let request = try? destination.carePlans(patientID: number, from: from, until: now),
            case .outcome(.answered(let response)) = await desk.exchange(request, target: "", over: receiver.client, clock: clock),
            response.status == 200, let answer = try? JSON(parsing: response.body),
            let plans = VKPCarePlan.plans(in: answer)
        else { return nil }
        return plans.flatMap { $0.schedule(from: from, until: now, zone: zone).slots }.filter { $0.closes <= now }
    }

    private func decide(
        _ slot: VKPSlot, _ patient: PatientAlias, _ channel: String, now: ClockReading
    ) async throws(JournalError) {
        let (name, ability) = (receiver.name, ability)
        try await journal.write { tx in
            guard try !tx.hasNotice(channel: channel, slotID: slot.id),
                try tx.absence(of: slot, patient: patient, receiver: name, ability: ability, now: now) == .notMeasured
            else { return }
            _ = try tx.insertNotice(
                channel: channel, patient: patient, slotID: slot.id, slot: slot.json, starts: slot.start, ends: slot.end)
        }
    }

    // MARK: Telling it

    /// False where the channel cannot be used now.
    private func deliver(_ notice: NoticeRecord, _ number: String, _ desk: any ChannelDesk) async throws(JournalError) -> Bool {
        guard let slot = VKPSlot(json: notice.slot) else { return true }
        let (name, ability, now) = (receiver.name, ability, clock.now())
        let isDue = try await journal.write { tx -> Bool in
            var notice = notice
            switch try tx.absence(of: slot, patient: notice.patient, receiver: name, ability: ability, now: now) {
            case .notMeasured: notice.state = .sending
            case .measured, nil:
                notice.state = .withdrawn
                notice.reason = "measured"
            // Something came that is not placed yet: it waits for it.
            case .wait, .unknown: return false
            }
            try tx.setNotice(notice)
            return notice.state == .sending
        }
        guard isDue else { return true }
        let context = DispatchContext(patientID: number, gateway: receiver.gateway)
        let draft: DispatchDraft
        do throws(MappingError) {
            draft = try destination.dispatch(
                notReported: slot, item: notice.id, offsetMinutes: zone.offsetMinutes(at: slot.start), context: context)
        } catch {
            try await end(notice, .quarantined, error.code.rawValue)
            return true
        }
        let verdict: DispatchVerdict
        switch await desk.exchange(draft.request, target: "", over: receiver.client, clock: clock) {
        case .unauthorized(let reason): verdict = reason
        case .outcome(let outcome): verdict = destination.verdict(on: outcome, to: draft, now: clock.now().wall)
        }
        switch verdict {
        case .items(let results):
            guard let result = results.first?.verdict else { return false }
            return try await take(result, of: notice)
        case .reconcile:
            try await end(
                notice, receiver.destination.settings.whenUncertain == .resend ? .waiting : .uncertain, Settlement.outcomeUnknown)
            return true
        case .holdChannel(let code, let reason):
            try await end(notice, .waiting, nil)
            let (channel, now) = (notice.channel, clock.now().wall)
            try await journal.write { tx in
                var record = try tx.channel(channel) ?? ChannelRecord(channel: channel, receiver: name, failures: 0)
                record.held = .init(code: code, reason: reason, since: now)
                try tx.setChannel(record)
                try tx.raise(Condition(code, subject: channel, since: now, reason: reason))
            }
            return false
        case .retry, .waitUntilRetryAfter, .refreshCredential, .split, .serverFailure:
            // The next look tries again.
            try await end(notice, .waiting, nil)
            return false
        }
    }

    private func take(_ verdict: ItemVerdict, of notice: NoticeRecord) async throws(JournalError) -> Bool {
        switch verdict {
        case .delivered: try await end(notice, .delivered, nil)
        case .quarantine(let code, _): try await end(notice, .quarantined, code)
        case .reconcile, .readBack, .uncertain: try await end(notice, .uncertain, Settlement.outcomeUnknown)
        case .resend, .serverFailure, .reassign:
            try await end(notice, .waiting, nil)
            return false
        }
        return true
    }

    private func end(_ notice: NoticeRecord, _ state: ItemState, _ reason: String?) async throws(JournalError) {
        let (name, now) = (receiver.name, clock.now().wall)
        var ended = notice
        ended.state = state
        ended.reason = reason
        let record = ended
        try await journal.write { tx in
            try tx.setNotice(record)
            guard state != .waiting else { return }
            try tx.audit(
                at: now, actor: "daemon", action: "not-reported", subject: "notice \(record.id)",
                detail: "\(name): \(state.rawValue)")
            switch state {
            case .uncertain:
                try tx.raise(
                    Condition(
                        .outcomeUnknown, subject: record.channel, since: now,
                        reason: "It is not known whether VKP took that a measurement was not reported."))
            case .quarantined:
                try tx.raise(
                    Condition(
                        .quarantine, subject: record.channel, since: now,
                        reason: "The receiver refused that a measurement was not reported."))
            default: break
            }
        }
    }
}

extension Transaction {
    /// Whether "not measured" may be said of a slot; `nil` where it is not ours to say: the receiver is not entitled to that time (R7), or
    /// the patient has no device for it.
    func absence(
        of slot: VKPSlot, patient: PatientAlias, receiver: String, ability: (String) -> VKPWatchman.Ability?, now: ClockReading
    ) throws(JournalError) -> VKPAbsence? {
        var memories: [Instant?] = []
        var isEntitled = false
        var hasUnplaced = false
        let refusals = try refusals(patient: patient)
        for assignment in try assignments() where assignment.patient == patient {
            guard assignment.from <= slot.start, assignment.until.map({ slot.closes <= $0 }) ?? true,
                let device = try device(id: assignment.device), let can = ability(device.model),
                !can.measures.isDisjoint(with: slot.kinds)
            else { continue }
            let facts = ReleaseFacts(
                receiver: receiver, state: .ready, effective: slot.start, recipients: assignment.recipients, refusals: refusals)
            if case .send = decideRelease(facts, now: now) { isEntitled = true }
            memories.append(can.keepsMemory ? try memoryRead(of: device.id) : nil)
            if try self.hasUnplaced(device: device.id, since: slot.start) { hasUnplaced = true }
        }
        guard isEntitled else { return nil }
        // Each device that could have measured it was read since, or it is not known.
        let memory = memories.contains(nil) ? nil : memories.compactMap(\.self).min()
        func spans(_ part: WatchedPart) throws(JournalError) -> [VKPWatch.Span] {
            try watch(part, from: slot.start, until: slot.closes).map { .init(from: $0.lowerBound, until: $0.upperBound) }
        }
        let taken = try acts(of: patient, from: slot.start, until: slot.end).flatMap { act in
            act.measurement.readings.compactMap { reading in
                act.effective.map { VKPWatch.Taken(reading.kind, $0.instant) }
            }
        }
        return VKPAbsence(
            of: slot,
            watch: VKPWatch(
                hub: try spans(.hub), clock: try spans(.clock), radio: try spans(.radio), memoryRead: memory, readings: taken,
                hasUnplaced: hasUnplaced), now: now.wall)
    }

    /// When the last transfer began that brought all that the device had: one that the device ended in good order, that ended in quiet, or
    /// whose records ended by the device's own word. What was measured after its beginning may have come too late for it.
    private func memoryRead(of device: Int64) throws(JournalError) -> Instant? {
        try lastTransfers(device: device, limit: 50).first {
            $0.began.isSynchronised && $0.ended != nil && ["peer-ended", "quiet", "records-ended"].contains($0.outcome)
        }?.began.wall
    }
}
