public import Vitals

/// What the hub does as its disk fills (R9): gently, in a stated order, and back by itself.
///
/// `low` reclaims space, one step a look, so that a look between shows whether it sufficed: a technician's capture of the radio,
/// delivered readings past retention, then device logs, then the detail of attempts; then from the start, because time has made more of them old. `full` also
/// releases the ballast file, so that the write-ahead log can be checkpointed and rows be deleted (both need room first), and
/// stops taking readings: devices keep what is not confirmed, and their batteries are not spent on connections that cannot end
/// well.
public struct StoragePressure: Hashable, Sendable {
    public enum Level: String, Hashable, Sendable, CaseIterable {
        case ok, low, full
    }

    public enum Action: String, Hashable, Sendable, CaseIterable {
        case dropCapture = "drop-capture"
        case purgeDelivered = "purge-delivered"
        case dropLogs = "drop-logs"
        case dropAttemptDetail = "drop-attempt-detail"
        case releaseBallast = "release-ballast"
        case stopConfirming = "stop-confirming"
        case stopConnecting = "stop-connecting"
        case restoreBallast = "restore-ballast"
        case resumeConfirming = "resume-confirming"
        case resumeConnecting = "resume-connecting"
    }

    /// Free bytes, the ballast file not counted among them.
    public struct Limits: Hashable, Sendable {
        public var low: Int64
        public var full: Int64
        /// The size of the preallocated file.
        public var ballast: Int64

        public init(low: Int64, full: Int64, ballast: Int64) {
            self.full = full
            self.low = max(low, full)
            self.ballast = ballast
        }

        /// A level is left only a quarter above where it began, or it would be entered and left with every checkpoint.
        var okFrom: Int64 { low + low / 4 }
        var resumeFrom: Int64 { full + max(full / 4, 1) }
    }

    public private(set) var level: Level = .ok
    public private(set) var isIntakeStopped = false
    public private(set) var isBallastHeld: Bool
    public let limits: Limits
    private var nextStep = 0
    private static let reclaiming: [Action] = [.dropCapture, .purgeDelivered, .dropLogs, .dropAttemptDetail]

    public init(limits: Limits, isBallastHeld: Bool) {
        self.limits = limits
        self.isBallastHeld = isBallastHeld
    }

    public var condition: Condition.Code? {
        switch level {
        case .ok: nil
        case .low: .storageLow
        case .full: .storageFull
        }
    }

    /// Takes a look at the free space and says what to do now.
    public mutating func observe(freeBytes: Int64) -> [Action] {
        if level == .full {
            // Room enough that the ballast can go back and there is still some.
            let needed = limits.resumeFrom + (isBallastHeld ? 0 : limits.ballast)
            guard freeBytes >= needed else { return [step()] }
            return isBallastHeld ? resume(freeBytes: freeBytes) : [.restoreBallast]
        }
        if freeBytes < limits.full { return fill() }
        if freeBytes < (level == .ok ? limits.low : limits.okFrom) {
            level = .low
            return [step()]
        }
        level = .ok
        nextStep = 0
        // A hub that started without its ballast takes it back when there is room.
        return !isBallastHeld && freeBytes >= limits.okFrom + limits.ballast ? [.restoreBallast] : []
    }

    /// A write failed for want of space, whatever the free bytes said.
    public mutating func writeFailedForSpace() -> [Action] { level == .full ? [step()] : fill() }

    /// The answer to ``Action/restoreBallast``.
    public mutating func ballastRestored(_ succeeded: Bool, freeBytes: Int64) -> [Action] {
        isBallastHeld = succeeded
        guard level == .full else { return [] }
        return succeeded && freeBytes >= limits.resumeFrom ? resume(freeBytes: freeBytes) : [step()]
    }

    private mutating func fill() -> [Action] {
        level = .full
        isIntakeStopped = true
        var actions: [Action] = [.stopConfirming, .stopConnecting]
        if isBallastHeld {
            isBallastHeld = false
            actions.append(.releaseBallast)
        }
        return actions + [step()]
    }

    private mutating func resume(freeBytes: Int64) -> [Action] {
        level = freeBytes < limits.okFrom ? .low : .ok
        isIntakeStopped = false
        if level == .ok { nextStep = 0 }
        return [.resumeConfirming, .resumeConnecting]
    }

    private mutating func step() -> Action {
        defer { nextStep = (nextStep + 1) % Self.reclaiming.count }
        return Self.reclaiming[nextStep]
    }
}
