import Catalogue
import Protocols
import Testing
import Vitals

@testable import Devices

@Suite struct DeviceSessionTests {
    // MARK: R1

    @Test("R1 no confirmation leaves before the frame is committed")
    func r1_confirmationAfterCommit() {
        var bench = SessionBench(SessionBench.cuff())
        bench.start()
        bench.receive(.indication(handle: 12, value: SessionBench.record))
        #expect(bench.stored.map(\.role) == [.result])
        #expect(bench.stored.first?.frame.source == .gatt(characteristic: 0x2A35, handle: 12))
        #expect(bench.stored.first?.frame.bytes == SessionBench.record)
        bench.pass(20_000)
        bench.take(bench.session.timer(at: bench.now))
        #expect(bench.confirmations == 0)
        bench.commit(1)
        #expect(bench.confirmations == 1)
        #expect(bench.log.last == .action(.confirmed(FrameToken(rawValue: 1))))
        bench.commit(1)
        #expect(bench.confirmations == 1)
    }

    @Test("R1 a refused commit withholds the word and ends the link")
    func r1_refusedCommit() {
        var bench = SessionBench(SessionBench.cuff())
        bench.start()
        bench.receive(.indication(handle: 12, value: SessionBench.record))
        bench.refuse(1)
        #expect(bench.outcome == SessionOutcome(readings: 1, reason: .refused))
        bench.commit(1)
        bench.loseLink()
        #expect(bench.confirmations == 0)
        #expect(!bench.actions.contains(.confirmed(FrameToken(rawValue: 1))))
    }

    @Test("R1 where the end of the link is the word, a refused commit closes nothing and is tried again")
    func r1_disconnectIsTheWord() {
        var bench = SessionBench(SessionBench.cuff(acknowledges: .disconnect, disconnects: .hub))
        bench.start()
        bench.receive(.notification(handle: 12, value: SessionBench.record))
        bench.refuse(1)
        bench.pass(60_000)
        bench.take(bench.session.timer(at: bench.now))
        #expect(bench.outcome == nil)
        bench.commit(1)
        bench.sleep()
        #expect(bench.outcome == SessionOutcome(readings: 1, reason: .quiet))
        #expect(!bench.actions.contains(.confirmed(FrameToken(rawValue: 1))))
        bench.loseLink()
        #expect(bench.log.last == .action(.confirmed(FrameToken(rawValue: 1))))
    }

    @Test("R1 an indication repeated before its confirmation is stored once and confirmed once")
    func r1_repeatedOnTheSameLink() {
        var bench = SessionBench(SessionBench.cuff())
        bench.start()
        bench.receive(.indication(handle: 12, value: SessionBench.record))
        bench.pass(30_000)
        bench.receive(.indication(handle: 12, value: SessionBench.record))
        #expect(bench.stored.count == 1)
        #expect(bench.notes.contains(.repeated(FrameToken(rawValue: 1))))
        bench.commit(1)
        #expect(bench.confirmations == 1)
        // After the confirmation an equal record is another one.
        bench.receive(.indication(handle: 12, value: SessionBench.record))
        #expect(bench.stored.count == 2)
    }

    @Test("R1 a link lost before the commit gives no word")
    func r1_linkLostBeforeCommit() {
        var bench = SessionBench(SessionBench.cuff())
        bench.start()
        bench.receive(.indication(handle: 12, value: SessionBench.record))
        bench.loseLink()
        #expect(bench.outcome == SessionOutcome(readings: 1, reason: .linkLost))
        bench.commit(1)
        #expect(bench.confirmations == 0)
        #expect(!bench.actions.contains(.confirmed(FrameToken(rawValue: 1))))
    }

    // MARK: R5

    @Test("R5 the clock is read before it is written, with local time")
    func r5_readBeforeWrite() throws {
        var bench = SessionBench(SessionBench.cuff(everyConnect: true))
        bench.start()
        let before = LocalDateTime(year: 2026, month: 11, day: 21, hour: 12, minute: 0, second: 5)
        let after = LocalDateTime(year: 2026, month: 11, day: 21, hour: 12, minute: 0, second: 0)
        // Saturday is day 6; the reason is an external reference.
        let value: [UInt8] = [0xEA, 0x07, 11, 21, 12, 0, 0, 6, 0, 2]
        let read = try #require(bench.index(of: .read(0x2A2B)))
        let wrote = try #require(bench.index(of: .wrote(0x2A2B, value)))
        let known = try #require(bench.index(of: .action(.clockRead(device: before, at: bench.now))))
        #expect(read < known && known < wrote)
        #expect(bench.actions.contains(.clockSet(before: before, after: after, at: bench.now)))
    }

    @Test("R5 an unsynchronised hub never writes a clock", arguments: [true, false])
    func r5_unsynchronisedHubNeverWrites(_ everyConnect: Bool) {
        var bench = SessionBench(SessionBench.cuff(everyConnect: everyConnect), mayWriteClock: false)
        bench.clock = [UInt8](repeating: 0, count: 10)
        bench.start()
        #expect(!bench.log.contains { if case .wrote(0x2A2B, _) = $0 { true } else { false } })
        #expect(bench.notes.contains(.clockNotSetUnsynchronised))
        #expect(bench.actions.contains(.clockRead(device: nil, at: bench.now)))

        var later = SessionBench(SessionBench.cuff(everyConnect: everyConnect))
        later.now = reading(0, synchronised: false)
        later.clock = [UInt8](repeating: 0, count: 10)
        later.start()
        #expect(!later.log.contains { if case .wrote(0x2A2B, _) = $0 { true } else { false } })
    }

    @Test(
        "R5 a face within a minute is left alone, a wrong or unset one is set",
        arguments: [
            (LocalDateTime(year: 2026, month: 11, day: 21, hour: 12, minute: 1, second: 0), false),
            (LocalDateTime(year: 2026, month: 11, day: 21, hour: 12, minute: 1, second: 1), true),
            (LocalDateTime(year: 2026, month: 11, day: 21, hour: 11, minute: 58, second: 59), true),
            (LocalDateTime(year: 2046, month: 11, day: 21, hour: 12, minute: 0, second: 0), true),
            (LocalDateTime(year: 0, month: 0, day: 0, hour: 0, minute: 0, second: 0), true),
        ])
    func r5_tolerance(_ face: LocalDateTime, _ isSet: Bool) {
        var bench = SessionBench(SessionBench.cuff())
        bench.clock = CurrentTime(setting: face).encoded
        bench.start()
        #expect(bench.log.contains { if case .wrote(0x2A2B, _) = $0 { true } else { false } } == isSet)
        #expect(bench.actions.contains(.clockRead(device: face.isValid ? face : nil, at: bench.now)))
    }

    @Test("R5 error 0x80 on the write is a success, another ends nothing")
    func r5_clockErrors() {
        var ignored = SessionBench(SessionBench.cuff(everyConnect: true))
        ignored.refusals[52] = nil
        ignored.start()
        #expect(ignored.actions.contains { if case .clockSet = $0 { true } else { false } })

        for (code, isSet) in [(ATTErrorCode.dataFieldIgnored, true), (.writeNotPermitted, false)] {
            var model = SessionBench.cuff(everyConnect: true)
            model.clock.read = nil
            var bench = SessionBench(model)
            bench.refusals[52] = code
            bench.start()
            #expect(bench.actions.contains { if case .clockSet = $0 { true } else { false } } == isSet)
            #expect(bench.actions.contains(.battery(66)))
            #expect(bench.outcome == nil)
        }
    }

    // MARK: Order

    @Test("A device without a key says who it is first, and is subscribed to when it has one")
    func unknownDevice() throws {
        var bench = SessionBench(SessionBench.cuff(), isEnrolled: false, map: nil)
        bench.start()
        let identity = DeviceIdentity(manufacturer: "Maker", serialNumber: "S-1", systemID: [1, 2, 3, 4, 5, 6, 7, 8])
        #expect(bench.log.last == .action(.identity(identity)))
        #expect(bench.actions.contains(.handleMap(SessionBench.map.bytes)))
        #expect(!bench.log.contains { if case .subscribed = $0 { true } else { false } })
        // What it sends meanwhile waits, unconfirmed, and keeps the time at which it came.
        bench.receive(.indication(handle: 12, value: SessionBench.record))
        let arrived = bench.now
        #expect(bench.stored.isEmpty)
        bench.pass(400)
        bench.enrol()
        #expect(bench.stored.first?.frame.received == arrived)
        #expect(bench.index(of: .subscribed(0x2A35)) != nil)
        // Its identity is not read twice.
        #expect(bench.log.count { $0 == .read(0x2A29) } == 1)
        bench.commit(1)
        #expect(bench.confirmations == 1)
    }

    @Test("With a kept handle map an indication is understood before anything was asked")
    func indicationBeforeDiscovery() {
        var bench = SessionBench(SessionBench.cuff(settle: 500))
        bench.start()
        #expect(bench.log.isEmpty)
        bench.receive(.indication(handle: 12, value: SessionBench.record))
        #expect(bench.stored.count == 1)
        bench.commit(1)
        #expect(bench.confirmations == 1)
        bench.sleep()
        #expect(!bench.actions.contains { if case .handleMap = $0 { true } else { false } })
        #expect(bench.index(of: .subscribed(0x2A35)) != nil)
    }

    @Test("An MTU that was asked for before the link was encrypted is not asked for again, whenever its answer comes")
    func mtuAskedBefore() {
        var bench = SessionBench(SessionBench.cuff(settle: 500), hasAskedMTU: true)
        bench.start()
        // What a bonded device sends at once does not wait for the answer.
        bench.receive(.indication(handle: 12, value: SessionBench.record))
        #expect(bench.stored.count == 1)
        #expect(bench.index(of: .subscribed(0x2A35)) == nil)
        bench.pass(100)
        bench.receive(.mtuResponse(65))
        #expect(bench.actions.contains(.note(.mtu(65))))
        #expect(bench.index(of: .subscribed(0x2A35)) == nil, "the model wants its pause before the next request")
        bench.sleep()
        #expect(bench.index(of: .subscribed(0x2A35)) != nil)
        #expect(bench.mtuRequests == 0)
    }

    @Test("A device that refuses the MTU request made before the session is asked no more for it, and goes on")
    func mtuRefusedBefore() {
        var bench = SessionBench(SessionBench.cuff(), hasAskedMTU: true)
        bench.start()
        bench.receive(.errorResponse(request: ATTPDU.Opcode.mtuRequest.rawValue, handle: 0, code: .requestNotSupported))
        #expect(bench.index(of: .subscribed(0x2A35)) != nil)
        #expect(bench.mtuRequests == 0)
    }

    @Test("A device that never answers the MTU request made before the session ends the link as any silent one")
    func mtuNeverAnsweredBefore() {
        var bench = SessionBench(SessionBench.cuff(), hasAskedMTU: true)
        bench.start()
        bench.sleep()
        #expect(bench.outcome?.reason == .timeout)
    }

    @Test(
        "The steps follow the model",
        arguments: [
            ([.subscribe, .clock, .battery], [.subscribed(0x2A35), .read(0x2A2B), .read(0x2A19)]),
            ([.battery, .clock, .subscribe], [.read(0x2A19), .read(0x2A2B), .subscribed(0x2A35)]),
        ] as [([Model.Session.Step], [SessionBench.Event])])
    func order(_ steps: [Model.Session.Step], _ expected: [SessionBench.Event]) {
        var bench = SessionBench(SessionBench.cuff(steps: steps))
        bench.start()
        let positions = expected.compactMap { bench.index(of: $0) }
        #expect(positions.count == expected.count)
        #expect(positions == positions.sorted())
    }

    @Test("A stale handle map is found anew, once, and the steps go on")
    func staleMap() {
        var stale = SessionBench.map
        for index in stale.services[1].characteristics.indices { stale.services[1].characteristics[index].configuration = 200 }
        var bench = SessionBench(SessionBench.cuff(), map: stale)
        bench.start()
        #expect(bench.notes.contains(.handleMapStale(.handleUnknown)))
        #expect(bench.actions.contains(.handleMap([])))
        #expect(bench.actions.contains(.handleMap(SessionBench.map.bytes)))
        #expect(bench.index(of: .subscribed(0x2A35)) != nil)
        #expect(bench.actions.contains(.battery(66)))
    }

    @Test("Service Changed is confirmed, and discovery comes again")
    func serviceChanged() {
        var bench = SessionBench(SessionBench.cuff())
        bench.start()
        bench.receive(.indication(handle: 3, value: [1, 0, 0xFF, 0xFF]))
        #expect(bench.confirmations == 1)
        #expect(bench.notes.contains(.handleMapStale(.serviceChanged)))
        #expect(bench.log.count { $0 == .subscribed(0x2A35) } == 2)
    }

    @Test("Unreadable kept bytes are no map")
    func unreadableMap() {
        var bench = SessionBench(SessionBench.cuff(), map: nil)
        bench.session = DeviceSession(
            model: SessionBench.cuff(), facts: SessionFacts(isEnrolled: true, handleMap: [9, 9], mayWriteClock: true))
        bench.start()
        #expect(bench.notes.first == .handleMapStale(.unreadable))
        #expect(bench.actions.contains(.handleMap(SessionBench.map.bytes)))
    }

    @Test("A failing step never ends the transfer", arguments: [52, 82, 62, 16, 4] as [UInt16])
    func failures(_ handle: UInt16) {
        var bench = SessionBench(SessionBench.cuff())
        bench.refusals[handle] = .unlikelyError
        bench.start()
        #expect(bench.outcome == nil)
        #expect(bench.notes.contains { if case .failed = $0 { true } else { false } })
        bench.receive(.indication(handle: 12, value: SessionBench.record))
        bench.commit(1)
        #expect(bench.confirmations == 1)
    }

    @Test("A device that lets nobody subscribe has lost its bond")
    func insecure() {
        var bench = SessionBench(SessionBench.cuff())
        bench.refusals[13] = .insufficientAuthentication
        bench.start()
        #expect(bench.outcome == SessionOutcome(readings: 0, reason: .protocolError(.insecure(.insufficientAuthentication))))
    }

    @Test("An unanswered request ends the link after 30 s")
    func timeout() {
        var bench = SessionBench(SessionBench.cuff())
        bench.isMute = true
        bench.start()
        bench.sleep()
        #expect(bench.outcome == SessionOutcome(readings: 0, reason: .timeout))
        #expect(bench.now == reading(30_000))
    }

    @Test("Vendor commands are the model's and nothing else")
    func commands() {
        let command = Model.Session.Command(characteristic: "2a2b", bytes: [2, 0, 0xE1])
        let absent = Model.Session.Command(characteristic: "233bf001-5a34-1b6d-975c-000d5690abe4", bytes: [1])
        var bench = SessionBench(SessionBench.cuff(steps: [.commands, .subscribe], commands: [absent, command]))
        bench.start()
        #expect(bench.index(of: .wrote(0x2A2B, [2, 0, 0xE1])) != nil)
        #expect(bench.notes.contains { if case .absent = $0 { true } else { false } })
        #expect(bench.index(of: .subscribed(0x2A35)) != nil)
    }

    // MARK: Ends

    @Test("A device that hangs up after its records ends in order, one that says nothing without a reading")
    func peerEnds() {
        var told = SessionBench(SessionBench.cuff())
        told.start()
        told.receive(.indication(handle: 12, value: SessionBench.record))
        told.commit(1)
        told.loseLink()
        #expect(told.outcome == SessionOutcome(readings: 1, reason: .peerEnded))
        #expect(told.actions.contains(.transferEnded))

        var silent = SessionBench(SessionBench.cuff())
        silent.start()
        silent.loseLink()
        #expect(silent.outcome == SessionOutcome(readings: 0, reason: .peerEnded))
        #expect(silent.outcome?.isWithoutReading == true)
        #expect(!silent.actions.contains(.transferEnded))
    }

    @Test("Quiet ends the transfer, and the link where the hub hangs up", arguments: [Model.Session.Side.device, .hub])
    func quiet(_ side: Model.Session.Side) {
        var bench = SessionBench(SessionBench.cuff(disconnects: side))
        bench.start()
        bench.receive(.indication(handle: 12, value: SessionBench.record))
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

    @Test("Intermediate cuff pressure is kept and never a result")
    func intermediate() {
        var bench = SessionBench(SessionBench.cuff())
        bench.start()
        bench.receive(.notification(handle: 15, value: [0x00, 0x5A, 0x00, 0xFF, 0x07, 0xFF, 0x07]))
        #expect(bench.stored.map(\.role) == [.intermediate])
        bench.commit(1)
        bench.loseLink()
        #expect(bench.outcome?.isWithoutReading == true)
    }

    @Test("Bytes of an attribute that nobody knows are kept, and confirmed like the others")
    func unrecognized() {
        var bench = SessionBench(SessionBench.cuff())
        bench.start()
        bench.receive(.indication(handle: 0x7777, value: [1, 2, 3]))
        #expect(bench.stored.map(\.role) == [.unrecognized])
        #expect(bench.confirmations == 0)
        bench.commit(1)
        #expect(bench.confirmations == 1)
    }

    @Test("Garbage is noted and the reading is taken")
    func garbage() {
        var bench = SessionBench(SessionBench.cuff())
        bench.start()
        for bytes in [[0x21], [0xFF, 1], [0x20, 1], [0x1B], [0x1D, 1], [0x0B, 1], [0x1E], []] as [[UInt8]] {
            bench.receive(raw: bytes)
        }
        bench.receive(.indication(handle: 12, value: SessionBench.record))
        bench.commit(1)
        #expect(bench.confirmations == 1)
        #expect(bench.notes.count { if case .malformed = $0 { true } else { false } } == 8)
    }

    @Test("A device that floods before it is known is left")
    func flood() {
        var bench = SessionBench(SessionBench.cuff(), isEnrolled: false)
        bench.start()
        for _ in 0...DeviceSession.longestWait { bench.receive(.notification(handle: 15, value: [0])) }
        #expect(bench.outcome?.reason == .protocolError(.flood))
    }

    @Test("Random PDUs never trap and never bring a word before a commit")
    func r1_randomPDUs() {
        for _ in 0..<50 {
            var bench = SessionBench(Bool.random() ? SessionBench.cuff() : SessionBench.oximeter(), isEnrolled: Bool.random())
            bench.start()
            for _ in 0..<40 {
                let opcode = ATTPDU.Opcode.allCases.filter { $0 != .indication }.randomElement()?.rawValue ?? 0
                bench.receive(raw: [opcode] + (0..<Int.random(in: 0...20)).map { _ in UInt8.random(in: 0...60) })
                bench.receive(raw: [0x1D, 12, 0] + (0..<Int.random(in: 0...20)).map { _ in UInt8.random(in: 0...255) })
                bench.pass(Int.random(in: 0...9_000))
                bench.take(bench.session.timer(at: bench.now))
            }
            #expect(!bench.actions.contains { if case .confirmed = $0 { true } else { false } })
        }
    }
}
