public import Journal
public import ServiceLifecycle
import Synchronization
public import Vitals

/// Delivers what is owed to every receiver, each channel on its own (R6).
public final class Courier: Service {
    private let journal: Journal
    private let receivers: [Receiver]
    private let clock: any Clock
    private let report: @Sendable (CourierEvent) -> Void
    private let bells = Mutex<[String: Doorbell]>([:])
    private let workers = Mutex<[String: ChannelWorker]>([:])
    /// Rung where a channel may have come into being.
    private let newWork = Doorbell()

    public init(
        journal: Journal, receivers: [Receiver], clock: any Clock, report: @escaping @Sendable (CourierEvent) -> Void
    ) {
        self.journal = journal
        self.receivers = receivers
        self.clock = clock
        self.report = report
    }

    /// The receivers by name.
    public var names: [String] { receivers.map(\.name) }

    /// The channel through which a receiver is told of a patient, or `nil` where there is no such receiver.
    public func channel(of receiver: String, for patient: PatientAlias) -> String? {
        receivers.first { $0.name == receiver }?.channel(for: patient)
    }

    /// There is new work, or what it waited for has come (a synchronised clock, a consent, an assignment).
    public func ring() {
        newWork.ring()
        for bell in bells.withLock({ Array($0.values) }) { bell.ring() }
    }

    /// A person mended the cause: opens the receiver's held channels (all receivers' where `nil`).
    public func release(receiver: String?) async throws(JournalError) {
        let released = try await journal.write { tx -> [String] in
            var channels: [String] = []
            for var record in try tx.heldChannels() where receiver == nil || record.receiver == receiver {
                if let held = record.held { try tx.clear(held.code, subject: record.channel) }
                record.held = nil
                try tx.setChannel(record)
                channels.append(record.channel)
            }
            return channels
        }
        let open = workers.withLock { workers in released.compactMap { workers[$0] } }
        for worker in open { await worker.release() }
        ring()
    }

    /// What held the channel is mended: opens it.
    public func release(channel: String) async throws(JournalError) {
        try await journal.write { tx in
            guard var record = try tx.channel(channel), let held = record.held else { return }
            try tx.clear(held.code, subject: channel)
            record.held = nil
            try tx.setChannel(record)
        }
        await workers.withLock { $0[channel] }?.release()
        ring()
    }

    /// Lets go of every connection, after ``run()`` has ended and before the process does.
    public func close() async {
        for receiver in receivers { await receiver.client.close() }
    }

    public func run() async throws {
        try await withGracefulShutdownHandler {
            try await withThrowingDiscardingTaskGroup { group in
                while !Task.isShuttingDownGracefully, !Task.isCancelled {
                    let found: [NewChannel]
                    do throws(JournalError) {
                        found = try await newChannels()
                    } catch {
                        // The journal reopens itself (R1); what waits goes on waiting.
                        report(.journalFailed(channel: "all", reason: error.what))
                        await newWork.wait(atMost: Self.journalPause)
                        continue
                    }
                    for (channel, receiver, patient, isHeld) in found {
                        let bell = Doorbell()
                        let worker = ChannelWorker(
                            channel: channel, receiver: receiver, desk: receiver.desks.desk(for: patient), journal: journal,
                            clock: clock, bell: bell, isHeld: isHeld,
                            report: report)
                        bells.withLock { $0[channel] = bell }
                        workers.withLock { $0[channel] = worker }
                        group.addTask { await worker.run() }
                    }
                    await newWork.wait()
                }
                group.cancelAll()
            }
        } onGracefulShutdown: {
            self.newWork.ring()
        }
    }

    private typealias NewChannel = (channel: String, receiver: Receiver, patient: PatientAlias, isHeld: Bool)
    /// After a failure of the journal: it needs a moment to reopen, and a broken disk must not be spun on.
    private static let journalPause = Duration.seconds(5)

    /// Channels that have something to do and no worker yet.
    private func newChannels() async throws(JournalError) -> [NewChannel] {
        let known = bells.withLock { Set($0.keys) }
        let names = self.names
        return try await journal.read { tx -> [NewChannel] in
            var found: [(channel: String, receiver: String, act: Int64?)] = []
            for name in names {
                for work in try tx.channels(receiver: name) {
                    found.append((work.channel, name, try tx.nextActs(channel: work.channel, limit: 1).first?.act))
                }
            }
            for attempt in try tx.openAttempts() {
                guard let dispatch = try tx.dispatch(id: attempt.dispatch) else { continue }
                let act = try dispatch.entries.first.flatMap { entry in try tx.item(id: entry.item) }?.act
                found.append((dispatch.channel, dispatch.receiver, act))
            }
            for name in names {
                for item in try tx.items(state: .uncertain, receiver: name, limit: 100) {
                    found.append((item.channel, name, item.act))
                }
            }
            var fresh: [String: NewChannel] = [:]
            for (channel, name, act) in found where !known.contains(channel) && fresh[channel] == nil {
                guard let receiver = receivers.first(where: { $0.name == name }), let act,
                    let patient = try tx.act(id: act)?.patient
                else { continue }
                fresh[channel] = (channel, receiver, patient, try tx.channel(channel)?.held != nil)
            }
            return Array(fresh.values)
        }
    }
}
