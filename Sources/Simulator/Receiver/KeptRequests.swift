import Glibc

/// A directory that gets the body of each request of a kind, as it came, for judges that share nothing with who sent it.
///
/// A file is there before the answer, so whoever has the answer finds it.
final class KeptRequests: Sendable {
    private let directory: String

    /// Makes the directory where there is none.
    init(directory: String) throws(ReceiverLedgerError) {
        guard mkdir(directory, 0o700) == 0 || errno == EEXIST else { throw ReceiverLedgerError(code: errno) }
        self.directory = directory
    }

    func keep(_ body: [UInt8], as name: String) throws(ReceiverLedgerError) {
        let path = directory + "/" + name
        let descriptor = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw ReceiverLedgerError(code: errno) }
        defer { close(descriptor) }
        try Self.write(body, to: descriptor)
    }

    /// All of it, whatever a signal interrupts.
    static func write(_ bytes: [UInt8], to descriptor: Int32) throws(ReceiverLedgerError) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { throw ReceiverLedgerError(code: errno) }
            rest = rest.dropFirst(count)
        }
    }
}
