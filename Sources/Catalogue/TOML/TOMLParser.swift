extension TOMLTable {
    /// Reads a TOML 1.0 document. The first error of syntax ends it: what follows would be guesswork.
    public init(parsing bytes: [UInt8]) throws(TOMLError) {
        var parser = TOMLParser(bytes)
        self = try parser.document()
    }
}

/// The grammar of a document: keys, headers and where their values go. Values are read in the extensions.
struct TOMLParser {
    /// Deeper nesting of lists and inline tables is refused: the reader calls itself.
    static let deepest = 32

    let bytes: [UInt8]
    var position = 0
    private(set) var line = 1
    private var lineStart = 0

    init(_ bytes: [UInt8]) {
        // A byte order mark is not part of the text.
        self.bytes = bytes.starts(with: [0xEF, 0xBB, 0xBF]) ? Array(bytes.dropFirst(3)) : bytes
    }

    var place: TOMLPlace { TOMLPlace(line: line, column: position - lineStart + 1) }
    var current: UInt8? { position < bytes.count ? bytes[position] : nil }

    func ahead(_ text: StaticString) -> Bool {
        position + text.utf8CodeUnitCount <= bytes.count
            && text.withUTF8Buffer { $0.elementsEqual(bytes[position..<position + text.utf8CodeUnitCount]) }
    }

    mutating func advance(_ count: Int = 1) {
        for _ in 0..<count where position < bytes.count {
            position += 1
            if bytes[position - 1] == .newline {
                line += 1
                lineStart = position
            }
        }
    }

    mutating func document() throws(TOMLError) -> TOMLTable {
        if let bad = firstInvalidByte() { throw bad }
        let root = TOMLDraft(.header, at: .start)
        var table = root
        while true {
            try skipLines()
            guard let byte = current else { return root.frozen }
            if byte == UInt8(ascii: "[") {
                table = try header(in: root)
            } else {
                try keyValue(into: table, depth: 0)
            }
            try endOfLine()
        }
    }

    /// The whole text must be UTF-8; a file in another encoding is better named than half read.
    private func firstInvalidByte() -> TOMLError? {
        guard String(validating: bytes, as: UTF8.self) == nil else { return nil }
        var place = TOMLPlace.start
        for row in bytes.split(separator: .newline, omittingEmptySubsequences: false) {
            if String(validating: row, as: UTF8.self) == nil { return TOMLError("this line is not UTF-8", at: place) }
            place.line += 1
        }
        return TOMLError("the text is not UTF-8", at: .start)
    }

    // MARK: Space, comments, line ends

    mutating func skipBlanks() {
        while let byte = current, byte == UInt8(ascii: " ") || byte == UInt8(ascii: "\t") { advance() }
    }

    private mutating func skipComment() throws(TOMLError) {
        guard current == UInt8(ascii: "#") else { return }
        while let byte = current, byte != .newline, !ahead("\r\n") {
            guard !byte.isControl else { throw TOMLError("a control character in a comment", at: place) }
            advance()
        }
    }

    /// Space, comments and line ends, as between the lines and within lists.
    mutating func skipLines() throws(TOMLError) {
        while true {
            skipBlanks()
            try skipComment()
            if current == .newline {
                advance()
            } else if ahead("\r\n") {
                advance(2)
            } else {
                return
            }
        }
    }

    private mutating func endOfLine() throws(TOMLError) {
        skipBlanks()
        try skipComment()
        guard current == nil || current == .newline || ahead("\r\n") else {
            throw TOMLError("expected the end of the line", at: place)
        }
    }

    // MARK: Keys and headers

    mutating func key() throws(TOMLError) -> [(name: String, place: TOMLPlace)] {
        var parts: [(name: String, place: TOMLPlace)] = []
        while true {
            skipBlanks()
            let start = place
            switch current {
            case UInt8(ascii: "\"")?: parts.append((try basicString(), start))
            case UInt8(ascii: "'")?: parts.append((try literalString(), start))
            default:
                let from = position
                while let byte = current, byte.isBareKey { advance() }
                guard position > from else { throw TOMLError("expected a key", at: start) }
                parts.append((String(decoding: bytes[from..<position], as: UTF8.self), start))
            }
            skipBlanks()
            guard current == UInt8(ascii: ".") else { return parts }
            advance()
        }
    }

    private mutating func header(in root: TOMLDraft) throws(TOMLError) -> TOMLDraft {
        let start = place
        let isElement = ahead("[[")
        advance(isElement ? 2 : 1)
        var path = try key()
        guard isElement ? ahead("]]") : current == UInt8(ascii: "]"), let last = path.popLast() else {
            throw TOMLError("expected the end of the header", at: place)
        }
        advance(isElement ? 2 : 1)

        var table = root
        for part in path {
            switch table[part.name] {
            case nil:
                let implied = TOMLDraft(.implied, at: start)
                table[part.name] = .table(implied)
                table = implied
            case .table(let next)?: table = next
            case .tables(let all)?:
                guard let next = all.last else { throw TOMLError("\(part.name) is empty", at: part.place) }
                table = next
            case .leaf?: throw TOMLError("\(part.name) is already a value", at: part.place)
            }
        }
        let made = TOMLDraft(.header, at: start)
        switch (table[last.name], isElement) {
        case (nil, true): table[last.name] = .tables([made])
        case (nil, false): table[last.name] = .table(made)
        case (.tables(let all)?, true): table[last.name] = .tables(all + [made])
        case (.table(let known)?, false) where known.origin == .implied:
            known.origin = .header
            return known
        default: throw TOMLError("\(last.name) is defined twice", at: last.place)
        }
        return made
    }

    /// `key = value` into the table.
    private mutating func keyValue(into table: TOMLDraft, depth: Int) throws(TOMLError) {
        let path = try key()
        guard current == UInt8(ascii: "=") else { throw TOMLError("expected = after the key", at: place) }
        advance()
        skipBlanks()
        var table = table
        for part in path.dropLast() {
            switch table[part.name] {
            case nil:
                let dotted = TOMLDraft(.dotted, at: part.place)
                table[part.name] = .table(dotted)
                table = dotted
            case .table(let next)? where next.origin == .dotted: table = next
            default: throw TOMLError("\(part.name) is defined twice", at: part.place)
            }
        }
        guard let last = path.last else { throw TOMLError("expected a key", at: place) }
        guard table[last.name] == nil else { throw TOMLError("\(last.name) is defined twice", at: last.place) }
        let value = try value(depth: depth)
        table[last.name] = .leaf(TOMLNode(value, at: last.place))
    }

    /// `{ a = 1, b.c = 2 }`: on one line and closed, nothing can be added to it later.
    mutating func inlineTable(depth: Int) throws(TOMLError) -> TOMLTable {
        let draft = TOMLDraft(.header, at: place)
        advance()
        skipBlanks()
        if current == UInt8(ascii: "}") {
            advance()
            return draft.frozen
        }
        while true {
            try keyValue(into: draft, depth: depth + 1)
            skipBlanks()
            switch current {
            case UInt8(ascii: ",")?: advance()
            case UInt8(ascii: "}")?:
                advance()
                return draft.frozen
            default: throw TOMLError("expected , or } in the inline table", at: place)
            }
        }
    }
}

extension UInt8 {
    static let newline = UInt8(ascii: "\n")

    /// Forbidden in comments and strings; tab is allowed.
    var isControl: Bool { self < 0x20 && self != UInt8(ascii: "\t") || self == 0x7F }

    var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }

    var isBareKey: Bool {
        isDigit || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(self)
            || (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(self) || self == UInt8(ascii: "_") || self == UInt8(ascii: "-")
    }
}
