import Destinations
import HTTPMessage
public import ServiceLifecycle
public import Vitals

/// Tells a relay that the hub lives, where nothing else is to be told: an empty transaction, in which the hub names itself.
///
/// Nothing is made of the answer: whether the receiver is reached, the readings' own channel says.
public struct Heartbeat: Service {
    private let receiver: Receiver
    private let destination: PHDDestination
    private let every: Duration
    private let clock: any Clock

    /// `nil` where the receiver takes no transactions.
    public init?(_ receiver: Receiver, every: Duration, clock: any Clock) {
        guard let destination = receiver.destination as? PHDDestination else { return nil }
        self.receiver = receiver
        self.destination = destination
        self.every = every
        self.clock = clock
    }

    public func run() async throws {
        await cancelWhenGracefulShutdown {
            let request = destination.heartbeat(receiver.gateway)
            let desk = receiver.desks.desk(for: PatientAlias(rawValue: ""))
            while !Task.isCancelled {
                _ = await desk.exchange(request, target: "", over: receiver.client, clock: clock)
                try? await Task.sleep(for: every)
            }
        }
    }
}
