/// The devices of the demo, what each does, and what must have become of it at the end.
struct DemoScript {
    struct Device {
        var name: String
        var kind: String
        var scenario: String
        var model: String
        /// What a newcomer should know of it.
        var about: String
        /// Records, for a scenario that generates them.
        var count: Int?
        var recordsPerLink: Int?
        /// Slots that are assigned, or `nil` for the device as a whole.
        var users: [Int]?
        var expected: Expected
    }

    /// Acts by their final state.
    struct Expected {
        var delivered: Int
        var held = 0
        var suppressed = 0
    }

    /// The first that come: one each, live.
    static let first = [
        Device(
            name: "cuff", kind: "cuff", scenario: "live", model: "generic-blood-pressure",
            about: "a cuff, one reading taken just now",
            expected: Expected(delivered: 1)),
        Device(
            name: "oximeter", kind: "oximeter", scenario: "spot", model: "nonin-3230", about: "an oximeter, one spot-check",
            expected: Expected(delivered: 1)),
    ]

    /// While the receiver is switched off: what real devices do oddly.
    static let odd = [
        Device(
            name: "cuff-memory", kind: "cuff", scenario: "stored", model: "generic-blood-pressure",
            about: "five stored records, out of order", expected: Expected(delivered: 5)),
        Device(
            name: "cuff-kilopascal", kind: "cuff", scenario: "kilopascal", model: "generic-blood-pressure",
            about: "pressures in kPa",
            expected: Expected(delivered: 1)),
        Device(
            name: "cuff-forgetful", kind: "cuff", scenario: "resend-all", model: "generic-blood-pressure",
            about: "its whole memory again on every connect", expected: Expected(delivered: 3, suppressed: 6)),
        Device(
            name: "cuff-shared", kind: "cuff", scenario: "two-users", model: "generic-blood-pressure",
            about: "two users and an unknown one", users: [0, 1], expected: Expected(delivered: 2, held: 1)),
        Device(
            name: "cuff-wrong-year", kind: "cuff", scenario: "wrong-year", model: "generic-blood-pressure",
            about: "a clock twenty years ahead", expected: Expected(delivered: 1)),
        Device(
            name: "oximeter-memory", kind: "oximeter", scenario: "stored", model: "generic-pulse-oximeter",
            about: "five stored spot-checks, asked for over the control point", expected: Expected(delivered: 5)),
    ]

    /// During whose transfer the daemon is killed.
    static let long = Device(
        name: "cuff-long", kind: "cuff", scenario: "generated", model: "generic-blood-pressure",
        about: "forty records; the daemon is killed in the middle of them", count: 40, recordsPerLink: 10,
        expected: Expected(delivered: 40))

    static var all: [Device] { first + odd + [long] }
    /// The receiver refuses one of them with 422.
    static let quarantined = 1
}
