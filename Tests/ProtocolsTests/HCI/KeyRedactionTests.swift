import Protocols
import Testing

/// No key that crosses the monitor channel is kept.
@Suite struct KeyRedactionTests {
    /// A packet whose key bytes are `ff`: redacted they are `00`, and nothing else is changed.
    struct Row: Sendable, CustomTestStringConvertible {
        var name: String
        var kind: MonitorRecord.Kind
        var hex: String
        var testDescription: String { name }

        init(_ name: String, _ kind: MonitorRecord.Kind, _ hex: String) {
            self.name = name
            self.kind = kind
            self.hex = hex.filter { $0 != " " }
        }

        var packet: [UInt8] { bytes(hex) }
        var redacted: [UInt8] { packet.map { $0 == 0xFF ? 0 : $0 } }
    }

    private static func key(_ count: Int = 16) -> String { String(repeating: "ff", count: count) }
    private static let address = "010203040506"

    static let rows: [Row] = [
        // Core 5.4 Vol 4 Part E 7.1, 7.3, 7.8: opcode, length, parameters.
        Row("Link Key Request Reply", .command, "0b04 16 \(address) \(key())"),
        Row("PIN Code Request Reply", .command, "0d04 17 \(address) 04 \(key())"),
        Row("User Passkey Request Reply", .command, "2e04 0a \(address) \(key(4))"),
        Row("Remote OOB Data Request Reply", .command, "3004 26 \(address) \(key(32))"),
        Row("Remote OOB Extended Data Request Reply", .command, "4504 46 \(address) \(key(64))"),
        Row("Create Physical Link", .command, "3504 23 01 20 03 \(key(32))"),
        Row("Accept Physical Link", .command, "3604 23 01 20 03 \(key(32))"),
        Row("Write Stored Link Key", .command, "110c 17 01 \(key(22))"),
        Row("LE Encrypt", .command, "1720 20 \(key(32))"),
        Row("LE Enable Encryption", .command, "1920 1c 4000 0102030405060708 0a0b \(key())"),
        Row("LE Long Term Key Request Reply", .command, "1a20 12 4000 \(key())"),
        Row("LE Add Device To Resolving List", .command, "2720 27 01 \(address) \(key(32))"),
        Row("LE Create BIG", .command, "6820 1f 01 02 03 102700 6400 1400 02 02 00 00 01 \(key())"),
        Row("LE Create BIG Test", .command, "6920 24 01 02 03 102700 1000 04 6400 6400 02 00 00 02 02 01 01 \(key())"),
        Row("LE BIG Create Sync", .command, "6b20 19 01 0200 01 \(key()) 02 6400 01 01"),
        // Vol 4 Part E 7.7: code, length, parameters.
        Row("Return Link Keys", .event, "15 17 01 \(key(22))"),
        Row("Link Key Notification", .event, "18 17 \(address) \(key()) 05"),
        Row("User Passkey Notification", .event, "3b 0a \(address) \(key(4))"),
        Row("LE Generate DHKey Complete", .event, "3e 22 09 00 \(key(32))"),
        Row("Read Local OOB Data", .event, "0e 24 01 570c 00 \(key(32))"),
        Row("Read Local OOB Extended Data", .event, "0e 44 01 7d0c 00 \(key(64))"),
        Row("LE Encrypt's answer", .event, "0e 14 01 1720 00 \(key())"),
        // Vol 3 Part H 3.6 on Vol 3 Part A 2.1's fixed channels: handle and flags, length, L2CAP length, channel, SMP.
        Row("Encryption Information", .aclReceived, "4020 1500 1100 0600 06 \(key())"),
        Row("Central Identification", .aclReceived, "4020 0f00 0b00 0600 07 \(key(10))"),
        Row("Identity Information", .aclSent, "4000 1500 1100 0600 08 \(key())"),
        Row("Signing Information", .aclSent, "4000 1500 1100 0600 0a \(key())"),
        Row("Identity Information on BR/EDR", .aclReceived, "4020 1500 1100 0700 08 \(key())"),
        // BlueZ's mgmt-api: cookie, code, parameters.
        Row("Load Link Keys", .controlCommand, "01000000 1200 \(key(28))"),
        Row("Load Long Term Keys", .controlCommand, "01000000 1300 \(key(38))"),
        Row("PIN Code Reply", .controlCommand, "01000000 1600 \(key(24))"),
        Row("User Passkey Reply", .controlCommand, "01000000 1e00 \(key(11))"),
        Row("Add Remote Out Of Band Data", .controlCommand, "01000000 2100 \(key(39))"),
        Row("Set Privacy", .controlCommand, "01000000 2f00 \(key(17))"),
        Row("Load Identity Resolving Keys", .controlCommand, "01000000 3000 \(key(25))"),
        Row("Load Blocked Keys", .controlCommand, "01000000 4600 \(key(19))"),
        Row("New Link Key", .controlEvent, "01000000 0900 \(key(26))"),
        Row("New Long Term Key", .controlEvent, "01000000 0a00 \(key(37))"),
        Row("Passkey Notify", .controlEvent, "01000000 1700 \(key(12))"),
        Row("New Identity Resolving Key", .controlEvent, "01000000 1800 \(key(30))"),
        Row("New Signature Resolving Key", .controlEvent, "01000000 1900 \(key(25))"),
        Row("Read Local Out Of Band Data", .controlEvent, "01000000 0100 2000 00 \(key(32))"),
        Row("Read Local Out Of Band Extended Data", .controlEvent, "01000000 0100 3b00 00 \(key(33))"),
    ]

    @Test("The bytes of a key become zero, and no others", arguments: rows)
    func keys(_ row: Row) {
        var redaction = KeyRedaction()
        let kept = redaction.redact(MonitorRecord(row.kind, index: 0, payload: row.packet))
        #expect(kept?.payload == row.redacted)
        #expect(row.packet.contains(0xFF))
    }

    @Test("A packet that was cut short has no key's byte either, and does no harm", arguments: rows)
    func truncated(_ row: Row) {
        for count in 0..<row.packet.count {
            var redaction = KeyRedaction()
            let kept = redaction.redact(MonitorRecord(row.kind, index: 0, payload: Array(row.packet.prefix(count))))
            #expect(kept?.payload == Array(row.redacted.prefix(count)))
        }
    }

    static let plain: [Row] = [
        Row("Reset", .command, "030c00"), Row("LE Create Connection", .command, "0d20 19 \(key(25))"),
        Row("Command Complete of another", .event, "0e 06 01 0910 00 ffff"),
        Row("LE Advertising Report", .event, "3e 04 02 01ffff"),
        Row("Link Key Request", .event, "17 06 \(key(6))"),
        Row("Attribute Protocol", .aclReceived, "4020 0700 0300 0400 06 ffff"),
        Row("Pairing Random", .aclReceived, "4020 1500 1100 0600 04 \(key())"),
        Row("Identity Address Information", .aclReceived, "4020 0c00 0800 0600 09 01 \(key(6))"),
        Row("Pair Device", .controlCommand, "01000000 1900 \(key(8))"),
        Row("Device Found", .controlEvent, "01000000 1200 \(key(20))"),
        Row("Command Complete of another", .controlEvent, "01000000 0100 0400 00 \(key(20))"),
        Row("Index Info", .indexInfo, key(8)), Row("System Note", .systemNote, key(8)),
    ]

    @Test("What holds no key stays as it was", arguments: plain)
    func untouched(_ row: Row) {
        var redaction = KeyRedaction()
        let record = MonitorRecord(row.kind, index: 0, payload: row.packet)
        #expect(redaction.redact(record) == record)
    }

    @Test("What nobody can look through is not kept", arguments: [MonitorRecord.Kind.vendorDiagnosis, .userLogging])
    func dropped(_ kind: MonitorRecord.Kind) {
        var redaction = KeyRedaction()
        #expect(redaction.redact(MonitorRecord(kind, index: 0, payload: [1, 2, 3])) == nil)
    }

    // MARK: Fragments

    private func acl(_ pieces: [[UInt8]], handle: UInt16 = 0x40, isSent: Bool = false) -> [MonitorRecord] {
        pieces.enumerated().map { number, piece in
            let word = handle | (number == 0 ? (isSent ? 0b00 : 0b10) : 0b01) << 12
            let head = [UInt8(word & 0xFF), UInt8(word >> 8), UInt8(piece.count & 0xFF), UInt8(piece.count >> 8)]
            return MonitorRecord(isSent ? .aclSent : .aclReceived, index: 0, payload: head + piece)
        }
    }

    private static let distribution = bytes("1100" + "0600" + "06" + key())

    @Test("A key PDU that is cut anywhere, also inside its header, has no key's byte", arguments: 1..<21)
    func cut(_ first: Int) {
        for second in first...21 {
            let pieces = [
                Array(Self.distribution[..<first]), Array(Self.distribution[first..<second]), Array(Self.distribution[second...]),
            ]
            var redaction = KeyRedaction()
            // Another link and the other direction come in between, and belong to nothing here.
            var payloads: [UInt8] = []
            for record in acl(pieces) {
                payloads += redaction.redact(record)?.payload.dropFirst(4) ?? []
                for other in acl([bytes("0300040006ffff")], handle: 0x41) + acl([bytes("0300040006ffff")], isSent: true) {
                    #expect(redaction.redact(other) == other)
                }
            }
            #expect(payloads == Self.distribution.map { $0 == 0xFF ? 0 : $0 })
        }
    }

    @Test("What goes on from an unseen beginning is zero, and so is what goes on behind an end")
    func unseen() {
        let rest = acl([[], [0xFF, 0xFF]])[1]
        var redaction = KeyRedaction()
        #expect(redaction.redact(rest)?.payload.dropFirst(4) == [0, 0])
        for record in acl([bytes("0300040006ffffffff")]) {
            #expect(redaction.redact(record)?.payload.suffix(4) == [0xFF, 0xFF, 0, 0])
        }
        #expect(redaction.redact(rest)?.payload.dropFirst(4) == [0, 0])
    }

    @Test("An adapter that goes takes its unfinished PDUs along")
    func adapterGone() {
        var redaction = KeyRedaction()
        let pieces = acl([bytes("0500040006ff"), [0xFF, 0xFF]])
        _ = redaction.redact(pieces[0])
        _ = redaction.redact(MonitorRecord(.closeIndex, index: 0, payload: []))
        #expect(redaction.redact(pieces[1])?.payload.dropFirst(4) == [0, 0])
    }

    @Test("Whatever comes: only zeroes are put in, in place, and no more is kept than came")
    func anyRecords() {
        var generator = freshGenerator("key redaction")
        for _ in 0..<300 {
            var redaction = KeyRedaction()
            for _ in 0..<40 {
                var payload = generator.bytes(Int.random(in: 0...40, using: &generator))
                // Opcodes and channels that matter, more often than chance gives them.
                if let row = Self.rows.randomElement(using: &generator), generator.chance() {
                    payload.replaceSubrange(0..<min(9, payload.count), with: row.packet.prefix(min(9, payload.count)))
                }
                guard let kind = MonitorRecord.Kind.allCases.randomElement(using: &generator) else { continue }
                let record = MonitorRecord(kind, index: UInt16.random(in: 0...1, using: &generator), payload: payload)
                guard let kept = redaction.redact(record) else { continue }
                #expect(kept.kind == kind && kept.payload.count == payload.count)
                #expect(zip(kept.payload, payload).allSatisfy { $0 == $1 || $0 == 0 })
            }
        }
    }
}
