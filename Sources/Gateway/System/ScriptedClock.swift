import Catalogue
import Synchronization
public import Vitals

/// A clock that a test moves: the machine's, shifted by what a small file says, which is read again at each look.
///
/// ```toml
/// offset_seconds = -1774000000   # added to the machine's wall clock
/// source = "unsynchronised"      # or ntp, https, declared
/// ```
///
/// Only where `[clock] script` names the file, which `config check` warns of: no environment variable can move a hub's clock. The
/// file must be replaced whole (written beside and renamed); while it is missing or not readable the last script holds.
/// The monotonic clock is the machine's own: it does not jump when the wall clock does, and that is what the tests look at.
public final class ScriptedClock: Vitals.Clock {
    struct Script: Equatable {
        var offset: Duration
        var source: ClockSource
    }

    private let machine: MachineClock
    private let zone: any Zone
    private let path: String
    private let last: Mutex<Script>

    public init(path: String, zone: any Zone = LibcZone()) {
        self.path = path
        self.zone = zone
        machine = MachineClock(zone: zone)
        last = Mutex(Script(offset: .zero, source: .unsynchronised))
    }

    public func now() -> ClockReading {
        let script = last.withLock { last in
            if let bytes = SmallFile.read(path), let read = Self.script(bytes, file: path) { last = read }
            return last
        }
        var reading = machine.now()
        reading.wall = reading.wall + script.offset
        reading.offsetMinutes = zone.offsetMinutes(at: reading.wall)
        reading.source = script.source
        return reading
    }

    static func script(_ bytes: [UInt8], file: String) -> Script? {
        let sheet = Sheet(bytes, file: file)
        let root = sheet.root
        // From the epoch to a century ahead, both ways.
        let offset = root.integer("offset_seconds", in: -6_000_000_000...6_000_000_000, required: true)
        let source = root.string("source", required: true).flatMap { ClockSource(rawValue: $0) }
        root.finish()
        guard sheet.problems.isEmpty, let offset, let source else { return nil }
        return Script(offset: .seconds(offset), source: source)
    }
}

extension Configuration.Clock {
    /// The clock that the daemon lives by.
    public func made() -> any Vitals.Clock {
        script.map { ScriptedClock(path: $0) } ?? MachineClock(isDeclared: isDeclared)
    }
}
