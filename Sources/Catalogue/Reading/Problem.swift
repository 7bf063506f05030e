public import ExactJSON

/// Something wrong in a file that a person wrote: where, what, why, and what to do about it.
public struct Problem: Error, Hashable, Sendable {
    public enum Severity: String, Hashable, Sendable {
        /// The file cannot be used.
        case error
        /// It can, but a person should look.
        case warning
    }

    public var severity: Severity
    public var file: String
    /// `nil` where the file itself is the problem.
    public var place: TOMLPlace?
    /// The path of the key, such as `receiver[0].base`; `nil` where the text is no TOML.
    public var key: String?
    /// The value as written; never that of an unknown key, which may be a secret in the wrong place.
    public var value: String?
    public var why: String
    public var remedy: String

    public init(
        _ severity: Severity = .error, file: String, place: TOMLPlace?, key: String?, value: String? = nil, why: String,
        remedy: String
    ) {
        self.severity = severity
        self.file = file
        self.place = place
        self.key = key
        self.value = value
        self.why = why
        self.remedy = remedy
    }

    /// For `--json`.
    public var json: JSON {
        .members([
            "severity": .string(severity.rawValue), "file": .string(file), "line": place.map { .integer($0.line) } ?? .null,
            "column": place.map { .integer($0.column) } ?? .null, "key": key.map { .string($0) } ?? .null,
            "value": value.map { .string($0) } ?? .null, "why": .string(why), "remedy": .string(remedy),
        ])
    }
}

extension Problem: CustomStringConvertible {
    /// What and where, why, what to do: one line each.
    public var description: String {
        let what = [key, value].compactMap(\.self).joined(separator: " = ")
        let line = place.map { ":\($0.line)" } ?? ""
        return "\(file)\(line): \(severity.rawValue)\(what.isEmpty ? "" : ": " + what)\n  why: \(why)\n  do:  \(remedy)"
    }
}

/// A file, or several, that cannot be used, with everything that is wrong in them.
public struct Problems: Error, Hashable, Sendable, CustomStringConvertible {
    public var all: [Problem]
    public init(_ all: [Problem]) { self.all = all }

    public var errors: [Problem] { all.filter { $0.severity == .error } }
    public var warnings: [Problem] { all.filter { $0.severity == .warning } }
    public var description: String { all.map(\.description).joined(separator: "\n") }
}
