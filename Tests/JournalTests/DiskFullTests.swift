import Glibc
import Steward
import Testing
import Vitals

@testable import Journal

@Suite("A full disk")
struct DiskFullTests {
    @Test("R9 a full database takes nothing in, loses nothing, and goes on by itself when retention has made room")
    func r9_pageLimit() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options(ballast: 1 << 20, pages: 170))
        let fixture = try await journal.write { tx in try tx.fixture() }
        var taken: [Int64] = []
        var failure: JournalError?
        for number in 1...2_000 {
            do throws(JournalError) {
                let act = try await journal.write(.intake) { tx in
                    let act = try tx.sampleAct(number, fixture)
                    for item in try tx.sampleItems(act) { try tx.setItem(item.id, state: .delivered, at: at(1)) }
                    return act.id
                }
                taken.append(act)
            } catch {
                failure = error
                break
            }
        }
        #expect(failure == .full(path: scratch.database) && failure?.exitCode == 75)
        #expect(taken.count > 20)
        // It is the database's own limit: the disk's reserve is not given away for it.
        #expect(await journal.reserve == .held)
        let known = taken
        #expect(try await journal.read { tx in try tx.acts(limit: 5_000).map(\.id) } == known)
        // An act without items is smaller, so some may still fit: until that is refused too.
        var small = 0
        let refusal = await journalError {
            for number in 3_000...4_999 {
                try await journal.write(.intake) { tx in try tx.sampleAct(number, fixture) }
                small += 1
            }
        }
        #expect(refusal == failure)
        // Retention runs though the database is full, and intake goes on without a reopen.
        #expect(try await journal.purgeDelivered(before: at(2), limit: 20, at: at(9)) == 20)
        try await journal.write(.intake) { tx in try tx.sampleAct(5_000, fixture) }
        #expect(try await journal.read { tx in try tx.acts(limit: 5_000).count } == known.count + small - 20 + 1)
        try await journal.verifySettings()
        await journal.close()
    }

    /// Whether this process may mount a small file system, for the test below.
    static let canMount: Bool = {
        let scratch = Scratch()
        guard mount("tmpfs", scratch.path, "tmpfs", 0, "size=64k") == 0 else { return false }
        umount(scratch.path)
        return true
    }()

    @Test(
        "R9 on a disk that is really full the ballast lets courier and retention work while intake waits", .enabled(if: canMount))
    func r9_fullDisk() async throws {
        let scratch = Scratch()
        #expect(mount("tmpfs", scratch.path, "tmpfs", 0, "size=12m,mode=700") == 0)
        defer { umount(scratch.path) }
        let journal = try await Journal.open(scratch.options(ballast: 2 << 20))
        #expect(FileSystem.size(scratch.database + "-ballast") == 2 << 20)
        // Something else fills the disk but for a megabyte.
        let filler = scratch.path + "/filler"
        writeFile([UInt8](repeating: 1, count: (FileSystem.freeBytes(at: scratch.path) ?? 0) - (1 << 20)), filler)
        let fixture = try await journal.write { tx in try tx.fixture() }
        var taken: [ActRecord] = []
        var failure: JournalError?
        // The first time writing the log back makes room again, and intake goes on by itself; the disk is full when it does not.
        var refusals = 0
        for number in 1...2_000 where refusals < 2 {
            do throws(JournalError) {
                taken.append(
                    try await journal.write(.intake) { tx in
                        let act = try tx.sampleAct(number, fixture)
                        try tx.sampleItems(act)
                        return act
                    })
                refusals = 0
            } catch {
                failure = error
                refusals += 1
            }
        }
        #expect(failure == .full(path: scratch.database))
        #expect(await journal.reserve == .reached)
        #expect(try await journal.storage().ballastBytes == 0)
        let known = taken
        #expect(known.count > 5)
        // What is taken in is all there, and intake is refused without trying.
        #expect(try await journal.read { tx in try tx.acts(limit: 5_000) } == known)
        #expect(await journalError { try await journal.write(.intake) { _ in } } == failure)
        // The courier's outcome and retention have room.
        try await journal.write { tx in
            for act in known.prefix(10) {
                for item in try tx.items(act: act.id) { try tx.setItem(item.id, state: .delivered, at: at(1)) }
            }
        }
        #expect(try await journal.purgeDelivered(before: at(2), limit: 99, at: at(9)) == min(10, known.count))
        // Room again: the next reading is taken and the ballast is back, by itself.
        unlink(filler)
        try await journal.write(.intake) { tx in try tx.sampleAct(5_000, fixture) }
        #expect(await journal.reserve == .held)
        #expect(FileSystem.size(scratch.database + "-ballast") == 2 << 20)
        await journal.close()
    }
}
