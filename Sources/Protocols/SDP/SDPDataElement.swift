/// A value of a service record: a header of type (5 bits) and size index (3 bits), then big-endian data.
///
/// Source: Core Vol 3 Part B 3. Sizes 0 to 4 are 1, 2, 4, 8 and 16 bytes; 5, 6 and 7 announce a length of 1, 2 or 4 bytes.
public indirect enum SDPDataElement: Hashable, Sendable {
    /// Type 0.
    case null
    /// Type 1, of 1, 2, 4, 8 or 16 bytes.
    case unsigned(UInt128, width: Width)
    /// Type 2, two's complement.
    case signed(Int128, width: Width)
    /// Type 3, of 2, 4 or 16 bytes.
    case uuid(BluetoothUUID)
    /// Type 4. The encoding of the text is in another attribute, UTF-8 as a rule.
    case text([UInt8])
    /// Type 5.
    case boolean(Bool)
    /// Type 6: all of them.
    case sequence([SDPDataElement])
    /// Type 7: one of them.
    case alternative([SDPDataElement])
    /// Type 8.
    case url([UInt8])

    /// The bytes of a number; the raw value is the size index.
    public enum Width: UInt8, Hashable, Sendable, CaseIterable {
        case one = 0
        case two = 1
        case four = 2
        case eight = 3
        case sixteen = 4

        public var byteCount: Int { 1 << rawValue }
    }

    /// Lists within lists that are still read. A service record needs four (lists, list, protocols, protocol); a peer that goes on
    /// would have us recurse as deep as it likes.
    public static let maximumDepth = 8

    public static func unsigned(_ value: UInt8) -> Self { .unsigned(UInt128(value), width: .one) }
    public static func unsigned(_ value: UInt16) -> Self { .unsigned(UInt128(value), width: .two) }
    public static func unsigned(_ value: UInt32) -> Self { .unsigned(UInt128(value), width: .four) }

    /// Whether it is this UUID, whatever its width.
    func isUUID(_ uuid: BluetoothUUID) -> Bool { self == .uuid(uuid) }
}

// MARK: Decoding

extension SDPDataElement {
    /// Reads one element that is all there is.
    public init(decoding bytes: [UInt8]) throws(SDPError) {
        var reader = ByteReader(bytes)
        do throws(DecodeError) {
            self = try Self(reading: &reader, end: bytes.count, depth: 0)
            try reader.finish()
        } catch {
            throw SDPError(error)
        }
    }

    /// Reads one element that ends before `end`, within `depth` lists.
    init(reading reader: inout ByteReader, end: Int, depth: Int) throws(DecodeError) {
        let start = reader.offset
        let header = try reader.octet(before: end)
        let size = header & 7
        switch (header >> 3, size) {
        case (0, 0): self = .null
        case (1, 0...4), (2, 0...4):
            guard let width = Width(rawValue: size) else { throw Self.reserved(reader, header, at: start) }
            let octets = try reader.octets(width.byteCount, before: end)
            let bits = octets.reduce(UInt128(0)) { $0 << 8 | UInt128($1) }
            if header >> 3 == 1 {
                self = .unsigned(bits, width: width)
            } else {
                // Moved up and back down, so that the sign fills the bits above.
                let shift = 128 - 8 * width.byteCount
                self = .signed(Int128(truncatingIfNeeded: bits << shift) >> shift, width: width)
            }
        case (3, 1), (3, 2), (3, 4):
            let octets = try reader.octets(1 << Int(size), before: end)
            self = .uuid(Self.uuid(octets))
        case (4, 5...7): self = .text(try reader.octets(try reader.length(size, before: end), before: end))
        case (5, 0):
            let value = try reader.octet(before: end)
            guard value <= 1 else { throw reader.error(.invalidValue, at: start + 1, "expected a boolean, found \(value)") }
            self = .boolean(value == 1)
        case (6, 5...7), (7, 5...7):
            guard depth < Self.maximumDepth else {
                throw reader.error(.invalidValue, at: start, "expected at most \(Self.maximumDepth) lists within lists")
            }
            let length = try reader.length(size, before: end)
            let inner = reader.offset + length
            guard inner <= end else { throw reader.beyond(end) }
            var elements: [SDPDataElement] = []
            while reader.offset < inner { elements.append(try Self(reading: &reader, end: inner, depth: depth + 1)) }
            self = header >> 3 == 6 ? .sequence(elements) : .alternative(elements)
        case (8, 5...7): self = .url(try reader.octets(try reader.length(size, before: end), before: end))
        default: throw Self.reserved(reader, header, at: start)
        }
    }

    private static func reserved(_ reader: ByteReader, _ header: UInt8, at offset: Int) -> DecodeError {
        reader.error(
            .invalidValue, at: offset, "expected a data element, found type \(header >> 3) with size index \(header & 7)")
    }

    /// Of 2, 4 or 16 octets, most significant first.
    private static func uuid(_ octets: [UInt8]) -> BluetoothUUID {
        guard octets.count == 16 else { return BluetoothUUID(assigned: octets.reduce(0) { $0 << 8 | UInt32($1) }) }
        return BluetoothUUID(
            high: octets[..<8].reduce(0) { $0 << 8 | UInt64($1) }, low: octets[8...].reduce(0) { $0 << 8 | UInt64($1) })
    }
}

extension ByteReader {
    fileprivate func beyond(_ end: Int) -> DecodeError {
        error(.tooShort, at: offset, "expected an element that ends with its list, at byte \(end)")
    }

    fileprivate mutating func octets(_ count: Int, before end: Int) throws(DecodeError) -> [UInt8] {
        guard count <= end - offset else { throw beyond(end) }
        return try take(count, "data element")
    }

    fileprivate mutating func octet(before end: Int) throws(DecodeError) -> UInt8 {
        guard offset < end else { throw beyond(end) }
        return try u8("data element")
    }

    /// The length that size index 5, 6 or 7 announces.
    fileprivate mutating func length(_ size: UInt8, before end: Int) throws(DecodeError) -> Int {
        try octets(1 << Int(size - 5), before: end).reduce(0) { $0 << 8 | Int($1) }
    }
}

// MARK: Encoding

extension SDPDataElement {
    /// As it goes over the air, with the shortest header.
    public var bytes: [UInt8] {
        switch self {
        case .null: [0x00]
        case .unsigned(let value, let width): [1 << 3 | width.rawValue] + bigEndian(value, width.byteCount)
        case .signed(let value, let width):
            [2 << 3 | width.rawValue] + bigEndian(UInt128(truncatingIfNeeded: value), width.byteCount)
        case .uuid(let uuid): [3 << 3 | (uuid.assignedNumber == nil ? 4 : 1)] + uuid.littleEndian.reversed()
        case .text(let octets): Self.announced(4, octets)
        case .boolean(let value): [5 << 3, value ? 1 : 0]
        case .sequence(let elements): Self.announced(6, elements.flatMap(\.bytes))
        case .alternative(let elements): Self.announced(7, elements.flatMap(\.bytes))
        case .url(let octets): Self.announced(8, octets)
        }
    }

    private static func announced(_ type: UInt8, _ octets: [UInt8]) -> [UInt8] {
        switch octets.count {
        case ...0xFF: [type << 3 | 5, UInt8(octets.count)] + octets
        case ...0xFFFF: [type << 3 | 6] + bigEndian(UInt128(octets.count), 2) + octets
        default: [type << 3 | 7] + bigEndian(UInt128(octets.count), 4) + octets
        }
    }
}

private func bigEndian(_ value: UInt128, _ count: Int) -> [UInt8] {
    (0..<count).reversed().map { UInt8(truncatingIfNeeded: value >> ($0 * 8)) }
}
