import CBlueZ
public import EventLoop
import Glibc
import Protocols

/// Listens to the kernel's HCI monitor channel: every packet between the machine's adapters and their hosts, without its keys, as btsnoop
/// records. Needs CAP_NET_RAW (`hci_sock_bind` of the kernel's `net/bluetooth/hci_sock.c` asks for it on `HCI_CHANNEL_MONITOR`).
///
/// On the radio's loop, so that it sees no less than the radio does. What is heard waits here, bounded, until it is taken.
public actor RadioMonitor {
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    /// Records one after the other.
    public struct Chunk: Hashable, Sendable {
        public var bytes: [UInt8]
        public var records: Int
    }

    private nonisolated let loop: EventLoop
    private let opening: @Sendable () -> Result<Int32, BearerError>
    private var descriptor: Int32?
    private var redaction = KeyRedaction()
    private var waiting: [Chunk] = []
    private var waitingBytes = 0
    private var notify: (@Sendable () -> Void)?
    /// Records that were lost since the start, for want of a taker.
    public private(set) var drops: UInt32 = 0
    /// The channel's end, where it was not asked for.
    public private(set) var failure: BearerError?
    private var buffer = [UInt8](repeating: 0, count: longestRecord)

    /// Header 6 and a length of 16 bits.
    private static let longestRecord = 6 + 65_535
    /// What may wait: the taker comes once a second and at every full block, so this is a disk that hangs for minutes.
    private static let mostWaiting = 1 << 20

    /// - Parameter opening: gives a descriptor without waiting, of which each read is a datagram, and which is closed at the end: the
    ///   kernel's channel, or a socket pair in tests.
    public init(
        loop: EventLoop, opening: @escaping @Sendable () -> Result<Int32, BearerError> = RadioMonitor.openChannel
    ) {
        self.loop = loop
        self.opening = opening
    }

    /// - Parameter notify: called on the loop when a block's worth waits, and when the channel failed.
    /// - Throws: `EPERM` or `EACCES` without CAP_NET_RAW, `EAFNOSUPPORT` where the kernel has no Bluetooth.
    public func start(_ notify: @escaping @Sendable () -> Void) throws(BearerError) {
        guard descriptor == nil else { return }
        let opened = try opening().get()
        vitalgate_monitor_prepare(opened)
        waiting.removeAll()
        waitingBytes = 0
        drops = 0
        failure = nil
        redaction = KeyRedaction()
        do throws(EventLoopError) {
            try loop.watch(opened, .readable) { [weak self] _ in self?.assumeIsolated { $0.drain() } }
        } catch {
            close(opened)
            throw .system(call: error.call, code: error.code)
        }
        descriptor = opened
        self.notify = notify
    }

    /// What waits can still be taken.
    public func stop() {
        guard let descriptor else { return }
        loop.unwatch(descriptor)
        close(descriptor)
        self.descriptor = nil
        notify = nil
    }

    /// The oldest that waits.
    public func take() -> Chunk? {
        guard !waiting.isEmpty else { return nil }
        let chunk = waiting.removeFirst()
        waitingBytes -= chunk.bytes.count
        return chunk
    }

    private func drain() {
        while let descriptor {
            var time: Int64 = 0
            let count = vitalgate_monitor_read(descriptor, &buffer, buffer.count, &time)
            guard count > 0 else {
                if count < 0, errno == EAGAIN { return }
                failure = .system(call: "recvmsg", code: count < 0 ? errno : ECONNRESET)
                let notify = notify
                stop()
                notify?()
                return
            }
            hear(Array(buffer[..<count]), at: time)
        }
    }

    /// - Parameter microseconds: since 1970.
    func hear(_ datagram: [UInt8], at microseconds: Int64) {
        // A kind of a later kernel may hold anything.
        guard let record = try? MonitorRecord(decoding: datagram), let kept = redaction.redact(record) else { return }
        let bytes = BTSnoop.record(kept, microseconds: microseconds, drops: drops)
        guard waitingBytes + bytes.count <= Self.mostWaiting else {
            if drops < .max { drops += 1 }
            return
        }
        waitingBytes += bytes.count
        if let last = waiting.last, last.bytes.count + bytes.count <= CaptureCourse.blockBytes {
            waiting[waiting.count - 1].bytes += bytes
            waiting[waiting.count - 1].records += 1
        } else {
            waiting.append(Chunk(bytes: bytes, records: 1))
            if waiting.count > 1 { notify?() }
        }
    }

    /// The kernel's monitor channel.
    @Sendable public static func openChannel() -> Result<Int32, BearerError> {
        let descriptor = socket(
            AF_BLUETOOTH, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), BTPROTO_HCI)
        guard descriptor >= 0 else { return .failure(.system(call: "socket", code: errno)) }
        var address = sockaddr_hci(
            hci_family: sa_family_t(AF_BLUETOOTH), hci_dev: UInt16(HCI_DEV_NONE), hci_channel: UInt16(HCI_CHANNEL_MONITOR))
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_hci>.size))
            }
        }
        guard bound == 0 else {
            let code = errno
            close(descriptor)
            return .failure(.system(call: "bind", code: code))
        }
        return .success(descriptor)
    }
}
