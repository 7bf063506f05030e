import Protocols

/// A peripheral's side of ATT, as a value: attributes, client configurations, what a central may ask.
///
/// Source: Core Vol 3 Part F 3.4 and Part G 3. It answers as small devices do: one request at a time, no signed writes.
struct GATTServer {
    enum Event: Hashable {
        case send(ATTPDU)
        /// The central wrote a characteristic's value.
        case written(BluetoothUUID, [UInt8])
        /// The central asked for a characteristic's values.
        case subscribed(BluetoothUUID)
        /// The central gave its word for the indication that was outstanding.
        case confirmed
    }

    private struct Attribute {
        var type: BluetoothUUID
        var value: [UInt8]
        var isReadable: Bool
        var isWritable: Bool
        /// The characteristic whose value or configuration it is.
        var characteristic: BluetoothUUID?
        /// The last handle of the service that it declares.
        var groupEnd: UInt16?
    }

    /// Refused with this code when written, although the value is taken (0x80: a field of it was ignored).
    var writeErrors: [BluetoothUUID: ATTErrorCode] = [:]
    /// Values that are made when they are read.
    var liveValues: Set<BluetoothUUID> = []

    private let largestMTU: UInt16
    private(set) var mtu = ATTPDU.defaultMTU
    /// Handle n is at n - 1.
    private var attributes: [Attribute] = []
    private var prepared: [(handle: UInt16, offset: Int, part: [UInt8])] = []

    init(largestMTU: UInt16) { self.largestMTU = largestMTU }

    // MARK: Attributes

    mutating func addService(_ type: BluetoothUUID) {
        attributes.append(Attribute(type: .primaryService, value: type.littleEndian, isReadable: true, isWritable: false))
        extendGroup()
    }

    mutating func addCharacteristic(_ type: BluetoothUUID, _ properties: HandleMap.Properties, value: [UInt8] = []) {
        let handle = UInt16(attributes.count + 2)
        let declaration = [properties.rawValue, UInt8(truncatingIfNeeded: handle), UInt8(truncatingIfNeeded: handle >> 8)]
        attributes.append(
            Attribute(
                type: .characteristicDeclaration, value: declaration + type.littleEndian, isReadable: true, isWritable: false))
        attributes.append(
            Attribute(
                type: type, value: value, isReadable: properties.contains(.read),
                isWritable: !properties.isDisjoint(with: [.write, .writeWithoutResponse]), characteristic: type))
        if !properties.isDisjoint(with: [.notify, .indicate]) {
            attributes.append(
                Attribute(
                    type: .clientCharacteristicConfiguration, value: [0, 0], isReadable: true, isWritable: true,
                    characteristic: type))
        }
        extendGroup()
    }

    private mutating func extendGroup() {
        guard let service = attributes.lastIndex(where: { $0.type == .primaryService }) else { return }
        attributes[service].groupEnd = UInt16(attributes.count)
    }

    private func valueHandle(of type: BluetoothUUID) -> UInt16? {
        attributes.firstIndex { $0.type == type && $0.characteristic == type }.map { UInt16($0 + 1) }
    }

    mutating func setValue(_ value: [UInt8], of type: BluetoothUUID) {
        if let handle = valueHandle(of: type) { attributes[Int(handle) - 1].value = value }
    }

    /// The client configuration's bits: 1 notify, 2 indicate. A bonded device keeps them over links.
    func configuration(of type: BluetoothUUID) -> UInt8 {
        attributes.first { $0.type == .clientCharacteristicConfiguration && $0.characteristic == type }?.value.first ?? 0
    }

    /// The PDU that hands the value to a central that asked for it; `nil` where it did not.
    func pdu(carrying value: [UInt8], of type: BluetoothUUID) -> ATTPDU? {
        guard let handle = valueHandle(of: type) else { return nil }
        let part = Array(value.prefix(mtu - 3))
        switch configuration(of: type) {
        case let bits where bits & 2 != 0: return .indication(handle: handle, value: part)
        case let bits where bits & 1 != 0: return .notification(handle: handle, value: part)
        default: return nil
        }
    }

    // MARK: Requests

    /// A new link begins with the default MTU.
    mutating func linkBegan() {
        mtu = ATTPDU.defaultMTU
        prepared.removeAll()
    }

    /// Takes one PDU. `live` makes the values that are made when read.
    mutating func receive(_ bytes: [UInt8], live: (BluetoothUUID) -> [UInt8]) -> [Event] {
        guard let pdu = try? ATTPDU(decoding: bytes) else {
            guard let opcode = bytes.first, opcode & 0x40 == 0, opcode & 1 == 0 else { return [] }
            let known = ATTPDU.Opcode(rawValue: opcode) != nil
            return [.send(.errorResponse(request: opcode, handle: 0, code: known ? .invalidPDU : .requestNotSupported))]
        }
        for type in liveValues { setValue(live(type), of: type) }
        switch pdu {
        case .confirmation: return [.confirmed]
        case .writeCommand(let handle, let value): return write(handle, value).events
        case .mtuRequest(let theirs):
            mtu = max(ATTPDU.defaultMTU, Int(min(theirs, largestMTU)))
            return [.send(.mtuResponse(largestMTU))]
        case .findInformationRequest(let range):
            return answer(pdu, range) { findInformation(range) }
        case .findByTypeValueRequest(let range, let type, let value):
            return answer(pdu, range) { findByTypeValue(range, .short(type), value) }
        case .readByTypeRequest(let range, let type): return answer(pdu, range) { readByType(range, type) }
        case .readByGroupTypeRequest(let range, let type):
            guard type == .primaryService else { return [refuse(pdu, .unsupportedGroupType, range.first)] }
            return answer(pdu, range) { readByGroupType(range, type) }
        case .readRequest(let handle): return [read(pdu, handle, from: 0) { .readResponse($0) }]
        case .readBlobRequest(let handle, let offset): return [read(pdu, handle, from: Int(offset)) { .readBlobResponse($0) }]
        case .writeRequest(let handle, let value):
            let (code, events) = write(handle, value)
            return [code.map { refuse(pdu, $0, handle) } ?? .send(.writeResponse)] + events
        case .prepareWriteRequest(let handle, let offset, let part):
            guard attribute(handle)?.isWritable == true else { return [refuse(pdu, .invalidHandle, handle)] }
            prepared.append((handle, Int(offset), part))
            return [.send(.prepareWriteResponse(handle: handle, offset: offset, value: part))]
        case .executeWriteRequest(let writes): return execute(writes, pdu)
        case .readMultipleRequest: return [refuse(pdu, .requestNotSupported, 0)]
        default: return []
        }
    }

    private func attribute(_ handle: UInt16) -> Attribute? {
        handle >= 1 && Int(handle) <= attributes.count ? attributes[Int(handle) - 1] : nil
    }

    private func refuse(_ request: ATTPDU, _ code: ATTErrorCode, _ handle: UInt16) -> Event {
        .send(.errorResponse(request: request.opcode.rawValue, handle: handle, code: code))
    }

    private func answer(_ request: ATTPDU, _ range: HandleRange, _ find: () -> ATTPDU?) -> [Event] {
        guard range.isValid else { return [refuse(request, .invalidHandle, range.first)] }
        return [find().map { .send($0) } ?? refuse(request, .attributeNotFound, range.first)]
    }

    /// The attributes of a range with their handles.
    private func within(_ range: HandleRange) -> [(handle: UInt16, attribute: Attribute)] {
        guard Int(range.first) <= attributes.count else { return [] }
        return (range.first...min(range.last, UInt16(attributes.count))).map { ($0, attributes[Int($0) - 1]) }
    }

    /// As many elements as fit, all of the first one's length.
    private func alike<Element>(_ list: [Element], head: Int, length: (Element) -> Int) -> [Element] {
        guard let first = list.first.map(length) else { return [] }
        let room = (mtu - head) / first
        return Array(list.prefix { length($0) == first }.prefix(max(1, room)))
    }

    private func findInformation(_ range: HandleRange) -> ATTPDU? {
        let list = within(range).map { ATTPDU.Information(handle: $0.handle, type: $0.attribute.type) }
        let some = alike(list, head: 2) { 2 + $0.type.littleEndian.count }
        return some.isEmpty ? nil : .findInformationResponse(some)
    }

    private func findByTypeValue(_ range: HandleRange, _ type: BluetoothUUID, _ value: [UInt8]) -> ATTPDU? {
        let list = within(range).filter { $0.attribute.type == type && $0.attribute.value == value }
            .map { HandleRange($0.handle, $0.attribute.groupEnd ?? $0.handle) }
        let some = Array(list.prefix((mtu - 1) / 4))
        return some.isEmpty ? nil : .findByTypeValueResponse(some)
    }

    private func readByType(_ range: HandleRange, _ type: BluetoothUUID) -> ATTPDU? {
        let list = within(range).filter { $0.attribute.type == type && $0.attribute.isReadable }
            .map { ATTPDU.HandleValue(handle: $0.handle, value: Array($0.attribute.value.prefix(min(253, mtu - 4)))) }
        let some = alike(list, head: 2) { 2 + $0.value.count }
        return some.isEmpty ? nil : .readByTypeResponse(some)
    }

    private func readByGroupType(_ range: HandleRange, _ type: BluetoothUUID) -> ATTPDU? {
        let list = within(range).filter { $0.attribute.type == type }
            .map {
                ATTPDU.GroupValue(range: HandleRange($0.handle, $0.attribute.groupEnd ?? $0.handle), value: $0.attribute.value)
            }
        let some = alike(list, head: 2) { 4 + $0.value.count }
        return some.isEmpty ? nil : .readByGroupTypeResponse(some)
    }

    private func read(_ request: ATTPDU, _ handle: UInt16, from offset: Int, _ response: ([UInt8]) -> ATTPDU) -> Event {
        guard let attribute = attribute(handle) else { return refuse(request, .invalidHandle, handle) }
        guard attribute.isReadable else { return refuse(request, .readNotPermitted, handle) }
        guard offset <= attribute.value.count else { return refuse(request, .invalidOffset, handle) }
        return .send(response(Array(attribute.value[offset...].prefix(mtu - 1))))
    }

    private mutating func write(_ handle: UInt16, _ value: [UInt8]) -> (code: ATTErrorCode?, events: [Event]) {
        guard let attribute = attribute(handle) else { return (.invalidHandle, []) }
        guard attribute.isWritable else { return (.writeNotPermitted, []) }
        attributes[Int(handle) - 1].value = value
        guard let characteristic = attribute.characteristic else { return (nil, []) }
        if attribute.type == .clientCharacteristicConfiguration {
            guard value.count == 2 else { return (.invalidAttributeValueLength, []) }
            return (nil, value[0] == 0 ? [] : [.subscribed(characteristic)])
        }
        return (writeErrors[characteristic], [.written(characteristic, value)])
    }

    private mutating func execute(_ writes: Bool, _ request: ATTPDU) -> [Event] {
        let parts = prepared
        prepared.removeAll()
        guard writes, let handle = parts.first?.handle else { return [.send(.executeWriteResponse)] }
        var value: [UInt8] = []
        for part in parts {
            guard part.handle == handle, part.offset == value.count else { return [refuse(request, .invalidOffset, handle)] }
            value += part.part
        }
        let (code, events) = write(handle, value)
        return [code.map { refuse(request, $0, handle) } ?? .send(.executeWriteResponse)] + events
    }
}
