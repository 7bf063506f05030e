public import ExactJSON
public import Vitals

/// What a person may ask of the running hub: the command line says it, the control socket carries it, the daemon does it.
///
/// On the wire each is `POST /v1/NAME` with a JSON object of its parameters.
public enum Operation: Hashable, Sendable {
    case status
    case devices
    case device(name: String)
    case deviceLog(name: String, limit: Int)
    case addDevice(name: String, model: String, bearer: String)
    case assign(Assign)
    case returnDevice(name: String, abandon: String?)
    case forgetDevice(name: String)
    case readings(limit: Int, state: String?)
    case reading(id: String)
    case assignReading(id: String, patient: String, recipients: [String], at: Instant?, reason: String?)
    case rejectReading(id: String, reason: String)
    case retractReading(id: String, reason: String)
    case rebindReading(id: String, patient: String, reason: String)
    case outbox(receiver: String?, state: String?, limit: Int)
    case outboxItem(id: Int)
    case retry(item: Int?, receiver: String?)
    case quarantine(item: Int, reason: String)
    case suppressed(limit: Int)
    case releaseSuppressed(id: Int)
    case refuse(patient: String, receiver: String)
    case unrefuse(patient: String, receiver: String)
    case declareClock
    case rotateKeys
    case wipeKeys(confirm: String)
    case audit(limit: Int)
    /// The citizens' sign-ins, where receivers ask for them.
    case signIns
    /// Begins a citizen's sign-in; it is followed by ``signIn(id:)``, and answered where a browser brings the answer.
    case beginSignIn(receiver: String, patient: String, way: String?)
    case signIn(id: Int)
    /// The address that the browser was sent to; or, where a listener on the hub got it, the request's target and its `Host`.
    case answerSignIn(id: Int, address: String, host: String?)
    case signOut(receiver: String, patient: String)
    /// What a receiver's plan asks of a patient, and when.
    case plan(receiver: String, patient: String)
    /// How the patient's devices here and in the receiver's records differ.
    case equipment(receiver: String, patient: String)
    /// The clients at HelseID with their keys' public halves.
    case helseIDClients
    /// Makes, changes or drops a key of a receiver's client: `generate`, `rotate`, `registered` or `abandon`.
    case changeHelseIDKey(receiver: String, change: String)
    /// Says by which identifier a receiver knows a patient; an empty one forgets it.
    case identify(patient: String, receiver: String, identifier: String)
    /// The hubs of a relay, and when each was heard.
    case hubs
    /// What receivers were told, or are to be told, of times in which nothing was measured.
    case notices(limit: Int)
    /// A person's word about one whose outcome is not known or that was refused: `told`, `again` or `drop`.
    case decideNotice(id: Int, decision: String)
    /// Begins a look around: for devices that fit an entry of the catalogue, or for all that advertise. The three that begin something answer with its number; it is followed by ``procedure(id:after:)``.
    case beginScan(seconds: Int, all: Bool)
    case beginPairing(Pairing)
    case beginVerification(name: String, seconds: Int)
    /// What a procedure told after its first `after` steps; the hub waits some seconds for news.
    case procedure(id: Int, after: Int)
    case answerProcedure(id: Int, text: String)
    case cancelProcedure(id: Int)

    public struct Pairing: Hashable, Sendable {
        /// An address, with or without its kind, or the name that the device advertises.
        public var device: String
        /// What the hub shall call it; one is chosen where it is left out.
        public var name: String?
        /// An entry of the catalogue; by what it advertises where it is left out.
        public var model: String?
        /// Digits that are known ahead.
        public var passkey: String?
        public var pin: String?

        public init(device: String, name: String? = nil, model: String? = nil, passkey: String? = nil, pin: String? = nil) {
            self.device = device
            self.name = name
            self.model = model
            self.passkey = passkey
            self.pin = pin
        }
    }
    /// Walks the recovery ladder of the Bluetooth adapter.
    case resetAdapter
    /// Records what the adapter and the hub say to each other, for so many minutes at most.
    case startCapture(minutes: Int, reason: String)
    case stopCapture
    case capture
    /// A piece of the kept capture as a btsnoop file, the first from 0; each answer says where the next begins.
    case readCapture(from: Int)
    case deleteCapture

    public struct Assign: Hashable, Sendable {
        public var device: String
        public var patient: String
        public var user: Int?
        /// Receivers by name; all configured ones where empty.
        public var recipients: [String]
        public var from: Instant?
        public var until: Instant?

        public init(
            device: String, patient: String, user: Int? = nil, recipients: [String] = [], from: Instant? = nil,
            until: Instant? = nil
        ) {
            self.device = device
            self.patient = patient
            self.user = user
            self.recipients = recipients
            self.from = from
            self.until = until
        }
    }
}

/// Why an operation was not done: what, why and what to do, and the exit code of the command that asked.
public struct OperationError: Error, Hashable, Sendable {
    public var what: String
    public var why: String
    public var remedy: String
    /// As in sysexits: 64 usage, 65 bad input, 69 not there, 70 our fault, 73/74 cannot write, 75 later, 77 not permitted.
    public var exitCode: Int

    public init(_ what: String, why: String, remedy: String, exitCode: Int) {
        self.what = what
        self.why = why
        self.remedy = remedy
        self.exitCode = exitCode
    }

    public var json: JSON {
        .members(["what": .string(what), "why": .string(why), "remedy": .string(remedy), "exitCode": .integer(exitCode)])
    }

    public init?(json: JSON) {
        guard let what = json["what"]?.string, let why = json["why"]?.string, let remedy = json["remedy"]?.string,
            let code = json["exitCode"]?.integer
        else { return nil }
        self.init(what, why: why, remedy: remedy, exitCode: code)
    }
}

/// Does what the control socket asks; the daemon's composition root provides it.
public protocol HubOperations: Sendable {
    /// - Parameter actor: who asks, for the audit log, such as `uid:1000`.
    func perform(_ operation: Operation, by actor: String) async throws(OperationError) -> JSON
}
