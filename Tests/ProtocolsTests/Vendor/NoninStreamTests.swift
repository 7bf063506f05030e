import Protocols
import Testing
import Vitals

@Suite("Nonin serial stream")
struct NoninStreamTests {
    @Test("Packets and answers in one go")
    func items() {
        var stream = NoninStream(format: .df13)
        let items = stream.append([0] + NoninPackets.stored + NoninPackets.serial + [0x06, 0x15] + [0] + NoninPackets.live)
        #expect(
            items == [
                .frame([0] + NoninPackets.stored), .reply(.serialNumber("501493200")), .reply(.acknowledged), .reply(.refused),
                .frame([0] + NoninPackets.live),
            ])
        #expect(stream.skipped == 0)
    }

    @Test("A damaged packet is told, and the one behind it taken")
    func damaged() {
        var broken = NoninPackets.live
        broken[16] = 0x4C
        var stream = NoninStream(format: .df13)
        #expect(stream.append(broken + NoninPackets.stored) == [.damaged(broken), .frame(NoninPackets.stored)])
        #expect(stream.skipped == broken.count)
    }

    @Test("A packet that begins inside what looked like one is found")
    func inside() {
        // A head that promises 14 bytes, cut off by a whole packet.
        var stream = NoninStream(format: .df13)
        let items = stream.append(bytes("02 00 0d 00 0e 20 26") + NoninPackets.live + NoninPackets.stored)
        #expect(items.last == .frame(NoninPackets.stored))
        #expect(items.contains(.frame(NoninPackets.live)))
    }

    @Test("A single byte among noise is no answer; behind a whole packet it is")
    func noise() {
        var stream = NoninStream(format: .df13)
        // A stream in format 8: 60/min, 6 %, as a byte may look like an ACK.
        #expect(stream.append(bytes("80 3c 06 00 80 3c 15 00 06")) == [])
        #expect(stream.skipped == 9)
        #expect(stream.append(NoninPackets.live + [0x06]) == [.frame(NoninPackets.live), .reply(.acknowledged)])
    }

    @Test("A line at rest hides no answer")
    func rest() {
        var stream = NoninStream(format: .df13)
        #expect(stream.append([0, 0, 0, 0x06]) == [.reply(.acknowledged)])
    }

    @Test("A head with a length that no packet has is not waited for")
    func absurdLength() {
        var stream = NoninStream(format: .df13)
        #expect(stream.append(bytes("02 00 0d 00 ff") + NoninPackets.live) == [.frame(NoninPackets.live)])
        #expect(stream.append(bytes("02 f4 ff") + NoninPackets.live) == [.frame(NoninPackets.live)])
    }

    @Test("Formats 8, 2 and 7 fall into step in the middle of the stream")
    func streams() throws {
        var eight = NoninStream(format: .df8)
        #expect(
            eight.append(bytes("62 20 80 39 62 20 06 81 00 61 00")) == [
                .frame(bytes("80396220")), .reply(.acknowledged), .frame(bytes("81006100")),
            ])
        let sixteen = try #require(
            NoninWaveform(frames: .init(repeating: .init(status: 2, waveform: 0x8181, value: 5), count: 25), format: .df7))
        for (format, packet) in [(.df2, NoninPackets.waveform), (.df7, sixteen.encoded)] as [(NoninDataFormat, [UInt8])] {
            var stream = NoninStream(format: format)
            let tail = Array(packet.dropFirst(33))
            let items = stream.append(tail + packet + NoninReply.clock(NoninPackets.noon).encoded + packet)
            #expect(items == [.frame(packet), .reply(.clock(NoninPackets.noon)), .frame(packet)], "\(format)")
        }
    }

    @Test("However the bytes are cut, the same comes of them", arguments: NoninDataFormat.allCases)
    func anySplit(_ format: NoninDataFormat) {
        var generator = freshGenerator("Nonin splits")
        for _ in 0..<100 {
            let text = Self.mixture(format, &generator)
            var whole = NoninStream(format: format)
            let expected = whole.append(text)
            var cut = NoninStream(format: format)
            var items: [NoninStream.Item] = []
            var rest = text[...]
            while !rest.isEmpty {
                let count = generator.chance() ? 1 : Int.random(in: 1...40, using: &generator)
                items += cut.append(rest.prefix(count))
                rest = rest.dropFirst(count)
            }
            #expect(items == expected)
            #expect(cut == whole)
        }
    }

    @Test("After noise of any kind, whole packets are found again", arguments: NoninDataFormat.allCases)
    func resynchronises(_ format: NoninDataFormat) {
        var generator = freshGenerator("Nonin resynchronisation")
        for _ in 0..<300 {
            var stream = NoninStream(format: format)
            _ = stream.append(generator.bytes(Int.random(in: 0...300, using: &generator)))
            // Noise may look like the beginning of a packet, which is waited for; what follows shows that it is none. Two whole ones are
            // longer than anything that may be waited for.
            let packet = Self.frame(format, &generator)
            let items = stream.append((0..<8).flatMap { _ in packet })
            #expect(items.contains(.frame(packet)), "seeded")
        }
    }

    @Test("Random bytes never trap, and each is kept, skipped or part of something")
    func randomBytes() {
        var generator = freshGenerator("Nonin random bytes")
        for _ in 0..<300 {
            let format = NoninDataFormat.allCases.randomElement(using: &generator) ?? .df13
            var stream = NoninStream(format: format)
            var taken = 0
            let text = (0..<400).map { _ in
                // Mostly bytes that mean something, or nothing would ever begin.
                generator.chance()
                    ? [0, 1, 2, 3, 6, 0x0D, 0x0E, 0x15, 0x80, 0x81, 0xF2, 0xF4].randomElement(using: &generator) ?? 0
                    : UInt8.random(in: 0...255, using: &generator)
            }
            for item in stream.append(text) {
                switch item {
                case .frame(let bytes): taken += bytes.count
                case .reply(let reply): taken += reply.encoded.count
                case .damaged: break
                }
            }
            #expect(taken + stream.skipped <= text.count)
            // The longest that is waited for: a packet of 25 frames less a byte.
            #expect(text.count - taken - stream.skipped < 125)
        }
    }

    /// A frame without the bytes that start a frame inside it being likely; checksums make the rest sure.
    private static func frame(_ format: NoninDataFormat, _ generator: inout SeededGenerator) -> [UInt8] {
        switch format {
        case .df13:
            NoninSpotCheck(time: NoninPackets.noon, pulseRate: UInt16.random(in: 18...321, using: &generator), spo2: 97).encoded
        case .df8: NoninSample(pulseRate: UInt16.random(in: 18...321, using: &generator), spo2: 97).encoded
        case .df2, .df7: NoninWaveform.random(format, &generator).encoded
        }
    }

    /// Frames, answers, noise and damage in any order.
    private static func mixture(_ format: NoninDataFormat, _ generator: inout SeededGenerator) -> [UInt8] {
        (0..<12).flatMap { _ -> [UInt8] in
            switch Int.random(in: 0...6, using: &generator) {
            case 0: return generator.bytes(Int.random(in: 0...30, using: &generator))
            case 1: return NoninReply.acknowledged.encoded
            case 2: return NoninPackets.serial
            case 3:
                var broken = frame(format, &generator)
                broken[Int.random(in: 0..<broken.count, using: &generator)] ^= 1 << UInt8.random(in: 0...7, using: &generator)
                return broken
            case 4: return [0]
            default: return frame(format, &generator)
            }
        }
    }
}
