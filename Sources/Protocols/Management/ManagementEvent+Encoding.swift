public import Vitals

extension ManagementEvent {
    /// The controller that it concerns; 0xFFFF is none.
    public var index: UInt16 {
        switch self {
        case .commandComplete(let index, _, _, _), .commandStatus(let index, _, _), .controllerError(let index, _),
            .indexAdded(let index), .indexRemoved(let index), .newSettings(let index, _), .newLinkKey(let index, _, _),
            .newLongTermKey(let index, _, _), .newIdentityResolvingKey(let index, _, _, _), .deviceConnected(let index, _, _, _),
            .deviceDisconnected(let index, _, _), .connectFailed(let index, _, _), .pinCodeRequest(let index, _, _),
            .userConfirmRequest(let index, _, _, _), .userPasskeyRequest(let index, _), .passkeyNotify(let index, _, _, _),
            .authFailed(let index, _, _), .deviceFound(let index, _, _, _, _), .discovering(let index, _, _),
            .deviceBlocked(let index, _), .deviceUnblocked(let index, _), .deviceUnpaired(let index, _),
            .deviceAdded(let index, _, _), .deviceRemoved(let index, _), .newConnectionParameters(let index, _, _),
            .other(_, let index, _):
            index
        }
    }

    /// The device that it concerns, if it concerns one.
    public var address: DeviceAddress? {
        switch self {
        case .newLinkKey(_, _, let key): key.address
        case .newLongTermKey(_, _, let key): key.address
        case .newIdentityResolvingKey(_, _, _, let key): key.address
        case .newConnectionParameters(_, _, let parameters): parameters.address
        case .deviceConnected(_, let address, _, _), .deviceDisconnected(_, let address, _), .connectFailed(_, let address, _),
            .pinCodeRequest(_, let address, _), .userConfirmRequest(_, let address, _, _), .userPasskeyRequest(_, let address),
            .passkeyNotify(_, let address, _, _), .authFailed(_, let address, _), .deviceFound(_, let address, _, _, _),
            .deviceBlocked(_, let address), .deviceUnblocked(_, let address), .deviceUnpaired(_, let address),
            .deviceAdded(_, let address, _), .deviceRemoved(_, let address):
            address
        case .commandComplete, .commandStatus, .controllerError, .indexAdded, .indexRemoved, .newSettings, .discovering, .other:
            nil
        }
    }

    /// As the kernel sends it: for a scripted kernel.
    ///
    /// A length has two bytes: advertising data and return parameters beyond 65,535 are cut.
    public var bytes: [UInt8] {
        let parameters = parameters.prefix(Int(UInt16.max))
        return octets(code) + octets(index) + octets(UInt16(parameters.count)) + parameters
    }

    private var code: UInt16 {
        switch self {
        case .commandComplete: Code.commandComplete.rawValue
        case .commandStatus: Code.commandStatus.rawValue
        case .controllerError: Code.controllerError.rawValue
        case .indexAdded: Code.indexAdded.rawValue
        case .indexRemoved: Code.indexRemoved.rawValue
        case .newSettings: Code.newSettings.rawValue
        case .newLinkKey: Code.newLinkKey.rawValue
        case .newLongTermKey: Code.newLongTermKey.rawValue
        case .newIdentityResolvingKey: Code.newIdentityResolvingKey.rawValue
        case .deviceConnected: Code.deviceConnected.rawValue
        case .deviceDisconnected: Code.deviceDisconnected.rawValue
        case .connectFailed: Code.connectFailed.rawValue
        case .pinCodeRequest: Code.pinCodeRequest.rawValue
        case .userConfirmRequest: Code.userConfirmRequest.rawValue
        case .userPasskeyRequest: Code.userPasskeyRequest.rawValue
        case .passkeyNotify: Code.passkeyNotify.rawValue
        case .authFailed: Code.authFailed.rawValue
        case .deviceFound: Code.deviceFound.rawValue
        case .discovering: Code.discovering.rawValue
        case .deviceBlocked: Code.deviceBlocked.rawValue
        case .deviceUnblocked: Code.deviceUnblocked.rawValue
        case .deviceUnpaired: Code.deviceUnpaired.rawValue
        case .deviceAdded: Code.deviceAdded.rawValue
        case .deviceRemoved: Code.deviceRemoved.rawValue
        case .newConnectionParameters: Code.newConnectionParameters.rawValue
        case .other(let code, _, _): code
        }
    }

    private var parameters: [UInt8] {
        switch self {
        case .commandComplete(_, let opcode, let status, let parameters): octets(opcode) + [status.rawValue] + parameters
        case .commandStatus(_, let opcode, let status): octets(opcode) + [status.rawValue]
        case .controllerError(_, let code): [code]
        case .indexAdded, .indexRemoved: []
        case .newSettings(_, let settings): octets(settings.rawValue)
        case .newLinkKey(_, let isStored, let key): [octet(isStored)] + key.bytes
        case .newLongTermKey(_, let isStored, let key): [octet(isStored)] + key.bytes
        case .newIdentityResolvingKey(_, let isStored, let random, let key):
            [octet(isStored)] + (random?.bytes ?? [UInt8](repeating: 0, count: 6)) + key.bytes
        case .deviceConnected(_, let address, let flags, let data):
            octets(address) + octets(flags) + advertising(data, after: 13)
        case .deviceDisconnected(_, let address, let reason): octets(address) + [reason.rawValue]
        case .connectFailed(_, let address, let status), .authFailed(_, let address, let status):
            octets(address) + [status.rawValue]
        case .pinCodeRequest(_, let address, let isSecure): octets(address) + [octet(isSecure)]
        case .userConfirmRequest(_, let address, let isHint, let value): octets(address) + [octet(isHint)] + octets(value)
        case .passkeyNotify(_, let address, let passkey, let entered): octets(address) + octets(passkey) + [entered]
        case .deviceFound(_, let address, let rssi, let flags, let data):
            octets(address) + [UInt8(bitPattern: rssi ?? ManagementCommand.unknownRSSI)] + octets(flags.rawValue)
                + advertising(data, after: 14)
        case .discovering(_, let transports, let isActive): [transports.rawValue, octet(isActive)]
        case .deviceAdded(_, let address, let action): octets(address) + [action.rawValue]
        case .userPasskeyRequest(_, let address), .deviceBlocked(_, let address), .deviceUnblocked(_, let address),
            .deviceUnpaired(_, let address), .deviceRemoved(_, let address):
            octets(address)
        case .newConnectionParameters(_, let isStored, let parameters):
            octets(parameters.address) + [octet(isStored)] + parameters.values
        case .other(_, _, let parameters): parameters
        }
    }
}

/// `length (2) | data`, cut so that the frame's own length holds it behind the `count` bytes before.
private func advertising(_ data: [UInt8], after count: Int) -> [UInt8] {
    let part = data.prefix(Int(UInt16.max) - count)
    return octets(UInt16(part.count)) + part
}

private func octet(_ flag: Bool) -> UInt8 { flag ? 1 : 0 }
private func octets(_ number: UInt16) -> [UInt8] { [UInt8(truncatingIfNeeded: number), UInt8(truncatingIfNeeded: number >> 8)] }
private func octets(_ number: UInt32) -> [UInt8] {
    octets(UInt16(truncatingIfNeeded: number)) + octets(UInt16(truncatingIfNeeded: number >> 16))
}
private func octets(_ address: DeviceAddress) -> [UInt8] { address.bytes + [address.kind.rawValue] }
