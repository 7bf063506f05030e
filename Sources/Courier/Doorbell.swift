import Synchronization

/// Wakes one waiter when there is work; rings while nobody waits are remembered as one.
///
/// So a worker sleeps without a timer while there is nothing to do: an idle hub makes no wake-ups for its receivers.
public final class Doorbell: Sendable {
    private enum State {
        case quiet
        case rung
        case waiting(CheckedContinuation<Void, Never>)
    }

    private let state = Mutex(State.quiet)

    public init() {}

    public func ring() {
        let waiter = state.withLock { state -> CheckedContinuation<Void, Never>? in
            guard case .waiting(let continuation) = state else {
                state = .rung
                return nil
            }
            state = .quiet
            return continuation
        }
        waiter?.resume()
    }

    /// Returns when it was rung, or when the task was cancelled. One waiter at a time; a second takes the first one's place.
    public func wait() async {
        await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                let released = state.withLock { state -> [CheckedContinuation<Void, Never>] in
                    switch state {
                    case .rung:
                        state = .quiet
                        return [continuation]
                    case .waiting(let earlier):
                        state = .waiting(continuation)
                        return [earlier]
                    case .quiet:
                        if Task.isCancelled { return [continuation] }
                        state = .waiting(continuation)
                        return []
                    }
                }
                for continuation in released { continuation.resume() }
            }
        } onCancel: {
            ring()
        }
    }

    /// Returns when it was rung, when `duration` has passed, or when the task was cancelled.
    public func wait(atMost duration: Duration) async {
        await withTaskGroup { group in
            group.addTask { await self.wait() }
            group.addTask { try? await Task.sleep(for: duration) }
            await group.next()
            group.cancelAll()
        }
    }
}
