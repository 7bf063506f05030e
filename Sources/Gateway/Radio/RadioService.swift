import Bluetooth
import Catalogue
import Courier
import Devices
import Intake
import Journal
import Logging
import Protocols
import ServiceLifecycle
import Synchronization
import Vitals

/// Serves the devices that are reached by radio: every link that comes up is one session of intake.
final class RadioService: Service {
    let radio: Radio
    private let journal: Journal
    private let intake: Intake
    private let catalogue: DeviceCatalogue
    private let gate: IntakeGate
    private let technician: Technician
    let keeper: AdapterGuard
    private let log: DeviceLog
    private let clock: any Vitals.Clock
    private let logger: Logger
    private let changed = Doorbell()
    private let devices = Mutex(RadioDevices())
    private let connected = Mutex<Set<Int64>>([])

    /// So often it is looked whether a verification has run out: a matter of half an hour.
    private static let look = Duration.seconds(60)
    /// Between two tries at a device that is dialled. A page takes up to 5 s of the radio, and such a device listens for minutes after
    /// a reading; with a pause twice as long most of the radio is left to the others.
    private static let dialPause = Duration.seconds(10)

    init(
        radio: Radio, journal: Journal, intake: Intake, catalogue: DeviceCatalogue, gate: IntakeGate, technician: Technician,
        keeper: AdapterGuard, log: DeviceLog, clock: any Vitals.Clock, logger: Logger
    ) {
        self.keeper = keeper
        self.radio = radio
        self.journal = journal
        self.intake = intake
        self.catalogue = catalogue
        self.gate = gate
        self.technician = technician
        self.log = log
        self.clock = clock
        self.logger = logger
        gate.observe { [changed] in changed.ring() }
    }

    /// A device was added, paired, returned or forgotten.
    func ring() { changed.ring() }

    /// Whether a session with the device is running.
    func isConnected(_ device: Int64) -> Bool { connected.withLock { $0.contains(device) } }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            await withDiscardingTaskGroup { group in
                // Keys go into an adapter before its power: the devices first.
                await self.serve()
                group.addTask { try? await self.keeper.run() }
                group.addTask { await self.keepServed() }
                group.addTask { await self.keepDialled() }
                for await event in self.radio.events {
                    await self.take(event, &group)
                    if Task.isCancelled { break }
                }
                group.cancelAll()
            }
        }
        await radio.close()
    }

    // MARK: Keeping it going

    private func keepServed() async {
        while !Task.isCancelled {
            await radio.hold(!gate.isOpen)
            await changed.wait(atMost: Self.look)
            await serve()
            do throws(JournalError) {
                _ = try await intake.desk.expireVerifications(clock.now())
            } catch {
                logger.note(.error, "verifications not looked at", .reason(error.what))
            }
        }
    }

    /// Bluetooth Classic has no auto-connect: a serial-port device is dialled until it answers, one at a time.
    private func keepDialled() async {
        while !Task.isCancelled {
            let known = devices.withLock { devices in devices.known.filter { $0.address.kind == .classic && !$0.keys.isEmpty } }
            for one in known where gate.isOpen && !devices.withLock({ $0.bondsLost.contains(one.address) }) {
                guard !Task.isCancelled, await radio.isReady else { break }
                do throws(DialError) {
                    let bearer = try await radio.dial(one.address)
                    await serve(bearer, at: one.address, nil, security: one.keys.security)
                } catch {
                    // That it does not answer is its usual state.
                    logger.note(.trace, "device not dialled", .reason("\(error)"))
                }
            }
            try? await Task.sleep(for: Self.dialPause)
        }
    }

    /// Hands the radio the devices as the journal has them now.
    private func serve() async {
        let catalogue = catalogue
        do throws(JournalError) {
            let found = try await journal.read { tx in try RadioDevices.read(tx, catalogue: catalogue) }
            let isNew = devices.withLock { devices in
                defer { devices = found }
                return devices.known != found.known || devices.bondsLost != found.bondsLost
            }
            if isNew { await radio.serve(found.known, bondsLost: found.bondsLost) }
        } catch {
            logger.note(.error, "devices not listed", .reason(error.what))
        }
    }

    private func device(_ address: DeviceAddress) -> DeviceRecord? { devices.withLock { $0.byAddress[address] } }

    // MARK: What the radio tells

    private func take(_ event: RadioEvent, _ group: inout DiscardingTaskGroup) async {
        switch event {
        case .adapterAdded(let index): logger.note(.info, "adapter added", .count(Int(index)))
        case .adapterRemoved(let index):
            logger.note(.warning, "adapter removed", .count(Int(index)))
            if !(await radio.isReady) {
                await keeper.lost(channel: false)
                await technician.hear(.adapterLost)
            }
        case .failed(let error):
            logger.note(.error, "radio failed", .reason("\(error)"))
            await keeper.lost(channel: true)
            await technician.hear(.adapterLost)
        case .kernelFault: await keeper.kernelFault()
        case .link(let link): group.addTask { await self.serve(link) }
        case .report(let index, let adapter, let report): await take(report, index: index, adapter: adapter)
        }
    }

    private func take(_ report: AdapterMachine.Report, index: UInt16, adapter: String?) async {
        await keeper.hear(report, of: index)
        switch report {
        case .ready: logger.note(.notice, "adapter ready", .count(Int(index)))
        case .unusable(let opcode, let status): logger.note(.error, "adapter unusable", .reason("\(opcode): \(status)"))
        case .lacks(let opcode, let status): logger.note(.debug, "adapter lacks", .reason("\(opcode): \(status)"))
        case .poweredOff:
            logger.note(.warning, "adapter powered off")
            await technician.hear(.adapterLost)
        case .unanswered(let opcode): logger.note(.error, "adapter does not answer", .reason("\(opcode)"))
        case .controllerError(let code): logger.note(.error, "controller error", .reason("hardware error \(code)"))
        case .found(let address, let rssi, let isConnectable, let data):
            note(.found, address, rssi.map { "\($0) dBm" })
            await technician.hear(
                .heard(
                    Advertiser(
                        address: address, rssi: rssi, isConnectable: isConnectable, advertising: AdvertisingData(parsing: data),
                        catalogue: catalogue)))
        case .connected(let address): note(.connected, address)
        case .disconnected(let address, let reason): note(.disconnected, address, "link: \(reason)")
        case .connectFailed(let address, let status): note(.error, address, "connect failed: \(status)")
        case .keyRefused(let address):
            note(.error, address, "the device refused the stored key")
            await tellTechnician(.keyRefused, address)
        case .bondLost(let address): await bondLost(address)
        case .pairing(let news): await technician.hear(.pairing(news), index: index, adapter: adapter)
        case .pairingRefused(let address):
            logger.note(.notice, "pairing refused")
            note(.refused, address, "it asked to pair outside a technician's window")
        case .passedOver(let address): note(.error, address, "heard, and not connected to")
        case .looked(let heard): logger.note(.debug, "looked around", .count(heard))
        }
    }

    private func note(_ kind: DeviceLogEntry.Kind, _ address: DeviceAddress, _ detail: String? = nil) {
        if let id = device(address)?.id { log.note(kind, id, detail) }
    }

    private func tellTechnician(_ news: DeviceNews, _ address: DeviceAddress) async {
        if let id = device(address)?.id { await technician.hear(.device(news), of: id) }
    }

    private func bondLost(_ address: DeviceAddress) async {
        guard let record = device(address) else { return }
        log.note(.error, record.id, "bond lost: the device refused the stored key twice")
        logger.note(.warning, "bond lost", .device(record.id))
        let now = clock.now().wall
        do throws(JournalError) {
            try await journal.write { tx in
                try tx.raise(
                    Condition(
                        .bondLost, subject: record.conditionSubject, since: now,
                        reason: "The device does not accept the key of its pairing any more."))
            }
        } catch {
            logger.note(.error, "condition not written", .reason(error.what))
        }
        await technician.hear(.device(.bondLost), of: record.id)
        ring()
    }

    // MARK: Links

    private func serve(_ link: RadioLink) async {
        // One that was paired a moment ago is in the journal already.
        if device(link.address) == nil { await serve() }
        guard device(link.address) != nil, gate.isOpen else {
            return await end(link.bearer, at: link.address, link.connection)
        }
        guard let (security, hasAskedMTU) = await link.secure() else {
            note(.error, link.address, "the link could not be encrypted")
            return await end(link.bearer, at: link.address, link.connection)
        }
        await serve(link.bearer, at: link.address, link.connection, security: security, hasAskedMTU: hasAskedMTU)
    }

    /// One session over a link whose security is known.
    private func serve(
        _ bearer: SocketBearer, at address: DeviceAddress, _ connection: Int?, security: LinkSecurity, hasAskedMTU: Bool = false
    ) async {
        guard let device = device(address), let model = catalogue[device.model] else {
            return await end(bearer, at: address, connection)
        }
        if security != .none { log.note(.encrypted, device.id, security.rawValue) }
        await radio.sessionBegan(address, connection: connection)
        connected.withLock { _ = $0.insert(device.id) }
        await technician.hear(.device(.connected(security)), of: device.id)
        do throws(JournalError) {
            _ = try await intake.run(bearer, device: device, model: model, security: security, hasAskedMTU: hasAskedMTU)
        } catch {
            logger.note(.error, "transfer not begun", .device(device.id), .reason(error.what))
        }
        connected.withLock { _ = $0.remove(device.id) }
        await end(bearer, at: address, connection)
        // What the session learnt of the device, its handles above all, is the next one's.
        await serve()
    }

    private func end(_ bearer: SocketBearer, at address: DeviceAddress, _ connection: Int?) async {
        await bearer.close()
        await radio.sessionEnded(address, connection: connection, bearer: bearer)
    }
}
