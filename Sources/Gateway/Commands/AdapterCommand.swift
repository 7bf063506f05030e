import ArgumentParser
import Bluetooth
import ExactJSON
import Glibc
import HubAPI

struct AdapterCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adapter", abstract: "Take the Bluetooth adapter for the hub, give it back, or get a stuck one going again.",
        discussion: """
            The hub drives its adapter itself: bluetoothd confirms a device's readings before anybody has stored them, so the \
            two must not share one. `vitalgate doctor` says whether something is in the way.
            """,
        subcommands: [Claim.self, Release.self, Reset.self, Capture.self])

    struct Claim: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Take the adapter from bluetoothd, for good.",
            discussion: """
                Stops bluetooth.service and masks it, because udev starts it again whenever an adapter appears. Headphones, \
                keyboards and the desktop's Bluetooth settings on this machine end with it; `vitalgate adapter release` gives \
                it back. Doing it twice does no harm. Needs root.
                """)
        @Flag(help: "One JSON object.") var json = false
        func run() async throws { try await Output.ending { try AdapterOwnership.claim.perform(json: json) } }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give the adapter back to bluetoothd.",
            discussion: """
                Unmasks bluetooth.service and starts nothing: stop the daemon first, or set [bluetooth] enabled = false, for it \
                does not run its radio beside bluetoothd. Needs root.
                """)
        @Flag(help: "One JSON object.") var json = false
        func run() async throws { try await Output.ending { try AdapterOwnership.release.perform(json: json) } }
    }

    struct Reset: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Get a stuck adapter going again, now.",
            discussion: """
                The running daemon lifts an rfkill block, switches the adapter off and on, takes its interface down and up and \
                resets the dongle on USB, one after the other, until the adapter works; each step is bounded, all of it takes \
                less than three minutes. Links end; devices keep what is not confirmed. The daemon does so by itself when it \
                finds the adapter stuck. Ends with 1 where the adapter does not work afterwards.
                """)
        @OptionGroup var control: ControlOptions

        func run() async throws {
            try await Output.ending {
                let answer = try await control.client().perform(.resetAdapter)
                if control.json { Output.line(answer.text) } else { Output.story(answer) }
                guard answer["works"]?.bool != true else { return }
                throw OperationError(
                    "The adapter does not work.", why: "None of the steps above got it going.",
                    remedy: "See `vitalgate doctor`. If nothing is in its way, take the adapter out for ten seconds (a built-in "
                        + "one: the hub's power) and run the command again; if it stays, replace the adapter.", exitCode: 1)
            }
        }
    }
}

/// Who owns the adapter, decided from what is known, and then done.
enum AdapterOwnership: String {
    case claim, release

    /// What the machine is like.
    struct Situation: Hashable {
        var isRoot: Bool
        /// systemd is the service manager that runs (sd_booted(3)).
        var isSystemd: Bool
        var bluetoothd: AdapterFacts.Bluetoothd
    }

    enum Step: Hashable {
        /// systemctl with these arguments.
        case systemctl([String])
        /// It is as it should be, for this reason.
        case nothing(String)
    }

    static let unit = "bluetooth.service"

    func step(in situation: Situation) -> Result<Step, OperationError> {
        guard situation.isRoot else {
            return .failure(
                OperationError(
                    failed, why: "Only root may mask and unmask services.", remedy: "Run: sudo vitalgate adapter \(rawValue)",
                    exitCode: 77))
        }
        guard situation.isSystemd else { return withoutSystemd(situation) }
        switch self {
        // Also where it is not installed: the package may come later, with another one.
        case .claim: return .success(.systemctl(["mask", "--now", Self.unit]))
        case .release: return .success(.systemctl(["unmask", Self.unit]))
        }
    }

    private func withoutSystemd(_ situation: Situation) -> Result<Step, OperationError> {
        let noManager = "systemd does not run here, so there is no service to \(self == .claim ? "mask" : "unmask")"
        guard self == .claim, situation.bluetoothd.isRunning else { return .success(.nothing(noManager)) }
        return .failure(
            OperationError(
                failed, why: "bluetoothd is running, and \(noManager).",
                remedy: "End bluetoothd and keep it from starting by the means that started it.", exitCode: 69))
    }

    /// Whether what was done holds.
    func check(_ after: AdapterFacts.Bluetoothd) throws(OperationError) {
        switch self {
        case .claim where after.isRunning:
            throw OperationError(
                "The adapter is not ours yet.", why: "\(Self.unit) is masked, and a bluetoothd runs that it did not start.",
                remedy: "Find what started it (systemctl status $(pidof bluetoothd)) and end it there.", exitCode: 1)
        case .release where after.isMasked:
            throw OperationError(
                failed, why: "\(Self.unit) is still masked.",
                remedy: "Look at /etc/systemd/system/\(Self.unit) and /run/systemd/system/\(Self.unit).", exitCode: 1)
        default: break
        }
    }

    private var failed: String { self == .claim ? "The adapter was not claimed." : "The adapter was not released." }

    /// What a person does next.
    private var next: String {
        switch self {
        case .claim: "The daemon finds the adapter free by itself, or at once: systemctl restart vitalgate."
        case .release: "systemctl start \(Self.unit) starts bluetoothd now; udev does when an adapter appears."
        }
    }

    func perform(json: Bool) throws(OperationError) {
        let situation = Situation(
            isRoot: geteuid() == 0, isSystemd: access("/run/systemd/system", F_OK) == 0,
            bluetoothd: AdapterFacts.read().bluetoothd)
        let step = try step(in: situation).get()
        let did: String
        switch step {
        case .systemctl(let arguments):
            try Systemctl.run(arguments, failed)
            did = "systemctl " + arguments.joined(separator: " ")
        case .nothing(let why): did = "nothing: \(why)"
        }
        let after = AdapterFacts.read()
        if case .systemctl = step { try check(after.bluetoothd) }
        if json {
            Output.line(
                JSON.members([
                    "action": .string(rawValue), "did": .string(did), "bluetoothdRunning": .bool(after.bluetoothd.isRunning),
                    "bluetoothdMasked": .bool(after.bluetoothd.isMasked),
                    "adapters": .array(after.adapters.map { .string($0.description) }),
                ]).text)
        } else {
            Output.line("did       \(did)")
            for adapter in after.adapters { Output.line("adapter   \(adapter)") }
            if case .systemctl = step { Output.line("next      \(next)") }
        }
    }
}

/// The service manager's own command.
enum Systemctl {
    /// - Parameter what: how the failure is called.
    static func run(_ arguments: [String], _ what: String) throws(OperationError) {
        var ends: [Int32] = [0, 0]
        guard pipe(&ends) == 0 else { throw failure(what, String(cString: strerror(errno))) }
        defer { close(ends[0]) }
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_adddup2(&files, ends[1], STDOUT_FILENO)
        posix_spawn_file_actions_adddup2(&files, ends[1], STDERR_FILENO)
        posix_spawn_file_actions_addclose(&files, ends[0])
        posix_spawn_file_actions_addclose(&files, ends[1])
        var vector: [UnsafeMutablePointer<CChar>?] = (["systemctl", "--no-ask-password"] + arguments).map { strdup($0) } + [nil]
        defer { for pointer in vector { free(pointer) } }
        var process: pid_t = 0
        let code = posix_spawnp(&process, "systemctl", &files, nil, &vector, environ)
        close(ends[1])
        guard code == 0 else { throw failure(what, "systemctl: " + String(cString: strerror(code))) }
        var said: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 4_096)
        while case let count = read(ends[0], &buffer, buffer.count), count > 0 || count < 0 && errno == EINTR {
            if count > 0, said.count < 16_384 { said += buffer[..<count] }
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
        // wait(2): 0 is a normal end with exit code 0.
        guard status == 0 else {
            let last = String(decoding: said, as: UTF8.self).split(separator: "\n").last.map(String.init)
            throw failure(what, "systemctl \(arguments.joined(separator: " ")): \(last ?? "it failed and said nothing")")
        }
    }

    private static func failure(_ what: String, _ why: String) -> OperationError {
        OperationError(
            what, why: why.hasSuffix(".") ? why : why + ".",
            remedy: "Look at systemctl status \(AdapterOwnership.unit), and mend what it says.", exitCode: 69)
    }
}
