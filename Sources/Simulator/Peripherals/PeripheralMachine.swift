import Protocols
import Vitals

/// A simulated device, decided without a socket: a GATT server that follows its script.
///
/// It keeps a record until it was confirmed, sends one indication at a time, and repeats one that stays unconfirmed for 30 s
/// (scaled).
struct PeripheralMachine {
    enum Action: Hashable {
        case send([UInt8])
        /// A line for the ledger, to be written before what follows.
        case ledger(String)
        case close
    }

    /// An indication without its confirmation fails after 30 s (Core Vol 3 Part F 3.3.3); cuffs that stay send it again then.
    static let confirmationTimeout = Duration.seconds(30)
    static let sampleInterval = Duration.seconds(1)
    /// How long it stays for a hub that asks for nothing.
    static let patience = Duration.seconds(60)

    private enum Outstanding: Hashable {
        case record(SimulatedRecord)
        /// An answer of the control point.
        case answer([UInt8])
    }

    private enum Link: Hashable {
        case down
        case up(lastHeard: MonotonicTime)
    }

    private let script: PeripheralScript
    private let data: BluetoothUUID
    private let speed: Int
    private let linger: Duration
    private var server: GATTServer
    private var clock: PeripheralScript.Clock

    private var link = Link.down
    private var linkNumber = 0
    private var linksInOrder = 0
    /// To be sent on this link.
    private var queue: [SimulatedRecord] = []
    /// The memory.
    private var kept: [SimulatedRecord]
    private var sentOnLink = 0
    private var hubWasHeard = false
    private var outstanding: (what: Outstanding, since: MonotonicTime)?
    private var answers: [[UInt8]] = []
    private var reporting = false
    private var intermediates: [[UInt8]] = []
    private var stream: [[UInt8]] = []
    private var nextSample: MonotonicTime?

    init(kind: SimulatedPeripheral.Kind, script: PeripheralScript, identity: DeviceIdentity, speed: Int, linger: Duration) {
        self.script = script
        self.speed = max(1, speed)
        self.linger = linger
        kept = script.records
        clock = script.clock
        data = kind == .cuff ? 0x2A35 : 0x2A5E
        server = PeripheralAttributes.server(kind, script, identity)
    }

    /// Whether it would advertise: it holds something that it has not yet told.
    var hasSomethingToSay: Bool {
        if script.keepsConfirmed || script.records.isEmpty { return linksInOrder < script.links }
        return !kept.isEmpty || (!script.stream.isEmpty && linksInOrder < script.links)
    }

    // MARK: What happens

    mutating func linkUp(at now: MonotonicTime) -> [Action] {
        link = .up(lastHeard: now)
        linkNumber += 1
        server.linkBegan()
        queue = kept
        sentOnLink = 0
        hubWasHeard = false
        outstanding = nil
        answers = []
        reporting = !script.waitsForRequest
        intermediates = script.intermediates
        stream = script.stream
        nextSample = nil
        return script.garbage.map(Action.send) + speak(at: now)
    }

    mutating func linkDown() {
        link = .down
        outstanding = nil
    }

    mutating func receive(_ pdu: [UInt8], at now: MonotonicTime, localTime: LocalDateTime) -> [Action] {
        guard case .up = link else { return [] }
        link = .up(lastHeard: now)
        hubWasHeard = true
        var actions: [Action] = []
        let face = face(at: localTime)
        let events = server.receive(pdu) { PeripheralAttributes.clockValue(of: $0, face: face) }
        for event in events {
            switch event {
            case .send(let answer): actions.append(.send(answer.bytes))
            case .confirmed: actions += confirmed()
            case .written(let type, let value): written(type, value, localTime: localTime)
            case .subscribed(let type): if type == 0x2A5F, !stream.isEmpty, nextSample == nil { nextSample = now }
            }
        }
        guard case .up = link else { return actions }
        return actions + speak(at: now)
    }

    mutating func timer(at now: MonotonicTime) -> [Action] {
        guard case .up(let lastHeard) = link else { return [] }
        var actions: [Action] = []
        if let (what, since) = outstanding, now >= since + Self.confirmationTimeout / speed {
            outstanding = nil
            actions += send(what, at: now)
        }
        if let due = nextSample, now >= due, !stream.isEmpty {
            if let pdu = server.pdu(carrying: stream.removeFirst(), of: 0x2A5F) { actions.append(.send(pdu.bytes)) }
            nextSample = due + Self.sampleInterval / speed
            link = .up(lastHeard: now)
        } else if now >= lastHeard + (isFinished ? linger : Self.patience), outstanding == nil {
            if isFinished { linksInOrder += 1 }
            link = .down
            actions.append(.close)
        }
        return actions
    }

    /// When ``timer(at:)`` must be called.
    var deadline: MonotonicTime? {
        guard case .up(let lastHeard) = link else { return nil }
        let own: [MonotonicTime?] = [
            outstanding.map { $0.since + Self.confirmationTimeout / speed },
            stream.isEmpty ? nil : nextSample,
            outstanding == nil ? lastHeard + (isFinished ? linger : Self.patience) : nil,
        ]
        return own.compactMap { $0 }.min()
    }

    /// Nothing more is to be said on this link.
    private var isFinished: Bool {
        hubWasHeard && outstanding == nil && answers.isEmpty && stream.isEmpty
            && (queue.isEmpty || sentOnLink >= script.recordsPerLink)
    }

    // MARK: Speaking

    /// The next thing, if the central wants it and nothing is outstanding.
    private mutating func speak(at now: MonotonicTime) -> [Action] {
        var actions: [Action] = []
        if server.configuration(of: 0x2A36) != 0, server.configuration(of: data) != 0 {
            actions += intermediates.compactMap { server.pdu(carrying: $0, of: 0x2A36) }.map { .send($0.bytes) }
            intermediates = []
        }
        guard outstanding == nil else { return actions }
        if reporting, let next = queue.first, sentOnLink < script.recordsPerLink {
            return actions + send(.record(next), at: now)
        }
        if let answer = answers.first {
            // The records come before the answer that says that there are no more.
            answers.removeFirst()
            return actions + send(.answer(answer), at: now)
        }
        return actions
    }

    private mutating func send(_ what: Outstanding, at now: MonotonicTime) -> [Action] {
        switch what {
        case .answer(let bytes):
            guard let pdu = server.pdu(carrying: bytes, of: .recordAccess) else { return [] }
            outstanding = (what, now)
            return [.send(pdu.bytes)]
        case .record(let record):
            guard let pdu = server.pdu(carrying: record.bytes, of: data) else { return [] }
            outstanding = (what, now)
            let actions: [Action] = [.ledger("sent \(record.number) \(record.bytes.hex)"), .send(pdu.bytes)]
            guard script.linkLoss == .beforeConfirmation, linkNumber == 1 else { return actions }
            linkDown()
            return actions + [.close]
        }
    }

    private mutating func confirmed() -> [Action] {
        guard let (what, _) = outstanding else { return [] }
        outstanding = nil
        guard case .record(let record) = what else { return [] }
        queue.removeAll { $0.number == record.number }
        if !script.keepsConfirmed { kept.removeAll { $0.number == record.number } }
        sentOnLink += 1
        let actions: [Action] = [.ledger("confirmed \(record.number) \(record.bytes.hex)")]
        guard script.linkLoss == .afterConfirmation, linkNumber == 1 else { return actions }
        linkDown()
        return actions + [.close]
    }

    private mutating func written(_ type: BluetoothUUID, _ value: [UInt8], localTime: LocalDateTime) {
        switch type {
        case 0x2A2B, 0x2A08:
            guard let set = try? DateTime(decoding: Array(value.prefix(DateTime.length))).time, set.isValid else { return }
            clock = .running(ahead: set.secondsSince1970 - localTime.secondsSince1970)
        case .recordAccess: request(value)
        default: break
        }
    }

    private mutating func request(_ value: [UInt8]) {
        guard case .request(let procedure, _) = try? RecordAccess(decoding: value) else { return }
        switch procedure {
        case .report:
            reporting = true
            answers.append(RecordAccess.response(to: value[0], kept.isEmpty ? .noRecordsFound : .success).encoded)
        case .count: answers.append(RecordAccess.count(UInt32(kept.count), width: 2).encoded)
        case .delete:
            kept = []
            queue = []
            answers.append(RecordAccess.response(to: value[0], .success).encoded)
        case .abort:
            reporting = false
            answers.append(RecordAccess.response(to: value[0], .success).encoded)
        case .combinedReport: answers.append(RecordAccess.response(to: value[0], .opCodeNotSupported).encoded)
        }
    }

    /// What the clock's face shows; `nil` while it is unset.
    private func face(at localTime: LocalDateTime) -> LocalDateTime? {
        guard case .running(let ahead) = clock else { return nil }
        return LocalDateTime(secondsSince1970: localTime.secondsSince1970 + ahead)
    }
}

extension BluetoothUUID {
    static let recordAccess: BluetoothUUID = 0x2A52
}
