public import Vitals

/// Why a request to a server was not fulfilled.
public enum ATTFailure: Error, Hashable, Sendable {
    /// The server's own Error Response.
    case refused(ATTErrorCode, handle: UInt16)
    /// The answer does not fit the request.
    case badResponse
    /// No answer within ``ATTClient/transactionTimeout``: the bearer is dead and must be closed.
    case timedOut
}

/// The central's side of one ATT bearer, as a value: what comes in, what goes out, no socket.
///
/// One request is under way at a time and the others wait in order (Core Vol 3 Part F 3.3.2). An indication is handed up with a
/// token and confirmed only when the caller says so (R1). Requests of the peer are answered as a server without attributes would.
/// Whatever bytes arrive, nothing traps: what is no PDU is reported and counted.
public struct ATTClient: Sendable {
    /// Core Vol 3 Part F 3.3.3: "a transaction not completed within 30 seconds shall time out", and no more PDUs may follow on
    /// that bearer.
    public static let transactionTimeout = Duration.seconds(30)

    /// The longest attribute value is 512 octets (Core Vol 3 Part F 3.2.9), so that with opcode, handle and offset no PDU needs
    /// more.
    public static let preferredMTU: UInt16 = 517

    public struct RequestID: Hashable, Sendable { fileprivate let number: Int }
    public struct IndicationID: Hashable, Sendable { fileprivate let number: Int }

    public enum Request: Hashable, Sendable {
        case exchangeMTU
        /// All primary services, their characteristics and client configurations.
        case discover
        /// The whole value, by Read and as many Read Blobs as it takes.
        case read(handle: UInt16)
        /// In one Write Request, or in prepared writes where the value is longer than the MTU allows.
        case write(handle: UInt16, value: [UInt8])
    }

    public enum Reply: Hashable, Sendable {
        case mtu(Int)
        case map(HandleMap)
        case value([UInt8])
        case written
    }

    public enum Event: Hashable, Sendable {
        case send(ATTPDU)
        case answered(RequestID, Result<Reply, ATTFailure>)
        case notified(handle: UInt16, value: [UInt8])
        /// To be confirmed by ``ATTClient/confirm(_:)``.
        case indicated(IndicationID, handle: UInt16, value: [UInt8])
        /// The peer has sent the unconfirmed one once more, byte for byte: no second event, no second confirmation.
        case repeated(IndicationID)
        /// The confirmation, sent just before this event, was the word for these.
        case confirmed([IndicationID])
        /// A request of the peer that was answered with an error.
        case refusedPeer(opcode: UInt8)
        case malformed(ATTError)
    }

    /// The agreed size of the largest PDU.
    public private(set) var mtu = ATTPDU.defaultMTU
    /// PDUs that were no PDUs, or that nothing asked for.
    public private(set) var malformedCount = 0

    private struct Pending {
        var id: RequestID
        var request: Request
    }

    /// What is under way, with what it has gathered so far.
    private enum Work {
        case mtu
        case discovery(ATTDiscovery)
        case reading(handle: UInt16, value: [UInt8])
        case writing
        case preparing(handle: UInt16, value: [UInt8], offset: Int)
        case executing(writes: Bool)
    }

    private enum State {
        case idle
        case waiting(Pending, Work, request: UInt8, since: MonotonicTime)
        /// A transaction timed out: the bearer takes no more requests.
        case dead
    }

    private struct Unconfirmed {
        var id: IndicationID
        var handle: UInt16
        var value: [UInt8]
        var mayConfirm = false
    }

    private var state = State.idle
    private var queue: [Pending] = []
    private var unconfirmed: [Unconfirmed] = []
    /// What the last confirmation was for, and when it left.
    private var lastConfirmed: (what: [Unconfirmed], at: MonotonicTime)?
    private var lastID = 0

    public init() {}

    /// When ``timer(at:)`` must be called at the latest.
    public var deadline: MonotonicTime? {
        if case .waiting(_, _, _, let since) = state { since + Self.transactionTimeout } else { nil }
    }

    /// Whether an indication waits for its confirmation.
    public var hasUnconfirmed: Bool { !unconfirmed.isEmpty }
    /// Whether a request is under way or waits.
    public var isBusy: Bool {
        if case .waiting = state { return true }
        return !queue.isEmpty
    }

    // MARK: What the caller wants

    /// Sends the request, now or when those before it are answered.
    public mutating func submit(_ request: Request, at now: MonotonicTime) -> (id: RequestID, events: [Event]) {
        lastID += 1
        let id = RequestID(number: lastID)
        if case .dead = state { return (id, [.answered(id, .failure(.timedOut))]) }
        queue.append(Pending(id: id, request: request))
        return (id, startNext(at: now))
    }

    /// Takes over an Exchange MTU Request that left before this client began: its answer is yet to be received.
    public mutating func adoptMTURequest(at now: MonotonicTime) -> RequestID? {
        guard case .idle = state, lastID == 0 else { return nil }
        lastID += 1
        let id = RequestID(number: lastID)
        state = .waiting(Pending(id: id, request: .exchangeMTU), .mtu, request: ATTPDU.Opcode.mtuRequest.rawValue, since: now)
        return id
    }

    /// Gives the word for an indication (R1).
    ///
    /// A server has one indication outstanding. Should a peer have sent several nonetheless, one confirmation goes out when all
    /// may be confirmed: a second one could be taken for the word on a record that has yet to come.
    public mutating func confirm(_ id: IndicationID, at now: MonotonicTime) -> [Event] {
        guard let index = unconfirmed.firstIndex(where: { $0.id == id }) else { return [] }
        unconfirmed[index].mayConfirm = true
        guard unconfirmed.allSatisfy(\.mayConfirm) else { return [] }
        defer { unconfirmed.removeAll() }
        lastConfirmed = (unconfirmed, now)
        return [.send(.confirmation), .confirmed(unconfirmed.map(\.id))]
    }

    /// To be called at ``deadline`` or later; earlier calls change nothing.
    public mutating func timer(at now: MonotonicTime) -> [Event] {
        guard case .waiting(let pending, _, _, let since) = state, now >= since + Self.transactionTimeout else { return [] }
        state = .dead
        let waiting = queue
        queue.removeAll()
        return ([pending] + waiting).map { .answered($0.id, .failure(.timedOut)) }
    }

    // MARK: What comes in

    /// Takes one PDU from the bearer, which came at `now`; it may be handed in later than what was done since.
    public mutating func receive(_ bytes: [UInt8], at now: MonotonicTime) -> [Event] {
        let pdu: ATTPDU
        do {
            pdu = try ATTPDU(decoding: bytes)
        } catch {
            return receiveMalformed(bytes, error, at: now)
        }
        switch pdu {
        case .notification(let handle, let value): return [.notified(handle: handle, value: value)]
        case .multipleNotification(let list): return list.map { .notified(handle: $0.handle, value: $0.value) }
        case .indication(let handle, let value): return receiveIndication(handle, value, at: now)
        case .writeCommand: return []
        case .confirmation: return malformed(.unexpected(opcode: bytes[0]))
        case .mtuRequest, .findInformationRequest, .findByTypeValueRequest, .readByTypeRequest, .readRequest, .readBlobRequest,
            .readMultipleRequest, .readByGroupTypeRequest, .writeRequest, .prepareWriteRequest, .executeWriteRequest:
            return answer(pdu)
        case .errorResponse(let request, _, _):
            guard case .waiting(let pending, let work, request, _) = state else {
                return malformed(.unexpected(opcode: bytes[0]))
            }
            return advance(pending, work, with: pdu, at: now)
        case .mtuResponse, .findInformationResponse, .findByTypeValueResponse, .readByTypeResponse, .readResponse,
            .readBlobResponse,
            .readMultipleResponse, .readByGroupTypeResponse, .writeResponse, .prepareWriteResponse, .executeWriteResponse:
            // A response's opcode is its request's plus one.
            guard case .waiting(let pending, let work, let request, _) = state, request + 1 == bytes[0] else {
                return malformed(.unexpected(opcode: bytes[0]))
            }
            return advance(pending, work, with: pdu, at: now)
        }
    }

    private mutating func receiveMalformed(_ bytes: [UInt8], _ error: ATTError, at now: MonotonicTime) -> [Event] {
        let events = malformed(error)
        guard let opcode = bytes.first else { return events }
        // Bit 6 marks a command, which is never answered; in the methods of the specification requests are even, answers odd.
        let isRequest = opcode & 0x40 == 0 && opcode & 1 == 0 && opcode != ATTPDU.Opcode.confirmation.rawValue
        if isRequest {
            let known = ATTPDU.Opcode(rawValue: opcode) != nil
            let code: ATTErrorCode = known ? .invalidPDU : .requestNotSupported
            return events + [.send(.errorResponse(request: opcode, handle: 0, code: code)), .refusedPeer(opcode: opcode)]
        }
        // A broken answer to what is under way ends that request; waiting on would only end the link.
        if case .waiting(let pending, _, let request, _) = state, request + 1 == opcode {
            return events + finish(pending, .failure(.badResponse), at: now)
        }
        return events
    }

    private mutating func malformed(_ error: ATTError) -> [Event] {
        malformedCount += 1
        return [.malformed(error)]
    }

    private mutating func receiveIndication(_ handle: UInt16, _ value: [UInt8], at now: MonotonicTime) -> [Event] {
        // Sent again before our confirmation left, and only now looked at: still the same one. The next one comes after it.
        if let last = lastConfirmed, now < last.at,
            let again = last.what.first(where: { $0.handle == handle && $0.value == value })
        {
            return [.repeated(again.id)]
        }
        if let again = unconfirmed.first(where: { $0.handle == handle && $0.value == value }) { return [.repeated(again.id)] }
        lastID += 1
        let id = IndicationID(number: lastID)
        unconfirmed.append(Unconfirmed(id: id, handle: handle, value: value))
        return [.indicated(id, handle: handle, value: value)]
    }

    /// The small server side: no attributes, so whatever is looked for is not found (Omron's HEM-6233T looks before it goes on).
    private mutating func answer(_ request: ATTPDU) -> [Event] {
        let opcode = request.opcode.rawValue
        func refuse(_ code: ATTErrorCode, _ handle: UInt16 = 0) -> [Event] {
            [.send(.errorResponse(request: opcode, handle: handle, code: code)), .refusedPeer(opcode: opcode)]
        }
        switch request {
        case .mtuRequest(let theirs):
            agree(theirs)
            return [.send(.mtuResponse(Self.preferredMTU))]
        case .findInformationRequest(let range), .findByTypeValueRequest(let range, _, _), .readByTypeRequest(let range, _),
            .readByGroupTypeRequest(let range, _):
            return refuse(range.isValid ? .attributeNotFound : .invalidHandle, range.first)
        case .readRequest(let handle), .readBlobRequest(let handle, _), .writeRequest(let handle, _),
            .prepareWriteRequest(let handle, _, _):
            return refuse(.invalidHandle, handle)
        case .readMultipleRequest(let handles): return refuse(.invalidHandle, handles.first ?? 0)
        // Nothing was ever queued: executing an empty queue succeeds (Core Vol 3 Part F 3.4.6.3).
        case .executeWriteRequest: return [.send(.executeWriteResponse)]
        default: return refuse(.requestNotSupported)
        }
    }

    /// Both sides use the smaller of the two, and never less than the default (Core Vol 3 Part F 3.4.2.2).
    private mutating func agree(_ theirs: UInt16) {
        mtu = max(ATTPDU.defaultMTU, min(Int(theirs), Int(Self.preferredMTU)))
    }

    // MARK: Requests

    private mutating func startNext(at now: MonotonicTime) -> [Event] {
        guard case .idle = state, !queue.isEmpty else { return [] }
        let pending = queue.removeFirst()
        switch pending.request {
        case .exchangeMTU: return send(.mtuRequest(Self.preferredMTU), for: pending, .mtu, at: now)
        case .discover:
            let discovery = ATTDiscovery()
            guard case .ask(let pdu) = discovery.step else { return [] }
            return send(pdu, for: pending, .discovery(discovery), at: now)
        case .read(let handle):
            return send(.readRequest(handle: handle), for: pending, .reading(handle: handle, value: []), at: now)
        case .write(let handle, let value):
            // Opcode and handle leave mtu - 3 for the value.
            if value.count <= mtu - 3 {
                return send(.writeRequest(handle: handle, value: value), for: pending, .writing, at: now)
            }
            return prepare(pending, handle, value, from: 0, at: now)
        }
    }

    private mutating func send(_ pdu: ATTPDU, for pending: Pending, _ work: Work, at now: MonotonicTime) -> [Event] {
        state = .waiting(pending, work, request: pdu.opcode.rawValue, since: now)
        return [.send(pdu)]
    }

    private mutating func finish(_ pending: Pending, _ result: Result<Reply, ATTFailure>, at now: MonotonicTime) -> [Event] {
        state = .idle
        return [.answered(pending.id, result)] + startNext(at: now)
    }

    private mutating func advance(_ pending: Pending, _ work: Work, with answer: ATTPDU, at now: MonotonicTime) -> [Event] {
        switch (work, answer) {
        case (.discovery(var discovery), _):
            switch discovery.take(answer) {
            case .ask(let pdu): return send(pdu, for: pending, .discovery(discovery), at: now)
            case .found(let map): return finish(pending, .success(.map(map)), at: now)
            case .failed(let failure): return finish(pending, .failure(failure), at: now)
            }
        case (.mtu, .mtuResponse(let theirs)):
            agree(theirs)
            return finish(pending, .success(.mtu(mtu)), at: now)
        case (.reading(let handle, _), .readResponse(let value)): return readOn(pending, handle, value, part: value, at: now)
        case (.reading(let handle, let value), .readBlobResponse(let part)):
            return readOn(pending, handle, value + part, part: part, at: now)
        // The first part was all there is.
        case (.reading(_, let value), .errorResponse(ATTPDU.Opcode.readBlobRequest.rawValue, _, .attributeNotLong)),
            (.reading(_, let value), .errorResponse(ATTPDU.Opcode.readBlobRequest.rawValue, _, .invalidOffset)):
            return finish(pending, .success(.value(value)), at: now)
        case (.writing, .writeResponse): return finish(pending, .success(.written), at: now)
        case (.preparing(let handle, let value, let offset), .prepareWriteResponse(let sentTo, let sentAt, let echo)):
            let sent = value[offset...].prefix(mtu - 5)
            guard sentTo == handle, Int(sentAt) == offset, Array(sent) == echo else {
                return send(.executeWriteRequest(writes: false), for: pending, .executing(writes: false), at: now)
            }
            return prepare(pending, handle, value, from: offset + sent.count, at: now)
        case (.executing(let writes), .executeWriteResponse):
            return finish(pending, writes ? .success(.written) : .failure(.badResponse), at: now)
        case (_, .errorResponse(_, let handle, let code)):
            return finish(pending, .failure(.refused(code, handle: handle)), at: now)
        default: return finish(pending, .failure(.badResponse), at: now)
        }
    }

    /// A part that fills its PDU may have a next one (Core Vol 3 Part G 4.8.3); 512 octets is the longest value.
    private mutating func readOn(
        _ pending: Pending, _ handle: UInt16, _ value: [UInt8], part: [UInt8], at now: MonotonicTime
    ) -> [Event] {
        guard part.count >= mtu - 1, value.count < 512 else { return finish(pending, .success(.value(value)), at: now) }
        return send(
            .readBlobRequest(handle: handle, offset: UInt16(clamping: value.count)), for: pending,
            .reading(handle: handle, value: value),
            at: now)
    }

    private mutating func prepare(
        _ pending: Pending, _ handle: UInt16, _ value: [UInt8], from offset: Int, at now: MonotonicTime
    ) -> [Event] {
        guard offset < value.count else {
            return send(.executeWriteRequest(writes: true), for: pending, .executing(writes: true), at: now)
        }
        // Opcode, handle and offset leave mtu - 5 for the part.
        let part = Array(value[offset...].prefix(mtu - 5))
        return send(
            .prepareWriteRequest(handle: handle, offset: UInt16(clamping: offset), value: part), for: pending,
            .preparing(handle: handle, value: value, offset: offset), at: now)
    }
}
