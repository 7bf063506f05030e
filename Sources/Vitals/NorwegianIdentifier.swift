/// A person's number in Norway, as scanned or typed.
///
/// Eleven digits. A number of the population register is `DDMMYY` + three individual digits + two check digits; the others say
/// by an offset in the date what they are:
///
/// | Number | Mark | System | Source |
/// |---|---|---|---|
/// | fødselsnummer | none | `….4.1` | folkeregisterforskriften § 2-2; Skatteetaten, "Fødselsnummer" |
/// | D-number | day + 40 | `….4.2` | the same; HITR 1001:2010 "Identifikatorer for personer" |
/// | felles hjelpenummer | nine digits from 800 000 000 to 999 999 999, drawn at random | `….4.3` | nhn.no, "Hva er felles hjelpenummer"; HITR 1001:2010 |
/// | H-number of one hospital | month + 40 | none: worth nothing without its assigner | HITR 1001:2010 |
///
/// Synthetic people are marked on top of that by the month: + 80 Skatteetaten's Tenor, + 65 NHN's synthetic population
/// (the offsets of FHI's `Fhi.NINCheck`, which validates both), + 40 NAV's Dolly, which an H-number cannot be told from.
///
/// A number is refused for its form alone. A wrong check digit or date is a ``Warning``: numbers of 2032 and numbers that a
/// register issued by mistake exist, and whoever typed it has the person in front of them.
public struct NorwegianPersonNumber: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case birthNumber = "fodselsnummer"
        case dNumber = "d-nummer"
        case commonHelpNumber = "felles-hjelpenummer"
        /// Of one organisation (or of Dolly): not for a national receiver.
        case localHelpNumber = "h-nummer"
    }

    /// Whose synthetic person it is.
    public enum SyntheticSeries: String, Hashable, Sendable, CaseIterable {
        case tenor
        case syntheticPopulation = "nhn"
    }

    /// Which calculation of the first check digit the number satisfies.
    public enum ControlRule: String, Hashable, Sendable, CaseIterable {
        case since1964 = "1964"
        case from2032 = "2032"
    }

    /// What is odd about a number that has the right form.
    public enum Warning: String, Hashable, Sendable, CaseIterable {
        case firstCheckDigit = "first-check-digit"
        case secondCheckDigit = "second-check-digit"
        /// The first six digits are no date in any series.
        case date
        /// It names a synthetic person: never in production.
        case synthetic
        /// It is known to one organisation only.
        case localHelpNumber = "local-help-number"
    }

    /// The eleven digits. Personal data: to the sealed store and the TLS body, nowhere else.
    public let digits: String
    public let kind: Kind
    public let syntheticSeries: SyntheticSeries?
    /// `nil` where the check digits satisfy neither.
    public let controlRule: ControlRule?
    public let warnings: [Warning]

    /// Reads eleven digits; spaces, no-break spaces and hyphens between them are how people write them.
    public init(_ text: some StringProtocol) throws(NorwegianNumberError) {
        let number = try NorwegianDigits.read(text, count: 11)
        digits = number.map(String.init).joined()

        let nine = number[0..<9].reduce(0) { $0 * 10 + $1 }
        let day = number[0] * 10 + number[1]
        let month = number[2] * 10 + number[3]
        let year = number[4] * 10 + number[5]
        var found: [Warning] = []
        var series: SyntheticSeries?
        if nine >= 800_000_000 {
            kind = .commonHelpNumber
        } else {
            let isD = day > 40
            let (offset, mark): (Int, SyntheticSeries?) =
                switch month {
                case 81...92: (80, .tenor)
                case 66...77: (65, .syntheticPopulation)
                case 41...52: (40, nil)
                default: (0, nil)
                }
            series = mark
            kind = offset == 40 ? .localHelpNumber : isD ? .dNumber : .birthNumber
            if !Self.isDate(day: isD ? day - 40 : day, month: month - offset, year: year) { found.append(.date) }
        }
        syntheticSeries = series

        // Σ weight · digit + check digit leaves 0 divided by 11 (Skatteetaten, "Nytt fødselsnummer fra 2032": from then on the
        // first may leave 0, 1, 2 or 3; the second still 0). Both rules are read side by side, as the page asks.
        let first = NorwegianDigits.remainder(number, weights: [3, 7, 6, 1, 8, 9, 4, 5, 2, 1])
        let second = NorwegianDigits.remainder(number, weights: [5, 4, 3, 2, 7, 6, 5, 4, 3, 2, 1])
        // The page speaks of fødselsnummer and D-number alone.
        let hasNewRule = kind == .birthNumber || kind == .dNumber
        let rule: ControlRule? = first == 0 ? .since1964 : first <= 3 && hasNewRule ? .from2032 : nil
        if rule == nil { found.append(.firstCheckDigit) }
        if second != 0 { found.append(.secondCheckDigit) }
        controlRule = second == 0 ? rule : nil
        if series != nil { found.append(.synthetic) }
        if kind == .localHelpNumber { found.append(.localHelpNumber) }
        warnings = found
    }

    /// What was typed twice must be the same number both times.
    public init(_ text: some StringProtocol, again: some StringProtocol) throws(NorwegianNumberError) {
        let number = try NorwegianPersonNumber(text)
        guard try NorwegianPersonNumber(again) == number else { throw .differs }
        self = number
    }

    public var isSynthetic: Bool { syntheticSeries != nil }

    /// The FHIR `Identifier.system` (HL7 Norway, no-basis-Patient 2.2.2); `nil` for a number that has no national one.
    public var system: String? {
        switch kind {
        case .birthNumber: "urn:oid:2.16.578.1.12.4.1.4.1"
        case .dNumber: "urn:oid:2.16.578.1.12.4.1.4.2"
        case .commonHelpNumber: "urn:oid:2.16.578.1.12.4.1.4.3"
        case .localHelpNumber: nil
        }
    }

    /// The two check digits of nine digits under today's rule; `nil` for the nine in a hundred and more that have none.
    public static func checkDigits(of nine: [Int]) -> [Int]? {
        guard nine.count == 9, let first = NorwegianDigits.check(nine, weights: [3, 7, 6, 1, 8, 9, 4, 5, 2]),
            let second = NorwegianDigits.check(nine + [first], weights: [5, 4, 3, 2, 7, 6, 5, 4, 3, 2])
        else { return nil }
        return [first, second]
    }

    /// The century cannot be read from a number of 2032, so that every fourth year may have a 29 February (1900 had none, and
    /// nobody born then is alive).
    private static func isDate(day: Int, month: Int, year: Int) -> Bool {
        LocalDateTime(year: 2_000 + year, month: month, day: day, hour: 0, minute: 0, second: 0).isValid
    }
}

extension NorwegianPersonNumber: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The kind alone: a log never shows the digits.
    public var description: String { isSynthetic ? "\(kind.rawValue) (synthetic)" : kind.rawValue }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: ["kind": kind], displayStyle: .struct) }
}

/// A number of the Central Coordinating Register for Legal Entities: eight digits and a check digit, modulo 11 with the weights
/// 3 2 7 6 5 4 3 2 (Brønnøysundregistrene, "The organization number").
public struct NorwegianOrganisationNumber: Hashable, Sendable, CustomStringConvertible {
    public enum Warning: String, Hashable, Sendable, CaseIterable {
        case checkDigit = "check-digit"
    }

    public let digits: String
    public let warnings: [Warning]

    public init(_ text: some StringProtocol) throws(NorwegianNumberError) {
        let number = try NorwegianDigits.read(text, count: 9)
        digits = number.map(String.init).joined()
        warnings = NorwegianDigits.remainder(number, weights: [3, 2, 7, 6, 5, 4, 3, 2, 1]) == 0 ? [] : [.checkDigit]
    }

    /// The FHIR `Identifier.system` (HL7 Norway, no-basis-Organization, slice ENH).
    public static let system = "urn:oid:2.16.578.1.12.4.1.4.101"

    public var description: String { digits }
}

/// Why a text is no Norwegian number. Without the text: it may be somebody's.
public enum NorwegianNumberError: Error, Hashable, Sendable, CustomStringConvertible {
    /// At this character (counted from 0) stands something that is neither a digit nor a separator.
    case notADigit(offset: Int)
    case count(Int, expected: Int)
    /// The two texts are not the same number.
    case differs

    public var description: String {
        switch self {
        case .notADigit(let offset): "no digit at character \(offset): type digits only, spaces may stand between them"
        case .count(let count, let expected): "\(count) digits instead of \(expected): scan or type the number again"
        case .differs: "the number was not typed the same both times: type it twice again"
        }
    }
}

private enum NorwegianDigits {
    static func read(_ text: some StringProtocol, count: Int) throws(NorwegianNumberError) -> [Int] {
        var digits: [Int] = []
        for (offset, scalar) in text.unicodeScalars.enumerated() {
            switch scalar {
            case "0"..."9": digits.append(Int(scalar.value - 0x30))
            case " ", "\u{A0}", "\u{202F}", "-": continue
            default: throw .notADigit(offset: offset)
            }
        }
        guard digits.count == count else { throw .count(digits.count, expected: count) }
        return digits
    }

    static func remainder(_ digits: [Int], weights: [Int]) -> Int {
        zip(digits, weights).reduce(0) { $0 + $1.0 * $1.1 } % 11
    }

    /// The digit that makes the sum divisible by 11; ten is none.
    static func check(_ digits: [Int], weights: [Int]) -> Int? {
        let digit = (11 - remainder(digits, weights: weights)) % 11
        return digit == 10 ? nil : digit
    }
}
