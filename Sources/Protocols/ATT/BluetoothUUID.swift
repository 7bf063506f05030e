/// The type of an attribute: a 16-bit assigned number or a full 128-bit UUID.
///
/// A 128-bit UUID on the Bluetooth Base UUID (0000xxxx-0000-1000-8000-00805F9B34FB; Core Vol 3 Part B 2.5.1) is its 16-bit short
/// form, so that equal types are equal values whichever way a peer sends them.
public enum BluetoothUUID: Hashable, Sendable {
    case short(UInt16)
    /// The first and the last eight octets as the text form prints them.
    case long(high: UInt64, low: UInt64)

    private static let baseHigh: UInt64 = 0x0000_0000_0000_1000
    private static let baseLow: UInt64 = 0x8000_0080_5F9B_34FB

    public init(high: UInt64, low: UInt64) {
        if low == Self.baseLow, high & 0xFFFF_0000_FFFF_FFFF == Self.baseHigh {
            self = .short(UInt16(truncatingIfNeeded: high >> 32))
        } else {
            self = .long(high: high, low: low)
        }
    }

    /// A 16- or 32-bit assigned number.
    public init(assigned number: UInt32) {
        self.init(high: UInt64(number) << 32 | Self.baseHigh, low: Self.baseLow)
    }

    /// Two or sixteen octets in the order of the air, least significant first; `nil` for any other count.
    public init?(littleEndian bytes: some Collection<UInt8>) {
        switch bytes.count {
        case 2:
            self = .short(bytes.reversed().reduce(UInt16(0)) { $0 << 8 | UInt16($1) })
        case 16:
            let bigEndian = Array(bytes.reversed())
            self.init(
                high: bigEndian[..<8].reduce(UInt64(0)) { $0 << 8 | UInt64($1) },
                low: bigEndian[8...].reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        default: return nil
        }
    }

    /// Reads `2a35` or `233bf001-5a34-1b6d-975c-000d5690abe4`, in either case.
    public init?(_ text: some StringProtocol) {
        let digits = String(text.filter { $0 != "-" })
        switch digits.utf8.count {
        case 4:
            guard let number = UInt16(digits, radix: 16) else { return nil }
            self = .short(number)
        case 32:
            guard let high = UInt64(digits.prefix(16), radix: 16), let low = UInt64(digits.suffix(16), radix: 16) else {
                return nil
            }
            self.init(high: high, low: low)
        default: return nil
        }
    }

    /// Two or sixteen octets, least significant first.
    public var littleEndian: [UInt8] {
        switch self {
        case .short(let number): [UInt8(truncatingIfNeeded: number), UInt8(truncatingIfNeeded: number >> 8)]
        case .long(let high, let low):
            (0..<8).map { UInt8(truncatingIfNeeded: low >> ($0 * 8)) }
                + (0..<8).map { UInt8(truncatingIfNeeded: high >> ($0 * 8)) }
        }
    }

    /// Sixteen octets, least significant first, of the short form too.
    public var fullLittleEndian: [UInt8] {
        switch self {
        case .short(let number):
            BluetoothUUID.long(high: UInt64(number) << 32 | Self.baseHigh, low: Self.baseLow).littleEndian
        case .long: littleEndian
        }
    }

    /// The assigned number, or `nil` for a vendor's UUID.
    public var assignedNumber: UInt16? { if case .short(let number) = self { number } else { nil } }
}

extension BluetoothUUID: CustomStringConvertible {
    /// `2a35`, or the 36 characters of a full UUID, in lower case.
    public var description: String {
        switch self {
        case .short(let number): return Self.hex(UInt64(number), digits: 4)
        case .long(let high, let low):
            let head = Self.hex(high, digits: 16)
            let tail = Self.hex(low, digits: 16)
            return "\(head.prefix(8))-\(head.dropFirst(8).prefix(4))-\(head.suffix(4))-\(tail.prefix(4))-\(tail.suffix(12))"
        }
    }

    private static func hex(_ number: UInt64, digits: Int) -> String {
        let text = String(number, radix: 16)
        return String(repeating: "0", count: digits - text.utf8.count) + text
    }
}

extension BluetoothUUID: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: UInt16) { self = .short(value) }
}
