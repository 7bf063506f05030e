import EventLoop
import HTTP
import HTTPMessage
import Testing

/// A client on a loop of its own; the loop ends with it, so it must be held while a request is on its way.
final class Client: Sendable {
    let http: HTTPClient
    let loop: EventLoop

    init(_ settings: HTTPClientSettings = HTTPClientSettings(), _ change: (inout HTTPClientSettings) -> Void = { _ in }) throws {
        var settings = settings
        settings.connectTimeout = .seconds(10)
        settings.requestTimeout = .seconds(10)
        change(&settings)
        loop = try EventLoop(name: "http-test")
        http = HTTPClient(settings: settings, loop: loop)
    }

    deinit { loop.stop() }

    /// The orderly end.
    func close() async {
        await http.close()
        loop.stop()
        await loop.waitUntilStopped()
    }

    func get(_ url: String) async -> HTTPOutcome { await http.send(HTTPRequest(.get, url)) }

    func post(_ url: String, _ body: String = #"{"resourceType":"Bundle"}"#) async -> HTTPOutcome {
        await http.send(
            HTTPRequest(.post, url, headers: [HTTPHeader("content-type", "application/fhir+json")], body: Array(body.utf8)))
    }
}

/// An outcome without its text, for comparison.
enum Short: Equatable, CustomStringConvertible {
    case answered(Int)
    case notSent(HTTPFailure.Kind)
    case unknown(HTTPFailure.Kind)

    init(_ outcome: HTTPOutcome) {
        switch outcome {
        case .answered(let response): self = .answered(response.status)
        case .notSent(let failure): self = .notSent(failure.kind)
        case .unknown(let failure): self = .unknown(failure.kind)
        }
    }

    var description: String {
        switch self {
        case .answered(let status): "answered \(status)"
        case .notSent(let kind): "not sent: \(kind.rawValue)"
        case .unknown(let kind): "unknown: \(kind.rawValue)"
        }
    }
}

extension HTTPOutcome {
    var response: HTTPResponse? { if case .answered(let response) = self { response } else { nil } }
    var failure: HTTPFailure? {
        switch self {
        case .answered: nil
        case .notSent(let failure), .unknown(let failure): failure
        }
    }
}
