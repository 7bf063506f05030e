/// Asks a BR/EDR device for the RFCOMM channel of a service, step by step: the shell sends and receives over L2CAP PSM 1.
///
/// One Service Search Attribute transaction, continued as often as the server says. The peer decides neither how long this takes
/// nor how much it stores: see ``maximumParts`` and ``maximumByteCount``. Source: Core Vol 3 Part B 4.7 and 5.1; RFCOMM's place in
/// the protocol list, Serial Port Profile 1.2, section 6.
public struct SDPSerialPortLookup: Sendable {
    public enum Step: Hashable, Sendable {
        case send([UInt8])
        /// The server channel, 1 to 30.
        case found(channel: UInt8, name: String?)
        /// The device has no such service.
        case none
        case failed(SDPError)
    }

    private enum State {
        case idle
        case waiting(transaction: UInt16, received: [UInt8], parts: Int)
        case finished
    }

    /// Serial Port (Assigned Numbers 3.3).
    public static let serialPort: BluetoothUUID = 0x1101

    /// What one part may have, so that the PDU fits L2CAP's default MTU: 672 - 5 of header - 2 of count - 17 of continuation.
    public static let partByteCount: UInt16 = 648
    /// What all parts may have. A serial-port record has about 100 bytes.
    public static let maximumByteCount = 16_384
    /// Responses that are waited for: also what bounds a server that continues with nothing.
    public static let maximumParts = 64

    private let service: BluetoothUUID
    private var state = State.idle

    public init(service: BluetoothUUID = Self.serialPort) { self.service = service }

    /// The first request.
    public mutating func start() -> [UInt8] {
        state = .waiting(transaction: 1, received: [], parts: 0)
        return request(1, continuation: [])
    }

    /// What to do with a PDU of the server.
    public mutating func receive(_ pdu: [UInt8]) -> Step {
        guard case .waiting(let transaction, let received, let parts) = state else { return .failed(.notWaiting) }
        // What goes on sets it again.
        state = .finished
        do throws(SDPError) {
            let (part, continuation) = try Self.part(pdu, transaction)
            let all = received + part
            guard all.count <= Self.maximumByteCount else { throw .tooLong(limit: Self.maximumByteCount) }
            guard !continuation.isEmpty else { return try Self.result(all, of: service) }
            guard parts + 1 < Self.maximumParts else { throw .endless(limit: Self.maximumParts) }
            state = .waiting(transaction: transaction + 1, received: all, parts: parts + 1)
            return .send(request(transaction + 1, continuation: continuation))
        } catch {
            return .failed(error)
        }
    }

    private func request(_ transaction: UInt16, continuation: [UInt8]) -> [UInt8] {
        SDPPDU.serviceSearchAttributeRequest(
            transaction: transaction, services: [service], maximumByteCount: Self.partByteCount, attributes: Attribute.wanted,
            continuation: continuation
        ).bytes
    }

    private static func part(_ pdu: [UInt8], _ transaction: UInt16) throws(SDPError) -> (part: [UInt8], continuation: [UInt8]) {
        let pdu = try SDPPDU(decoding: pdu)
        guard pdu.transaction == transaction else {
            throw .wrongTransaction(expected: transaction, found: pdu.transaction)
        }
        switch pdu {
        case .errorResponse(_, let code): throw .refused(code)
        case .serviceSearchAttributeRequest: throw .unexpected(pdu: 0x06)
        case .serviceSearchAttributeResponse(_, let part, let continuation):
            guard part.count <= partByteCount else { throw .tooLong(limit: Int(partByteCount)) }
            return (part, continuation)
        }
    }
}

// MARK: The record

extension SDPSerialPortLookup {
    private enum Attribute {
        static let serviceClasses: UInt16 = 0x0001
        static let protocols: UInt16 = 0x0004
        /// ServiceName in the primary language, whose base is 0x0100 (5.1).
        static let name: UInt16 = 0x0100
        static let wanted = [serviceClasses, protocols, name]
    }

    private static let rfcomm: BluetoothUUID = 0x0003

    private static func result(_ bytes: [UInt8], of service: BluetoothUUID) throws(SDPError) -> Step {
        let lists = try SDPDataElement(decoding: bytes)
        guard case .sequence(let records) = lists else {
            throw .malformed(.invalidValue, offset: 0, message: "expected a sequence of attribute lists")
        }
        for record in records {
            let attributes = attributes(record)
            // The search finds the UUID anywhere in a record; only its class list makes it that service.
            guard case .sequence(let classes) = attributes[Attribute.serviceClasses],
                classes.contains(where: { $0.isUUID(service) }),
                let channel = attributes[Attribute.protocols].flatMap(channel)
            else { continue }
            return .found(channel: channel, name: attributes[Attribute.name].flatMap(name))
        }
        return .none
    }

    /// Attribute, value, attribute, value...; of an attribute that comes twice the first.
    private static func attributes(_ record: SDPDataElement) -> [UInt16: SDPDataElement] {
        guard case .sequence(let elements) = record else { return [:] }
        var attributes: [UInt16: SDPDataElement] = [:]
        for index in stride(from: 0, to: elements.count - 1, by: 2) {
            guard case .unsigned(let number, .two) = elements[index] else { continue }
            let attribute = UInt16(truncatingIfNeeded: number)
            if attributes[attribute] == nil { attributes[attribute] = elements[index + 1] }
        }
        return attributes
    }

    /// Of `((L2CAP), (RFCOMM, channel), ...)`, or of the first of several such stacks that has RFCOMM (5.1.5).
    private static func channel(_ protocols: SDPDataElement) -> UInt8? {
        switch protocols {
        case .alternative(let stacks):
            for stack in stacks {
                guard case .sequence = stack, let channel = channel(stack) else { continue }
                return channel
            }
            return nil
        case .sequence(let layers):
            for case .sequence(let layer) in layers where layer.first?.isUUID(rfcomm) == true {
                guard layer.count > 1, case .unsigned(let channel, _) = layer[1], (1...30).contains(channel) else { return nil }
                return UInt8(channel)
            }
            return nil
        default: return nil
        }
    }

    private static func name(_ element: SDPDataElement) -> String? {
        guard case .text(let octets) = element else { return nil }
        let text = String(decoding: octets.prefix { $0 != 0 }, as: UTF8.self)
        return text.isEmpty ? nil : text
    }
}
