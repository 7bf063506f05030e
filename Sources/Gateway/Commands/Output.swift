import ArgumentParser
import ExactJSON
import Glibc
import HubAPI

/// What a command prints and how it ends.
enum Output {
    /// Standard output, whole lines.
    static func line(_ text: String) {
        write(text + "\n", to: STDOUT_FILENO)
    }

    /// An error as three lines on standard error: what, why, what to do.
    static func error(_ error: OperationError) {
        write("\(error.what)\n\(error.why)\n\(error.remedy)\n", to: STDERR_FILENO)
    }

    /// Tells a person on a terminal what goes on; says nothing in a pipe.
    static func progress(_ text: String) {
        guard isatty(STDERR_FILENO) == 1 else { return }
        write(text + "\n", to: STDERR_FILENO)
    }

    private static func write(_ text: String, to descriptor: Int32) {
        var bytes = Array(text.utf8)[...]
        while !bytes.isEmpty {
            let written = bytes.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            // A reader that went away (`| head`) is no error of ours.
            guard written > 0 else { return }
            bytes = bytes.dropFirst(written)
        }
    }

    /// Runs the command's body and ends with the error's own exit code.
    static func ending(_ body: () async throws -> Void) async throws {
        do {
            try await body()
        } catch let failure as OperationError {
            error(failure)
            throw ExitCode(Int32(failure.exitCode))
        }
    }

    /// Rows as a table for people: columns by key, as wide as needed.
    static func table(_ rows: [JSON], columns: [(title: String, key: String)]) {
        guard !rows.isEmpty else {
            line("none")
            return
        }
        let cells = rows.map { row in columns.map { column in row[column.key].map(plain) ?? "-" } }
        let widths = columns.indices.map { index in
            max(columns[index].title.count, cells.map { $0[index].count }.max() ?? 0)
        }
        func printed(_ fields: [String]) -> String {
            zip(fields, widths).map { field, width in field + String(repeating: " ", count: width - field.count) }
                .joined(separator: "  ").trimmingTrailingSpaces()
        }
        line(printed(columns.map(\.title)))
        for row in cells { line(printed(row)) }
    }

    /// An object as `key: value` lines, nested ones indented.
    static func story(_ json: JSON, indent: Int = 0) {
        let margin = String(repeating: "  ", count: indent)
        switch json {
        case .object(let members):
            for member in members {
                switch member.value {
                case .object(let inner) where !inner.isEmpty:
                    line("\(margin)\(member.key):")
                    story(member.value, indent: indent + 1)
                case .array(let elements) where elements.contains { $0.object != nil }:
                    line("\(margin)\(member.key):")
                    for element in elements {
                        story(element, indent: indent + 1)
                        if element != elements.last { line("\(margin)  --") }
                    }
                default: line("\(margin)\(member.key): \(plain(member.value))")
                }
            }
        case .array(let elements): for element in elements { story(element, indent: indent) }
        default: line(margin + plain(json))
        }
    }

    static func plain(_ json: JSON) -> String {
        switch json {
        case .null: "-"
        case .string(let text): text
        case .array(let elements): elements.isEmpty ? "-" : elements.map(plain).joined(separator: ", ")
        default: json.text
        }
    }
}

extension String {
    func trimmingTrailingSpaces() -> String {
        var text = self
        while text.last == " " { text.removeLast() }
        return text
    }
}
