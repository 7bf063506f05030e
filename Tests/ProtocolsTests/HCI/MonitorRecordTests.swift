import Protocols
import Testing

/// `hci_mon.h` byte for byte, and the file that BlueZ's btmon reads.
@Suite struct MonitorRecordTests {
    static let layouts: [(MonitorRecord, String)] = [
        (
            MonitorRecord(.newIndex, index: 0, payload: bytes("0000010000efbeadde68636930000000")),
            "0000 0000 1000 0000010000efbeadde68636930000000"
        ),
        (MonitorRecord(.command, index: 1, payload: bytes("030c00")), "0200 0100 0300 030c00"),
        (MonitorRecord(.event, index: 1, payload: bytes("0e0401030c00")), "0300 0100 0600 0e0401030c00"),
        (
            MonitorRecord(.aclReceived, index: 0, payload: bytes("4020 0300 aabbcc".filter { $0 != " " })),
            "0500 0000 0700 40200300aabbcc"
        ),
        (MonitorRecord(.systemNote, index: 0xFFFF, payload: Array("Linux\0".utf8)), "0c00 ffff 0600 4c696e757800"),
        (MonitorRecord(.isoReceived, index: 2, payload: []), "1300 0200 0000"),
    ]

    @Test("Each kind has the kernel's layout, both ways", arguments: layouts.indices)
    func layout(_ row: Int) throws {
        let (record, hex) = Self.layouts[row]
        let datagram = bytes(hex.filter { $0 != " " })
        #expect(record.bytes == datagram)
        #expect(try MonitorRecord(decoding: datagram) == record)
    }

    @Test("Every kind is the number that the kernel gives it")
    func kinds() {
        #expect(MonitorRecord.Kind.allCases.map(\.rawValue) == Array(0...19))
        #expect(MonitorRecord.Kind.vendorDiagnosis.rawValue == 11)
        #expect(MonitorRecord.Kind.controlOpen.rawValue == 14)
    }

    @Test(
        "What is no record says where and why",
        arguments: [
            ("", .tooShort, 0), ("0200", .tooShort, 2), ("020001000300030c", .tooShort, 6),
            ("020001000200030c00", .lengthMismatch, 8),
            ("140000000000", .reservedOpcode, 0), ("ffff00000000", .reservedOpcode, 0),
        ] as [(String, DecodeError.Code, Int)])
    func malformed(_ hex: String, _ code: DecodeError.Code, _ offset: Int) {
        let error = #expect(throws: DecodeError.self) { try MonitorRecord(decoding: bytes(hex)) }
        #expect(error?.code == code)
        #expect(error?.offset == offset)
        #expect(error?.bytes == bytes(hex))
    }

    @Test("The file's header and a record, as BlueZ's btsnoop.c writes them")
    func btsnoop() {
        #expect(BTSnoop.header == bytes("6274736e6f6f7000 00000001 000007d1".filter { $0 != " " }))
        let record = MonitorRecord(.event, index: 3, payload: bytes("0e0401030c00"))
        // 1970-01-01T00:00:00.000001Z.
        let expected = "00000006 00000006 0003 0003 00000007 00dcddb30f2f8001 0e0401030c00".filter { $0 != " " }
        #expect(BTSnoop.record(record, microseconds: 1, drops: 7) == bytes(expected))
        #expect(BTSnoop.count(of: bytes(expected) + bytes(expected)) == 2)
        #expect(BTSnoop.count(of: Array((bytes(expected) + bytes(expected)).dropLast())) == 1)
        #expect(BTSnoop.count(of: []) == 0)
        // BlueZ counts from the year 2000, 946,684,800 s after 1970.
        let later = BTSnoop.record(record, microseconds: 946_684_800_000_000, drops: 0)
        #expect(Array(later[16..<24]) == bytes("00e03ab44a676000"))
    }
}
