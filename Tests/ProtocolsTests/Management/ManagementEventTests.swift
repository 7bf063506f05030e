import Protocols
import Testing
import Vitals

/// Layouts of BlueZ doc/mgmt-api.txt and the kernel's include/net/bluetooth/mgmt.h, byte for byte.
@Suite struct ManagementEventTests {
    static let key = ProtocolsTests.key(keyHex)
    static let data: [UInt8] = [0x02, 0x01, 0x06, 0x03, 0x03, 0x10, 0x18]
    static let parameters = ConnectionParameters(
        address: cuff, minimumInterval: 24, maximumInterval: 40, latency: 0, timeout: 300)

    static let layouts: [(ManagementEvent, String)] = [
        (
            .commandComplete(index: 0xFFFF, opcode: 0x0001, status: .success, parameters: [0x01, 0x16, 0x00]),
            "0100 ffff 0600 0100 00 011600"
        ),
        (.commandComplete(index: 0, opcode: 0x0018, status: .success, parameters: []), "0100 0000 0300 1800 00"),
        (.commandStatus(index: 0, opcode: 0x002A, status: .notSupported), "0200 0000 0300 2a00 0c"),
        (.controllerError(index: 0, code: 0x42), "0300 0000 0100 42"),
        (.indexAdded(index: 1), "0400 0100 0000"),
        (.indexRemoved(index: 1), "0500 0100 0000"),
        (
            .newSettings(index: 0, [.powered, .bondable, .lowEnergy, .secureConnections]),
            "0600 0000 0400 110a0000"
        ),
        (
            .newLinkKey(
                index: 0, isStored: true, LinkKey(address: serialOximeter, keyType: .combination, value: key, pinLength: 6)),
            "0900 0000 1a00 01 030201051c00 00 00 \(keyHex) 06"
        ),
        (
            .newLongTermKey(
                index: 0, isStored: true, LongTermKey(address: cuff, keyType: .unauthenticatedP256, isCentral: true, value: key)),
            "0a00 0000 2500 01 341200da26c0 01 02 01 10 0000 0000000000000000 \(keyHex)"
        ),
        (
            .newLongTermKey(
                index: 0, isStored: false,
                LongTermKey(
                    address: oximeter, keyType: .authenticatedLegacy, isCentral: true, encryptionSize: 16, diversifier: 0xABCD,
                    random: 0x1122_3344_5566_7788, value: key)),
            "0a00 0000 2500 00 6655443322f1 02 01 01 10 cdab 8877665544332211 \(keyHex)"
        ),
        (
            .newIdentityResolvingKey(
                index: 0, isStored: true, randomAddress: address("4A:01:02:03:04:05/random"),
                IdentityResolvingKey(address: oximeter, value: key)),
            "1800 0000 1e00 01 05040302014a 6655443322f1 02 \(keyHex)"
        ),
        (
            .newIdentityResolvingKey(
                index: 0, isStored: true, randomAddress: nil, IdentityResolvingKey(address: cuff, value: key)),
            "1800 0000 1e00 01 000000000000 341200da26c0 01 \(keyHex)"
        ),
        (.deviceConnected(index: 0, cuff, flags: 8, data: data), "0b00 0000 1400 341200da26c0 01 08000000 0700 02010603031018"),
        (.deviceConnected(index: 0, oximeter, flags: 0, data: []), "0b00 0000 0d00 6655443322f1 02 00000000 0000"),
        (.deviceDisconnected(index: 0, cuff, .remote), "0c00 0000 0800 341200da26c0 01 03"),
        (.deviceDisconnected(index: 0, cuff, .authenticationFailure), "0c00 0000 0800 341200da26c0 01 04"),
        (.connectFailed(index: 0, cuff, .connectFailed), "0d00 0000 0800 341200da26c0 01 04"),
        (.pinCodeRequest(index: 0, serialOximeter, isSecure: false), "0e00 0000 0800 030201051c00 00 00"),
        (
            .userConfirmRequest(index: 0, cuff, isHint: true, value: 0),
            "0f00 0000 0c00 341200da26c0 01 01 00000000"
        ),
        (
            .userConfirmRequest(index: 0, oximeter, isHint: false, value: 123_456),
            "0f00 0000 0c00 6655443322f1 02 00 40e20100"
        ),
        (.userPasskeyRequest(index: 0, cuff), "1000 0000 0700 341200da26c0 01"),
        (.authFailed(index: 0, cuff, .authenticationFailed), "1100 0000 0800 341200da26c0 01 05"),
        (
            .deviceFound(index: 0, cuff, rssi: -60, flags: [], data: data),
            "1200 0000 1500 341200da26c0 01 c4 00000000 0700 02010603031018"
        ),
        (
            .deviceFound(index: 0, serialOximeter, rssi: nil, flags: [.confirmName, .legacyPairing], data: []),
            "1200 0000 0e00 030201051c00 00 7f 03000000 0000"
        ),
        (
            .deviceFound(index: 0, oximeter, rssi: 0, flags: [.notConnectable, .scanResponse], data: []),
            "1200 0000 0e00 6655443322f1 02 00 24000000 0000"
        ),
        (.discovering(index: 0, .lowEnergy, isActive: true), "1300 0000 0200 06 01"),
        (.discovering(index: 0, .lowEnergy, isActive: false), "1300 0000 0200 06 00"),
        (.deviceBlocked(index: 0, cuff), "1400 0000 0700 341200da26c0 01"),
        (.deviceUnblocked(index: 0, cuff), "1500 0000 0700 341200da26c0 01"),
        (.deviceUnpaired(index: 0, cuff), "1600 0000 0700 341200da26c0 01"),
        (.passkeyNotify(index: 0, cuff, passkey: 999_999, entered: 2), "1700 0000 0c00 341200da26c0 01 3f420f00 02"),
        (.deviceAdded(index: 0, cuff, .autoConnect), "1a00 0000 0800 341200da26c0 01 02"),
        (.deviceRemoved(index: 0, cuff), "1b00 0000 0700 341200da26c0 01"),
        (
            .newConnectionParameters(index: 0, isStored: true, parameters),
            "1c00 0000 1000 341200da26c0 01 01 1800 2800 0000 2c01"
        ),
        (.other(code: 0x002A, index: 0, parameters: [1, 2, 3]), "2a00 0000 0300 010203"),
        (.other(code: 0x1234, index: 0xFFFF, parameters: []), "3412 ffff 0000"),
    ]

    @Test("Each event has the kernel's layout, both ways", arguments: layouts.indices)
    func layout(_ index: Int) throws {
        let (event, hex) = Self.layouts[index]
        let expected = grouped(hex)
        #expect(event.bytes == expected)
        #expect(try ManagementEvent(decoding: expected) == event)
        #expect(event.index == UInt16(expected[2]) | UInt16(expected[3]) << 8)
    }

    @Test("Every event code that is read is in the table")
    func completeness() {
        let codes = Self.layouts.map { bytes(String($0.1.prefix(2)))[0] }
        #expect(Set(codes).isSuperset(of: Set(0x01...0x06).union(0x09...0x18).union(0x1A...0x1C)))
    }

    @Test("The device of an event")
    func devices() {
        for (event, hex) in Self.layouts {
            let code = grouped(hex)[0]
            let hasDevice = (0x09...0x1C).contains(code) && code != 0x13
            #expect((event.address != nil) == hasDevice, "\(event)")
        }
    }

    @Test("An event cut anywhere is an error, never a trap and never another event", arguments: layouts.indices)
    func cut(_ index: Int) {
        let frame = grouped(Self.layouts[index].1)
        for count in 0..<frame.count {
            #expect(throws: ManagementError.self) { try ManagementEvent(decoding: Array(frame.prefix(count))) }
            // The length put right, fields are missing, but for the events whose last field is whatever is left.
            guard count >= 6, case let event = Self.layouts[index].0 else { continue }
            var shorter = Array(frame.prefix(count))
            shorter[4] = UInt8(count - 6)
            switch event {
            case .other, .indexAdded, .indexRemoved: continue
            case .commandComplete where count >= 9: continue
            default: #expect(throws: ManagementError.self) { try ManagementEvent(decoding: shorter) }
            }
        }
    }

    static let malformed: [(String, DecodeError.Code, Int)] = [
        ("", .tooShort, 0),
        ("0400", .tooShort, 2),
        ("0400 0000 0100", .tooShort, 6),
        ("0400 0000 0000 00", .lengthMismatch, 6),
        // Address type 3.
        ("1000 0000 0700 341200da26c0 03", .invalidValue, 12),
        // Long term key type 5, central 2, encryption sizes 6 and 17.
        ("0a00 0000 2500 01 341200da26c0 01 05 01 10 0000 0000000000000000 \(keyHex)", .invalidValue, 14),
        ("0a00 0000 2500 01 341200da26c0 01 02 02 10 0000 0000000000000000 \(keyHex)", .invalidValue, 15),
        ("0a00 0000 2500 01 341200da26c0 01 02 01 06 0000 0000000000000000 \(keyHex)", .invalidValue, 16),
        ("0a00 0000 2500 01 341200da26c0 01 02 01 11 0000 0000000000000000 \(keyHex)", .invalidValue, 16),
        // Link key type 9.
        ("0900 0000 1a00 01 030201051c00 00 09 \(keyHex) 06", .invalidValue, 14),
        // Advertising data shorter than announced.
        ("1200 0000 0e00 341200da26c0 01 c4 00000000 0100", .tooShort, 20),
        // Action 3.
        ("1a00 0000 0800 341200da26c0 01 03", .invalidValue, 13),
    ]

    @Test("What is no event is a typed error with its place", arguments: malformed.indices)
    func errors(_ index: Int) {
        let (hex, code, offset) = Self.malformed[index]
        let error = #expect(throws: ManagementError.self) { try ManagementEvent(decoding: grouped(hex)) }
        #expect(error?.code == code)
        #expect(error?.offset == offset)
    }

    @Test("Bytes behind the fields, as of a newer kernel, are passed over")
    func longer() throws {
        let event = try ManagementEvent(decoding: grouped("0c00 0000 0a00 341200da26c0 01 03 ffff"))
        #expect(event == .deviceDisconnected(index: 0, cuff, .remote))
    }

    @Test("A reason that the document does not have is unknown", arguments: [UInt8(6), 0x13, 0xFF])
    func reason(_ raw: UInt8) throws {
        let event = try ManagementEvent(decoding: grouped("0c00 0000 0800 341200da26c0 01") + [raw])
        #expect(event == .deviceDisconnected(index: 0, cuff, .unknown))
    }

    @Test("Data beyond what a frame holds is cut, and the frame is one")
    func tooLong() throws {
        let data = [UInt8](repeating: 0xFF, count: 70_000)
        for event: ManagementEvent in [
            .deviceFound(index: 0, cuff, rssi: -1, flags: [], data: data),
            .deviceConnected(index: 0, cuff, flags: 0, data: data),
            .commandComplete(index: 0, opcode: 1, status: .success, parameters: data),
        ] {
            #expect(event.bytes.count == 65_541)
            _ = try ManagementEvent(decoding: event.bytes)
        }
    }

    @Test("Random values come back from their bytes")
    func roundTrip() throws {
        var generator = freshGenerator("management events")
        for _ in 0..<5_000 {
            let event = Self.event(&generator)
            #expect(try ManagementEvent(decoding: event.bytes) == event)
        }
    }

    @Test("Random bytes never trap, and what is read is read again as the same")
    func randomBytes() throws {
        var generator = freshGenerator("management bytes")
        for _ in 0..<20_000 {
            var frame = generator.bytes(Int.random(in: 0...60, using: &generator))
            // Mostly past the header, into the fields.
            if frame.count >= 6, generator.chance() {
                frame.replaceSubrange(
                    0..<6, with: [UInt8.random(in: 0...0x1D, using: &generator), 0, 0, 0, UInt8(frame.count - 6), 0])
            }
            if frame.count > 12, generator.chance() { frame[12] = UInt8.random(in: 0...2, using: &generator) }
            _ = try? ManagementCommand(decoding: frame)
            guard let event = try? ManagementEvent(decoding: frame) else { continue }
            #expect(try ManagementEvent(decoding: event.bytes) == event)
        }
    }

    static func event(_ generator: inout SeededGenerator) -> ManagementEvent {
        let index: UInt16 = generator.number()
        let address = generator.deviceAddress()
        let data = generator.bytes(Int.random(in: 0...80, using: &generator))
        let status = ManagementStatus(rawValue: generator.number())
        let flag = generator.chance()
        switch Int.random(in: 0...25, using: &generator) {
        case 0: return .commandComplete(index: index, opcode: generator.number(), status: status, parameters: data)
        case 1: return .commandStatus(index: index, opcode: generator.number(), status: status)
        case 2: return .controllerError(index: index, code: generator.number())
        case 3: return .indexAdded(index: index)
        case 4: return .indexRemoved(index: index)
        case 5: return .newSettings(index: index, ControllerSettings(rawValue: generator.number()))
        case 6: return .newLinkKey(index: index, isStored: flag, generator.linkKey())
        case 7: return .newLongTermKey(index: index, isStored: flag, generator.longTermKey())
        case 8:
            return .newIdentityResolvingKey(
                index: index, isStored: flag, randomAddress: generator.maybe { $0.deviceAddress([.leRandom]) },
                generator.identityResolvingKey())
        case 9: return .deviceConnected(index: index, address, flags: generator.number(), data: data)
        case 10: return .deviceDisconnected(index: index, address, generator.one(DisconnectReason.allCases))
        case 11: return .connectFailed(index: index, address, status)
        case 12: return .pinCodeRequest(index: index, address, isSecure: flag)
        case 13: return .userConfirmRequest(index: index, address, isHint: flag, value: generator.number())
        case 14: return .userPasskeyRequest(index: index, address)
        case 15: return .passkeyNotify(index: index, address, passkey: generator.number(), entered: generator.number())
        case 16: return .authFailed(index: index, address, status)
        case 17:
            return .deviceFound(
                index: index, address, rssi: generator.maybe { Int8.random(in: -128...126, using: &$0) },
                flags: DeviceFoundFlags(rawValue: generator.number()), data: data)
        case 18: return .discovering(index: index, DiscoveryTransports(rawValue: generator.number()), isActive: flag)
        case 19: return .deviceBlocked(index: index, address)
        case 20: return .deviceUnblocked(index: index, address)
        case 21: return .deviceUnpaired(index: index, address)
        case 22: return .deviceAdded(index: index, address, generator.one(AddAction.allCases))
        case 23: return .deviceRemoved(index: index, address)
        case 24: return .newConnectionParameters(index: index, isStored: flag, generator.connectionParameters())
        default: return .other(code: UInt16.random(in: 0x1D...0xFFFF, using: &generator), index: index, parameters: data)
        }
    }
}
