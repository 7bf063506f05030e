import ExactJSON
import HTTPTypes
import Hummingbird
import NIOCore

/// Denmark's FUT (the eHealth infrastructure) simulated on one loopback port: Keycloak's realm `nemlogin` and the careplan,
/// measurement, task and device services, with stateful plans, that fail as they are told.
///
/// | Path | What it plays |
/// |---|---|
/// | `/auth/realms/nemlogin` | discovery, code + PKCE, device grant, refresh with rotation and context, revocation, contexts |
/// | `/careplan/fhir` | `$get-patient-procedures`; EpisodeOfCare, CarePlan, ServiceRequest read and search |
/// | `/measurement/fhir` | `$submit-measurement`, `$search-measurements-bundle-limit`, Observation read, search, PATCH, `$validate` |
/// | `/task/fhir` | `ClinicalImpression/$set-measurement-validity` |
/// | `/device/fhir` | Device, DeviceUseStatement read and search |
/// | `/control` | what a test or a technician does to it, below |
///
/// | Control | |
/// |---|---|
/// | `GET state`, `GET observations` | counts, sessions, open user codes; what is stored |
/// | `POST faults` | ``FUTFaultPlan/init(_:)`` |
/// | `POST settings` | any of ``FUTSettings``: `{"rotates": true, "allowsReuseOfLast": true}` |
/// | `POST citizen` | plans and people: `{"citizen": "anna", "episodes": [{"id": "2001", "requests": [{"id": "3002", "timing": {"slots": [{"from": -60, "to": 180, "occurrences": 2}]}, "status": "active"}]}]}` |
/// | `POST clock` | `{"advance": 301}`: seconds that pass at once |
/// | `POST sessions` | `{"end": "anna"}`: her sign-ins lapse |
/// | `POST device` | `{"user_code": "BCDF-GHJK", "citizen": "anna"}`: the person approves; without citizen he declines |
///
/// It does not: speak TLS, know MitID, practitioners or organisations, keep history, triage, validate against StructureDefinitions
/// (it checks what ``FUTSubmission`` and ``FUTObservationProfile`` name), aggregate questionnaires, or remember anything after its end. Where the guide is
/// silent (HTTP statuses, where an error's code stands, whether identifiers survive) it does what ``FUTSettings`` says: that it
/// takes a measurement proves that ours and its reading of the guide agree, no more.
public struct FUTSimulator: Sendable {
    public struct Options: Sendable {
        /// 0 for any free port.
        public var port = 0
        public var settings = FUTSettings()
        /// `nil` for ``FUTWorld/spouses(now:)``.
        public var world: FUTWorld?
        /// A file that gets a line for each request, each grant and each resource written, appended.
        public var ledgerPath: String?
        /// A directory that gets the body of each submission as it came, `00017.fut` for the ledger's request 17; answered or not.
        public var requestsDirectory: String?
        public var faults = FUTFaultPlan()
        /// Bytes; a larger body is answered with 413.
        public var maximumBody = 16 * 1_024 * 1_024

        public init(
            port: Int = 0, settings: FUTSettings = FUTSettings(), world: FUTWorld? = nil, ledgerPath: String? = nil,
            requestsDirectory: String? = nil, faults: FUTFaultPlan = FUTFaultPlan()
        ) {
            self.port = port
            self.settings = settings
            self.world = world
            self.ledgerPath = ledgerPath
            self.requestsDirectory = requestsDirectory
            self.faults = faults
        }
    }

    private let options: Options
    /// What it holds and has seen.
    public let state: FUTState

    /// - Throws: the ledger or the directory of the requests cannot be opened.
    public init(_ options: Options = Options()) throws(ReceiverLedgerError) {
        self.options = options
        let ledger: ReceiverLedger? = if let path = options.ledgerPath { try ReceiverLedger(path: path) } else { nil }
        let requests: KeptRequests? =
            if let path = options.requestsDirectory { try KeptRequests(directory: path) } else { nil }
        state = FUTState(
            settings: options.settings, world: options.world, faults: options.faults, ledger: ledger, requests: requests)
    }

    /// Serves until the task is cancelled.
    ///
    /// - Parameter onListening: called once with the origin, `http://127.0.0.1:port`; ``FUTEndpoints`` knows the rest.
    /// - Throws: what binding the port threw.
    public func run(onListening: @escaping @Sendable (String) -> Void = { _ in }) async throws {
        let state = state
        try await LoopbackServer.run(
            FUTResponder(state: state, maximumBody: options.maximumBody), port: options.port, label: "fut"
        ) { port in
            let origin = "http://127.0.0.1:\(port)"
            await state.listen(at: origin)
            onListening(origin)
        }
    }
}

struct FUTResponder: HTTPResponder {
    let state: FUTState
    let maximumBody: Int

    func respond(to request: Request, context: ReceiverContext) async throws -> Response {
        var request = request
        let body: [UInt8]
        do {
            body = Array(try await request.collectBody(upTo: maximumBody).readableBytesView)
        } catch is NIOTooManyBytesError {
            return Response(status: .contentTooLarge)
        }
        let call = FUTCall(
            method: request.method.rawValue, steps: request.uri.path.split(separator: "/").map { percentDecoded($0) },
            query: request.uri.query ?? "", body: body,
            headers: Dictionary(request.headers.map { ($0.name.canonicalName, $0.value) }) { first, _ in first })
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

    private func response(_ answer: FUTAnswer) -> Response {
        var headers: HTTPFields = [:]
        for (name, value) in answer.headers {
            guard let name = HTTPField.Name(name) else { continue }
            headers[name] = value
        }
        let bytes: ByteBuffer
        switch answer.body {
        case .none: return Response(status: .init(code: answer.status), headers: headers)
        case .fhir(let json):
            headers[.contentType] = "application/fhir+json;charset=UTF-8"
            bytes = ByteBuffer(bytes: json.bytes)
        case .json(let json):
            headers[.contentType] = "application/json"
            bytes = ByteBuffer(bytes: json.bytes)
        case .html(let text):
            headers[.contentType] = "text/html;charset=utf-8"
            bytes = ByteBuffer(string: text)
        }
        return Response(status: .init(code: answer.status), headers: headers, body: .init(byteBuffer: bytes))
    }
}
