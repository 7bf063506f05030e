import Courier
import Journal
import Logging
import ServiceLifecycle

/// The citizens whose readings go to receivers that take them from nobody else: their sign-ins and plans are kept alive while nothing
/// is to be sent, and what a person must do about them is said.
struct Citizens: Service {
    /// Each with the way of signing in that its configuration prefers.
    let receivers: [(receiver: FUTReceiver, way: FUTSignIns.Way)]
    let signIns: FUTSignIns
    let courier: Courier
    let logger: Logger

    /// Access tokens are fetched when they are needed; this is for plans (hours) and for sign-ins that end (days).
    private static let look = Duration.seconds(600)

    init(receivers: [(FUTReceiver, FUTSignIns.Way)], courier: Courier, logger: Logger) {
        self.receivers = receivers.map { (receiver: $0.0, way: $0.1) }
        self.courier = courier
        self.logger = logger
        signIns = FUTSignIns { channel in
            do throws(JournalError) {
                try await courier.release(channel: channel)
                logger.note(.notice, "citizen signed in", .channel(channel))
            } catch {
                logger.note(.error, "channel stays held", .channel(channel), .reason(error.what))
            }
        }
    }

    func run() async throws {
        await cancelWhenGracefulShutdown {
            // Without such a receiver there is nothing to do; the service has to stay, or the group would end.
            guard !receivers.isEmpty else {
                await Doorbell().wait()
                return
            }
            while !Task.isCancelled {
                await withDiscardingTaskGroup { group in
                    for receiver in receivers.map(\.receiver) {
                        for citizen in await everybody(at: receiver) {
                            // Each alone: one whose server hangs delays no other (R6).
                            group.addTask { await lookAfter(citizen) }
                        }
                    }
                }
                courier.ring()
                try? await Task.sleep(for: Self.look)
            }
        }
    }

    private func everybody(at receiver: FUTReceiver) async -> [FUTCitizen] {
        do throws(JournalError) {
            return try await receiver.everybody()
        } catch {
            logger.note(.error, "citizens cannot be read", .reason(error.what))
            return []
        }
    }

    private func lookAfter(_ citizen: FUTCitizen) async {
        do throws(JournalError) {
            try await citizen.lookAfter()
        } catch {
            logger.note(.error, "citizen cannot be looked after", .channel(citizen.channel), .reason(error.what))
        }
    }
}

extension Configuration {
    /// How citizens sign in at a receiver.
    func way(of receiver: String) -> FUTSignIns.Way {
        switch receivers.first(where: { $0.name == receiver })?.fut?.way {
        case .deviceCode, nil: .deviceCode
        case .loopback: .loopback
        case .paste: .paste
        }
    }
}
