/// How the hub knows what time it is.
public enum ClockSource: String, Hashable, Sendable {
    /// Nothing vouches for the wall clock.
    case unsynchronised
    /// The kernel says that its clock is disciplined (`adjtimex` without STA_UNSYNC).
    case ntp
    /// Two agreeing dates of authenticated HTTPS answers, where NTP is blocked.
    case https
    /// A technician declared the clock good; audited.
    case declared

    public var isSynchronised: Bool { self != .unsynchronised }
}

/// One look at the hub's clocks: wall, monotonic and boot together (R5).
public struct ClockReading: Hashable, Sendable {
    public var wall: Instant
    /// The zone's offset from UTC at `wall`, in minutes.
    public var offsetMinutes: Int
    public var monotonic: MonotonicTime
    /// The kernel's boot id: monotonic times compare only within one boot.
    public var boot: BootID
    public var source: ClockSource

    public init(wall: Instant, offsetMinutes: Int, monotonic: MonotonicTime, boot: BootID, source: ClockSource) {
        self.wall = wall
        self.offsetMinutes = offsetMinutes
        self.monotonic = monotonic
        self.boot = boot
        self.source = source
    }

    public var isSynchronised: Bool { source.isSynchronised }
    public var measuredTime: MeasuredTime { MeasuredTime(wall, offsetMinutes: offsetMinutes) }
}

public struct BootID: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
}

/// Where the time comes from: the machine in production, a script in demo and tests.
public protocol Clock: Sendable {
    func now() -> ClockReading
}

/// A time zone as far as pure code needs it: the offset at a moment.
///
/// FoundationEssentials has no zones (measured); production asks libc's `localtime_r`.
public protocol Zone: Sendable {
    /// Minutes east of UTC that hold at the moment.
    func offsetMinutes(at instant: Instant) -> Int
}

extension Zone {
    /// Every moment at which a clock on the wall in this zone shows `local`: none in the hour that spring skips, two in the hour
    /// that autumn repeats.
    public func instants(showing local: LocalDateTime) -> [MeasuredTime] {
        let face = Instant(seconds: local.secondsSince1970)
        // Offsets reach from -12:00 to +14:00, so the moment lies within a day on either side.
        let offsets = Set([face - .seconds(86_400), face, face + .seconds(86_400)].map { offsetMinutes(at: $0) })
        return offsets.map { MeasuredTime(face - .seconds($0 * 60), offsetMinutes: $0) }
            .filter { offsetMinutes(at: $0.instant) == $0.offsetMinutes }
            .sorted { $0.instant < $1.instant }
    }
}

/// A zone whose offset never changes.
public struct FixedZone: Zone {
    public let minutes: Int
    public init(minutes: Int) { self.minutes = minutes }
    public func offsetMinutes(at instant: Instant) -> Int { minutes }
}
