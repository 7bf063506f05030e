import ExactJSON

/// The keys that a JSON Schema names, as the loaders name theirs: `receiver[].base`.
func schemaKeys(_ schema: JSON, _ path: String = "") -> Set<String> {
    var keys: Set<String> = []
    for member in schema["properties"]?.object ?? [] {
        let key = path.isEmpty ? member.key : "\(path).\(member.key)"
        keys.insert(key)
        if let items = member.value["items"], items["properties"] != nil {
            keys.formUnion(schemaKeys(items, key + "[]"))
        } else {
            keys.formUnion(schemaKeys(member.value, key))
        }
    }
    return keys
}

/// The words that a property of that name may have, wherever in the schema it stands.
func schemaWords(_ schema: JSON, _ name: String) -> Set<String> {
    for member in schema["properties"]?.object ?? [] {
        if member.key == name {
            return Set((member.value["enum"] ?? member.value["items"]?["enum"])?.array?.compactMap(\.string) ?? [])
        }
        let inner = schemaWords(member.value["items"] ?? member.value, name)
        if !inner.isEmpty { return inner }
    }
    return []
}
