import ExactJSON

/// The little that this receiver checks of a resource: enough to refuse what no server would take. Not a validator.
enum ReceiverCheck {
    static func resource(_ resource: JSON, as type: String) throws(ReceiverError) {
        guard let own = resource["resourceType"]?.string else {
            throw ReceiverError(400, "structure", "no resourceType", expression: type)
        }
        guard own == type else { throw ReceiverError(400, "invalid", "a \(own) where a \(type) belongs", expression: type) }
        switch type {
        case "Observation":
            try code(resource, "status", observationStatus)
            guard resource["code"] != nil else { throw missing("Observation.code") }
            if resource["value"] != nil { throw ReceiverError(422, "structure", "value[x] without its type") }
        default: break
        }
        for identifier in ReceiverQuery.identifiers(of: resource) where identifier.value.isEmpty {
            throw ReceiverError(422, "value", "an empty identifier", expression: "\(type).identifier")
        }
    }

    /// Value set observation-status of FHIR R4.
    private static let observationStatus: Set<String> = [
        "registered", "preliminary", "final", "amended", "corrected", "cancelled", "entered-in-error", "unknown",
    ]

    private static func code(_ resource: JSON, _ member: String, _ allowed: Set<String>) throws(ReceiverError) {
        guard let value = resource[member]?.string else { throw missing("Observation.\(member)") }
        guard allowed.contains(value) else {
            throw ReceiverError(422, "code-invalid", "not a code of the required value set", expression: "Observation.\(member)")
        }
    }

    private static func missing(_ path: String) -> ReceiverError {
        ReceiverError(422, "required", "\(path) is required", expression: path)
    }
}

/// JSON Patch (RFC 6902), as far as a status or a note needs it: add, replace, remove and test on members and list positions.
enum ReceiverPatch {
    static func apply(_ operations: JSON, to resource: JSON) throws(ReceiverError) -> JSON {
        guard let operations = operations.array else { throw ReceiverError(400, "structure", "a JSON Patch is a list") }
        var result = resource
        for operation in operations {
            guard let name = operation["op"]?.string, let path = operation["path"]?.string, path.hasPrefix("/") else {
                throw ReceiverError(400, "structure", "an operation needs op and path")
            }
            let steps = path.dropFirst().split(separator: "/", omittingEmptySubsequences: false)
                .map { $0.split(separator: "~1", omittingEmptySubsequences: false).joined(separator: "/") }
                .map { $0.split(separator: "~0", omittingEmptySubsequences: false).joined(separator: "~") }
            result = try change(result, steps[...], name, operation["value"])
        }
        return result
    }

    private static func change(
        _ target: JSON, _ steps: ArraySlice<String>, _ operation: String, _ value: JSON?
    ) throws(ReceiverError) -> JSON {
        guard let step = steps.first else { return target }
        if steps.count > 1 {
            guard let inner = child(target, step) else {
                throw ReceiverError(422, "not-found", "the patch's path does not exist")
            }
            return try replace(target, step, change(inner, steps.dropFirst(), operation, value))
        }
        let old = child(target, step)
        switch (operation, old, value) {
        case ("test", let old?, let value?) where old.means(value): return target
        case ("test", _, _): throw ReceiverError(422, "conflict", "the patch's test does not hold")
        case ("remove", .some, _): return try remove(target, step)
        case ("replace", .some, let value?): return try replace(target, step, value)
        case ("add", _, let value?):
            if case .array(var elements) = target {
                let position = step == "-" ? elements.count : Int(step) ?? -1
                guard (0...elements.count).contains(position) else { break }
                elements.insert(value, at: position)
                return .array(elements)
            }
            return target.setting(step, to: value)
        default: break
        }
        throw ReceiverError(422, "processing", "the patch does not apply")
    }

    private static func child(_ target: JSON, _ step: String) -> JSON? {
        target.array == nil ? target[step] : Int(step).flatMap { target[$0] }
    }

    private static func replace(_ target: JSON, _ step: String, _ value: JSON) throws(ReceiverError) -> JSON {
        guard case .array(var elements) = target else { return target.setting(step, to: value) }
        guard let position = Int(step), elements.indices.contains(position) else {
            throw ReceiverError(422, "not-found", "the patch's path does not exist")
        }
        elements[position] = value
        return .array(elements)
    }

    private static func remove(_ target: JSON, _ step: String) throws(ReceiverError) -> JSON {
        switch target {
        case .object(let members): return .object(members.filter { $0.key != step })
        case .array(var elements):
            guard let position = Int(step), elements.indices.contains(position) else { break }
            elements.remove(at: position)
            return .array(elements)
        default: break
        }
        throw ReceiverError(422, "processing", "the patch does not apply")
    }
}
