public import ExactJSON
import Vitals

/// For the sealed store. Times are milliseconds since 1970, the grace seconds.
extension VKPSlot {
    public var json: JSON {
        [
            "id": .string(id), "kinds": .array(kinds.map(\.rawValue).sorted().map { .string($0) }),
            "start": .integer(start.milliseconds), "end": .integer(end.milliseconds),
            "grace": .integer(grace.components.seconds),
        ]
    }

    public init?(json: JSON) {
        guard let id = json["id"]?.string, let start = json["start"]?.integer, let end = json["end"]?.integer,
            let grace = json["grace"]?.integer, let kinds = json["kinds"]?.array?.compactMap(\.string)
        else { return nil }
        self.init(
            id: id, kinds: Set(kinds.compactMap { Reading.Kind(rawValue: $0) }), start: Instant(milliseconds: Int64(start)),
            end: Instant(milliseconds: Int64(end)), grace: .seconds(grace))
    }
}
