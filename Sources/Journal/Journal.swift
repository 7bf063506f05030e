import EventLoop

/// The store of the promise: one SQLite connection under an exclusive lock, on a thread of its own.
///
/// Design constraints: what `write` returned is on disk (R1); what failed left no trace; a disk that lied or filled up is found
/// out before anything more is believed (R1, R9); nothing that grows with the backlog is held in memory. Transactions run one
/// after the other in the order of their calls, so each must be short: no more than some milliseconds (long work is cut into
/// pieces by ``purgeDelivered(before:limit:at:)`` and the like).
public actor Journal {
    private enum Phase {
        case open(Store)
        /// The connection failed; it is closed already.
        case failed(JournalError)
        case wiped
        case closed
    }

    private nonisolated let options: JournalOptions
    private nonisolated let loop: EventLoop
    private var phase: Phase
    private var key: KeySource
    private let ballast: Ballast
    private var idleTimer: EventLoop.TimerID?

    /// Whether the disk reserve is in place (R9).
    public private(set) var reserve: ReserveState = .held

    /// What protects the key: ``KeySource/Protection/file`` is a standing condition, `no-key-protection`.
    public nonisolated let keyProtection: KeySource.Protection

    /// How long nothing must have been committed before the log is written back. Longer than the gaps between a cuff's stored
    /// records (a connection interval or two, at most 100 ms), so that it does not come between them.
    private static let idleBeforeCheckpoint = Duration.milliseconds(250)

    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private init(_ options: JournalOptions, loop: EventLoop) {
        self.options = options
        self.loop = loop
        key = options.key
        keyProtection = options.key.protection
        ballast = Ballast(beside: options.path, bytes: options.ballastBytes)
        phase = .closed
    }

    /// Opens or makes the journal. Afterwards no other process can open it until ``close()``.
    public static func open(_ options: JournalOptions) async throws(JournalError) -> Journal {
        let loop: EventLoop
        do throws(EventLoopError) {
            loop = try EventLoop(name: "vg-journal")
        } catch {
            throw .fault("\(error)")
        }
        let journal = Journal(options, loop: loop)
        do throws(JournalError) {
            try await journal.start()
        } catch {
            loop.stop()
            throw error
        }
        return journal
    }

    private func start() throws(JournalError) {
        let store: Store
        do throws(JournalError) {
            store = try Store(options, key: key)
        } catch {
            guard case .full = error, ballast.isHeld, options.ballastBytes > 0 else { throw error }
            ballast.release()
            reserve = .reached
            store = try Store(options, key: key)
        }
        phase = .open(store)
        if !ballast.restore() { reserve = .reached }
        // Counted before the first device is heard: some 50 ms with 100,000 readings, too long to come between later.
        _ = try transact(store, isReadOnly: true) { transaction in try transaction.counts() }
    }

    public var state: JournalState {
        switch phase {
        case .open: .open
        case .failed(let error): .failed(error)
        case .wiped: .wiped
        case .closed: .closed
        }
    }

    /// Whether the journal's thread answers, for the watchdog. A slow disk only delays the answer.
    public nonisolated func ping() async -> Bool { await loop.ping() }

    // MARK: Transactions

    /// Runs `body` in one transaction and commits it. When this returns, the change is durable (`synchronous=FULL`); when it
    /// throws, there is no change. After ``JournalError/io(_:)`` the next call reopens and checks the database first.
    ///
    /// - Parameter body: `throws` is untyped because Swift 6.3 infers no typed throws for closures; an error that is no
    ///   ``JournalError`` rolls back too and becomes ``JournalError/fault(_:)``, so return a value for an outcome of your own.
    @discardableResult
    public func write<T: Sendable>(
        _ urgency: Urgency = .ordinary, _ body: @Sendable (Transaction) throws -> T
    ) throws(JournalError) -> T {
        if urgency == .intake, !reclaimReserve() { throw .full(path: options.path) }
        let store = try ready()
        let result = try transact(store, isReadOnly: false, body)
        writeBackLater(store, urgency)
        return result
    }

    /// Runs `body` on one state of the database. Writing in it is an error.
    public func read<T: Sendable>(_ body: @Sendable (Transaction) throws -> T) throws(JournalError) -> T {
        try transact(try ready(), isReadOnly: true, body)
    }

    private func transact<T>(
        _ store: Store, isReadOnly: Bool, _ body: (Transaction) throws -> T
    ) throws(JournalError) -> T {
        let transaction = Transaction(store, isReadOnly: isReadOnly)
        let tally = store.cache.tally
        do {
            try transaction.execute(isReadOnly ? "BEGIN" : "BEGIN IMMEDIATE")
            let result = try body(transaction)
            // A body that caught a failure of the disk must not commit the rest.
            if let failure = transaction.failure { throw failure }
            try transaction.execute("COMMIT")
            return result
        } catch {
            if !store.database.isAutocommit { try? store.database.execute("ROLLBACK") }
            store.cache.rollBack(to: tally)
            let failure = transaction.failure ?? error as? JournalError ?? .fault("a transaction's body threw \(type(of: error))")
            handle(failure, store)
            throw failure
        }
    }

    /// The open store; reopened and checked first where the connection failed (R1).
    private func ready() throws(JournalError) -> Store {
        switch phase {
        case .open(let store): return store
        case .closed: throw .closed
        case .wiped: throw .keyMissing("This journal's keys were wiped; nothing in it can be opened.")
        case .failed:
            do throws(JournalError) {
                let store = try Store(options, key: key)
                try store.check()
                phase = .open(store)
                _ = try transact(store, isReadOnly: true) { transaction in try transaction.counts() }
                return store
            } catch {
                phase = .failed(error)
                throw error
            }
        }
    }

    private func handle(_ error: JournalError, _ store: Store) {
        if case .full = error { spendReserve(store) }
        guard error.poisons else { return }
        store.database.close()
        phase = .failed(error)
    }

    // MARK: Disk reserve (R9)

    /// Gives the ballast away where it is the disk that is full, and writes the log back into what that freed.
    private func spendReserve(_ store: Store) {
        guard ballast.isDiskShort, reserve == .held else { return }
        ballast.release()
        reserve = .reached
        try? writeBack(store, truncating: true)
    }

    /// Whether intake may go on: the ballast is in place, or there is room to take it again.
    private func reclaimReserve() -> Bool {
        guard reserve == .reached else { return true }
        guard ballast.restore() else { return false }
        reserve = .held
        return true
    }

    /// Gives the ballast away before a write has failed, where the caller sees the disk filling.
    public func releaseReserve() throws(JournalError) {
        ballast.release()
        reserve = .reached
        try writeBack(try ready(), truncating: true)
    }

    /// Takes the ballast again if there is room; for a caller that waits for it.
    public func restoreReserve() -> ReserveState {
        _ = reclaimReserve()
        return reserve
    }

    public func storage() throws(JournalError) -> StorageReport {
        StorageReport(
            databaseBytes: FileSystem.size(options.path), logBytes: FileSystem.size(options.path + "-wal"),
            ballastBytes: FileSystem.size(ballast.path),
            freeBytes: FileSystem.freeBytes(at: FileSystem.directory(of: options.path)) ?? 0, reserve: reserve)
    }

    // MARK: The log

    private func writeBackLater(_ store: Store, _ urgency: Urgency) {
        let pending = store.database.pendingFrames
        if let timer = idleTimer {
            loop.cancel(timer)
            idleTimer = nil
        }
        guard pending >= options.checkpointFrames else { return }
        if pending >= options.checkpointFramesAtMost * (urgency == .intake ? 4 : 1) {
            try? writeBack(store, truncating: false)
            return
        }
        idleTimer = loop.schedule(at: .now + Self.idleBeforeCheckpoint) { [weak self] in
            self?.assumeIsolated { $0.writeBackWhileIdle() }
        }
    }

    private func writeBackWhileIdle() {
        idleTimer = nil
        guard case .open(let store) = phase else { return }
        // A failure is kept in `phase`, and the next transaction meets it.
        try? writeBack(store, truncating: false)
    }

    private func writeBack(_ store: Store, truncating: Bool) throws(JournalError) {
        do throws(SQLiteError) {
            try store.database.checkpoint(truncating: truncating)
        } catch {
            let failure = JournalError(error, path: options.path)
            handle(failure, store)
            throw failure
        }
    }

    /// Writes the log back into the database file and cuts it.
    public func checkpoint() throws(JournalError) {
        try writeBack(try ready(), truncating: true)
    }

    // MARK: Keys (R8)

    /// Wraps the keys with another source's key; with `newDataKey` what is written from now on is sealed with a new data key.
    /// The old key file stays: the caller removes it when the new one is proved.
    public func rotate(to new: KeySource, newDataKey: Bool = false) throws(JournalError) {
        let store = try ready()
        try store.rotate(from: key, to: new, newDataKey: newDataKey)
        key = new
        // The old wrapping must not survive in the log.
        try writeBack(store, truncating: true)
    }

    /// What is written from now on is sealed with a new data key, wrapped by the same source's key.
    public func rotateDataKey() throws(JournalError) {
        try rotate(to: key, newDataKey: true)
    }

    /// Destroys the keys: from now on nobody can open what is sealed here. For a hub that is given back.
    public func wipe() throws(JournalError) {
        let store = try ready()
        try Keyring.wipe(in: store.database)
        try writeBack(store, truncating: true)
        if case .file(let path) = key { FileSystem.destroy(path) }
        key = .credential([])
        store.database.close()
        phase = .wiped
    }

    /// Writes the log back and gives the lock up. What was committed is durable without it.
    public func close() {
        if let timer = idleTimer { loop.cancel(timer) }
        idleTimer = nil
        if case .open(let store) = phase {
            try? store.database.checkpoint(truncating: true)
            store.database.close()
        }
        phase = .closed
        loop.stop()
    }

    // MARK: Spools

    nonisolated var databasePath: String { options.path }

    func sealSpoolKey(_ bytes: [UInt8], _ name: String) throws(JournalError) -> [UInt8] {
        try ready().sealer.seal(bytes, "spool", name, row: 0)
    }

    func openSpoolKey(_ sealed: [UInt8], _ name: String) throws(JournalError) -> [UInt8] {
        try ready().sealer.open(sealed, "spool", name, row: 0)
    }

    /// Tests of R1 look at the settings of the living connection.
    func verifySettings() throws(JournalError) {
        try Pragmas.verify(Pragmas.harmless + Pragmas.log, of: try ready().database)
    }
}
