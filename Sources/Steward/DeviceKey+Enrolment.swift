import Crypto
public import Vitals

extension DeviceKey {
    /// The key of a device from what it says of itself, the same on every hub (R3). Compute it once, at enrolment, and freeze it:
    /// a later firmware may fill in a serial number, and the device's readings must stay one family.
    ///
    /// The first of these that is there: manufacturer, model and serial number (all three); System ID; identity address. Text is
    /// trimmed of NULs, white space and control characters, which devices pad their strings with. A serial number of one repeated
    /// character (`000000`, `-`) and a System ID of all zeros or all ones are factory defaults that many devices share, and count
    /// as absent: two cuffs under one key would take each other's readings for repeats.
    ///
    /// - Returns: `serial-`, `system-id-` or `address-` and 32 hex digits, which tell nothing of the device; `nil` where nothing
    ///   identifies it, and then no reading of it can be told from another's.
    public static func enrol(_ identity: DeviceIdentity) -> DeviceKey? {
        if let manufacturer = canonical(identity.manufacturer), let model = canonical(identity.modelNumber),
            let serial = canonical(identity.serialNumber), Set(serial).count > 1
        {
            return key("serial", [manufacturer, model, serial].map { Array($0.utf8) })
        }
        if let systemID = identity.systemID, systemID.count == 8, Set(systemID) != [0x00], Set(systemID) != [0xFF] {
            return key("system-id", [systemID])
        }
        if let address = identity.address.flatMap(octets(ofAddress:)) {
            return key("address", [address])
        }
        return nil
    }

    private static func key(_ basis: String, _ fields: [[UInt8]]) -> DeviceKey {
        var encoding = CanonicalBytes(domain: "vitalgate.device/1")
        encoding.append(basis)
        for field in fields { encoding.append(field) }
        // 128 bits: no two of any number of devices that a country has collide.
        return DeviceKey(rawValue: "\(basis)-\(Array(SHA256.hash(data: encoding.bytes).prefix(16)).hex)")
    }

    private static func canonical(_ text: String?) -> String? {
        guard let scalars = text?.unicodeScalars else { return nil }
        let isPadding = { (scalar: Unicode.Scalar) in
            scalar.value < 0x20 || scalar.value == 0x7F || scalar.properties.isWhitespace
        }
        guard let first = scalars.firstIndex(where: { !isPadding($0) }), let last = scalars.lastIndex(where: { !isPadding($0) })
        else { return nil }
        return String(scalars[first...last])
    }

    private static func octets(ofAddress text: String) -> [UInt8]? {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 6, parts.allSatisfy({ $0.utf8.count == 2 }), let bytes = [UInt8](hex: parts.joined()),
            Set(bytes) != [0x00], Set(bytes) != [0xFF]
        else { return nil }
        return bytes
    }
}
