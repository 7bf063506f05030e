public import ExactJSON
public import Vitals

/// A request as the simulated services saw it.
public struct NHNExchange: Hashable, Sendable {
    /// Counted from 1; control requests do not count.
    public var number: Int
    public var method: String
    public var path: String
    /// What was answered; `nil` for none.
    public var status: Int?
    /// The error's code: of OAuth, of the OperationOutcome, of the challenge.
    public var code: String?
    /// Resources stored or changed, or documents taken.
    public var written: Int
    public var fault: NHNFault?
}

/// What the simulated services hold and have seen. Tests ask and change it directly; `/control` does the same over HTTP.
public actor NHNState {
    private var settings: NHNSettings
    private var faults: NHNFaultPlan
    private var helseID = HelseIDServer()
    private var pmd = PMDService()
    private var vkp = VKPService()
    private let ledger: ReceiverLedger?
    private var origin = ""
    /// Milliseconds by which this clock is ahead of the machine's.
    private var ahead: Int64 = 0
    private var count = 0
    public private(set) var exchanges: [NHNExchange] = []

    init(settings: NHNSettings, clients: [HelseIDClientRegistration], faults: NHNFaultPlan, ledger: ReceiverLedger?) {
        self.settings = settings
        self.faults = faults
        self.ledger = ledger
        for client in clients { helseID.clients[client.id] = client }
    }

    func listen(at origin: String) { self.origin = origin }

    public var now: Instant { Instant(milliseconds: FUTTime.machine().milliseconds + ahead) }

    // MARK: What tests do

    /// From the next request on.
    public func set(_ faults: NHNFaultPlan) { self.faults = faults }
    public func set(_ settings: NHNSettings) { self.settings = settings }
    public func currentSettings() -> NHNSettings { settings }

    /// Registers a client, or replaces the one of this id.
    public func register(_ client: HelseIDClientRegistration) { helseID.clients[client.id] = client }

    /// Adds a public key to a client, as NHN's self-service does. `false` where there is no such client.
    public func register(key: JSON, of client: String) -> Bool {
        guard helseID.clients[client] != nil else { return false }
        helseID.clients[client]?.keys.append(key)
        return true
    }

    /// Takes a key from a client. Returns whether it was there.
    public func revoke(key identifier: String, of client: String) -> Bool {
        let before = helseID.clients[client]?.keys.count
        helseID.clients[client]?.keys.removeAll { $0["kid"]?.string == identifier }
        return helseID.clients[client]?.keys.count != before
    }

    /// The next proof at HelseID is challenged.
    public func dropNonce() { helseID.dropNonce() }

    /// Lets time pass; a negative one makes the services' clock late.
    public func advance(by duration: Duration) { ahead += duration.milliseconds }

    public func grants() -> [HelseIDGrant] { helseID.grants }
    /// In the order in which they were first stored.
    public func observations() -> [PMDStored] { pmd.stored }
    /// In the order in which they were taken.
    public func journal() -> [VKPJournaled] { vkp.journal }

    // MARK: Requests

    enum Reply {
        case answer(NHNAnswer)
        case raw(status: Int, contentType: String, body: String)
        case hang
        case cut
    }

    func handle(_ call: NHNCall) throws(ReceiverLedgerError) -> (reply: Reply, delay: Duration?) {
        if call.steps.first == "control" { return (.answer(control(call)), nil) }
        count += 1
        let fault = faults.fault(path: call.path)
        let answer: NHNAnswer? = fault?.performs ?? true ? perform(call, fault) : nil
        var delay: Duration?
        let reply: Reply
        switch fault {
        case .status(let status, let retryAfter):
            var refusal = NHNAnswer(status: status)
            if let retryAfter { refusal.headers.append(("retry-after", String(retryAfter))) }
            reply = .answer(refusal)
        case .code(let code):
            let told = "the simulator was told to answer this"
            reply = .answer(
                call.steps.first == "helseid"
                    ? .oauth(HelseIDFault(code, told)) : VKPService.Refusal(code, told).answer)
        case .hang: reply = .hang
        case .cut: reply = .cut
        case .garbage: reply = .raw(status: 200, contentType: "text/html", body: "<html><body>It works!</body>")
        case .slow(let duration):
            delay = duration
            reply = answer.map { .answer($0) } ?? .cut
        case nil, .entryRefused: reply = answer.map { .answer($0) } ?? .cut
        }
        try note(call, reply, fault)
        return (reply, delay)
    }

    private func perform(_ call: NHNCall, _ fault: NHNFault?) -> NHNAnswer {
        let steps = call.steps
        let setting = HelseIDServer.Setting(issuer: origin + "/helseid", settings: settings, now: now)
        switch steps.first {
        case "helseid": return helseID.answer(call, Array(steps.dropFirst()), setting)
        case "pmd":
            let isSearch = steps.last == "_search"
            let scope = isSearch ? NHNSettings.Scope.pmdRead : NHNSettings.Scope.pmdWrite
            if let refusal = authorise(call, scope, needsDPoP: true, setting) { return refusal }
            return pmd.answer(
                call, Array(steps.dropFirst()),
                PMDService.Setting(root: origin + "/pmd", settings: settings, now: setting.now, fault: fault))
        case "vkp" where steps.prefix(3) == ["vkp", "epj", "r4"]:
            let path = Array(steps.dropFirst(3))
            let needsDPoP = settings.vkpNeedsDPoP
            if let refusal = authorise(call, VKPService.scope(of: path), needsDPoP: needsDPoP, setting) {
                return refusal
            }
            return vkp.answer(call, path, settings: settings, now: setting.now)
        default: return NHNAnswer(status: 404)
        }
    }

    /// The refusal of a request whose token or proof is not believed; `nil` where it is.
    private func authorise(
        _ call: NHNCall, _ scope: String, needsDPoP: Bool, _ setting: HelseIDServer.Setting
    ) -> NHNAnswer? {
        let isVKP = call.steps.first == "vkp"
        var proofs = isVKP ? vkp.proofs : pmd.proofs
        defer { if isVKP { vkp.proofs = proofs } else { pmd.proofs = proofs } }
        do throws(HelseIDFault) {
            let grant = try helseID.grant(
                call, url: origin + call.path, scope: scope, needsDPoP: needsDPoP, setting, proofs: &proofs)
            guard !isVKP || grant.vkpID != nil else { throw HelseIDFault("insufficient_scope", "claim vkp-id") }
            return nil
        } catch {
            var answer = NHNAnswer.unauthorised(error, scheme: needsDPoP || !call.dpop.isEmpty ? "DPoP" : "Bearer")
            if error.code == "use_dpop_nonce" {
                answer.headers.append(
                    ("dpop-nonce", proofs.currentNonce(lifetime: settings.nonceLifetime, now: setting.now)))
            }
            return answer
        }
    }

    // MARK: The ledger

    private func note(_ call: NHNCall, _ reply: Reply, _ fault: NHNFault?) throws(ReceiverLedgerError) {
        let observations = pmd.takeWritten()
        let documents = vkp.takeWritten()
        var (status, code): (Int?, String?) = (nil, nil)
        switch reply {
        case .answer(let answer):
            status = answer.status
            code = answer.errorCode ?? Self.challenge(answer)
        case .raw(let raw, _, _): status = raw
        case .hang, .cut: break
        }
        let written = observations.count + documents.count
        exchanges.append(
            NHNExchange(
                number: count, method: call.method, path: call.path, status: status, code: code, written: written, fault: fault))
        guard let ledger else { return }
        var lines: [JSON] = observations.map { one in
            [
                "kind": "observation", "request": .integer(count), "id": .string(one.id), "version": .integer(one.version),
                "status": one.resource["status"] ?? .null,
                "identifiers": .array(
                    ReceiverQuery.identifiers(of: one.resource).map { .string("\($0.system)|\($0.value)") }),
            ]
        }
        lines += documents.map {
            ["kind": "document", "request": .integer(count), "identifier": .string($0.identifier)]
        }
        lines.append(
            .members([
                "kind": "request", "number": .integer(count), "method": .string(call.method), "path": .string(call.path),
                "status": status.map { .integer($0) }, "code": code.map { .string($0) }, "written": .integer(written),
                "fault": fault.map { .string($0.name) },
            ]))
        try ledger.append(lines)
    }

    private static func challenge(_ answer: NHNAnswer) -> String? {
        guard let text = answer.headers.first(where: { $0.0 == "www-authenticate" })?.1,
            let start = text.firstRange(of: "error=\"")?.upperBound
        else { return nil }
        return String(text[start...].prefix { $0 != "\"" })
    }

    // MARK: Control

    private func control(_ call: NHNCall) -> NHNAnswer {
        do throws(NHNControlError) {
            switch (call.method, call.steps.dropFirst().joined(separator: "/")) {
            case ("GET", "state"): return NHNAnswer(status: 200, body: .json(summary))
            case ("GET", "observations"):
                return NHNAnswer(status: 200, body: .json(.array(pmd.stored.map(\.resource))))
            case ("GET", "journal"): return NHNAnswer(status: 200, body: .json(.array(vkp.journal.map(\.bundle))))
            case ("POST", "faults"): set(try NHNFaultPlan(try body(call)))
            case ("POST", "settings"):
                var changed = settings
                try changed.change(try body(call))
                settings = changed
            case ("POST", "clients"): register(try HelseIDClientRegistration(try body(call)))
            case ("POST", "keys"):
                let message = try body(call)
                guard let client = message["client"]?.string, let key = message["jwk"], register(key: key, of: client) else {
                    throw NHNControlError("client (a known one) and jwk are needed")
                }
            case ("POST", "clock"):
                guard let seconds = try body(call)["advance"]?.integer else {
                    throw NHNControlError("advance is missing (seconds)")
                }
                advance(by: .seconds(seconds))
            case ("POST", "nonce"): dropNonce()
            default: return NHNAnswer(status: 404)
            }
            return NHNAnswer(status: 200, body: .json([:]))
        } catch {
            return NHNAnswer(status: 400, body: .json(["error": .string(error.description)]))
        }
    }

    private func body(_ call: NHNCall) throws(NHNControlError) -> JSON {
        do {
            return try JSON(parsing: call.body)
        } catch {
            throw NHNControlError("\(error)")
        }
    }

    private var summary: JSON {
        [
            "now": .string(FUTTime.text(now)), "requests": .integer(count), "tokens": .integer(helseID.grants.count),
            "observations": .integer(pmd.stored.count), "retracted": .integer(pmd.stored.count(where: \.isRetracted)),
            "documents": .integer(vkp.journal.count),
            "clients": .array(
                helseID.clients.values.sorted { $0.id < $1.id }.map { client in
                    [
                        "id": .string(client.id),
                        "keys": .array(client.keys.map { $0["kid"] ?? .null }),
                    ]
                }),
        ]
    }
}

extension HelseIDClientRegistration {
    /// Reads `{"id": "hub", "scopes": ["nhn:vkp/api/user/bundle.write"], "keys": [{…}], "allowsBearer": true, "tenants": ["999999204"],
    /// "vkpID": "supplier-municipality"}`; without scopes all that the simulator knows.
    public init(_ json: JSON) throws(NHNControlError) {
        guard let id = json["id"]?.string else { throw NHNControlError("id is missing") }
        self.init(
            id: id, scopes: (json["scopes"]?.array).map { Set($0.compactMap(\.string)) } ?? NHNSettings.Scope.all,
            keys: json["keys"]?.array ?? [], allowsBearer: json["allowsBearer"]?.bool ?? false,
            tenants: Set((json["tenants"]?.array ?? []).compactMap(\.string)), vkpID: json["vkpID"]?.string)
    }
}
