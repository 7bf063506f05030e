import Protocols
import Vitals

/// The attributes that a simulated device shows, in the order in which real ones of its kind have them.
enum PeripheralAttributes {
    /// What a small device takes: an indication of a whole record fits the default of 23, long texts need two reads.
    static let largestMTU: UInt16 = 65

    static func server(_ kind: SimulatedPeripheral.Kind, _ script: PeripheralScript, _ identity: DeviceIdentity) -> GATTServer {
        var server = GATTServer(largestMTU: largestMTU)
        server.addService(0x1800)
        server.addCharacteristic(0x2A00, .read, value: Array((identity.modelNumber ?? "").utf8))
        server.addService(0x1801)
        server.addCharacteristic(.serviceChanged, .indicate)
        switch kind {
        case .cuff:
            server.addService(0x1810)
            server.addCharacteristic(0x2A35, .indicate)
            server.addCharacteristic(0x2A36, .notify)
            // Movement, cuff fit, irregular pulse and pulse range are told.
            server.addCharacteristic(0x2A49, .read, value: [0x0F, 0x00])
            if script.usesDateTime { server.addCharacteristic(0x2A08, [.read, .write]) }
        case .oximeter:
            server.addService(0x1822)
            server.addCharacteristic(0x2A5E, .indicate)
            server.addCharacteristic(0x2A5F, .notify)
            // Measurement status, sensor status, storage and time stamps; then which bits of the two.
            server.addCharacteristic(0x2A60, .read, value: [0x0F, 0x00, 0xE0, 0xFF, 0xFF, 0xFF, 0x00])
            server.addCharacteristic(.recordAccess, [.indicate, .write])
        }
        if !script.usesDateTime {
            server.addService(0x1805)
            server.addCharacteristic(0x2A2B, [.read, .write])
        }
        server.liveValues = [script.usesDateTime ? 0x2A08 : 0x2A2B]
        server.writeErrors = script.clockWriteError.map { [0x2A2B: $0, 0x2A08: $0] } ?? [:]
        server.addService(0x180A)
        func text(_ type: BluetoothUUID, _ value: String?) {
            if let value { server.addCharacteristic(type, .read, value: Array(value.utf8)) }
        }
        text(0x2A29, identity.manufacturer)
        text(0x2A24, identity.modelNumber)
        text(0x2A25, identity.serialNumber)
        text(0x2A26, identity.firmwareRevision)
        if let id = identity.systemID { server.addCharacteristic(0x2A23, .read, value: id.reversed()) }
        server.addService(0x180F)
        server.addCharacteristic(0x2A19, [.read, .notify], value: [66])
        return server
    }

    /// A clock's value when it is read; zeros while it is unset.
    static func clockValue(of type: BluetoothUUID, face: LocalDateTime?) -> [UInt8] {
        guard let face else { return [UInt8](repeating: 0, count: type == 0x2A2B ? 10 : DateTime.length) }
        return type == 0x2A2B ? CurrentTime(setting: face).encoded : DateTime(face).encoded
    }
}
