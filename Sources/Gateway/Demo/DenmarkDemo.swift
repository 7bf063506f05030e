import EventLoop
import ExactJSON
import Glibc
import HTTP
import HTTPMessage
import HubAPI
import Vitals

/// Two spouses and a simulated FUT: sign-in by device code, what a plan asks for and what nobody asked for, a lost answer, and a
/// sign-in that lapses while the other's goes on.
final class DenmarkDemo {
    private let options: Demo.Options
    private let stage: DemoStage
    private var simulator: ChildProcess?
    private var origin = ""

    private static let receiver = "fut"
    /// The realm forgets an access token after so many seconds, so that each is renewed several times within the demo.
    private static let accessLife = 6

    /// Who uses which device: the logical id of the Patient at FUT.
    private static let anna = "1001"
    private static let bent = "1002"

    init(_ options: Demo.Options) throws(OperationError) {
        guard options.receiver == nil else {
            throw OperationError(
                "The Danish demo runs against its own simulated FUT.", why: "FUT is several services and a realm, no one base.",
                remedy: "Leave --receiver out.", exitCode: 64)
        }
        self.options = options
        stage = try DemoStage(state: options.state, isSilent: options.json)
    }

    func run() async throws(OperationError) -> Bool {
        stage.say("State, logs and ledgers: \(stage.directory)")
        try await startSimulator()
        try writeConfiguration()
        try await stage.startDaemon()
        try await stage.introduce(DenmarkScript.all, to: Self.receiver) { device, _ in
            device.hasPrefix("anna") ? Self.anna : Self.bent
        }

        stage.say("\n1. Anna and Bent sign in, each with a short code on a phone (here: the simulator says yes).")
        try await signIn(Self.anna, as: "anna")
        try await signIn(Self.bent, as: "bent")

        stage.say("\n2. What the plans ask for, one pressure after its slot, and a saturation that nobody ordered.")
        try stage.start(DenmarkScript.ordered)
        try await stage.wait("the first readings to be decided") {
            stage.delivered.count >= DenmarkScript.deliveredFirst && stage.unasked.count >= DenmarkScript.unaskedFirst
        }

        stage.say("\n3. FUT stores one and its answer is lost: it is asked for before anything is sent again.")
        try await control("faults", #"{"rules":[{"fault":"cut","stored":true,"path":"$submit-measurement","times":1}]}"#)
        try stage.start([DenmarkScript.lostAnswer])
        try await stage.wait("the lost answer to be found out") { stage.delivered.count >= DenmarkScript.deliveredFirst + 1 }

        stage.say("\n4. Bent's sign-in is withdrawn. His reading waits; Anna's goes on.")
        try await control("sessions", #"{"end":"bent"}"#)
        try? await Task.sleep(for: .seconds(Self.accessLife))
        try stage.start(DenmarkScript.lapsed)
        try await stage.wait("Bent's channel to be held and Anna's reading to be delivered") {
            stage.holds.contains(Condition.Code.signInNeeded.rawValue)
                && stage.delivered.count >= DenmarkScript.deliveredFirst + 2
        }

        stage.say("\n5. Bent signs in again.")
        try await signIn(Self.bent, as: "bent")
        let summary = try await settle()
        try await report(summary)
        if !options.once { await stage.linger() }
        stage.daemon?.end(SIGTERM)
        return summary.isAsScripted
    }

    // MARK: Parts

    private func startSimulator() async throws(OperationError) {
        let world = try stage.write(DenmarkScript.world, to: "fut-world.json")
        let settings = try stage.write(
            #"{"accessLife":\#(Self.accessLife),"deviceInterval":1}"#, to: "fut-settings.json")
        let log = stage.directory + "/fut.log"
        simulator = try ChildProcess(
            [
                "simulate", "fut", "--port", "0", "--ledger", stage.directory + "/fut-ledger.jsonl", "--world", world,
                "--settings",
                settings,
            ], log: log)
        var tail = LogTail(log)
        try await stage.wait("the simulated FUT to listen") {
            for line in tail.lines() where line.hasPrefix("http://") { origin = line }
            return !origin.isEmpty
        }
        stage.say("FUT: \(origin) (simulated)")
    }

    private func writeConfiguration() throws(OperationError) {
        let services = ["patient", "careplan", "measurement", "device", "task"].map { "\"\($0)\":\"\(origin)/\($0)/fhir\"" }
        let codes = try stage.write("{\"services\":{\(services.joined(separator: ","))}}", to: "fut-codes.json")
        try stage.write(
            """
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
            name = "\(Self.receiver)"
            kind = "fut"
            base = "\(origin)/measurement/fhir"
            codes_file = "\(codes)"

            [receiver.sign_in]
            issuer = "\(origin)/auth/realms/nemlogin"
            client = "vitalgate"

            [receiver.timeouts]
            connect_seconds = 5
            answer_seconds = 5
            total_seconds = 10
            settle_seconds = 1
            """)
    }

    /// What a technician and the citizen do together.
    private func signIn(_ patient: String, as citizen: String) async throws(OperationError) {
        let begun = try await stage.control(.beginSignIn(receiver: Self.receiver, patient: patient, way: nil))
        guard let id = begun["id"]?.integer, let code = begun["userCode"]?.string else {
            throw OperationError("The demo's sign-in did not begin.", why: begun.text, remedy: "Please report it.", exitCode: 70)
        }
        stage.say("   \(citizen) is shown the code \(code)")
        try await control("device", #"{"user_code":"\#(code)","citizen":"\#(citizen)"}"#)
        let deadline = ContinuousClock.now + DemoStage.patience
        while ContinuousClock.now < deadline {
            let progress = try await stage.control(.signIn(id: id))
            switch progress["state"]?.string {
            case "signed-in":
                stage.say("   \(citizen) is signed in")
                return
            case "waiting": try? await Task.sleep(for: .milliseconds(200))
            default:
                throw OperationError(
                    "The demo's sign-in failed.", why: progress["reason"]?.string ?? "", remedy: "Please report it.", exitCode: 70
                )
            }
        }
        throw OperationError(
            "The demo waited too long for a sign-in.", why: "See \(stage.directory)/daemon.log.",
            remedy: "Run it again on a machine with less load.", exitCode: 75)
    }

    private func control(_ name: String, _ message: String) async throws(OperationError) {
        let loop = try EventLoop.made("vg-demo")
        let client = HTTPClient(settings: HTTPClientSettings(), loop: loop)
        let outcome = await client.send(
            HTTPRequest(
                .post, "\(origin)/control/\(name)", headers: [HTTPHeader("content-type", "application/json")],
                body: Array(message.utf8)))
        await client.close()
        loop.stop()
        guard case .answered(let response) = outcome, response.status == 200 else {
            throw OperationError(
                "The demo's FUT does not obey.", why: "It was told \(name).", remedy: "Run the demo again.", exitCode: 70)
        }
    }

    // MARK: The end

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
            // Of an act, FUT takes what its plan asks for; the rest stays here.
            if states.contains("\(Self.receiver) quarantined") {
                summary.quarantined += 1
            } else if states.contains("\(Self.receiver) delivered") {
                summary.delivered += 1
            } else if states == ["\(Self.receiver) held"] {
                summary.held += 1
            }
        }
        summary.suppressed = (try await stage.control(.suppressed(limit: 10_000)).array ?? []).reduce(0) {
            $0 + ($1["count"]?.integer ?? 0)
        }
        summary.lost = max(0, stage.recordsConfirmed(by: DenmarkScript.all) - summary.readings)
        let stored = stored()
        summary.doubled = stored.counts.values.count { $0 > 1 }
        let found = Set(
            rows.map {
                "\($0["device"]?.string ?? "") \($0["kind"]?.string ?? "") "
                    + ($0["delivery"]?.array ?? []).compactMap(\.string).joined(separator: ",")
            })
        let conditions = (try await stage.control(.status)["conditions"]?.array ?? []).compactMap { $0["code"]?.string }
        summary.isAsScripted =
            found == DenmarkScript.expected && stored.timings == DenmarkScript.timings && summary.lost == 0
            && summary.doubled == 0 && !conditions.contains(Condition.Code.signInNeeded.rawValue)
        return summary
    }

    /// What the simulated FUT stored, by our own identifier, and by patient, code and timing.
    private func stored() -> (counts: [String: Int], timings: [String]) {
        var tail = LogTail(stage.directory + "/fut-ledger.jsonl")
        var counts: [String: Int] = [:]
        var timings: [String] = []
        for line in tail.lines() {
            guard let record = try? JSON(parsing: line), record["kind"]?.string == "resource",
                record["type"]?.string == "Observation", record["version"]?.integer == 1
            else { continue }
            for identifier in record["identifiers"]?.array ?? [] { counts[identifier.string ?? "", default: 0] += 1 }
            timings.append(["patient", "code", "timing"].map { record[$0]?.string ?? "" }.joined(separator: " "))
        }
        return (counts, timings.sorted())
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
        stage.say(
            "\nNext: vitalgate sign-in --socket \(stage.directory)/control.sock; "
                + "vitalgate plan fut --patient 1001 --socket \(stage.directory)/control.sock")
    }
}

/// The devices of the Danish demo, and what must have become of each reading.
enum DenmarkScript {
    typealias Device = DemoScript.Device

    private static func cuff(_ name: String, _ about: String) -> Device {
        Device(
            name: name, kind: "cuff", scenario: "live", model: "generic-blood-pressure", about: about,
            expected: .init(delivered: 1))
    }

    private static func oximeter(_ name: String, _ about: String, delivered: Int) -> Device {
        Device(
            name: name, kind: "oximeter", scenario: "spot", model: "nonin-3230", about: about,
            expected: .init(delivered: delivered, held: 1 - delivered))
    }

    static let ordered = [
        cuff("anna-cuff", "Anna's pressure, within its slot; the pulse of a cuff is nobody's order"),
        oximeter("anna-oximeter", "Anna's saturation and pulse, both ordered of the oximeter", delivered: 1),
        cuff("bent-cuff", "Bent's pressure, an hour after its slot: his plan takes it as extra"),
        oximeter("bent-oximeter", "Bent's saturation, which nobody ordered", delivered: 0),
    ]
    static let lostAnswer = cuff("anna-cuff-2", "Anna's second pressure of the slot")
    static let lapsed = [
        cuff("bent-cuff-2", "Bent's pressure while nobody may speak for him"),
        oximeter(
            "anna-oximeter-2", "Anna's saturation once more: the slot has all that it asks for, so it stays here", delivered: 0),
        cuff("anna-cuff-3", "Anna's third pressure of a slot for two: her plan takes it as extra"),
    ]
    static var all: [Device] { ordered + [lostAnswer] + lapsed }

    /// Readings of ``ordered``: two pressures, a saturation, a pulse; two pulses of cuffs, and all of Bent's oximeter.
    static let deliveredFirst = 4
    static let unaskedFirst = 4

    /// Device, kind, and where it stands at the receiver.
    static let expected: Set<String> = [
        "anna-cuff blood-pressure fut delivered", "anna-cuff pulse-rate fut held",
        "anna-oximeter oxygen-saturation fut delivered", "anna-oximeter pulse-rate fut delivered",
        "bent-cuff blood-pressure fut delivered", "bent-cuff pulse-rate fut held",
        "bent-oximeter oxygen-saturation fut held", "bent-oximeter pulse-rate fut held",
        "anna-cuff-2 blood-pressure fut delivered", "anna-cuff-2 pulse-rate fut held",
        "bent-cuff-2 blood-pressure fut delivered", "bent-cuff-2 pulse-rate fut held",
        "anna-oximeter-2 oxygen-saturation fut held", "anna-oximeter-2 pulse-rate fut held",
        "anna-cuff-3 blood-pressure fut delivered", "anna-cuff-3 pulse-rate fut held",
    ]

    /// Patient, code and resolved timing of what FUT stores.
    static let timings = [
        "1001 NPU03011 Resolved", "1001 NPU21692 Resolved", "1001 ZZ3170 Extra", "1001 ZZ3170 Resolved", "1001 ZZ3170 Resolved",
        "1002 ZZ3170 Extra", "1002 ZZ3170 Extra",
    ]

    /// Anna is to measure pressure twice, saturation and pulse once (as one device's group); Bent's slot is over, his plan takes more.
    static let world = """
        [
          {"citizen": "anna", "patient": "1001", "episodes": [{"id": "2001", "carePlan": "2501", "since": -43200, "requests": [
            {"id": "3001", "code": "ZZ3170", "activity": "Blodtryk", "extra": true,
             "timing": {"slots": [{"from": -60, "to": 180, "occurrences": 2}]}},
            {"id": "3002", "code": "SDG", "activity": "Iltmåler", "timing": "adhoc"},
            {"id": "3003", "code": "NPU03011", "activity": "Iltmætning",
             "timing": {"slots": [{"from": -60, "to": 180, "occurrences": 1}]}},
            {"id": "3004", "code": "NPU21692", "activity": "Puls",
             "timing": {"slots": [{"from": -60, "to": 180, "occurrences": 1}]}}
          ]}]},
          {"citizen": "bent", "patient": "1002", "episodes": [{"id": "2002", "carePlan": "2502", "since": -43200, "requests": [
            {"id": "3011", "code": "ZZ3170", "activity": "Blodtryk", "extra": true,
             "timing": {"slots": [{"from": -180, "to": -60, "occurrences": 1}]}}
          ]}]}
        ]
        """
}
