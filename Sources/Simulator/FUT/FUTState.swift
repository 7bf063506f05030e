public import ExactJSON
public import Vitals

/// A request as the simulated infrastructure saw it.
public struct FUTExchange: Hashable, Sendable {
    /// Counted from 1; control requests do not count.
    public var number: Int
    public var method: String
    public var path: String
    public var query: String
    /// Who asked, by his token or his grant.
    public var citizen: String?
    /// Entries of a submission, else 0.
    public var entries: Int
    /// What was answered; `nil` for none.
    public var status: Int?
    /// The error's code: the guide's, or OAuth's.
    public var code: String?
    /// Resources stored or changed.
    public var written: Int
    public var fault: FUTFault?
}

/// A stored measurement, for tests that count.
public struct FUTMeasurement: Hashable, Sendable {
    public var id: String
    public var patient: String
    public var request: String
    public var timing: String
    public var effective: Instant
    public var isInvalidated: Bool
    public var resource: JSON
}

/// A sign-in of a citizen, for tests.
public struct FUTSession: Hashable, Sendable {
    public var citizen: String
    public var client: String
    public var isEnded: Bool
    /// Refresh tokens given in it.
    public var generation: Int
}

/// What the simulated infrastructure holds and has seen. Tests ask and change it directly; `/control` does the same over HTTP.
public actor FUTState {
    private var settings: FUTSettings
    private var world: FUTWorld
    private var faults: FUTFaultPlan
    private var realm = FUTRealm()
    private var measurements = FUTMeasurements()
    private let ledger: ReceiverLedger?
    private let requests: KeptRequests?
    private var endpoints = FUTEndpoints(origin: "")
    /// Milliseconds by which this clock is ahead of the machine's.
    private var ahead: Int64 = 0
    private var count = 0
    public private(set) var exchanges: [FUTExchange] = []

    init(
        settings: FUTSettings, world: FUTWorld?, faults: FUTFaultPlan, ledger: ReceiverLedger?, requests: KeptRequests?
    ) {
        self.settings = settings
        self.world = world ?? .spouses(now: FUTTime.machine())
        self.faults = faults
        self.ledger = ledger
        self.requests = requests
    }

    func listen(at origin: String) { endpoints = FUTEndpoints(origin: origin) }

    public var now: Instant { Instant(milliseconds: FUTTime.machine().milliseconds + ahead) }

    // MARK: What tests do

    /// From the next request on.
    public func set(_ faults: FUTFaultPlan) { self.faults = faults }
    public func set(_ settings: FUTSettings) { self.settings = settings }
    public func currentSettings() -> FUTSettings { settings }

    /// Lets time pass, for lifetimes.
    public func advance(by duration: Duration) { ahead += duration.milliseconds }

    /// See ``FUTSimulator`` for the form.
    public func change(_ json: JSON) throws(FUTControlError) {
        var changed = world
        try changed.change(json, now: now)
        world = changed
    }

    /// The person types the user code and signs in as this citizen, or declines (`nil`). Returns whether the code was open.
    public func decide(userCode: String, as citizen: String?) -> Bool {
        realm.decide(userCode: userCode, citizen.map { .approved($0) } ?? .denied)
    }

    /// Ends a citizen's sessions, as a revocation does. Returns how many there were.
    public func endSessions(of citizen: String) -> Int { realm.end(sessionsOf: citizen) }

    public func sessions() -> [FUTSession] {
        realm.sessions.values.sorted { $0.started < $1.started }.map {
            FUTSession(citizen: $0.citizen, client: $0.client, isEnded: $0.isEnded, generation: $0.generation)
        }
    }

    /// In the order in which they were stored.
    public func observations() -> [FUTMeasurement] {
        measurements.stored.filter { $0.type == "Observation" }.map {
            FUTMeasurement(
                id: $0.id, patient: $0.patient, request: $0.request, timing: $0.timing, effective: $0.effective,
                isInvalidated: $0.isInvalidated, resource: $0.resource)
        }
    }

    // MARK: Requests

    enum Reply {
        case answer(FUTAnswer)
        case raw(status: Int, contentType: String, body: String)
        case hang
        case cut
    }

    func handle(_ call: FUTCall) throws(ReceiverLedgerError) -> (reply: Reply, delay: Duration?) {
        if call.steps.first == "control" { return (.answer(control(call)), nil) }
        count += 1
        if let requests, call.path.hasSuffix(Self.submission) { try requests.keep(call.body, as: Self.fileName(count)) }
        let fault = faults.fault(method: call.method, path: call.path)
        let isRealm = call.steps.first == "auth"
        let asking = citizen(asking: call)
        let answer: FUTAnswer? = fault?.performs ?? true ? perform(call, fault) : nil
        var delay: Duration?
        let reply: Reply
        switch fault {
        case .status(let status, let retryAfter):
            var refusal = FUTAnswer(status: status)
            if let retryAfter { refusal.headers.append(("retry-after", String(retryAfter))) }
            reply = .answer(refusal)
        case .code(let code) where isRealm: reply = .answer(.oauth(code, "the simulator was told to answer this"))
        case .code(let code):
            let error = FUTError(code, "the simulator was told to answer this")
            reply = .answer(FUTAnswer(status: error.status, body: .fhir(error.outcome(settings.errorPlace))))
        case .hang: reply = .hang
        case .cut: reply = .cut
        case .garbage: reply = .raw(status: 200, contentType: "text/html", body: "<html><body>It works!</body>")
        case .slow(let duration):
            delay = duration
            reply = answer.map { .answer($0) } ?? .cut
        case nil, .entryRefused, .tokenLife, .forged: reply = answer.map { .answer($0) } ?? .cut
        }
        try note(call, reply, fault, asking)
        return (reply, delay)
    }

    private func citizen(asking call: FUTCall) -> String? {
        call.bearer.flatMap { realm.accessToken($0, at: now) }?.citizen
    }

    private func perform(_ call: FUTCall, _ fault: FUTFault?) -> FUTAnswer {
        let setting = FUTRealm.Setting(settings: settings, world: world, endpoints: endpoints, now: now, fault: fault)
        if call.steps.prefix(3) == ["auth", "realms", "nemlogin"] {
            return realm.answer(call, Array(call.steps.dropFirst(3)), setting)
        }
        guard call.steps.count >= 2, call.steps[1] == "fhir",
            ["careplan", "measurement", "device", "task"].contains(call.steps[0])
        else {
            return FUTAnswer(status: 404)
        }
        guard let token = call.bearer.flatMap({ realm.accessToken($0, at: setting.now) }),
            let citizen = world.citizen(named: token.citizen)
        else {
            return FUTAnswer(status: 401, headers: [("www-authenticate", "Bearer error=\"invalid_token\"")])
        }
        let access = FUTAccess(citizen: citizen, context: token.context, setting: setting)
        do throws(FUTError) {
            switch call.steps[0] {
            case "careplan":
                let answer = try FUTCarePlans(access: access, measured: measurements.stored).answer(call)
                return fault == .forged("patient") ? answer.aboutAnother(than: citizen, in: world) : answer
            case "task": return try measurements.assess(call, access)
            case "measurement": return try measurements.answer(call, access)
            default: return try FUTDevices(access: access).answer(call)
            }
        } catch {
            return FUTAnswer(status: error.status, body: .fhir(error.outcome(settings.errorPlace)))
        }
    }

    // MARK: The ledger

    private func note(_ call: FUTCall, _ reply: Reply, _ fault: FUTFault?, _ citizen: String?) throws(ReceiverLedgerError) {
        let written = measurements.takeWritten()
        let granted = realm.takeGranted()
        var (status, code): (Int?, String?) = (nil, nil)
        switch reply {
        case .answer(let answer): (status, code) = (answer.status, answer.errorCode)
        case .raw(let raw, _, _): status = raw
        case .hang, .cut: break
        }
        let exchange = FUTExchange(
            number: count, method: call.method, path: call.path, query: call.query, citizen: citizen ?? granted?.citizen,
            entries: Self.entries(call), status: status, code: code, written: written.count, fault: fault)
        exchanges.append(exchange)
        guard let ledger else { return }
        var lines: [JSON] = written.map { one in
            [
                "kind": "resource", "request": .integer(count), "type": .string(one.type), "id": .string(one.id),
                "version": .integer(one.version), "status": one.resource["status"] ?? .null, "patient": .string(one.patient),
                "basedOn": .string(one.request), "timing": .string(one.timing), "effective": .string(FUTTime.text(one.effective)),
                "code": one.resource["code"]?["coding"]?[0]?["code"] ?? .null,
                "identifiers": .array(
                    ReceiverQuery.identifiers(of: one.resource).map { .string("\($0.system)|\($0.value)") }),
            ]
        }
        if let granted {
            lines.append([
                "kind": "grant", "request": .integer(count), "grant": .string(granted.grant), "citizen": .string(granted.citizen),
                "generation": .integer(granted.generation),
            ])
        }
        lines.append(
            .members([
                "kind": "request", "number": .integer(count), "method": .string(call.method), "path": .string(call.path),
                "query": call.query.isEmpty ? JSON?.none : .string(call.query), "citizen": exchange.citizen.map { .string($0) },
                "entries": .integer(exchange.entries), "status": status.map { .integer($0) }, "code": code.map { .string($0) },
                "written": .integer(written.count), "fault": fault.map { .string($0.name) },
            ]))
        try ledger.append(lines)
    }

    private static let submission = "/$submit-measurement"

    /// In the order of the requests where they are listed by name.
    private static func fileName(_ number: Int) -> String {
        let digits = String(number)
        return String(repeating: "0", count: max(0, 5 - digits.count)) + digits + ".fut"
    }

    private static func entries(_ call: FUTCall) -> Int {
        guard call.path.hasSuffix(submission), let input = try? JSON(parsing: call.body) else { return 0 }
        return input["parameter"]?[0]?["resource"]?["entry"]?.array?.count ?? 0
    }

    // MARK: Control

    private func control(_ call: FUTCall) -> FUTAnswer {
        do throws(FUTControlError) {
            let done: JSON = [:]
            switch (call.method, call.steps.dropFirst().joined(separator: "/")) {
            case ("GET", "state"): return FUTAnswer(status: 200, body: .json(summary))
            case ("GET", "observations"):
                return FUTAnswer(status: 200, body: .json(.array(observations().map(\.resource))))
            case ("POST", "faults"): set(try FUTFaultPlan(try body(call)))
            case ("POST", "settings"):
                var changed = settings
                try changed.change(try body(call))
                settings = changed
            case ("POST", "citizen"): try change(try body(call))
            case ("POST", "clock"):
                guard let seconds = try body(call)["advance"]?.integer else {
                    throw FUTControlError("advance is missing (seconds)")
                }
                advance(by: .seconds(seconds))
            case ("POST", "sessions"):
                guard let citizen = try body(call)["end"]?.string else { throw FUTControlError("end is missing (a citizen)") }
                return FUTAnswer(status: 200, body: .json(["ended": .integer(endSessions(of: citizen))]))
            case ("POST", "device"):
                let message = try body(call)
                guard let userCode = message["user_code"]?.string else { throw FUTControlError("user_code is missing") }
                let citizen = message["citizen"]?.string
                if let citizen, world.citizen(named: citizen) == nil { throw FUTControlError("no citizen \(citizen)") }
                guard decide(userCode: userCode, as: citizen) else { throw FUTControlError("no open user code \(userCode)") }
            default: return FUTAnswer(status: 404)
            }
            return FUTAnswer(status: 200, body: .json(done))
        } catch {
            return FUTAnswer(status: 400, body: .json(["error": .string(error.description)]))
        }
    }

    private func body(_ call: FUTCall) throws(FUTControlError) -> JSON {
        do {
            return try JSON(parsing: call.body)
        } catch {
            throw FUTControlError("\(error)")
        }
    }

    private var summary: JSON {
        let open = realm.deviceCodes.values.filter { if case .pending = $0.decision { $0.expires > now } else { false } }
        return [
            "now": .string(FUTTime.text(now)), "requests": .integer(count),
            "observations": .integer(measurements.stored.count { $0.type == "Observation" }),
            "invalidated": .integer(measurements.stored.count(where: \.isInvalidated)),
            "citizens": .array(
                world.citizens.map { citizen in
                    [
                        "citizen": .string(citizen.name), "patient": .string("\(endpoints.patient)/Patient/\(citizen.patient)"),
                        "observations": .integer(
                            measurements.stored.count { $0.patient == citizen.patient && !$0.isInvalidated }),
                        "requests": .array(
                            citizen.episodes.flatMap(\.requests).map {
                                [
                                    "id": .string($0.id), "code": .string($0.code), "status": .string($0.status),
                                    "version": .integer($0.version),
                                ]
                            }),
                    ]
                }),
            "sessions": .array(
                sessions().map {
                    [
                        "citizen": .string($0.citizen), "client": .string($0.client), "ended": .bool($0.isEnded),
                        "generation": .integer($0.generation),
                    ]
                }),
            "staleTokens": .integer(realm.staleTokens), "userCodes": .array(open.map { .string($0.userCode) }),
        ]
    }
}

extension FUTAnswer {
    /// The same of the next citizen: what a mixed-up cache or gateway would answer.
    fileprivate func aboutAnother(than citizen: FUTCitizen, in world: FUTWorld) -> FUTAnswer {
        guard case .fhir(let json) = body, let other = world.citizens.first(where: { $0.patient != citizen.patient }),
            let forged = try? JSON(
                parsing: json.text.replacing("/Patient/\(citizen.patient)\"", with: "/Patient/\(other.patient)\""))
        else { return self }
        return FUTAnswer(status: status, headers: headers, body: .fhir(forged))
    }

    /// The guide's error code or OAuth's, where the answer is an error.
    fileprivate var errorCode: String? {
        guard status >= 400 else { return nil }
        switch body {
        case .json(let json): return json["error"]?.string
        case .fhir(let outcome):
            let issue = outcome["issue"]?[0]
            return issue?["details"]?["coding"]?[0]?["code"]?.string
                ?? issue?["diagnostics"]?.string.map { String($0.prefix { $0 != ":" }) }
        case .none, .html: return nil
        }
    }
}
