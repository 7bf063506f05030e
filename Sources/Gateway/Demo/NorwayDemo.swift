import EventLoop
import ExactJSON
import Glibc
import HTTP
import HTTPMessage
import HubAPI
import Vitals

/// Two neighbours and NHN's simulated services: a key made on the hub and registered, tokens with a nonce challenge, readings to PMD with
/// one entry refused, a document to VKP, and a key rotation in the middle of it.
final class NorwayDemo {
    private let options: Demo.Options
    private let stage: DemoStage
    private var simulator: ChildProcess?
    private var origin = ""
    private var rotatedTo: String?

    private static let client = "vitalgate-demo"
    /// HelseID's tokens end after so many seconds, so that one is renewed with the next key within the demo.
    private static let tokenLife = 8
    /// The municipality that the simulator knows.
    private static let municipality = "999999204"

    init(_ options: Demo.Options) throws(OperationError) {
        guard options.receiver == nil else {
            throw OperationError(
                "The Norwegian demo runs against its own simulated NHN.", why: "NHN is HelseID, PMD and VKP, no one base.",
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
        try await stage.introduce(NorwayScript.toPMD, to: "pmd") { device, _ in NorwayScript.patient(of: device) }
        try await stage.introduce([NorwayScript.document], to: "vkp") { device, _ in NorwayScript.patient(of: device) }

        stage.say("\n1. The hub makes its key; the public half is registered at HelseID, the private one never leaves the hub.")
        let key = try await change("generate")
        try await control(
            "clients",
            [
                "id": .string(Self.client), "keys": [key["jwk"] ?? .null], "allowsBearer": true,
                "vkpID": .string("supplier-1-\(Self.municipality)"),
            ])
        _ = try await change("registered")
        stage.say("   key \(key["key"]?.string?.prefix(12) ?? "")…")
        for (patient, number) in NorwayScript.numbers {
            for receiver in ["pmd", "vkp"] {
                _ = try await stage.control(.identify(patient: patient, receiver: receiver, identifier: number))
            }
        }

        stage.say("\n2. Two readings to PMD; HelseID and PMD each ask once for their nonce in the proof.")
        try stage.start(NorwayScript.first)
        try await stage.wait("the first readings to be delivered") { stage.delivered.count >= 4 }

        stage.say("\n3. PMD refuses one entry of the next: it is set aside with PMD's words, the other is delivered.")
        try await control(
            "faults", ["rules": [["fault": "entry-refused", "entry": 1, "status": 422, "path": "/pmd", "times": 1]]])
        try stage.start([NorwayScript.refused])
        try await stage.wait("one entry to be refused and the other delivered") {
            stage.quarantined.count >= 1 && stage.delivered.count >= 5
        }

        stage.say("\n4. A document for the municipality's journal, to VKP, in the name of who answers for it.")
        try stage.start([NorwayScript.document])
        try await stage.wait("the document to be taken") { stage.delivered.count >= 7 }

        stage.say("\n5. A key rotation: the next key is made and registered while the present one goes on.")
        let next = try await change("rotate")
        rotatedTo = next["candidate"]?.string
        try await control("keys", ["client": .string(Self.client), "jwk": next["jwk"] ?? .null])
        _ = try await change("registered")
        try? await Task.sleep(for: .seconds(Self.tokenLife))
        try stage.start([NorwayScript.rotated])
        try await stage.wait("a reading with the next key") { stage.delivered.count >= 9 }

        let summary = try await settle()
        try await report(summary)
        if !options.once { await stage.linger() }
        stage.daemon?.end(SIGTERM)
        return summary.isAsScripted
    }

    // MARK: Parts

    private func startSimulator() async throws(OperationError) {
        let settings = try stage.write(#"{"tokenLifetime":\#(Self.tokenLife),"nonces":"everywhere"}"#, to: "nhn-settings.json")
        let log = stage.directory + "/nhn.log"
        simulator = try ChildProcess(
            ["simulate", "nhn", "--port", "0", "--ledger", stage.directory + "/nhn-ledger.jsonl", "--settings", settings],
            log: log)
        var tail = LogTail(log)
        try await stage.wait("the simulated NHN to listen") {
            for line in tail.lines() where line.hasPrefix("http://") { origin = line }
            return !origin.isEmpty
        }
        stage.say("NHN: \(origin) (simulated HelseID, PMD and VKP)")
    }

    private func writeConfiguration() throws(OperationError) {
        let helseID = """
            [receiver.helseid]
            issuer = "\(origin)/helseid"
            client = "\(Self.client)"
            algorithm = "PS256"
            """
        let timeouts = """
            [receiver.timeouts]
            connect_seconds = 5
            answer_seconds = 5
            total_seconds = 10
            settle_seconds = 1
            """
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
            name = "pmd"
            kind = "pmd"
            base = "\(origin)/pmd"
            municipality = "0301"

            \(helseID)
            scopes = ["nhn:pmd/observation.write", "nhn:pmd/observation.read"]

            \(timeouts)

            [[receiver]]
            name = "vkp"
            kind = "vkp"
            base = "\(origin)/vkp/epj/r4"
            organisation = "\(Self.municipality)"
            journals = true

            [receiver.author]
            number = "999999999"
            name = "Kari Prøve"

            \(helseID)
            scopes = ["nhn:vkp/api/user/bundle.write"]
            allow_on_home_hub = true

            \(timeouts)
            """)
    }

    private func change(_ change: String) async throws(OperationError) -> JSON {
        try await stage.control(.changeHelseIDKey(receiver: "pmd", change: change))
    }

    private func control(_ name: String, _ message: JSON) async throws(OperationError) {
        let loop = try EventLoop.made("vg-demo")
        let client = HTTPClient(settings: HTTPClientSettings(), loop: loop)
        let outcome = await client.send(
            HTTPRequest(
                .post, "\(origin)/control/\(name)", headers: [HTTPHeader("content-type", "application/json")],
                body: message.bytes))
        await client.close()
        loop.stop()
        guard case .answered(let response) = outcome, response.status == 200 else {
            throw OperationError(
                "The demo's NHN does not obey.", why: "It was told \(name).", remedy: "Run the demo again.", exitCode: 70)
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
            if states.contains(where: { $0.hasSuffix(" quarantined") }) {
                summary.quarantined += 1
            } else if !states.isEmpty, states.allSatisfy({ $0.hasSuffix(" delivered") }) {
                summary.delivered += 1
            }
        }
        summary.lost = max(0, stage.recordsConfirmed(by: NorwayScript.all) - summary.readings)
        let ledger = ledger()
        summary.doubled = ledger.copies.values.count { $0 > 1 }
        let found = Set(
            rows.map {
                "\($0["device"]?.string ?? "") \($0["kind"]?.string ?? "") "
                    + ($0["delivery"]?.array ?? []).compactMap(\.string).joined(separator: ",")
            })
        let client = try await stage.control(.helseIDClients).array?.first
        let conditions = (try await stage.control(.status)["conditions"]?.array ?? []).compactMap { $0["code"]?.string }
        summary.isAsScripted =
            found == NorwayScript.expected && summary.lost == 0 && summary.doubled == 0
            && ledger.documents == 1 && ledger.observations == NorwayScript.observations && ledger.challenges >= 2
            && rotatedTo != nil && client?["key"]?.string == rotatedTo
            && !conditions.contains(Condition.Code.credentialRefused.rawValue)
        return summary
    }

    private struct Ledger {
        /// By our own identifiers.
        var copies: [String: Int] = [:]
        var observations = 0
        var documents = 0
        /// Requests that were answered with "use this nonce": at least HelseID's first and PMD's first, and again when those are old.
        var challenges = 0
    }

    private func ledger() -> Ledger {
        var tail = LogTail(stage.directory + "/nhn-ledger.jsonl")
        var ledger = Ledger()
        for line in tail.lines() {
            guard let record = try? JSON(parsing: line) else { continue }
            switch record["kind"]?.string {
            case "observation" where record["version"]?.integer == 1:
                ledger.observations += 1
                for identifier in record["identifiers"]?.array ?? [] { ledger.copies[identifier.string ?? "", default: 0] += 1 }
            case "document":
                ledger.documents += 1
                ledger.copies[record["identifier"]?.string ?? "", default: 0] += 1
            case "request" where record["code"]?.string == "use_dpop_nonce": ledger.challenges += 1
            default: break
            }
        }
        return ledger
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
        stage.say("\nNext: vitalgate helseid --socket \(stage.directory)/control.sock")
    }
}

/// The devices of the Norwegian demo, and what must have become of each reading.
enum NorwayScript {
    typealias Device = DemoScript.Device

    private static func cuff(_ name: String, _ about: String) -> Device {
        Device(
            name: name, kind: "cuff", scenario: "live", model: "generic-blood-pressure", about: about,
            expected: .init(delivered: 1))
    }

    static let first = [
        cuff("anna-cuff", "Anna's pressure and pulse, two entries of one bundle"),
        Device(
            name: "anna-oximeter", kind: "oximeter", scenario: "spot", model: "nonin-3230",
            about: "Anna's saturation and pulse", expected: .init(delivered: 1)),
    ]
    static let refused = cuff("bent-cuff", "Bent's pressure and pulse; PMD refuses the pulse")
    static let document = cuff("anna-journal", "Anna's pressure and pulse, one document for the journal")
    static let rotated = cuff("bent-cuff-2", "Bent's next pressure and pulse, proved with the next key")

    static var toPMD: [Device] { first + [refused, rotated] }
    static var all: [Device] { toPMD + [document] }

    static func patient(of device: String) -> String { device.hasPrefix("anna") ? "anna" : "bent" }

    /// Synthetic people's.
    static let numbers = [("anna", "01819540094"), ("bent", "13826540200")]

    /// Device, kind, and where it stands at the receiver.
    static let expected: Set<String> = [
        "anna-cuff blood-pressure pmd delivered", "anna-cuff pulse-rate pmd delivered",
        "anna-oximeter oxygen-saturation pmd delivered", "anna-oximeter pulse-rate pmd delivered",
        "bent-cuff blood-pressure pmd delivered", "bent-cuff pulse-rate pmd quarantined",
        "anna-journal blood-pressure vkp delivered", "anna-journal pulse-rate vkp delivered",
        "bent-cuff-2 blood-pressure pmd delivered", "bent-cuff-2 pulse-rate pmd delivered",
    ]

    /// What PMD stores.
    static let observations = 7
}
