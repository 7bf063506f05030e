import CLinux
import Glibc
import Synchronization

/// A program that a test starts, and that ends with it.
final class Program: Sendable {
    let id: pid_t
    private let input: Int32
    private let output: Int32
    private let text = Mutex<[UInt8]>([])

    struct Failed: Error { let what: String }

    init(_ words: [String]) throws {
        var toChild: [Int32] = [0, 0]
        var fromChild: [Int32] = [0, 0]
        guard pipe(&toChild) == 0, pipe(&fromChild) == 0 else { throw Failed(what: "pipe") }
        for descriptor in [toChild[1], fromChild[0]] { _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC) }
        _ = fcntl(fromChild[0], F_SETFL, O_NONBLOCK)
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, toChild[0], 0)
        posix_spawn_file_actions_adddup2(&actions, fromChild[1], 1)
        for descriptor in [toChild[0], fromChild[1]] where descriptor > 2 {
            posix_spawn_file_actions_addclose(&actions, descriptor)
        }
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        var id = pid_t()
        let code = posix_spawnp(&id, words[0], &actions, nil, &arguments, environ)
        close(toChild[0])
        close(fromChild[1])
        self.id = id
        input = toChild[1]
        output = fromChild[0]
        if code != 0 { throw Failed(what: "\(words[0]): \(String(cString: strerror(code)))") }
    }

    deinit {
        close(input)
        close(output)
        kill(id, SIGKILL)
        waitpid(id, nil, 0)
    }

    /// What it has printed so far, by lines.
    func lines() -> [String] {
        text.withLock { text in
            var buffer = [UInt8](repeating: 0, count: 65_536)
            while case let count = read(output, &buffer, buffer.count), count > 0 { text += buffer.prefix(count) }
            return text.split(separator: 0x0A).map { String(decoding: $0, as: UTF8.self) }
        }
    }

    /// Waits for its end; its exit code.
    static func run(_ words: [String]) async throws -> Int32 {
        let program = try Program(words)
        while true {
            _ = program.lines()
            var info = siginfo_t()
            if waitid(P_PID, id_t(program.id), &info, WEXITED | WNOHANG | WNOWAIT) == 0, info.si_signo == SIGCHLD { break }
            try await Task.sleep(for: .milliseconds(2))
        }
        var status: Int32 = 0
        waitpid(program.id, &status, 0)
        return (status >> 8) & 0xFF
    }
}

/// The Python server of ``serverScript``.
final class Server: Sendable {
    private let program: Program
    let port: Int

    init(_ options: String = #"{"mode": "http"}"#) async throws {
        program = try Program(["python3", "-u", "-c", serverScript, options])
        let end = ContinuousClock.now + .seconds(20)
        while true {
            if let first = program.lines().first(where: { $0.hasPrefix("PORT ") }), let port = Int(first.dropFirst(5)) {
                self.port = port
                return
            }
            guard ContinuousClock.now < end else { throw Program.Failed(what: "the Python server did not start") }
            try await Task.sleep(for: .milliseconds(5))
        }
    }

    func url(_ path: String) -> String { "http://127.0.0.1:\(port)\(path)" }
    func secureURL(_ path: String, host: String = "localhost") -> String { "https://\(host):\(port)\(path)" }

    /// The complete requests that it has read, after a moment for stragglers.
    func requests() async throws -> [String] {
        try await Task.sleep(for: .milliseconds(50))
        return program.lines().filter { $0.hasPrefix("REQUEST ") }
    }

    func connections() -> Int { program.lines().count { $0 == "CONNECTION" } }
}
