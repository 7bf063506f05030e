public import Protocols
public import Vitals

/// The keys of one bond, as the kernel handed them out; they hold only with the adapter that made them.
public struct BondKeys: Hashable, Sendable {
    public var longTermKeys: [LongTermKey]
    /// Of a device with private addresses: the kernel resolves them with it.
    public var identityResolvingKey: IdentityResolvingKey?
    /// Bluetooth Classic.
    public var linkKey: LinkKey?

    public init(
        longTermKeys: [LongTermKey] = [], identityResolvingKey: IdentityResolvingKey? = nil, linkKey: LinkKey? = nil
    ) {
        self.longTermKeys = longTermKeys
        self.identityResolvingKey = identityResolvingKey
        self.linkKey = linkKey
    }

    /// Whether a link can be encrypted with them.
    public var isEmpty: Bool { longTermKeys.isEmpty && linkKey == nil }

    /// What an encrypted link reaches with them.
    public var security: LinkSecurity {
        if isEmpty { return .none }
        let isAuthenticated = longTermKeys.contains(where: \.isAuthenticated) || linkKey?.isAuthenticated == true
        return isAuthenticated ? .authenticated : .encrypted
    }
}

/// A device that the hub serves, as the kernel has to know it.
public struct KnownDevice: Hashable, Sendable {
    /// The identity address: the kernel takes no other for its list.
    public var address: DeviceAddress
    public var keys: BondKeys
    /// The identity address of the adapter that the keys hold with, `AA:BB:CC:DD:EE:FF`; `nil` where there are none.
    public var adapter: String?
    /// What a link with it must reach before anything of it is believed.
    public var demands: LinkSecurity
    /// How the link is timed; `nil` leaves the kernel's own.
    public var connection: ConnectionParameters?
    /// Waited after a session before the next connect: a cuff that advertises on would be connected without end.
    public var cooldown: Duration

    public init(
        address: DeviceAddress, keys: BondKeys, adapter: String?, demands: LinkSecurity,
        connection: ConnectionParameters? = nil, cooldown: Duration = .seconds(15)
    ) {
        self.address = address
        self.keys = keys
        self.adapter = adapter
        self.demands = demands
        self.connection = connection
        self.cooldown = cooldown
    }
}
