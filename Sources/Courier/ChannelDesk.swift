public import Destinations
public import HTTPMessage
public import Journal
import Steward
public import Vitals

/// The channels of a receiver: which patient's readings go through which, and what each has of its own.
public protocol ChannelDesks: Sendable {
    func channel(for patient: PatientAlias) -> String
    /// The desk of this patient's channel.
    func desk(for patient: PatientAlias) -> any ChannelDesk
}

/// What stands between a channel and its receiver besides the request: who speaks for the patient, and where at the receiver a
/// reading goes.
public protocol ChannelDesk: Sendable {
    /// Learns what has to be known before it can be decided where an act goes; it may ask the receiver. What keeps it from that is a
    /// verdict on the channel; `nil`: go on.
    func makeReady(for act: Int64) async throws(JournalError) -> DispatchVerdict?

    /// Where the items of an act go, decided now, within the transaction that prepares the dispatch.
    func route(_ items: [ItemRecord], of act: Act, in tx: Transaction, now: ClockReading) throws(JournalError) -> [Route]

    /// What a request about this target carries to show who sends it, or what keeps us from sending.
    func authorize(target: String) async -> Authorization

    /// After a refused credential: a new one is to be used from now on. False where there is none to be had.
    func renewCredential() async -> Bool

    /// The receiver says that its plan is another by now.
    func planChanged() async
}

/// What is decided about one item. Several of one item where the receiver wants it in several places.
public struct Route: Hashable, Sendable {
    public enum Decision: Hashable, Sendable {
        /// To this place, in the destination's own words; empty where it needs none.
        case send(target: String)
        /// The receiver did not ask for it: it stays here with the reason.
        case hold(reason: String)
        /// It goes nowhere else than where the receiver refused it.
        case quarantine(code: String)
    }

    public var item: Int64
    public var decision: Decision

    public init(_ item: Int64, _ decision: Decision) {
        self.item = item
        self.decision = decision
    }
}

public enum Authorization: Hashable, Sendable {
    case headers([HTTPHeader])
    case verdict(DispatchVerdict)
}

/// One channel for all: one credential and no patient context. A plain FHIR server's.
struct OneDesk: ChannelDesks, ChannelDesk {
    var channel: String
    var credential: any CredentialSource

    func channel(for patient: PatientAlias) -> String { channel }
    func desk(for patient: PatientAlias) -> any ChannelDesk { self }
    func makeReady(for act: Int64) async throws(JournalError) -> DispatchVerdict? { nil }
    func route(_ items: [ItemRecord], of act: Act, in tx: Transaction, now: ClockReading) throws(JournalError) -> [Route] {
        items.map { Route($0.id, .send(target: "")) }
    }
    func authorize(target: String) async -> Authorization { .headers(await credential.headers()) }
    func renewCredential() async -> Bool { await credential.refresh() }
    func planChanged() async {}
}
