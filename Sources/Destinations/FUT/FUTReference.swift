import ExactJSON
public import Vitals

/// Absolute references, as FUT uses them between its services: `https://careplan.<environment>/fhir/ServiceRequest/316`.
enum FUTReference {
    /// Whether it is an absolute reference to a resource of this type, without version.
    static func isValid(_ text: String, type: String) -> Bool {
        guard text.hasPrefix("https://") || text.hasPrefix("http://"), let known = ServerReference(text) else { return false }
        return known.version == nil && known.reference.hasPrefix(type + "/")
            && !text.contains(where: { $0.isWhitespace || $0 == "?" })
    }

    /// `ServiceRequest/316` of an absolute or relative reference: what two ways of writing it have in common.
    static func tail(_ text: String) -> String? { ServerReference(text)?.reference }
}

/// A FHIR dateTime with its own text: what FUT resolved is sent back digit for digit.
public struct FUTMoment: Hashable, Sendable {
    public let text: String
    public let instant: Instant

    /// `nil` where the text has no seconds or no zone: such a time is no moment.
    public init?(_ text: String) {
        guard let instant = Instant(iso8601: text) else { return nil }
        self.text = text
        self.instant = instant
    }
}
