import ExactJSON

/// A search as this receiver understands it: identifier, _id, subject and patient; all given must hold.
struct ReceiverQuery {
    /// Alternatives, `nil` for any system.
    private(set) var identifiers: [(system: String?, value: String)]?
    private(set) var ids: [String]?
    private(set) var subjects: [String]?
    private(set) var count: Int?

    /// - Throws: 400 for a parameter that is not understood: ignoring it would find too much, and a conditional create would then
    ///   not create.
    init(_ query: some StringProtocol) throws(ReceiverError) {
        for pair in query.split(separator: "&") {
            let parts = pair.split(separator: "=", maxSplits: 1, omittingEmptySubsequences: false)
            let value = percentDecoded(parts.count > 1 ? parts[1] : "")
            switch String(parts[0]) {
            case "identifier": identifiers = Self.alternatives(value, at: ",").map(Self.token)
            case "_id": ids = Self.alternatives(value, at: ",").map(Self.unescaped)
            case "subject", "patient":
                subjects = Self.alternatives(value, at: ",").map { $0.contains("/") ? $0 : "Patient/\($0)" }
            case "_count": count = Int(value)
            case "_format", "_summary", "_sort": break
            case let name: throw ReceiverError(400, "not-supported", "search parameter \(name)")
            }
        }
    }

    var isEmpty: Bool { identifiers == nil && ids == nil && subjects == nil }

    func matches(_ resource: JSON) -> Bool {
        if let ids, !ids.contains(resource["id"]?.string ?? "") { return false }
        if let subjects, !subjects.contains(resource["subject"]?["reference"]?.string ?? "") { return false }
        if let identifiers {
            let own = Self.identifiers(of: resource)
            return identifiers.contains { wanted in
                own.contains { $0.value == wanted.value && (wanted.system == nil || wanted.system == $0.system) }
            }
        }
        return true
    }

    /// `identifier` is a list in most resources and one object in a few (Bundle, QuestionnaireResponse).
    static func identifiers(of resource: JSON) -> [(system: String, value: String)] {
        guard let member = resource["identifier"] else { return [] }
        return (member.array ?? [member]).compactMap { identifier in
            identifier["value"]?.string.map { (identifier["system"]?.string ?? "", $0) }
        }
    }

    /// `system|value`, `|value` (no system), `value` (any system).
    static func token(_ text: String) -> (system: String?, value: String) {
        let parts = alternatives(text, at: "|")
        return parts.count == 1
            ? (nil, unescaped(parts[0])) : (unescaped(parts[0]), unescaped(parts[1...].joined(separator: "|")))
    }

    /// Cuts at a separator that has no backslash before it (FHIR search, section "escaping").
    static func alternatives(_ text: String, at separator: Character) -> [String] {
        var parts = [""]
        var isEscaped = false
        for character in text {
            if character == separator, !isEscaped {
                parts.append("")
            } else {
                parts[parts.count - 1].append(character)
            }
            isEscaped = character == "\\" && !isEscaped
        }
        return parts
    }

    static func unescaped(_ text: String) -> String {
        var result = ""
        var isEscaped = false
        for character in text {
            if character == "\\", !isEscaped {
                isEscaped = true
            } else {
                result.append(character)
                isEscaped = false
            }
        }
        return result
    }
}

func percentDecoded(_ text: some StringProtocol) -> String {
    var bytes: [UInt8] = []
    var rest = Substring(text).utf8[...]
    while let byte = rest.popFirst() {
        let digits = rest.prefix(2)
        if byte == UInt8(ascii: "%"), digits.count == 2, let decoded = UInt8(String(Substring(digits)), radix: 16) {
            bytes.append(decoded)
            rest = rest.dropFirst(2)
        } else {
            bytes.append(byte == UInt8(ascii: "+") ? 0x20 : byte)
        }
    }
    return String(decoding: bytes, as: UTF8.self)
}
