import Bluetooth
import Testing
import Vitals

@Suite("when a capture ends, and when it is deleted") struct CaptureCourseTests {
    private static func clock(_ seconds: Int64, wall: Int64? = nil, boot: String = "a") -> ClockReading {
        ClockReading(
            wall: Instant(seconds: 1_795_262_400 + (wall ?? seconds)), offsetMinutes: 0,
            monotonic: MonotonicTime(milliseconds: seconds * 1_000), boot: BootID(rawValue: boot), source: .ntp)
    }

    private static let day: Int64 = 86_400

    @Test("it ends after its minutes, by the monotonic clock", arguments: [1, 10, 60])
    func ends(_ minutes: Int) {
        var course = CaptureCourse()
        course.start(minutes: minutes, at: Self.clock(100))
        let end = 100 + Int64(minutes) * 60
        #expect(course.isRunning)
        // A wall clock that is set changes nothing.
        #expect(course.due(at: Self.clock(end - 1, wall: 1_000_000)) == nil)
        #expect(course.left(at: Self.clock(end - 1)) == .seconds(1))
        #expect(course.due(at: Self.clock(end, wall: -1_000_000)) == .end(.time))
    }

    @Test(
        "more or fewer minutes than there may be are cut",
        arguments: [(0, 60), (-5, 60), (61, 3_600), (Int.max, 3_600)] as [(Int, Int64)])
    func bounds(_ asked: Int, _ seconds: Int64) {
        var course = CaptureCourse()
        course.start(minutes: asked, at: Self.clock(0))
        #expect(course.left(at: Self.clock(0)) == .seconds(seconds))
    }

    @Test("it is deleted a day after its end, whoever ended it", arguments: CaptureCourse.End.allCases)
    func deleted(_ end: CaptureCourse.End) {
        var course = CaptureCourse()
        course.start(minutes: 10, at: Self.clock(0))
        course.end(end, at: Self.clock(60))
        #expect(!course.isRunning)
        #expect(course.due(at: Self.clock(60 + Self.day - 1)) == nil)
        #expect(course.due(at: Self.clock(60 + Self.day, wall: 0)) == .delete)
        course.deleted()
        #expect(course.due(at: Self.clock(10 * Self.day)) == nil)
        #expect(course.left(at: Self.clock(10 * Self.day)) == nil)
    }

    @Test("after a restart of the daemon the day goes on")
    func daemonRestarted() {
        var course = CaptureCourse()
        course.found(ended: Self.clock(0), .stopped, at: Self.clock(Self.day / 2))
        #expect(course.due(at: Self.clock(Self.day - 1)) == nil)
        #expect(course.due(at: Self.clock(Self.day)) == .delete)
    }

    @Test("after a restart of the machine the wall clock counts, and a wrong one keeps nothing for ever")
    func machineRestarted() {
        var course = CaptureCourse()
        let ended = Self.clock(500_000, wall: 0)
        course.found(ended: ended, .time, at: Self.clock(10, wall: 3_600, boot: "b"))
        #expect(course.due(at: Self.clock(20, wall: Self.day - 1, boot: "b")) == nil)
        #expect(course.due(at: Self.clock(21, wall: Self.day, boot: "b")) == .delete)
        // The hub woke in 1970: a day of its own.
        #expect(course.left(at: Self.clock(10, wall: -1_000_000_000, boot: "b")) == CaptureCourse.keeping)
        #expect(course.due(at: Self.clock(9 + Self.day, wall: -1_000_000_000, boot: "b")) == nil)
        #expect(course.due(at: Self.clock(10 + Self.day, wall: -1_000_000_000, boot: "b")) == .delete)
    }

    @Test("without a capture nothing is due")
    func none() {
        #expect(CaptureCourse().due(at: Self.clock(0)) == nil)
        #expect(!CaptureCourse().isRunning)
    }
}
