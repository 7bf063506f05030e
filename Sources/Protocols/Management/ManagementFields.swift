import Vitals

extension ByteReader {
    /// `address (6) | address type (1)`
    mutating func deviceAddress() throws(DecodeError) -> DeviceAddress {
        let bytes = try take(6, "address")
        let kind: DeviceAddress.Kind = try choice("address type")
        guard let address = DeviceAddress(bytes: bytes, kind: kind) else {
            throw error(.invalidValue, at: offset - 7, "expected six bytes of address")
        }
        return address
    }

    /// One byte that is one of an enumeration's.
    mutating func choice<Choice: RawRepresentable<UInt8>>(_ field: StaticString) throws(DecodeError) -> Choice {
        let raw = try u8(field)
        guard let value = Choice(rawValue: raw) else {
            throw error(.invalidValue, at: offset - 1, "expected \(field), found \(raw)")
        }
        return value
    }

    /// The kernel sends 0 or 1 in its hints; whatever is not 0 counts as set, as BlueZ reads them.
    mutating func hint(_ field: StaticString) throws(DecodeError) -> Bool { try u8(field) != 0 }

    mutating func key128() throws(DecodeError) -> Key128 {
        let bytes = try take(Key128.byteCount, "key value")
        guard let key = Key128(bytes) else {
            throw error(.invalidValue, at: offset - bytes.count, "expected sixteen bytes of key")
        }
        return key
    }
}

extension ByteWriter {
    mutating func deviceAddress(_ address: DeviceAddress) {
        append(address.bytes)
        u8(address.kind.rawValue)
    }

    mutating func flag(_ value: Bool) { u8(value ? 1 : 0) }
}

/// What a pairing may ask of a person: the IO capability of Set IO Capability and Pair Device.
///
/// Source: BlueZ doc/mgmt-api.txt, Set IO Capability; the same values as the Security Manager's (Core Vol 3 Part H 2.3.2).
public enum IOCapability: UInt8, Hashable, Sendable, CaseIterable {
    case displayOnly = 0
    case displayYesNo = 1
    case keyboardOnly = 2
    /// Just Works: no person is asked, and nothing proves who the peer is.
    case noInputNoOutput = 3
    /// On BR/EDR, which has no such value, the kernel takes it as ``displayYesNo``.
    case keyboardDisplay = 4
}

/// What the kernel does with a device of Add Device.
///
/// Source: BlueZ doc/mgmt-api.txt, Add Device. BR/EDR devices take only ``allow``.
public enum AddAction: UInt8, Hashable, Sendable, CaseIterable {
    /// Background scan: Device Found is sent, no connection is made.
    case scan = 0
    /// An incoming connection is allowed (LE: directed advertising connects).
    case allow = 1
    /// Connected whenever it is heard. It takes identity addresses only.
    case autoConnect = 2
}

/// Which devices a discovery looks for: one bit per address type.
///
/// Source: BlueZ doc/mgmt-api.txt, Start Discovery.
public struct DiscoveryTransports: OptionSet, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let classic = DiscoveryTransports(rawValue: 1 << 0)
    public static let lePublic = DiscoveryTransports(rawValue: 1 << 1)
    public static let leRandom = DiscoveryTransports(rawValue: 1 << 2)
    /// LE alone: 6.
    public static let lowEnergy: DiscoveryTransports = [.lePublic, .leRandom]
    /// LE and BR/EDR interleaved: 7.
    public static let all: DiscoveryTransports = [.classic, .lowEnergy]
}

/// What Device Found says beside the advertising data.
///
/// Source: BlueZ doc/mgmt-api.txt, Device Found.
public struct DeviceFoundFlags: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    /// The kernel waits for Confirm Name before it asks the device for its name (BR/EDR).
    public static let confirmName = DeviceFoundFlags(rawValue: 1 << 0)
    /// Pairing will probably ask for a PIN; not reliable.
    public static let legacyPairing = DeviceFoundFlags(rawValue: 1 << 1)
    /// A broadcaster: it takes no connection.
    public static let notConnectable = DeviceFoundFlags(rawValue: 1 << 2)
    public static let nameRequestFailed = DeviceFoundFlags(rawValue: 1 << 4)
    public static let scanResponse = DeviceFoundFlags(rawValue: 1 << 5)
}
