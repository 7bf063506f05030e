public import ExactJSON
public import HTTPMessage
public import Vitals

/// A kind of receiver: how acts become its requests, and what its answers mean. Pure: it returns requests and verdicts, the
/// courier sends, waits and stores.
///
/// A request carries no credentials; the courier adds them. It is frozen before the first attempt, so the same input must give
/// the same bytes, and everything needed to interpret the answer later stands in the draft.
public protocol Destination: Sendable {
    var settings: ReceiverSettings { get }

    /// Whether a request can retract one item only; else ``correction(of:context:)`` takes all of an act.
    var correctsOneByOne: Bool { get }

    /// One request that tells the receiver of these acts' items. At most ``ReceiverSettings/maximumActs`` acts.
    func dispatch(of acts: [DispatchAct], context: DispatchContext) throws(MappingError) -> DispatchDraft

    /// One request that retracts what was delivered of one act: `act.items` are correction items with their `serverReference`.
    func correction(of act: DispatchAct, context: DispatchContext) throws(MappingError) -> DispatchDraft

    /// What the outcome of the dispatch means. Total: every outcome has a verdict.
    func verdict(on outcome: HTTPOutcome, to draft: DispatchDraft, now: Instant) -> DispatchVerdict

    /// What to ask in order to compare the receiver's copy with ours (after ``ItemVerdict/readBack(_:)``).
    func readBack(of item: Int64, at reference: ServerReference, in draft: DispatchDraft) -> HTTPRequest

    /// What the answer to ``readBack(of:at:in:)`` means for the item: `.items` with one verdict, or a verdict on the channel.
    func verdict(
        onReadBack outcome: HTTPOutcome, of item: Int64, at reference: ServerReference, in draft: DispatchDraft, now: Instant
    ) -> DispatchVerdict

    /// What to ask when it is not known whether the dispatch arrived, one question an item; `nil` where the receiver cannot be
    /// asked.
    func reconciliation(of draft: DispatchDraft) -> [Inquiry]?

    /// What the answer to an inquiry means for its item: `.items` with one verdict (`delivered`, `resend`, `quarantine`), or a
    /// verdict on the channel.
    func verdict(onReconciliation outcome: HTTPOutcome, of item: Int64, in draft: DispatchDraft, now: Instant) -> DispatchVerdict
}

extension Destination {
    public var correctsOneByOne: Bool { false }
}

/// One question of a reconciliation.
public struct Inquiry: Hashable, Sendable {
    public var item: Int64
    public var request: HTTPRequest

    public init(item: Int64, request: HTTPRequest) {
        self.item = item
        self.request = request
    }
}

/// An obligation as a destination sees it.
public struct DispatchItem: Hashable, Sendable {
    /// The journal's row id.
    public var id: Int64
    public var reading: SubjectID
    /// What was delivered, for a correction.
    public var serverReference: ServerReference?

    public init(id: Int64, reading: SubjectID, serverReference: ServerReference? = nil) {
        self.id = id
        self.reading = reading
        self.serverReference = serverReference
    }
}

/// An act with those of its items that are due.
public struct DispatchAct: Hashable, Sendable {
    public var act: Act
    public var items: [DispatchItem]
    /// Another reading already holds the receiver-side identifier that this act's device time would give (same device, patient,
    /// type and device time): it is then created under our own identifier alone.
    public var claimedIdentifier: Bool

    public init(act: Act, items: [DispatchItem], claimedIdentifier: Bool = false) {
        self.act = act
        self.items = items
        self.claimedIdentifier = claimedIdentifier
    }
}

/// What a dispatch needs besides the acts. One patient: a channel has one patient context.
public struct DispatchContext: Hashable, Sendable {
    /// The receiver's own id of the patient (PHD: the logical id of the Patient resource).
    public var patientID: String
    public var gateway: GatewayIdentity
    /// Where the items go at the receiver, in the destination's own words (FUT: ``FUTTarget``); `nil` where it needs none. Opaque
    /// to everybody else.
    public var target: JSON?

    public init(patientID: String, gateway: GatewayIdentity, target: JSON? = nil) {
        self.patientID = patientID
        self.gateway = gateway
        self.target = target
    }
}

/// What is sent together: a frozen request, and where each item stands in it.
public struct DispatchDraft: Hashable, Sendable {
    /// Without credentials.
    public var request: HTTPRequest
    public var entries: [Entry]
    /// What the destination wants to find again when it interprets an answer or reconciles. Opaque to everybody else.
    public var memo: JSON

    public struct Entry: Hashable, Sendable {
        public var item: Int64
        /// The index of its entry in the request.
        public var index: Int
        public init(item: Int64, index: Int) {
            self.item = item
            self.index = index
        }
    }

    public init(request: HTTPRequest, entries: [Entry], memo: JSON) {
        self.request = request
        self.entries = entries
        self.memo = memo
    }
}

/// An act that cannot be told to a receiver. Its items are quarantined with the code; the text holds no health data.
public struct MappingError: Error, Hashable, Sendable {
    public enum Code: String, Hashable, Sendable, CaseIterable {
        /// The device itself marks it invalid: kept, never sent.
        case invalidMeasurement = "invalid-measurement"
        /// A technician's test or a guest's reading: never to a chart.
        case notForChart = "not-for-chart"
        /// The configured patient id is none of FHIR's logical ids (`[A-Za-z0-9.-]{1,64}`).
        case patientID = "patient-id"
        /// An item names a reading that the act does not have, or nothing is due.
        case noReading = "no-reading"
        /// A unit that the receiver does not take and that cannot be converted.
        case unit = "unit"
        /// A correction of something whose server reference is not known.
        case noServerReference = "no-server-reference"
        case tooManyActs = "too-many-acts"
        /// The receiver has no code for it.
        case noCode = "no-code"
        /// It is not decided where at the receiver it goes, or that is none of the receiver's places.
        case noTarget = "no-target"
        /// Several corrections for a receiver that takes one a request.
        case oneCorrection = "one-correction"
    }

    public var code: Code
    public var message: String

    public init(_ code: Code, _ message: String) {
        self.code = code
        self.message = message
    }
}
