import Vitals

extension ManagementEvent {
    /// Reads one read of the socket, which is one event.
    ///
    /// Bytes after the fields of an event are passed over, as BlueZ does: a newer kernel may send more.
    public init(decoding bytes: [UInt8]) throws(ManagementError) {
        self = try Management.reading(bytes) { reader throws(DecodeError) in
            let code = try reader.u16("event code")
            let index = try reader.u16("controller index")
            let length = try reader.u16("parameter length")
            guard reader.remaining == Int(length) else {
                throw reader.error(
                    reader.remaining < Int(length) ? .tooShort : .lengthMismatch, at: reader.offset,
                    "expected \(length) bytes of parameters, found \(reader.remaining)")
            }
            guard let known = Code(rawValue: code) else {
                return .other(code: code, index: index, parameters: reader.rest())
            }
            return try Self(known, index, &reader)
        }
    }

    private init(_ code: Code, _ index: UInt16, _ reader: inout ByteReader) throws(DecodeError) {
        switch code {
        case .commandComplete:
            self = .commandComplete(
                index: index, opcode: try reader.u16("opcode"), status: try reader.status(), parameters: reader.rest())
        case .commandStatus:
            self = .commandStatus(index: index, opcode: try reader.u16("opcode"), status: try reader.status())
        case .controllerError: self = .controllerError(index: index, code: try reader.u8("error code"))
        case .indexAdded: self = .indexAdded(index: index)
        case .indexRemoved: self = .indexRemoved(index: index)
        case .newSettings:
            self = .newSettings(index: index, ControllerSettings(rawValue: try reader.u32("current settings")))
        case .newLinkKey:
            self = .newLinkKey(index: index, isStored: try reader.hint("store hint"), try LinkKey(reading: &reader))
        case .newLongTermKey:
            self = .newLongTermKey(index: index, isStored: try reader.hint("store hint"), try LongTermKey(reading: &reader))
        case .newIdentityResolvingKey:
            let isStored = try reader.hint("store hint")
            let random = try reader.take(6, "random address")
            self = .newIdentityResolvingKey(
                index: index, isStored: isStored,
                randomAddress: random.contains { $0 != 0 } ? DeviceAddress(bytes: random, kind: .leRandom) : nil,
                try IdentityResolvingKey(reading: &reader))
        case .deviceConnected:
            self = .deviceConnected(
                index: index, try reader.deviceAddress(), flags: try reader.u32("flags"), data: try reader.advertisingData())
        case .deviceDisconnected:
            self = .deviceDisconnected(
                index: index, try reader.deviceAddress(), DisconnectReason(rawValue: try reader.u8("reason")) ?? .unknown)
        case .connectFailed: self = .connectFailed(index: index, try reader.deviceAddress(), try reader.status())
        case .pinCodeRequest:
            self = .pinCodeRequest(index: index, try reader.deviceAddress(), isSecure: try reader.hint("secure"))
        case .userConfirmRequest:
            self = .userConfirmRequest(
                index: index, try reader.deviceAddress(), isHint: try reader.hint("confirm hint"), value: try reader.u32("value"))
        case .userPasskeyRequest: self = .userPasskeyRequest(index: index, try reader.deviceAddress())
        case .passkeyNotify:
            self = .passkeyNotify(
                index: index, try reader.deviceAddress(), passkey: try reader.u32("passkey"), entered: try reader.u8("entered"))
        case .authFailed: self = .authFailed(index: index, try reader.deviceAddress(), try reader.status())
        case .deviceFound:
            let address = try reader.deviceAddress()
            let rssi = Int8(bitPattern: try reader.u8("RSSI"))
            self = .deviceFound(
                index: index, address, rssi: rssi == ManagementCommand.unknownRSSI ? nil : rssi,
                flags: DeviceFoundFlags(rawValue: try reader.u32("flags")), data: try reader.advertisingData())
        case .discovering:
            self = .discovering(
                index: index, DiscoveryTransports(rawValue: try reader.u8("transports")),
                isActive: try reader.hint("discovering"))
        case .deviceBlocked: self = .deviceBlocked(index: index, try reader.deviceAddress())
        case .deviceUnblocked: self = .deviceUnblocked(index: index, try reader.deviceAddress())
        case .deviceUnpaired: self = .deviceUnpaired(index: index, try reader.deviceAddress())
        case .deviceAdded: self = .deviceAdded(index: index, try reader.deviceAddress(), try reader.choice("action"))
        case .deviceRemoved: self = .deviceRemoved(index: index, try reader.deviceAddress())
        case .newConnectionParameters:
            let address = try reader.deviceAddress()
            self = .newConnectionParameters(
                index: index, isStored: try reader.hint("store hint"),
                try ConnectionParameters(address: address, values: &reader))
        }
    }
}

extension ByteReader {
    fileprivate mutating func status() throws(DecodeError) -> ManagementStatus {
        ManagementStatus(rawValue: try u8("status"))
    }

    /// `length (2) | data`
    fileprivate mutating func advertisingData() throws(DecodeError) -> [UInt8] {
        try take(Int(try u16("data length")), "advertising data")
    }
}
