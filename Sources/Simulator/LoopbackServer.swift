import Hummingbird
import Logging
import NIOCore
import ServiceLifecycle

/// A request's context that keeps its connection, so that a fault can cut it.
struct ReceiverContext: RequestContext {
    var coreContext: CoreRequestContextStorage
    let channel: any Channel

    init(source: ApplicationRequestContextSource) {
        coreContext = .init(source: source)
        channel = source.channel
    }
}

/// Ends an exchange without an answer: the connection is closed already.
struct ExchangeCut: Error {}

/// An HTTP server on 127.0.0.1, as each simulated receiver runs one.
enum LoopbackServer {
    /// Serves until the task is cancelled.
    ///
    /// - Parameter onListening: called once with the port.
    /// - Throws: what binding the port threw.
    static func run(
        _ responder: some HTTPResponder<ReceiverContext>, port: Int, label: String,
        onListening: @escaping @Sendable (Int) async -> Void
    ) async throws {
        // Silent: Hummingbird calls each connection that our cancellation ends an error. What matters is in the receiver's state and
        // thrown.
        let logger = Logger(label: label) { _ in SwiftLogNoOpLogHandler() }
        let application = Application(
            responder: responder, configuration: .init(address: .hostname("127.0.0.1", port: port), serverName: nil),
            onServerRunning: { channel in await onListening(channel.localAddress?.port ?? 0) }, logger: logger)
        // Not by cancellation: Hummingbird 2.28 then drops connections that were accepted and not yet handled, and NIO traps on
        // those (seen). So the group has a task of its own, and our cancellation asks it to close in good order.
        let (ending, end) = AsyncStream<Never>.makeStream()
        let group = ServiceGroup(
            configuration: .init(
                services: [
                    .init(service: application),
                    .init(service: Ending(stream: ending), successTerminationBehavior: .gracefullyShutdownGroup),
                ], logger: logger))
        let serving = Task { try await group.run() }
        try await withTaskCancellationHandler {
            try await serving.value
        } onCancel: {
            end.finish()
        }
    }

    /// Sleeps so long, or until the receiver ends.
    static func rest(_ duration: Duration) async {
        await cancelWhenGracefulShutdown { try? await Task.sleep(for: duration) }
    }
}

/// Ends when its stream does, or with its group.
private struct Ending: Service {
    let stream: AsyncStream<Never>

    func run() async throws {
        for await _ in stream.cancelOnGracefulShutdown() {}
    }
}
