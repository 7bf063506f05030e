import Catalogue
import Protocols
import Testing
import Vitals

@testable import Devices

@Suite struct NoninSerialSessionTests {
    /// 12:00:00 on the hub's wall, an hour east of UTC.
    private let noon = LocalDateTime(year: 2026, month: 11, day: 21, hour: 12, minute: 0, second: 0)

    // MARK: R1

    @Test("R1 no ACK leaves before the packet is committed")
    func r1_acknowledgeAfterCommit() {
        var bench = NoninBench()
        bench.start()
        bench.receive(NoninBench.record())
        #expect(bench.stored.map(\.role) == [.result])
        #expect(bench.stored.first?.frame.source == .vendor(format: "nonin-df13"))
        #expect(bench.stored.first?.frame.bytes == NoninBench.record())
        bench.pass(20_000)
        bench.take(bench.session.timer(at: bench.now))
        #expect(bench.words == [])
        bench.commit(1)
        #expect(Array(bench.log.suffix(2)) == [.word(0x06), .action(.confirmed(FrameToken(rawValue: 1)))])
        bench.commit(1)
        #expect(bench.words == [0x06])
    }

    @Test("R1 a refused commit gives no word at all and ends the link")
    func r1_refusedCommit() {
        var bench = NoninBench()
        bench.start()
        bench.receive(NoninBench.record())
        bench.refuse(1)
        #expect(bench.outcome == SessionOutcome(readings: 1, reason: .refused))
        bench.commit(1)
        bench.loseLink()
        #expect(bench.words == [] && bench.confirmed == [])
    }

    @Test("R1 a link lost before the commit gives no word")
    func r1_linkLostBeforeCommit() {
        var bench = NoninBench()
        bench.start()
        bench.receive(NoninBench.record())
        bench.loseLink()
        #expect(bench.outcome == SessionOutcome(readings: 1, reason: .linkLost))
        bench.commit(1)
        #expect(bench.words == [] && bench.confirmed == [])
    }

    @Test("R1 each of several records has its own word, in order")
    func r1_severalRecords() {
        var bench = NoninBench()
        bench.start()
        bench.receive((0..<20).flatMap { NoninBench.record($0) })
        #expect(bench.stored.count == 20)
        for token in 1...20 {
            #expect(bench.words.count == token - 1)
            bench.commit(token)
        }
        #expect(bench.words == [UInt8](repeating: 0x06, count: 20) && bench.confirmed == Array(1...20))
    }

    @Test("R1 a damaged packet is kept as it came and asked for again, three times and no more")
    func r1_damaged() {
        var broken = NoninBench.record()
        broken[17] ^= 1
        var bench = NoninBench()
        bench.start()
        for token in 1...3 {
            bench.receive(broken)
            #expect(bench.stored.last?.frame.bytes == broken && bench.stored.last?.role == .unrecognized)
            #expect(bench.words.count == token - 1)
            bench.commit(token)
        }
        bench.receive(broken)
        #expect(bench.words == [0x15, 0x15, 0x15] && bench.stored.count == 3 && bench.confirmed == [])
        bench.receive(NoninBench.record())
        bench.commit(4)
        #expect(bench.words.last == 0x06 && bench.confirmed == [4])
    }

    @Test("R1 however the line cuts the bytes, the same is stored")
    func r1_anySplit() {
        let text = NoninBench.record(1) + NoninReply.acknowledged.encoded + NoninBench.record(2)
        for size in 1...text.count {
            var bench = NoninBench()
            bench.start()
            for start in stride(from: 0, to: text.count, by: size) {
                bench.receive(Array(text[start..<min(start + size, text.count)]))
            }
            #expect(bench.stored.map(\.frame.bytes) == [NoninBench.record(1), NoninBench.record(2)])
        }
    }

    @Test("R1 random bytes never trap and bring no word before a commit")
    func r1_randomBytes() {
        for _ in 0..<50 {
            var bench = NoninBench(isEnrolled: Bool.random())
            bench.start()
            for _ in 0..<40 {
                bench.receive(
                    (0..<Int.random(in: 0...60)).map { _ in [0, 2, 3, 6, 13, 14, .random(in: 0...255)].randomElement() ?? 0 })
                if Bool.random() { bench.receive(NoninBench.record()) }
                bench.pass(Int.random(in: 0...4_000))
                bench.take(bench.session.timer(at: bench.now))
            }
            #expect(bench.words == [] && bench.confirmed == [])
        }
    }

    // MARK: R3

    @Test("R3 a packet sent again before its word is one record to the store: the same projection")
    func r3_sentAgain() throws {
        var bench = NoninBench()
        bench.start()
        bench.receive(NoninBench.record())
        bench.loseLink()
        var again = NoninBench()
        again.start()
        var packet = try NoninSpotCheck(decoding: NoninBench.record())
        packet.status.insert(.fromMemory)
        again.receive(packet.encoded)
        let projections = try (bench.stored + again.stored).map {
            try #require(try FrameDecoder.measurement($0.frame.source, $0.frame.bytes)).projection
        }
        #expect(Set(projections).count == 1)
    }

    // MARK: R5

    @Test("R5 the clock is read before it is set, to local time")
    func r5_readBeforeWrite() {
        var bench = NoninBench()
        let before = bench.face
        bench.start()
        #expect(bench.commands == [.selectFormat(.df13), .readClock, .setClock(noon), .readSerialNumber])
        let known = bench.log.firstIndex(of: .action(.clockRead(device: before, at: bench.now)))
        let set = bench.log.firstIndex(of: .command(.setClock(noon)))
        #expect(known != nil && set != nil && (known ?? 0) < (set ?? 0))
        #expect(bench.actions.contains(.clockSet(before: before, after: noon, at: bench.now)))
    }

    @Test("R5 a clock that is right is left alone, unless the model wants it set", arguments: [false, true])
    func r5_rightClock(_ everyConnect: Bool) {
        var bench = NoninBench(NoninBench.model(everyConnect: everyConnect))
        bench.face = LocalDateTime(year: 2026, month: 11, day: 21, hour: 12, minute: 0, second: 59)
        bench.start()
        #expect(bench.commands.contains(.setClock(noon)) == everyConnect)
        #expect(
            bench.actions.contains(
                .clockRead(device: LocalDateTime(year: 2026, month: 11, day: 21, hour: 12, minute: 0, second: 59), at: bench.now))
        )
    }

    @Test("R5 an unsynchronised hub never sets a clock", arguments: [true, false])
    func r5_unsynchronisedHubNeverWrites(_ everyConnect: Bool) {
        var told = NoninBench(NoninBench.model(everyConnect: everyConnect), mayWriteClock: false)
        told.start()
        var seen = NoninBench(NoninBench.model(everyConnect: everyConnect))
        seen.now = reading(0, synchronised: false)
        seen.start()
        for bench in [told, seen] {
            #expect(!bench.commands.contains { if case .setClock = $0 { true } else { false } })
            #expect(bench.notes.contains(.clockNotSetUnsynchronised))
            #expect(bench.commands.last == .readSerialNumber)
        }
    }

    @Test("R5 a face that is no time is told as unset, and set right")
    func r5_unsetFace() {
        var bench = NoninBench()
        bench.face = LocalDateTime(year: 2000, month: 0, day: 0, hour: 0, minute: 0, second: 0)
        bench.start()
        #expect(bench.actions.contains(.clockRead(device: nil, at: bench.now)))
        #expect(bench.actions.contains(.clockSet(before: nil, after: noon, at: bench.now)))
    }

    @Test("R5 a setting without an answer is believed when the face shows it, and not otherwise", arguments: [true, false])
    func r5_settingUnanswered(_ isSet: Bool) {
        var bench = NoninBench()
        bench.setsInSilence = true
        let before = bench.face
        bench.start()
        if !isSet { bench.face = before }
        bench.sleep()
        #expect(bench.now == reading(3_000))
        #expect(bench.commands == [.selectFormat(.df13), .readClock, .setClock(noon), .readClock, .readSerialNumber])
        #expect(bench.notes.first == .serial(.clockWrite, .unanswered))
        // The moment of the setting, not of the look at it.
        #expect(bench.actions.contains(.clockSet(before: before, after: noon, at: reading(0))) == isSet)
    }

    // MARK: Who it is

    @Test("A new device is asked who it is before anything else, and its records wait for its key")
    func enrolment() {
        var bench = NoninBench(isEnrolled: false)
        bench.start()
        #expect(bench.commands == [.readSerialNumber])
        #expect(
            bench.identities == [
                DeviceIdentity(
                    manufacturer: "Nonin Medical, Inc.", modelNumber: "9560", serialNumber: "501493200",
                    address: "00:1C:05:00:00:01")
            ])
        bench.receive(NoninBench.record())
        #expect(bench.stored.isEmpty)
        bench.enrol()
        #expect(bench.stored.map(\.frame.bytes) == [NoninBench.record()])
        #expect(bench.commands == [.readSerialNumber, .selectFormat(.df13), .readClock, .setClock(noon)])
        bench.commit(1)
        #expect(bench.words == [0x06])
    }

    @Test("A device that refuses its serial number is known by the address")
    func withoutSerialNumber() {
        var bench = NoninBench(isEnrolled: false)
        bench.refuses = [0x74]
        bench.start()
        #expect(bench.identities.map(\.serialNumber) == [nil] && bench.identities.first?.address == "00:1C:05:00:00:01")
        #expect(bench.notes == [.serial(.serialNumber, .refused)])
    }

    @Test("One that does not answer is asked twice")
    func silentSerialNumber() {
        var bench = NoninBench(isEnrolled: false)
        bench.serial = nil
        bench.start()
        bench.sleep()
        #expect(bench.commands == [.readSerialNumber, .readSerialNumber] && bench.identities.isEmpty)
        bench.serial = "501493200"
        bench.receive(NoninReply.serialNumber("501493200").encoded)
        #expect(bench.identities.map(\.serialNumber) == ["501493200"])
    }

    @Test("A device that floods before it is known is left")
    func flood() {
        var bench = NoninBench(isEnrolled: false)
        bench.start()
        for _ in 0...NoninSerialSession.longestWait { bench.receive(NoninBench.record()) }
        #expect(bench.outcome?.reason == .protocolError(.flood))
    }

    // MARK: Steps

    @Test("The steps come in the model's order, and those that do not exist here are passed over")
    func order() {
        var bench = NoninBench(NoninBench.model(steps: [.battery, .identity, .records, .subscribe]))
        bench.start()
        #expect(bench.commands == [.readSerialNumber, .selectFormat(.df13)])
    }

    @Test("A record between a command and its answer is taken")
    func interleaved() {
        var bench = NoninBench()
        bench.ignores = [0x70]
        bench.start()
        bench.receive(NoninBench.record())
        bench.commit(1)
        #expect(bench.words == [0x06] && bench.commands == [.selectFormat(.df13)])
        bench.receive(NoninReply.acknowledged.encoded)
        #expect(bench.commands.count == 4)
    }

    @Test("Steps that fail or are not answered never end the transfer", arguments: [0x70, 0x72, 0x74] as [UInt8], [true, false])
    func failures(_ code: UInt8, _ refuses: Bool) {
        var bench = NoninBench()
        if refuses { bench.refuses = [code] } else { bench.ignores = [code] }
        bench.start()
        if !refuses { bench.sleep() }
        #expect(bench.outcome == nil && bench.identities.count == 1)
        #expect(bench.notes.contains { if case .serial(_, refuses ? .refused : .unanswered) = $0 { true } else { false } })
        bench.receive(NoninBench.record())
        bench.commit(1)
        #expect(bench.confirmed == [1])
    }

    @Test("An answer that fits no command answers nothing")
    func strayAnswers() {
        var bench = NoninBench()
        bench.ignores = [0x70]
        bench.start()
        bench.receive(NoninReply.serialNumber("1").encoded + NoninReply.clock(noon).encoded)
        #expect(bench.commands == [.selectFormat(.df13)] && bench.identities.isEmpty)
    }

    @Test("A stream in another format is noted once, and is no activity")
    func otherFormat() {
        var bench = NoninBench()
        bench.start()
        for _ in 0..<130 {
            bench.receive([0x80, 0x3C, 0x61, 0x20])
            bench.pass(1_000)
            bench.take(bench.session.timer(at: bench.now))
        }
        #expect(bench.notes.filter { if case .noise = $0 { true } else { false } } == [.noise(bytes: 4)])
        #expect(bench.outcome == SessionOutcome(readings: 0, reason: .quiet))
    }

    // MARK: Ends

    @Test("A device that hangs up after its records ends in order, one that says nothing without a reading")
    func peerEnds() {
        var told = NoninBench()
        told.start()
        told.receive(NoninBench.record())
        told.commit(1)
        told.loseLink()
        #expect(told.outcome == SessionOutcome(readings: 1, reason: .peerEnded))
        #expect(told.actions.contains(.transferEnded))

        var silent = NoninBench()
        silent.start()
        silent.loseLink()
        #expect(silent.outcome == SessionOutcome(readings: 0, reason: .peerEnded))
        #expect(!silent.actions.contains(.transferEnded))
    }

    @Test("Quiet ends the transfer, and the link where the hub hangs up", arguments: [Model.Session.Side.device, .hub])
    func quiet(_ side: Model.Session.Side) {
        var bench = NoninBench(NoninBench.model(disconnects: side))
        bench.start()
        bench.receive(NoninBench.record())
        bench.pass(10_000)
        // The device waits for us: that is no quiet.
        bench.take(bench.session.timer(at: bench.now))
        #expect(!bench.actions.contains(.transferEnded))
        bench.commit(1)
        bench.sleep()
        #expect(bench.now == reading(12_000))
        #expect(bench.actions.contains(.transferEnded))
        #expect(bench.outcome == (side == .hub ? SessionOutcome(readings: 1, reason: .quiet) : nil))
        bench.sleep()
        #expect(bench.outcome == SessionOutcome(readings: 1, reason: .quiet))
    }

    @Test("The model's driver decides which session it is")
    func factory() {
        let facts = SessionFacts(isEnrolled: true, mayWriteClock: true)
        #expect(makeSession(model: NoninBench.model(), facts: facts) is NoninSerialSession)
        #expect(makeSession(model: SessionBench.cuff(), facts: facts) is DeviceSession)
    }
}
