import ExactJSON
import Protocols
import Testing
import Vitals

@Suite("SFLOAT and FLOAT")
struct NumberTests {
    @Test(
        "SFLOAT keeps mantissa and exponent; only five whole values are special",
        arguments: [
            (0x0000, "0"), (0x007F, "127"), (0xF3CF, "97.5"), (0xF4F6, "127.0"), (0xFFFF, "-0.1"), (0xF0B0, "17.6"),
            (0xB078, "0.00120"), (0x07FD, "2045"), (0x0803, "-2045"), (0xF7FF, "204.7"), (0xF800, "-204.8"), (0xF7FE, "204.6"),
            (0x17FF, "20470"), (0x8001, "0.00000001"), (0x77FF, "20470000000"), (0x0FFF, "-1"), (0xE001, "0.01"),
        ] as [(UInt16, String)])
    func sfloatNumbers(bits: UInt16, text: String) {
        #expect(SFloat(bits: bits).value.number?.description == text)
    }

    @Test(
        "SFLOAT's special values",
        arguments: [
            (0x07FF, .notANumber), (0x0800, .notAtThisResolution), (0x07FE, .positiveInfinity), (0x0802, .negativeInfinity),
            (0x0801, .reserved),
        ] as [(UInt16, SpecialValue)])
    func sfloatSpecials(bits: UInt16, special: SpecialValue) {
        #expect(SFloat(bits: bits).value == .special(special))
        #expect(SFloat(.special(special))?.bits == bits)
    }

    @Test("Each of the 65,536 SFLOATs is encoded as it was decoded")
    func everySFloat() {
        var specials = 0
        for bits in UInt16.min...UInt16.max {
            let value = SFloat(bits: bits).value
            if value.number == nil { specials += 1 }
            if SFloat(value)?.bits != bits { Issue.record("\(bits)") }
        }
        #expect(specials == 5)
    }

    @Test(
        "FLOAT",
        arguments: [
            (0xFE00_0E4C, "36.60"), (0xFF00_016E, "36.6"), (0x0000_0025, "37"), (0xFFFF_FFFF, "-0.1"), (0x00FF_FFFF, "-1"),
            (0xFF7F_FFFF, "838860.7"), (0x007F_FFFD, "8388605"), (0x0080_0003, "-8388605"), (0x0200_0001, "100"),
        ] as [(UInt32, String)])
    func floatNumbers(bits: UInt32, text: String) {
        #expect(Float32Decimal(bits: bits).value.number?.description == text)
    }

    @Test(
        "FLOAT's special values",
        arguments: [
            (0x007F_FFFF, .notANumber), (0x0080_0000, .notAtThisResolution), (0x007F_FFFE, .positiveInfinity),
            (0x0080_0002, .negativeInfinity), (0x0080_0001, .reserved),
        ] as [(UInt32, SpecialValue)])
    func floatSpecials(bits: UInt32, special: SpecialValue) {
        #expect(Float32Decimal(bits: bits).value == .special(special))
        #expect(Float32Decimal(.special(special))?.bits == bits)
    }

    @Test("Random FLOATs are encoded as they were decoded, the ends of both ranges too")
    func randomFloats() {
        var generator = freshGenerator("FLOAT round trip")
        let ends: [UInt32] = [0x8000_0001, 0x7FFF_FFFF, 0x7F80_0000, 0x8080_0000, 0x807F_FFFF]
        for bits in ends + (0..<20_000).map({ _ in UInt32.random(in: 0...UInt32.max, using: &generator) }) {
            let value = Float32Decimal(bits: bits).value
            if Float32Decimal(value)?.bits != bits { Issue.record("\(bits)") }
        }
    }

    @Test("A decimal that does not fit in its own digits is written in others, or not at all")
    func encoding() throws {
        #expect(SFloat(ExactDecimal(mantissa: 12_000))?.value.number == ExactDecimal(mantissa: 1_200, exponent: 1))
        #expect(SFloat(ExactDecimal(mantissa: 1, exponent: 8))?.value.number == ExactDecimal(mantissa: 10, exponent: 7))
        #expect(SFloat(ExactDecimal(mantissa: 0, exponent: 90))?.value.number?.mantissa == 0)
        #expect(SFloat(ExactDecimal(mantissa: 12_345)) == nil)
        #expect(SFloat(ExactDecimal(mantissa: 2_047)) == nil)
        #expect(SFloat(ExactDecimal(mantissa: -2_048)) == nil)
        #expect(SFloat(ExactDecimal(mantissa: .min)) == nil)
        #expect(SFloat(ExactDecimal(mantissa: 1, exponent: 127)) == nil)
        #expect(SFloat(ExactDecimal(mantissa: 1, exponent: -128)) == nil)
        #expect(SFloat(.special(.absent)) == nil)
        #expect((120 as SFloat).value.number == 120)
        let temperature = try #require(ExactDecimal("36.60"))
        #expect(Float32Decimal(temperature)?.value.number?.description == "36.60")
    }

    @Test("CRC-16/MCRF4XX gives the published check value, and 0 over a frame with its checksum")
    func checksum() {
        let text = Array("123456789".utf8)
        #expect(CRC16.mcrf4xx(text) == 0x6F91)
        #expect(CRC16.mcrf4xx(text + [0x91, 0x6F]) == 0)
    }
}
