import Protocols
import Testing
import Vitals

/// R3: what a record is, apart from how it came.
@Suite("R3 stored projections")
struct ProjectionTests {
    private static let noon = MeasurementTests.noon

    private func pressure(
        systolic: SFloat = 120, isKilopascal: Bool = false, time: LocalDateTime? = noon, user: UInt8? = 1, status: UInt16? = 0,
        reserved: UInt8 = 0
    ) -> StoredProjection {
        BloodPressureMeasurement(
            isKilopascal: isKilopascal, systolic: systolic, diastolic: 80, timeStamp: time, pulseRate: 60, userID: user,
            status: status,
            reservedFlags: reserved
        ).measurement.projection
    }

    @Test("R3 the same record sent again has the same projection")
    func r3_sentAgainIsEqual() { #expect(pressure() == pressure()) }

    @Test("R3 reserved flag bits and the user's slot are not part of it: the slot has its own place in the identity")
    func r3_reservedBitsAndUser() {
        #expect(pressure(reserved: 0xE0) == pressure())
        #expect(pressure(user: 2) == pressure(user: 1))
        #expect(pressure(user: nil) == pressure(user: 1))
    }

    @Test("R3 value, digits, unit, time and status are")
    func r3_whatTellsRecordsApart() {
        let others = [
            pressure(systolic: 121), pressure(systolic: SFloat(bits: 0xF4B0)), pressure(systolic: .notANumber),
            pressure(isKilopascal: true), pressure(time: nil), pressure(status: 1), pressure(status: nil),
            pressure(time: LocalDateTime(year: 2026, month: 5, day: 12, hour: 12, minute: 0, second: 2)),
        ]
        #expect(Set(others + [pressure()]).count == others.count + 1)
    }

    @Test("R3 from-storage and clock-unset bits of an oximeter do not change it, every other status bit does")
    func r3_fromStorageBit() {
        func spot(_ status: UInt16, clockUnset: Bool = false) -> StoredProjection {
            PulseOximeterSpotCheck(spo2: 97, pulseRate: 60, timeStamp: Self.noon, status: status, isClockUnset: clockUnset)
                .measurement.projection
        }
        #expect(spot(1 << 9) == spot(0))
        #expect(spot(0, clockUnset: true) == spot(0))
        for bit in 0..<16 where bit != 9 { #expect(spot(1 << UInt16(bit)) != spot(0), "bit \(bit)") }
    }

    @Test("R3 battery bit, time offset and context flag of a glucose meter do not change it, sequence and status do")
    func r3_glucose() {
        let one = MeasurementTests.glucose(status: 0).measurement.projection
        #expect(MeasurementTests.glucose(status: 1).measurement.projection == one)
        #expect(MeasurementTests.glucose(status: 0, hasContext: true).measurement.projection == one)
        #expect(MeasurementTests.glucose(offset: 60, status: 0).measurement.projection == one)
        #expect(MeasurementTests.glucose(sequence: 7, status: 0).measurement.projection != one)
        #expect(MeasurementTests.glucose(status: 2).measurement.projection != one)
        #expect(MeasurementTests.glucose(type: 2, status: 0).measurement.projection != one)
    }

    @Test("R3 only a set time stamp or a sequence number tells equal records apart")
    func r3_distinguishes() {
        let unset = LocalDateTime(year: 0, month: 0, day: 0, hour: 1, minute: 2, second: 3)
        #expect(pressure().distinguishes)
        #expect(!pressure(time: nil).distinguishes)
        #expect(!pressure(time: unset).distinguishes)
        #expect(MeasurementTests.glucose().measurement.projection.distinguishes)
        #expect(!PulseOximeterContinuous(spo2: 97, pulseRate: 60).measurement.projection.distinguishes)
    }

    @Test("R3 a stored record has the identity of its live measurement where that has a time, else its number")
    func r3_storedAndLive() throws {
        let live = EnhancedBloodPressureMeasurement(systolic: 120, diastolic: 80, timeStamp: 831_902_400)
        func record(_ value: EnhancedBloodPressureMeasurement, _ sequence: UInt16) throws -> StoredProjection {
            let frames = BloodPressureRecord.segments(of: value.encoded, characteristic: 0x2B34, sequence: sequence)
            return try BloodPressureRecord(segments: frames).measurement.projection
        }
        #expect(try record(live, 7) == live.measurement.projection)
        let timeless = EnhancedBloodPressureMeasurement(systolic: 120, diastolic: 80)
        #expect(try record(timeless, 7) != record(timeless, 8))
        #expect(try record(timeless, 7).distinguishes)
    }

    @Test("R3 codec names and bytes are frozen: a change makes every stored record new")
    func r3_frozen() throws {
        let frames: [(String, String, String)] = [
            ("gatt:2a35", "def6f416f3ff07e4070114082b00b2f2018000", "2a35/1 16f6f416f3ff07e4070114082b00b2f28000"),
            ("gatt:2a5f", "0c62004e002000000000", "2a5f/1 0c62004e002000000000"),
            ("gatt:2a18", "030600e407040d10260a000078b0f1", "2a18/1 020600e407040d10260a78b0f1"),
            ("gatt:2a9d", "0e783eea07050c12353601ee002607", "2a9d/1 0a783eea07050c123536ee002607"),
            ("gatt:2a9c", "9803c200df1a9701cc2fca21a811", "2a9c/1 9803c200df1a9701cc2fca21a811"),
            ("gatt:2a1c", "0c4c0e00fe02", "2a1c/1 044c0e00fe02"),
            ("gatt:2a5e", "3b6100 3c00 ea07050c0c0001 0002 0c00", "2a5e/1 0b61003c00ea07050c0c000100000c00"),
        ]
        for (format, hex, expected) in frames {
            let uuid = try #require(UInt16(format.dropFirst(5), radix: 16))
            let projection = try #require(try FrameDecoder.measurement(characteristic: uuid, bytes(hex))).projection
            #expect("\(projection.codec) \(projection.bytes.hex)" == expected)
        }
    }
}
