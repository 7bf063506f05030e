/// Takes the keys out of what the monitor channel carries, before anything of it is kept: a captured file goes to other people's machines, and
/// with a long term key or a link key in it they could listen to, or pose as, a patient's device for as long as the bond lives.
///
/// The bytes of a key become zero and everything else stays, so that lengths and the course of a pairing can still be read. Of what is not known
/// byte by byte, nothing is kept.
///
/// The random numbers and confirm values of a pairing stay: they cross the air in the clear, and what they lead to (the short term key of a
/// legacy pairing) is worth nothing once the pairing is over.
///
/// Sources: Bluetooth Core 5.4, Vol 4 Part E section 7 (commands and events), Vol 3 Part H section 3.6 (key distribution), Vol 3 Part A
/// sections 2.1 and 7.2 (channels, fragments); BlueZ's mgmt-api document for the management sockets.
public struct KeyRedaction: Sendable {
    /// A way to send fragments: adapter, connection handle, direction.
    private struct Path: Hashable {
        var index: UInt16
        var handle: UInt16
        var isSent: Bool
    }

    /// An L2CAP PDU that has begun and not ended.
    private struct Partial {
        /// Bytes of the PDU that went by, its header counted.
        var position = 0
        /// The first five bytes: length (2), channel (2), and the first of the payload, which is SMP's code.
        var head: [UInt8] = []
        /// A PDU whose beginning was not seen.
        var isUnknown = false

        var count: Int? { head.count >= 2 ? 4 + Int(head[0]) + Int(head[1]) << 8 : nil }
        var isOver: Bool { count.map { position >= $0 } ?? false }

        /// Whether a byte behind ``head`` is a key's.
        var isKey: Bool {
            // Bytes behind the end are of no PDU that was seen to begin.
            if isUnknown || isOver { return true }
            guard head.count == 5 else { return false }
            let channel = UInt16(head[2]) | UInt16(head[3]) << 8
            return KeyRedaction.securityManagers.contains(channel) && KeyRedaction.securityManagerKeys.contains(head[4])
        }
    }

    private var partials: [Path: Partial] = [:]
    /// More than controllers have connections, in both directions; beyond it all is forgotten, and continuations are then zeroed whole.
    private static let mostPartials = 256

    public init() {}

    /// The record without its keys; `nil` where it is not to be kept at all.
    public mutating func redact(_ record: MonitorRecord) -> MonitorRecord? {
        var record = record
        switch record.kind {
        case .command: Self.zero(Self.commands, in: &record.payload)
        case .event: Self.redactEvent(&record.payload)
        case .aclSent: redactFragment(&record, isSent: true)
        case .aclReceived: redactFragment(&record, isSent: false)
        case .controlCommand: Self.zero(Self.controlCommands, in: &record.payload)
        case .controlEvent: Self.redactControlEvent(&record.payload)
        // What a maker's diagnosis holds (of some, the link manager's keys) and what programs write is not known.
        case .vendorDiagnosis, .userLogging: return nil
        case .deleteIndex, .closeIndex:
            partials = partials.filter { $0.key.index != record.index }
        case .newIndex, .openIndex, .indexInfo, .systemNote, .controlOpen, .controlClose, .scoSent, .scoReceived, .isoSent,
            .isoReceived:
            break
        }
        return record
    }

    // MARK: Commands and events

    /// Where keys stand in what begins with a code of `codeAt`: from a byte to another, or to the end.
    struct Rule: Hashable, Sendable {
        var code: UInt16
        var name: String
        var from: Int
        var to: Int

        init(_ code: UInt16, _ name: String, _ from: Int, _ to: Int = .max) {
            self.code = code
            self.name = name
            self.from = from
            self.to = to
        }
    }

    /// A payload with rules: where its code stands, and where the parameters begin that the rules count from.
    struct Rules: Sendable {
        var codeAt: Int
        var parametersAt: Int
        var all: [UInt16: Rule]

        init(codeAt: Int, parametersAt: Int, _ rules: [Rule]) {
            self.codeAt = codeAt
            self.parametersAt = parametersAt
            all = Dictionary(rules.map { ($0.code, $0) }, uniquingKeysWith: { first, _ in first })
        }
    }

    /// Opcode (2), length (1), parameters.
    static let commands = Rules(
        codeAt: 0, parametersAt: 3,
        [
            Rule(0x040B, "Link Key Request Reply", 6, 22),
            Rule(0x040D, "PIN Code Request Reply", 7, 23),
            Rule(0x042E, "User Passkey Request Reply", 6, 10),
            Rule(0x0430, "Remote OOB Data Request Reply", 6, 38),
            Rule(0x0445, "Remote OOB Extended Data Request Reply", 6, 70),
            Rule(0x0435, "Create Physical Link", 3),
            Rule(0x0436, "Accept Physical Link", 3),
            Rule(0x0C11, "Write Stored Link Key", 1),
            // Identity resolving keys go through this one too.
            Rule(0x2017, "LE Encrypt", 0, 32),
            Rule(0x2019, "LE Enable Encryption", 12, 28),
            Rule(0x201A, "LE Long Term Key Request Reply", 2, 18),
            Rule(0x2027, "LE Add Device To Resolving List", 7, 39),
            Rule(0x2068, "LE Create BIG", 15, 31),
            Rule(0x2069, "LE Create BIG Test", 20, 36),
            Rule(0x206B, "LE BIG Create Sync", 4, 20),
        ])

    /// Code (1), length (1), parameters.
    static let events: [UInt8: Rule] = [
        0x15: Rule(0x15, "Return Link Keys", 1),
        0x18: Rule(0x18, "Link Key Notification", 6, 22),
        0x3B: Rule(0x3B, "User Passkey Notification", 6, 10),
    ]

    /// Command Complete: credit (1), opcode (2), status (1), then what is counted here.
    static let completions = Rules(
        codeAt: 3, parametersAt: 6,
        [
            Rule(0x0C57, "Read Local OOB Data", 0),
            Rule(0x0C7D, "Read Local OOB Extended Data", 0),
            Rule(0x2017, "LE Encrypt", 0),
        ])

    /// LE Meta: subevent (1), then what is counted here.
    static let lowEnergyEvents: [UInt8: Rule] = [0x09: Rule(0x09, "LE Generate DHKey Complete", 1, 33)]

    private static let commandComplete: UInt8 = 0x0E
    private static let lowEnergyMeta: UInt8 = 0x3E

    private static func redactEvent(_ bytes: inout [UInt8]) {
        guard let code = bytes.first else { return }
        switch code {
        case commandComplete: zero(completions, in: &bytes)
        case lowEnergyMeta:
            if bytes.count > 2, let rule = lowEnergyEvents[bytes[2]] { zero(rule, from: 3, in: &bytes) }
        default: if let rule = events[code] { zero(rule, from: 2, in: &bytes) }
        }
    }

    // MARK: Management sockets

    /// Cookie (4), opcode (2), parameters: commands with keys, passkeys or PINs, whole.
    static let controlCommands = Rules(
        codeAt: 4, parametersAt: 6,
        [
            Rule(0x0012, "Load Link Keys", 0), Rule(0x0013, "Load Long Term Keys", 0), Rule(0x0016, "PIN Code Reply", 0),
            Rule(0x001E, "User Passkey Reply", 0), Rule(0x0021, "Add Remote Out Of Band Data", 0), Rule(0x002F, "Set Privacy", 0),
            Rule(0x0030, "Load Identity Resolving Keys", 0), Rule(0x0046, "Load Blocked Keys", 0),
        ])

    static let controlEvents = Rules(
        codeAt: 4, parametersAt: 6,
        [
            Rule(0x0009, "New Link Key", 0), Rule(0x000A, "New Long Term Key", 0), Rule(0x0017, "Passkey Notify", 0),
            Rule(0x0018, "New Identity Resolving Key", 0), Rule(0x0019, "New Signature Resolving Key", 0),
        ])

    /// The answer to a command: cookie (4), event 0x0001 (2), opcode (2), status (1), then what is counted here.
    static let controlCompletions = Rules(
        codeAt: 6, parametersAt: 9,
        [
            Rule(0x0020, "Read Local Out Of Band Data", 0), Rule(0x003B, "Read Local Out Of Band Extended Data", 0),
        ])

    private static func redactControlEvent(_ bytes: inout [UInt8]) {
        zero(controlEvents, in: &bytes)
        if bytes.count >= 6, bytes[4] == 0x01, bytes[5] == 0x00 { zero(controlCompletions, in: &bytes) }
    }

    private static func zero(_ rules: Rules, in bytes: inout [UInt8]) {
        guard bytes.count >= rules.codeAt + 2 else { return }
        let code = UInt16(bytes[rules.codeAt]) | UInt16(bytes[rules.codeAt + 1]) << 8
        if let rule = rules.all[code] { zero(rule, from: rules.parametersAt, in: &bytes) }
    }

    private static func zero(_ rule: Rule, from start: Int, in bytes: inout [UInt8]) {
        let end = rule.to == .max ? bytes.count : min(bytes.count, start + rule.to)
        var position = start + rule.from
        while position < end {
            bytes[position] = 0
            position += 1
        }
    }

    // MARK: Security manager

    /// The fixed channels of the security manager: on LE, and on BR/EDR.
    static let securityManagers: Set<UInt16> = [0x0006, 0x0007]
    /// Encryption Information, Central Identification, Identity Information, Signing Information.
    static let securityManagerKeys: Set<UInt8> = [0x06, 0x07, 0x08, 0x0A]

    /// ACL data: handle (12 bits) and flags (4 bits: packet boundary, broadcast), length (2), a piece of an L2CAP PDU. A PDU may be cut
    /// anywhere, also inside its header.
    private mutating func redactFragment(_ record: inout MonitorRecord, isSent: Bool) {
        guard record.payload.count >= 4 else { return }
        let word = UInt16(record.payload[0]) | UInt16(record.payload[1]) << 8
        let path = Path(index: record.index, handle: word & 0x0FFF, isSent: isSent)
        // Packet boundary 1: a PDU goes on; all others begin one.
        let goesOn = word >> 12 & 0b11 == 0b01
        var partial = Partial()
        if goesOn {
            if let begun = partials[path] { partial = begun } else { partial.isUnknown = true }
        }
        for position in 4..<record.payload.count {
            if !partial.isUnknown, partial.head.count < 5 {
                partial.head.append(record.payload[position])
            } else if partial.isKey {
                record.payload[position] = 0
            }
            partial.position += 1
        }
        if partial.isOver || partial.isUnknown {
            partials[path] = nil
        } else {
            if partials[path] == nil, partials.count >= Self.mostPartials { partials.removeAll() }
            partials[path] = partial
        }
    }
}
