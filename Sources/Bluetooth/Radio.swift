import CBlueZ
public import EventLoop
import Glibc
import Protocols
public import Vitals

/// What the radio tells; the composition root decides what becomes of it.
public enum RadioEvent: Sendable {
    /// An adapter came; it is set up next.
    case adapterAdded(index: UInt16)
    case adapterRemoved(index: UInt16)
    case report(index: UInt16, adapter: String?, AdapterMachine.Report)
    /// A device is connected, and its link may be used once ``RadioLink/secure()`` has said so.
    case link(RadioLink)
    /// The management channel broke: nothing works until ``Radio/start()`` is called again.
    case failed(BearerError)
    /// The kernel took a fault in the close of a lost link's socket: see ``LinkCloser``. The radio goes on.
    case kernelFault
}

/// One LE link with a device, from the moment it is up.
public struct RadioLink: Sendable {
    public let address: DeviceAddress
    public let bearer: SocketBearer
    /// Which of the device's links it is; `nil` where it had ended before it was looked at.
    public let connection: Int?
    let policy: AdapterMachine.Policy

    /// A device may hold its answer back until the link is encrypted. An answer takes two connection intervals, at first of 50 ms at most
    /// (the kernel's `le_conn_max_interval`), and as much again for each packet that is lost: five tries.
    private static let greetingLimit = Duration.milliseconds(500)

    /// Encrypts the link as its bond asks. Nothing that the device says is to be believed before.
    ///
    /// The MTU is asked for first, as phones do it: a link that fails its encryption before the peer has said anything is what the kernel
    /// fault of ``LinkCloser`` needs, and a device that forgot its bond would bring it about at every connection.
    ///
    /// - Returns: what the link reached, and whether the answer to an Exchange MTU Request is in ``bearer`` or on its way; `nil` where the link
    ///   cannot be encrypted, and then it has no use.
    public func secure() async -> (security: LinkSecurity, hasAskedMTU: Bool)? {
        switch policy {
        case .open: return (LinkSecurity.none, false)
        case .secure(let wanted):
            let level = UInt8(wanted == .authenticated ? BT_SECURITY_HIGH : BT_SECURITY_MEDIUM)
            if await bearer.isEncrypted { return (wanted, false) }
            await bearer.greet(ATTPDU.mtuRequest(ATTClient.preferredMTU).bytes, atMost: Self.greetingLimit)
            return await bearer.secure(level: level) ? (wanted, true) : nil
        case .pairing, .refuse: return nil
        }
    }
}

/// The kernel's Bluetooth: its management channel, the adapters, and the LE links that come up. The shell around
/// ``AdapterMachine``.
///
/// Everything runs on one event loop; a descriptor is read until it is empty, for the kernel drops on overflow.
public actor Radio {
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    public nonisolated let events: AsyncStream<RadioEvent>

    let loop: EventLoop
    /// Identity addresses of the adapters that are ours, `AA:BB:CC:DD:EE:FF`; every adapter where empty.
    private let adapters: Set<String>
    private let now: @Sendable () -> MonotonicTime
    /// Every command and event by name, without what it carries: for a log that somebody reads to find out why.
    private let trace: (@Sendable (String) -> Void)?
    private let report: AsyncStream<RadioEvent>.Continuation
    private var management: Int32?
    private var listeners: [Int32] = []
    private var machines: [UInt16: AdapterMachine] = [:]
    private var wakes: [UInt16: MonotonicTime] = [:]
    private var timer: EventLoop.TimerID?
    private var known: [KnownDevice] = []
    private var lost: Set<DeviceAddress> = []
    private var isHeld = false
    private var wantsScan = false
    private var links: [DeviceAddress: SocketBearer] = [:]
    private let closer: LinkCloser
    /// The link of the pairing under way, kept until its bond is durable.
    private var pairingLink: SocketBearer?
    private var buffer = [UInt8](repeating: 0, count: longestEvent)

    /// Header 6 and a length of 16 bits; events are a few hundred bytes.
    private static let longestEvent = 6 + 65_535

    /// - Parameter now: the monotonic clock of all timing.
    public init(
        loop: EventLoop, adapters: Set<String>, trace: (@Sendable (String) -> Void)? = nil,
        now: @escaping @Sendable () -> MonotonicTime
    ) {
        self.trace = trace
        self.loop = loop
        self.adapters = adapters
        self.now = now
        (events, report) = AsyncStream.makeStream(of: RadioEvent.self, bufferingPolicy: .unbounded)
        closer = LinkCloser(loop: loop) { [report] in report.yield(.kernelFault) }
    }

    // MARK: Life

    /// Opens the management channel and the listeners, and takes every adapter that is there.
    ///
    /// - Throws: `EAFNOSUPPORT` where the kernel has no Bluetooth, `EPERM` or `EACCES` without CAP_NET_ADMIN.
    public func start() throws(BearerError) {
        guard management == nil else { return }
        let descriptor = try ManagementSocket.open()
        management = descriptor
        do throws(BearerError) {
            for kind in [DeviceAddress.Kind.lePublic, .leRandom] { listeners.append(try L2CAPSocket.listen(kind: kind)) }
            try watch(descriptor) { $0.readManagement() }
            for listener in listeners { try watch(listener) { $0.acceptLinks(listener) } }
        } catch {
            stop()
            throw error
        }
        send(.readIndexList)
    }

    /// Closes all; links end with it, and what was not confirmed comes again.
    public func stop() {
        for descriptor in listeners + (management.map { [$0] } ?? []) {
            loop.unwatch(descriptor)
            Glibc.close(descriptor)
        }
        listeners.removeAll()
        management = nil
        machines.removeAll()
        wakes.removeAll()
        if let timer { loop.cancel(timer) }
        timer = nil
        pairingLink = nil
        links.removeAll()
    }

    /// Ends the stream of events; the radio is not used again.
    public func close() {
        stop()
        report.finish()
    }

    // MARK: Wishes

    public func serve(_ devices: [KnownDevice], bondsLost: Set<DeviceAddress>) {
        known = devices
        lost = bondsLost
        each { machine, now in
            machine.serve(devices, at: now) + bondsLost.flatMap { machine.markBondLost($0, at: now) }
        }
    }

    public func hold(_ isHeld: Bool) {
        guard self.isHeld != isHeld else { return }
        self.isHeld = isHeld
        each { machine, now in machine.hold(isHeld, at: now) }
    }

    public func scan(_ isWanted: Bool) {
        wantsScan = isWanted
        each { machine, now in machine.scan(isWanted, at: now) }
    }

    /// - Returns: `false` where no adapter is ready.
    public func pair(_ plan: PairingWindow.Plan) -> Bool {
        guard let index = machines.keys.sorted().first(where: { machines[$0]?.isReady == true }) else { return false }
        act(on: index) { machine, now in machine.pair(plan, at: now) }
        return true
    }

    public func answer(_ answer: PairingWindow.Answer) { each { machine, now in machine.answer(answer, at: now) } }

    public func cancelPairing() { each { machine, now in machine.cancelPairing(at: now) } }

    /// The bond is durable: from here on its device is served, and the link of its pairing may be used.
    public func bondStored(_ device: KnownDevice, index: UInt16) {
        known.removeAll { $0.address == device.address }
        known.append(device)
        lost.remove(device.address)
        act(on: index) { machine, now in machine.bondStored(device, at: now) }
        guard let bearer = pairingLink else { return }
        pairingLink = nil
        links[device.address] = bearer
        report.yield(
            .link(
                RadioLink(
                    address: device.address, bearer: bearer,
                    connection: machines[index]?.connection(of: device.address),
                    policy: .secure(device.keys.security))))
    }

    /// - Parameter connection: the link's own number; `nil` of a device that was dialled.
    public func sessionBegan(_ address: DeviceAddress, connection: Int?) {
        each { machine, now in machine.sessionBegan(address, connection: connection, at: now) }
    }

    /// The link is to be ended, and the device rests.
    public func sessionEnded(_ address: DeviceAddress, connection: Int?, bearer: SocketBearer) {
        if links[address] === bearer { links[address] = nil }
        each { machine, now in machine.sessionEnded(address, connection: connection, at: now) }
    }

    /// Ends the link with a device; its session ends with it.
    public func hangUp(_ address: DeviceAddress) { links[address]?.assumeIsolated { $0.endNow() } }

    /// Takes the adapters from the beginning: settings, keys, power.
    public func restart() { each { machine, now in machine.restart(at: now) } }

    /// Whether an adapter works.
    public var isReady: Bool { machines.values.contains(where: \.isReady) }

    // MARK: On the loop

    private func watch(_ descriptor: Int32, _ handler: @escaping @Sendable (isolated Radio) -> Void) throws(BearerError) {
        do throws(EventLoopError) {
            try loop.watch(descriptor, .readable) { [weak self] _ in self?.assumeIsolated { handler($0) } }
        } catch {
            throw .system(call: error.call, code: error.code)
        }
    }

    private func readManagement() {
        while let descriptor = management {
            let count = read(descriptor, &buffer, buffer.count)
            guard count > 0 else {
                if count < 0, errno == EINTR { continue }
                if count < 0, errno == EAGAIN { return }
                let code = count < 0 ? errno : ECONNRESET
                stop()
                report.yield(.failed(.system(call: "read", code: code)))
                return
            }
            // An event of a later kernel that cannot be read is none of ours.
            guard count >= 6, let event = try? ManagementEvent(decoding: Array(buffer[..<count])) else { continue }
            take(event, of: UInt16(buffer[2]) | UInt16(buffer[3]) << 8)
        }
    }

    private func take(_ event: ManagementEvent, of index: UInt16) {
        trace?("< \(event)")
        switch event {
        case .commandComplete(_, ManagementOpcode.readIndexList.rawValue, .success, let parameters):
            for index in (try? ManagementReply.indexList(parameters: parameters)) ?? [] { add(index) }
        case .indexAdded: add(index)
        case .indexRemoved:
            guard machines.removeValue(forKey: index) != nil else { return }
            wakes[index] = nil
            report.yield(.adapterRemoved(index: index))
        default:
            if case .deviceDisconnected(_, let address, let reason) = event, let bearer = links[address] ?? pairingLink {
                bearer.assumeIsolated { $0.noteEnd("\(reason)") }
            }
            act(on: index) { machine, now in machine.receive(event, at: now) }
        }
    }

    private func add(_ index: UInt16) {
        guard machines[index] == nil else { return }
        machines[index] = AdapterMachine(index: index, allowed: adapters)
        report.yield(.adapterAdded(index: index))
        let (known, lost, isHeld, wantsScan) = (known, lost, isHeld, wantsScan)
        act(on: index) { machine, now in
            machine.serve(known, at: now) + lost.flatMap { machine.markBondLost($0, at: now) }
                + machine.hold(isHeld, at: now) + machine.scan(wantsScan, at: now) + machine.restart(at: now)
        }
    }

    private func each(_ body: (inout AdapterMachine, MonotonicTime) -> [AdapterMachine.Action]) {
        for index in machines.keys.sorted() { act(on: index, body) }
    }

    private func act(on index: UInt16, _ body: (inout AdapterMachine, MonotonicTime) -> [AdapterMachine.Action]) {
        guard var machine = machines[index] else { return }
        let actions = body(&machine, now())
        machines[index] = machine
        let adapter = machine.address?.text
        for action in actions {
            switch action {
            case .send(let command): send(command)
            case .wake(let at):
                wakes[index] = at
                schedule()
            case .report(let what):
                if case .pairing(.failed) = what, let bearer = pairingLink {
                    pairingLink = nil
                    bearer.assumeIsolated { $0.endNow() }
                }
                report.yield(.report(index: index, adapter: adapter, what))
            }
        }
    }

    private func schedule() {
        if let timer { loop.cancel(timer) }
        guard let next = wakes.values.min() else { return }
        timer = loop.schedule(at: .now + max(next - now(), .zero)) { [weak self] in self?.assumeIsolated { $0.wake() } }
    }

    private func wake() {
        timer = nil
        let due = now()
        for (index, at) in wakes where at <= due {
            wakes[index] = nil
            act(on: index) { machine, now in machine.timer(at: now) }
        }
        schedule()
    }

    private func send(_ command: ManagementCommand) {
        guard let management else { return }
        trace?("> \(command)")
        let code = ManagementSocket.send(command, on: management)
        guard code != 0 else { return }
        stop()
        report.yield(.failed(.system(call: "write", code: code)))
    }

    private func acceptLinks(_ listener: Int32) {
        // The kernel tells of a link before it hands out its socket: what it told is known first.
        readManagement()
        while let (descriptor, peer, adapter) = L2CAPSocket.accept(listener) {
            let machine = machines.values.first { $0.address?.text == adapter.text }
            guard let policy = machine?.policy(for: peer), policy != .refuse else {
                // Nobody of ours; the machine ends the link itself.
                closer.close(descriptor)
                continue
            }
            let bearer = SocketBearer(unwatched: descriptor, loop: loop, closer: closer)
            guard (try? bearer.assumeIsolated { try $0.begin() }) != nil else { continue }
            if policy == .pairing {
                pairingLink = bearer
            } else {
                links[peer] = bearer
                report.yield(
                    .link(
                        RadioLink(
                            address: peer, bearer: bearer, connection: machine?.connection(of: peer),
                            policy: policy)))
            }
        }
    }
}
