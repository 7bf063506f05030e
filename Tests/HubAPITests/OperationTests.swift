import ExactJSON
import HubAPI
import Testing
import Vitals

@Suite("operations on the wire")
struct OperationTests {
    static let every: [HubAPI.Operation] = [
        .status, .devices, .device(name: "cuff"), .deviceLog(name: "cuff", limit: 10_000),
        .addDevice(name: "cuff", model: "generic-blood-pressure", bearer: "socket:/run/cuff.sock"),
        .assign(.init(device: "cuff", patient: "p1")),
        .assign(
            .init(
                device: "cuff", patient: "p\"1", user: 2, recipients: ["a", "b"], from: Instant(milliseconds: 1_795_262_400_123),
                until: Instant(milliseconds: 1_795_262_401_000))),
        .returnDevice(name: "cuff", abandon: nil), .returnDevice(name: "cuff", abandon: "broken"), .forgetDevice(name: "cuff"),
        .readings(limit: 100, state: nil), .readings(limit: 1, state: "held"), .reading(id: "abcdef"),
        .assignReading(id: "abcdef", patient: "p1", recipients: [], at: nil, reason: nil),
        .assignReading(
            id: "abcdef", patient: "p1", recipients: ["a"], at: Instant(milliseconds: -1_000), reason: "told by phone"),
        .rejectReading(id: "abcdef", reason: "x"), .retractReading(id: "abcdef", reason: "x"),
        .rebindReading(id: "abcdef", patient: "p2", reason: "æ ø\n"), .outbox(receiver: nil, state: nil, limit: 10_000),
        .outbox(receiver: "a", state: "waiting", limit: 1), .outboxItem(id: 7), .retry(item: nil, receiver: nil),
        .retry(item: 7, receiver: nil), .retry(item: nil, receiver: "a"), .quarantine(item: 7, reason: "x"),
        .suppressed(limit: 5),
        .releaseSuppressed(id: 3), .refuse(patient: "p1", receiver: "a"), .unrefuse(patient: "p1", receiver: "a"), .declareClock,
        .rotateKeys, .wipeKeys(confirm: "yes"), .audit(limit: 5),
        .resetAdapter, .beginScan(seconds: 10, all: true), .beginScan(seconds: 300, all: false),
        .beginPairing(.init(device: "AA:BB:CC:DD:EE:FF/public")),
        .beginPairing(.init(device: "CUFF", name: "cuff", model: "and-ua-651ble", passkey: "000123", pin: "0000")),
        .beginVerification(name: "cuff", seconds: 1_800), .procedure(id: 3, after: 0), .answerProcedure(id: 3, text: "yes"),
        .cancelProcedure(id: 3), .startCapture(minutes: 10, reason: "cuff is not heard"), .stopCapture, .capture,
        .readCapture(from: 65_536), .deleteCapture,
        .signIns, .beginSignIn(receiver: "fut", patient: "1001", way: nil),
        .beginSignIn(receiver: "fut", patient: "1001", way: "paste"), .signIn(id: 4),
        .answerSignIn(id: 4, address: "http://127.0.0.1/?code=a", host: nil),
        .answerSignIn(id: 4, address: "/callback?code=a", host: "127.0.0.1:4711"), .signOut(receiver: "fut", patient: "1001"),
        .plan(receiver: "fut", patient: "1001"), .equipment(receiver: "fut", patient: "1001"),
        .helseIDClients,
        .changeHelseIDKey(receiver: "pmd", change: "rotate"),
        .identify(patient: "anna", receiver: "pmd", identifier: "01819540094"),
        .identify(patient: "anna", receiver: "pmd", identifier: ""), .hubs, .notices(limit: 5),
        .decideNotice(id: 3, decision: "told"),
    ]

    @Test("every operation is read back as it was written", arguments: every)
    func roundTrip(_ operation: HubAPI.Operation) throws {
        let sent = try JSON(parsing: operation.parameters.bytes)
        #expect(try HubAPI.Operation(name: operation.name, parameters: sent) == operation)
    }

    @Test("every case is in the table")
    func everyCase() {
        // A new case fails to compile in `name`; here it is found missing.
        #expect(Set(Self.every.map(\.name)).count == 51)
    }

    @Test(
        "a parameter that is missing or of the wrong form is named",
        arguments: [
            ("device", "{}", "name"), ("device", #"{"name": ""}"#, "name"), ("device", #"{"name": 7}"#, "name"),
            ("assign", #"{"device": "cuff"}"#, "patient"), ("assign", #"{"device": "c", "patient": "p", "user": "1"}"#, "user"),
            ("assign", #"{"device": "c", "patient": "p", "recipients": "a"}"#, "recipients"),
            ("assign", #"{"device": "c", "patient": "p", "recipients": ["a", 1]}"#, "recipients"),
            ("assign", #"{"device": "c", "patient": "p", "from": "yesterday"}"#, "from"),
            ("assign", #"{"device": "c", "patient": "p", "until": "2026-01-01T00:00:00"}"#, "until"),
            ("readings", #"{"limit": 0}"#, "limit"), ("readings", #"{"limit": 10001}"#, "limit"),
            ("readings", #"{"limit": 1.5}"#, "limit"), ("outbox-item", "{}", "id"), ("quarantine", #"{"item": 1}"#, "reason"),
            ("retry", #"{"item": "1"}"#, "item"), ("device-log", "{}", "name"),
            ("device-log", #"{"name": "cuff", "limit": 0}"#, "limit"), ("begin-scan", #"{"seconds": 301}"#, "seconds"),
            ("begin-scan", #"{"seconds": 5, "all": "yes"}"#, "all"),
            ("begin-verification", #"{"name": "cuff", "seconds": 4}"#, "seconds"), ("begin-pairing", "{}", "device"),
            ("answer-procedure", #"{"id": 1}"#, "text"), ("start-capture", #"{"minutes": 10}"#, "reason"),
            ("start-capture", #"{"minutes": 61, "reason": "x"}"#, "minutes"),
            ("start-capture", #"{"minutes": 0, "reason": "x"}"#, "minutes"), ("read-capture", "{}", "from"),
            ("wipe-keys", "{}", "confirm"),
            ("status-of-all", "{}", "status-of-all"),
            ("device", "[]", "name"), ("device", "null", "name"),
        ])
    func malformed(_ name: String, _ parameters: String, _ named: String) throws {
        let json = try JSON(parsing: Array(parameters.utf8))
        let error = #expect(throws: OperationError.self) { try HubAPI.Operation(name: name, parameters: json) }
        #expect(error?.exitCode == 64)
        let isNamed = "\(error?.what ?? "") \(error?.why ?? "")".contains("\"\(named)\"")
        #expect(isNamed)
        #expect(error?.remedy.isEmpty == false)
    }

    @Test("an error is read back as it was written")
    func errorRoundTrip() {
        let error = OperationError("what", why: "why \"it\"", remedy: "do", exitCode: 75)
        #expect(OperationError(json: error.json) == error)
        #expect(OperationError(json: ["what": "x"]) == nil)
    }
}
