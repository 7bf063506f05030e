import EventLoop
import Glibc
import Testing

@testable import Journal

@Suite("Sealed spools")
struct SpoolTests {
    private static let limit = 1 << 20

    private func files(in scratch: Scratch) -> [String] {
        guard let directory = opendir(scratch.path) else { return [] }
        defer { closedir(directory) }
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names
    }

    private func blocks(_ spool: SpoolReader) throws -> [SealedSpool.Block] {
        var (offset, found) = (spool.start, [SealedSpool.Block]())
        while let block = try spool.block(at: offset) {
            found.append(block)
            offset = block.next
        }
        return found
    }

    @Test("R8 what a spool holds stands in no file of the state directory in clear, and is read back")
    func r8_spool() async throws {
        let scratch = Scratch()
        let loop = try EventLoop(name: "test")
        let journal = try await Journal.open(scratch.options())
        let marker = Array("a marker of a captured payload 127/79".utf8)
        let writer = try await journal.makeSpool("capture", limit: Self.limit, on: loop)
        #expect(try await writer.append(kind: 1, marker))
        #expect(try await writer.append(kind: 2, []))
        #expect(try await writer.append(kind: 2, marker + [UInt8](repeating: 7, count: 70_000) + marker))
        await writer.close()
        #expect(await journal.hasSpool("capture"))
        let spool = try #require(try await journal.spool("capture"))
        let found = try blocks(spool)
        #expect(found.map(\.kind) == [1, 2, 2])
        #expect(found.map(\.bytes.count) == [marker.count, 0, 70_000 + 2 * marker.count])
        #expect(found[0].bytes == marker)
        #expect(found[2].next == spool.count)
        await journal.close()
        var status = stat()
        #expect(stat(scratch.path + "/capture.sealed", &status) == 0)
        #expect(status.st_mode & 0o777 == 0o600)
        let names = files(in: scratch)
        #expect(names.contains("capture.sealed"))
        for name in names {
            let bytes = contents(scratch.path + "/" + name)
            #expect(bytes.count > 0 || name.hasSuffix("-wal"))
            #expect(!bytes.contains(marker), "\(name)")
        }
        // And it is found by the one who opens the journal again.
        let again = try await Journal.open(scratch.options())
        #expect(try blocks(try #require(try await again.spool("capture"))).count == 3)
        await again.close()
        loop.stop()
    }

    @Test("A spool is no longer than it may be; a last word may still be said")
    func bound() async throws {
        let scratch = Scratch()
        let loop = try EventLoop(name: "test")
        let journal = try await Journal.open(scratch.options())
        let writer = try await journal.makeSpool("capture", limit: 10_000, on: loop)
        var written = 0
        while try await writer.append(kind: 2, [UInt8](repeating: 1, count: 900)) { written += 1 }
        #expect(written == 10)
        #expect(await writer.count <= 10_000)
        #expect(try await writer.append(kind: 3, [1], isLast: true))
        await writer.close()
        #expect(await journalError { try await writer.append(kind: 2, []) } == .closed)
        #expect(try blocks(try #require(try await journal.spool("capture"))).count == 11)
        await journal.close()
        loop.stop()
    }

    @Test("What a power cut left of a block is passed over, and the spool goes on behind the last whole one")
    func interrupted() async throws {
        let scratch = Scratch()
        let loop = try EventLoop(name: "test")
        let journal = try await Journal.open(scratch.options())
        let writer = try await journal.makeSpool("capture", limit: Self.limit, on: loop)
        for number in 0..<3 as Range<UInt8> { _ = try await writer.append(kind: 2, [number]) }
        let whole = await writer.count
        _ = try await writer.append(kind: 2, [UInt8](repeating: 9, count: 100))
        await writer.close()
        let path = scratch.path + "/capture.sealed"
        // The last is longer than what is left: the file system fills it with zeros.
        for cut in [whole + 50, whole + 4, whole + 1, whole + 40] {
            #expect(truncate(path, off_t(cut)) == 0)
            #expect(try blocks(try #require(try await journal.spool("capture"))).map(\.bytes) == [[0], [1], [2]])
        }
        let next = try #require(try await journal.continueSpool("capture", at: whole, limit: Self.limit, on: loop))
        _ = try await next.append(kind: 3, [3])
        await next.close()
        #expect(try blocks(try #require(try await journal.spool("capture"))).map(\.bytes) == [[0], [1], [2], [3]])
        await journal.close()
        loop.stop()
    }

    @Test("A block that was altered or moved does not open, nor does another journal's spool")
    func altered() async throws {
        let scratch = Scratch()
        let loop = try EventLoop(name: "test")
        let journal = try await Journal.open(scratch.options())
        let writer = try await journal.makeSpool("capture", limit: Self.limit, on: loop)
        let start = await writer.count
        _ = try await writer.append(kind: 2, [1, 2, 3])
        let second = await writer.count
        _ = try await writer.append(kind: 2, [4, 5, 6])
        await writer.close()
        let path = scratch.path + "/capture.sealed"
        let good = contents(path)
        let broken = JournalError.sealBroken(table: "spool", column: "capture", row: Int64(start))
        var bad = good
        bad[start + 20] ^= 1
        writeFile(bad, path)
        #expect(await journalError { try blocks(try #require(try await journal.spool("capture"))) } == broken)
        // The two are equally long: one in the other's place.
        writeFile(Array(good[..<start] + good[second...] + good[start..<second]), path)
        #expect(await journalError { try blocks(try #require(try await journal.spool("capture"))) } == broken)
        bad = good
        bad.replaceSubrange(start..<start + 4, with: [0x7F, 0xFF, 0xFF, 0xFF])
        writeFile(bad, path)
        #expect(await journalError { try blocks(try #require(try await journal.spool("capture"))) } == broken)
        bad = good
        bad[30] ^= 1
        for head in [bad, [], Array("no spool, and long enough to look like one".utf8)] {
            writeFile(head, path)
            let isBroken =
                if case .sealBroken = await journalError({ try await journal.spool("capture") }) { true } else { false }
            #expect(isBroken)
        }
        await journal.close()
        let other = Scratch()
        writeFile(good, other.path + "/capture.sealed")
        let stranger = try await Journal.open(other.options(key: .credential(Array("another credential of 32 bytes".utf8))))
        #expect(await journalError { try await stranger.spool("capture") } != nil)
        await stranger.close()
        loop.stop()
    }

    @Test("A deleted spool is gone, one is begun anew, and one of a wiped journal opens for nobody")
    func deleted() async throws {
        let scratch = Scratch()
        let loop = try EventLoop(name: "test")
        let journal = try await Journal.open(scratch.options())
        #expect(try await journal.spool("capture")?.start == nil)
        await journal.deleteSpool("capture")
        for number in 0..<2 as Range<UInt8> {
            let writer = try await journal.makeSpool("capture", limit: Self.limit, on: loop)
            _ = try await writer.append(kind: 2, [number])
            await writer.close()
            #expect(try blocks(try #require(try await journal.spool("capture"))).map(\.bytes) == [[number]])
        }
        await journal.deleteSpool("capture")
        #expect(!files(in: scratch).contains("capture.sealed"))
        #expect(await journal.hasSpool("capture") == false)
        let writer = try await journal.makeSpool("capture", limit: Self.limit, on: loop)
        await writer.close()
        try await journal.wipe()
        #expect(await journalError { try await journal.spool("capture") } != nil)
        await journal.close()
        loop.stop()
    }

    @Test("A data key that was rotated since still opens it")
    func rotated() async throws {
        let scratch = Scratch()
        let loop = try EventLoop(name: "test")
        let journal = try await Journal.open(scratch.options())
        let writer = try await journal.makeSpool("capture", limit: Self.limit, on: loop)
        _ = try await writer.append(kind: 2, [1])
        try await journal.rotateDataKey()
        _ = try await writer.append(kind: 2, [2])
        await writer.close()
        #expect(try blocks(try #require(try await journal.spool("capture"))).map(\.bytes) == [[1], [2]])
        await journal.close()
        loop.stop()
    }
}

extension [UInt8] {
    fileprivate func contains(_ pattern: [UInt8]) -> Bool {
        guard let first = pattern.first, count >= pattern.count else { return false }
        return indices.dropLast(pattern.count - 1).contains {
            self[$0] == first && self[$0..<$0 + pattern.count].elementsEqual(pattern)
        }
    }
}
