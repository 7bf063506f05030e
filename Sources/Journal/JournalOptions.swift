/// Where the journal is and what it may use.
public struct JournalOptions: Sendable {
    /// The database file; its directory must exist. `-wal` and the ballast stand beside it.
    public var path: String
    public var key: KeySource
    /// Bytes kept back for the day that the disk is full (R9). 0 keeps none.
    public var ballastBytes: Int
    /// How long opening waits for another process's lock.
    public var busyMilliseconds: Int
    /// An upper bound of the database's size in pages of 4096 bytes, for tests of a full disk.
    public var maxPageCount: Int?
    /// A promise broken on purpose (`synchronous=OFF`), for the control that a power-cut rig must find.
    public var breaksDurability: Bool
    /// Frames in the write-ahead log at which an idle journal writes them back.
    public var checkpointFrames: Int
    /// Frames at which a busy journal writes them back all the same, after a commit that is no intake's.
    public var checkpointFramesAtMost: Int

    /// - Parameters:
    ///   - checkpointFrames: 64 frames are 256 KiB: a handful of readings, written back in one go while nothing else happens.
    ///   - checkpointFramesAtMost: 1000 frames are 4 MiB, SQLite's own default.
    public init(
        path: String, key: KeySource, ballastBytes: Int = 8 << 20, busyMilliseconds: Int = 500, maxPageCount: Int? = nil,
        breaksDurability: Bool = false, checkpointFrames: Int = 64, checkpointFramesAtMost: Int = 1000
    ) {
        self.path = path
        self.key = key
        self.ballastBytes = ballastBytes
        self.busyMilliseconds = busyMilliseconds
        self.maxPageCount = maxPageCount
        self.breaksDurability = breaksDurability
        self.checkpointFrames = checkpointFrames
        self.checkpointFramesAtMost = checkpointFramesAtMost
    }
}

/// Who asks for a transaction.
public enum Urgency: Hashable, Sendable {
    /// A device waits for its word. Refused while only the reserve is left (R9); never pays for writing the log back unless the
    /// log has grown to four times its bound.
    case intake
    case ordinary
}

public enum JournalState: Hashable, Sendable {
    case open
    /// The connection failed; the next transaction reopens and checks it first (R1).
    case failed(JournalError)
    /// The keys are gone: nothing can be opened.
    case wiped
    case closed
}

/// The disk reserve (R9).
public enum ReserveState: Hashable, Sendable {
    /// The ballast is in place.
    case held
    /// The disk was full: the ballast is given away to checkpoint and retention, and intake waits.
    case reached
}
