public import Vitals

/// What an adapter can do, and what is switched on.
///
/// Source: BlueZ doc/mgmt-api.txt, Read Controller Information.
public struct ControllerSettings: OptionSet, Hashable, Sendable {
    public let rawValue: UInt32
    public init(rawValue: UInt32) { self.rawValue = rawValue }

    public static let powered = ControllerSettings(rawValue: 1 << 0)
    public static let connectable = ControllerSettings(rawValue: 1 << 1)
    public static let fastConnectable = ControllerSettings(rawValue: 1 << 2)
    public static let discoverable = ControllerSettings(rawValue: 1 << 3)
    public static let bondable = ControllerSettings(rawValue: 1 << 4)
    public static let linkSecurity = ControllerSettings(rawValue: 1 << 5)
    public static let secureSimplePairing = ControllerSettings(rawValue: 1 << 6)
    public static let classic = ControllerSettings(rawValue: 1 << 7)
    public static let highSpeed = ControllerSettings(rawValue: 1 << 8)
    public static let lowEnergy = ControllerSettings(rawValue: 1 << 9)
    public static let advertising = ControllerSettings(rawValue: 1 << 10)
    public static let secureConnections = ControllerSettings(rawValue: 1 << 11)
    public static let debugKeys = ControllerSettings(rawValue: 1 << 12)
    public static let privacy = ControllerSettings(rawValue: 1 << 13)
    public static let configuration = ControllerSettings(rawValue: 1 << 14)
    public static let staticAddress = ControllerSettings(rawValue: 1 << 15)
    public static let phyConfiguration = ControllerSettings(rawValue: 1 << 16)
    public static let widebandSpeech = ControllerSettings(rawValue: 1 << 17)

    /// The names of the bits, in their order; a bit that this list does not have is its number.
    public var names: [String] {
        (0..<32).filter { rawValue >> $0 & 1 == 1 }.map { bit in
            bit < Self.words.count ? Self.words[bit] : "bit \(bit)"
        }
    }

    private static let words = [
        "powered", "connectable", "fast connectable", "discoverable", "bondable", "link security", "secure simple pairing",
        "classic", "high speed", "low energy", "advertising", "secure connections", "debug keys", "privacy", "configuration",
        "static address", "PHY configuration", "wideband speech",
    ]
}

extension ControllerSettings: CustomStringConvertible {
    public var description: String { "[" + names.joined(separator: ", ") + "]" }
}

/// An adapter, as Read Controller Information returns it, 280 bytes: `address (6) | version | manufacturer (2) |
/// supported settings (4) | current settings (4) | class of device (3) | name (249) | short name (11)`; names end with a zero.
///
/// Source: BlueZ doc/mgmt-api.txt, Read Controller Information; `struct mgmt_rp_read_info`.
public struct ControllerInfo: ManagementRecord {
    public static let byteCount = 280
    private static let nameCount = 249
    private static let shortNameCount = 11

    /// All zero on an LE-only adapter that has no public address: it needs a static one before it can be switched on.
    public var address: DeviceAddress
    /// The HCI version of the Assigned Numbers: 9 is Bluetooth 5.0, 6 is 4.0.
    public var version: UInt8
    /// The company identifier of the Assigned Numbers.
    public var manufacturer: UInt16
    public var supportedSettings: ControllerSettings
    public var currentSettings: ControllerSettings
    /// 24 bits; 0 while the adapter is off.
    public var classOfDevice: UInt32
    public var name: String
    public var shortName: String

    public init(
        address: DeviceAddress, version: UInt8, manufacturer: UInt16, supportedSettings: ControllerSettings,
        currentSettings: ControllerSettings, classOfDevice: UInt32 = 0, name: String = "", shortName: String = ""
    ) {
        self.address = address
        self.version = version
        self.manufacturer = manufacturer
        self.supportedSettings = supportedSettings
        self.currentSettings = currentSettings
        self.classOfDevice = classOfDevice
        self.name = name
        self.shortName = shortName
    }

    public init(reading reader: inout ByteReader) throws(DecodeError) {
        let bytes = try reader.take(6, "address")
        guard let address = DeviceAddress(bytes: bytes, kind: .lePublic) else {
            throw reader.error(.invalidValue, at: reader.offset - bytes.count, "expected six bytes of address")
        }
        self.address = address
        version = try reader.u8("version")
        manufacturer = try reader.u16("manufacturer")
        supportedSettings = ControllerSettings(rawValue: try reader.u32("supported settings"))
        currentSettings = ControllerSettings(rawValue: try reader.u32("current settings"))
        classOfDevice = try reader.u24("class of device")
        name = Self.text(try reader.take(Self.nameCount, "name"))
        shortName = Self.text(try reader.take(Self.shortNameCount, "short name"))
    }

    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.append(address.bytes)
        writer.u8(version)
        writer.u16(manufacturer)
        writer.u32(supportedSettings.rawValue)
        writer.u32(currentSettings.rawValue)
        writer.u24(classOfDevice)
        writer.append(Self.field(name, Self.nameCount))
        writer.append(Self.field(shortName, Self.shortNameCount))
        return writer.bytes
    }

    public var hasAddress: Bool { address.bytes.contains { $0 != 0 } }

    private static func text(_ field: [UInt8]) -> String { String(decoding: field.prefix { $0 != 0 }, as: UTF8.self) }

    /// Cut so that at least one zero ends it.
    private static func field(_ text: String, _ count: Int) -> [UInt8] {
        let octets = Array(text.utf8.prefix(count - 1))
        return octets + [UInt8](repeating: 0, count: count - octets.count)
    }
}
