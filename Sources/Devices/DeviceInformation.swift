import Protocols
import Vitals

/// The Device Information Service (0x180A) as an identity, one characteristic after the other.
enum DeviceInformation {
    /// In the order of their worth, should the device leave early: the key is made of manufacturer, model and serial number or
    /// System ID.
    static let characteristics: [BluetoothUUID] = [0x2A29, 0x2A24, 0x2A25, 0x2A23, 0x2A26, 0x2A27, 0x2A28, 0x2BFF]

    /// A value that cannot be read adds nothing: a guess could make two devices one.
    static func add(_ value: [UInt8], of type: BluetoothUUID, to identity: inout DeviceIdentity) {
        switch type {
        case 0x2A29: identity.manufacturer = text(value)
        case 0x2A24: identity.modelNumber = text(value)
        case 0x2A25: identity.serialNumber = text(value)
        case 0x2A26: identity.firmwareRevision = text(value)
        case 0x2A27: identity.hardwareRevision = text(value)
        case 0x2A28: identity.softwareRevision = text(value)
        // A System ID of zeros says nothing.
        case 0x2A23: identity.systemID = value.allSatisfy { $0 == 0 } ? nil : try? SystemID(decoding: value).bigEndian
        case 0x2BFF: identity.udi = (try? UniqueDeviceIdentifier(decoding: value))?.deviceIdentifier
        default: break
        }
    }

    private static func text(_ value: [UInt8]) -> String? {
        guard let text = try? DeviceText(decoding: value), !text.isEmpty else { return nil }
        return text.text
    }
}
