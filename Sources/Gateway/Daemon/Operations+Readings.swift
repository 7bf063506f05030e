import ExactJSON
import HubAPI
import Intake
import Journal
import Protocols
import Steward
import Vitals

/// Readings and their stories.
extension Operations {
    func readings(limit: Int, state: String?) async throws(JournalError) -> JSON {
        try await journal.read { tx in
            var rows: [JSON] = []
            for act in try tx.newestActs(state: state, limit: limit) {
                let items = try tx.items(act: act.id)
                let device = try tx.device(id: act.device)?.name
                for (reading, identified) in zip(act.measurement.readings, act.readings) {
                    rows.append(
                        .members([
                            "id": .string(identified.subject.rawValue), "act": .string(act.subject.rawValue),
                            "kind": .string(reading.kind.rawValue), "effective": act.effective.map { .string("\($0)") },
                            "device": device.map { .string($0) }, "state": .string(act.state.name),
                            "reason": act.state.holdReason.map { .string($0.rawValue) },
                            "delivery": .array(
                                items.filter { $0.reading == identified.id }.map {
                                    .string("\($0.receiver) \($0.state.rawValue)")
                                }),
                        ]))
                }
            }
            return .array(rows)
        }
    }

    /// Raw bytes, clocks, decoding, decisions, every attempt.
    func story(_ id: String) async throws(JournalError) -> Result<JSON, OperationError> {
        try await journal.read { tx in
            guard let act = try tx.act(subject: id) else { return .failure(missing("reading", id)) }
            let frame = try tx.frame(id: act.frame)
            var items: [JSON] = []
            for item in try tx.items(act: act.id) { items.append(try story(of: item, in: tx)) }
            return .success(
                .members([
                    "id": .string(act.subject.rawValue), "readings": .array(act.readings.map { .string($0.subject.rawValue) }),
                    "device": try tx.device(id: act.device).map { .string($0.name) },
                    "frame": frame.map { frame in
                        .members([
                            "source": .string(frame.frame.source.format), "hex": .string(frame.frame.bytes.hex),
                            "received": frame.frame.received.json, "word": .string(frame.word.rawValue),
                        ])
                    },
                    "link": try tx.transfer(id: act.transfer).map { transfer in
                        .members([
                            "began": .string("\(transfer.began.wall)"),
                            "security": transfer.security.map { .string($0.rawValue) },
                        ])
                    },
                    "decoded": act.measurement.json(),
                    "decisions": .members([
                        "state": .string(act.state.name), "reason": act.state.holdReason.map { .string($0.rawValue) },
                        "effective": act.effective.map { .string("\($0)") },
                        "timeBasis": act.timeBasis.map { .string($0.rawValue) },
                        "coincidence": act.coincidence.map { ["device": .string("\($0.device)"), "hub": $0.hub.json] },
                        "patient": act.patient.map { .string($0.rawValue) },
                        "cautions": .array(act.cautions.map(\.rawValue).sorted().map { .string($0) }),
                        "ordinal": .integer(act.identity.ordinal), "revision": .integer(act.revision),
                        "derived": .bool(act.isDerived),
                    ]),
                    "items": .array(items),
                ]))
        }
    }

    private func story(of item: ItemRecord, in tx: Transaction) throws(JournalError) -> JSON {
        .members([
            "item": .integer(item.id), "reading": .string(item.readingSubject.rawValue), "receiver": .string(item.receiver),
            "kind": .string(item.kind.rawValue), "state": .string(item.state.rawValue), "reason": item.reason.map { .string($0) },
            "serverReference": item.serverReference.map { .string($0) },
            "attempts": .array(
                try tx.attempts(item: item.id).map { attempt in
                    .members([
                        "started": .string("\(attempt.started.wall)"), "ended": attempt.ended.map { .string("\($0)") },
                        "outcome": attempt.outcome.map { .string($0) }, "status": attempt.status.map { .integer($0) },
                        "milliseconds": attempt.durationMilliseconds.map { .integer($0) },
                        "detail": attempt.detail.map { .string($0) },
                    ])
                }),
        ])
    }

    func suppressed(_ limit: Int) async throws(JournalError) -> JSON {
        try await journal.read { tx in
            var rows: [JSON] = []
            for record in try tx.suppressed(limit: limit) {
                rows.append(
                    .members([
                        "number": .integer(record.id), "device": try tx.device(id: record.device).map { .string($0.name) },
                        "reading": try record.act.flatMap { id in try tx.act(id: id) }
                            .map { .string($0.subject.rawValue) },
                        "count": .integer(record.count), "first": .string("\(record.first)"), "last": .string("\(record.last)"),
                    ]))
            }
            return .array(rows)
        }
    }

    func release(suppressed id: Int64, _ actor: String) async throws(JournalError) -> Result<JSON, OperationError> {
        let decision = try await desk.release(suppressed: id, actor: actor)
        courier.ring()
        switch decision {
        case .success(let act):
            return .success(["id": .string(act.subject.rawValue), "state": .string(act.state.name)])
        case .failure: return .failure(missing("suppressed repeat", "\(id)"))
        }
    }

    // MARK: Outbox

    func outbox(_ receiver: String?, _ state: String?, _ limit: Int) async throws(JournalError) -> Result<JSON, OperationError> {
        let states: [ItemState]
        if let state {
            guard let known = ItemState(rawValue: state) else {
                return .failure(
                    refusal(
                        "The outbox was not listed.", "\"\(state)\" is no state.",
                        "Use one of: \(ItemState.allCases.map(\.rawValue).joined(separator: ", "))."))
            }
            states = [known]
        } else {
            states = ItemState.allCases
        }
        return .success(
            try await journal.read { tx in
                var rows: [JSON] = []
                for state in states where rows.count < limit {
                    for item in try tx.items(state: state, receiver: receiver, limit: limit - rows.count) {
                        rows.append(
                            .members([
                                "item": .integer(item.id), "reading": .string(item.readingSubject.rawValue),
                                "receiver": .string(item.receiver), "kind": .string(item.kind.rawValue),
                                "state": .string(item.state.rawValue), "reason": item.reason.map { .string($0) },
                                "effective": .string("\(item.effective)"),
                            ]))
                    }
                }
                return .array(rows)
            })
    }

    func outboxItem(_ id: Int64) async throws(JournalError) -> Result<JSON, OperationError> {
        try await journal.read { tx in
            guard let item = try tx.item(id: id) else { return .failure(missing("item", "\(id)")) }
            return .success(try story(of: item, in: tx))
        }
    }

    func retry(_ id: Int64?, _ receiver: String?, _ actor: String) async throws(JournalError) -> Result<JSON, OperationError> {
        if let receiver, !courier.names.contains(receiver) { return .failure(missing("receiver", receiver)) }
        if let id { return try await retry(item: id, actor) }
        let now = clock.now().wall
        try await journal.write { tx in
            try tx.audit(at: now, actor: actor, action: "retry", subject: receiver ?? "all")
        }
        var count = 0
        for name in receiver.map({ [$0] }) ?? courier.names {
            // First, so that what is refused once more meanwhile stands again.
            try await journal.write { tx in try tx.clear(.quarantine, subject: name) }
            var last: Int64 = 0
            while true {
                let after = last
                let retried = try await journal.write { tx -> [Int64] in
                    let items = try tx.items(state: .quarantined, receiver: name, after: after, limit: Self.piece)
                    for item in items { try tx.sendAgain(item) }
                    return items.map(\.id)
                }
                guard let end = retried.last else { break }
                count += retried.count
                last = end
            }
        }
        try await courier.release(receiver: receiver)
        return .success(["retried": .integer(count)])
    }

    /// Items a transaction, so that no intake commit waits behind one (R1: 20 ms).
    private static let piece = 25

    private func retry(item id: Int64, _ actor: String) async throws(JournalError) -> Result<JSON, OperationError> {
        let now = clock.now().wall
        let found = try await journal.write { tx -> (receiver: String, count: Int)? in
            guard let item = try tx.item(id: id) else { return nil }
            guard item.state == .quarantined || item.isForAPerson else { return (item.receiver, 0) }
            try tx.sendAgain(item)
            let left = try tx.counts().items[item.receiver] ?? [:]
            if left[.quarantined, default: 0] == 0 { try tx.clear(.quarantine, subject: item.receiver) }
            if left[.uncertain, default: 0] == 0 { try tx.clear(.outcomeUnknown, subject: item.receiver) }
            try tx.audit(at: now, actor: actor, action: "retry", subject: "item/\(id)")
            return (item.receiver, 1)
        }
        guard let found else { return .failure(missing("item", "\(id)")) }
        // Only its own receiver: what holds the others is not mended by this.
        try await courier.release(receiver: found.receiver)
        return .success(["retried": .integer(found.count)])
    }

    func quarantine(_ id: Int64, _ reason: String, _ actor: String) async throws(JournalError) -> Result<JSON, OperationError> {
        let now = clock.now().wall
        return try await journal.write { tx in
            guard let item = try tx.item(id: id) else { return .failure(missing("item", "\(id)")) }
            guard item.state == .waiting || item.isForAPerson else {
                return .failure(
                    refusal("The item was left as it is.", "It is \(item.state.rawValue).", "Only what waits can be set aside."))
            }
            try tx.setItem(id, state: .quarantined, reason: "by-a-person")
            try tx.raise(Condition(.quarantine, subject: item.receiver, since: now, reason: "A person set a reading aside."))
            try tx.audit(at: now, actor: actor, action: "quarantine", subject: "item/\(id)", detail: reason)
            return .success(["item": .integer(id), "state": .string(ItemState.quarantined.rawValue)])
        }
    }

    // MARK: The hub

    func declareClock(_ actor: String) async throws(JournalError) -> Result<JSON, OperationError> {
        guard let machine = clock as? MachineClock else {
            return .failure(refusal("The clock was not declared good.", "It follows a script.", "Take [clock] script out."))
        }
        machine.vouch(.declared)
        let now = clock.now()
        try await journal.write { tx in
            try tx.audit(at: now.wall, actor: actor, action: "declare-clock", subject: "hub", detail: "\(now.measuredTime)")
        }
        return .success(["now": .string("\(now.measuredTime)"), "source": .string(now.source.rawValue)])
    }

    func rotateKeys(_ actor: String) async throws(JournalError) -> Result<JSON, OperationError> {
        try await journal.rotateDataKey()
        let now = clock.now().wall
        try await journal.write { tx in
            try tx.audit(at: now, actor: actor, action: "rotate-keys", subject: "hub")
        }
        return .success(["rotated": true])
    }

    func wipe(_ confirm: String) async throws(JournalError) -> Result<JSON, OperationError> {
        guard confirm == "destroy-all-readings" else {
            return .failure(
                refusal(
                    "Nothing was wiped.", "The confirmation is missing.",
                    "Say `--confirm destroy-all-readings` if every reading on this hub shall be lost for ever."))
        }
        await capture?.drop(why: "the hub was wiped")
        try await journal.wipe()
        return .success(["wiped": true])
    }

    func audit(_ limit: Int) async throws(JournalError) -> JSON {
        try await journal.read { tx in
            .array(
                try tx.auditRecords(limit: limit).map { record in
                    .members([
                        "at": .string("\(record.at)"), "actor": .string(record.actor), "action": .string(record.action),
                        "subject": .string(record.subject), "detail": record.detail.map { .string($0) },
                    ])
                })
        }
    }
}

extension ItemRecord {
    /// Its outcome cannot be found out and its receiver's policy leaves it to a person.
    fileprivate var isForAPerson: Bool { state == .uncertain && reason == "for-a-person" }
}

extension Transaction {
    /// The item is owed again, with a request made anew: whatever was wrong with the old one is mended or not, but not repeated.
    fileprivate func sendAgain(_ item: ItemRecord) throws(JournalError) {
        if let dispatch = try openDispatch(item: item.id) { try dropDispatch(id: dispatch.id) }
        try setItem(item.id, state: .waiting)
    }
}

extension ClockReading {
    var json: JSON {
        [
            "wall": .string("\(measuredTime)"), "monotonicMilliseconds": .integer(monotonic.milliseconds),
            "boot": .string(boot.rawValue), "source": .string(source.rawValue),
        ]
    }
}
