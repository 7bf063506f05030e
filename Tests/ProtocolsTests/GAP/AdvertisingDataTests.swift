import Protocols
import Testing

/// Elements of the Core Specification Supplement, Part A; types of the Assigned Numbers 2.3.
@Suite struct AdvertisingDataTests {
    @Test("A blood-pressure monitor's advertising data with its scan response behind")
    func cuff() {
        // The bytes are those that Bumble 0.0.236 wrote for these elements, but for the shortened name in between.
        let data = AdvertisingData(
            parsing: grouped(
                "020106 050310180f18 030842 50 050942502d31 03198103 020af4 04ff0e0201 04160f1864"))
        #expect(data.flags == [.generalDiscoverable, .classicNotSupported])
        #expect(data.isDiscoverable)
        #expect(data.services == [0x1810, 0x180F])
        #expect(data.localName == "BP-1")
        #expect(data.isLocalNameComplete)
        #expect(data.appearance == 0x0381)
        #expect(data.txPower == -12)
        #expect(data.manufacturerData == [.init(companyID: 0x020E, bytes: [0x01])])
        #expect(data.serviceData == [.init(service: 0x180F, bytes: [0x64])])
        #expect(data.classOfDevice == nil && data.deviceID == nil && data.solicitedServices.isEmpty)
        #expect(!data.isMalformed)
    }

    @Test("An inquiry response of a serial-port device")
    func classic() {
        let data = AdvertisingData(
            parsing: grouped("0b09 4e6f6e696e5f4d656421 040d1c0900 03030111 0910 0100 9501 3412 0201"))
        #expect(data.localName == "Nonin_Med!")
        #expect(data.classOfDevice == 0x00_091C)
        #expect(data.services == [0x1101])
        #expect(data.deviceID == .init(vendorSource: 1, vendor: 0x0195, product: 0x1234, version: 0x0102))
        #expect(!data.isDiscoverable)
        #expect(!data.isMalformed)
    }

    static let vendor = BluetoothUUID.long(high: 0x233B_F001_5A34_1B6D, low: 0x975C_000D_5690_ABE4)

    @Test("Services of all widths, complete or not, are one list without doubles; those looked for are another")
    func services() {
        let data = AdvertisingData(
            parsing: grouped(
                """
                05021018 2218 03031018 05040f180000 05057856 3412 1106e4ab90560d005c976d1b345a01f03b23 \
                11 07 fb349b5f80000080 0010 0000 0a18 0000 0314 0518 051f 0618 0000 1115e4ab90560d005c976d1b345a01f03b23
                """))
        #expect(
            data.services == [0x1810, 0x1822, 0x180F, BluetoothUUID(assigned: 0x1234_5678), Self.vendor, 0x180A])
        #expect(data.solicitedServices == [0x1805, 0x1806, Self.vendor])
        #expect(BluetoothUUID(assigned: 0x1234_5678).description == "12345678-0000-1000-8000-00805f9b34fb")
        #expect(!data.isMalformed)
    }

    @Test("Service data of all widths")
    func serviceData() {
        let data = AdvertisingData(
            parsing: grouped("03160f18 06200f1800002a 1221e4ab90560d005c976d1b345a01f03b2307"))
        #expect(
            data.serviceData == [
                .init(service: 0x180F, bytes: []), .init(service: 0x180F, bytes: [0x2A]), .init(service: Self.vendor, bytes: [7]),
            ])
        #expect(!data.isMalformed)
    }

    @Test(
        "A complete name wins over a shortened one, whichever came first; a zero ends it",
        arguments: [
            ("02 08 41 03 09 4142", "AB", true), ("03 09 4142 02 08 41", "AB", true), ("02 08 41", "A", false),
            ("05 09 41420000", "AB", true), ("01 09", "", true), ("03 09 41ff", "A\u{FFFD}", true),
            ("05 09 c3a6c3b8", "æø", true),
        ])
    func names(hex: String, name: String, isComplete: Bool) {
        let data = AdvertisingData(parsing: grouped(hex))
        #expect(data.localName == name)
        #expect(data.isLocalNameComplete == isComplete)
        #expect(!data.isMalformed)
    }

    @Test(
        "Flags",
        arguments: [("0101", 0, false), ("020101", 1, true), ("020102", 2, true), ("02010c", 12, false), ("03010200", 2, true)])
    func flags(hex: String, raw: UInt8, isDiscoverable: Bool) {
        let data = AdvertisingData(parsing: grouped(hex))
        #expect(data.flags?.rawValue == raw)
        #expect(data.isDiscoverable == isDiscoverable)
        #expect(!data.isMalformed)
    }

    @Test(
        "What is not malformed: nothing, an early end with padding, an unknown type, a pairing secret",
        arguments: ["", "00", "02010600000000", "03fe0102", "01fe", "1110000102030405060708090a0b0c0d0e0f"])
    func whole(_ hex: String) {
        let data = AdvertisingData(parsing: grouped(hex))
        #expect(!data.isMalformed)
        #expect(data.deviceID == nil)
    }

    @Test(
        "What is malformed is marked, and what comes before and after is kept",
        arguments: [
            // Lengths beyond the end.
            "0201060a", "020106ff0941", "02010603094", "0201060203",
            // Something behind the early end.
            "02010600020a00",
            // Fields of a wrong length: UUID lists, level, class, Device ID, service data, appearance, manufacturer.
            "0203100201 06", "040310180f020106", "0404101800 020106", "0a06000102030405060708020106", "010a020106",
            "030a0001020106",
            "030d0102020106", "0310 0102 020106", "0216 0f 020106", "0420 0f1800 020106", "0221 0f 020106", "0219 81 020106",
            "02ff 0e 020106", "01ff 020106",
        ])
    func malformed(_ hex: String) {
        // An odd digit stands for a half byte that was never sent.
        let digits = hex.filter { $0 != " " }
        let data = AdvertisingData(parsing: bytes(String(digits.prefix(digits.utf8.count / 2 * 2))))
        #expect(data.isMalformed)
        #expect(data.flags == [.generalDiscoverable, .classicNotSupported])
        #expect(data.txPower == nil && data.classOfDevice == nil && data.appearance == nil && data.deviceID == nil)
        #expect(data.manufacturerData.isEmpty && data.serviceData.isEmpty)
    }

    @Test("Of a list that ends within a UUID the whole ones are kept")
    func partialList() {
        let data = AdvertisingData(parsing: grouped("040310180f"))
        #expect(data.services == [0x1810])
        #expect(data.isMalformed)
    }

    @Test("Random bytes never trap, cut data is read as far as it goes, and time is bounded")
    func randomBytes() {
        var generator = freshGenerator("advertising data")
        for _ in 0..<20_000 {
            let data = generator.bytes(Int.random(in: 0...62, using: &generator))
            let parsed = AdvertisingData(parsing: data)
            #expect(parsed == AdvertisingData(parsing: data))
            _ = AdvertisingData(parsing: Array(data.dropLast()))
        }
        // Elements that are well formed, of the types that are read.
        for _ in 0..<5_000 {
            var data: [UInt8] = []
            for _ in 0..<Int.random(in: 1...6, using: &generator) {
                let field = generator.bytes(Int.random(in: 0...20, using: &generator))
                data += [UInt8(field.count + 1), UInt8.random(in: 0...0x21, using: &generator)] + field
            }
            _ = AdvertisingData(parsing: data)
        }
    }

    @Test("As many services as the kernel's length field can say are read without a search for each")
    func longest() {
        let data = (0..<255).flatMap { list -> [UInt8] in
            [0xFF, 0x03] + (0..<127).flatMap { [UInt8($0), UInt8(list)] }
        }
        let clock = ContinuousClock()
        var parsed = AdvertisingData()
        let time = clock.measure { parsed = AdvertisingData(parsing: data) }
        #expect(parsed.services.count == 127 * 255)
        #expect(!parsed.isMalformed)
        // Milliseconds, a second in a debug build on a busy machine; a search through the list for each would be five hundred
        // million comparisons.
        #expect(time < .seconds(20))
    }
}
