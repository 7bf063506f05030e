import Steward
import Testing
import Vitals

private func epoch(
    _ id: Int64, _ origin: ClockEpoch.Origin, start: String?, latest: String, shows: String, at hub: String, closed: Bool = false
) -> ClockEpoch {
    ClockEpoch(
        id: id, deviceStart: start.map(face), deviceLatest: face(latest),
        coincidence: ClockCoincidence(device: face(shows), hub: look(hub)), origin: origin, isClosed: closed)
}

private func decide(
    _ stamp: String?, received: String = "2026-05-04T10:00:00", epochs: [ClockEpoch] = [], isUnset: Bool = false,
    fromStorage: Bool = false, live: Bool = true, source: ClockSource = .ntp, offset: Int? = nil
) -> TimeDecision {
    decideTime(
        of: record(stamp: stamp.map(face), isUnset: isUnset, offset: offset), received: look(received, source: source),
        isFromStorage: fromStorage, isLiveWithoutStamp: live, epochs: epochs, zone: Copenhagen())
}

private func corrected(_ text: String, _ offset: Int = 120, epoch: Int64) -> TimeDecision {
    .effective(MeasuredTime(utc(text), offsetMinutes: offset), .corrected, epoch: epoch)
}

private func local(_ text: String, _ offset: Int = 120) -> TimeDecision {
    .effective(MeasuredTime(utc(text), offsetMinutes: offset), .local, epoch: nil)
}

@Suite struct TimeTests {
    @Test("R5 without a usable stamp: reception where it is live, else held")
    func r5_withoutStamp() {
        let received = TimeDecision.effective(
            MeasuredTime(utc("2026-05-04T10:00:00"), offsetMinutes: 120), .received, epoch: nil)
        #expect(decide(nil) == received)
        #expect(decide("2026-05-04T11:00:00", isUnset: true) == received)
        #expect(decide("0000-00-00T00:00:00") == received)
        #expect(decide("2026-02-30T11:00:00") == received)
        #expect(decide(nil, fromStorage: true) == .held(.unset))
        #expect(decide(nil, live: false) == .held(.unset))
        #expect(decide("2026-05-04T11:00:00", isUnset: true, fromStorage: true) == .held(.unset))
        #expect(decide(nil, source: .unsynchronised) == .waitsForHubClock)
        #expect(decide(nil, fromStorage: true, source: .unsynchronised) == .held(.unset))
    }

    @Test("R5 a record that was just taken, its clock found wrong and set: the stamp's second may seem to lie a moment ahead")
    func r5_justTakenBeforeTheClockWasSet() {
        let epochs = [
            epoch(
                1, .first, start: nil, latest: "2046-05-04T12:00:01", shows: "2046-05-04T12:00:01", at: "2026-05-04T10:00:02",
                closed: true),
            epoch(
                2, .set, start: "2026-05-04T12:00:02", latest: "2026-05-04T12:00:02", shows: "2026-05-04T12:00:02",
                at: "2026-05-04T10:00:02"),
        ]
        #expect(
            decide("2046-05-04T12:00:01", received: "2026-05-04T10:00:01", epochs: epochs)
                == corrected("2026-05-04T10:00:02", epoch: 1))
    }

    @Test("R5 nothing known of the clock: the stamp is local time, if one moment showed it")
    func r5_localTime() {
        #expect(decide("2026-05-04T11:55:00") == local("2026-05-04T09:55:00"))
        #expect(decide("2026-01-04T11:55:00") == local("2026-01-04T10:55:00", 60))
        #expect(decide("2026-03-29T02:30:00") == .held(.skippedHour))
        #expect(decide("2025-10-26T02:30:00") == .held(.repeatedHour))
        #expect(decide("2025-10-26T01:59:59") == local("2025-10-25T23:59:59"))
        #expect(decide("2025-10-26T03:00:00") == local("2025-10-26T02:00:00", 60))
        #expect(decide("2026-05-04T12:05:00") == local("2026-05-04T10:05:00"))
        #expect(decide("2026-05-04T12:05:01") == .held(.ahead))
        #expect(decide("2044-05-04T12:00:00") == .held(.ahead))
        #expect(decide("2010-01-01T00:03:00") == .held(.implausible))
        #expect(decide("1999-12-31T23:59:59") == .held(.implausible))
        #expect(decide("2026-05-04T11:55:00", source: .unsynchronised) == .waitsForHubClock)
    }

    @Test("R5 a correction is applied to elapsed device time, so summer time drops out")
    func r5_correctionIgnoresSummerTime() {
        // The device still shows winter time in May, and has lost two minutes.
        let one = epoch(
            7, .first, start: "2026-01-10T09:00:00", latest: "2026-05-04T10:58:00", shows: "2026-05-04T10:58:00",
            at: "2026-05-04T10:00:00")
        #expect(decide("2026-05-04T10:50:00", epochs: [one]) == corrected("2026-05-04T09:52:00", epoch: 7))
        // Shown in winter time, measured in winter: the same hour's difference, the zone's own offset.
        #expect(decide("2026-02-01T10:50:00", epochs: [one]) == corrected("2026-02-01T09:52:00", 60, epoch: 7))
        // The repeated and the skipped hour are no trouble once the clock is known.
        #expect(decide("2026-03-29T02:30:00", epochs: [one]) == corrected("2026-03-29T01:32:00", 120, epoch: 7))
        #expect(decide("2026-05-04T11:03:00", epochs: [one]) == corrected("2026-05-04T10:05:00", epoch: 7))
        #expect(decide("2026-05-04T11:03:01", epochs: [one]) == .held(.ahead))
        // Glucose: what the user sees is base time and offset.
        #expect(decide("2026-05-04T09:50:00", epochs: [one], offset: 60) == corrected("2026-05-04T09:52:00", epoch: 7))
    }

    @Test("R5 a wrong year is put right by the look at the clock")
    func r5_wrongYear() {
        let reset = epoch(
            1, .first, start: "2010-01-03T08:00:00", latest: "2010-01-03T08:00:00", shows: "2010-01-03T08:00:00",
            at: "2026-05-04T10:00:00")
        #expect(decide("2010-01-02T08:00:00", epochs: [reset]) == corrected("2026-05-03T10:00:00", epoch: 1))
        // A stamp of before the reset is not in this epoch.
        #expect(decide("2026-05-01T12:00:00", epochs: [reset]) == .held(.ahead))
    }

    @Test("R5 set by us between two transfers: each record by the epoch it was taken in")
    func r5_clockSetByUsBetweenTwoTransfers() {
        // One hour slow until the hub set it on 3 May at 10:00 UTC.
        let before = epoch(
            1, .first, start: "2026-05-01T11:00:00", latest: "2026-05-03T11:00:00", shows: "2026-05-03T11:00:00",
            at: "2026-05-03T10:00:00", closed: true)
        let after = epoch(
            2, .set, start: "2026-05-03T12:00:00", latest: "2026-05-04T12:00:00", shows: "2026-05-04T12:00:00",
            at: "2026-05-04T10:00:00")
        #expect(decide("2026-05-03T10:55:00", epochs: [before, after]) == corrected("2026-05-03T09:55:00", epoch: 1))
        #expect(decide("2026-05-03T12:05:00", epochs: [before, after]) == corrected("2026-05-03T10:05:00", epoch: 2))
        // The clock never showed these.
        #expect(decide("2026-05-03T11:30:00", epochs: [before, after]) == .held(.betweenEpochs))
    }

    @Test("R5 a clock set back shows some times twice: held, unless both agree or one has not come yet")
    func r5_clockSetBack() {
        func epochs(fast minutes: Int64) -> [ClockEpoch] {
            let set = look("2026-05-04T09:00:00")
            let right = face("2026-05-04T11:00:00")
            let wrong = LocalDateTime(secondsSince1970: right.secondsSince1970 + minutes * 60)
            let first = ClockEpoch(
                id: 1, deviceStart: face("2026-05-01T11:00:00"), deviceLatest: wrong,
                coincidence: ClockCoincidence(device: wrong, hub: set), origin: .first, isClosed: true)
            return [
                first,
                ClockEpoch(
                    id: 2, deviceStart: right, deviceLatest: right, coincidence: ClockCoincidence(device: right, hub: set),
                    origin: .set,
                    isClosed: false),
            ]
        }
        #expect(decide("2026-05-04T11:10:00", epochs: epochs(fast: 30)) == .held(.disagreeingEpochs))
        #expect(decide("2026-05-04T11:00:30", epochs: epochs(fast: 1)) == corrected("2026-05-04T09:00:30", epoch: 2))
        // Received a minute after the setting: the second time it shows 11:10 is still to come.
        #expect(
            decide("2026-05-04T11:10:00", received: "2026-05-04T09:01:00", epochs: epochs(fast: 30))
                == corrected("2026-05-04T08:40:00", epoch: 1))
    }

    @Test("R5 reset between two looks: what may be before or after is held, the rest is put right")
    func r5_clockReset() {
        let before = epoch(
            1, .first, start: "2026-04-01T12:00:00", latest: "2026-05-01T12:00:00", shows: "2026-05-01T12:00:00",
            at: "2026-05-01T10:00:00", closed: true)
        let after = epoch(
            2, .jump, start: "2010-01-02T00:00:00", latest: "2010-01-02T00:00:00", shows: "2010-01-02T00:00:00",
            at: "2026-05-04T10:00:00")
        #expect(decide("2010-01-01T12:00:00", epochs: [before, after]) == corrected("2026-05-03T22:00:00", epoch: 2))
        #expect(decide("2026-05-02T12:00:00", epochs: [before, after]) == corrected("2026-05-02T10:00:00", epoch: 1))
        #expect(decide("2026-05-05T12:00:00", epochs: [before, after]) == .held(.ahead))
        // Set by hand an hour ahead somewhere between the looks: both readings of the stamp are possible.
        let byHand = epoch(
            2, .jump, start: "2026-05-04T13:00:00", latest: "2026-05-04T13:00:00", shows: "2026-05-04T13:00:00",
            at: "2026-05-04T10:00:00")
        #expect(decide("2026-05-03T12:00:00", epochs: [before, byHand]) == .held(.disagreeingEpochs))
        #expect(decide("2026-05-01T12:00:00", epochs: [before, byHand]) == corrected("2026-05-01T10:00:00", epoch: 1))
    }

    @Test("R5 a coincidence from an unsynchronised hub waits, and is put right within its boot")
    func r5_unsynchronisedCoincidence() {
        var one = epoch(
            3, .first, start: nil, latest: "2026-05-04T12:00:00", shows: "2026-05-04T12:00:00", at: "2026-05-04T10:00:00")
        one.coincidence.hub = ClockReading(
            wall: utc("1970-01-01T00:01:00"), offsetMinutes: 60, monotonic: MonotonicTime(milliseconds: 60_000),
            boot: BootID(rawValue: "boot-b"), source: .unsynchronised)
        #expect(decide("2026-05-04T11:50:00", epochs: [one]) == .waitsForHubClock)
        let synced = ClockReading(
            wall: utc("2026-05-04T10:01:00"), offsetMinutes: 120, monotonic: MonotonicTime(milliseconds: 120_000),
            boot: BootID(rawValue: "boot-b"), source: .ntp)
        let decision = decideTime(
            of: record(stamp: face("2026-05-04T11:50:00")), received: synced, isFromStorage: false, isLiveWithoutStamp: true,
            epochs: [one], zone: Copenhagen())
        #expect(decision == corrected("2026-05-04T09:50:00", epoch: 3))
    }

    @Test("R5 when sync comes, a reading of the same boot is put right by the monotonic difference")
    func r5_putRight() {
        let early = look(utc("1970-01-01T00:00:30"), monotonic: 30_000, source: .unsynchronised)
        let synced = look(utc("2026-05-04T10:00:00"), monotonic: 90_000)
        let right = early.putRight(by: synced, zone: Copenhagen())
        #expect(
            right
                == ClockReading(
                    wall: utc("2026-05-04T09:59:00"), offsetMinutes: 120, monotonic: MonotonicTime(milliseconds: 30_000),
                    boot: BootID(rawValue: "boot-a"), source: .ntp))
        #expect(synced.putRight(by: look("2030-01-01T00:00:00"), zone: Copenhagen()) == synced)
        #expect(early.putRight(by: early, zone: Copenhagen()) == nil)
        #expect(
            early.putRight(by: look(utc("2026-05-04T10:00:00"), monotonic: 90_000, boot: "boot-b"), zone: Copenhagen()) == nil)
        // Across the spring change the offset is that of the moment itself.
        let winter = look(utc("1970-01-01T00:00:00"), monotonic: 0, source: .unsynchronised)
            .putRight(by: look(utc("2026-03-29T01:30:00"), monotonic: 3_600_000), zone: Copenhagen())
        #expect(winter?.offsetMinutes == 60)
    }

    @Test("R5 from storage, where the device says so or it cannot be excluded")
    func r5_storage() {
        func isStored(_ record: Measurement, asked: Bool = false, keeps: Bool = true, count: Int = 1) -> Bool {
            isTakenFromStorage(record, isStoredTransfer: asked, keepsRecords: keeps, recordsInTransfer: count)
        }
        #expect(!isStored(record()))
        #expect(isStored(record(), count: 2))
        #expect(!isStored(record(), keeps: false, count: 2))
        #expect(isStored(record(), asked: true, keeps: false))
        #expect(isStored(record(kind: .pulseOximetrySpot, status: [.fromStorage], statusBits: 0x200)))
        #expect(!isStored(record(kind: .pulseOximetrySpot, statusBits: 0x100), count: 2))
        #expect(isStored(record(kind: .pulseOximetrySpot), count: 2))
    }
}

@Suite struct ClockEpochTests {
    let first = epoch(
        1, .first, start: "2026-05-01T12:00:00", latest: "2026-05-01T12:00:00", shows: "2026-05-01T12:00:00",
        at: "2026-05-01T10:00:00")

    @Test("R5 a first look begins the first epoch; an invalid face or an unsynchronised hub says nothing")
    func r5_firstLook() {
        let change = observeClock(epochs: [], face: face("2026-05-01T12:00:00"), at: look("2026-05-01T10:00:00"))
        #expect(change.updated == nil)
        #expect(change.begun.map(\.origin) == [.first])
        #expect(observeClock(epochs: [], face: nil, at: look("2026-05-01T10:00:00")).isNone)
        #expect(observeClock(epochs: [], face: face("x"), at: look("2026-05-01T10:00:00")).isNone)
        #expect(
            observeClock(
                epochs: [], face: face("2026-05-01T12:00:00"), at: look("2026-05-01T10:00:00", source: .unsynchronised)
            ).isNone)
    }

    @Test(
        "R5 drift within the tolerance goes on, beyond it is a jump",
        arguments: [
            ("2026-05-01T12:00:00", "2026-05-01T10:00:00", false),
            // Two minutes at once, either way.
            ("2026-05-01T12:02:00", "2026-05-01T10:00:00", false), ("2026-05-01T12:02:01", "2026-05-01T10:00:00", true),
            ("2026-05-01T11:58:00", "2026-05-01T10:00:00", false), ("2026-05-01T11:57:59", "2026-05-01T10:00:00", true),
            // 30 s more for each day: ten days make seven minutes.
            ("2026-05-11T12:07:00", "2026-05-11T10:00:00", false), ("2026-05-11T12:07:01", "2026-05-11T10:00:00", true),
            // Never so much that summer time set by hand would pass, not even after a year.
            ("2027-05-01T12:25:00", "2027-05-01T10:00:00", false), ("2027-05-01T12:30:00", "2027-05-01T10:00:00", true),
            ("2010-01-01T00:00:30", "2026-05-02T10:00:00", true),
        ])
    func r5_driftTolerance(shows: String, at: String, jumps: Bool) {
        let change = observeClock(epochs: [first], face: face(shows), at: look(at))
        #expect(change.begun.map(\.origin) == (jumps ? [.jump] : []))
        #expect(change.updated?.isClosed == jumps)
        #expect(change.updated?.coincidence.device == face(jumps ? "2026-05-01T12:00:00" : shows))
    }

    @Test("R5 setting the clock closes the epoch at the face before it, and begins one at the face after")
    func r5_setting() {
        let change = clockWasSet(
            epochs: [first], before: face("2026-05-02T12:01:00"), after: face("2026-05-02T12:00:00"),
            at: look("2026-05-02T10:00:00"))
        #expect(change.updated?.isClosed == true)
        #expect(change.updated?.deviceLatest == face("2026-05-02T12:01:00"))
        #expect(change.begun.map(\.origin) == [.set])
        #expect(change.begun.first?.deviceStart == face("2026-05-02T12:00:00"))
        #expect(change.applied(to: [first]).map(\.isClosed) == [true, false])
    }

    @Test("R5 the face before the setting shows a jump: an epoch of its own, closed at once")
    func r5_settingAfterAJump() {
        let change = clockWasSet(
            epochs: [first], before: face("2010-01-01T00:10:00"), after: face("2026-05-02T12:00:00"),
            at: look("2026-05-02T10:00:00"))
        #expect(change.updated?.isClosed == true)
        #expect(change.begun.map(\.origin) == [.jump, .set])
        #expect(change.begun.map(\.isClosed) == [true, false])
    }

    @Test("R5 a clock that cannot be read ran on until it was set, as far as anyone knows")
    func r5_settingWithoutReading() {
        let change = clockWasSet(
            epochs: [first], before: nil, after: face("2026-05-02T12:05:00"), at: look("2026-05-02T10:00:00"))
        #expect(change.updated?.deviceLatest == face("2026-05-02T12:00:00"))
        #expect(change.begun.map(\.origin) == [.set])
        let fresh = clockWasSet(epochs: [], before: nil, after: face("2026-05-02T12:05:00"), at: look("2026-05-02T10:00:00"))
        #expect(fresh.updated == nil)
        #expect(fresh.begun.count == 1)
    }

    @Test("R5 an invalid face before the setting is a lost clock: nothing is claimed for the stretch since the last look")
    func r5_settingALostClock() {
        let change = clockWasSet(
            epochs: [first], before: face("none"), after: face("2026-05-02T12:00:00"), at: look("2026-05-02T10:00:00"))
        #expect(change.updated?.deviceLatest == first.deviceLatest)
        #expect(change.updated?.isClosed == true)
        #expect(change.begun.map(\.origin) == [.set])
    }
}
