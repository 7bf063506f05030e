public import Vitals

/// How long the hub keeps what it has delivered (R9). Only delivered readings are ever removed by age; a tombstone of their
/// identity stays for ever (R3).
public struct Retention: Hashable, Sendable {
    /// From the last receiver's answer on.
    public var period: Duration

    public init(days: Int) { period = .seconds(Int64(days) * 86_400) }

    /// Whether an act, its readings and its frame may be removed.
    ///
    /// Only what at least one receiver has and no receiver is still owed. Not what was never delivered, whatever its state:
    /// nothing is dropped by age. With a clock that nothing vouches for there is no age.
    /// - Parameter lastSettled: when the last of the items got its final state.
    public func mayPurge(state: ActState, items: [ItemState], lastSettled: Instant?, now: ClockReading) -> Bool {
        guard now.isSynchronised, let lastSettled, lastSettled + period <= now.wall else { return false }
        switch state {
        case .ready, .retracted: break
        case .held, .invalid, .test, .guest, .rejected: return false
        }
        return items.contains(.delivered) && items.allSatisfy { $0 == .delivered || $0 == .withdrawn }
    }
}
