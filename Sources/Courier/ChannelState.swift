import Destinations
import Steward
import Vitals

/// Where a channel stands and what follows from an answer, decided without clock, network or disk (R6).
///
/// A channel is one receiver with one credential and one patient context: what fails for all of it waits together, and delays
/// nothing else.
struct ChannelState {
    enum Phase: Hashable {
        case open
        /// Nothing leaves before that moment.
        case pausing(until: MonotonicTime)
        /// Nothing leaves before a person acts.
        case held
    }

    /// What the worker does about an answer to a dispatch, besides each item's own outcome.
    enum Step: Hashable {
        /// The receiver took nothing: the channel's one failure row counts it, and tells for how long.
        case rollFailure(kind: String, reason: String)
        case hold(Condition.Code, reason: String)
        case refreshCredential
        /// The act is left alone until then, others go on.
        case stepAside(until: MonotonicTime)
        /// The act failed so often while others passed that a person should know.
        case raiseItemFailing
        case sendSmaller
    }

    private(set) var phase: Phase
    /// Failures in a row that concern the whole channel.
    private(set) var failures = 0
    /// What was accepted or looked at since the start.
    private var passes = 0
    /// Acts that failed since then: one may be at fault itself, two say that the receiver is.
    private var failedSince: Set<Int64> = []
    /// The acts on which the receiver fails, while it does.
    private var failing: [Int64: Failing] = [:]
    /// How often in a row an act was sent and had not arrived.
    private var losses: [Int64: Int] = [:]
    private var equalRefusals: (code: String, count: Int)?
    /// A new credential was tried and nothing was accepted since.
    private var hasRefreshed = false

    private struct Failing {
        /// In a row.
        var count = 0
        /// ``passes`` at its first failure: more now says that others passed since.
        var passesBefore: Int
        var isRaised = false
    }

    /// Ten equal refusals in a row say that the receiver or the mapping is wrong, not the reading (DESIGN section 5).
    static let mostEqualRefusals = 10
    /// An act that fails with 5xx so often while others pass steps aside (DESIGN section 5).
    static let mostServerFailures = 5

    /// A receiver that asks for no time at all, or for one that has passed, is still one that asks for mercy.
    static let leastRetryAfter = Duration.seconds(1)

    init(isHeld: Bool) { phase = isHeld ? .held : .open }

    mutating func release() {
        phase = .open
        failures = 0
        equalRefusals = nil
        hasRefreshed = false
        failing.removeAll()
        failedSince.removeAll()
    }

    /// A pause is over, or the network came back.
    mutating func resume(at now: MonotonicTime) {
        if case .pausing(let until) = phase, until <= now { phase = .open }
    }

    /// Something of this channel was accepted or looked at by the receiver.
    mutating func passed() {
        passes += 1
        failedSince.removeAll()
        failures = 0
        hasRefreshed = false
    }

    mutating func delivered(act: Int64) {
        passed()
        equalRefusals = nil
        failing[act] = nil
        losses[act] = nil
    }

    /// An item was refused for what it is. True where the channel must be held: the refusals are all the same.
    mutating func refused(code: String, act: Int64) -> Bool {
        passed()
        failing[act] = nil
        let count = equalRefusals?.code == code ? (equalRefusals?.count ?? 0) + 1 : 1
        equalRefusals = (code, count)
        guard count >= Self.mostEqualRefusals else { return false }
        phase = .held
        return true
    }

    /// What a verdict on the channel asks for. `random` in 0..<1 spreads the hubs over the pause ("full jitter").
    mutating func decide(_ verdict: DispatchVerdict, act: Int64, at now: MonotonicTime, random: Double) -> [Step] {
        switch verdict {
        case .items: return []
        case .retry(let kind, let reason):
            pause(at: now, random: random)
            return [.rollFailure(kind: kind, reason: reason)]
        case .waitUntilRetryAfter(let asked):
            if let asked {
                failures += 1
                pause(until: now + max(RetryAfter.wait(asked), Self.leastRetryAfter))
            } else {
                pause(at: now, random: random)
            }
            return [.rollFailure(kind: "busy", reason: "The receiver asks to wait.")]
        case .refreshCredential:
            if hasRefreshed {
                phase = .held
                return [.hold(.signInNeeded, reason: "The receiver does not accept the credential (HTTP 401).")]
            }
            hasRefreshed = true
            return [.refreshCredential]
        case .holdChannel(let code, let reason):
            phase = .held
            return [.hold(code, reason: reason)]
        case .reconcile: return []
        case .split: return [.sendSmaller]
        case .serverFailure(_, let reason): return serverFailed(act: act, reason: reason, at: now, random: random)
        }
    }

    /// A 5xx: the act waits. The channel waits only where another act failed too: it may be this one's own fault.
    mutating func serverFailed(act: Int64, reason: String, at now: MonotonicTime, random: Double) -> [Step] {
        var own = failing[act] ?? Failing(passesBefore: passes)
        own.count += 1
        failures += 1
        failedSince.insert(act)
        if failedSince.count > 1 { pause(until: now + BackOff.standard.delay(attempt: failures, random: random)) }
        var steps: [Step] = [
            .stepAside(until: now + BackOff.standard.delay(attempt: own.count, random: random)),
            .rollFailure(kind: "server-failure", reason: reason),
        ]
        if own.count >= Self.mostServerFailures, passes > own.passesBefore, !own.isRaised {
            own.isRaised = true
            steps.append(.raiseItemFailing)
        }
        failing[act] = own
        return steps
    }

    /// Acts on which the receiver failed last time: all others have their turn before them, however old these are.
    var failingActs: some Collection<Int64> { failing.keys }

    func serverFailures(of act: Int64) -> Int { failing[act]?.count ?? 0 }

    private mutating func pause(at now: MonotonicTime, random: Double) {
        failures += 1
        pause(until: now + BackOff.standard.delay(attempt: failures, random: random))
    }

    /// A held channel stays held: only a person opens it.
    private mutating func pause(until: MonotonicTime) {
        if phase != .held { phase = .pausing(until: until) }
    }

    /// The receiver was asked about an act of unknown outcome and does not have it. Once is a lost connection; again and again is an act
    /// on which the receiver breaks.
    mutating func lost(act: Int64, at now: MonotonicTime, random: Double) -> [Step] {
        losses[act, default: 0] += 1
        guard losses[act, default: 0] > 1 else { return [] }
        return serverFailed(act: act, reason: "The receiver breaks the exchange off.", at: now, random: random)
    }
}
