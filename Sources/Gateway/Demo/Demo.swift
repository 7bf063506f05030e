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
    private let stage: DemoStage
    private var receiver: ChildProcess?
    private var base = ""

    private static let patient = "demo-patient"
    private static let receiverName = "clinic"

    init(_ options: Options) throws(OperationError) {
        self.options = options
        stage = try DemoStage(state: options.state, isSilent: options.json)
    }

    func run() async throws(OperationError) -> Bool {
        stage.say("State, logs and ledgers: \(stage.directory)")
        try await startReceiver()
        try writeConfiguration()
        try await stage.startDaemon()
        try await stage.introduce(DemoScript.all, to: Self.receiverName) { _, user in Self.patient + (user.map { "-\($0)" } ?? "")
        }

        stage.say("\n1. A cuff and an oximeter, live: committed, then confirmed to the device, then delivered.")
        try stage.start(DemoScript.first)
        try await stage.wait("the first readings to be delivered") { stage.delivered.count >= 2 * 2 }

        if options.receiver == nil {
            stage.say("\n2. The receiver is switched off. Devices that behave oddly, as real ones do.")
            try await fault(#"{"rules":[{"fault":"cut","stored":false}]}"#)
        } else {
            stage.say("\n2. Devices that behave oddly, as real ones do.")
        }
        try stage.start(DemoScript.odd)
        let before = DemoScript.first.count + DemoScript.odd.reduce(0) { $0 + $1.expected.delivered + $1.expected.held }
        try await stage.wait("their readings to be committed") { stage.committed >= before }

        stage.say("\n3. Forty records, and the daemon is killed (SIGKILL) in the middle of them.")
        try stage.start([DemoScript.long])
        try await stage.wait("the transfer to be under way") { stage.committed >= before + 7 }
        stage.daemon?.end(SIGKILL)
        stage.say("   the daemon is dead; the cuff keeps what was not confirmed to it")
        try await stage.startDaemon()

        if options.receiver == nil {
            stage.say("\n4. The receiver is switched on again, and refuses one reading (422).")
            try await fault(#"{"rules":[{"fault":"status","status":422,"times":1,"methods":["POST"]}]}"#)
        } else {
            stage.say("\n4. The rest is delivered.")
        }
        let summary = try await settle()
        try await report(summary)
        if !options.once { await stage.linger() }
        stage.daemon?.end(SIGTERM)
        return summary.isAsScripted
    }

    // MARK: Parts

    private func startReceiver() async throws(OperationError) {
        if let url = options.receiver {
            base = url
            stage.say("Receiver: \(url)")
            return
        }
        let log = stage.directory + "/receiver.log"
        receiver = try ChildProcess(
            ["simulate", "receiver", "--port", "0", "--ledger", stage.directory + "/receiver-ledger.jsonl"], log: log)
        var tail = LogTail(log)
        try await stage.wait("the receiver to listen") {
            for line in tail.lines() where line.hasPrefix("http://") { base = line }
            return !base.isEmpty
        }
        stage.say("Receiver: \(base) (simulated)")
    }

    private func writeConfiguration() throws(OperationError) {
        let text = """
            [hub]
            state_directory = "\(stage.directory)/state"
            control_socket = "\(stage.directory)/control.sock"

            [keys]
            file = "\(stage.directory)/key"

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
        try stage.write(text)
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

    // MARK: The end

    /// Waits until all is as scripted, or for as long as patience lasts.
    private func settle() async throws(OperationError) -> DemoSummary {
        let deadline = ContinuousClock.now + DemoStage.patience
        while true {
            stage.follow()
            let summary = try await summary()
            if summary.isAsScripted || ContinuousClock.now >= deadline { return summary }
            try? await Task.sleep(for: .milliseconds(200))
        }
    }

    private func summary() async throws(OperationError) -> DemoSummary {
        let rows = try await stage.control(.readings(limit: 10_000, state: nil)).array ?? []
        let acts = Dictionary(grouping: rows) { $0["act"]?.string ?? "" }
        var summary = DemoSummary(readings: acts.count)
        for readings in acts.values {
            let states = Set(readings.flatMap { $0["delivery"]?.array ?? [] }.compactMap(\.string))
            if readings.first?["state"]?.string == "held" { summary.held += 1 }
            if states == ["\(Self.receiverName) delivered"] { summary.delivered += 1 }
            if states.contains("\(Self.receiverName) quarantined") { summary.quarantined += 1 }
        }
        summary.suppressed = (try await stage.control(.suppressed(limit: 10_000)).array ?? []).reduce(0) {
            $0 + ($1["count"]?.integer ?? 0)
        }
        summary.lost = max(0, stage.recordsConfirmed(by: DemoScript.all) - summary.readings)
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

    /// Readings that the simulated receiver stored more than once, by our own identifier.
    private func storedTwice() -> Int {
        var tail = LogTail(stage.directory + "/receiver-ledger.jsonl")
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

    private func report(_ summary: DemoSummary) async throws(OperationError) {
        if options.json {
            Output.line(summary.json(stage).text)
            return
        }
        stage.say(summary.text)
        if let id = stage.delivered.sorted().first {
            stage.say(
                "\nThe whole story of one of them (vitalgate readings show \(id.prefix(8)) --socket \(stage.directory)/control.sock):\n"
            )
            Output.story(try await stage.control(.reading(id: id)), indent: 1)
        }
        if !summary.isAsScripted { stage.say("\nNot all is as scripted: see \(stage.directory)/daemon.log") }
        stage.say("\nNext: vitalgate decode --format gatt:2a35 --hex 'def6f416f3ff07e4070114082b00b2f2018000'")
    }
}
