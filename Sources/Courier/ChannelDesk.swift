public import Destinations
import HTTP
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

    /// The request about this target with what shows who sends it, or what keeps us from sending. Asked before each sending, also of
    /// the same request again: a proof of possession is good for one.
    func authorize(_ request: HTTPRequest, target: String) async -> Authorization

    /// What an answer says of what the request showed, before it is read for what it says of the readings.
    ///
    /// - Parameters:
    ///   - request: as ``authorize(_:target:)`` gave it.
    ///   - sent: when it left.
    ///   - isRepeated: it is the sending after ``Reception/sendAgain``.
    func received(
        _ response: HTTPResponse, to request: HTTPRequest, sent: ClockReading, isRepeated: Bool
    ) async -> Reception

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
    case request(HTTPRequest)
    case verdict(DispatchVerdict)
}

/// What an answer says of the credential.
public enum Reception: Hashable, Sendable {
    /// Nothing, or nothing that the destination does not read in it itself (401).
    case passed
    /// The same request once more, authorized anew: the server wants its nonce in the proof. It looked at nothing else.
    case sendAgain
    /// The server looked at nothing, and a new credential would not help.
    case verdict(DispatchVerdict)
}

extension ChannelDesk {
    public func received(
        _ response: HTTPResponse, to request: HTTPRequest, sent: ClockReading, isRepeated: Bool
    ) async -> Reception { .passed }

    public func planChanged() async {}
}

/// What came of a request that had to show who sends it.
enum Exchanged {
    case outcome(HTTPOutcome)
    /// Nothing was taken: there is no credential for it now.
    case unauthorized(DispatchVerdict)
}

extension ChannelDesk {
    /// Sends a request with its credential, which is added last: a frozen request holds none. A server that wants its nonce in the proof
    /// gets the request once more, which is no failure of anybody.
    func exchange(_ request: HTTPRequest, target: String, over client: HTTPClient, clock: any Clock) async -> Exchanged {
        for isRepeated in [false, true] {
            let authorized: HTTPRequest
            switch await authorize(request, target: target) {
            case .verdict(let verdict): return .unauthorized(verdict)
            case .request(let request): authorized = request
            }
            let sent = clock.now()
            let outcome = await client.send(authorized)
            guard case .answered(let response) = outcome else { return .outcome(outcome) }
            switch await received(response, to: authorized, sent: sent, isRepeated: isRepeated) {
            case .passed: return .outcome(outcome)
            case .sendAgain: continue
            case .verdict(let verdict): return .unauthorized(verdict)
            }
        }
        return .unauthorized(.retry(kind: "nonce", reason: "The receiver asks for another proof again and again."))
    }
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
    func authorize(_ request: HTTPRequest, target: String) async -> Authorization {
        var request = request
        request.headers += await credential.headers()
        return .request(request)
    }
    func renewCredential() async -> Bool { await credential.refresh() }
}
