import Testing

@testable import Catalogue

@Suite struct MalformedEntryTests {
    /// A whole entry; the cases below put one wrong line into it.
    static let good = """
        name = "Cuff"
        driver = "blood-pressure"
        specialization = 528391
        acknowledges = "confirmation"
        users = "single"
        records = "unsent"
        [match]
        services = [0x1810]
        """

    struct Case: Sendable, CustomTestStringConvertible {
        var line: String
        var with: String
        var at: Int
        var key: String?
        var why: String
        var testDescription: String { "\(line) -> \(with)" }
    }

    @Test(
        "an entry is refused with the line, the key and the reason",
        arguments: [
            Case(line: "name = \"Cuff\"", with: "", at: 1, key: "name", why: "missing"),
            Case(
                line: "name = \"Cuff\"", with: "name = 7", at: 1, key: "name",
                why: "expected the model's name in quotes, found a whole number"),
            Case(line: "name = \"Cuff\"", with: "name = \"\"", at: 1, key: "name", why: "empty"),
            Case(
                line: "driver = \"blood-pressure\"", with: "driver = \"blood-presure\"", at: 2, key: "driver", why: "no such word"
            ),
            Case(
                line: "driver = \"blood-pressure\"", with: "driver = \"pulse-oximeter\"", at: 3, key: "specialization",
                why: "is for 528388"),
            Case(line: "specialization = 528391", with: "specialization = 5", at: 3, key: "specialization", why: "outside"),
            Case(line: "users = \"single\"", with: "usres = \"single\"", at: 5, key: "usres", why: "no such key"),
            Case(
                line: "services = [0x1810]", with: "services = [0x1810, 0x12345]", at: 8, key: "match.services[1]", why: "16-bit"),
            Case(line: "services = [0x1810]", with: "services = 0x1810", at: 8, key: "match.services", why: "expected a list"),
            Case(line: "services = [0x1810]", with: "service = [0x1810]", at: 8, key: "match.service", why: "no such key"),
            Case(line: "[match]", with: "[match", at: 7, key: nil, why: "not TOML"),
            Case(
                line: "services = [0x1810]", with: "services = [0x1810]\n[clock]\nread = 0x2A00", at: 10, key: "clock.read",
                why: "no clock"),
            Case(
                line: "services = [0x1810]", with: "services = [0x1810]\n[clock]\nwrites_on_every_connect = true", at: 10,
                key: "clock.writes_on_every_connect", why: "no characteristic"),
            Case(
                line: "services = [0x1810]", with: "services = [0x1810]\n[session]\nsteps = [\"clock\"]", at: 10,
                key: "session.steps", why: "subscribe"),
            Case(
                line: "services = [0x1810]", with: "services = [0x1810]\n[session]\nsteps = [\"subscribe\", \"wait\"]", at: 10,
                key: "session.steps[1]", why: "holds"),
            Case(
                line: "services = [0x1810]", with: "services = [0x1810]\n[session]\nsteps = [\"subscribe\", \"subscribe\"]",
                at: 10, key: "session.steps", why: "twice"),
            Case(
                line: "services = [0x1810]",
                with: "services = [0x1810]\n[[session.command]]\ncharacteristic = \"2A35\"\nbytes = \"00\"", at: 10,
                key: "session.command[0].characteristic", why: "no 128-bit UUID"),
            Case(
                line: "services = [0x1810]",
                with:
                    "services = [0x1810]\n[[session.command]]\ncharacteristic = \"233bf001-5a34-1b6d-975c-000d5690abe4\"\nbytes = \"0\"",
                at: 11, key: "session.command[0].bytes", why: "no hex"),
            Case(
                line: "services = [0x1810]", with: "services = [0x1810]\n[stream]\nresult_flags = [\"fully-qualified\"]", at: 9,
                key: "stream", why: "no stream"),
            Case(
                line: "services = [0x1810]",
                with: "services = [0x1810]\n[[range]]\nquantity = \"systolic\"\nunit = \"mm[Hg]\"\nlow = 9\nhigh = 9.0", at: 13,
                key: "range[0].high", why: "not above low"),
            Case(
                line: "services = [0x1810]",
                with: "services = [0x1810]\n[[range]]\nquantity = \"systolic\"\nunit = \"mm[Hg]\"\nlow = 9", at: 9,
                key: "range[0].high", why: "missing"),
        ])
    func refused(_ given: Case) throws {
        let text = Self.good.replacing(given.line, with: given.with)
        let problems = try #require(throws: Problems.self) { try Model(toml: text.utf8, id: "cuff", file: "cuff.toml") }
        let found = problems.all.contains { $0.place?.line == given.at && $0.key == given.key && $0.why.contains(given.why) }
        #expect(found, "\(problems)")
        #expect(problems.all.allSatisfy { !$0.remedy.isEmpty && $0.file == "cuff.toml" })
    }

    @Test("every problem is told, not only the first")
    func all() throws {
        let problems = try #require(throws: Problems.self) {
            try Model(toml: "name = 1\ndriver = 2\n".utf8, id: "x", file: "x.toml")
        }
        #expect(
            problems.all.compactMap(\.key).sorted() == ["acknowledges", "driver", "name", "records", "specialization", "users"])
    }

    @Test("the good one is good")
    func good() throws {
        #expect(try Model(toml: Self.good.utf8, id: "cuff", file: "cuff.toml").name == "Cuff")
    }
}
