import ArgumentParser
import EventLoop
import ExactJSON
import Glibc
import HTTP
import HTTPMessage
import HubAPI

/// How a command reaches the running daemon.
struct ControlOptions: ParsableArguments {
    @Option(name: .long, help: "The daemon's control socket. Default: that of the configuration.")
    var socket: String?

    @Option(
        name: .long, help: "The daemon's configuration file, to find its control socket. Default: /etc/vitalgate/vitalgate.toml.")
    var config: String?

    @Flag(name: .long, help: "JSON for machines: one object, or one a line where there are many.")
    var json = false

    func client() throws(OperationError) -> ControlClient {
        if let socket { return ControlClient(path: socket) }
        if let config { return ControlClient(path: try Configuration.loadOrExplain(config).hub.controlSocket) }
        // The daemon's own default file, where it is there and ours to read.
        let configured = Configuration.read(fileAt: Configuration.defaultPath).configuration?.hub.controlSocket
        return ControlClient(path: configured ?? Configuration.defaultControlSocket)
    }

    /// Ends with 65 where the item is another receiver's.
    func require(_ item: Int, of receiver: String?) async throws {
        guard let receiver else { return }
        try await Output.ending {
            let found = try await client().perform(.outboxItem(id: item))["receiver"]?.string
            guard found != receiver else { return }
            throw OperationError(
                "The item \(item) was left as it is.", why: "It is owed to \(found ?? "nobody"), not to \(receiver).",
                remedy: "See `vitalgate outbox list --destination \(receiver)`.", exitCode: 65)
        }
    }

    /// Does the operation and prints rows or one object.
    func perform(_ operation: HubAPI.Operation, columns: [(title: String, key: String)]? = nil) async throws {
        try await Output.ending {
            let answer = try await client().perform(operation)
            if let rows = answer.array {
                if json {
                    for row in rows { Output.line(row.text) }
                } else if let columns {
                    Output.table(rows, columns: columns)
                } else {
                    Output.story(answer)
                }
            } else if json {
                Output.line(answer.text)
            } else {
                Output.story(answer)
            }
        }
    }
}

/// Speaks with the daemon over its control socket.
struct ControlClient {
    let path: String

    /// - Throws: the daemon's own ``OperationError``, or exit code 69 where nobody answers.
    func perform(_ operation: HubAPI.Operation) async throws(OperationError) -> JSON {
        guard access(path, F_OK) == 0 else { throw unreachable("There is no socket at \(path).") }
        guard access(path, W_OK) == 0 else {
            throw OperationError(
                "The hub's control socket may not be used.", why: "You have no right to write to \(path).",
                remedy: "Run the command as root or as a member of the group vitalgate.", exitCode: 77)
        }
        let loop = try EventLoop.made("vg-control")
        let client = HTTPClient(settings: HTTPClientSettings(unixSocket: path), loop: loop)
        let outcome = await client.send(
            HTTPRequest(
                .post, "http://127.0.0.1/v1/\(operation.name)", headers: [HTTPHeader("content-type", "application/json")],
                body: operation.parameters.bytes))
        await client.close()
        loop.stop()
        switch outcome {
        case .notSent(let failure), .unknown(let failure): throw unreachable("Nobody answers at \(path) (\(failure.message)).")
        case .answered(let response):
            guard let json = try? JSON(parsing: response.body) else {
                throw unreachable("What answers at \(path) is no vitalgate (HTTP \(response.status)).")
            }
            if response.status == 200 { return json }
            throw OperationError(json: json)
                ?? OperationError(
                    "The hub could not do it.", why: "It answered HTTP \(response.status).",
                    remedy: "See its log: journalctl -u vitalgate.", exitCode: 70)
        }
    }

    private func unreachable(_ why: String) -> OperationError {
        OperationError(
            "The hub's daemon is not reachable.", why: why,
            remedy: "Start it (systemctl start vitalgate), or name its socket with --socket PATH.", exitCode: 69)
    }
}
