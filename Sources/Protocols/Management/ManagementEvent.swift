public import Vitals

/// One event of the kernel's management interface. Everybody with such a socket sees all of them.
///
/// Frame, little-endian: `event code (2) | controller index (2) | parameter length (2) | parameters`. Source: BlueZ
/// doc/mgmt-api.txt and the `mgmt_ev_*` structures of the kernel's include/net/bluetooth/mgmt.h; `device` below is
/// `address (6) | address type (1)`.
public enum ManagementEvent: Hashable, Sendable {
    /// `0001: opcode (2) | status | return parameters`. The opcode may be of a command that this program does not send.
    case commandComplete(index: UInt16, opcode: UInt16, status: ManagementStatus, parameters: [UInt8])
    /// `0002: opcode (2) | status`
    case commandStatus(index: UInt16, opcode: UInt16, status: ManagementStatus)
    /// `0003: error code`, the controller's own Hardware Error.
    case controllerError(index: UInt16, code: UInt8)
    /// `0004`
    case indexAdded(index: UInt16)
    /// `0005`
    case indexRemoved(index: UInt16)
    /// `0006: current settings (4)`
    case newSettings(index: UInt16, ControllerSettings)
    /// `0009: store hint | link key (25)`
    case newLinkKey(index: UInt16, isStored: Bool, LinkKey)
    /// `000a: store hint | long term key (36)`. Without the hint the key is of this link only.
    case newLongTermKey(index: UInt16, isStored: Bool, LongTermKey)
    /// `0018: store hint | random address (6) | identity resolving key (23)`. From here on the device goes by its identity;
    /// the random address is what it was known by, `nil` where it was its identity already.
    case newIdentityResolvingKey(index: UInt16, isStored: Bool, randomAddress: DeviceAddress?, IdentityResolvingKey)
    /// `000b: device | flags (4) | data length (2) | advertising data`
    case deviceConnected(index: UInt16, DeviceAddress, flags: UInt32, data: [UInt8])
    /// `000c: device | reason`
    case deviceDisconnected(index: UInt16, DeviceAddress, DisconnectReason)
    /// `000d: device | status`
    case connectFailed(index: UInt16, DeviceAddress, ManagementStatus)
    /// `000e: device | secure`: whether the PIN must have 16 digits.
    case pinCodeRequest(index: UInt16, DeviceAddress, isSecure: Bool)
    /// `000f: device | hint | value (4)`. With the hint there is no number to compare, only yes or no. Comes for Just Works too,
    /// and nothing goes on until it is answered.
    case userConfirmRequest(index: UInt16, DeviceAddress, isHint: Bool, value: UInt32)
    /// `0010: device`
    case userPasskeyRequest(index: UInt16, DeviceAddress)
    /// `0017: device | passkey (4) | digits entered on the device`. Needs no answer.
    case passkeyNotify(index: UInt16, DeviceAddress, passkey: UInt32, entered: UInt8)
    /// `0011: device | status`
    case authFailed(index: UInt16, DeviceAddress, ManagementStatus)
    /// `0012: device | RSSI in dBm | flags (4) | data length (2) | advertising data and scan response`
    case deviceFound(index: UInt16, DeviceAddress, rssi: Int8?, flags: DeviceFoundFlags, data: [UInt8])
    /// `0013: transports | discovering`. Comes and goes between a start and a stop.
    case discovering(index: UInt16, DiscoveryTransports, isActive: Bool)
    /// `0014: device`. This and the next four are for commands of *other* sockets.
    case deviceBlocked(index: UInt16, DeviceAddress)
    /// `0015: device`
    case deviceUnblocked(index: UInt16, DeviceAddress)
    /// `0016: device`
    case deviceUnpaired(index: UInt16, DeviceAddress)
    /// `001a: device | action`
    case deviceAdded(index: UInt16, DeviceAddress, AddAction)
    /// `001b: device`
    case deviceRemoved(index: UInt16, DeviceAddress)
    /// `001c: device | store hint | minimum interval (2) | maximum interval (2) | latency (2) | timeout (2)`.
    ///
    /// So the kernel's `mgmt_ev_new_conn_param`; the document has the hint first.
    case newConnectionParameters(index: UInt16, isStored: Bool, ConnectionParameters)
    /// Any other, of a newer kernel or of no use to a gateway.
    case other(code: UInt16, index: UInt16, parameters: [UInt8])
}

extension ManagementEvent {
    enum Code: UInt16 {
        case commandComplete = 0x0001
        case commandStatus = 0x0002
        case controllerError = 0x0003
        case indexAdded = 0x0004
        case indexRemoved = 0x0005
        case newSettings = 0x0006
        case newLinkKey = 0x0009
        case newLongTermKey = 0x000A
        case deviceConnected = 0x000B
        case deviceDisconnected = 0x000C
        case connectFailed = 0x000D
        case pinCodeRequest = 0x000E
        case userConfirmRequest = 0x000F
        case userPasskeyRequest = 0x0010
        case authFailed = 0x0011
        case deviceFound = 0x0012
        case discovering = 0x0013
        case deviceBlocked = 0x0014
        case deviceUnblocked = 0x0015
        case deviceUnpaired = 0x0016
        case passkeyNotify = 0x0017
        case newIdentityResolvingKey = 0x0018
        case deviceAdded = 0x001A
        case deviceRemoved = 0x001B
        case newConnectionParameters = 0x001C
    }
}
