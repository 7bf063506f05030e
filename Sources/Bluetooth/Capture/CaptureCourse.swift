public import Vitals

/// When a technician's capture of the radio ends, and when what it kept is deleted. Decided without a radio and without a file.
public struct CaptureCourse: Hashable, Sendable {
    /// How long one may last. The longest thing to look at is a device that connects once in a while: an hour.
    public static let minutes = 1...60
    public static let defaultMinutes = 10

    /// Bytes of the file. A cuff's whole session is some 20 kB; ten devices that connect at once 200 kB; a look around hears some 30
    /// advertisements a second at 100 bytes with its header: 11 MB an hour.
    public static let mostBytes = 16 << 20

    /// How long a capture is kept after its end, so that a technician who is called the next morning can still fetch it: 24 h of 3,600 s.
    public static let keeping = Duration.seconds(24 * 3_600)

    /// Bytes that are sealed and written at once: a write of 64 kB into the page cache takes far less than a millisecond.
    public static let blockBytes = 64 << 10
    /// So often what was heard is written, however little. A power cut loses no more.
    public static let interval = Duration.seconds(1)

    public enum End: String, Hashable, Sendable, CaseIterable {
        /// A person said so.
        case stopped
        /// Its minutes are over.
        case time
        /// Its file is full.
        case size
        /// The disk fills (R9).
        case storage
        /// The kernel's channel or the file failed.
        case failed
        /// The daemon ended.
        case restart
    }

    public enum State: Hashable, Sendable {
        case none
        case running(since: ClockReading, until: MonotonicTime)
        /// - Parameter known: when this daemon learnt of it.
        case kept(ended: ClockReading, End, known: ClockReading)
    }

    public enum Action: Hashable, Sendable {
        case end(End)
        case delete
    }

    public private(set) var state = State.none

    public init() {}

    public var isRunning: Bool { if case .running = state { true } else { false } }

    public mutating func start(minutes: Int, at now: ClockReading) {
        let minutes = min(max(minutes, Self.minutes.lowerBound), Self.minutes.upperBound)
        state = .running(since: now, until: now.monotonic + .seconds(minutes * 60))
    }

    public mutating func end(_ end: End, at now: ClockReading) { state = .kept(ended: now, end, known: now) }

    /// One that an earlier run of the daemon left, ended or interrupted.
    public mutating func found(ended: ClockReading, _ end: End, at now: ClockReading) {
        state = .kept(ended: ended, end, known: now)
    }

    public mutating func deleted() { state = .none }

    /// What is due.
    public func due(at now: ClockReading) -> Action? {
        guard let left = left(at: now), left <= .zero else { return nil }
        return isRunning ? .end(.time) : .delete
    }

    /// How long until something is due; `nil` where there is no capture.
    ///
    /// A running one is timed by the monotonic clock, and so is a kept one within the boot of its end. After a restart of the machine only the
    /// wall clock has an opinion, and it may be wrong in both directions: one that lies before the end counts as the end, and in any case
    /// it is no longer kept than ``keeping`` from when the daemon found it.
    public func left(at now: ClockReading) -> Duration? {
        switch state {
        case .none: return nil
        case .running(_, let until): return until - now.monotonic
        case .kept(let ended, _, let known):
            if ended.boot == now.boot { return Self.keeping - (now.monotonic - ended.monotonic) }
            return Self.keeping - max(now.wall - ended.wall, now.monotonic - known.monotonic, .zero)
        }
    }
}
