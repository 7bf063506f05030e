import Protocols
import Testing

/// Data elements of Core Vol 3 Part B 3, byte for byte.
@Suite struct SDPDataElementTests {
    /// Those with a star were also written by Bumble 0.0.236, an independent implementation.
    static let layouts: [(SDPDataElement, String)] = [
        (.null, "00"),  // *
        (.unsigned(UInt8(5)), "08 05"),  // *
        (.unsigned(UInt16(0x1234)), "09 1234"),  // *
        (.unsigned(UInt32(0x1234_5678)), "0a 12345678"),  // *
        (.unsigned(0x0102_0304_0506_0708, width: .eight), "0b 0102030405060708"),
        (.unsigned(1, width: .sixteen), "0c 00000000000000000000000000000001"),
        (.unsigned(.max, width: .sixteen), "0c ffffffffffffffffffffffffffffffff"),
        (.signed(-2, width: .one), "10 fe"),  // *
        (.signed(-2, width: .two), "11 fffe"),
        (.signed(127, width: .one), "10 7f"),
        (.signed(-2_147_483_648, width: .four), "12 80000000"),
        (.signed(-1, width: .eight), "13 ffffffffffffffff"),
        (.signed(.min, width: .sixteen), "14 80000000000000000000000000000000"),
        (.uuid(0x1101), "19 1101"),  // *
        (
            .uuid(.long(high: 0x233B_F001_5A34_1B6D, low: 0x975C_000D_5690_ABE4)),
            "1c 233bf0015a341b6d975c000d5690abe4"  // *
        ),
        (.text(Array("Serial Port".utf8)), "25 0b 53657269616c20506f7274"),  // *
        (.text([]), "25 00"),
        (.boolean(true), "28 01"),  // *
        (.boolean(false), "28 00"),
        (.sequence([]), "35 00"),
        (.sequence([.unsigned(UInt8(1)), .sequence([.null])]), "35 05 0801 35 01 00"),
        (.alternative([.uuid(0x0003), .uuid(0x0100)]), "3d 06 190003 190100"),
        (.url(Array("http://a".utf8)), "45 08 687474703a2f2f61"),  // *
    ]

    @Test("Each kind has the specification's layout, both ways", arguments: layouts.indices)
    func layout(_ index: Int) throws {
        let (element, hex) = Self.layouts[index]
        #expect(element.bytes == grouped(hex))
        #expect(try SDPDataElement(decoding: grouped(hex)) == element)
    }

    @Test("Longer headers than needed, and UUIDs of all widths, are the same values")
    func otherForms() throws {
        #expect(try SDPDataElement(decoding: grouped("26 0002 6162")) == .text([0x61, 0x62]))
        #expect(try SDPDataElement(decoding: grouped("27 00000002 6162")) == .text([0x61, 0x62]))
        #expect(try SDPDataElement(decoding: grouped("36 0002 0801")) == .sequence([.unsigned(UInt8(1))]))
        #expect(try SDPDataElement(decoding: grouped("3f 00000001 00")) == .alternative([.null]))
        #expect(try SDPDataElement(decoding: grouped("1a 00001101")) == .uuid(0x1101))
        #expect(try SDPDataElement(decoding: grouped("1c 0000110100001000800000805f9b34fb")) == .uuid(0x1101))
        #expect(try SDPDataElement(decoding: grouped("1a 12345678")) == .uuid(BluetoothUUID(assigned: 0x1234_5678)))
    }

    @Test("The header grows with the length", arguments: [255, 256, 65_535, 65_536])
    func lengths(_ count: Int) throws {
        let element = SDPDataElement.text([UInt8](repeating: 0x61, count: count))
        let header: [UInt8] =
            switch count {
            case 255: [0x25, 0xFF]
            case 256: [0x26, 0x01, 0x00]
            case 65_535: [0x26, 0xFF, 0xFF]
            default: [0x27, 0x00, 0x01, 0x00, 0x00]
            }
        #expect(Array(element.bytes.prefix(header.count)) == header)
        #expect(element.bytes.count == header.count + count)
        #expect(try SDPDataElement(decoding: element.bytes) == element)
    }

    static let malformed: [(String, DecodeError.Code, Int)] = [
        ("", .tooShort, 0),
        // Size indices that the type does not have: of nil, number, UUID, text, boolean, list, URL; and types 9 and 31.
        ("01", .invalidValue, 0), ("0d", .invalidValue, 0), ("15", .invalidValue, 0), ("18", .invalidValue, 0),
        ("1b", .invalidValue, 0), ("1d", .invalidValue, 0), ("20", .invalidValue, 0), ("29", .invalidValue, 0),
        ("30", .invalidValue, 0), ("3c", .invalidValue, 0), ("40", .invalidValue, 0), ("48", .invalidValue, 0),
        ("f8", .invalidValue, 0),
        // Ends too soon.
        ("08", .tooShort, 1), ("09 12", .tooShort, 1), ("1c 00", .tooShort, 1), ("25", .tooShort, 1), ("25 02 61", .tooShort, 2),
        ("27 ffffffff 61", .tooShort, 5), ("35 03 0801", .tooShort, 2), ("37 ffffffff 00", .tooShort, 5),
        // An element that goes on beyond its list.
        ("35 01 0801", .tooShort, 3), ("35 02 2502 6161", .tooShort, 4),
        // Something behind.
        ("00 00", .lengthMismatch, 1),
        ("28 02", .invalidValue, 1),
    ]

    @Test("What is no element is a typed error with its place", arguments: malformed.indices)
    func errors(_ index: Int) {
        let (hex, code, offset) = Self.malformed[index]
        let error = #expect(throws: SDPError.self) { try SDPDataElement(decoding: grouped(hex)) }
        guard case .malformed(code, offset, _) = error else {
            Issue.record("\(hex): \(String(describing: error))")
            return
        }
    }

    @Test("Lists within lists have an end")
    func depth() throws {
        var element = SDPDataElement.null
        for _ in 0..<SDPDataElement.maximumDepth { element = .sequence([element]) }
        #expect(try SDPDataElement(decoding: element.bytes) == element)
        #expect(throws: SDPError.self) { try SDPDataElement(decoding: SDPDataElement.sequence([element]).bytes) }
        // Ten thousand open lists, each as long as what is left.
        let open = (0..<10_000).flatMap { index -> [UInt8] in
            let left = 30_000 - 3 * (index + 1)
            return [0x36, UInt8(left >> 8), UInt8(left & 0xFF)]
        }
        #expect(throws: SDPError.self) { try SDPDataElement(decoding: open) }
    }

    @Test("Random values come back from their bytes; random bytes never trap")
    func random() throws {
        var generator = freshGenerator("SDP data elements")
        for _ in 0..<3_000 {
            let element = generator.dataElement(depth: 4)
            let bytes = element.bytes
            #expect(try SDPDataElement(decoding: bytes) == element)
            for count in 0..<min(bytes.count, 20) {
                #expect(throws: SDPError.self) { try SDPDataElement(decoding: Array(bytes.prefix(count))) }
            }
        }
        for _ in 0..<20_000 {
            let bytes = generator.bytes(Int.random(in: 0...40, using: &generator))
            _ = try? SDPPDU(decoding: bytes)
            guard let element = try? SDPDataElement(decoding: bytes) else { continue }
            #expect(try SDPDataElement(decoding: element.bytes) == element)
        }
    }
}

extension SeededGenerator {
    fileprivate mutating func dataElement(depth: Int) -> SDPDataElement {
        switch Int.random(in: 0...(depth > 0 ? 8 : 6), using: &self) {
        case 0: return .null
        case 1:
            let width = one(SDPDataElement.Width.allCases)
            return .unsigned(UInt128.random(in: 0...UInt128.max >> (128 - 8 * width.byteCount), using: &self), width: width)
        case 2:
            let width = one(SDPDataElement.Width.allCases)
            let shift = 128 - 8 * width.byteCount
            return .signed(Int128.random(in: Int128.min >> shift...Int128.max >> shift, using: &self), width: width)
        case 3: return .uuid(chance() ? .short(number()) : BluetoothUUID(high: next(), low: next()))
        case 4: return .text(bytes(Int.random(in: 0...300, using: &self)))
        case 5: return .boolean(chance())
        case 6: return .url(bytes(Int.random(in: 0...20, using: &self)))
        case 7: return .sequence((0..<Int.random(in: 0...5, using: &self)).map { _ in dataElement(depth: depth - 1) })
        default: return .alternative((0..<Int.random(in: 0...5, using: &self)).map { _ in dataElement(depth: depth - 1) })
        }
    }
}

/// PDUs of Core Vol 3 Part B 4, byte for byte.
@Suite struct SDPPDUTests {
    static let layouts: [(SDPPDU, String)] = [
        (.errorResponse(transaction: 0x1234, .invalidSyntax), "01 1234 0002 0003"),
        (
            // As Bumble 0.0.236 writes it.
            .serviceSearchAttributeRequest(
                transaction: 1, services: [0x1101], maximumByteCount: 648, attributes: [0x0001, 0x0004, 0x0100], continuation: []),
            "06 0001 0013 3503191101 0288 3509 090001 090004 090100 00"
        ),
        (
            .serviceSearchAttributeRequest(
                transaction: 0xFFFF, services: [0x1101, 0x0003], maximumByteCount: 7, attributes: [], continuation: [0xAA, 0xBB]),
            "06 ffff 000f 3506191101190003 0007 3500 02aabb"
        ),
        (.serviceSearchAttributeResponse(transaction: 1, part: [0x35, 0x00], continuation: []), "07 0001 0005 0002 3500 00"),
        (
            .serviceSearchAttributeResponse(transaction: 1, part: [0x35], continuation: [1]),
            "07 0001 0005 0001 35 0101"
        ),
    ]

    @Test("Each PDU has the specification's layout, both ways", arguments: layouts.indices)
    func layout(_ index: Int) throws {
        let (pdu, hex) = Self.layouts[index]
        #expect(pdu.bytes == grouped(hex))
        #expect(try SDPPDU(decoding: grouped(hex)) == pdu)
    }

    @Test("Error information is passed over")
    func information() throws {
        #expect(
            try SDPPDU(decoding: grouped("01 0001 0004 0003 abcd")) == .errorResponse(transaction: 1, .invalidSyntax))
    }

    @Test("A PDU cut anywhere is an error", arguments: layouts.indices)
    func cut(_ index: Int) {
        let frame = grouped(Self.layouts[index].1)
        for count in 0..<frame.count {
            #expect(throws: SDPError.self) { try SDPPDU(decoding: Array(frame.prefix(count))) }
            guard count >= 5 else { continue }
            var shorter = Array(frame.prefix(count))
            shorter[4] = UInt8(count - 5)
            #expect(throws: SDPError.self) { try SDPPDU(decoding: shorter) }
        }
    }

    static let malformed: [(String, SDPError)] = [
        ("", .malformed(.tooShort, offset: 0, message: "expected a PDU, found nothing")),
        ("00 0001 0000", .unexpected(pdu: 0x00)),
        ("02 0001 0000", .unexpected(pdu: 0x02)),
        ("08 0001 0000", .unexpected(pdu: 0x08)),
        (
            "07 0001 0005 0002 3500 00 00",
            .malformed(.lengthMismatch, offset: 5, message: "expected 5 bytes of parameters, found 6")
        ),
        (
            "07 0001 0006 0002 3500 00 00",
            .malformed(.lengthMismatch, offset: 10, message: "expected the end after 10 bytes, found 1 more")
        ),
        (
            "07 0001 0014 0000 11 0000000000000000000000000000000000",
            .malformed(.invalidValue, offset: 7, message: "expected at most 16 bytes of continuation, found 17")
        ),
        ("06 0001 0006 191101 0007 00", .malformed(.invalidValue, offset: 5, message: "expected a sequence")),
        (
            "06 0001 000c 3503191101 0007 35020801 00",
            .malformed(.invalidValue, offset: 12, message: "expected a sequence of one kind")
        ),
    ]

    @Test("What is no PDU is a typed error with its place", arguments: malformed.indices)
    func errors(_ index: Int) {
        let (hex, error) = Self.malformed[index]
        #expect(throws: error) { try SDPPDU(decoding: grouped(hex)) }
    }
}
