import Steward
import Testing
import Vitals

@testable import Journal

@Suite("The hub's own keys, and how receivers know patients")
struct ClientTests {
    private static let anna = PatientAlias(rawValue: "anna")

    @Test("R8 keys and numbers are what was written last, and stand in the clear nowhere in the files")
    func r8_sealed() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            #expect(try tx.clientKeys(of: "issuer hub") == nil && tx.identifier(of: Self.anna, at: "pmd") == nil)
            try tx.setClientKeys(["current": "marker-private-key-1"], of: "issuer hub")
            try tx.setClientKeys(["current": "marker-private-key-2"], of: "issuer hub")
            try tx.setIdentifier("01819540094", of: Self.anna, at: "pmd")
            try tx.setIdentifier("13826540200", of: Self.anna, at: "vkp")
        }
        await journal.close()
        let again = try await Journal.open(scratch.options())
        try await again.read { tx throws in
            #expect(try tx.clientKeys(of: "issuer hub") == ["current": "marker-private-key-2"])
            #expect(try tx.clientKeys(of: "issuer other") == nil)
            #expect(try tx.identifier(of: Self.anna, at: "pmd") == "01819540094")
            #expect(try tx.identifier(of: Self.anna, at: "vkp") == "13826540200")
        }
        await again.close()
        let files = [scratch.database, scratch.database + "-wal"].map { String(decoding: contents($0), as: UTF8.self) }.joined()
        for marker in ["marker-private-key", "01819540094", "13826540200"] { #expect(!files.contains(marker)) }
    }

    @Test("a number that is forgotten is gone, another receiver's stays")
    func forgotten() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            try tx.setIdentifier("01819540094", of: Self.anna, at: "pmd")
            try tx.setIdentifier("01819540094", of: Self.anna, at: "vkp")
            try tx.setIdentifier(nil, of: Self.anna, at: "pmd")
            #expect(try tx.identifier(of: Self.anna, at: "pmd") == nil)
            #expect(try tx.identifier(of: Self.anna, at: "vkp") == "01819540094")
            #expect(try tx.identifier(of: PatientAlias(rawValue: "bent"), at: "vkp") == nil)
        }
        await journal.close()
    }
}
