import Bluetooth
import Testing
import Vitals

private typealias Detector = StuckDetector<String>
private func at(_ seconds: Int64) -> MonotonicTime { MonotonicTime(milliseconds: seconds * 1_000) }

@Suite("whether an adapter is stuck") struct StuckDetectorTests {
    @Test("a controller's error and a command without an answer are enough by themselves")
    func atOnce() {
        var detector = Detector()
        #expect(detector.observe(.controllerError(0x13), at: at(0)) == .controllerError(0x13))
        #expect(detector.observe(.unanswered(opcode: 5), at: at(1)) == .unanswered(opcode: 5))
        #expect(Detector.Reason.unanswered(opcode: 5).description.contains("0x5 for 10 s"))
    }

    struct Course: Sendable, CustomTestStringConvertible {
        var name: String
        /// `a` to `z` a failed connect of that device, `+` a connect, `.` something heard, `0` and `1` a look that heard nothing or
        /// something, `!` that `z` was passed over in it; a minute between two, ten where there is a blank.
        var events: String
        /// After how many events it is stuck; `nil`: never.
        var stuckAfter: Int?
        var testDescription: String { name }
    }

    @Test(
        "what makes it stuck, and what does not",
        arguments: [
            Course(name: "six failures of two devices", events: "ababab", stuckAfter: 6),
            Course(name: "five of one and one of another", events: "aaaaab", stuckAfter: 6),
            Course(name: "one device alone, for ever", events: String(repeating: "a", count: 60), stuckAfter: nil),
            Course(name: "one device for long, then another", events: String(repeating: "a", count: 20) + "b", stuckAfter: 21),
            Course(name: "a success in between", events: "ababa+babab", stuckAfter: nil),
            Course(name: "failures of different walks", events: "ab ab ab ab ab ab", stuckAfter: nil),
            Course(name: "hearing is not connecting", events: "aba.bab", stuckAfter: 7),
            Course(name: "three empty looks where three heard", events: "111000", stuckAfter: 6),
            Course(name: "a quiet house", events: "000000000000", stuckAfter: nil),
            Course(name: "a house with a cuff now and then", events: "000100010001000", stuckAfter: nil),
            Course(name: "two looks heard, not three", events: "11000000", stuckAfter: nil),
            Course(name: "something heard in between", events: "11100.00", stuckAfter: nil),
            Course(name: "a connect in between", events: "11100+00", stuckAfter: nil),
            Course(name: "a look that heard in between", events: "1110010010", stuckAfter: nil),
            Course(name: "silence of the passive scan is no event", events: "111", stuckAfter: nil),
            Course(name: "it is deaf again after another three", events: "111000", stuckAfter: 6),
            Course(name: "R10 passed over in two looks in a row", events: "1!1!", stuckAfter: 4),
            Course(name: "several passed over in one look", events: "1!!!", stuckAfter: nil),
            Course(name: "a connect between two looks", events: "1!+1!", stuckAfter: nil),
            Course(name: "a connect that failed between two looks", events: "1!a1!", stuckAfter: nil),
            Course(name: "a look in between in which nobody was passed over", events: "1!11!", stuckAfter: nil),
        ])
    func courses(_ course: Course) {
        var detector = Detector()
        var now = at(0)
        var count = 0
        var stuckAfter: Int?
        for letter in course.events {
            now = now + .seconds(letter == " " ? 540 : 60)
            let event: Detector.Event
            switch letter {
            case " ": continue
            case "+": event = .connected("a")
            case ".": event = .heard
            case "!": event = .passedOver("z")
            case "0": event = .looked(heard: 0)
            case "1": event = .looked(heard: 4)
            default: event = .connectFailed(String(letter))
            }
            count += 1
            if detector.observe(event, at: now) != nil, stuckAfter == nil { stuckAfter = count }
        }
        #expect(stuckAfter == course.stuckAfter)
    }

    @Test("the reasons count what they rest on")
    func reasons() {
        var detector = Detector()
        var last: Detector.Reason?
        for name in ["a", "b", "c", "a", "b", "c"] { last = detector.observe(.connectFailed(name), at: at(0)) }
        #expect(last == .connectsFail(count: 6, devices: 3))
        // The evidence is used up: it needs to come together again.
        #expect(detector.observe(.connectFailed("a"), at: at(1)) == nil)
        for heard in [1, 1, 1, 0, 0] { #expect(detector.observe(.looked(heard: heard), at: at(2)) == nil) }
        #expect(detector.observe(.looked(heard: 0), at: at(3)) == .deaf(looks: 3))
        #expect(detector.observe(.looked(heard: 0), at: at(4)) == nil)
    }

    @Test("looks are a quarter of an hour apart")
    func looks() {
        var detector = Detector()
        #expect(detector.nextLook(from: at(10)) == at(910))
        _ = detector.observe(.looked(heard: 1), at: at(1_000))
        #expect(detector.nextLook(from: at(10)) == at(1_900))
        _ = detector.observe(.passedOver("a"), at: at(1_000))
        #expect(detector.nextLook(from: at(10)) == at(1_030))
    }

    @Test("whatever is heard or fails of one device alone, it is not stuck; and a success is never a reason", arguments: 0..<100)
    func anyCourse(_ seed: Int) {
        var random = Seeded(UInt64(seed))
        var detector = Detector()
        var now = at(0)
        for _ in 0..<500 {
            now = now + .seconds(Int64.random(in: 0..<600, using: &random))
            let event: Detector.Event =
                [.connectFailed("a"), .connected("a"), .heard, .looked(heard: Int.random(in: 1..<5, using: &random))]
                .randomElement(using: &random) ?? .heard
            #expect(detector.observe(event, at: now) == nil)
        }
    }
}
