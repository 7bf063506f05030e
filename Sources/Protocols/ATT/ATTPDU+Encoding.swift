extension ATTPDU {
    public var opcode: Opcode {
        switch self {
        case .errorResponse: .errorResponse
        case .mtuRequest: .mtuRequest
        case .mtuResponse: .mtuResponse
        case .findInformationRequest: .findInformationRequest
        case .findInformationResponse: .findInformationResponse
        case .findByTypeValueRequest: .findByTypeValueRequest
        case .findByTypeValueResponse: .findByTypeValueResponse
        case .readByTypeRequest: .readByTypeRequest
        case .readByTypeResponse: .readByTypeResponse
        case .readRequest: .readRequest
        case .readResponse: .readResponse
        case .readBlobRequest: .readBlobRequest
        case .readBlobResponse: .readBlobResponse
        case .readMultipleRequest: .readMultipleRequest
        case .readMultipleResponse: .readMultipleResponse
        case .readByGroupTypeRequest: .readByGroupTypeRequest
        case .readByGroupTypeResponse: .readByGroupTypeResponse
        case .writeRequest: .writeRequest
        case .writeResponse: .writeResponse
        case .prepareWriteRequest: .prepareWriteRequest
        case .prepareWriteResponse: .prepareWriteResponse
        case .executeWriteRequest: .executeWriteRequest
        case .executeWriteResponse: .executeWriteResponse
        case .notification: .notification
        case .indication: .indication
        case .confirmation: .confirmation
        case .multipleNotification: .multipleNotification
        case .writeCommand: .writeCommand
        }
    }

    /// As it goes over the air.
    ///
    /// In the list responses every element has the length of the first: the caller groups them so (Core Vol 3 Part F 3.4.4.2).
    public var bytes: [UInt8] {
        [opcode.rawValue] + body
    }

    private var body: [UInt8] {
        switch self {
        case .errorResponse(let request, let handle, let code): [request] + octets(handle) + [code.rawValue]
        case .mtuRequest(let mtu), .mtuResponse(let mtu): octets(mtu)
        case .findInformationRequest(let range): octets(range)
        case .findInformationResponse(let list):
            [list.first?.type.assignedNumber == nil ? 0x02 : 0x01] + list.flatMap { octets($0.handle) + $0.type.littleEndian }
        case .findByTypeValueRequest(let range, let type, let value): octets(range) + octets(type) + value
        case .findByTypeValueResponse(let ranges): ranges.flatMap(octets)
        case .readByTypeRequest(let range, let type), .readByGroupTypeRequest(let range, let type):
            octets(range) + type.littleEndian
        case .readByTypeResponse(let list):
            [UInt8(clamping: 2 + (list.first?.value.count ?? 0))] + list.flatMap { octets($0.handle) + $0.value }
        case .readRequest(let handle): octets(handle)
        case .readResponse(let value), .readBlobResponse(let value), .readMultipleResponse(let value): value
        case .readBlobRequest(let handle, let offset): octets(handle) + octets(offset)
        case .readMultipleRequest(let handles): handles.flatMap(octets)
        case .readByGroupTypeResponse(let list):
            [UInt8(clamping: 4 + (list.first?.value.count ?? 0))] + list.flatMap { octets($0.range) + $0.value }
        case .writeRequest(let handle, let value), .writeCommand(let handle, let value), .notification(let handle, let value),
            .indication(let handle, let value):
            octets(handle) + value
        case .prepareWriteRequest(let handle, let offset, let value), .prepareWriteResponse(let handle, let offset, let value):
            octets(handle) + octets(offset) + value
        case .executeWriteRequest(let writes): [writes ? 0x01 : 0x00]
        case .multipleNotification(let list):
            list.flatMap { octets($0.handle) + octets(UInt16(clamping: $0.value.count)) + $0.value }
        case .writeResponse, .executeWriteResponse, .confirmation: []
        }
    }
}

private func octets(_ number: UInt16) -> [UInt8] { [UInt8(truncatingIfNeeded: number), UInt8(truncatingIfNeeded: number >> 8)] }
private func octets(_ range: HandleRange) -> [UInt8] { octets(range.first) + octets(range.last) }
