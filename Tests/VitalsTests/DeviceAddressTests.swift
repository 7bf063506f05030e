import Testing
import Vitals

@Suite struct DeviceAddressTests {
    @Test(
        "Text, bytes of the wire and kind, both ways",
        arguments: [
            ("C0:26:DA:00:12:34/public", [0x34, 0x12, 0x00, 0xDA, 0x26, 0xC0], .lePublic),
            ("00:00:00:00:00:00/classic", [0, 0, 0, 0, 0, 0], .classic),
            ("FF:EE:DD:CC:BB:AA/random", [0xAA, 0xBB, 0xCC, 0xDD, 0xEE, 0xFF], .leRandom),
        ] as [(String, [UInt8], DeviceAddress.Kind)])
    func forms(text: String, bytes: [UInt8], kind: DeviceAddress.Kind) throws {
        let address = try #require(DeviceAddress(text))
        #expect(address.bytes == bytes)
        #expect(address.kind == kind)
        #expect(address.description == text)
        #expect(address.text == String(text.prefix(17)))
        #expect(DeviceAddress(bytes: bytes, kind: kind) == address)
        #expect(DeviceAddress(text.lowercased()) == address)
        #expect(DeviceAddress(text.uppercased()) == address)
    }

    @Test(
        "What is no address",
        arguments: [
            "", "/", "C0:26:DA:00:12:34", "C0:26:DA:00:12:34/", "C0:26:DA:00:12:34/le", "C0:26:DA:00:12/public",
            "C0:26:DA:00:12:34:56/public", "C0:26:DA:00:12:3/public", "C0:26:DA:00:12:345/public", "C0:26:DA:00:12:3G/public",
            "+0:26:DA:00:12:34/public", "C0-26-DA-00-12-34/public", "C0:26:DA:00:12:34/public/public",
            " C0:26:DA:00:12:34/public",
            "C0:26:DA:00:12:٣٤/public", "::::: /public",
        ])
    func rejected(_ text: String) {
        #expect(DeviceAddress(text) == nil)
    }

    @Test("Six bytes, no more and no fewer", arguments: [0, 1, 5, 7, 12])
    func count(_ count: Int) {
        #expect(DeviceAddress(bytes: [UInt8](repeating: 1, count: count), kind: .lePublic) == nil)
    }

    @Test(
        "The top two bits of a random address say what it is; of the others nothing",
        arguments: [
            ("C0:00:00:00:00:01/random", true, false), ("FF:00:00:00:00:01/random", true, false),
            ("BF:00:00:00:00:01/random", false, false), ("80:00:00:00:00:01/random", false, false),
            ("7F:00:00:00:00:01/random", false, true), ("40:00:00:00:00:01/random", false, true),
            ("3F:00:00:00:00:01/random", false, false), ("40:00:00:00:00:01/public", true, false),
            ("00:00:00:00:00:01/public", true, false), ("40:00:00:00:00:01/classic", true, false),
        ])
    func kinds(text: String, isIdentity: Bool, isResolvable: Bool) throws {
        let address = try #require(DeviceAddress(text))
        #expect(address.isIdentity == isIdentity)
        #expect(address.isResolvable == isResolvable)
    }

    @Test("The same bytes in two kinds are two devices")
    func kindCounts() {
        let kinds = DeviceAddress.Kind.allCases.compactMap { DeviceAddress(bytes: [1, 2, 3, 4, 5, 6], kind: $0) }
        #expect(Set(kinds).count == 3)
        #expect(Set(kinds.map(\.text)).count == 1)
    }
}
