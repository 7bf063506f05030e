public import Vitals

/// Whether an adapter is stuck, decided from what is seen of it.
///
/// There is no event for silence: the kernel's passive scan does not report devices that it is to connect by itself, so an adapter
/// in perfect order may hear nothing for days. What counts:
/// - the kernel's Controller Error event: at once;
/// - a management command without an answer within ``answer``: at once;
/// - ``failuresInARow`` failed connects in a row, of at least ``devicesThatFail`` devices, within ``failureSpan``: one device that
///   does not answer is its own matter (out of reach, a weak battery), and so are failures that a success lies between;
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
    }

    public enum Reason: Hashable, Sendable {
        case controllerError(UInt8)
        case unanswered(opcode: UInt16)
        case connectsFail(count: Int, devices: Int)
        case deaf(looks: Int)
    }

    private struct Failure: Hashable {
        var device: Device
        var at: MonotonicTime
    }

    private var failures: [Failure] = []
    private var looksThatHeard = 0
    private var looksInVain = 0
    private var lastLook: MonotonicTime?

    public init() {}

    /// Whether active looks have heard enough here that silence would mean something.
    public var expectsToHear: Bool { looksThatHeard >= Self.emptyLooks }

    /// When to look around next. A look while a device is connected takes radio time from its reading: postpone it until then.
    public func nextLook(from start: MonotonicTime) -> MonotonicTime { (lastLook ?? start) + Self.lookInterval }

    /// - Returns: why it is stuck, once for each time that the evidence is complete.
    public mutating func observe(_ event: Event, at now: MonotonicTime) -> Reason? {
        switch event {
        case .controllerError(let code): return .controllerError(code)
        case .unanswered(let opcode): return .unanswered(opcode: opcode)
        case .connectFailed(let device): return failed(device, at: now)
        case .connected:
            failures.removeAll()
            looksInVain = 0
            return nil
        case .heard:
            looksInVain = 0
            return nil
        case .looked(let heard):
            lastLook = now
            return looked(heard)
        }
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
        case .deaf(let looks): "nothing was heard in \(looks) looks around, where something was heard before"
        }
    }
}
