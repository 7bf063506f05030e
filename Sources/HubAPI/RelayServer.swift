public import ExactJSON
import Glibc
import HTTPTypes
import Hummingbird
public import Logging
import NIOCore
public import ServiceLifecycle

/// A hub's request, as the proxy in front passed it on.
public struct RelayRequest: Hashable, Sendable {
    /// The name in the hub's certificate, which the proxy checked.
    public var hub: String
    public var method: String
    /// Without query.
    public var path: String
    public var query: String
    public var body: [UInt8]
}

public struct RelayAnswer: Hashable, Sendable {
    public var status: Int
    public var headers: [String: String]
    public var json: JSON?

    public init(_ status: Int, headers: [String: String] = [:], json: JSON? = nil) {
        self.status = status
        self.headers = headers
        self.json = json
    }
}

public protocol RelayOperations: Sendable {
    func answer(_ request: RelayRequest) async -> RelayAnswer
}

/// The FHIR endpoint of a relay, on a Unix socket.
///
/// TLS and the hubs' certificates are the proxy's in front of it (`config/nginx-relay.conf`): it sets ``hubHeader``, and nobody but it may
/// connect (mode 0660).
public struct RelayServer: Service {
    private let path: String
    private let operations: any RelayOperations
    private let logger: Logger

    /// Set by the proxy from the certificate's common name; whatever the client itself sent under it is dropped there.
    public static let hubHeader = "x-vitalgate-hub"
    /// A measurement is some 10 kB; fifty in one request are half a megabyte.
    private static let mostRequestBytes = 4 * 1_024 * 1_024
    private static let patience = Duration.seconds(2)

    public init(path: String, operations: any RelayOperations, logger: Logger) {
        self.path = path
        self.operations = operations
        self.logger = logger
    }

    public func run() async throws {
        unlink(path)
        defer { unlink(path) }
        let earlierMask = umask(0o117)
        let application = Application(
            responder: RelayResponder(operations: operations, most: Self.mostRequestBytes),
            configuration: .init(address: .unixDomainSocket(path: path), serverName: "vitalgate"),
            onServerRunning: { _ in umask(earlierMask) }, logger: logger)
        // As the control socket: somebody who holds half a request must not hold the daemon.
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
}

private struct RelayResponder: HTTPResponder {
    let operations: any RelayOperations
    let most: Int

    func respond(to request: Request, context: BasicRequestContext) async throws -> Response {
        let body: [UInt8]
        do {
            body = Array(try await request.body.collect(upTo: most).readableBytesView)
        } catch is NIOTooManyBytesError {
            return Response(status: .contentTooLarge)
        }
        let names = request.headers.filter { $0.name.canonicalName == RelayServer.hubHeader }.map(\.value)
        guard names.count == 1, let hub = names.first, !hub.isEmpty else { return Response(status: .forbidden) }
        let answer = await operations.answer(
            RelayRequest(
                hub: hub, method: request.method.rawValue, path: request.uri.path, query: request.uri.query ?? "", body: body))
        var headers: HTTPFields = [:]
        for (name, value) in answer.headers {
            if let name = HTTPField.Name(name) { headers[name] = value }
        }
        guard let json = answer.json else { return Response(status: .init(code: answer.status), headers: headers) }
        headers[.contentType] = "application/fhir+json;charset=UTF-8"
        return Response(
            status: .init(code: answer.status), headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: json.bytes)))
    }
}
