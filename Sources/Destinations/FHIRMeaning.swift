import ExactJSON
import FHIR
import HTTPMessage
import Vitals

/// What an HTTP answer of a FHIR server says, before it is known what was asked.
enum FHIRMeaning: Hashable {
    case success
    /// Refused for what it is; the OperationOutcome's code and words.
    case unacceptable(code: String, text: String)
    case tooLarge(String)
    /// Something else stands there, or the version moved on.
    case conflict(String)
    case wait(Duration?)
    case credential
    case hold(String)
    case retry(kind: String, reason: String)
    case failure(status: Int, reason: String)
    /// Not there, at the address that was asked.
    case absent(status: Int)
}

extension FHIRMeaning {
    /// The table of status codes, with a known OperationOutcome code above it.
    init(status: Int, outcome: R4.OperationOutcome?, retryAfter: String?, now: Instant) {
        if let known = Self.known(outcome, status: status, retryAfter: retryAfter, now: now) {
            self = known
            return
        }
        let said = outcome?.text ?? ""
        switch status {
        case 200..<300:
            // An OperationOutcome that carries an error is no success, whatever the status line says.
            if let error = outcome?.errors.first {
                self = .unacceptable(code: error.code.isEmpty ? "error" : error.code, text: said)
            } else {
                self = .success
            }
        case 400, 422:
            self = .unacceptable(code: outcome?.errors.first?.code ?? "http-\(status)", text: said)
        case 401: self = .credential
        case 408, 425: self = .retry(kind: "http-\(status)", reason: "the receiver answered \(status)")
        case 404, 410: self = .absent(status: status)
        case 409, 412: self = .conflict("the receiver answered \(status)")
        case 413: self = .tooLarge("the receiver answered 413")
        case 429, 503: self = .wait(RetryAfter.duration(retryAfter, now: now))
        case 500..<600: self = .failure(status: status, reason: "the receiver answered \(status)")
        // 403, 407, 3xx (never followed) and whatever else there is.
        default: self = .hold("the receiver answered \(status)")
        }
    }

    /// The issue codes that say more than a status does. Codes that servers use for anything (`processing`, `invalid`,
    /// `exception`, `security`, `not-found`, `unknown`) leave it to the status.
    private static func known(
        _ outcome: R4.OperationOutcome?, status: Int, retryAfter: String?, now: Instant
    ) -> FHIRMeaning? {
        guard let outcome else { return nil }
        for issue in outcome.errors {
            switch issue.code {
            case "throttled": return .wait(RetryAfter.duration(retryAfter, now: now))
            case "login", "expired": return .credential
            case "forbidden", "suppressed": return .hold("the receiver answered \(status) \(issue.code)")
            case "lock-error", "transient", "timeout", "no-store", "incomplete":
                // A receiver that says when to come again is not failing on this act.
                if retryAfter != nil { return .wait(RetryAfter.duration(retryAfter, now: now)) }
                return .failure(status: status, reason: "the receiver answered \(status) \(issue.code)")
            case "conflict", "duplicate", "multiple-matches": return .conflict("the receiver answered \(status) \(issue.code)")
            case "too-long", "too-costly": return .tooLarge("the receiver answered \(status) \(issue.code)")
            case "structure", "required", "value", "invariant", "code-invalid", "extension", "business-rule":
                // An answer about who asks is not about what was sent: no reading is burnt for it.
                switch status {
                case 300..<400, 401, 403, 407, 429: continue
                default: return .unacceptable(code: issue.code, text: outcome.text)
                }
            default: continue
            }
        }
        return nil
    }

    /// An answer with its body.
    init(_ response: HTTPResponse, body: JSON?, now: Instant) {
        self.init(
            status: response.status, outcome: body.flatMap(R4.OperationOutcome.init),
            retryAfter: response.header("retry-after"), now: now)
    }

    /// What it means for the channel, where it is not about what was sent; `nil` for the rest.
    var channelVerdict: DispatchVerdict? {
        switch self {
        case .wait(let duration): .waitUntilRetryAfter(duration)
        case .credential: .refreshCredential
        case .hold(let reason): .holdChannel(.receiverHeld, reason: reason)
        case .retry(let kind, let reason): .retry(kind: kind, reason: reason)
        case .failure(let status, let reason): .serverFailure(status: status, reason: reason)
        case .success, .unacceptable, .tooLarge, .conflict, .absent: nil
        }
    }
}

extension HTTPFailure {
    /// What a failure before the request was on the wire means: mostly that the receiver cannot be reached now.
    var notSentVerdict: DispatchVerdict {
        switch kind {
        case .certificate: .holdChannel(.receiverHeld, reason: "the receiver's certificate is not trusted: \(message)")
        case .credential: .holdChannel(.receiverHeld, reason: "a file of the client's own cannot be read: \(message)")
        case .invalidURL: .holdChannel(.receiverHeld, reason: "the receiver's address is no URL")
        case .resolve, .proxy, .connect, .tls, .timeout, .interrupted, .tooLarge, .cancelled, .other:
            .retry(kind: kind.rawValue, reason: message)
        }
    }
}
