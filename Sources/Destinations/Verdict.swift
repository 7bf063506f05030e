public import Vitals

/// What the outcome of a request means: for what was sent, or for the whole channel.
public enum DispatchVerdict: Hashable, Sendable {
    /// One verdict for each item, in the order of the draft's entries.
    case items([ItemResult])
    /// It failed before it reached the receiver, or the receiver says that it did not look at it: send again with growing pauses.
    /// `kind` is a short name such as `dns` or `http-408`.
    case retry(kind: String, reason: String)
    /// 429 or 503: the channel waits that long, or by its own rule where the receiver names no time. At most one hour.
    case waitUntilRetryAfter(Duration?)
    /// 401: one new credential, then a hold. No item is burnt.
    case refreshCredential
    /// Nothing of this channel can pass until somebody acts.
    case holdChannel(Condition.Code, reason: String)
    /// It is not known whether the receiver acted: ask before sending again.
    case reconcile(reason: String)
    /// Too large or partly unacceptable, with more than one act in it: send its acts in smaller requests.
    case split(reason: String)
    /// 5xx: send again with growing pauses; counted per item.
    case serverFailure(status: Int, reason: String)
}

public struct ItemResult: Hashable, Sendable {
    public var item: Int64
    public var verdict: ItemVerdict

    public init(_ item: Int64, _ verdict: ItemVerdict) {
        self.item = item
        self.verdict = verdict
    }
}

/// What became of one item.
public enum ItemVerdict: Hashable, Sendable {
    case delivered(ServerReference)
    /// The receiver had something under this identifier already: read it and compare before believing.
    case readBack(ServerReference)
    /// Refused for what it is, or different from what the receiver holds. `code` is short and fixed; `text` is the receiver's own
    /// and may hold health data: it is sealed, never logged.
    case quarantine(code: String, text: String)
    /// Ask the receiver for this item before sending it again.
    case reconcile(reason: String)
    /// The receiver does not have it: send it again. A reference says how the receiver knows it now (a correction's next
    /// version).
    case resend(ServerReference?)
    /// It cannot be found out whether the receiver has it: the receiver's policy decides.
    case uncertain(reason: String)
    /// The receiver failed on this item alone: it backs off alone.
    case serverFailure(status: Int, reason: String)
    /// What it was addressed to does not hold any more: ask the receiver for its plan, decide anew where the item goes, then send
    /// it there or keep it here with the reason. `reason` is short and fixed, as a quarantine's code.
    case reassign(reason: String)
}

/// A resource as the receiver knows it.
public struct ServerReference: Hashable, Sendable {
    /// `Observation/123`, relative to the receiver's base.
    public var reference: String
    public var version: String?
    /// The receiver's own time of that version.
    public var lastModified: Instant?

    public init(reference: String, version: String? = nil, lastModified: Instant? = nil) {
        self.reference = reference
        self.version = version
        self.lastModified = lastModified
    }
}

extension ServerReference: CustomStringConvertible {
    /// `Observation/123/_history/1`, or without the version where none is known.
    public var description: String { version.map { "\(reference)/_history/\($0)" } ?? reference }

    /// Reads what ``description`` writes, and a Location header, absolute or relative: only type, id and version are taken, so
    /// that a receiver cannot send us elsewhere.
    public init?(_ location: String) {
        var parts = location.split(separator: "/").map(String.init)
        var version: String?
        if parts.count >= 2, parts[parts.count - 2] == "_history" {
            version = parts.removeLast()
            parts.removeLast()
        }
        guard parts.count >= 2, let id = parts.popLast(), let type = parts.popLast(), LogicalID.isValid(id),
            type.first?.isUppercase == true, type.allSatisfy({ $0.isASCII && $0.isLetter }),
            version.map(LogicalID.isValid) ?? true
        else { return nil }
        self.init(reference: "\(type)/\(id)", version: version)
    }
}

/// FHIR's `id` type.
enum LogicalID {
    static func isValid(_ text: String) -> Bool {
        (1...64).contains(text.utf8.count)
            && text.utf8.allSatisfy { byte in
                switch byte {
                case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
                    UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."):
                    true
                default: false
                }
            }
    }
}
