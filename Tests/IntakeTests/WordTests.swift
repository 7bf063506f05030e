import Devices
import Glibc
import Journal
import Simulator
import Synchronization
import Testing
import Vitals

@testable import Intake

/// What each kind of device takes as the word, when the commit fails.
@Suite("R1 the word of each kind of device")
struct WordTests {

    @Test("R1 a device that takes the end of the link as the word: it is known when it has ended")
    func r1_disconnect() async throws {
        try await Home.with({ $0.acknowledges = .disconnect }) { home in
            try await home.link(home.peripheral(.cuffLive))
            let act = try await home.acts()[0]
            // The link's end was the word, and it is written down.
            #expect(try await home.frame(act)?.word == .sent)
        }
    }

    @Test("R1 where the end of the link is the word nothing is closed while the commit fails, and it is tried again")
    func r1_disconnectWhileFull() async throws {
        try await Home.with({ $0.acknowledges = .disconnect }) { home in
            try await home.assign()
            // The device is known, then there is no room any more.
            try await home.link(home.peripheral(.cuffNoReading, linger: .milliseconds(200)))
            var status = stat()
            try await home.journal.checkpoint()
            #expect(stat(home.scratch.path + "/journal.db", &status) == 0)
            let full = try await home.reopened(pages: Int(status.st_size) / 4_096)
            let peripheral = try full.peripheral(.cuffGenerated, count: 30, linger: .milliseconds(1_500))
            let story = try? await full.link(peripheral)
            if let story {
                #expect(story.reason != "refused")
                #expect(story.refused >= 2)
            }
            // What could not be committed has no word, and with room it is a reading.
            let kept = try await full.acts().count
            #expect(kept < 30)
            await full.journal.close()
        }
    }

    @Test("R1 a device that takes no word from us: its records have none outstanding")
    func r1_none() async throws {
        try await Home.with({ $0.acknowledges = .none }) { home in
            try await home.link(home.peripheral(.cuffLive))
            let act = try await home.acts()[0]
            #expect(try await home.frame(act)?.word == FrameRecord.Word.none)
        }
    }
}
