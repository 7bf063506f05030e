import Glibc
import HubAPI
import Synchronization

/// A process that the demo started, and ends by its id alone.
final class ChildProcess {
    let process: pid_t
    private var isRunning = true

    /// Starts this very program with other arguments; its output goes to `log`, appended.
    init(_ arguments: [String], log: String, environment: [String: String] = [:]) throws(OperationError) {
        var files = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&files)
        defer { posix_spawn_file_actions_destroy(&files) }
        posix_spawn_file_actions_addopen(&files, STDIN_FILENO, "/dev/null", O_RDONLY, 0)
        posix_spawn_file_actions_addopen(&files, STDOUT_FILENO, log, O_WRONLY | O_CREAT | O_APPEND, 0o600)
        posix_spawn_file_actions_adddup2(&files, STDOUT_FILENO, STDERR_FILENO)
        var vector: [UnsafeMutablePointer<CChar>?] = (["vitalgate"] + arguments).map { strdup($0) } + [nil]
        defer { for pointer in vector { free(pointer) } }
        var id: pid_t = 0
        let result = posix_spawn(&id, "/proc/self/exe", &files, nil, &vector, environ)
        guard result == 0 else {
            throw OperationError(
                "The demo cannot start a part of itself.", why: String(cString: strerror(result)) + ".",
                remedy: "Close other programs and try again.", exitCode: 70)
        }
        process = id
        Self.remember(id)
    }

    /// Ends it and waits until it is gone.
    func end(_ signal: Int32) {
        guard isRunning else { return }
        isRunning = false
        kill(process, signal)
        Self.forget(process)
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0, errno == EINTR {}
    }

    /// Whether it ended by itself.
    var hasEnded: Bool {
        guard isRunning else { return true }
        var status: Int32 = 0
        guard waitpid(process, &status, WNOHANG) == process else { return false }
        Self.forget(process)
        isRunning = false
        return true
    }

    deinit { end(SIGKILL) }
}

extension ChildProcess {
    /// Room for every process that a demo starts.
    private static let most = 64
    /// Read by a signal handler, which may neither allocate nor lock: plain memory, written before the process is used.
    nonisolated(unsafe) private static let ids = {
        let ids = UnsafeMutablePointer<pid_t>.allocate(capacity: most)
        ids.initialize(repeating: 0, count: most)
        return ids
    }()
    private static let count = Atomic<Int>(0)

    private static func remember(_ id: pid_t) {
        let slot = count.wrappingAdd(1, ordering: .relaxed).oldValue
        if slot < most { ids[slot] = id }
    }

    /// A process that was waited for has given its id back: another may have it now.
    private static func forget(_ id: pid_t) {
        for slot in 0..<most where ids[slot] == id { ids[slot] = 0 }
    }

    /// A demo that is ended (Ctrl-C, `kill`, a closed terminal) ends what it started.
    static func endWithUs() {
        _ = ids
        for number in [SIGINT, SIGTERM, SIGHUP] {
            signal(number) { number in
                for slot in 0..<ChildProcess.most where ChildProcess.ids[slot] > 0 { kill(ChildProcess.ids[slot], SIGKILL) }
                _exit(128 + number)
            }
        }
    }
}

/// The lines that are appended to a file, as they come.
struct LogTail {
    let path: String
    private var offset: off_t = 0
    private var rest: [UInt8] = []

    init(_ path: String) { self.path = path }

    /// Whole lines that are new since the last call.
    mutating func lines() -> [String] {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        lseek(descriptor, offset, SEEK_SET)
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = read(descriptor, &buffer, buffer.count), count > 0 {
            offset += off_t(count)
            rest += buffer[..<count]
        }
        var lines: [String] = []
        while let end = rest.firstIndex(of: 0x0A) {
            lines.append(String(decoding: rest[..<end], as: UTF8.self))
            rest.removeSubrange(...end)
        }
        return lines
    }
}
