import EventLoop
import ExactJSON
import Glibc
import HTTP
import HTTPMessage
import HubAPI
import Vitals

/// The demo: the same daemon, in a process of its own, on simulated devices and a simulated receiver, told as it happens.
final class Demo {
    struct Options {
        var once: Bool
        var json: Bool
        var state: String?
        var receiver: String?
    }

    private let options: Options
    private let directory: String
    private var daemon: ChildProcess?
    private var receiver: ChildProcess?
    private var devices: [String: ChildProcess] = [:]
    private var base = ""
    private var daemonLog: LogTail
    private var commits: [Int] = []
    private var deliveries: [Int] = []
    private var committed = 0
    private var isDaemonReady = false
    private var isWaiting = false
    private var delivered: Set<String> = []
    private var names: [Int: String] = [:]

    private static let patient = "demo-patient"
    private static let receiverName = "clinic"
    /// The whole script takes seconds; on a loaded machine with a slow disk it may take ten times as long.
    private static let patience = Duration.seconds(180)

    init(_ options: Options) throws(OperationError) {
        self.options = options
        if let state = options.state {
            directory = try Self.absolute(state)
        } else {
            var template = Array("/tmp/vitalgate-demo-XXXXXX".utf8CString)
            guard mkdtemp(&template) != nil else {
                throw OperationError(
                    "The demo has no place for its state.", why: String(cString: strerror(errno)) + ".",
                    remedy: "Name a directory: --state DIR.", exitCode: 73)
            }
            directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
        try Directory.make(directory, mode: 0o700)
        daemonLog = LogTail(directory + "/daemon.log")
    }

    /// The configuration that is written takes no other paths.
    private static func absolute(_ path: String) throws(OperationError) -> String {
        if path.hasPrefix("/") { return path }
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        guard getcwd(&buffer, buffer.count) != nil else {
            throw OperationError(
                "The demo has no place for its state.", why: String(cString: strerror(errno)) + ".",
                remedy: "Name a directory from the root: --state /DIR.", exitCode: 73)
        }
        return String(decoding: buffer.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) + "/" + path
    }

    func run() async throws(OperationError) -> Bool {
        say("State, logs and ledgers: \(directory)")
        try await startReceiver()
        try writeConfiguration()
        try await startDaemon()
        try await introduce(DemoScript.all)

        say("\n1. A cuff and an oximeter, live: committed, then confirmed to the device, then delivered.")
        try start(DemoScript.first)
        try await wait("the first readings to be delivered") { delivered.count >= 2 * 2 }

        if options.receiver == nil {
            say("\n2. The receiver is switched off. Devices that behave oddly, as real ones do.")
            try await fault(#"{"rules":[{"fault":"cut","stored":false}]}"#)
        } else {
            say("\n2. Devices that behave oddly, as real ones do.")
        }
        try start(DemoScript.odd)
        let before = DemoScript.first.count + DemoScript.odd.reduce(0) { $0 + $1.expected.delivered + $1.expected.held }
        try await wait("their readings to be committed") { committed >= before }

        say("\n3. Forty records, and the daemon is killed (SIGKILL) in the middle of them.")
        try start([DemoScript.long])
        try await wait("the transfer to be under way") { committed >= before + 7 }
        daemon?.end(SIGKILL)
        say("   the daemon is dead; the cuff keeps what was not confirmed to it")
        try await startDaemon()

        if options.receiver == nil {
            say("\n4. The receiver is switched on again, and refuses one reading (422).")
            try await fault(#"{"rules":[{"fault":"status","status":422,"times":1,"methods":["POST"]}]}"#)
        } else {
            say("\n4. The rest is delivered.")
        }
        let summary = try await settle()
        try await report(summary)
        if !options.once { await linger() }
        daemon?.end(SIGTERM)
        return summary.isAsScripted
    }

    // MARK: Parts

    private func startReceiver() async throws(OperationError) {
        if let url = options.receiver {
            base = url
            say("Receiver: \(url)")
            return
        }
        let log = directory + "/receiver.log"
        receiver = try ChildProcess(
            ["simulate", "receiver", "--port", "0", "--ledger", directory + "/receiver-ledger.jsonl"], log: log)
        var tail = LogTail(log)
        try await wait("the receiver to listen") {
            for line in tail.lines() where line.hasPrefix("http://") { base = line }
            return !base.isEmpty
        }
        say("Receiver: \(base) (simulated)")
    }

    private func writeConfiguration() throws(OperationError) {
        let text = """
            [hub]
            state_directory = "\(directory)/state"
            control_socket = "\(directory)/control.sock"

            [keys]
            file = "\(directory)/key"

            [clock]
            declared = true

            [bluetooth]
            enabled = false
            [log]
            format = "json"

            [[receiver]]
            name = "\(Self.receiverName)"
            kind = "phd"
            base = "\(base)"

            [receiver.timeouts]
            connect_seconds = 5
            answer_seconds = 5
            total_seconds = 10
            settle_seconds = 1
            """
        let path = directory + "/vitalgate.toml"
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        let bytes = Array(text.utf8)
        guard descriptor >= 0, write(descriptor, bytes, bytes.count) == bytes.count, close(descriptor) == 0 else {
            throw OperationError(
                "The demo's configuration cannot be written.", why: "\(path): \(String(cString: strerror(errno))).",
                remedy: "Name another directory: --state DIR.", exitCode: 73)
        }
    }

    private func startDaemon() async throws(OperationError) {
        daemon = try ChildProcess(["run", "--config", directory + "/vitalgate.toml", "--log", "json"], log: daemonLog.path)
        isDaemonReady = false
        try await wait("the daemon to be ready") { isDaemonReady }
        say("   the daemon is ready")
    }

    private func start(_ scripted: [DemoScript.Device]) throws(OperationError) {
        for device in scripted {
            say("   \(device.name): \(device.about)")
            var arguments = [
                "simulate", device.kind, "--scenario", device.scenario, "--socket", "\(directory)/\(device.name).sock",
                "--ledger",
                "\(directory)/\(device.name).ledger", "--seed",
                "\(device.name.utf8.reduce(7) { ($0 * 31 + Int($1)) % 1_000_003 })",
            ]
            if let count = device.count { arguments += ["--count", "\(count)"] }
            if let count = device.recordsPerLink { arguments += ["--per-link", "\(count)"] }
            devices[device.name] = try ChildProcess(arguments, log: "\(directory)/\(device.name).log")
        }
    }

    /// What a technician does: adds each device and says whose it is.
    private func introduce(_ scripted: [DemoScript.Device]) async throws(OperationError) {
        let from = Instant(seconds: Int64(time(nil)) - 365 * 86_400)
        for device in scripted {
            let added = try await control(
                .addDevice(name: device.name, model: device.model, bearer: "socket:\(directory)/\(device.name).sock"))
            if let id = added["id"]?.integer { names[id] = device.name }
            for user in device.users.map({ $0.map(Optional.some) }) ?? [nil] {
                _ = try await control(
                    .assign(
                        .init(
                            device: device.name, patient: Self.patient + (user.map { "-\($0)" } ?? ""), user: user,
                            recipients: [Self.receiverName], from: from)))
            }
        }
    }

    private func control(_ operation: HubAPI.Operation) async throws(OperationError) -> JSON {
        try await ControlClient(path: directory + "/control.sock").perform(operation)
    }

    private func fault(_ script: String) async throws(OperationError) {
        guard let url = base.split(separator: "/fhir").first else { return }
        let client = HTTPClient(settings: HTTPClientSettings(), loop: try EventLoop.made("vg-demo"))
        let outcome = await client.send(
            HTTPRequest(
                .post, url + "/$fault", headers: [HTTPHeader("content-type", "application/json")], body: Array(script.utf8)))
        guard case .answered(let response) = outcome, response.status == 204 else {
            throw OperationError(
                "The demo's receiver does not obey.", why: "\(outcome)", remedy: "Run the demo again.", exitCode: 70)
        }
    }

    // MARK: Following

    /// Reads what the daemon said since the last time, and tells it.
    private func follow() {
        for line in daemonLog.lines() {
            guard let record = try? JSON(parsing: line), let message = record["message"]?.string else { continue }
            tell(message, record)
        }
    }

    private func tell(_ message: String, _ record: JSON) {
        let device = number(record["device"]).flatMap { names[$0] } ?? "device"
        let reading = record["reading"]?.string.map { String($0.prefix(8)) } ?? ""
        switch message {
        case "daemon ready": isDaemonReady = true
        case "frame committed":
            committed += 1
            let microseconds = number(record["microseconds"]) ?? 0
            commits.append(microseconds)
            let state =
                record["state"]?.string == "ready" ? "" : ", \(record["state"]?.string ?? ""): \(record["reason"]?.string ?? "")"
            say("   \(device): reading \(reading) committed after \(milliseconds(microseconds)) ms\(state)")
        case "word sent": say("   \(device): confirmed to the device")
        case "duplicate suppressed": say("   \(device): sent again, suppressed")
        case "device clock set": say("   \(device): its clock was set")
        case "item delivered":
            isWaiting = false
            if let id = record["reading"]?.string { delivered.insert(id) }
            if let took = number(record["milliseconds"]) { deliveries.append(took) }
            say("   reading \(reading) delivered")
        case "item quarantined": say("   reading \(reading) quarantined: \(record["reason"]?.string ?? "")")
        case "item uncertain": say("   reading \(reading): outcome unknown")
        case "channel waits":
            if !isWaiting { say("   the receiver is not reached (\(record["reason"]?.string ?? "")): readings wait") }
            isWaiting = true
        default: break
        }
    }

    private func number(_ json: JSON?) -> Int? { json?.integer ?? json?.string.flatMap { Int($0) } }

    private func milliseconds(_ microseconds: Int) -> String { "\(microseconds / 1000).\(microseconds % 1000 / 100)" }

    private func wait(_ what: String, until isDone: () -> Bool) async throws(OperationError) {
        let deadline = ContinuousClock.now + Self.patience
        while true {
            follow()
            if isDone() { return }
            if daemon?.hasEnded == true, what != "the daemon to be ready" {
                throw OperationError(
                    "The demo's daemon ended by itself.", why: "See \(daemonLog.path).", remedy: "Please report it.", exitCode: 70
                )
            }
            guard ContinuousClock.now < deadline else {
                throw OperationError(
                    "The demo waited too long for \(what).", why: "See \(directory)/daemon.log.",
                    remedy: "Run it again on a machine with less load.", exitCode: 75)
            }
            try? await Task.sleep(for: .milliseconds(20))
        }
    }

    // MARK: The end

    struct Summary {
        var readings = 0
        var delivered = 0
        var suppressed = 0
        var quarantined = 0
        var held = 0
        var lost = 0
        var doubled = 0
        var isAsScripted = false
    }

    /// Waits until all is as scripted, or for as long as patience lasts.
    private func settle() async throws(OperationError) -> Summary {
        let deadline = ContinuousClock.now + Self.patience
        while true {
            follow()
            let summary = try await summary()
            if summary.isAsScripted || ContinuousClock.now >= deadline { return summary }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    private func summary() async throws(OperationError) -> Summary {
        let rows = try await control(.readings(limit: 10_000, state: nil)).array ?? []
        let acts = Dictionary(grouping: rows) { $0["act"]?.string ?? "" }
        var summary = Summary(readings: acts.count)
        for readings in acts.values {
            let states = Set(readings.flatMap { $0["delivery"]?.array ?? [] }.compactMap(\.string))
            if readings.first?["state"]?.string == "held" { summary.held += 1 }
            if states == ["\(Self.receiverName) delivered"] { summary.delivered += 1 }
            if states.contains("\(Self.receiverName) quarantined") { summary.quarantined += 1 }
        }
        summary.suppressed = (try await control(.suppressed(limit: 10_000)).array ?? []).reduce(0) {
            $0 + ($1["count"]?.integer ?? 0)
        }
        summary.lost = max(0, recordsConfirmed() - summary.readings)
        summary.doubled = storedTwice()
        let quarantined = options.receiver == nil ? DemoScript.quarantined : 0
        let suppressed = DemoScript.all.reduce(0) { $0 + $1.expected.suppressed }
        summary.isAsScripted =
            summary.readings == DemoScript.all.reduce(0) { $0 + $1.expected.delivered + $1.expected.held }
            && summary.held == DemoScript.all.reduce(0) { $0 + $1.expected.held } && summary.quarantined == quarantined
            && summary.delivered == DemoScript.all.reduce(0) { $0 + $1.expected.delivered } - quarantined
            && summary.lost == 0 && summary.doubled == 0
            // At least: whoever is connected when the daemon is killed sends again what was committed, some their whole memory.
            && summary.suppressed >= suppressed
        return summary
    }

    /// Different records that the devices hold as confirmed.
    private func recordsConfirmed() -> Int {
        DemoScript.all.reduce(0) { sum, device in
            var tail = LogTail("\(directory)/\(device.name).ledger")
            let numbers = tail.lines().compactMap { line -> Substring? in
                let fields = line.split(separator: " ")
                return fields.count > 1 && fields[0] == "confirmed" ? fields[1] : nil
            }
            return sum + Set(numbers).count
        }
    }

    /// Readings that the simulated receiver stored more than once, by our own identifier.
    private func storedTwice() -> Int {
        var tail = LogTail(directory + "/receiver-ledger.jsonl")
        var counts: [String: Int] = [:]
        for line in tail.lines() {
            guard let record = try? JSON(parsing: line), record["kind"]?.string == "resource",
                record["type"]?.string == "Observation", record["version"]?.integer == 1
            else { continue }
            for identifier in record["identifiers"]?.array ?? [] {
                if let text = identifier.string, text.contains("urn:uuid:") { counts[text, default: 0] += 1 }
            }
        }
        return counts.values.count { $0 > 1 }
    }

    private func report(_ summary: Summary) async throws(OperationError) {
        if options.json {
            Output.line(
                JSON.members([
                    "readings": .integer(summary.readings), "delivered": .integer(summary.delivered),
                    "duplicatesSuppressed": .integer(summary.suppressed), "quarantined": .integer(summary.quarantined),
                    "held": .integer(summary.held), "lost": .integer(summary.lost), "doubled": .integer(summary.doubled),
                    "asScripted": .bool(summary.isAsScripted),
                    "latencyMilliseconds": [
                        "commit": percentiles(commits.sorted(), exponent: -3),
                        "delivered": percentiles(deliveries.sorted(), exponent: 0),
                    ],
                ]).text)
            return
        }
        say(
            """

            \(summary.readings) readings: \(summary.delivered) delivered, \(summary.quarantined) quarantined, \(summary.held) held; \
            \(summary.suppressed) repeats suppressed
            \(summary.lost) lost, \(summary.doubled) doubled
            """)
        if let id = delivered.sorted().first {
            say(
                "\nThe whole story of one of them (vitalgate readings show \(id.prefix(8)) --socket \(directory)/control.sock):\n"
            )
            Output.story(try await control(.reading(id: id)), indent: 1)
        }
        if !summary.isAsScripted { say("\nNot all is as scripted: see \(directory)/daemon.log") }
        say("\nNext: vitalgate decode --format gatt:2a35 --hex 'def6f416f3ff07e4070114082b00b2f2018000'")
    }

    private func percentiles(_ sorted: [Int], exponent: Int) -> JSON {
        guard let last = sorted.last else { return ["p50": nil, "p99": nil] }
        func at(_ percent: Int) -> JSON {
            .number(
                ExactDecimal(
                    mantissa: Int64(
                        sorted.indices.contains(sorted.count * percent / 100) ? sorted[sorted.count * percent / 100] : last),
                    exponent: exponent))
        }
        return ["p50": at(50), "p99": at(99)]
    }

    /// Until the person has seen enough.
    private func linger() async {
        say("\nThe daemon goes on; try: vitalgate status --socket \(directory)/control.sock    (Ctrl-C ends the demo)")
        while !Task.isCancelled, daemon?.hasEnded == false {
            follow()
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    private func say(_ text: String) {
        if !options.json { Output.line(text) }
    }
}
