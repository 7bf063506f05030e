public import Catalogue
public import Destinations
import ExactJSON
public import Trust
public import Vitals

/// What the daemon is told by its one configuration file, with every default filled in.
///
/// Plain values; `config/vitalgate.schema.json` describes the same keys, and a test holds the two together. There is no live
/// reload: a changed file holds from the next start.
public struct Configuration: Hashable, Sendable {
    public var hub = Hub()
    public var keys = Keys.credential("vitalgate-key")
    public var storage = Storage()
    public var clock = Clock()
    public var bluetooth = Bluetooth()
    public var programme = Programme()
    public var receivers: [Receiver] = []
    public var devices: [Device] = []
    /// `nil` on a hub.
    public var relay: Relay?
    public var log = Log()
    public var test = Test()

    public init() {}

    /// An organisation's service that takes readings from hubs and forwards them with a key of its own.
    public struct Relay: Hashable, Sendable {
        /// Where the proxy that checks the hubs' certificates passes their requests on.
        public var socket: String
        public var hubs: [Hub]

        public struct Hub: Hashable, Sendable {
            /// The common name in its certificate.
            public var name: String
            /// Who is told of its readings.
            public var recipients: [String]
            /// After so long without a word of it, a person is told.
            public var silentMinutes: Int
        }
    }

    public struct Hub: Hashable, Sendable {
        /// Where the database lives; the service's `StateDirectory`.
        public var stateDirectory = "/var/lib/vitalgate"
        /// The socket that commands talk to.
        public var controlSocket = "/run/vitalgate/control.sock"
        /// The hub's EUI-64, eight bytes, most significant first; `nil`: derived from the machine id.
        public var systemID: [UInt8]?
        /// Catalogue entries beside the compiled-in ones, replacing those of equal id.
        public var devicesDirectory: String?
    }

    /// Where the key comes from that wraps the data key (R8).
    public enum Keys: Hashable, Sendable {
        /// A file of this name in `$CREDENTIALS_DIRECTORY`, given by `LoadCredentialEncrypted=`.
        case credential(String)
        /// A file of the hub's own, mode 0600: no protection against theft, and a standing condition.
        case file(String)
    }

    public struct Storage: Hashable, Sendable {
        /// Preallocated, and given up so that a checkpoint and retention can run on a full disk (R9).
        public var ballastMegabytes = 16
        /// Free space below which the hub says so.
        public var lowMegabytes = 256
        /// Free space below which it takes no more readings; devices keep theirs.
        public var fullMegabytes = 32
        /// How long a reading stays after every receiver has it.
        public var retentionDeliveredDays = 90
        /// An upper bound of the database, in pages of 4096 bytes; `nil`: as large as the disk allows.
        public var maximumPages: Int?
    }

    public struct Clock: Hashable, Sendable {
        /// The wall clock is good although nothing vouches for it: a hub with a clock chip of its own and no network time.
        public var isDeclared = false
        /// Two agreeing dates of authenticated answers count as a time source where NTP is blocked (R5).
        public var usesHTTPSDates = true
        /// How long without synchronisation before a person is told.
        public var unsynchronisedMinutes = 15
        /// A script that moves the clock: see ``ScriptedClock``. For tests and the demo only.
        public var script: String?
    }

    /// The hub's own radio.
    public struct Bluetooth: Hashable, Sendable {
        /// The daemon owns the adapters; without, devices are reached on sockets only.
        public var isEnabled = true
        /// Which adapters, by address (`AA:BB:CC:DD:EE:FF`); empty: all.
        public var adapters: [String] = []
    }

    /// What the care programme decided.
    public struct Programme: Hashable, Sendable {
        /// Outside these a value goes out flagged "check value or person"; it is never withheld (R4).
        public var bounds = Programme.standardBounds
        /// What is done where neither a consent nor a refusal is known (R7). A known refusal always holds.
        public var absentConsent = AbsentConsent.release
        /// How long a verification may stay open.
        public var verificationMinutes = 30
        /// How long guest mode lasts; one act ends it earlier.
        public var guestMinutes = 15

        public enum AbsentConsent: String, Hashable, Sendable, CaseIterable { case release, hold }
    }

    /// One place that readings are sent to.
    public struct Receiver: Hashable, Sendable {
        /// What assignments, logs and commands call it.
        public var name: String
        public var kind: Kind
        /// The FHIR base, without a slash at its end. `https`, or `http` to a literal loopback address.
        public var base: String
        public var profile: Profile
        public var authentication: Authentication
        /// PEM; `nil`: the system's authorities.
        public var caFile: String?
        /// A client certificate (mutual TLS).
        public var certificate: ClientCertificate?
        /// `http://host:port` of a proxy (CONNECT).
        public var proxy: String?
        public var timeouts: Timeouts
        public var unknownOutcome: UnknownOutcome
        public var order: Order
        /// How many acts one request may hold.
        public var maximumActs: Int
        /// In place of the receiver's rounding table, unit by unit.
        public var rounding: [Rounding]
        /// How often a receiver that is a relay is told that the hub lives; `nil`: never.
        public var heartbeatMinutes: Int?
        /// Of a receiver of kind `fut`.
        public var fut: FUT?
        /// Of a receiver behind Norway's HelseID.
        public var norway: Norway?

        public enum Kind: String, Hashable, Sendable, CaseIterable { case phd, fut, pmd, vkp }
        /// The edition of the HL7 PHD guide that a receiver of kind `phd` takes.
        public enum Profile: String, Hashable, Sendable, CaseIterable {
            case phd2 = "phd-2.0.0"
            case phd1 = "phd-1.1.0"
        }
        /// What only Denmark's FUT needs.
        public struct FUT: Hashable, Sendable {
            /// Codes, units, hosts and canonicals in place of the published ones: `config/fut-codes.json`.
            public var codesFile: String?
            /// How something delivered is taken back.
            public var retraction: Retraction
            /// The realm in which citizens sign in.
            public var issuer: String
            /// As FUT registered it; a public client.
            public var client: String
            /// How a citizen signs in unless the command says otherwise.
            public var way: SignInWay
            /// Where the browser returns to, as registered.
            public var redirect: String?
            /// How long a sign-in lives unused.
            public var idleDays: Int
            /// When it ends at the latest, used or not; `nil`: the realm sets no end.
            public var maximumDays: Int?

            public enum Retraction: String, Hashable, Sendable, CaseIterable { case patch, validity }
            public enum SignInWay: String, Hashable, Sendable, CaseIterable {
                case deviceCode = "device-code"
                case loopback, paste
            }
        }
        /// What only Norway's receivers need.
        public struct Norway: Hashable, Sendable {
            public var helseID: HelseID
            public var service: Service

            public enum Service: Hashable, Sendable {
                case pmd(PMDSettings)
                /// `nil`: configured, and switched off.
                case vkp(VKPSettings?)
            }
            /// The client at HelseID.
            public struct HelseID: Hashable, Sendable {
                public var issuer: String
                public var client: String
                public var scopes: [String]
                public var algorithm: SignatureAlgorithm
                public var organisation: HelseIDOrganisation
                public var token: TokenType
                public var assertionSeconds: Int
                /// A JWK of somebody else's; `nil`: the hub makes its own, which never leaves it.
                public var keyFile: String?
                public var holder: Holder
                /// PEM of the authority of HelseID's certificate; `nil`: the system's.
                public var caFile: String?

                public enum TokenType: String, Hashable, Sendable, CaseIterable { case dpop, bearer }
                /// Whose the key is, and so what whoever steals it may do.
                public enum Holder: String, Hashable, Sendable, CaseIterable {
                    /// This hub's own client.
                    case hub
                    /// One system of a supplier in one municipality: it speaks for all patients there.
                    case municipality
                    /// An organisation, perhaps for others too.
                    case organisation
                }
            }
        }
        public enum Authentication: Hashable, Sendable {
            case none
            /// A bearer token, read from the file before each use so that it can be renewed.
            case bearer(tokenFile: String)
        }
        public struct ClientCertificate: Hashable, Sendable {
            /// PEM, with the chain.
            public var certificateFile: String
            /// PEM.
            public var keyFile: String
        }
        /// In seconds.
        public struct Timeouts: Hashable, Sendable {
            /// Name, connection and TLS handshake.
            public var connect = 15
            /// From the last byte sent to the first received.
            public var answer = 60
            /// The whole exchange.
            public var total = 120
            /// After an exchange of unknown outcome, before the receiver is asked: it may still be at work.
            public var settle = 30
        }
        /// What is done with an exchange of unknown outcome when the receiver cannot be asked.
        public enum UnknownOutcome: String, Hashable, Sendable, CaseIterable { case resend, hold }
        public enum Order: String, Hashable, Sendable, CaseIterable {
            /// Oldest first, with a fresh act ahead of a backlog.
            case freshFirst = "fresh-first"
            case chronological
        }
        /// Digits after the point, half up.
        public struct Rounding: Hashable, Sendable {
            public var unit: UCUM
            /// Of a value that was converted into the unit.
            public var converted: Int?
            /// Of a value that the device itself sent in it; `nil` leaves its precision.
            public var sent: Int?
        }
    }

    /// A device that is known from the start: one on a socket, or one to look out for.
    public struct Device: Hashable, Sendable {
        public var name: String
        /// A catalogue entry.
        public var model: Model
        public var bearer: Bearer
        public enum Bearer: Hashable, Sendable {
            /// A `SOCK_SEQPACKET` Unix socket on which a simulated device listens.
            case socket(path: String)
            /// A Bluetooth identity address.
            case address(DeviceAddress)
        }
    }

    /// What only rigs and tests may ask for.
    public struct Test: Hashable, Sendable {
        /// The environment variable VITALGATE_FAULT may break a promise on purpose, for controls that must fail.
        public var allowsFaults = false
    }

    public struct Log: Hashable, Sendable {
        public var level = Level.info
        public var format = Format.automatic
        public enum Level: String, Hashable, Sendable, CaseIterable { case trace, debug, info, notice, warning, error, critical }
        public enum Format: String, Hashable, Sendable, CaseIterable {
            /// The journal where standard error is connected to it, else text.
            case automatic = "auto"
            case journal
            /// One JSON object a line on standard error.
            case json
            case text
        }
    }
}

extension Configuration.Programme {
    /// Wide on purpose: they ask for a second look at a wrong person or a slipped cuff and are no clinical alarm limits. A programme
    /// that knows its patients sets its own.
    public static let standardBounds: [Model.Range] = [
        Model.Range(name: .systolic, unit: .millimetreOfMercury, low: 70, high: 250),
        Model.Range(name: .diastolic, unit: .millimetreOfMercury, low: 35, high: 150),
        Model.Range(name: .pulseRate, unit: .perMinute, low: 35, high: 180),
        Model.Range(name: .spo2, unit: .percent, low: 70, high: 100),
    ]
}
