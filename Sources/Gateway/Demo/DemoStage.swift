import ExactJSON
import Glibc
import HubAPI
import Vitals

/// What every demo plays on: a directory, the daemon in a process of its own, simulated devices, and what the daemon says, told as it
/// happens.
final class DemoStage {
    let directory: String
    let isSilent: Bool
    var daemon: ChildProcess?
    private var devices: [String: ChildProcess] = [:]
    private var daemonLog: LogTail
    /// Microseconds from arrival to commit.
    private(set) var commits: [Int] = []
    /// Milliseconds from arrival to delivery.
    private(set) var deliveries: [Int] = []
    private(set) var committed = 0
    private(set) var delivered: Set<String> = []
    /// Of readings that their receiver did not ask for.
    private(set) var unasked: Set<String> = []
    /// Refused by their receiver.
    private(set) var quarantined: Set<String> = []
    /// Conditions that held a channel.
    private(set) var holds: [String] = []
    private var isDaemonReady = false
    private var isWaiting = false
    private var names: [Int: String] = [:]

    /// The whole script takes seconds; on a loaded machine with a slow disk it may take ten times as long.
    static let patience = Duration.seconds(180)

    init(state: String?, isSilent: Bool) throws(OperationError) {
        self.isSilent = isSilent
        if let state {
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

    // MARK: Parts

    /// Writes the daemon's configuration.
    func write(_ text: String) throws(OperationError) { try write(text, to: "vitalgate.toml") }

    /// Writes a file of the demo's directory, and says where it is.
    @discardableResult
    func write(_ text: String, to name: String) throws(OperationError) -> String {
        let path = directory + "/" + name
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        let bytes = Array(text.utf8)
        guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count, close(descriptor) == 0 else {
            throw OperationError(
                "A file of the demo cannot be written.", why: "\(path): \(String(cString: strerror(errno))).",
                remedy: "Name another directory: --state DIR.", exitCode: 73)
        }
        return path
    }

    func startDaemon() async throws(OperationError) {
        daemon = try ChildProcess(["run", "--config", directory + "/vitalgate.toml", "--log", "json"], log: daemonLog.path)
        isDaemonReady = false
        try await wait("the daemon to be ready") { isDaemonReady }
        say("   the daemon is ready")
    }

    func start(_ scripted: [DemoScript.Device]) throws(OperationError) {
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
    func introduce(
        _ scripted: [DemoScript.Device], to receiver: String, patient: (_ device: String, _ user: Int?) -> String
    ) async throws(OperationError) {
        let from = Instant(seconds: Int64(time(nil)) - 365 * 86_400)
        for device in scripted {
            let added = try await control(
                .addDevice(name: device.name, model: device.model, bearer: "socket:\(directory)/\(device.name).sock"))
            if let id = added["id"]?.integer { names[id] = device.name }
            for user in device.users.map({ $0.map(Optional.some) }) ?? [nil] {
                _ = try await control(
                    .assign(
                        .init(
                            device: device.name, patient: patient(device.name, user), user: user,
                            recipients: [receiver], from: from)))
            }
        }
    }

    func control(_ operation: HubAPI.Operation) async throws(OperationError) -> JSON {
        try await ControlClient(path: directory + "/control.sock").perform(operation)
    }

    // MARK: Following

    /// Reads what the daemon said since the last time, and tells it.
    func follow() {
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
        case "item held":
            if let id = record["reading"]?.string { unasked.insert(id) }
            say("   reading \(reading) stays here: \(record["reason"]?.string ?? "")")
        case "channel held":
            holds.append(record["condition"]?.string ?? "")
            say("   a channel is held: \(record["condition"]?.string ?? "")")
        case "item quarantined":
            if let id = record["reading"]?.string { quarantined.insert(id) }
            say("   reading \(reading) quarantined: \(record["reason"]?.string ?? "")")
        case "item uncertain": say("   reading \(reading): outcome unknown")
        case "channel waits":
            if !isWaiting { say("   the receiver is not reached (\(record["reason"]?.string ?? "")): readings wait") }
            isWaiting = true
        default: break
        }
    }

    private func number(_ json: JSON?) -> Int? { json?.integer ?? json?.string.flatMap { Int($0) } }

    private func milliseconds(_ microseconds: Int) -> String { "\(microseconds / 1000).\(microseconds % 1000 / 100)" }

    func wait(_ what: String, until isDone: () -> Bool) async throws(OperationError) {
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

    /// Different records that the devices hold as confirmed.
    func recordsConfirmed(by scripted: [DemoScript.Device]) -> Int {
        scripted.reduce(0) { sum, device in
            var tail = LogTail("\(directory)/\(device.name).ledger")
            let numbers = tail.lines().compactMap { line -> Substring? in
                let fields = line.split(separator: " ")
                return fields.count > 1 && fields[0] == "confirmed" ? fields[1] : nil
            }
            return sum + Set(numbers).count
        }
    }

    func percentiles(_ sorted: [Int], exponent: Int) -> JSON {
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

    func say(_ text: String) {
        if !isSilent { Output.line(text) }
    }

    /// Until the person has seen enough.
    func linger() async {
        say("\nThe daemon goes on; try: vitalgate status --socket \(directory)/control.sock    (Ctrl-C ends the demo)")
        while !Task.isCancelled, daemon?.hasEnded == false {
            follow()
            try? await Task.sleep(for: .milliseconds(200))
        }
    }
}
