import Bluetooth
import Catalogue
import Courier
import Destinations
import EventLoop
import Glibc
import HTTP
import HubAPI
import Intake
import Journal
import Logging
import ServiceLifecycle
import Steward
import Vitals

/// The daemon: every part made once and given what it needs, then run until the service manager says stop.
public struct Daemon: Sendable {
    private let configuration: Configuration
    private let logger: Logger

    public init(_ configuration: Configuration) {
        self.configuration = configuration
        logger = Logger(label: "vitalgate")
    }

    /// Release of schema, protocol and program.
    public static let version = "0.1.0"

    /// Runs until SIGTERM or SIGINT.
    ///
    /// - Throws: ``HubAPI/OperationError`` with what, why, remedy and exit code where it cannot start.
    public func run() async throws {
        ProcessProtection.engage()
        let notifier = SystemdNotifier()
        let parts = try await DaemonParts(configuration, logger: logger)
        let logger = logger
        let control = ControlServer(
            path: configuration.hub.controlSocket, operations: parts.operations, logger: Logger(label: "control"),
            started: {
                notifier.ready("serving")
                logger.note(.notice, "daemon ready", .version(Daemon.version))
                StartUpCode.release()
            })
        try Directory.make(parentOf: configuration.hub.controlSocket, mode: 0o750)
        var services: [any Service] = [parts.courier, parts.roster, parts.log, parts.citizens, parts.absences]
        if let radio = parts.radio { services.append(radio) }
        if let technician = parts.technician { services.append(technician) }
        if let capture = parts.capture { services.append(capture) }
        services += [
            parts.clockWatch, parts.housekeeping,
            Watchdog(notifier: notifier, loops: parts.loops, journal: parts.journal, logger: logger), control,
        ]
        services += parts.heartbeats
        if let relay = configuration.relay {
            try Directory.make(parentOf: relay.socket, mode: 0o750)
            services += [
                HubWatch(relay: relay, journal: parts.journal, clock: parts.clock, logger: logger),
                RelayServer(
                    path: relay.socket,
                    operations: RelayDesk(
                        relay, journal: parts.journal, courier: parts.courier, desk: parts.operations.desk, gate: parts.gate,
                        clock: parts.clock, logger: logger), logger: Logger(label: "relay")),
            ]
        }
        let group = ServiceGroup(
            configuration: .init(
                services: services.map { .init(service: $0) },
                gracefulShutdownSignals: [.sigterm, .sigint], logger: Logger(label: "lifecycle")))
        defer { notifier.stopping() }
        do {
            try await group.run()
        } catch {
            await parts.close()
            throw error
        }
        await parts.close()
        logger.note(.notice, "daemon stopped")
    }
}

/// Everything the daemon is made of.
struct DaemonParts {
    let journal: Journal
    let courier: Courier
    let roster: Roster
    /// `nil` where the configuration says that the radio is off.
    let radio: RadioService?
    let technician: Technician?
    let capture: CaptureService?
    let log: DeviceLog
    let citizens: Citizens
    let absences: AbsenceWatch
    let heartbeats: [Heartbeat]
    let gate: IntakeGate
    let clock: any Vitals.Clock
    let operations: Operations
    let clockWatch: ClockWatch
    let housekeeping: Housekeeping
    let loops: [EventLoop]

    init(_ configuration: Configuration, logger: Logger) async throws {
        let faults = configuration.test.allowsFaults ? Fault.fromEnvironment : nil
        let clock = configuration.clock.made()
        let zone = LibcZone()
        let catalogue = try DeviceCatalogue.loadOrExplain(configuration.hub.devicesDirectory)
        let journal = try await Self.openJournal(configuration, fault: faults)
        let radio = try EventLoop.made("vg-radio")
        let (receivers, receiverLoops) = try Self.receivers(configuration, journal: journal, clock: clock, fault: faults)
        let courier = Courier(journal: journal, receivers: receivers, clock: clock) { EventLog.note($0, logger) }
        let alarm = SpaceAlarm()
        let log = DeviceLog(journal: journal, clock: clock, logger: logger)
        let hearing = Hearing()
        let intake = Intake(
            journal: journal, catalogue: catalogue, clock: clock, zone: zone,
            settings: IntakeSettings(
                ranges: configuration.programme.bounds.map {
                    ValueRange(name: $0.name, unit: $0.unit, low: $0.low, high: $0.high)
                },
                channel: { courier.channel(of: $0, for: $1) }, confirmsBeforeCommit: faults == .confirmBeforeCommit)
        ) { event in
            EventLog.note(event, logger)
            log.note(event)
            hearing.hear(event)
            if event.isWork { courier.ring() }
            if case .commitRefused(_, _, isFull: true) = event { alarm.ring() }
        }
        let gate = IntakeGate()
        self.gate = gate
        self.clock = clock
        heartbeats = receivers.compactMap { receiver in
            configuration.receivers.first { $0.name == receiver.name }?.heartbeatMinutes.flatMap {
                Heartbeat(receiver, every: .seconds($0 * 60), clock: clock)
            }
        }
        let roster = Roster(
            journal: journal, intake: intake, catalogue: catalogue, loop: radio, gate: gate, logger: logger)
        try await Self.prepare(journal, configuration: configuration, clock: clock)
        if configuration.bluetooth.isEnabled {
            var trace: (@Sendable (String) -> Void)?
            if logger.logLevel <= .trace { trace = { text in logger.note(.trace, "management", .reason(text)) } }
            let adapters = Radio(loop: radio, adapters: Set(configuration.bluetooth.adapters), trace: trace) {
                clock.now().monotonic
            }
            let technician = Technician(
                journal: journal, radio: adapters, desk: intake.desk, catalogue: catalogue, clock: clock, courier: courier,
                hearing: hearing, log: log, logger: logger)
            self.technician = technician
            // Files of the machine, and the capture's: neither has a device waiting for it.
            let files = try EventLoop.made("vg-adapter")
            capture = CaptureService(
                journal: journal, monitor: RadioMonitor(loop: radio), lowBytes: configuration.storage.lowMegabytes << 20,
                alarm: alarm, clock: clock, files: files, logger: logger)
            self.radio = RadioService(
                radio: adapters, journal: journal, intake: intake, catalogue: catalogue, gate: gate, technician: technician,
                keeper: AdapterGuard(
                    radio: adapters, wanted: configuration.bluetooth.adapters, journal: journal, clock: clock,
                    files: files, logger: logger),
                log: log, clock: clock, logger: logger)
        } else {
            self.technician = nil
            capture = nil
            self.radio = nil
        }
        self.log = log
        citizens = Citizens(
            receivers: receivers.compactMap { receiver in
                (receiver.desks as? FUTReceiver).map { ($0, configuration.way(of: receiver.name)) }
            },
            courier: courier, logger: logger)
        absences = AbsenceWatch(
            watchmen: receivers.compactMap { receiver in
                guard (receiver.destination as? VKPDestination)?.vkp.saysNotReported == true else { return nil }
                return VKPWatchman(receiver, journal: journal, clock: clock, zone: zone) { catalogue[$0]?.ability }
            },
            journal: journal, radio: self.radio, clock: clock, logger: logger)
        if let count = try? await intake.desk.decodeAgain(), count > 0 {
            logger.note(.notice, "stored frames decoded by this release", .count(count))
        }
        self.journal = journal
        self.courier = courier
        self.roster = roster
        clockWatch = ClockWatch(
            clock: clock, journal: journal, desk: intake.desk, courier: courier,
            patience: .seconds(Int64(configuration.clock.unsynchronisedMinutes) * 60), logger: logger)
        housekeeping = Housekeeping(
            journal: journal, storage: configuration.storage, gate: gate, alarm: alarm, capture: capture, clock: clock,
            logger: logger)
        operations = Operations(
            journal: journal, courier: courier, desk: intake.desk, roster: roster, radio: self.radio,
            technician: self.technician, capture: capture, log: log, citizens: citizens,
            helseIDs: receivers.compactMap { $0.desks as? HelseIDReceiver },
            hubs: configuration.relay?.hubs ?? [],
            asked: configuration.receivers.filter { $0.kind == .vkp }.map(\.name), alarm: alarm, catalogue: catalogue,
            clock: clock, zone: zone)
        loops = [radio] + receiverLoops
    }

    func close() async {
        await courier.close()
        await journal.close()
    }

    static func openJournal(_ configuration: Configuration, fault: Fault? = nil) async throws -> Journal {
        let directory = configuration.hub.stateDirectory
        try Directory.make(directory, mode: 0o700)
        do throws(JournalError) {
            let key: KeySource?
            switch configuration.keys {
            case .file(let path): key = .file(path)
            case .credential(let name): key = try .systemdCredential(named: name)
            }
            if let key { return try await open(key, configuration, fault) }
        } catch {
            throw OperationError(error)
        }
        throw OperationError(
            "The hub cannot open its journal.", why: "The service manager gave no credential as [keys] asks for.",
            remedy: "Run it as a service (systemd/vitalgate.service), or set [keys] file in the configuration.", exitCode: 78)
    }

    private static func open(
        _ key: KeySource, _ configuration: Configuration, _ fault: Fault?
    ) async throws(JournalError) -> Journal {
        try await Journal.open(
            JournalOptions(
                path: configuration.hub.stateDirectory + "/vitalgate.db", key: key,
                ballastBytes: configuration.storage.ballastMegabytes << 20, maxPageCount: configuration.storage.maximumPages,
                breaksDurability: fault == .synchronousOff))
    }

    private static func receivers(
        _ configuration: Configuration, journal: Journal, clock: any Vitals.Clock, fault: Fault?
    ) throws -> ([Receiver], [EventLoop]) {
        var receivers: [Receiver] = []
        var loops: [EventLoop] = []
        var clients = HelseIDClients()
        let gateway = GatewayIdentity(
            systemID: HubIdentity.systemID(configuration.hub),
            instance: HubIdentity.instance ?? "00000000-0000-8000-8000-000000000000", softwareVersion: Daemon.version)
        for receiver in configuration.receivers {
            // Switched off: its readings are owed to nobody.
            if case .vkp(nil)? = receiver.norway?.service { continue }
            // A loop each: a name look-up that hangs at one receiver delays no other (R6).
            let loop = try EventLoop.made("vg-" + receiver.name.prefix(11))
            loops.append(loop)
            receivers.append(
                try Receiver(
                    receiver, gateway: gateway, loop: loop, journal: journal, clock: clock, fault: fault,
                    keeper: try clients.keeper(of: receiver, journal: journal, clock: clock)))
        }
        return (receivers, loops + clients.loops)
    }

    /// What an earlier run left open, and the devices that the configuration names.
    private static func prepare(_ journal: Journal, configuration: Configuration, clock: any Clock) async throws {
        let now = clock.now()
        let isKeyInFile = journal.keyProtection == .file
        do throws(JournalError) {
            try await journal.write { tx in
                try tx.endOpenTransfers(outcome: "daemon-ended", at: now)
                if isKeyInFile {
                    try tx.raise(
                        Condition(
                            .noKeyProtection, subject: "hub", since: now.wall,
                            reason: "The key lies in a file beside the data."))
                } else {
                    try tx.clear(.noKeyProtection, subject: "hub")
                }
                // Also one that was returned: what a person gave back does not come again with each start.
                for device in configuration.devices where try tx.device(named: device.name) == nil {
                    try tx.addDevice(device, at: now.wall)
                }
            }
        } catch {
            throw OperationError(error)
        }
    }
}

extension Model {
    /// What may be said of a device of this model that told nothing.
    fileprivate var ability: VKPWatchman.Ability {
        let measures: Set<Reading.Kind> =
            switch driver {
            case .bloodPressure: [.bloodPressure, .pulseRate]
            case .pulseOximeter, .noninSerial: [.oxygenSaturation, .pulseRate]
            }
        return VKPWatchman.Ability(measures: measures, keepsMemory: records != .none)
    }
}

/// A promise broken on purpose, for controls that must fail; only with `[test] faults = true`.
enum Fault: String {
    case confirmBeforeCommit = "confirm-before-commit"
    case synchronousOff = "synchronous-off"
    case useBeforeDurable = "use-before-durable"

    static var fromEnvironment: Fault? { getenv("VITALGATE_FAULT").flatMap { Fault(rawValue: String(cString: $0)) } }
}

extension Transaction {
    /// A device that the configuration names. One that is reached by radio is still to be paired, and to prove itself (R4).
    func addDevice(_ device: Configuration.Device, at now: Instant) throws(JournalError) {
        let state: DeviceRecord.State
        switch device.bearer {
        case .socket: state = .verified
        case .address: state = .provisioning
        }
        _ = try addDevice(
            name: device.name, model: device.model.id, bearer: "\(device.bearer)", state: state, at: now)
    }
}

extension EventLoop {
    static func made(_ name: String) throws(OperationError) -> EventLoop {
        do throws(EventLoopError) {
            return try EventLoop(name: name)
        } catch {
            throw OperationError(
                "The daemon cannot start.", why: "The system gave no thread or descriptor (\(error.call), error \(error.code)).",
                remedy: "Raise the service's limits (LimitNOFILE, TasksMax).", exitCode: 70)
        }
    }
}

extension OperationError {
    init(_ error: JournalError) {
        self.init(error.what, why: error.why, remedy: error.remedy, exitCode: Int(error.exitCode))
    }
}
