import Catalogue
import Devices
import Journal
import Protocols
import Steward
import Vitals

/// One connection with one device, from the first PDU to the last: the shell around a ``Devices/Session``.
///
/// The one place that commits and then gives the device its word (R1): the word is an action that the session returns only to
/// `committed`, and that is called only after `Journal.write` has returned, which is when the transaction is durable.
actor DeviceLink {
    private let bearer: any Bearer
    private let journal: Journal
    private let clock: any Clock
    private let registrar: Registrar
    private let report: @Sendable (IntakeEvent) -> Void
    private let model: Model
    private let security: LinkSecurity
    private var device: DeviceRecord
    private var session: any Session
    private var transfer: Int64 = 0
    private var recordsInTransfer = 0
    private var actsInTransfer: [Int64] = []
    /// Equal records of this transfer whose word left; within one connection, so it need not outlive the process.
    private var equalInTransfer: [[UInt8]: Int] = [:]
    private var openWords: [FrameToken: OpenWord] = [:]
    /// Words that left and are not yet written down; they go with the next transaction.
    private var sentWords: [Int64] = []
    /// Frames that are no results; they go with the next transaction, or at the end.
    private var sideFrames: [Frame] = []
    private var unsaved: [Unsaved] = []
    private var coincidence: ClockCoincidence?
    private var batteryPercent: Int?
    private var outcome: SessionOutcome?
    private var hasSubscribed = false
    private var hasMissedRecords = false
    /// A word could not leave: the device will send its record again, and may hold more.
    private var hasLostWord = false
    private var feed: AsyncStream<Event>.Continuation?
    private var wakes = 0
    /// When the newest wake-up comes; a later wish needs none of its own.
    private var wakesAt: MonotonicTime?
    private var isSaveAgainDue = false
    /// A PDU could not be handed to the link: what was to be said after it was not said.
    private var hasSendFailed = false

    private struct OpenWord {
        var frame: Int64?
        var base: [UInt8]?
        var isDistinguished: Bool
    }

    private struct Unsaved {
        var token: FrameToken
        var result: Result
    }

    /// A frame or stream that the device declares as a result.
    private struct Result: Sendable {
        var frame: Frame
        var measurement: Measurement?
        var decodeError: DecodeError?
        var isDerived = false
        var others: [Frame] = []
    }

    private enum Event: Sendable {
        /// With the clocks at its arrival: a slow commit before it must not look like quiet, nor hide a repetition.
        case pdu([UInt8], at: ClockReading)
        case wake(Int, at: ClockReading)
        case saveAgain
        case ended
    }

    /// Frames that are no results are kept in memory until the next transaction; a device that floods may not fill it.
    private static let mostSideFrames = 256
    /// A commit that failed is tried again so often while the link lasts (devices that take no word but the link's end).
    private static let saveAgainAfter = Duration.seconds(1)
    /// At this charge or below, somebody should bring batteries: the usual mark of two-cell devices (ours).
    private static let lowBatteryPercent = 20
    /// Acts that are decided again in one transaction.
    private static let piece = 25
    /// As a stamp that lies further ahead is not believed (R5): 5 minutes.
    private static let wrongClockSeconds: Int64 = 5 * 60

    init(
        bearer: any Bearer, device: DeviceRecord, model: Model, security: LinkSecurity, hasAskedMTU: Bool, journal: Journal,
        clock: any Clock, registrar: Registrar, report: @escaping @Sendable (IntakeEvent) -> Void
    ) {
        self.bearer = bearer
        self.device = device
        self.device.security = security
        self.model = model
        self.security = security
        self.journal = journal
        self.clock = clock
        self.registrar = registrar
        self.report = report
        session = makeSession(
            model: model,
            facts: SessionFacts(
                isEnrolled: device.key != nil, handleMap: device.handleMap, address: device.identity.address,
                mayWriteClock: clock.now().isSynchronised, hasAskedMTU: hasAskedMTU))
    }

    /// Runs until the link has ended.
    func run() async throws(JournalError) -> SessionOutcome {
        try await beginTransfer()
        report(.connected(device: device.id))
        guard security != .none || model.allowsUnencryptedLink else { return try await refuseLink() }
        let (events, feed) = AsyncStream.makeStream(of: Event.self)
        self.feed = feed
        await withDiscardingTaskGroup { group in
            let (bearer, clock) = (self.bearer, self.clock)
            group.addTask {
                for await pdu in bearer.incoming { feed.yield(.pdu(pdu, at: clock.now())) }
                feed.yield(.ended)
            }
            await perform(session.start(at: clock.now()), &group)
            for await event in events {
                await take(event, &group)
                if case .ended = event { break }
            }
            feed.finish()
            group.cancelAll()
        }
        await flush()
        let ended = outcome ?? SessionOutcome(readings: recordsInTransfer, reason: .linkLost)
        return try await end(ended)
    }

    /// Over a link in clear anybody near by may speak in the device's name: nothing is asked, stored or confirmed.
    private func refuseLink() async throws(JournalError) -> SessionOutcome {
        let why = "the link is not encrypted, and the model's entry does not allow that"
        report(.note(device: device.id, text: "refused: \(why)"))
        await bearer.close()
        return try await end(SessionOutcome(readings: 0, reason: .refused), why: why)
    }

    /// - Parameter why: where the hub ended the link for a reason of its own; else the bearer is asked.
    private func end(_ ended: SessionOutcome, why: String? = nil) async throws(JournalError) -> SessionOutcome {
        var reason = why
        if reason == nil { reason = await bearer.endReason }
        try await endTransfer(ended, reason: reason)
        report(.ended(device: device.id, readings: ended.readings, reason: ended.reason.name))
        return ended
    }

    private func take(_ event: Event, _ group: inout DiscardingTaskGroup) async {
        switch event {
        case .pdu(let pdu, let at): await perform(session.receive(pdu, at: at), &group)
        case .wake(let number, let at):
            guard number == wakes else { return }
            wakesAt = nil
            await perform(session.timer(at: at), &group)
        case .saveAgain:
            isSaveAgainDue = false
            await saveAgain(&group)
        case .ended: await perform(session.linkEnded(at: clock.now()), &group)
        }
    }

    // MARK: Actions

    private func perform(_ actions: [SessionAction], _ group: inout DiscardingTaskGroup) async {
        let interruption = Self.interruption(in: actions)
        for action in actions {
            if case .transferEnded = action {
                await nextTransfer(outcome: interruption ?? "records-ended")
            } else {
                await perform(action, &group)
            }
        }
    }

    /// Why the records that these actions end are perhaps not all that the device holds; `nil` where they are.
    private static func interruption(in actions: [SessionAction]) -> String? {
        for action in actions {
            switch action {
            case .note(.recordsTimedOut): return "records-timed-out"
            case .end(let ended) where ended.reason != .quiet && ended.reason != .peerEnded: return ended.reason.name
            default: continue
            }
        }
        return nil
    }

    private func perform(_ action: SessionAction, _ group: inout DiscardingTaskGroup) async {
        switch action {
        case .send(let pdu):
            // A link that has ended says so by `ended`; but a word that did not leave must not be written down as sent (R3).
            do { try await bearer.send(pdu) } catch { hasSendFailed = true }
        case .store(let token, let frame, let role): await store(token, frame, role, &group)
        case .storeStream(let token, let stream): await store(token, stream, &group)
        case .confirmed(let token):
            // A device without stamp and sequence is told from its repeat by the word alone: that is written down at once (R3).
            if !wordLeft(token) { await flush() }
        case .clockRead(let face, let at): await clockRead(face, at)
        case .clockSet(let before, let after, let at): await clockSet(before, after, at)
        case .identity(let identity): await identify(identity, &group)
        case .battery(let percent): await battery(percent)
        case .handleMap(let map):
            device.handleMap = map.isEmpty ? nil : map
            await saveDevice()
        case .wake(let at): wake(at, &group)
        case .transferEnded: await nextTransfer(outcome: "records-ended")
        case .note(let note): self.note(note)
        case .end(let ended):
            outcome = outcome ?? (hasLostWord ? SessionOutcome(readings: ended.readings, reason: .linkLost) : ended)
            await bearer.close()
        }
    }

    private func note(_ note: SessionNote) {
        if case .subscribed(let uuid) = note {
            hasSubscribed = true
            report(.subscribed(device: device.id, characteristic: "\(uuid)"))
            return
        }
        if case .recordsTimedOut = note { hasMissedRecords = true }
        report(.note(device: device.id, text: note.text))
    }

    private func wake(_ at: MonotonicTime, _ group: inout DiscardingTaskGroup) {
        // A timer that comes early does no harm: the session then says when it wants the next. One each PDU would add up.
        if let wakesAt, wakesAt <= at { return }
        wakesAt = at
        wakes += 1
        let (number, feed, clock) = (wakes, feed, clock)
        let pause = max(at - clock.now().monotonic, .zero)
        group.addTask {
            try? await Task.sleep(for: pause)
            feed?.yield(.wake(number, at: clock.now()))
        }
    }

    // MARK: Results

    private func store(_ token: FrameToken, _ frame: Frame, _ role: FrameRole, _ group: inout DiscardingTaskGroup) async {
        switch role {
        case .intermediate, .sample:
            if sideFrames.count < Self.mostSideFrames { sideFrames.append(frame) }
            await perform(session.committed(token, at: clock.now()), &group)
        case .result, .unrecognized:
            var result = Result(frame: frame)
            if role == .result {
                do throws(DecodeError) {
                    result.measurement = try FrameDecoder.measurement(frame.source, frame.bytes)
                } catch {
                    result.decodeError = error
                }
            }
            report(.frame(device: device.id, bytes: frame.bytes.count))
            await save(token, result, &group)
        }
    }

    private func store(_ token: FrameToken, _ stream: StreamReading, _ group: inout DiscardingTaskGroup) async {
        guard let last = stream.frames.last else {
            await perform(session.committed(token, at: clock.now()), &group)
            return
        }
        report(.frame(device: device.id, bytes: last.bytes.count))
        await save(
            token,
            Result(
                frame: last, measurement: stream.measurement, isDerived: stream.isDerived, others: Array(stream.frames.dropLast())
            ),
            &group)
    }

    private func save(_ token: FrameToken, _ result: Result, _ group: inout DiscardingTaskGroup) async {
        if registrar.settings.confirmsBeforeCommit {
            // The fault that a crash rig must find: the word first, the disk after.
            await perform(session.committed(token, at: clock.now()), &group)
            try? await Task.sleep(for: .milliseconds(20))
        }
        do throws(JournalError) {
            try await commit(token, result)
        } catch {
            report(.commitRefused(device: device.id, reason: error.what, isFull: error.isFull))
            unsaved.append(Unsaved(token: token, result: result))
            await perform(session.refused(token, at: clock.now()), &group)
            saveAgainLater(&group)
            return
        }
        if !registrar.settings.confirmsBeforeCommit {
            await perform(session.committed(token, at: clock.now()), &group)
        }
    }

    private func saveAgainLater(_ group: inout DiscardingTaskGroup) {
        // One timer for all that waits, or each failure would beget as many as there are.
        guard !isSaveAgainDue else { return }
        isSaveAgainDue = true
        let feed = feed
        group.addTask {
            try? await Task.sleep(for: Self.saveAgainAfter)
            feed?.yield(.saveAgain)
        }
    }

    /// Only while the link lasts, and only for a device whose word is not ours to withhold: the others send it again.
    private func saveAgain(_ group: inout DiscardingTaskGroup) async {
        guard outcome == nil else { return }
        let waiting = unsaved
        unsaved = []
        for entry in waiting { await save(entry.token, entry.result, &group) }
    }

    private func commit(_ token: FrameToken, _ result: Result) async throws(JournalError) {
        guard let key = device.key else { throw .fault("a frame of a device without a key") }
        let arrival = Registrar.Arrival(
            frame: result.frame, measurement: result.measurement, decodeError: result.decodeError, device: device, key: key,
            model: model, transfer: transfer, equalInTransfer: equalInTransfer, recordsInTransfer: recordsInTransfer + 1,
            coincidence: coincidence, batteryPercent: batteryPercent, isDerived: result.isDerived)
        let (registrar, words, side) = (registrar, sentWords, sideFrames + result.others)
        let earlierOfTransfer = recordsInTransfer == 1 ? actsInTransfer : []
        let registration = try await journal.write(.intake) { tx in
            try Self.write(words: words, side: side, of: arrival, in: tx)
            let registration = try registrar.register(arrival, in: tx)
            // A second record says that the first, taken for live, may have come from memory.
            for id in earlierOfTransfer {
                if let act = try tx.act(id: id) { try registrar.decideAgain(act, time: true, in: tx) }
            }
            return registration
        }
        sentWords.removeAll()
        sideFrames.removeAll()
        openWords[token] = OpenWord(
            frame: registration.frame, base: registration.base,
            isDistinguished: result.measurement?.projection.distinguishes ?? true)
        if !model.acknowledges.hasWord { wordLeft(token) }
        recordsInTransfer += 1
        switch registration {
        case .act(let act):
            actsInTransfer.append(act.id)
            let took = clock.now().monotonic - result.frame.received.monotonic
            report(.committed(device: device.id, subject: act.subject, state: act.state, took: took))
        case .repeated: report(.suppressed(device: device.id))
        case .kept(_, let reason): report(.kept(device: device.id, reason: reason))
        }
    }

    private static func write(
        words: [Int64], side: [Frame], of arrival: Registrar.Arrival, in tx: Transaction
    ) throws(JournalError) {
        for frame in words { try tx.setWord(.sent, frame: frame) }
        for frame in side {
            _ = try tx.insertFrame(frame, device: arrival.device.id, transfer: arrival.transfer, word: .none)
        }
    }

    /// False where that it left must be on disk at once.
    @discardableResult
    private func wordLeft(_ token: FrameToken) -> Bool {
        guard let open = openWords.removeValue(forKey: token) else { return true }
        // Where the link's end is the word, it needs no PDU.
        if hasSendFailed, model.acknowledges != .disconnect, model.acknowledges.hasWord {
            hasLostWord = true
            return true
        }
        if let base = open.base { equalInTransfer[base, default: 0] += 1 }
        guard model.acknowledges.hasWord else { return true }
        if let frame = open.frame { sentWords.append(frame) }
        report(.confirmed(device: device.id))
        return open.isDistinguished
    }

    // MARK: Clocks

    private func clockRead(_ face: LocalDateTime?, _ at: ClockReading) async {
        if let face {
            coincidence = ClockCoincidence(device: face, hub: at)
            let hubFace = at.wall.milliseconds / 1_000 + Int64(at.offsetMinutes) * 60
            let ahead = hubFace - face.secondsSince1970
            report(.clockRead(device: device.id, hubAhead: .seconds(ahead)))
            await judgeClock(isWrong: abs(ahead) > Self.wrongClockSeconds, at)
        } else {
            report(.clockRead(device: device.id, hubAhead: nil))
        }
        await changeEpochs { epochs in observeClock(epochs: epochs, face: face, at: at) }
    }

    /// A clock that is wrong and that nobody sets needs a person; one that can be set is set in this very session.
    private func judgeClock(isWrong: Bool, _ at: ClockReading) async {
        let isHopeless = isWrong && at.isSynchronised && model.clock.write == nil
        await attempt { tx, subject in
            if isHopeless {
                try tx.raise(
                    Condition(
                        .deviceClockWrong, subject: subject, since: at.wall,
                        reason: "The device's clock is more than five minutes off and cannot be set from here."))
            } else if !isWrong {
                try tx.clear(.deviceClockWrong, subject: subject)
            }
        }
    }

    private func clockSet(_ before: LocalDateTime?, _ after: LocalDateTime, _ at: ClockReading) async {
        if coincidence == nil { coincidence = ClockCoincidence(device: before ?? after, hub: at) }
        report(.clockSet(device: device.id))
        await changeEpochs { epochs in clockWasSet(epochs: epochs, before: before, after: after, at: at) }
        await attempt { tx, subject in try tx.clear(.deviceClockWrong, subject: subject) }
    }

    /// Writes what a look at the device's clock changes, and decides again the times that rest on it: in pieces, so that no other
    /// device's commit waits behind a long memory (R1: 20 ms).
    private func changeEpochs(_ change: @escaping @Sendable ([ClockEpoch]) -> EpochChange) async {
        let (registrar, id, coincidence) = (registrar, device.id, coincidence)
        await attempt { tx, _ in try tx.apply(change(try tx.clockEpochs(device: id)), device: id) }
        for start in stride(from: 0, to: actsInTransfer.count, by: Self.piece) {
            let acts = Array(actsInTransfer[start..<min(start + Self.piece, actsInTransfer.count)])
            await attempt { tx, _ in
                for act in acts {
                    guard var record = try tx.act(id: act) else { continue }
                    if record.coincidence == nil, let coincidence, try !registrar.hasLeft(record, in: tx) {
                        record.coincidence = coincidence
                        record = try tx.update(record)
                    }
                    try registrar.decideAgain(record, time: true, in: tx)
                }
            }
        }
        let filter = ActFilter(device: id, heldReason: .timeUnknown)
        var last: Int64 = 0
        while let end = await lastHeld(filter, after: last) {
            let from = last
            await attempt { tx, _ in
                for record in try tx.acts(filter, after: from, limit: Self.piece) {
                    try registrar.decideAgain(record, time: true, in: tx)
                }
            }
            last = end
        }
    }

    /// The last of the next piece of acts, or `nil` where there is none.
    private func lastHeld(_ filter: ActFilter, after id: Int64) async -> Int64? {
        try? await journal.read { tx in try tx.acts(filter, after: id, limit: Self.piece).last?.id }
    }

    // MARK: The device itself

    private func identify(_ identity: DeviceIdentity, _ group: inout DiscardingTaskGroup) async {
        let known = identity.completed(by: device.identity)
        let now = clock.now().wall
        report(.identified(device: device.id))
        if device.key == nil {
            guard let key = DeviceKey.enrol(known) else {
                await attempt { tx, subject in
                    try tx.raise(
                        Condition(
                            .unknownDevice, subject: subject, since: now,
                            reason:
                                "The device gives no serial number, System ID or address: its readings could not be told apart."))
                }
                outcome = SessionOutcome(readings: 0, reason: .refused)
                await bearer.close()
                return
            }
            device.key = key
            device.identity = known
            await saveDevice()
            await attempt { tx, subject in try tx.clear(.unknownDevice, subject: subject) }
            report(.enrolled(device: device.id))
            await perform(session.enrolled(at: clock.now()), &group)
        } else {
            if let serial = identity.serialNumber, let enrolled = device.identity.serialNumber, serial != enrolled {
                let (registrar, acts) = (registrar, actsInTransfer)
                await attempt { tx, subject in
                    try tx.raise(
                        Condition(
                            .deviceError, subject: subject, since: now,
                            reason: "Another device answers where this one was: add it under a name of its own."))
                    // What this link brought before it said who it is may be another person's (R4): a person decides.
                    for id in acts { if let act = try tx.act(id: id) { try registrar.holdForAPerson(act, in: tx) } }
                }
                // Its readings would stand in the wrong record (R4): nothing more is taken or confirmed.
                outcome = SessionOutcome(readings: recordsInTransfer, reason: .refused)
                await bearer.close()
                return
            }
            device.identity = known
            await saveDevice()
            if identity.serialNumber != nil { await attempt { tx, subject in try tx.clear(.deviceError, subject: subject) } }
        }
    }

    private func battery(_ percent: Int) async {
        batteryPercent = percent
        device.batteryPercent = percent
        report(.battery(device: device.id, percent: percent))
        let now = clock.now().wall
        await saveDevice()
        await attempt { tx, subject in
            if percent <= Self.lowBatteryPercent {
                try tx.raise(
                    Condition(.batteryLow, subject: subject, since: now, reason: "The device reports \(percent) % charge."))
            } else {
                try tx.clear(.batteryLow, subject: subject)
            }
        }
    }

    private func saveDevice() async {
        device.lastSeen = clock.now().wall
        let record = device
        await attempt { tx, _ in try Self.save(record, in: tx) }
    }

    /// Writes what the link has learnt. Name, place and state are people's, who may have changed them since it began.
    private static func save(_ learnt: DeviceRecord, in tx: Transaction) throws(JournalError) {
        guard var record = try tx.device(id: learnt.id) else { return }
        record.key = record.key ?? learnt.key
        record.identity = learnt.identity
        // With a forgotten device's bond its handle map went, and stays away.
        if record.state != .returned { record.handleMap = learnt.handleMap }
        record.batteryPercent = learnt.batteryPercent
        record.lastSeen = learnt.lastSeen
        record.security = learnt.security
        try tx.update(record)
    }

    // MARK: Transfers

    private func beginTransfer() async throws(JournalError) {
        device.lastSeen = clock.now().wall
        let (record, security, now) = (device, security, clock.now())
        do throws(JournalError) {
            transfer = try await journal.write { tx in
                try Self.save(record, in: tx)
                return try tx.beginTransfer(device: record.id, at: now, security: security)
            }
        } catch {
            // A full disk shows here first: whoever makes room has to hear of it.
            report(.commitRefused(device: record.id, reason: error.what, isFull: error.isFull))
            throw error
        }
    }

    private func nextTransfer(outcome: String) async {
        await flush()
        let (id, device, security, now) = (transfer, device.id, security, clock.now())
        recordsInTransfer = 0
        actsInTransfer.removeAll()
        equalInTransfer.removeAll()
        await attempt { tx, _ in try tx.endTransfer(id, outcome: outcome, at: now) }
        do throws(JournalError) {
            transfer = try await journal.write { tx in
                try tx.beginTransfer(device: device, at: now, security: security)
            }
        } catch {
            report(.commitRefused(device: device, reason: error.what, isFull: error.isFull))
        }
    }

    private func endTransfer(_ ended: SessionOutcome, reason: String?) async throws(JournalError) {
        let (id, now, subject) = (transfer, clock.now(), device.conditionSubject)
        let isCondition = ended.isWithoutReading && !hadNothingToTell(ended.reason)
        let words = [ended.reason.name, reason].compactMap(\.self).joined(separator: ": ")
        try await journal.write { tx in
            try tx.endTransfer(id, outcome: ended.reason.name, endReason: reason, at: now)
            if isCondition {
                try tx.raise(
                    Condition(
                        .connectedNoReading, subject: subject, since: now.wall,
                        reason: "The device connected and gave no reading (\(words))."))
            } else if !ended.isWithoutReading {
                try tx.clear(.connectedNoReading, subject: subject)
            }
        }
    }

    /// Whether a link that ended so, without a reading, is no cause for concern.
    private func hadNothingToTell(_ reason: SessionOutcome.Reason) -> Bool {
        guard reason == .peerEnded || reason == .quiet else { return false }
        // A simulated device waits on its socket whether or not it has something to say. A real one spends its battery on a link
        // for a reason: only a memory that was asked and was empty explains it.
        return security == .local || (model.records != .none && hasSubscribed && !hasMissedRecords)
    }

    /// Writes down what is left: words that went, frames that are no results.
    private func flush() async {
        let (words, side, transfer, id) = (sentWords, sideFrames, transfer, device.id)
        guard !words.isEmpty || !side.isEmpty else { return }
        await attempt { tx, _ in
            for frame in words { try tx.setWord(.sent, frame: frame) }
            for frame in side { _ = try tx.insertFrame(frame, device: id, transfer: transfer, word: .none) }
        }
        sentWords.removeAll()
        sideFrames.removeAll()
    }

    /// A transaction that no word depends on: when it fails, that is reported and the link goes on.
    private func attempt(_ body: @escaping @Sendable (Transaction, String) throws -> Void) async {
        let subject = device.conditionSubject
        do throws(JournalError) {
            try await journal.write { tx in try body(tx, subject) }
        } catch {
            report(.commitRefused(device: device.id, reason: error.what, isFull: error.isFull))
        }
    }
}
