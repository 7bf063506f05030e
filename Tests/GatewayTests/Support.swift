import ExactJSON
import Glibc
import Synchronization
import Testing

/// The built program beside the test bundle, and what it says and how it ends.
struct Program: Sendable {
    let path: String

    /// `nil` where only the tests were built.
    static let built: Program? = {
        var buffer = [UInt8](repeating: 0, count: 4_096)
        let count = readlink("/proc/self/exe", &buffer, buffer.count)
        guard count > 0 else { return nil }
        var candidates = [String(decoding: buffer[..<count], as: UTF8.self)] + CommandLine.arguments
        candidates = candidates.compactMap { text in text.lastIndex(of: "/").map { text[..<$0] + "/vitalgate" } }
        // The test process may be a helper of the toolchain that loads the bundle: then the arguments name it.
        return candidates.first { access($0, X_OK) == 0 }.map { Program(path: $0) }
    }()

    struct Ending: Sendable {
        var code: Int32
        var out: String
        var error: String

        var errorLines: [Substring] { error.split(separator: "\n", omittingEmptySubsequences: false).dropLast() }
        var json: JSON? { try? JSON(parsing: Array(out.utf8)) }
    }

    /// A started process.
    final class Running: Sendable {
        let process: pid_t
        private let files: (out: String, error: String)

        init(_ process: pid_t, _ files: (String, String)) {
            self.process = process
            self.files = files
        }

        var error: String { text(files.error) }

        func end(within: Duration = .seconds(20), signal: Int32? = nil) async throws -> Ending {
            if let signal { kill(process, signal) }
            let deadline = ContinuousClock.now + within
            var status: Int32 = 0
            while waitpid(process, &status, WNOHANG) == 0 {
                if ContinuousClock.now > deadline {
                    kill(process, SIGKILL)
                    waitpid(process, &status, 0)
                    Issue.record("the process did not end in time")
                    break
                }
                try await Task.sleep(for: .milliseconds(5))
            }
            let code = status & 0x7F == 0 ? (status >> 8) & 0xFF : -(status & 0x7F)
            defer {
                unlink(files.out)
                unlink(files.error)
            }
            return Ending(code: code, out: text(files.out), error: text(files.error))
        }
    }

    /// - Parameter input: what the process reads; a FIFO of the scratch is a keyboard at which nobody types.
    func start(_ arguments: [String], in scratch: Scratch, input: String = "/dev/null") throws -> Running {
        let number = scratch.next()
        let files = ("\(scratch.path)/out\(number)", "\(scratch.path)/err\(number)")
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        // Read and write: a FIFO without a writer would not be opened else.
        posix_spawn_file_actions_addopen(&actions, 0, input, O_RDWR, 0)
        posix_spawn_file_actions_addopen(&actions, 1, files.0, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        posix_spawn_file_actions_addopen(&actions, 2, files.1, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
        let words = ([path] + arguments).map { strdup($0) }
        defer { words.forEach { free($0) } }
        var process: pid_t = 0
        let code = posix_spawn(&process, path, &actions, nil, words + [nil], environ)
        guard code == 0 else { throw StartFailure(code: code) }
        return Running(process, files)
    }

    struct StartFailure: Error { var code: Int32 }

    func run(_ arguments: [String], in scratch: Scratch = Scratch()) async throws -> Ending {
        try await start(arguments, in: scratch).end()
    }
}

func text(_ path: String) -> String {
    guard let file = fopen(path, "rb") else { return "" }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 65_536)
    while case let count = fread(&chunk, 1, chunk.count, file), count > 0 { bytes += chunk[..<count] }
    return String(decoding: bytes, as: UTF8.self)
}

/// A directory that goes when the test is over.
final class Scratch: Sendable {
    let path: String
    private let number = Mutex(0)

    init() {
        var template = Array("/tmp/vitalgate-gateway-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } ?? "/tmp/vitalgate-gateway-none"
        }
    }

    deinit { Self.remove(path) }

    func next() -> Int {
        number.withLock {
            $0 += 1
            return $0
        }
    }

    private static func remove(_ path: String) {
        guard path.hasPrefix("/tmp/vitalgate-gateway-"), let directory = opendir(path) else { return }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            if unlink(path + "/" + name) != 0 { remove(path + "/" + name) }
        }
        closedir(directory)
        rmdir(path)
    }

    func write(_ text: String, to name: String) -> String {
        let file = path + "/" + name
        if let handle = fopen(file, "wb") {
            fputs(text, handle)
            fclose(handle)
            chmod(file, 0o600)
        }
        return file
    }

    /// A configuration of a daemon that lives here and delivers to nobody.
    func configuration(state: String? = nil) -> String {
        write(
            """
            [hub]
            state_directory = "\(state ?? path + "/state")"
            control_socket = "\(path)/control.sock"

            [keys]
            file = "\(path)/key"

            [clock]
            declared = true

            [bluetooth]
            enabled = false
            [log]
            format = "json"

            [[receiver]]
            name = "clinic"
            kind = "phd"
            base = "http://127.0.0.1:9/fhir"
            """, to: "vitalgate.toml")
    }
}

/// Asks again and again until it is so, or the time is over.
func eventually(_ within: Duration = .seconds(15), _ condition: () async throws -> Bool) async throws -> Bool {
    let end = ContinuousClock.now + within
    while ContinuousClock.now < end {
        if try await condition() { return true }
        try await Task.sleep(for: .milliseconds(20))
    }
    return false
}
