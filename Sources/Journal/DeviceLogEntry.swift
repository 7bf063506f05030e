public import Vitals

/// One line of the log of what happened with a device.
public struct DeviceLogEntry: Hashable, Sendable {
    public var device: Int64
    public var wall: Instant
    public var monotonic: MonotonicTime
    public var boot: BootID
    public var kind: Kind
    /// Codes, numbers of bytes, reasons; no health data.
    public var detail: String?

    public enum Kind: String, Hashable, Sendable, CaseIterable {
        /// It was heard in a look around, once before each link. The kernel, which connects by itself, tells of no advertising then,
        /// nor of the beginning of a connect.
        case found
        case connected
        case encrypted
        /// Its bond is durable.
        case paired
        case subscribed
        /// A record arrived.
        case frame
        case committed
        /// The word left (R1).
        case confirmed
        /// A link, a pairing or a commit was refused.
        case refused
        case clockRead = "clock-read"
        case clockSet = "clock-set"
        case identity
        case battery
        case note
        case error
        case disconnected
    }

    public init(device: Int64, kind: Kind, at clock: ClockReading, detail: String? = nil) {
        self.init(
            device: device, wall: clock.wall, monotonic: clock.monotonic, boot: clock.boot, kind: kind, detail: detail)
    }

    /// How long after its link's beginning each entry happened, by the monotonic clock; `nil` outside a link and where the beginning is
    /// not among the entries.
    ///
    /// - Parameter entries: of one device, in order. A link lasts from `connected` to `disconnected`.
    public static func timesInLink(of entries: [DeviceLogEntry]) -> [Duration?] {
        var start: DeviceLogEntry?
        return entries.map { entry in
            if entry.kind == .connected { start = entry }
            // The hub was restarted: the link ended with it, and monotonic times do not compare.
            if let began = start, began.boot != entry.boot { start = nil }
            defer { if entry.kind == .disconnected { start = nil } }
            return start.map { max(.zero, entry.monotonic - $0.monotonic) }
        }
    }

    init(device: Int64, wall: Instant, monotonic: MonotonicTime, boot: BootID, kind: Kind, detail: String?) {
        self.device = device
        self.wall = wall
        self.monotonic = monotonic
        self.boot = boot
        self.kind = kind
        self.detail = detail
    }
}
