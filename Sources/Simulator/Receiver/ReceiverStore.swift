import ExactJSON

/// The resources, in memory, and FHIR's interactions on them as plain functions.
struct ReceiverStore {
    struct Key: Hashable {
        var type: String
        var id: String
        var reference: String { "\(type)/\(id)" }
    }

    struct Stored {
        var version: Int
        var resource: JSON
    }

    private(set) var resources: [Key: Stored] = [:]
    private var order: [Key] = []
    private var byIdentifier: [String: [Key]] = [:]
    private var lastID = 0

    /// What was created or replaced since the caller last took it, for the ledger.
    private(set) var written: [Key] = []
    mutating func takeWritten() -> [Key] {
        defer { written.removeAll() }
        return written
    }

    func all(_ type: String? = nil) -> [JSON] {
        order.filter { type == nil || $0.type == type }.compactMap { resources[$0]?.resource }
    }

    func counts() -> [String: Int] { order.reduce(into: [:]) { $0[$1.type, default: 0] += 1 } }

    // MARK: Search

    func search(_ type: String, _ query: ReceiverQuery) -> [Key] {
        var candidates: [Key]
        if let ids = query.ids {
            candidates = ids.map { Key(type: type, id: $0) }.filter { resources[$0] != nil }
        } else if let identifiers = query.identifiers {
            var seen = Set<Key>()
            candidates = identifiers.flatMap { byIdentifier[$0.value] ?? [] }.filter { seen.insert($0).inserted }
        } else {
            candidates = order
        }
        candidates = candidates.filter { key in
            key.type == type && resources[key].map { query.matches($0.resource) } ?? false
        }
        return candidates
    }

    /// The one match of a conditional interaction; `nil` for none.
    func conditionalMatch(_ type: String, _ query: String) throws(ReceiverError) -> Key? {
        let text =
            query.hasPrefix("?") ? query.dropFirst() : query.hasPrefix("\(type)?") ? query.dropFirst(type.count + 1) : query[...]
        let query = try ReceiverQuery(text)
        if query.isEmpty { throw ReceiverError(412, "incomplete", "the condition names nothing to search for") }
        let matches = search(type, query)
        guard matches.count <= 1 else { throw ReceiverError(412, "multiple-matches", "the condition matches \(matches.count)") }
        return matches.first
    }

    // MARK: Writing

    mutating func newKey(_ type: String) -> Key {
        repeat { lastID += 1 } while resources[Key(type: type, id: String(lastID))] != nil
        return Key(type: type, id: String(lastID))
    }

    /// Stores with id and version set. Returns the version.
    @discardableResult
    mutating func put(_ key: Key, _ resource: JSON, at time: String) -> Int {
        let version = (resources[key]?.version ?? 0) + 1
        if let old = resources[key]?.resource {
            for identifier in ReceiverQuery.identifiers(of: old) { byIdentifier[identifier.value]?.removeAll { $0 == key } }
        } else {
            order.append(key)
        }
        let meta = (resource["meta"] ?? [:]).setting("versionId", to: .string(String(version)))
            .setting("lastUpdated", to: .string(time))
        let stored = resource.setting("id", to: .string(key.id)).setting("meta", to: meta)
        resources[key] = Stored(version: version, resource: stored)
        for identifier in ReceiverQuery.identifiers(of: stored) { byIdentifier[identifier.value, default: []].append(key) }
        written.append(key)
        return version
    }

    // MARK: Single interactions

    func read(_ key: Key) throws(ReceiverError) -> ReceiverAnswer {
        guard let stored = resources[key] else { throw ReceiverError(404, "not-found", key.reference) }
        return ReceiverAnswer(status: 200, headers: [("etag", "W/\"\(stored.version)\"")], body: stored.resource)
    }

    func searchset(_ type: String, _ query: ReceiverQuery) -> ReceiverAnswer {
        let keys = search(type, query)
        let entries: [JSON] = keys.prefix(query.count ?? 1_000).compactMap { key in
            resources[key].map { ["fullUrl": .string(key.reference), "resource": $0.resource, "search": ["mode": "match"]] }
        }
        return ReceiverAnswer(
            status: 200,
            body: [
                "resourceType": "Bundle", "type": "searchset", "total": .integer(keys.count), "entry": .array(entries),
            ])
    }

    mutating func create(_ type: String, _ resource: JSON, ifNoneExist: String?, at time: String) throws(ReceiverError)
        -> ReceiverAnswer
    {
        try ReceiverCheck.resource(resource, as: type)
        if let ifNoneExist, let match = try conditionalMatch(type, ifNoneExist) { return answer(200, match) }
        let key = newKey(type)
        put(key, resource, at: time)
        return answer(201, key)
    }

    mutating func update(_ key: Key, _ resource: JSON, ifMatch: String?, at time: String) throws(ReceiverError) -> ReceiverAnswer
    {
        try ReceiverCheck.resource(resource, as: key.type)
        guard resource["id"]?.string == key.id else { throw ReceiverError(400, "invalid", "the id is not the one in the URL") }
        try checkVersion(key, ifMatch)
        let isNew = resources[key] == nil
        put(key, resource, at: time)
        return answer(isNew ? 201 : 200, key)
    }

    mutating func patch(_ key: Key, _ operations: JSON, ifMatch: String?, at time: String) throws(ReceiverError) -> ReceiverAnswer
    {
        guard let stored = resources[key] else { throw ReceiverError(404, "not-found", key.reference) }
        try checkVersion(key, ifMatch)
        let patched = try ReceiverPatch.apply(operations, to: stored.resource)
        try ReceiverCheck.resource(patched, as: key.type)
        put(key, patched, at: time)
        return answer(200, key)
    }

    func checkVersion(_ key: Key, _ ifMatch: String?) throws(ReceiverError) {
        guard let ifMatch else { return }
        let version = ifMatch.filter(\.isNumber)
        guard let stored = resources[key], String(stored.version) == version else {
            throw ReceiverError(412, "conflict", "another version is current")
        }
    }

    func answer(_ status: Int, _ key: Key) -> ReceiverAnswer {
        let version = resources[key]?.version ?? 1
        return ReceiverAnswer(
            status: status,
            headers: [("etag", "W/\"\(version)\""), ("location", "\(key.reference)/_history/\(version)")],
            body: resources[key]?.resource)
    }
}
