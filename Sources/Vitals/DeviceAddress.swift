/// The Bluetooth address of a device, and which kind of address it is: the same six bytes are two devices in two kinds.
///
/// Text form: `AA:BB:CC:DD:EE:FF/public`, most significant byte first as people write it; `bytes` is the order of the wire.
public struct DeviceAddress: Hashable, Sendable {
    /// The address types of the kernel's management interface and of its sockets: BDADDR_BREDR, BDADDR_LE_PUBLIC,
    /// BDADDR_LE_RANDOM.
    public enum Kind: UInt8, Hashable, Sendable, CaseIterable {
        /// BR/EDR.
        case classic = 0
        case lePublic = 1
        case leRandom = 2
    }

    public let kind: Kind
    /// The 48 bits as a number, so that an address of any other length cannot be.
    private let number: UInt64

    /// `nil` unless there are six bytes, least significant first.
    public init?(bytes: some Collection<UInt8>, kind: Kind) {
        guard bytes.count == 6 else { return nil }
        var number: UInt64 = 0
        var shift: UInt64 = 0
        for byte in bytes {
            number |= UInt64(byte) << shift
            shift += 8
        }
        self.number = number
        self.kind = kind
    }

    /// Reads `AA:BB:CC:DD:EE:FF/public`, `/random` or `/classic`, in either case; the kind is never guessed.
    public init?(_ text: String) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        guard parts.count == 2, let kind = Kind(name: parts[1].lowercased()) else { return nil }
        let pairs = parts[0].split(separator: ":", omittingEmptySubsequences: false)
        guard pairs.count == 6 else { return nil }
        var number: UInt64 = 0
        for pair in pairs {
            // The number parser alone would take a sign.
            guard pair.utf8.count == 2, pair.allSatisfy(\.isHexDigit), let byte = UInt8(pair, radix: 16) else { return nil }
            number = number << 8 | UInt64(byte)
        }
        self.number = number
        self.kind = kind
    }

    /// The six bytes as on the wire, least significant first.
    public var bytes: [UInt8] { (0..<6).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) } }

    /// `AA:BB:CC:DD:EE:FF`, without the kind.
    public var text: String {
        bytes.reversed().map { byte in
            let digits = String(byte, radix: 16, uppercase: true)
            return digits.utf8.count == 1 ? "0" + digits : digits
        }.joined(separator: ":")
    }

    /// The two most significant bits, which tell the sub-types of a random address apart (Core Vol 6 Part B 1.3.2, table 1.2).
    private var randomKind: UInt64 { number >> 46 }

    /// Whether the device keeps this address: public, BR/EDR, or static random (top bits 11).
    ///
    /// Only such an address names a bond, and the kernel takes no other in Add Device and Load Long Term Keys.
    public var isIdentity: Bool { kind != .leRandom || randomKind == 0b11 }

    /// Whether it is a resolvable private address (top bits 01), which changes and leads to an identity through a key.
    public var isResolvable: Bool { kind == .leRandom && randomKind == 0b01 }
}

extension DeviceAddress: CustomStringConvertible {
    /// `AA:BB:CC:DD:EE:FF/public`.
    public var description: String { text + "/" + kind.name }
}

extension DeviceAddress.Kind {
    /// The word of the text form.
    public var name: String {
        switch self {
        case .classic: "classic"
        case .lePublic: "public"
        case .leRandom: "random"
        }
    }

    public init?(name: String) {
        guard let kind = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = kind
    }
}
