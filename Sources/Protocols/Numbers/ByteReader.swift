/// Reads fields from the front of a frame to its end; every failure names the field and keeps the bytes.
public struct ByteReader: Sendable {
    public let bytes: [UInt8]
    /// Bytes read so far.
    public private(set) var offset = 0

    public init(_ bytes: [UInt8]) { self.bytes = bytes }

    public var remaining: Int { bytes.count - offset }

    /// Moves past `count` bytes and returns where they begin.
    @inline(__always)
    private mutating func advance(_ count: Int, _ field: StaticString) throws(DecodeError) -> Int {
        let start = offset
        guard count <= bytes.count - start else { throw tooShort(count, field) }
        offset = start + count
        return start
    }

    @inline(never)
    private func tooShort(_ count: Int, _ field: StaticString) -> DecodeError {
        DecodeError(
            .tooShort, offset: offset,
            message: "expected \(field) (\(count) \(count == 1 ? "byte" : "bytes")), found \(remaining) more", bytes: bytes)
    }

    @inline(__always)
    public mutating func u8(_ field: StaticString) throws(DecodeError) -> UInt8 {
        bytes[try advance(1, field)]
    }

    /// Little-endian, as all of GATT.
    @inline(__always)
    public mutating func u16(_ field: StaticString) throws(DecodeError) -> UInt16 {
        let start = try advance(2, field)
        return UInt16(bytes[start]) | UInt16(bytes[start + 1]) << 8
    }

    @inline(__always)
    public mutating func i16(_ field: StaticString) throws(DecodeError) -> Int16 {
        Int16(bitPattern: try u16(field))
    }

    /// Three bytes, little-endian.
    public mutating func u24(_ field: StaticString) throws(DecodeError) -> UInt32 {
        let start = try advance(3, field)
        return UInt32(bytes[start]) | UInt32(bytes[start + 1]) << 8 | UInt32(bytes[start + 2]) << 16
    }

    public mutating func u32(_ field: StaticString) throws(DecodeError) -> UInt32 {
        let low = try u16(field)
        return UInt32(low) | UInt32(try u16(field)) << 16
    }

    /// Big-endian, as ISO/IEEE 11073-20601's encoding rules (MDER).
    public mutating func u16BigEndian(_ field: StaticString) throws(DecodeError) -> UInt16 {
        try u16(field).byteSwapped
    }

    public mutating func u32BigEndian(_ field: StaticString) throws(DecodeError) -> UInt32 {
        try u32(field).byteSwapped
    }

    public mutating func take(_ count: Int, _ field: StaticString) throws(DecodeError) -> [UInt8] {
        let start = try advance(max(0, count), field)
        return Array(bytes[start..<start + max(0, count)])
    }

    /// Everything that is left.
    public mutating func rest() -> [UInt8] {
        defer { offset = bytes.count }
        return Array(bytes[offset...])
    }

    /// The frame must end here: a longer one was not laid out as its flags say.
    @inline(__always)
    public func finish() throws(DecodeError) {
        guard offset == bytes.count else { throw tooLong() }
    }

    @inline(never)
    private func tooLong() -> DecodeError {
        DecodeError(
            .lengthMismatch, offset: offset, message: "expected the end after \(offset) bytes, found \(remaining) more",
            bytes: bytes)
    }

    /// An error at an offset of this frame.
    public func error(_ code: DecodeError.Code, at offset: Int, _ message: String) -> DecodeError {
        DecodeError(code, offset: offset, message: message, bytes: bytes)
    }
}

/// Puts fields one after the other, little-endian.
struct ByteWriter {
    private(set) var bytes: [UInt8] = []

    init(capacity: Int = 24) { bytes.reserveCapacity(capacity) }

    mutating func u8(_ value: UInt8) { bytes.append(value) }

    mutating func u16(_ value: UInt16) {
        bytes.append(UInt8(truncatingIfNeeded: value))
        bytes.append(UInt8(truncatingIfNeeded: value >> 8))
    }

    mutating func u24(_ value: UInt32) {
        u16(UInt16(truncatingIfNeeded: value))
        u8(UInt8(truncatingIfNeeded: value >> 16))
    }

    mutating func u32(_ value: UInt32) {
        u16(UInt16(truncatingIfNeeded: value))
        u16(UInt16(truncatingIfNeeded: value >> 16))
    }

    mutating func append(_ more: [UInt8]) { bytes.append(contentsOf: more) }
}
