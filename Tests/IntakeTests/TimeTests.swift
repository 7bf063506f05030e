import Journal
import Simulator
import Steward
import Testing
import Vitals

@testable import Intake

@Suite("R5 honest time")
struct TimeTests {
    /// The minute at which the simulated devices stamp a live reading.
    private let minute = TestClock.noon

    @Test("R5 a hub in 1970: held, its device's clock left alone, and put right when the time comes")
    func r5_putRight() async throws {
        try await Home.with { home in
            try await home.assign()
            home.clock.losePower()
            let story = try await home.link(home.peripheral(.cuffLive))
            #expect(story.confirmed == 1)
            #expect(story.clockSets == 0)
            let held = try await home.acts()[0]
            #expect(held.state == .held(.hubClock))
            #expect(held.effective == nil)
            #expect(held.received.wall < Instant(milliseconds: 86_400_000))
            #expect(try await home.items(held.id).isEmpty)

            home.clock.advance(.seconds(7_200))
            home.clock.synchronise()
            #expect(try await home.desk.clockSynchronised(home.clock.now()) == 1)
            let act = try await home.acts()[0]
            #expect(act.state == .ready)
            let effective = try #require(act.effective?.instant)
            #expect(abs((effective - minute).milliseconds) <= 2_000)
            // Two hours ago, as the monotonic clock says.
            #expect(abs((act.received.wall - TestClock.noon).milliseconds) < 10_000)
            #expect(act.received.isSynchronised)
            #expect(try await home.items(act.id).count == 2)
        }
    }

    @Test("R5 a live reading without stamp in 1970 gets the moment of its arrival")
    func r5_putRightWithoutStamp() async throws {
        try await Home.with { home in
            try await home.assign()
            home.clock.losePower()
            try await home.link(home.peripheral(.cuffClockUnset))
            #expect(try await home.states() == [.held(.hubClock)])
            home.clock.advance(.seconds(7_200))
            home.clock.synchronise()
            _ = try await home.desk.clockSynchronised(home.clock.now())
            let act = try await home.acts()[0]
            #expect(act.state == .ready)
            #expect(act.timeBasis == .received)
            let effective = try #require(act.effective?.instant)
            #expect(abs((effective - TestClock.noon).milliseconds) < 10_000)
        }
    }

    @Test("R5 a boot that ended without the time: a stamp still counts, an arrival does not")
    func r5_otherBoot() async throws {
        for (scenario, state) in [(Scenario.cuffLive, ActState.ready), (.cuffClockUnset, .held(.timeUnknown))] {
            try await Home.with { home in
                try await home.assign()
                home.clock.losePower()
                try await home.link(home.peripheral(scenario))
                let after = try await home.reopened()
                after.clock.advance(.seconds(86_400))
                after.clock.synchronise(boot: "boot-2")
                #expect(try await after.desk.clockSynchronised(after.clock.now()) == 1)
                let act = try await after.acts()[0]
                #expect(act.state == state)
                if state == .ready {
                    let effective = try #require(act.effective?.instant)
                    #expect(abs((effective - minute).milliseconds) <= 2_000)
                }
                // Asked again, nothing changes.
                #expect(try await after.desk.clockSynchronised(after.clock.now()) == 0)
                await after.journal.close()
            }
        }
    }

    @Test("R5 a clock twenty years ahead: the time is corrected, the clock is set, and the next transfer is right too")
    func r5_wrongYear() async throws {
        try await Home.with { home in
            try await home.assign()
            let story = try await home.link(home.peripheral(.cuffWrongYear))
            #expect(story.clockSets == 1, "\(story.notes)")
            let first = try await home.acts()[0]
            #expect(first.state == .ready)
            #expect(first.timeBasis == .corrected)
            let effective = try #require(first.effective?.instant)
            #expect(abs((effective - minute).milliseconds) < 60_000)
            #expect(first.measurement.deviceTime?.year == 2046)
            #expect(first.coincidence?.device.year == 2046)

            // The same device, its clock set by us, an hour later.
            home.clock.advance(.seconds(3_600))
            let next = try await home.link(home.peripheral(.cuffLive))
            #expect(next.clockSets == 0)
            let acts = try await home.acts()
            #expect(acts.count == 2)
            #expect(acts[1].state == .ready)
            let later = try #require(acts[1].effective?.instant)
            #expect(abs((later - minute - .seconds(3_600)).milliseconds) < 60_000)
            #expect(acts[0].effective == first.effective)
            let epochs = try await home.journal.read { tx in try tx.clockEpochs(device: home.device) }
            #expect(epochs.map(\.origin) == [.first, .set])
        }
    }

    @Test("R5 a set that the device takes and answers with an error does not spoil the time: the clock was read before it")
    func r5_clockRefused() async throws {
        try await Home.with { home in
            try await home.assign()
            let peripheral = try home.peripheral(.cuffClockRefused)
            home.clock.advance(.seconds(600))
            try await home.link(peripheral)
            let act = try await home.acts()[0]
            #expect(act.state == .ready)
            let effective = try #require(act.effective?.instant)
            // The device's clock is five minutes ahead, so its stamp is too.
            #expect(abs((effective - minute + .seconds(300)).milliseconds) < 60_000)
        }
    }

    @Test("R5 a clock in 0x2A08 inside the pressure service is read and set as well")
    func r5_dateTime() async throws {
        try await Home.with({ $0.clock = .init(read: 0x2A08, write: 0x2A08) }) { home in
            try await home.assign()
            let peripheral = try home.peripheral(.cuffDateTime)
            home.clock.advance(.seconds(600))
            let story = try await home.link(peripheral)
            #expect(story.clockSets == 1, "\(story.notes)")
            let act = try await home.acts()[0]
            #expect(act.state == .ready)
            let effective = try #require(act.effective?.instant)
            #expect(abs((effective - minute + .seconds(300)).milliseconds) < 60_000)
        }
    }

    @Test("R5 a stamp that two epochs show at different times is held, not guessed")
    func r5_twoEpochs() async throws {
        try await Home.with({ $0.clock = .init(read: 0x2A08, write: 0x2A08) }) { home in
            try await home.assign()
            // Five minutes ahead and then set: its stamp may be five minutes old by the one, or of now by the other.
            try await home.link(home.peripheral(.cuffDateTime))
            let states = try await home.states()
            #expect(states == [.held(.timeUnknown)])
        }
    }

    @Test("R5 an unset clock and stamp: live, the reading has the moment of its arrival")
    func r5_unsetLive() async throws {
        try await Home.with { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffClockUnset))
            let act = try await home.acts()[0]
            #expect(act.state == .ready)
            #expect(act.timeBasis == .received)
        }
    }

    @Test("R5 several records without usable stamp in one transfer come from memory: none is guessed")
    func r5_unsetStored() async throws {
        try await Home.with { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffNoTimestamp))
            #expect(try await home.states() == [.held(.timeUnknown), .held(.timeUnknown)])
            #expect(try await home.conditions().contains(.timeUnknown))
            for act in try await home.acts() {
                let items = try await home.items(act.id)
                #expect(items.allSatisfy { $0.state == .withdrawn })
            }
        }
    }

    @Test("stored records out of order have each its own time")
    func storedOutOfOrder() async throws {
        try await Home.with { home in
            try await home.assign()
            try await home.link(home.peripheral(.cuffStored))
            let acts = try await home.acts()
            #expect(acts.map(\.state) == Array(repeating: .ready, count: 5))
            let times = acts.compactMap { $0.effective?.instant }
            #expect(Set(times).count == 5)
            #expect(times != times.sorted())
        }
    }
}
