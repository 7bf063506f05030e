import CLinux
import EventLoop
import Glibc
import Testing

/// An actor that lives on a loop and watches a pipe.
private actor Listener {
    let loop: EventLoop
    nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
    private(set) var received: [UInt8] = []
    private(set) var fired: [Int] = []
    private(set) var turns = 0

    init(_ loop: EventLoop) { self.loop = loop }

    var isOnLoop: Bool { loop.isOnLoop }

    func listen(_ descriptor: Int32) throws {
        try loop.watch(descriptor, .readable) { [weak self] _ in
            self?.assumeIsolated { $0.read(descriptor) }
        }
    }

    private func read(_ descriptor: Int32) {
        var buffer = [UInt8](repeating: 0, count: 16)
        let count = Glibc.read(descriptor, &buffer, buffer.count)
        if count > 0 { received += buffer.prefix(count) } else { loop.unwatch(descriptor) }
    }

    func ignore(_ descriptor: Int32) { loop.unwatch(descriptor) }
    func watchNothing(_ descriptor: Int32) throws { try loop.watch(descriptor, .readable) { _ in } }

    /// All in one turn of the loop, so that none is due before the last is set.
    func scheduleThree() -> ContinuousClock.Instant {
        let start = ContinuousClock.now
        let set = { (number: Int, delay: Duration) in
            self.loop.schedule(at: start + delay) { [weak self] in self?.assumeIsolated { $0.fired.append(number) } }
        }
        _ = set(2, .milliseconds(40))
        _ = set(1, .milliseconds(20))
        loop.cancel(set(3, .milliseconds(30)))
        return start
    }

    func countTurns() { loop.hook(after: { [weak self] in self?.assumeIsolated { $0.turns += 1 } }) }

    func block(_ delay: Duration) { usleep(UInt32(delay / .microseconds(1))) }

    /// Two readable descriptors; whichever handler runs first lets go of the other and gives its number to a new owner.
    func reuse(_ first: (Int32, Int32), _ second: (Int32, Int32), _ fresh: Int32) throws {
        var served = 0
        let body: (Int32) -> Void = { other in
            served += 1
            guard served == 1 else { return }
            self.loop.unwatch(other)
            dup2(fresh, other)
            try? self.loop.watch(other, .readable) { _ in self.fired.append(-1) }
        }
        try loop.watch(first.0, .readable) { _ in body(second.0) }
        try loop.watch(second.0, .readable) { _ in body(first.0) }
        var byte: UInt8 = 1
        write(first.1, &byte, 1)
        write(second.1, &byte, 1)
    }
}

private func makePipe() -> (Int32, Int32) {
    var ends: [Int32] = [0, 0]
    pipe(&ends)
    return (ends[0], ends[1])
}

private func until(_ limit: Duration = .seconds(5), _ condition: () async -> Bool) async -> Bool {
    let end = ContinuousClock.now + limit
    while ContinuousClock.now < end {
        if await condition() { return true }
        try? await Task.sleep(for: .milliseconds(2))
    }
    return await condition()
}

private func openDescriptors() -> Int {
    (0..<1_024).count { fcntl(Int32($0), F_GETFD) >= 0 }
}

@Suite("EventLoop", .serialized, .timeLimit(.minutes(1)))
struct EventLoopTests {
    @Test("an actor's code runs on the loop's thread, and code elsewhere is not on it")
    func isolation() async throws {
        let loop = try EventLoop(name: "isolation")
        #expect(await Listener(loop).isOnLoop)
        #expect(!loop.isOnLoop)
        #expect(loop.isIsolatingCurrentContext() == false)
        loop.stop()
        await loop.waitUntilStopped()
    }

    @Test("a watched descriptor's bytes arrive in order, and none after unwatch")
    func descriptors() async throws {
        let loop = try EventLoop(name: "descriptors")
        let listener = Listener(loop)
        let (read, write) = makePipe()
        defer { close(read) }
        try await listener.listen(read)
        for byte in UInt8(1)...5 { Glibc.write(write, [byte], 1) }
        #expect(await until { await listener.received == [1, 2, 3, 4, 5] })
        await listener.ignore(read)
        Glibc.write(write, [6], 1)
        await loop.ping()
        await loop.ping()
        #expect(await listener.received == [1, 2, 3, 4, 5])
        close(write)
        loop.stop()
        await loop.waitUntilStopped()
    }

    @Test("an event fetched for a descriptor's old owner does not reach the new one")
    func descriptorNumberReused() async throws {
        let loop = try EventLoop(name: "reuse")
        let listener = Listener(loop)
        let (first, second, fresh) = (makePipe(), makePipe(), makePipe())
        try await listener.reuse(first, second, fresh.0)
        for _ in 0..<5 { await loop.ping() }
        #expect(await listener.fired.isEmpty)
        loop.stop()
        await loop.waitUntilStopped()
        for descriptor in [first.0, first.1, second.0, second.1, fresh.0, fresh.1] { close(descriptor) }
    }

    @Test("a descriptor that epoll cannot watch is an error, not silence")
    func unwatchable() async throws {
        let loop = try EventLoop(name: "unwatchable")
        let listener = Listener(loop)
        await #expect(throws: EventLoopError(call: "epoll_ctl", code: EBADF)) { try await listener.watchNothing(-1) }
        let file = open("/proc/self/exe", O_RDONLY)
        defer { close(file) }
        await #expect(throws: EventLoopError(call: "epoll_ctl", code: EPERM)) { try await listener.watchNothing(file) }
        loop.stop()
        await loop.waitUntilStopped()
    }

    @Test("timers run in the order of their deadlines, never early, and not after cancel")
    func timers() async throws {
        let loop = try EventLoop(name: "timers")
        let listener = Listener(loop)
        let start = await listener.scheduleThree()
        #expect(await until { await listener.fired.count == 2 })
        #expect(ContinuousClock.now - start >= .milliseconds(40))
        #expect(await listener.fired == [1, 2])
        loop.stop()
        await loop.waitUntilStopped()
    }

    @Test("an idle loop does not turn")
    func idle() async throws {
        let loop = try EventLoop(name: "idle")
        let listener = Listener(loop)
        await listener.countTurns()
        let before = await listener.turns
        try await Task.sleep(for: .milliseconds(200))
        // The question itself is one turn, and the one that registered the hook may still have been running.
        #expect(await listener.turns - before <= 2)
        loop.stop()
        await loop.waitUntilStopped()
    }

    @Test("a ping returns after a turn; of a stuck loop it returns when cancelled; of an ended loop at once")
    func ping() async throws {
        let loop = try EventLoop(name: "ping")
        let listener = Listener(loop)
        #expect(await loop.ping())
        let blocking = Task { await listener.block(.milliseconds(1_500)) }
        try await Task.sleep(for: .milliseconds(50))
        let start = ContinuousClock.now
        let answered = await withTaskGroup(of: Bool.self) { group in
            group.addTask { await loop.ping() }
            group.addTask {
                try? await Task.sleep(for: .milliseconds(50))
                return false
            }
            let first = await group.next() ?? false
            group.cancelAll()
            return first
        }
        #expect(!answered)
        #expect(ContinuousClock.now - start < .milliseconds(1_200))
        await blocking.value
        #expect(await loop.ping())
        loop.stop()
        await loop.waitUntilStopped()
        #expect(await !loop.ping())
    }

    @Test("an actor that outlives its loop still runs, one job at a time")
    func afterTheEnd() async throws {
        let loop = try EventLoop(name: "after")
        let listener = Listener(loop)
        loop.stop()
        loop.stop()
        await loop.waitUntilStopped()
        await withTaskGroup { group in
            for _ in 0..<50 { group.addTask { #expect(await listener.isOnLoop) } }
        }
    }

    /// In a process of its own: other tests open descriptors too.
    @Test("many loops started and stopped leave no descriptor behind")
    func closesItsDescriptors() async {
        await #expect(processExitsWith: .success) {
            // The first loop settles what the runtime opens once.
            var before = 0
            for round in 0..<2 {
                before = openDescriptors()
                for _ in 0..<(round == 0 ? 1 : 20) {
                    let loop = try EventLoop(name: "many")
                    #expect(await Listener(loop).isOnLoop)
                    loop.stop()
                    await loop.waitUntilStopped()
                }
            }
            #expect(openDescriptors() <= before)
        }
    }

    @Test("10,000 jobs from many tasks all run")
    func manyJobs() async throws {
        let loop = try EventLoop(name: "jobs")
        let listener = Listener(loop)
        let count = await withTaskGroup(of: Int.self) { group in
            for _ in 0..<100 {
                group.addTask {
                    var count = 0
                    for _ in 0..<100 where await listener.isOnLoop { count += 1 }
                    return count
                }
            }
            return await group.reduce(0, +)
        }
        #expect(count == 10_000)
        loop.stop()
        await loop.waitUntilStopped()
    }
}
