import CLinux
import Glibc
import Synchronization
public import Vitals

/// The machine's clocks (R5): CLOCK_REALTIME, CLOCK_BOOTTIME, the boot id, and what the kernel says of its synchronisation.
public final class MachineClock: Vitals.Clock {
    /// Something other than the kernel that vouches for the time.
    private struct Voucher {
        var source: ClockSource
        /// Added to the machine's wall clock: an HTTPS date may know better than a clock that nobody sets.
        var correction: Duration
    }

    private let zone: any Zone
    private let boot: BootID
    private let voucher: Mutex<Voucher?>

    /// - Parameter isDeclared: `[clock] declared` of the configuration.
    public init(zone: any Zone = LibcZone(), isDeclared: Bool = false) {
        self.zone = zone
        boot = BootID(rawValue: Machine.bootID)
        voucher = Mutex(isDeclared ? Voucher(source: .declared, correction: .zero) : nil)
    }

    /// Takes another source's word until the kernel has its own, or `nil` takes it back.
    ///
    /// - Parameter correction: what the source knows the machine's wall clock to be behind.
    public func vouch(_ source: ClockSource?, correction: Duration = .zero) {
        voucher.withLock { $0 = source.map { Voucher(source: $0, correction: correction) } }
    }

    public func now() -> ClockReading {
        let monotonic = MonotonicTime(milliseconds: Machine.milliseconds(of: CLOCK_BOOTTIME))
        var wall = Instant(milliseconds: Machine.milliseconds(of: CLOCK_REALTIME))
        var source = ClockSource.ntp
        if !Machine.isKernelClockSynchronised {
            let voucher = voucher.withLock(\.self)
            source = voucher?.source ?? .unsynchronised
            wall = wall + (voucher?.correction ?? .zero)
        }
        return ClockReading(
            wall: wall, offsetMinutes: zone.offsetMinutes(at: wall), monotonic: monotonic, boot: boot, source: source)
    }
}

/// A zone as libc knows it: `TZ`, else `/etc/localtime`. FoundationEssentials has none.
public struct LibcZone: Zone {
    public init() { tzset() }

    public func offsetMinutes(at instant: Instant) -> Int {
        // Rounded down, so that a moment before 1970 stays in its second.
        var seconds = time_t((Double(instant.milliseconds) / 1_000).rounded(.down))
        var fields = tm()
        guard localtime_r(&seconds, &fields) != nil else { return 0 }
        return fields.tm_gmtoff / 60
    }
}

/// What the kernel tells of this machine.
enum Machine {
    static func milliseconds(of clock: clockid_t) -> Int64 {
        var time = timespec()
        // Fails only for a clock that the kernel does not know, and both of ours are older than any that runs this.
        guard clock_gettime(clock, &time) == 0 else { return 0 }
        return Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000
    }

    /// `adjtimex` without STA_UNSYNC. A kernel that refuses to tell (some containers) counts as not synchronised.
    static var isKernelClockSynchronised: Bool {
        var state = timex()
        let result = adjtimex(&state)
        return result >= 0 && result != TIME_ERROR && state.status & STA_UNSYNC == 0
    }

    /// Of this boot; one made up for this process where /proc has none, so that two boots are never taken for one.
    static var bootID: String {
        let text = firstLine(of: "/proc/sys/kernel/random/boot_id")
        return text.isEmpty ? "process-\(getpid())-\(milliseconds(of: CLOCK_REALTIME))" : text
    }

    /// /etc/machine-id, or empty.
    static var id: String { firstLine(of: "/etc/machine-id") }

    private static func firstLine(of path: String) -> String {
        guard let bytes = SmallFile.read(path) else { return "" }
        return String(decoding: bytes.prefix { $0 != UInt8(ascii: "\n") }, as: UTF8.self)
    }
}
