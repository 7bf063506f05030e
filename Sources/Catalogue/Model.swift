public import ExactJSON
public import Vitals

/// What is known of a device model: which device it is, how a session with it goes, what it takes as the word that a reading was
/// received. Data of `devices/*.toml`; a model that follows the standard needs no Swift.
public struct Model: Hashable, Sendable {
    /// The file's name without ending, such as `and-ua-651ble`.
    public var id: String
    public var manufacturer: String?
    public var name: String
    public var driver: Driver
    public var transport: Transport
    public var match: Match
    /// MDC_DEV_SPEC_PROFILE_*: 528391 blood pressure, 528388 pulse oximeter.
    public var specialization: MDC
    public var acknowledges: Acknowledgement
    public var clock: Clock
    public var users: Users
    public var records: Records
    public var session: Session
    public var stream: StreamRule?
    /// What the maker states that it measures; outside, a value is flagged and never withheld (R4).
    public var ranges: [Range]
    /// Whether a reading over an unencrypted link is accepted.
    public var allowsUnencryptedLink: Bool
    public var pairing: Pairing
    /// Of a link over LE; Classic has none.
    public var connection: Connection

    /// The state machine that speaks with it.
    public enum Driver: String, Hashable, Sendable, CaseIterable {
        case bloodPressure = "blood-pressure"
        case pulseOximeter = "pulse-oximeter"
        /// Nonin's own protocol on a serial port: spot-checks in data format 13.
        case noninSerial = "nonin-serial"
    }

    /// How the device is recognised, by what it advertises or says of itself.
    public struct Match: Hashable, Sendable {
        public var namePrefixes: [String]
        public var services: [UInt16]
        /// The company identifier in front of the manufacturer-specific data that it advertises (Bluetooth SIG, Assigned Numbers).
        public var manufacturerCompany: UInt16?
        public var manufacturer: String?
        public var modelNumbers: [String]
        public init(
            namePrefixes: [String] = [], services: [UInt16] = [], manufacturerCompany: UInt16? = nil,
            manufacturer: String? = nil, modelNumbers: [String] = []
        ) {
            self.namePrefixes = namePrefixes
            self.services = services
            self.manufacturerCompany = manufacturerCompany
            self.manufacturer = manufacturer
            self.modelNumbers = modelNumbers
        }
    }

    /// The device's clock.
    public struct Clock: Hashable, Sendable {
        /// 0x2A2B (Current Time) or 0x2A08 (Date Time), or the code of a serial driver's command; `nil` where it cannot be read.
        public var read: UInt16?
        /// The same for setting it; `nil` where it cannot or must not be set.
        public var write: UInt16?
        /// Set on every connect, even where the face is right (A&D expect it).
        public var writesOnEveryConnect: Bool
        /// Whether a record without a usable stamp that arrives outside a stored transfer was just taken.
        public var liveWithoutStamp: Bool
        public init(read: UInt16? = nil, write: UInt16? = nil, writesOnEveryConnect: Bool = false, liveWithoutStamp: Bool = true)
        {
            self.read = read
            self.write = write
            self.writesOnEveryConnect = writesOnEveryConnect
            self.liveWithoutStamp = liveWithoutStamp
        }
    }

    public enum Users: String, Hashable, Sendable, CaseIterable {
        case single
        /// It sends the user's slot with each record.
        case indexed
        /// Several use it and it does not say who: nobody is assumed (R4).
        case shared
    }

    /// What the device does with its memory.
    public enum Records: String, Hashable, Sendable, CaseIterable {
        case none
        /// It sends what was not yet confirmed.
        case unsent
        /// It sends its whole memory on every connect.
        case all
        /// It waits for a Record Access Control Point request.
        case racp
    }

    public struct Session: Hashable, Sendable {
        /// The order within a connection once the device is known.
        public var steps: [Step]
        /// Waited before the first request, in milliseconds.
        public var settleMilliseconds: Int
        /// Quiet after the last record that ends a transfer, in milliseconds.
        public var quietMilliseconds: Int
        /// Waited after a link before the next connect, in seconds.
        public var cooldownSeconds: Int
        /// Who ends the link.
        public var disconnects: Side
        /// Vendor writes, in place of ``Step/commands``.
        public var commands: [Command]

        public enum Step: String, Hashable, Sendable, CaseIterable {
            case subscribe, clock, identity, battery, records, commands
        }
        public enum Side: String, Hashable, Sendable, CaseIterable { case device, hub }
        public struct Command: Hashable, Sendable {
            /// A 128-bit UUID in lower case with dashes.
            public var characteristic: String
            public var bytes: [UInt8]
            public init(characteristic: String, bytes: [UInt8]) {
                self.characteristic = characteristic
                self.bytes = bytes
            }
        }
        public init(
            steps: [Step] = [.subscribe, .clock, .records, .identity, .battery], settleMilliseconds: Int = 0,
            quietMilliseconds: Int = 2_000, cooldownSeconds: Int = 15, disconnects: Side = .device, commands: [Command] = []
        ) {
            self.steps = steps
            self.settleMilliseconds = settleMilliseconds
            self.quietMilliseconds = quietMilliseconds
            self.cooldownSeconds = cooldownSeconds
            self.disconnects = disconnects
            self.commands = commands
        }
    }

    /// How a continuous stream becomes one reading.
    public struct StreamRule: Hashable, Sendable {
        /// The device's own flags that make a sample the result, any of them; checked first.
        public var resultFlags: [StatusFlag]
        /// Else the median of the last stable stretch of this length, in seconds, marked derived.
        public var medianSeconds: Int
        public init(resultFlags: [StatusFlag], medianSeconds: Int = 10) {
            self.resultFlags = resultFlags
            self.medianSeconds = medianSeconds
        }
    }

    public struct Range: Hashable, Sendable {
        public var name: Quantity.Name
        public var unit: UCUM
        public var low: ExactDecimal
        public var high: ExactDecimal
        public init(name: Quantity.Name, unit: UCUM, low: ExactDecimal, high: ExactDecimal) {
            self.name = name
            self.unit = unit
            self.low = low
            self.high = high
        }
    }

    public init(
        id: String, manufacturer: String? = nil, name: String, driver: Driver, transport: Transport = .le, match: Match,
        specialization: MDC, acknowledges: Acknowledgement, clock: Clock = Clock(), users: Users = .single,
        records: Records = .none, session: Session = Session(), stream: StreamRule? = nil, ranges: [Range] = [],
        allowsUnencryptedLink: Bool = false, pairing: Pairing = Pairing(), connection: Connection = Connection()
    ) {
        self.id = id
        self.manufacturer = manufacturer
        self.name = name
        self.driver = driver
        self.transport = transport
        self.match = match
        self.specialization = specialization
        self.acknowledges = acknowledges
        self.clock = clock
        self.users = users
        self.records = records
        self.session = session
        self.stream = stream
        self.ranges = ranges
        self.allowsUnencryptedLink = allowsUnencryptedLink
        self.pairing = pairing
        self.connection = connection
    }
}
