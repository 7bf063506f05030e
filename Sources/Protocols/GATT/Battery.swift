/// Battery Level 2A19 (read, notified): percent, 0 to 100; 101 to 255 are reserved (Battery Service 1.1).
///
/// Some models know only a few steps: A&D cuffs send 100, 66, 40 and 33.
public struct BatteryLevel: CharacteristicValue {
    public static let uuid = GATTCharacteristic.batteryLevel

    public var percent: UInt8

    public init(percent: UInt8) { self.percent = min(percent, 100) }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        percent = try reader.u8("battery level")
        try reader.finish()
        guard percent <= 100 else { throw reader.error(.invalidValue, at: 0, "expected 0 to 100 percent, found \(percent)") }
    }

    public var encoded: [UInt8] { [percent] }
}
