/// The file format btsnoop with the data link of the Linux monitor, which btmon and Wireshark read. All numbers are big-endian.
///
/// File: `btsnoop\0`, version (4) = 1, data link (4) = 2001, then records. Record: original length (4), included length (4), adapter index (2),
/// opcode (2), cumulative drops (4), microseconds since midnight of 1 January of the year 0 (8), payload.
/// Source: Frontline's description of the format (which took snoop's, RFC 1761); BlueZ 5.66, `src/shared/btsnoop.c` (data link 2001
/// `BTSNOOP_FORMAT_MONITOR`, flags as index and opcode).
public enum BTSnoop {
    /// What the format calls 1970-01-01T00:00:00Z, in microseconds since the year 0: 719,540 days of 86,400 s. That is twelve days more than
    /// the calendar has; the number is the format's, and BlueZ's 0x00e03ab44a676000 for the year 2000 is the same, 946,684,800 s later.
    static let epoch: Int64 = 719_540 * 86_400 * 1_000_000

    public static let header: [UInt8] = Array("btsnoop\0".utf8) + bigEndian(1, 4) + bigEndian(2_001, 4)

    static let recordHeaderCount = 24

    /// - Parameters:
    ///   - microseconds: since 1970-01-01T00:00:00Z.
    ///   - drops: records that were lost since the capture began.
    public static func record(_ record: MonitorRecord, microseconds: Int64, drops: UInt32) -> [UInt8] {
        let count = UInt64(record.payload.count)
        var bytes: [UInt8] = []
        bytes.reserveCapacity(recordHeaderCount + record.payload.count)
        bytes += bigEndian(count, 4) + bigEndian(count, 4)
        bytes += bigEndian(UInt64(record.index), 2) + bigEndian(UInt64(record.kind.rawValue), 2)
        bytes += bigEndian(UInt64(drops), 4) + bigEndian(UInt64(bitPattern: epoch &+ microseconds), 8)
        return bytes + record.payload
    }

    /// How many whole records follow each other in these bytes, without the file's header.
    public static func count(of bytes: [UInt8]) -> Int {
        var (count, rest) = (0, bytes[...])
        while rest.count >= recordHeaderCount {
            let length = rest.dropFirst(4).prefix(4).reduce(0) { $0 << 8 | Int($1) }
            guard rest.count >= recordHeaderCount + length else { break }
            rest = rest.dropFirst(recordHeaderCount + length)
            count += 1
        }
        return count
    }

    private static func bigEndian(_ value: UInt64, _ count: Int) -> [UInt8] {
        (0..<count).map { UInt8(truncatingIfNeeded: value >> (8 * (count - 1 - $0))) }
    }
}
