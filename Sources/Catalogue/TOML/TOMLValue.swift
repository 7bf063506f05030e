/// A value of a TOML 1.0 document with the place where it was written.
///
/// A reader of our own and not a binding: an error names the line of the key that is wrong (bindings give positions for syntax
/// errors only), a decimal keeps its digits (`36.60` is no binary float on the way), and nothing else is linked in.
public struct TOMLNode: Hashable, Sendable {
    public var value: TOMLValue
    public var place: TOMLPlace

    public init(_ value: TOMLValue, at place: TOMLPlace) {
        self.value = value
        self.place = place
    }
}

public indirect enum TOMLValue: Hashable, Sendable {
    case string(String)
    case integer(Int64)
    /// A float as its text without underscores, so that an exact decimal can be read from it: `36.60`, `1e3`, `nan`, `-inf`.
    case float(String)
    case boolean(Bool)
    /// A date, a time or both, as written.
    case date(String)
    case array([TOMLNode])
    case table(TOMLTable)

    /// What it is, as an error message says it.
    public var kind: String {
        switch self {
        case .string: "a string"
        case .integer: "a whole number"
        case .float: "a decimal number"
        case .boolean: "true or false"
        case .date: "a date or time"
        case .array: "a list"
        case .table: "a table"
        }
    }

    /// A scalar as an error message shows it; `nil` for lists and tables.
    public var shown: String? {
        switch self {
        case .string(let text): "\"\(text)\""
        case .integer(let number): String(number)
        case .float(let text): text
        case .boolean(let flag): flag ? "true" : "false"
        case .date(let text): text
        case .array, .table: nil
        }
    }
}

/// A table with its keys in the order of the document.
public struct TOMLTable: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        public var key: String
        public var node: TOMLNode
        public init(_ key: String, _ node: TOMLNode) {
            self.key = key
            self.node = node
        }
    }

    public var entries: [Entry]

    public init(_ entries: [Entry] = []) { self.entries = entries }

    public subscript(key: String) -> TOMLNode? { entries.first { $0.key == key }?.node }
}

/// Line and column, both from 1. A node's place is that of its key, or of its table's header.
public struct TOMLPlace: Hashable, Sendable, Comparable {
    public var line: Int
    /// In bytes.
    public var column: Int

    public init(line: Int, column: Int) {
        self.line = line
        self.column = column
    }

    public static func < (left: TOMLPlace, right: TOMLPlace) -> Bool { (left.line, left.column) < (right.line, right.column) }

    public static let start = TOMLPlace(line: 1, column: 1)
}

/// Why a text is not TOML.
public struct TOMLError: Error, Hashable, Sendable {
    public var place: TOMLPlace
    public var why: String

    public init(_ why: String, at place: TOMLPlace) {
        self.why = why
        self.place = place
    }
}
