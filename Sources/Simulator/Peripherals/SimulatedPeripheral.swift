public import EventLoop
public import Vitals
import Glibc

/// A simulated cuff or oximeter that speaks real ATT PDUs on the other end of a socket: for the demo, tests and technicians.
///
/// It keeps a record until it was confirmed, as the real ones do, and "advertises" by listening on a named Unix `SOCK_SEQPACKET`
/// socket while it holds something that it has not told. The same seed makes the same device with the same records.
public struct SimulatedPeripheral: Sendable {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case cuff, oximeter
    }

    public struct Options: Sendable {
        /// Determines identity and values.
        public var seed: UInt64
        /// How many times faster than a real device: sample intervals and the repetition after 30 s are divided by it.
        public var speed: Int
        /// Silence of the hub after which a device with nothing more to say hangs up.
        public var linger: Duration
        /// Records of the generated scenarios.
        public var count: Int
        /// At most so many of them on one link.
        public var recordsPerLink: Int
        /// A file to which one line is appended before the next PDU leaves: `sent NUMBER HEX` for each sending of a record,
        /// `confirmed NUMBER HEX` when its confirmation has come.
        public var ledger: String?
        /// Return from serving when nothing is left to tell; else go on until cancelled.
        public var endsWhenDelivered: Bool
        /// The time on the hub's wall, which a right device clock shows.
        public var localTime: @Sendable () -> LocalDateTime

        public init(
            seed: UInt64 = 1, speed: Int = 1, linger: Duration = .milliseconds(500), count: Int = 10, recordsPerLink: Int = .max,
            ledger: String? = nil, endsWhenDelivered: Bool = false,
            localTime: @escaping @Sendable () -> LocalDateTime = SimulatedPeripheral.systemLocalTime
        ) {
            self.seed = seed
            self.speed = speed
            self.linger = linger
            self.count = count
            self.recordsPerLink = recordsPerLink
            self.ledger = ledger
            self.endsWhenDelivered = endsWhenDelivered
            self.localTime = localTime
        }
    }

    /// What it says of itself in its Device Information Service.
    public let identity: DeviceIdentity
    public let kind: Kind
    public let scenario: Scenario
    public let options: Options
    private let host: PeripheralHost

    /// - Throws: ``PeripheralError`` where the ledger cannot be opened, ``EventLoopError`` where no thread can be started.
    public init(kind: Kind, scenario: Scenario, options: Options = Options()) throws {
        try self.init(kind: kind, scenario: scenario, options: options, loop: EventLoop(name: "peripheral"))
    }

    /// On a loop of the caller's, which several devices may share.
    public init(kind: Kind, scenario: Scenario, options: Options = Options(), loop: EventLoop) throws(PeripheralError) {
        self.kind = kind
        self.scenario = scenario
        self.options = options
        identity = Self.identity(of: kind, seed: options.seed)
        let script = scenario.script(
            seed: options.seed, now: options.localTime(), count: options.count, recordsPerLink: max(1, options.recordsPerLink))
        let machine = PeripheralMachine(
            kind: kind, script: script, identity: identity, speed: options.speed, linger: options.linger)
        host = PeripheralHost(
            machine: machine, loop: loop,
            ledger: try options.ledger.map { path throws(PeripheralError) in try Ledger(path: path) },
            localTime: options.localTime, endsWhenDelivered: options.endsWhenDelivered)
    }

    /// Listens on a named Unix socket and serves one link at a time, again and again, until cancelled or, with
    /// ``Options/endsWhenDelivered``, until nothing is left to tell.
    ///
    /// The socket's file exists only while the device advertises.
    public func serve(socketPath: String) async throws(PeripheralError) {
        try await host.serve(socketPath: socketPath)
    }

    /// Serves one link on a connected `SOCK_SEQPACKET` descriptor, which it closes; returns when the link has ended.
    public func serve(descriptor: Int32) async throws(PeripheralError) {
        try await host.serve(descriptor: descriptor)
    }

    /// The time on the wall by the system's zone.
    public static func systemLocalTime() -> LocalDateTime {
        var seconds = time(nil)
        var fields = tm()
        localtime_r(&seconds, &fields)
        return LocalDateTime(
            year: Int(fields.tm_year) + 1900, month: Int(fields.tm_mon) + 1, day: Int(fields.tm_mday), hour: Int(fields.tm_hour),
            minute: Int(fields.tm_min), second: min(59, Int(fields.tm_sec)))
    }

    /// Serial number and System ID follow from the seed, so that each instance is a device of its own.
    static func identity(of kind: Kind, seed: UInt64) -> DeviceIdentity {
        var generator = SeededGenerator(seed: seed &+ (kind == .cuff ? 0 : 0x5EED))
        let number = generator.next()
        // A locally administered EUI-64 (bit 1 of the first octet), which no maker has.
        let octets = [0x02] + (0..<7).map { UInt8(truncatingIfNeeded: number >> ($0 * 8)) }
        return DeviceIdentity(
            manufacturer: "vitalgate simulator", modelNumber: kind == .cuff ? "SIM-BP" : "SIM-PLX",
            serialNumber: "SIM" + octets.suffix(4).hex, firmwareRevision: "1.0", systemID: octets)
    }
}
