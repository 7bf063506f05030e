public import Vitals

/// 128 bits of key. It prints as nothing: whoever has it can be taken for the device.
public struct Key128: Hashable, Sendable {
    public static let byteCount = 16

    private let low: UInt64
    private let high: UInt64

    /// `nil` unless there are sixteen bytes; their order is the kernel's.
    public init?(_ bytes: some Collection<UInt8>) {
        guard bytes.count == Self.byteCount else { return nil }
        low = bytes.prefix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
        high = bytes.suffix(8).reversed().reduce(0) { $0 << 8 | UInt64($1) }
    }

    public var bytes: [UInt8] {
        (0..<8).map { UInt8(truncatingIfNeeded: low >> ($0 * 8)) } + (0..<8).map { UInt8(truncatingIfNeeded: high >> ($0 * 8)) }
    }
}

extension Key128: CustomStringConvertible, CustomReflectable {
    public var description: String { "(key)" }
    public var customMirror: Mirror { Mirror(self, children: []) }
}

/// What encrypts an LE link with a bonded device, 36 bytes:
/// `address (6) | address type | key type | central | encryption size | diversifier (2) | random (8) | value (16)`.
///
/// Source: BlueZ doc/mgmt-api.txt, Load Long Term Keys and New Long Term Key; `struct mgmt_ltk_info`.
public struct LongTermKey: ManagementRecord {
    public enum KeyType: UInt8, Hashable, Sendable, CaseIterable {
        case unauthenticatedLegacy = 0
        case authenticatedLegacy = 1
        case unauthenticatedP256 = 2
        case authenticatedP256 = 3
        /// Made with the published debug key pair: it protects nothing, and the kernel loads none.
        case debugP256 = 4
    }

    public static let byteCount = 36

    public var address: DeviceAddress
    public var keyType: KeyType
    /// Whether it is the key for links on which this side is the central. With legacy pairing a device has one of each.
    public var isCentral: Bool
    /// Bytes of the key that count, 7 to 16 (Core Vol 3 Part H 2.3.4).
    public var encryptionSize: UInt8
    /// EDIV, with ``random`` the name of a legacy key; 0 with Secure Connections.
    public var diversifier: UInt16
    public var random: UInt64
    public var value: Key128

    public init(
        address: DeviceAddress, keyType: KeyType, isCentral: Bool, encryptionSize: UInt8 = 16, diversifier: UInt16 = 0,
        random: UInt64 = 0, value: Key128
    ) {
        self.address = address
        self.keyType = keyType
        self.isCentral = isCentral
        self.encryptionSize = encryptionSize
        self.diversifier = diversifier
        self.random = random
        self.value = value
    }

    public init(reading reader: inout ByteReader) throws(DecodeError) {
        address = try reader.deviceAddress()
        keyType = try reader.choice("long term key type")
        let central = try reader.u8("central")
        // The kernel skips a key with any other value, with success: it would never be seen again.
        guard central <= 1 else {
            throw reader.error(.invalidValue, at: reader.offset - 1, "expected central 0 or 1, found \(central)")
        }
        isCentral = central == 1
        encryptionSize = try reader.u8("encryption size")
        guard (7...16).contains(encryptionSize) else {
            throw reader.error(
                .invalidValue, at: reader.offset - 1, "expected an encryption size of 7 to 16, found \(encryptionSize)")
        }
        diversifier = try reader.u16("diversifier")
        let low = try reader.u32("random number")
        random = UInt64(low) | UInt64(try reader.u32("random number")) << 32
        value = try reader.key128()
    }

    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.deviceAddress(address)
        writer.u8(keyType.rawValue)
        writer.flag(isCentral)
        writer.u8(encryptionSize)
        writer.u16(diversifier)
        writer.u32(UInt32(truncatingIfNeeded: random))
        writer.u32(UInt32(truncatingIfNeeded: random >> 32))
        writer.append(value.bytes)
        return writer.bytes
    }

    /// Whether the pairing proved that the peer is the device in the person's hand (passkey, comparison or out of band).
    public var isAuthenticated: Bool { keyType == .authenticatedLegacy || keyType == .authenticatedP256 }

    /// Whether it comes from LE Secure Connections, whose pairing an eavesdropper cannot follow.
    public var isSecureConnections: Bool { keyType == .unauthenticatedP256 || keyType == .authenticatedP256 }
}

/// What resolves the private addresses of a device to its identity, 23 bytes: `address (6) | address type | value (16)`.
///
/// Source: BlueZ doc/mgmt-api.txt, Load Identity Resolving Keys; `struct mgmt_irk_info`.
public struct IdentityResolvingKey: ManagementRecord {
    public static let byteCount = 23

    /// The identity address. One that is none makes the kernel refuse the whole list.
    public var address: DeviceAddress
    public var value: Key128

    public init(address: DeviceAddress, value: Key128) {
        self.address = address
        self.value = value
    }

    public init(reading reader: inout ByteReader) throws(DecodeError) {
        address = try reader.deviceAddress()
        value = try reader.key128()
    }

    public var bytes: [UInt8] { address.bytes + [address.kind.rawValue] + value.bytes }
}

/// What authenticates and encrypts a BR/EDR link, 25 bytes: `address (6) | address type | key type | value (16) | PIN length`.
///
/// Source: BlueZ doc/mgmt-api.txt, Load Link Keys; `struct mgmt_link_key_info`; key types Core Vol 4 Part E 7.7.24.
public struct LinkKey: ManagementRecord {
    public enum KeyType: UInt8, Hashable, Sendable, CaseIterable {
        /// From a PIN.
        case combination = 0
        case localUnit = 1
        case remoteUnit = 2
        case debugCombination = 3
        case unauthenticatedP192 = 4
        case authenticatedP192 = 5
        case changedCombination = 6
        case unauthenticatedP256 = 7
        case authenticatedP256 = 8
    }

    public static let byteCount = 25

    public var address: DeviceAddress
    public var keyType: KeyType
    public var value: Key128
    /// Digits of the PIN that it was made from; 0 with Secure Simple Pairing.
    public var pinLength: UInt8

    public init(address: DeviceAddress, keyType: KeyType, value: Key128, pinLength: UInt8 = 0) {
        self.address = address
        self.keyType = keyType
        self.value = value
        self.pinLength = pinLength
    }

    public init(reading reader: inout ByteReader) throws(DecodeError) {
        address = try reader.deviceAddress()
        keyType = try reader.choice("link key type")
        value = try reader.key128()
        pinLength = try reader.u8("PIN length")
    }

    public var bytes: [UInt8] {
        address.bytes + [address.kind.rawValue, keyType.rawValue] + value.bytes + [pinLength]
    }

    /// Whether the pairing proved that the peer is the device in the person's hand.
    ///
    /// Of the keys from a PIN only one of 16 digits counts, as for the kernel's high security level (`hci_conn_security`).
    public var isAuthenticated: Bool {
        switch keyType {
        case .authenticatedP192, .authenticatedP256: true
        case .combination: pinLength == 16
        default: false
        }
    }
}
