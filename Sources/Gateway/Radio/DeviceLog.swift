import Courier
import Intake
import Journal
import Logging
import ServiceLifecycle
import Synchronization
import Vitals

/// The log of what happened with each device: collected here, written in batches, so that no entry costs a commit of its own and no
/// reading waits behind one (R1).
final class DeviceLog: Service {
    private let journal: Journal
    private let clock: any Vitals.Clock
    private let logger: Logger
    private struct State {
        var entries: [DeviceLogEntry] = []
        /// Heard since their last link: they advertise many times a second.
        var heard: Set<Int64> = []
    }
    private let waiting = Mutex(State())
    private let bell = Doorbell()

    /// Somebody who looks on sees an entry this late at most, and a power cut loses this much of a log, never of a reading.
    private static let interval = Duration.seconds(2)
    /// A session brings some thirty entries; a device that floods its notes is cut here, between two writes.
    private static let most = 1_000
    private static let batch = 100

    init(journal: Journal, clock: any Vitals.Clock, logger: Logger) {
        self.journal = journal
        self.clock = clock
        self.logger = logger
    }

    func note(_ kind: DeviceLogEntry.Kind, _ device: Int64, _ detail: String? = nil) {
        let entry = DeviceLogEntry(device: device, kind: kind, at: clock.now(), detail: detail)
        let isFirst = waiting.withLock { waiting in
            if kind == .connected { waiting.heard.remove(device) }
            if kind == .found, !waiting.heard.insert(device).inserted { return false }
            guard waiting.entries.count < Self.most else { return false }
            waiting.entries.append(entry)
            return waiting.entries.count == 1
        }
        if isFirst { bell.ring() }
    }

    func note(_ event: IntakeEvent) {
        guard let (device, kind, detail) = event.logEntry else { return }
        note(kind, device, detail)
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            while !Task.isCancelled {
                await self.bell.wait()
                try? await Task.sleep(for: Self.interval)
                await self.flush()
            }
        }
        await flush()
    }

    /// Writes what waits. For whoever is about to read the log.
    func flush() async {
        while case let entries = take(), !entries.isEmpty {
            do throws(JournalError) {
                try await journal.write { tx in try tx.appendLog(entries) }
            } catch {
                logger.note(.error, "device log not written", .reason(error.what), .count(entries.count))
                return
            }
        }
    }

    private func take() -> [DeviceLogEntry] {
        waiting.withLock { waiting in
            let entries = Array(waiting.entries.prefix(Self.batch))
            waiting.entries.removeFirst(entries.count)
            return entries
        }
    }
}

extension IntakeEvent {
    /// What stands of it in its device's log.
    fileprivate var logEntry: (device: Int64, kind: DeviceLogEntry.Kind, detail: String?)? {
        switch self {
        case .connected: nil
        case .enrolled(let device): (device, .identity, "enrolled")
        case .identified(let device): (device, .identity, nil)
        case .frame(let device, let bytes): (device, .frame, "\(bytes) bytes")
        case .committed(let device, let subject, let state, let took):
            (device, .committed, "\(subject.rawValue.prefix(8)) \(state.name) after \(took.milliseconds) ms")
        case .kept(let device, let reason): (device, .committed, "kept: \(reason)")
        case .confirmed(let device): (device, .confirmed, nil)
        case .suppressed(let device): (device, .committed, "a repeat, suppressed")
        case .commitRefused(let device, let reason, _): (device, .refused, "commit: \(reason)")
        case .clockRead(let device, let ahead):
            (device, .clockRead, ahead.map { "hub ahead by \($0.milliseconds / 1_000) s" } ?? "unset")
        case .clockSet(let device): (device, .clockSet, nil)
        case .subscribed(let device, let characteristic): (device, .subscribed, characteristic)
        case .battery(let device, let percent): (device, .battery, "\(percent) %")
        case .note(let device, let text): (device, .note, text)
        case .ended(let device, let readings, let reason): (device, .disconnected, "\(reason), \(readings) readings")
        }
    }
}
