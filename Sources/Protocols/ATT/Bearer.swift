/// What carries the PDUs of one connected device: an L2CAP socket in production, a socket pair with a simulated peripheral in
/// demo and tests. The same bytes cross it.
///
/// A serial port (RFCOMM) is one too: there a "PDU" is as much of the stream as came or goes at once, cut anywhere.
public protocol Bearer: Sendable {
    /// Hands one PDU to the link, in the order of the calls.
    ///
    /// Returns when the kernel has taken it; throws when the link has ended.
    func send(_ pdu: [UInt8]) async throws

    /// Every PDU that came, in order; none is dropped, however long the reader takes. Ends when the link ends. One reader.
    var incoming: AsyncStream<[UInt8]> { get }

    /// Ends the link. Calling it again does nothing.
    func close() async

    /// Why the link ended, in the link's own words and without health data, such as `connection timeout`; `nil` while it lasts, and
    /// where the link does not tell.
    var endReason: String? { get async }
}

extension Bearer {
    /// A socket only says that it was closed.
    public var endReason: String? { get async { nil } }
}
