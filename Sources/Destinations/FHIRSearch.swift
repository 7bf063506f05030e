/// Search parameters as FHIR and URLs want them.
enum FHIRSearch {
    /// `identifier=system%7Cvalue`, or `identifier=value` for an identifier without a system.
    ///
    /// FHIR escapes `$`, `,`, `|` and `\` inside a value with a backslash (R4, 3.1.1.4.0); the URL then percent-encodes what RFC
    /// 3986 does not allow in a query, and `&`, `+`, `=`, `#`, `%`, which would mean something else there. The bar between system
    /// and value is not allowed in a query either.
    static func identifier(system: String?, value: String) -> String {
        system.map { token("identifier", system: $0, value: value) } ?? parameter("identifier", value)
    }

    /// `code=system%7Cvalue`.
    static func token(_ name: StaticString, system: String, value: String) -> String {
        "\(name)=" + encoded(escaped(system)) + "%7C" + encoded(escaped(value))
    }

    /// `patient=value`: a reference or a date.
    static func parameter(_ name: StaticString, _ value: String) -> String { "\(name)=" + encoded(escaped(value)) }

    private static func escaped(_ text: String) -> String {
        guard text.utf8.contains(where: { isSpecial($0) }) else { return text }
        var out = ""
        for character in text {
            if let byte = character.asciiValue, isSpecial(byte) { out.append("\\") }
            out.append(character)
        }
        return out
    }

    private static func isSpecial(_ byte: UInt8) -> Bool {
        byte == UInt8(ascii: "$") || byte == UInt8(ascii: ",") || byte == UInt8(ascii: "|") || byte == UInt8(ascii: "\\")
    }

    private static func encoded(_ text: String) -> String {
        if text.utf8.allSatisfy(isAllowed) { return text }
        var out: [UInt8] = []
        for byte in text.utf8 {
            if isAllowed(byte) {
                out.append(byte)
            } else {
                out.append(UInt8(ascii: "%"))
                out.append(digit(byte >> 4))
                out.append(digit(byte & 0x0F))
            }
        }
        return String(decoding: out, as: UTF8.self)
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }

    private static func isAllowed(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "~"), UInt8(ascii: ":"), UInt8(ascii: "/"):
            true
        default: false
        }
    }
}
