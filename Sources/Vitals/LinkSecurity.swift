/// What protected the link over which a reading came, as it was achieved and not as it was asked for.
///
/// Over Bluetooth LE the levels of security mode 1: no security, encryption with an unauthenticated key, encryption with an
/// authenticated one (Core Specification 5.4, volume 3, part C, section 10.2.1; the kernel's BT_SECURITY_LOW, _MEDIUM, _HIGH and _FIPS).
public enum LinkSecurity: String, Hashable, Sendable, CaseIterable {
    /// A Unix socket of this machine (demo, tests): no radio, so nobody to listen in or to speak in the device's name.
    case local
    /// A radio link in clear.
    case none
    /// Encrypted with a key that nobody proved (Just Works): safe from those who came after the pairing.
    case encrypted
    /// Encrypted with a key that was proved by a passkey or a comparison: safe from a man in the middle too.
    case authenticated
}

extension LinkSecurity: Comparable {
    /// How much an attacker near by is kept from: a link that is no radio, from all.
    private var rank: Int {
        switch self {
        case .none: 0
        case .encrypted: 1
        case .authenticated: 2
        case .local: 3
        }
    }

    public static func < (left: LinkSecurity, right: LinkSecurity) -> Bool { left.rank < right.rank }
}
