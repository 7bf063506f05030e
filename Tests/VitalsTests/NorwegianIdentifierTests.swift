import Testing
import Vitals

/// Every number here is computed: nobody's is written down.
@Suite struct NorwegianIdentifierTests {
    /// The first number with working check digits among those that begin so.
    private func number(_ date: String, from individual: Int = 100) throws -> String {
        for candidate in individual..<1_000 {
            let nine = date + String(repeating: "0", count: 3 - "\(candidate)".count) + "\(candidate)"
            let digits = nine.compactMap(\.wholeNumberValue)
            if let check = NorwegianPersonNumber.checkDigits(of: digits) { return nine + check.map(String.init).joined() }
        }
        throw NorwegianNumberError.differs
    }

    @Test(
        "Kind, system and series by the offsets in day and month",
        arguments: [
            ("010180", .birthNumber, nil, "1", []),
            ("410180", .dNumber, nil, "2", []),
            ("290204", .birthNumber, nil, "1", []),
            ("018180", .birthNumber, .tenor, "1", [.synthetic]),
            ("319299", .birthNumber, .tenor, "1", [.synthetic]),
            ("418180", .dNumber, .tenor, "2", [.synthetic]),
            ("016680", .birthNumber, .syntheticPopulation, "1", [.synthetic]),
            ("717799", .dNumber, .syntheticPopulation, "2", [.synthetic]),
            ("014180", .localHelpNumber, nil, nil, [.localHelpNumber]),
            ("800000", .commonHelpNumber, nil, "3", []),
            ("999999", .commonHelpNumber, nil, "3", []),
            ("310480", .birthNumber, nil, "1", [.date]),
            ("290201", .birthNumber, nil, "1", [.date]),
            ("000180", .birthNumber, nil, "1", [.date]),
            ("011380", .birthNumber, nil, "1", [.date]),
            ("010080", .birthNumber, nil, "1", [.date]),
            ("019380", .birthNumber, nil, "1", [.date]),
            ("780180", .dNumber, nil, "2", [.date]),
        ]
            as [(
                String, NorwegianPersonNumber.Kind, NorwegianPersonNumber.SyntheticSeries?, String?,
                [NorwegianPersonNumber.Warning]
            )])
    func kinds(
        date: String, kind: NorwegianPersonNumber.Kind, series: NorwegianPersonNumber.SyntheticSeries?, system: String?,
        warnings: [NorwegianPersonNumber.Warning]
    ) throws {
        let number = try NorwegianPersonNumber(number(date))
        #expect(number.kind == kind)
        #expect(number.syntheticSeries == series)
        #expect(number.system == system.map { "urn:oid:2.16.578.1.12.4.1.4.\($0)" })
        #expect(number.warnings == warnings)
        #expect(number.controlRule == .since1964)
    }

    @Test("Every other value of one digit, and every exchange of two neighbours that differ, is warned of")
    func checkDigits() throws {
        let right = try number("018180", from: 400)
        let digits = right.compactMap(\.wholeNumberValue)
        for position in 0..<11 {
            for other in 0...9 where other != digits[position] {
                var changed = digits
                changed[position] = other
                let number = try NorwegianPersonNumber(changed.map(String.init).joined())
                // The rule of 2032 lets some changes past the first check digit; the second still stops each of them.
                #expect(number.warnings.contains(.secondCheckDigit) || number.warnings.contains(.firstCheckDigit), "\(position)")
            }
            if position < 10, digits[position] != digits[position + 1] {
                var changed = digits
                changed.swapAt(position, position + 1)
                #expect(try NorwegianPersonNumber(changed.map(String.init).joined()) != NorwegianPersonNumber(right))
            }
        }
    }

    @Test("2032: the first check digit may leave 1, 2 or 3, the second nothing; not for a help number")
    func rule2032() throws {
        var remainders: Set<Int> = []
        for individual in 100..<400 {
            let nine = "018132\(individual)".compactMap(\.wholeNumberValue)
            let sum = zip(nine, [3, 7, 6, 1, 8, 9, 4, 5, 2]).reduce(0) { $0 + $1.0 * $1.1 }
            for first in 0...9 {
                let second =
                    (11 - (zip(nine + [first], [5, 4, 3, 2, 7, 6, 5, 4, 3, 2]).reduce(0) { $0 + $1.0 * $1.1 }) % 11) % 11
                guard second < 10 else { continue }
                let number = try NorwegianPersonNumber((nine + [first, second]).map(String.init).joined())
                let remainder = (sum + first) % 11
                remainders.insert(remainder)
                let rule: NorwegianPersonNumber.ControlRule? = remainder == 0 ? .since1964 : remainder <= 3 ? .from2032 : nil
                #expect(number.controlRule == rule)
                #expect(number.warnings == (rule == nil ? [.firstCheckDigit, .synthetic] : [.synthetic]))
                if remainder == 2 {
                    let help = try NorwegianPersonNumber("9" + number.digits.dropFirst())
                    #expect(help.kind == .commonHelpNumber)
                }
            }
        }
        #expect(remainders == Set(0...10))
        // A help number with the first remainder of 2032.
        let nine = "900000001".compactMap(\.wholeNumberValue)
        let first = (11 + 1 - zip(nine, [3, 7, 6, 1, 8, 9, 4, 5, 2]).reduce(0) { $0 + $1.0 * $1.1 } % 11) % 11
        let help = try NorwegianPersonNumber("900000001\(first)0")
        #expect(help.warnings.contains(.firstCheckDigit))
    }

    @Test("Spaces and hyphens may stand between digits; the form is refused with its place")
    func form() throws {
        let text = try number("018180")
        let spaced = text.prefix(6) + " " + text.dropFirst(6)
        #expect(try NorwegianPersonNumber(spaced) == NorwegianPersonNumber(text))
        #expect(try NorwegianPersonNumber(text.prefix(6) + "-\u{A0}" + text.dropFirst(6)).digits == text)
        #expect(throws: NorwegianNumberError.count(10, expected: 11)) { try NorwegianPersonNumber(text.dropLast()) }
        #expect(throws: NorwegianNumberError.count(12, expected: 11)) { try NorwegianPersonNumber(text + "0") }
        #expect(throws: NorwegianNumberError.count(0, expected: 11)) { try NorwegianPersonNumber("") }
        #expect(throws: NorwegianNumberError.notADigit(offset: 3)) { try NorwegianPersonNumber("018x8012345") }
        #expect(throws: NorwegianNumberError.notADigit(offset: 0)) { try NorwegianPersonNumber("٠١٨١٨٠١٢٣٤٥") }
    }

    @Test("Typed twice")
    func twice() throws {
        let text = try number("018180")
        let other = try number("018180", from: 500)
        #expect(try NorwegianPersonNumber(text, again: text.prefix(6) + " " + text.dropFirst(6)).digits == text)
        #expect(throws: NorwegianNumberError.differs) { try NorwegianPersonNumber(text, again: other) }
    }

    @Test("What is printed or dumped shows no digit of a person's number")
    func redacted() throws {
        let number = try NorwegianPersonNumber(number("018180"))
        var shown = "\(number) \(String(reflecting: number))"
        dump(number, to: &shown)
        #expect(!shown.contains(number.digits.prefix(6)) && !shown.contains(number.digits.suffix(5)))
        #expect(shown.hasPrefix("fodselsnummer (synthetic)"))
        for error in [NorwegianNumberError.count(3, expected: 11), .notADigit(offset: 4), .differs] {
            #expect(!"\(error)".isEmpty)
        }
    }

    @Test("Organisation numbers: the register's own example, and every wrong check digit")
    func organisations() throws {
        #expect(try NorwegianOrganisationNumber("123 456 785").warnings == [])
        #expect(try NorwegianOrganisationNumber("123456785").digits == "123456785")
        for digit in 0...9 where digit != 5 {
            #expect(try NorwegianOrganisationNumber("12345678\(digit)").warnings == [.checkDigit])
        }
        #expect(throws: NorwegianNumberError.count(11, expected: 9)) { try NorwegianOrganisationNumber("12345678500") }
    }
}
