public import Vitals

/// A stretch of a device clock's life in which it ran without being set (R5). A set, a reset or a battery loss begins a new one.
public struct ClockEpoch: Hashable, Sendable {
    public var id: Int64
    /// The device clock's face when the epoch began, as far as known.
    public var deviceStart: LocalDateTime?
    /// The highest face seen in this epoch.
    public var deviceLatest: LocalDateTime
    /// Face and hub time at one moment: what a correction is computed from. From a synchronised hub clock, or put right later.
    public var coincidence: ClockCoincidence
    /// Why it began.
    public var origin: Origin
    /// Whether a later epoch has begun.
    public var isClosed: Bool

    public enum Origin: String, Hashable, Sendable, CaseIterable {
        /// The first look at this clock.
        case first
        /// We set it.
        case set
        /// It was found elsewhere than where it should have been: reset, battery loss, set by hand.
        case jump
    }

    public init(
        id: Int64, deviceStart: LocalDateTime?, deviceLatest: LocalDateTime, coincidence: ClockCoincidence, origin: Origin,
        isClosed: Bool
    ) {
        self.id = id
        self.deviceStart = deviceStart
        self.deviceLatest = deviceLatest
        self.coincidence = coincidence
        self.origin = origin
        self.isClosed = isClosed
    }
}
