import Glibc

/// Why a simulated device cannot run.
public enum PeripheralError: Error, Hashable, Sendable {
    /// The kernel refused: the call, what it was for, and its `errno`.
    case system(call: String, subject: String, code: Int32)
    case pathTooLong
}

extension PeripheralError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .system(let call, let subject, let code): "\(call) \(subject): \(String(cString: strerror(code)))"
        case .pathTooLong: "the socket's path is longer than 107 bytes"
        }
    }
}

/// An append-only file in which a device says what it has sent and what it holds as confirmed: the witness of the crash tests.
///
/// One `write` a line with `O_APPEND`, before the next PDU leaves; the page cache outlives a killed process, so no `fsync`.
struct Ledger: Sendable {
    private let descriptor: Int32

    init(path: String) throws(PeripheralError) {
        descriptor = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0o644)
        guard descriptor >= 0 else { throw .system(call: "open", subject: path, code: errno) }
    }

    func append(_ line: String) {
        let bytes = Array((line + "\n").utf8)
        // A short or failed write would make a false witness: better no device than that.
        guard write(descriptor, bytes, bytes.count) == bytes.count else { fatalError("cannot write the ledger") }
    }
}
