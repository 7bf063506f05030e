public import Vitals

/// A time in which somebody ordered a measurement.
public struct VKPSlot: Hashable, Sendable {
    /// The same on every hub and at every run: the order's id and the occurrence.
    public var id: String
    /// One reading of these in the slot is a measurement.
    public var kinds: Set<Reading.Kind>
    public var start: Instant
    public var end: Instant
    /// How long after the end nothing is said yet.
    public var grace: Duration

    public init(id: String, kinds: Set<Reading.Kind>, start: Instant, end: Instant, grace: Duration = .seconds(3_600)) {
        self.id = id
        self.kinds = kinds
        self.start = start
        self.end = end
        self.grace = grace
    }

    public var closes: Instant { end + grace }
}

/// What the hub knows of itself and of the device around a slot.
public struct VKPWatch: Hashable, Sendable {
    public struct Span: Hashable, Sendable {
        public var from: Instant
        public var until: Instant

        public init(from: Instant, until: Instant) {
            self.from = from
            self.until = until
        }
    }

    /// A reading of the slot's patient, wherever it is on its way: taken in, held, waiting for a receiver, delivered.
    public struct Taken: Hashable, Sendable {
        public var kind: Reading.Kind
        public var effective: Instant

        public init(_ kind: Reading.Kind, _ effective: Instant) {
            self.kind = kind
            self.effective = effective
        }
    }

    /// When the daemon ran and could store.
    public var hub: [Span]
    /// When its clock was synchronised.
    public var clock: [Span]
    /// When the radio was up and listening for the device.
    public var radio: [Span]
    /// When the device's memory was last read to its end; `nil` for a device that keeps none, of which nothing is ever said.
    public var memoryRead: Instant?
    public var readings: [Taken]
    /// Something of the device is not placed: a frame that cannot be decoded, a reading whose time or patient is not known.
    public var hasUnplaced: Bool

    public init(
        hub: [Span], clock: [Span], radio: [Span], memoryRead: Instant?, readings: [Taken] = [], hasUnplaced: Bool = false
    ) {
        self.hub = hub
        self.clock = clock
        self.radio = radio
        self.memoryRead = memoryRead
        self.readings = readings
        self.hasUnplaced = hasUnplaced
    }
}

/// Whether "measurement not reported" may be said of a slot.
///
/// Only where a measurement that was taken could not have been missed: hub, clock and radio were well from the slot's start to the
/// end of the grace, and the device's memory was read after the slot's end. Neither "not heard" nor "not uploaded" is "not
/// measured".
public enum VKPAbsence: Hashable, Sendable {
    /// There is a reading in it, whether uploaded or not.
    case measured
    /// Too early to say.
    case wait(until: Instant)
    /// It cannot be said, now or ever; asked again after a memory was read or something was placed.
    case unknown(Reason)
    case notMeasured

    public enum Reason: String, Hashable, Sendable, CaseIterable {
        case unplaced
        case hubAway = "hub-away"
        case clockUnsynchronised = "clock-unsynchronised"
        case radioDown = "radio-down"
        case memoryNotRead = "memory-not-read"
        /// The slot ends before it starts, or asks for nothing.
        case slot
    }

    public init(of slot: VKPSlot, watch: VKPWatch, now: Instant) {
        let isIn = { (time: Instant) in slot.start <= time && time <= slot.end }
        if watch.readings.contains(where: { slot.kinds.contains($0.kind) && isIn($0.effective) }) {
            self = .measured
        } else if slot.end < slot.start || slot.kinds.isEmpty {
            self = .unknown(.slot)
        } else if now < slot.closes {
            self = .wait(until: slot.closes)
        } else if watch.hasUnplaced {
            self = .unknown(.unplaced)
        } else if !Self.covers(watch.hub, slot) {
            self = .unknown(.hubAway)
        } else if !Self.covers(watch.clock, slot) {
            self = .unknown(.clockUnsynchronised)
        } else if !Self.covers(watch.radio, slot) {
            self = .unknown(.radioDown)
        } else if watch.memoryRead.map({ $0 < slot.end }) ?? true {
            self = .unknown(.memoryNotRead)
        } else {
            self = .notMeasured
        }
    }

    /// Whether the spans leave no gap from the slot's start to the end of its grace. Spans may touch and overlap.
    private static func covers(_ spans: [VKPWatch.Span], _ slot: VKPSlot) -> Bool {
        var reached = slot.start
        for span in spans.sorted(by: { $0.from < $1.from }) where span.from <= reached { reached = max(reached, span.until) }
        return reached >= slot.closes
    }
}
