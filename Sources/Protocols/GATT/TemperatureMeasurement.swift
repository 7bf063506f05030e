public import Vitals

/// Temperature Measurement 2A1C (indicated): `flags u8 | temperature FLOAT | [b1 time 7] | [b2 type u8]`.
///
/// Flag b0: 0 degrees Celsius, 1 Fahrenheit (of the wire, not of the display); b3 to b7 are reserved. Source: Health Thermometer
/// Service 1.0, Bluetooth GSS.
public struct TemperatureMeasurement: MeasurementValue {
    public static let uuid = GATTCharacteristic.temperatureMeasurement

    public var isFahrenheit: Bool
    public var temperature: Float32Decimal
    public var timeStamp: LocalDateTime?
    /// Where it was taken, as sent; see ``Site``.
    public var type: UInt8?
    /// Flag bits 3 to 7 as sent.
    public var reservedFlags: UInt8

    /// Temperature Type 2A1D.
    public enum Site: UInt8, Hashable, Sendable, CaseIterable {
        case armpit = 1
        case body = 2
        case ear = 3
        case finger = 4
        case gastrointestinal = 5
        case mouth = 6
        case rectum = 7
        case toe = 8
        case tympanum = 9

        public var name: String { String(describing: self) }
    }

    public var site: Site? { type.flatMap(Site.init) }

    public init(
        isFahrenheit: Bool = false, temperature: Float32Decimal, timeStamp: LocalDateTime? = nil, type: UInt8? = nil,
        reservedFlags: UInt8 = 0
    ) {
        self.isFahrenheit = isFahrenheit
        self.temperature = temperature
        self.timeStamp = timeStamp
        self.type = type
        self.reservedFlags = reservedFlags & 0xF8
    }

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let flags = try reader.u8("flags")
        isFahrenheit = flags & 1 != 0
        temperature = Float32Decimal(bits: try reader.u32("temperature"))
        timeStamp = flags & 2 != 0 ? try reader.dateTime("time stamp") : nil
        type = flags & 4 != 0 ? try reader.u8("temperature type") : nil
        reservedFlags = flags & 0xF8
        try reader.finish()
    }

    private var flags: UInt8 { (isFahrenheit ? 1 : 0) | (timeStamp != nil ? 2 : 0) | (type != nil ? 4 : 0) }

    public var encoded: [UInt8] { bytes(flags: flags | reservedFlags) }

    private func bytes(flags: UInt8) -> [UInt8] {
        var writer = ByteWriter()
        writer.u8(flags)
        writer.u32(temperature.bits)
        if let timeStamp { writer.dateTime(timeStamp) }
        if let type { writer.u8(type) }
        return writer.bytes
    }

    /// `2a1c/1`: the frame without reserved flags.
    public var measurement: Measurement {
        let stamp = TimeStamp(timeStamp)
        return Measurement(
            kind: .bodyTemperature,
            quantities: [
                Quantity(
                    .temperature, type: .bodyTemperature, value: temperature.value,
                    unit: isFahrenheit ? .degreeFahrenheit : .degreeCelsius)
            ],
            deviceTime: stamp.deviceTime, isDeviceClockUnset: stamp.isUnset,
            projection: StoredProjection(codec: "2a1c/1", bytes: bytes(flags: flags), distinguishes: stamp.deviceTime != nil),
            warnings: reservedWarning("flag", UInt32(reservedFlags)) + stamp.warnings
                + (type != nil && site == nil ? ["reserved temperature type ignored"] : []))
    }
}
