import ExactJSON
import HubAPI
import Intake
import Journal
import Steward
import Vitals

/// Devices, assignments and the state of the whole.
extension Operations {
    func status() async throws(JournalError) -> JSON {
        let now = clock.now()
        let storage = try? await journal.storage()
        let state = await journal.state
        return try await journal.read { tx in
            let counts = try tx.counts()
            var receivers: [JSON.Member] = []
            // Also those that are no longer configured and are still owed something.
            for name in Set(courier.names).union(counts.items.keys).sorted() {
                let items = counts.items[name] ?? [:]
                receivers.append(
                    .init(name, .object(ItemState.allCases.map { .init($0.rawValue, .integer(items[$0, default: 0])) })))
            }
            var conditions = try tx.conditions()
            if let full = alarm.condition, !conditions.contains(where: { $0.code == full.code }) { conditions.append(full) }
            return .members([
                "version": .string(Daemon.version), "well": .bool(conditions.isEmpty),
                "clock": [
                    "now": .string("\(now.measuredTime)"), "source": .string(now.source.rawValue),
                    "synchronised": .bool(now.isSynchronised),
                ],
                "journal": .members([
                    "state": .string("\(state)"), "frames": .integer(counts.frames), "undecoded": .integer(counts.undecoded),
                    "suppressed": .integer(counts.suppressed), "freeBytes": storage.map { .integer($0.freeBytes) },
                    "databaseBytes": storage.map { .integer($0.databaseBytes) },
                ]),
                "acts": .object(counts.acts.sorted { $0.key < $1.key }.map { .init($0.key, .integer($0.value)) }),
                "held": .object(
                    counts.held.sorted { $0.key.rawValue < $1.key.rawValue }.map { .init($0.key.rawValue, .integer($0.value)) }),
                "receivers": .object(receivers),
                "channels": .array(
                    try tx.channelRecords().filter { $0.held != nil || $0.failures > 0 }.map { record in
                        .members([
                            "channel": .string(record.channel), "held": record.held.map { .string($0.reason) },
                            "failures": .integer(record.failures), "kind": record.failureKind.map { .string($0) },
                            "since": (record.held?.since ?? record.firstFailure).map { .string("\($0)") },
                        ])
                    }),
                "conditions": .array(
                    try conditions.map { condition throws(JournalError) in
                        condition.json(device: try tx.device(of: condition)?.name)
                    }),
            ])
        }
    }

    func devices() async throws(JournalError) -> JSON {
        try await journal.read { tx in
            var rows: [JSON] = []
            for device in try tx.devices() { rows.append(try row(device, in: tx)) }
            return .array(rows)
        }
    }

    private func row(_ device: DeviceRecord, in tx: Transaction) throws(JournalError) -> JSON {
        let now = clock.now().wall
        let patients = try tx.assignments(device: device.id).filter { $0.until.map { now < $0 } ?? true }.map(\.patient.rawValue)
        return .members([
            "id": .integer(device.id), "name": .string(device.name), "model": .string(device.model),
            "state": .string(device.state.rawValue), "bearer": .string(device.bearer),
            "batteryPercent": device.batteryPercent.map { .integer($0) }, "lastSeen": device.lastSeen.map { .string("\($0)") },
            "patients": .array(patients.map { .string($0) }),
        ])
    }

    func device(_ name: String) async throws(JournalError) -> Result<JSON, OperationError> {
        try await journal.read { tx in
            guard let device = try tx.device(named: name) else { return .failure(missing("device", name)) }
            let identity = device.identity
            var json = try row(device, in: tx)
            json = json.setting(
                "identity",
                to: .members([
                    "manufacturer": identity.manufacturer.map { .string($0) }, "model": identity.modelNumber.map { .string($0) },
                    "serial": identity.serialNumber.map { .string($0) },
                    "firmware": identity.firmwareRevision.map { .string($0) },
                    "systemID": identity.systemID.map { .string($0.hex) }, "address": identity.address.map { .string($0) },
                ]))
            json = json.setting("security", to: device.security.map { .string($0.rawValue) } ?? .null)
            json = json.setting("bonded", to: .bool(try tx.bond(device: device.id) != nil))
            if let verification = device.verification { json = json.setting("verification", to: verification.json) }
            json = json.setting("assignments", to: .array(try tx.assignments(device: device.id).map(\.json)))
            json = json.setting(
                "clockEpochs",
                to: .array(
                    try tx.clockEpochs(device: device.id).map { epoch in
                        .members([
                            "origin": .string(epoch.origin.rawValue), "from": epoch.deviceStart.map { .string("\($0)") },
                            "latest": .string("\(epoch.deviceLatest)"), "device": .string("\(epoch.coincidence.device)"),
                            "hub": .string("\(epoch.coincidence.hub.measuredTime)"), "closed": .bool(epoch.isClosed),
                        ])
                    }))
            return .success(
                json.setting(
                    "transfers",
                    to: .array(
                        try tx.lastTransfers(device: device.id, limit: 10).map { transfer in
                            .members([
                                "began": .string("\(transfer.began.wall)"), "ended": transfer.ended.map { .string("\($0.wall)") },
                                "outcome": transfer.outcome.map { .string($0) },
                                "endReason": transfer.endReason.map { .string($0) },
                                "security": transfer.security.map { .string($0.rawValue) },
                            ])
                        })))
        }
    }

    /// What happened with a device, the newest last.
    func deviceLog(_ name: String, _ limit: Int) async throws(JournalError) -> Result<JSON, OperationError> {
        try await journal.read { tx in
            guard let device = try tx.device(named: name) else { return .failure(missing("device", name)) }
            let entries = try tx.log(device: device.id, limit: limit)
            return .success(
                .array(
                    zip(entries, DeviceLogEntry.timesInLink(of: entries)).map { entry, time in
                        .members([
                            "at": .string("\(entry.wall)"), "monotonicMilliseconds": .integer(entry.monotonic.milliseconds),
                            "boot": .string(entry.boot.rawValue), "linkMilliseconds": time.map { .integer($0.milliseconds) },
                            "kind": .string(entry.kind.rawValue), "detail": entry.detail.map { .string($0) },
                        ])
                    }))
        }
    }

    func add(
        _ name: String, _ model: String, _ bearer: String, _ actor: String
    ) async throws(JournalError) -> Result<JSON, OperationError> {
        guard DeviceRecord.isName(name) else {
            return .failure(
                refusal("The device was not added.", "\"\(name)\" is no name for one.", "Use a-z, 0-9 and dashes, 40 at most."))
        }
        guard catalogue[model] != nil else {
            return .failure(
                refusal(
                    "The device was not added.", "The catalogue has no model \"\(model)\".",
                    "Use one of: \(catalogue.models.map(\.id).joined(separator: ", "))."))
        }
        guard bearer.hasPrefix("socket:/") else {
            return .failure(
                refusal(
                    "The device was not added.", "\"\(bearer)\" is no place that this release can reach.",
                    "Name a socket (--bearer socket:/run/cuff.sock); a Bluetooth device is paired instead: `vitalgate pair`."))
        }
        let now = clock.now().wall
        let added = try await journal.write { tx -> DeviceRecord? in
            guard try tx.holder(of: name) == nil else { return nil }
            let device = try tx.addDevice(name: name, model: model, bearer: bearer, state: .verified, at: now)
            try tx.audit(at: now, actor: actor, action: "add-device", subject: device.conditionSubject, detail: model)
            return device
        }
        guard let added else {
            return .failure(
                refusal("The device was not added.", "There is one named \"\(name)\" already.", "Choose another name."))
        }
        roster.ring()
        radio?.ring()
        return .success(["id": .integer(added.id), "name": .string(name), "state": .string(added.state.rawValue)])
    }

    func assign(_ assign: HubAPI.Operation.Assign, _ actor: String) async throws(JournalError) -> Result<JSON, OperationError> {
        let receivers = assign.recipients.isEmpty ? standardReceivers : assign.recipients
        if let unknown = receivers.first(where: { !courier.names.contains($0) }) {
            return .failure(
                refusal(
                    "Nobody was assigned.", "There is no receiver \"\(unknown)\".",
                    "Name one of: \(courier.names.joined(separator: ", "))."))
        }
        let now = clock.now().wall
        let from = assign.from ?? now
        let written = try await journal.write { tx -> Result<(Int64, Assignment), OperationError> in
            guard let device = try tx.device(named: assign.device) else { return .failure(missing("device", assign.device)) }
            let others = try tx.assignments(device: device.id).filter {
                $0.userIndex == assign.user && $0.overlaps(from: from, until: assign.until)
            }
            if let other = others.first(where: { $0.patient.rawValue != assign.patient }) {
                return .failure(
                    refusal(
                        "Nobody was assigned.",
                        "The device belongs to another patient from \(other.from)\(other.until.map { " until \($0)" } ?? "").",
                        "End that with `vitalgate return \(device.name)`, or give a period that does not overlap."))
            }
            // Within a period that stands, the receivers are added to it: a second assignment would take the device from the first.
            if let other = others.first(where: { $0.contains(from: from, until: assign.until) }) {
                for receiver in receivers
                where !other.recipients.contains(where: { $0.tells(receiver, from: from, until: assign.until) }) {
                    try tx.addRecipient(.init(receiver: receiver, from: from, until: assign.until), assignment: other.id)
                }
                try tx.audit(at: now, actor: actor, action: "assign", subject: device.conditionSubject, detail: assign.patient)
                return .success((device.id, try tx.assignment(id: other.id) ?? other))
            }
            let assignment = try tx.insertAssignment(
                Assignment(
                    id: 0, device: device.id, userIndex: assign.user, patient: PatientAlias(rawValue: assign.patient), from: from,
                    until: assign.until, recipients: receivers.map { .init(receiver: $0, from: from, until: assign.until) }))
            try tx.audit(at: now, actor: actor, action: "assign", subject: device.conditionSubject, detail: assign.patient)
            return .success((device.id, assignment))
        }
        switch written {
        case .failure(let error): return .failure(error)
        case .success((let device, let assignment)):
            let bound = try await desk.assigned(device: device)
            courier.ring()
            citizens.doorbell.ring()
            return .success(assignment.json.setting("readingsBound", to: .integer(bound)))
        }
    }

    /// - Parameter forgets: the bond goes too, and what was kept with it: the device would have to be paired again.
    func giveBack(
        _ name: String, abandon: String?, forgets: Bool = false, _ actor: String
    ) async throws(JournalError) -> Result<JSON, OperationError> {
        let look = clock.now()
        let now = look.wall
        let result = try await journal.write { tx -> Result<JSON, OperationError> in
            guard var device = try tx.device(named: name) else { return .failure(missing("device", name)) }
            let open = try tx.openItems(device: device.id)
            if open > 0, abandon == nil {
                return .failure(
                    OperationError(
                        "The device \(name) was not returned.", why: "\(open) obligations about its readings are open.",
                        remedy:
                            "Wait until they are delivered (`vitalgate outbox list`), or add --abandon REASON: they stay on the hub.",
                        exitCode: 75))
            }
            if let ended = try tx.endVerificationUnproved(device: device.id, at: look) { device = ended }
            device.state = .returned
            if forgets {
                device.handleMap = nil
                try tx.removeBond(device: device.id)
            }
            try tx.update(device)
            for assignment in try tx.assignments(device: device.id) where assignment.until.map({ now < $0 }) ?? true {
                try tx.endAssignment(id: assignment.id, at: now)
            }
            try tx.audit(at: now, actor: actor, action: "return-device", subject: device.conditionSubject, detail: abandon)
            return .success(["name": .string(name), "state": .string(device.state.rawValue), "open": .integer(open)])
        }
        roster.ring()
        radio?.ring()
        return result
    }

    func refuse(_ patient: String, _ receiver: String, _ refuses: Bool, _ actor: String) async throws(JournalError) -> JSON {
        let (alias, now) = (PatientAlias(rawValue: patient), clock.now().wall)
        try await journal.write { tx in
            if refuses {
                try tx.insertRefusal(patient: alias, receiver: receiver, at: now)
            } else {
                try tx.removeRefusal(patient: alias, receiver: receiver)
            }
            try tx.audit(
                at: now, actor: actor, action: refuses ? "refuse" : "unrefuse", subject: receiver, detail: patient)
        }
        courier.ring()
        return ["receiver": .string(receiver), "refused": .bool(refuses)]
    }
}

extension Assignment.Recipient {
    /// Whether the receiver is told for all of that time already.
    func tells(_ receiver: String, from start: Instant, until end: Instant?) -> Bool {
        self.receiver == receiver && from <= start && (until.map { until in end.map { $0 <= until } ?? false } ?? true)
    }
}

extension Assignment {
    func contains(from other: Instant, until end: Instant?) -> Bool {
        from <= other && (until.map { until in end.map { $0 <= until } ?? false } ?? true)
    }

    func overlaps(from other: Instant, until end: Instant?) -> Bool {
        (until.map { other < $0 } ?? true) && (end.map { from < $0 } ?? true)
    }

    var json: JSON {
        .members([
            "patient": .string(patient.rawValue), "user": userIndex.map { .integer($0) }, "from": .string("\(from)"),
            "until": until.map { .string("\($0)") },
            "recipients": .array(
                recipients.map { recipient in
                    .members([
                        "receiver": .string(recipient.receiver), "from": .string("\(recipient.from)"),
                        "until": recipient.until.map { .string("\($0)") },
                    ])
                }),
        ])
    }
}

extension DeviceVerification {
    var json: JSON {
        switch self {
        case .open(let since): ["state": "open", "since": .string("\(since.wall)")]
        case .proved(let at): ["state": "proved", "at": .string("\(at)")]
        case .endedUnproved(let from, let until):
            ["state": "ended-unproved", "since": .string("\(from)"), "until": .string("\(until)")]
        }
    }
}

extension Condition {
    /// - Parameter device: the name of the device that it stands on.
    func json(device: String?) -> JSON {
        .members([
            "code": .string(code.rawValue), "subject": .string(subject), "device": device.map { .string($0) },
            "since": .string("\(since)"), "reason": .string(reason), "remedy": .string(remedy(device: device)),
        ])
    }

    /// What a person does about it, with the device's own name in the commands.
    private func remedy(device: String?) -> String {
        guard let device else { return code.remedy }
        return code.remedy.replacing("NAME", with: device)
    }
}

extension Transaction {
    fileprivate func device(of condition: Condition) throws(JournalError) -> DeviceRecord? {
        let scheme = "device/"
        guard condition.subject.hasPrefix(scheme), let id = Int64(condition.subject.dropFirst(scheme.count)) else { return nil }
        return try device(id: id)
    }
}
