import ExactJSON
import Glibc
import HTTPTypes
import Hummingbird
public import Logging
import NIOCore
public import ServiceLifecycle

/// The control socket: HTTP on a Unix socket, for people and scripts on the hub itself.
///
/// Who may connect is the file system's business (mode 0660: the daemon's user and its group); who did connect is asked from the
/// kernel and stands in the audit log.
public struct ControlServer: Service {
    private let path: String
    private let operations: any HubOperations
    private let logger: Logger
    private let started: @Sendable () async -> Void

    /// - Parameter started: called when the socket accepts connections.
    public init(
        path: String, operations: any HubOperations, logger: Logger, started: @escaping @Sendable () async -> Void = {}
    ) {
        self.path = path
        self.operations = operations
        self.logger = logger
        self.started = started
    }

    /// Requests are a few hundred bytes; 64 KiB is far above and far below what could hurt.
    private static let mostRequestBytes = 65_536
    /// How long requests under way may still take when the daemon ends: a look at the journal takes milliseconds.
    private static let patience = Duration.seconds(2)

    public func run() async throws {
        // The exclusive database lock says that no other daemon runs on this state, so a socket file found here is a dead one's.
        unlink(path)
        defer { unlink(path) }
        let router = Router(context: ControlContext.self)
        router.post("v1/:operation") { request, context in
            try await answer(request, context)
        }
        // Created 0660 from the start: between bind and chmod nobody else may slip in.
        let earlierMask = umask(0o117)
        let application = Application(
            router: router, configuration: .init(address: .unixDomainSocket(path: path), serverName: "vitalgate"),
            onServerRunning: { _ in
                umask(earlierMask)
                await started()
            },
            logger: logger)
        // Somebody who holds half a request must not hold the daemon: after a while the connections are cut.
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                do { try await application.run() } catch is CancellationError {}
            }
            group.addTask {
                try? await gracefulShutdown()
                try? await Task.sleep(for: Self.patience)
            }
            try await group.next()
            group.cancelAll()
            try await group.waitForAll()
        }
    }

    @Sendable private func answer(_ request: Request, _ context: ControlContext) async throws -> Response {
        do {
            let operation = try await operation(of: request, context)
            let peer = await context.peer()
            return Self.response(.ok, try await operations.perform(operation, by: peer))
        } catch let error as OperationError {
            return Self.response(.unprocessableContent, error.json)
        }
    }

    private func operation(of request: Request, _ context: ControlContext) async throws -> Operation {
        let name = context.parameters.get("operation") ?? ""
        let buffer = try await request.body.collect(upTo: Self.mostRequestBytes)
        let bytes = Array(buffer.readableBytesView)
        let parameters: JSON
        do {
            parameters = bytes.isEmpty ? .object([]) : try JSON(parsing: bytes)
        } catch {
            throw OperationError(
                "The request is not understood.", why: "\(error)", remedy: "Send a JSON object.", exitCode: 64)
        }
        return try Operation(name: name, parameters: parameters)
    }

    private static func response(_ status: HTTPResponse.Status, _ json: JSON) -> Response {
        Response(
            status: status, headers: [.contentType: "application/json"],
            body: ResponseBody(byteBuffer: ByteBuffer(bytes: json.bytes)))
    }
}

/// A request's context that knows its connection, so that the peer can be asked for.
private struct ControlContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    private let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }

    /// `struct ucred` of unix(7), which glibc declares only under _GNU_SOURCE.
    private struct Credentials: Sendable {
        var process: Int32 = 0
        var user: UInt32 = 0
        var group: UInt32 = 0
    }

    /// `uid:N` of the process at the other end, as the kernel knows it.
    func peer() async -> String {
        guard let options = channel as? any SocketOptionProvider else { return "unknown" }
        let credentials: EventLoopFuture<Credentials> = options.unsafeGetSocketOption(
            level: SocketOptionLevel(SOL_SOCKET), name: SocketOptionName(SO_PEERCRED))
        guard let peer = try? await credentials.get() else { return "unknown" }
        return "uid:\(peer.user)"
    }
}
