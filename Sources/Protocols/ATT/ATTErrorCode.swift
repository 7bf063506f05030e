/// Why a server refused a request: the error code of an ATT Error Response.
///
/// Core Vol 3 Part F 3.4.1.1, table 3.4; 0x80 to 0x9F are the application's own (a characteristic's specification names them),
/// 0xE0 to 0xFF the common profile codes of the Core Specification Supplement, Part B.
public struct ATTErrorCode: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let invalidHandle = ATTErrorCode(rawValue: 0x01)
    public static let readNotPermitted = ATTErrorCode(rawValue: 0x02)
    public static let writeNotPermitted = ATTErrorCode(rawValue: 0x03)
    public static let invalidPDU = ATTErrorCode(rawValue: 0x04)
    public static let insufficientAuthentication = ATTErrorCode(rawValue: 0x05)
    public static let requestNotSupported = ATTErrorCode(rawValue: 0x06)
    public static let invalidOffset = ATTErrorCode(rawValue: 0x07)
    public static let insufficientAuthorization = ATTErrorCode(rawValue: 0x08)
    public static let prepareQueueFull = ATTErrorCode(rawValue: 0x09)
    public static let attributeNotFound = ATTErrorCode(rawValue: 0x0A)
    public static let attributeNotLong = ATTErrorCode(rawValue: 0x0B)
    public static let encryptionKeySizeTooShort = ATTErrorCode(rawValue: 0x0C)
    public static let invalidAttributeValueLength = ATTErrorCode(rawValue: 0x0D)
    public static let unlikelyError = ATTErrorCode(rawValue: 0x0E)
    public static let insufficientEncryption = ATTErrorCode(rawValue: 0x0F)
    public static let unsupportedGroupType = ATTErrorCode(rawValue: 0x10)
    public static let insufficientResources = ATTErrorCode(rawValue: 0x11)
    public static let databaseOutOfSync = ATTErrorCode(rawValue: 0x12)
    public static let valueNotAllowed = ATTErrorCode(rawValue: 0x13)
    /// The first application code; of a Current Time write "data field ignored" (Current Time Service 1.1).
    public static let dataFieldIgnored = ATTErrorCode(rawValue: 0x80)
    public static let writeRequestRejected = ATTErrorCode(rawValue: 0xFC)
    public static let cccdImproperlyConfigured = ATTErrorCode(rawValue: 0xFD)
    public static let procedureAlreadyInProgress = ATTErrorCode(rawValue: 0xFE)
    public static let outOfRange = ATTErrorCode(rawValue: 0xFF)

    /// Whether the link is not secure enough for the attribute: pairing or a stronger key would help.
    public var isSecurity: Bool {
        switch self {
        case .insufficientAuthentication, .insufficientAuthorization, .encryptionKeySizeTooShort, .insufficientEncryption: true
        default: false
        }
    }

    /// Whether the server does not know the attribute at that handle: a stored handle map is stale.
    public var isStaleHandle: Bool {
        switch self {
        case .invalidHandle, .attributeNotFound, .databaseOutOfSync: true
        default: false
        }
    }
}

extension ATTErrorCode: CustomStringConvertible {
    /// The specification's name in words, or the number.
    public var description: String {
        switch self {
        case .invalidHandle: "invalid handle"
        case .readNotPermitted: "read not permitted"
        case .writeNotPermitted: "write not permitted"
        case .invalidPDU: "invalid PDU"
        case .insufficientAuthentication: "insufficient authentication"
        case .requestNotSupported: "request not supported"
        case .invalidOffset: "invalid offset"
        case .insufficientAuthorization: "insufficient authorization"
        case .prepareQueueFull: "prepare queue full"
        case .attributeNotFound: "attribute not found"
        case .attributeNotLong: "attribute not long"
        case .encryptionKeySizeTooShort: "encryption key size too short"
        case .invalidAttributeValueLength: "invalid attribute value length"
        case .unlikelyError: "unlikely error"
        case .insufficientEncryption: "insufficient encryption"
        case .unsupportedGroupType: "unsupported group type"
        case .insufficientResources: "insufficient resources"
        case .databaseOutOfSync: "database out of sync"
        case .valueNotAllowed: "value not allowed"
        case .writeRequestRejected: "write request rejected"
        case .cccdImproperlyConfigured: "client characteristic configuration improperly configured"
        case .procedureAlreadyInProgress: "procedure already in progress"
        case .outOfRange: "out of range"
        case _ where (0x80...0x9F).contains(rawValue): "application error 0x" + String(rawValue, radix: 16)
        default: "reserved error 0x" + String(rawValue, radix: 16)
        }
    }
}

/// Why bytes are no ATT PDU. Carries opcode, offset and what was expected, never a value: values are health data.
public enum ATTError: Error, Hashable, Sendable {
    case empty
    case unknownOpcode(UInt8)
    /// The PDU ends before, or goes on after, what its opcode says.
    case wrongLength(opcode: UInt8, count: Int, expected: String)
    /// A field holds what the specification does not allow.
    case invalidField(opcode: UInt8, offset: Int, expected: String)
    /// A response that no request of ours asked for, or a confirmation without an indication of ours.
    case unexpected(opcode: UInt8)
}

extension ATTError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .empty: "an empty PDU"
        case .unknownOpcode(let opcode): "unknown opcode 0x" + String(opcode, radix: 16)
        case .wrongLength(let opcode, let count, let expected):
            "opcode 0x" + String(opcode, radix: 16) + " with \(count) bytes, expected \(expected)"
        case .invalidField(let opcode, let offset, let expected):
            "opcode 0x" + String(opcode, radix: 16) + ": at offset \(offset) expected \(expected)"
        case .unexpected(let opcode): "opcode 0x" + String(opcode, radix: 16) + " that nothing asked for"
        }
    }
}
