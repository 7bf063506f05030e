import Protocols
import Testing
import Vitals

@Suite struct ManagementRecordTests {
    @Test("Records come back from their bytes, which have the kernel's count")
    func roundTrip() throws {
        var generator = freshGenerator("management records")
        for _ in 0..<500 {
            try Self.same(generator.longTermKey(), 36)
            try Self.same(generator.linkKey(), 25)
            try Self.same(generator.identityResolvingKey(), 23)
            try Self.same(generator.connectionParameters(), 15)
        }
    }

    static func same<Record: ManagementRecord>(_ record: Record, _ count: Int) throws {
        #expect(record.bytes.count == count)
        #expect(Record.byteCount == count)
        #expect(try Record(decoding: record.bytes) == record)
        // What the store keeps is exactly one record.
        #expect(throws: ManagementError.self) { try Record(decoding: record.bytes + [0]) }
        #expect(throws: ManagementError.self) { try Record(decoding: Array(record.bytes.dropLast())) }
    }

    @Test("A key prints as nothing, alone and within what holds it")
    func secrecy() {
        let secret = key("deadbeefdeadbeefdeadbeefdeadbeef")
        let event = ManagementEvent.newLongTermKey(
            index: 0, isStored: true, LongTermKey(address: cuff, keyType: .authenticatedP256, isCentral: true, value: secret))
        var dumped = ""
        dump(event, to: &dumped)
        for text in ["\(secret)", String(reflecting: secret), "\(event)", String(reflecting: event), dumped] {
            #expect(!text.lowercased().contains("beef"))
            // In decimal, as an array or as the halves would print.
            #expect(!text.contains("222") && !text.contains("239") && !text.contains(String(0xEFBE_ADDE_EFBE_ADDE as UInt64)))
        }
        #expect(secret.bytes == bytes("deadbeefdeadbeefdeadbeefdeadbeef"))
        #expect(Key128([UInt8](repeating: 0, count: 15)) == nil)
        #expect(Key128([UInt8](repeating: 0, count: 17)) == nil)
    }

    @Test("Commands and events print no parameters: keys, PINs and passkeys are among them")
    func secrecyOfFrames() {
        let secret = key("deadbeefdeadbeefdeadbeefdeadbeef")
        let link = LinkKey(address: serialOximeter, keyType: .combination, value: secret)
        let texts: [(String, String)] = [
            ("\(ManagementCommand.loadLinkKeys(0, [link]))", "load link keys, controller 0"),
            (String(reflecting: ManagementCommand.readVersion), "read management version"),
            ("\(ManagementCommand.passkeyReply(1, cuff, passkey: 123_456))", "user passkey reply, controller 1"),
            // A signature key, which a gateway has no use for.
            ("\(ManagementEvent.other(code: 0x0019, index: 0, parameters: secret.bytes))", "event 0x0019, controller 0"),
            (
                "\(ManagementEvent.newLinkKey(index: 0, isStored: true, link))",
                "new link key, 00:1C:05:01:02:03/classic, controller 0"
            ),
            (
                "\(ManagementEvent.passkeyNotify(index: 0, cuff, passkey: 123_456, entered: 0))",
                "passkey notify, C0:26:DA:00:12:34/public, controller 0"
            ),
            (
                "\(ManagementEvent.deviceDisconnected(index: 2, cuff, .timeout))",
                "device disconnected, C0:26:DA:00:12:34/public, the device was not heard any more, controller 2"
            ),
            (
                "\(ManagementEvent.commandStatus(index: 0, opcode: 0x0019, status: .busy))",
                "command status, pair device: busy with another operation, controller 0"
            ),
            (
                "\(ManagementEvent.commandComplete(index: 0xFFFF, opcode: 0x0050, status: .success, parameters: [222]))",
                "command complete, command 0x0050: success"
            ),
        ]
        for (text, expected) in texts { #expect(text == expected) }
    }

    @Test("An error of a key's frame holds none of its bytes")
    func secrecyOfErrors() {
        let frame = grouped("0a00 0000 2500 01 341200da26c0 01 05 01 10 0000 0000000000000000 deadbeefdeadbeefdeadbeefdeadbeef")
        let error = #expect(throws: ManagementError.self) { try ManagementEvent(decoding: frame) }
        var dumped = ""
        dump(error, to: &dumped)
        #expect(!dumped.contains("222"))
        #expect(error?.description == "invalid-value at byte 14: expected long term key type, found 5")
    }

    @Test(
        "What a key's type says of its pairing",
        arguments: [
            (.unauthenticatedLegacy, false, false), (.authenticatedLegacy, true, false), (.unauthenticatedP256, false, true),
            (.authenticatedP256, true, true), (.debugP256, false, false),
        ] as [(LongTermKey.KeyType, Bool, Bool)])
    func longTermKeys(type: LongTermKey.KeyType, isAuthenticated: Bool, isSecureConnections: Bool) {
        let key = LongTermKey(address: cuff, keyType: type, isCentral: true, value: key(keyHex))
        #expect(key.isAuthenticated == isAuthenticated)
        #expect(key.isSecureConnections == isSecureConnections)
    }

    @Test(
        "Link keys: authenticated are the authenticated types, and a PIN of 16 digits",
        arguments: [
            (.combination, 4, false), (.combination, 16, true), (.localUnit, 16, false), (.remoteUnit, 16, false),
            (.debugCombination, 0, false), (.unauthenticatedP192, 0, false), (.authenticatedP192, 0, true),
            (.changedCombination, 16, false), (.unauthenticatedP256, 0, false), (.authenticatedP256, 0, true),
        ] as [(LinkKey.KeyType, UInt8, Bool)])
    func linkKeys(type: LinkKey.KeyType, pinLength: UInt8, isAuthenticated: Bool) {
        let key = LinkKey(address: serialOximeter, keyType: type, value: key(keyHex), pinLength: pinLength)
        #expect(key.isAuthenticated == isAuthenticated)
    }

    @Test(
        "Connection parameters within the ranges of Core Vol 4 Part E 7.8.12",
        arguments: [
            (24, 40, 0, 300, true), (6, 6, 0, 10, true), (5, 40, 0, 300, false), (41, 40, 0, 300, false),
            (6, 3_201, 0, 3_200, false), (24, 40, 0, 9, false), (24, 40, 0, 3_201, false), (6, 6, 499, 3_200, true),
            (6, 6, 500, 3_200, false),
            // 4 * 11 > 40 * 1, but not 4 * 10; and 4 * 300 > 40 * (1 + 28), but not 40 * (1 + 29).
            (24, 40, 0, 11, true), (24, 40, 0, 10, false), (24, 40, 28, 300, true), (24, 40, 29, 300, false),
            (0, 0, 0, 0, false),
        ] as [(UInt16, UInt16, UInt16, UInt16, Bool)])
    func validity(minimum: UInt16, maximum: UInt16, latency: UInt16, timeout: UInt16, isValid: Bool) {
        let parameters = ConnectionParameters(
            address: cuff, minimumInterval: minimum, maximumInterval: maximum, latency: latency, timeout: timeout)
        #expect(parameters.isValid == isValid)
    }

    /// 280 bytes of Read Controller Information.
    static let controller = grouped(
        """
        665544332211 0a 0f00 ffbe0100 d10a0000 0c0104 687562 \(String(repeating: "00", count: 246)) \
        68 \(String(repeating: "00", count: 10))
        """)

    @Test("A controller's information, both ways")
    func controllerInfo() throws {
        let info = try ControllerInfo(decoding: Self.controller)
        #expect(info.address.description == "11:22:33:44:55:66/public")
        #expect(info.hasAddress)
        #expect(info.version == 10)
        #expect(info.manufacturer == 15)
        #expect(info.supportedSettings == ControllerSettings(rawValue: 0x1BEFF))
        #expect(info.currentSettings == [.powered, .bondable, .secureSimplePairing, .classic, .lowEnergy, .secureConnections])
        #expect(info.classOfDevice == 0x04010C)
        #expect(info.name == "hub")
        #expect(info.shortName == "h")
        #expect(info.bytes == Self.controller)
        #expect(throws: ManagementError.self) { try ControllerInfo(decoding: Self.controller + [0]) }
        #expect(throws: ManagementError.self) { try ControllerInfo(decoding: Array(Self.controller.dropLast())) }
    }

    @Test("A controller without an address, and names that are too long")
    func controllerEdges() throws {
        let info = ControllerInfo(
            address: address("00:00:00:00:00:00/public"), version: 9, manufacturer: 0, supportedSettings: [.lowEnergy],
            currentSettings: [], name: String(repeating: "n", count: 300), shortName: String(repeating: "s", count: 11))
        #expect(!info.hasAddress)
        #expect(info.bytes.count == ControllerInfo.byteCount)
        let again = try ControllerInfo(decoding: info.bytes)
        #expect(again.name == String(repeating: "n", count: 248))
        #expect(again.shortName == String(repeating: "s", count: 10))
    }

    @Test("The names of settings are those of their bits")
    func settings() {
        let named: [(ControllerSettings, String)] = [
            (.powered, "powered"), (.connectable, "connectable"), (.fastConnectable, "fast connectable"),
            (.discoverable, "discoverable"), (.bondable, "bondable"), (.linkSecurity, "link security"),
            (.secureSimplePairing, "secure simple pairing"), (.classic, "classic"), (.highSpeed, "high speed"),
            (.lowEnergy, "low energy"), (.advertising, "advertising"), (.secureConnections, "secure connections"),
            (.debugKeys, "debug keys"), (.privacy, "privacy"), (.configuration, "configuration"),
            (.staticAddress, "static address"), (.phyConfiguration, "PHY configuration"), (.widebandSpeech, "wideband speech"),
        ]
        for (bit, (setting, name)) in named.enumerated() {
            #expect(setting.rawValue == 1 << UInt32(bit))
            #expect(setting.names == [name])
        }
        #expect(ControllerSettings(rawValue: 0x8000_0001).description == "[powered, bit 31]")
    }

    @Test("Every status of the document has words of its own; others their number")
    func statuses() {
        let words = (0...0x14).map { ManagementStatus(rawValue: $0).description }
        #expect(Set(words).count == 0x15)
        #expect(!words.contains { $0.hasPrefix("status") })
        #expect(ManagementStatus(rawValue: 0x15).description == "status 0x15")
        #expect(ManagementStatus(rawValue: 0x12) == .rfkilled)
        #expect(ManagementStatus.success.isSuccess && !ManagementStatus.busy.isSuccess)
    }

    @Test("Replies")
    func replies() throws {
        #expect(try ManagementReply.version(parameters: [0x01, 0x16, 0x00]) == (1, 22))
        #expect(try ManagementReply.indexList(parameters: grouped("0200 0000 0300")) == [0, 3])
        #expect(try ManagementReply.indexList(parameters: grouped("0000")) == [])
        #expect(
            try ManagementReply.connections(parameters: grouped("0200 341200da26c0 01 6655443322f1 02")) == [cuff, oximeter])
        #expect(try ManagementReply.settings(parameters: grouped("01020000")) == [.powered, .lowEnergy])
        #expect(try ManagementReply.address(parameters: grouped("341200da26c0 01")) == cuff)
    }

    @Test("Replies that count more or fewer than they hold")
    func malformedReplies() {
        for hex in ["", "01", "0100", "010000", "0100 0000 0000", "ffff 0000"] {
            #expect(throws: ManagementError.self) { try ManagementReply.indexList(parameters: grouped(hex)) }
        }
        for hex in ["", "0100 341200da26c0", "0100 341200da26c0 03", "0000 00"] {
            #expect(throws: ManagementError.self) { try ManagementReply.connections(parameters: grouped(hex)) }
        }
        #expect(throws: ManagementError.self) { try ManagementReply.version(parameters: [1, 2]) }
        #expect(throws: ManagementError.self) { try ManagementReply.settings(parameters: [1, 2, 3]) }
        #expect(throws: ManagementError.self) { try ManagementReply.address(parameters: []) }
    }
}
