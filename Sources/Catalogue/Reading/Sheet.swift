/// A document being read into typed values.
///
/// It collects every problem instead of stopping at the first, and remembers which keys were asked for: what was not is a typing
/// error of the writer, and the list of what was is held against the JSON Schema by a test.
///
/// A class, because the sections that read from it share one list; it lives in one function and is not `Sendable`.
public final class Sheet {
    public let file: String
    public private(set) var problems: [Problem] = []
    /// The keys that were asked for, as `receiver[].base`.
    public private(set) var keys: Set<String> = []
    let table: TOMLTable

    /// A text that is no TOML is read as an empty one with that problem; ``isReadable`` tells.
    public init(_ text: some Collection<UInt8>, file: String) {
        self.file = file
        do throws(TOMLError) {
            table = try TOMLTable(parsing: Array(text))
            isReadable = true
        } catch {
            table = TOMLTable()
            isReadable = false
            problems.append(
                Problem(
                    file: file, place: error.place, key: nil, why: "not TOML: \(error.why)",
                    remedy: "Mend the line; see https://toml.io/en/v1.0.0 for the notation."))
        }
    }

    public let isReadable: Bool
    public var root: Section { Section(sheet: self, table: table, path: "", pattern: "", place: .start, isProbe: false) }

    func add(_ problem: Problem) { problems.append(problem) }
    func asked(for pattern: String) { keys.insert(pattern) }
}
