import ExactJSON
import FHIR
import HTTPMessage
import Vitals

/// What the answers of a FHIR server to a transaction, to a read and to a search mean. Shared by all destinations that speak FHIR
/// transactions; every function is pure and total.
struct FHIRTransactionVerdict {
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

    // MARK: The transaction

    func verdict(on outcome: HTTPOutcome) -> DispatchVerdict {
        switch outcome {
        case .notSent(let failure): return failure.notSentVerdict
        case .unknown(let failure): return .reconcile(reason: "sent, no answer (\(failure.kind.rawValue))")
        case .answered(let response):
            let body = try? JSON(parsing: response.body)
            let meaning = FHIRMeaning(response, body: body, now: now)
            switch meaning {
            case .success: return success(response, body)
            case .unacceptable(let code, let text):
                return memo.acts > 1 ? .split(reason: code) : all(.quarantine(code: code, text: text))
            case .tooLarge(let reason):
                return memo.acts > 1 ? .split(reason: reason) : all(.quarantine(code: "too-large", text: reason))
            case .conflict(let reason): return .reconcile(reason: reason)
            case .absent(let status):
                return .holdChannel(.receiverHeld, reason: "the receiver answered \(status) on its base")
            case .wait, .credential, .hold, .retry, .failure:
                return meaning.channelVerdict ?? .holdChannel(.receiverHeld, reason: "an answer without meaning")
            }
        }
    }

    private func success(_ response: HTTPResponse, _ body: JSON?) -> DispatchVerdict {
        guard let answer = body.flatMap(R4.TransactionResponse.init) else {
            // 202, 204, a page of a captive portal: it may have been taken.
            return .reconcile(reason: "the receiver answered \(response.status) without a transaction-response")
        }
        guard answer.entries.count == memo.entries else {
            return .reconcile(reason: "the receiver answered \(answer.entries.count) entries to \(memo.entries)")
        }
        let itemIndices = Set(draft.entries.map(\.index))
        // What goes along (devices, status bits, clock) serves the items: without it they are not told in full.
        let supportFailure = answer.entries.indices.lazy.filter { !itemIndices.contains($0) }
            .compactMap { self.failure(of: answer.entries[$0]) }.first
        return .items(
            draft.entries.map { entry in
                guard answer.entries.indices.contains(entry.index) else {
                    return ItemResult(entry.item, .reconcile(reason: "no answer for this entry"))
                }
                let verdict = verdict(onEntry: answer.entries[entry.index])
                if case .delivered = verdict, let supportFailure {
                    return ItemResult(entry.item, supportFailure)
                }
                return ItemResult(entry.item, verdict)
            })
    }

    private func meaning(of entry: R4.TransactionResponse.Entry) -> FHIRMeaning? {
        entry.status.map { FHIRMeaning(status: $0, outcome: entry.outcome, retryAfter: nil, now: now) }
    }

    /// The verdict of an entry that failed; `nil` for one that passed.
    private func failure(of entry: R4.TransactionResponse.Entry) -> ItemVerdict? {
        guard let status = entry.status, let meaning = meaning(of: entry) else {
            return .reconcile(reason: "an entry without status")
        }
        switch meaning {
        case .success: return nil
        case .unacceptable(let code, let text): return .quarantine(code: code, text: text)
        case .tooLarge(let reason): return .quarantine(code: "too-large", text: reason)
        case .conflict(let reason): return .reconcile(reason: reason)
        case .failure(let status, let reason): return .serverFailure(status: status, reason: reason)
        case .wait, .retry: return .serverFailure(status: status, reason: "the entry was answered \(status)")
        // The channel stands, since the others passed: this one is refused.
        case .credential, .hold, .absent:
            return .quarantine(code: entry.outcome?.errors.first?.code ?? "http-\(status)", text: entry.outcome?.text ?? "")
        }
    }

    private func verdict(onEntry entry: R4.TransactionResponse.Entry) -> ItemVerdict {
        if let failure = failure(of: entry) { return failure }
        guard var reference = entry.location.flatMap({ ServerReference($0) }) else {
            return .reconcile(reason: "the receiver did not say where it put the entry")
        }
        if reference.version == nil { reference.version = entry.etag.flatMap(Self.version) }
        reference.lastModified = entry.lastModified.flatMap { Instant(iso8601: $0) }
        // An update answers 200 as its success; to a conditional create, anything but 201 says that it was there.
        return memo.isCorrection || entry.status == 201 ? .delivered(reference) : .readBack(reference)
    }

    /// The version of `W/"3"`.
    static func version(etag: String) -> String? {
        let parts = etag.split(separator: "\"", omittingEmptySubsequences: false)
        guard parts.count == 3, LogicalID.isValid(String(parts[1])) else { return nil }
        return String(parts[1])
    }

    // MARK: Reading back

    /// The answer to a read of what stood there already.
    func verdict(onReadBack outcome: HTTPOutcome, of item: Int64, at reference: ServerReference) -> DispatchVerdict {
        question(outcome, item: item) { body in
            guard let body, let ours = resource(of: item) else {
                return .uncertain(reason: "the receiver's copy cannot be read")
            }
            return compared(ours: ours, theirs: body, at: current(body) ?? reference)
        }
    }

    // MARK: Reconciliation

    /// The answer to a search for our own identifier, or, for a correction, to a read of what it corrects.
    func verdict(onReconciliation outcome: HTTPOutcome, of item: Int64) -> DispatchVerdict {
        if memo.isCorrection, case .answered(let response) = outcome, response.status == 410 {
            return .items([ItemResult(item, .delivered(memo.reference(of: item) ?? ServerReference(reference: "Observation")))])
        }
        return question(outcome, item: item) { body in
            guard let body, let ours = resource(of: item) else {
                return .uncertain(reason: "the receiver's answer cannot be read")
            }
            return memo.isCorrection ? corrected(ours: ours, theirs: body) : found(ours: ours, in: body)
        }
    }

    private func found(ours: JSON, in body: JSON) -> ItemVerdict {
        guard body["resourceType"]?.string == "Bundle" else { return .uncertain(reason: "the receiver's answer is no Bundle") }
        let resources = (body["entry"]?.array ?? []).compactMap { $0["resource"] }
            .filter { $0["resourceType"]?.string == "Observation" }
        let own = OwnIdentifier.value(in: ours)
        let matches = resources.filter { resource in
            own.map { FHIRComparison.holdsIdentifier(resource, system: OwnIdentifier.system, value: $0) } ?? false
        }
        switch matches.count {
        case 0:
            // Observations, but none of them asked for: the receiver did not understand the search.
            return resources.isEmpty ? .resend(nil) : .uncertain(reason: "the receiver ignores the identifier in a search")
        case 1:
            guard let reference = current(matches[0]) else { return .uncertain(reason: "the receiver's copy has no id") }
            return compared(ours: ours, theirs: matches[0], at: reference)
        default: return .quarantine(code: "multiple-matches", text: "the receiver holds it \(matches.count) times")
        }
    }

    private func corrected(ours: JSON, theirs: JSON) -> ItemVerdict {
        guard let reference = current(theirs) else { return .uncertain(reason: "the receiver's copy has no id") }
        if theirs["status"]?.string == "entered-in-error" { return .delivered(reference) }
        if let difference = FHIRComparison.difference(ours: ours, theirs: theirs) {
            return .quarantine(code: "different", text: "the receiver's copy was changed after delivery: \(difference)")
        }
        return .resend(reference)
    }

    private func compared(ours: JSON, theirs: JSON, at reference: ServerReference) -> ItemVerdict {
        if let difference = FHIRComparison.difference(ours: ours, theirs: theirs) {
            return .quarantine(code: "different", text: "the receiver holds another one under this identifier: \(difference)")
        }
        return .delivered(reference)
    }

    // MARK: Shared

    /// A question's answer: its meaning for the channel, or what `read` makes of the body.
    private func question(_ outcome: HTTPOutcome, item: Int64, read: (JSON?) -> ItemVerdict) -> DispatchVerdict {
        switch outcome {
        case .notSent(let failure): return failure.notSentVerdict
        case .unknown(let failure): return .retry(kind: failure.kind.rawValue, reason: "asked, no answer")
        case .answered(let response):
            let body = try? JSON(parsing: response.body)
            let meaning = FHIRMeaning(response, body: body, now: now)
            // A credential that may write and not read is no reason to stop writing.
            if response.status == 403 || response.status == 405 {
                return .items([ItemResult(item, .uncertain(reason: "the receiver does not let us read (\(response.status))"))])
            }
            if let verdict = meaning.channelVerdict { return verdict }
            guard meaning == .success, response.status == 200 else {
                return .items([ItemResult(item, .uncertain(reason: "the receiver cannot be asked (\(response.status))"))])
            }
            return .items([ItemResult(item, read(body))])
        }
    }

    /// Our resource of the item, as it was frozen.
    private func resource(of item: Int64) -> JSON? {
        guard let index = draft.entries.first(where: { $0.item == item })?.index else { return nil }
        return (try? JSON(parsing: draft.request.body))?["entry"]?[index]?["resource"]
    }

    /// Type, id, version and time of a resource as the receiver sent it.
    private func current(_ resource: JSON) -> ServerReference? {
        guard let type = resource["resourceType"]?.string, let id = resource["id"]?.string,
            var reference = ServerReference("\(type)/\(id)")
        else { return nil }
        reference.version = resource["meta"]?["versionId"]?.string.flatMap { LogicalID.isValid($0) ? $0 : nil }
        reference.lastModified = resource["meta"]?["lastUpdated"]?.string.flatMap { Instant(iso8601: $0) }
        return reference
    }
}

/// The identifier under which everything that we send can be found again: `urn:uuid:` and the reading's public id.
enum OwnIdentifier {
    static let system = "urn:ietf:rfc:3986"

    static func value(in resource: JSON) -> String? {
        (resource["identifier"]?.array ?? []).first { $0["system"]?.string == system }?["value"]?.string
    }
}

/// What a transaction's draft keeps for later.
struct TransactionMemo: Hashable {
    /// How many acts are in it: more than one can be split.
    var acts: Int
    /// How many entries the answer must have.
    var entries: Int
    var isCorrection: Bool
    /// Of a correction: what each item corrects.
    var references: [Int64: ServerReference]

    init(acts: Int, entries: Int, isCorrection: Bool, references: [Int64: ServerReference] = [:]) {
        self.acts = acts
        self.entries = entries
        self.isCorrection = isCorrection
        self.references = references
    }

    init(_ json: JSON) {
        acts = json["acts"]?.integer ?? 1
        entries = json["entries"]?.integer ?? 0
        isCorrection = json["correction"]?.bool ?? false
        references = [:]
        for member in json["references"]?.object ?? [] {
            if let item = Int64(member.key), let reference = member.value.string.flatMap({ ServerReference($0) }) {
                references[item] = reference
            }
        }
    }

    var json: JSON {
        .members([
            "acts": .integer(acts), "entries": .integer(entries), "correction": isCorrection ? true : nil,
            "references": references.isEmpty
                ? nil
                : .object(
                    references.sorted { $0.key < $1.key }.map { JSON.Member(String($0.key), .string($0.value.description)) }),
        ])
    }

    func reference(of item: Int64) -> ServerReference? { references[item] }
}
