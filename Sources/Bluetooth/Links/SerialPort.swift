import CBlueZ
import EventLoop
import Glibc
public import Protocols
public import Vitals

/// Why a device's serial port was not reached.
public enum DialError: Error, Hashable, Sendable {
    /// It does not answer: off, asleep or out of reach.
    case unreachable(code: Int32)
    /// It answers and has no serial port.
    case noSerialPort
    case lookupFailed(SDPError)
    /// It refused the port or the encryption of the link.
    case refused(code: Int32)
}

extension DialError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .unreachable(let code): "the device was not reached: \(String(cString: strerror(code)))"
        case .noSerialPort: "the device offers no serial port"
        case .lookupFailed(let error): "the device's services could not be read: \(error)"
        case .refused(let code): "the device refused its serial port: \(String(cString: strerror(code)))"
        }
    }
}

// Bluetooth Classic: the Serial Port Profile of a device that waits to be dialled.

extension Radio {
    /// Timing constants.
    private enum DialTiming {
        /// Paging takes 5.12 s at most by default (Core Vol 4 Part E 6.6), encryption and the channel some round trips more.
        static let connect = Duration.seconds(10)
        /// One look-up: a request and an answer or two.
        static let lookup = Duration.seconds(10)
    }
    /// The channel of the Service Discovery Protocol (Assigned Numbers, PSM).
    private static let discoveryPSM: UInt16 = 1

    /// Finds the device's serial port and opens it over an encrypted link. One at a time: paging takes the radio for itself.
    public func dial(_ address: DeviceAddress) async throws(DialError) -> SocketBearer {
        let channel = try await serialChannel(of: address)
        let descriptor = socket(AF_BLUETOOTH, Int32(SOCK_STREAM.rawValue) | Self.socketFlags, BTPROTO_RFCOMM)
        guard descriptor >= 0 else { throw .unreachable(code: errno) }
        var security = bt_security(level: UInt8(BT_SECURITY_MEDIUM), key_size: 0)
        setsockopt(descriptor, SOL_BLUETOOTH, BT_SECURITY, &security, socklen_t(MemoryLayout<bt_security>.size))
        var target = sockaddr_rc()
        target.rc_family = sa_family_t(AF_BLUETOOTH)
        target.rc_bdaddr = bdaddr_t(address)
        target.rc_channel = channel
        let code = await connect(descriptor, &target)
        guard code == 0 else {
            Glibc.close(descriptor)
            throw .refused(code: code)
        }
        guard let bearer = try? await SocketBearer(descriptor: descriptor, loop: loop) else { throw .refused(code: EIO) }
        return bearer
    }

    private func serialChannel(of address: DeviceAddress) async throws(DialError) -> UInt8 {
        let descriptor = socket(AF_BLUETOOTH, Int32(SOCK_SEQPACKET.rawValue) | Self.socketFlags, BTPROTO_L2CAP)
        guard descriptor >= 0 else { throw .unreachable(code: errno) }
        var target = sockaddr_l2(address, kind: .classic, channel: 0)
        target.l2_psm = Self.discoveryPSM.littleEndian
        let code = await connect(descriptor, &target)
        guard code == 0 else {
            Glibc.close(descriptor)
            throw .unreachable(code: code)
        }
        guard let bearer = try? await SocketBearer(descriptor: descriptor, loop: loop) else {
            throw .unreachable(code: EIO)
        }
        let found = await Self.lookUp(bearer)
        await bearer.close()
        switch found {
        case .found(let channel, _): return channel
        case .failed(let error): throw .lookupFailed(error)
        case .none: throw .noSerialPort
        case .send: throw .unreachable(code: ETIMEDOUT)
        }
    }

    /// The last step of the look-up; `send` where the device did not answer in time.
    private static func lookUp(_ bearer: SocketBearer) async -> SDPSerialPortLookup.Step {
        await withTaskGroup(of: SDPSerialPortLookup.Step?.self) { group in
            group.addTask {
                var lookup = SDPSerialPortLookup()
                var step = SDPSerialPortLookup.Step.send(lookup.start())
                var answers = bearer.incoming.makeAsyncIterator()
                while case .send(let pdu) = step {
                    do { try await bearer.send(pdu) } catch { return nil }
                    guard let answer = await answers.next() else { return nil }
                    step = lookup.receive(answer)
                }
                return step
            }
            group.addTask {
                try? await Task.sleep(for: DialTiming.lookup)
                return nil
            }
            let first = await group.next() ?? nil
            group.cancelAll()
            return first ?? .send([])
        }
    }

    private static var socketFlags: Int32 { Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue) }

    /// Returns 0 when the socket is connected, or the error number.
    private func connect<Address>(_ descriptor: Int32, _ address: inout Address) async -> Int32 {
        let started = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<Address>.size))
            }
        }
        if started == 0 { return 0 }
        guard errno == EINPROGRESS || errno == EAGAIN else { return errno }
        return await withCheckedContinuation { done in
            let attempt = ConnectAttempt(descriptor: descriptor, loop: loop, done: done)
            attempt.begin(limit: DialTiming.connect)
        }
    }
}

/// A `connect` under way; used on the loop's thread alone.
private final class ConnectAttempt {
    private let descriptor: Int32
    private let loop: EventLoop
    private var done: CheckedContinuation<Int32, Never>?
    private var timer: EventLoop.TimerID?

    init(descriptor: Int32, loop: EventLoop, done: CheckedContinuation<Int32, Never>) {
        self.descriptor = descriptor
        self.loop = loop
        self.done = done
    }

    func begin(limit: Duration) {
        timer = loop.schedule(at: .now + limit) { self.end(ETIMEDOUT) }
        do {
            try loop.watch(descriptor, .writable) { _ in
                var code: Int32 = 0
                var size = socklen_t(MemoryLayout<Int32>.size)
                getsockopt(self.descriptor, SOL_SOCKET, SO_ERROR, &code, &size)
                self.end(code)
            }
        } catch {
            end(EIO)
        }
    }

    private func end(_ code: Int32) {
        guard let done else { return }
        self.done = nil
        if let timer { loop.cancel(timer) }
        loop.unwatch(descriptor)
        done.resume(returning: code)
    }
}
