import Glibc

/// Where the key that wraps the data keys comes from (R8).
public enum KeySource: Hashable, Sendable {
    /// The bytes of a systemd credential, which the TPM or the host key protects.
    case credential([UInt8])
    /// A file with mode 0600: no protection against theft of the disk. Made with 32 random bytes for a new journal.
    case file(String)

    /// What protects the key, for the condition `no-key-protection`.
    public enum Protection: String, Hashable, Sendable {
        case credential, file
    }

    public var protection: Protection {
        switch self {
        case .credential: .credential
        case .file: .file
        }
    }

    /// The credential of that name from `$CREDENTIALS_DIRECTORY` (systemd.exec(5), LoadCredentialEncrypted=); `nil` where the
    /// service was given none.
    public static func systemdCredential(named name: String) throws(JournalError) -> KeySource? {
        guard let directory = getenv("CREDENTIALS_DIRECTORY").map({ String(cString: $0) }) else { return nil }
        guard let bytes = try FileSystem.read(directory + "/" + name, atMost: 1 << 16) else { return nil }
        return .credential(bytes)
    }

    /// Fewer could be guessed.
    static let minimumBytes = 16

    /// - Parameter isNew: the journal has no keys yet, so that a missing file may be made.
    func load(isNew: Bool) throws(JournalError) -> [UInt8] {
        let bytes: [UInt8]
        switch self {
        case .credential(let given): bytes = given
        case .file(let path):
            if let found = try FileSystem.read(path, atMost: 1 << 16, ownerOnly: true) {
                bytes = found
            } else {
                guard isNew else { throw .keyMissing("There is no key file at \(path).") }
                bytes = FileSystem.randomBytes(32)
                try FileSystem.writeNew(bytes, to: path)
            }
        }
        guard bytes.count >= Self.minimumBytes else {
            throw .keyMissing("The key has \(bytes.count) bytes; it needs at least \(Self.minimumBytes).")
        }
        return bytes
    }
}
