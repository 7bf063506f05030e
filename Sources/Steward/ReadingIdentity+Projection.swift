import Crypto
public import Vitals

extension ReadingIdentity {
    /// The identity of the record with this projection, the `ordinal`-th of its equals counted from 0 (R3).
    public init(device: DeviceKey, kind: Measurement.Kind, userIndex: Int?, projection: StoredProjection, ordinal: Int) {
        self.init(
            base: Self.base(device: device, kind: kind, userIndex: userIndex, projection: projection), ordinal: ordinal)
    }

    /// What equal records share: SHA-256, 32 bytes, over the domain `vitalgate.reading/1`, device key, kind, user index, the
    /// codec with its version, and the projection, each with its length in front. Frozen: another byte here makes every memory
    /// that is sent again a set of new readings.
    public static func base(
        device: DeviceKey, kind: Measurement.Kind, userIndex: Int?, projection: StoredProjection
    ) -> [UInt8] {
        var encoding = CanonicalBytes(domain: "vitalgate.reading/1")
        encoding.append(device.rawValue)
        encoding.append(kind.rawValue)
        encoding.append(userIndex)
        encoding.append(projection.codec)
        encoding.append(projection.bytes)
        return Array(SHA256.hash(data: encoding.bytes))
    }

    /// What equal records share, of a decoded frame.
    public static func base(of measurement: Measurement, from device: DeviceKey) -> [UInt8] {
        base(device: device, kind: measurement.kind, userIndex: measurement.userIndex, projection: measurement.projection)
    }
}
