import CBlueZ
import CLinux
public import EventLoop
import Glibc
public import Protocols

/// Why a link could not be made or used.
public enum BearerError: Error, Hashable, Sendable {
    /// The link has ended.
    case closed
    /// The kernel refused: the call and its `errno`.
    case system(call: String, code: Int32)
    /// Longer than the 107 bytes that a Unix socket's name may have.
    case pathTooLong
}

extension BearerError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .closed: "the link has ended"
        case .system(let call, let code): "\(call): \(String(cString: strerror(code)))"
        case .pathTooLong: "the socket's path is too long"
        }
    }
}

/// A bearer over any connected socket. On `SOCK_SEQPACKET` (L2CAP on CID 4, a socket pair, a named Unix socket) one read is one ATT
/// PDU; on `SOCK_STREAM` (RFCOMM) it is whatever the device had said so far.
///
/// The descriptor is always drained, for the kernel drops on overflow; what is read waits in ``incoming``, which drops nothing. What the
/// kernel does not take at once waits its turn. The descriptor is given up once, by whichever comes first: ``close()``, the peer, an
/// error, or the end of this actor.
public actor SocketBearer: Bearer {
    /// No PDU is longer than the MTU that we agree to (517); a longer one of a faulty peer is cut here and refused by the client.
    static let longestPDU = 1_024

    public nonisolated let incoming: AsyncStream<[UInt8]>
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private enum State {
        case open
        case closed
    }

    private struct Unsent {
        var rest: ArraySlice<UInt8>
        var done: CheckedContinuation<Void, any Error>
    }

    private let loop: EventLoop
    private let descriptor: Int32
    private let arrived: AsyncStream<[UInt8]>.Continuation
    private var state = State.open
    private var unsent: [Unsent] = []
    /// Waits for the kernel's word that the link is encrypted.
    private var securing: CheckedContinuation<Bool, Never>?
    /// Waits for the first PDU of the peer.
    private var listening: CheckedContinuation<Void, Never>?
    private var hasHeard = false
    private var reason: String?
    /// Closes the descriptor of a radio link; `nil` where any thread may close it.
    private let closer: LinkCloser?
    private var buffer = [UInt8](repeating: 0, count: longestPDU)

    /// Takes a connected descriptor, which is the bearer's from here on: it is closed also where this throws.
    public init(descriptor: Int32, loop: EventLoop) async throws(BearerError) {
        self.init(unwatched: descriptor, loop: loop)
        try begin()
    }

    /// For callers on the loop, who then call ``begin()`` themselves.
    init(unwatched descriptor: Int32, loop: EventLoop, closer: LinkCloser? = nil) {
        self.closer = closer
        self.descriptor = descriptor
        self.loop = loop
        (incoming, arrived) = AsyncStream.makeStream(of: [UInt8].self, bufferingPolicy: .unbounded)
    }

    /// Begins to drain the descriptor.
    func begin() throws(BearerError) {
        let flags = fcntl(descriptor, F_GETFL)
        guard flags >= 0, fcntl(descriptor, F_SETFL, flags | O_NONBLOCK) == 0 else {
            let code = errno
            end()
            throw .system(call: "fcntl", code: code)
        }
        do {
            try watch()
        } catch {
            end()
            throw error
        }
    }

    /// Connects to a named Unix `SOCK_SEQPACKET` socket, where a simulated peripheral "advertises".
    public static func connect(socketPath: String, loop: EventLoop) async throws(BearerError) -> SocketBearer {
        let descriptor = socket(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        guard descriptor >= 0 else { throw .system(call: "socket", code: errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let path = Array(socketPath.utf8)
        guard path.count < MemoryLayout.size(ofValue: address.sun_path) else {
            Glibc.close(descriptor)
            throw .pathTooLong
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: path) }
        // A Unix socket connects at once or not at all: where the listener's queue is full this waits, so it is asked not to.
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        let result = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.connect(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard result == 0 else {
            let code = errno
            Glibc.close(descriptor)
            throw .system(call: "connect", code: code)
        }
        return try await SocketBearer(descriptor: descriptor, loop: loop)
    }

    /// Nobody waits in ``unsent``: who waits holds this actor. (No `isolated deinit`: Swift 6.3.1 ends with "circular reference" when
    /// another module is optimised as a whole.)
    deinit {
        guard case .open = state else { return }
        let (loop, descriptor, closer) = (loop, descriptor, closer)
        loop.execute {
            loop.unwatch(descriptor)
            if let closer { closer.close(descriptor) } else { Glibc.close(descriptor) }
        }
        arrived.finish()
    }

    /// Hands one PDU to the kernel, in the order of the calls. Returns when it was taken.
    public func send(_ pdu: [UInt8]) async throws {
        guard case .open = state else { throw BearerError.closed }
        var rest = pdu[...]
        if unsent.isEmpty {
            switch write(&rest) {
            case 0: return
            case EAGAIN: break
            case let code:
                fail()
                throw code == EPIPE || code == ECONNRESET ? BearerError.closed : BearerError.system(call: "send", code: code)
            }
        }
        try await withCheckedThrowingContinuation { done in
            unsent.append(Unsent(rest: rest, done: done))
            listen(for: [.readable, .writable])
        }
    }

    public func close() async { end() }
    /// For callers on the loop.
    func endNow() { end() }

    /// Why the link ended, where the radio told.
    public var endReason: String? { reason }

    /// Keeps what the radio says of the link's end: the descriptor itself tells only that it is over.
    public func noteEnd(_ text: String) { reason = reason ?? text }

    /// Sends a request that every peer answers, and returns when the peer has said anything at all, the link has ended or the time is over.
    /// The answer stays in ``incoming``.
    func greet(_ request: [UInt8], atMost limit: Duration) async {
        guard !hasHeard, listening == nil, (try? await send(request)) != nil, case .open = state, !hasHeard else { return }
        let timer = loop.schedule(at: .now + limit) { [weak self] in self?.assumeIsolated { $0.heard() } }
        await withCheckedContinuation { listening = $0 }
        loop.cancel(timer)
    }

    private func heard() {
        listening?.resume()
        listening = nil
    }

    // MARK: Encryption

    /// Encrypts an L2CAP link with the key that the kernel holds and returns when it is encrypted; `false` where it cannot be.
    ///
    /// The kernel takes the socket out of "connected" until the link is encrypted, so that it is not writable before
    /// (kernel 6.1, `l2cap_sock_setsockopt`, `bt_sock_poll`); a link that is encrypted already answers EINVAL. Only to be called where
    /// a key is known: without one the kernel begins to pair.
    ///
    /// - Parameter level: `BT_SECURITY_MEDIUM` (encrypted) or `BT_SECURITY_HIGH` (and authenticated).
    func secure(level: UInt8) async -> Bool {
        guard case .open = state, securing == nil else { return false }
        if isEncrypted { return true }
        var security = bt_security(level: level, key_size: 0)
        guard
            setsockopt(descriptor, SOL_BLUETOOTH, BT_SECURITY, &security, socklen_t(MemoryLayout<bt_security>.size)) == 0
        else { return isEncrypted }
        return await withCheckedContinuation { done in
            securing = done
            listen(for: [.readable, .writable])
        }
    }

    /// The size of the link's key is known once it is encrypted.
    var isEncrypted: Bool {
        var security = bt_security()
        var size = socklen_t(MemoryLayout<bt_security>.size)
        return getsockopt(descriptor, SOL_BLUETOOTH, BT_SECURITY, &security, &size) == 0 && security.key_size > 0
    }

    // MARK: On the loop

    private func watch() throws(BearerError) {
        do throws(EventLoopError) {
            try loop.watch(descriptor, .readable) { [weak self] events in
                self?.assumeIsolated { $0.ready(events) }
            }
        } catch {
            throw .system(call: error.call, code: error.code)
        }
    }

    private func listen(for events: EventLoop.Events) {
        do { try loop.modify(descriptor, events) } catch { end() }
    }

    private func ready(_ events: EventLoop.Events) {
        if events.contains(.writable) { flush() }
        if !events.isDisjoint(with: [.readable, .hangUp, .error]) { drain(isOver: events.contains(.hangUp)) }
    }

    /// - Parameter isOver: the link is gone; what is still to be read is all there will be.
    private func drain(isOver: Bool) {
        var mayFail = true
        while case .open = state {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 {
                hasHeard = true
                heard()
                arrived.yield(Array(buffer[..<count]))
            } else if count < 0, errno == EINTR {
                continue
            } else if count < 0, errno == EAGAIN {
                // Of a link that was lost an L2CAP socket tells the error once and then says "try again" for ever.
                if isOver || !mayFail { end() }
                return
            } else if count < 0, mayFail {
                // The kernel tells of a reset once, before it hands out what the peer had sent until then.
                mayFail = false
            } else {
                // 0 is the end; ATT has no empty PDU.
                end()
            }
        }
    }

    private func flush() {
        if let done = securing, isEncrypted {
            securing = nil
            done.resume(returning: true)
        }
        while case .open = state, !unsent.isEmpty {
            switch write(&unsent[0].rest) {
            case 0: unsent.removeFirst().done.resume()
            case EAGAIN: return
            default: fail()
            }
        }
        if case .open = state { listen(for: .readable) }
    }

    /// Returns 0 when all of it was taken, or the error number with what is left.
    private func write(_ rest: inout ArraySlice<UInt8>) -> Int32 {
        while true {
            let count = rest.withUnsafeBytes { Glibc.send(descriptor, $0.baseAddress, $0.count, Int32(MSG_NOSIGNAL)) }
            if count >= rest.count { return 0 }
            if count >= 0 {
                // A stream took a part.
                rest = rest.dropFirst(count)
            } else if errno != EINTR {
                return errno == EWOULDBLOCK ? EAGAIN : errno
            }
        }
    }

    /// The peer takes nothing more. What it said before it left still counts.
    private func fail() {
        drain(isOver: true)
        end()
    }

    private func end() {
        guard case .open = state else { return }
        state = .closed
        loop.unwatch(descriptor)
        if let closer { closer.close(descriptor) } else { Glibc.close(descriptor) }
        arrived.finish()
        for waiting in unsent { waiting.done.resume(throwing: BearerError.closed) }
        unsent.removeAll()
        securing?.resume(returning: false)
        securing = nil
        heard()
    }
}
