/// Handles from `first` to `last`, both included.
public struct HandleRange: Hashable, Sendable {
    public var first: UInt16
    public var last: UInt16
    public init(_ first: UInt16, _ last: UInt16) {
        self.first = first
        self.last = last
    }

    /// Every handle that can be: 0x0000 is reserved.
    public static let all = HandleRange(0x0001, 0xFFFF)

    /// What a server answers "invalid handle" to (Core Vol 3 Part F 3.4.3.1): it begins at zero or ends before it begins.
    public var isValid: Bool { first >= 1 && first <= last }
}

/// One PDU of the Attribute Protocol, as a value. Multi-octet fields are little-endian.
///
/// Source: Bluetooth Core Specification 5.4, Vol 3 Part F 3.4. Signed writes and the read-multiple-variable request are not among
/// them: a central needs neither, and a server without them answers "request not supported".
public enum ATTPDU: Hashable, Sendable {
    /// `01 | request opcode | handle | code`
    case errorResponse(request: UInt8, handle: UInt16, code: ATTErrorCode)
    /// `02 | client receive MTU`
    case mtuRequest(UInt16)
    /// `03 | server receive MTU`
    case mtuResponse(UInt16)
    /// `04 | first | last`
    case findInformationRequest(HandleRange)
    /// `05 | format (1: 16-bit, 2: 128-bit UUIDs) | (handle, UUID)...`
    case findInformationResponse([Information])
    /// `06 | first | last | 16-bit type | value`
    case findByTypeValueRequest(HandleRange, type: UInt16, value: [UInt8])
    /// `07 | (found handle, group end handle)...`
    case findByTypeValueResponse([HandleRange])
    /// `08 | first | last | type`
    case readByTypeRequest(HandleRange, type: BluetoothUUID)
    /// `09 | length of each | (handle, value)...`
    case readByTypeResponse([HandleValue])
    /// `0a | handle`
    case readRequest(handle: UInt16)
    /// `0b | value`
    case readResponse([UInt8])
    /// `0c | handle | offset`
    case readBlobRequest(handle: UInt16, offset: UInt16)
    /// `0d | part of the value`
    case readBlobResponse([UInt8])
    /// `0e | handle, handle...`
    case readMultipleRequest([UInt16])
    /// `0f | the values, one after the other`
    case readMultipleResponse([UInt8])
    /// `10 | first | last | group type`
    case readByGroupTypeRequest(HandleRange, type: BluetoothUUID)
    /// `11 | length of each | (handle, group end handle, value)...`
    case readByGroupTypeResponse([GroupValue])
    /// `12 | handle | value`
    case writeRequest(handle: UInt16, value: [UInt8])
    /// `13`
    case writeResponse
    /// `16 | handle | offset | part of the value`
    case prepareWriteRequest(handle: UInt16, offset: UInt16, value: [UInt8])
    /// `17 | handle | offset | part of the value`, an echo
    case prepareWriteResponse(handle: UInt16, offset: UInt16, value: [UInt8])
    /// `18 | 00 cancel, 01 write`
    case executeWriteRequest(writes: Bool)
    /// `19`
    case executeWriteResponse
    /// `1b | handle | value`
    case notification(handle: UInt16, value: [UInt8])
    /// `1d | handle | value`
    case indication(handle: UInt16, value: [UInt8])
    /// `1e`: the word of R1
    case confirmation
    /// `23 | (handle, length, value)...`
    case multipleNotification([HandleValue])
    /// `52 | handle | value`
    case writeCommand(handle: UInt16, value: [UInt8])

    public struct Information: Hashable, Sendable {
        public var handle: UInt16
        public var type: BluetoothUUID
        public init(handle: UInt16, type: BluetoothUUID) {
            self.handle = handle
            self.type = type
        }
    }

    public struct HandleValue: Hashable, Sendable {
        public var handle: UInt16
        public var value: [UInt8]
        public init(handle: UInt16, value: [UInt8]) {
            self.handle = handle
            self.value = value
        }
    }

    public struct GroupValue: Hashable, Sendable {
        public var range: HandleRange
        public var value: [UInt8]
        public init(range: HandleRange, value: [UInt8]) {
            self.range = range
            self.value = value
        }
    }

    /// The first octet of a PDU.
    ///
    /// Bit 6 marks a command (no answer, whatever happens), bit 7 a signature (Core Vol 3 Part F 3.3.1).
    public enum Opcode: UInt8, Hashable, Sendable, CaseIterable {
        case errorResponse = 0x01
        case mtuRequest = 0x02
        case mtuResponse = 0x03
        case findInformationRequest = 0x04
        case findInformationResponse = 0x05
        case findByTypeValueRequest = 0x06
        case findByTypeValueResponse = 0x07
        case readByTypeRequest = 0x08
        case readByTypeResponse = 0x09
        case readRequest = 0x0A
        case readResponse = 0x0B
        case readBlobRequest = 0x0C
        case readBlobResponse = 0x0D
        case readMultipleRequest = 0x0E
        case readMultipleResponse = 0x0F
        case readByGroupTypeRequest = 0x10
        case readByGroupTypeResponse = 0x11
        case writeRequest = 0x12
        case writeResponse = 0x13
        case prepareWriteRequest = 0x16
        case prepareWriteResponse = 0x17
        case executeWriteRequest = 0x18
        case executeWriteResponse = 0x19
        case notification = 0x1B
        case indication = 0x1D
        case confirmation = 0x1E
        case multipleNotification = 0x23
        case writeCommand = 0x52
    }

    /// Every LE link begins with it, and no PDU is longer until both sides have agreed on more (Core Vol 3 Part G 5.2.1).
    public static let defaultMTU = 23
}
