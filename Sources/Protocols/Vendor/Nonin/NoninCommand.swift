public import Vitals

/// What is asked of a Nonin 9560: `02 | code | data length | data | 03`.
///
/// None of them deletes a record or acts on a body. Source: Nonin 9560 Bluetooth specification, by way of open implementations
/// (OpenTele; mattjlewis/NoninPulseOx).
public enum NoninCommand: Hashable, Sendable {
    /// `02 70 02 02 format 03`; answered by ``NoninReply/acknowledged`` or ``NoninReply/refused``.
    case selectFormat(NoninDataFormat)
    /// `02 72 00 03`; answered by ``NoninReply/clock(_:)``.
    case readClock
    /// `02 72 06 year month day hour minute second 03`, binary, the year since 2000.
    case setClock(LocalDateTime)
    /// `02 74 02 02 02 03`; answered by ``NoninReply/serialNumber(_:)``.
    case readSerialNumber

    enum Code {
        static let selectFormat: UInt8 = 0x70
        static let clock: UInt8 = 0x72
        static let identification: UInt8 = 0x74
        /// Set in the code of an answer.
        static let answer: UInt8 = 0x80
        /// The identification that is the serial number; also the first byte of a format's selection.
        static let serialNumber: UInt8 = 0x02
    }

    public var encoded: [UInt8] {
        let (code, data): (UInt8, [UInt8]) =
            switch self {
            case .selectFormat(let format): (Code.selectFormat, [0x02, format.rawValue])
            case .readClock: (Code.clock, [])
            case .setClock(let time): (Code.clock, NoninReply.clockBytes(time))
            case .readSerialNumber: (Code.identification, [0x02, Code.serialNumber])
            }
        return [Nonin.startOfText, code, UInt8(data.count)] + data + [Nonin.endOfText]
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let (code, data) = try reader.noninPacket()
        switch (code, data.count) {
        case (Code.selectFormat, 2):
            guard data[0] == 0x02 else { throw reader.error(.invalidValue, at: 3, "expected 02") }
            guard let format = NoninDataFormat(rawValue: data[1]) else {
                throw reader.error(.invalidValue, at: 4, "expected a data format of 2, 7, 8 or 13")
            }
            self = .selectFormat(format)
        case (Code.clock, 0): self = .readClock
        case (Code.clock, 6): self = .setClock(NoninReply.time(data))
        case (Code.identification, 2):
            guard data == [0x02, Code.serialNumber] else { throw reader.error(.invalidValue, at: 3, "expected 02 02") }
            self = .readSerialNumber
        case (Code.selectFormat, _), (Code.clock, _), (Code.identification, _):
            throw reader.error(.lengthMismatch, at: 2, "expected another data length for this command")
        default: throw reader.error(.reservedOpcode, at: 1, "expected a command of 70, 72 or 74")
        }
    }
}

/// What a Nonin 9560 answers: one byte, or `02 | code | data length | data | 03` with bit 7 of the command's code set.
public enum NoninReply: Hashable, Sendable {
    /// ACK, `06`.
    case acknowledged
    /// NAK, `15`.
    case refused
    /// `02 F2 06 year month day hour minute second 03`, binary, the year since 2000.
    case clock(LocalDateTime)
    /// `02 F4 length 02 digits checksum 03`: ASCII; the length counts everything up to the checksum, which is that of the data before
    /// it.
    case serialNumber(String)

    /// The bytes with which a packet of ours or the device's is taken, or asked for again.
    public static let acknowledge: UInt8 = 0x06
    public static let refuse: UInt8 = 0x15

    public var encoded: [UInt8] {
        switch self {
        case .acknowledged: return [Self.acknowledge]
        case .refused: return [Self.refuse]
        case .clock(let time):
            return Self.packet(NoninCommand.Code.clock, Self.clockBytes(time))
        case .serialNumber(let text):
            let data = [NoninCommand.Code.serialNumber] + Array(text.utf8)
            return Self.packet(NoninCommand.Code.identification, data + [Nonin.checksum(data)])
        }
    }

    private static func packet(_ command: UInt8, _ data: [UInt8]) -> [UInt8] {
        [Nonin.startOfText, command | NoninCommand.Code.answer, UInt8(clamping: data.count)] + data + [Nonin.endOfText]
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        switch bytes {
        case [Self.acknowledge]: self = .acknowledged
        case [Self.refuse]: self = .refused
        default:
            var reader = ByteReader(bytes)
            let (code, data) = try reader.noninPacket()
            switch code {
            case NoninCommand.Code.clock | NoninCommand.Code.answer:
                guard data.count == 6 else { throw reader.error(.lengthMismatch, at: 2, "expected a data length of 6") }
                self = .clock(Self.time(data))
            case NoninCommand.Code.identification | NoninCommand.Code.answer:
                self = .serialNumber(try Self.serialNumber(data, reader))
            default: throw reader.error(.reservedOpcode, at: 1, "expected an answer of f2 or f4")
            }
        }
    }

    private static func serialNumber(_ data: [UInt8], _ reader: ByteReader) throws(DecodeError) -> String {
        guard data.count >= 3 else { throw reader.error(.lengthMismatch, at: 2, "expected a data length of 3 or more") }
        guard data[0] == NoninCommand.Code.serialNumber else { throw reader.error(.invalidValue, at: 3, "expected 02") }
        guard data.last == Nonin.checksum(data.dropLast()) else {
            throw reader.error(.checksumMismatch, at: 2 + data.count, "the checksum is not that of the data")
        }
        let text = data[1..<data.count - 1]
        if let index = text.firstIndex(where: { !(0x20...0x7E).contains($0) }) {
            throw reader.error(.invalidValue, at: 3 + index, "expected a printable character")
        }
        return String(decoding: text, as: UTF8.self)
    }

    static func time(_ data: [UInt8]) -> LocalDateTime {
        let fields = data.map(Int.init)
        return LocalDateTime(
            year: 2_000 + fields[0], month: fields[1], day: fields[2], hour: fields[3], minute: fields[4], second: fields[5])
    }

    /// A field that does not fit its byte is written as the nearest value that does.
    static func clockBytes(_ time: LocalDateTime) -> [UInt8] {
        [time.year - 2_000, time.month, time.day, time.hour, time.minute, time.second].map { UInt8(clamping: $0) }
    }
}

extension ByteReader {
    /// Code and data of `02 | code | data length | data | 03`.
    fileprivate mutating func noninPacket() throws(DecodeError) -> (code: UInt8, data: [UInt8]) {
        guard try u8("start of text") == Nonin.startOfText else {
            throw error(.invalidValue, at: 0, "expected start of text (02)")
        }
        let code = try u8("code")
        let data = try take(Int(try u8("data length")), "data")
        let end = offset
        guard try u8("end of text") == Nonin.endOfText else { throw error(.invalidValue, at: end, "expected end of text (03)") }
        try finish()
        return (code, data)
    }
}
