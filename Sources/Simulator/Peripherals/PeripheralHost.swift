import CLinux
import EventLoop
import Glibc
import Protocols
import Vitals

/// The shell around a ``PeripheralMachine``: a listening socket, one link, a timer.
actor PeripheralHost {
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private enum Mode {
        case idle
        /// One link of the caller's; `done` when it has ended.
        case single(CheckedContinuation<PeripheralError?, Never>)
        case named(path: String, listener: Int32?, CheckedContinuation<PeripheralError?, Never>)
    }

    private let loop: EventLoop
    private let ledger: Ledger?
    private let localTime: @Sendable () -> LocalDateTime
    private let endsWhenDelivered: Bool
    private var machine: PeripheralMachine
    private var mode = Mode.idle
    private var link: Int32?
    private var unsent: [[UInt8]] = []
    private var timer: EventLoop.TimerID?
    private var buffer = [UInt8](repeating: 0, count: 1_024)

    init(
        machine: PeripheralMachine, loop: EventLoop, ledger: Ledger?, localTime: @escaping @Sendable () -> LocalDateTime,
        endsWhenDelivered: Bool
    ) {
        self.machine = machine
        self.loop = loop
        self.ledger = ledger
        self.localTime = localTime
        self.endsWhenDelivered = endsWhenDelivered
    }

    func serve(descriptor: Int32) async throws(PeripheralError) {
        try begin(link: descriptor)
        _ = await endingOnCancellation { await self.waitForLinkEnd() }
    }

    func serve(socketPath: String) async throws(PeripheralError) {
        if let failure = await endingOnCancellation({ await self.waitOnSocket(socketPath) }) { throw failure }
    }

    /// Runs `wait` beside a child that ends it when the task is cancelled.
    private func endingOnCancellation(
        _ wait: @escaping @Sendable () async -> PeripheralError?
    ) async -> PeripheralError? {
        await withTaskGroup(of: Void.self) { group in
            group.addTask {
                while !Task.isCancelled { try? await Task.sleep(for: .seconds(3_600)) }
                await self.cancel()
            }
            let failure = await wait()
            group.cancelAll()
            return failure
        }
    }

    private func waitForLinkEnd() async -> PeripheralError? {
        await withCheckedContinuation { done in
            // The link may have ended already, or never be wanted.
            if link == nil || Task.isCancelled {
                endLink()
                done.resume(returning: nil)
            } else {
                mode = .single(done)
            }
        }
    }

    private func waitOnSocket(_ path: String) async -> PeripheralError? {
        await withCheckedContinuation { done in
            if Task.isCancelled { return done.resume(returning: nil) }
            mode = .named(path: path, listener: nil, done)
            advertise()
        }
    }

    private func cancel() {
        finish(nil)
        endLink()
    }

    private func finish(_ failure: PeripheralError?) {
        let before = mode
        mode = .idle
        switch before {
        case .single(let done): done.resume(returning: failure)
        case .named(let path, let listener, let done):
            stopListening(listener, path)
            done.resume(returning: failure)
        case .idle: break
        }
    }

    // MARK: Advertising

    /// Listens while there is something to say and no link is up.
    private func advertise() {
        guard case .named(let path, let listener, let done) = mode, link == nil else { return }
        guard machine.hasSomethingToSay else {
            if endsWhenDelivered { finish(nil) }
            return
        }
        guard listener == nil else { return }
        do {
            let listener = try listen(path)
            mode = .named(path: path, listener: listener, done)
        } catch {
            finish(error)
        }
    }

    private func stopListening(_ listener: Int32?, _ path: String) {
        guard let listener else { return }
        // First the name: who comes now finds nobody, as with a device that does not advertise.
        unlink(path)
        loop.unwatch(listener)
        close(listener)
    }

    private func listen(_ path: String) throws(PeripheralError) -> Int32 {
        let listener = socket(
            AF_UNIX, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), 0)
        guard listener >= 0 else { throw .system(call: "socket", subject: path, code: errno) }
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        let bytes = Array(path.utf8)
        guard bytes.count < MemoryLayout.size(ofValue: address.sun_path) else {
            close(listener)
            throw .pathTooLong
        }
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: bytes) }
        unlink(path)
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(listener, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        guard bound == 0, Glibc.listen(listener, 1) == 0 else {
            let code = errno
            close(listener)
            throw .system(call: "bind", subject: path, code: code)
        }
        do {
            try loop.watch(listener, .readable) { [weak self] _ in self?.assumeIsolated { $0.accept() } }
        } catch {
            close(listener)
            throw .system(call: error.call, subject: path, code: error.code)
        }
        return listener
    }

    private func accept() {
        guard case .named(let path, let listener?, let done) = mode, link == nil else { return }
        let descriptor = Glibc.accept(listener, nil, nil)
        guard descriptor >= 0 else { return }
        // A connected device does not advertise; who waits in the queue is turned away.
        stopListening(listener, path)
        mode = .named(path: path, listener: nil, done)
        do { try begin(link: descriptor) } catch { finish(error) }
    }

    // MARK: The link

    private func begin(link descriptor: Int32) throws(PeripheralError) {
        _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
        _ = fcntl(descriptor, F_SETFL, O_NONBLOCK)
        do {
            try loop.watch(descriptor, .readable) { [weak self] events in self?.assumeIsolated { $0.ready(events) } }
        } catch {
            close(descriptor)
            throw .system(call: error.call, subject: "link", code: error.code)
        }
        link = descriptor
        perform(machine.linkUp(at: Self.now()))
    }

    private func endLink() {
        guard let descriptor = link else { return }
        link = nil
        unsent.removeAll()
        if let timer { loop.cancel(timer) }
        timer = nil
        loop.unwatch(descriptor)
        close(descriptor)
        machine.linkDown()
        if case .single = mode { finish(nil) } else { advertise() }
    }

    private func ready(_ events: EventLoop.Events) {
        if events.contains(.writable) { flush() }
        while let descriptor = link {
            let count = recv(descriptor, &buffer, buffer.count, 0)
            if count > 0 {
                perform(machine.receive(Array(buffer[..<count]), at: Self.now(), localTime: localTime()))
            } else if count < 0, errno == EINTR {
                continue
            } else if count < 0, errno == EAGAIN {
                return
            } else {
                endLink()
            }
        }
    }

    private func perform(_ actions: [PeripheralMachine.Action]) {
        for action in actions {
            switch action {
            case .ledger(let line): ledger?.append(line)
            case .send(let pdu):
                unsent.append(pdu)
                flush()
            case .close: endLink()
            }
        }
        schedule()
    }

    private func flush() {
        guard let descriptor = link else { return }
        while let pdu = unsent.first {
            if send(descriptor, pdu, pdu.count, Int32(MSG_NOSIGNAL)) < 0 {
                if errno == EINTR { continue }
                guard errno == EAGAIN else { return endLink() }
                break
            }
            unsent.removeFirst()
        }
        let events: EventLoop.Events = unsent.isEmpty ? .readable : [.readable, .writable]
        do { try loop.modify(descriptor, events) } catch { endLink() }
    }

    private func schedule() {
        if let timer { loop.cancel(timer) }
        timer = nil
        guard link != nil, let deadline = machine.deadline else { return }
        let wait = max(.zero, deadline - Self.now())
        timer = loop.schedule(at: ContinuousClock.now + wait) { [weak self] in
            self?.assumeIsolated { host in
                host.timer = nil
                host.perform(host.machine.timer(at: Self.now()))
            }
        }
    }

    private static func now() -> MonotonicTime {
        var time = timespec()
        clock_gettime(CLOCK_BOOTTIME, &time)
        return MonotonicTime(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
    }
}
