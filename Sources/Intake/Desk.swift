public import Journal
import Steward
public import Vitals

/// What happens to readings after they were taken in: a person's decisions, new assignments, and a clock that came right.
public struct Desk: Sendable {
    let journal: Journal
    let clock: any Clock
    let registrar: Registrar

    /// Long lists are worked off in pieces, so that no intake commit waits behind one (R1: 20 ms).
    private static let piece = 25

    /// A new assignment stands: binds what was held for want of one, and adds receivers where the period covers the time.
    ///
    /// - Returns: how many acts became ready.
    public func assigned(device: Int64) async throws(JournalError) -> Int {
        var bound = 0
        for state in ["held", "ready"] { bound += try await decideAgain(ActFilter(state: state, device: device)) }
        try await clearHolds(device: device)
        return bound
    }

    /// Decides acts again with the times that they have. Returns how many of them became ready.
    func decideAgain(_ filter: ActFilter) async throws(JournalError) -> Int {
        var bound = 0
        var last: Int64 = 0
        while case let page = try await page(filter, after: last), let end = page.last {
            let (registrar, from) = (registrar, last)
            bound += try await journal.write { tx in
                var count = 0
                for act in try tx.acts(filter, after: from, limit: Self.piece) {
                    let decided = try registrar.decideAgain(act, time: false, in: tx)
                    if decided.state == .ready {
                        try registrar.oblige(decided, in: tx)
                        if act.state != .ready { count += 1 }
                    }
                }
                return count
            }
            last = end
        }
        return bound
    }

    private func page(_ filter: ActFilter, after: Int64) async throws(JournalError) -> [Int64] {
        try await journal.read { tx in
            try tx.acts(filter, after: after, limit: Self.piece).map(\.id)
        }
    }

    /// The hub's clock is synchronised: readings of this boot are put right before they leave (R5).
    ///
    /// - Parameter now: a synchronised look at the hub's clocks.
    /// - Returns: how many acts were put right.
    public func clockSynchronised(_ now: ClockReading) async throws(JournalError) -> Int {
        var count = 0
        // Earlier boots too: one that ended without a synchronised clock leaves stamps that count, and receptions that do not.
        var last: Int64 = 0
        while case let page = try await page(ActFilter(heldReason: .hubClock), after: last), let end = page.last {
            let (registrar, from) = (registrar, last)
            count += try await journal.write { tx in
                let acts = try tx.acts(ActFilter(heldReason: .hubClock), after: from, limit: Self.piece)
                for act in acts { try registrar.putRight(act, by: now, in: tx) }
                return acts.count
            }
            last = end
        }
        return count
    }

    /// The device's holds that nobody is waiting on any more need no condition.
    func clearHolds(device id: Int64) async throws(JournalError) {
        try await journal.write { tx in
            guard let device = try tx.device(id: id) else { return }
            for code in Set(HoldReason.allCases.compactMap(\.condition)) { try tx.clearHold(code, of: device) }
        }
    }
}

extension Desk {
    /// Tries the frames again that no decoder has understood so far (R2): at each start, since an update may bring one that does.
    ///
    /// - Returns: how many became readings.
    public func decodeAgain() async throws(JournalError) -> Int {
        var count = 0
        var last: Int64 = 0
        while case let page = try await undecoded(after: last), let end = page.last {
            let registrar = registrar
            count += try await journal.write { tx in
                var decoded = 0
                for frame in page where try registrar.decodeAgain(frame, in: tx) { decoded += 1 }
                return decoded
            }
            last = end.id
        }
        try await journal.write { tx in
            guard try tx.undecodedFrames(limit: 1).isEmpty else { return }
            for device in try tx.devices() { try tx.clear(.undecodable, subject: device.conditionSubject) }
        }
        return count
    }

    private func undecoded(after id: Int64) async throws(JournalError) -> [FrameRecord] {
        try await journal.read { tx in try tx.undecodedFrames(after: id, limit: Self.piece) }
    }
}
