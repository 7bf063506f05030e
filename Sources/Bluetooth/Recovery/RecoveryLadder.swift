public import Vitals

/// How a stuck adapter is brought back, decided without touching it: rung by rung, each dearer than the one before, until the
/// adapter works again.
///
/// Design constraints:
/// - a rung is bounded in time; what has not ended by then counts as failed, and its late outcome is not listened to;
/// - a rung that went well proves nothing: the adapter has to show that it works, in a bounded time, or the next rung follows;
/// - a rung that helped for less than ``Timing/lasting`` did not help: the next climb begins above it;
/// - after the last rung it rests before it begins again.
///
/// Operation: every call returns what to do, in order. The shell does it and tells the end by ``ended(_:_:at:)`` and
/// ``proved(_:at:)``.
public struct RecoveryLadder: Hashable, Sendable {
    public enum Rung: String, Hashable, Sendable, CaseIterable {
        /// Costs nothing, and nothing else helps where the radio is switched off.
        case rfkillUnblock = "rfkill-unblock"
        /// By the management interface: ends the links, keeps the kernel's keys.
        case powerCycle = "power-cycle"
        /// By HCIDEVDOWN and HCIDEVUP, past the management interface, which may be what hangs.
        case interfaceDownUp = "interface-down-up"
        /// As if the dongle were pulled out and put in again: the driver is bound anew and loads its firmware.
        case usbReset = "usb-reset"

        /// How long it may take.
        public var limit: Duration {
            switch self {
            // The write takes effect at once; the state is looked at ten times, 100 ms apart, and as long again for a busy machine.
            case .rfkillUnblock: .seconds(2)
            // Off, 1 s for the controller to settle, on: each command has the 10 s of StuckDetector.answer.
            case .powerCycle: .seconds(10 + 1 + 10)
            // Down waits for one HCI command (HCI_CMD_TIMEOUT, 2 s), 1 s to settle, up for the initialisation (HCI_INIT_TIMEOUT, 10 s),
            // and a driver that loads its firmware again for as long once more (include/net/bluetooth/hci.h).
            case .interfaceDownUp: .seconds(2 + 1 + 10 + 10)
            // The port's reset waits for control transfers (USB_CTRL_GET_TIMEOUT, 5 s, include/linux/usb.h), then 10 s for the driver
            // with its firmware, and 10 s until the index is seen again.
            case .usbReset: .seconds(5 + 10 + 10)
            }
        }

        var next: Rung? {
            let all = Rung.allCases
            return all.firstIndex(of: self).flatMap { $0 + 1 < all.count ? all[$0 + 1] : nil }
        }
    }

    public enum Outcome: Hashable, Sendable {
        case succeeded
        case failed(String)
        /// There is nothing to do of this kind, such as a USB reset of a soldered controller.
        case notApplicable(String)
    }

    /// What became of one rung.
    public struct Step: Hashable, Sendable {
        public var rung: Rung
        public var outcome: Outcome
        /// Until its outcome, without the proof.
        public var took: Duration
        /// Whether the adapter worked afterwards; `nil` where that was not asked.
        public var works: Bool?
    }

    public enum Action: Hashable, Sendable {
        /// To be answered by ``ended(_:_:at:)``.
        case climb(Rung)
        /// Look whether the adapter works: set it up, and hear something where something was heard before. To be answered by
        /// ``proved(_:at:)``.
        case prove
        /// Call ``timer(at:)`` at this time or later; replaces an earlier wish.
        case wake(at: MonotonicTime)
        case report(Report)
    }

    public enum Report: Hashable, Sendable {
        case step(Step)
        /// `nil`: it works again before any rung went well.
        case recovered(by: Rung?)
        /// No rung helped; it begins again at this time.
        case exhausted(nextAt: MonotonicTime)
    }

    public enum Timing {
        /// Powering at most 10 s (StuckDetector.answer), an active look of 10 s (StuckDetector.lookLength), and its start and stop,
        /// an HCI command of at most 2 s each.
        public static let proof = Duration.seconds(10 + 10 + 2 * 2)
        /// A whole climb takes at most 71 s of rungs and 4 x 24 s of proofs, 167 s. An adapter that gets stuck again within about four
        /// times that was not cured.
        public static let lasting = Duration.seconds(600)
        /// The first rest. Each climb ends every link, and a reset driver needs its firmware again: with 167 s at most of climbing
        /// in 300 s of rest, more than half of the time is left to an adapter that is only slow.
        public static let firstRest = Duration.seconds(300)
        /// The rest doubles up to an hour: what no rung mends (a broken dongle, a supply too weak) needs a person, who has a condition
        /// to read by then; and where the cause goes by itself, an hour is what the hub may lose, while devices keep their readings.
        public static let longestRest = Duration.seconds(3_600)

        static func rest(afterFruitless count: Int) -> Duration {
            // 300 s doubled four times is over an hour already.
            min(longestRest, firstRest * (1 << min(max(count, 1) - 1, 4)))
        }
    }

    private enum State: Hashable {
        case idle
        case climbing(Rung, since: MonotonicTime)
        case proving(Rung, since: MonotonicTime)
        case resting(until: MonotonicTime)
    }

    private struct Cure: Hashable {
        var rung: Rung
        var at: MonotonicTime
    }

    private var state = State.idle
    /// Whole climbs in a row that did not help.
    private var fruitless = 0
    private var cure: Cure?
    /// The rungs of the present climb, or of the last one.
    public private(set) var steps: [Step] = []

    public init() {}

    /// Whether a climb or a rest is under way: the adapter is stuck.
    public var isActive: Bool { state != .idle }

    /// The adapter is stuck. While a climb or a rest is under way, that is known already.
    public mutating func start(at now: MonotonicTime) -> [Action] {
        guard state == .idle else { return [] }
        defer { cure = nil }
        guard let cure, now - cure.at < Timing.lasting else {
            fruitless = 0
            return begin(.rfkillUnblock, at: now)
        }
        // An adapter that falls over again and again climbs higher each time, and rests in between once the top was reached.
        guard let above = cure.rung.next else { return rest(at: now) }
        return begin(above, at: now)
    }

    /// A person asks for the whole ladder: at once, also out of a rest, and from the lowest rung.
    public mutating func startAsked(at now: MonotonicTime) -> [Action] {
        switch state {
        case .idle, .resting:
            cure = nil
            return begin(.rfkillUnblock, at: now)
        case .climbing, .proving: return []
        }
    }

    /// A rung has ended.
    public mutating func ended(_ rung: Rung, _ outcome: Outcome, at now: MonotonicTime) -> [Action] {
        // What comes after its limit was counted as failed already.
        guard case .climbing(rung, let since) = state else { return [] }
        let step = Step(rung: rung, outcome: outcome, took: now - since, works: nil)
        guard outcome == .succeeded else { return keep(step) + climb(above: rung, at: now) }
        steps.append(step)
        state = .proving(rung, since: now)
        return [.prove, .wake(at: now + Timing.proof)]
    }

    /// The adapter works, or it was looked at and does not. Also unasked: one that comes back by itself ends the climb.
    public mutating func proved(_ works: Bool, at now: MonotonicTime) -> [Action] {
        switch state {
        case .idle: return []
        case .climbing, .resting:
            guard works else { return [] }
            state = .idle
            return [.report(.recovered(by: nil))]
        case .proving(let rung, _):
            var actions: [Action] = []
            if var step = steps.popLast() {
                step.works = works
                actions = keep(step)
            }
            guard works else { return actions + climb(above: rung, at: now) }
            state = .idle
            cure = Cure(rung: rung, at: now)
            return actions + [.report(.recovered(by: rung))]
        }
    }

    /// The time of a ``Action/wake(at:)`` has come.
    public mutating func timer(at now: MonotonicTime) -> [Action] {
        switch state {
        case .idle: return []
        case .climbing(let rung, let since):
            guard now >= since + rung.limit else { return [.wake(at: since + rung.limit)] }
            return ended(rung, .failed("it has not ended after \(rung.limit.milliseconds / 1_000) s"), at: now)
        case .proving(_, let since):
            guard now >= since + Timing.proof else { return [.wake(at: since + Timing.proof)] }
            return proved(false, at: now)
        case .resting(let until):
            guard now >= until else { return [.wake(at: until)] }
            return begin(.rfkillUnblock, at: now)
        }
    }

    // MARK: What follows

    private mutating func begin(_ rung: Rung, at now: MonotonicTime) -> [Action] {
        steps.removeAll()
        return climb(rung, at: now)
    }

    private mutating func climb(_ rung: Rung, at now: MonotonicTime) -> [Action] {
        state = .climbing(rung, since: now)
        return [.climb(rung), .wake(at: now + rung.limit)]
    }

    private mutating func climb(above rung: Rung, at now: MonotonicTime) -> [Action] {
        guard let next = rung.next else { return rest(at: now) }
        return climb(next, at: now)
    }

    private mutating func rest(at now: MonotonicTime) -> [Action] {
        fruitless += 1
        let until = now + Timing.rest(afterFruitless: fruitless)
        state = .resting(until: until)
        return [.report(.exhausted(nextAt: until)), .wake(at: until)]
    }

    private mutating func keep(_ step: Step) -> [Action] {
        steps.append(step)
        return [.report(.step(step))]
    }
}

extension RecoveryLadder.Outcome: CustomStringConvertible {
    public var description: String {
        switch self {
        case .succeeded: "succeeded"
        case .failed(let why): "failed: \(why)"
        case .notApplicable(let why): "not applicable: \(why)"
        }
    }
}
