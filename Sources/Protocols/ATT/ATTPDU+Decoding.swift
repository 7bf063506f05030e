extension ATTPDU {
    /// Reads one PDU: one read of the socket is one PDU.
    public init(decoding bytes: [UInt8]) throws(ATTError) {
        guard let first = bytes.first else { throw .empty }
        guard let opcode = Opcode(rawValue: first) else { throw .unknownOpcode(first) }
        var body = Body(bytes)
        switch opcode {
        case .errorResponse:
            self = .errorResponse(
                request: try body.octet(), handle: try body.word(), code: ATTErrorCode(rawValue: try body.octet()))
        case .mtuRequest: self = .mtuRequest(try body.word())
        case .mtuResponse: self = .mtuResponse(try body.word())
        case .findInformationRequest: self = .findInformationRequest(try body.range())
        case .findInformationResponse: self = .findInformationResponse(try body.information())
        case .findByTypeValueRequest:
            self = .findByTypeValueRequest(try body.range(), type: try body.word(), value: body.rest())
        case .findByTypeValueResponse:
            self = .findByTypeValueResponse(try body.list(of: 4, { (part) throws(ATTError) in try part.range() }))
        case .readByTypeRequest: self = .readByTypeRequest(try body.range(), type: try body.uuid())
        case .readByTypeResponse:
            let length = Int(try body.octet(atLeast: 2))
            self = .readByTypeResponse(
                try body.list(of: length, { (part) throws(ATTError) in HandleValue(handle: try part.word(), value: part.rest()) })
            )
        case .readRequest: self = .readRequest(handle: try body.word())
        case .readResponse: self = .readResponse(body.rest())
        case .readBlobRequest: self = .readBlobRequest(handle: try body.word(), offset: try body.word())
        case .readBlobResponse: self = .readBlobResponse(body.rest())
        case .readMultipleRequest:
            self = .readMultipleRequest(try body.list(of: 2, { (part) throws(ATTError) in try part.word() }))
        case .readMultipleResponse: self = .readMultipleResponse(body.rest())
        case .readByGroupTypeRequest: self = .readByGroupTypeRequest(try body.range(), type: try body.uuid())
        case .readByGroupTypeResponse:
            let length = Int(try body.octet(atLeast: 4))
            self = .readByGroupTypeResponse(
                try body.list(of: length, { (part) throws(ATTError) in GroupValue(range: try part.range(), value: part.rest()) }))
        case .writeRequest: self = .writeRequest(handle: try body.word(), value: body.rest())
        case .writeResponse: self = .writeResponse
        case .prepareWriteRequest:
            self = .prepareWriteRequest(handle: try body.word(), offset: try body.word(), value: body.rest())
        case .prepareWriteResponse:
            self = .prepareWriteResponse(handle: try body.word(), offset: try body.word(), value: body.rest())
        case .executeWriteRequest:
            let flags = try body.octet()
            guard flags <= 1 else { throw .invalidField(opcode: first, offset: 1, expected: "0x00 or 0x01") }
            self = .executeWriteRequest(writes: flags == 1)
        case .executeWriteResponse: self = .executeWriteResponse
        case .notification: self = .notification(handle: try body.word(), value: body.rest())
        case .indication: self = .indication(handle: try body.word(), value: body.rest())
        case .confirmation: self = .confirmation
        case .multipleNotification: self = .multipleNotification(try body.values())
        case .writeCommand: self = .writeCommand(handle: try body.word(), value: body.rest())
        }
        try body.end()
    }
}

/// What is left of a PDU while it is read.
private struct Body {
    private let bytes: [UInt8]
    private var position: Int
    private let limit: Int

    init(_ bytes: [UInt8]) {
        self.bytes = bytes
        position = 1
        limit = bytes.count
    }

    private init(_ bytes: [UInt8], from: Int, to: Int) {
        self.bytes = bytes
        position = from
        limit = to
    }

    private var opcode: UInt8 { bytes[0] }
    private var left: Int { limit - position }

    private func short(_ expected: String) -> ATTError { .wrongLength(opcode: opcode, count: bytes.count, expected: expected) }

    mutating func octet() throws(ATTError) -> UInt8 {
        guard left >= 1 else { throw short("at least \(position + 1)") }
        defer { position += 1 }
        return bytes[position]
    }

    /// The length field of a list response.
    mutating func octet(atLeast minimum: UInt8) throws(ATTError) -> UInt8 {
        let value = try octet()
        guard value >= minimum else { throw .invalidField(opcode: opcode, offset: position - 1, expected: "\(minimum) or more") }
        return value
    }

    mutating func word() throws(ATTError) -> UInt16 {
        guard left >= 2 else { throw short("at least \(position + 2)") }
        defer { position += 2 }
        return UInt16(bytes[position]) | UInt16(bytes[position + 1]) << 8
    }

    mutating func range() throws(ATTError) -> HandleRange {
        HandleRange(try word(), try word())
    }

    /// A UUID to the end of the PDU, 2 or 16 octets.
    mutating func uuid() throws(ATTError) -> BluetoothUUID {
        let count = left
        guard let uuid = BluetoothUUID(littleEndian: bytes[position..<limit]) else {
            throw short("a UUID of 2 or 16, not \(count)")
        }
        position = limit
        return uuid
    }

    mutating func rest() -> [UInt8] {
        defer { position = limit }
        return Array(bytes[position..<limit])
    }

    func end() throws(ATTError) {
        guard left == 0 else { throw short("\(position)") }
    }

    /// One or more elements of equal length to the end of the PDU.
    mutating func list<Element>(
        of length: Int, _ read: (inout Body) throws(ATTError) -> Element
    ) throws(ATTError) -> [Element] {
        guard left > 0, left % length == 0 else { throw short("elements of \(length)") }
        var elements: [Element] = []
        while left > 0 {
            var part = Body(bytes, from: position, to: position + length)
            elements.append(try read(&part))
            position += length
        }
        return elements
    }

    mutating func information() throws(ATTError) -> [ATTPDU.Information] {
        let format = try octet()
        guard format == 1 || format == 2 else { throw .invalidField(opcode: opcode, offset: 1, expected: "format 1 or 2") }
        return try list(of: format == 1 ? 4 : 18) { (part) throws(ATTError) in
            ATTPDU.Information(handle: try part.word(), type: try part.uuid())
        }
    }

    /// Handle, length, value; the last may be cut by the MTU (Core Vol 3 Part F 3.4.7.4), which is taken as it came.
    mutating func values() throws(ATTError) -> [ATTPDU.HandleValue] {
        var values: [ATTPDU.HandleValue] = []
        while left > 0 {
            let handle = try word()
            let length = min(Int(try word()), left)
            values.append(.init(handle: handle, value: Array(bytes[position..<position + length])))
            position += length
        }
        return values
    }
}
