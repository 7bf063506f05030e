import Protocols
import Vitals

extension Scenario {
    /// The script with all its bytes. `now` is the hub's local time; `count` is for the generated scenarios.
    func script(seed: UInt64, now: LocalDateTime, count: Int, recordsPerLink: Int) -> PeripheralScript {
        switch kind {
        case .cuff: cuffScript(seed: seed, now: now, count: count, recordsPerLink: recordsPerLink)
        case .oximeter: oximeterScript(seed: seed, now: now, count: count, recordsPerLink: recordsPerLink)
        }
    }

    private func cuffScript(seed: UInt64, now: LocalDateTime, count: Int, recordsPerLink: Int) -> PeripheralScript {
        var factory = RecordFactory(seed: seed, firstStamp: minutes(before: now, 0))
        var script = PeripheralScript()
        func pressures(_ number: Int) -> [BloodPressureMeasurement] {
            factory.stamp = minutes(before: now, number - 1)
            return (0..<number).map { _ in factory.bloodPressure() }
        }
        func keep(_ records: [BloodPressureMeasurement]) { keep(records.map(\.encoded)) }
        func keep(_ records: [[UInt8]]) {
            script.records = records.enumerated().map { SimulatedRecord(number: $0.offset + 1, bytes: $0.element) }
        }
        switch self {
        case .cuffStored:
            let five = pressures(5)
            keep([five[3], five[0], five[4], five[1], five[2]])
        case .cuffResendAll:
            keep(pressures(3))
            script.keepsConfirmed = true
            script.links = 3
        case .cuffClockUnset:
            factory.stamp = LocalDateTime(year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0)
            keep([factory.bloodPressure()])
            script.clock = .unset
        case .cuffWrongYear:
            let ahead = Self.twentyYears
            factory.stamp = LocalDateTime(secondsSince1970: now.secondsSince1970 + ahead)
            keep([factory.bloodPressure()])
            script.clock = .running(ahead: ahead)
        case .cuffNoTimestamp:
            factory.stamp = nil
            let reading = factory.bloodPressure()
            keep([reading, reading])
        case .cuffKilopascal:
            // 17.6/10.9 kPa, mean 13.1: 176, 109 and 131 with the exponent -1, as cuffs in kPa send them.
            keep([
                BloodPressureMeasurement(
                    isKilopascal: true, systolic: SFloat(bits: 0xF0B0), diastolic: SFloat(bits: 0xF06D),
                    mean: SFloat(bits: 0xF083),
                    timeStamp: minutes(before: now, 0), pulseRate: 71)
            ])
        case .cuffNaNMean:
            var reading = factory.bloodPressure()
            reading.mean = .notANumber
            keep([reading])
        case .cuffTwoUsers:
            factory.stamp = minutes(before: now, 2)
            keep([factory.bloodPressure(userID: 0), factory.bloodPressure(userID: 1), factory.bloodPressure(userID: 0xFF)])
        case .cuffStatusBits:
            // Body movement (b0) and irregular pulse (b2).
            keep([factory.bloodPressure(status: 0b101)])
        case .cuffLostBefore:
            keep(pressures(1))
            script.linkLoss = .beforeConfirmation
        case .cuffLostAfter:
            keep(pressures(3))
            script.linkLoss = .afterConfirmation
        case .cuffGarbage:
            keep(pressures(1))
            script.garbage = Self.garbage
        case .cuffUndecodable:
            let two = pressures(2)
            keep([Array(two[0].encoded.dropLast(3)), two[1].encoded])
        case .cuffIntermediate:
            keep(pressures(1))
            script.intermediates = [40, 90, 140, 175].map { IntermediateCuffPressure(SFloat(bits: $0)).encoded }
        case .cuffNoReading: script.links = 1
        case .cuffCaptured: keep(CapturedFrames.bloodPressure)
        case .cuffDateTime:
            keep(pressures(1))
            script.usesDateTime = true
            script.clock = .running(ahead: 300)
        case .cuffClockRefused:
            keep(pressures(1))
            script.clock = .running(ahead: 300)
            script.clockWriteError = .dataFieldIgnored
        case .cuffGenerated:
            keep(pressures(max(0, count)))
            script.recordsPerLink = recordsPerLink
        default: keep([factory.bloodPressure()])
        }
        return script
    }

    private func oximeterScript(seed: UInt64, now: LocalDateTime, count: Int, recordsPerLink: Int) -> PeripheralScript {
        var factory = RecordFactory(seed: seed, firstStamp: minutes(before: now, 0))
        var script = PeripheralScript()
        func keep(_ records: [PulseOximeterSpotCheck]) {
            script.records = records.enumerated().map { SimulatedRecord(number: $0.offset + 1, bytes: $0.element.encoded) }
        }
        switch self {
        case .oximeterStored:
            factory.stamp = minutes(before: now, 4)
            keep((0..<5).map { _ in factory.spotCheck(fromStorage: true) })
            script.waitsForRequest = true
            script.keepsConfirmed = true
        case .oximeterEmpty: script.waitsForRequest = true
        case .oximeterClockUnset:
            factory.stamp = nil
            var reading = factory.spotCheck()
            reading.isClockUnset = true
            keep([reading])
            script.clock = .unset
        case .oximeterStream:
            script.stream =
                (0..<4).map { _ in factory.sample(status: OximeterBits.ongoing | OximeterBits.earlyEstimate) }
                + (0..<6).map { _ in factory.sample(status: OximeterBits.ongoing) }
                + (0..<3).map { _ in factory.sample(status: OximeterBits.fullyQualified) } + [Self.fingerOut]
        case .oximeterStreamMedian:
            script.stream =
                (0..<5).map { _ in factory.sample(status: OximeterBits.ongoing, sensorStatus: OximeterBits.poorSignal) }
                + (0..<15).map { _ in factory.sample(status: OximeterBits.ongoing) } + [Self.fingerOut]
        case .oximeterFingerOut: script.stream = (0..<5).map { _ in Self.fingerOut }
        case .oximeterCaptured: script.stream = (0..<15).map { _ in CapturedFrames.oximeterSample }
        case .oximeterGenerated:
            factory.stamp = minutes(before: now, max(0, count - 1))
            keep((0..<max(0, count)).map { _ in factory.spotCheck() })
            script.recordsPerLink = recordsPerLink
        default: keep([factory.spotCheck()])
        }
        return script
    }

    /// The full minute that lies some minutes back.
    private func minutes(before now: LocalDateTime, _ minutes: Int) -> LocalDateTime {
        LocalDateTime(secondsSince1970: now.secondsSince1970 - Int64(now.second) - Int64(minutes) * 60)
    }

    /// Twenty years of 365.25 days.
    private static let twentyYears: Int64 = 20 * 31_557_600

    /// Both values NaN, measurement unavailable, sensor unconnected to the user.
    private static let fingerOut = PulseOximeterContinuous(
        spo2: .notANumber, pulseRate: .notANumber, status: OximeterBits.unavailable, sensorStatus: OximeterBits.unconnectedToUser
    ).encoded

    private static let garbage: [[UInt8]] = [
        // No such opcodes: a would-be response, command and request.
        [0x21], [0xFF, 0xFF, 0xFF], [0x20, 0x01, 0x02],
        // Cut short: a notification, an indication, an Error Response, a Read By Type Request.
        [0x1B], [0x1D, 0x01], [0x01, 0x0A], [0x08, 0x01],
        // Answers that nothing asked for, and a confirmation.
        [0x0B, 0x2A], [0x13], [0x1E],
        // A notification of a handle that nobody has.
        [0x1B, 0x77, 0x77, 0x00],
        // Find By Type Value for primary services, as Omron's HEM-6233T asks the central.
        [0x06, 0x01, 0x00, 0xFF, 0xFF, 0x00, 0x28, 0x05, 0x18],
    ]
}

/// Frames of real devices, as their sources say.
enum CapturedFrames {
    /// Blood Pressure Measurement, 2A35.
    static let bloodPressure: [[UInt8]] = [
        // Stack Overflow answers 78168365 and 78181802: flags 0xDE with reserved bits set, mean NaN, a reserved status bit.
        [
            0xDE, 0xF6, 0xF4, 0x16, 0xF3, 0xFF, 0x07, 0xE4, 0x07, 0x01, 0x14, 0x08, 0x2B, 0x00, 0xB2, 0xF2, 0x01, 0x80, 0x00,
        ],
        // derdilla/blood-pressure-monitor-fl, ble_measurement_data_test.dart: Beurer BM85. A user id that the flags do not
        // announce, pulse and status big-endian, mean 0.
        [
            0x56, 0x6A, 0x00, 0x47, 0x00, 0x00, 0x00, 0xEA, 0x07, 0x08, 0x0B, 0x12, 0x1F, 0x00, 0x00, 0x3F, 0x00, 0x00, 0x00,
        ],
    ]

    /// PLX Continuous Measurement, 2A5F, of a ChoiceMMed oximeter (Stack Overflow question 71264072): measurement ongoing.
    static let oximeterSample: [UInt8] = [0x0C, 0x62, 0x00, 0x4E, 0x00, 0x20, 0x00, 0x00, 0x00, 0x00]
}
