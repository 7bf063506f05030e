public import Vitals

/// Whether an adapter is stuck, decided from what is seen of it.
///
/// There is no event for silence: the kernel's passive scan does not report devices that it is to connect by itself, so an adapter
/// in perfect order may hear nothing for days. What counts:
/// - the kernel's Controller Error event: at once;
/// - a management command without an answer within ``answer``: at once;
/// - ``failuresInARow`` failed connects in a row, of at least ``devicesThatFail`` devices, within ``failureSpan``: one device that
///   does not answer is its own matter (out of reach, a weak battery), and so are failures that a success lies between;
/// - ``looksPassedOver`` active looks in a row in which a device that the kernel should connect to was heard and passed over, with no connect
///   between them, failed or not: a kernel that believes it is connecting connects to nobody (6.1.192, `hci_lookup_le_connect`);
/// - ``emptyLooks`` active looks in a row that hear nothing, where at least as many in a row heard something earlier: a house
///   in which only a cuff is heard now and then proves nothing by being quiet.
public struct StuckDetector<Device: Hashable & Sendable>: Hashable, Sendable {
    /// A management command waits for at most one HCI command, which the kernel gives 2 s (HCI_CMD_TIMEOUT), and powering for a
    /// firmware download of some seconds. Pair Device, which lasts as long as the pairing, is not held to it.
    public static var answer: Duration { .seconds(10) }
    /// Three for each of two devices: a person who walks away with one in the middle of a connect makes one or two.
    public static var failuresInARow: Int { 6 }
    public static var devicesThatFail: Int { 2 }
    /// Failures further apart belong to different walks, not to one fault.
    public static var failureSpan: Duration { .seconds(15 * 60) }
    /// An active look around. Most beacons, televisions and telephones advertise at least every 1.28 s, so each has seven chances.
    public static var lookLength: Duration { .seconds(10) }
    /// 10 s in 15 min is about 1 % of the radio's time. A deaf adapter is found after 3 x 15 min.
    public static var lookInterval: Duration { .seconds(15 * 60) }
    public static var emptyLooks: Int { 3 }
    /// One may be a device whose turn had not come.
    public static var looksPassedOver: Int { 2 }
    /// After a look in which a device was passed over the next is soon: somebody may be waiting for a reading.
    public static var suspiciousInterval: Duration { .seconds(30) }

    public enum Event: Hashable, Sendable {
        /// The management interface's Controller Error with its code.
        case controllerError(UInt8)
        /// A management command that got no answer within ``StuckDetector/answer``.
        case unanswered(opcode: UInt16)
        case connectFailed(Device)
        case connected(Device)
        /// Something was received outside of an active look.
        case heard
        /// The end of an active look, and how many devices it heard.
        case looked(heard: Int)
        /// Told after the end of the look: a device was heard that the kernel should have connected to.
        case passedOver(Device)
    }

    public enum Reason: Hashable, Sendable {
        case controllerError(UInt8)
        case unanswered(opcode: UInt16)
        case connectsFail(count: Int, devices: Int)
        case deaf(looks: Int)
        case connectsNoMore(looks: Int)
    }

    private struct Failure: Hashable {
        var device: Device
        var at: MonotonicTime
    }

    private var failures: [Failure] = []
    private var looksThatHeard = 0
    private var looksInVain = 0
    private var lastLook: MonotonicTime?
    /// Ends of looks, in a row, in which a device was passed over.
    private var looksThatPassedOver: [MonotonicTime] = []

    public init() {}

    /// Whether active looks have heard enough here that silence would mean something.
    public var expectsToHear: Bool { looksThatHeard >= Self.emptyLooks }

    /// When to look around next. A look while a device is connected takes radio time from its reading: postpone it until then.
    public func nextLook(from start: MonotonicTime) -> MonotonicTime {
        (lastLook ?? start) + (looksThatPassedOver.isEmpty ? Self.lookInterval : Self.suspiciousInterval)
    }

    /// - Returns: why it is stuck, once for each time that the evidence is complete.
    public mutating func observe(_ event: Event, at now: MonotonicTime) -> Reason? {
        switch event {
        case .controllerError(let code): return .controllerError(code)
        case .unanswered(let opcode): return .unanswered(opcode: opcode)
        case .connectFailed(let device):
            looksThatPassedOver.removeAll()
            return failed(device, at: now)
        case .connected:
            failures.removeAll()
            looksThatPassedOver.removeAll()
            looksInVain = 0
            return nil
        case .heard:
            looksInVain = 0
            return nil
        case .looked(let heard):
            // A look without one is no proof of health, but the row is broken.
            if let last = lastLook, looksThatPassedOver.last != last { looksThatPassedOver.removeAll() }
            lastLook = now
            return looked(heard)
        case .passedOver: return passedOver(at: now)
        }
    }

    private mutating func passedOver(at now: MonotonicTime) -> Reason? {
        let look = lastLook ?? now
        if looksThatPassedOver.last != look { looksThatPassedOver.append(look) }
        guard looksThatPassedOver.count >= Self.looksPassedOver else { return nil }
        defer { looksThatPassedOver.removeAll() }
        return .connectsNoMore(looks: looksThatPassedOver.count)
    }

    private mutating func failed(_ device: Device, at now: MonotonicTime) -> Reason? {
        failures.removeAll { now - $0.at > Self.failureSpan }
        failures.append(Failure(device: device, at: now))
        let devices = Set(failures.map(\.device)).count
        guard failures.count >= Self.failuresInARow else { return nil }
        guard devices >= Self.devicesThatFail else {
            // The oldest goes, so that a device that is never there does not fill the memory.
            failures.removeFirst(failures.count - Self.failuresInARow)
            return nil
        }
        defer { failures.removeAll() }
        return .connectsFail(count: failures.count, devices: devices)
    }

    private mutating func looked(_ heard: Int) -> Reason? {
        guard heard == 0 else {
            looksInVain = 0
            looksThatHeard = min(looksThatHeard + 1, Self.emptyLooks)
            return nil
        }
        guard expectsToHear else {
            looksThatHeard = 0
            return nil
        }
        looksInVain += 1
        guard looksInVain >= Self.emptyLooks else { return nil }
        defer { looksInVain = 0 }
        return .deaf(looks: looksInVain)
    }
}

extension StuckDetector.Reason: CustomStringConvertible {
    public var description: String {
        switch self {
        case .controllerError(let code): "the Bluetooth controller reports the hardware error \(code)"
        case .unanswered(let opcode):
            "the kernel has not answered the management command 0x\(String(opcode, radix: 16)) for \(StuckDetector.answer.milliseconds / 1_000) s"
        case .connectsFail(let count, let devices): "\(count) connects in a row to \(devices) devices have failed"
        case .connectsNoMore(let looks): "a known device was heard in \(looks) looks around, and not connected to"
        case .deaf(let looks): "nothing was heard in \(looks) looks around, where something was heard before"
        }
    }
}
