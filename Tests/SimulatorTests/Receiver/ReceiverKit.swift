import EventLoop
import ExactJSON
import HTTP
import HTTPMessage
import Simulator

/// A running receiver and a client for it.
struct ReceiverExchange {
    let receiver: FHIRReceiver
    let base: String
    let client: HTTPClient

    func send(
        _ method: HTTPRequest.Method, _ path: String = "", _ body: JSON? = nil, headers: [HTTPHeader] = [],
        type: String = "application/fhir+json"
    ) async -> HTTPOutcome {
        let url = path.hasPrefix("/$") ? base.dropLast("/fhir".count) + path : base + path
        return await client.send(
            HTTPRequest(
                method, url, headers: (body == nil ? [] : [HTTPHeader("content-type", type)]) + headers, body: body?.bytes ?? []))
    }

    /// Runs `body` against a receiver of its own, which ends after it.
    static func with<Result: Sendable>(
        _ options: FHIRReceiver.Options = .init(), timeout: Duration = .seconds(20),
        _ body: @Sendable (ReceiverExchange) async throws -> Result
    ) async throws -> Result {
        let receiver = try FHIRReceiver(options)
        let loop = try EventLoop(name: "receiver-test")
        defer { loop.stop() }
        var settings = HTTPClientSettings()
        settings.requestTimeout = timeout
        let client = HTTPClient(settings: settings, loop: loop)
        let (bases, source) = AsyncStream<String>.makeStream()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { source.finish() }
                try await receiver.run { source.yield($0) }
            }
            guard let base = await bases.first(where: { _ in true }) else {
                try await group.waitForAll()
                throw CancellationError()
            }
            let result = try await body(ReceiverExchange(receiver: receiver, base: base, client: client))
            group.cancelAll()
            return result
        }
    }
}

extension HTTPOutcome {
    var status: Int? { if case .answered(let response) = self { response.status } else { nil } }

    var json: JSON? {
        guard case .answered(let response) = self else { return nil }
        return try? JSON(parsing: response.body)
    }

    func header(_ name: String) -> String? {
        guard case .answered(let response) = self else { return nil }
        return response.header(name)
    }

    var isUnknown: Bool { if case .unknown = self { true } else { false } }
}

func observation(_ value: String, status: String = "final", subject: String = "Patient/p1") -> JSON {
    [
        "resourceType": "Observation", "status": .string(status), "identifier": [["system": "urn:hub", "value": .string(value)]],
        "code": ["text": "test"], "subject": ["reference": .string(subject)],
    ]
}

func create(_ resource: JSON, url: String? = nil, ifNoneExist: String? = nil) -> JSON {
    .members([
        "fullUrl": url.map { .string($0) }, "resource": resource,
        "request": .members([
            "method": "POST", "url": resource["resourceType"], "ifNoneExist": ifNoneExist.map { .string($0) },
        ]),
    ])
}

func transaction(_ entries: JSON..., type: String = "transaction") -> JSON {
    ["resourceType": "Bundle", "type": .string(type), "entry": .array(entries)]
}
