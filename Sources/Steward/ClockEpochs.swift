public import Vitals

/// What a look at a device's clock, or a setting of it, does to the epochs that the hub keeps of it (R5).
public struct EpochChange: Hashable, Sendable {
    /// A stored epoch with new facts: extended or closed.
    public var updated: ClockEpoch?
    /// Epochs that began, oldest first; their `id` is 0 until the store gives one.
    public var begun: [ClockEpoch]

    public static let none = EpochChange(updated: nil, begun: [])
    public var isNone: Bool { updated == nil && begun.isEmpty }

    public init(updated: ClockEpoch?, begun: [ClockEpoch]) {
        self.updated = updated
        self.begun = begun
    }

    /// The epochs after the change, oldest first.
    public func applied(to epochs: [ClockEpoch]) -> [ClockEpoch] {
        epochs.map { epoch in
            if let updated, updated.id == epoch.id { updated } else { epoch }
        } + begun
    }
}

/// How far a device's clock may be from where it should be and still count as having run undisturbed.
///
/// Ours, not a standard's. 2 minutes: faces that show whole minutes (1 min) and a slow answer to the read. 30 s for each day
/// since the last look: a watch crystal is off by 20 parts in a million (1.7 s a day), cheap ones in the cold by up to 20 s a
/// day. Never more than 25 minutes, so that the smallest step of summer time anywhere (30 minutes, Lord Howe Island) is always
/// seen as a jump. A crystal that is worse begins epochs too often; the cost is a reading held now and then, not a wrong time. A
/// step below the tolerance is taken for drift, and the times since the look before are wrong by as little.
func driftTolerance(after elapsed: Duration) -> Duration {
    let days = Double(abs(elapsed.milliseconds)) / 86_400_000
    return min(.seconds(120) + .milliseconds(Int64(days * 30_000)), .seconds(25 * 60))
}

/// Files a look at a device's clock: the open epoch goes on with a fresher coincidence (which keeps drift out of later
/// corrections), or the clock is not where it should be and a new epoch began somewhere since the last look.
///
/// - Parameters:
///   - epochs: all of the device, oldest first.
///   - face: what the clock showed; `nil` or no valid time changes nothing.
///   - at: the hub's clock at that moment. Unsynchronised, it changes nothing: file the look again when it is put right.
public func observeClock(epochs: [ClockEpoch], face: LocalDateTime?, at now: ClockReading) -> EpochChange {
    guard let face, face.isValid, now.isSynchronised else { return .none }
    let look = ClockCoincidence(device: face, hub: now)
    guard var open = epochs.last, !open.isClosed else {
        return EpochChange(updated: nil, begun: [.begin(at: look, origin: epochs.isEmpty ? .first : .jump)])
    }
    guard ranUndisturbed(open, until: look) else {
        open.isClosed = true
        return EpochChange(updated: open, begun: [.begin(at: look, origin: .jump)])
    }
    open.coincidence = look
    open.deviceLatest = later(open.deviceLatest, face)
    return EpochChange(updated: open, begun: [])
}

/// Files that the hub set a device's clock: the open epoch ends there and a new one begins.
///
/// - Parameters:
///   - before: what it showed just before, as R5 demands; `nil` only where the device's clock cannot be read. It is filed as a
///   look
///     first, so a jump since the last look is not taken for part of the old epoch.
///   - after: what it was set to.
///   - at: the hub's clock at that moment.
public func clockWasSet(
    epochs: [ClockEpoch], before: LocalDateTime?, after: LocalDateTime, at now: ClockReading
) -> EpochChange {
    var change = observeClock(epochs: epochs, face: before, at: now)
    if let last = change.begun.indices.last {
        change.begun[last].isClosed = true
    } else if var open = change.updated ?? epochs.last(where: { !$0.isClosed }) {
        // A clock that cannot be read ran on until now, as far as anyone knows.
        if let face = before ?? open.expectedFace(at: now), face.isValid { open.deviceLatest = later(open.deviceLatest, face) }
        open.isClosed = true
        change.updated = open
    }
    change.begun.append(.begin(at: ClockCoincidence(device: after, hub: now), origin: .set))
    return change
}

private func ranUndisturbed(_ epoch: ClockEpoch, until look: ClockCoincidence) -> Bool {
    guard let expected = epoch.expectedFace(at: look.hub) else {
        // The epoch's own coincidence was never put right: all that can be said is that the clock did not go back.
        return look.device.secondsSince1970 >= epoch.deviceLatest.secondsSince1970
    }
    let off = Duration.seconds(abs(look.device.secondsSince1970 - expected.secondsSince1970))
    return off <= driftTolerance(after: look.hub.elapsed(since: epoch.coincidence.hub))
}

func later(_ left: LocalDateTime, _ right: LocalDateTime) -> LocalDateTime {
    left.secondsSince1970 < right.secondsSince1970 ? right : left
}

extension ClockEpoch {
    static func begin(at look: ClockCoincidence, origin: Origin) -> ClockEpoch {
        ClockEpoch(
            id: 0, deviceStart: look.device, deviceLatest: look.device, coincidence: look, origin: origin, isClosed: false)
    }

    /// What the clock should show now; `nil` where the hub's times do not compare.
    func expectedFace(at now: ClockReading) -> LocalDateTime? {
        guard coincidence.hub.boot == now.boot || (coincidence.hub.isSynchronised && now.isSynchronised) else { return nil }
        let seconds = now.elapsed(since: coincidence.hub).milliseconds / 1_000
        return LocalDateTime(secondsSince1970: coincidence.device.secondsSince1970 + seconds)
    }
}
