extension JSON {
    /// The value as compact UTF-8 JSON.
    public var bytes: [UInt8] {
        var out: [UInt8] = []
        out.reserveCapacity(256)
        write(to: &out)
        return out
    }

    /// The value as compact JSON text.
    public var text: String { String(decoding: bytes, as: UTF8.self) }

    /// The value over several lines, two spaces a level.
    public var prettyText: String {
        var out: [UInt8] = []
        write(to: &out, indent: 0)
        return String(decoding: out, as: UTF8.self)
    }

    func write(to out: inout [UInt8], indent: Int? = nil) {
        switch self {
        case .null: out.append(contentsOf: "null".utf8)
        case .bool(let value): out.append(contentsOf: (value ? "true" : "false").utf8)
        case .number(let value): Self.write(number: value, to: &out)
        case .string(let value): Self.write(string: value, to: &out)
        case .array(let elements):
            Self.write(
                elements, open: UInt8(ascii: "["), close: UInt8(ascii: "]"), to: &out, indent: indent
            ) { element, out, indent in
                element.write(to: &out, indent: indent)
            }
        case .object(let members):
            Self.write(
                members, open: UInt8(ascii: "{"), close: UInt8(ascii: "}"), to: &out, indent: indent
            ) { member, out, indent in
                Self.write(string: member.key, to: &out)
                out.append(UInt8(ascii: ":"))
                if indent != nil { out.append(UInt8(ascii: " ")) }
                member.value.write(to: &out, indent: indent)
            }
        }
    }

    private static func write<Item>(
        _ items: [Item], open: UInt8, close: UInt8, to out: inout [UInt8], indent: Int?,
        _ writeItem: (Item, inout [UInt8], Int?) -> Void
    ) {
        out.append(open)
        let inner = indent.map { $0 + 1 }
        for (position, item) in items.enumerated() {
            if position > 0 { out.append(UInt8(ascii: ",")) }
            if let inner { newLine(inner, &out) }
            writeItem(item, &out, inner)
        }
        if let indent, !items.isEmpty { newLine(indent, &out) }
        out.append(close)
    }

    private static func newLine(_ level: Int, _ out: inout [UInt8]) {
        out.append(UInt8(ascii: "\n"))
        out.append(contentsOf: repeatElement(UInt8(ascii: " "), count: level * 2))
    }

    /// Plain digits, as people and FHIR servers expect them; with an exponent where they would be more than a reader of ours
    /// takes.
    private static func write(number: ExactDecimal, to out: inout [UInt8]) {
        let text = number.description
        let isLong = number.exponent > 0 && text.utf8.count > 18
        out.append(contentsOf: (isLong ? "\(number.mantissa)e\(number.exponent)" : text).utf8)
    }

    private static func write(string: String, to out: inout [UInt8]) {
        out.append(UInt8(ascii: "\""))
        for byte in string.utf8 {
            switch byte {
            case UInt8(ascii: "\""): out.append(contentsOf: #"\""#.utf8)
            case UInt8(ascii: "\\"): out.append(contentsOf: #"\\"#.utf8)
            case 0x0A: out.append(contentsOf: #"\n"#.utf8)
            case 0x0D: out.append(contentsOf: #"\r"#.utf8)
            case 0x09: out.append(contentsOf: #"\t"#.utf8)
            case 0..<0x20, 0x7F:
                let hex = String(byte, radix: 16)
                out.append(contentsOf: (#"\u00"# + (hex.utf8.count == 1 ? "0" : "") + hex).utf8)
            default: out.append(byte)
            }
        }
        out.append(UInt8(ascii: "\""))
    }
}
