public import ExactJSON
import Glibc
import Vitals

/// A request as the receiver saw it.
public struct ReceiverRequest: Hashable, Sendable {
    /// Counted from 1; every request below the base counts, also one that a fault struck.
    public var number: Int
    public var method: String
    /// Below the base, without the query.
    public var path: String
    /// Entries of a Bundle, else 0.
    public var entries: Int
    /// What was answered; `nil` for none.
    public var status: Int?
    /// Resources created or replaced.
    public var written: Int
    public var fault: ReceiverFault?
}

/// What a receiver holds and has seen. Tests ask it directly.
public actor ReceiverState {
    private var store = ReceiverStore()
    private var plan: ReceiverFaultPlan
    private let token: String?
    private let ledger: ReceiverLedger?
    public private(set) var requests: [ReceiverRequest] = []
    private var count = 0

    init(plan: ReceiverFaultPlan, token: String?, ledger: ReceiverLedger?) {
        self.plan = plan
        self.token = token
        self.ledger = ledger
    }

    /// From the next request on.
    public func set(_ plan: ReceiverFaultPlan) { self.plan = plan }

    /// In the order in which they were first stored.
    public func resources(_ type: String? = nil) -> [JSON] { store.all(type) }

    public func counts() -> [String: Int] { store.counts() }

    /// As `GET /$state` gives it.
    var summary: JSON {
        .members([
            "requests": .integer(count),
            "answered": .integer(requests.count { $0.status != nil }),
            "resources": .object(store.counts().sorted { $0.key < $1.key }.map { .init($0.key, .integer($0.value)) }),
        ])
    }

    struct Call {
        var method: String
        /// Below the base, split at the slashes.
        var steps: [String]
        var query: String
        var body: [UInt8]
        var headers: [String: String]
    }

    /// What is to be sent for a request.
    enum Reply {
        case answer(ReceiverAnswer)
        case raw(status: Int, contentType: String, body: String)
        case hang
        case cut
    }

    func handle(_ call: Call) throws(ReceiverLedgerError) -> (reply: Reply, delay: Duration?) {
        count += 1
        let fault = plan.fault(forRequest: count, method: call.method)
        var delay: Duration?
        let reply: Reply
        switch fault {
        case nil: reply = .answer(answer(call))
        case .slow(let duration):
            delay = duration
            reply = .answer(answer(call))
        case .status(let status, let retryAfter):
            var refusal = ReceiverAnswer.outcome(status, Self.issue(status), "the receiver was told to answer \(status)")
            if let retryAfter { refusal.headers.append(("retry-after", String(retryAfter))) }
            if status == 401 { refusal.headers.append(("www-authenticate", "Bearer")) }
            reply = .answer(refusal)
        case .entryFails(let entry): reply = .answer(answer(call, failing: entry))
        case .entryRefused(let entry): reply = .answer(answer(call, refusing: entry))
        case .hang(let stored):
            if stored { _ = answer(call) }
            reply = .hang
        case .cut(let stored):
            if stored { _ = answer(call) }
            reply = .cut
        case .errorInside: reply = .answer(.outcome(200, "exception", "the receiver was told to fail inside a 200"))
        case .redirect(let status, let location):
            reply = .answer(ReceiverAnswer(status: status, headers: [("location", location)]))
        case .garbage(let stored):
            if stored { _ = answer(call) }
            reply = .raw(status: 200, contentType: "text/html", body: "<html><body>It works!</body>")
        }
        try note(call, reply, fault)
        return (reply, delay)
    }

    private func note(_ call: Call, _ reply: Reply, _ fault: ReceiverFault?) throws(ReceiverLedgerError) {
        let written = store.takeWritten()
        let status: Int? =
            switch reply {
            case .answer(let answer): answer.status
            case .raw(let status, _, _): status
            case .hang, .cut: nil
            }
        let request = ReceiverRequest(
            number: count, method: call.method, path: call.steps.joined(separator: "/"),
            entries: Self.entries(call), status: status, written: written.count, fault: fault)
        requests.append(request)
        guard let ledger else { return }
        var lines: [JSON] = written.map { key in
            let stored = store.resources[key]
            let identifiers = stored.map { ReceiverQuery.identifiers(of: $0.resource) } ?? []
            return [
                "kind": "resource", "request": .integer(count), "type": .string(key.type), "id": .string(key.id),
                "version": .integer(stored?.version ?? 0),
                "identifiers": .array(identifiers.map { .string("\($0.system)|\($0.value)") }),
            ]
        }
        lines.append(
            .members([
                "kind": "request", "number": .integer(count), "method": .string(request.method), "path": .string(request.path),
                "entries": .integer(request.entries), "status": status.map { .integer($0) }, "written": .integer(written.count),
                "fault": fault.map { .string($0.name) },
            ]))
        try ledger.append(lines)
    }

    private static func entries(_ call: Call) -> Int {
        guard call.method == "POST", call.steps.isEmpty, let bundle = try? JSON(parsing: call.body) else { return 0 }
        return bundle["entry"]?.array?.count ?? 0
    }

    private static func issue(_ status: Int) -> String {
        switch status {
        case 401: "login"
        case 403: "forbidden"
        case 404: "not-found"
        case 409: "conflict"
        case 413: "too-long"
        case 429: "throttled"
        case 503: "transient"
        case 400, 422: "processing"
        default: "exception"
        }
    }

    // MARK: FHIR's interactions

    private func answer(_ call: Call, failing: Int? = nil, refusing: Int? = nil) -> ReceiverAnswer {
        do throws(ReceiverError) {
            return try interaction(call, failing: failing, refusing: refusing)
        } catch {
            return error.answer
        }
    }

    private func interaction(_ call: Call, failing: Int?, refusing: Int?) throws(ReceiverError) -> ReceiverAnswer {
        if call.method == "GET", call.steps == ["metadata"] { return ReceiverAnswer(status: 200, body: Self.capabilities) }
        if let token, call.headers["authorization"] != "Bearer \(token)" {
            var refusal = ReceiverAnswer.outcome(401, "login", "a valid token is needed")
            refusal.headers.append(("www-authenticate", "Bearer"))
            return refusal
        }
        let now = Self.now()
        switch (call.method, call.steps.count) {
        case ("POST", 0):
            return try store.process(
                try body(call), failing: failing, refusing: refusing,
                returnsResources: call.headers["prefer"]?.contains("representation") ?? false, at: now)
        case ("POST", 1):
            if failing == 0 || refusing == 0 {
                throw ReceiverError(422, "invariant", "this resource breaks a rule of the receiver")
            }
            return try store.create(call.steps[0], try body(call), ifNoneExist: call.headers["if-none-exist"], at: now)
        case ("GET", 1): return store.searchset(call.steps[0], try ReceiverQuery(call.query))
        case ("GET", 2): return try store.read(key(call))
        case ("PUT", 2): return try store.update(key(call), try body(call), ifMatch: call.headers["if-match"], at: now)
        case ("PATCH", 2): return try store.patch(key(call), try body(call), ifMatch: call.headers["if-match"], at: now)
        default: throw ReceiverError(405, "not-supported", "\(call.method) is not supported here")
        }
    }

    private func key(_ call: Call) -> ReceiverStore.Key { ReceiverStore.Key(type: call.steps[0], id: call.steps[1]) }

    private func body(_ call: Call) throws(ReceiverError) -> JSON {
        let type = call.headers["content-type"]?.prefix { $0 != ";" }.filter { $0 != " " }.lowercased() ?? ""
        let allowed = call.method == "PATCH" ? ["application/json-patch+json"] : ["application/fhir+json", "application/json"]
        guard allowed.contains(type) else {
            throw ReceiverError(415, "not-supported", "this needs the content type \(allowed[0])")
        }
        do {
            return try JSON(parsing: call.body)
        } catch {
            throw ReceiverError(400, "structure", "\(error)")
        }
    }

    private static let capabilities: JSON = [
        "resourceType": "CapabilityStatement", "status": "active", "kind": "instance", "fhirVersion": "4.0.1",
        "date": "2026-01-01", "format": ["application/fhir+json"], "patchFormat": ["application/json-patch+json"],
        "software": ["name": "vitalgate simulated receiver"],
        "rest": [
            [
                "mode": "server",
                "interaction": [["code": "transaction"], ["code": "batch"]],
            ]
        ],
    ]

    private static func now() -> String {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return Instant(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000).description
    }
}
