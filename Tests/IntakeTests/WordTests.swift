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

    @Test("R1 a device that takes no word from us: its records have none outstanding")
    func r1_none() async throws {
        try await Home.with({ $0.acknowledges = .none }) { home in
            try await home.link(home.peripheral(.cuffLive))
            let act = try await home.acts()[0]
            #expect(try await home.frame(act)?.word == FrameRecord.Word.none)
        }
    }
}
