public import Vitals

/// A packet of data format 2 or 7: 25 frames of five bytes, a third of a second.
///
///     format 2: 01     | status    | waveform u8 | value | checksum
///     format 7: status | waveform u16, most significant byte first | value | checksum
///
/// The checksum is the least significant byte of the sum of the four bytes before it. Status: b7 always set, b6 sensor disconnected,
/// b5 artifact, b4 out of track, b3 sensor alarm, b2 and b1 perfusion (01 green, 10 red, 11 yellow), b0 set in the first frame of a
/// packet and no other. The values, by their frame (from 1): 1 and 2 pulse rate, 3 SpO2, 4 software revision, 6 and 7 timer, 8 status 2
/// (b5 SmartPoint, b0 battery low), 9 SpO2 for display, 10 SpO2 fast, 11 SpO2 beat to beat, 14 and 15 pulse rate extended, 16 SpO2
/// extended, 17 the same for display, 20 and 21 pulse rate for display, 22 and 23 the same extended; the others are reserved. Extended
/// means averaged over eight beats instead of four.
///
/// Source: Nonin 9560 Bluetooth specification, data formats 2 and 7, by way of open implementations (mattjlewis/NoninPulseOx;
/// cordova-plugin-nonin-bluetooth).
public struct NoninWaveform: Hashable, Sendable {
    public struct Frame: Hashable, Sendable {
        /// Bit 7 and bit 0 follow from the place in the packet.
        public var status: UInt8
        /// 8 bits in format 2, 16 in format 7.
        public var waveform: UInt16
        public var value: UInt8
        public init(status: UInt8 = 0, waveform: UInt16 = 0, value: UInt8 = 0) {
            self.status = status & 0x7E
            self.waveform = waveform
            self.value = value
        }
    }

    public let format: NoninDataFormat
    /// ``framesInPacket`` of them.
    public let frames: [Frame]

    public static let framesInPacket = 25
    static let frameLength = 5
    public static let length = framesInPacket * frameLength

    /// - Parameter format: ``NoninDataFormat/df2`` or ``NoninDataFormat/df7``.
    /// - Returns: `nil` for another format, another number of frames, or a waveform that the format has no room for.
    public init?(frames: [Frame], format: NoninDataFormat) {
        guard frames.count == Self.framesInPacket, format == .df7 || (format == .df2 && frames.allSatisfy { $0.waveform <= 0xFF })
        else { return nil }
        self.frames = frames
        self.format = format
    }

    public init(decoding bytes: [UInt8], format: NoninDataFormat) throws(DecodeError) {
        var reader = ByteReader(bytes)
        var frames: [Frame] = []
        for index in 0..<Self.framesInPacket {
            let start = reader.offset
            let fields = try reader.take(Self.frameLength, "frame")
            if let problem = Self.problem(in: fields[...], format: format, isFirst: index == 0) {
                throw reader.error(problem.code, at: start + problem.offset, problem.message)
            }
            frames.append(
                Frame(
                    status: fields[Self.statusOffset(format)],
                    waveform: UInt16(fields[2]) | (format == .df7 ? UInt16(fields[1]) << 8 : 0), value: fields[3]))
        }
        try reader.finish()
        self.frames = frames
        self.format = format
    }

    private static func statusOffset(_ format: NoninDataFormat) -> Int { format == .df2 ? 1 : 0 }

    /// What is wrong with one frame, or with as much of it as is there.
    static func problem(in frame: ArraySlice<UInt8>, format: NoninDataFormat, isFirst: Bool) -> (
        code: DecodeError.Code, offset: Int, message: String
    )? {
        if format == .df2, let first = frame.first, first != 0x01 { return (.invalidValue, 0, "expected 01") }
        let offset = statusOffset(format)
        if let status = frame.dropFirst(offset).first {
            guard status & 0x80 != 0 else { return (.invalidValue, offset, "expected bit 7 of the status set") }
            guard (status & 1 != 0) == isFirst else {
                return (.segmentOutOfOrder, offset, "expected the first frame of a packet to be marked, and no other")
            }
        }
        if frame.count == frameLength, frame.last != Nonin.checksum(frame.dropLast()) {
            return (.checksumMismatch, 4, "the checksum is not that of the frame")
        }
        return nil
    }

    public var encoded: [UInt8] {
        frames.enumerated().flatMap { index, frame -> [UInt8] in
            let status = 0x80 | frame.status | (index == 0 ? 1 : 0)
            let low = UInt8(frame.waveform & 0xFF)
            let fields =
                format == .df2 ? [0x01, status, low, frame.value] : [status, UInt8(frame.waveform >> 8), low, frame.value]
            return fields + [Nonin.checksum(fields)]
        }
    }

    /// A value by its frame, counted from 1 as the maker does.
    private func value(_ frame: Int) -> UInt8 { frames[frame - 1].value & 0x7F }
    private func pulse(_ frame: Int) -> UInt16 { Nonin.pulse(high: frames[frame - 1].value, low: frames[frame].value) }

    public var softwareRevision: UInt8 { frames[3].value }

    /// Each mark that any of the frames has.
    public var status: NoninSample.Status {
        var status: NoninSample.Status = []
        let all = frames.reduce(0) { $0 | $1.status }
        if all & 0x40 != 0 { status.insert(.sensorDisconnected) }
        if all & 0x20 != 0 { status.insert(.artifact) }
        if all & 0x10 != 0 { status.insert(.outOfTrack) }
        if all & 0x08 != 0 { status.insert(.sensorAlarm) }
        for frame in frames {
            switch frame.status & 0x06 {
            case 0x04: status.insert(.lowPerfusion)
            case 0x06: status.insert(.marginalPerfusion)
            default: break
            }
        }
        if value(8) & 0x20 != 0 { status.insert(.smartPoint) }
        if value(8) & 0x01 != 0 { status.insert(.batteryLow) }
        return status
    }

    /// `nonin-df2/1` or `nonin-df7/1`: the four-beat averages, the fast SpO2, and the eight-beat averages as the slow ones. The
    /// waveform is no part of it.
    public var measurement: Measurement {
        Measurement(
            kind: .pulseOximetryContinuous,
            quantities: [
                Nonin.spo2(.spo2, value(3)), Nonin.pulse(.pulseRate, pulse(1)), Nonin.spo2(.spo2Fast, value(10)),
                Nonin.spo2(.spo2Slow, value(16)), Nonin.pulse(.pulseRateSlow, pulse(14)),
            ],
            statusBits: UInt32(status.rawValue), status: status.flags,
            projection: StoredProjection(
                codec: format.name + "/1",
                bytes: [
                    UInt8(status.rawValue >> 8), UInt8(status.rawValue & 0xFF), value(3), UInt8(pulse(1) >> 8),
                    UInt8(pulse(1) & 0xFF), value(10), value(16), UInt8(pulse(14) >> 8), UInt8(pulse(14) & 0xFF),
                ], distinguishes: false))
    }
}
