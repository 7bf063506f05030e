import Bluetooth
import Catalogue
import Devices
import EventLoop
import Glibc
import Protocols
import Synchronization
import Testing
import Vitals

@testable import Simulator

/// Sessions with simulated devices over real sockets: the same bytes as in production.
@Suite struct PeripheralTests {
    static let cuff = Model(
        id: "simulated-cuff", name: "Simulated cuff", driver: .bloodPressure, match: .init(), specialization: MDC(528_391),
        acknowledges: .confirmation, clock: .init(read: 0x2A2B, write: 0x2A2B), users: .indexed, records: .unsent)
    static let oximeter = Model(
        id: "simulated-oximeter", name: "Simulated oximeter", driver: .pulseOximeter, match: .init(),
        specialization: MDC(528_388),
        acknowledges: .confirmation, clock: .init(read: 0x2A2B, write: 0x2A2B), records: .racp,
        stream: .init(resultFlags: [.fullyQualified, .validated]))

    /// What a hub sees of a scenario, link by link, and what the device holds.
    struct Run {
        var links: [SessionShell.Link] = []
        var ledger: [String] = []
        var results: [[[UInt8]]] { links.map(\.results) }
        var confirmed: [String] { ledger.filter { $0.hasPrefix("confirmed") }.map { String($0.split(separator: " ")[2]) } }
    }

    /// Plays a scenario on a named socket to its end: the hub connects whenever the device advertises.
    ///
    /// Streams run fast; cuffs leave a busy machine six seconds for a confirmation before they repeat.
    static func play(_ scenario: Scenario, count: Int = 10, recordsPerLink: Int = .max) async throws -> Run {
        let name = "/tmp/vg-\(getpid())-\(UInt32.random(in: 0 ... .max))-\(scenario.name)"
        let (path, ledger) = (name + ".socket", name + ".ledger")
        defer {
            unlink(ledger)
            unlink(path)
        }
        unlink(ledger)
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let device = try SimulatedPeripheral(
            kind: scenario.kind, scenario: scenario,
            options: .init(
                seed: 7, speed: scenario.kind == .cuff ? 5 : 200, linger: .milliseconds(150), count: count,
                recordsPerLink: recordsPerLink, ledger: ledger,
                endsWhenDelivered: true, localTime: { SessionShell.localTime }))
        var run = Run()
        let isOver = Mutex(false)
        async let serving: Void = {
            defer { isOver.withLock { $0 = true } }
            try await device.serve(socketPath: path)
        }()
        var handleMap: [UInt8]?
        let model = scenario.kind == .cuff ? cuff : oximeter
        while !isOver.withLock({ $0 }) {
            guard let bearer = try? await SocketBearer.connect(socketPath: path, loop: loop) else {
                try await Task.sleep(for: .milliseconds(2))
                continue
            }
            let facts = SessionFacts(isEnrolled: handleMap != nil, handleMap: handleMap, mayWriteClock: true)
            let link = await SessionShell().run(DeviceSession(model: model, facts: facts), on: bearer)
            handleMap = link.handleMap ?? handleMap
            run.links.append(link)
        }
        try await serving
        run.ledger = Self.lines(ledger)
        return run
    }

    static func lines(_ path: String) -> [String] {
        let descriptor = open(path, O_RDONLY)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while case let count = read(descriptor, &buffer, buffer.count), count > 0 { bytes += buffer[..<count] }
        return String(decoding: bytes, as: UTF8.self).split(separator: "\n").map(String.init)
    }

    /// Scenario, results of each link, how many of them are different.
    static let cuffs: [(Scenario, [Int], Int)] = [
        (.cuffLive, [1], 1), (.cuffStored, [5], 5), (.cuffResendAll, [3, 3, 3], 3), (.cuffClockUnset, [1], 1),
        (.cuffWrongYear, [1], 1),
        (.cuffNoTimestamp, [2], 1), (.cuffKilopascal, [1], 1), (.cuffNaNMean, [1], 1), (.cuffTwoUsers, [3], 3),
        (.cuffStatusBits, [1], 1),
        (.cuffLostBefore, [1, 1], 1), (.cuffLostAfter, [1, 2], 3), (.cuffGarbage, [1], 1), (.cuffUndecodable, [2], 2),
        (.cuffIntermediate, [1], 1), (.cuffNoReading, [0], 0), (.cuffCaptured, [2], 2), (.cuffDateTime, [1], 1),
        (.cuffClockRefused, [1], 1),
    ]

    @Test("R1 every scenario of the cuff, over a real socket: stored as sent, confirmed once each", arguments: cuffs.indices)
    func r1_cuffScenarios(_ index: Int) async throws {
        let (scenario, perLink, different) = Self.cuffs[index]
        let run = try await Self.play(scenario)
        #expect(run.results.map(\.count) == perLink)
        #expect(Set(run.results.joined()).count == different)
        // What the device holds as confirmed was handed up before.
        #expect(Set(run.confirmed).isSubset(of: Set(run.results.joined().map(\.hex))))
        #expect(Set(run.confirmed).count == different)
        #expect(run.links.first?.hasIdentity == true)
        let ends = run.links.map(\.outcome?.reason)
        #expect(ends.last == .peerEnded)
        #expect(run.links.last?.outcome?.isWithoutReading == (scenario == .cuffNoReading))
    }

    @Test("The details of single scenarios")
    func details() async throws {
        let unset = try await Self.play(.cuffClockUnset)
        #expect(unset.links[0].actions.contains { if case .clockRead(device: nil, _) = $0 { true } else { false } })
        #expect(unset.links[0].clockSets == 1)
        #expect(try await Self.play(.cuffLive).links[0].clockSets == 0)
        #expect(try await Self.play(.cuffWrongYear).links[0].clockSets == 1)
        #expect(try await Self.play(.cuffDateTime).links[0].clockSets == 1)
        #expect(try await Self.play(.cuffClockRefused).links[0].clockSets == 1)
        let intermediate = try await Self.play(.cuffIntermediate)
        #expect(intermediate.links[0].stored(.intermediate).count == 4)
        let lost = try await Self.play(.cuffLostBefore)
        #expect(lost.links[0].outcome?.reason == .linkLost)
        #expect(lost.results[0] == lost.results[1])
        let garbage = try await Self.play(.cuffGarbage)
        #expect(garbage.links[0].notes.count { if case .malformed = $0 { true } else { false } } >= 9)
        #expect(garbage.links[0].notes.contains(.peerRequest(opcode: 0x06)))
        let batch = try await Self.play(.cuffStored)
        let times = try batch.results[0].map { try BloodPressureMeasurement(decoding: $0).timeStamp?.secondsSince1970 ?? 0 }
        #expect(times != times.sorted() && Set(times).count == 5)
    }

    @Test("Generated records: all different, a few a link, the same for a seed")
    func generated() async throws {
        let run = try await Self.play(.cuffGenerated, count: 12, recordsPerLink: 5)
        #expect(run.results.map(\.count) == [5, 5, 2])
        #expect(run.confirmed.count == 12)
        let script = Scenario.cuffGenerated.script(seed: 7, now: SessionShell.localTime, count: 12, recordsPerLink: 5)
        #expect(script.records.map(\.bytes.hex) == run.confirmed)
        let thousand = Scenario.cuffGenerated.script(seed: 1, now: SessionShell.localTime, count: 1_000, recordsPerLink: 5)
            .records
        #expect(Set(thousand.map(\.bytes)).count == 1_000)
        #expect(
            Scenario.cuffGenerated.script(seed: 1, now: SessionShell.localTime, count: 9, recordsPerLink: 5).records
                != Array(thousand.suffix(9)))
        #expect(SimulatedPeripheral.identity(of: .cuff, seed: 1) != SimulatedPeripheral.identity(of: .cuff, seed: 2))
        #expect(SimulatedPeripheral.identity(of: .cuff, seed: 1) == SimulatedPeripheral.identity(of: .cuff, seed: 1))
    }

    @Test(
        "The oximeter: spot-check, stored records on request, an empty memory, a clock that is not set",
        arguments: [
            (Scenario.oximeterSpot, 1), (.oximeterStored, 5), (.oximeterEmpty, 0), (.oximeterClockUnset, 1),
            (.oximeterGenerated, 10),
        ])
    func spotChecks(_ scenario: Scenario, _ count: Int) async throws {
        let run = try await Self.play(scenario)
        #expect(run.results.map(\.count) == [count])
        #expect(run.confirmed.count == count)
        #expect(run.links[0].outcome?.reason == .peerEnded)
        if scenario != .oximeterEmpty { return }
        #expect(run.links[0].notes.contains(.records(.noRecordsFound)))
    }

    @Test(
        "A stream is one reading: the device's own, or the median, or none",
        arguments: [
            (Scenario.oximeterStream, false, true), (.oximeterStreamMedian, true, true), (.oximeterCaptured, true, true),
            (.oximeterFingerOut, false, false),
        ])
    func streams(_ scenario: Scenario, _ isDerived: Bool, _ hasReading: Bool) async throws {
        let run = try await Self.play(scenario)
        let readings = run.links.flatMap(\.streams).filter { $0.measurement != nil }
        #expect(readings.count == (hasReading ? 1 : 0))
        #expect(readings.allSatisfy { $0.isDerived == isDerived && $0.measurement?.kind == .pulseOximetrySpot })
        #expect(run.links.last?.outcome?.isWithoutReading == !hasReading)
        if scenario == .oximeterCaptured { #expect(readings.first?.measurement?[.spo2]?.value == .number(98)) }
    }

    @Test("R1 a hub that cannot commit gives no word: the device sends it again")
    func r1_refusingHub() async throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let device = try SimulatedPeripheral(
            kind: .cuff, scenario: .cuffLive, options: .init(linger: .milliseconds(60), localTime: { SessionShell.localTime }),
            loop: loop)
        let facts = SessionFacts(isEnrolled: false, mayWriteClock: true)
        var seen: [[[UInt8]]] = []
        for refuses in [true, true, false] {
            let pair = try SessionShell.socketPair()
            async let serving: Void = device.serve(descriptor: pair.device)
            let bearer = try await SocketBearer(descriptor: pair.hub, loop: loop)
            let link = await SessionShell(refuses: refuses).run(DeviceSession(model: Self.cuff, facts: facts), on: bearer)
            try await serving
            seen.append(link.results)
            #expect(link.actions.contains { if case .confirmed = $0 { true } else { false } } == !refuses)
        }
        #expect(seen[0] == seen[1] && seen[1] == seen[2] && seen[0].count == 1)
    }

    @Test("A cuff repeats on the same link what stays unconfirmed for 30 s")
    func repeatsUnconfirmed() {
        let script = Scenario.cuffLive.script(seed: 1, now: SessionShell.localTime, count: 1, recordsPerLink: 1)
        var machine = PeripheralMachine(
            kind: .cuff, script: script, identity: DeviceIdentity(), speed: 10, linger: .seconds(1))
        let start = MonotonicTime(milliseconds: 0)
        #expect(machine.linkUp(at: start).isEmpty)
        // The configuration of 2A35 is the first after the services 0x1800 and 0x1801.
        let subscribe = ATTPDU.writeRequest(handle: 11, value: [2, 0]).bytes
        let sent = machine.receive(subscribe, at: start, localTime: SessionShell.localTime)
        guard case .send(let indication)? = sent.last, indication.first == 0x1D else {
            Issue.record("no indication in \(sent)")
            return
        }
        #expect(machine.timer(at: start + .milliseconds(2_999)).isEmpty)
        #expect(machine.timer(at: start + .milliseconds(3_000)).last == .send(indication))
        #expect(machine.hasSomethingToSay)
        let end = machine.receive([0x1E], at: start + .milliseconds(3_100), localTime: SessionShell.localTime)
        #expect(end == [.ledger("confirmed 1 \(indication.dropFirst(3).hex)")])
        #expect(!machine.hasSomethingToSay)
        #expect(machine.timer(at: start + .milliseconds(4_100)) == [.close])
    }

    @Test("The server never traps on random PDUs")
    func randomPDUs() {
        let script = Scenario.oximeterStored.script(seed: 1, now: SessionShell.localTime, count: 1, recordsPerLink: 1)
        for _ in 0..<100 {
            var machine = PeripheralMachine(
                kind: .oximeter, script: script, identity: DeviceIdentity(), speed: 10, linger: .seconds(1))
            var now = MonotonicTime(milliseconds: 0)
            _ = machine.linkUp(at: now)
            for _ in 0..<60 {
                let opcode = ATTPDU.Opcode.allCases.randomElement()?.rawValue ?? 0
                let bytes = [opcode] + (0..<Int.random(in: 0...24)).map { _ in UInt8.random(in: 0...30) }
                _ = machine.receive(bytes, at: now, localTime: SessionShell.localTime)
                now = now + .milliseconds(Int.random(in: 0...900))
                _ = machine.timer(at: now)
            }
        }
    }

    @Test("Serving ends when its task is cancelled, and takes the socket's file away")
    func cancellation() async throws {
        let path = "/tmp/vg-\(getpid())-cancel.socket"
        let device = try SimulatedPeripheral(kind: .cuff, scenario: .cuffLive)
        await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await device.serve(socketPath: path) }
            while access(path, F_OK) != 0 { try? await Task.sleep(for: .milliseconds(2)) }
            group.cancelAll()
        }
        #expect(access(path, F_OK) != 0)
    }
}

@Suite struct SocketBearerTests {
    @Test("PDUs keep their bounds and order, a closed peer ends the stream, and sending then is an error")
    func boundsAndEnd() async throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let pair = try SessionShell.socketPair()
        let hub = try await SocketBearer(descriptor: pair.hub, loop: loop)
        let device = try await SocketBearer(descriptor: pair.device, loop: loop)
        for length in 1...200 { try await hub.send([UInt8](repeating: UInt8(length), count: length)) }
        var lengths: [Int] = []
        for await pdu in device.incoming {
            lengths.append(pdu.count)
            if lengths.count == 200 { break }
        }
        #expect(lengths == Array(1...200))
        await hub.close()
        await hub.close()
        await #expect(throws: BearerError.closed) { try await hub.send([1]) }
        await device.close()
    }

    @Test("A peer that does not read holds the sender up without losing a PDU")
    func backPressure() async throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        let pair = try SessionShell.socketPair()
        let hub = try await SocketBearer(descriptor: pair.hub, loop: loop)
        // More than the kernel's buffer of a Unix socket holds.
        let count = 2_000
        async let sending: Void = {
            for number in 0..<count { try await hub.send([UInt8(number % 251)] + [UInt8](repeating: 0, count: 500)) }
        }()
        var buffer = [UInt8](repeating: 0, count: 600)
        for number in 0..<count {
            let received = recv(pair.device, &buffer, buffer.count, 0)
            guard received == 501, buffer[0] == UInt8(number % 251) else {
                Issue.record("PDU \(number): \(received) bytes")
                break
            }
        }
        try await sending
        close(pair.device)
        for await _ in hub.incoming {}
        await #expect(throws: BearerError.closed) { try await hub.send([1]) }
    }

    @Test("A name where nobody advertises is an error")
    func nobody() async throws {
        let loop = try EventLoop(name: "test")
        defer { loop.stop() }
        await #expect(throws: BearerError.system(call: "connect", code: ENOENT)) {
            try await SocketBearer.connect(socketPath: "/tmp/vg-nobody.socket", loop: loop)
        }
        await #expect(throws: BearerError.pathTooLong) {
            try await SocketBearer.connect(socketPath: String(repeating: "x", count: 200), loop: loop)
        }
    }
}
