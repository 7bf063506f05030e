public import ExactJSON
import Vitals

extension Operation {
    /// The last part of the path.
    public var name: String {
        switch self {
        case .status: "status"
        case .devices: "devices"
        case .device: "device"
        case .deviceLog: "device-log"
        case .addDevice: "add-device"
        case .assign: "assign"
        case .returnDevice: "return-device"
        case .forgetDevice: "forget-device"
        case .readings: "readings"
        case .reading: "reading"
        case .assignReading: "assign-reading"
        case .rejectReading: "reject-reading"
        case .retractReading: "retract-reading"
        case .rebindReading: "rebind-reading"
        case .outbox: "outbox"
        case .outboxItem: "outbox-item"
        case .retry: "retry"
        case .quarantine: "quarantine"
        case .suppressed: "suppressed"
        case .releaseSuppressed: "release-suppressed"
        case .refuse: "refuse"
        case .unrefuse: "unrefuse"
        case .declareClock: "declare-clock"
        case .rotateKeys: "rotate-keys"
        case .wipeKeys: "wipe-keys"
        case .audit: "audit"
        case .signIns: "sign-ins"
        case .beginSignIn: "begin-sign-in"
        case .signIn: "sign-in"
        case .answerSignIn: "answer-sign-in"
        case .signOut: "sign-out"
        case .plan: "plan"
        case .equipment: "equipment"
        case .helseIDClients: "helseid-clients"
        case .changeHelseIDKey: "change-helseid-key"
        case .identify: "identify"
        case .hubs: "hubs"
        case .notices: "notices"
        case .decideNotice: "decide-notice"
        case .beginScan: "begin-scan"
        case .beginPairing: "begin-pairing"
        case .beginVerification: "begin-verification"
        case .procedure: "procedure"
        case .answerProcedure: "answer-procedure"
        case .cancelProcedure: "cancel-procedure"
        case .resetAdapter: "reset-adapter"
        case .startCapture: "start-capture"
        case .stopCapture: "stop-capture"
        case .capture: "capture"
        case .readCapture: "read-capture"
        case .deleteCapture: "delete-capture"
        }
    }

    public var parameters: JSON {
        switch self {
        case .status, .devices, .declareClock, .rotateKeys, .resetAdapter, .stopCapture, .capture, .deleteCapture, .signIns,
            .helseIDClients, .hubs:
            [:]
        case .device(let name), .forgetDevice(let name): ["name": .string(name)]
        case .deviceLog(let name, let limit): ["name": .string(name), "limit": .integer(limit)]
        case .addDevice(let name, let model, let bearer):
            ["name": .string(name), "model": .string(model), "bearer": .string(bearer)]
        case .assign(let assign):
            .members([
                "device": .string(assign.device), "patient": .string(assign.patient), "user": assign.user.map { .integer($0) },
                "recipients": .array(assign.recipients.map { .string($0) }), "from": assign.from.map { .string("\($0)") },
                "until": assign.until.map { .string("\($0)") },
            ])
        case .returnDevice(let name, let abandon): .members(["name": .string(name), "abandon": abandon.map { .string($0) }])
        case .readings(let limit, let state): .members(["limit": .integer(limit), "state": state.map { .string($0) }])
        case .reading(let id): ["id": .string(id)]
        case .assignReading(let id, let patient, let recipients, let at, let reason):
            .members([
                "id": .string(id), "patient": .string(patient), "recipients": .array(recipients.map { .string($0) }),
                "at": at.map { .string("\($0)") },
                "reason": reason.map { .string($0) },
            ])
        case .rejectReading(let id, let reason), .retractReading(let id, let reason):
            ["id": .string(id), "reason": .string(reason)]
        case .rebindReading(let id, let patient, let reason):
            ["id": .string(id), "patient": .string(patient), "reason": .string(reason)]
        case .outbox(let receiver, let state, let limit):
            .members(["receiver": receiver.map { .string($0) }, "state": state.map { .string($0) }, "limit": .integer(limit)])
        case .outboxItem(let id), .releaseSuppressed(let id): ["id": .integer(id)]
        case .retry(let item, let receiver):
            .members(["item": item.map { .integer($0) }, "receiver": receiver.map { .string($0) }])
        case .quarantine(let item, let reason): ["item": .integer(item), "reason": .string(reason)]
        case .suppressed(let limit), .audit(let limit), .notices(let limit): ["limit": .integer(limit)]
        case .refuse(let patient, let receiver), .unrefuse(let patient, let receiver):
            ["patient": .string(patient), "receiver": .string(receiver)]
        case .wipeKeys(let confirm): ["confirm": .string(confirm)]
        case .beginScan(let seconds, let all): ["seconds": .integer(seconds), "all": .bool(all)]
        case .beginPairing(let pairing):
            .members([
                "device": .string(pairing.device), "name": pairing.name.map { .string($0) },
                "model": pairing.model.map { .string($0) }, "passkey": pairing.passkey.map { .string($0) },
                "pin": pairing.pin.map { .string($0) },
            ])
        case .beginVerification(let name, let seconds): ["name": .string(name), "seconds": .integer(seconds)]
        case .procedure(let id, let after): ["id": .integer(id), "after": .integer(after)]
        case .answerProcedure(let id, let text): ["id": .integer(id), "text": .string(text)]
        case .startCapture(let minutes, let reason): ["minutes": .integer(minutes), "reason": .string(reason)]
        case .readCapture(let from): ["from": .integer(from)]
        case .cancelProcedure(let id), .signIn(let id): ["id": .integer(id)]
        case .beginSignIn(let receiver, let patient, let way):
            .members(["receiver": .string(receiver), "patient": .string(patient), "way": way.map { .string($0) }])
        case .answerSignIn(let id, let address, let host):
            .members(["id": .integer(id), "address": .string(address), "host": host.map { .string($0) }])
        case .signOut(let receiver, let patient), .plan(let receiver, let patient), .equipment(let receiver, let patient):
            ["receiver": .string(receiver), "patient": .string(patient)]
        case .decideNotice(let id, let decision): ["id": .integer(id), "decision": .string(decision)]
        case .changeHelseIDKey(let receiver, let change): ["receiver": .string(receiver), "change": .string(change)]
        case .identify(let patient, let receiver, let identifier):
            ["patient": .string(patient), "receiver": .string(receiver), "identifier": .string(identifier)]
        }
    }

    /// - Throws: ``OperationError`` with exit code 64 where the name is unknown or a parameter is missing or of the wrong form.
    public init(name: String, parameters json: JSON) throws(OperationError) {
        let parameters = Parameters(operation: name, json: json)
        switch name {
        case "status": self = .status
        case "devices": self = .devices
        case "device": self = .device(name: try parameters.text("name"))
        case "device-log": self = .deviceLog(name: try parameters.text("name"), limit: try parameters.limit())
        case "add-device":
            self = .addDevice(
                name: try parameters.text("name"), model: try parameters.text("model"), bearer: try parameters.text("bearer"))
        case "assign":
            self = .assign(
                Assign(
                    device: try parameters.text("device"), patient: try parameters.text("patient"),
                    user: try parameters.optionalInteger("user"), recipients: try parameters.texts("recipients"),
                    from: try parameters.optionalInstant("from"), until: try parameters.optionalInstant("until")))
        case "return-device":
            self = .returnDevice(name: try parameters.text("name"), abandon: try parameters.optionalText("abandon"))
        case "forget-device": self = .forgetDevice(name: try parameters.text("name"))
        case "readings": self = .readings(limit: try parameters.limit(), state: try parameters.optionalText("state"))
        case "reading": self = .reading(id: try parameters.text("id"))
        case "assign-reading":
            self = .assignReading(
                id: try parameters.text("id"), patient: try parameters.text("patient"),
                recipients: try parameters.texts("recipients"), at: try parameters.optionalInstant("at"),
                reason: try parameters.optionalText("reason"))
        case "reject-reading": self = .rejectReading(id: try parameters.text("id"), reason: try parameters.text("reason"))
        case "retract-reading": self = .retractReading(id: try parameters.text("id"), reason: try parameters.text("reason"))
        case "rebind-reading":
            self = .rebindReading(
                id: try parameters.text("id"), patient: try parameters.text("patient"), reason: try parameters.text("reason"))
        case "outbox":
            self = .outbox(
                receiver: try parameters.optionalText("receiver"), state: try parameters.optionalText("state"),
                limit: try parameters.limit())
        case "outbox-item": self = .outboxItem(id: try parameters.integer("id"))
        case "retry":
            self = .retry(item: try parameters.optionalInteger("item"), receiver: try parameters.optionalText("receiver"))
        case "quarantine": self = .quarantine(item: try parameters.integer("item"), reason: try parameters.text("reason"))
        case "suppressed": self = .suppressed(limit: try parameters.limit())
        case "release-suppressed": self = .releaseSuppressed(id: try parameters.integer("id"))
        case "refuse": self = .refuse(patient: try parameters.text("patient"), receiver: try parameters.text("receiver"))
        case "unrefuse": self = .unrefuse(patient: try parameters.text("patient"), receiver: try parameters.text("receiver"))
        case "declare-clock": self = .declareClock
        case "rotate-keys": self = .rotateKeys
        case "wipe-keys": self = .wipeKeys(confirm: try parameters.text("confirm"))
        case "audit": self = .audit(limit: try parameters.limit())
        case "begin-scan": self = .beginScan(seconds: try parameters.seconds(in: 1...300), all: try parameters.flag("all"))
        case "begin-pairing":
            self = .beginPairing(
                Pairing(
                    device: try parameters.text("device"), name: try parameters.optionalText("name"),
                    model: try parameters.optionalText("model"), passkey: try parameters.optionalText("passkey"),
                    pin: try parameters.optionalText("pin")))
        case "begin-verification":
            self = .beginVerification(name: try parameters.text("name"), seconds: try parameters.seconds(in: 5...1_800))
        case "procedure": self = .procedure(id: try parameters.integer("id"), after: try parameters.integer("after"))
        case "answer-procedure":
            self = .answerProcedure(id: try parameters.integer("id"), text: try parameters.text("text"))
        case "cancel-procedure": self = .cancelProcedure(id: try parameters.integer("id"))
        case "reset-adapter": self = .resetAdapter
        case "start-capture":
            self = .startCapture(minutes: try parameters.minutes(in: 1...60), reason: try parameters.text("reason"))
        case "stop-capture": self = .stopCapture
        case "capture": self = .capture
        case "read-capture": self = .readCapture(from: try parameters.integer("from"))
        case "delete-capture": self = .deleteCapture
        case "sign-ins": self = .signIns
        case "begin-sign-in":
            self = .beginSignIn(
                receiver: try parameters.text("receiver"), patient: try parameters.text("patient"),
                way: try parameters.optionalText("way"))
        case "sign-in": self = .signIn(id: try parameters.integer("id"))
        case "answer-sign-in":
            self = .answerSignIn(
                id: try parameters.integer("id"), address: try parameters.text("address"),
                host: try parameters.optionalText("host"))
        case "sign-out":
            self = .signOut(receiver: try parameters.text("receiver"), patient: try parameters.text("patient"))
        case "equipment":
            self = .equipment(receiver: try parameters.text("receiver"), patient: try parameters.text("patient"))
        case "helseid-clients": self = .helseIDClients
        case "change-helseid-key":
            self = .changeHelseIDKey(receiver: try parameters.text("receiver"), change: try parameters.text("change"))
        case "identify":
            self = .identify(
                patient: try parameters.text("patient"), receiver: try parameters.text("receiver"),
                identifier: try parameters.optionalText("identifier") ?? "")
        case "hubs": self = .hubs
        case "notices": self = .notices(limit: try parameters.limit())
        case "decide-notice":
            self = .decideNotice(id: try parameters.integer("id"), decision: try parameters.text("decision"))
        case "plan": self = .plan(receiver: try parameters.text("receiver"), patient: try parameters.text("patient"))
        default:
            throw OperationError(
                "The hub does not know the operation \"\(name)\".",
                why: "The command and the daemon may be of different releases.",
                remedy: "Restart the daemon after an update: systemctl restart vitalgate.", exitCode: 64)
        }
    }
}

/// Reads an operation's parameters, each failure with the parameter's name.
private struct Parameters {
    let operation: String
    let json: JSON

    /// The most rows of one answer: what a terminal can show and the daemon can hold in little memory.
    private static let mostRows = 10_000

    private func failure(_ key: String, _ expected: String) -> OperationError {
        OperationError(
            "The operation \"\(operation)\" cannot be done.", why: "Its parameter \"\(key)\" is not \(expected).",
            remedy: "See `vitalgate --help` for the command's form.", exitCode: 64)
    }

    func text(_ key: String) throws(OperationError) -> String {
        guard let text = json[key]?.string, !text.isEmpty else { throw failure(key, "a text") }
        return text
    }

    func optionalText(_ key: String) throws(OperationError) -> String? {
        guard let value = json[key] else { return nil }
        guard let text = value.string else { throw failure(key, "a text") }
        return text
    }

    func texts(_ key: String) throws(OperationError) -> [String] {
        guard let value = json[key] else { return [] }
        guard let elements = value.array, case let texts = elements.compactMap(\.string), texts.count == elements.count else {
            throw failure(key, "a list of texts")
        }
        return texts
    }

    func integer(_ key: String) throws(OperationError) -> Int {
        guard let number = json[key]?.integer else { throw failure(key, "a whole number") }
        return number
    }

    func optionalInteger(_ key: String) throws(OperationError) -> Int? {
        json[key] == nil ? nil : try integer(key)
    }

    /// False where it is left out.
    func flag(_ key: String) throws(OperationError) -> Bool {
        guard let value = json[key] else { return false }
        guard let flag = value.bool else { throw failure(key, "true or false") }
        return flag
    }

    func seconds(in range: ClosedRange<Int>) throws(OperationError) -> Int {
        let seconds = try integer("seconds")
        guard range.contains(seconds) else {
            throw failure("seconds", "between \(range.lowerBound) and \(range.upperBound)")
        }
        return seconds
    }

    func minutes(in range: ClosedRange<Int>) throws(OperationError) -> Int {
        let minutes = try integer("minutes")
        guard range.contains(minutes) else {
            throw failure("minutes", "between \(range.lowerBound) and \(range.upperBound)")
        }
        return minutes
    }

    func limit() throws(OperationError) -> Int {
        let limit = try optionalInteger("limit") ?? 100
        guard (1...Self.mostRows).contains(limit) else { throw failure("limit", "between 1 and \(Self.mostRows)") }
        return limit
    }

    func optionalInstant(_ key: String) throws(OperationError) -> Instant? {
        guard let text = try optionalText(key) else { return nil }
        guard let instant = Instant(iso8601: text) else {
            throw failure(key, "a time with zone such as 2026-01-31T08:00:00+01:00")
        }
        return instant
    }
}
