import CSystemd

/// What the service manager is told (sd_notify(3)). Without one (no `$NOTIFY_SOCKET`) nothing happens.
public struct SystemdNotifier: Sendable {
    public init() {}

    /// The daemon serves: commands are answered and devices are taken.
    public func ready(_ status: String) { send("READY=1\nSTATUS=\(Self.line(status))") }
    /// Shown by `systemctl status`; no health data, as everywhere.
    public func status(_ status: String) { send("STATUS=\(Self.line(status))") }
    public func stopping() { send("STOPPING=1") }
    /// Every loop has answered.
    public func alive() { send("WATCHDOG=1") }

    /// How often the manager wants ``alive()``, or `nil` where it does not watch this process (WatchdogSec=).
    public var watchdogInterval: Duration? {
        var microseconds: UInt64 = 0
        guard sd_watchdog_enabled(0, &microseconds) > 0 else { return nil }
        return .microseconds(Int64(clamping: microseconds))
    }

    private func send(_ state: String) { _ = sd_notify(0, state) }

    /// A line end would begin another assignment.
    private static func line(_ text: String) -> String { String(text.map { $0.isNewline ? " " : $0 }) }
}
