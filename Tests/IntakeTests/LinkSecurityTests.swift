import Journal
import Simulator
import Synchronization
import Testing
import Vitals

@testable import Intake

@Suite("The security of a link, and links without a reading")
struct LinkSecurityTests {
    private func link(_ home: Home) async throws -> TransferRecord? {
        let device = home.device
        return try await home.journal.read { tx in try tx.lastTransfers(device: device, limit: 9).last }
    }

    private func connectedNoReading(_ home: Home) async throws -> String? {
        try await home.journal.read { tx in try tx.conditions() }.first { $0.code == .connectedNoReading }?.reason
    }

    @Test(
        "R1 a radio link in clear is ended before a byte is sent: nothing is stored, nothing confirmed, and a condition says why")
    func r1_linkInClearIsRefused() async throws {
        try await Home.with { home in
            try await home.assign()
            let ledgerPath = home.scratch.path + "/ledger"
            let sent = Mutex(0)
            let story = try await home.link(
                home.peripheral(.cuffLive, ledger: ledgerPath, linger: .milliseconds(300)), security: .none
            ) { _ in
                sent.withLock { $0 += 1 }
                return true
            }
            #expect(story.outcome == .init(readings: 0, reason: .refused))
            #expect(sent.withLock(\.self) == 0)
            #expect(ledger(ledgerPath).confirmed.isEmpty)
            #expect(try await home.acts().isEmpty)
            #expect(try await home.frames() == 0)
            #expect(story.notes.count == 1 && story.notes[0].contains("not encrypted"))
            let transfer = try #require(try await link(home))
            #expect(transfer.security == LinkSecurity.none && transfer.outcome == "refused")
            #expect(transfer.endReason?.contains("not encrypted") == true && transfer.ended != nil)
            #expect(try await connectedNoReading(home)?.contains("not encrypted") == true)

            // The same device over an encrypted link: the reading is there, and nobody need be told any more.
            try await home.link(home.peripheral(.cuffLive), security: .encrypted)
            #expect(try await home.states() == [.ready])
            #expect(try await connectedNoReading(home) == nil)
        }
    }

    @Test("A model's entry may allow a link in clear")
    func allowedInClear() async throws {
        try await Home.with({ $0.allowsUnencryptedLink = true }) { home in
            try await home.link(home.peripheral(.cuffLive), security: .none)
            #expect(try await home.acts().count == 1)
            #expect(try await link(home)?.security == LinkSecurity.none)
        }
    }

    @Test(
        "R2 what the link achieved is recorded with each transfer and with the device",
        arguments: [
            LinkSecurity.local, .encrypted, .authenticated,
        ])
    func r2_securityIsRecorded(_ security: LinkSecurity) async throws {
        try await Home.with { home in
            let story = try await home.link(home.peripheral(.cuffStored), security: security)
            let device = home.device
            try await home.journal.read { tx throws in
                for act in try tx.acts(limit: 100) { #expect(try tx.transfer(id: act.transfer)?.security == security) }
                #expect(try tx.lastTransfers(device: device, limit: 9).allSatisfy { $0.security == security })
                #expect(try tx.device(id: device)?.security == security)
            }
            #expect(try await home.acts().count == 5)
            // What the device's log is made of.
            let frames = story.events.compactMap { if case .frame(_, let bytes) = $0 { bytes } else { nil } }
            #expect(frames.count == 5 && frames.allSatisfy { $0 > 6 })
            #expect(
                story.events.contains {
                    if case .subscribed(_, let uuid) = $0 { uuid.lowercased().contains("2a35") } else { false }
                })
            #expect(story.events.contains { if case .identified = $0 { true } else { false } })
        }
    }

    @Test("R10 a radio link without a reading is a condition with the link's own reason; an empty memory is none")
    func r10_connectedNoReading() async throws {
        try await Home.with { home in
            // A cuff with a memory, asked and empty.
            try await home.link(home.peripheral(.cuffNoReading, linger: .seconds(2)), security: .encrypted)
            #expect(try await connectedNoReading(home) == nil)
            // The link is lost before anything was asked.
            let lost = try await home.link(
                home.peripheral(.cuffNoReading, linger: .seconds(2)), security: .encrypted, endReason: "connection timeout"
            ) {
                _ in false
            }
            #expect(lost.reason == "link-lost")
            #expect(try await connectedNoReading(home)?.contains("link-lost: connection timeout") == true)
            let device = home.device
            let transfer = try #require(
                try await home.journal.read { tx in try tx.lastTransfers(device: device, limit: 1).first })
            #expect(transfer.outcome == "link-lost" && transfer.endReason == "connection timeout")
        }
        // A cuff that keeps nothing connects because there is a reading: without one something went wrong.
        try await Home.with({ $0.records = .none }) { home in
            try await home.link(home.peripheral(.cuffNoReading, linger: .seconds(2)))
            #expect(try await connectedNoReading(home) == nil)
            try await home.link(home.peripheral(.cuffNoReading, linger: .seconds(2)), security: .encrypted)
            #expect(try await connectedNoReading(home) != nil)
        }
    }
}
