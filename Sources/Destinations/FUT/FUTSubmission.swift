public import ExactJSON
import Vitals

/// What `$submit-measurement` takes: Parameters with one transaction of new resources, no device or patient among them.
///
/// Source: guide 8.0.0, OperationDefinition `-s-submit-measurement` and its example.
public struct FUTSubmission: Hashable, Sendable {
    public struct Entry: Hashable, Sendable {
        /// `urn:uuid:`; the platform gives ids of its own.
        public var fullURL: String
        public var resource: JSON

        public init(fullURL: String, resource: JSON) {
            self.fullURL = fullURL
            self.resource = resource
        }
    }

    public var entries: [Entry]

    public init(_ entries: [Entry]) { self.entries = entries }

    public var json: JSON {
        let written = entries.map { entry -> JSON in
            [
                "fullUrl": .string(entry.fullURL), "resource": entry.resource,
                "request": ["method": "POST", "url": .string(entry.resource["resourceType"]?.string ?? "")],
            ]
        }
        let bundle: JSON = ["resourceType": "Bundle", "type": "transaction", "entry": .array(written)]
        return ["resourceType": "Parameters", "parameter": [["name": "measurement", "resource": bundle]]]
    }

    /// `nil` where it is no such request.
    public init?(_ json: JSON) {
        let parameter = json["parameter"]?[0]
        guard json["resourceType"]?.string == "Parameters", parameter?["name"]?.string == "measurement",
            let bundle = parameter?["resource"], bundle["resourceType"]?.string == "Bundle",
            bundle["type"]?.string == "transaction", let written = bundle["entry"]?.array
        else { return nil }
        entries = written.compactMap { entry in
            guard let fullURL = entry["fullUrl"]?.string, let resource = entry["resource"],
                entry["request"]?["method"]?.string == "POST", entry["request"]?["url"] == resource["resourceType"]
            else { return nil }
            return Entry(fullURL: fullURL, resource: resource)
        }
        guard entries.count == written.count else { return nil }
    }
}

extension FUTSubmission {
    /// Our resource of the item, as it was frozen.
    static func resource(of item: Int64, in draft: DispatchDraft) -> JSON? {
        guard let index = draft.entries.first(where: { $0.item == item })?.index,
            let entries = (try? JSON(parsing: draft.request.body)).flatMap(FUTSubmission.init)?.entries,
            entries.indices.contains(index)
        else { return nil }
        return entries[index].resource
    }

    /// The moment of an observation, in either form of `effective[x]`.
    static func time(of observation: JSON) -> Instant? {
        (observation["effectiveDateTime"]?.string ?? observation["effectivePeriod"]?["start"]?.string)
            .flatMap { Instant(iso8601: $0) }
    }
}
