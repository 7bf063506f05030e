/// Base64 with the URL-safe alphabet and without padding, as JOSE and PKCE write bytes (RFC 4648 section 5; RFC 7515 section 2).
public enum Base64URL {
    private static let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_".utf8)

    public static func encode(_ bytes: some Collection<UInt8>) -> String {
        var out: [UInt8] = []
        out.reserveCapacity((bytes.count * 4 + 2) / 3)
        var pending: UInt32 = 0
        var bits = 0
        for byte in bytes {
            pending = pending << 8 | UInt32(byte)
            bits += 8
            while bits >= 6 {
                bits -= 6
                out.append(alphabet[Int(pending >> UInt32(bits) & 0x3F)])
            }
        }
        if bits > 0 { out.append(alphabet[Int(pending << UInt32(6 - bits) & 0x3F)]) }
        return String(decoding: out, as: UTF8.self)
    }

    /// The bytes that this text writes.
    ///
    /// Strict, so that one value has one text: no padding, no line breaks, no bits left over that are not zero.
    public static func decode(_ text: some StringProtocol) throws(Base64URLError) -> [UInt8] {
        let length = text.utf8.count
        guard length % 4 != 1 else {
            throw Base64URLError(offset: length - 1, expected: "a length that leaves no single character")
        }
        var out: [UInt8] = []
        out.reserveCapacity(length * 3 / 4)
        var pending: UInt32 = 0
        var bits = 0
        for (offset, character) in text.utf8.enumerated() {
            guard let value = value(of: character) else {
                throw Base64URLError(offset: offset, expected: "a letter, a digit, '-' or '_'")
            }
            pending = pending << 6 | value
            bits += 6
            if bits >= 8 {
                bits -= 8
                out.append(UInt8(truncatingIfNeeded: pending >> UInt32(bits)))
            }
        }
        guard pending & (1 << UInt32(bits) - 1) == 0 else {
            throw Base64URLError(offset: length - 1, expected: "a last character without stray bits")
        }
        return out
    }

    private static func value(of character: UInt8) -> UInt32? {
        switch character {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"): UInt32(character - UInt8(ascii: "A"))
        case UInt8(ascii: "a")...UInt8(ascii: "z"): UInt32(character - UInt8(ascii: "a") + 26)
        case UInt8(ascii: "0")...UInt8(ascii: "9"): UInt32(character - UInt8(ascii: "0") + 52)
        case UInt8(ascii: "-"): 62
        case UInt8(ascii: "_"): 63
        default: nil
        }
    }
}

/// What is wrong with a base64url text, and where; without the text, which may be a secret.
public struct Base64URLError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Bytes from the start of the text.
    public let offset: Int
    public let expected: String

    public var description: String { "not base64url at byte \(offset): expected \(expected)" }
}
