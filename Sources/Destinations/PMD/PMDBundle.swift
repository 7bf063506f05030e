import ExactJSON
import Vitals

/// What PMD is sent, in either of the two published shapes.
struct PMDBundle {
    struct Entry {
        struct Request {
            var method: String
            var url: String
        }

        /// The answer to an entry names it by this.
        var fullURL: String
        var resource: JSON
        /// Sent in a batch alone.
        var request: Request
    }

    var entries: [Entry]
    var settings: PMDSettings
    /// A UUID of its own, made of what is in it.
    var identifier: String
    /// The time of the latest reading in it: the same items give the same bytes.
    var timestamp: String

    var json: JSON {
        var meta: [JSON.Member] = []
        if settings.form == .batch { meta.append(.init("profile", [.string(PMD.requestBundle)])) }
        if let municipality = settings.municipality {
            meta.append(.init("tag", [["system": .string(PMD.municipality), "code": .string(municipality)]]))
        }
        let isBatch = settings.form == .batch
        let written = entries.map { entry -> JSON in
            .members([
                "fullUrl": .string(entry.fullURL), "resource": entry.resource,
                "request": isBatch
                    ? .object([
                        .init("method", .string(entry.request.method)), .init("url", .string(entry.request.url)),
                    ]) : nil,
            ])
        }
        return .members([
            "resourceType": "Bundle",
            "meta": meta.isEmpty ? nil : .object(meta),
            "identifier": .object([
                .init("system", .string(PMD.bundleIdentifier)), .init("value", .string(identifier)),
            ]),
            "type": .string(settings.form.rawValue),
            "timestamp": .string(timestamp),
            "entry": .array(written),
        ])
    }

    /// Our resource of the item, as it was frozen.
    static func resource(of item: Int64, in draft: DispatchDraft) -> JSON? {
        guard let index = draft.entries.first(where: { $0.item == item })?.index else { return nil }
        return (try? JSON(parsing: draft.request.body))?["entry"]?[index]?["resource"]
    }
}

/// What PMD answers: one entry for each that was sent, found by what it echoes.
///
/// VkpObservation 0.5.2 echoes the `fullUrl`; the built 0.5.1 has an extension of the response instead, whose published example
/// holds the request's URL; a plain FHIR server echoes nothing and keeps the order (R4, http.html, 3.1.0.11.2). All three are read.
struct PMDAnswer {
    enum Entry {
        case answered(JSON)
        /// Several answers to one entry, or none: it is not known what became of it.
        case unclear
    }

    private let answers: [JSON]
    /// Which answers name an entry so.
    private let echoes: [String: Set<Int>]
    private let isInOrder: Bool
    /// URLs of several entries: an echo of one says nothing.
    private let ambiguous: Set<String>

    /// `nil` where the body is no batch-response.
    init?(_ body: JSON?, sent: JSON?) {
        guard let body, body["resourceType"]?.string == "Bundle", let type = body["type"]?.string,
            type == "batch-response" || type == "transaction-response"
        else { return nil }
        answers = body["entry"]?.array ?? []
        let entries = sent?["entry"]?.array ?? []
        let urls = entries.compactMap { $0["request"]?["url"]?.string }
        ambiguous = Set(urls.filter { url in urls.count { $0 == url } > 1 })
        var echoes: [String: Set<Int>] = [:]
        for (index, answer) in answers.enumerated() {
            for name in Self.names(answer) { echoes[name, default: []].insert(index) }
        }
        self.echoes = echoes
        isInOrder = echoes.isEmpty && answers.count == entries.count
    }

    private static func names(_ answer: JSON) -> [String] {
        let extensions = answer["response"]?["extension"]?.array ?? []
        return [answer["fullUrl"], extensions.first { $0["url"]?.string == PMD.entryID }?["valueUri"]]
            .compactMap { $0?.string }
    }

    /// The answer to the entry that stood there in what was sent.
    func answer(to sent: JSON, at index: Int) -> Entry {
        if isInOrder { return answers.indices.contains(index) ? .answered(answers[index]) : .unclear }
        var found: Set<Int> = []
        if let name = sent["fullUrl"]?.string { found.formUnion(echoes[name] ?? []) }
        if let url = sent["request"]?["url"]?.string, !ambiguous.contains(url) { found.formUnion(echoes[url] ?? []) }
        guard let only = found.first, found.count == 1 else { return .unclear }
        return .answered(answers[only])
    }
}
