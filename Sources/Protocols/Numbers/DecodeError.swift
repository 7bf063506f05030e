/// Why bytes could not be read: what is wrong, where, and the bytes themselves (R2: what a decoder rejects waits for a better
/// one).
public struct DecodeError: Error, Hashable, Sendable {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        /// The frame ends before a field that its flags or its format call for.
        case tooShort = "too-short"
        /// The frame goes on after the last field that its flags or its format call for.
        case lengthMismatch = "length-mismatch"
        /// A field holds a value that its definition does not allow.
        case invalidValue = "invalid-value"
        /// An operation code that the specification reserves.
        case reservedOpcode = "reserved-opcode"
        /// The bytes were changed on their way.
        case checksumMismatch = "checksum-mismatch"
        /// A segment that does not follow the one before it.
        case segmentOutOfOrder = "segment-out-of-order"
        /// One segment of several; the record needs the others.
        case incompleteRecord = "incomplete-record"
        /// No decoder has this name.
        case unknownFormat = "unknown-format"
    }

    public var code: Code
    /// Bytes from the start of the frame, where the trouble was noticed.
    public var offset: Int
    /// What was expected and what was found. Never a measured value (R8).
    public var message: String
    /// The whole frame as it came.
    public var bytes: [UInt8]

    public init(_ code: Code, offset: Int, message: String, bytes: [UInt8]) {
        self.code = code
        self.offset = offset
        self.message = message
        self.bytes = bytes
    }
}

extension DecodeError: CustomStringConvertible {
    /// Code, place and message, without the bytes: they may hold health data.
    public var description: String { "\(code.rawValue) at byte \(offset): \(message)" }
}
