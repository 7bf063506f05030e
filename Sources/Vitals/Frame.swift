/// Bytes as they came from a device, with all that was known at that moment (R2, R5).
public struct Frame: Hashable, Sendable {
    /// Where in the device's protocol the bytes came from.
    public enum Source: Hashable, Sendable {
        /// A characteristic's value: its 16-bit UUID and the attribute handle.
        case gatt(characteristic: UInt16, handle: UInt16)
        /// A packet of a maker's own serial protocol, by the name of its format, such as `nonin-df13`.
        case vendor(format: String)
    }

    public var source: Source
    public var bytes: [UInt8]
    public var received: ClockReading

    public init(source: Source, bytes: [UInt8], received: ClockReading) {
        self.source = source
        self.bytes = bytes
        self.received = received
    }
}

extension Frame.Source {
    /// `gatt:2a35` or `vendor:nonin-df13`, as `vitalgate decode --format` names it.
    public var format: String {
        switch self {
        case .gatt(let characteristic, _): "gatt:" + characteristic.hex4
        case .vendor(let format): "vendor:" + format
        }
    }
}

extension UInt16 {
    /// Four lower-case hex digits.
    public var hex4: String {
        let digits = String(self, radix: 16)
        return String(repeating: "0", count: 4 - digits.utf8.count) + digits
    }
}

extension Sequence<UInt8> {
    /// Two lower-case hex digits a byte.
    public var hex: String {
        var text = ""
        for byte in self {
            if byte < 16 { text.append("0") }
            text.append(String(byte, radix: 16))
        }
        return text
    }
}

extension Array<UInt8> {
    /// Bytes from hex digits, which spaces may part; `nil` where it is none.
    public init?(hex text: some StringProtocol) {
        var bytes: [UInt8] = []
        var high: UInt8?
        for character in text where !character.isWhitespace {
            guard let digit = character.hexDigitValue, character.isASCII else { return nil }
            if let first = high {
                bytes.append(first << 4 | UInt8(digit))
                high = nil
            } else {
                high = UInt8(digit)
            }
        }
        guard high == nil else { return nil }
        self = bytes
    }
}

/// What a device takes as the word that its reading was received (R1).
public enum Acknowledgement: String, Hashable, Sendable, CaseIterable {
    /// The ATT Handle Value Confirmation.
    case confirmation
    /// The response to the report itself: 20601's to a confirmed event report, or a maker's ACK of a packet.
    case response
    /// A command of ours (RACP or vendor delete); off unless a programme turns it on.
    case command
    /// The end of the link.
    case disconnect
    /// Nothing that we send: the controllers acknowledge (notifications). What was received but not yet committed can be lost.
    case link
    /// The device keeps its records whatever we say.
    case none
}
