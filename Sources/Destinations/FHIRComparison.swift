import ExactJSON

/// Whether a receiver's copy of an Observation says what ours says: the same patient, the same quantities, numerically.
///
/// Only what carries the measurement is compared. A receiver may add codes, narrative and metadata.
enum FHIRComparison {
    /// What differs, by element name and without values; `nil` where they agree.
    static func difference(ours: JSON, theirs: JSON) -> String? {
        guard theirs["resourceType"]?.string == "Observation" else { return "resourceType" }
        let retracted = "entered-in-error"
        if theirs["status"]?.string == retracted, ours["status"]?.string != retracted { return "status" }
        guard sharesCoding(ours["code"], theirs["code"]) else { return "code" }
        guard tail(ours["subject"]?["reference"]) == tail(theirs["subject"]?["reference"]) else { return "subject" }
        guard sameValue(ours, theirs) else { return "value" }
        let theirComponents = theirs["component"]?.array ?? []
        for component in ours["component"]?.array ?? [] {
            // Supplemental types describe, they do not measure.
            guard component["valueCodeableConcept"] == nil else { continue }
            let counterparts = theirComponents.filter { sharesCoding(component["code"], $0["code"]) }
            guard counterparts.contains(where: { sameValue(component, $0) }) else { return "component" }
        }
        return nil
    }

    static func holdsIdentifier(_ resource: JSON, system: String, value: String) -> Bool {
        (resource["identifier"]?.array ?? []).contains { $0["system"]?.string == system && $0["value"]?.string == value }
    }

    private static func sharesCoding(_ ours: JSON?, _ theirs: JSON?) -> Bool {
        let others = theirs?["coding"]?.array ?? []
        return (ours?["coding"]?.array ?? []).contains { coding in
            others.contains { $0["code"] == coding["code"] && $0["system"] == coding["system"] }
        }
    }

    private static func sameValue(_ ours: JSON, _ theirs: JSON) -> Bool {
        if let quantity = ours["valueQuantity"] {
            guard let other = theirs["valueQuantity"], let number = quantity["value"]?.number,
                let otherNumber = other["value"]?.number
            else { return false }
            return number.isNumericallyEqual(to: otherNumber) && quantity["code"] == other["code"]
        }
        if let boolean = ours["valueBoolean"] { return theirs["valueBoolean"] == boolean }
        // No value on our side must be no value on theirs.
        return theirs["valueQuantity"] == nil && theirs["valueBoolean"] == nil
    }

    /// `Patient/x` of a relative or absolute reference, with or without version.
    private static func tail(_ reference: JSON?) -> String? {
        reference?.string.flatMap { ServerReference($0)?.reference }
    }
}
