import ExactJSON
import FHIR
import HTTPMessage
import Vitals

/// What PMD's answers to a bundle and to a search mean. Pure and total.
struct PMDVerdict {
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

    // MARK: The bundle

    func verdict(on outcome: HTTPOutcome) -> DispatchVerdict {
        switch outcome {
        case .notSent(let failure): return failure.notSentVerdict
        case .unknown(let failure): return .reconcile(reason: "sent, no answer (\(failure.kind.rawValue))")
        case .answered(let response):
            let body = try? JSON(parsing: response.body)
            let meaning = FHIRMeaning(response, body: body, now: now)
            switch meaning {
            case .success: return stored(response, body)
            case .unacceptable(let code, let text):
                return memo.acts > 1 ? .split(reason: code) : all(.quarantine(code: code, text: text))
            case .tooLarge(let reason):
                return memo.acts > 1 ? .split(reason: reason) : all(.quarantine(code: "too-large", text: reason))
            case .conflict(let reason): return .reconcile(reason: reason)
            case .absent(let status):
                return .holdChannel(.receiverHeld, reason: "the receiver answered \(status) on its root")
            case .wait(let time):
                // A 503 that names no time can come from a proxy whose server stored first.
                if time == nil, response.status == 503 { return .reconcile(reason: "the receiver answered 503") }
                return .waitUntilRetryAfter(time)
            // Entries are stored one by one: some may stand there already.
            case .failure(_, let reason): return .reconcile(reason: reason)
            case .credential, .hold, .retry:
                return meaning.channelVerdict ?? .holdChannel(.receiverHeld, reason: "an answer without meaning")
            }
        }
    }

    private func stored(_ response: HTTPResponse, _ body: JSON?) -> DispatchVerdict {
        let sent = try? JSON(parsing: draft.request.body)
        guard let answer = PMDAnswer(body, sent: sent) else {
            return .reconcile(reason: "the receiver answered \(response.status) without a batch-response")
        }
        return .items(
            draft.entries.map { entry in
                guard let own = sent?["entry"]?[entry.index],
                    case .answered(let answered) = answer.answer(to: own, at: entry.index)
                else { return ItemResult(entry.item, .reconcile(reason: "no answer for this entry alone")) }
                return ItemResult(entry.item, verdict(onEntry: answered, to: own, of: entry.item))
            })
    }

    private func verdict(onEntry entry: JSON, to own: JSON, of item: Int64) -> ItemVerdict {
        let response = entry["response"]
        guard let status = (response?["status"]?.string?.prefix(3)).flatMap({ Int($0) }) else {
            return .reconcile(reason: "an entry without status")
        }
        let outcome = (response?["outcome"] ?? entry["resource"]).flatMap(R4.OperationOutcome.init)
        switch FHIRMeaning(status: status, outcome: outcome, retryAfter: nil, now: now) {
        case .success: break
        case .unacceptable(let code, let text): return .quarantine(code: code, text: text)
        case .tooLarge(let reason): return .quarantine(code: "too-large", text: reason)
        case .conflict(let reason): return .reconcile(reason: reason)
        case .failure(_, let reason): return .reconcile(reason: reason)
        case .wait, .retry: return .reconcile(reason: "the entry was answered \(status)")
        // The channel stands, since the others passed: this one is refused.
        case .credential, .hold, .absent:
            return .quarantine(code: outcome?.errors.first?.code ?? "http-\(status)", text: outcome?.text ?? "")
        }
        var reference = response?["location"]?.string.flatMap { ServerReference($0) }
        if reference?.reference.hasPrefix("Observation/") != true { reference = nil }
        // The published answers hold a status alone. Then the reading is known by our identifier, which is its id too.
        var known =
            reference ?? memo.reference(of: item)
            ?? ServerReference(reference: "Observation/" + (own["resource"]?["id"]?.string ?? ""))
        if known.version == nil {
            known.version = response?["etag"]?.string.flatMap { FHIRTransactionVerdict.version(etag: $0) }
        }
        known.lastModified = response?["lastModified"]?.string.flatMap { Instant(iso8601: $0) }
        return .delivered(known)
    }

    // MARK: The search

    /// The answer to a search for what may have arrived.
    func verdict(onSearch outcome: HTTPOutcome, of item: Int64) -> DispatchVerdict {
        switch outcome {
        case .notSent(let failure): return failure.notSentVerdict
        case .unknown(let failure): return .retry(kind: failure.kind.rawValue, reason: "asked, no answer")
        case .answered(let response):
            let body = try? JSON(parsing: response.body)
            let meaning = FHIRMeaning(response, body: body, now: now)
            // A token that may write and not read is no reason to stop writing.
            if response.status == 403 || response.status == 405 {
                return .items([ItemResult(item, .uncertain(reason: "the receiver does not let us read (\(response.status))"))])
            }
            if let verdict = meaning.channelVerdict { return verdict }
            guard meaning == .success, response.status == 200, let body, let ours = PMDBundle.resource(of: item, in: draft)
            else {
                return .items([ItemResult(item, .uncertain(reason: "the receiver cannot be asked (\(response.status))"))])
            }
            return .items([ItemResult(item, found(ours: ours, in: body))])
        }
    }

    /// One under our identifier is ours; without one, the same patient, code, moment and values are. None, in an answer that is
    /// whole and about what was asked, means that it never arrived.
    private func found(ours: JSON, in body: JSON) -> ItemVerdict {
        guard body["resourceType"]?.string == "Bundle" else { return .uncertain(reason: "the receiver's answer is no Bundle") }
        let resources = (body["entry"]?.array ?? []).compactMap { $0["resource"] }
            .filter { $0["resourceType"]?.string == "Observation" }
        let own = OwnIdentifier.value(in: ours)
        var matches = resources.filter { resource in
            own.map { FHIRComparison.holdsIdentifier(resource, system: OwnIdentifier.system, value: $0) } ?? false
        }
        if matches.isEmpty {
            matches = resources.filter { OwnIdentifier.value(in: $0) == nil && Self.difference(ours, $0) == nil }
        }
        switch matches.count {
        case 0:
            if resources.contains(where: { !Self.isAskedFor(ours, $0) }) {
                return .uncertain(reason: "the receiver ignores the search")
            }
            if (body["link"]?.array ?? []).contains(where: { $0["relation"]?.string == "next" }) {
                return .uncertain(reason: "the receiver's answer goes on")
            }
            return .resend(nil)
        case 1:
            guard let reference = Self.current(matches[0]) else { return .uncertain(reason: "the receiver's copy has no id") }
            if memo.isCorrection {
                return matches[0]["status"]?.string == "entered-in-error" ? .delivered(reference) : .resend(reference)
            }
            if let difference = Self.difference(ours, matches[0]) {
                return .quarantine(
                    code: "different", text: "the receiver holds another one under this identifier: \(difference)")
            }
            return .delivered(reference)
        default: return .quarantine(code: "multiple-matches", text: "the receiver holds it \(matches.count) times")
        }
    }

    /// What differs in what carries the measurement, its patient and its moment; `nil` where they agree. The server may have added
    /// a reference to the patient that it made of the identifier.
    private static func difference(_ ours: JSON, _ theirs: JSON) -> String? {
        guard isSamePatient(ours, theirs) else { return "subject" }
        let comparable = theirs.setting("subject", to: ours["subject"] ?? .null)
        if let difference = FHIRComparison.difference(ours: ours, theirs: comparable) { return difference }
        return time(of: ours) == time(of: theirs) ? nil : "effective"
    }

    private static func isSamePatient(_ ours: JSON, _ theirs: JSON) -> Bool {
        ours["subject"]?["identifier"]?["value"] == theirs["subject"]?["identifier"]?["value"]
    }

    private static func isAskedFor(_ ours: JSON, _ theirs: JSON) -> Bool {
        isSamePatient(ours, theirs)
            && (theirs["code"]?["coding"]?.array ?? []).contains { $0["code"] == ours["code"]?["coding"]?[0]?["code"] }
    }

    private static func time(of observation: JSON) -> Instant? {
        observation["effectiveDateTime"]?.string.flatMap { Instant(iso8601: $0) }
    }

    private static func current(_ resource: JSON) -> ServerReference? {
        guard let id = resource["id"]?.string, var reference = ServerReference("Observation/\(id)") else { return nil }
        reference.version = resource["meta"]?["versionId"]?.string.flatMap { LogicalID.isValid($0) ? $0 : nil }
        reference.lastModified = resource["meta"]?["lastUpdated"]?.string.flatMap { Instant(iso8601: $0) }
        return reference
    }
}
