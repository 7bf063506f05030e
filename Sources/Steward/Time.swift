public import Vitals

/// When a record was measured, or why that is not known (R5).
public enum TimeDecision: Hashable, Sendable {
    /// The moment, how it was found, and the device clock's epoch that it was found by.
    case effective(MeasuredTime, TimeBasis, epoch: Int64?)
    /// Not guessed: the record is held `time-unknown`.
    case held(TimeHold)
    /// Decided as soon as the hub's clock is synchronised in this boot.
    case waitsForHubClock
}

/// Why a device's stamp cannot be trusted.
public enum TimeHold: String, Hashable, Sendable, CaseIterable {
    /// No stamp, an impossible one, or the device says that its clock is not set; and the record is not live.
    case unset
    /// More than ``TimeRule/ahead`` after the hub received it.
    case ahead
    /// The hour that autumn repeats: two moments show this face, and nothing is known of the device's clock.
    case repeatedHour = "repeated-hour"
    /// The hour that spring skips: no moment shows this face.
    case skippedHour = "skipped-hour"
    /// No epoch of the device's clock has this face in it.
    case betweenEpochs = "between-epochs"
    /// Several epochs have it, at different times.
    case disagreeingEpochs = "disagreeing-epochs"
    /// So old that a clock without date is the likelier cause.
    case implausible
}

/// The numbers of R5.
public enum TimeRule {
    /// A stamp may be ahead of its reception by this much: two clocks, each read to the minute, and one that nobody has looked at
    /// for some days.
    public static let ahead = Duration.seconds(5 * 60)
    /// Two epochs that give times this close agree. A minute is the resolution of most devices' clocks.
    public static let agreement = Duration.seconds(60)
    /// Where nothing shows that the clock held its date back then, a stamp this much older than its reception is held. Devices
    /// fall back to a date of their maker's (2000, 2010, ...) when they lose their battery; two years is longer than a pair of
    /// batteries lasts and shorter than any such date is away.
    public static let oldest = Duration.seconds(2 * 366 * 86_400)
    /// No personal health device of this kind kept time before.
    public static let firstPlausible = LocalDateTime(year: 2000, month: 1, day: 1, hour: 0, minute: 0, second: 0)
}

/// Whether a record comes from a device's memory and was not just taken.
///
/// A device says so itself (a from-storage bit, a Record Access Control Point procedure), or it cannot be excluded: a device that
/// keeps what it could not send, and has no such bit, may send any number of old records before the one just taken.
///
/// - Parameters:
///   - isStoredTransfer: it came by a request for stored records.
///   - keepsRecords: the model keeps records that it could not send.
///   - recordsInTransfer: how many the transfer has brought so far, this one counted. When the second comes, decide the first
///   again.
public func isTakenFromStorage(
    _ measurement: Measurement, isStoredTransfer: Bool, keepsRecords: Bool, recordsInTransfer: Int
) -> Bool {
    if isStoredTransfer || measurement.status.contains(.fromStorage) { return true }
    // The oximeter's measurement status has a from-storage bit, and here it is clear.
    if measurement.kind == .pulseOximetrySpot, measurement.statusBits != nil { return false }
    return keepsRecords && recordsInTransfer > 1
}

/// Finds when a record was measured (R5).
///
/// The PHD IG's table of time: a device clock on the current timeline is mapped to the hub's, one that is not is not used.
/// *Every* mapping goes through an epoch, also where the clocks agree to the second: one rule, and within the device's resolution
/// it changes nothing that matters.
///
/// For a boot that ended without a synchronised clock, call it again with the first synchronised look afterwards as `received`
/// and `isFromStorage` true: a stamp still counts, a reception does not.
///
/// - Parameters:
///   - isFromStorage: see ``isTakenFromStorage(_:isStoredTransfer:keepsRecords:recordsInTransfer:)``.
///   - isLiveWithoutStamp: the model sends a record without usable stamp right after it was taken.
///   - epochs: of the device's clock, oldest first.
///   - zone: where device and hub are.
///   - completeUntil: hub time at which the hub last had all that the device held. A record that is new was taken later, which
///   tells apart two
///     epochs that showed the same face: a device falls back to the same date with every battery.
public func decideTime(
    of measurement: Measurement, received: ClockReading, isFromStorage: Bool, isLiveWithoutStamp: Bool, epochs: [ClockEpoch],
    zone: some Zone, completeUntil: Instant? = nil
) -> TimeDecision {
    guard let stamp = measurement.usableStamp else {
        guard isLiveWithoutStamp, !isFromStorage else { return .held(.unset) }
        return received.isSynchronised ? .effective(received.measuredTime, .received, epoch: nil) : .waitsForHubClock
    }
    // Whether a stamp lies in the future can only be said by a clock that is right.
    guard received.isSynchronised else { return .waitsForHubClock }
    guard !epochs.isEmpty else { return localTime(of: stamp, received: received, zone: zone) }

    var right: [ClockEpoch] = []
    for epoch in epochs {
        guard let epoch = epoch.putRight(by: received, zone: zone) else { return .waitsForHubClock }
        right.append(epoch)
    }
    return correctedTime(of: stamp, received: received, epochs: right, zone: zone, completeUntil: completeUntil)
}

/// The stamp as local time, where nothing is known of the device's clock.
private func localTime(of stamp: LocalDateTime, received: ClockReading, zone: some Zone) -> TimeDecision {
    guard stamp.secondsSince1970 >= TimeRule.firstPlausible.secondsSince1970 else { return .held(.implausible) }
    let moments = zone.instants(showing: stamp)
    guard let moment = moments.first else { return .held(.skippedHour) }
    guard moments.count == 1 else { return .held(.repeatedHour) }
    guard moment.instant <= received.wall + TimeRule.ahead else { return .held(.ahead) }
    guard moment.instant >= received.wall - TimeRule.oldest else { return .held(.implausible) }
    return .effective(moment, .local, epoch: nil)
}

private func correctedTime(
    of stamp: LocalDateTime, received: ClockReading, epochs: [ClockEpoch], zone: some Zone, completeUntil: Instant?
) -> TimeDecision {
    let found = epochs.indices.filter { contains(stamp, epoch: $0, of: epochs) }
        .map { (epoch: epochs[$0], instant: epochs[$0].coincidence.instant(showing: stamp)) }
    guard !found.isEmpty else { return .held(.betweenEpochs) }
    // From before the first look at a clock: that it ran undisturbed back then is assumed, so not for years.
    let plausible = found.filter { epoch, instant in
        stamp.secondsSince1970 >= (epoch.deviceStart ?? stamp).secondsSince1970 || instant >= received.wall - TimeRule.oldest
    }
    // A new record was measured before it arrived and after all that came before: an epoch that puts it elsewhere is believed
    // only where no other has the stamp.
    let earliest = completeUntil.map { $0 - TimeRule.agreement } ?? Instant(milliseconds: .min)
    // Clocks show whole seconds or minutes: a record that was just taken may seem to come from a moment ahead.
    let latest = received.wall + TimeRule.agreement
    let possible = plausible.filter { $0.instant <= latest && $0.instant >= earliest }
    let past = possible.isEmpty ? plausible.filter { $0.instant <= latest } : possible
    let candidates = past.isEmpty ? plausible : past
    guard let newest = candidates.last else { return .held(.implausible) }
    guard candidates.allSatisfy({ abs(($0.instant - newest.instant).milliseconds) <= TimeRule.agreement.milliseconds }) else {
        return .held(.disagreeingEpochs)
    }
    guard newest.instant <= received.wall + TimeRule.ahead else { return .held(.ahead) }
    // To the whole second: a device's stamp has no more, and the hub's milliseconds would only look like precision.
    let second = Instant(seconds: Int64((Double(newest.instant.milliseconds) / 1_000).rounded()))
    return .effective(
        MeasuredTime(second, offsetMinutes: zone.offsetMinutes(at: second)), .corrected, epoch: newest.epoch.id)
}

/// Whether the device's clock may have shown the stamp during the epoch.
///
/// An epoch that the hub began by setting the clock has a known first face, one that it ended so a known last face. A jump
/// happened somewhere between two looks: a stamp in that stretch may belong to the epoch before or after, and is in both.
private func contains(_ stamp: LocalDateTime, epoch index: Int, of epochs: [ClockEpoch]) -> Bool {
    let epoch = epochs[index]
    let instant = epoch.coincidence.instant(showing: stamp)
    switch epoch.origin {
    case .first: break
    case .set:
        // A clock that stamps whole minutes stamps up to 59 s before the moment.
        let resolution: Int64 = stamp.second == 0 ? 59 : 0
        if let start = epoch.deviceStart, stamp.secondsSince1970 < start.secondsSince1970 - resolution { return false }
    case .jump:
        guard index > 0 else { break }
        let lastLook = epochs[index - 1].coincidence.instant(showing: epochs[index - 1].deviceLatest)
        if instant < lastLook - TimeRule.agreement { return false }
    }
    guard epoch.isClosed, stamp.secondsSince1970 > epoch.deviceLatest.secondsSince1970 else { return true }
    guard epochs.indices.contains(index + 1), epochs[index + 1].origin == .jump, let start = epochs[index + 1].deviceStart else {
        return false
    }
    return instant <= epochs[index + 1].coincidence.instant(showing: start) + TimeRule.agreement
}

extension Measurement {
    /// The device's own time as its user sees it, where it has a valid one and the device does not say that its clock is unset.
    var usableStamp: LocalDateTime? {
        guard let deviceTime, deviceTime.isValid, !isDeviceClockUnset else { return nil }
        guard let timeOffsetMinutes, timeOffsetMinutes != 0 else { return deviceTime }
        return LocalDateTime(secondsSince1970: deviceTime.secondsSince1970 + Int64(timeOffsetMinutes) * 60)
    }
}
