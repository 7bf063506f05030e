import ExactJSON
import FHIR
import HTTPMessage
import Vitals

/// What VKP's answers to a document and to a search mean. Pure and total.
struct VKPVerdict {
    var draft: DispatchDraft
    var now: Instant

    private func all(_ verdict: ItemVerdict) -> DispatchVerdict {
        .items(draft.entries.map { ItemResult($0.item, verdict) })
    }

    /// The name of the document, without `urn:uuid:`.
    private var name: String? {
        let identifier = (try? JSON(parsing: draft.request.body))?["identifier"]?["value"]?.string
        return identifier.map { String($0.dropFirst("urn:uuid:".utf8.count)) }
    }

    private var taken: ItemVerdict { .delivered(ServerReference(reference: "Bundle/" + (name ?? ""))) }

    func verdict(on outcome: HTTPOutcome) -> DispatchVerdict {
        switch outcome {
        case .notSent(let failure): return failure.notSentVerdict
        case .unknown(let failure): return .reconcile(reason: "sent, no answer (\(failure.kind.rawValue))")
        case .answered(let response):
            let body = try? JSON(parsing: response.body)
            if let (code, name, reaction) = VKPOutcome.reaction(to: body), response.status != 401 {
                switch reaction {
                case .hold: return .holdChannel(.receiverHeld, reason: "the receiver answered \(code) \(name)")
                case .reconcile: return .reconcile(reason: "the receiver answered \(code) \(name)")
                case .refuse: return all(.quarantine(code: "vkp-" + code, text: Self.text(body)))
                }
            }
            let meaning = FHIRMeaning(response, body: body, now: now)
            switch meaning {
            // Published callers read no body: the status alone says that it was taken.
            case .success: return all(taken)
            case .unacceptable(let code, let text): return all(.quarantine(code: code, text: text))
            case .tooLarge(let reason): return all(.quarantine(code: "too-large", text: reason))
            case .conflict(let reason): return .reconcile(reason: reason)
            case .absent(let status):
                return .holdChannel(.receiverHeld, reason: "the receiver answered \(status) on its bundle")
            case .wait(let time):
                if time == nil, response.status == 503 { return .reconcile(reason: "the receiver answered 503") }
                return .waitUntilRetryAfter(time)
            // Behind VKP is the journal, which may have stored.
            case .failure(_, let reason): return .reconcile(reason: reason)
            case .credential, .hold, .retry:
                return meaning.channelVerdict ?? .holdChannel(.receiverHeld, reason: "an answer without meaning")
            }
        }
    }

    private static func text(_ body: JSON?) -> String { body.flatMap(R4.OperationOutcome.init)?.text ?? "" }

    /// A document that is found is there. One that is not may still be on its way from VKP to the journal, so that absence proves
    /// nothing.
    func verdict(onSearch outcome: HTTPOutcome, of item: Int64) -> DispatchVerdict {
        switch outcome {
        case .notSent(let failure): return failure.notSentVerdict
        case .unknown(let failure): return .retry(kind: failure.kind.rawValue, reason: "asked, no answer")
        case .answered(let response):
            let body = try? JSON(parsing: response.body)
            let meaning = FHIRMeaning(response, body: body, now: now)
            if response.status != 403, let verdict = meaning.channelVerdict { return verdict }
            guard meaning == .success, let body, let name else {
                return .items([ItemResult(item, .uncertain(reason: "the receiver cannot be asked (\(response.status))"))])
            }
            let isThere = (body["entry"]?.array ?? []).contains { entry in
                let identifier = entry["resource"]?["identifier"]
                return identifier?["system"]?.string == OwnIdentifier.system
                    && identifier?["value"]?.string == "urn:uuid:" + name
            }
            return .items([
                ItemResult(item, isThere ? taken : .uncertain(reason: "the journal does not show the document, or not yet"))
            ])
        }
    }
}
