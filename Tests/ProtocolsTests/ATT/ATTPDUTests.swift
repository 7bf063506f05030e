import Protocols
import Testing

/// Layouts of the Bluetooth Core Specification 5.4, Vol 3 Part F 3.4, byte for byte.
@Suite struct ATTPDUTests {
    static let layouts: [(ATTPDU, [UInt8])] = [
        (.errorResponse(request: 0x0A, handle: 0x0042, code: .readNotPermitted), [0x01, 0x0A, 0x42, 0x00, 0x02]),
        (.mtuRequest(517), [0x02, 0x05, 0x02]),
        (.mtuResponse(23), [0x03, 0x17, 0x00]),
        (.findInformationRequest(HandleRange(0x0013, 0x0017)), [0x04, 0x13, 0x00, 0x17, 0x00]),
        (
            .findInformationResponse([.init(handle: 0x0014, type: 0x2902), .init(handle: 0x0015, type: 0x2901)]),
            [0x05, 0x01, 0x14, 0x00, 0x02, 0x29, 0x15, 0x00, 0x01, 0x29]
        ),
        (
            .findInformationResponse([
                .init(handle: 0x0020, type: .long(high: 0x233B_F001_5A34_1B6D, low: 0x975C_000D_5690_ABE4))
            ]),
            [
                0x05, 0x02, 0x20, 0x00, 0xE4, 0xAB, 0x90, 0x56, 0x0D, 0x00, 0x5C, 0x97, 0x6D, 0x1B, 0x34, 0x5A, 0x01, 0xF0, 0x3B,
                0x23,
            ]
        ),
        (
            .findByTypeValueRequest(.all, type: 0x2800, value: [0x05, 0x18]),
            [0x06, 0x01, 0x00, 0xFF, 0xFF, 0x00, 0x28, 0x05, 0x18]
        ),
        (.findByTypeValueResponse([HandleRange(0x0010, 0x001F)]), [0x07, 0x10, 0x00, 0x1F, 0x00]),
        (.readByTypeRequest(HandleRange(0x0010, 0x001F), type: 0x2803), [0x08, 0x10, 0x00, 0x1F, 0x00, 0x03, 0x28]),
        (
            .readByTypeResponse([
                .init(handle: 0x0011, value: [0x20, 0x12, 0x00, 0x35, 0x2A]),
                .init(handle: 0x0014, value: [0x10, 0x15, 0x00, 0x36, 0x2A]),
            ]),
            [0x09, 0x07, 0x11, 0x00, 0x20, 0x12, 0x00, 0x35, 0x2A, 0x14, 0x00, 0x10, 0x15, 0x00, 0x36, 0x2A]
        ),
        (.readRequest(handle: 0x0012), [0x0A, 0x12, 0x00]),
        (.readResponse([]), [0x0B]),
        (.readResponse([0x64]), [0x0B, 0x64]),
        (.readBlobRequest(handle: 0x0012, offset: 22), [0x0C, 0x12, 0x00, 0x16, 0x00]),
        (.readBlobResponse([0x41]), [0x0D, 0x41]),
        (.readMultipleRequest([0x0012, 0x0013]), [0x0E, 0x12, 0x00, 0x13, 0x00]),
        (.readMultipleResponse([1, 2, 3]), [0x0F, 1, 2, 3]),
        (.readByGroupTypeRequest(.all, type: 0x2800), [0x10, 0x01, 0x00, 0xFF, 0xFF, 0x00, 0x28]),
        (
            .readByGroupTypeResponse([.init(range: HandleRange(1, 5), value: [0x10, 0x18])]),
            [0x11, 0x06, 0x01, 0x00, 0x05, 0x00, 0x10, 0x18]
        ),
        (.writeRequest(handle: 0x0013, value: [0x02, 0x00]), [0x12, 0x13, 0x00, 0x02, 0x00]),
        (.writeResponse, [0x13]),
        (.prepareWriteRequest(handle: 0x0013, offset: 18, value: [9]), [0x16, 0x13, 0x00, 0x12, 0x00, 9]),
        (.prepareWriteResponse(handle: 0x0013, offset: 18, value: [9]), [0x17, 0x13, 0x00, 0x12, 0x00, 9]),
        (.executeWriteRequest(writes: true), [0x18, 0x01]),
        (.executeWriteResponse, [0x19]),
        (.notification(handle: 0x0015, value: [0xAA]), [0x1B, 0x15, 0x00, 0xAA]),
        (.indication(handle: 0x0012, value: [0xBB]), [0x1D, 0x12, 0x00, 0xBB]),
        (.confirmation, [0x1E]),
        (
            .multipleNotification([.init(handle: 0x0015, value: [1, 2]), .init(handle: 0x0016, value: [])]),
            [0x23, 0x15, 0x00, 0x02, 0x00, 1, 2, 0x16, 0x00, 0x00, 0x00]
        ),
        (.writeCommand(handle: 0x0030, value: [0x02, 0x01, 0x03]), [0x52, 0x30, 0x00, 0x02, 0x01, 0x03]),
    ]

    @Test("Each PDU has the specification's layout, both ways", arguments: layouts.indices)
    func layout(_ index: Int) throws {
        let (pdu, bytes) = Self.layouts[index]
        #expect(pdu.bytes == bytes)
        #expect(try ATTPDU(decoding: bytes) == pdu)
        #expect(pdu.opcode.rawValue == bytes[0])
    }

    @Test("Every opcode is in the table")
    func completeness() {
        #expect(Set(Self.layouts.map(\.0.opcode)) == Set(ATTPDU.Opcode.allCases))
    }

    static let malformed: [([UInt8], ATTError)] = [
        ([], .empty),
        ([0x99], .unknownOpcode(0x99)),
        ([0x0A, 0x12], .wrongLength(opcode: 0x0A, count: 2, expected: "at least 3")),
        ([0x0A, 0x12, 0x00, 0x00], .wrongLength(opcode: 0x0A, count: 4, expected: "3")),
        ([0x05, 0x03, 0x14, 0x00, 0x02, 0x29], .invalidField(opcode: 0x05, offset: 1, expected: "format 1 or 2")),
        ([0x05, 0x01, 0x14, 0x00, 0x02], .wrongLength(opcode: 0x05, count: 5, expected: "elements of 4")),
        ([0x09, 0x01, 0x11], .invalidField(opcode: 0x09, offset: 1, expected: "2 or more")),
        ([0x09, 0x07], .wrongLength(opcode: 0x09, count: 2, expected: "elements of 7")),
        ([0x08, 1, 0, 0xFF, 0xFF, 0, 0x28, 0], .wrongLength(opcode: 0x08, count: 8, expected: "a UUID of 2 or 16, not 3")),
        ([0x18, 0x02], .invalidField(opcode: 0x18, offset: 1, expected: "0x00 or 0x01")),
        ([0x1E, 0x00], .wrongLength(opcode: 0x1E, count: 2, expected: "1")),
    ]

    @Test("What is no PDU is a typed error", arguments: malformed.indices)
    func errors(_ index: Int) {
        let (bytes, error) = Self.malformed[index]
        #expect(throws: error) { try ATTPDU(decoding: bytes) }
    }

    @Test("Random bytes never trap, and what is read writes itself")
    func randomBytes() {
        var generator = SystemRandomNumberGenerator()
        for _ in 0..<20_000 {
            let bytes = (0..<Int.random(in: 0...40, using: &generator)).map { _ in UInt8.random(in: 0...255, using: &generator) }
            guard let pdu = try? ATTPDU(decoding: bytes) else { continue }
            // A multiple notification may be cut by the MTU, and is then written with the length that it has.
            if case .multipleNotification = pdu { continue }
            #expect(pdu.bytes == bytes)
        }
    }

    @Test("UUIDs: both forms, text, the Base UUID")
    func uuids() {
        let vendor = BluetoothUUID("233bf001-5a34-1b6d-975c-000d5690abe4")
        #expect(vendor == .long(high: 0x233B_F001_5A34_1B6D, low: 0x975C_000D_5690_ABE4))
        #expect(vendor?.description == "233bf001-5a34-1b6d-975c-000d5690abe4")
        #expect(vendor.flatMap { BluetoothUUID(littleEndian: $0.littleEndian) } == vendor)
        #expect(BluetoothUUID("00002A35-0000-1000-8000-00805F9B34FB") == .short(0x2A35))
        #expect(BluetoothUUID("2a35") == 0x2A35)
        #expect(BluetoothUUID.short(0x180A).description == "180a")
        #expect(BluetoothUUID(littleEndian: [1, 2, 3]) == nil)
        #expect(BluetoothUUID("zz35") == nil)
    }

    @Test("A handle map comes back from its bytes; cut bytes are an error, random ones never trap")
    func handleMap() throws {
        let map = HandleMap(
            services: [
                .init(
                    type: 0x1810, range: HandleRange(16, 31),
                    characteristics: [
                        .init(type: 0x2A35, properties: .indicate, value: 18, configuration: 19),
                        .init(type: .long(high: 1, low: 2), properties: [.write, .read], value: 21),
                    ]),
                .init(type: 0x180A, range: HandleRange(32, 0xFFFF)),
            ], databaseHash: [UInt8](repeating: 7, count: 16))
        #expect(try HandleMap(bytes: map.bytes) == map)
        for length in 0..<map.bytes.count {
            #expect(throws: HandleMapError.self) { try HandleMap(bytes: Array(map.bytes.prefix(length))) }
        }
        for _ in 0..<5_000 {
            _ = try? HandleMap(bytes: [1, 0] + (0..<Int.random(in: 0...40)).map { _ in UInt8.random(in: 0...255) })
        }
    }
}
