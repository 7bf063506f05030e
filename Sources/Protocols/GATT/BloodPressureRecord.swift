public import Vitals

/// One value of Blood Pressure Record 2B36 (notified after a RACP request):
///
///     segmentation u8 (b0 first, b1 last, b2-7 counter) | sequence u16 | UUID u16 | data | [E2E-CRC u16]
///
/// Source: Blood Pressure Service 1.1.1, Bluetooth GSS. No device that sends it was at hand.
public struct BloodPressureRecordSegment: Hashable, Sendable {
    public var isFirst: Bool
    public var isLast: Bool
    /// Counts up by one a segment, modulo 64.
    public var counter: UInt8
    /// The record's number for its user, modulo 65,536.
    public var sequence: UInt16
    /// Which characteristic's value the record holds.
    public var characteristic: UInt16
    /// A piece of that value, with the checksum behind it where there is one.
    public var data: [UInt8]

    public init(isFirst: Bool, isLast: Bool, counter: UInt8, sequence: UInt16, characteristic: UInt16, data: [UInt8]) {
        self.isFirst = isFirst
        self.isLast = isLast
        self.counter = counter & 0x3F
        self.sequence = sequence
        self.characteristic = characteristic
        self.data = data
    }

    static let headerLength = 5

    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let header = try reader.u8("segmentation header")
        isFirst = header & 1 != 0
        isLast = header & 2 != 0
        counter = header >> 2
        sequence = try reader.u16("sequence number")
        characteristic = try reader.u16("UUID of the recorded characteristic")
        data = reader.rest()
    }

    /// The bytes without checksum.
    public var encoded: [UInt8] {
        var writer = ByteWriter(capacity: Self.headerLength + data.count)
        writer.u8((isFirst ? 1 : 0) | (isLast ? 2 : 0) | counter << 2)
        writer.u16(sequence)
        writer.u16(characteristic)
        writer.append(data)
        return writer.bytes
    }

    /// The bytes with their E2E-CRC.
    public var encodedWithChecksum: [UInt8] {
        let body = encoded
        let crc = CRC16.mcrf4xx(body)
        return body + [UInt8(truncatingIfNeeded: crc), UInt8(truncatingIfNeeded: crc >> 8)]
    }
}

/// A stored blood-pressure measurement, put together from its segments.
public struct BloodPressureRecord: Hashable, Sendable {
    public var sequence: UInt16
    /// 0x2B34, or 0x2A35 from a device that records the plain form.
    public var characteristic: UInt16
    public var measurement: Measurement
    public var hasChecksum: Bool

    public static let uuid = GATTCharacteristic.bloodPressureRecord

    /// Whether each segment ends in an E2E-CRC.
    public enum Checksum: Hashable, Sendable {
        case present, absent
        /// Seen from the length: the recorded value's flags say how long it is.
        case detected
    }

    /// Puts the segments of one record together.
    ///
    /// A feature bit of 2A49 tells whether there are checksums; without it the length does.
    public init(segments: [[UInt8]], checksum: Checksum = .detected) throws(DecodeError) {
        guard let firstBytes = segments.first else {
            throw DecodeError(.tooShort, offset: 0, message: "expected a segment, found none", bytes: [])
        }
        let first = try BloodPressureRecordSegment(decoding: firstBytes)
        guard first.isFirst else {
            throw DecodeError(
                .segmentOutOfOrder, offset: 0, message: "expected the first segment, found a later one", bytes: firstBytes)
        }
        var pieces: [[UInt8]] = []
        var isComplete = false
        for (index, bytes) in segments.enumerated() {
            let segment = try BloodPressureRecordSegment(decoding: bytes)
            guard !isComplete, index == 0 || !segment.isFirst else {
                throw DecodeError(.segmentOutOfOrder, offset: 0, message: "expected the end after the last segment", bytes: bytes)
            }
            guard segment.counter == (first.counter &+ UInt8(truncatingIfNeeded: index)) & 0x3F else {
                throw DecodeError(.segmentOutOfOrder, offset: 0, message: "expected the next segment counter", bytes: bytes)
            }
            guard segment.sequence == first.sequence, segment.characteristic == first.characteristic else {
                throw DecodeError(
                    .segmentOutOfOrder, offset: 1, message: "expected the sequence number and UUID of the first segment",
                    bytes: bytes)
            }
            pieces.append(segment.data)
            isComplete = segment.isLast
        }
        guard isComplete else {
            throw DecodeError(
                .incompleteRecord, offset: firstBytes.count,
                message: "expected a segment marked last, found \(segments.count) others",
                bytes: firstBytes)
        }
        let isPlain = first.characteristic == GATTCharacteristic.bloodPressureMeasurement
        guard isPlain || first.characteristic == GATTCharacteristic.enhancedBloodPressureMeasurement else {
            throw DecodeError(
                .invalidValue, offset: 3,
                message: "expected 2b34 or 2a35 as the recorded characteristic, found \(first.characteristic.hex4)",
                bytes: firstBytes)
        }
        var hasChecksum = checksum == .present
        if checksum == .detected, let flags = pieces[0].first {
            let called = isPlain ? Self.plainLength(flags: flags) : EnhancedBloodPressureMeasurement.length(flags: flags)
            hasChecksum = pieces.reduce(0) { $0 + $1.count } == called + 2 * pieces.count
        }
        if hasChecksum {
            for (index, bytes) in segments.enumerated() {
                guard pieces[index].count >= 2 else {
                    throw DecodeError(.tooShort, offset: bytes.count, message: "expected an E2E-CRC (2 bytes)", bytes: bytes)
                }
                // The checksum's own residue over a frame that carries it little-endian is 0.
                guard CRC16.mcrf4xx(bytes) == 0 else {
                    throw DecodeError(
                        .checksumMismatch, offset: bytes.count - 2, message: "expected the E2E-CRC of the bytes before it",
                        bytes: bytes)
                }
                pieces[index].removeLast(2)
            }
        }
        try self.init(first: first, value: pieces.flatMap { $0 }, isPlain: isPlain, hasChecksum: hasChecksum)
    }

    private init(first: BloodPressureRecordSegment, value: [UInt8], isPlain: Bool, hasChecksum: Bool) throws(DecodeError) {
        do throws(DecodeError) {
            measurement =
                isPlain
                ? try BloodPressureMeasurement(decoding: value).measurement
                : try EnhancedBloodPressureMeasurement(decoding: value).measurement
        } catch {
            // Offsets count in what is shown: the recorded value behind the first segment's header.
            throw DecodeError(
                error.code, offset: error.offset + BloodPressureRecordSegment.headerLength, message: error.message,
                bytes: Array(first.encoded.prefix(BloodPressureRecordSegment.headerLength)) + value)
        }
        sequence = first.sequence
        characteristic = first.characteristic
        self.hasChecksum = hasChecksum
        measurement.sequence = Int(first.sequence)
        // A record is the measurement that was perhaps already indicated live: where it has a time of its own, it keeps that
        // identity. Only without one does the record's number tell it from others.
        if !measurement.projection.distinguishes {
            measurement.projection = StoredProjection(
                codec: "2b36/1",
                bytes: [UInt8(truncatingIfNeeded: sequence), UInt8(truncatingIfNeeded: sequence >> 8)]
                    + measurement.projection.bytes,
                distinguishes: true)
        }
    }

    private static func plainLength(flags: UInt8) -> Int {
        7 + (flags & 2 != 0 ? 7 : 0) + (flags & 4 != 0 ? 2 : 0) + (flags & 8 != 0 ? 1 : 0) + (flags & 16 != 0 ? 2 : 0)
    }

    /// The frames of a record as a device with room for `segmentLength` bytes a notification sends it.
    public static func segments(
        of value: [UInt8], characteristic: UInt16, sequence: UInt16, segmentLength: Int = 20, withChecksum: Bool = false
    ) -> [[UInt8]] {
        let room = max(1, segmentLength - BloodPressureRecordSegment.headerLength - (withChecksum ? 2 : 0))
        let starts = Array(stride(from: 0, to: max(1, value.count), by: room))
        return starts.enumerated().map { index, start in
            let segment = BloodPressureRecordSegment(
                isFirst: index == 0, isLast: index == starts.count - 1, counter: UInt8(truncatingIfNeeded: index),
                sequence: sequence, characteristic: characteristic, data: Array(value[start..<min(value.count, start + room)]))
            return withChecksum ? segment.encodedWithChecksum : segment.encoded
        }
    }
}
