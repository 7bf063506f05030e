import ExactJSON
import Steward
import Testing
import Vitals

@testable import Journal

@Suite("Items, dispatches, attempts and channels")
struct QueueTests {
    @Test("One item per receiver, reading, kind and target")
    func uniqueItems() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let act = try tx.sampleAct(1, try tx.fixture())
            func insert(_ kind: ItemRecord.Kind = .observation, receiver: String = "phd", target: String = "")
                throws(JournalError)
                -> ItemRecord?
            {
                try tx.insertItem(
                    act: act.id, reading: act.readings[0], kind: kind, receiver: receiver, channel: "c", target: target,
                    effective: at(1), created: at(2))
            }
            let item = try insert()
            #expect(item != nil)
            #expect(try insert() == nil)
            #expect(try insert(.correction) != nil)
            #expect(try insert(receiver: "fut") != nil)
            let targeted = try insert(target: "ServiceRequest/1")
            #expect(try insert(target: "ServiceRequest/1") == nil)
            #expect(try insert(target: "ServiceRequest/2") != nil)
            #expect(try tx.items(act: act.id).count == 5)
            #expect(try tx.item(id: item?.id ?? 0) == item)
            #expect(try tx.item(id: targeted?.id ?? 0)?.target == "ServiceRequest/1")
        }
        await journal.close()
    }

    @Test("A channel gives its acts by effective time, page by page, from either end")
    func queue() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            var acts: [ActRecord] = []
            for number in [5, 1, 4, 2, 3] {
                let act = try tx.sampleAct(number, fixture)
                try tx.sampleItems(act)
                acts.append(act)
            }
            let stranger = try tx.sampleAct(9, fixture)
            try tx.sampleItems(stranger, receiver: "fut", channel: "fut/patient-1")
            let expected = [1, 3, 4, 2, 0].map { acts[$0].id }

            let firstPage = try tx.nextActs(channel: "phd/patient-1", limit: 2)
            #expect(firstPage.map(\.act) == Array(expected[..<2]))
            #expect(try tx.nextActs(channel: "phd/patient-1", limit: 9, after: firstPage[1]).map(\.act) == Array(expected[2...]))
            let newest = try tx.nextActs(channel: "phd/patient-1", limit: 2, order: .newestFirst)
            #expect(newest.map(\.act) == Array(expected.reversed()[..<2]))
            #expect(
                try tx.nextActs(channel: "phd/patient-1", limit: 9, after: newest[1], order: .newestFirst).map(\.act)
                    == Array(expected.reversed()[2...]))
            #expect(try tx.nextActs(channel: "nobody", limit: 9).isEmpty)
            #expect(
                try tx.channels(receiver: "phd") == [ChannelWork(channel: "phd/patient-1", waiting: 10, oldest: at(1_000))])

            let oldest = try tx.waitingItems(act: expected[0], channel: "phd/patient-1")
            #expect(oldest.count == 2)
            try tx.setItem(oldest[0].id, state: .delivered, serverReference: "Observation/1/_history/1", at: at(77))
            try tx.setItem(oldest[1].id, state: .quarantined, reason: "unprocessable", serverFailures: 2)
            #expect(try tx.nextActs(channel: "phd/patient-1", limit: 1).map(\.act) == [expected[1]])
            #expect(try tx.channels(receiver: "phd").map(\.waiting) == [8])
            #expect(try tx.items(state: .delivered, limit: 9).map(\.serverReference) == ["Observation/1/_history/1"])
            #expect(try tx.items(state: .quarantined, receiver: "phd", limit: 9).map(\.reason) == ["unprocessable"])
            #expect(try tx.items(state: .quarantined, receiver: "fut", limit: 9).isEmpty)
            let waiting = try tx.items(state: .waiting, limit: 3)
            #expect(try tx.items(state: .waiting, after: waiting[2].id, limit: 99).count == 7)
            #expect(try tx.counts().items == ["phd": [.waiting: 8, .delivered: 1, .quarantined: 1], "fut": [.waiting: 2]])

            try tx.setItem(oldest[1].id, state: .waiting)
            let again = try tx.item(id: oldest[1].id)
            #expect(again?.reason == nil && again?.serverFailures == 2)
            try tx.setItem(oldest[1].id, channel: "phd/other")
            #expect(try tx.nextActs(channel: "phd/other", limit: 9).map(\.act) == [expected[0]])
            #expect(try tx.channels(receiver: "phd").map(\.waiting) == [8, 1])
        }
        await journal.close()
    }

    @Test("A dispatch is frozen: the same bytes come back until it is dropped")
    func dispatches() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let items = try tx.sampleItems(try tx.sampleAct(1, try tx.fixture()))
            let body = Array(0...255) as [UInt8]
            let dispatch = try tx.insertDispatch(
                receiver: "phd", channel: "c", method: "POST", url: "https://example.org/fhir",
                headers: [["Content-Type", "application/fhir+json"], ["Prefer", "return=minimal"]], body: body,
                entries: items.enumerated().map { DispatchRecord.Entry(item: $1.id, index: $0 + 3) }, memo: ["a": 7],
                created: at(1))
            #expect(try tx.dispatch(id: dispatch.id) == dispatch)
            #expect(try tx.openDispatch(item: items[1].id) == dispatch)
            try tx.updateMemo(["b": [1, 2]], dispatch: dispatch.id)
            #expect(try tx.dispatch(id: dispatch.id)?.memo == ["b": [1, 2]])
            try tx.dropDispatch(id: dispatch.id)
            #expect(try tx.openDispatch(item: items[1].id) == nil)
            #expect(try tx.dispatch(id: dispatch.id)?.body == body)

            let attempt = try tx.beginAttempt(dispatch: dispatch.id, receiver: "phd", at: clock(4))
            let discarded = try tx.beginAttempt(dispatch: dispatch.id, receiver: "phd", at: clock(5))
            #expect(try tx.openAttempts().map(\.id) == [attempt, discarded])
            try tx.discardAttempt(discarded)
            try tx.endAttempt(
                attempt, outcome: "answered", status: 422, durationMilliseconds: 31, detail: "OperationOutcome", at: at(50))
            #expect(try tx.openAttempts().isEmpty)
            let expected = AttemptRecord(
                id: attempt, dispatch: dispatch.id, receiver: "phd", started: clock(4), ended: at(50), outcome: "answered",
                status: 422,
                durationMilliseconds: 31, detail: "OperationOutcome")
            #expect(try tx.attempts(dispatch: dispatch.id) == [expected])
            #expect(try tx.attempts(item: items[0].id) == [expected])
        }
        await journal.close()
    }

    @Test("R6 a channel keeps why it is held and counts probes in one row")
    func r6_channels() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        var record = ChannelRecord(channel: "c", receiver: "phd", failures: 0)
        record.held = ChannelRecord.Hold(code: .signInNeeded, reason: "401 twice", since: at(8))
        record.failures = 4_000
        record.firstFailure = at(1)
        record.lastFailure = at(7)
        record.failureKind = "dns"
        let stored = record
        try await journal.write { tx in try tx.setChannel(stored) }
        #expect(try await journal.read { tx in try tx.heldChannels() } == [stored])
        #expect(try await journal.read { tx in try tx.channel("c") } == stored)
        record.held = nil
        let open = record
        try await journal.write { tx throws in
            try tx.setChannel(open)
            #expect(try tx.heldChannels().isEmpty)
            #expect(try tx.channelRecords() == [open])
            #expect(try tx.channel("unknown") == nil)
        }
        await journal.close()
    }

    @Test("A receiver's identifier belongs to the first reading that took it, at each receiver")
    func claims() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let first = SubjectID(rawValue: "00000000-0000-8000-8000-000000000001")
            let second = SubjectID(rawValue: "00000000-0000-8000-8000-000000000002")
            #expect(try tx.claim(receiver: "phd", identifier: "id", reading: first))
            #expect(try tx.claim(receiver: "phd", identifier: "id", reading: first))
            #expect(try !tx.claim(receiver: "phd", identifier: "id", reading: second))
            #expect(try tx.claim(receiver: "fut", identifier: "id", reading: second))
        }
        await journal.close()
    }
}
