public import Destinations
import ExactJSON
public import HTTPMessage
public import Journal
import Synchronization
import Trust
public import Vitals

/// One citizen at a FUT receiver: a sign-in, the plans that were fetched, the equipment that is recorded there. A spouse has their own,
/// and neither knows of the other.
public final class FUTCitizen: ChannelDesk {
    public let patient: PatientAlias
    public let channel: String
    private let receiver: FUTReceiver
    /// Absolute; `nil` where the alias is none of FHIR's logical ids.
    private let reference: String?
    let keeper: FUTSessionKeeper
    private let planning = Mutex(Planning())

    /// What is known of the citizen's plans.
    private struct Planning {
        /// `nil`: not read from the journal yet.
        var history: FUTPlanHistory?
        /// The journal's numbers of the plans in it, by when they were fetched.
        var numbers: [(id: Int64, plan: FUTPlan)] = []
        /// What was asked for in this run, and when.
        var looks: [Look] = []
        var equipment: FUTEquipment?
        /// When this run last asked for it.
        var equipmentAsked: MonotonicTime?

        struct Look {
            var window: FUTPlan.Period
            var at: MonotonicTime
        }
    }

    /// A plan this old is fetched anew before something is submitted by it. Ours: a change by staff between two measurements of one
    /// morning is seen, and a backlog does not ask before each of its submissions.
    private static let fresh = Duration.seconds(10 * 60)
    /// Without anything to submit it is looked at so often, for the page and for "not measured".
    private static let idleLook = Duration.seconds(4 * 3_600)
    /// Around now: a hub that was offline over a week-end still finds the slots of its readings, and a week ahead is seen.
    private static let past = Duration.seconds(2 * 86_400)
    private static let ahead = Duration.seconds(7 * 86_400)
    /// After so long a plan says nothing of any reading that could still be taken: longer than the longest outage that is planned for.
    private static let keeps = Duration.seconds(400 * 86_400)
    /// Held items a transaction, so that no intake commit waits behind one (R1: 20 ms).
    private static let piece = 25

    init(_ patient: PatientAlias, channel: String, of receiver: FUTReceiver) {
        self.patient = patient
        self.channel = channel
        self.receiver = receiver
        reference = receiver.settings.fut.patientReference(patient.rawValue)
        keeper = FUTSessionKeeper(channel: channel, patient: patient, reference: reference ?? "", receiver: receiver)
    }

    private var clock: any Clock { receiver.clock }
    private var fut: FUTSettings { receiver.settings.fut }

    // MARK: Credentials

    public func authorize(_ request: HTTPRequest, target: String) async -> Authorization {
        let episode = (try? JSON(parsing: target)).flatMap(FUTTarget.init)?.episode
        return await authorize(request, episode: episode)
    }

    private func authorize(_ request: HTTPRequest, episode: String?) async -> Authorization {
        guard let reference, let context = try? FUTContext(patient: reference, episodeOfCare: episode) else {
            return .verdict(.holdChannel(.wrongPatient, reason: "The patient's id is none that this receiver can have."))
        }
        do throws(JournalError) {
            switch try await keeper.token(for: context) {
            case .success(let token):
                var request = request
                request.headers.append(token.header)
                return .request(request)
            case .failure(let unavailable): return .verdict(unavailable.verdict)
            }
        } catch {
            return .verdict(.retry(kind: "journal", reason: error.what))
        }
    }

    public func renewCredential() async -> Bool {
        await keeper.refused()
        return true
    }

    // MARK: Plans

    public func planChanged() async {
        planning.withLock { $0.looks = [] }
    }

    public func makeReady(for act: Int64) async throws(JournalError) -> DispatchVerdict? {
        let effective = try await receiver.journal.read { tx in try tx.act(id: act)?.effective?.instant }
        guard let effective else { return nil }
        try await load()
        let now = clock.now()
        func isLookedAt(_ instant: Instant) -> Bool {
            planning.withLock { planning in
                planning.looks.contains { $0.window.covers(instant) && now.monotonic - $0.at < Self.fresh }
            }
        }
        if !isLookedAt(now.wall), let verdict = try await fetch(from: now.wall - Self.past, to: now.wall + Self.ahead) {
            return verdict
        }
        // An older reading is judged by a plan that speaks of its day; those after it come next.
        if !isLookedAt(effective), let verdict = try await fetch(from: effective, to: effective + Self.ahead) { return verdict }
        return nil
    }

    private func load() async throws(JournalError) {
        guard planning.withLock({ $0.history == nil }) else { return }
        let channel = channel
        let kept = try await receiver.journal.read { tx in try tx.plans(channel: channel) }
        planning.withLock { planning in
            guard planning.history == nil else { return }
            planning.numbers = kept.compactMap { number, json in FUTPlan(json: json).map { (number, $0) } }
            planning.history = FUTPlanHistory(planning.numbers.map(\.plan))
        }
    }

    /// Asks for the plan of these days and keeps the answer. `nil`: it is here.
    private func fetch(from: Instant, to: Instant) async throws(JournalError) -> DispatchVerdict? {
        guard let reference else {
            return .holdChannel(.wrongPatient, reason: "The patient's id is none that this receiver can have.")
        }
        // Before the question: whatever is delivered from now on may be missing in the answer's counts.
        let asked = clock.now()
        let query = FUTPlanQuery(patient: reference, from: from, to: to)
        let answer: JSON
        switch await self.answer(to: query.request(fut)) {
        case .resource(let json): answer = json
        case .verdict(let verdict): return verdict
        case .refused(let reason): return .holdChannel(.receiverHeld, reason: "The receiver does not tell the plan: \(reason).")
        }
        guard !FUTPlan.isAnothers(answer, than: reference) else {
            return .holdChannel(.wrongPatient, reason: "The receiver told another patient's plan.")
        }
        let plan: FUTPlan
        do throws(FUTPlan.AnswerError) {
            plan = try FUTPlan(answer: answer, to: query, fetched: asked.wall, settings: fut)
        } catch {
            return .holdChannel(.receiverHeld, reason: "The receiver's plan cannot be read: \(error.expected) was expected.")
        }
        try await keep(plan, asked: asked)
        await lookAtEquipment(reference, now: asked)
        return nil
    }

    private func keep(_ plan: FUTPlan, asked: ClockReading) async throws(JournalError) {
        let (channel, name) = (channel, receiver.settings.name)
        let (outdated, isNews) = planning.withLock { planning in
            let old = planning.numbers.filter { $0.plan.isContained(in: plan) || plan.fetched - $0.plan.fetched > Self.keeps }
            return (old.map(\.id), planning.history?.isNews(plan) ?? true)
        }
        let json = plan.json
        let number = try await receiver.journal.write { tx in
            for id in outdated { try tx.removePlan(id: id) }
            return try tx.insertPlan(json, channel: channel, fetched: plan.fetched)
        }
        planning.withLock { planning in
            planning.numbers.removeAll { outdated.contains($0.id) }
            planning.numbers.append((number, plan))
            planning.history = FUTPlanHistory(planning.numbers.map(\.plan))
            planning.looks.removeAll { asked.monotonic - $0.at >= Self.fresh }
            planning.looks.append(.init(window: plan.window, at: asked.monotonic))
        }
        // What nobody had asked for may be asked for now: it is offered again, and judged by the time of its measurement.
        if isNews { try await offerAgain(channel, name) }
    }

    private func offerAgain(_ channel: String, _ name: String) async throws(JournalError) {
        var last: Int64 = 0
        while true {
            let after = last
            let page = try await receiver.journal.write { tx -> [Int64] in
                let items = try tx.heldItems(channel: channel, receiver: name, after: after, limit: Self.piece)
                for item in items { try tx.setItem(item.id, state: .waiting) }
                return items.map(\.id)
            }
            guard let end = page.last else { return }
            last = end
        }
    }

    /// The devices that the receiver's logistics recorded. Without them readings go out without a device: no reason to wait.
    private func lookAtEquipment(_ reference: String, now: ClockReading) async {
        let isDue = planning.withLock { planning in
            planning.equipmentAsked.map { now.monotonic - $0 >= Self.fresh } ?? true
        }
        guard isDue else { return }
        planning.withLock { $0.equipmentAsked = now.monotonic }
        guard case .resource(let statements) = await answer(to: FUTEquipment.usesRequest(patient: reference, settings: fut))
        else {
            return
        }
        let uses = FUTEquipment.uses(in: statements).filter { $0.patient == reference }
        guard let request = FUTEquipment.devicesRequest(of: uses, settings: fut) else {
            planning.withLock { $0.equipment = FUTEquipment([]) }
            return
        }
        guard case .resource(let devices) = await answer(to: request) else { return }
        let equipment = FUTEquipment(uses: uses, devices: FUTEquipment.devices(in: devices))
        planning.withLock { $0.equipment = equipment }
    }

    private func answer(to question: HTTPRequest) async -> FUTAnswer {
        switch await authorize(question, episode: nil) {
        case .verdict(let verdict): return .verdict(verdict)
        case .request(let question):
            let outcome = await receiver.client.send(question)
            return FUTAnswer(outcome, now: clock.now().wall)
        }
    }

    // MARK: Where a reading goes

    public func route(
        _ items: [ItemRecord], of act: Act, in tx: Transaction, now: ClockReading
    ) throws(JournalError) -> [Route] {
        let (known, equipment) = planning.withLock { ($0.history, $0.equipment) }
        guard let reference, let history = known else { return [] }
        // A plan that is older than a day is not what a submission is decided by: what was delivered before stands in its counts.
        let placed = try tx.placedItems(
            channel: channel, receiver: receiver.settings.name, deliveredSince: now.wall - .seconds(86_400))
        let claims = placed.compactMap { placed in
            FUTTarget(text: placed.item.target)?.claim(of: placed.item.readingSubject, delivered: placed.delivered)
        }
        let decisions = FUTOrdering(history: history, claims: claims, settings: fut).decide(act)
        let targets = FUTTarget.targets(
            of: decisions, patient: reference, device: equipment?.reference(of: act.device, at: act.effective.instant))
        var routes: [Route] = []
        for item in items {
            // Roles of the reading that other items of it carry already: on their way, or there.
            let taken = Set(
                placed.filter {
                    $0.item.readingSubject == item.readingSubject && $0.item.id != item.id && $0.item.state != .waiting
                }
                .compactMap { FUTTarget(text: $0.item.target)?.role(of: item.readingSubject) })
            let places = targets.filter { target in target.role(of: item.readingSubject).map { !taken.contains($0) } ?? false }
            if places.isEmpty {
                let order = decisions.first { $0.reading == item.readingSubject }?.order
                routes.append(Route(item.id, Self.unplaced(order ?? .notOrdered(.noRequest))))
            }
            for place in places { routes.append(Route(item.id, decision(on: place.json.text, for: item))) }
        }
        return routes
    }

    /// What nobody ordered stays here quietly. What may have been ordered by a version that this hub never saw is a person's: no plan that
    /// comes later will tell.
    private static func unplaced(_ order: FUTOrder) -> Route.Decision {
        let reason = order.heldReason ?? FUTOrder.NotOrdered.noRequest.rawValue
        switch order {
        case .notOrdered(.unknownVersion), .notOrdered(.planUnknown): return .quarantine(code: reason)
        default: return .hold(reason: reason)
        }
    }

    /// A place that the receiver refused as outdated, and that is still the place by its newest plan, is a contradiction for a person.
    private func decision(on target: String, for item: ItemRecord) -> Route.Decision {
        guard let reason = item.reason, reason.hasPrefix(Settlement.replanned), item.target == target else {
            return .send(target: target)
        }
        return .quarantine(code: String(reason.dropFirst(Settlement.replanned.count)))
    }

    // MARK: What people see

    /// What is due when, by the latest plan.
    public func schedule(from: Instant, to: Instant) async throws(JournalError) -> [FUTPlan.Due] {
        try await load()
        return planning.withLock { $0.history?.latest(covering: from)?.schedule(from: from, to: to) ?? [] }
    }

    /// How the hub's devices and the receiver's record of the citizen's differ; `nil` where it was not read in this run.
    public func differences(of devices: [DeviceIdentity], at now: Instant) -> [FUTEquipment.Difference]? {
        planning.withLock { $0.equipment }?.compare(hub: devices, at: now)
    }

    // MARK: Keeping

    /// Keeps sign-in and plan alive while nothing is to be sent, and says what a person must know.
    public func lookAfter() async throws(JournalError) {
        let now = clock.now()
        guard now.isSynchronised else { return }
        if case .signedIn = try await keeper.standing() {
            try await keeper.tick()
            if try await isIdle() {
                try await load()
                let isDue = planning.withLock { planning in
                    planning.looks.allSatisfy { now.monotonic - $0.at >= Self.fresh }
                        && planning.numbers.last.map { now.wall - $0.plan.fetched >= Self.idleLook } ?? true
                }
                if isDue { _ = try await fetch(from: now.wall - Self.past, to: now.wall + Self.ahead) }
            }
        }
        try await tell(try await keeper.standing(), now: now)
    }

    /// Nothing is on its way through the channel, so that nothing is delivered beside a plan that is being fetched.
    private func isIdle() async throws(JournalError) -> Bool {
        let (channel, name) = (channel, receiver.settings.name)
        return try await receiver.journal.read { tx in
            try tx.channels(receiver: name).allSatisfy { $0.channel != channel }
                && tx.placedItems(channel: channel, receiver: name, deliveredSince: now()).allSatisfy { $0.delivered != nil }
        }
    }

    private func now() -> Instant { clock.now().wall }

    private func tell(_ standing: FUTSessionKeeper.Standing, now: ClockReading) async throws(JournalError) {
        let (patient, channel, name) = (patient, channel, receiver.settings.name)
        switch standing {
        case .signInNeeded(let verdict):
            let reason = FUTReceiver.Unavailable(verdict).reason
            try await receiver.journal.write { tx in
                try tx.tellSignInNeeded(of: patient, at: name, channel, reason: reason, now: now.wall)
            }
        case .signedIn(_, let warning):
            try await receiver.journal.write { tx in
                // Unless a service refuses what the realm gave.
                if try tx.channel(channel)?.held?.code != .signInNeeded { try tx.clear(.signInNeeded, subject: channel) }
                guard let warning else {
                    try tx.clear(.signInEnding, subject: channel)
                    return
                }
                try tx.raise(
                    Condition(
                        .signInEnding, subject: channel, since: now.wall,
                        reason: "The sign-in ends on \(warning) if nobody signs in before."))
            }
        }
    }
}

extension FUTTarget {
    /// The target that an item keeps; `nil` where it has none.
    init?(text: String) {
        guard !text.isEmpty, let json = try? JSON(parsing: text) else { return nil }
        self.init(json)
    }

    /// As what the reading is sent.
    func role(of reading: SubjectID) -> FUTCode.Role? { orders.first { $0.reading == reading }?.role }
}

extension FUTCitizen {
    /// Where the sign-in stands, for people.
    public struct Standing: Hashable, Sendable {
        /// `signed-in` or `sign-in-needed`.
        public var state: String
        public var reason: String?
        /// When it ends if nobody does anything, as far as is known.
        public var ends: Instant?
    }

    public func standing() async throws(JournalError) -> Standing {
        switch try await keeper.standing() {
        case .signedIn(let lapses, _): Standing(state: "signed-in", reason: nil, ends: lapses)
        case .signInNeeded(let verdict):
            Standing(state: Condition.Code.signInNeeded.rawValue, reason: FUTReceiver.Unavailable(verdict).reason, ends: nil)
        }
    }

    /// Forgets the tokens: nothing of this citizen's leaves any more.
    public func signOut() async throws(JournalError) { try await keeper.signOut() }
}
