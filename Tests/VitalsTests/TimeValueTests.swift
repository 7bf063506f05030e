import Testing
import Vitals

/// Central European time: summer time from the last Sunday of March to that of October, both at 01:00 UTC.
struct Copenhagen: Zone {
    func offsetMinutes(at instant: Instant) -> Int {
        let year = LocalDateTime(secondsSince1970: instant.milliseconds / 1_000).year
        return instant >= Self.change(3, year) && instant < Self.change(10, year) ? 120 : 60
    }

    static func change(_ month: Int, _ year: Int) -> Instant {
        let last = LocalDateTime(year: year, month: month, day: 31, hour: 1, minute: 0, second: 0).secondsSince1970
        // 1970-01-01 was a Thursday: days since then plus 4, modulo 7, counts from Sunday.
        return Instant(seconds: last - ((last / 86_400 + 4) % 7) * 86_400)
    }
}

@Suite struct LocalDateTimeTests {
    @Test(
        "seconds since 1970 and 2000, as other programs count them",
        arguments: [
            ("1970-01-01T00:00:00", 0), ("2000-01-01T00:00:00", 946_684_800), ("2000-02-29T12:00:00", 951_825_600),
            ("2020-01-20T08:43:00", 1_579_509_780), ("1969-12-31T23:59:59", -1), ("1900-03-01T00:00:00", -2_203_891_200),
            ("2100-03-01T00:00:00", 4_107_542_400), ("9999-12-31T23:59:59", 253_402_300_799),
            ("1582-01-01T00:00:00", -12_244_089_600),
        ] as [(String, Int64)])
    func seconds(text: String, seconds: Int64) {
        #expect(LocalDateTime(text)?.secondsSince1970 == seconds)
        #expect(LocalDateTime(text)?.secondsSince2000 == seconds - 946_684_800)
        #expect(LocalDateTime(secondsSince1970: seconds).description == text)
    }

    @Test("every day from 1600 to 2400 follows the one before, and is valid")
    func everyDay() {
        var previous: LocalDateTime?
        var seconds = LocalDateTime("1600-01-01T12:34:56")?.secondsSince1970 ?? 0
        for _ in 0..<292_194 {
            let day = LocalDateTime(secondsSince1970: seconds)
            if !day.isValid || day.secondsSince1970 != seconds || day.hour != 12 || day.minute != 34 || day.second != 56 {
                Issue.record("\(day)")
            }
            if let previous {
                let follows = day.day == previous.day + 1 || (day.day == 1 && day.month % 12 == (previous.month + 1) % 12)
                if !follows { Issue.record("\(previous) \(day)") }
            }
            previous = day
            seconds += 86_400
        }
        #expect(previous?.description == "2399-12-31T12:34:56")
    }

    @Test(
        "what is no date or time",
        arguments: [
            (0, 1, 1, 0, 0, 0), (2026, 0, 1, 0, 0, 0), (2026, 13, 1, 0, 0, 0), (2026, 1, 0, 0, 0, 0), (2026, 1, 32, 0, 0, 0),
            (2026, 2, 29, 0, 0, 0), (1900, 2, 29, 0, 0, 0), (2026, 4, 31, 0, 0, 0), (2026, 1, 1, 24, 0, 0),
            (2026, 1, 1, 0, 60, 0),
            (2026, 1, 1, 0, 0, 60), (65_535, 255, 255, 255, 255, 255), (1581, 12, 31, 0, 0, 0), (10_000, 1, 1, 0, 0, 0),
            (-1, 1, 1, 0, 0, 0),
            (2026, -1, 1, 0, 0, 0), (2026, 1, 1, -1, 0, 0),
        ])
    func invalid(year: Int, month: Int, day: Int, hour: Int, minute: Int, second: Int) {
        let time = LocalDateTime(year: year, month: month, day: day, hour: hour, minute: minute, second: second)
        #expect(!time.isValid)
        // What a device sent is kept and printed, whatever it is; nothing traps.
        _ = time.secondsSince1970
        #expect(!time.description.isEmpty)
    }

    @Test("a leap day is valid", arguments: [(2000, true), (2024, true), (2100, false), (2400, true)])
    func leapDay(year: Int, valid: Bool) {
        #expect(LocalDateTime(year: year, month: 2, day: 29, hour: 0, minute: 0, second: 0).isValid == valid)
    }

    @Test(
        "only its own form is read",
        arguments: [
            "", "2026-05-04", "2026-05-04T10:00", "2026-05-04 10:00:00", "2026T05-04:10-00:00", "2026-05-04T10:00:0a",
            "+026-05-04T10:00:00",
            "2026-05-04T10:00:+1", "2026-05-04T10:00:000", "2026-5-04T010:00:00", "٢٠٢٦-05-04T1:0:0",
        ])
    func strictForm(text: String) {
        #expect(LocalDateTime(text) == nil)
    }
}

@Suite struct InstantTests {
    @Test(
        "ISO 8601 both ways",
        arguments: [
            ("2026-01-01T10:24:08+01:00", 1_767_259_448_000, 60), ("2026-01-01T10:24:08.123-03:30", 1_767_275_648_123, -210),
            ("1969-12-31T23:59:59.999+00:00", -1, 0), ("1970-01-01T05:30:00.001+05:30", 1, 330),
        ] as [(String, Int64, Int)])
    func iso8601(text: String, milliseconds: Int64, offset: Int) {
        #expect(Instant(iso8601: text) == Instant(milliseconds: milliseconds))
        #expect(Instant(milliseconds: milliseconds).iso8601(offsetMinutes: offset) == text)
    }

    @Test(
        "Z, and fractions of any length",
        arguments: [
            ("1970-01-01T00:00:01Z", 1_000), ("1970-01-01T00:00:01.5Z", 1_500), ("1970-01-01T00:00:01.123999Z", 1_123),
            ("1970-01-01T14:00:00+14:00", 0), ("1969-12-31T12:00:00-12:00", 0),
        ] as [(String, Int64)])
    func reads(text: String, milliseconds: Int64) {
        #expect(Instant(iso8601: text)?.milliseconds == milliseconds)
    }

    @Test(
        "what is no moment",
        arguments: [
            "", "Z", "2026-05-04T10:00:00", "2026-05-04T10:00:00z", "2026-05-04T10:00:00.Z", "2026-05-04T10:00:00.5",
            "2026-05-04T10:00:00+0100",
            "2026-05-04T10:00:00+1:000", "2026-05-04T10:00:00++1:00", "2026-05-04T10:00:00+15:00", "2026-05-04T10:00:00+01:60",
            "2026-05-04T10:00:00+01:00x", "2026-05-04T10:00:00 01:00", "2026-02-30T10:00:00Z", "2026-05-04T25:00:00Z",
            "2026-05-04T10:00:60Z",
            "2026-05-04T10:00:00Z ", "2026-05-04T10:00:00ZZ", "😀😀😀😀😀😀",
        ])
    func refuses(text: String) {
        #expect(Instant(iso8601: text) == nil)
    }

    @Test("any moment of the calendar survives text in any zone")
    func roundTrip() {
        var random = SystemRandomNumberGenerator()
        for _ in 0..<2_000 {
            let instant = Instant(milliseconds: Int64.random(in: -12_000_000_000_000...253_000_000_000_000, using: &random))
            let text = instant.iso8601(offsetMinutes: Int.random(in: -720...840, using: &random))
            #expect(Instant(iso8601: text) == instant, "\(text)")
            #expect(Instant(iso8601: instant.description) == instant)
        }
    }

    @Test("durations to whole milliseconds")
    func durations() {
        #expect(Duration.milliseconds(1_500).milliseconds == 1_500)
        #expect(Duration.seconds(-3).milliseconds == -3_000)
        #expect(Duration.microseconds(1_999).milliseconds == 1)
        #expect(Instant(seconds: 10) - Instant(seconds: 4) == .seconds(6))
        #expect(Instant(seconds: 10) - .seconds(4) == Instant(seconds: 6))
        #expect(MonotonicTime(milliseconds: 10) + .milliseconds(5) == MonotonicTime(milliseconds: 15))
    }
}

@Suite struct ZoneTests {
    @Test(
        "R5 a face in a zone: one moment, none in the hour that spring skips, two in the one that autumn repeats",
        arguments: [
            ("2026-05-04T12:00:00", ["2026-05-04T12:00:00+02:00"]), ("2026-01-04T12:00:00", ["2026-01-04T12:00:00+01:00"]),
            ("2026-03-29T01:59:59", ["2026-03-29T01:59:59+01:00"]), ("2026-03-29T02:00:00", []), ("2026-03-29T02:59:59", []),
            ("2026-03-29T03:00:00", ["2026-03-29T03:00:00+02:00"]), ("2026-10-25T01:59:59", ["2026-10-25T01:59:59+02:00"]),
            ("2026-10-25T02:00:00", ["2026-10-25T02:00:00+02:00", "2026-10-25T02:00:00+01:00"]),
            ("2026-10-25T02:59:59", ["2026-10-25T02:59:59+02:00", "2026-10-25T02:59:59+01:00"]),
            ("2026-10-25T03:00:00", ["2026-10-25T03:00:00+01:00"]),
        ])
    func r5_instants(face: String, expected: [String]) throws {
        let local = try #require(LocalDateTime(face))
        #expect(Copenhagen().instants(showing: local).map(\.description) == expected)
    }

    @Test("R5 every moment is among those that its own face shows, in zones east and west")
    func r5_everyMomentIsFound() {
        var random = SystemRandomNumberGenerator()
        func check(_ zone: some Zone) {
            let instant = Instant(seconds: Int64.random(in: 900_000_000..<2_000_000_000, using: &random))
            let offset = zone.offsetMinutes(at: instant)
            let face = LocalDateTime(secondsSince1970: instant.milliseconds / 1_000 + Int64(offset) * 60)
            #expect(zone.instants(showing: face).contains(MeasuredTime(instant, offsetMinutes: offset)))
        }
        for _ in 0..<1_000 {
            check(Copenhagen())
            check(FixedZone(minutes: 840))
            check(FixedZone(minutes: -720))
            check(FixedZone(minutes: 345))
        }
    }
}
