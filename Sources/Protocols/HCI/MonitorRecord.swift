/// One datagram of the kernel's HCI monitor channel: what an adapter and its host said to each other, and what management sockets said.
///
/// Layout, little-endian: opcode (2), adapter index (2; 0xffff: none), length (2), payload.
/// Source: Linux 6.1, `include/net/bluetooth/hci_mon.h` (`struct hci_mon_hdr`, `HCI_MON_*`).
public struct MonitorRecord: Hashable, Sendable {
    public enum Kind: UInt16, Hashable, Sendable, CaseIterable {
        case newIndex = 0
        case deleteIndex
        /// HCI packets without the octet that tells their kind on a serial line.
        case command, event, aclSent, aclReceived, scoSent, scoReceived
        case openIndex, closeIndex, indexInfo
        /// A controller's own diagnosis, in its maker's form.
        case vendorDiagnosis
        case systemNote
        /// Text that a program wrote with a logging channel.
        case userLogging
        /// A management socket: cookie (4), then what `net/bluetooth/mgmt.c` calls the command or event without its index and length.
        case controlOpen, controlClose, controlCommand, controlEvent
        case isoSent, isoReceived
    }

    public var kind: Kind
    public var index: UInt16
    public var payload: [UInt8]

    public init(_ kind: Kind, index: UInt16, payload: [UInt8]) {
        self.kind = kind
        self.index = index
        self.payload = payload
    }

    static let headerCount = 6

    /// Reads one datagram. A kind that a later kernel brings is an error: nobody knows what it holds.
    public init(decoding bytes: [UInt8]) throws(DecodeError) {
        var reader = ByteReader(bytes)
        let opcode = try reader.u16("opcode")
        let index = try reader.u16("adapter index")
        let length = try reader.u16("length")
        guard let kind = Kind(rawValue: opcode) else {
            throw reader.error(.reservedOpcode, at: 0, "found the opcode \(opcode)")
        }
        payload = try reader.take(Int(length), "payload")
        try reader.finish()
        self.kind = kind
        self.index = index
    }

    public var bytes: [UInt8] {
        var writer = ByteWriter(capacity: Self.headerCount + payload.count)
        writer.u16(kind.rawValue)
        writer.u16(index)
        writer.u16(UInt16(truncatingIfNeeded: payload.count))
        writer.append(payload)
        return writer.bytes
    }
}
