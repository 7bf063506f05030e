import ArgumentParser
import EventLoop
import ExactJSON
import Glibc
import HubAPI
import Synchronization
import UnixSignals

// What a technician does with the radio: each command begins a procedure of the daemon and shows its steps as they come.

struct ScanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "scan", abstract: "Look around: which devices the hub hears that it knows how to read.",
        discussion: """
            Put the device into its pairing mode first: one that sleeps is not heard. Each line has the address, the name and the \
            entry of the catalogue that fits. With --json: one object for each device.
            """)
    @Option(help: "How long to look, in seconds, 1 to 300.") var seconds = 10
    @Flag(help: "Show also what fits no entry: telephones, lamps, a neighbour's television.") var all = false
    @OptionGroup var control: ControlOptions

    func run() async throws {
        try await Output.ending {
            try await ProcedureFollower(client: try control.client(), json: control.json, isScan: true)
                .follow(.beginScan(seconds: seconds, all: all))
        }
    }
}

struct PairCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "pair", abstract: "Pair with a device: find it, pair, read who it is, set its clock.",
        discussion: """
            The only time at which the hub pairs, and only with this device. It says what to press and asks for what the device \
            shows. Afterwards its readings count as tests until `vitalgate devices verify` has proved it. Without that proof \
            they are kept after 30 minutes, and wait. A device that was paired before keeps its name and its readings.
            """)
    @Argument(help: "The device's address as `vitalgate scan` shows it, or the name that it advertises.") var device: String
    @Option(help: "What the hub shall call it, such as `cuff`; one is chosen where it is left out.") var name: String?
    @Option(help: "Its entry of the catalogue, such as `and-ua-651ble`; the one that fits where it is left out.") var model:
        String?
    @Option(help: "The six digits that the device shows, where they are known ahead.") var passkey: String?
    @Option(help: "The PIN of an older device (Bluetooth Classic), where it is known ahead.") var pin: String?
    @OptionGroup var control: ControlOptions

    func run() async throws {
        try await Output.ending {
            try await ProcedureFollower(client: try control.client(), json: control.json)
                .follow(
                    .beginPairing(
                        HubAPI.Operation.Pairing(device: device, name: name, model: model, passkey: passkey, pin: pin)))
        }
    }
}

extension DevicesCommand {
    struct Verify: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Prove that a device works: it has to come back by itself, with its link encrypted.",
            discussion: """
                Says what to press on the device; nothing is pressed on the hub. Only a verified device's readings can reach a \
                patient's record. Ends with 75 where it did not come back in time.
                """)
        @Argument(help: "The device's name.") var device: String
        @Option(help: "How long to wait for it, in seconds, 5 to 1800.") var timeout = 120
        @OptionGroup var control: ControlOptions

        func run() async throws {
            try await Output.ending {
                try await ProcedureFollower(client: try control.client(), json: control.json)
                    .follow(.beginVerification(name: device, seconds: timeout))
            }
        }
    }
}

/// Shows a procedure's steps until it is over, and carries the technician's answers to it.
struct ProcedureFollower {
    let client: ControlClient
    let json: Bool
    /// A scan's machine form is its devices alone.
    var isScan = false

    /// How long the hub may take to hear that it was ended: it answers within milliseconds, or not at all.
    private static let patience = Duration.seconds(3)

    /// Between two looks at whether a question is still open.
    private static let look = Duration.seconds(1)

    func follow(_ beginning: HubAPI.Operation) async throws {
        let signals = await UnixSignalsSequence(trapping: .sigint, .sigterm, .sighup)
        guard let id = try await client.perform(beginning)["id"]?.integer else { throw misunderstood }
        let interruption = Interruption()
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                for await signal in signals {
                    interruption.happen()
                    await end(id, by: signal)
                }
            }
            group.addTask {
                do {
                    try await tell(id)
                } catch {
                    // What the hub says of a procedure that was interrupted is what the signal did to it.
                    guard interruption.hasHappened else { throw error }
                }
                // The other task ends the process.
                while interruption.hasHappened { try await Task.sleep(for: Self.patience) }
            }
            try await group.next()
            group.cancelAll()
        }
    }

    /// Who presses Ctrl-C, or closes the terminal, does not want the radio looking on, and the window of a pairing open: the hub is told.
    /// The process ends here and not by way of its tasks, one of which may wait for the hub. Nothing is buffered: ``Output`` writes at once.
    private func end(_ id: Int, by signal: UnixSignal) async {
        await withTaskGroup(of: Bool.self) { group in
            group.addTask { (try? await client.perform(.cancelProcedure(id: id))) != nil }
            group.addTask {
                try? await Task.sleep(for: Self.patience)
                return false
            }
            leave(isTold: await group.next() ?? false, signal)
        }
    }

    private func leave(isTold: Bool, _ signal: UnixSignal) {
        Output.error(.interrupted(isTold: isTold))
        _exit(128 + signal.rawValue)
    }

    private func tell(_ id: Int) async throws {
        var after = 0
        while true {
            let progress = try await client.perform(.procedure(id: id, after: after))
            for step in progress["steps"]?.array ?? [] { show(step) }
            after = progress["next"]?.integer ?? after
            if progress["done"]?.bool == true {
                if let error = progress["error"].flatMap({ OperationError(json: $0) }) { throw error }
                return
            }
            if progress["question"]?.object != nil { try await ask(id, after) }
        }
    }

    private func show(_ step: JSON) {
        let name = step["step"]?.string ?? ""
        if json {
            if isScan {
                if name == "device" { Output.line(step.text) }
            } else {
                Output.line(step.text)
            }
        } else {
            Output.line(step["message"]?.string ?? name)
        }
    }

    private enum Reply {
        case line(String?)
        /// The question is not open any more: its time was over, or the adapter was lost.
        case gone
    }

    /// Reads one line from standard input, for as long as the hub wants it.
    private func ask(_ id: Int, _ after: Int) async throws {
        let reply = try await withThrowingTaskGroup(of: Reply.self) { group in
            group.addTask { .line(try await Keyboard.line()) }
            group.addTask {
                repeat { try await Task.sleep(for: Self.look) } while try await isOpen(id, after)
                return .gone
            }
            defer { group.cancelAll() }
            return try await group.next() ?? .gone
        }
        guard case .line(let text) = reply else { return }
        guard let text, !text.isEmpty else {
            _ = try? await client.perform(.cancelProcedure(id: id))
            throw OperationError(
                "The device was not paired.", why: "The hub asked for digits, and none were given.",
                remedy: "Run the command on a terminal, or give --passkey or --pin.", exitCode: 64)
        }
        _ = try await client.perform(.answerProcedure(id: id, text: text))
    }

    private func isOpen(_ id: Int, _ after: Int) async throws -> Bool {
        let progress = try await client.perform(.procedure(id: id, after: after))
        return progress["done"]?.bool == false && progress["question"]?.object != nil
    }

    private var misunderstood: OperationError {
        OperationError(
            "The hub's answer was not understood.", why: "The command and the daemon may be of different releases.",
            remedy: "Restart the daemon after an update: systemctl restart vitalgate.", exitCode: 70)
    }
}

private final class Interruption: Sendable {
    private let happened = Mutex(false)
    var hasHappened: Bool { happened.withLock { $0 } }
    func happen() { happened.withLock { $0 = true } }
}

/// Standard input, a line at a time, off the cooperative pool: a line may take as long as a person does, and is given up when its task
/// is cancelled.
private enum Keyboard {
    /// - Returns: `nil` at the end of the input.
    static func line() async throws(OperationError) -> String? {
        let interruption = Interruption()
        let loop = try EventLoop.made("vg-input")
        defer { loop.stop() }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { done in loop.execute { done.resume(returning: read(until: interruption)) } }
        } onCancel: {
            interruption.happen()
        }
    }

    private static func read(until interruption: Interruption) -> String? {
        var bytes: [UInt8] = []
        while !interruption.hasHappened {
            var input = pollfd(fd: STDIN_FILENO, events: Int16(POLLIN), revents: 0)
            guard poll(&input, 1, 200) > 0 else { continue }
            var byte: UInt8 = 0
            let count = Glibc.read(STDIN_FILENO, &byte, 1)
            if count < 0, errno == EINTR || errno == EAGAIN { continue }
            guard count == 1 else { return bytes.isEmpty ? nil : String(decoding: bytes, as: UTF8.self) }
            if byte == UInt8(ascii: "\n") { return String(decoding: bytes, as: UTF8.self) }
            bytes.append(byte)
        }
        return nil
    }
}

extension OperationError {
    /// - Parameter isTold: whether the hub heard of it.
    fileprivate static func interrupted(isTold: Bool) -> OperationError {
        OperationError(
            "It was ended before its time.",
            why: isTold
                ? "A signal ended the command (Ctrl-C, for one), and the hub has ended what it began."
                : "A signal ended the command (Ctrl-C, for one); the hub could not be told, and ends by its own limits.",
            remedy: "Begin again when the device is at hand; `vitalgate devices list` shows what is paired.", exitCode: 130)
    }
}
