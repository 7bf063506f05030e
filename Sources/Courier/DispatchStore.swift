import Destinations
import ExactJSON
import HTTPMessage
import Journal
import Steward
import Vitals

/// An act on its way: the frozen request, and the attempt that is already on disk.
struct Prepared: Sendable {
    var act: ActRecord
    var items: [ItemRecord]
    var dispatch: Int64
    var draft: DispatchDraft
    /// Where it goes at the receiver.
    var target: String
    var attempt: Int64
    var started: ClockReading
    /// What was decided about the act's other items on the way.
    var events: [CourierEvent] = []
}

/// What came of looking at an act that is due.
enum Preparation: Sendable {
    case ready(Prepared)
    /// Nothing of it is to be sent now; what was withdrawn or set aside stands in the journal already.
    case nothing([CourierEvent])
    /// Not before something changes: a hold, a consent, the clock.
    case waits(ReleaseDecision.WaitReason)
}

/// The courier's transactions: everything that must be on disk together.
extension Transaction {
    /// Decides what may leave of an act, freezes the request and commits the attempt, before the first byte leaves.
    func prepare(
        act id: Int64, channel: String, receiver: Receiver, desk: any ChannelDesk, now: ClockReading
    ) throws(JournalError) -> Preparation {
        guard let act = try act(id: id) else { return .nothing([]) }
        let waiting = try waitingItems(act: id, channel: channel)
        // A correction of something goes after it: first what is observed, then what is taken back.
        let kind: ItemRecord.Kind = waiting.contains { $0.kind == .observation } ? .observation : .correction
        var due: [ItemRecord] = []
        var events: [CourierEvent] = []
        for item in waiting where item.kind == kind {
            switch decideRelease(try releaseFacts(of: item, in: act, now: now), now: now) {
            case .send: due.append(item)
            case .wait(let reason):
                return .waits(reason)
            case .withdraw(let reason):
                try setItem(item.id, state: .withdrawn, reason: reason.rawValue, at: now.wall)
                try audit(
                    at: now.wall, actor: "daemon", action: "withhold", subject: item.readingSubject.rawValue,
                    detail: "\(item.receiver): \(reason.rawValue)")
                events.append(.withdrawn(subjects: [item.readingSubject], receiver: item.receiver, reason: reason.rawValue))
            }
        }
        guard !due.isEmpty else { return .nothing(events) }
        if let patient = act.patient, receiver.channel(for: patient) != channel {
            // Bound to somebody else since: their channel is not this one (R4).
            return .nothing(
                events + (try quarantine(due, MappingError(.patientID, "The act is another patient's."), receiver, now)))
        }
        var target = due.first?.target ?? ""
        switch kind {
        case .observation:
            if let snapshot = try snapshot(act) {
                let routes = try desk.route(due, of: snapshot, in: self, now: now)
                events += try take(routes, of: act, due, receiver: receiver, now: now)
            }
            // Those of one place go together, the others when their turn comes.
            let placed = try waitingItems(act: id, channel: channel).filter { $0.kind == .observation }
            target = placed.first?.target ?? ""
            due = placed.filter { $0.target == target }
        case .correction: if receiver.destination.correctsOneByOne { due = Array(due.prefix(1)) }
        }
        guard !due.isEmpty else { return .nothing(events) }
        switch try frozen(due, of: act, kind: kind, channel: channel, receiver: receiver, now: now) {
        case .success(let record):
            for item in due { try setItem(item.id, state: .sending) }
            let attempt = try beginAttempt(dispatch: record.id, receiver: receiver.name, at: now)
            return .ready(
                Prepared(
                    act: act, items: due, dispatch: record.id, draft: record.draft, target: target, attempt: attempt,
                    started: now,
                    events: events))
        case .failure(let error): return .nothing(events + (try quarantine(due, error, receiver, now)))
        }
    }

    private func quarantine(
        _ items: [ItemRecord], _ error: MappingError, _ receiver: Receiver, _ now: ClockReading
    ) throws(JournalError) -> [CourierEvent] {
        for item in items { try setItem(item.id, state: .quarantined, reason: error.code.rawValue) }
        try raise(Condition(.quarantine, subject: receiver.name, since: now.wall, reason: error.message))
        return [.quarantined(subjects: items.map(\.readingSubject), receiver: receiver.name, code: error.code.rawValue)]
    }

    /// Writes down where the items of an act go. An item that goes to several places is joined by others for them.
    private func take(
        _ routes: [Route], of act: ActRecord, _ due: [ItemRecord], receiver: Receiver, now: ClockReading
    ) throws(JournalError) -> [CourierEvent] {
        var events: [CourierEvent] = []
        for item in due {
            let decisions = routes.filter { $0.item == item.id }.map(\.decision)
            var targets = decisions.compactMap { decision in if case .send(let target) = decision { target } else { nil } }
            if !targets.isEmpty {
                // The place that it had stays its own, where that is still one.
                let own = targets.remove(at: targets.firstIndex(of: item.target) ?? 0)
                if own != item.target {
                    // A request to the place before is not to be sent again.
                    if let open = try openDispatch(item: item.id) { try dropDispatch(id: open.id) }
                    try setItem(item.id, target: own)
                }
                guard let reading = act.readings.first(where: { $0.id == item.reading }) else { continue }
                for target in targets {
                    _ = try insertItem(
                        act: act.id, reading: reading, kind: .observation, receiver: item.receiver, channel: item.channel,
                        target: target, effective: item.effective, created: now.wall)
                }
                continue
            }
            switch decisions.first {
            case .hold(let reason):
                try setItem(item.id, state: .held, reason: reason)
                events.append(.unasked(subjects: [item.readingSubject], receiver: receiver.name, reason: reason))
            case .quarantine(let code):
                try setItem(item.id, state: .quarantined, reason: code)
                try raise(
                    Condition(
                        .quarantine, subject: receiver.name, since: now.wall,
                        reason: "It cannot be decided where at the receiver a reading goes (\(code)).")
                )
                events.append(.quarantined(subjects: [item.readingSubject], receiver: receiver.name, code: code))
            case .send, nil: continue
            }
        }
        return events
    }

    /// The request of an earlier try where it tells of just these items, else a new one.
    private func frozen(
        _ due: [ItemRecord], of act: ActRecord, kind: ItemRecord.Kind, channel: String, receiver: Receiver, now: ClockReading
    ) throws(JournalError) -> Result<DispatchRecord, MappingError> {
        if let first = due.first, let open = try openDispatch(item: first.id) {
            // Not one that is addressed to where the receiver was before its configuration was mended.
            if Set(open.entries.map(\.item)) == Set(due.map(\.id)), receiver.isAddressed(by: open.url) { return .success(open) }
            try dropDispatch(id: open.id)
        }
        switch try drafted(due, of: act, kind: kind, receiver: receiver) {
        case .failure(let error): return .failure(error)
        case .success(let draft):
            try audit(at: now.wall, actor: "daemon", action: "release", subject: act.subject.rawValue, detail: receiver.name)
            return .success(
                try insertDispatch(
                    receiver: receiver.name, channel: channel, method: draft.request.method.rawValue, url: draft.request.url,
                    headers: draft.request.headers.map { [$0.name, $0.value] }, body: draft.request.body,
                    entries: draft.entries.map { .init(item: $0.item, index: $0.index) }, memo: draft.memo, created: now.wall))
        }
    }

    private func drafted(
        _ due: [ItemRecord], of record: ActRecord, kind: ItemRecord.Kind, receiver: Receiver
    ) throws(JournalError) -> Result<DispatchDraft, MappingError> {
        guard let act = try snapshot(record) else {
            return .failure(MappingError(.noReading, "The act has no patient or no time."))
        }
        let dispatchAct = DispatchAct(
            act: act,
            items: due.map {
                DispatchItem(
                    id: $0.id, reading: $0.readingSubject, serverReference: $0.serverReference.flatMap { ServerReference($0) })
            },
            claimedIdentifier: try !claimsDeviceTime(act, receiver: receiver.name))
        let context = DispatchContext(
            patientID: try identifier(of: act.patient, at: receiver.name) ?? act.patient.rawValue, gateway: receiver.gateway,
            target: due.first.flatMap { try? JSON(parsing: $0.target) })
        return Result { () throws(MappingError) in
            switch kind {
            case .observation: try receiver.destination.dispatch(of: [dispatchAct], context: context)
            case .correction: try receiver.destination.correction(of: dispatchAct, context: context)
            }
        }
    }

    /// Takes "this device, patient, kind and device time" for the act at this receiver; false where another act has it.
    ///
    /// Two readings of a clock with minute resolution can share it: only the first may be created under the receiver's identifier
    /// that is made of these, or the second would be taken for a repeat and be lost.
    private func claimsDeviceTime(_ act: Act, receiver: String) throws(JournalError) -> Bool {
        guard let time = act.measurement.deviceTime else { return true }
        let device = act.device.systemID?.hex ?? act.device.address ?? act.device.serialNumber ?? ""
        return try claim(
            receiver: receiver, identifier: "\(device)|\(act.patient.rawValue)|\(act.measurement.kind.rawValue)|\(time)",
            reading: act.id)
    }

    /// The act as destinations are told of it, or `nil` while patient or time are open.
    func snapshot(_ record: ActRecord) throws(JournalError) -> Act? {
        guard let patient = record.patient, let effective = record.effective, let basis = record.timeBasis,
            let device = try device(id: record.device)
        else { return nil }
        let readings = zip(record.readings, record.measurement.readings).map {
            Act.IdentifiedReading(id: $0.subject, reading: $1)
        }
        return Act(
            id: record.subject, measurement: record.measurement, readings: readings, effective: effective, timeBasis: basis,
            device: device.identity, specialization: record.measurement.kind.specialization, patient: patient,
            batteryPercent: record.batteryPercent, cautions: record.cautions, coincidence: record.coincidence,
            isDerived: record.isDerived)
    }

    private func releaseFacts(
        of item: ItemRecord, in act: ActRecord, now: ClockReading
    ) throws(JournalError) -> ReleaseFacts {
        let recipients: [Assignment.Recipient]
        if let id = act.assignment {
            recipients = try assignment(id: id)?.recipients ?? []
        } else {
            // A person bound this single act and named its receivers: the item itself is the entitlement.
            recipients = [.init(receiver: item.receiver, from: Instant(milliseconds: .min))]
        }
        var refusals: [Refusal] = []
        if let patient = act.patient { refusals = try self.refusals(patient: patient) }
        return ReleaseFacts(
            receiver: item.receiver, isCorrection: item.kind == .correction, state: act.state, effective: act.effective?.instant,
            recipients: recipients, refusals: refusals,
            isClockLookDue: try isTimeOpen(act, now: now))
    }
}

extension Transaction {
    /// Whether the transfer that brought the act may still say something about its time: the device's clock was not looked at yet,
    /// or a record without stamp may turn out not to be the only one.
    ///
    /// A link that goes on for longer than ten minutes (a cuff's lasts seconds, a memory's a minute) is not waited for.
    fileprivate func isTimeOpen(_ act: ActRecord, now: ClockReading) throws(JournalError) -> Bool {
        guard act.timeBasis != .stated, act.timeBasis == .received || act.coincidence == nil,
            let last = try lastTransfers(device: act.device, limit: 1).first, last.id == act.transfer, last.ended == nil,
            last.began.boot == now.boot
        else { return false }
        return now.monotonic - last.began.monotonic < .seconds(600)
    }
}

extension DispatchRecord {
    /// The record as the destination made it.
    var draft: DispatchDraft {
        DispatchDraft(
            request: HTTPRequest(
                HTTPRequest.Method(rawValue: method) ?? .post, url,
                headers: headers.compactMap { $0.count == 2 ? HTTPHeader($0[0], $0[1]) : nil }, body: body),
            entries: entries.map { .init(item: $0.item, index: $0.index) }, memo: memo)
    }
}

extension Measurement.Kind {
    /// MDC_DEV_SPEC_PROFILE_* of a device that measures this (IEEE 11073-10101).
    var specialization: MDC {
        switch self {
        case .bloodPressure, .cuffPressure: MDC(528_391)
        case .pulseOximetrySpot, .pulseOximetryContinuous: MDC(528_388)
        case .bodyWeight, .bodyComposition: MDC(528_399)
        case .bodyTemperature: MDC(528_392)
        case .glucose, .glucoseContext: MDC(528_401)
        }
    }
}
