import Catalogue
public import Journal
import Protocols
import Steward
import Vitals

/// Turns an arrived frame into what the journal keeps of it: identity, act, decisions, obligations. One transaction, no I/O of its own.
struct Registrar: Sendable {
    let settings: IntakeSettings
    let catalogue: DeviceCatalogue
    let zone: any Zone

    init(settings: IntakeSettings, catalogue: DeviceCatalogue, zone: any Zone) {
        self.settings = settings
        self.catalogue = catalogue
        self.zone = zone
    }

    /// A result frame with all that the session knows of it.
    struct Arrival: Sendable {
        var frame: Frame
        /// `nil` where the bytes could not be decoded or are no measurement.
        var measurement: Measurement?
        var decodeError: DecodeError?
        var device: DeviceRecord
        var key: DeviceKey
        var model: Model
        var transfer: Int64
        /// Equal records of this transfer whose word is known to have left.
        var equalInTransfer: [[UInt8]: Int]
        var recordsInTransfer: Int
        var coincidence: ClockCoincidence?
        var batteryPercent: Int?
        var isDerived = false
    }

    /// What became of it.
    enum Registration: Sendable {
        case act(ActRecord)
        /// A repeat of what is there (the act's frame, unless only a tombstone is left).
        case repeated(frame: Int64?, base: [UInt8])
        /// Kept as bytes alone.
        case kept(frame: Int64, reason: String)

        /// The frame whose word is open.
        var frame: Int64? {
            switch self {
            case .act(let act): act.frame
            case .repeated(let frame, _): frame
            case .kept(let frame, _): frame
            }
        }

        var base: [UInt8]? {
            switch self {
            case .act(let act): act.identity.base
            case .repeated(_, let base): base
            case .kept: nil
            }
        }
    }

    func register(_ arrival: Arrival, in tx: Transaction) throws(JournalError) -> Registration {
        let word: FrameRecord.Word = arrival.model.acknowledges.hasWord ? .pending : .none
        guard let measurement = arrival.measurement, measurement.kind.isResult else {
            let code = arrival.decodeError?.code.rawValue
            let frame = try tx.insertFrame(
                arrival.frame, device: arrival.device.id, transfer: arrival.transfer, word: word, decodeError: code)
            if let code {
                try tx.raise(
                    Condition(
                        .undecodable, subject: arrival.device.conditionSubject, since: arrival.frame.received.wall,
                        reason: "A record could not be decoded (\(code)); its bytes are kept."))
            }
            return .kept(frame: frame, reason: code ?? "no-result")
        }
        let decision = try decideArrival(
            of: measurement, bytes: arrival.frame.bytes, from: arrival.key, isModelKnown: !arrival.model.isGeneric,
            facts: StoredFacts(transaction: tx, arrival: arrival))
        let identity = decision.identity
        if case .repeated = decision {
            let act: Int64? = if case .act(let id) = try tx.identityState(identity) { id } else { nil }
            try tx.recordSuppressed(
                frame: arrival.frame, device: arrival.device.id, identity: identity, act: act, at: arrival.frame.received.wall)
            var frame: Int64?
            if let act { frame = try tx.act(id: act)?.frame }
            return .repeated(frame: frame, base: identity.base)
        }
        let frame = try tx.insertFrame(
            arrival.frame, device: arrival.device.id, transfer: arrival.transfer, word: word, base: identity.base)
        let decided = try decide(measurement, arrival: decision, as: arrival, in: tx)
        let act = try tx.insertAct(
            ActDraft(
                device: arrival.device.id, frame: frame, transfer: arrival.transfer, identity: identity, measurement: measurement,
                state: decided.state, effective: decided.effective, timeBasis: decided.timeBasis, patient: decided.patient,
                assignment: decided.assignment, cautions: decided.cautions, coincidence: arrival.coincidence,
                batteryPercent: arrival.batteryPercent, isDerived: arrival.isDerived, received: arrival.frame.received))
        try oblige(act, in: tx)
        try raiseHold(act, device: arrival.device, in: tx)
        return .act(act)
    }

    // MARK: Decisions

    struct Decided {
        var state: ActState
        var effective: MeasuredTime?
        var timeBasis: TimeBasis?
        var patient: PatientAlias?
        var assignment: Int64?
        var cautions: Set<Act.Caution>
    }

    private func decide(
        _ measurement: Measurement, arrival decision: ArrivalDecision, as arrival: Arrival, in tx: Transaction
    ) throws(JournalError) -> Decided {
        let time = decideTime(
            of: measurement, received: arrival.frame.received,
            isFromStorage: isTakenFromStorage(
                measurement, isStoredTransfer: arrival.model.records == .racp, keepsRecords: arrival.model.records != .none,
                recordsInTransfer: arrival.recordsInTransfer),
            isLiveWithoutStamp: arrival.model.clock.liveWithoutStamp,
            epochs: try tx.clockEpochs(device: arrival.device.id), zone: zone,
            completeUntil: try tx.completeUntil(device: arrival.device.id, model: arrival.model, before: arrival.transfer))
        return try decided(
            measurement, arrival: decision, time: time, received: arrival.frame.received, device: arrival.device.id,
            model: arrival.model, in: tx)
    }

    private func decided(
        _ measurement: Measurement, arrival: ArrivalDecision, time: TimeDecision, received: ClockReading, device: Int64,
        model: Model, in tx: Transaction
    ) throws(JournalError) -> Decided {
        let patient = decidePatient(
            time: time, received: received, userIndex: measurement.userIndex, users: UserRule(model.users),
            assignments: try tx.assignments(device: device), verification: try tx.device(id: device)?.proof ?? .none,
            guest: .none)
        let state = decideState(isInvalid: measurement.isInvalid, arrival: arrival, patient: patient)
        var result = Decided(
            state: state,
            cautions: decideCautions(of: measurement, state: state, ranges: settings.ranges + model.ranges.map(ValueRange.init)))
        if case .effective(let effective, let basis, _) = time {
            result.effective = effective
            result.timeBasis = basis
        }
        if case .bound(let assignment) = patient {
            result.patient = assignment.patient
            result.assignment = assignment.id
        }
        return result
    }

    /// Decides an act again: its time too where `time` says so, else with the time that it has.
    ///
    /// What a person decided, and what was already delivered, is left alone: R4 binds a reading once.
    @discardableResult
    func decideAgain(_ record: ActRecord, time redoesTime: Bool, in tx: Transaction) throws(JournalError) -> ActRecord {
        guard let device = try tx.device(id: record.device), let model = catalogue[device.model] else { return record }
        guard case .held(let reason) = record.state, reason != .possibleDuplicate,
            reason != .unproved || (device.state == .verified && record.waitsForProof)
        else {
            return redoesTime ? try correctTime(record, device: device, model: model, in: tx) : record
        }
        let time: TimeDecision
        if !redoesTime, let effective = record.effective, let basis = record.timeBasis {
            time = .effective(effective, basis, epoch: nil)
        } else {
            time = try timeAgain(record, model: model, in: tx)
        }
        let decided = try decided(
            record.measurement, arrival: .new(record.identity), time: time, received: record.received, device: device.id,
            model: model, in: tx)
        return try apply(decided, to: record, device: device, in: tx)
    }

    /// The time of a reading that is bound already, put right before it left.
    private func correctTime(
        _ record: ActRecord, device: DeviceRecord, model: Model, in tx: Transaction
    ) throws(JournalError) -> ActRecord {
        // Without an assignment a person bound it: that stands.
        guard record.state == .ready, record.assignment != nil, record.timeBasis != .stated, try !hasLeft(record, in: tx) else {
            return record
        }
        let decided = try decided(
            record.measurement, arrival: .new(record.identity), time: try timeAgain(record, model: model, in: tx),
            received: record.received, device: device.id, model: model, in: tx)
        return try apply(decided, to: record, device: device, in: tx)
    }

    /// Whether a receiver was told of it: then it is too late to change its time.
    func hasLeft(_ record: ActRecord, in tx: Transaction) throws(JournalError) -> Bool {
        try tx.items(act: record.id).contains { !$0.state.isUntold }
    }

    private func timeAgain(_ record: ActRecord, model: Model, in tx: Transaction) throws(JournalError) -> TimeDecision {
        decideTime(
            of: record.measurement, received: record.received,
            isFromStorage: isTakenFromStorage(
                record.measurement, isStoredTransfer: model.records == .racp, keepsRecords: model.records != .none,
                recordsInTransfer: try tx.acts(inTransfer: record.transfer).count),
            isLiveWithoutStamp: model.clock.liveWithoutStamp, epochs: try tx.clockEpochs(device: record.device), zone: zone,
            completeUntil: try tx.completeUntil(device: record.device, model: model, before: record.transfer))
    }

    private func apply(
        _ decided: Decided, to record: ActRecord, device: DeviceRecord, in tx: Transaction
    ) throws(JournalError) -> ActRecord {
        var changed = record
        changed.state = decided.state
        changed.effective = decided.effective
        changed.timeBasis = decided.timeBasis
        changed.patient = decided.patient
        changed.assignment = decided.assignment
        changed.cautions = decided.cautions
        guard changed != record else {
            try oblige(record, in: tx)
            return record
        }
        if changed.effective != record.effective || changed.patient != record.patient {
            // Obligations that were made for the earlier decision, none of which has left.
            for item in try tx.items(act: record.id) where item.state.isUntold {
                // A request that was frozen for it and did not arrive tells the earlier decision: it must not be sent again.
                if let dispatch = try tx.openDispatch(item: item.id) { try tx.dropDispatch(id: dispatch.id) }
                try tx.setItem(item.id, state: .withdrawn, reason: "superseded", at: record.received.wall)
            }
        }
        changed.revision += 1
        changed = try tx.update(changed)
        try oblige(changed, in: tx)
        try raiseHold(changed, device: device, in: tx)
        if let code = record.state.holdReason?.condition, changed.state.holdReason?.condition != code {
            try tx.clearHold(code, of: device)
        }
        return changed
    }

    /// Takes an act into a person's hands, unless a receiver was told of it already: no assignment and no proof that come later bind
    /// it.
    func holdForAPerson(_ record: ActRecord, in tx: Transaction) throws(JournalError) {
        let reason = record.state.holdReason
        guard record.state == .ready || (reason != nil && reason != .possibleDuplicate), try !hasLeft(record, in: tx) else {
            return
        }
        for item in try tx.items(act: record.id) where item.state.isUntold {
            try tx.setItem(item.id, state: .withdrawn, reason: "superseded", at: record.received.wall)
        }
        var held = record
        held.state = .held(.unproved)
        held.patient = nil
        held.assignment = nil
        held.revision += 1
        try tx.update(held)
    }

    /// Makes the obligations of a ready act: one for each reading and entitled receiver, each once.
    func oblige(_ act: ActRecord, in tx: Transaction) throws(JournalError) {
        guard act.state == .ready, let patient = act.patient, let effective = act.effective?.instant, let id = act.assignment,
            let assignment = try tx.assignment(id: id)
        else { return }
        for recipient in assignment.recipients
        where recipient.from <= effective && recipient.until.map({ effective < $0 }) ?? true {
            try oblige(act, to: recipient.receiver, patient: patient, effective: effective, in: tx)
        }
    }

    func oblige(
        _ act: ActRecord, to receiver: String, patient: PatientAlias, effective: Instant, in tx: Transaction
    ) throws(JournalError) {
        guard let channel = settings.channel(receiver, patient) else { return }
        for reading in act.readings {
            let made = try tx.insertItem(
                act: act.id, reading: reading, kind: .observation, receiver: receiver, channel: channel, effective: effective,
                created: act.received.wall)
            guard made == nil else { continue }
            // It was there: superseded by an earlier decision, it is owed again with the new one.
            for item in try tx.items(act: act.id)
            where item.reading == reading.id && item.receiver == receiver && item.kind == .observation && item.state == .withdrawn
                && item.reason == "superseded"
            {
                try tx.renew(item.id, channel: channel, effective: effective)
            }
        }
    }

    /// The hub's clock came right: the moments of this boot are computed again from the monotonic clock (R5).
    func putRight(_ record: ActRecord, by now: ClockReading, in tx: Transaction) throws(JournalError) {
        guard record.received.boot == now.boot else {
            try decideAfterItsBoot(record, by: now, in: tx)
            return
        }
        var changed = record
        if let received = record.received.putRight(by: now, zone: zone) { changed.received = received }
        if let coincidence = record.coincidence, let hub = coincidence.hub.putRight(by: now, zone: zone) {
            changed.coincidence = ClockCoincidence(device: coincidence.device, hub: hub)
            let change = observeClock(epochs: try tx.clockEpochs(device: record.device), face: coincidence.device, at: hub)
            try tx.apply(change, device: record.device)
        }
        changed = try tx.update(changed)
        try decideAgain(changed, time: true, in: tx)
    }

    /// Decodes a stored frame that an earlier decoder rejected. True where it became a reading.
    ///
    /// It is taken for a stored record: when it arrived says nothing of when it was measured.
    func decodeAgain(_ record: FrameRecord, in tx: Transaction) throws(JournalError) -> Bool {
        guard let device = try tx.device(id: record.device), let key = device.key, let model = catalogue[device.model],
            let measurement = try? FrameDecoder.measurement(record.frame.source, record.frame.bytes)
        else { return false }
        try tx.setDecodeError(nil, frame: record.id)
        guard measurement.kind.isResult else { return false }
        let identity = ReadingIdentity(base: ReadingIdentity.base(of: measurement, from: key), ordinal: 0)
        guard case .unknown = try tx.identityState(identity) else { return false }
        let time = decideTime(
            of: measurement, received: record.frame.received, isFromStorage: true,
            isLiveWithoutStamp: model.clock.liveWithoutStamp, epochs: try tx.clockEpochs(device: device.id), zone: zone)
        let decided = try decided(
            measurement, arrival: .new(identity), time: time, received: record.frame.received, device: device.id, model: model,
            in: tx)
        let act = try tx.insertAct(
            ActDraft(
                device: device.id, frame: record.id, transfer: record.transfer, identity: identity, measurement: measurement,
                state: decided.state, effective: decided.effective, timeBasis: decided.timeBasis, patient: decided.patient,
                assignment: decided.assignment, cautions: decided.cautions, received: record.frame.received))
        try oblige(act, in: tx)
        try raiseHold(act, device: device, in: tx)
        return true
    }

    /// The boot in which it came ended before the clock was right: a stamp still counts, when it arrived does not.
    private func decideAfterItsBoot(_ record: ActRecord, by now: ClockReading, in tx: Transaction) throws(JournalError) {
        guard let device = try tx.device(id: record.device), let model = catalogue[device.model] else { return }
        let time = decideTime(
            of: record.measurement, received: now, isFromStorage: true, isLiveWithoutStamp: model.clock.liveWithoutStamp,
            epochs: try tx.clockEpochs(device: device.id), zone: zone)
        let decided = try decided(
            record.measurement, arrival: .new(record.identity), time: time, received: now, device: device.id, model: model, in: tx
        )
        _ = try apply(decided, to: record, device: device, in: tx)
    }

    private func raiseHold(_ act: ActRecord, device: DeviceRecord, in tx: Transaction) throws(JournalError) {
        guard case .held(let reason) = act.state, let code = reason.condition else { return }
        try tx.raise(
            Condition(
                code, subject: device.conditionSubject, since: act.received.wall,
                reason: "Readings of this device are held: \(reason.rawValue)."))
    }
}

extension Transaction {
    /// When the hub last held all that the device had to tell: the end of an earlier transfer that ended in its own time. What a device
    /// sends afterwards was measured since, which tells equal faces of two clock epochs apart.
    func completeUntil(device: Int64, model: Model, before transfer: Int64) throws(JournalError) -> Instant? {
        guard model.records != .none else { return nil }
        for earlier in try lastTransfers(device: device, limit: 10) where earlier.id < transfer {
            if let ended = earlier.ended, ended.isSynchronised,
                ["quiet", "peer-ended", "records-ended"].contains(earlier.outcome ?? "")
            {
                return ended.wall
            }
        }
        return nil
    }

    /// A hold that no act of the device waits in any more needs no condition.
    func clearHold(_ code: Condition.Code, of device: DeviceRecord) throws(JournalError) {
        for reason in HoldReason.allCases where reason.condition == code {
            guard try acts(ActFilter(device: device.id, heldReason: reason), limit: 1).isEmpty else { return }
        }
        try clear(code, subject: device.conditionSubject)
    }

    /// Writes down what a look at a device's clock changed.
    func apply(_ change: EpochChange, device: Int64) throws(JournalError) {
        if let updated = change.updated { try update(updated, device: device) }
        for epoch in change.begun {
            _ = try insertClockEpoch(
                device: device, deviceStart: epoch.deviceStart, deviceLatest: epoch.deviceLatest, coincidence: epoch.coincidence,
                origin: epoch.origin, isClosed: epoch.isClosed)
        }
    }
}

/// What the decision on an arrival asks of the journal.
private struct StoredFacts: ArrivalFacts {
    let transaction: Transaction
    let arrival: Registrar.Arrival

    func isKnown(_ identity: ReadingIdentity) throws(JournalError) -> Bool {
        if case .unknown = try transaction.identityState(identity) { false } else { true }
    }

    func equalInTransfer(_ base: [UInt8]) throws(JournalError) -> Int { arrival.equalInTransfer[base] ?? 0 }

    func equalEver(_ base: [UInt8]) throws(JournalError) -> Int { try transaction.equalCount(base: base) }

    func lastFrame() throws(JournalError) -> LastFrame? {
        try transaction.lastFrame(device: arrival.device.id).map {
            LastFrame(bytes: $0.frame.bytes, isWordSent: $0.word != .pending)
        }
    }
}

extension Acknowledgement {
    /// Whether a reading of such a device has a word that can be outstanding.
    var hasWord: Bool {
        switch self {
        case .confirmation, .response, .command, .disconnect: true
        case .link, .none: false
        }
    }
}

extension DeviceRecord {
    /// What a condition of this device stands on: its row id, since its name may be a person's (R8).
    public var conditionSubject: String { "device/\(id)" }
}

extension Model {
    /// An entry for any device of a profile: how its maker treats equal records is not known.
    var isGeneric: Bool { id.hasPrefix("generic-") }
}

extension DeviceRecord {
    /// What the decision on whose a reading is has to know of the device's proof (R4).
    var proof: Verification {
        switch verification {
        case .open(let since): .open(since: since)
        case .endedUnproved(let from, let until): .endedUnproved(from: from, until: until)
        case .proved, nil: state == .provisioning ? .never : .none
        }
    }
}

extension ActRecord {
    /// It was held because its device was not proved, and nothing was decided about it since: a proof releases it. One that was held
    /// later, because another device had answered, has a revision and waits for a person.
    var waitsForProof: Bool { state == .held(.unproved) && revision == 0 }
}

extension UserRule {
    init(_ users: Model.Users) {
        switch users {
        case .single: self = .single
        case .indexed: self = .indexed
        case .shared: self = .shared
        }
    }
}

extension ValueRange {
    init(_ range: Model.Range) { self.init(name: range.name, unit: range.unit, low: range.low, high: range.high) }
}

extension HoldReason {
    /// The condition that a person is told by; none where it goes away by itself.
    var condition: Condition.Code? {
        switch self {
        case .timeUnknown: .timeUnknown
        case .possibleDuplicate: .possibleDuplicate
        case .unassigned, .beforeAssignment, .noUserIndex, .unproved: .unassigned
        case .hubClock: nil
        }
    }
}
