public import Catalogue
public import Devices
public import Journal
public import Protocols
public import Vitals

/// Takes readings in: the one place that commits and then gives a device its word (R1).
public struct Intake: Sendable {
    private let journal: Journal
    private let clock: any Clock
    private let registrar: Registrar
    private let catalogue: DeviceCatalogue
    private let report: @Sendable (IntakeEvent) -> Void

    public init(
        journal: Journal, catalogue: DeviceCatalogue, clock: any Clock, zone: any Zone, settings: IntakeSettings,
        report: @escaping @Sendable (IntakeEvent) -> Void
    ) {
        self.journal = journal
        self.clock = clock
        self.catalogue = catalogue
        self.report = report
        registrar = Registrar(settings: settings, catalogue: catalogue, zone: zone)
    }

    /// A person's decisions and those that wait for the hub's clock.
    public var desk: Desk { Desk(journal: journal, clock: clock, registrar: registrar) }

    /// Runs one connection until the link has ended.
    ///
    /// - Parameter security: what the link achieved; recorded with the transfer and the device. A radio link in clear is ended before
    ///   anything is asked of the device, unless the model's entry allows it.
    /// - Throws: `JournalError` where the transfer could not even be begun; what fails later is withheld from the device and reported.
    public func run(
        _ bearer: any Bearer, device: DeviceRecord, model: Model, security: LinkSecurity = .local, hasAskedMTU: Bool = false
    ) async throws(JournalError) -> SessionOutcome {
        let link = DeviceLink(
            bearer: bearer, device: device, model: model, security: security, hasAskedMTU: hasAskedMTU, journal: journal,
            clock: clock,
            registrar: registrar, report: report)
        return try await link.run()
    }
}

extension SessionOutcome.Reason {
    /// A code for log and journal.
    public var name: String {
        switch self {
        case .quiet: "quiet"
        case .peerEnded: "peer-ended"
        case .linkLost: "link-lost"
        case .timeout: "timeout"
        case .refused: "refused"
        case .protocolError(let fault):
            switch fault {
            case .discovery: "discovery-failed"
            case .noDataCharacteristic: "no-data-characteristic"
            case .insecure: "insecure"
            case .flood: "flood"
            }
        }
    }
}

extension SessionNote {
    /// For the device's log: codes and numbers, no health data.
    public var text: String {
        switch self {
        case .mtu(let bytes): "mtu \(bytes)"
        case .malformed(let error): "malformed PDU: \(error)"
        case .peerRequest(let opcode): "request of the peer refused: opcode \(opcode)"
        case .discovered(let services): "discovered \(services) services"
        case .handleMapStale(let why): "handle map stale: \(why.rawValue)"
        case .subscribed(let uuid): "subscribed \(uuid)"
        case .failed(let procedure, let failure): "failed \(procedure): \(failure)"
        case .absent(let uuid): "absent \(uuid)"
        case .features(let characteristic, let bytes): "features \(characteristic.hex4) \(bytes.hex)"
        case .clockNotSetUnsynchronised: "device clock not set: the hub's own is not synchronised"
        case .records(let outcome): "records: \(outcome)"
        case .recordsTimedOut: "records timed out"
        case .deleteWithheld: "delete withheld: the counts differ"
        case .repeated: "indication repeated before its confirmation"
        case .unrecognized(let handle): "value of the unknown handle \(handle)"
        case .serial(let procedure, let failure): "\(failure.rawValue): \(procedure.rawValue)"
        case .noise(let bytes): "\(bytes) bytes belong to nothing"
        case .damaged(let bytes): "packet of \(bytes) bytes damaged"
        case .commitRefused: "commit refused: the word is withheld"
        }
    }
}

extension JournalError {
    /// The disk is full: room may come back.
    var isFull: Bool { if case .full = self { true } else { false } }
}
