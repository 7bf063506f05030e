public import ExactJSON
public import HTTPMessage
public import Vitals

/// The answer to a question that changes nothing: a read, a search, `$get-patient-procedures`.
public enum FUTAnswer: Hashable, Sendable {
    case resource(JSON)
    /// What it means for the channel: it is asked again, or somebody must act.
    case verdict(DispatchVerdict)
    /// The receiver does not tell.
    case refused(reason: String)
}

extension FUTAnswer {
    public init(_ outcome: HTTPOutcome, now: Instant) {
        switch outcome {
        case .notSent(let failure): self = .verdict(failure.notSentVerdict)
        case .unknown(let failure): self = .verdict(.retry(kind: failure.kind.rawValue, reason: "asked, no answer"))
        case .answered(let response):
            let body = try? JSON(parsing: response.body)
            if let (code, reaction) = FUTErrors.reaction(to: body) {
                switch reaction {
                case .wrongPatient: self = .verdict(.holdChannel(.wrongPatient, reason: "the receiver answered \(code)"))
                case .context: self = .verdict(.refreshCredential)
                case .failure: self = .verdict(.serverFailure(status: response.status, reason: "the receiver answered \(code)"))
                case .hold, .reconcile, .reassign, .refuse: self = .refused(reason: "the receiver does not tell (\(code))")
                }
                return
            }
            // A token that may write and not read is no reason to stop writing.
            if response.status == 403 || response.status == 405 {
                self = .refused(reason: "the receiver does not let us read (\(response.status))")
                return
            }
            let meaning = FHIRMeaning(response, body: body, now: now)
            if let verdict = meaning.channelVerdict {
                self = .verdict(verdict)
            } else if meaning == .success, response.status == 200, let body {
                self = .resource(body)
            } else {
                self = .refused(reason: "the receiver cannot be asked (\(response.status))")
            }
        }
    }
}
