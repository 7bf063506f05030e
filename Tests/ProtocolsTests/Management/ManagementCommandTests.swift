import Protocols
import Testing
import Vitals

/// Layouts of BlueZ doc/mgmt-api.txt and the kernel's include/net/bluetooth/mgmt.h, byte for byte.
@Suite struct ManagementCommandTests {
    static let key = ProtocolsTests.key(keyHex)

    static let layouts: [(ManagementCommand, String)] = [
        (.readVersion, "0100 ffff 0000"),
        (.readIndexList, "0300 ffff 0000"),
        (.readUnconfiguredIndexList, "3600 ffff 0000"),
        (.readControllerInfo(1), "0400 0100 0000"),
        (.setPowered(0, true), "0500 0000 0100 01"),
        (.setPowered(0, false), "0500 0000 0100 00"),
        (.setConnectable(2, false), "0700 0200 0100 00"),
        (.setFastConnectable(0, true), "0800 0000 0100 01"),
        (.setBondable(0, true), "0900 0000 0100 01"),
        (.setSSP(0, true), "0b00 0000 0100 01"),
        (.setLE(0, true), "0d00 0000 0100 01"),
        (.setBREDR(0, false), "2a00 0000 0100 00"),
        (.setSecureConnections(0, true), "2d00 0000 0100 01"),
        (.setIOCapability(0, .noInputNoOutput), "1800 0000 0100 03"),
        (.setStaticAddress(0, oximeter), "2b00 0000 0600 6655443322f1"),
        (.setPrivacy(0, true, key: key), "2f00 0000 1100 01 \(keyHex)"),
        (.loadLinkKeys(0, []), "1200 0000 0300 00 0000"),
        (
            .loadLinkKeys(0, [LinkKey(address: serialOximeter, keyType: .authenticatedP192, value: key)]),
            "1200 0000 1c00 00 0100 030201051c00 00 05 \(keyHex) 00"
        ),
        (.loadLongTermKeys(0, []), "1300 0000 0200 0000"),
        (
            .loadLongTermKeys(
                0,
                [
                    LongTermKey(address: cuff, keyType: .unauthenticatedP256, isCentral: true, value: key),
                    LongTermKey(
                        address: oximeter, keyType: .authenticatedLegacy, isCentral: false, encryptionSize: 7,
                        diversifier: 0x1234,
                        random: 0x0102_0304_0506_0708, value: key),
                ]),
            """
            1300 0000 4a00 0200 \
            341200da26c0 01 02 01 10 0000 0000000000000000 \(keyHex) \
            6655443322f1 02 01 00 07 3412 0807060504030201 \(keyHex)
            """
        ),
        (.loadIdentityResolvingKeys(0, []), "3000 0000 0200 0000"),
        (
            .loadIdentityResolvingKeys(0, [IdentityResolvingKey(address: oximeter, value: key)]),
            "3000 0000 1900 0100 6655443322f1 02 \(keyHex)"
        ),
        (
            .loadConnectionParameters(
                3, [ConnectionParameters(address: cuff, minimumInterval: 24, maximumInterval: 40, latency: 0, timeout: 300)]),
            "3500 0300 1100 0100 341200da26c0 01 1800 2800 0000 2c01"
        ),
        (.getConnections(0), "1500 0000 0000"),
        (.disconnect(0, cuff), "1400 0000 0700 341200da26c0 01"),
        (.pair(0, cuff, .keyboardDisplay), "1900 0000 0800 341200da26c0 01 04"),
        (.cancelPair(0, cuff), "1a00 0000 0700 341200da26c0 01"),
        (.unpair(0, cuff, disconnect: true), "1b00 0000 0800 341200da26c0 01 01"),
        (.confirmReply(0, cuff, accept: true), "1c00 0000 0700 341200da26c0 01"),
        (.confirmReply(0, cuff, accept: false), "1d00 0000 0700 341200da26c0 01"),
        (.passkeyReply(0, cuff, passkey: 123_456), "1e00 0000 0b00 341200da26c0 01 40e20100"),
        (.passkeyReply(0, cuff, passkey: nil), "1f00 0000 0700 341200da26c0 01"),
        (
            .pinReply(0, serialOximeter, pin: Array("123456".utf8)),
            "1600 0000 1800 030201051c00 00 06 31323334353600000000000000000000"
        ),
        (.pinReply(0, serialOximeter, pin: nil), "1700 0000 0700 030201051c00 00"),
        (.pinReply(0, serialOximeter, pin: []), "1700 0000 0700 030201051c00 00"),
        (.pinReply(0, serialOximeter, pin: [UInt8](repeating: 0x31, count: 17)), "1700 0000 0700 030201051c00 00"),
        (.startDiscovery(0, .lowEnergy), "2300 0000 0100 06"),
        (.startDiscovery(0, .classic), "2300 0000 0100 01"),
        (.stopDiscovery(0, .all), "2400 0000 0100 07"),
        (
            .startServiceDiscovery(0, .lowEnergy, services: [0x1810]),
            "3a00 0000 1400 06 7f 0100 fb349b5f80000080 0010 0000 1018 0000"
        ),
        (.startServiceDiscovery(0, .lowEnergy, minimumRSSI: -80, services: []), "3a00 0000 0400 06 b0 0000"),
        (.confirmName(0, serialOximeter, isKnown: false), "2500 0000 0800 030201051c00 00 00"),
        (.addDevice(0, cuff, action: .autoConnect), "3300 0000 0800 341200da26c0 01 02"),
        (.addDevice(0, serialOximeter, action: .allow), "3300 0000 0800 030201051c00 00 01"),
        (.removeDevice(0, cuff), "3400 0000 0700 341200da26c0 01"),
        (.removeDevice(0, nil), "3400 0000 0700 000000000000 00"),
        (.blockDevice(0, oximeter), "2600 0000 0700 6655443322f1 02"),
        (.unblockDevice(0, oximeter), "2700 0000 0700 6655443322f1 02"),
    ]

    @Test("Each command has the document's layout, both ways", arguments: layouts.indices)
    func layout(_ index: Int) throws {
        let (command, hex) = Self.layouts[index]
        let expected = grouped(hex)
        #expect(command.bytes == expected)
        #expect(try ManagementCommand(decoding: expected) == command)
    }

    @Test("Every command is in the table, and has a name of its own")
    func completeness() {
        #expect(Set(Self.layouts.map(\.0.opcode)) == Set(ManagementOpcode.allCases))
        #expect(Set(ManagementOpcode.allCases.map(\.description)).count == ManagementOpcode.allCases.count)
    }

    static let malformed: [(String, DecodeError.Code, Int)] = [
        ("", .tooShort, 0), ("03", .tooShort, 0), ("0300ffff00", .tooShort, 4), ("0300ffff0100", .tooShort, 6),
        ("0300ffff000000", .lengthMismatch, 6), ("ffffffff0000", .reservedOpcode, 0),
    ]

    @Test("What is no command is a typed error with its place", arguments: malformed.indices)
    func errors(_ index: Int) throws {
        let (hex, code, offset) = Self.malformed[index]
        let error = #expect(throws: ManagementError.self) { try ManagementCommand(decoding: bytes(hex)) }
        #expect(error?.code == code)
        #expect(error?.offset == offset)
    }

    @Test("More than a frame holds does not trap")
    func tooMany() {
        let keys = [LinkKey](repeating: LinkKey(address: serialOximeter, keyType: .combination, value: Self.key), count: 70_000)
        let frame = ManagementCommand.loadLinkKeys(0, keys).bytes
        #expect(frame[4...5] == [0xFF, 0xFF])
        #expect(frame[7...8] == [0xFF, 0xFF])
    }
}
