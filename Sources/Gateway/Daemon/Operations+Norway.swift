import Courier
import ExactJSON
import HubAPI
import Journal
import Steward
import Vitals

/// The hub's clients at HelseID, and the numbers by which receivers know patients.
extension Operations {
    func helseIDClients() async throws(JournalError) -> JSON {
        var rows: [JSON] = []
        for receiver in helseIDs {
            let standing = try await receiver.keeper.standing()
            rows.append(
                .members([
                    "receiver": .string(receiver.name), "issuer": .string(receiver.keeper.client.issuer),
                    "client": .string(receiver.keeper.client.identifier), "key": standing.map { .string($0.current) },
                    "candidate": standing?.candidate.map { .string($0) },
                    "candidateRegistered": standing?.candidate == nil ? nil : standing.map { .bool($0.isCandidateRegistered) },
                    "previous": standing?.previous.map { .string($0) }, "own": standing.map { .bool($0.isOwn) },
                    "jwk": standing.flatMap { try? JSON(parsing: $0.publicJWK) },
                ]))
        }
        return .array(rows)
    }

    func changeHelseIDKey(
        _ name: String, _ change: String, _ actor: String
    ) async throws(JournalError) -> Result<JSON, OperationError> {
        let what = "The key was left as it is."
        guard let receiver = helseIDs.first(where: { $0.name == name }) else {
            let names = helseIDs.map(\.name).joined(separator: ", ")
            return .failure(
                refusal(
                    what, "No receiver \"\(name)\" stands behind HelseID.",
                    names.isEmpty ? "Configure one of kind \"pmd\" or \"vkp\"." : "Name one of: \(names)."))
        }
        let wanted: HelseIDKeeper.Change
        switch change {
        case "generate": wanted = .generate
        case "rotate": wanted = .rotate
        case "registered": wanted = .registered
        case "abandon": wanted = .abandon
        default: return .failure(refusal(what, "There is no change \"\(change)\".", "See `vitalgate helseid --help`."))
        }
        if let why = try await receiver.keeper.change(wanted, actor: actor) {
            return .failure(refusal(what, "It cannot be done: \(why).", "See `vitalgate helseid`."))
        }
        // Whatever waited for a key or for its registration is tried at once.
        for other in helseIDs where other.keeper.client == receiver.keeper.client { try await hasten(other.name) }
        guard let standing = try await receiver.keeper.standing() else {
            return .failure(refusal(what, "There is no key yet.", "Make one: `vitalgate helseid register \(name)`."))
        }
        return .success(
            .members([
                "key": .string(standing.current), "candidate": standing.candidate.map { .string($0) },
                "jwk": (try? JSON(parsing: standing.publicJWK)) ?? .null,
            ]))
    }

    private func hasten(_ name: String) async throws(JournalError) {
        let channels = try await journal.read { tx in try tx.channelRecords().filter { $0.receiver == name }.map(\.channel) }
        for channel in channels { try await courier.release(channel: channel) }
    }

    func identify(
        _ patient: String, _ name: String, _ identifier: String, _ actor: String
    ) async throws(JournalError) -> Result<JSON, OperationError> {
        let what = "The patient's identifier was left as it is."
        guard courier.names.contains(name) else { return .failure(missing("receiver", name)) }
        if citizens.receivers.contains(where: { $0.receiver.settings.name == name }) {
            return .failure(
                refusal(
                    what, "FUT knows a citizen by the alias: it is the logical id of the Patient there.",
                    "Assign the device under that id."))
        }
        var number = identifier
        var warnings: [String] = []
        if !identifier.isEmpty, helseIDs.contains(where: { $0.name == name }) {
            do throws(NorwegianNumberError) {
                let read = try NorwegianPersonNumber(identifier)
                guard read.system != nil else {
                    return .failure(
                        refusal(
                            what, "The number is known to one organisation alone.",
                            "Give the fødselsnummer, the D-number or the felles hjelpenummer."))
                }
                number = read.digits
                warnings = read.warnings.map(\.rawValue)
            } catch {
                return .failure(
                    refusal(
                        what, "It is no Norwegian number of a person.",
                        "Type the eleven digits of fødselsnummer, D-number or felles hjelpenummer."))
            }
        }
        let alias = PatientAlias(rawValue: patient)
        let now = clock.now().wall
        guard let channel = courier.channel(of: name, for: alias) else { return .failure(missing("receiver", name)) }
        let stored = number
        try await journal.write { tx in
            try tx.setIdentifier(stored.isEmpty ? nil : stored, of: alias, at: name)
            // A request that names the earlier number is made anew; one of unknown outcome is asked about as it was sent.
            for item in try tx.items(state: .waiting, receiver: name, limit: 10_000) where item.channel == channel {
                if let open = try tx.openDispatch(item: item.id) { try tx.dropDispatch(id: open.id) }
            }
            try tx.audit(
                at: now, actor: actor, action: "identify", subject: patient, detail: stored.isEmpty ? "\(name): forgotten" : name)
        }
        try await courier.release(channel: channel)
        return .success(.members(["warnings": .array(warnings.map { .string($0) }), "forgotten": stored.isEmpty ? true : nil]))
    }

    // MARK: Hubs of a relay

    func hubsStanding() async throws(JournalError) -> JSON {
        let heard = try await journal.read { tx in try tx.hubs() }
        let now = clock.now().wall
        return .array(
            hubs.map { hub in
                let last = heard[hub.name]
                let isSilent = last.map { now - $0 > .seconds(hub.silentMinutes * 60) } ?? true
                return .members([
                    "hub": .string(hub.name), "heard": last.map { .string("\($0)") },
                    "state": .string(last == nil ? "never-heard" : isSilent ? "silent" : "heard"),
                    "recipients": .string(hub.recipients.joined(separator: ",")),
                ])
            })
    }

    // MARK: Not reported

    func notices(_ limit: Int) async throws(JournalError) -> JSON {
        let notices = try await journal.read { tx in try tx.notices(limit: limit) }
        return .array(
            notices.map { notice in
                .members([
                    "notice": .integer(notice.id), "channel": .string(notice.channel),
                    "patient": .string(notice.patient.rawValue), "from": .string("\(notice.starts)"),
                    "until": .string("\(notice.ends)"), "state": .string(notice.state.rawValue),
                    "reason": notice.reason.map { .string($0) },
                ])
            })
    }

    /// What a person found out about a notice of unknown outcome, or decides about a refused one.
    func decideNotice(
        _ id: Int64, _ decision: String, _ actor: String
    ) async throws(JournalError) -> Result<JSON, OperationError> {
        let what = "The notice \(id) was left as it is."
        let state: ItemState
        switch decision {
        case "told": state = .delivered
        case "again": state = .waiting
        case "drop": state = .withdrawn
        default: return .failure(refusal(what, "There is no decision \"\(decision)\".", "Say told, again or drop."))
        }
        let now = clock.now().wall
        let before = try await journal.write { tx -> ItemState? in
            guard var notice = try tx.notice(id: id) else { return nil }
            let before = notice.state
            guard before == .uncertain || before == .quarantined else { return before }
            notice.state = state
            notice.reason = "a person: \(decision)"
            try tx.setNotice(notice)
            for (open, code) in [(ItemState.uncertain, Condition.Code.outcomeUnknown), (.quarantined, .quarantine)]
            where try tx.notices(channel: notice.channel, state: open).isEmpty {
                try tx.clear(code, subject: notice.channel)
            }
            try tx.audit(at: now, actor: actor, action: "decide-notice", subject: "notice \(id)", detail: decision)
            return before
        }
        switch before {
        case nil: return .failure(refusal(what, "The hub does not know it.", "See `vitalgate outbox notices`."))
        case .uncertain, .quarantined: return .success(["notice": .integer(id), "state": .string(state.rawValue)])
        case let before?:
            return .failure(
                refusal(
                    what, "It is \(before.rawValue), and only an uncertain or quarantined one is a person's.",
                    "See `vitalgate outbox notices`."))
        }
    }
}
