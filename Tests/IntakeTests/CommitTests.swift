import Devices
import Glibc
import Journal
import Simulator
import Steward
import Synchronization
import Testing
import Vitals

@testable import Intake

@Suite("R1 R2 commit, then confirm")
struct CommitTests {
    /// For each confirmation that leaves: how many records are committed at that moment.
    private func committedAtWords(_ home: Home, _ peripheral: SimulatedPeripheral) async throws -> [Int] {
        let committed = Mutex<[Int]>([])
        let journal = home.journal
        try await home.link(peripheral) { pdu in
            guard pdu == [0x1E] else { return true }
            let count = (try? await journal.read { tx in try tx.acts(limit: 100).count }) ?? -1
            committed.withLock { $0.append(count) }
            return true
        }
        return committed.withLock { $0 }
    }

    @Test("R1 each confirmation leaves after its record is committed")
    func r1_wordAfterCommit() async throws {
        try await Home.with { home in
            let committed = try await committedAtWords(home, home.peripheral(.cuffStored))
            #expect(committed == [1, 2, 3, 4, 5])
        }
    }

    @Test("R1 control: with the word before the commit the same look finds the gap")
    func r1_control() async throws {
        try await Home.with { home in
            var faulty = home
            faulty.confirmsBeforeCommit = true
            let committed = try await committedAtWords(faulty, home.peripheral(.cuffStored))
            #expect(committed.first == 0)
        }
    }

    @Test("R1 a slow commit delays the confirmation, and the record is not taken for lost")
    func r1_slowCommit() async throws {
        try await Home.with { home in
            try await home.assign()
            var slow = home
            let order = Mutex<[String]>([])
            slow.inTransaction = {
                usleep(150_000)
                order.withLock { $0.append("obligation") }
            }
            let story = try await slow.link(try home.peripheral(.cuffLive)) { pdu in
                if pdu == [0x1E] { order.withLock { $0.append("word") } }
                return true
            }
            #expect(order.withLock { $0.prefix(2) } == ["obligation", "word"])
            #expect(story.confirmed == 1)
            #expect(story.reason == "quiet")
        }
    }

    @Test("R1 R9 disk full: the word is withheld and the link ended; with room the device's rest comes, and nothing is lost")
    func r1_diskFull() async throws {
        try await Home.with { home in
            try await home.assign()
            let path = home.scratch.path + "/ledger"
            let peripheral = try home.peripheral(.cuffGenerated, count: 60, ledger: path)
            // As many pages as there are, and a few: some records fit.
            var status = stat()
            try await home.journal.checkpoint()
            #expect(stat(home.scratch.path + "/journal.db", &status) == 0)
            let full = try await home.reopened(pages: Int(status.st_size) / 4_096 + 4)
            let story = try await full.link(peripheral)
            #expect(story.reason == "refused")
            let isFull = story.events.contains { if case .commitRefused(_, _, isFull: true) = $0 { true } else { false } }
            #expect(isFull)
            let before = try await full.acts()
            #expect(before.count < 60)
            // What the device holds as confirmed is on disk, and the one that did not fit was not confirmed.
            let stored = try await frames(before, full)
            let witness = ledger(path)
            #expect(Set(witness.confirmed).isSubset(of: stored))
            #expect(witness.confirmed.count < Set(witness.sent).count)

            let roomy = try await full.reopened()
            let rest = try await roomy.link(peripheral)
            #expect(rest.reason == "quiet")
            let acts = try await roomy.acts()
            #expect(acts.count == 60)
            #expect(Set(ledger(path).confirmed).count == 60)
            let kept = try await frames(acts, roomy)
            #expect(kept == Set(ledger(path).confirmed))
            await roomy.journal.close()
        }
    }

    private func frames(_ acts: [ActRecord], _ home: Home) async throws -> Set<String> {
        var stored: Set<String> = []
        for act in acts {
            if let frame = try await home.frame(act) { stored.insert(hex(frame.frame.bytes)) }
        }
        return stored
    }

    @Test("R1 a word that left is written down")
    func r1_wordIsKnown() async throws {
        try await Home.with { home in
            try await home.link(home.peripheral(.cuffStored))
            for act in try await home.acts() {
                #expect(try await home.frame(act)?.word == .sent)
            }
        }
    }

    @Test("R2 a record that cannot be decoded is kept as it came, confirmed, and a condition says so; the next one is a reading")
    func r2_undecodable() async throws {
        try await Home.with { home in
            let story = try await home.link(home.peripheral(.cuffUndecodable))
            #expect(try await home.acts().count == 1)
            let undecoded = try await home.journal.read { tx in try tx.undecodedFrames(limit: 10) }
            #expect(undecoded.count == 1)
            #expect(undecoded.first?.frame.bytes.isEmpty == false)
            #expect(undecoded.first?.decodeError != nil)
            #expect(story.confirmed == 2)
            #expect(try await home.conditions().contains(.undecodable))
            let kept = story.events.contains { if case .kept = $0 { true } else { false } }
            #expect(kept)
        }
    }

    @Test("R2 a frame that an earlier decoder rejected becomes a reading at the next start, once")
    func r2_decodeAgain() async throws {
        try await Home.with { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffLive))
            let device = try await home.acts()[0].device
            let now = home.clock.now()
            // 127/79, pulse 69, 2020-01-20T08:43: a record captured from a real cuff (Tests/Captures), as if it had been too new.
            let bytes = try #require([UInt8](hex: "def6f416f3ff07e4070114082b00b2f2018000"))
            try await home.journal.write { tx in
                let transfer = try tx.beginTransfer(device: device, at: now)
                let frame = Frame(source: .gatt(characteristic: 0x2A35, handle: 1), bytes: bytes, received: now)
                _ = try tx.insertFrame(frame, device: device, transfer: transfer, word: .sent, decodeError: "length-mismatch")
                try tx.endTransfer(transfer, outcome: "quiet", at: now)
                try tx.raise(
                    Condition(
                        .undecodable, subject: "device/\(device)", since: now.wall, reason: "A record could not be decoded."))
            }
            #expect(try await home.intake().desk.decodeAgain() == 1)
            #expect(try await home.acts().map(\.measurement.deviceTime?.year).contains(2020))
            #expect(try await home.conditions().contains(.undecodable) == false)
            #expect(try await home.intake().desk.decodeAgain() == 0)
            #expect(try await home.acts().count == 2)
        }
    }

    @Test("R2 bytes that are no PDUs end nothing: the reading after them is taken")
    func r2_garbage() async throws {
        try await Home.with { home in
            try await home.link(home.peripheral(.cuffGarbage))
            #expect(try await home.acts().count == 1)
        }
    }

    @Test("R2 cuff pressures during inflation are kept and are no readings")
    func r2_intermediate() async throws {
        try await Home.with { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffIntermediate))
            let acts = try await home.acts()
            #expect(acts.count == 1)
            #expect(try await home.frames() >= 5)
            #expect(try await home.items(acts[0].id).count == 2)
        }
    }

    @Test("R10 a device that connects and has nothing to tell leaves no reading")
    func r10_noReading() async throws {
        try await Home.with { home in
            let story = try await home.link(home.peripheral(.cuffNoReading, linger: .milliseconds(300)))
            #expect(story.outcome.isWithoutReading)
            #expect(try await home.acts().isEmpty)
        }
    }
}
