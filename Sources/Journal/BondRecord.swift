public import Vitals

/// What a pairing left: the keys by which the kernel encrypts later links with the device.
///
/// The keys stand as the management interface hands and takes them, so that nothing is lost in between (Linux kernel,
/// `include/net/bluetooth/mgmt.h`: `mgmt_ltk_info`, `mgmt_irk_info`, `mgmt_link_key_info`).
public struct BondRecord: Hashable, Sendable {
    public var device: Int64
    /// The local controller's address: the keys hold with it alone.
    public var adapter: String
    /// The device's identity address.
    public var address: String
    /// Address (6 bytes), address type, key type, role, key size (1 each), ediv (2), random number (8), key (16).
    public var longTermKeys: [[UInt8]]
    /// Address (6 bytes), address type (1), key (16): resolves the device's private addresses.
    public var identityResolvingKey: [UInt8]?
    /// Address (6 bytes), address type, key type (1 each), key (16), PIN length (1): of Bluetooth Classic.
    public var linkKey: [UInt8]?
    /// What the pairing achieved.
    public var security: LinkSecurity
    public var bonded: Instant

    public static let longTermKeyBytes = 36
    public static let identityResolvingKeyBytes = 23
    public static let linkKeyBytes = 25

    public init(
        device: Int64, adapter: String, address: String, longTermKeys: [[UInt8]] = [], identityResolvingKey: [UInt8]? = nil,
        linkKey: [UInt8]? = nil, security: LinkSecurity, bonded: Instant
    ) {
        self.device = device
        self.adapter = adapter
        self.address = address
        self.longTermKeys = longTermKeys
        self.identityResolvingKey = identityResolvingKey
        self.linkKey = linkKey
        self.security = security
        self.bonded = bonded
    }

    /// The kernel refuses a whole list of keys for one of the wrong length.
    var hasWholeKeys: Bool {
        longTermKeys.allSatisfy { $0.count == Self.longTermKeyBytes }
            && identityResolvingKey.map { $0.count == Self.identityResolvingKeyBytes } ?? true
            && linkKey.map { $0.count == Self.linkKeyBytes } ?? true
    }
}

/// Keys never reach a log, however the record is printed (R8).
extension BondRecord: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        "bond of device \(device), \(security.rawValue), \(longTermKeys.count) long term keys, "
            + "\(identityResolvingKey == nil ? "no" : "an") identity resolving key, \(linkKey == nil ? "no" : "a") link key"
    }

    public var debugDescription: String { description }

    public var customMirror: Mirror { Mirror(self, children: ["device": device, "security": security]) }
}
