/// A table while the document is being read: later headers may still add to it.
///
/// A class, because a header names a table that an earlier one began.
final class TOMLDraft {
    /// How the table came to be, which decides who may still add to it (TOML 1.0, sections "Table" and "Inline Table").
    enum Origin {
        /// Named only on the way to another: `a` of `[a.b]`.
        case implied
        /// By its own header.
        case header
        /// By dotted keys: `a` of `a.b = 1`.
        case dotted
    }

    enum Value {
        case leaf(TOMLNode)
        case table(TOMLDraft)
        /// `[[a]]`: elements by headers.
        case tables([TOMLDraft])
    }

    var origin: Origin
    let place: TOMLPlace
    private(set) var keys: [String] = []
    private(set) var values: [String: Value] = [:]

    init(_ origin: Origin, at place: TOMLPlace) {
        self.origin = origin
        self.place = place
    }

    subscript(key: String) -> Value? {
        get { values[key] }
        set {
            if values[key] == nil { keys.append(key) }
            values[key] = newValue
        }
    }

    var frozen: TOMLTable {
        TOMLTable(
            keys.compactMap { key in
                switch values[key] {
                case .leaf(let node): .init(key, node)
                case .table(let draft): .init(key, TOMLNode(.table(draft.frozen), at: draft.place))
                case .tables(let drafts):
                    .init(
                        key,
                        TOMLNode(
                            .array(drafts.map { TOMLNode(.table($0.frozen), at: $0.place) }),
                            at: drafts.first?.place ?? place))
                case nil: nil
                }
            })
    }
}
