import Courier
import Journal
import Logging
import ServiceLifecycle
import Vitals

/// Writes down when hub, clock and radio were well, and lets each ``VKPWatchman`` say where nothing was measured.
struct AbsenceWatch: Service {
    let watchmen: [VKPWatchman]
    let journal: Journal
    /// `nil` where devices are reached on sockets only: the daemon itself listens.
    let radio: RadioService?
    let clock: any Clock
    let logger: Logger

    /// A look a minute: a gap of less is no measurement missed, since every device that may be spoken of keeps a memory.
    private static let look = Duration.seconds(60)
    /// Plans and notices: a slot's grace is an hour, so that four times as often is soon enough.
    private static let round = Duration.seconds(900)
    /// Longer than any slot is spoken of.
    private static let keeps = Duration.seconds(10 * 86_400)

    func run() async throws {
        await cancelWhenGracefulShutdown {
            // Without such a receiver there is nothing to do; the service has to stay, or the group would end.
            guard !watchmen.isEmpty else {
                await Doorbell().wait()
                return
            }
            var last: WellLook?
            var nextRound = clock.now().monotonic
            while !Task.isCancelled {
                let look = WellLook(at: clock.now(), isRadioReady: await radio?.radio.isReady ?? true)
                do throws(JournalError) {
                    try await write(look, after: last)
                    last = look
                } catch {
                    // What cannot be stored now could not have stored a reading either: a gap.
                    logger.note(.error, "watch not written", .reason(error.what))
                    last = nil
                }
                if look.time.monotonic >= nextRound {
                    nextRound = look.time.monotonic + Self.round
                    await goRound()
                }
                try? await Task.sleep(for: Self.look)
            }
        }
    }

    private func write(_ look: WellLook, after last: WellLook?) async throws(JournalError) {
        let isGoingOn = last.map { look.follows($0, within: Self.look * 2) } ?? false
        try await journal.write { tx in
            for part in WatchedPart.allCases where look.well.contains(part) {
                let from = last.flatMap { isGoingOn && $0.well.contains(part) ? $0.time.wall : nil }
                try tx.extendWatch(part, from: from ?? look.time.wall, until: look.time.wall)
            }
            try tx.pruneWatch(before: look.time.wall - Self.keeps)
        }
    }

    private func goRound() async {
        for watchman in watchmen {
            do throws(JournalError) {
                try await watchman.lookAfter()
            } catch {
                logger.note(.error, "slots not looked at", .receiver(watchman.name), .reason(error.what))
            }
        }
    }
}

/// One look at what has to be well.
struct WellLook: Hashable {
    let time: ClockReading
    let well: Set<WatchedPart>

    init(at time: ClockReading, isRadioReady: Bool) {
        self.time = time
        var well: Set<WatchedPart> = [.hub]
        if time.isSynchronised { well.insert(.clock) }
        if isRadioReady { well.insert(.radio) }
        self.well = well
    }

    /// Whether the time between is known to have been like both its ends: the same boot, no longer apart than that, and the wall clock went
    /// on with the monotonic one, which stands still while the machine sleeps.
    func follows(_ last: WellLook, within longest: Duration) -> Bool {
        guard time.boot == last.time.boot else { return false }
        let (monotonic, wall) = (time.monotonic - last.time.monotonic, time.wall - last.time.wall)
        let drift = wall - monotonic
        return monotonic >= .zero && monotonic <= longest && drift < .seconds(5) && drift > .seconds(-5)
    }
}
