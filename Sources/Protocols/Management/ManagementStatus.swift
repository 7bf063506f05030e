/// How a command ended, and why a connection or an authentication failed.
///
/// Source: BlueZ doc/mgmt-api.txt, Error Codes.
public struct ManagementStatus: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt8
    public init(rawValue: UInt8) { self.rawValue = rawValue }

    public static let success = ManagementStatus(rawValue: 0x00)
    public static let unknownCommand = ManagementStatus(rawValue: 0x01)
    public static let notConnected = ManagementStatus(rawValue: 0x02)
    public static let failed = ManagementStatus(rawValue: 0x03)
    public static let connectFailed = ManagementStatus(rawValue: 0x04)
    public static let authenticationFailed = ManagementStatus(rawValue: 0x05)
    public static let notPaired = ManagementStatus(rawValue: 0x06)
    public static let noResources = ManagementStatus(rawValue: 0x07)
    public static let timeout = ManagementStatus(rawValue: 0x08)
    public static let alreadyConnected = ManagementStatus(rawValue: 0x09)
    public static let busy = ManagementStatus(rawValue: 0x0A)
    public static let rejected = ManagementStatus(rawValue: 0x0B)
    public static let notSupported = ManagementStatus(rawValue: 0x0C)
    public static let invalidParameters = ManagementStatus(rawValue: 0x0D)
    public static let disconnected = ManagementStatus(rawValue: 0x0E)
    public static let notPowered = ManagementStatus(rawValue: 0x0F)
    public static let cancelled = ManagementStatus(rawValue: 0x10)
    public static let invalidIndex = ManagementStatus(rawValue: 0x11)
    public static let rfkilled = ManagementStatus(rawValue: 0x12)
    public static let alreadyPaired = ManagementStatus(rawValue: 0x13)
    public static let permissionDenied = ManagementStatus(rawValue: 0x14)

    public var isSuccess: Bool { self == .success }
}

extension ManagementStatus: CustomStringConvertible {
    /// In plain words, or the number.
    public var description: String {
        switch self {
        case .success: "success"
        case .unknownCommand: "the kernel does not know the command"
        case .notConnected: "the device is not connected"
        case .failed: "failed"
        case .connectFailed: "no connection could be made"
        case .authenticationFailed: "authentication failed"
        case .notPaired: "the device is not paired"
        case .noResources: "out of resources"
        case .timeout: "timed out"
        case .alreadyConnected: "already connected"
        case .busy: "busy with another operation"
        case .rejected: "rejected"
        case .notSupported: "the adapter does not support it"
        case .invalidParameters: "invalid parameters"
        case .disconnected: "the device disconnected"
        case .notPowered: "the adapter is off"
        case .cancelled: "cancelled"
        case .invalidIndex: "there is no such adapter"
        case .rfkilled: "the radio is blocked by rfkill"
        case .alreadyPaired: "already paired"
        case .permissionDenied: "permission denied"
        default: "status 0x" + String(rawValue, radix: 16)
        }
    }
}

/// Why a link ended, as far as the kernel tells.
///
/// Source: BlueZ doc/mgmt-api.txt, Device Disconnected.
public enum DisconnectReason: UInt8, Hashable, Sendable, CaseIterable {
    /// Unspecified, or a reason that this list does not have.
    case unknown = 0
    /// The peer was not heard for the supervision timeout.
    case timeout = 1
    case localHost = 2
    case remote = 3
    /// The peer's key and ours differ: a lost bond.
    case authenticationFailure = 4
    case localHostSuspend = 5
}

extension DisconnectReason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unknown: "unknown reason"
        case .timeout: "the device was not heard any more"
        case .localHost: "ended by this hub"
        case .remote: "ended by the device"
        case .authenticationFailure: "authentication failed"
        case .localHostSuspend: "ended by this hub for suspend"
        }
    }
}
