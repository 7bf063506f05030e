/// Why bytes are no frame or record of the management interface. Carries the place and the field, never the bytes: keys are among
/// them.
public struct ManagementError: Error, Hashable, Sendable {
    public var code: DecodeError.Code
    /// Bytes from the start of the frame, or of the record or reply that was decoded alone.
    public var offset: Int
    /// What was expected and what was found.
    public var message: String

    public init(_ code: DecodeError.Code, offset: Int, message: String) {
        self.code = code
        self.offset = offset
        self.message = message
    }

    init(_ error: DecodeError) {
        self.init(error.code, offset: error.offset, message: error.message)
    }
}

extension ManagementError: CustomStringConvertible {
    public var description: String { "\(code.rawValue) at byte \(offset): \(message)" }
}

/// A record of fixed layout that commands, replies and events of the management interface carry, and the store keeps.
public protocol ManagementRecord: Hashable, Sendable {
    /// How many bytes it has.
    static var byteCount: Int { get }
    init(reading reader: inout ByteReader) throws(DecodeError)
    var bytes: [UInt8] { get }
}

extension ManagementRecord {
    /// Reads one record that is all there is.
    public init(decoding bytes: [UInt8]) throws(ManagementError) {
        self = try Management.reading(bytes) { reader throws(DecodeError) in
            let record = try Self(reading: &reader)
            try reader.finish()
            return record
        }
    }
}

enum Management {
    /// Reads with the errors of this interface.
    static func reading<Value>(
        _ bytes: [UInt8], _ read: (inout ByteReader) throws(DecodeError) -> Value
    ) throws(ManagementError) -> Value {
        var reader = ByteReader(bytes)
        do throws(DecodeError) {
            return try read(&reader)
        } catch {
            throw ManagementError(error)
        }
    }
}
