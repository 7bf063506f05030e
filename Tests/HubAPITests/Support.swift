import EventLoop
import ExactJSON
import Glibc
import HTTP
import HTTPMessage
import HubAPI
import Logging
import ServiceLifecycle
import Synchronization
import Testing

/// A control socket in a directory of its own, and a client for it.
struct Control: Sendable {
    let path: String
    let client: HTTPClient

    func ask(_ path: String, _ body: [UInt8], method: HTTPRequest.Method = .post) async -> (status: Int, json: JSON?)? {
        let request = HTTPRequest(
            method, "http://hub" + path, headers: [HTTPHeader("content-type", "application/json")], body: body)
        guard case .answered(let response) = await client.send(request) else { return nil }
        return (response.status, try? JSON(parsing: response.body))
    }

    func ask(_ path: String, _ body: String) async -> (status: Int, json: JSON?)? { await ask(path, Array(body.utf8)) }

    /// Runs `body` against a server that answers with what `operations` does.
    static func with(
        _ operations: any HubOperations, prepare: (String) -> Void = { _ in },
        _ body: @Sendable @escaping (Control) async throws -> Void
    ) async throws {
        var template = Array("/tmp/vitalgate-hubapi-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw OperationError("no directory", why: "", remedy: "", exitCode: 73) }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let path = directory + "/control.sock"
        defer {
            unlink(path)
            rmdir(directory)
        }
        prepare(path)
        let loop = try EventLoop(name: "hubapi-test")
        defer { loop.stop() }
        var settings = HTTPClientSettings(unixSocket: path)
        settings.requestTimeout = .seconds(5)
        let client = HTTPClient(settings: settings, loop: loop)
        let (started, start) = AsyncStream<Void>.makeStream()
        let quiet = Logger(label: "control") { _ in SwiftLogNoOpLogHandler() }
        let server = ControlServer(path: path, operations: operations, logger: quiet) { start.yield() }
        let group = ServiceGroup(configuration: .init(services: [.init(service: server)], logger: quiet))
        try await withThrowingTaskGroup(of: Void.self) { tasks in
            tasks.addTask {
                defer { start.finish() }
                try await group.run()
            }
            for await _ in started { break }
            let result = await Result { () async throws in try await body(Control(path: path, client: client)) }
            await client.close()
            await group.triggerGracefulShutdown()
            try await tasks.waitForAll()
            try result.get()
        }
    }
}

extension Result where Failure == any Error {
    fileprivate init(_ body: () async throws -> Success) async {
        do { self = .success(try await body()) } catch { self = .failure(error) }
    }
}

/// Remembers what it was asked and by whom.
final class Recorder: HubOperations {
    private let state = Mutex<[(HubAPI.Operation, String)]>([])
    let answer: Result<JSON, OperationError>

    init(_ answer: Result<JSON, OperationError> = .success(["done": true])) { self.answer = answer }

    var asked: [HubAPI.Operation] { state.withLock { $0.map(\.0) } }
    var actors: [String] { state.withLock { $0.map(\.1) } }

    func perform(_ operation: HubAPI.Operation, by actor: String) async throws(OperationError) -> JSON {
        state.withLock { $0.append((operation, actor)) }
        return try answer.get()
    }
}
