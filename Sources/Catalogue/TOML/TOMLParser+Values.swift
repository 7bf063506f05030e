// Values: strings, numbers, dates, lists.

extension TOMLParser {
    mutating func value(depth: Int) throws(TOMLError) -> TOMLValue {
        guard depth < Self.deepest else { throw TOMLError("nested too deep", at: place) }
        switch current {
        case UInt8(ascii: "\"")?: return .string(ahead("\"\"\"") ? try multilineString(quote: "\"\"\"") : try basicString())
        case UInt8(ascii: "'")?: return .string(ahead("'''") ? try multilineString(quote: "'''") : try literalString())
        case UInt8(ascii: "[")?: return .array(try list(depth: depth))
        case UInt8(ascii: "{")?: return .table(try inlineTable(depth: depth))
        case nil, UInt8.newline?, UInt8(ascii: "#")?: throw TOMLError("expected a value", at: place)
        default: return try scalar()
        }
    }

    private mutating func list(depth: Int) throws(TOMLError) -> [TOMLNode] {
        advance()
        var nodes: [TOMLNode] = []
        while true {
            try skipLines()
            if current == UInt8(ascii: "]") { break }
            let start = place
            nodes.append(TOMLNode(try value(depth: depth + 1), at: start))
            try skipLines()
            if current == UInt8(ascii: ",") {
                advance()
            } else if current != UInt8(ascii: "]") {
                throw TOMLError("expected , or ] in the list", at: place)
            }
        }
        advance()
        return nodes
    }

    // MARK: Strings

    mutating func basicString() throws(TOMLError) -> String {
        let start = place
        advance()
        var text: [UInt8] = []
        while let byte = current {
            switch byte {
            case UInt8(ascii: "\""):
                advance()
                return String(decoding: text, as: UTF8.self)
            case UInt8(ascii: "\\"): text += try escape()
            default:
                guard !byte.isControl else {
                    throw TOMLError("a string ends on its line; a control character is escaped", at: place)
                }
                text.append(byte)
                advance()
            }
        }
        throw TOMLError("the string has no end", at: start)
    }

    mutating func literalString() throws(TOMLError) -> String {
        let start = place
        advance()
        let from = position
        while let byte = current {
            if byte == UInt8(ascii: "'") {
                advance()
                return String(decoding: bytes[from..<position - 1], as: UTF8.self)
            }
            guard !byte.isControl else { throw TOMLError("a string ends on its line", at: place) }
            advance()
        }
        throw TOMLError("the string has no end", at: start)
    }

    private mutating func multilineString(quote: StaticString) throws(TOMLError) -> String {
        let start = place
        let isBasic = ahead("\"\"\"")
        let mark = isBasic ? UInt8(ascii: "\"") : UInt8(ascii: "'")
        advance(3)
        // A line end right after the quotes is not part of the text.
        if ahead("\r\n") { advance(2) } else if current == .newline { advance() }
        var text: [UInt8] = []
        while let byte = current {
            if ahead(quote) {
                advance(3)
                // Up to two more quotes stand before the closing three.
                for _ in 0..<2 where current == mark {
                    text.append(mark)
                    advance()
                }
                return String(decoding: text, as: UTF8.self)
            }
            if isBasic, byte == UInt8(ascii: "\\") {
                if try !skipFoldedLine() { text += try escape() }
            } else if ahead("\r\n") {
                // A line end is one, however the file was written.
                text.append(.newline)
                advance(2)
            } else {
                guard !byte.isControl || byte == .newline else { throw TOMLError("a control character in a string", at: place) }
                text.append(byte)
                advance()
            }
        }
        throw TOMLError("the string has no end", at: start)
    }

    /// A backslash at the end of a line drops it with all space up to the next text.
    private mutating func skipFoldedLine() throws(TOMLError) -> Bool {
        var ahead = self
        ahead.advance()
        ahead.skipBlanks()
        guard ahead.current == .newline || ahead.ahead("\r\n") else { return false }
        while true {
            ahead.skipBlanks()
            guard ahead.current == .newline || ahead.ahead("\r\n") else { break }
            ahead.advance(ahead.current == .newline ? 1 : 2)
        }
        self = ahead
        return true
    }

    private mutating func escape() throws(TOMLError) -> [UInt8] {
        let start = place
        advance()
        guard let byte = current else { throw TOMLError("the string has no end", at: start) }
        advance()
        switch byte {
        case UInt8(ascii: "b"): return [0x08]
        case UInt8(ascii: "t"): return [0x09]
        case UInt8(ascii: "n"): return [0x0A]
        case UInt8(ascii: "f"): return [0x0C]
        case UInt8(ascii: "r"): return [0x0D]
        case UInt8(ascii: "\""), UInt8(ascii: "\\"): return [byte]
        case UInt8(ascii: "u"), UInt8(ascii: "U"):
            let digits = byte == UInt8(ascii: "u") ? 4 : 8
            let text = String(decoding: bytes[position..<min(position + digits, bytes.count)], as: UTF8.self)
            guard text.utf8.count == digits, text.utf8.allSatisfy({ $0 != UInt8(ascii: "+") && $0 != UInt8(ascii: "-") }),
                let code = UInt32(text, radix: 16), let scalar = Unicode.Scalar(code)
            else { throw TOMLError("expected \(digits) hex digits of a Unicode character", at: start) }
            advance(digits)
            return Array(String(Character(scalar)).utf8)
        default: throw TOMLError("unknown escape in the string; a backslash itself is \\\\", at: start)
        }
    }

    // MARK: Numbers, booleans, dates

    private mutating func scalar() throws(TOMLError) -> TOMLValue {
        let start = place
        var from = position
        while let byte = current,
            byte.isBareKey || byte == UInt8(ascii: "+") || byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":")
        {
            advance()
        }
        var token = String(decoding: bytes[from..<position], as: UTF8.self)
        // A date and a time may be parted by a space.
        if TOMLScalar.isDate(token), current == UInt8(ascii: " "), position + 1 < bytes.count, bytes[position + 1].isDigit {
            from = position + 1
            advance()
            while let byte = current,
                byte.isBareKey || byte == UInt8(ascii: ".") || byte == UInt8(ascii: ":") || byte == UInt8(ascii: "+")
            {
                advance()
            }
            token += " " + String(decoding: bytes[from..<position], as: UTF8.self)
        }
        guard let value = TOMLScalar.value(of: token) else {
            throw TOMLError(
                token.isEmpty ? "expected a value" : "not a value: a text stands in quotes, a number has no leading zero",
                at: start)
        }
        return value
    }
}

/// A value without quotes.
enum TOMLScalar {
    static func value(of token: String) -> TOMLValue? {
        switch token {
        case "true": return .boolean(true)
        case "false": return .boolean(false)
        case "inf", "+inf", "-inf", "nan", "+nan", "-nan": return .float(token)
        default: break
        }
        return prefixed(token) ?? integer(token) ?? float(token) ?? (isDateOrTime(token) ? .date(token) : nil)
    }

    /// `0x2A08`, `0o17`, `0b1010`: without sign.
    private static func prefixed(_ token: String) -> TOMLValue? {
        let radix: Int
        switch token.prefix(2) {
        case "0x": radix = 16
        case "0o": radix = 8
        case "0b": radix = 2
        default: return nil
        }
        let digits = token.dropFirst(2)
        guard let plain = withoutUnderscores(digits), plain.utf8.allSatisfy({ $0.isBareKey && $0 != UInt8(ascii: "-") }) else {
            return nil
        }
        return Int64(plain, radix: radix).map { .integer($0) }
    }

    private static func integer(_ token: String) -> TOMLValue? {
        let digits = token.first == "+" || token.first == "-" ? token.dropFirst() : token[...]
        guard isWholePart(digits), let plain = withoutUnderscores(digits) else { return nil }
        return Int64((token.first == "-" ? "-" : "") + plain).map { .integer($0) }
    }

    private static func float(_ token: String) -> TOMLValue? {
        let unsigned = token.first == "+" || token.first == "-" ? token.dropFirst() : token[...]
        let halves = unsigned.split(separator: "e", maxSplits: 1, omittingEmptySubsequences: false)
            .flatMap { $0.split(separator: "E", maxSplits: 1, omittingEmptySubsequences: false) }
        guard let number = halves.first, halves.count <= 2 else { return nil }
        let parts = number.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        guard let whole = parts.first, isWholePart(whole), parts.count == 2 || halves.count == 2 else { return nil }
        if parts.count == 2, !isDigits(parts[1]) { return nil }
        if halves.count == 2 {
            let power = halves[1].first == "+" || halves[1].first == "-" ? halves[1].dropFirst() : halves[1]
            guard isDigits(power) else { return nil }
        }
        return .float((token.first == "-" ? "-" : "") + String(unsigned.filter { $0 != "_" }))
    }

    /// Digits, with single underscores between them.
    private static func isDigits(_ text: Substring) -> Bool {
        withoutUnderscores(text).map { $0.utf8.allSatisfy(\.isDigit) } ?? false
    }

    private static func isWholePart(_ text: Substring) -> Bool { isDigits(text) && (text == "0" || text.first != "0") }

    private static func withoutUnderscores(_ text: Substring) -> String? {
        let groups = text.split(separator: "_", omittingEmptySubsequences: false)
        return groups.contains("") ? nil : groups.joined()
    }

    // MARK: Dates (RFC 3339, and its parts)

    static func isDate(_ token: String) -> Bool {
        let fields = token.split(separator: "-", omittingEmptySubsequences: false)
        guard fields.count == 3, fields.map(\.utf8.count) == [4, 2, 2], fields.allSatisfy({ $0.utf8.allSatisfy(\.isDigit) }),
            let year = Int(fields[0]), let month = Int(fields[1]), let day = Int(fields[2]), (1...12).contains(month)
        else { return false }
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0)
        let lengths = [31, leap ? 29 : 28, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31]
        return (1...lengths[month - 1]).contains(day)
    }

    private static func isTime(_ text: Substring) -> Bool {
        let parts = text.split(separator: ".", maxSplits: 1, omittingEmptySubsequences: false)
        let fields = parts[0].split(separator: ":", omittingEmptySubsequences: false)
        guard fields.map(\.utf8.count) == [2, 2, 2], fields.allSatisfy({ $0.utf8.allSatisfy(\.isDigit) }),
            let hour = Int(fields[0]), let minute = Int(fields[1]), let second = Int(fields[2])
        else { return false }
        if parts.count == 2, parts[1].isEmpty || !parts[1].utf8.allSatisfy(\.isDigit) { return false }
        // 60: a leap second.
        return hour < 24 && minute < 60 && second <= 60
    }

    private static func isDateOrTime(_ token: String) -> Bool {
        if isDate(token) || isTime(token[...]) { return true }
        guard token.utf8.count > 11, isDate(String(token.prefix(10))) else { return false }
        let mark = token.dropFirst(10).first
        guard mark == "T" || mark == "t" || mark == " " else { return false }
        let rest = token.dropFirst(11)
        if isTime(rest) { return true }
        if rest.hasSuffix("Z") || rest.hasSuffix("z") { return isTime(rest.dropLast()) }
        guard rest.utf8.count > 6 else { return false }
        let zone = rest.suffix(6)
        let fields = zone.dropFirst().split(separator: ":", omittingEmptySubsequences: false)
        guard zone.first == "+" || zone.first == "-", fields.map(\.utf8.count) == [2, 2],
            fields.allSatisfy({ $0.utf8.allSatisfy(\.isDigit) }), let hours = Int(fields[0]),
            let minutes = Int(fields[1]), hours < 24, minutes < 60
        else { return false }
        return isTime(rest.dropLast(6))
    }
}
