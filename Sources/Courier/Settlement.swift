import Destinations
import HTTPMessage
import Journal
import Steward
import Vitals

/// Writes down what became of a dispatch: the attempt's end and each item's outcome, within one transaction.
struct Settlement: Sendable {
    let prepared: Prepared
    let receiver: String
    let channel: String
    /// The receiver's policy where it cannot be found out whether it has something.
    let resendsUncertain: Bool
    let now: ClockReading

    /// What is on disk of an item now, and so what the worker may do next.
    enum Settled: Sendable {
        case delivered(ItemRecord)
        case quarantined(ItemRecord, code: String)
        /// Its outcome is open: the receiver is asked after the settling time.
        case open
        /// It is owed as before.
        case waiting
        /// It is owed as before, and where it goes has to be decided by a plan that is fetched anew.
        case replanned
        /// A person decides, or it is sent again by policy.
        case uncertain(ItemRecord)
        case failed(reason: String)
        /// Open until the receiver's copy was read.
        case readBack(ItemRecord, ServerReference)
    }

    /// The reason of an item whose outcome the receiver is to be asked about.
    static let outcomeUnknown = "outcome-unknown"
    /// The reason of an item whose outcome nobody can find out.
    static let forAPerson = "for-a-person"
    /// Begins the reason of an item whose place at the receiver is to be decided anew; the receiver's code follows.
    static let replanned = "replanned:"
    /// What is kept of a refusal: an OperationOutcome is a few hundred bytes, an HTML error page is not worth more.
    private static let mostDetailBytes = 16_384

    /// How the attempt ended. What failed before a request left is no attempt: it belongs to the channel's one row.
    func close(_ outcome: HTTPOutcome, in tx: Transaction) throws(JournalError) {
        let milliseconds = Int((now.monotonic - prepared.started.monotonic).milliseconds)
        switch outcome {
        case .notSent: try tx.discardAttempt(prepared.attempt)
        case .unknown(let failure):
            try tx.endAttempt(
                prepared.attempt, outcome: "unknown", status: nil, durationMilliseconds: milliseconds,
                detail: "\(failure.kind.rawValue): \(failure.message)", at: now.wall)
        case .answered(let response):
            let isPlain = (200...299).contains(response.status)
            try tx.endAttempt(
                prepared.attempt, outcome: "answered", status: response.status, durationMilliseconds: milliseconds,
                detail: isPlain ? nil : String(decoding: response.body.prefix(Self.mostDetailBytes), as: UTF8.self), at: now.wall)
        }
    }

    /// Issue types of FHIR and codes of ours: lower case and dashes, digits only as a status (`http-422`).
    private static func isCode(_ text: String) -> Bool {
        let isStatus =
            text.hasPrefix("http-") && text.utf8.count == 8 && text.utf8.dropFirst(5).allSatisfy { (0x30...0x39).contains($0) }
        return isStatus
            || (1...32).contains(text.utf8.count) && text.utf8.allSatisfy { (0x61...0x7A).contains($0) || $0 == 0x2D }
    }

    func settle(_ results: [ItemResult], in tx: Transaction) throws(JournalError) -> [Settled] {
        var settled: [Settled] = []
        for result in results {
            guard let item = prepared.items.first(where: { $0.id == result.item }) else { continue }
            settled.append(try settle(item, result.verdict, in: tx))
        }
        return settled
    }

    private func settle(_ item: ItemRecord, _ verdict: ItemVerdict, in tx: Transaction) throws(JournalError) -> Settled {
        switch verdict {
        case .delivered(let reference):
            try tx.setItem(item.id, state: .delivered, serverReference: "\(reference)", at: now.wall)
            try tx.clearFailures(of: channel)
            try tx.clear(.itemFailing, subject: "\(receiver)/\(prepared.act.id)")
            try tx.clearIfNone(.uncertain, of: receiver, condition: .outcomeUnknown)
            try tx.clearIfNone(.quarantined, of: receiver, condition: .quarantine)
            return .delivered(item)
        case .quarantine(let claimed, let text):
            // The code goes into logs and conditions, and a receiver could write anything there (R8).
            let code = Self.isCode(claimed) ? claimed : "error"
            try tx.clear(.itemFailing, subject: "\(receiver)/\(prepared.act.id)")
            try tx.setItem(item.id, state: .quarantined, reason: code)
            try tx.clearFailures(of: channel)
            try tx.raise(
                Condition(.quarantine, subject: receiver, since: now.wall, reason: "The receiver refused a reading (\(code))."))
            // The receiver's own words may hold health data: sealed, never logged.
            try tx.audit(
                at: now.wall, actor: "daemon", action: "quarantine", subject: item.readingSubject.rawValue, detail: text)
            return .quarantined(item, code: code)
        case .reassign(let reason):
            try tx.setItem(item.id, state: .waiting, reason: Self.replanned + (Self.isCode(reason) ? reason : "error"))
            // The request names what does not hold any more.
            try tx.dropDispatch(id: prepared.dispatch)
            try tx.clearFailures(of: channel)
            return .replanned
        case .readBack(let reference):
            // Open until compared: a crash in between asks the receiver again.
            try tx.setItem(item.id, state: .uncertain, reason: Self.outcomeUnknown)
            return .readBack(item, reference)
        case .reconcile:
            try tx.setItem(item.id, state: .uncertain, reason: Self.outcomeUnknown)
            return .open
        case .resend(let reference):
            try tx.setItem(item.id, state: .waiting, serverReference: reference.map { "\($0)" })
            // A correction names the version that it replaces: with a new one the request must be made anew.
            if reference != nil { try tx.dropDispatch(id: prepared.dispatch) }
            return .waiting
        case .uncertain(let reason):
            try tx.setItem(
                item.id, state: resendsUncertain ? .waiting : .uncertain,
                reason: resendsUncertain ? "sent-again" : Self.forAPerson)
            try tx.audit(
                at: now.wall, actor: "daemon", action: resendsUncertain ? "send-again" : "hold-uncertain",
                subject: item.readingSubject.rawValue, detail: reason)
            if !resendsUncertain {
                try tx.raise(Condition(.outcomeUnknown, subject: receiver, since: now.wall, reason: reason))
            }
            return .uncertain(item)
        case .serverFailure(_, let reason):
            try tx.setItem(item.id, state: .waiting, reason: "server-failure", serverFailures: item.serverFailures + 1)
            return .failed(reason: reason)
        }
    }
}

extension Transaction {
    /// The receiver looked at something: whatever kept the channel from it is over.
    func clearFailures(of channel: String) throws(JournalError) {
        guard var record = try self.channel(channel), record.failures > 0 else { return }
        record.failures = 0
        record.firstFailure = nil
        record.lastFailure = nil
        record.failureKind = nil
        try setChannel(record)
        try clear(.receiverUnreachable, subject: channel)
    }

    /// Clears the receiver's condition when no item of it is in that state any more.
    func clearIfNone(_ state: ItemState, of receiver: String, condition: Condition.Code) throws(JournalError) {
        guard try counts().items[receiver]?[state, default: 0] ?? 0 == 0 else { return }
        try clear(condition, subject: receiver)
    }

    /// Visits a receiver's items of one state in one channel, a page at a time.
    func eachItem(
        in state: ItemState, of receiver: String, channel: String, _ body: (ItemRecord) throws -> Void
    ) throws {
        var last: Int64 = 0
        while case let page = try items(state: state, receiver: receiver, after: last, limit: 100), let end = page.last {
            for item in page where item.channel == channel { try body(item) }
            last = end.id
        }
    }
}
