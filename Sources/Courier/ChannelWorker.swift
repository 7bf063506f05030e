import Destinations
import HTTPMessage
import Journal
import Steward
import Vitals

/// Delivers what one channel owes, one request at a time, for as long as the daemon runs.
///
/// It sleeps without a timer while nothing is due. A crash at any point leaves an attempt without an outcome on disk, which the
/// next start takes for "unknown" and asks the receiver about.
actor ChannelWorker {
    private let channel: String
    private let receiver: Receiver
    /// Of the channel's patient.
    private let desk: any ChannelDesk
    private let journal: Journal
    private let clock: any Clock
    private let bell: Doorbell
    private let report: @Sendable (CourierEvent) -> Void
    private var state: ChannelState
    /// Acts that are left alone until then (they failed alone). As many as fail at a time, not as many as wait.
    private var aside: [Int64: MonotonicTime] = [:]
    /// Acts that may not leave before something changes; whatever changes it rings.
    private var waiting: Set<Int64> = []
    /// Dispatches of unknown outcome, and when the receiver may be asked.
    private var settling: [Int64: MonotonicTime] = [:]
    /// What an earlier run left behind was found: before that, nothing is sent.
    private var hasLookedBack = false
    /// Before that no further dispatch leaves.
    private var paced: MonotonicTime?

    /// A reading this young goes ahead of a backlog: somebody may be looking at it now. Ours: twice the time that a technician
    /// waits at the table in a provisioning of ten minutes.
    private static let fresh = Duration.seconds(20 * 60)
    /// A channel that could not be reached for so long is a condition. As the hub's clock (R5): 15 minutes.
    private static let unreachableAfter = Duration.seconds(15 * 60)
    /// Whoever sees the clock synchronised rings; this is for a loss and return that nobody saw.
    private static let clockLook = Duration.seconds(60)
    /// An act waits for its device's clock look, which a link that stays open may never bring: its own time-out has to be seen.
    private static let waitLook = Duration.seconds(5)
    /// After a failure of the journal itself: long enough not to spin on a broken disk, short against its repair.
    private static let journalPause = Duration.seconds(5)

    init(
        channel: String, receiver: Receiver, desk: any ChannelDesk, journal: Journal, clock: any Clock, bell: Doorbell,
        isHeld: Bool,
        report: @escaping @Sendable (CourierEvent) -> Void
    ) {
        self.channel = channel
        self.receiver = receiver
        self.desk = desk
        self.journal = journal
        self.clock = clock
        self.bell = bell
        self.report = report
        state = ChannelState(isHeld: isHeld)
    }

    private enum Turn {
        case again
        case sleep(until: MonotonicTime)
        case idle
    }

    func run() async {
        while !Task.isCancelled {
            let turn: Turn
            do throws(JournalError) {
                turn = try await self.turn()
            } catch {
                report(.journalFailed(channel: channel, reason: error.what))
                turn = .sleep(until: clock.now().monotonic + Self.journalPause)
            }
            switch turn {
            case .again: continue
            case .sleep(let until): await bell.wait(atMost: max(until - clock.now().monotonic, .milliseconds(1)))
            case .idle: await bell.wait()
            }
            waiting.removeAll()
        }
    }

    /// A person mended the cause: the channel is open again.
    func release() {
        state.release()
        aside.removeAll()
        bell.ring()
    }

    private func turn() async throws(JournalError) -> Turn {
        if !hasLookedBack {
            try await findUncertain()
            hasLookedBack = true
        }
        let now = clock.now()
        state.resume(at: now.monotonic)
        switch state.phase {
        case .held: return .idle
        case .pausing(let until): return .sleep(until: until)
        case .open: break
        }
        // Uploads wait for a synchronised clock (R5); whoever observes the synchronisation rings.
        guard now.isSynchronised else { return .sleep(until: now.monotonic + Self.clockLook) }
        if let dispatch = settling.first(where: { $0.value <= now.monotonic })?.key {
            try await reconcile(dispatch)
            return .again
        }
        if let paced, paced > now.monotonic { return .sleep(until: paced) }
        aside = aside.filter { $0.value > now.monotonic }
        guard let act = try await nextAct(now) else {
            var later = Array(aside.values) + Array(settling.values)
            if !waiting.isEmpty { later.append(now.monotonic + Self.waitLook) }
            return later.min().map { .sleep(until: $0) } ?? .idle
        }
        try await deliver(act, now: now)
        return .again
    }

    /// A fresh act first, else the oldest; those on which the receiver failed when there is no other.
    private func nextAct(_ now: ClockReading) async throws(JournalError) -> Int64? {
        let resting = waiting.union(aside.keys)
        let others = resting.union(state.failingActs)
        if let act = try await nextAct(now, but: others) { return act }
        return others.count == resting.count ? nil : try await nextAct(now, but: resting)
    }

    private func nextAct(_ now: ClockReading, but aside: Set<Int64>) async throws(JournalError) -> Int64? {
        let (channel, isChronological) = (channel, receiver.isChronological)
        return try await journal.read { tx in
            if !isChronological, let newest = try tx.nextActs(channel: channel, limit: 1, order: .newestFirst).first,
                now.wall - newest.effective < Self.fresh, !aside.contains(newest.act)
            {
                return newest.act
            }
            var cursor: ActCursor?
            while true {
                let page = try tx.nextActs(channel: channel, limit: 32, after: cursor)
                if let act = page.first(where: { !aside.contains($0.act) }) { return act.act }
                guard let last = page.last else { return nil }
                cursor = last
            }
        }
    }

    private func deliver(_ act: Int64, now: ClockReading) async throws(JournalError) {
        if let verdict = try await desk.makeReady(for: act) {
            try await obey(verdict, act: act, at: clock.now())
            return
        }
        let (channel, receiver, desk) = (channel, receiver, desk)
        let preparation = try await journal.write { tx in
            try tx.prepare(act: act, channel: channel, receiver: receiver, desk: desk, now: now)
        }
        switch preparation {
        case .nothing(let events): events.forEach(report)
        case .waits: waiting.insert(act)
        case .ready(let prepared):
            prepared.events.forEach(report)
            let exchange = await send(prepared.draft.request, target: prepared.target)
            do throws(JournalError) {
                try await conclude(prepared, exchange)
            } catch {
                // The answer could not be written down (the disk is full): it is asked for when it can.
                settling[prepared.dispatch] = clock.now().monotonic + receiver.settling
                throw error
            }
            if receiver.pace > .zero { paced = clock.now().monotonic + receiver.pace }
        }
    }

    private func send(_ request: HTTPRequest, target: String) async -> Exchanged {
        await desk.exchange(request, target: target, over: receiver.client, clock: clock)
    }

    /// A question, and what the answer to it means; or what keeps us from asking.
    private func ask(
        _ request: HTTPRequest, target: String, meaning: (HTTPOutcome, Instant) -> DispatchVerdict
    ) async -> (verdict: DispatchVerdict, now: ClockReading) {
        let exchange = await send(request, target: target)
        let now = clock.now()
        switch exchange {
        case .outcome(let outcome): return (meaning(outcome, now.wall), now)
        case .unauthorized(let verdict): return (verdict, now)
        }
    }

    /// Everything that follows from an answer is one transaction: a crash finds either an attempt without outcome, or all of it.
    private func conclude(_ prepared: Prepared, _ exchange: Exchanged) async throws(JournalError) {
        let now = clock.now()
        let outcome: HTTPOutcome
        let verdict: DispatchVerdict
        switch exchange {
        case .outcome(let ended):
            outcome = ended
            verdict = receiver.destination.verdict(on: ended, to: prepared.draft, now: now.wall)
        case .unauthorized(let reason):
            outcome = .notSent(HTTPFailure(.credential, "no credential"))
            verdict = reason
        }
        let results: [ItemResult]
        switch verdict {
        case .items(let items): results = items
        case .reconcile(let reason): results = prepared.items.map { ItemResult($0.id, .reconcile(reason: reason)) }
        // It concerns the channel: the items wait as before.
        default: results = prepared.items.map { ItemResult($0.id, .resend(nil)) }
        }
        let desk = settlement(of: prepared, at: now)
        let settled = try await journal.write { tx in
            try desk.close(outcome, in: tx)
            return try desk.settle(results, in: tx)
        }
        switch verdict {
        case .items, .reconcile: try await follow(settled, of: prepared, at: now)
        default: try await obey(verdict, act: prepared.act.id, at: now)
        }
    }

    private func settlement(of prepared: Prepared, at now: ClockReading) -> Settlement {
        Settlement(
            prepared: prepared, receiver: receiver.name, channel: channel,
            resendsUncertain: receiver.destination.settings.whenUncertain == .resend, now: now)
    }

    /// What a verdict on the channel asks for.
    private func obey(_ verdict: DispatchVerdict, act: Int64, at now: ClockReading) async throws(JournalError) {
        for step in state.decide(verdict, act: act, at: now.monotonic, random: .random(in: 0..<1)) {
            try await take(step, act: act, at: now)
        }
    }

    private func take(_ step: ChannelState.Step, act: Int64, at now: ClockReading) async throws(JournalError) {
        switch step {
        case .rollFailure(let kind, let reason): try await roll(kind: kind, reason: reason, at: now)
        case .hold(let code, let reason): try await hold(code, reason: reason, at: now)
        case .refreshCredential:
            if !(await desk.renewCredential()) {
                try await obey(.refreshCredential, act: act, at: now)
            }
        case .stepAside(let until): aside[act] = until
        case .raiseItemFailing:
            let name = receiver.name
            try await journal.write { tx in
                _ = try tx.raise(
                    Condition(
                        .itemFailing, subject: "\(name)/\(act)", since: now.wall,
                        reason: "The receiver fails on this act again and again while others pass."))
            }
        case .sendSmaller:
            // One act a request is the smallest there is: it is refused alone by its own verdict.
            break
        }
    }

    private func roll(kind: String, reason: String, at now: ClockReading) async throws(JournalError) {
        // A request that our own end broke off says nothing of the receiver.
        if Task.isCancelled { return }
        let (channel, name) = (channel, receiver.name)
        try await journal.write { tx in
            var record = try tx.channel(channel) ?? ChannelRecord(channel: channel, receiver: name, failures: 0)
            record.failures += 1
            record.firstFailure = record.firstFailure ?? now.wall
            record.lastFailure = now.wall
            record.failureKind = kind
            try tx.setChannel(record)
            if let first = record.firstFailure, now.wall - first >= Self.unreachableAfter {
                try tx.raise(Condition(.receiverUnreachable, subject: channel, since: first, reason: reason))
            }
        }
        report(.failed(channel: channel, kind: kind))
    }

    private func hold(_ code: Condition.Code, reason: String, at now: ClockReading) async throws(JournalError) {
        let (channel, name) = (channel, receiver.name)
        do throws(JournalError) {
            try await journal.write { tx in
                var record = try tx.channel(channel) ?? ChannelRecord(channel: channel, receiver: name, failures: 0)
                record.held = .init(code: code, reason: reason, since: now.wall)
                try tx.setChannel(record)
                try tx.raise(Condition(code, subject: channel, since: now.wall, reason: reason))
            }
        } catch {
            // A hold that is not on disk could not be lifted by anybody.
            state.release()
            throw error
        }
        report(.held(channel: channel, code: code, reason: reason))
    }

    // MARK: Each item's own outcome

    /// What the worker does after the items' outcomes are on disk.
    private func follow(_ settled: [Settlement.Settled], of prepared: Prepared, at now: ClockReading) async throws(JournalError) {
        let act = prepared.act
        // An act refused for one cause is one refusal, however many readings it has.
        var codes: Set<String> = []
        var hasFailed = false
        for outcome in settled {
            switch outcome {
            case .delivered(let item):
                state.delivered(act: act.id)
                let since = act.received.boot == now.boot ? now.monotonic - act.received.monotonic : nil
                report(.delivered(subjects: [item.readingSubject], receiver: receiver.name, sinceReceived: since))
            case .quarantined(let item, let code):
                report(.quarantined(subjects: [item.readingSubject], receiver: receiver.name, code: code))
                if codes.insert(code).inserted, state.refused(code: code, act: act.id) {
                    try await hold(
                        .receiverHeld,
                        reason: "The receiver refused \(ChannelState.mostEqualRefusals) readings in a row alike (\(code)).",
                        at: now)
                }
            case .open: settling[prepared.dispatch] = now.monotonic + receiver.settling
            case .waiting: state.passed()
            case .replanned:
                state.passed()
                await desk.planChanged()
            case .uncertain(let item): report(.uncertain(subjects: [item.readingSubject], receiver: receiver.name))
            case .failed(let reason):
                if hasFailed { continue }
                hasFailed = true
                for step in state.serverFailed(act: act.id, reason: reason, at: now.monotonic, random: .random(in: 0..<1)) {
                    try await take(step, act: act.id, at: now)
                }
            case .readBack(let item, let reference): try await readBack(item, at: reference, of: prepared)
            }
        }
    }

    private func readBack(_ item: ItemRecord, at reference: ServerReference, of prepared: Prepared) async throws(JournalError) {
        let request = receiver.destination.readBack(of: item.id, at: reference, in: prepared.draft)
        let (verdict, now) = await ask(request, target: prepared.target) { outcome, now in
            receiver.destination.verdict(onReadBack: outcome, of: item.id, at: reference, in: prepared.draft, now: now)
        }
        try await conclude(inquiryOn: item, verdict, of: prepared, at: now)
    }

    // MARK: Unknown outcomes

    /// What an earlier run left behind: attempts without an outcome, and items that were already uncertain.
    private func findUncertain() async throws(JournalError) {
        let (channel, name) = (channel, receiver.name)
        let now = clock.now()
        let found = try await journal.write { tx -> [Int64] in
            for attempt in try tx.openAttempts() {
                // Another channel of the receiver may have a request under way.
                guard try tx.dispatch(id: attempt.dispatch)?.channel == channel else { continue }
                try tx.endAttempt(
                    attempt.id, outcome: "unknown", status: nil, durationMilliseconds: nil,
                    detail: "The daemon ended while the request was under way.", at: now.wall)
            }
            // Nothing is in flight at a start: what was, is of unknown outcome.
            try tx.eachItem(in: .sending, of: name, channel: channel) { item in
                try tx.setItem(item.id, state: .uncertain, reason: Settlement.outcomeUnknown)
            }
            var dispatches: Set<Int64> = []
            try tx.eachItem(in: .uncertain, of: name, channel: channel) { item in
                guard item.reason == Settlement.outcomeUnknown else { return }
                if let dispatch = try tx.openDispatch(item: item.id) {
                    dispatches.insert(dispatch.id)
                } else {
                    try tx.setItem(item.id, state: .waiting)
                }
            }
            return Array(dispatches)
        }
        for dispatch in found { settling[dispatch] = now.monotonic + receiver.settling }
    }

    /// Asks the receiver what it has of a dispatch of unknown outcome, before anything of it is sent again.
    private func reconcile(_ id: Int64) async throws(JournalError) {
        let now = clock.now()
        let loaded = try await journal.write { tx -> Prepared? in
            guard let dispatch = try tx.dispatch(id: id), let attempt = try tx.attempts(dispatch: id).last else { return nil }
            if attempt.outcome == nil {
                try tx.endAttempt(
                    attempt.id, outcome: "unknown", status: nil, durationMilliseconds: nil,
                    detail: "The answer could not be written down.", at: now.wall)
            }
            var items: [ItemRecord] = []
            for entry in dispatch.entries {
                if let item = try tx.item(id: entry.item), item.state == .uncertain || item.state == .sending {
                    items.append(item)
                }
            }
            guard let first = items.first, let act = try tx.act(id: first.act) else { return nil }
            return Prepared(
                act: act, items: items, dispatch: id, draft: dispatch.draft, target: first.target, attempt: attempt.id,
                started: attempt.started)
        }
        guard let prepared = loaded else {
            settling[id] = nil
            return
        }
        guard let inquiries = receiver.destination.reconciliation(of: prepared.draft) else {
            settling[id] = nil
            let now = clock.now()
            let desk = settlement(of: prepared, at: now)
            let results = prepared.items.map { ItemResult($0.id, .uncertain(reason: "The receiver cannot be asked.")) }
            let settled = try await journal.write { tx in try desk.settle(results, in: tx) }
            try await follow(settled, of: prepared, at: now)
            return
        }
        var isLost = false
        for item in prepared.items {
            guard let inquiry = inquiries.first(where: { $0.item == item.id }) else {
                let cannotAsk = DispatchVerdict.items([ItemResult(item.id, .uncertain(reason: "The receiver cannot be asked."))])
                _ = try await conclude(inquiryOn: item, cannotAsk, of: prepared, at: clock.now())
                continue
            }
            let (verdict, now) = await ask(inquiry.request, target: prepared.target) { outcome, now in
                receiver.destination.verdict(onReconciliation: outcome, of: item.id, in: prepared.draft, now: now)
            }
            if case .resend = verdict.answer?.verdict { isLost = true }
            guard try await conclude(inquiryOn: item, verdict, of: prepared, at: now) else {
                // Not answered: asked again after the channel's pause, the item stays as it was.
                settling[id] = now.monotonic + receiver.settling
                return
            }
        }
        settling[id] = nil
        if isLost {
            let now = clock.now()
            for step in state.lost(act: prepared.act.id, at: now.monotonic, random: .random(in: 0..<1)) {
                try await take(step, act: prepared.act.id, at: now)
            }
        }
    }

    /// Takes the answer to a question about one item. False where it said nothing about the item but about the channel.
    @discardableResult
    private func conclude(
        inquiryOn item: ItemRecord, _ verdict: DispatchVerdict, of prepared: Prepared, at now: ClockReading
    ) async throws(JournalError) -> Bool {
        let result = verdict.answer ?? ItemResult(item.id, .reconcile(reason: "The receiver gave no answer about it."))
        let desk = settlement(of: prepared, at: now)
        let settled = try await journal.write { tx in try desk.settle([result], in: tx) }
        try await follow(settled, of: prepared, at: now)
        // An item whose outcome is still open is asked about again, never sent blindly.
        guard case .reconcile = result.verdict else { return true }
        try await obey(verdict, act: prepared.act.id, at: now)
        return false
    }
}

extension DispatchVerdict {
    /// What an inquiry found out about its item, or `nil` where its outcome is as open as before.
    fileprivate var answer: ItemResult? {
        guard case .items(let results) = self, let first = results.first else { return nil }
        switch first.verdict {
        case .readBack, .reconcile: return nil
        default: return first
        }
    }
}
