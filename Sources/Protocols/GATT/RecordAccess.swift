/// Record Access Control Point 2A52 (written, indicated): which stored records to report, count or delete, and the answer.
///
///     request  : op code | operator | [filter type] | [operand]
///     count    : 05 | 00 | number
///     response : 06 | 00 | op code asked for | result
///
/// Source: Blood Pressure, Pulse Oximeter and Glucose Services, section "Record Access Control Point".
public enum RecordAccess: CharacteristicValue {
    public static let uuid = GATTCharacteristic.recordAccessControlPoint

    case request(Procedure, Selection)
    /// Answer to ``Procedure/count``; the operand has 1, 2 or 4 bytes, by the service.
    case count(UInt32, width: Int)
    /// Answer to ``Procedure/combinedReport``: records sent.
    case combinedReport(UInt32, width: Int)
    case response(to: UInt8, Result)

    public enum Procedure: UInt8, Hashable, Sendable, CaseIterable {
        case report = 1
        case delete = 2
        case abort = 3
        case count = 4
        case combinedReport = 7
    }

    public enum Selection: Hashable, Sendable {
        /// Operator 0: only with ``Procedure/abort``.
        case none
        case all
        case first
        case last
        /// Filter type 1: sequence numbers up to and with this one.
        case sequenceAtMost(UInt16)
        case sequenceAtLeast(UInt16)
        case sequenceRange(UInt16, UInt16)
        /// Another filter, such as 2 (user-facing time): its operand as sent.
        case other(operation: UInt8, filter: UInt8, operand: [UInt8])
    }

    public enum Result: UInt8, Hashable, Sendable, CaseIterable {
        case success = 1
        case opCodeNotSupported = 2
        case invalidOperator = 3
        case operatorNotSupported = 4
        case invalidOperand = 5
        /// Not a failure: the answer where nothing is stored.
        case noRecordsFound = 6
        case abortUnsuccessful = 7
        case procedureNotCompleted = 8
        case operandNotSupported = 9
        case serverBusy = 10

        public var name: String {
            switch self {
            case .success: "success"
            case .opCodeNotSupported: "op-code-not-supported"
            case .invalidOperator: "invalid-operator"
            case .operatorNotSupported: "operator-not-supported"
            case .invalidOperand: "invalid-operand"
            case .noRecordsFound: "no-records-found"
            case .abortUnsuccessful: "abort-unsuccessful"
            case .procedureNotCompleted: "procedure-not-completed"
            case .operandNotSupported: "operand-not-supported"
            case .serverBusy: "server-busy"
            }
        }
    }

    private static let countOpCode: UInt8 = 5
    private static let responseOpCode: UInt8 = 6
    private static let combinedResponseOpCode: UInt8 = 8

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let opCode = try reader.u8("op code")
        switch opCode {
        case Self.countOpCode, Self.combinedResponseOpCode:
            try Self.nullOperator(&reader)
            let (number, width) = try Self.number(&reader)
            self = opCode == Self.countOpCode ? .count(number, width: width) : .combinedReport(number, width: width)
        case Self.responseOpCode:
            try Self.nullOperator(&reader)
            let request = try reader.u8("op code that is answered")
            let code = try reader.u8("result")
            try reader.finish()
            guard let result = Result(rawValue: code) else {
                throw reader.error(.invalidValue, at: 3, "expected a result of 1 to 10, found \(code)")
            }
            self = .response(to: request, result)
        default:
            guard let procedure = Procedure(rawValue: opCode) else {
                throw reader.error(.reservedOpcode, at: 0, "expected an op code of 1 to 8, found \(opCode)")
            }
            self = .request(procedure, try Self.selection(&reader))
        }
    }

    private static func nullOperator(_ reader: inout ByteReader) throws(DecodeError) {
        let operation = try reader.u8("operator")
        guard operation == 0 else { throw reader.error(.invalidValue, at: 1, "expected operator 0, found \(operation)") }
    }

    private static func number(_ reader: inout ByteReader) throws(DecodeError) -> (UInt32, width: Int) {
        switch reader.remaining {
        case 0, 2, 3:
            let number = UInt32(try reader.u16("number of records"))
            try reader.finish()
            return (number, 2)
        case 1: return (UInt32(try reader.u8("number of records")), 1)
        default:
            let number = try reader.u32("number of records")
            try reader.finish()
            return (number, 4)
        }
    }

    private static func selection(_ reader: inout ByteReader) throws(DecodeError) -> Selection {
        let operation = try reader.u8("operator")
        let simple: Selection?
        switch operation {
        case 0: simple = Selection.none
        case 1: simple = .all
        case 5: simple = .first
        case 6: simple = .last
        case 2, 3, 4: simple = nil
        default: throw reader.error(.invalidValue, at: 1, "expected an operator of 0 to 6, found \(operation)")
        }
        if let simple {
            try reader.finish()
            return simple
        }
        let filter = try reader.u8("filter type")
        guard filter == 1 else { return .other(operation: operation, filter: filter, operand: reader.rest()) }
        let low = try reader.u16("sequence number")
        let high = operation == 4 ? try reader.u16("end of the range of sequence numbers") : low
        try reader.finish()
        switch operation {
        case 2: return .sequenceAtMost(low)
        case 3: return .sequenceAtLeast(low)
        default: return .sequenceRange(low, high)
        }
    }

    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: 8)
        switch self {
        case .count(let number, let width), .combinedReport(let number, let width):
            if case .count = self { writer.u8(Self.countOpCode) } else { writer.u8(Self.combinedResponseOpCode) }
            writer.u8(0)
            switch width {
            case 1: writer.u8(UInt8(clamping: number))
            case 4: writer.u32(number)
            default: writer.u16(UInt16(clamping: number))
            }
        case .response(let request, let result):
            writer.append([Self.responseOpCode, 0, request, result.rawValue])
        case .request(let procedure, let selection):
            writer.u8(procedure.rawValue)
            switch selection {
            case .none: writer.u8(0)
            case .all: writer.u8(1)
            case .first: writer.u8(5)
            case .last: writer.u8(6)
            case .sequenceAtMost(let number):
                writer.append([2, 1])
                writer.u16(number)
            case .sequenceAtLeast(let number):
                writer.append([3, 1])
                writer.u16(number)
            case .sequenceRange(let low, let high):
                writer.append([4, 1])
                writer.u16(low)
                writer.u16(high)
            case .other(let operation, let filter, let operand):
                writer.append([operation, filter])
                writer.append(operand)
            }
        }
        return writer.bytes
    }

    public static let reportAll = RecordAccess.request(.report, .all)
    public static let countAll = RecordAccess.request(.count, .all)
    /// Off by default: it takes the records from the device (R1, `acknowledges = command`).
    public static let deleteAll = RecordAccess.request(.delete, .all)
    public static let abort = RecordAccess.request(.abort, .none)
}
