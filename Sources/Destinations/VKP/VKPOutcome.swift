import ExactJSON

/// A code of CodeSystem vkp-operation-outcome-v090, and what is done about it.
enum VKPOutcome {
    enum Reaction: Hashable {
        /// It is about who writes, where, or of whom: the next document would be answered the same.
        case hold
        /// It is about this document.
        case refuse
        /// It is not known what became of it.
        case reconcile
    }

    /// Code and name: the definitions of the code system are names in English, which a server may write instead of the code.
    private static let codes: [(code: String, name: String, reaction: Reaction)] = [
        ("1", "Forbidden", .hold), ("1.1", "NotActive", .hold), ("1.2", "NotAllowed", .hold),
        ("1.3", "MissingActiveService", .hold), ("1.4", "NoAccess", .hold), ("1.5", "NotAuthorized", .hold),
        ("2", "Invalid", .refuse), ("2.1", "InvalidSsn", .hold), ("2.2", "InvalidOrg", .hold),
        ("2.3", "InvalidParameterCount", .refuse), ("2.4", "InvalidFormat", .refuse),
        ("3", "Other", .reconcile), ("3.1", "TimedOut", .reconcile),
    ]

    /// Code, name and reaction of the first known code in an OperationOutcome. Where it stands is not documented: as a coding of
    /// the system, or as the name alone in `details.text` or `diagnostics`.
    static func reaction(to body: JSON?) -> (code: String, name: String, reaction: Reaction)? {
        guard body?["resourceType"]?.string == "OperationOutcome" else { return nil }
        for issue in body?["issue"]?.array ?? [] {
            for coding in issue["details"]?["coding"]?.array ?? []
            where coding["system"]?.string?.hasSuffix("/vkp-operation-outcome-v090") ?? false {
                if let known = codes.first(where: { $0.code == coding["code"]?.string }) { return known }
            }
            for text in [issue["details"]?["text"]?.string, issue["diagnostics"]?.string] {
                if let known = codes.first(where: { $0.name == text }) { return known }
            }
        }
        return nil
    }
}
