import ExactJSON
import HTTPTypes
import Hummingbird
import NIOCore

/// Norsk helsenett's HelseID, Pasientens måledata (PMD) and Velferdsteknologisk knutepunkt (VKP) simulated on one loopback port:
/// strict, stateful, and failing as they are told.
///
/// | Path | What it plays |
/// |---|---|
/// | `/helseid` | discovery, keys, the token endpoint: client credentials with `private_key_jwt`, DPoP with nonces |
/// | `/pmd` | POST of a Bundle; `Observation/_search` |
/// | `/vkp/epj/r4/{organisation}` | `bundle`, `composition/_search`, `careplan/_search` |
/// | `/control` | what a test or a technician does to it, below |
///
/// | Control | |
/// |---|---|
/// | `GET state`, `GET observations`, `GET journal` | counts; what PMD and VKP hold |
/// | `POST clients` | registers a client: ``HelseIDClientRegistration/init(_:)`` |
/// | `POST keys` | `{"client": "hub", "jwk": {…}}`: a further key of it |
/// | `POST faults` | ``NHNFaultPlan/init(_:)`` |
/// | `POST settings` | any of ``NHNSettings``: `{"nonces": "everywhere", "echo": "extension"}` |
/// | `POST clock` | `{"advance": 301}`: seconds that pass at once, also backwards |
/// | `POST nonce` | HelseID forgets its nonce |
///
/// It does not: speak TLS, know users or their logins, keep history, validate against StructureDefinitions (it checks what the
/// services' own types name), rotate its own signing key, or remember anything after its end. Where NHN publishes nothing it does
/// what ``NHNSettings`` says: that it takes a bundle proves that ours and its reading of the publications agree, no more.
public struct NHNSimulator: Sendable {
    public struct Options: Sendable {
        /// 0 for any free port.
        public var port = 0
        public var settings = NHNSettings()
        public var clients: [HelseIDClientRegistration] = []
        /// A file that gets a line for each request, each observation and each document written, appended.
        public var ledgerPath: String?
        public var faults = NHNFaultPlan()
        /// Bytes; a larger body is answered with 413.
        public var maximumBody = 16 * 1_024 * 1_024

        public init(
            port: Int = 0, settings: NHNSettings = NHNSettings(), clients: [HelseIDClientRegistration] = [],
            ledgerPath: String? = nil, faults: NHNFaultPlan = NHNFaultPlan()
        ) {
            self.port = port
            self.settings = settings
            self.clients = clients
            self.ledgerPath = ledgerPath
            self.faults = faults
        }
    }

    private let options: Options
    /// What it holds and has seen.
    public let state: NHNState

    /// - Throws: the ledger cannot be opened.
    public init(_ options: Options = Options()) throws(ReceiverLedgerError) {
        self.options = options
        let ledger: ReceiverLedger? = if let path = options.ledgerPath { try ReceiverLedger(path: path) } else { nil }
        state = NHNState(
            settings: options.settings, clients: options.clients, faults: options.faults, ledger: ledger)
    }

    /// Serves until the task is cancelled.
    ///
    /// - Parameter onListening: called once with the origin, `http://127.0.0.1:port`; ``NHNEndpoints`` knows the rest.
    /// - Throws: what binding the port threw.
    public func run(onListening: @escaping @Sendable (String) -> Void = { _ in }) async throws {
        let state = state
        try await LoopbackServer.run(
            NHNResponder(state: state, maximumBody: options.maximumBody), port: options.port, label: "nhn"
        ) { port in
            let origin = "http://127.0.0.1:\(port)"
            await state.listen(at: origin)
            onListening(origin)
        }
    }
}

/// Where the services are; all below one origin here, each on a host of its own at NHN.
public struct NHNEndpoints: Hashable, Sendable {
    /// `http://127.0.0.1:port`.
    public var origin: String

    public init(origin: String) { self.origin = origin }

    public var issuer: String { "\(origin)/helseid" }
    public var pmd: String { "\(origin)/pmd" }
    /// Without the organisation.
    public var vkp: String { "\(origin)/vkp/epj/r4" }
    public var control: String { "\(origin)/control" }
}

struct NHNResponder: HTTPResponder {
    let state: NHNState
    let maximumBody: Int

    func respond(to request: Request, context: ReceiverContext) async throws -> Response {
        var request = request
        let body: [UInt8]
        do {
            body = Array(try await request.collectBody(upTo: maximumBody).readableBytesView)
        } catch is NIOTooManyBytesError {
            return Response(status: .contentTooLarge)
        }
        let call = NHNCall(
            method: request.method.rawValue, path: request.uri.path, query: request.uri.query ?? "", body: body,
            headers: Dictionary(request.headers.map { ($0.name.canonicalName, $0.value) }) { first, _ in first },
            dpop: request.headers.filter { $0.name.canonicalName == "dpop" }.map(\.value))
        let (reply, delay) = try await state.handle(call)
        if let delay { await LoopbackServer.rest(delay) }
        switch reply {
        case .answer(let answer): return response(answer)
        case .raw(let status, let type, let text):
            return Response(
                status: .init(code: status), headers: [.contentType: type], body: .init(byteBuffer: ByteBuffer(string: text)))
        case .hang:
            // Until the sender gives up and closes, which cancels nothing here: so not for ever either.
            await LoopbackServer.rest(.seconds(600))
            fallthrough
        case .cut:
            try? await context.channel.close()
            throw ExchangeCut()
        }
    }

    private func response(_ answer: NHNAnswer) -> Response {
        var headers: HTTPFields = [:]
        for (name, value) in answer.headers {
            guard let name = HTTPField.Name(name) else { continue }
            headers[name] = value
        }
        switch answer.body {
        case .none: return Response(status: .init(code: answer.status), headers: headers)
        case .fhir(let json):
            headers[.contentType] = "application/fhir+json;charset=UTF-8"
            return Response(
                status: .init(code: answer.status), headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: json.bytes)))
        case .json(let json):
            headers[.contentType] = "application/json"
            return Response(
                status: .init(code: answer.status), headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: json.bytes)))
        }
    }
}
