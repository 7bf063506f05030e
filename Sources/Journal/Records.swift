public import ExactJSON
public import Steward
public import Vitals

// What the journal keeps, as values. Row ids are surrogate keys: they may stand in logs and events.

/// A device that the hub knows.
public struct DeviceRecord: Hashable, Sendable {
    public var id: Int64
    /// The name that people use on the command line; unique.
    public var name: String
    /// Frozen at enrolment; `nil` until the device's identity was first read.
    public var key: DeviceKey?
    public var identity: DeviceIdentity
    /// The entry of the catalogue, such as `and-ua-651ble`.
    public var model: String
    /// Where it is reached: `socket:/path` or an address.
    public var bearer: String
    public var state: State
    public var enrolled: Instant
    /// The handle map of the device's attributes, kept with the bond; opaque here.
    public var handleMap: [UInt8]?
    public var batteryPercent: Int?
    public var lastSeen: Instant?
    /// What the last link achieved; `nil` where none was recorded.
    public var security: LinkSecurity?
    /// The last verification; `nil` where there was none (R4).
    public var verification: DeviceVerification?

    public enum State: String, Hashable, Sendable, CaseIterable {
        /// Added, not yet proved.
        case provisioning
        case verified
        /// Given back: nothing is accepted from it.
        case returned
    }

    public init(
        id: Int64, name: String, key: DeviceKey? = nil, identity: DeviceIdentity = DeviceIdentity(), model: String,
        bearer: String,
        state: State, enrolled: Instant, handleMap: [UInt8]? = nil, batteryPercent: Int? = nil, lastSeen: Instant? = nil,
        security: LinkSecurity? = nil, verification: DeviceVerification? = nil
    ) {
        self.id = id
        self.name = name
        self.key = key
        self.identity = identity
        self.model = model
        self.bearer = bearer
        self.state = state
        self.enrolled = enrolled
        self.handleMap = handleMap
        self.batteryPercent = batteryPercent
        self.lastSeen = lastSeen
        self.security = security
        self.verification = verification
    }
}

extension DeviceRecord {
    /// The address and its type of a device reached by radio, such as `AA:BB:CC:DD:EE:FF/public`; `nil` for one reached otherwise.
    public var bluetoothAddressText: String? {
        let scheme = "bluetooth:"
        guard bearer.hasPrefix(scheme) else { return nil }
        let text = bearer.dropFirst(scheme.count)
        let parts = text.split(separator: "/", omittingEmptySubsequences: false)
        let octets = parts[0].split(separator: ":", omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[1].isEmpty, octets.count == 6,
            octets.allSatisfy({ $0.utf8.count == 2 && [UInt8](hex: $0)?.count == 1 })
        else { return nil }
        return String(text)
    }
}

/// How the technician's proof of a device stands (R4): that it measures, and comes back encrypted without help.
public enum DeviceVerification: Hashable, Sendable {
    case open(since: ClockReading)
    case proved(at: Instant)
    /// It ended without proof: what came within it was a test, what came or comes after it waits.
    case endedUnproved(from: Instant, until: Instant)
}

/// A frame as stored (R2).
public struct FrameRecord: Hashable, Sendable {
    public var id: Int64
    public var device: Int64
    /// The connection in which it came: equal projections are counted within it.
    public var transfer: Int64
    public var frame: Frame
    public var word: Word
    /// Why it could not be decoded, by the decoder's own code; `nil` for a decoded one.
    public var decodeError: String?

    /// What is known of the word to the device (R1).
    public enum Word: String, Hashable, Sendable, CaseIterable {
        /// Not known to have been sent.
        case pending
        /// Known to have been sent.
        case sent
        /// The device takes no word from us.
        case none
    }

    public init(id: Int64, device: Int64, transfer: Int64, frame: Frame, word: Word, decodeError: String? = nil) {
        self.id = id
        self.device = device
        self.transfer = transfer
        self.frame = frame
        self.word = word
        self.decodeError = decodeError
    }
}

/// An act with everything decided about it so far.
public struct ActRecord: Hashable, Sendable {
    public var id: Int64
    public var subject: SubjectID
    public var device: Int64
    /// The frame it was decoded from (the last one, where a stream made it).
    public var frame: Int64
    public var transfer: Int64
    public var identity: ReadingIdentity
    public var measurement: Measurement
    public var state: ActState
    /// `nil` while the time is unknown.
    public var effective: MeasuredTime?
    public var timeBasis: TimeBasis?
    public var patient: PatientAlias?
    public var assignment: Int64?
    public var cautions: Set<Act.Caution>
    public var coincidence: ClockCoincidence?
    public var batteryPercent: Int?
    public var isDerived: Bool
    public var received: ClockReading
    /// Counts up when it is decoded or decided again.
    public var revision: Int
    /// Row id and public id of each reading, in the order of `measurement.readings`.
    public var readings: [ReadingID]

    public struct ReadingID: Hashable, Sendable {
        public var id: Int64
        public var subject: SubjectID
        public init(id: Int64, subject: SubjectID) {
            self.id = id
            self.subject = subject
        }
    }

    public init(
        id: Int64, subject: SubjectID, device: Int64, frame: Int64, transfer: Int64, identity: ReadingIdentity,
        measurement: Measurement, state: ActState, effective: MeasuredTime? = nil, timeBasis: TimeBasis? = nil,
        patient: PatientAlias? = nil, assignment: Int64? = nil, cautions: Set<Act.Caution>,
        coincidence:
            ClockCoincidence? = nil, batteryPercent: Int? = nil, isDerived: Bool, received: ClockReading, revision: Int,
        readings: [ReadingID]
    ) {
        self.id = id
        self.subject = subject
        self.device = device
        self.frame = frame
        self.transfer = transfer
        self.identity = identity
        self.measurement = measurement
        self.state = state
        self.effective = effective
        self.timeBasis = timeBasis
        self.patient = patient
        self.assignment = assignment
        self.cautions = cautions
        self.coincidence = coincidence
        self.batteryPercent = batteryPercent
        self.isDerived = isDerived
        self.received = received
        self.revision = revision
        self.readings = readings
    }
}

/// One obligation of one receiver to be told of one reading.
public struct ItemRecord: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case observation
        /// The retraction of a delivered reading.
        case correction
    }

    public var id: Int64
    public var act: Int64
    public var reading: Int64
    public var readingSubject: SubjectID
    public var kind: Kind
    public var receiver: String
    /// Receiver + credential + patient context: what waits together (R6).
    public var channel: String
    /// What that receiver needs besides the subject (FUT: a ServiceRequest); empty where nothing.
    public var target: String
    public var state: ItemState
    /// Why it stands where it stands, without health data: a code such as `unprocessable`, `entitlement-ended`.
    public var reason: String?
    /// Effective time of the act, for ordering.
    public var effective: Instant
    public var created: Instant
    /// How often in a row it failed with 5xx while others passed.
    public var serverFailures: Int
    /// The receiver's own id and version for it, once delivered.
    public var serverReference: String?

    public init(
        id: Int64, act: Int64, reading: Int64, readingSubject: SubjectID, kind: Kind, receiver: String,
        channel:
            String, target: String, state: ItemState, reason: String? = nil, effective: Instant, created: Instant,
        serverFailures: Int, serverReference: String? = nil
    ) {
        self.id = id
        self.act = act
        self.reading = reading
        self.readingSubject = readingSubject
        self.kind = kind
        self.receiver = receiver
        self.channel = channel
        self.target = target
        self.state = state
        self.reason = reason
        self.effective = effective
        self.created = created
        self.serverFailures = serverFailures
        self.serverReference = serverReference
    }
}

/// What is or was sent together; its request is frozen before the first attempt.
public struct DispatchRecord: Hashable, Sendable {
    public var id: Int64
    public var receiver: String
    public var channel: String
    /// Method, URL, headers and body without credentials, as the destination made them.
    public var method: String
    public var url: String
    public var headers: [[String]]
    public var body: [UInt8]
    /// The items, each with the index of its entry in the request.
    public var entries: [Entry]
    /// What the destination wants to find again when it interprets or reconciles; opaque here.
    public var memo: JSON
    public var created: Instant

    public struct Entry: Hashable, Sendable {
        public var item: Int64
        public var index: Int
        public init(item: Int64, index: Int) {
            self.item = item
            self.index = index
        }
    }

    public init(
        id: Int64, receiver: String, channel: String, method: String, url: String, headers: [[String]], body: [UInt8],
        entries: [Entry], memo: JSON, created: Instant
    ) {
        self.id = id
        self.receiver = receiver
        self.channel = channel
        self.method = method
        self.url = url
        self.headers = headers
        self.body = body
        self.entries = entries
        self.memo = memo
        self.created = created
    }
}

/// One attempt that may have reached a receiver; committed before its first byte leaves.
public struct AttemptRecord: Hashable, Sendable {
    public var id: Int64
    public var dispatch: Int64
    public var receiver: String
    public var started: ClockReading
    public var ended: Instant?
    /// `answered`, `unknown`, or `nil` while under way or after a crash.
    public var outcome: String?
    public var status: Int?
    public var durationMilliseconds: Int?
    /// The OperationOutcome or the failure's own words; sealed.
    public var detail: String?

    public init(
        id: Int64, dispatch: Int64, receiver: String, started: ClockReading, ended: Instant? = nil,
        outcome: String? =
            nil, status: Int? = nil, durationMilliseconds: Int? = nil, detail: String? = nil
    ) {
        self.id = id
        self.dispatch = dispatch
        self.receiver = receiver
        self.started = started
        self.ended = ended
        self.outcome = outcome
        self.status = status
        self.durationMilliseconds = durationMilliseconds
        self.detail = detail
    }
}

/// What holds a channel, kept over restarts.
public struct ChannelRecord: Hashable, Sendable {
    public var channel: String
    public var receiver: String
    /// The condition code and reason while it is held; `nil` while open.
    public var held: Hold?
    /// Failures before a request left, in a row: one row, not one a probe (R6).
    public var failures: Int
    public var firstFailure: Instant?
    public var lastFailure: Instant?
    public var failureKind: String?

    public struct Hold: Hashable, Sendable {
        public var code: Condition.Code
        public var reason: String
        public var since: Instant
        public init(code: Condition.Code, reason: String, since: Instant) {
            self.code = code
            self.reason = reason
            self.since = since
        }
    }

    public init(
        channel: String, receiver: String, held: Hold? = nil, failures: Int, firstFailure: Instant? = nil,
        lastFailure: Instant? = nil, failureKind: String? = nil
    ) {
        self.channel = channel
        self.receiver = receiver
        self.held = held
        self.failures = failures
        self.firstFailure = firstFailure
        self.lastFailure = lastFailure
        self.failureKind = failureKind
    }
}

/// A duplicate that was not made a reading: listed, and can be released.
public struct SuppressedRecord: Hashable, Sendable {
    public var id: Int64
    public var device: Int64
    /// The act that it repeats; `nil` where only a tombstone is left.
    public var act: Int64?
    public var frame: Frame
    public var count: Int
    public var first: Instant
    public var last: Instant

    public init(
        id: Int64, device: Int64, act: Int64? = nil, frame: Frame, count: Int, first: Instant, last: Instant
    ) {
        self.id = id
        self.device = device
        self.act = act
        self.frame = frame
        self.count = count
        self.first = first
        self.last = last
    }
}

public struct AuditRecord: Hashable, Sendable {
    public var id: Int64
    public var at: Instant
    /// Who: `daemon`, `technician`, or the control socket's peer.
    public var actor: String
    public var action: String
    public var subject: String
    /// Sealed.
    public var detail: String?

    public init(
        id: Int64, at: Instant, actor: String, action: String, subject: String, detail: String? = nil
    ) {
        self.id = id
        self.at = at
        self.actor = actor
        self.action = action
        self.subject = subject
        self.detail = detail
    }
}
