/// A UUID made of a text, the same on every run: names inside one request, and identifiers of what belongs to an act without
/// being a reading of it.
///
/// FNV-1a over 128 bits, not cryptographic: the texts are ids that already are, and nothing secret is hidden by it. Marked as
/// version 8 (RFC 9562, 5.8: a vendor's own).
enum StableUUID {
    static func text(_ parts: String...) -> String {
        // Offset basis and prime of the 128-bit FNV-1a (draft-eastlake-fnv).
        var hash: UInt128 = 0x6C62_272E_07BB_0142_62B8_2175_6295_C58D
        let prime: UInt128 = 0x0000_0000_0100_0000_0000_0000_0000_013B
        for part in parts {
            for byte in part.utf8 { hash = (hash ^ UInt128(byte)) &* prime }
            // Parts do not run into each other.
            hash = (hash ^ 0x1F) &* prime
        }
        hash = (hash & ~(0xF000 << 64)) | (0x8000 << 64)
        hash = (hash & ~(0xC000 << 48)) | (0x8000 << 48)
        var digits: [UInt8] = []
        digits.reserveCapacity(36)
        for position in 0..<32 {
            if position == 8 || position == 12 || position == 16 || position == 20 { digits.append(UInt8(ascii: "-")) }
            let nibble = UInt8(truncatingIfNeeded: hash >> UInt128(124 - position * 4)) & 0x0F
            digits.append(nibble < 10 ? UInt8(ascii: "0") + nibble : UInt8(ascii: "a") + nibble - 10)
        }
        return String(decoding: digits, as: UTF8.self)
    }
}
