public import Protocols
public import Vitals

/// One Bluetooth adapter, decided without touching it: what to tell the kernel's management interface, and what its events mean.
///
/// Design constraints, all read in the kernel's source (6.1) or tried on it:
/// - keys are loaded before the adapter is powered, each list whole, for every load replaces what was there; identity resolving
///   keys always, even none, or peers are never asked for theirs;
/// - a link that an earlier process left is ended first: its unconfirmed indication comes again on a fresh one (R1);
/// - pairing happens in a ``PairingWindow`` only; whatever else asks to pair is refused, and keys that come of it are forgotten;
/// - when its link ends the device is only listened for during its model's cool-down, or a cuff that advertises on is connected
///   without end. One that is back before that was done is served: its link is its own, and not ended for the one before;
/// - no device is removed while a connect to it may be in the making (``attempt``);
/// - two failures of the stored key in a row are a lost bond: no more connecting, and never a new pairing by itself.
///
/// Operation: every call returns what to do, in order. Commands go out one at a time, each with its answer; replies to the
/// kernel's questions and Pair Device, which lasts as long as the pairing, do not wait for their turn.
public struct AdapterMachine: Sendable {
    public enum Action: Hashable, Sendable {
        case send(ManagementCommand)
        /// Call ``timer(at:)`` at this time or later; replaces an earlier wish.
        case wake(at: MonotonicTime)
        case report(Report)
    }

    public enum Report: Hashable, Sendable {
        /// Powered, with all keys: it serves the known devices.
        case ready
        /// The kernel refused what the adapter cannot work without.
        case unusable(ManagementOpcode, ManagementStatus)
        /// A setting that it can do without, such as Classic on an LE-only controller.
        case lacks(ManagementOpcode, ManagementStatus)
        /// The power went, by another hand: rfkill, another program, a hot controller.
        case poweredOff
        case found(DeviceAddress, rssi: Int8?, isConnectable: Bool, data: [UInt8])
        case connected(DeviceAddress)
        case disconnected(DeviceAddress, DisconnectReason)
        case connectFailed(DeviceAddress, ManagementStatus)
        /// A key of the bond was refused by the device; the second time in a row is `bondLost`.
        case keyRefused(DeviceAddress)
        case bondLost(DeviceAddress)
        case pairing(Pairing)
        /// Somebody asked to pair outside the window.
        case pairingRefused(DeviceAddress)
        /// The end of an active look around, and how many devices it heard.
        case looked(heard: Int)
        /// It was heard in an active look, and the kernel did not connect to it although it should.
        case passedOver(DeviceAddress)
        /// The controller does not answer the kernel, or the kernel does not answer us.
        case unanswered(ManagementOpcode)
        case controllerError(UInt8)
    }

    /// How a pairing goes, for the technician.
    public enum Pairing: Hashable, Sendable {
        case started(DeviceAddress)
        case asks(PairingWindow.Question)
        case shows(passkey: UInt32)
        /// To be made durable, then ``bondStored(_:at:)``.
        case store(identity: DeviceAddress, BondKeys)
        case failed(PairingWindow.Failure)
    }

    /// How long a command may go without its answer: what also counts as evidence of a stuck adapter.
    private static let answer = StuckDetector<DeviceAddress>.answer
    /// Failures of the stored key in a row that make a lost bond: one may be a bad moment of the radio.
    static let keyFailures = 2
    /// A device that was just taken off auto-connect may still be connected to for this long: 4 s (HCI_LE_AUTOCONN_TIMEOUT) and some for the
    /// commands before. Remove Device or Unpair Device in the middle, between the advertisement and LE Create Connection, cancels a connect that
    /// is made all the same; the kernel then has a connect without end and makes no other until the adapter is powered anew (6.1.192,
    /// `hci_conn_params_free`, `hci_abort_conn`, `le_conn_complete_evt`; seen in the radio rig).
    static let attempt = Duration.seconds(5)

    /// What one active look hears.
    private struct Look: Hashable {
        var heard: Set<DeviceAddress> = []
        /// When a connectable one was heard first.
        var connectable: [DeviceAddress: MonotonicTime] = [:]
    }

    private enum State: Hashable {
        /// Not asked yet what it is.
        case unknown
        case settingUp
        case ready
        /// Not ours, cannot work, or lost its power; ``restart(at:)`` begins anew.
        case down
    }

    private struct Queued: Hashable {
        var command: ManagementCommand
        /// Whether the adapter cannot work where it is refused.
        var isVital = false
        /// The device that it lists, so that a refusal can be put right.
        var listed: DeviceAddress?
    }

    private struct Entry: Hashable {
        var device: KnownDevice
        var keyFailures = 0
        var isBondLost = false
        /// On the kernel's list for auto-connect.
        var isListed = false
        /// Not listed again before this time.
        var restsUntil: MonotonicTime?
        /// Its link, counted; `nil` where it has none.
        var connection: Int?
        /// The link whose session is running: listed again when it has ended.
        var session: Int?
        var isKeyFailureCounted = false
    }

    public let index: UInt16
    private let allowed: Set<String>
    public private(set) var info: ControllerInfo?
    /// The identity address of the adapter: keys hold only with it.
    public var address: DeviceAddress? { info.map(\.address) }
    public var isReady: Bool { state == .ready }

    private var state = State.unknown
    private var queue: [Queued] = []
    private var inFlight: (command: Queued, since: MonotonicTime)?
    private var wished: [KnownDevice] = []
    private var known: [DeviceAddress: Entry] = [:]
    /// Not ours any more, and to be removed at that time.
    private var leaving: [DeviceAddress: MonotonicTime] = [:]
    private var isHeld = false
    private var window: PairingWindow?
    /// The link on which the pairing runs.
    private var pairingConnection: Int?
    /// Since when Pair Device runs; `nil` before its turn.
    private var pairingSince: MonotonicTime?
    private var connections = 0
    private var wantsScan = false
    private var isDiscovering = false
    private var look = Look()
    private var now = MonotonicTime(milliseconds: 0)
    private var actions: [Action] = []

    /// - Parameter allowed: identity addresses of the adapters that are ours; every adapter where empty.
    public init(index: UInt16, allowed: Set<String> = []) {
        self.index = index
        self.allowed = allowed
    }

    // MARK: What is wanted of it

    /// Begins, or begins again after it was down.
    public mutating func restart(at time: MonotonicTime) -> [Action] {
        now = time
        state = .unknown
        queue.removeAll()
        inFlight = nil
        isDiscovering = false
        leaving.removeAll()
        for address in known.keys {
            known[address]?.isListed = false
            known[address]?.connection = nil
            known[address]?.session = nil
        }
        if window != nil { perform(window?.adapterLost() ?? []) }
        enqueue(.readControllerInfo(index), isVital: true)
        return taken()
    }

    /// The devices that the hub serves, all of them; replaces the list before. Those whose keys hold with another adapter are left
    /// out.
    public mutating func serve(_ devices: [KnownDevice], at time: MonotonicTime) -> [Action] {
        now = time
        wished = devices
        if info != nil { adopt() }
        return taken()
    }

    /// While held, no device is connected: a hub that cannot keep a reading does not drain a cuff's battery (R9).
    public mutating func hold(_ isHeld: Bool, at time: MonotonicTime) -> [Action] {
        now = time
        self.isHeld = isHeld
        if isHeld { unlistAll() } else { listAll() }
        return taken()
    }

    /// A bond is known to be lost from an earlier run: its device is not connected until it was paired again.
    public mutating func markBondLost(_ address: DeviceAddress, at time: MonotonicTime) -> [Action] {
        now = time
        guard known[address] != nil else { return [] }
        known[address]?.isBondLost = true
        unlist(address)
        return taken()
    }

    /// Looks around actively while wanted; the kernel ends each look after some ten seconds, and the next begins.
    public mutating func scan(_ isWanted: Bool, at time: MonotonicTime) -> [Action] {
        now = time
        wantsScan = isWanted
        if isWanted { lookAround() } else if isDiscovering { enqueue(.stopDiscovery(index, transports)) }
        return taken()
    }

    /// Opens the technician's window. An open one is closed first.
    public mutating func pair(_ plan: PairingWindow.Plan, at time: MonotonicTime) -> [Action] {
        now = time
        if window != nil { perform(window?.cancel() ?? []) }
        guard state == .ready else {
            actions.append(.report(.pairing(.failed(.refused(.notPowered)))))
            return taken()
        }
        window = PairingWindow(plan: plan, index: index)
        if isDiscovering { enqueue(.stopDiscovery(index, transports)) }
        // The kernel makes one connection at a time: a device that comes back meanwhile would take the technician's place.
        unlistAll()
        // What the kernel still holds of an earlier bond would make it answer "already paired".
        enqueue(.unpair(index, plan.address, disconnect: true))
        enqueue(.setBondable(index, true))
        enqueue(.setIOCapability(index, plan.ioCapability))
        enqueue(.pair(index, plan.address, plan.ioCapability))
        return taken()
    }

    public mutating func answer(_ answer: PairingWindow.Answer, at time: MonotonicTime) -> [Action] {
        now = time
        perform(window?.answer(answer) ?? [])
        return taken()
    }

    public mutating func cancelPairing(at time: MonotonicTime) -> [Action] {
        now = time
        perform(window?.cancel() ?? [])
        return taken()
    }

    /// The bond of the open window is durable; the device is served from here on.
    public mutating func bondStored(_ device: KnownDevice, at time: MonotonicTime) -> [Action] {
        now = time
        // Its first session runs on the link of the pairing, where LE made one; it is listed when that has ended.
        known[device.address] = Entry(device: device, connection: pairingConnection, session: pairingConnection)
        leaving[device.address] = nil
        closeWindow()
        return taken()
    }

    /// Whether a link with that device is ours to use, and what it must reach.
    public enum Policy: Hashable, Sendable {
        /// Encrypt with the stored key, to this level.
        case secure(LinkSecurity)
        /// As it is: its model says so.
        case open
        /// The link on which the pairing runs: nothing of it is used before the bond is durable.
        case pairing
        case refuse
    }

    public func policy(for address: DeviceAddress) -> Policy {
        if let window, window.concerns(address) { return .pairing }
        guard let entry = known[address], !entry.isBondLost else { return .refuse }
        if !entry.device.keys.isEmpty { return .secure(entry.device.keys.security) }
        return entry.device.demands <= .none ? .open : .refuse
    }

    /// The link that the device has now: sessions name theirs by it.
    public func connection(of address: DeviceAddress) -> Int? {
        window?.concerns(address) == true ? pairingConnection : known[address]?.connection
    }

    /// A link with the device is encrypted as its policy asks (or open, where that is its policy), and a session begins.
    public mutating func sessionBegan(_ address: DeviceAddress, connection: Int?, at time: MonotonicTime) -> [Action] {
        now = time
        known[address]?.session = connection
        known[address]?.keyFailures = 0
        return taken()
    }

    /// The session on that link is over, or there was none to be had: the link is ended, and the device rests.
    public mutating func sessionEnded(_ address: DeviceAddress, connection: Int?, at time: MonotonicTime) -> [Action] {
        now = time
        guard let entry = known[address] else {
            enqueue(.disconnect(index, address))
            return taken()
        }
        if entry.session == connection { known[address]?.session = nil }
        if entry.connection == connection, connection != nil { enqueue(.disconnect(index, address)) }
        rest(address)
        listAll()
        return taken()
    }

    /// The device is not connected to for its model's cool-down.
    private mutating func rest(_ address: DeviceAddress) {
        guard let entry = known[address] else { return }
        unlist(address)
        known[address]?.restsUntil = now + entry.device.cooldown
    }

    // MARK: What happens

    public mutating func receive(_ event: ManagementEvent, at time: MonotonicTime) -> [Action] {
        now = time
        switch event {
        case .commandComplete(_, let opcode, let status, let parameters): answered(opcode, status, parameters)
        case .commandStatus(_, let opcode, let status): answered(opcode, status, [])
        case .controllerError(_, let code): actions.append(.report(.controllerError(code)))
        case .newSettings(_, let settings):
            info?.currentSettings = settings
            if state == .ready, !settings.contains(.powered) { lostPower() }
        case .deviceFound(_, let address, let rssi, let flags, let data):
            hear(address, isConnectable: !flags.contains(.notConnectable))
            // A Classic device is asked for its name only where somebody says that it is not known.
            if flags.contains(.confirmName) { actions.append(.send(.confirmName(index, address, isKnown: false))) }
            actions.append(
                .report(.found(address, rssi: rssi, isConnectable: !flags.contains(.notConnectable), data: data)))
        case .discovering(_, _, let isActive):
            if isDiscovering, !isActive { lookEnded() }
            isDiscovering = isActive
            look = Look()
            if !isActive { lookAround() }
        case .deviceConnected(_, let address, _, _):
            connections += 1
            if window?.concerns(address) == true { pairingConnection = connections }
            known[address]?.connection = connections
            known[address]?.isKeyFailureCounted = false
            actions.append(.report(.connected(address)))
            if policy(for: address) == .refuse { enqueue(.disconnect(index, address)) }
        case .deviceDisconnected(_, let address, let reason):
            if window?.concerns(address) == true { pairingConnection = nil }
            known[address]?.connection = nil
            rest(address)
            if reason == .authenticationFailure { keyFailed(address) }
            actions.append(.report(.disconnected(address, reason)))
        case .connectFailed(_, let address, let status): actions.append(.report(.connectFailed(address, status)))
        case .authFailed(_, let address, _):
            if window?.concerns(address) != true { keyFailed(address) }
        case .pinCodeRequest(_, let address, _):
            pairingEvent(event, address, refusal: .pinReply(index, address, pin: nil))
        case .userConfirmRequest(_, let address, _, _):
            pairingEvent(event, address, refusal: .confirmReply(index, address, accept: false))
        case .userPasskeyRequest(_, let address):
            pairingEvent(event, address, refusal: .passkeyReply(index, address, passkey: nil))
        case .passkeyNotify(_, let address, _, _): pairingEvent(event, address, refusal: nil)
        case .newLongTermKey(_, _, let key): keyCame(event, key.address)
        case .newLinkKey(_, _, let key): keyCame(event, key.address)
        case .newIdentityResolvingKey(_, _, let random, let key):
            // The identity is new; the window knows the device by the private address so far.
            keyCame(event, random.map { window?.concerns($0) == true ? $0 : key.address } ?? key.address)
        default: break
        }
        return taken()
    }

    /// The time of the last ``Action/wake(at:)`` has come; earlier calls change nothing.
    public mutating func timer(at time: MonotonicTime) -> [Action] {
        now = time
        if let flight = inFlight, now >= flight.since + Self.answer {
            inFlight = nil
            queue.removeAll()
            state = .down
            actions.append(.report(.unanswered(flight.command.command.opcode)))
        }
        if let since = pairingSince, now >= since + PairingWindow.limit { perform(window?.timedOut() ?? []) }
        removeLeft()
        listAll()
        return taken()
    }

    // MARK: Setting up

    private mutating func adopt() {
        var next: [DeviceAddress: Entry] = [:]
        for device in wished where device.adapter == nil || device.adapter == info?.address.text {
            var entry = known[device.address] ?? Entry(device: device)
            if entry.device.keys != device.keys {
                // A new bond begins with a clean record.
                entry.keyFailures = 0
                entry.isBondLost = false
            }
            entry.device = device
            next[device.address] = entry
        }
        let gone = known.filter { next[$0.key] == nil }
        let haveKeysChanged = known.mapValues(\.device.keys) != next.mapValues(\.device.keys)
        known = next
        guard state == .ready else { return }
        for address in next.keys { leaving[address] = nil }
        for (address, entry) in gone.sorted(by: { $0.key.description < $1.key.description }) {
            if entry.isListed { enqueue(.addDevice(index, address, action: .scan)) }
            if entry.connection != nil { enqueue(.disconnect(index, address)) }
            leaving[address] = now + Self.attempt
        }
        if haveKeysChanged { loadKeys() }
        listAll()
    }

    private var transports: DiscoveryTransports {
        info?.currentSettings.contains(.classic) == true ? .all : .lowEnergy
    }

    private mutating func setUp(_ info: ControllerInfo) {
        self.info = info
        guard allowed.isEmpty || allowed.contains(info.address.text) else {
            state = .down
            return
        }
        state = .settingUp
        adopt()
        if info.currentSettings.contains(.powered) {
            // Ends what an earlier process left connected; keys are loaded into an adapter without links.
            enqueue(.setPowered(index, false))
        }
        if info.supportedSettings.contains(.lowEnergy) { enqueue(.setLE(index, true), isVital: true) }
        if info.supportedSettings.contains(.classic) {
            enqueue(.setBREDR(index, true))
            enqueue(.setSSP(index, true))
        }
        if info.supportedSettings.contains(.secureConnections) { enqueue(.setSecureConnections(index, true)) }
        enqueue(.setBondable(index, false))
        enqueue(.setConnectable(index, false))
        enqueue(.setIOCapability(index, .noInputNoOutput))
        loadKeys()
        // What an earlier process listed would be connected to as soon as there is power.
        enqueue(.removeDevice(index, nil))
        enqueue(.setPowered(index, true), isVital: true)
        step()
    }

    /// Each list whole: a load replaces the one before. An identity resolving key that is no key would reject the whole list, so the
    /// types check them when they are read.
    private mutating func loadKeys() {
        let devices = known.values.map(\.device).sorted { $0.address.description < $1.address.description }
        enqueue(.loadIdentityResolvingKeys(index, devices.compactMap(\.keys.identityResolvingKey)))
        enqueue(.loadLongTermKeys(index, devices.flatMap(\.keys.longTermKeys)))
        if info?.supportedSettings.contains(.classic) == true {
            enqueue(.loadLinkKeys(index, devices.compactMap(\.keys.linkKey)))
        }
        enqueue(.loadConnectionParameters(index, devices.compactMap(\.connection)))
    }

    private mutating func finishSetUp() {
        guard case .settingUp = state, queue.isEmpty, inFlight == nil else { return }
        state = .ready
        actions.append(.report(.ready))
        listAll()
        lookAround()
    }

    private mutating func lostPower() {
        state = .down
        isDiscovering = false
        leaving.removeAll()
        for address in known.keys { known[address]?.isListed = false }
        perform(window?.adapterLost() ?? [])
        actions.append(.report(.poweredOff))
    }

    // MARK: Connecting

    /// Puts every device on the kernel's list whose rest is over.
    private mutating func listAll() {
        guard mayList else { return }
        for (address, entry) in known.sorted(by: { $0.key.description < $1.key.description }) where isToBeListed(address, entry) {
            if let until = entry.restsUntil, now < until { continue }
            known[address]?.isListed = true
            known[address]?.restsUntil = nil
            enqueue(.addDevice(index, address, action: .autoConnect), listing: address)
        }
    }

    private var mayList: Bool { state == .ready && !isHeld && window == nil }

    /// Whether the device is to be on the list, now or when its rest is over.
    private func isToBeListed(_ address: DeviceAddress, _ entry: Entry) -> Bool {
        // Classic has no auto-connect: such a device is dialled.
        address.kind != .classic && !entry.isListed && !entry.isBondLost && entry.session == nil && entry.connection == nil
            && (!entry.device.keys.isEmpty || entry.device.demands <= .none)
    }

    /// The device is listened for, and not connected to; a connect under way goes on.
    private mutating func unlist(_ address: DeviceAddress) {
        guard known[address]?.isListed == true else { return }
        known[address]?.isListed = false
        enqueue(.addDevice(index, address, action: .scan))
    }

    /// One that left may be the one that is paired again: it is not taken from under the window.
    private var mayRemove: Bool { state == .ready && window == nil }

    /// Removes those that left, once no connect to them can be in the making.
    private mutating func removeLeft() {
        guard mayRemove else { return }
        for (address, due) in leaving.sorted(by: { $0.key.description < $1.key.description }) where now >= due {
            leaving[address] = nil
            if address.kind != .classic { enqueue(.removeDevice(index, address)) }
            enqueue(.unpair(index, address, disconnect: true))
        }
    }

    private mutating func unlistAll() {
        for address in known.keys.sorted(by: { $0.description < $1.description }) { unlist(address) }
    }

    /// Devices at rest are reported outside of looks too: that proves nothing.
    private mutating func hear(_ address: DeviceAddress, isConnectable: Bool) {
        guard isDiscovering else { return }
        look.heard.insert(address)
        if isConnectable, look.connectable[address] == nil { look.connectable[address] = now }
    }

    private mutating func lookEnded() {
        actions.append(.report(.looked(heard: look.heard.count)))
        for (address, since) in look.connectable.sorted(by: { $0.key.description < $1.key.description }) {
            // One that was heard so long ago would have been connected to, and have failed or come up.
            guard let entry = known[address], entry.isListed, entry.connection == nil, now >= since + Self.attempt else {
                continue
            }
            actions.append(.report(.passedOver(address)))
        }
    }

    private mutating func lookAround() {
        // A look in the middle of a pairing would take the radio from it.
        guard state == .ready, wantsScan, !isDiscovering, window == nil else { return }
        guard !queue.contains(where: { $0.command.opcode == .startDiscovery }) else { return }
        if inFlight?.command.command.opcode == .startDiscovery { return }
        enqueue(.startDiscovery(index, transports))
    }

    private mutating func keyFailed(_ address: DeviceAddress) {
        guard let entry = known[address], !entry.isKeyFailureCounted, !entry.isBondLost else { return }
        known[address]?.isKeyFailureCounted = true
        known[address]?.keyFailures += 1
        if entry.keyFailures + 1 >= Self.keyFailures {
            known[address]?.isBondLost = true
            unlist(address)
            actions.append(.report(.bondLost(address)))
        } else {
            actions.append(.report(.keyRefused(address)))
        }
    }

    // MARK: Pairing

    private mutating func pairingEvent(_ event: ManagementEvent, _ address: DeviceAddress, refusal: ManagementCommand?) {
        if window?.concerns(address) == true {
            perform(window?.receive(event) ?? [])
        } else if let refusal {
            actions.append(.send(refusal))
            actions.append(.report(.pairingRefused(address)))
        }
    }

    private mutating func keyCame(_ event: ManagementEvent, _ address: DeviceAddress) {
        if window?.concerns(address) == true {
            perform(window?.receive(event) ?? [])
        } else {
            // A pairing that started itself and got through: nobody asked for that bond. The stored one, if any, is loaded again.
            enqueue(.unpair(index, address, disconnect: true))
            loadKeys()
            actions.append(.report(.pairingRefused(address)))
        }
    }

    private mutating func perform(_ effects: [PairingWindow.Effect]) {
        for effect in effects {
            switch effect {
            case .reply(let command): actions.append(.send(command))
            case .ask(let question): actions.append(.report(.pairing(.asks(question))))
            case .show(let passkey): actions.append(.report(.pairing(.shows(passkey: passkey))))
            case .store(let identity, let keys): actions.append(.report(.pairing(.store(identity: identity, keys))))
            case .fail(let failure):
                if let plan = window?.plan {
                    if [.timedOut, .cancelled, .adapterLost].contains(failure), pairingSince != nil {
                        actions.append(.send(.cancelPair(index, plan.address)))
                    }
                    enqueue(.disconnect(index, plan.address))
                }
                closeWindow()
                // The bond of before, which the window took from the kernel, holds again.
                loadKeys()
                listAll()
                actions.append(.report(.pairing(.failed(failure))))
            }
        }
    }

    private mutating func closeWindow() {
        guard window != nil else { return }
        window = nil
        pairingSince = nil
        pairingConnection = nil
        queue.removeAll { $0.command.opcode == .pair }
        enqueue(.setBondable(index, false))
        enqueue(.setIOCapability(index, .noInputNoOutput))
        listAll()
        lookAround()
    }

    // MARK: Commands

    private mutating func enqueue(_ command: ManagementCommand, isVital: Bool = false, listing: DeviceAddress? = nil) {
        queue.append(Queued(command: command, isVital: isVital, listed: listing))
        step()
    }

    private mutating func step() {
        while inFlight == nil, !queue.isEmpty {
            let next = queue.removeFirst()
            actions.append(.send(next.command))
            if next.command.opcode == .pair {
                // Answered when the pairing is over; what the technician is asked meanwhile must get through.
                pairingSince = now
                if let plan = window?.plan { actions.append(.report(.pairing(.started(plan.address)))) }
            } else {
                inFlight = (next, now)
            }
        }
    }

    private mutating func answered(_ number: UInt16, _ status: ManagementStatus, _ parameters: [UInt8]) {
        if number == ManagementOpcode.pair.rawValue {
            guard pairingSince != nil else { return }
            return perform(window?.answered(status) ?? [])
        }
        guard let flight = inFlight, flight.command.command.opcode.rawValue == number else { return }
        inFlight = nil
        let opcode = flight.command.command.opcode
        if status != .success, flight.command.isVital {
            queue.removeAll()
            state = .down
            actions.append(.report(.unusable(opcode, status)))
            return
        }
        switch opcode {
        case .readControllerInfo:
            do {
                setUp(try ControllerInfo(decoding: parameters))
            } catch {
                state = .down
                actions.append(.report(.unusable(opcode, .invalidParameters)))
            }
        case .setLE, .setBREDR, .setSSP, .setSecureConnections, .loadLongTermKeys, .loadIdentityResolvingKeys, .loadLinkKeys,
            .loadConnectionParameters, .addDevice, .startDiscovery:
            if status != .success { actions.append(.report(.lacks(opcode, status))) }
            if status != .success, let address = flight.command.listed {
                known[address]?.isListed = false
                // Asked again later, not at once for ever.
                known[address]?.restsUntil = now + Self.answer
            }
        default: break
        }
        step()
        finishSetUp()
    }

    // MARK: Time

    private mutating func taken() -> [Action] {
        let answer = inFlight.map { $0.since + Self.answer }
        let pairing = pairingSince.map { $0 + PairingWindow.limit }
        // Only what the timer then does: a time that is over and changes nothing would be asked for without end.
        let rests = mayList ? known.filter { isToBeListed($0.key, $0.value) }.compactMap(\.value.restsUntil) : []
        let departures = mayRemove ? Array(leaving.values) : []
        if let wake = ([answer, pairing].compactMap { $0 } + rests + departures).min() { actions.append(.wake(at: wake)) }
        defer { actions.removeAll() }
        return actions
    }
}
