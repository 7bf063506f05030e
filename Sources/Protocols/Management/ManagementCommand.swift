public import Vitals

/// One command to the kernel's management interface, as a value.
///
/// Frame, little-endian: `opcode (2) | controller index (2) | parameter length (2) | parameters`. Source: BlueZ doc/mgmt-api.txt,
/// Packet Structures. The kernel answers each with Command Complete or Command Status.
public struct ManagementCommand: Hashable, Sendable {
    /// The index of what concerns no controller.
    public static let noController: UInt16 = 0xFFFF

    public var opcode: ManagementOpcode
    public var index: UInt16
    public var parameters: [UInt8]

    public init(_ opcode: ManagementOpcode, index: UInt16, parameters: [UInt8] = []) {
        self.opcode = opcode
        self.index = index
        self.parameters = parameters
    }

    /// As it is written to the socket. Parameters beyond 65,535 bytes have no frame: the kernel answers "invalid parameters".
    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: 6 + parameters.count)
        writer.u16(opcode.rawValue)
        writer.u16(index)
        writer.u16(UInt16(clamping: parameters.count))
        writer.append(parameters)
        return writer.bytes
    }

    /// Reads what a program wrote to its socket: for a scripted kernel.
    public init(decoding bytes: [UInt8]) throws(ManagementError) {
        self = try Management.reading(bytes) { reader throws(DecodeError) in
            let raw = try reader.u16("opcode")
            guard let opcode = ManagementOpcode(rawValue: raw) else {
                throw reader.error(.reservedOpcode, at: 0, "expected a known command, found \(raw)")
            }
            let index = try reader.u16("controller index")
            let parameters = try reader.take(Int(try reader.u16("parameter length")), "parameters")
            try reader.finish()
            return ManagementCommand(opcode, index: index, parameters: parameters)
        }
    }
}

extension ManagementCommand: CustomStringConvertible {
    /// Its name and where. Never the parameters: keys, PINs and passkeys are among them.
    public var description: String {
        opcode.description + (index == Self.noController ? "" : ", controller \(index)")
    }
}

// MARK: Controllers

extension ManagementCommand {
    public static let readVersion = ManagementCommand(.readVersion, index: noController)
    public static let readIndexList = ManagementCommand(.readIndexList, index: noController)
    /// Controllers that need firmware or an address before they are controllers.
    public static let readUnconfiguredIndexList = ManagementCommand(.readUnconfiguredIndexList, index: noController)

    public static func readControllerInfo(_ index: UInt16) -> Self { Self(.readControllerInfo, index: index) }
    public static func setPowered(_ index: UInt16, _ isOn: Bool) -> Self { mode(.setPowered, index, isOn) }
    public static func setConnectable(_ index: UInt16, _ isOn: Bool) -> Self { mode(.setConnectable, index, isOn) }
    public static func setFastConnectable(_ index: UInt16, _ isOn: Bool) -> Self { mode(.setFastConnectable, index, isOn) }
    public static func setBondable(_ index: UInt16, _ isOn: Bool) -> Self { mode(.setBondable, index, isOn) }
    public static func setSSP(_ index: UInt16, _ isOn: Bool) -> Self { mode(.setSSP, index, isOn) }
    public static func setLE(_ index: UInt16, _ isOn: Bool) -> Self { mode(.setLE, index, isOn) }
    public static func setBREDR(_ index: UInt16, _ isOn: Bool) -> Self { mode(.setBREDR, index, isOn) }
    public static func setSecureConnections(_ index: UInt16, _ isOn: Bool) -> Self { mode(.setSecureConnections, index, isOn) }

    public static func setIOCapability(_ index: UInt16, _ capability: IOCapability) -> Self {
        Self(.setIOCapability, index: index, parameters: [capability.rawValue])
    }

    /// Only the six bytes; the kernel takes static random addresses, and only while the controller is off.
    public static func setStaticAddress(_ index: UInt16, _ address: DeviceAddress) -> Self {
        Self(.setStaticAddress, index: index, parameters: address.bytes)
    }

    /// Whether this side hides behind addresses that `key` resolves: `privacy | key (16)`.
    public static func setPrivacy(_ index: UInt16, _ isOn: Bool, key: Key128) -> Self {
        Self(.setPrivacy, index: index, parameters: [isOn ? 1 : 0] + key.bytes)
    }

    private static func mode(_ opcode: ManagementOpcode, _ index: UInt16, _ isOn: Bool) -> Self {
        Self(opcode, index: index, parameters: [isOn ? 1 : 0])
    }
}

// MARK: Keys and parameters: each call replaces all that was loaded

extension ManagementCommand {
    /// `debug keys | count (2) | records of 25`. Debug keys are never accepted.
    public static func loadLinkKeys(_ index: UInt16, _ keys: [LinkKey]) -> Self {
        Self(.loadLinkKeys, index: index, parameters: [0] + list(keys))
    }

    /// `count (2) | records of 36`. The kernel skips a key whose address is no identity, with success.
    public static func loadLongTermKeys(_ index: UInt16, _ keys: [LongTermKey]) -> Self {
        Self(.loadLongTermKeys, index: index, parameters: list(keys))
    }

    /// `count (2) | records of 23`. One invalid key makes the kernel refuse all. Only after this call, even with none, does the
    /// kernel ask peers for their keys.
    public static func loadIdentityResolvingKeys(_ index: UInt16, _ keys: [IdentityResolvingKey]) -> Self {
        Self(.loadIdentityResolvingKeys, index: index, parameters: list(keys))
    }

    /// `count (2) | records of 15`
    public static func loadConnectionParameters(_ index: UInt16, _ parameters: [ConnectionParameters]) -> Self {
        Self(.loadConnectionParameters, index: index, parameters: list(parameters))
    }

    private static func list(_ records: [some ManagementRecord]) -> [UInt8] {
        var writer = ByteWriter(capacity: 2)
        writer.u16(UInt16(clamping: records.count))
        for record in records { writer.append(record.bytes) }
        return writer.bytes
    }
}

// MARK: Links and pairing

extension ManagementCommand {
    public static func getConnections(_ index: UInt16) -> Self { Self(.getConnections, index: index) }

    public static func disconnect(_ index: UInt16, _ address: DeviceAddress) -> Self { device(.disconnect, index, address) }

    public static func pair(_ index: UInt16, _ address: DeviceAddress, _ capability: IOCapability) -> Self {
        device(.pair, index, address, [capability.rawValue])
    }

    public static func cancelPair(_ index: UInt16, _ address: DeviceAddress) -> Self { device(.cancelPair, index, address) }

    /// Removes the kernel's keys of the device.
    public static func unpair(_ index: UInt16, _ address: DeviceAddress, disconnect: Bool) -> Self {
        device(.unpair, index, address, [disconnect ? 1 : 0])
    }

    /// The answer to User Confirmation Request, yes or no.
    public static func confirmReply(_ index: UInt16, _ address: DeviceAddress, accept: Bool) -> Self {
        device(accept ? .confirmReply : .confirmNegReply, index, address)
    }

    /// The answer to User Passkey Request; `nil` is the negative one.
    public static func passkeyReply(_ index: UInt16, _ address: DeviceAddress, passkey: UInt32?) -> Self {
        guard let passkey else { return device(.passkeyNegReply, index, address) }
        var writer = ByteWriter(capacity: 4)
        writer.u32(passkey)
        return device(.passkeyReply, index, address, writer.bytes)
    }

    /// The answer to PIN Code Request, `PIN length | PIN (16, filled with zeros)`; `nil`, and what is no PIN of 1 to 16 bytes, is
    /// the negative one.
    public static func pinReply(_ index: UInt16, _ address: DeviceAddress, pin: [UInt8]?) -> Self {
        guard let pin, (1...16).contains(pin.count) else { return device(.pinCodeNegReply, index, address) }
        return device(
            .pinCodeReply, index, address, [UInt8(pin.count)] + pin + [UInt8](repeating: 0, count: 16 - pin.count))
    }

    private static func device(
        _ opcode: ManagementOpcode, _ index: UInt16, _ address: DeviceAddress, _ more: [UInt8] = []
    ) -> Self {
        Self(opcode, index: index, parameters: address.bytes + [address.kind.rawValue] + more)
    }
}

// MARK: Discovery and the lists of devices

extension ManagementCommand {
    public static func startDiscovery(_ index: UInt16, _ transports: DiscoveryTransports) -> Self {
        Self(.startDiscovery, index: index, parameters: [transports.rawValue])
    }

    /// The transports must be those of the start.
    public static func stopDiscovery(_ index: UInt16, _ transports: DiscoveryTransports) -> Self {
        Self(.stopDiscovery, index: index, parameters: [transports.rawValue])
    }

    /// Reports only devices that advertise one of the services and are heard with at least `minimumRSSI` dBm; `nil` is any level.
    ///
    /// `transports | RSSI | count (2) | UUIDs of 16`; 127 is any level.
    public static func startServiceDiscovery(
        _ index: UInt16, _ transports: DiscoveryTransports, minimumRSSI: Int8? = nil, services: [BluetoothUUID]
    ) -> Self {
        var writer = ByteWriter(capacity: 4 + 16 * services.count)
        writer.u8(transports.rawValue)
        writer.u8(UInt8(bitPattern: minimumRSSI ?? unknownRSSI))
        writer.u16(UInt16(clamping: services.count))
        for service in services { writer.append(service.fullLittleEndian) }
        return Self(.startServiceDiscovery, index: index, parameters: writer.bytes)
    }

    /// The answer to the confirm-name flag of Device Found; with `isKnown` false the kernel asks the device for its name.
    public static func confirmName(_ index: UInt16, _ address: DeviceAddress, isKnown: Bool) -> Self {
        device(.confirmName, index, address, [isKnown ? 1 : 0])
    }

    public static func addDevice(_ index: UInt16, _ address: DeviceAddress, action: AddAction) -> Self {
        device(.addDevice, index, address, [action.rawValue])
    }

    /// `nil` is all of them, which the interface writes as seven zeros.
    public static func removeDevice(_ index: UInt16, _ address: DeviceAddress?) -> Self {
        Self(
            .removeDevice, index: index,
            parameters: address.map { $0.bytes + [$0.kind.rawValue] } ?? [UInt8](repeating: 0, count: 7))
    }

    public static func blockDevice(_ index: UInt16, _ address: DeviceAddress) -> Self { device(.blockDevice, index, address) }
    public static func unblockDevice(_ index: UInt16, _ address: DeviceAddress) -> Self { device(.unblockDevice, index, address) }

    /// What the interface writes where no level is known or wanted.
    static let unknownRSSI: Int8 = 127
}
