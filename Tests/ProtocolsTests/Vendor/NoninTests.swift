import ExactJSON
import Protocols
import Testing
import Vitals

/// Packets that open implementations use as their examples, and others with checksums worked out by hand.
enum NoninPackets {
    /// OpenTele's example of a live spot-check: 99 %, 60/min. 20+07+10+01+54+02+3C+63 is 12D.
    static let live = bytes("02 00 0d 00 0e 20 07 10 01 00 00 54 00 02 00 00 3c 00 63 2d 03")
    /// OpenTele's example of one from memory: 99 %, 52/min, at 18:48:21. The sum is 162.
    static let stored = bytes("02 00 0d 00 0e 20 07 10 01 18 48 21 00 02 10 00 34 00 63 62 03")
    /// The same programme's serial number, 501493200. 02 and the digits are 1CA.
    static let serial = bytes("02 f4 0b 02 35 30 31 34 39 33 32 30 30 ca 03")

    /// A captured format 2 packet (mattjlewis/NoninPulseOx): 96 %, 74/min, software revision 94.
    static let waveform = bytes(
        """
        01814300C5 0180434A0E 0180436024 0180439458 01804300C4 01804100C2 01803E17D6 01803C04C1 018039601A 0180366017
        0180356016 01803400B5 01803400B5 01803400B5 0180354A00 0180366017 0180376018 01803A00BB 01804000C1 01804A00CB
        0180574A22 01806900EA 01807C4A47 0180900011 0180A10022
        """)

    static let noon = LocalDateTime(year: 2026, month: 11, day: 21, hour: 12, minute: 0, second: 5)
}

@Suite("Nonin formats")
struct NoninTests {
    // MARK: Format 13

    @Test("A live spot-check, with the zero in front and without", arguments: [[], [0]] as [[UInt8]])
    func live(_ start: [UInt8]) throws {
        let packet = try NoninSpotCheck(decoding: start + NoninPackets.live)
        #expect(packet.time == LocalDateTime(year: 2007, month: 10, day: 1, hour: 0, minute: 0, second: 54))
        #expect(packet.status == .smartPoint)
        #expect(packet.pulseRate == 60 && packet.spo2 == 99 && packet.hasStartByte == !start.isEmpty)
        #expect(packet.encoded == start + NoninPackets.live)
        let measurement = packet.measurement
        #expect(measurement.kind == .pulseOximetrySpot)
        #expect(measurement[.spo2] == Quantity(.spo2, type: .oxygenSaturation, value: .number(99), unit: .percent))
        #expect(
            measurement[.pulseRate] == Quantity(.pulseRate, type: .pulseRateOximeter, value: .number(60), unit: .perMinute))
        #expect(measurement.deviceTime == packet.time && !measurement.isDeviceClockUnset)
        #expect(measurement.status == [.fullyQualified] && measurement.statusBits == 0x0200)
        #expect(!measurement.isInvalid && measurement.warnings.isEmpty)
    }

    @Test("A spot-check from memory says so")
    func stored() throws {
        let measurement = try NoninSpotCheck(decoding: NoninPackets.stored).measurement
        #expect(measurement.status == [.fullyQualified, .fromStorage])
        #expect(measurement.deviceTime == LocalDateTime(year: 2007, month: 10, day: 1, hour: 18, minute: 48, second: 21))
        #expect(measurement[.pulseRate]?.value == .number(52))
    }

    @Test(
        "Each status bit by its meaning",
        arguments: [
            (0x0000, [], 0, false), (0x0001, [.batteryLow], 0, false), (0x0010, [.fromStorage], 0, false),
            (0x0100, [.unavailable], 0, true), (0x0200, [.fullyQualified], 0, false), (0x0080, [], 1, false),
            (0xFCEE, [], 1, false), (0x0211, [.fullyQualified, .fromStorage, .batteryLow], 0, false),
        ] as [(UInt16, Set<StatusFlag>, Int, Bool)])
    func status(_ bits: UInt16, _ flags: Set<StatusFlag>, _ warnings: Int, _ isInvalid: Bool) {
        let measurement = NoninSpotCheck(time: NoninPackets.noon, status: .init(rawValue: bits), pulseRate: 60, spo2: 97)
            .measurement
        #expect(measurement.status == flags)
        #expect(measurement.warnings.count == warnings)
        #expect(measurement.isInvalid == isInvalid)
    }

    @Test("511 and 127 are no numbers, and a packet of both is no reading")
    func missing() {
        let none = NoninSpotCheck(time: NoninPackets.noon, pulseRate: 511, spo2: 127).measurement
        #expect(none[.spo2]?.value == .special(.absent) && none[.pulseRate]?.value == .special(.absent))
        #expect(none.isInvalid)
        #expect(!NoninSpotCheck(time: NoninPackets.noon, pulseRate: 511, spo2: 97).measurement.isInvalid)
        #expect(NoninSpotCheck(time: NoninPackets.noon, pulseRate: 321, spo2: 126).measurement[.pulseRate]?.value == .number(321))
    }

    @Test("A stamp without a date is unset, an impossible one is kept with a warning")
    func stamps() {
        func measurement(_ month: Int, _ day: Int, hour: Int = 0) -> Measurement {
            NoninSpotCheck(
                time: LocalDateTime(year: 2026, month: month, day: day, hour: hour, minute: 0, second: 0), pulseRate: 60, spo2: 97
            ).measurement
        }
        #expect(measurement(0, 0).isDeviceClockUnset && measurement(0, 0).deviceTime == nil)
        #expect(!measurement(0, 0).projection.distinguishes && measurement(11, 21).projection.distinguishes)
        #expect(measurement(2, 30, hour: 25).warnings == ["the device's time is no valid date and time"])
    }

    @Test("Data that later firmware appends are kept and said")
    func further() throws {
        let packet = NoninSpotCheck(time: NoninPackets.noon, pulseRate: 60, spo2: 97, further: [1, 2])
        #expect(packet.encoded.count == 24)
        let again = try NoninSpotCheck(decoding: packet.encoded)
        #expect(again == packet)
        #expect(again.measurement.warnings == ["2 bytes after the known data ignored"])
        #expect(
            again.measurement.projection
                == NoninSpotCheck(time: NoninPackets.noon, pulseRate: 60, spo2: 97).measurement.projection)
    }

    @Test(
        "What is wrong is told with its place",
        arguments: [
            ("", "too-short", 0), ("00", "too-short", 1), ("03", "invalid-value", 0), ("00 03", "invalid-value", 1),
            ("02 00 08 00 0e", "reserved-opcode", 1), ("02 00 0d 00 0d", "invalid-value", 3),
            ("02 00 0d 00 0e 20", "too-short", 5),
            // The pulse is other than the checksum knows it (OpenTele's example of a damaged packet).
            ("02 00 0d 00 0e 20 07 10 01 00 00 54 00 02 00 00 4c 00 63 2d 03", "checksum-mismatch", 19),
            ("02 00 0d 00 0e 20 07 10 01 00 00 54 00 02 00 00 3c 00 63 2d 04", "invalid-value", 20),
            ("02 00 0d 00 0e 20 07 10 01 00 00 54 00 02 00 00 3c 00 63 2d 03 00", "length-mismatch", 21),
            // Month 1A is no two decimal digits; the sum is 137.
            ("00 02 00 0d 00 0e 20 07 1a 01 00 00 54 00 02 00 00 3c 00 63 37 03", "invalid-value", 8),
        ])
    func errors(_ hex: String, _ code: String, _ offset: Int) {
        let error = #expect(throws: DecodeError.self) { try NoninSpotCheck(decoding: bytes(hex)) }
        #expect(error?.code.rawValue == code && error?.offset == offset, "\(error as Any)")
        #expect(error?.bytes == bytes(hex))
    }

    @Test("R3 the same record sent again is equal, whether live or from memory, with whichever battery")
    func r3_projection() {
        func projection(
            _ status: NoninSpotCheck.Status = .smartPoint, pulse: UInt16 = 60, spo2: UInt8 = 97, hundredths: UInt8 = 0,
            second: Int = 5, reserved: UInt8 = 0, start: Bool = true
        ) -> StoredProjection {
            var time = NoninPackets.noon
            time.second = second
            return NoninSpotCheck(
                time: time, hundredths: hundredths, status: status, pulseRate: pulse, reserved: reserved, spo2: spo2,
                hasStartByte: start
            ).measurement.projection
        }
        let one = projection()
        #expect(one.codec == "nonin-df13/1" && one.bytes.hex == "2026112112000500" + "0200" + "003c" + "61")
        for same in [
            projection([.smartPoint, .fromMemory]), projection([.smartPoint, .batteryLow]), projection(reserved: 9),
            projection(start: false), projection(.init(rawValue: 0x8200)),
        ] { #expect(same == one) }
        let others = [
            projection([]), projection([.smartPoint, .noMeasurement]), projection(pulse: 61), projection(spo2: 96),
            projection(hundredths: 1), projection(second: 6),
        ]
        #expect(Set(others + [one]).count == others.count + 1)
    }

    // MARK: Streams

    @Test(
        "Format 8, status by status (examples of OpenTele)",
        arguments: [
            ("80 39 62 20", 57, 98, [.fullyQualified]), ("80 39 62 00", 57, 98, []),
            ("90 39 62 00", 57, 98, [.lowPerfusion, .poorSignal]),
            ("88 39 62 00", 57, 98, [.lowPerfusion]), ("8b 7f 62 00", nil, 98, [.lowPerfusion]),
            ("89 6b 62 00", 235, 98, [.lowPerfusion]),
            ("8a 62 62 00", 354, 98, [.lowPerfusion]), ("80 39 62 08", 57, 98, [.sensorUnconnectedToUser]),
            ("80 39 62 01", 57, 98, [.batteryLow]),
            ("a0 39 62 01", 57, 98, [.inadequateSignal, .batteryLow]), ("84 39 62 00", 57, 98, [.erraticSignal]),
            ("80 39 7f 08", 57, nil, [.sensorUnconnectedToUser]), ("c0 39 62 00", 57, 98, [.sensorDisconnected]),
        ] as [(String, Int64?, Int64?, Set<StatusFlag>)])
    func sample(_ hex: String, _ pulse: Int64?, _ spo2: Int64?, _ flags: Set<StatusFlag>) throws {
        let sample = try NoninSample(decoding: bytes(hex))
        #expect(sample.encoded == bytes(hex))
        #expect(sample.measurement.kind == .pulseOximetryContinuous && !sample.measurement.projection.distinguishes)
        #expect(sample.measurement[.pulseRate]?.value.number?.mantissa == pulse)
        #expect(sample.measurement[.spo2]?.value.number?.mantissa == spo2)
        #expect(sample.measurement.status == flags)
    }

    @Test(
        "A sample out of step is refused at the byte that shows it",
        arguments: [
            ("39 62 20 80", 0), ("80 b9 62 20", 1), ("80 39 e2 20", 2), ("80 39 62 a0", 3), ("80 39 62", 0),
            ("80 39 62 20 80", 4),
        ])
    func sampleErrors(_ hex: String, _ offset: Int) {
        let error = #expect(throws: DecodeError.self) { try NoninSample(decoding: bytes(hex)) }
        #expect(error?.offset == offset)
    }

    @Test("A captured packet of format 2")
    func waveform() throws {
        let packet = try NoninWaveform(decoding: NoninPackets.waveform, format: .df2)
        #expect(packet.encoded == NoninPackets.waveform)
        #expect(packet.softwareRevision == 0x94)
        #expect(packet.frames.map(\.waveform).prefix(3) == [0x43, 0x43, 0x43] && packet.frames.last?.waveform == 0xA1)
        let measurement = packet.measurement
        let numbers = measurement.quantities.map { [$0.name.rawValue, "\($0.value.number?.mantissa ?? -1)"] }
        #expect(
            numbers == [
                ["spo2", "96"], ["pulseRate", "74"], ["spo2Fast", "96"], ["spo2Slow", "96"], ["pulseRateSlow", "74"],
            ])
        #expect(measurement.status.isEmpty && measurement.kind == .pulseOximetryContinuous)
        #expect(measurement.projection.codec == "nonin-df2/1")
    }

    @Test("Format 7 has the waveform in two bytes, and is else the same")
    func waveform16() throws {
        let frames = try NoninWaveform(decoding: NoninPackets.waveform, format: .df2).frames.map { frame in
            NoninWaveform.Frame(status: frame.status, waveform: 0x1200 | frame.waveform, value: frame.value)
        }
        let packet = try #require(NoninWaveform(frames: frames, format: .df7))
        // 81 + 12 + 43 + 00 is D6.
        #expect(packet.encoded.prefix(5) == [0x81, 0x12, 0x43, 0x00, 0xD6])
        #expect(try NoninWaveform(decoding: packet.encoded, format: .df7) == packet)
        #expect(packet.measurement[.pulseRate]?.value == .number(74))
        #expect(NoninWaveform(frames: frames, format: .df2) == nil)
        #expect(NoninWaveform(frames: Array(frames.dropLast()), format: .df7) == nil)
    }

    @Test(
        "A mark of one frame is one of its packet; perfusion is two bits",
        arguments: [
            (0x40, [.sensorDisconnected]), (0x20, [.erraticSignal]), (0x10, [.inadequateSignal]),
            (0x08, [.sensorUnconnectedToUser]),
            (0x02, []), (0x04, [.lowPerfusion, .poorSignal]), (0x06, [.lowPerfusion]),
        ] as [(UInt8, Set<StatusFlag>)])
    func waveformStatus(_ bits: UInt8, _ flags: Set<StatusFlag>) throws {
        var frames = [NoninWaveform.Frame](repeating: .init(), count: 25)
        frames[17].status = bits
        #expect(try #require(NoninWaveform(frames: frames, format: .df7)).measurement.status == flags)
        frames[7].value = 0x21
        #expect(
            try #require(NoninWaveform(frames: frames, format: .df7)).measurement.status
                == flags.union([.fullyQualified, .batteryLow]))
    }

    @Test("A packet with a frame amiss is refused at its byte")
    func waveformErrors() {
        func offset(_ change: (inout [UInt8]) -> Void) -> Int? {
            var packet = NoninPackets.waveform
            change(&packet)
            do throws(DecodeError) {
                _ = try NoninWaveform(decoding: packet, format: .df2)
                return nil
            } catch {
                return error.offset
            }
        }
        #expect(offset { _ in } == nil)
        #expect(offset { $0[0] = 2 } == 0)
        #expect(offset { $0[1] = 0x80 } == 1)
        #expect(offset { $0[6] = 0x81 } == 6)
        #expect(offset { $0[11] = 0x00 } == 11)
        #expect(offset { $0[12] ^= 1 } == 14)
        #expect(offset { $0.removeLast() } == 120)
        #expect(offset { $0.append(0) } == 125)
    }

    // MARK: Commands

    @Test(
        "Commands as the maker writes them",
        arguments: [
            (.selectFormat(.df13), "02 70 02 02 0d 03"), (.selectFormat(.df8), "02 70 02 02 08 03"),
            (.selectFormat(.df7), "02 70 02 02 07 03"), (.selectFormat(.df2), "02 70 02 02 02 03"), (.readClock, "02 72 00 03"),
            (.setClock(NoninPackets.noon), "02 72 06 1a 0b 15 0c 00 05 03"), (.readSerialNumber, "02 74 02 02 02 03"),
        ] as [(NoninCommand, String)])
    func commands(_ command: NoninCommand, _ hex: String) throws {
        #expect(command.encoded == bytes(hex))
        #expect(try NoninCommand(decoding: bytes(hex)) == command)
    }

    @Test(
        "Answers as the device gives them",
        arguments: [
            (.acknowledged, "06"), (.refused, "15"), (.clock(NoninPackets.noon), "02 f2 06 1a 0b 15 0c 00 05 03"),
            (.serialNumber("501493200"), NoninPackets.serial.hex),
        ] as [(NoninReply, String)])
    func replies(_ reply: NoninReply, _ hex: String) throws {
        #expect(reply.encoded == bytes(hex))
        #expect(try NoninReply(decoding: bytes(hex)) == reply)
    }

    @Test(
        "What is no command or answer is told with its place",
        arguments: [
            ("", "too-short", 0), ("07", "invalid-value", 0), ("02 71 00 03", "reserved-opcode", 1),
            ("02 72 01 00 03", "length-mismatch", 2),
            ("02 70 02 02 05 03", "invalid-value", 4), ("02 70 02 01 0d 03", "invalid-value", 3),
            ("02 72 00 04", "invalid-value", 3),
            ("02 74 02 02 03 03", "invalid-value", 3), ("02 72 00 03 03", "length-mismatch", 4), ("02 72 06 1a", "too-short", 3),
        ])
    func commandErrors(_ hex: String, _ code: String, _ offset: Int) {
        let error = #expect(throws: DecodeError.self) { try NoninCommand(decoding: bytes(hex)) }
        #expect(error?.code.rawValue == code && error?.offset == offset)
    }

    @Test(
        "Answers that are none",
        arguments: [
            ("02 f2 05 1a 0b 15 0c 00 03", "length-mismatch", 2), ("02 f3 00 03", "reserved-opcode", 1),
            ("02 f4 02 02 02 03", "length-mismatch", 2),
            ("02 f4 03 01 31 32 03", "invalid-value", 3), ("02 f4 03 02 31 34 03", "checksum-mismatch", 5),
            ("02 f4 04 02 31 07 3a 03", "invalid-value", 5),
        ])
    func replyErrors(_ hex: String, _ code: String, _ offset: Int) {
        let error = #expect(throws: DecodeError.self) { try NoninReply(decoding: bytes(hex)) }
        #expect(error?.code.rawValue == code && error?.offset == offset)
    }

    // MARK: Round trips

    @Test("What is written is read again as the same, and the same bytes are written of it")
    func roundTrips() throws {
        var generator = freshGenerator("Nonin round trips")
        for _ in 0..<2_000 {
            let spot = NoninSpotCheck.random(&generator)
            #expect(try NoninSpotCheck(decoding: spot.encoded) == spot)
            let sample = NoninSample(
                status: .init(rawValue: .random(in: 0...0xFFFF, using: &generator)),
                pulseRate: .random(in: 0...511, using: &generator), spo2: .random(in: 0...127, using: &generator))
            #expect(try NoninSample(decoding: sample.encoded) == sample)
            let command = NoninCommand.setClock(spot.time.within(2_000...2_099))
            #expect(try NoninCommand(decoding: command.encoded) == command)
        }
        for _ in 0..<200 {
            let format: NoninDataFormat = generator.chance() ? .df2 : .df7
            let packet = NoninWaveform.random(format, &generator)
            #expect(try NoninWaveform(decoding: packet.encoded, format: format) == packet)
        }
    }

    // MARK: The decode command and the store

    @Test("The decode command has the formats, with what the maker adds")
    func decodeFormats() throws {
        let spot = try DecodeFormat.decode(format: "vendor:nonin-df13", bytes: NoninPackets.stored)
        #expect(spot["kind"]?.string == "pulse-oximetry-spot" && spot["spo2"]?.integer == 99 && spot["pulseRate"]?.integer == 52)
        #expect(spot["fromMemory"]?.bool == true && spot["smartPoint"]?.bool == true && spot["batteryLow"]?.bool == false)
        #expect(spot["deviceTime"]?.string == "2007-10-01T18:48:21")
        let sample = try DecodeFormat.decode(format: "vendor:nonin-df8", bytes: bytes("80396220"))
        #expect(sample["kind"]?.string == "pulse-oximetry-continuous" && sample["spo2"]?.integer == 98)
        let packet = try DecodeFormat.decode(format: "vendor:nonin-df2", bytes: NoninPackets.waveform)
        #expect(packet["waveform"]?.array?.count == 25 && packet["softwareRevision"]?.integer == 0x94)
        #expect(throws: DecodeError.self) { try DecodeFormat.decode(format: "vendor:nonin-df7", bytes: NoninPackets.waveform) }
    }

    @Test("A frame from the store is decoded by its format; one of a format that nobody knows gives none")
    func frameDecoder() throws {
        #expect(NoninDataFormat.df13.source.format == "vendor:nonin-df13")
        #expect(
            try FrameDecoder.measurement(.vendor(format: "nonin-df13"), NoninPackets.live)
                == NoninSpotCheck(decoding: NoninPackets.live).measurement)
        #expect(try FrameDecoder.measurement(.vendor(format: "other"), NoninPackets.live) == nil)
        #expect(throws: DecodeError.self) { try FrameDecoder.measurement(.vendor(format: "nonin-df13"), []) }
    }
}

extension NoninSpotCheck {
    static func random(_ generator: inout SeededGenerator) -> NoninSpotCheck {
        func two() -> Int { Int.random(in: 0...99, using: &generator) }
        return NoninSpotCheck(
            time: LocalDateTime(year: two() * 100 + two(), month: two(), day: two(), hour: two(), minute: two(), second: two()),
            hundredths: UInt8(two()), status: .init(rawValue: .random(in: 0...0xFFFF, using: &generator)),
            pulseRate: .random(in: 0...0xFFFF, using: &generator), reserved: .random(in: 0...255, using: &generator),
            spo2: .random(in: 0...255, using: &generator),
            further: generator.chance() ? [] : generator.bytes(Int.random(in: 0...50, using: &generator)),
            hasStartByte: generator.chance())
    }
}

extension NoninWaveform {
    static func random(_ format: NoninDataFormat, _ generator: inout SeededGenerator) -> NoninWaveform {
        let frames = (0..<25).map { _ in
            Frame(
                status: .random(in: 0...255, using: &generator),
                waveform: .random(in: 0...(format == .df2 ? 0xFF : 0xFFFF), using: &generator),
                value: .random(in: 0...255, using: &generator))
        }
        guard let packet = NoninWaveform(frames: frames, format: format) else { preconditionFailure("25 frames that fit") }
        return packet
    }
}

extension LocalDateTime {
    fileprivate func within(_ years: ClosedRange<Int>) -> LocalDateTime {
        var time = self
        time.year = min(max(year, years.lowerBound), years.upperBound)
        return time
    }
}
