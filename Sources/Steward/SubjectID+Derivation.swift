import Crypto
public import Vitals

extension SubjectID {
    /// The public id of an act or of one of its readings: the same for ever, opaque to whoever has not the hub's key.
    ///
    /// HMAC-SHA-256 of the identity and the part under the key, the first 16 bytes as a UUID of version 8 (RFC 9562, section
    /// 5.8).
    /// - Parameter part: `act`, or the reading's kind.
    public init(_ identity: ReadingIdentity, part: String, key: [UInt8]) {
        var encoding = CanonicalBytes(domain: "vitalgate.subject/1")
        encoding.append(identity.bytes)
        encoding.append(part)
        var code = Array(
            HMAC<SHA256>.authenticationCode(for: encoding.bytes, using: SymmetricKey(data: key)).prefix(16))
        code[6] = code[6] & 0x0F | 0x80
        code[8] = code[8] & 0x3F | 0x80
        let groups = [code[0..<4], code[4..<6], code[6..<8], code[8..<10], code[10..<16]]
        self.init(rawValue: groups.map(\.hex).joined(separator: "-"))
    }
}
