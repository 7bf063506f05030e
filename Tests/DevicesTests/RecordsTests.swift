import Catalogue
import Protocols
import Testing
import Vitals

@testable import Devices

/// Stored records by the Record Access Control Point, and streams.
@Suite struct RecordsTests {
    /// 97 %, 61/min, fully qualified.
    static func spot(_ minute: UInt8) -> [UInt8] {
        [0x03, 0x61, 0x00, 0x3D, 0x00, 0xEA, 0x07, 0x0B, 0x15, 0x0C, minute, 0x00, 0x00, 0x01]
    }
    static let success = ATTPDU.indication(handle: 38, value: [0x06, 0x00, 0x01, 0x01])

    @Test("Data and control point are subscribed to before the request; the answer is confirmed when all is committed")
    func report() throws {
        var bench = SessionBench(SessionBench.oximeter())
        bench.start()
        let data = try #require(bench.index(of: .subscribed(0x2A5E)))
        let point = try #require(bench.index(of: .subscribed(0x2A52)))
        let request = try #require(bench.index(of: .wrote(0x2A52, [0x01, 0x01])))
        #expect(data < point && point < request)
        // Identity and battery wait for the records.
        #expect(bench.index(of: .read(0x2A19)) == nil)
        bench.receive(.indication(handle: 32, value: Self.spot(1)))
        bench.commit(1)
        bench.receive(.indication(handle: 32, value: Self.spot(2)))
        bench.receive(Self.success)
        #expect(bench.confirmations == 1)
        bench.commit(2)
        #expect(bench.confirmations == 2)
        #expect(bench.notes.contains(.records(.success)))
        #expect(bench.actions.contains(.transferEnded))
        #expect(bench.actions.contains(.battery(66)))
        #expect(bench.stored.map(\.role) == [.result, .result])
        // Nothing is deleted by default.
        #expect(!bench.log.contains(.wrote(0x2A52, [0x02, 0x01])))
        bench.sleep()
        #expect(bench.outcome == SessionOutcome(readings: 2, reason: .quiet))
    }

    @Test("No records is no error", arguments: [UInt8(0x06), 0x02, 0x0A])
    func noRecords(_ code: UInt8) {
        var bench = SessionBench(SessionBench.oximeter())
        bench.start()
        bench.receive(.indication(handle: 38, value: [0x06, 0x00, 0x01, code]))
        #expect(bench.confirmations == 1)
        #expect(bench.actions.contains(.battery(66)))
        bench.sleep()
        #expect(bench.outcome == SessionOutcome(readings: 0, reason: .quiet))
    }

    @Test("30 s without a record end the procedure, and each record begins them anew")
    func recordsTimeout() {
        var bench = SessionBench(SessionBench.oximeter())
        bench.start()
        bench.pass(29_000)
        bench.receive(.indication(handle: 32, value: Self.spot(1)))
        bench.commit(1)
        bench.sleep()
        #expect(bench.now == reading(59_000))
        #expect(bench.notes.contains(.recordsTimedOut))
        #expect(bench.actions.contains(.battery(66)))
    }

    @Test("A refused request goes on with the rest")
    func refusedRequest() {
        var bench = SessionBench(SessionBench.oximeter())
        bench.refusals[38] = .cccdImproperlyConfigured
        bench.start()
        #expect(bench.notes.contains(.failed(.records, .refused(.cccdImproperlyConfigured, handle: 38))))
        #expect(bench.actions.contains(.battery(66)))
    }

    @Test("R1 deleting is the word only where the model says so, after every commit and for that many records")
    func r1_deleteAfterCommit() {
        var bench = SessionBench(SessionBench.oximeter(acknowledges: .command))
        bench.start()
        bench.receive(.indication(handle: 32, value: Self.spot(1)))
        bench.receive(Self.success)
        #expect(!bench.log.contains(.wrote(0x2A52, [0x04, 0x01])))
        bench.commit(1)
        #expect(bench.log.contains(.wrote(0x2A52, [0x04, 0x01])))
        #expect(!bench.log.contains(.wrote(0x2A52, [0x02, 0x01])))
        bench.receive(.indication(handle: 38, value: [0x05, 0x00, 0x01, 0x00]))
        #expect(bench.log.contains(.wrote(0x2A52, [0x02, 0x01])))
        #expect(!bench.actions.contains(.confirmed(FrameToken(rawValue: 1))))
        bench.receive(.indication(handle: 38, value: [0x06, 0x00, 0x02, 0x01]))
        #expect(bench.actions.contains(.confirmed(FrameToken(rawValue: 1))))
    }

    @Test("R1 another number of records in the device than received: nothing is deleted")
    func r1_deleteWithheld() {
        var bench = SessionBench(SessionBench.oximeter(acknowledges: .command))
        bench.start()
        bench.receive(.indication(handle: 32, value: Self.spot(1)))
        bench.commit(1)
        bench.receive(Self.success)
        bench.receive(.indication(handle: 38, value: [0x05, 0x00, 0x02, 0x00]))
        #expect(bench.notes.contains(.deleteWithheld))
        #expect(!bench.log.contains(.wrote(0x2A52, [0x02, 0x01])))
        bench.loseLink()
        #expect(!bench.actions.contains(.confirmed(FrameToken(rawValue: 1))))
    }

    // MARK: Streams

    private func sample(_ status: UInt16, _ spo2: UInt8 = 97) -> ATTPDU {
        .notification(handle: 35, value: [0x04, spo2, 0x00, 0x3D, 0x00, UInt8(status & 0xFF), UInt8(status >> 8)])
    }
    private func streams(_ bench: SessionBench) -> [StreamReading] {
        bench.actions.compactMap { if case .storeStream(_, let reading) = $0 { reading } else { nil } }
    }

    @Test("A stream is one reading when it falls silent")
    func silence() {
        var bench = SessionBench(SessionBench.oximeter(records: .none))
        bench.start()
        for _ in 0..<12 {
            bench.receive(sample(0x20))
            bench.pass(1_000)
        }
        #expect(bench.stored.isEmpty)
        bench.take(bench.session.timer(at: bench.now))
        bench.pass(1_000)
        bench.take(bench.session.timer(at: bench.now))
        #expect(streams(bench).map(\.isDerived) == [true])
        #expect(bench.outcome == nil)
        bench.commit(1)
        #expect(bench.confirmations == 0)
        #expect(bench.outcome == SessionOutcome(readings: 1, reason: .quiet))
    }

    @Test("A stream is one reading when the finger leaves or the link breaks")
    func fingerOutAndLinkEnd() {
        var out = SessionBench(SessionBench.oximeter(records: .none))
        out.start()
        out.receive(sample(0x100))
        out.receive(.notification(handle: 35, value: [0x0C, 0xFF, 0x07, 0xFF, 0x07, 0x00, 0x20, 0x00, 0x08, 0x00]))
        #expect(streams(out).first?.measurement?[.spo2]?.value == .number(97))

        var broken = SessionBench(SessionBench.oximeter(records: .none))
        broken.start()
        broken.receive(sample(0x100, 95))
        broken.loseLink()
        #expect(streams(broken).count == 1)
        #expect(broken.outcome?.readings == 1)
    }

    @Test("The answer of the control point ends the records, not a stream beside them")
    func streamBesideRecords() {
        var bench = SessionBench(SessionBench.oximeter())
        bench.start()
        bench.receive(sample(0x20))
        bench.receive(.indication(handle: 32, value: Self.spot(1)))
        bench.commit(1)
        bench.receive(Self.success)
        #expect(bench.actions.count { $0 == .transferEnded } == 1)
        #expect(streams(bench).isEmpty)
        bench.receive(sample(0x100))
        bench.loseLink()
        #expect(streams(bench).count == 1)
        #expect(bench.actions.count { $0 == .transferEnded } == 2)
        #expect(bench.outcome?.readings == 2)
    }

    @Test("A stream without a usable value is kept and no reading")
    func noValue() {
        var bench = SessionBench(SessionBench.oximeter(records: .none))
        bench.start()
        for _ in 0..<3 { bench.receive(sample(0x8020)) }
        bench.loseLink()
        #expect(streams(bench).first?.measurement == nil)
        #expect(streams(bench).first?.frames.count == 3)
        #expect(bench.outcome?.isWithoutReading == true)
    }
}
