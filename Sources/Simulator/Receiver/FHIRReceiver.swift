import ExactJSON
import HTTPTypes
import Hummingbird
import NIOCore

/// A simulated FHIR R4 server on 127.0.0.1, for demo, tests and technicians, that fails as it is told.
///
/// It does: transactions and batches with conditional creates, references between entries and by search; create with
/// If-None-Exist, read, search by identifier, _id, subject and patient, update with If-Match, JSON Patch; metadata; a bearer
/// token; OperationOutcome for every error. Faults: ``ReceiverFault``, set beforehand or at run time by `POST /$fault`
/// (``ReceiverFaultPlan/init(_:)``); `GET /$state` counts.
///
/// It does not: validate against profiles, keep history, delete, page, sort, search by value, check that a reference's target
/// exists, speak TLS or XML, or remember anything after its end. That it takes a Bundle proves little; a real server has to take
/// it too.
public struct FHIRReceiver: Sendable {
    public struct Options: Sendable {
        /// 0 for any free port.
        public var port = 0
        /// Where the FHIR base is, without a slash at the end.
        public var basePath = "/fhir"
        /// The bearer token that every request but `metadata` needs.
        public var token: String?
        /// A file that gets a line for each request and each resource written, appended; crash tests count them.
        public var ledgerPath: String?
        public var faults = ReceiverFaultPlan.none
        /// Bytes; a larger body is answered with 413.
        public var maximumBody = 16 * 1_024 * 1_024

        public init(
            port: Int = 0, token: String? = nil, ledgerPath: String? = nil, faults: ReceiverFaultPlan = .none
        ) {
            self.port = port
            self.token = token
            self.ledgerPath = ledgerPath
            self.faults = faults
        }
    }

    private let options: Options
    /// What it holds and has seen.
    public let state: ReceiverState

    /// - Throws: the ledger cannot be opened.
    public init(_ options: Options = Options()) throws(ReceiverLedgerError) {
        self.options = options
        let ledger: ReceiverLedger? = if let path = options.ledgerPath { try ReceiverLedger(path: path) } else { nil }
        state = ReceiverState(plan: options.faults, token: options.token, ledger: ledger)
    }

    /// Serves until the task is cancelled.
    ///
    /// - Parameter onListening: called once with the base URL, `http://127.0.0.1:port/fhir`.
    /// - Throws: what binding the port threw.
    public func run(onListening: @escaping @Sendable (String) -> Void = { _ in }) async throws {
        let basePath = options.basePath
        try await LoopbackServer.run(
            ReceiverResponder(state: state, options: options), port: options.port, label: "receiver"
        ) { onListening("http://127.0.0.1:\($0)\(basePath)") }
    }
}

struct ReceiverResponder: HTTPResponder {
    let state: ReceiverState
    let options: FHIRReceiver.Options

    func respond(to request: Request, context: ReceiverContext) async throws -> Response {
        var request = request
        let body: [UInt8]
        do {
            body = Array(try await request.collectBody(upTo: options.maximumBody).readableBytesView)
        } catch is NIOTooManyBytesError {
            return response(.outcome(413, "too-long", "at most \(options.maximumBody) bytes"))
        }
        let path = percentDecoded(request.uri.path)
        switch (request.method, path) {
        case (.post, "/$fault"):
            do {
                await state.set(try ReceiverFaultPlan(try JSON(parsing: body)))
                return Response(status: .noContent)
            } catch {
                return response(.outcome(400, "structure", "\(error)"))
            }
        case (.get, "/$state"): return response(ReceiverAnswer(status: 200, body: await state.summary))
        default: break
        }
        guard path == options.basePath || path.hasPrefix(options.basePath + "/") else {
            return response(.outcome(404, "not-found", "the base is \(options.basePath)"))
        }
        let call = ReceiverState.Call(
            method: request.method.rawValue, steps: path.dropFirst(options.basePath.count).split(separator: "/").map(String.init),
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

    private func response(_ answer: ReceiverAnswer) -> Response {
        var headers: HTTPFields = [:]
        for (name, value) in answer.headers {
            guard let name = HTTPField.Name(name) else { continue }
            let isRelative = name == .location && !value.contains("://")
            headers[name] = isRelative ? "\(options.basePath)/\(value)" : value
        }
        guard let body = answer.body else { return Response(status: .init(code: answer.status), headers: headers) }
        headers[.contentType] = "application/fhir+json"
        return Response(
            status: .init(code: answer.status), headers: headers, body: .init(byteBuffer: ByteBuffer(bytes: body.bytes)))
    }
}
