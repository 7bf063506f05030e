import Destinations
import HTTPMessage
import Vitals

@testable import Courier

/// A receiver that fails on some requests alone.
struct FailingDestination: Destination {
    let base: PHDDestination
    let fails: @Sendable (DispatchDraft) -> Bool

    var settings: ReceiverSettings { base.settings }

    func dispatch(of acts: [DispatchAct], context: DispatchContext) throws(MappingError) -> DispatchDraft {
        try base.dispatch(of: acts, context: context)
    }
    func correction(of act: DispatchAct, context: DispatchContext) throws(MappingError) -> DispatchDraft {
        try base.correction(of: act, context: context)
    }
    func verdict(on outcome: HTTPOutcome, to draft: DispatchDraft, now: Instant) -> DispatchVerdict {
        fails(draft) ? .serverFailure(status: 500, reason: "told to fail") : base.verdict(on: outcome, to: draft, now: now)
    }
    func readBack(of item: Int64, at reference: ServerReference, in draft: DispatchDraft) -> HTTPRequest {
        base.readBack(of: item, at: reference, in: draft)
    }
    func verdict(
        onReadBack outcome: HTTPOutcome, of item: Int64, at reference: ServerReference, in draft: DispatchDraft, now: Instant
    ) -> DispatchVerdict {
        base.verdict(onReadBack: outcome, of: item, at: reference, in: draft, now: now)
    }
    func reconciliation(of draft: DispatchDraft) -> [Inquiry]? { base.reconciliation(of: draft) }
    func verdict(onReconciliation outcome: HTTPOutcome, of item: Int64, in draft: DispatchDraft, now: Instant) -> DispatchVerdict
    {
        base.verdict(onReconciliation: outcome, of: item, in: draft, now: now)
    }
}

/// Looks around when it is asked for its headers.
struct LookingCredential: CredentialSource {
    let look: @Sendable () async -> Void

    func headers() async -> [HTTPHeader] {
        await look()
        return []
    }
    func refresh() async -> Bool { false }
}
