/// User Control Point 2A9F (written, indicated): who stands on the scale (User Data Service 1.1).
///
///     request  : op code | parameters
///     response : 20 | op code asked for | result | parameters
public enum UserControlPoint: CharacteristicValue {
    public static let uuid = GATTCharacteristic.userControlPoint

    /// A new user with this consent code (0 to 9999).
    case registerNewUser(consentCode: UInt16)
    case consent(userIndex: UInt8, consentCode: UInt16)
    case deleteUserData
    case listAllUsers
    /// 0xFF deletes every user.
    case deleteUser(userIndex: UInt8)
    /// The parameter holds the new user's index after a registration.
    case response(to: UInt8, Result, parameter: [UInt8])

    public enum Result: UInt8, Hashable, Sendable, CaseIterable {
        case success = 1
        case opCodeNotSupported = 2
        case invalidParameter = 3
        case operationFailed = 4
        case userNotAuthorized = 5

        public var name: String {
            switch self {
            case .success: "success"
            case .opCodeNotSupported: "op-code-not-supported"
            case .invalidParameter: "invalid-parameter"
            case .operationFailed: "operation-failed"
            case .userNotAuthorized: "user-not-authorized"
            }
        }
    }

    private static let responseOpCode: UInt8 = 0x20

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let opCode = try reader.u8("op code")
        switch opCode {
        case 1: self = .registerNewUser(consentCode: try Self.consentCode(&reader))
        case 2: self = .consent(userIndex: try reader.u8("user index"), consentCode: try Self.consentCode(&reader))
        case 3: self = .deleteUserData
        case 4: self = .listAllUsers
        case 5: self = .deleteUser(userIndex: try reader.u8("user index"))
        case Self.responseOpCode:
            let request = try reader.u8("op code that is answered")
            let code = try reader.u8("result")
            guard let result = Result(rawValue: code) else {
                throw reader.error(.invalidValue, at: 2, "expected a result of 1 to 5, found \(code)")
            }
            if request == 1, result == .success, reader.remaining != 1 {
                // Only a registration's answer has a parameter of a known length.
                _ = try reader.u8("index of the new user")
                try reader.finish()
            }
            self = .response(to: request, result, parameter: reader.rest())
        default: throw reader.error(.reservedOpcode, at: 0, "expected an op code of 1 to 5 or 32, found \(opCode)")
        }
        try reader.finish()
    }

    private static func consentCode(_ reader: inout ByteReader) throws(DecodeError) -> UInt16 {
        let start = reader.offset
        let code = try reader.u16("consent code")
        // Four digits on a display (User Data Service).
        guard code <= 9_999 else { throw reader.error(.invalidValue, at: start, "expected a consent code of 0 to 9999") }
        return code
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 4)
        switch self {
        case .registerNewUser(let code):
            writer.u8(1)
            writer.u16(code)
        case .consent(let index, let code):
            writer.append([2, index])
            writer.u16(code)
        case .deleteUserData: writer.u8(3)
        case .listAllUsers: writer.u8(4)
        case .deleteUser(let index): writer.append([5, index])
        case .response(let request, let result, let parameter):
            writer.append([Self.responseOpCode, request, result.rawValue])
            writer.append(parameter)
        }
        return writer.bytes
    }
}
