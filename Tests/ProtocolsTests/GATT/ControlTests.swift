import ExactJSON
import Protocols
import Testing
import Vitals

@Suite("Control points, clocks and device information")
struct ControlTests {
    @Test(
        "Record access requests and answers",
        arguments: [
            ("0101", .request(.report, .all)), ("0401", .request(.count, .all)), ("0201", .request(.delete, .all)),
            ("0300", .request(.abort, .none)), ("0105", .request(.report, .first)), ("0106", .request(.report, .last)),
            ("0103010700", .request(.report, .sequenceAtLeast(7))), ("0102010700", .request(.report, .sequenceAtMost(7))),
            ("01040107000900", .request(.report, .sequenceRange(7, 9))), ("0701", .request(.combinedReport, .all)),
            ("01030201020304", .request(.report, .other(operation: 3, filter: 2, operand: [1, 2, 3, 4]))),
            ("05000300", .count(3, width: 2)), ("050003", .count(3, width: 1)), ("050003000000", .count(3, width: 4)),
            ("08000300", .combinedReport(3, width: 2)), ("06000101", .response(to: 1, .success)),
            ("06000106", .response(to: 1, .noRecordsFound)), ("0600040a", .response(to: 4, .serverBusy)),
        ] as [(String, RecordAccess)])
    func recordAccess(hex: String, value: RecordAccess) throws {
        #expect(try RecordAccess(decoding: bytes(hex)) == value)
        #expect(value.encoded == bytes(hex))
    }

    @Test(
        "What is no record access",
        arguments: [
            ("", .tooShort, 0), ("01", .tooShort, 1), ("00", .reservedOpcode, 0), ("09", .reservedOpcode, 0),
            ("33", .reservedOpcode, 0),
            ("0107", .invalidValue, 1), ("010101", .lengthMismatch, 2), ("010301", .tooShort, 3), ("01030107", .tooShort, 3),
            ("0103010700ff", .lengthMismatch, 5), ("06010101", .invalidValue, 1), ("06000100", .invalidValue, 3),
            ("0600010b", .invalidValue, 3), ("060001", .tooShort, 3), ("0500", .tooShort, 2), ("0500030000", .lengthMismatch, 4),
            ("05000300000000", .lengthMismatch, 6),
        ] as [(String, DecodeError.Code, Int)])
    func recordAccessErrors(hex: String, code: DecodeError.Code, offset: Int) {
        let error = #expect(throws: DecodeError.self) { try RecordAccess(decoding: bytes(hex)) }
        #expect(error?.code == code)
        #expect(error?.offset == offset)
        #expect(error?.bytes == bytes(hex))
    }

    @Test(
        "User control requests and answers",
        arguments: [
            ("01a80e", .registerNewUser(consentCode: 3_752)), ("0201a80e", .consent(userIndex: 1, consentCode: 3_752)),
            ("03", .deleteUserData), ("04", .listAllUsers), ("05ff", .deleteUser(userIndex: 0xFF)),
            ("20010103", .response(to: 1, .success, parameter: [3])),
            ("200205", .response(to: 2, .userNotAuthorized, parameter: [])),
        ] as [(String, UserControlPoint)])
    func userControl(hex: String, value: UserControlPoint) throws {
        #expect(try UserControlPoint(decoding: bytes(hex)) == value)
        #expect(value.encoded == bytes(hex))
    }

    @Test(
        "What is no user control",
        arguments: [
            ("", .tooShort), ("00", .reservedOpcode), ("06", .reservedOpcode), ("01ffff", .invalidValue),
            ("0300", .lengthMismatch),
            ("2001", .tooShort), ("200101", .tooShort), ("2001010304", .lengthMismatch), ("200100", .invalidValue),
            ("05", .tooShort),
        ] as [(String, DecodeError.Code)])
    func userControlErrors(hex: String, code: DecodeError.Code) {
        let error = #expect(throws: DecodeError.self) { try UserControlPoint(decoding: bytes(hex)) }
        #expect(error?.code == code)
    }

    @Test("Current time in ten bytes, and in seven with a warning")
    func currentTime() throws {
        let full = try CurrentTime(decoding: bytes("ea07050c120000 02 80 02"))
        #expect(full.time.description == "2026-05-12T18:00:00")
        #expect(full.dayOfWeek == 2)
        #expect(full.fractions == 0x80)
        #expect(full.adjustReason == [.externalReference])
        #expect(full.warnings.isEmpty)
        #expect(full.encoded == bytes("ea07050c12000002 8002"))
        let short = try CurrentTime(decoding: bytes("ea07050c120000"))
        #expect(short.isShort)
        #expect(short.warnings.count == 1)
        #expect(short.encoded.count == 7)
        for hex in ["ea07050c1200", "ea07050c12000002", "ea07050c1200000280", "ea07050c120000028002ff"] {
            #expect(throws: DecodeError.self) { try CurrentTime(decoding: bytes(hex)) }
        }
        #expect(throws: DecodeError.self) { try CurrentTime(decoding: bytes("ea07050c120000 08 80 02")) }
    }

    @Test(
        "A clock is set with the day of the week of its date",
        arguments: [
            ("2026-05-12T23:59:59", 2), ("1970-01-01T00:00:00", 4), ("2000-01-01T00:00:00", 6), ("1969-12-28T12:00:00", 7),
        ]
            as [(String, UInt8)])
    func dayOfWeek(text: String, day: UInt8) throws {
        let time = try #require(LocalDateTime(text))
        #expect(CurrentTime(setting: time).dayOfWeek == day)
    }

    @Test("Date time, date of birth and battery")
    func smallValues() throws {
        #expect(try DateTime(decoding: bytes("e4070114082b00")).time.description == "2020-01-20T08:43:00")
        #expect(try DateTime(decoding: bytes("e4070114082b00")).encoded == bytes("e4070114082b00"))
        #expect(try DateOfBirth(decoding: bytes("a807051f")) == DateOfBirth(year: 1960, month: 5, day: 31))
        #expect(throws: DecodeError.self) { try DateOfBirth(decoding: bytes("a8070d01")) }
        #expect(throws: DecodeError.self) { try DateOfBirth(decoding: bytes("a8070120")) }
        #expect(try BatteryLevel(decoding: [100]).percent == 100)
        #expect(throws: DecodeError.self) { try BatteryLevel(decoding: [101]) }
        #expect(throws: DecodeError.self) { try BatteryLevel(decoding: []) }
        #expect(throws: DecodeError.self) { try BatteryLevel(decoding: [1, 2]) }
    }

    @Test("Texts lose their padding, and are refused where they are no UTF-8")
    func texts() throws {
        #expect(try DeviceText(decoding: Array("UA-651BLE".utf8) + [0, 0, 0x20]).text == "UA-651BLE")
        #expect(try DeviceText(decoding: [0, 0]).isEmpty)
        #expect(try DeviceText(decoding: []).isEmpty)
        #expect(throws: DecodeError.self) { try DeviceText(decoding: [0x41, 0xFF]) }
    }

    @Test("A system id is an EUI-64, sent backwards")
    func systemID() throws {
        let id = try SystemID(decoding: bytes("cc3c800358220900 "))
        #expect(id.bigEndian.hex == "0009225803803ccc")
        #expect(id.encoded == bytes("cc3c800358220900"))
        #expect(SystemID(bigEndian: [1]) == nil)
    }

    @Test("Certification data, PnP id and UDI")
    func identification() throws {
        let list = CertificationData(entries: [.init(body: 2, structure: 1, data: [5, 0, 0, 1, 0, 2, 0x80, 7])])
        #expect(try CertificationData(decoding: list.encoded) == list)
        #expect(throws: DecodeError.self) { try CertificationData(decoding: bytes("ffff0000")) }
        #expect(throws: DecodeError.self) { try CertificationData(decoding: bytes("00010004 0201ffff")) }
        let pnp = try PlugAndPlayID(decoding: bytes("01 6900 0100 1302"))
        #expect(pnp.vendor == 0x69 && pnp.version == 0x0213)
        let udi = UniqueDeviceIdentifier(label: "(01)0123", deviceIdentifier: "0123", authority: "1.2.3")
        #expect(try UniqueDeviceIdentifier(decoding: udi.encoded) == udi)
        #expect(throws: DecodeError.self) { try UniqueDeviceIdentifier(decoding: bytes("014142")) }
        #expect(throws: DecodeError.self) { try UniqueDeviceIdentifier(decoding: bytes("01ff00")) }
    }
}

@Suite("Blood pressure records in segments")
struct RecordTests {
    private let value = EnhancedBloodPressureMeasurement(
        systolic: 120, diastolic: 80, mean: 93, timeStamp: 831_902_400, pulseRate: 60, userID: 1, status: 4,
        userFacingTime: 831_909_600)

    @Test("A record comes together from its segments, with and without checksum", arguments: [20, 23, 100], [false, true])
    func segments(length: Int, withChecksum: Bool) throws {
        let frames = BloodPressureRecord.segments(
            of: value.encoded, characteristic: 0x2B34, sequence: 0xFFFF, segmentLength: length, withChecksum: withChecksum)
        #expect(frames.allSatisfy { $0.count <= length })
        let record = try BloodPressureRecord(segments: frames)
        #expect(record.hasChecksum == withChecksum)
        #expect(record.sequence == 0xFFFF)
        #expect(record.measurement.sequence == 0xFFFF)
        #expect(record.measurement.quantities == value.measurement.quantities)
        #expect(try BloodPressureRecord(segments: frames, checksum: withChecksum ? .present : .absent) == record)
    }

    @Test("A changed byte fails the checksum, wherever it is")
    func damage() {
        let frames = BloodPressureRecord.segments(of: value.encoded, characteristic: 0x2B34, sequence: 1, withChecksum: true)
        for (index, frame) in frames.enumerated() {
            for position in frame.indices {
                var damaged = frames
                damaged[index][position] ^= 0x40
                #expect(throws: DecodeError.self) { try BloodPressureRecord(segments: damaged, checksum: .present) }
            }
        }
    }

    @Test("Segments that are missing, doubled, mixed up or of another record")
    func order() {
        let frames = BloodPressureRecord.segments(of: value.encoded, characteristic: 0x2B34, sequence: 1, segmentLength: 10)
        let others = BloodPressureRecord.segments(of: value.encoded, characteristic: 0x2B34, sequence: 2, segmentLength: 10)
        #expect(frames.count == 4)
        func code(_ segments: [[UInt8]]) -> DecodeError.Code? {
            do throws(DecodeError) {
                _ = try BloodPressureRecord(segments: segments)
                return nil
            } catch { return error.code }
        }
        #expect(code(frames) == nil)
        #expect(code(frames.dropLast()) == .incompleteRecord)
        #expect(code(Array(frames.dropFirst())) == .segmentOutOfOrder)
        #expect(code([frames[0], frames[2], frames[3]]) == .segmentOutOfOrder)
        #expect(code([frames[0], others[1], frames[2], frames[3]]) == .segmentOutOfOrder)
        #expect(code(frames + [frames[3]]) == .segmentOutOfOrder)
        #expect(code([frames[0], frames[0]]) == .segmentOutOfOrder)
        #expect(code([]) == .tooShort)
        #expect(code([[0x03, 1, 0, 0x36, 0x2A]]) == .invalidValue)
        #expect(code([[0x03, 1, 0, 0x34, 0x2B]]) == .tooShort)
    }

    @Test("Over the command line several --hex are one record, or several")
    func frames() throws {
        let one = BloodPressureRecord.segments(of: value.encoded, characteristic: 0x2B34, sequence: 1)
        let two = BloodPressureRecord.segments(of: value.encoded, characteristic: 0x2B34, sequence: 2)
        let json = try DecodeFormat.decode(format: "gatt:2b36", frames: one + two)
        #expect(json.map { $0["sequence"]?.integer } == [1, 2])
        #expect(json[0]["kind"] == "blood-pressure")
        #expect(json[0]["deviceTime"] == "2026-05-12T14:00:00")
    }
}
