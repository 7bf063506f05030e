/// An encoding in which no two different lists of fields look alike: every field is its length (4 bytes, most significant first)
/// and its bytes. What is hashed into an identity goes through here, so the layout is frozen by the vectors in the tests.
struct CanonicalBytes {
    private(set) var bytes: [UInt8] = []

    /// `domain` says what the hash is of, so that an identity can never equal a device key or a later version of itself.
    init(domain: String) { append(domain) }

    mutating func append(_ field: some Collection<UInt8>) {
        bytes.append(contentsOf: Self.bigEndian(UInt32(truncatingIfNeeded: field.count)))
        bytes.append(contentsOf: field)
    }

    mutating func append(_ text: String) { append(Array(text.utf8)) }

    /// 8 bytes, two's complement; an absent number is a field of no bytes.
    mutating func append(_ number: Int?) {
        append(number.map { Self.bigEndian(UInt64(bitPattern: Int64($0))) } ?? [])
    }

    private static func bigEndian<Number: FixedWidthInteger>(_ number: Number) -> [UInt8] {
        stride(from: Number.bitWidth - 8, through: 0, by: -8).map { UInt8(truncatingIfNeeded: number >> Number($0)) }
    }
}
