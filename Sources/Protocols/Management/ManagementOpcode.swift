/// The commands of the management interface that a gateway sends.
///
/// Source: BlueZ doc/mgmt-api.txt; `MGMT_OP_*` of the kernel's include/net/bluetooth/mgmt.h.
public enum ManagementOpcode: UInt16, Hashable, Sendable, CaseIterable {
    case readVersion = 0x0001
    case readIndexList = 0x0003
    case readControllerInfo = 0x0004
    case setPowered = 0x0005
    case setConnectable = 0x0007
    case setFastConnectable = 0x0008
    case setBondable = 0x0009
    case setSSP = 0x000B
    case setLE = 0x000D
    case loadLinkKeys = 0x0012
    case loadLongTermKeys = 0x0013
    case disconnect = 0x0014
    case getConnections = 0x0015
    case pinCodeReply = 0x0016
    case pinCodeNegReply = 0x0017
    case setIOCapability = 0x0018
    case pair = 0x0019
    case cancelPair = 0x001A
    case unpair = 0x001B
    case confirmReply = 0x001C
    case confirmNegReply = 0x001D
    case passkeyReply = 0x001E
    case passkeyNegReply = 0x001F
    case startDiscovery = 0x0023
    case stopDiscovery = 0x0024
    case confirmName = 0x0025
    case blockDevice = 0x0026
    case unblockDevice = 0x0027
    case setBREDR = 0x002A
    case setStaticAddress = 0x002B
    case setSecureConnections = 0x002D
    case setPrivacy = 0x002F
    case loadIdentityResolvingKeys = 0x0030
    case addDevice = 0x0033
    case removeDevice = 0x0034
    case loadConnectionParameters = 0x0035
    case readUnconfiguredIndexList = 0x0036
    case startServiceDiscovery = 0x003A
}

extension ManagementOpcode: CustomStringConvertible {
    /// The document's name of the command, in words.
    public var description: String {
        switch self {
        case .readVersion: "read management version"
        case .readIndexList: "read controller index list"
        case .readControllerInfo: "read controller information"
        case .setPowered: "set powered"
        case .setConnectable: "set connectable"
        case .setFastConnectable: "set fast connectable"
        case .setBondable: "set bondable"
        case .setSSP: "set secure simple pairing"
        case .setLE: "set low energy"
        case .loadLinkKeys: "load link keys"
        case .loadLongTermKeys: "load long term keys"
        case .disconnect: "disconnect"
        case .getConnections: "get connections"
        case .pinCodeReply: "PIN code reply"
        case .pinCodeNegReply: "PIN code negative reply"
        case .setIOCapability: "set IO capability"
        case .pair: "pair device"
        case .cancelPair: "cancel pair device"
        case .unpair: "unpair device"
        case .confirmReply: "user confirmation reply"
        case .confirmNegReply: "user confirmation negative reply"
        case .passkeyReply: "user passkey reply"
        case .passkeyNegReply: "user passkey negative reply"
        case .startDiscovery: "start discovery"
        case .stopDiscovery: "stop discovery"
        case .confirmName: "confirm name"
        case .blockDevice: "block device"
        case .unblockDevice: "unblock device"
        case .setBREDR: "set BR/EDR"
        case .setStaticAddress: "set static address"
        case .setSecureConnections: "set secure connections"
        case .setPrivacy: "set privacy"
        case .loadIdentityResolvingKeys: "load identity resolving keys"
        case .addDevice: "add device"
        case .removeDevice: "remove device"
        case .loadConnectionParameters: "load connection parameters"
        case .readUnconfiguredIndexList: "read unconfigured controller index list"
        case .startServiceDiscovery: "start service discovery"
        }
    }
}
