import Vitals

extension ManagementEvent: CustomStringConvertible {
    /// What, who and where for a log, with why where there is a reason. Never keys, passkeys, values to compare or data.
    public var description: String {
        [name, address?.description, reason, index == ManagementCommand.noController ? nil : "controller \(index)"]
            .compactMap { $0 }.joined(separator: ", ")
    }

    private var reason: String? {
        switch self {
        case .commandComplete(_, let opcode, let status, _), .commandStatus(_, let opcode, let status):
            (ManagementOpcode(rawValue: opcode)?.description ?? "command 0x" + opcode.hex4) + ": \(status)"
        case .controllerError(_, let code): "code \(code)"
        case .newSettings(_, let settings): settings.description
        case .deviceDisconnected(_, _, let reason): reason.description
        case .connectFailed(_, _, let status), .authFailed(_, _, let status): status.description
        case .discovering(_, _, let isActive): isActive ? "started" : "stopped"
        default: nil
        }
    }

    /// The document's name of the event, in words.
    private var name: String {
        switch self {
        case .commandComplete: "command complete"
        case .commandStatus: "command status"
        case .controllerError: "controller error"
        case .indexAdded: "index added"
        case .indexRemoved: "index removed"
        case .newSettings: "new settings"
        case .newLinkKey: "new link key"
        case .newLongTermKey: "new long term key"
        case .newIdentityResolvingKey: "new identity resolving key"
        case .deviceConnected: "device connected"
        case .deviceDisconnected: "device disconnected"
        case .connectFailed: "connect failed"
        case .pinCodeRequest: "PIN code request"
        case .userConfirmRequest: "user confirmation request"
        case .userPasskeyRequest: "user passkey request"
        case .passkeyNotify: "passkey notify"
        case .authFailed: "authentication failed"
        case .deviceFound: "device found"
        case .discovering: "discovering"
        case .deviceBlocked: "device blocked"
        case .deviceUnblocked: "device unblocked"
        case .deviceUnpaired: "device unpaired"
        case .deviceAdded: "device added"
        case .deviceRemoved: "device removed"
        case .newConnectionParameters: "new connection parameters"
        case .other(let code, _, _): "event 0x" + code.hex4
        }
    }
}
