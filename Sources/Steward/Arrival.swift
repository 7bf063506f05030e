public import Vitals

/// What an arrived record is to what was there before (R3).
public enum ArrivalDecision: Hashable, Sendable {
    case new(ReadingIdentity)
    /// Sent again: it adds nothing and is listed as suppressed.
    case repeated(ReadingIdentity)
    /// Perhaps sent again, perhaps measured again: a person decides.
    case possibleDuplicate(ReadingIdentity)

    public var identity: ReadingIdentity {
        switch self {
        case .new(let identity), .repeated(let identity), .possibleDuplicate(let identity): identity
        }
    }
}

/// What the decision on an arrival asks of the store, within the transaction that stores the frame.
///
/// A *transfer* is one sending of a device's records: a connection, or one Record Access Control Point procedure in it. A request
/// that is made again on the same link begins another, else its records would count as equals of the first.
public protocol ArrivalFacts {
    associatedtype Failure: Error
    /// Whether there is an act or a tombstone of it.
    func isKnown(_ identity: ReadingIdentity) throws(Failure) -> Bool
    /// How many earlier frames of this transfer have this base, repeats included, and their word is known to have been sent or
    /// the device takes none. A frame without the word may come twice on one link, and is then the same record.
    func equalInTransfer(_ base: [UInt8]) throws(Failure) -> Int
    /// How many acts and tombstones have this base.
    func equalEver(_ base: [UInt8]) throws(Failure) -> Int
    /// The last frame of a record stored of this device before this one, in whichever transfer. Not an intermediate value or a sample of
    /// a stream: they come between a record and its repeat.
    func lastFrame() throws(Failure) -> LastFrame?
}

/// The last frame stored of a device.
public struct LastFrame: Hashable, Sendable {
    public var bytes: [UInt8]
    /// The base of its identity, where it is at hand: it stays equal where a from-storage bit changes in the bytes.
    public var base: [UInt8]?
    /// Known to have been sent, or the device takes no word from us.
    public var isWordSent: Bool

    public init(bytes: [UInt8], base: [UInt8]? = nil, isWordSent: Bool) {
        self.bytes = bytes
        self.base = base
        self.isWordSent = isWordSent
    }
}

/// Decides whether an arrived record is a new one (R3). The hub's clock has no part in it.
///
/// A record with a timestamp or a sequence number is known by what the device stores of it; the n-th equal one within a transfer
/// is the n-th everywhere. A record without either can be told from a repeat only by the word: it is the last frame again if the
/// device never got the word for that one. Otherwise the device took a new measurement, or, for a model of which nothing is
/// known, may have.
///
/// - Parameter isModelKnown: false for the generic entries of the catalogue.
public func decideArrival<Facts: ArrivalFacts>(
    of measurement: Measurement, bytes: [UInt8], from device: DeviceKey, isModelKnown: Bool, facts: Facts
) throws(Facts.Failure) -> ArrivalDecision {
    let base = ReadingIdentity.base(of: measurement, from: device)
    if measurement.projection.distinguishes {
        let identity = ReadingIdentity(base: base, ordinal: try facts.equalInTransfer(base))
        return try facts.isKnown(identity) ? .repeated(identity) : .new(identity)
    }

    let earlier = try facts.equalEver(base)
    let next = ReadingIdentity(base: base, ordinal: earlier)
    guard earlier > 0, let last = try facts.lastFrame(), last.base.map({ $0 == base }) ?? (last.bytes == bytes) else {
        return .new(next)
    }
    if !last.isWordSent { return .repeated(ReadingIdentity(base: base, ordinal: earlier - 1)) }
    return isModelKnown ? .new(next) : .possibleDuplicate(next)
}
