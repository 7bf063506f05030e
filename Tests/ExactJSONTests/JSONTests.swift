import ExactJSON
import Testing

@Suite struct JSONTests {
    @Test(
        "numbers keep their digits and objects their order",
        arguments: [
            #"{"z":7.10,"a":[36.60,97.5,-0.50],"n":null,"t":true,"f":false,"s":"mm[Hg]"}"#, "[]", "{}", #""""#, "0", "-12.50",
            "[[],{}]",
            #"{"a":{"b":{"c":[1,2,3]}}}"#, #""æøå 😀 \" \\ \n \r \t \u0000 \u001f""#,
        ])
    func roundTrip(text: String) throws {
        #expect(try JSON(parsing: text).text == text)
        #expect(try JSON(parsing: try JSON(parsing: text).prettyText) == JSON(parsing: text))
    }

    @Test(
        "escapes",
        arguments: [
            (#""\u0041\u00e6\ud83d\ude00""#, "Aæ😀"), (#""\/\b\f""#, "/\u{8}\u{c}"), (#""\u007F""#, "\u{7F}"),
        ])
    func escapes(text: String, expected: String) throws {
        #expect(try JSON(parsing: text).string == expected)
        #expect(try JSON(parsing: JSON.string(expected).bytes).string == expected)
    }

    @Test(
        "what is no JSON is an error with its place",
        arguments: [
            ("", 0), (" ", 1), ("{", 1), ("[1,]", 3), ("[1 2]", 3), ("{\"a\"}", 4), ("{\"a\":1,}", 7), ("{a:1}", 1), ("'a'", 0),
            ("01", 1),
            ("1.", 2), (".5", 0), ("1e", 2), ("-", 1), ("+1", 0), ("nul", 0), ("truee", 4), ("NaN", 0), ("\"a", 2),
            ("\"\\x\"", 2),
            ("\"\\u12\"", 3), ("\"\\ud800\"", 7), ("\"\\udc00\"", 7), ("\"\\ud800\\u0041\"", 13), ("\"a\nb\"", 2), ("1 1", 2),
            ("1e400", 0), ("12345678901234567890", 0),
        ])
    func refuses(text: String, offset: Int) {
        #expect(throws: JSONError.self) { try JSON(parsing: text) }
        do throws(JSONError) { _ = try JSON(parsing: text) } catch { #expect(error.offset == offset, "\(error)") }
    }

    @Test(
        "bytes that are no UTF-8 are an error",
        arguments: [
            [0x22, 0xFF, 0x22], [0x22, 0xC0, 0x80, 0x22], [0x22, 0xED, 0xA0, 0x80, 0x22], [0xEF, 0xBB, 0xBF],
        ] as [[UInt8]])
    func refusesBytes(bytes: [UInt8]) {
        #expect(throws: JSONError.self) { try JSON(parsing: bytes) }
    }

    @Test("a byte order mark is passed over")
    func byteOrderMark() throws {
        #expect(try JSON(parsing: [0xEF, 0xBB, 0xBF, 0x31]) == 1)
    }

    @Test("a hostile depth is an error and no crash", arguments: ["[", "{\"a\":", "[{\"a\":"])
    func hostileDepth(opening: String) {
        #expect(throws: JSONError.self) { try JSON(parsing: String(repeating: opening, count: 100_000)) }
    }

    @Test("a depth that real resources never reach is read")
    func allowedDepth() throws {
        let text = String(repeating: "[", count: 128) + String(repeating: "]", count: 128)
        #expect(try JSON(parsing: text).text == text)
        #expect(throws: JSONError.self) { try JSON(parsing: "[" + text + "]") }
    }

    @Test("an error does not repeat the text: it may be health data")
    func errorsHoldNoContent() {
        do throws(JSONError) { _ = try JSON(parsing: #"{"name":"Nancy Berggren" 127}"#) } catch {
            #expect(!error.description.contains("Nancy"))
            #expect(!error.description.contains("127"))
        }
    }

    @Test(
        "the same in meaning: key order and trailing zeros aside",
        arguments: [
            (#"{"a":1.0,"b":[2]}"#, #"{"b":[2.00],"a":1}"#, true), (#"{"a":1}"#, #"{"a":1,"b":2}"#, false),
            ("[1,2]", "[2,1]", false),
            (#"{"a":1}"#, #"{"a":"1"}"#, false), ("null", "null", true), ("null", "false", false),
            // A key that stands twice must not hide another.
            (#"{"a":1,"a":1}"#, #"{"a":1,"b":2}"#, false), (#"{"a":1,"b":2}"#, #"{"a":1,"a":1}"#, false),
        ])
    func meaning(left: String, right: String, same: Bool) throws {
        #expect(try JSON(parsing: left).means(JSON(parsing: right)) == same)
    }

    @Test("looking in, and changing a member")
    func access() throws {
        let json = try JSON(parsing: #"{"a":[1,{"b":"x"}],"a":2,"c":1.5}"#)
        #expect(json["a"]?[1]?["b"]?.string == "x")
        #expect(json["a"]?[2] == nil)
        #expect(json["x"] == nil)
        #expect(json[0] == nil)
        #expect(json["c"]?.integer == nil)
        #expect(JSON.members(["a": 1, "b": nil, "c": "x"]).text == #"{"a":1,"c":"x"}"#)
        #expect(JSON.members(["a": 1]).setting("b", to: true).setting("a", to: 2).text == #"{"a":2,"b":true}"#)
    }

    @Test("every number survives writing and reading, whatever its exponent")
    func numberRoundTrip() throws {
        for exponent in ExactDecimal.exponentRange {
            for mantissa in [Int64.min, -1, 0, 1, 12, 120, .max] {
                let number = ExactDecimal(mantissa: mantissa, exponent: exponent)
                let read = try JSON(parsing: JSON.number(number).bytes).number
                #expect(read?.isNumericallyEqual(to: number) == true, "\(mantissa)e\(exponent)")
            }
        }
    }
}

@Suite struct JSONProperties {
    static func value(_ depth: Int, using random: inout some RandomNumberGenerator) -> JSON {
        switch Int.random(in: 0..<(depth > 4 ? 4 : 6), using: &random) {
        case 0: .null
        case 1: .bool(Bool.random(using: &random))
        case 2:
            .number(
                ExactDecimal(
                    mantissa: Int64.random(in: .min ... .max, using: &random), exponent: Int.random(in: -128...0, using: &random))
            )
        case 3: .string(text(using: &random))
        case 4: .array((0..<Int.random(in: 0..<5, using: &random)).map { _ in value(depth + 1, using: &random) })
        default:
            .object(
                (0..<Int.random(in: 0..<5, using: &random)).map { _ in
                    JSON.Member(text(using: &random), value(depth + 1, using: &random))
                })
        }
    }

    static func text(using random: inout some RandomNumberGenerator) -> String {
        String(
            String.UnicodeScalarView(
                (0..<Int.random(in: 0..<8, using: &random)).compactMap { _ in
                    Unicode.Scalar(UInt32.random(in: 0..<(Bool.random(using: &random) ? 0x80 : 0x11_0000), using: &random))
                }))
    }

    @Test("whatever is written is read as it was")
    func writtenIsRead() throws {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<500 {
            let value = Self.value(0, using: &random)
            let (compact, pretty) = (try JSON(parsing: value.bytes), try JSON(parsing: value.prettyText))
            if compact != value || pretty != value || !compact.means(value) { Issue.record("\(value.text)") }
        }
    }

    @Test("broken text is an error or another value, and never a crash")
    func brokenText() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            var bytes = Self.value(0, using: &random).bytes
            for _ in 0..<Int.random(in: 1..<4, using: &random) where !bytes.isEmpty {
                let position = Int.random(in: 0..<bytes.count, using: &random)
                switch Int.random(in: 0..<3, using: &random) {
                case 0: bytes[position] = UInt8.random(in: 0...255, using: &random)
                case 1: bytes.remove(at: position)
                default: bytes.removeSubrange(position...)
                }
            }
            do throws(JSONError) { _ = try JSON(parsing: bytes) } catch { #expect(error.offset <= bytes.count) }
        }
    }
}
