public import Journal
import Protocols
public import Steward
public import Vitals

/// Why a person's decision about a reading was not taken.
public enum DecisionRefusal: Hashable, Sendable {
    case noSuchReading
    /// Its time is not known: a person must say it.
    case timeNeeded
    /// The act is in a state in which this cannot be done.
    case wrongState(ActState)
    /// A request about it is under way, or its outcome is unknown: first that has to end.
    case underWay
    /// No such receiver is configured.
    case noSuchReceiver(String)
}

/// A person's decisions about single readings. Each is one transaction and stands in the audit log.
extension Desk {
    public typealias Decision = Result<ActRecord, Refused>

    public struct Refused: Error, Hashable, Sendable {
        public var refusal: DecisionRefusal
        init(_ refusal: DecisionRefusal) { self.refusal = refusal }
    }

    /// A person says whose a held reading is, and if need be when it was taken.
    public func assign(
        reading id: String, patient: PatientAlias, receivers: [String], at stated: Instant?, reason: String? = nil, actor: String
    ) async throws(JournalError) -> Decision {
        try await decide(id) { act, tx, now in
            guard case .held = act.state else { return .failure(Refused(.wrongState(act.state))) }
            guard let effective = stated.map(measuredTime) ?? act.effective else { return .failure(Refused(.timeNeeded)) }
            var bound = act
            bound.state = .ready
            bound.effective = effective
            bound.timeBasis = stated == nil ? act.timeBasis : .stated
            bound.patient = patient
            bound.assignment = nil
            bound.revision += 1
            if let refusal = missing(receivers, patient) { return .failure(refusal) }
            let record = try tx.update(bound)
            try oblige(record, to: receivers, patient, effective, in: tx)
            try tx.audit(
                at: now.wall, actor: actor, action: "assign-reading", subject: act.subject.rawValue,
                detail: [patient.rawValue, reason].compactMap(\.self).joined(separator: ": "))
            return .success(record)
        }
    }

    /// A person decides that a reading is nobody's: kept, never sent.
    public func reject(reading id: String, reason: String, actor: String) async throws(JournalError) -> Decision {
        try await decide(id) { act, tx, now in
            let items = try tx.items(act: act.id)
            guard !items.contains(where: { $0.state == .delivered }), act.state != .retracted else {
                return .failure(Refused(.wrongState(act.state)))
            }
            guard !items.contains(where: \.isUnderWay) else { return .failure(Refused(.underWay)) }
            return .success(
                try close(
                    act, items, as: .rejected, why: "rejected", action: "reject", reason: reason, actor: actor, at: now, in: tx))
        }
    }

    /// A person takes a reading back: receivers that have it are told, the others never hear of it.
    public func retract(reading id: String, reason: String, actor: String) async throws(JournalError) -> Decision {
        try await decide(id) { act, tx, now in
            let items = try tx.items(act: act.id)
            guard act.state == .ready else { return .failure(Refused(.wrongState(act.state))) }
            guard !items.contains(where: \.isUnderWay) else { return .failure(Refused(.underWay)) }
            return .success(
                try close(
                    act, items, as: .retracted, why: "retracted", action: "retract", reason: reason, actor: actor, at: now, in: tx
                ))
        }
    }

    /// A person gives a reading to another patient: taken back where it was delivered, and told anew for the right one.
    ///
    /// The new act has ids of its own: under the old ones a receiver would find what it already has, with the wrong patient.
    public func rebind(
        reading id: String, patient: PatientAlias, reason: String, actor: String
    ) async throws(JournalError) -> Decision {
        try await decide(id) { act, tx, now in
            let items = try tx.items(act: act.id)
            guard act.state == .ready, act.patient != patient, let effective = act.effective else {
                return .failure(Refused(.wrongState(act.state)))
            }
            guard !items.contains(where: \.isUnderWay) else { return .failure(Refused(.underWay)) }
            // Not those that it was withdrawn from: what ended their entitlement says nothing for the other patient (R7).
            let receivers = Set(items.filter { $0.state != .withdrawn }.map(\.receiver)).sorted()
            _ = try close(
                act, items, as: .retracted, why: "rebound", action: "rebind", reason: reason, actor: actor, at: now, in: tx)
            let bound = try tx.insertAct(
                ActDraft(
                    device: act.device, frame: act.frame, transfer: act.transfer,
                    identity: act.identity.rebound(act.revision + 1),
                    measurement: act.measurement, state: .ready, effective: effective, timeBasis: act.timeBasis, patient: patient,
                    assignment: nil, cautions: act.cautions, coincidence: act.coincidence, batteryPercent: act.batteryPercent,
                    isDerived: act.isDerived, received: act.received))
            try oblige(bound, to: receivers, patient, effective, in: tx)
            return .success(bound)
        }
    }

    // MARK: The parts

    private func decide(
        _ id: String, _ body: @escaping @Sendable (ActRecord, Transaction, ClockReading) throws -> Decision
    ) async throws(JournalError) -> Decision {
        let now = clock.now()
        let decision = try await journal.write { tx -> Decision in
            guard let act = try tx.act(subject: id) else { return .failure(Refused(.noSuchReading)) }
            return try body(act, tx, now)
        }
        if case .success(let act) = decision { try await clearHolds(device: act.device) }
        return decision
    }

    private func measuredTime(_ instant: Instant) -> MeasuredTime {
        MeasuredTime(instant, offsetMinutes: registrar.zone.offsetMinutes(at: instant))
    }

    private func missing(_ receivers: [String], _ patient: PatientAlias) -> Refused? {
        receivers.first { registrar.settings.channel($0, patient) == nil }.map { Refused(.noSuchReceiver($0)) }
    }

    private func oblige(
        _ act: ActRecord, to receivers: [String], _ patient: PatientAlias, _ effective: MeasuredTime, in tx: Transaction
    ) throws(JournalError) {
        for receiver in receivers {
            try registrar.oblige(act, to: receiver, patient: patient, effective: effective.instant, in: tx)
        }
    }

    /// Ends an act: what was delivered is taken back by a correction, what was not is withdrawn.
    private func close(
        _ act: ActRecord, _ items: [ItemRecord], as state: ActState, why: String, action: String, reason: String, actor: String,
        at now: ClockReading, in tx: Transaction
    ) throws(JournalError) -> ActRecord {
        for item in items where item.kind == .observation {
            switch item.state {
            case .delivered:
                guard let reading = act.readings.first(where: { $0.id == item.reading }) else { continue }
                let correction = try tx.insertItem(
                    act: act.id, reading: reading, kind: .correction, receiver: item.receiver, channel: item.channel,
                    target: item.target, effective: item.effective, created: now.wall)
                if let correction {
                    try tx.setItem(correction.id, state: .waiting, serverReference: item.serverReference)
                }
            case .waiting, .held, .quarantined: try tx.setItem(item.id, state: .withdrawn, reason: why, at: now.wall)
            case .sending, .uncertain, .withdrawn: break
            }
        }
        try tx.audit(at: now.wall, actor: actor, action: action, subject: act.subject.rawValue, detail: reason)
        var changed = act
        changed.state = state
        changed.revision += 1
        return try tx.update(changed)
    }
}

extension ItemRecord {
    fileprivate var isUnderWay: Bool { state == .sending || state == .uncertain }
}

extension Desk {
    /// A person says that a suppressed repeat was a measurement of its own: it becomes a reading, held until it is assigned.
    public func release(suppressed id: Int64, actor: String) async throws(JournalError) -> Decision {
        let (registrar, now) = (registrar, clock.now())
        return try await journal.write { tx in
            guard let record = try tx.suppressed(id: id), let device = try tx.device(id: record.device), let key = device.key,
                let measurement = try? FrameDecoder.measurement(record.frame.source, record.frame.bytes)
            else { return .failure(Refused(.noSuchReading)) }
            let base = ReadingIdentity.base(of: measurement, from: key)
            // The next ordinal among equals: the ones that are there keep theirs.
            let identity = ReadingIdentity(base: base, ordinal: try tx.equalCount(base: base))
            let transfer = try tx.beginTransfer(device: device.id, at: now)
            let frame = try tx.insertFrame(record.frame, device: device.id, transfer: transfer, word: .none, base: base)
            try tx.endTransfer(transfer, outcome: "released", at: now)
            let held = try tx.insertAct(
                ActDraft(
                    device: device.id, frame: frame, transfer: transfer, identity: identity, measurement: measurement,
                    state: .held(.timeUnknown), effective: nil, timeBasis: nil, patient: nil, assignment: nil, cautions: [],
                    coincidence: nil, batteryPercent: nil, isDerived: false, received: record.frame.received))
            try tx.removeSuppressed(id: id)
            try tx.audit(at: now.wall, actor: actor, action: "release-suppressed", subject: held.subject.rawValue)
            return .success(try registrar.decideAgain(held, time: true, in: tx))
        }
    }
}
