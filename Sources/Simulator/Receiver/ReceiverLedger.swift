import ExactJSON
import Glibc

/// What came cannot be written down.
public struct ReceiverLedgerError: Error, Hashable, Sendable, CustomStringConvertible {
    /// Its `errno`.
    public let code: Int32
    public var description: String { "ledger or requests cannot be written: \(String(cString: strerror(code)))" }
}

/// A file to which a line is appended for each request and for each resource written, for tests that count both.
///
/// ```json
/// {"kind":"resource","request":7,"type":"Observation","id":"12","version":1,"identifiers":["urn:x|a"]}
/// {"kind":"request","number":7,"method":"POST","path":"","entries":3,"status":200,"written":3}
/// ```
///
/// `status` is absent where no answer was given; `fault` names the one that struck. Each line is one write before the answer, so
/// whoever has the answer finds the line; nothing is synced: it outlives a killed process, not a power cut.
final class ReceiverLedger: Sendable {
    private let descriptor: Int32

    init(path: String) throws(ReceiverLedgerError) {
        descriptor = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw ReceiverLedgerError(code: errno) }
    }

    deinit { close(descriptor) }

    func append(_ lines: [JSON]) throws(ReceiverLedgerError) {
        var bytes: [UInt8] = []
        for line in lines { bytes += line.bytes + [0x0A] }
        try KeptRequests.write(bytes, to: descriptor)
    }
}
