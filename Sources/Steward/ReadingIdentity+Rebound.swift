import Crypto

extension ReadingIdentity {
    /// The identity of a record that a person gave to another patient: of its own, and the same if it is done again.
    ///
    /// The first identity stays with the act that was taken back, so that the device sending the record again adds nothing.
    public func rebound(_ revision: Int) -> ReadingIdentity {
        var hash = SHA256()
        hash.update(data: bytes)
        hash.update(data: Array("rebound \(revision)".utf8))
        return ReadingIdentity(base: Array(hash.finalize()), ordinal: 0)
    }
}
