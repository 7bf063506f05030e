public import Vitals

extension ClockReading {
    /// This look at the clock as it would have been with the wall clock right (R5): the wall time of a synchronised look in the
    /// same boot, moved by the monotonic time between the two.
    ///
    /// - Returns: itself where it was synchronised already; `nil` where the other is of another boot or vouches for nothing.
    public func putRight(by other: ClockReading, zone: some Zone) -> ClockReading? {
        if isSynchronised { return self }
        guard other.isSynchronised, other.boot == boot else { return nil }
        let wall = other.wall + (monotonic - other.monotonic)
        return ClockReading(
            wall: wall, offsetMinutes: zone.offsetMinutes(at: wall), monotonic: monotonic, boot: boot, source: other.source)
    }

    /// Time that passed from `earlier` to this look: monotonic within a boot, by the wall across boots.
    public func elapsed(since earlier: ClockReading) -> Duration {
        boot == earlier.boot ? monotonic - earlier.monotonic : wall - earlier.wall
    }
}

extension ClockCoincidence {
    /// The coincidence with its hub time put right; `nil` as in ``Vitals/ClockReading/putRight(by:zone:)``.
    public func putRight(by other: ClockReading, zone: some Zone) -> ClockCoincidence? {
        hub.putRight(by: other, zone: zone).map { ClockCoincidence(device: device, hub: $0) }
    }

    /// Hub time at which the device's clock showed `face`, if it ran undisturbed in between. Computed in elapsed device time, so
    /// no zone and no summer time takes part.
    func instant(showing face: LocalDateTime) -> Instant {
        hub.wall + .seconds(face.secondsSince1970 - device.secondsSince1970)
    }
}

extension ClockEpoch {
    /// The epoch with its coincidence put right; `nil` as in ``Vitals/ClockReading/putRight(by:zone:)``.
    public func putRight(by other: ClockReading, zone: some Zone) -> ClockEpoch? {
        guard let coincidence = coincidence.putRight(by: other, zone: zone) else { return nil }
        var epoch = self
        epoch.coincidence = coincidence
        return epoch
    }
}
