import Testing

@testable import Catalogue

@Suite struct TOMLTests {
    private func table(_ text: String) throws -> TOMLTable { try TOMLTable(parsing: Array(text.utf8)) }

    @Test(
        "a value is read as what it is",
        arguments: [
            ("a = 1", TOMLValue.integer(1)), ("a = -0", .integer(0)), ("a = +99", .integer(99)), ("a = 1_000", .integer(1_000)),
            ("a = 0x2A08", .integer(0x2A08)), ("a = 0o17", .integer(15)), ("a = 0b1010", .integer(10)),
            ("a = 9223372036854775807", .integer(.max)), ("a = -9223372036854775808", .integer(.min)),
            ("a = 36.60", .float("36.60")), ("a = +1.0", .float("1.0")), ("a = -3.5e-2", .float("-3.5e-2")),
            ("a = 1e3", .float("1e3")),
            ("a = 1_0.2_5", .float("10.25")), ("a = -inf", .float("-inf")), ("a = nan", .float("nan")),
            ("a = true", .boolean(true)), ("a = false # no", .boolean(false)),
            (#"a = "x\ty\u00e6\U0001F600\\\"""#, .string("x\tyæ😀\\\"")), (#"a = 'C:\x'"#, .string(#"C:\x"#)),
            ("a = ''", .string("")),
            ("a = \"\"\"\nx\ny\"\"\"", .string("x\ny")), ("a = \"\"\"x \\\n   y\"\"\"", .string("x y")),
            ("a = '''a''b'''", .string("a''b")),
            ("a = \"\"\"q\"\"\"\"\"", .string("q\"\"")),
            ("a = 2026-02-28", .date("2026-02-28")), ("a = 07:32:00", .date("07:32:00")),
            ("a = 2026-02-28T07:32:00.5Z", .date("2026-02-28T07:32:00.5Z")),
            ("a = 2026-02-28 07:32:00+01:00", .date("2026-02-28 07:32:00+01:00")),
        ])
    func value(_ text: String, _ expected: TOMLValue) throws {
        #expect(try table(text)["a"]?.value == expected)
    }

    @Test("keys, headers and lists keep their lines")
    func places() throws {
        let root = try table(
            "# a comment\n\na.b = 1\n\"c d\" = [\n  1,\n  2, # two\n]\n\n[t]\nx = { y = 1, z.w = 2 }\n\n[[l]]\nn = 1\n[[l]]\nn = 2\n[l.sub]\nk = 3\n"
        )
        #expect(root["a"]?.place == TOMLPlace(line: 3, column: 1))
        guard case .array(let numbers)? = root["c d"]?.value else { Issue.record("no list"); return }
        #expect(numbers.map(\.place.line) == [5, 6])
        guard case .array(let tables)? = root["l"]?.value, case .table(let last)? = tables.last?.value else {
            Issue.record("no tables"); return
        }
        #expect(tables.map(\.place.line) == [12, 14])
        #expect(last["sub"]?.place.line == 16)
        guard case .table(let t)? = root["t"]?.value, case .table(let x)? = t["x"]?.value, case .table(let z)? = x["z"]?.value
        else {
            Issue.record("no inline table"); return
        }
        #expect(z["w"]?.value == .integer(2))
    }

    @Test(
        "what is not TOML is refused at its line",
        arguments: [
            ("a", 1), ("a = ", 1), ("= 1", 1), ("a = 1 b = 2", 1), ("x = 1\na = 01", 2), ("a = 1__0", 1), ("a = _1", 1),
            ("a = 1.", 1),
            ("a = .5", 1), ("a = 0xG", 1), ("a = -0x1", 1), ("a = yes", 1), ("a = 'x", 1), ("a = \"x\ny\"", 1), (#"a = "\q""#, 1),
            (#"a = "\uD800""#, 1), ("a = 1\na = 2", 2), ("a.b = 1\na = 2", 2), ("a = 1\na.b = 2", 2), ("[t]\n[t]", 2),
            ("[t]\nx = 1\n[t.x]", 3),
            ("[[t]]\n[t]", 2), ("[t]\n[[t]]", 2), ("a = [1, 2", 1), ("a = {x = 1, }", 1), ("a = {x = 1}\n[a.b]", 2),
            ("a = {x = 1\n}", 1),
            ("a.b = 1\n[a]", 2), ("a = 9223372036854775808", 1), ("a = 2026-13-01", 1), ("a = 2026-02-30", 1),
            ("a = 25:00:00", 1), ("a = 2026-02-28T10:00:00+01:+0", 1), ("a = \"\"\"b\\\n \r c\"\"\"", 2),
            ("a = \u{1}", 1), ("# \u{1}", 1), ("[a", 1), ("[]", 1), ("[[a]", 1), ("a = \"\"\"x", 1), ("[a]\nb.c = 1\n[a.b]", 3),
        ])
    func refused(_ text: String, _ line: Int) {
        #expect(throws: TOMLError.self) { try self.table(text) }
        do { _ = try table(text) } catch { #expect((error as? TOMLError)?.place.line == line) }
    }

    @Test("bytes that are not UTF-8 are refused at their line")
    func encoding() {
        #expect(throws: TOMLError("this line is not UTF-8", at: TOMLPlace(line: 2, column: 1))) {
            try TOMLTable(parsing: Array("a = 1\nb = \"".utf8) + [0xE6, 0x22])
        }
    }

    @Test("deep nesting is refused and does not exhaust the stack")
    func depth() {
        #expect(throws: TOMLError.self) { try self.table("a = " + String(repeating: "[", count: 100_000)) }
        #expect(throws: TOMLError.self) { try self.table("a = " + String(repeating: "{a=", count: 100_000)) }
    }

    @Test("every cut of a document is read or refused, never a crash")
    func cuts() throws {
        let text = Array(BuiltInEntry.all.map(\.text).joined().utf8)
        for end in stride(from: 0, to: text.count, by: 7) { _ = try? TOMLTable(parsing: Array(text[..<end])) }
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<300 {
            var bytes = Array(text.prefix(2_000))
            for _ in 0..<5 {
                bytes[Int.random(in: 0..<bytes.count, using: &generator)] = UInt8.random(in: 0...255, using: &generator)
            }
            _ = try? TOMLTable(parsing: bytes)
        }
    }
}
