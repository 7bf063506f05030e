import Catalogue
import Courier
import Destinations
import EventLoop
import ExactJSON
import Glibc
import HTTP
import HTTPMessage
import HubAPI
import Journal
import Protocols
import Steward
import Vitals

/// The program's own parts under a clock. Nothing here is a claim: `Benchmarks/bench.sh` sets the figures beside those of peers and
/// physical limits in the same run.
enum Bench {
    private static let receiver = "bench"
    private static let gateway = GatewayIdentity(
        systemID: nil, instance: "00000000-0000-8000-8000-000000000001", softwareVersion: "bench")

    /// Frames as `Benchmarks/python/peer.py` makes them: two cuff readings, then a spot-check, seven minutes apart.
    static func frame(_ index: Int) -> (UInt16, [UInt8]) {
        let moment = LocalDateTime(
            secondsSince1970: LocalDateTime(year: 2026, month: 1, day: 1, hour: 0, minute: 0, second: 0).secondsSince1970
                + Int64(index) * 420)
        let time: [UInt8] = [
            UInt8(moment.year & 0xFF), UInt8(moment.year >> 8), UInt8(moment.month), UInt8(moment.day), UInt8(moment.hour),
            UInt8(moment.minute), UInt8(moment.second),
        ]
        func small(_ value: Int) -> [UInt8] { [UInt8(value & 0xFF), UInt8(value >> 8)] }
        if index % 3 == 2 { return (0x2A5E, [0x01] + small(90 + index % 10) + small(55 + index % 40) + time) }
        let values = small(110 + index % 40) + small(70 + index % 20) + small(85 + index % 25)
        return (0x2A35, [0x1E] + values + time + small(55 + index % 40) + [0x01, 0x00, 0x00])
    }

    private struct Subject {
        var frame: Frame
        var measurement: Measurement
    }

    private static func subject(_ index: Int, _ clock: ClockReading) throws -> Subject {
        let (characteristic, bytes) = frame(index)
        let frame = Frame(source: .gatt(characteristic: characteristic, handle: 1), bytes: bytes, received: clock)
        guard let measurement = try FrameDecoder.measurement(frame.source, frame.bytes) else {
            throw OperationError(
                "The benchmark is broken.", why: "A frame is no measurement.", remedy: "Report it.", exitCode: 70)
        }
        return Subject(frame: frame, measurement: measurement)
    }

    private static func opened(_ path: String) async throws -> Journal {
        try await Journal.open(JournalOptions(path: path, key: .credential([UInt8](repeating: 7, count: 32)), ballastBytes: 0))
    }

    /// One record as intake stores it: frame, act with readings, and, with a channel, what is owed.
    private static func store(
        _ subject: Subject, device: Int64, transfer: Int64, key: DeviceKey, owing: Bool, in tx: Transaction
    ) throws(JournalError) -> ActRecord {
        let identity = ReadingIdentity(base: ReadingIdentity.base(of: subject.measurement, from: key), ordinal: 0)
        let frame = try tx.insertFrame(subject.frame, device: device, transfer: transfer, word: .pending, base: identity.base)
        let effective = MeasuredTime(
            Instant(seconds: subject.measurement.deviceTime?.secondsSince1970 ?? 0), offsetMinutes: 0)
        let act = try tx.insertAct(
            ActDraft(
                device: device, frame: frame, transfer: transfer, identity: identity, measurement: subject.measurement,
                state: .ready,
                effective: effective, timeBasis: .corrected, patient: PatientAlias(rawValue: "bench"), assignment: nil,
                received: subject.frame.received))
        if owing {
            for reading in act.readings {
                _ = try tx.insertItem(
                    act: act.id, reading: reading, kind: .observation, receiver: receiver, channel: receiver,
                    effective: effective.instant, created: subject.frame.received.wall)
            }
        }
        return act
    }

    private static func prepared(_ journal: Journal, _ now: ClockReading) async throws -> (device: Int64, transfer: Int64) {
        try await journal.write { tx in
            var device = try tx.addDevice(
                name: "bench", model: "generic-blood-pressure", bearer: "socket:/dev/null", state: .verified, at: now.wall)
            device.identity = DeviceIdentity(serialNumber: "1", systemID: [2, 0, 0, 0, 0, 0, 0, 1])
            device.key = DeviceKey(rawValue: "bench")
            try tx.update(device)
            return (device.id, try tx.beginTransfer(device: device.id, at: now))
        }
    }

    /// Frame bytes to values to a transaction bundle, frame and bundle to the store (sealed, as everything there), a commit every 100
    /// frames: the work of `Benchmarks/python/peer.py`, which stores the two in the clear.
    static func conversions(_ count: Int, store path: String) async throws -> JSON {
        let clock = MachineClock(isDeclared: true)
        let journal = try await opened(path)
        let now = clock.now()
        let (row, transfer) = try await prepared(journal, now)
        let destination = PHDDestination(settings: ReceiverSettings(name: receiver, kind: .phd, baseURL: "http://127.0.0.1/fhir"))
        let device = DeviceIdentity(serialNumber: "1", systemID: [2, 0, 0, 0, 0, 0, 0, 1])
        let context = DispatchContext(patientID: "bench", gateway: gateway)
        let key = [UInt8](repeating: 9, count: 32)
        let started = ContinuousClock.now
        var index = 0
        while index < count {
            let range = index..<min(index + 100, count)
            try await journal.write { tx in
                for number in range {
                    let subject = try subject(number, now)
                    let identity = ReadingIdentity(
                        base: ReadingIdentity.base(of: subject.measurement, from: DeviceKey(rawValue: "bench")), ordinal: 0)
                    let act = Act(
                        id: SubjectID(identity, part: "act", key: key), measurement: subject.measurement,
                        readings: subject.measurement.readings.map {
                            .init(id: SubjectID(identity, part: $0.kind.rawValue, key: key), reading: $0)
                        },
                        effective: MeasuredTime(
                            Instant(seconds: subject.measurement.deviceTime?.secondsSince1970 ?? 0), offsetMinutes: 0),
                        timeBasis: .corrected, device: device, specialization: MDC(528_391),
                        patient: PatientAlias(rawValue: "bench"))
                    let draft = try destination.dispatch(
                        of: [
                            DispatchAct(
                                act: act,
                                items: act.readings.enumerated().map {
                                    DispatchItem(id: Int64($0.offset), reading: $0.element.id)
                                })
                        ], context: context)
                    _ = try tx.insertFrame(subject.frame, device: row, transfer: transfer, word: .none)
                    _ = try tx.insertDispatch(
                        receiver: receiver, channel: receiver, method: "POST", url: draft.request.url, headers: [],
                        body: draft.request.body, entries: [], memo: draft.memo, created: now.wall)
                }
            }
            index = range.upperBound
        }
        let seconds = elapsed(since: started)
        await journal.close()
        var usage = rusage()
        getrusage(__rusage_who_t(RUSAGE_SELF.rawValue), &usage)
        return [
            "count": .integer(count), "seconds": decimal(seconds), "perSecond": decimal(Double(count) / seconds),
            "peakResidentBytes": .integer(usage.ru_maxrss * 1024),
        ]
    }

    /// The intake's commit beside an append of equal bytes and fdatasync on the same file system, one after the other.
    static func commits(_ count: Int, directory: String) async throws -> JSON {
        try Directory.make(directory, mode: 0o700)
        let clock = MachineClock(isDeclared: true)
        let journal = try await opened(directory + "/bench.db")
        let (device, transfer) = try await prepared(journal, clock.now())
        let plain = open(directory + "/bench.plain", O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0o600)
        guard plain >= 0 else {
            throw OperationError("The benchmark cannot write.", why: directory, remedy: "Name another.", exitCode: 73)
        }
        defer { close(plain) }
        // What a commit writes: the pages that a reading touches, each with its frame header, found by looking at the log.
        let before = try await journal.storage().logBytes
        for number in 0..<20 { _ = try await commit(number, journal, device, transfer, clock) }
        let bytes = max(4_120, (try await journal.storage().logBytes - before) / 20)
        let block = [UInt8](repeating: 0x5A, count: bytes)
        var commits: [Double] = []
        var bare: [Double] = []
        for number in 20..<20 + count {
            commits.append(try await commit(number, journal, device, transfer, clock))
            let started = ContinuousClock.now
            guard write(plain, block, block.count) == block.count, fdatasync(plain) == 0 else { break }
            bare.append(elapsed(since: started))
        }
        await journal.close()
        return [
            "count": .integer(count), "bytesPerCommit": .integer(bytes), "commit": percentiles(commits),
            "bareFsync": percentiles(bare),
        ]
    }

    private static func commit(
        _ number: Int, _ journal: Journal, _ device: Int64, _ transfer: Int64, _ clock: MachineClock
    ) async throws -> Double {
        let started = ContinuousClock.now
        let subject = try subject(number, clock.now())
        try await journal.write(.intake) { tx in
            _ = try store(subject, device: device, transfer: transfer, key: DeviceKey(rawValue: "bench"), owing: true, in: tx)
        }
        return elapsed(since: started)
    }

    /// Through journal and courier, and the same requests through the HTTP client alone; one in flight each.
    static func deliveries(_ count: Int, base: String) async throws -> JSON {
        var template = Array("/tmp/vitalgate-bench-XXXXXX".utf8CString)
        guard mkdtemp(&template) != nil else { throw OperationError("No place.", why: "/tmp", remedy: "Free it.", exitCode: 73) }
        let directory = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        let clock = MachineClock(isDeclared: true)
        let journal = try await opened(directory + "/bench.db")
        let (device, transfer) = try await prepared(journal, clock.now())
        let destination = PHDDestination(settings: ReceiverSettings(name: Self.receiver, kind: .phd, baseURL: base))
        let client = HTTPClient(settings: HTTPClientSettings(), loop: try EventLoop.made("vg-bench"))
        let delivered = Doorbell()
        let courier = Courier(
            journal: journal, receivers: [Receiver(destination: destination, client: client, gateway: gateway)], clock: clock
        ) { event in
            if case .delivered = event { delivered.ring() }
        }
        for number in 0..<count {
            let subject = try subject(number, clock.now())
            try await journal.write { tx in
                _ = try store(subject, device: device, transfer: transfer, key: DeviceKey(rawValue: "bench"), owing: true, in: tx)
            }
        }
        // An open transfer may still say something about its records' time: nothing leaves before it has ended.
        try await journal.write { tx in try tx.endTransfer(transfer, outcome: "quiet", at: clock.now()) }
        let started = ContinuousClock.now
        let seconds = try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await courier.run() }
            while try await journal.read({ tx in try tx.counts().items[Self.receiver]?[.delivered] ?? 0 }) < bodiesExpected(count)
            {
                await delivered.wait(atMost: .milliseconds(100))
            }
            let seconds = elapsed(since: started)
            group.cancelAll()
            return seconds
        }
        let requests = try await journal.read { tx in
            try (1...Int64(count)).compactMap { id in
                try tx.dispatch(id: id).map { HTTPRequest(.post, $0.url, headers: fhir, body: $0.body) }
            }
        }
        let alone = ContinuousClock.now
        for request in requests { _ = await client.send(request) }
        let curl = elapsed(since: alone)
        await journal.close()
        return [
            "count": .integer(count), "perSecond": decimal(Double(count) / seconds),
            "curl": ["perSecond": decimal(Double(requests.count) / curl)],
        ]
    }

    private static let fhir = [
        HTTPHeader("content-type", "application/fhir+json"), HTTPHeader("accept", "application/fhir+json"),
    ]

    /// Items that so many frames make: pressures and pulse, or saturation and pulse: two each.
    private static func bodiesExpected(_ count: Int) -> Int { count * 2 }

    /// A backlog in the configured journal, for measuring the daemon that finds it.
    static func fill(_ count: Int, configuration: Configuration) async throws -> JSON {
        let parts = try await DaemonParts.openJournal(configuration)
        let clock = MachineClock(isDeclared: true)
        let now = clock.now()
        let (device, transfer) = try await prepared(parts, now)
        guard let name = configuration.receivers.first?.name else {
            throw OperationError("Nothing to fill.", why: "No receiver.", remedy: "Add a [[receiver]].", exitCode: 78)
        }
        let started = ContinuousClock.now
        var index = 0
        while index < count {
            let range = index..<min(index + 1_000, count)
            try await parts.write { tx in
                let assignment = try tx.assignments(device: device).first?.id
                for number in range {
                    let subject = try subject(number, now)
                    var act = try store(
                        subject, device: device, transfer: transfer, key: DeviceKey(rawValue: "bench"), owing: false, in: tx)
                    act.assignment = assignment
                    for reading in act.readings.prefix(1) {
                        _ = try tx.insertItem(
                            act: act.id, reading: reading, kind: .observation, receiver: name, channel: name,
                            effective: act.effective?.instant ?? now.wall, created: now.wall)
                    }
                }
            }
            index = range.upperBound
        }
        try await parts.write { tx in try tx.endTransfer(transfer, outcome: "quiet", at: now) }
        await parts.close()
        return ["count": .integer(count), "seconds": decimal(elapsed(since: started))]
    }

    // MARK: Figures

    private static func elapsed(since start: ContinuousClock.Instant) -> Double {
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        return Double(seconds) + Double(attoseconds) * 1e-18
    }

    private static func decimal(_ value: Double) -> JSON {
        .number(ExactDecimal(mantissa: Int64((value * 1_000).rounded()), exponent: -3))
    }

    private static func percentiles(_ seconds: [Double]) -> JSON {
        let sorted = seconds.sorted()
        func at(_ percent: Int) -> JSON {
            sorted.isEmpty ? nil : .integer(Int((sorted[min(sorted.count - 1, sorted.count * percent / 100)] * 1e6).rounded()))
        }
        return ["p50Microseconds": at(50), "p99Microseconds": at(99)]
    }
}
