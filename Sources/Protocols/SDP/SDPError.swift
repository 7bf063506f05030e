/// Why a service lookup failed, or why bytes are no PDU or data element of the Service Discovery Protocol.
public enum SDPError: Error, Hashable, Sendable {
    /// The bytes do not follow the specification; `offset` is from the start of the PDU, or of the attribute lists or element that
    /// was decoded alone.
    case malformed(DecodeError.Code, offset: Int, message: String)
    /// The server's Error Response.
    case refused(SDPErrorCode)
    /// A PDU that does not answer a request of ours.
    case unexpected(pdu: UInt8)
    /// An answer to another request than the last.
    case wrongTransaction(expected: UInt16, found: UInt16)
    /// A part longer than was asked for, or lists longer than the lookup takes.
    case tooLong(limit: Int)
    /// More parts than the lookup takes.
    case endless(limit: Int)
    /// A PDU before the start, or after the end.
    case notWaiting

    init(_ error: DecodeError) {
        self = .malformed(error.code, offset: error.offset, message: error.message)
    }
}

extension SDPError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .malformed(let code, let offset, let message): "\(code.rawValue) at byte \(offset): \(message)"
        case .refused(let code): "the device refused the lookup: \(code)"
        case .unexpected(let pdu): "unexpected PDU 0x" + String(pdu, radix: 16)
        case .wrongTransaction(let expected, let found): "expected transaction \(expected), found \(found)"
        case .tooLong(let limit): "more than \(limit) bytes of attributes"
        case .endless(let limit): "more than \(limit) parts"
        case .notWaiting: "a PDU that nothing asked for"
        }
    }
}

/// The code of an Error Response. Source: Core Vol 3 Part B 4.4.1.
public struct SDPErrorCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt16
    public init(rawValue: UInt16) { self.rawValue = rawValue }

    public static let unsupportedVersion = SDPErrorCode(rawValue: 0x0001)
    public static let invalidRecordHandle = SDPErrorCode(rawValue: 0x0002)
    public static let invalidSyntax = SDPErrorCode(rawValue: 0x0003)
    public static let invalidPDUSize = SDPErrorCode(rawValue: 0x0004)
    public static let invalidContinuation = SDPErrorCode(rawValue: 0x0005)
    public static let insufficientResources = SDPErrorCode(rawValue: 0x0006)
}

extension SDPErrorCode: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unsupportedVersion: "unsupported version"
        case .invalidRecordHandle: "invalid record handle"
        case .invalidSyntax: "invalid request syntax"
        case .invalidPDUSize: "invalid PDU size"
        case .invalidContinuation: "invalid continuation state"
        case .insufficientResources: "insufficient resources"
        default: "error 0x" + String(rawValue, radix: 16)
        }
    }
}
