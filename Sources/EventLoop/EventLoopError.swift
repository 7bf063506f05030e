import Glibc

/// A call to the kernel that an event loop needs failed.
public struct EventLoopError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The system call.
    public let call: String
    /// Its `errno`.
    public let code: Int32

    public init(call: String, code: Int32) {
        self.call = call
        self.code = code
    }

    public var description: String { "\(call): \(String(cString: strerror(code)))" }
}
