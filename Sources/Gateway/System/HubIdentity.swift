import Crypto
import Vitals

/// Who this hub is to receivers.
public enum HubIdentity {
    /// The configured EUI-64, else one derived from the machine id: eight bytes, most significant first. `nil` without either.
    ///
    /// Derived by a keyed hash, because machine-id(5) asks that the id itself be kept in the machine; with the locally-administered
    /// bit, because no registry gave it to us, and without the group bit (IEEE 802, "EUI-64").
    public static func systemID(_ hub: Configuration.Hub) -> [UInt8]? { hub.systemID ?? derived(from: Machine.id) }

    static func derived(from machineID: String) -> [UInt8]? {
        guard !machineID.isEmpty else { return nil }
        var bytes = Array(digest("system-id/1", of: machineID).prefix(8))
        bytes[0] = bytes[0] & ~0x01 | 0x02
        return bytes
    }

    /// A UUID (version 8, RFC 9562) of this machine, equal on every start; `nil` without a machine id.
    public static var instance: String? { instance(of: Machine.id) }

    static func instance(of machineID: String) -> String? {
        guard !machineID.isEmpty else { return nil }
        var bytes = Array(digest("instance/1", of: machineID).prefix(16))
        bytes[6] = bytes[6] & 0x0F | 0x80
        bytes[8] = bytes[8] & 0x3F | 0x80
        let digits = Array(bytes.hex)
        return [0..<8, 8..<12, 12..<16, 16..<20, 20..<32].map { String(digits[$0]) }.joined(separator: "-")
    }

    private static func digest(_ purpose: String, of machineID: String) -> [UInt8] {
        let key = SymmetricKey(data: Array("org.vitalgate.\(purpose)".utf8))
        return Array(HMAC<SHA256>.authenticationCode(for: Array(machineID.utf8), using: key))
    }
}
