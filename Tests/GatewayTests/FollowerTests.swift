import ExactJSON
import Glibc
import HubAPI
import Logging
import Synchronization
import Testing

/// Commands of the radio as processes, against a hub that only answers.
@Suite(
    "commands that follow the hub", .enabled(if: Program.built != nil, "the program vitalgate is not built beside the tests"))
struct FollowerTests {
    /// A hub with one procedure that goes on until it is cancelled.
    private final class Hub: HubOperations {
        struct Seen {
            var began: [HubAPI.Operation] = []
            var asked = 0
            var cancelled: [Int] = []
            var answers: [String] = []
        }
        let seen = Mutex(Seen())
        let works: Bool
        /// How it takes a cancel: a hub that hangs does not answer.
        let hangs: Bool
        /// Whether it wants the digits of a display.
        let asks: Bool
        /// Whether the procedure fails by itself, the question being open.
        let fails: Bool

        init(works: Bool = true, hangs: Bool = false, asks: Bool = false, fails: Bool = false) {
            self.works = works
            self.hangs = hangs
            self.asks = asks
            self.fails = fails
        }

        func perform(_ operation: HubAPI.Operation, by actor: String) async throws(OperationError) -> JSON {
            switch operation {
            case .beginScan, .beginPairing, .beginVerification:
                seen.withLock { $0.began.append(operation) }
                return ["id": 7]
            case .procedure(let id, let after):
                seen.withLock { $0.asked += 1 }
                try? await Task.sleep(for: .milliseconds(50))
                let isLost = fails && seen.withLock { $0.asked > 1 }
                let isOver = isLost || seen.withLock { !$0.cancelled.isEmpty }
                let steps: JSON = after == 0 ? [["step": "looking", "message": "Looking."]] : []
                let question: JSON? = asks ? ["step": "passkey-wanted", "message": "Enter the six digits."] : nil
                return .members([
                    "id": .integer(id), "steps": steps, "next": 1, "question": question, "done": .bool(isOver),
                    // As a pairing that is cancelled ends.
                    "error": isOver ? OperationError("It is over.", why: "x", remedy: "x", exitCode: isLost ? 69 : 1).json : nil,
                ])
            case .cancelProcedure(let id):
                if hangs { try? await Task.sleep(for: .seconds(60)) }
                seen.withLock { $0.cancelled.append(id) }
                return ["id": .integer(id)]
            case .answerProcedure(_, let text):
                seen.withLock { $0.answers.append(text) }
                return ["id": 7]
            case .resetAdapter: return ["works": .bool(works), "steps": []]
            default: throw OperationError("No.", why: "Not asked for here.", remedy: "None.", exitCode: 70)
            }
        }
    }

    private func with(_ hub: Hub, _ body: @Sendable (Program, Scratch, [String]) async throws -> Void) async throws {
        let program = try #require(Program.built)
        let scratch = Scratch()
        let path = scratch.path + "/control.sock"
        let (started, start) = AsyncStream<Void>.makeStream()
        let quiet = Logger(label: "control") { _ in SwiftLogNoOpLogHandler() }
        let server = ControlServer(path: path, operations: hub, logger: quiet) { start.yield() }
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try? await server.run() }
            for await _ in started { break }
            try await body(program, scratch, ["--socket", path])
            group.cancelAll()
        }
    }

    @Test(
        "a signal ends the hub's procedure too, and the command with 128 and its number",
        arguments: [
            (["scan", "--seconds", "300"], SIGINT), (["pair", "00:00:5E:00:53:01"], SIGINT),
            (["devices", "verify", "cuff"], SIGINT), (["scan"], SIGTERM), (["scan"], SIGHUP),
        ])
    func interrupted(_ arguments: [String], _ signal: Int32) async throws {
        let hub = Hub()
        try await with(hub) { program, scratch, socket in
            let command = try program.start(arguments + socket, in: scratch)
            #expect(try await eventually { hub.seen.withLock { $0.asked } > 1 }, "\(command.error)")
            let ending = try await command.end(signal: signal)
            #expect(ending.code == 128 + signal)
            #expect(ending.errorLines.count == 3, "\(ending.error)")
            #expect(ending.error.contains("the hub has ended what it began"))
            #expect(ending.out == "Looking.\n")
            #expect(hub.seen.withLock { $0.began.count } == 1)
            #expect(hub.seen.withLock { $0.cancelled } == [7])
        }
    }

    @Test("also while it waits for digits that nobody types")
    func interruptedAtTheKeyboard() async throws {
        let hub = Hub(asks: true)
        try await with(hub) { program, scratch, socket in
            let keyboard = scratch.path + "/keyboard"
            #expect(mkfifo(keyboard, 0o600) == 0)
            let command = try program.start(["pair", "cuff"] + socket, in: scratch, input: keyboard)
            #expect(try await eventually { hub.seen.withLock { $0.asked } == 1 }, "\(command.error)")
            // Long enough for the question to be read and the keyboard to be asked.
            try await Task.sleep(for: .milliseconds(500))
            let ending = try await command.end(within: .seconds(10), signal: SIGINT)
            #expect(ending.code == 130)
            #expect(ending.error.contains("the hub has ended what it began"))
            #expect(hub.seen.withLock { $0.cancelled } == [7])
        }
    }

    @Test("a question that is over is waited for no more")
    func lostAtTheKeyboard() async throws {
        try await with(Hub(asks: true, fails: true)) { program, scratch, socket in
            let keyboard = scratch.path + "/keyboard"
            #expect(mkfifo(keyboard, 0o600) == 0)
            let ending = try await program.start(["pair", "cuff"] + socket, in: scratch, input: keyboard).end(
                within: .seconds(10))
            #expect(ending.code == 69)
            #expect(ending.errorLines.first == "It is over.")
        }
    }

    @Test("what is typed is the answer")
    func typed() async throws {
        let hub = Hub(asks: true)
        try await with(hub) { program, scratch, socket in
            let keyboard = scratch.write("123456\nmore\n", to: "keyboard")
            let command = try program.start(["pair", "cuff"] + socket, in: scratch, input: keyboard)
            #expect(try await eventually { hub.seen.withLock { $0.answers.count } > 1 }, "\(command.error)")
            #expect(hub.seen.withLock { $0.answers.prefix(2) } == ["123456", "more"])
            // Then the input has ended: nobody can answer any more.
            #expect(try await command.end().code == 64)
        }
    }

    @Test("a hub that does not answer keeps nobody at the keyboard")
    func hangs() async throws {
        let hub = Hub(hangs: true)
        try await with(hub) { program, scratch, socket in
            let command = try program.start(["scan"] + socket, in: scratch)
            #expect(try await eventually { hub.seen.withLock { $0.asked } > 1 }, "\(command.error)")
            let ending = try await command.end(within: .seconds(10), signal: SIGINT)
            #expect(ending.code == 130)
            #expect(ending.error.contains("could not be told"))
        }
    }

    @Test("adapter reset ends with 0 where the adapter works, else with 1 and what to do", arguments: [true, false])
    func reset(_ works: Bool) async throws {
        try await with(Hub(works: works)) { program, scratch, socket in
            let ending = try await program.run(["adapter", "reset", "--json"] + socket, in: scratch)
            #expect(ending.json?["works"]?.bool == works)
            #expect(ending.code == (works ? 0 : 1))
            #expect(ending.errorLines.count == (works ? 0 : 3))
            #expect(ending.error.contains("vitalgate doctor") == !works)
        }
    }
}
