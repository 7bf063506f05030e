import ExactJSON
import FHIR
import HTTPMessage
import Vitals

/// What FUT's answers to a submission, a retraction, a read and a search mean. Pure and total.
struct FUTVerdict {
    var draft: DispatchDraft
    var memo: TransactionMemo
    var now: Instant

    init(draft: DispatchDraft, now: Instant) {
        self.draft = draft
        self.now = now
        memo = TransactionMemo(draft.memo)
    }

    private func all(_ verdict: ItemVerdict) -> DispatchVerdict {
        .items(draft.entries.map { ItemResult($0.item, verdict) })
    }

    // MARK: The request

    func verdict(on outcome: HTTPOutcome) -> DispatchVerdict {
        switch outcome {
        case .notSent(let failure): return failure.notSentVerdict
        case .unknown(let failure): return .reconcile(reason: "sent, no answer (\(failure.kind.rawValue))")
        case .answered(let response):
            let body = try? JSON(parsing: response.body)
            if let (code, reaction) = FUTErrors.reaction(to: body) {
                return verdict(reaction, code: code, status: response.status, text: Self.text(body))
            }
            let meaning = FHIRMeaning(response, body: body, now: now)
            switch meaning {
            case .success: return memo.isCorrection ? retracted(response, body) : submitted(response, body)
            case .unacceptable(let code, let text): return all(.quarantine(code: code, text: text))
            case .tooLarge(let reason): return all(.quarantine(code: "too-large", text: reason))
            case .conflict(let reason): return .reconcile(reason: reason)
            case .absent(let status): return absent(status)
            case .wait(let time):
                // A 503 that names no time can come from a proxy whose server stored first.
                if time == nil, response.status == 503 { return .reconcile(reason: "the receiver answered 503") }
                return .waitUntilRetryAfter(time)
            case .failure(let status, let reason):
                return memo.isCorrection ? .serverFailure(status: status, reason: reason) : .reconcile(reason: reason)
            case .credential, .hold, .retry:
                return meaning.channelVerdict ?? .holdChannel(.receiverHeld, reason: "an answer without meaning")
            }
        }
    }

    private func verdict(_ reaction: FUTReaction, code: String, status: Int, text: String) -> DispatchVerdict {
        let name = FUTErrors.name(of: code)
        switch reaction {
        case .wrongPatient: return .holdChannel(.wrongPatient, reason: "the receiver answered \(code)")
        case .hold: return .holdChannel(.receiverHeld, reason: "the receiver answered \(code)")
        case .context: return .refreshCredential
        case .reconcile: return .reconcile(reason: "the receiver answered \(code)")
        // A retraction goes to no request: there is nothing to decide anew.
        case .reassign: return all(memo.isCorrection ? .quarantine(code: name, text: text) : .reassign(reason: name))
        case .refuse: return all(.quarantine(code: name, text: text))
        case .failure: return .serverFailure(status: status, reason: "the receiver answered \(code)")
        }
    }

    private static func text(_ body: JSON?) -> String { body.flatMap(R4.OperationOutcome.init)?.text ?? "" }

    private func absent(_ status: Int) -> DispatchVerdict {
        guard memo.isCorrection else {
            return .holdChannel(.receiverHeld, reason: "the receiver answered \(status) on its operation")
        }
        // What is gone needs no retraction; what was never there is a person's.
        if status == 410 { return .items(draft.entries.map { ItemResult($0.item, gone($0.item)) }) }
        return all(.quarantine(code: "not-found", text: "the receiver does not have it under its reference"))
    }

    private func gone(_ item: Int64) -> ItemVerdict {
        .delivered(memo.reference(of: item) ?? ServerReference(reference: "Observation"))
    }

    /// 200 with a transaction-response, as the resource itself or as the only parameter.
    private func submitted(_ response: HTTPResponse, _ body: JSON?) -> DispatchVerdict {
        let bundle = body?["resourceType"]?.string == "Parameters" ? body?["parameter"]?[0]?["resource"] : body
        guard let answer = bundle.flatMap(R4.TransactionResponse.init) else {
            return .reconcile(reason: "the receiver answered \(response.status) without a transaction-response")
        }
        let entries = bundle?["entry"]?.array ?? []
        guard answer.entries.count == memo.entries else {
            return .reconcile(reason: "the receiver answered \(answer.entries.count) entries to \(memo.entries)")
        }
        return .items(
            draft.entries.map { entry in
                guard answer.entries.indices.contains(entry.index), entries.indices.contains(entry.index) else {
                    return ItemResult(entry.item, .reconcile(reason: "no answer for this entry"))
                }
                let outcome = entries[entry.index]["response"]?["outcome"]
                return ItemResult(entry.item, verdict(onEntry: answer.entries[entry.index], outcome: outcome))
            })
    }

    private func verdict(onEntry entry: R4.TransactionResponse.Entry, outcome: JSON?) -> ItemVerdict {
        guard let status = entry.status else { return .reconcile(reason: "an entry without status") }
        if let (code, reaction) = FUTErrors.reaction(to: outcome) {
            switch reaction {
            case .reassign: return .reassign(reason: FUTErrors.name(of: code))
            case .reconcile: return .reconcile(reason: "the entry was answered \(code)")
            case .failure: return .serverFailure(status: status, reason: "the entry was answered \(code)")
            case .wrongPatient, .hold, .context, .refuse:
                return .quarantine(code: FUTErrors.name(of: code), text: Self.text(outcome))
            }
        }
        switch FHIRMeaning(status: status, outcome: entry.outcome, retryAfter: nil, now: now) {
        case .success: break
        case .unacceptable(let code, let text): return .quarantine(code: code, text: text)
        case .tooLarge(let reason): return .quarantine(code: "too-large", text: reason)
        case .conflict(let reason): return .reconcile(reason: reason)
        case .failure(_, let reason): return .reconcile(reason: reason)
        case .wait, .retry: return .reconcile(reason: "the entry was answered \(status)")
        case .credential, .hold, .absent:
            return .quarantine(code: entry.outcome?.errors.first?.code ?? "http-\(status)", text: entry.outcome?.text ?? "")
        }
        guard var reference = entry.location.flatMap({ ServerReference($0) }), reference.reference.hasPrefix("Observation/")
        else {
            return .reconcile(reason: "the receiver did not say where it put the entry")
        }
        // The platform writes the version bare: `"etag": "1"`.
        if reference.version == nil {
            reference.version = entry.etag.flatMap {
                FHIRTransactionVerdict.version(etag: $0) ?? (LogicalID.isValid($0) ? $0 : nil)
            }
        }
        reference.lastModified = entry.lastModified.flatMap { Instant(iso8601: $0) }
        return .delivered(reference)
    }

    private func retracted(_ response: HTTPResponse, _ body: JSON?) -> DispatchVerdict {
        guard let item = draft.entries.first?.item else { return .items([]) }
        if let body, body["status"]?.string == "entered-in-error", let reference = Self.current(body) {
            return .items([ItemResult(item, .delivered(reference))])
        }
        // `$set-measurement-validity` answers with the ClinicalImpression, not with what it changed.
        return .reconcile(reason: "the receiver answered \(response.status) without the retracted observation")
    }

    // MARK: Questions

    /// The answer to a read of an observation.
    func verdict(onRead outcome: HTTPOutcome, of item: Int64, at reference: ServerReference) -> DispatchVerdict {
        question(outcome, item: item) { body in
            guard let ours = FUTSubmission.resource(of: item, in: draft) else {
                return .uncertain(reason: "the receiver's copy cannot be compared")
            }
            return compared(ours: ours, theirs: body, at: Self.current(body) ?? reference)
        }
    }

    /// The answer to a search for what may have arrived or, for a retraction, to a read of what it takes back.
    func verdict(onReconciliation outcome: HTTPOutcome, of item: Int64) -> DispatchVerdict {
        if memo.isCorrection, case .answered(let response) = outcome, response.status == 410 {
            return .items([ItemResult(item, gone(item))])
        }
        return question(outcome, item: item) { body in
            if memo.isCorrection {
                guard let reference = Self.current(body) else { return .uncertain(reason: "the receiver's copy has no id") }
                return body["status"]?.string == "entered-in-error" ? .delivered(reference) : .resend(reference)
            }
            guard let ours = FUTSubmission.resource(of: item, in: draft) else {
                return .uncertain(reason: "what was sent cannot be read")
            }
            return found(ours: ours, in: body)
        }
    }

    /// What a search found: one that says the same is ours; none, in an answer that is complete and about what was asked, means
    /// that it never arrived.
    private func found(ours: JSON, in body: JSON) -> ItemVerdict {
        guard body["resourceType"]?.string == "Bundle" else { return .uncertain(reason: "the receiver's answer is no Bundle") }
        let resources = (body["entry"]?.array ?? []).compactMap { $0["resource"] }
            .filter { $0["resourceType"]?.string == "Observation" }
        let own = OwnIdentifier.value(in: ours)
        let named = resources.filter { resource in
            own.map { FHIRComparison.holdsIdentifier(resource, system: OwnIdentifier.system, value: $0) } ?? false
        }
        if let first = named.first {
            guard named.count == 1 else {
                return .quarantine(code: "multiple-matches", text: "the receiver holds it \(named.count) times")
            }
            guard let reference = Self.current(first) else { return .uncertain(reason: "the receiver's copy has no id") }
            return compared(ours: ours, theirs: first, at: reference)
        }
        // Where the platform drops identifiers, the same moment, request and values are the same reading. One that carries another
        // identifier of ours is another reading.
        let equal = resources.filter { OwnIdentifier.value(in: $0) == nil && Self.difference(ours, $0) == nil }
        switch equal.count {
        case 0:
            let strangers = resources.contains { !Self.isAskedFor(ours, $0) }
            let isComplete = !(body["link"]?.array ?? []).contains { $0["relation"]?.string == "next" }
            guard !strangers, isComplete else {
                return .uncertain(reason: strangers ? "the receiver ignores the search" : "the receiver's answer goes on")
            }
            return .resend(nil)
        case 1:
            return Self.current(equal[0]).map { .delivered($0) } ?? .uncertain(reason: "the receiver's copy has no id")
        default: return .quarantine(code: "multiple-matches", text: "the receiver holds it \(equal.count) times")
        }
    }

    private func compared(ours: JSON, theirs: JSON, at reference: ServerReference) -> ItemVerdict {
        if let difference = Self.difference(ours, theirs) {
            return .quarantine(code: "different", text: "the receiver holds another one under this identifier: \(difference)")
        }
        return .delivered(reference)
    }

    /// What differs in what carries the measurement, its moment and its request; `nil` where they agree.
    private static func difference(_ ours: JSON, _ theirs: JSON) -> String? {
        if let difference = FHIRComparison.difference(ours: ours, theirs: theirs) { return difference }
        guard FUTSubmission.time(of: ours) == FUTSubmission.time(of: theirs) else { return "effective" }
        return request(ours) == request(theirs) ? nil : "basedOn"
    }

    private static func isAskedFor(_ ours: JSON, _ theirs: JSON) -> Bool {
        request(ours) == request(theirs)
            && (ours["subject"]?["reference"]?.string).flatMap(FUTReference.tail)
                == (theirs["subject"]?["reference"]?.string).flatMap(FUTReference.tail)
    }

    private static func request(_ observation: JSON) -> String? {
        (observation["basedOn"]?[0]?["reference"]?.string).flatMap(FUTReference.tail)
    }

    /// Type, id, version and time of an Observation as the receiver sent it.
    private static func current(_ resource: JSON) -> ServerReference? {
        guard resource["resourceType"]?.string == "Observation", let id = resource["id"]?.string,
            var reference = ServerReference("Observation/\(id)")
        else { return nil }
        reference.version = resource["meta"]?["versionId"]?.string.flatMap { LogicalID.isValid($0) ? $0 : nil }
        reference.lastModified = resource["meta"]?["lastUpdated"]?.string.flatMap { Instant(iso8601: $0) }
        return reference
    }

    private func question(_ outcome: HTTPOutcome, item: Int64, read: (JSON) -> ItemVerdict) -> DispatchVerdict {
        switch FUTAnswer(outcome, now: now) {
        case .resource(let body): return .items([ItemResult(item, read(body))])
        case .verdict(let verdict): return verdict
        case .refused(let reason): return .items([ItemResult(item, .uncertain(reason: reason))])
        }
    }
}
