/// One PDU of the Service Discovery Protocol, as a value: `PDU ID | transaction ID (2) | parameter length (2) | parameters`,
/// big-endian.
///
/// Source: Core Vol 3 Part B 4. Of the three transactions only Service Search Attribute is here: it finds a record and reads it in
/// one step.
public enum SDPPDU: Hashable, Sendable {
    /// `01: error code (2) | information`
    case errorResponse(transaction: UInt16, SDPErrorCode)
    /// `06: sequence of UUIDs | maximum byte count (2) | sequence of attributes | continuation`: the records that hold all the
    /// UUIDs.
    case serviceSearchAttributeRequest(
        transaction: UInt16, services: [BluetoothUUID], maximumByteCount: UInt16, attributes: [UInt16], continuation: [UInt8])
    /// `07: byte count (2) | part of the attribute lists | continuation`; the parts make one data element, a sequence of sequences
    /// of attribute and value.
    case serviceSearchAttributeResponse(transaction: UInt16, part: [UInt8], continuation: [UInt8])

    /// The longest continuation state (4.3): `length (1) | state`.
    public static let maximumContinuation = 16

    public var transaction: UInt16 {
        switch self {
        case .errorResponse(let transaction, _), .serviceSearchAttributeRequest(let transaction, _, _, _, _),
            .serviceSearchAttributeResponse(let transaction, _, _):
            transaction
        }
    }

    /// As it goes over the air. Lists of up to 16 UUIDs and of some thousand attributes have a PDU; the caller asks for fewer.
    public var bytes: [UInt8] {
        let parameters = parameters
        return [identifier] + octets(transaction) + octets(UInt16(clamping: parameters.count)) + parameters
    }

    private var identifier: UInt8 {
        switch self {
        case .errorResponse: 0x01
        case .serviceSearchAttributeRequest: 0x06
        case .serviceSearchAttributeResponse: 0x07
        }
    }

    private var parameters: [UInt8] {
        switch self {
        case .errorResponse(_, let code): octets(code.rawValue)
        case .serviceSearchAttributeRequest(_, let services, let count, let attributes, let continuation):
            SDPDataElement.sequence(services.map { .uuid($0) }).bytes + octets(count)
                + SDPDataElement.sequence(attributes.map { .unsigned($0) }).bytes + state(continuation)
        case .serviceSearchAttributeResponse(_, let part, let continuation):
            octets(UInt16(clamping: part.count)) + part + state(continuation)
        }
    }

    public init(decoding bytes: [UInt8]) throws(SDPError) {
        guard let identifier = bytes.first else {
            throw .malformed(.tooShort, offset: 0, message: "expected a PDU, found nothing")
        }
        guard [0x01, 0x06, 0x07].contains(identifier) else { throw .unexpected(pdu: identifier) }
        var reader = ByteReader(bytes)
        do throws(DecodeError) {
            self = try Self(reading: &reader)
            try reader.finish()
        } catch {
            throw SDPError(error)
        }
    }

    private init(reading reader: inout ByteReader) throws(DecodeError) {
        let identifier = try reader.u8("PDU ID")
        let transaction = try reader.u16BigEndian("transaction ID")
        let length = try reader.u16BigEndian("parameter length")
        guard reader.remaining == Int(length) else {
            throw reader.error(
                reader.remaining < Int(length) ? .tooShort : .lengthMismatch, at: reader.offset,
                "expected \(length) bytes of parameters, found \(reader.remaining)")
        }
        switch identifier {
        case 0x01:
            self = .errorResponse(transaction: transaction, SDPErrorCode(rawValue: try reader.u16BigEndian("error code")))
            // The information has no layout of its own.
            _ = reader.rest()
        case 0x06:
            let services = try reader.list { (element) -> BluetoothUUID? in
                if case .uuid(let uuid) = element { uuid } else { nil }
            }
            let count = try reader.u16BigEndian("maximum byte count")
            let attributes = try reader.list { (element) -> UInt16? in
                if case .unsigned(let number, .two) = element { UInt16(truncatingIfNeeded: number) } else { nil }
            }
            self = .serviceSearchAttributeRequest(
                transaction: transaction, services: services, maximumByteCount: count, attributes: attributes,
                continuation: try reader.continuation())
        default:
            let count = try reader.u16BigEndian("byte count")
            self = .serviceSearchAttributeResponse(
                transaction: transaction, part: try reader.take(Int(count), "attribute lists"),
                continuation: try reader.continuation())
        }
    }
}

extension ByteReader {
    fileprivate mutating func continuation() throws(DecodeError) -> [UInt8] {
        let count = try u8("continuation state length")
        guard count <= SDPPDU.maximumContinuation else {
            throw error(
                .invalidValue, at: offset - 1,
                "expected at most \(SDPPDU.maximumContinuation) bytes of continuation, found \(count)")
        }
        return try take(Int(count), "continuation state")
    }

    /// A sequence of elements of one kind.
    fileprivate mutating func list<Member>(_ member: (SDPDataElement) -> Member?) throws(DecodeError) -> [Member] {
        let start = offset
        guard case .sequence(let elements) = try SDPDataElement(reading: &self, end: bytes.count, depth: 0) else {
            throw error(.invalidValue, at: start, "expected a sequence")
        }
        let members = elements.compactMap(member)
        guard members.count == elements.count else { throw error(.invalidValue, at: start, "expected a sequence of one kind") }
        return members
    }
}

private func octets(_ number: UInt16) -> [UInt8] { [UInt8(truncatingIfNeeded: number >> 8), UInt8(truncatingIfNeeded: number)] }
private func state(_ continuation: [UInt8]) -> [UInt8] { [UInt8(clamping: continuation.count)] + continuation }
