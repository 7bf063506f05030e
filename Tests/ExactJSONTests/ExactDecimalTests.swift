import ExactJSON
import Testing

@Suite struct ExactDecimalTests {
    @Test(
        "every digit is kept, from text to text",
        arguments: [
            "0", "7", "-7", "36.60", "97.5", "120", "0.0012", "-0.50", "0.00", "9223372036854775807", "-9223372036854775808",
            "0.000000000000000001", "-9.223372036854775808",
        ])
    func digitsAreKept(text: String) {
        #expect(ExactDecimal(text)?.description == text)
    }

    @Test(
        "what it reads",
        arguments: [
            ("1.2e3", 12, 2), ("1.2E+3", 12, 2), ("1e-3", 1, -3), ("12.50", 1250, -2), ("-0", 0, 0), ("007", 7, 0),
        ] as [(String, Int64, Int)])
    func reads(text: String, mantissa: Int64, exponent: Int) {
        #expect(ExactDecimal(text) == ExactDecimal(mantissa: mantissa, exponent: exponent))
    }

    @Test(
        "what is no number, or does not fit",
        arguments: [
            "", "-", "+1", ".5", "5.", "5.e1", "1..2", "1.2.3", "1e", "1e+", "1e+-5", "1e++5", "1e5x", "x", " 1", "1 ", "0x10",
            "NaN", "١",
            "9223372036854775808", "-9223372036854775809", "1e128", "1e-129", "1e99999999999999999999",
            "0.\(String(repeating: "0", count: 129))",
        ])
    func refuses(text: String) {
        #expect(ExactDecimal(text) == nil)
    }

    @Test("equal digit for digit is not equal in value")
    func equality() {
        let (short, long) = (ExactDecimal(mantissa: 975, exponent: -1), ExactDecimal(mantissa: 9750, exponent: -2))
        #expect(short != long)
        #expect(short.isNumericallyEqual(to: long))
        #expect(ExactDecimal(mantissa: 0, exponent: -5).isNumericallyEqual(to: 0))
        #expect(ExactDecimal(mantissa: .min, exponent: 0).isNumericallyEqual(to: ExactDecimal(mantissa: .min, exponent: 0)))
    }

    @Test(
        "rounds half away from zero and adds no digits",
        arguments: [
            (12_749, -2, 0, "127"), (1_275, -1, 0, "128"), (1_265, -1, 0, "127"), (-1_275, -1, 0, "-128"), (127, 0, -2, "127"),
            (127, 0, 1, "130"), (4, 0, 1, "0"), (5, 0, 1, "10"), (.max, 0, 19, "10000000000000000000"), (.min, 0, 25, "0"),
            (1_679_963_868, -7, 0, "168"),
        ] as [(Int64, Int, Int, String)])
    func rounding(mantissa: Int64, exponent: Int, target: Int, expected: String) {
        #expect(ExactDecimal(mantissa: mantissa, exponent: exponent).rounded(toExponent: target).description == expected)
    }

    @Test("a product is exact or there is none")
    func product() {
        // 16.9 kPa in mm[Hg].
        #expect(
            ExactDecimal(mantissa: 169, exponent: -1).multiplied(by: ExactDecimal(mantissa: 750_062, exponent: -5))
                == ExactDecimal(mantissa: 126_760_478, exponent: -6))
        #expect(ExactDecimal(mantissa: .max).multiplied(by: 2) == nil)
        #expect(ExactDecimal(mantissa: 1, exponent: 127).multiplied(by: ExactDecimal(mantissa: 1, exponent: 1)) == nil)
    }

    @Test("order agrees with that of whole numbers, over every exponent")
    func order() {
        var random = SystemRandomNumberGenerator()
        let values =
            [Int64.min, .max, 0, 1, -1, 10, -10, 99, 100, 101]
            + (0..<40).map { _ in Int64.random(in: -10_000...10_000, using: &random) }
        for left in values {
            for right in values {
                let expected = left < right ? -1 : left == right ? 0 : 1
                for exponent in [-128, -1, 0, 127] {
                    let (l, r) = (
                        ExactDecimal(mantissa: left, exponent: exponent), ExactDecimal(mantissa: right, exponent: exponent)
                    )
                    #expect(l.compare(r) == expected, "\(l) \(r)")
                }
                // The same number with more digits.
                guard left.magnitude < 1_000_000 else { continue }
                #expect(ExactDecimal(mantissa: left * 1_000, exponent: -3).compare(ExactDecimal(mantissa: right)) == expected)
            }
        }
        #expect(ExactDecimal(mantissa: 1, exponent: 127).compare(ExactDecimal(mantissa: .max, exponent: 0)) == 1)
        #expect(ExactDecimal(mantissa: -1, exponent: 127).compare(ExactDecimal(mantissa: 1, exponent: -128)) == -1)
    }

    @Test("whole numbers that fit, and only those")
    func integer() {
        #expect(ExactDecimal(mantissa: 1_200, exponent: -2).integer == 12)
        #expect(ExactDecimal(mantissa: 12, exponent: 2).integer == 1_200)
        #expect(ExactDecimal(mantissa: 125, exponent: -1).integer == nil)
        #expect(ExactDecimal(mantissa: 1, exponent: 19).integer == nil)
        #expect(ExactDecimal(mantissa: 93, exponent: 17).integer == nil)
        #expect(ExactDecimal(mantissa: .min).integer == Int(Int64.min))
    }

    @Test("any mantissa and any places survive text", arguments: [0, -1, -2, -7, -18, -19, -40, -128])
    func textRoundTrip(exponent: Int) {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<200 {
            let shift = Int64.random(in: 0..<63, using: &random)
            let number = ExactDecimal(mantissa: Int64.random(in: .min ... .max, using: &random) >> shift, exponent: exponent)
            #expect(ExactDecimal(number.description) == number)
        }
    }
}
