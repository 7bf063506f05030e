/// CRC-16/MCRF4XX, the E2E-CRC of GATT profiles: polynomial 0x1021 reflected, initial value 0xFFFF, no final inversion.
///
/// Check value: "123456789" gives 0x6F91. Appended little-endian, over every byte before it.
public enum CRC16 {
    public static func mcrf4xx(_ bytes: some Sequence<UInt8>) -> UInt16 {
        var crc: UInt16 = 0xFFFF
        for byte in bytes {
            crc ^= UInt16(byte)
            for _ in 0..<8 { crc = crc & 1 == 1 ? crc >> 1 ^ 0x8408 : crc >> 1 }
        }
        return crc
    }
}
