public import Vitals

/// How the radio keeps a link, 15 bytes: `address (6) | address type | minimum interval | maximum interval | latency | timeout`.
///
/// The intervals are in units of 1.25 ms, latency in connection events that the peripheral may skip, the supervision timeout in
/// units of 10 ms. Source: BlueZ doc/mgmt-api.txt, Load Connection Parameters; ranges Core Vol 4 Part E 7.8.12.
public struct ConnectionParameters: ManagementRecord {
    public static let byteCount = 15

    public var address: DeviceAddress
    public var minimumInterval: UInt16
    public var maximumInterval: UInt16
    public var latency: UInt16
    public var timeout: UInt16

    public init(address: DeviceAddress, minimumInterval: UInt16, maximumInterval: UInt16, latency: UInt16, timeout: UInt16) {
        self.address = address
        self.minimumInterval = minimumInterval
        self.maximumInterval = maximumInterval
        self.latency = latency
        self.timeout = timeout
    }

    public init(reading reader: inout ByteReader) throws(DecodeError) {
        try self.init(address: try reader.deviceAddress(), values: &reader)
    }

    init(address: DeviceAddress, values reader: inout ByteReader) throws(DecodeError) {
        self.address = address
        minimumInterval = try reader.u16("minimum interval")
        maximumInterval = try reader.u16("maximum interval")
        latency = try reader.u16("latency")
        timeout = try reader.u16("supervision timeout")
    }

    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: Self.byteCount)
        writer.deviceAddress(address)
        writer.append(values)
        return writer.bytes
    }

    /// The four numbers without the address.
    var values: [UInt8] {
        var writer = ByteWriter(capacity: 8)
        writer.u16(minimumInterval)
        writer.u16(maximumInterval)
        writer.u16(latency)
        writer.u16(timeout)
        return writer.bytes
    }

    /// Whether the specification allows it. The kernel checks so too, and skips a record that fails without a word of it.
    ///
    /// Intervals 6 to 3,200, timeout 10 to 3,200, latency at most 499; and the timeout is longer than twice the silence that
    /// interval and latency allow: 10 ms * timeout > 2 * 1.25 ms * maximum * (1 + latency), so 4 * timeout > maximum * (1 + latency).
    public var isValid: Bool {
        guard minimumInterval >= 6, minimumInterval <= maximumInterval, maximumInterval <= 3_200 else { return false }
        return (10...3_200).contains(timeout) && latency <= 499
            && 4 * Int(timeout) > Int(maximumInterval) * (1 + Int(latency))
    }
}
