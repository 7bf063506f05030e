import CLinux
import Glibc
import Synchronization

/// One thread around one epoll set, and the serial executor of every actor that names it.
///
/// C libraries that want "one thread at a time" (libcurl's multi interface, SQLite, sockets of the kernel's Bluetooth) then
/// need no locks, and what they block on does not hold up Swift's own threads (measured: a 10 ms ticker is 9 ms late beside
/// four such actors, 800 ms late beside four blocking default actors).
///
/// ```swift
/// actor Bearer {
///     let loop: EventLoop
///     nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }
/// }
/// ```
///
/// The thread sleeps in `epoll_wait` until a descriptor, a timer or a job has something for it; a job that the loop gives
/// itself costs no wake-up. It lives until ``stop()``, so a loop that is never stopped is never released.
///
/// `@unchecked Sendable`: what several threads touch is in `shared` (a mutex) or atomic; everything else belongs to the
/// loop's thread, and every method that reaches it begins with ``checkIsolated()``.
public final class EventLoop: SerialExecutor, @unchecked Sendable {
    /// Called on the loop's thread with what epoll reported.
    public typealias Handler = (Events) -> Void

    /// What to wait for on a descriptor, and what came.
    public struct Events: OptionSet, Hashable, Sendable {
        public let rawValue: UInt32
        public init(rawValue: UInt32) { self.rawValue = rawValue }

        public static let readable = Events(rawValue: EPOLLIN.rawValue)
        public static let writable = Events(rawValue: EPOLLOUT.rawValue)
        /// The peer has closed its writing side. Reported only where asked for.
        public static let peerClosed = Events(rawValue: EPOLLRDHUP.rawValue)
        /// Always reported, asked for or not.
        public static let error = Events(rawValue: EPOLLERR.rawValue)
        /// Always reported, asked for or not.
        public static let hangUp = Events(rawValue: EPOLLHUP.rawValue)
    }

    /// The thread's name, as `top -H` and a core dump show it (15 bytes at most, a limit of the kernel).
    public let name: String

    /// Codecs and SQLite stay far below; the 8 MiB default would count against a small hub's address space per loop.
    static let stackSize = 512 * 1024

    private struct Shared {
        enum Phase { case running, stopping, ended }
        var phase = Phase.running
        var jobs: [Job] = []
        /// The loop is about to sleep or sleeps: whoever adds work must write to the event descriptor.
        var isAsleep = false
        /// A thread is running jobs that came after the end.
        var isDrainingLate = false
        var pings: [UInt64: CheckedContinuation<Bool, Never>] = [:]
        var lastPing: UInt64 = 0
        var waiters: [CheckedContinuation<Void, Never>] = []
    }

    private enum Job: Sendable {
        case executor(UnownedJob)
        case work(@Sendable () -> Void)
    }

    private struct Watch {
        var generation: UInt32
        var handler: Handler
    }

    private struct Hook {
        var id: HookID
        var before: (() -> Duration?)?
        var after: (() -> Void)?
    }

    private struct Timer {
        var deadline: ContinuousClock.Instant
        var handler: () -> Void
    }

    private let poll: Int32
    private let wake: Int32
    private let shared = Mutex(Shared())
    /// The thread that may touch what follows; 0 before it starts.
    private let owner = Atomic<UInt>(0)

    // The loop's thread only.
    private var watches: [Int32: Watch] = [:]
    private var generation: UInt32 = 0
    private var hooks: [Hook] = []
    private var timers: [TimerID: Timer] = [:]
    private var lastID: UInt64 = 0

    /// Starts the thread.
    ///
    /// - Parameter name: at most 15 bytes are shown.
    /// - Throws: the call that failed: `epoll_create1`, `eventfd`, `epoll_ctl` or `pthread_create`.
    public init(name: String) throws(EventLoopError) {
        self.name = String(decoding: name.utf8.prefix(15), as: UTF8.self)
        let poll = epoll_create1(Int32(EPOLL_CLOEXEC))
        guard poll >= 0 else { throw EventLoopError(call: "epoll_create1", code: errno) }
        let wake = eventfd(0, Int32(EFD_CLOEXEC) | Int32(EFD_NONBLOCK))
        guard wake >= 0 else {
            let code = errno
            close(poll)
            throw EventLoopError(call: "eventfd", code: code)
        }
        self.poll = poll
        self.wake = wake
        var event = epoll_event()
        event.events = EPOLLIN.rawValue
        event.data.u64 = Self.token(wake, generation: 0)
        guard epoll_ctl(poll, EPOLL_CTL_ADD, wake, &event) == 0 else {
            let code = errno
            close(poll)
            close(wake)
            throw EventLoopError(call: "epoll_ctl", code: code)
        }
        let code = startThread { $0.run() }
        guard code == 0 else {
            close(poll)
            close(wake)
            throw EventLoopError(call: "pthread_create", code: code)
        }
    }

    // MARK: Executor

    public func enqueue(_ job: consuming ExecutorJob) {
        add(.executor(UnownedJob(job)))
    }

    /// Runs `work` on the loop's thread soon, after what was given to it before. From any thread; it does not wait.
    ///
    /// For callbacks that cannot `await`, a task's cancellation handler above all.
    public func execute(_ work: @escaping @Sendable () -> Void) { add(.work(work)) }

    private func add(_ job: Job) {
        let startsLate = shared.withLock { shared in
            shared.jobs.append(job)
            guard shared.phase == .ended else {
                wakeIfAsleep(&shared)
                return false
            }
            defer { shared.isDrainingLate = true }
            return !shared.isDrainingLate
        }
        // An actor may outlive its loop (a deinit, a task that was suspended elsewhere): its jobs must not be lost.
        if startsLate, startThread({ $0.runLate() }) != 0 { runLate() }
    }

    public func checkIsolated() { precondition(isOnLoop, "not on the event loop \(name)") }

    public func isIsolatingCurrentContext() -> Bool? { isOnLoop }

    /// Whether this is the loop's thread.
    public var isOnLoop: Bool { owner.load(ordering: .relaxed) == UInt(pthread_self()) }

    // MARK: Life

    /// Asks the thread to end. It runs the jobs that wait, lets go of all handlers, closes the loop's own descriptors (not the
    /// watched ones, which are their owners') and returns. Calling it again does nothing.
    ///
    /// End the loop's users first: an exchange or a read that waits for a descriptor then waits for ever.
    public func stop() {
        shared.withLock { shared in
            guard shared.phase == .running else { return }
            shared.phase = .stopping
            wakeIfAsleep(&shared)
        }
    }

    /// Returns when the thread has ended after ``stop()``.
    public func waitUntilStopped() async {
        await withCheckedContinuation { continuation in
            let hasEnded = shared.withLock { shared in
                if shared.phase == .ended { return true }
                shared.waiters.append(continuation)
                return false
            }
            if hasEnded { continuation.resume() }
        }
    }

    /// Returns `true` when the loop has gone round once: jobs run, descriptors asked. For a watchdog.
    ///
    /// Returns `false` when the loop has ended or the task is cancelled first, so that a stuck loop cannot hold its watchdog.
    @discardableResult
    public func ping() async -> Bool {
        let id = shared.withLock { shared in
            shared.lastPing += 1
            return shared.lastPing
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let isRefused = shared.withLock { shared in
                    if shared.phase == .ended || Task.isCancelled { return true }
                    shared.pings[id] = continuation
                    wakeIfAsleep(&shared)
                    return false
                }
                if isRefused { continuation.resume(returning: false) }
            }
        } onCancel: {
            shared.withLock { $0.pings.removeValue(forKey: id) }?.resume(returning: false)
        }
    }

    // MARK: Descriptors (the loop's thread only)

    /// Calls `handler` whenever one of `events` holds (level-triggered). A second call for a descriptor replaces the first.
    ///
    /// The descriptor stays the caller's: ``unwatch(_:)`` it before closing it.
    public func watch(_ descriptor: Int32, _ events: Events, _ handler: @escaping Handler) throws(EventLoopError) {
        checkIsolated()
        let isNew = watches[descriptor] == nil
        generation &+= 1
        try control(isNew ? EPOLL_CTL_ADD : EPOLL_CTL_MOD, descriptor, events, generation)
        watches[descriptor] = Watch(generation: generation, handler: handler)
    }

    /// Changes what is waited for and keeps the handler.
    public func modify(_ descriptor: Int32, _ events: Events) throws(EventLoopError) {
        checkIsolated()
        guard let watch = watches[descriptor] else { throw EventLoopError(call: "epoll_ctl", code: ENOENT) }
        try control(EPOLL_CTL_MOD, descriptor, events, watch.generation)
    }

    /// Stops watching. Events of this turn that were not yet handed out are dropped. Unknown descriptors are ignored.
    public func unwatch(_ descriptor: Int32) {
        checkIsolated()
        guard watches.removeValue(forKey: descriptor) != nil else { return }
        // The only failure left is a descriptor that was closed already, and the kernel has forgotten that one by itself.
        _ = epoll_ctl(poll, EPOLL_CTL_DEL, descriptor, nil)
    }

    private func control(
        _ operation: Int32, _ descriptor: Int32, _ events: Events, _ generation: UInt32
    ) throws(EventLoopError) {
        var event = epoll_event()
        event.events = events.rawValue
        event.data.u64 = Self.token(descriptor, generation: generation)
        guard epoll_ctl(poll, operation, descriptor, &event) == 0 else {
            throw EventLoopError(call: "epoll_ctl", code: errno)
        }
    }

    /// Descriptor and generation in one word: an event that was fetched before its descriptor was closed, and the number given
    /// out again, must not reach the new owner.
    private static func token(_ descriptor: Int32, generation: UInt32) -> UInt64 {
        UInt64(generation) << 32 | UInt64(UInt32(bitPattern: descriptor))
    }

    // MARK: Hooks and timers (the loop's thread only)

    public struct HookID: Hashable, Sendable { fileprivate let number: UInt64 }
    public struct TimerID: Hashable, Sendable { fileprivate let number: UInt64 }

    /// Adds code around each sleep, for libraries with a clock of their own.
    ///
    /// - Parameters:
    ///   - before: runs before the loop sleeps; returns how long it may, or `nil` for as long as it likes.
    ///   - after: runs after descriptors and timers were served.
    @discardableResult
    public func hook(before: (() -> Duration?)? = nil, after: (() -> Void)? = nil) -> HookID {
        checkIsolated()
        lastID += 1
        let id = HookID(number: lastID)
        hooks.append(Hook(id: id, before: before, after: after))
        return id
    }

    public func unhook(_ id: HookID) {
        checkIsolated()
        hooks.removeAll { $0.id == id }
    }

    /// Calls `handler` once, at or soon after `deadline`. The few timers of a loop are searched, not sorted.
    @discardableResult
    public func schedule(at deadline: ContinuousClock.Instant, _ handler: @escaping () -> Void) -> TimerID {
        checkIsolated()
        lastID += 1
        let id = TimerID(number: lastID)
        timers[id] = Timer(deadline: deadline, handler: handler)
        return id
    }

    /// A timer that has run or is unknown is ignored.
    public func cancel(_ id: TimerID) {
        checkIsolated()
        timers[id] = nil
    }

    // MARK: The thread

    private func wakeIfAsleep(_ shared: inout Shared) {
        guard shared.isAsleep else { return }
        shared.isAsleep = false
        // Fails only if the counter would overflow, and then the loop wakes anyway.
        _ = eventfd_write(wake, 1)
    }

    private final class Start {
        let loop: EventLoop
        let body: (EventLoop) -> Void
        init(_ loop: EventLoop, _ body: @escaping (EventLoop) -> Void) {
            self.loop = loop
            self.body = body
        }
    }

    /// Starts a detached thread with all signals blocked: they belong to the main thread. Returns 0 or an error number.
    private func startThread(_ body: @escaping (EventLoop) -> Void) -> Int32 {
        var attributes = pthread_attr_t()
        pthread_attr_init(&attributes)
        defer { pthread_attr_destroy(&attributes) }
        pthread_attr_setstacksize(&attributes, Self.stackSize)
        pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
        var all = sigset_t()
        var previous = sigset_t()
        sigfillset(&all)
        pthread_sigmask(SIG_BLOCK, &all, &previous)
        defer { pthread_sigmask(SIG_SETMASK, &previous, nil) }
        let start = Unmanaged.passRetained(Start(self, body))
        var thread = pthread_t()
        let code = pthread_create(
            &thread, &attributes,
            { argument in
                guard let argument else { return nil }
                let start = Unmanaged<Start>.fromOpaque(argument).takeRetainedValue()
                _ = pthread_setname_np(pthread_self(), start.loop.name)
                start.body(start.loop)
                return nil
            }, start.toOpaque())
        if code != 0 { start.release() }
        return code
    }

    private func run() {
        owner.store(UInt(pthread_self()), ordering: .relaxed)
        var events = [epoll_event](repeating: epoll_event(), count: 64)
        while turn(&events) {}
        finish()
    }

    /// One round: jobs, hooks, sleep, descriptors, timers, hooks. `false` when the loop is to end.
    private func turn(_ events: inout [epoll_event]) -> Bool {
        runJobs()
        var limit: Duration?
        for hook in hooks {
            guard let wish = hook.before?() else { continue }
            limit = limit.map { min($0, wish) } ?? wish
        }
        if let next = timers.values.lazy.map(\.deadline).min() {
            let wait = ContinuousClock.now.duration(to: next)
            limit = limit.map { min($0, wait) } ?? wait
        }
        let (pings, mayRest, goesOn) = shared.withLock { shared in
            shared.isAsleep = shared.jobs.isEmpty && shared.phase == .running && shared.pings.isEmpty
            defer { shared.pings.removeAll() }
            return (shared.pings, shared.isAsleep, shared.phase == .running || !shared.jobs.isEmpty)
        }
        let count = epoll_wait(poll, &events, Int32(events.count), mayRest ? Self.milliseconds(limit) : 0)
        if mayRest { shared.withLock { $0.isAsleep = false } }
        for event in events.prefix(Int(max(0, count))) {
            let descriptor = Int32(truncatingIfNeeded: event.data.u64)
            if descriptor == wake {
                var value: eventfd_t = 0
                _ = eventfd_read(wake, &value)
            } else if let watch = watches[descriptor], watch.generation == UInt32(event.data.u64 >> 32) {
                watch.handler(Events(rawValue: event.events))
            }
        }
        runTimers()
        for hook in hooks { hook.after?() }
        for ping in pings.values { ping.resume(returning: true) }
        return goesOn
    }

    /// Rounded up: a timer that fires a fraction early would turn the loop for nothing.
    private static func milliseconds(_ limit: Duration?) -> Int32 {
        guard let limit else { return -1 }
        let (seconds, attoseconds) = max(limit, .zero).components
        let milliseconds = seconds.multipliedReportingOverflow(by: 1_000)
        let fraction = (attoseconds + 999_999_999_999_999) / 1_000_000_000_000_000
        return milliseconds.overflow ? Int32.max : Int32(clamping: milliseconds.partialValue + fraction)
    }

    private func runJobs() {
        let jobs = shared.withLock { shared in
            let jobs = shared.jobs
            shared.jobs.removeAll(keepingCapacity: jobs.count <= 64)
            return jobs
        }
        let executor = asUnownedSerialExecutor()
        for job in jobs {
            switch job {
            case .executor(let job): job.runSynchronously(on: executor)
            case .work(let work): work()
            }
        }
    }

    private func runTimers() {
        guard !timers.isEmpty else { return }
        let now = ContinuousClock.now
        let due = timers.filter { $0.value.deadline <= now }.sorted { $0.value.deadline < $1.value.deadline }
        // One by one: a handler may cancel the next.
        for id in due.map(\.key) { timers.removeValue(forKey: id)?.handler() }
    }

    private func finish() {
        watches.removeAll()
        hooks.removeAll()
        timers.removeAll()
        let (pings, waiters, late) = shared.withLock { shared in
            shared.phase = .ended
            // Under the lock: nobody writes to a descriptor that is closed.
            close(poll)
            close(wake)
            defer {
                shared.pings.removeAll()
                shared.waiters.removeAll()
                shared.isDrainingLate = !shared.jobs.isEmpty
            }
            return (shared.pings, shared.waiters, !shared.jobs.isEmpty)
        }
        if late { runLate() }
        for ping in pings.values { ping.resume(returning: false) }
        for waiter in waiters { waiter.resume() }
        if !late { _ = owner.compareExchange(expected: UInt(pthread_self()), desired: 0, ordering: .relaxed) }
    }

    private func runLate() {
        owner.store(UInt(pthread_self()), ordering: .relaxed)
        while true {
            runJobs()
            let isDone = shared.withLock { shared in
                guard shared.jobs.isEmpty else { return false }
                shared.isDrainingLate = false
                owner.store(0, ordering: .relaxed)
                return true
            }
            if isDone { return }
        }
    }
}
