import Crypto

/// The one identity of a record (R3): the same whenever and wherever the record is sent again, on every hub.
///
/// SHA-256 over device key, kind, user index and the stored projection, and then the ordinal among equal projections.
public struct ReadingIdentity: Hashable, Sendable {
    /// 32 bytes: the record without its ordinal; equal projections share it.
    public let base: [UInt8]
    /// 0 for the first of equal projections, then counting up.
    public let ordinal: Int

    public init(base: [UInt8], ordinal: Int) {
        self.base = base
        self.ordinal = ordinal
    }

    /// 32 bytes: base and ordinal together.
    public var bytes: [UInt8] {
        var hash = SHA256()
        hash.update(data: base)
        hash.update(data: Array("#\(ordinal)".utf8))
        return Array(hash.finalize())
    }
}
