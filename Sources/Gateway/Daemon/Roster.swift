import Bluetooth
import Catalogue
import Courier
import EventLoop
import Intake
import Journal
import Logging
import ServiceLifecycle
import Synchronization
import Vitals

/// Keeps a connection with each device that the hub knows, for as long as the hub knows it.
final class Roster: Service {
    private let journal: Journal
    private let intake: Intake
    private let catalogue: DeviceCatalogue
    private let loop: EventLoop
    private let gate: IntakeGate
    private let logger: Logger
    private let changed = Doorbell()

    /// A simulated device listens while it has something to say; looking for its socket costs one failing `connect`.
    private static let lookInterval = Duration.milliseconds(250)
    /// Between tries at a device that connects and gives no reading: as often as a person standing beside it would expect.
    private static let longestPause = Duration.seconds(60)
    /// After a failure of the journal itself: long enough not to spin on a broken disk, short against its repair.
    private static let journalPause = Duration.seconds(5)

    init(journal: Journal, intake: Intake, catalogue: DeviceCatalogue, loop: EventLoop, gate: IntakeGate, logger: Logger) {
        self.journal = journal
        self.intake = intake
        self.catalogue = catalogue
        self.loop = loop
        self.gate = gate
        self.logger = logger
    }

    /// A device was added, returned or forgotten.
    func ring() { changed.ring() }

    func run() async throws {
        try await withGracefulShutdownHandler {
            try await withThrowingDiscardingTaskGroup { group in
                var served: Set<Int64> = []
                while !Task.isShuttingDownGracefully, !Task.isCancelled {
                    let devices: [DeviceRecord]
                    do throws(JournalError) {
                        devices = try await journal.read { tx in try tx.devices() }
                    } catch {
                        // The journal reopens itself (R1); meanwhile no device is given up.
                        logger.note(.error, "devices not listed", .reason(error.what))
                        await changed.wait(atMost: Self.journalPause)
                        continue
                    }
                    for device in devices where device.state != .returned && !served.contains(device.id) {
                        guard let path = device.socketPath else { continue }
                        served.insert(device.id)
                        group.addTask { await self.serve(device.id, path: path) }
                    }
                    await changed.wait()
                }
                group.cancelAll()
            }
        } onGracefulShutdown: {
            self.changed.ring()
        }
    }

    /// Connects again and again while the device belongs to the hub.
    private func serve(_ id: Int64, path: String) async {
        var pause = Self.lookInterval
        while !Task.isCancelled {
            await gate.waitUntilOpen()
            let found: DeviceRecord?
            do throws(JournalError) {
                found = try await journal.read { tx in try tx.device(id: id) }
            } catch {
                logger.note(.error, "device not looked up", .device(id), .reason(error.what))
                try? await Task.sleep(for: Self.journalPause)
                continue
            }
            guard let device = found, device.state != .returned else { return }
            guard let model = catalogue[device.model] else {
                logger.note(.error, "device has no model in the catalogue", .device(id))
                return
            }
            if let bearer = try? await SocketBearer.connect(socketPath: path, loop: loop) {
                do throws(JournalError) {
                    let outcome = try await intake.run(bearer, device: device, model: model)
                    let isWell = !outcome.isWithoutReading || outcome.reason == .quiet || outcome.reason == .peerEnded
                    // Of a device that connects and fails, each try costs its battery and the hub's disk.
                    pause = isWell ? Self.lookInterval : min(max(pause * 2, .seconds(1)), Self.longestPause)
                } catch {
                    await bearer.close()
                    logger.note(.error, "transfer not begun", .device(id), .reason(error.what))
                }
            }
            try? await Task.sleep(for: pause)
        }
    }
}

/// Closed while the disk is full: a device that cannot be told "received" is not asked to spend its battery (R9).
final class IntakeGate: Sendable {
    private struct State {
        var isOpen = true
        var changed: @Sendable () -> Void = {}
        var waiters: [CheckedContinuation<Void, Never>] = []
    }
    private let state = Mutex(State())

    var isOpen: Bool { state.withLock(\.isOpen) }

    /// Called when it was opened or closed.
    func observe(_ changed: @escaping @Sendable () -> Void) { state.withLock { $0.changed = changed } }

    func close() {
        let changed = state.withLock { state in
            state.isOpen = false
            return state.changed
        }
        changed()
    }

    func open() {
        let (waiters, changed) = state.withLock { state in
            state.isOpen = true
            defer { state.waiters.removeAll() }
            return (state.waiters, state.changed)
        }
        for waiter in waiters { waiter.resume() }
        changed()
    }

    /// Returns at once while open; a cancelled task returns too.
    func waitUntilOpen() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let passes = state.withLock { state in
                    if state.isOpen || Task.isCancelled { return true }
                    state.waiters.append(continuation)
                    return false
                }
                if passes { continuation.resume() }
            }
        } onCancel: {
            let waiters = state.withLock { state in
                defer { state.waiters.removeAll() }
                return state.waiters
            }
            // The others look again and wait again.
            for waiter in waiters { waiter.resume() }
        }
    }
}

extension DeviceRecord {
    /// The named socket of a simulated device.
    var socketPath: String? { bearer.hasPrefix("socket:") ? String(bearer.dropFirst("socket:".count)) : nil }
}
