import Steward
import Testing
import Vitals

@testable import Journal

@Suite("Sign-ins, plans and places")
struct SignInTests {
    private func record(_ revision: Int, _ token: String) -> SignInRecord {
        SignInRecord(
            channel: "fut/1", receiver: "fut", patient: PatientAlias(rawValue: "1001"), revision: revision,
            session: ["refreshToken": .string(token)])
    }

    @Test("an older record never takes the place of a newer, whatever order they come in")
    func newest() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            for revision in [1, 3, 2] { try tx.setSignIn(record(revision, "token-\(revision)")) }
            #expect(try tx.signIn(channel: "fut/1") == record(3, "token-3"))
            #expect(try tx.signIns(receiver: "fut") == [record(3, "token-3")])
            #expect(try tx.signIn(channel: "fut/2") == nil && tx.signIns(receiver: "other") == [])
        }
        await journal.close()
    }

    @Test("R8 a record shows neither token nor patient to who prints it")
    func r8_notPrinted() {
        let record = record(1, "secret-token")
        #expect(!"\(record) \(String(reflecting: record))".contains("secret-token"))
        #expect(!"\(record) \(String(reflecting: record))".contains("1001"))
    }

    @Test("an item keeps its place; the same obligation is not made a second time for it")
    func places() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let act = try tx.sampleAct(1, try tx.fixture())
            func insert(_ target: String) throws(JournalError) -> ItemRecord? {
                try tx.insertItem(
                    act: act.id, reading: act.readings[0], kind: .observation, receiver: "fut", channel: "fut/1", target: target,
                    effective: at(1), created: at(2))
            }
            let item = try #require(try insert(""))
            #expect(try tx.placedItems(channel: "fut/1", receiver: "fut", deliveredSince: at(0)) == [])
            try tx.setItem(item.id, target: "slot-1")
            #expect(try insert("") == nil && insert("slot-1") == nil)
            let second = try #require(try insert("slot-2"))
            #expect(
                try tx.placedItems(channel: "fut/1", receiver: "fut", deliveredSince: at(0)).map(\.item.target)
                    == ["slot-1", "slot-2"])
            try tx.setItem(item.id, state: .delivered, at: at(5))
            try tx.setItem(second.id, state: .held, reason: "no-request")
            #expect(
                try tx.placedItems(channel: "fut/1", receiver: "fut", deliveredSince: at(4)).map(\.delivered) == [at(5)])
            #expect(try tx.placedItems(channel: "fut/1", receiver: "fut", deliveredSince: at(6)) == [])
            #expect(try tx.heldItems(channel: "fut/1", receiver: "fut", limit: 9).map(\.id) == [second.id])
            // What the receiver did not ask for is no reason to keep the device.
            #expect(try tx.openItems(device: act.device) == 0)
        }
        await journal.close()
    }
}
