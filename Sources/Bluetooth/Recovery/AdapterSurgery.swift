import CBlueZ
import EventLoop
import Glibc
import Synchronization

/// The rungs of ``RecoveryLadder`` that go past the management interface: rfkill, interface down and up, USB reset.
///
/// Design constraints:
/// - what calls a driver may hang in the kernel, where nothing can end it. So each call has a thread of its own and never one of
///   Swift's; it is waited for as long as its rung may take, and then left alone;
/// - a thread that hangs is counted: the same call is not made beside it, so threads do not pile up;
/// - rights: CAP_NET_ADMIN for down and up; write access to /dev/rfkill and to /dev/bus/usb/BBB/DDD (udev rule of the package).
///   CAP_NET_RAW is not needed: nothing is sent on the raw socket.
public final class AdapterSurgery: Sendable {
    public typealias Outcome = RecoveryLadder.Outcome
    typealias Rung = RecoveryLadder.Rung

    private struct Call: Hashable {
        var rung: Rung
        var adapter: Int
    }

    private let tree: MachineTree
    private let controls: any AdapterControls
    private let underWay = Mutex<Set<Call>>([])

    public init(tree: MachineTree = MachineTree(), controls: any AdapterControls = KernelControls()) {
        self.tree = tree
        self.controls = controls
    }

    // MARK: The rungs

    /// Lifts the soft block of an adapter, where there is one.
    public func rfkillUnblock(adapter index: Int) async -> Outcome {
        let tree = tree
        return await onThread(.rfkillUnblock, index) { Self.unblock(tree, index) }
    }

    /// Takes the interface down and up again.
    public func interfaceDownUp(adapter index: Int) async -> Outcome {
        let controls = controls
        return await onThread(.interfaceDownUp, index) { Self.downUp(controls, index) }
    }

    /// Resets the dongle and waits until an adapter is on its port again.
    ///
    /// - Returns: the outcome, and the adapter's index, which may be another one afterwards.
    public func usbReset(adapter index: Int) async -> (outcome: Outcome, index: Int) {
        guard let device = AdapterFacts.usbDevice(tree, adapter: index) else {
            return (.notApplicable("hci\(index) is not on USB"), index)
        }
        guard let port = device.split(separator: "/").last.map(String.init),
            let node = Self.node(tree, usbDevice: device)
        else { return (.failed("the USB device of hci\(index) has no bus and device number"), index) }
        let (controls, path) = (controls, tree.root + node)
        let outcome = await onThread(.usbReset, index, limit: UsbReset.call) {
            switch controls.usbReset(path) {
            // ENODEV: it came back as another device, because its descriptors changed; the port stays.
            case 0, ENODEV: .succeeded
            case let code: .failed("\(node): \(String(cString: strerror(code)))")
            }
        }
        guard outcome == .succeeded else { return (outcome, index) }
        guard let back = await adapter(onPort: port, within: UsbReset.index) else {
            return (.failed("no adapter came back on port \(port) within \(UsbReset.index.milliseconds / 1_000) s"), index)
        }
        return (.succeeded, back)
    }

    /// The parts of ``RecoveryLadder/Rung/limit``.
    enum UsbReset {
        static let call = Duration.seconds(5 + 10)
        static let index = Duration.seconds(10)
    }

    /// Waits until an adapter is on a USB port.
    ///
    /// - Returns: its index; `nil` where none has come in time.
    public func adapter(onPort port: String, within limit: Duration) async -> Int? {
        let deadline = ContinuousClock.now + limit
        while true {
            let found = tree.names(in: "/sys/class/bluetooth").compactMap(AdapterFacts.index(ofAdapter:)).first { index in
                AdapterFacts.usbDevice(tree, adapter: index)?.split(separator: "/").last.map(String.init) == port
            }
            if let found { return found }
            guard ContinuousClock.now < deadline, (try? await Task.sleep(for: .milliseconds(100))) != nil else { return nil }
        }
    }

    // MARK: What the threads do

    /// One rfkill event (linux/rfkill.h): index u32 in the machine's order, type 2 (Bluetooth), operation 2 (change), soft, hard.
    static func unblocking(_ index: Int) -> [UInt8] {
        withUnsafeBytes(of: UInt32(truncatingIfNeeded: index)) { Array($0) } + [2, 2, 0, 0]
    }

    private static func unblock(_ tree: MachineTree, _ index: Int) -> Outcome {
        func own() -> AdapterFacts.RadioSwitch? { AdapterFacts.switches(tree).first { $0.name == "hci\(index)" } }
        guard let radio = own() else { return .notApplicable("hci\(index) has no switch") }
        if radio.isHardBlocked { return .failed("rfkill\(radio.index) is hard blocked: software cannot lift that") }
        guard radio.isSoftBlocked else { return .notApplicable("rfkill\(radio.index) is not blocked") }
        // The device first; where it may not be opened, the switch's own file, which asks for CAP_NET_ADMIN.
        let refused = write(unblocking(radio.index), to: tree.root + "/dev/rfkill")
        if refused != 0 {
            let code = write(Array("0".utf8), to: "\(tree.root)/sys/class/rfkill/rfkill\(radio.index)/soft")
            guard code == 0 else {
                return .failed("/dev/rfkill: \(String(cString: strerror(refused))); soft: \(String(cString: strerror(code)))")
            }
        }
        for _ in 0..<10 {
            if own()?.isSoftBlocked != true { return .succeeded }
            usleep(100_000)
        }
        return .failed("rfkill\(radio.index) stays soft blocked: somebody blocks it again")
    }

    private static func downUp(_ controls: any AdapterControls, _ index: Int) -> Outcome {
        let down = controls.interface(index, isUp: false)
        guard down == 0 else { return .failed("down: \(String(cString: strerror(down)))") }
        controls.settle()
        switch controls.interface(index, isUp: true) {
        // Somebody was quicker; it is up.
        case 0, EALREADY: return .succeeded
        case ERFKILL: return .failed("up: the radio is blocked by rfkill")
        case let up: return .failed("up: \(String(cString: strerror(up)))")
        }
    }

    /// Writes all at once, as the kernel's files want it. Returns 0 or the error's number.
    private static func write(_ bytes: [UInt8], to path: String) -> Int32 {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        return Glibc.write(descriptor, bytes, bytes.count) == bytes.count ? 0 : errno
    }

    /// /dev/bus/usb/BBB/DDD of a USB device.
    static func node(_ tree: MachineTree, usbDevice path: String) -> String? {
        guard let bus = tree.line(path + "/busnum").flatMap({ Int($0) }),
            let device = tree.line(path + "/devnum").flatMap({ Int($0) })
        else { return nil }
        let padded = { (number: Int) in String(repeating: "0", count: max(0, 3 - String(number).count)) + String(number) }
        return "/dev/bus/usb/\(padded(bus))/\(padded(device))"
    }

    // MARK: Bounded

    private func onThread(
        _ rung: Rung, _ index: Int, limit: Duration? = nil, _ body: @escaping @Sendable () -> Outcome
    ) async -> Outcome {
        let call = Call(rung: rung, adapter: index)
        guard underWay.withLock({ $0.insert(call).inserted }) else { return .failed("an earlier one still hangs in the kernel") }
        let thread: EventLoop
        do {
            thread = try EventLoop(name: "vg-adapter")
        } catch {
            underWay.withLock { _ = $0.remove(call) }
            return .failed("\(error)")
        }
        let ending = Ending()
        thread.execute { [self] in
            let outcome = body()
            underWay.withLock { _ = $0.remove(call) }
            ending.finish(outcome)
        }
        thread.stop()
        let limit = limit ?? rung.limit
        return await withTaskGroup(of: Outcome?.self) { group in
            group.addTask { await ending.wait() }
            group.addTask {
                try? await Task.sleep(for: limit)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? .failed("it has not ended after \(limit.milliseconds / 1_000) s")
        }
    }
}

/// What a thread comes to, for a task that may give up waiting.
private final class Ending: Sendable {
    private enum State {
        case running
        case awaited(CheckedContinuation<RecoveryLadder.Outcome?, Never>)
        case over(RecoveryLadder.Outcome?)
    }

    private let state = Mutex(State.running)

    func finish(_ outcome: RecoveryLadder.Outcome?) {
        let waiting = state.withLock { state -> CheckedContinuation<RecoveryLadder.Outcome?, Never>? in
            switch state {
            case .running:
                state = .over(outcome)
                return nil
            case .awaited(let waiting):
                state = .over(outcome)
                return waiting
            case .over: return nil
            }
        }
        waiting?.resume(returning: outcome)
    }

    /// `nil` where the waiting task is cancelled first.
    func wait() async -> RecoveryLadder.Outcome? {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let outcome = state.withLock { state -> RecoveryLadder.Outcome?? in
                    if case .over(let outcome) = state { return .some(outcome) }
                    state = .awaited(continuation)
                    return nil
                }
                if let outcome { continuation.resume(returning: outcome) }
            }
        } onCancel: {
            finish(nil)
        }
    }
}

/// The calls that may hang; another hand makes them in tests. Each returns 0 or the error's number.
public protocol AdapterControls: Sendable {
    func interface(_ index: Int, isUp: Bool) -> Int32
    /// Lets the controller come to rest between down and up.
    func settle()
    /// - Parameter node: /dev/bus/usb/BBB/DDD.
    func usbReset(_ node: String) -> Int32
}

/// The machine's own kernel.
public struct KernelControls: AdapterControls {
    public init() {}

    public func interface(_ index: Int, isUp: Bool) -> Int32 {
        let descriptor = KernelQuestions.socket()
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        let result =
            isUp ? vitalgate_hci_up(descriptor, Int32(clamping: index)) : vitalgate_hci_down(descriptor, Int32(clamping: index))
        return result == 0 ? 0 : errno
    }

    public func settle() { usleep(1_000_000) }

    public func usbReset(_ node: String) -> Int32 {
        let descriptor = open(node, O_RDWR | O_CLOEXEC)
        guard descriptor >= 0 else { return errno }
        defer { close(descriptor) }
        return vitalgate_usb_reset(descriptor) == 0 ? 0 : errno
    }
}
