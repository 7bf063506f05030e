public import ExactJSON

/// A table of a ``Sheet`` being read. A value that is missing or wrong reads as `nil`; what was wrong stands in the sheet.
public struct Section {
    let sheet: Sheet
    let table: TOMLTable
    /// `receiver[0]`, empty for the root.
    let path: String
    /// `receiver[]`, empty for the root.
    let pattern: String
    public let place: TOMLPlace
    /// A section that is not in the document, read only to learn its keys: what it lacks is no problem.
    let isProbe: Bool

    private func path(to key: String) -> String { path.isEmpty ? key : "\(path).\(key)" }
    private func pattern(of key: String) -> String { pattern.isEmpty ? key : "\(pattern).\(key)" }

    /// The node of a key, which from now on is a known one.
    func node(_ key: String) -> TOMLNode? {
        sheet.asked(for: pattern(of: key))
        return table[key]
    }

    public func has(_ key: String) -> Bool { node(key) != nil }

    // MARK: Problems

    /// Notes that the key's value cannot stand.
    ///
    /// - Parameter isSecret: the value is not shown.
    public func reject(_ key: String, why: String, remedy: String, isSecret: Bool = false) {
        add(.error, key, why: why, remedy: remedy, isSecret: isSecret)
    }

    /// Notes that a person should look at the key's value.
    public func warn(_ key: String, why: String, remedy: String) {
        add(.warning, key, why: why, remedy: remedy)
    }

    private func add(_ severity: Problem.Severity, _ key: String, why: String, remedy: String, isSecret: Bool = false) {
        guard !isProbe else { return }
        let node = table[key]
        sheet.add(
            Problem(
                severity, file: sheet.file, place: node?.place ?? place, key: path(to: key),
                value: isSecret ? nil : node?.value.shown,
                why: why, remedy: remedy))
    }

    private func missing(_ key: String, expected: String) {
        add(.error, key, why: "it is missing", remedy: "Add \(path(to: key)): \(expected).")
    }

    /// The value read by `convert`; a value that it does not take is a problem.
    private func read<Value>(_ key: String, required: Bool, expected: String, _ convert: (TOMLValue) -> Value?) -> Value? {
        guard let node = node(key) else {
            if required { missing(key, expected: expected) }
            return nil
        }
        guard let value = convert(node.value) else {
            reject(key, why: "expected \(expected), found \(node.value.kind)", remedy: "Write \(expected).")
            return nil
        }
        return value
    }

    // MARK: Values

    public func string(_ key: String, required: Bool = false, expected: String = "a text in quotes") -> String? {
        guard
            let text = read(key, required: required, expected: expected, { if case .string(let text) = $0 { text } else { nil } })
        else { return nil }
        guard !text.isEmpty else {
            reject(key, why: "it is empty", remedy: "Write \(expected), or remove the key.")
            return nil
        }
        return text
    }

    public func boolean(_ key: String) -> Bool? {
        read(key, required: false, expected: "true or false") { if case .boolean(let flag) = $0 { flag } else { nil } }
    }

    /// A whole number within bounds.
    public func integer(_ key: String, in range: ClosedRange<Int>, required: Bool = false, unit: String = "") -> Int? {
        let expected = "a whole number of \(range.lowerBound) to \(range.upperBound)" + (unit.isEmpty ? "" : " " + unit)
        guard
            let number = read(
                key, required: required, expected: expected, { if case .integer(let number) = $0 { Int(number) } else { nil } })
        else { return nil }
        guard range.contains(number) else {
            reject(key, why: "it is outside \(range.lowerBound) to \(range.upperBound)", remedy: "Write \(expected).")
            return nil
        }
        return number
    }

    /// A number with its digits.
    public func decimal(_ key: String, required: Bool = false) -> ExactDecimal? {
        read(key, required: required, expected: "a number") { value in
            switch value {
            case .integer(let number): ExactDecimal(number)
            case .float(let text): ExactDecimal(text)
            default: nil
            }
        }
    }

    /// One of the words of an enumeration.
    public func word<Word: RawRepresentable & CaseIterable>(_ key: String, required: Bool = false) -> Word?
    where Word.RawValue == String {
        let expected = "one of " + Word.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")
        guard
            let text = read(key, required: required, expected: expected, { if case .string(let text) = $0 { text } else { nil } })
        else { return nil }
        guard let word = Word(rawValue: text) else {
            reject(key, why: "no such word", remedy: "Write \(expected).")
            return nil
        }
        return word
    }

    /// A list, each element read by `convert`; one that it does not take is a problem at its own line.
    public func list<Element>(
        _ key: String, required: Bool = false, expected: String, _ convert: (TOMLValue) -> Element?
    ) -> [Element]? {
        guard
            let nodes = read(
                key, required: required, expected: "a list: \(expected)",
                { if case .array(let nodes) = $0 { nodes } else { nil } })
        else { return nil }
        var elements: [Element] = []
        for (index, node) in nodes.enumerated() {
            if let element = convert(node.value) {
                elements.append(element)
            } else {
                sheet.add(
                    Problem(
                        file: sheet.file, place: node.place, key: "\(path(to: key))[\(index)]", value: node.value.shown,
                        why: "the list holds \(expected)", remedy: "Write \(expected)."))
            }
        }
        return elements
    }

    public func strings(_ key: String, expected: String = "texts in quotes") -> [String]? {
        list(key, expected: expected) { if case .string(let text) = $0, !text.isEmpty { text } else { nil } }
    }

    // MARK: Sections

    /// A table; an empty one where it is not there, so that its defaults hold.
    public func section(_ key: String) -> Section {
        let node = node(key)
        guard case .table(let table)? = node?.value else {
            if node != nil { reject(key, why: "expected a table", remedy: "Write [\(path(to: key))] on a line of its own.") }
            return Section(
                sheet: sheet, table: TOMLTable(), path: path(to: key), pattern: pattern(of: key), place: node?.place ?? place,
                isProbe: isProbe || node == nil)
        }
        return Section(
            sheet: sheet, table: table, path: path(to: key), pattern: pattern(of: key), place: node?.place ?? place,
            isProbe: isProbe)
    }

    /// Every `[[key]]`, read by `read`; it is also called once on an empty table, so that its keys are known, and that result dropped.
    public func sections<Element>(_ key: String, _ read: (Section) -> Element?) -> [Element] {
        let node = node(key)
        let probe = Section(
            sheet: sheet, table: TOMLTable(), path: path(to: key), pattern: pattern(of: key) + "[]", place: place, isProbe: true)
        _ = read(probe)
        guard let node else { return [] }
        guard case .array(let nodes) = node.value else {
            reject(
                key, why: "expected a list of tables", remedy: "Write [[\(path(to: key))]] on a line of its own, once for each.")
            return []
        }
        var elements: [Element] = []
        for (index, node) in nodes.enumerated() {
            guard case .table(let table) = node.value else {
                sheet.add(
                    Problem(
                        file: sheet.file, place: node.place, key: "\(path(to: key))[\(index)]", value: node.value.shown,
                        why: "expected a table", remedy: "Write [[\(path(to: key))]] on a line of its own."))
                continue
            }
            let section = Section(
                sheet: sheet, table: table, path: "\(path(to: key))[\(index)]", pattern: pattern(of: key) + "[]",
                place: node.place,
                isProbe: isProbe)
            if let element = read(section) { elements.append(element) }
        }
        return elements
    }

    // MARK: What nobody asked for

    /// Call last: every key that was not asked for is a problem. Its value is not shown, because it may be a secret.
    public func finish() {
        for entry in table.entries where !sheet.keys.contains(pattern(of: entry.key)) {
            let known = sheet.keys.filter { $0.hasPrefix(pattern(of: "")) }.map { String($0.dropFirst(pattern(of: "").count)) }
                .filter { !$0.contains(".") && !$0.contains("[") && !$0.isEmpty }.sorted()
            let near = known.filter { Spelling.distance($0, entry.key) <= 2 }
            let remedy =
                Spelling.isSecret(entry.key)
                ? "Remove it at once: secrets stand in a file or a systemd credential, named by a key that ends in _file."
                : near.isEmpty
                    ? "Remove it. Known here: \(known.joined(separator: ", "))."
                    : "Did you mean \(near.joined(separator: " or "))?"
            sheet.add(
                Problem(file: sheet.file, place: entry.node.place, key: path(to: entry.key), why: "no such key", remedy: remedy))
        }
    }
}

/// Help with a key that is not known.
enum Spelling {
    /// Levenshtein's distance: single-character edits between the two.
    static func distance(_ left: String, _ right: String) -> Int {
        let (left, right) = (Array(left.utf8), Array(right.utf8))
        var row = Array(0...right.count)
        for (i, a) in left.enumerated() {
            var diagonal = row[0]
            row[0] = i + 1
            for (j, b) in right.enumerated() {
                let above = row[j + 1]
                row[j + 1] = min(above + 1, row[j] + 1, diagonal + (a == b ? 0 : 1))
                diagonal = above
            }
        }
        return row[right.count]
    }

    /// Whether a value under such a key is likely to be a secret.
    static func isSecret(_ key: String) -> Bool {
        let key = key.lowercased()
        return ["token", "secret", "password", "passphrase", "key", "pin", "credential"].contains { key.hasSuffix($0) }
    }
}
