import ExactJSON
import Steward
import Testing
import Vitals

@testable import Journal

@Suite("Identity, duplicates and retention")
struct RetentionTests {
    @Test("R3 an identity is unknown, then an act, then a tombstone for ever")
    func r3_tombstoneSurvivesPurge() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        let act = try await journal.write { tx throws in
            #expect(try tx.identityState(identity(1)) == .unknown)
            let act = try tx.sampleAct(1, try tx.fixture())
            #expect(try tx.identityState(identity(1)) == .act(act.id))
            #expect(try tx.identityState(identity(1, ordinal: 1)) == .unknown)
            #expect(tx.subject(of: identity(1)) == act.subject)
            return act
        }
        let twice = await journalError {
            try await journal.write { tx in try tx.sampleAct(1, Fixture(device: act.device, transfer: act.transfer)) }
        }
        guard case .constraint = twice else {
            Issue.record("stored twice: \(String(describing: twice))")
            return
        }
        try await journal.write { tx throws in
            // A later frame, so that this one is not the device's last.
            try tx.sampleAct(2, Fixture(device: act.device, transfer: act.transfer))
            try tx.purge(acts: [act.id], outcome: "delivered", at: at(9))
            #expect(try tx.act(id: act.id) == nil && tx.frame(id: act.frame) == nil)
        }
        await journal.close()
        let again = try await Journal.open(scratch.options())
        try await again.read { tx throws in
            #expect(try tx.identityState(identity(1)) == .tombstone)
            #expect(try tx.equalCount(base: identity(1).base) == 1)
            #expect(try tx.equalCount(base: identity(2).base) == 1)
            #expect(try tx.equalCount(base: identity(3).base) == 0)
        }
        await again.close()
    }

    @Test("R3 equal projections are counted within a transfer, repeats included, by the word")
    func r3_equalsInTransfer() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            let base = identity(1).base
            try tx.sampleAct(1, fixture)
            #expect(try tx.equalCount(base: base, inTransfer: fixture.transfer) == 1)
            let repeated = try tx.insertFrame(sampleFrame(1), device: fixture.device, transfer: fixture.transfer, word: .pending)
            try tx.recordSuppressed(frame: repeated, device: fixture.device, identity: identity(1), act: nil, at: at(1))
            #expect(try tx.equalCount(base: base, inTransfer: fixture.transfer) == 1)
            try tx.setWord(.sent, frame: repeated)
            #expect(try tx.equalCount(base: base, inTransfer: fixture.transfer) == 2)
            let next = try tx.beginTransfer(device: fixture.device, at: clock(9))
            #expect(try tx.equalCount(base: base, inTransfer: next) == 0)
            _ = try tx.insertFrame(sampleFrame(2), device: fixture.device, transfer: next, word: .none, base: base)
            #expect(try tx.equalCount(base: base, inTransfer: next) == 1)
        }
        await journal.close()
    }

    @Test("R3 suppressed duplicates are listed once with a count, and their frames go but for the device's last")
    func r3_suppressed() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            let act = try tx.sampleAct(1, fixture)
            var frames: [Int64] = []
            for number in 0..<3 {
                let frame = try tx.insertFrame(
                    sampleFrame(1, Int64(number)), device: fixture.device, transfer: fixture.transfer, word: .sent)
                try tx.recordSuppressed(
                    frame: frame, device: fixture.device, identity: act.identity, act: act.id, at: at(Int64(number)))
                frames.append(frame)
            }
            let record = SuppressedRecord(
                id: 1, device: fixture.device, act: act.id, frame: sampleFrame(1, 0), count: 3, first: at(0), last: at(2))
            #expect(try tx.suppressed(limit: 9) == [record])
            #expect(try tx.suppressed(id: 1) == record)
            try tx.dropRepeatedFrames(transfer: fixture.transfer)
            #expect(try tx.frame(id: act.frame) != nil)
            #expect(try tx.frame(id: frames[0]) == nil && tx.frame(id: frames[1]) == nil)
            #expect(try tx.lastFrame(device: fixture.device)?.id == frames[2])
            #expect(try tx.counts().frames == 2 && tx.counts().suppressed == 1)
            try tx.removeSuppressed(id: 1)
            #expect(try tx.suppressed(limit: 9).isEmpty && tx.counts().suppressed == 0)
        }
        await journal.close()
    }

    @Test("R9 only what was delivered long enough ago and is owed to nobody is purged, with all that belonged to it")
    func r9_retention() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        let kept = try await journal.write { tx in
            let fixture = try tx.fixture()
            var acts: [ActRecord] = []
            for number in 1...6 {
                let act = try tx.sampleAct(number, fixture)
                acts.append(act)
                guard number != 5 else { continue }
                let items = try tx.sampleItems(act)
                let dispatch = try tx.insertDispatch(
                    receiver: "phd", channel: "c", method: "POST", url: "u", headers: [], body: [1],
                    entries: items.map { DispatchRecord.Entry(item: $0.id, index: 0) }, memo: nil, created: at(1))
                let attempt = try tx.beginAttempt(dispatch: dispatch.id, receiver: "phd", at: clock(1))
                try tx.endAttempt(attempt, outcome: "answered", status: 200, durationMilliseconds: 1, detail: "d", at: at(2))
                for item in items { try tx.setItem(item.id, state: .delivered, at: at(Int64(number) * 10)) }
            }
            // 2: still owed. 3: delivered too late. 4: uncertain. 5: no items. 6: withdrawn everywhere.
            try tx.setItem(try tx.items(act: acts[1].id)[0].id, state: .waiting)
            try tx.setItem(try tx.items(act: acts[2].id)[1].id, state: .delivered, at: at(500))
            try tx.setItem(try tx.items(act: acts[3].id)[0].id, state: .uncertain)
            for item in try tx.items(act: acts[5].id) { try tx.setItem(item.id, state: .withdrawn, at: at(1)) }
            return acts.map(\.id)
        }
        let candidates = try await journal.read { tx in try tx.purgeCandidates(deliveredBefore: at(100), limit: 9) }
        #expect(candidates == [kept[0]])
        #expect(try await journal.purgeDelivered(before: at(100), limit: 99, at: at(1_000)) == 1)
        #expect(try await journal.purgeDelivered(before: at(100), limit: 99, at: at(1_000)) == 0)
        try await journal.read { tx throws in
            #expect(try tx.acts(limit: 99).map(\.id) == Array(kept[1...]))
            for table in ["item", "dispatch_entry"] { #expect(try tx.integer("SELECT count(*) FROM \(table)") == 8) }
            for table in ["dispatch", "attempt"] { #expect(try tx.integer("SELECT count(*) FROM \(table)") == 4) }
            #expect(try tx.integer("SELECT count(*) FROM reading") == 10)
            #expect(try tx.integer("SELECT count(*) FROM frame") == 5)
            #expect(try tx.integer("SELECT count(*) FROM tombstone") == 1)
        }
        await journal.close()
    }

    @Test("R9 attempt detail and empty transfers can be dropped; a request that may be sent again keeps its body")
    func r9_detail() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            var dispatches: [DispatchRecord] = []
            for number in 1...2 {
                let items = try tx.sampleItems(try tx.sampleAct(number, fixture))
                let dispatch = try tx.insertDispatch(
                    receiver: "phd", channel: "c", method: "POST", url: "u", headers: [], body: [1],
                    entries: items.map { DispatchRecord.Entry(item: $0.id, index: 0) }, memo: nil, created: at(1))
                let attempt = try tx.beginAttempt(dispatch: dispatch.id, receiver: "phd", at: clock(1))
                try tx.endAttempt(attempt, outcome: "answered", status: 503, durationMilliseconds: 1, detail: "d", at: at(2))
                if number == 1 { for item in items { try tx.setItem(item.id, state: .delivered, at: at(3)) } }
                dispatches.append(dispatch)
            }
            #expect(try tx.dropAttemptDetail(before: at(2), limit: 9) == 0)
            #expect(try tx.dropAttemptDetail(before: at(3), limit: 9) == 2)
            #expect(try tx.dispatch(id: dispatches[0].id)?.body == [])
            #expect(try tx.dispatch(id: dispatches[1].id)?.body == [1])
            #expect(try tx.attempts(dispatch: dispatches[0].id).map(\.status) == [503])
            #expect(try tx.attempts(dispatch: dispatches[0].id).map(\.detail) == [nil])

            let empty = try tx.beginTransfer(device: fixture.device, at: clock(1))
            try tx.endTransfer(empty, outcome: "nothing", at: clock(2))
            try tx.endTransfer(fixture.transfer, outcome: "complete", at: clock(2))
            // A clock that was read in it is log; what nobody understood is not.
            let read = try tx.insertFrame(sampleFrame(7), device: fixture.device, transfer: empty, word: .none)
            let strange = try tx.insertFrame(
                sampleFrame(8), device: fixture.device, transfer: fixture.transfer, word: .none, decodeError: "x")
            #expect(try tx.dropTransfers(before: at(3), limit: 9) == 2)
            #expect(try tx.frame(id: read) == nil && tx.frame(id: strange) != nil)
            #expect(try tx.lastTransfers(device: fixture.device, limit: 9).map(\.id) == [fixture.transfer])
        }
        await journal.close()
    }

    @Test("R9 a device's log keeps its newest entries, and no other device's are dropped for it")
    func r9_logIsBounded() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        let limit = Transaction.deviceLogLimit
        let (noisy, quiet) = try await journal.write { tx throws in
            (try tx.fixture(name: "noisy").device, try tx.fixture(name: "quiet").device)
        }
        @Sendable func entry(_ device: Int64, _ number: Int) -> DeviceLogEntry {
            DeviceLogEntry(device: device, kind: .frame, at: clock(Int64(number)), detail: "\(number)")
        }
        try await journal.write { tx in try tx.appendLog((0..<3).map { entry(quiet, $0) }) }
        // Two and a half logs, in batches of a link.
        for start in stride(from: 0, to: limit * 5 / 2, by: 250) {
            let batch = (start..<start + 250).map { entry(noisy, $0) }
            try await journal.write { tx throws in
                try tx.appendLog(batch)
                #expect(try tx.integer("SELECT count(*) FROM device_log WHERE device = ?", [noisy]) ?? 0 <= limit)
            }
        }
        try await journal.read { tx throws in
            let kept = try tx.log(device: noisy, limit: limit * 2)
            #expect(kept.map(\.detail) == (limit * 5 / 2 - limit..<limit * 5 / 2).map { "\($0)" })
            #expect(try tx.log(device: noisy, limit: 2).map(\.detail) == kept.suffix(2).map(\.detail))
            #expect(try tx.log(device: quiet, limit: 9) == (0..<3).map { entry(quiet, $0) })
        }
        // A single batch that is longer than a log.
        try await journal.write { tx throws in
            try tx.appendLog((0..<limit + 7).map { entry(quiet, $0) })
            #expect(try tx.log(device: quiet, limit: limit * 2).first?.detail == "7")
        }
        await journal.close()
    }

    @Test("An entry's time is told from the beginning of its link, and only within one")
    func timesInLink() {
        func entry(_ kind: DeviceLogEntry.Kind, _ milliseconds: Int64, boot: String = "boot-1") -> DeviceLogEntry {
            DeviceLogEntry(device: 1, kind: kind, at: clock(milliseconds, boot: boot))
        }
        func times(_ entries: DeviceLogEntry...) -> [Int64?] {
            DeviceLogEntry.timesInLink(of: entries).map { $0?.milliseconds }
        }
        #expect(
            times(
                entry(.frame, 1), entry(.disconnected, 2), entry(.found, 5), entry(.connected, 10), entry(.encrypted, 14),
                entry(.disconnected, 900), entry(.found, 950), entry(.connected, 1_000), entry(.frame, 1_250))
                == [nil, nil, nil, 0, 4, 890, nil, 0, 250])
        // A link whose end was not told, and a restart in the middle of one.
        #expect(times(entry(.connected, 10), entry(.connected, 40), entry(.encrypted, 50)) == [0, 0, 10])
        #expect(
            times(entry(.connected, 10), entry(.found, 3, boot: "boot-2"), entry(.connected, 4, boot: "boot-2")) == [0, nil, 0])
        #expect(times() == [])
    }

    @Test("R9 as the disk fills the oldest entries of the logs go, a piece at a time")
    func r9_logsAreDropped() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let (first, second) = (try tx.fixture(name: "a").device, try tx.fixture(name: "b").device)
            let kinds = DeviceLogEntry.Kind.allCases
            try tx.appendLog(kinds.map { DeviceLogEntry(device: first, kind: $0, at: clock(1)) })
            try tx.appendLog(kinds.map { DeviceLogEntry(device: second, kind: $0, at: clock(2, boot: "boot-2")) })
            #expect(try tx.log(device: first, limit: 99).map(\.kind) == kinds)
            #expect(try tx.dropDeviceLog(limit: kinds.count + 1) == kinds.count + 1)
            #expect(try tx.log(device: first, limit: 99) == [])
            let left = try tx.log(device: second, limit: 99)
            #expect(left.map(\.kind) == Array(kinds.dropFirst()))
            #expect(left.allSatisfy { $0.boot.rawValue == "boot-2" && $0.monotonic.milliseconds == 2 && $0.detail == nil })
            #expect(try tx.dropDeviceLog(limit: 1_000) == kinds.count - 1)
            #expect(try tx.dropDeviceLog(limit: 1_000) == 0)
            #expect(try tx.devices().count == 2)
        }
        await journal.close()
    }
}
