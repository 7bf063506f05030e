import ArgumentParser
import EventLoop
import ExactJSON
import Glibc
import HTTP
import HTTPMessage
import Trust
import HubAPI
import Vitals

struct DoctorCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor", abstract: "Every check with result, reason and remedy; works with the daemon dead and offline.")

    @OptionGroup var control: ControlOptions
    @Option(help: "Write all of it to a file for support: versions, checks, conditions; no health data.") var bundle: String?

    func run() async throws {
        try await Output.ending {
            let path = control.config ?? "/etc/vitalgate/vitalgate.toml"
            var checks = Checkup.machine()
            let configuration: Configuration?
            do throws(OperationError) {
                let loaded = try Configuration.loadOrExplain(path)
                checks.append(.init("configuration", .ok, path))
                configuration = loaded
            } catch {
                checks.append(.init("configuration", .failed, error.what + " " + error.why, error.remedy))
                configuration = nil
            }
            checks += Checkup.bluetooth(configuration?.bluetooth ?? Configuration.Bluetooth())
            if let configuration {
                checks += Checkup.storage(configuration)
                checks.append(Checkup.key(configuration))
                checks += await Checkup.receivers(configuration)
            }
            let status = await daemonStatus(configuration)
            checks.append(status.check)
            if let bundle { try write(checks, status.conditions, to: bundle) }
            for check in checks {
                if control.json {
                    Output.line(check.json.text)
                } else {
                    Output.line("\(check.result.rawValue.padded(to: 8))\(check.name): \(check.reason)")
                    if let remedy = check.remedy, check.result != .ok { Output.line("        \(remedy)") }
                }
            }
            if checks.contains(where: { $0.result == .failed }) { throw ExitCode(1) }
        }
    }

    private func daemonStatus(_ configuration: Configuration?) async -> (check: Checkup, conditions: JSON) {
        let path = control.socket ?? configuration?.hub.controlSocket ?? Configuration.defaultControlSocket
        do throws(OperationError) {
            let status = try await ControlClient(path: path).perform(.status)
            let count = status["conditions"]?.array?.count ?? 0
            return (
                .init("daemon", .ok, count == 0 ? "answers, all well" : "answers; \(count) conditions stand: vitalgate status"),
                status["conditions"] ?? []
            )
        } catch {
            return (.init("daemon", .failed, error.why, error.remedy), [])
        }
    }

    private func write(_ checks: [Checkup], _ conditions: JSON, to file: String) throws(OperationError) {
        let document = JSON.members([
            "vitalgate": .string(Daemon.version), "checks": .array(checks.map(\.json)), "conditions": conditions,
        ])
        let bytes = Array((document.prettyText + "\n").utf8)
        let descriptor = open(file, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0, Glibc.write(descriptor, bytes, bytes.count) == bytes.count, close(descriptor) == 0 else {
            throw OperationError(
                "The bundle was not written.", why: "\(file): \(String(cString: strerror(errno))).",
                remedy: "Name a file in a directory that you can write.", exitCode: 73)
        }
    }
}

/// One thing looked at: well or not, why, and what to do.
struct Checkup {
    enum Outcome: String { case ok, warning, failed }

    var name: String
    var result: Outcome
    var reason: String
    var remedy: String?

    init(_ name: String, _ result: Outcome, _ reason: String, _ remedy: String? = nil) {
        self.name = name
        self.result = result
        self.reason = reason
        self.remedy = remedy
    }

    var json: JSON {
        .members([
            "check": .string(name), "result": .string(result.rawValue), "reason": .string(reason),
            "remedy": remedy.map { .string($0) },
        ])
    }

    /// The machine itself: kernel and clock.
    static func machine() -> [Checkup] {
        var checks: [Checkup] = []
        var name = utsname()
        uname(&name)
        let release = withUnsafeBytes(of: &name.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        checks.append(.init("kernel", .ok, "Linux \(release)"))
        checks.append(
            Machine.isKernelClockSynchronised
                ? .init("clock", .ok, "the kernel's clock is synchronised")
                : .init(
                    "clock", .warning, "nothing vouches for the kernel's clock: readings are taken and do not leave",
                    "Start a time service (systemctl enable --now systemd-timesyncd), or declare the clock good: vitalgate clock declare."
                ))
        return checks
    }

    static func storage(_ configuration: Configuration) -> [Checkup] {
        let path = configuration.hub.stateDirectory
        guard access(path, F_OK) == 0 else {
            return [
                .init(
                    "state directory", .warning, "\(path) is not there yet",
                    "The daemon makes it, if it may; as a service it always can.")
            ]
        }
        guard access(path, W_OK) == 0 else {
            return [
                .init(
                    "state directory", .failed, "\(path) cannot be written by this user",
                    "Run this as the daemon's user, or give it the directory.")
            ]
        }
        var space = statvfs()
        guard statvfs(path, &space) == 0 else { return [.init("disk", .failed, String(cString: strerror(errno)))] }
        let free = Int(space.f_bavail) * Int(space.f_frsize) >> 20
        let storage = configuration.storage
        let remedy = "Free space on the file system of \(path): delivered readings past retention go by themselves."
        if free < storage.fullMegabytes { return [.init("disk", .failed, "\(free) MB free: no readings are taken", remedy)] }
        if free < storage.lowMegabytes { return [.init("disk", .warning, "\(free) MB free", remedy)] }
        return [.init("disk", .ok, "\(free) MB free")]
    }

    static func key(_ configuration: Configuration) -> Checkup {
        switch configuration.keys {
        case .credential(let name): .init("key", .ok, "from the service manager's credential \(name)")
        case .file(let path):
            .init(
                "key", .warning, "in the file \(path): a stolen hub could be read",
                "Give it to the service as a credential: see Keys in the README.")
        }
    }

    /// No link, name, proxy, TLS and the receiver itself told apart.
    static func receivers(_ configuration: Configuration) async -> [Checkup] {
        var checks: [Checkup] = []
        for receiver in configuration.receivers {
            let name = "receiver \(receiver.name)"
            guard let loop = try? EventLoop(name: "doctor") else { continue }
            var settings = HTTPClientSettings()
            settings.authorities = receiver.caFile.map { .file($0) }
            settings.identity = receiver.certificate.map { .init(certificate: .file($0.certificateFile), key: .file($0.keyFile)) }
            settings.proxy = receiver.proxy.map { .init($0) }
            settings.connectTimeout = .seconds(10)
            settings.requestTimeout = .seconds(20)
            let client = HTTPClient(settings: settings, loop: loop)
            switch await client.send(
                HTTPRequest(.get, receiver.base + "/metadata", headers: [HTTPHeader("accept", "application/fhir+json")]))
            {
            case .answered(let response) where receiver.fut != nil && [401, 403].contains(response.status):
                checks.append(.init(name, .ok, "answers, and takes a signed-in citizen only"))
            case .answered(let response) where receiver.norway != nil && response.status < 500 && response.status != 407:
                // Neither documents a CapabilityStatement, and both answer nobody without a token.
                checks.append(.init(name, .ok, "answers (HTTP \(response.status)), and takes a token of HelseID only"))
            case .answered(let response): checks.append(answered(name, response))
            case .notSent(let failure), .unknown(let failure):
                checks.append(.init(name, .failed, "\(failure.kind.rawValue): \(failure.message)", remedy(for: failure.kind)))
            }
            if let fut = receiver.fut { checks.append(await realm("sign-in \(receiver.name)", fut, client)) }
            if let norway = receiver.norway {
                checks.append(await helseID("helseid \(receiver.name)", receiver, norway.helseID, loop))
            }
            await client.close()
            loop.stop()
        }
        if configuration.receivers.isEmpty {
            checks.append(.init("receivers", .warning, "none is configured: readings stay here", "Add a [[receiver]]."))
        }
        return checks
    }

    /// Whether the realm in which citizens sign in answers, and offers the way that is configured.
    private static func realm(_ name: String, _ fut: Configuration.Receiver.FUT, _ client: HTTPClient) async -> Checkup {
        let mend = "Compare [receiver.sign_in] with what FUT registered."
        do throws(AuthorizationServerError) {
            switch await client.send(try AuthorizationServer.discovery(issuer: fut.issuer)) {
            case .notSent(let failure), .unknown(let failure):
                return .init(name, .failed, "\(failure.kind.rawValue): \(failure.message)", remedy(for: failure.kind))
            case .answered(let response):
                guard response.status == 200 else { return .init(name, .failed, "answers HTTP \(response.status)", mend) }
                let server = try AuthorizationServer(parsing: response.body, issuer: fut.issuer)
                if fut.way == .deviceCode, server.deviceAuthorizationEndpoint == nil {
                    return .init(
                        name, .failed, "the realm offers no sign-in by device code",
                        "Set way to loopback or paste in [receiver.sign_in], with the redirect that FUT registered.")
                }
                return .init(name, .ok, "the realm offers \(fut.way.rawValue)")
            }
        } catch {
            return .init(name, .failed, error.description, mend)
        }
    }

    /// Whether HelseID answers and offers what the client needs.
    private static func helseID(
        _ name: String, _ receiver: Configuration.Receiver, _ helseID: Configuration.Receiver.Norway.HelseID, _ loop: EventLoop
    ) async -> Checkup {
        var settings = receiver.clientSettings
        settings.authorities = helseID.caFile.map { .file($0) }
        let client = HTTPClient(settings: settings, loop: loop)
        let outcome = await client.send(HTTPRequest(.get, helseID.session.metadataURL))
        await client.close()
        switch outcome {
        case .notSent(let failure), .unknown(let failure):
            return .init(name, .failed, "\(failure.kind.rawValue): \(failure.message)", remedy(for: failure.kind))
        case .answered(let response):
            guard response.status == 200 else {
                return .init(name, .failed, "answers HTTP \(response.status)", "Compare helseid.issuer with what NHN publishes.")
            }
            do throws(HelseIDMetadataError) {
                _ = try HelseIDMetadata(parsing: response.body, for: helseID.session, algorithm: helseID.algorithm)
                return .init(name, .ok, "offers \(helseID.token.rawValue) tokens with \(helseID.algorithm.rawValue)")
            } catch {
                return .init(name, .failed, "\(error)", "Compare helseid.issuer and algorithm with what NHN publishes.")
            }
        }
    }

    private static func answered(_ name: String, _ response: HTTPResponse) -> Checkup {
        let isFHIR = (try? JSON(parsing: response.body))?["resourceType"]?.string != nil
        switch response.status {
        case 200 where isFHIR: return .init(name, .ok, "answers as a FHIR server")
        case 200, 300..<400:
            return .init(
                name, .failed, "something else answers (HTTP \(response.status), no FHIR)",
                "A sign-in page of the network (captive portal) or a wrong base: open the base in a browser on this network.")
        case 401, 403:
            return .init(
                name, .warning, "answers and asks for a credential (HTTP \(response.status))", "Check the token or certificate.")
        case 407: return .init(name, .failed, "the proxy asks for a credential", "Put it into the receiver's proxy setting.")
        default: return .init(name, .failed, "answers HTTP \(response.status)", "Ask its operator, or check the base.")
        }
    }

    private static func remedy(for kind: HTTPFailure.Kind) -> String {
        switch kind {
        case .resolve: "The name is not found: check the network cable or Wi-Fi, then the name server, then the base."
        case .proxy: "The proxy does not serve us: check its address."
        case .connect, .timeout: "Nobody answers there: check the network, a firewall, and whether the receiver is up."
        case .certificate: "Its certificate is not trusted: set ca_file to its authority, and check the hub's clock."
        case .tls: "No common TLS: the receiver has to speak TLS 1.2 or later."
        case .credential: "A file of the configuration cannot be read: check certificate_file, key_file and ca_file."
        case .invalidURL: "The base is no URL that may be used: https, or http to a literal loopback address."
        case .interrupted, .tooLarge, .cancelled, .other: "Try again; if it stays, send this line to the receiver's operator."
        }
    }
}

extension String {
    fileprivate func padded(to width: Int) -> String { self + String(repeating: " ", count: max(1, width - count)) }
}
