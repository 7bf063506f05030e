import Testing
import Vitals

@testable import Journal

@Suite("The watch")
struct WatchTests {
    @Test("looks that reach each other are one span, a gap begins another, each part for itself")
    func spans() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            try tx.extendWatch(.hub, from: at(0), until: at(0))
            try tx.extendWatch(.hub, from: at(0), until: at(1))
            try tx.extendWatch(.hub, from: at(1), until: at(2))
            try tx.extendWatch(.hub, from: at(5), until: at(5))
            try tx.extendWatch(.hub, from: at(5), until: at(6))
            try tx.extendWatch(.clock, from: at(2), until: at(3))
            #expect(try tx.watch(.hub, from: at(0), until: at(9)) == [at(0)...at(2), at(5)...at(6)])
            #expect(try tx.watch(.hub, from: at(3), until: at(4)).isEmpty)
            #expect(try tx.watch(.clock, from: at(0), until: at(9)) == [at(2)...at(3)])
            try tx.pruneWatch(before: at(4))
            #expect(try tx.watch(.hub, from: at(0), until: at(9)) == [at(5)...at(6)])
            #expect(try tx.watch(.clock, from: at(0), until: at(9)).isEmpty)
        }
        await journal.close()
    }

    @Test("a wall clock that jumped back never makes a span of what was not watched")
    func backwards() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            try tx.extendWatch(.hub, from: at(100), until: at(110))
            try tx.extendWatch(.hub, from: at(50), until: at(50))
            try tx.extendWatch(.hub, from: at(50), until: at(51))
            #expect(try tx.watch(.hub, from: at(0), until: at(60)) == [at(50)...at(51)])
        }
        await journal.close()
    }
}
