import Catalogue
import Devices
import Glibc
import Journal
import Protocols
import Synchronization
import Testing
import Vitals

@testable import Intake

/// A 9560 at the other end of a serial port: it answers commands, sends its records one after the other, and forgets each with its ACK.
private final class SerialOximeter: Bearer {
    private struct State {
        var records: [[UInt8]]
        var face: LocalDateTime
        var acknowledged = 0
    }

    let incoming: AsyncStream<[UInt8]>
    private let feed: AsyncStream<[UInt8]>.Continuation
    private let state: Mutex<State>
    /// Called before a byte of ours reaches the device.
    private let hears: @Sendable ([UInt8]) async -> Void

    init(records: [[UInt8]], face: LocalDateTime, hears: @escaping @Sendable ([UInt8]) async -> Void = { _ in }) {
        (incoming, feed) = AsyncStream.makeStream(of: [UInt8].self)
        state = Mutex(State(records: records, face: face))
        self.hears = hears
        sendNext()
    }

    var held: [[UInt8]] { state.withLock { $0.records } }
    var acknowledged: Int { state.withLock { $0.acknowledged } }

    func send(_ bytes: [UInt8]) async throws {
        await hears(bytes)
        if bytes == [NoninReply.acknowledge] {
            state.withLock {
                $0.acknowledged += 1
                $0.records.removeFirst()
            }
            return sendNext()
        }
        let reply: NoninReply? = state.withLock { state in
            switch try? NoninCommand(decoding: bytes) {
            case .selectFormat: return .acknowledged
            case .readClock: return .clock(state.face)
            case .setClock(let time):
                state.face = time
                return .acknowledged
            case .readSerialNumber: return .serialNumber("501493200")
            case nil: return nil
            }
        }
        if let reply { chop(reply.encoded) }
    }

    func close() async { feed.finish() }

    /// The oldest record that it holds.
    private func sendNext() {
        if let next = state.withLock({ $0.records.first }) { chop(next) }
    }

    /// In pieces of seven bytes: a serial line keeps no packets together.
    private func chop(_ bytes: [UInt8]) {
        for start in stride(from: 0, to: bytes.count, by: 7) { feed.yield(Array(bytes[start..<min(start + 7, bytes.count)])) }
    }
}

@Suite("A serial oximeter through intake")
struct SerialTests {
    private static let oximeter: @Sendable (inout Model) -> Void = { model in
        model = Model(
            id: "test-9560", manufacturer: "Nonin Medical, Inc.", name: "Onyx II 9560", driver: .noninSerial,
            transport: .classicSerial, match: .init(modelNumbers: ["9560"]), specialization: MDC(528_388),
            acknowledges: .response, clock: .init(read: 0x72, write: 0x72, liveWithoutStamp: false), records: .unsent,
            session: .init(steps: [.subscribe, .clock, .identity], quietMilliseconds: 400, cooldownSeconds: 0, disconnects: .hub))
    }

    private static func records(_ home: Home, _ count: Int, isStored: Bool = true) -> [[UInt8]] {
        (0..<count).map { number in
            NoninSpotCheck(
                time: LocalDateTime(secondsSince1970: home.clock.localTime.secondsSince1970 - 600 + Int64(number) * 5),
                status: isStored ? [.smartPoint, .fromMemory] : .smartPoint, pulseRate: 60 + UInt16(number), spo2: 97
            ).encoded
        }
    }

    private func link(_ home: Home, _ oximeter: SerialOximeter) async throws -> SessionOutcome {
        let (id, model) = (home.device, home.model)
        let record = try #require(try await home.journal.read { tx in try tx.device(id: id) })
        return try await home.intake().run(oximeter, device: record, model: model)
    }

    @Test("R1 R2 each ACK leaves after its record is committed, and the record is stored as it came")
    func r1_acknowledgeAfterCommit() async throws {
        try await Home.with(Self.oximeter) { home in
            try await home.assign()
            let committed = Mutex<[Int]>([])
            let journal = home.journal
            let records = Self.records(home, 5)
            let oximeter = SerialOximeter(records: records, face: home.clock.localTime) { bytes in
                guard bytes == [0x06] else { return }
                let count = (try? await journal.read { tx in try tx.acts(limit: 100).count }) ?? -1
                committed.withLock { $0.append(count) }
            }
            let outcome = try await link(home, oximeter)
            #expect(committed.withLock { $0 } == [1, 2, 3, 4, 5])
            #expect(oximeter.acknowledged == 5 && outcome.readings == 5)
            let acts = try await home.acts()
            #expect(acts.map { $0.measurement[.pulseRate]?.value.number?.mantissa } == [60, 61, 62, 63, 64])
            let frame = try await home.frame(acts[0])
            #expect(frame?.frame.source == .vendor(format: "nonin-df13") && frame?.frame.bytes == records[0])
            let device = try await home.journal.read { [id = home.device] tx in try tx.device(id: id) }
            #expect(device?.identity.serialNumber == "501493200" && device?.key != nil)
        }
    }

    @Test("R1 control: with the ACK before the commit the same look finds the gap")
    func r1_control() async throws {
        try await Home.with(Self.oximeter) { home in
            try await home.assign()
            var faulty = home
            faulty.confirmsBeforeCommit = true
            let committed = Mutex<[Int]>([])
            let journal = home.journal
            let oximeter = SerialOximeter(records: Self.records(home, 2), face: home.clock.localTime) { bytes in
                guard bytes == [0x06] else { return }
                let count = (try? await journal.read { tx in try tx.acts(limit: 100).count }) ?? -1
                committed.withLock { $0.append(count) }
            }
            _ = try await link(faulty, oximeter)
            #expect(committed.withLock { $0.first } == 0)
        }
    }

    @Test("R1 R9 disk full: no ACK, the link is ended, and with room the rest comes")
    func r1_diskFull() async throws {
        try await Home.with(Self.oximeter) { home in
            try await home.assign()
            let oximeter = SerialOximeter(records: Self.records(home, 60), face: home.clock.localTime)
            // As many pages as there are, and a few: some records fit.
            var status = stat()
            try await home.journal.checkpoint()
            #expect(stat(home.scratch.path + "/journal.db", &status) == 0)
            let full = try await home.reopened(pages: Int(status.st_size) / 4_096 + 4)
            #expect(try await link(full, oximeter).reason == .refused)
            let kept = try await full.acts().count
            #expect(oximeter.acknowledged == kept && kept < 60)

            let roomy = try await full.reopened()
            let rest = SerialOximeter(records: oximeter.held, face: home.clock.localTime)
            #expect(try await link(roomy, rest).reason == .quiet)
            #expect(try await roomy.acts().count == 60)
            #expect(oximeter.acknowledged + rest.acknowledged == 60)
            await roomy.journal.close()
        }
    }

    @Test("R3 a record whose ACK was lost comes again from memory, and is one reading")
    func r3_sentAgain() async throws {
        try await Home.with(Self.oximeter) { home in
            try await home.assign()
            let live = Self.records(home, 1, isStored: false)
            _ = try await link(home, SerialOximeter(records: live, face: home.clock.localTime))
            var again = try NoninSpotCheck(decoding: live[0])
            again.status.insert(.fromMemory)
            let oximeter = SerialOximeter(records: [again.encoded], face: home.clock.localTime)
            _ = try await link(home, oximeter)
            #expect(oximeter.acknowledged == 1)
            #expect(try await home.acts().count == 1)
            #expect(try await home.suppressed().first?.frame.source == .vendor(format: "nonin-df13"))
        }
    }

    @Test("R5 the stamps of a clock that was never set are moved by what it showed before it was set")
    func r5_clockOfThePast() async throws {
        try await Home.with(Self.oximeter) { home in
            try await home.assign()
            // A minute ago, on a clock that began with the batteries at a date of the past.
            let face = LocalDateTime(year: 2007, month: 10, day: 1, hour: 0, minute: 30, second: 0)
            let stamp = LocalDateTime(year: 2007, month: 10, day: 1, hour: 0, minute: 29, second: 0)
            let record = NoninSpotCheck(time: stamp, status: .smartPoint, pulseRate: 60, spo2: 97).encoded
            _ = try await link(home, SerialOximeter(records: [record], face: face))
            let act = try #require(try await home.acts().first)
            let effective = try #require(act.effective?.instant)
            #expect(abs((home.clock.trueTime - effective).milliseconds - 60_000) < 10_000)
            #expect(act.timeBasis == .corrected)
        }
    }
}
