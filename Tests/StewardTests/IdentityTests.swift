import Steward
import Testing
import Vitals

/// The hashes were computed by an independent program (Python's hashlib and struct) from the layout in the doc comments. They are
/// frozen: a change here would make every memory that is sent again a set of new readings, on every hub in the field.
@Suite struct IdentityTests {
    static let identity = DeviceIdentity(
        manufacturer: "A&D Medical", modelNumber: "UA-651BLE", serialNumber: "5190600123",
        systemID: [0x00, 0x09, 0x1F, 0xFF, 0xFE, 0x80, 0x10, 0x3D], address: "5C:31:3E:0A:1B:2C")

    @Test("R3 a device's key is frozen: serial number, else System ID, else address")
    func r3_deviceKeyVectors() {
        var device = Self.identity
        #expect(DeviceKey.enrol(device)?.rawValue == "serial-4006b7c50d6512bfc942098f736401ce")
        device.serialNumber = nil
        #expect(DeviceKey.enrol(device)?.rawValue == "system-id-7c0298911d59a866ffbd0d10e4b6e3d6")
        device.systemID = nil
        #expect(DeviceKey.enrol(device)?.rawValue == "address-dccf7fe631de3410cf0ef0083323b70a")
        device.address = nil
        #expect(DeviceKey.enrol(device) == nil)
    }

    @Test("R3 padding, case of an address and how the device is reached do not change its key")
    func r3_deviceKeyIsCanonical() {
        let key = DeviceKey.enrol(Self.identity)
        var padded = Self.identity
        padded.serialNumber = " 5190600123\0\0\0"
        padded.manufacturer = "A&D Medical \r\n"
        padded.address = nil
        padded.firmwareRevision = "2.0"
        #expect(DeviceKey.enrol(padded) == key)
        #expect(
            DeviceKey.enrol(DeviceIdentity(address: "5c:31:3e:0a:1b:2c"))
                == DeviceKey.enrol(DeviceIdentity(address: "5C:31:3E:0A:1B:2C")))
    }

    @Test(
        "R3 a factory default is no serial number", arguments: ["", "\0\0", "   ", "000000000", "-", "FFFFFF"])
    func r3_defaultSerialIsAbsent(serial: String) {
        var device = Self.identity
        device.serialNumber = serial
        #expect(DeviceKey.enrol(device)?.rawValue.hasPrefix("system-id-") == true)
    }

    @Test(
        "R3 what identifies nothing makes no key",
        arguments: [
            DeviceIdentity(manufacturer: "Maker", modelNumber: "Model"),
            DeviceIdentity(serialNumber: "123"),
            DeviceIdentity(systemID: [UInt8](repeating: 0, count: 8)),
            DeviceIdentity(systemID: [UInt8](repeating: 0xFF, count: 8)),
            DeviceIdentity(systemID: [1, 2, 3]),
            DeviceIdentity(address: "00:00:00:00:00:00"),
            DeviceIdentity(address: "5C:31:3E:0A:1B"),
            DeviceIdentity(address: "not an address"),
        ])
    func r3_nothingIdentifies(device: DeviceIdentity) {
        #expect(DeviceKey.enrol(device) == nil)
    }

    @Test("R3 fields of a key do not run into each other")
    func r3_deviceKeyIsUnambiguous() {
        let left = DeviceIdentity(manufacturer: "AB", modelNumber: "C", serialNumber: "12")
        let right = DeviceIdentity(manufacturer: "A", modelNumber: "BC", serialNumber: "12")
        #expect(DeviceKey.enrol(left) != DeviceKey.enrol(right))
    }

    @Test("R3 an identity is frozen")
    func r3_identityVectors() {
        let first = ReadingIdentity(
            device: cuff, kind: .bloodPressure, userIndex: 1, projection: record().projection, ordinal: 0)
        #expect(first.base.hex == "10b88dc0d8ab7b960e3ee651712d8ba0bb5820d965bb29aa84e01125242312e1")
        #expect(first.bytes.hex == "3d51a9676d587ca92d7895fef935cf1226ec962de598787369f2aca629687b34")
        let second = ReadingIdentity(base: first.base, ordinal: 1)
        #expect(second.bytes.hex == "dfc2e6dec99dd8d1061c0e798d9210c856ab925e03ec625663a59d630f5063cd")
        #expect(
            ReadingIdentity.base(of: record(), from: cuff).hex
                == "2229827a74d678f17c13528c5dbc571a99a4943d443f28b46f36f03212cadb3b")
    }

    @Test("R3 a public id is frozen, and a UUID")
    func subjectVectors() {
        let identity = ReadingIdentity(
            device: cuff, kind: .bloodPressure, userIndex: 1, projection: record().projection, ordinal: 0)
        let key = Array(UInt8(0)..<32)
        #expect(SubjectID(identity, part: "act", key: key).rawValue == "df369005-fd4b-83a7-8250-5c33e7ed189a")
        #expect(SubjectID(identity, part: "pulse-rate", key: key).rawValue == "824b41fa-cb4d-814c-9e5f-6021d725d49f")
    }

    @Test("R3 every part of an identity counts, and no two lists of parts look alike")
    func r3_everyPartCounts() {
        func base(_ device: String, _ kind: Measurement.Kind, _ user: Int?, _ codec: String, _ bytes: [UInt8]) -> [UInt8] {
            ReadingIdentity.base(
                device: DeviceKey(rawValue: device), kind: kind, userIndex: user,
                projection: StoredProjection(codec: codec, bytes: bytes, distinguishes: true))
        }
        let bases = [
            base("d", .bloodPressure, nil, "2a35/1", [1, 2]), base("e", .bloodPressure, nil, "2a35/1", [1, 2]),
            base("d", .cuffPressure, nil, "2a35/1", [1, 2]), base("d", .bloodPressure, 0, "2a35/1", [1, 2]),
            base("d", .bloodPressure, 1, "2a35/1", [1, 2]), base("d", .bloodPressure, nil, "2a35/2", [1, 2]),
            base("d", .bloodPressure, nil, "2a35/1", [1, 2, 0]), base("d", .bloodPressure, nil, "2a35/1", []),
            base("d", .bloodPressure, nil, "", Array("2a35/1".utf8) + [1, 2]),
        ]
        #expect(Set(bases).count == bases.count)
        // Whether it distinguishes is how it is used, not what it is.
        let (one, other) = (record(distinguishes: true), record(distinguishes: false))
        #expect(ReadingIdentity.base(of: one, from: cuff) == ReadingIdentity.base(of: other, from: cuff))
    }
}
