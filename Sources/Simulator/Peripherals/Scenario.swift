/// A scripted device, as `vitalgate simulate cuff|oximeter --scenario NAME` runs it.
public struct Scenario: Hashable, Sendable {
    /// Its name on the command line.
    public let name: String
    public let kind: SimulatedPeripheral.Kind
    /// What the device does, in a line.
    public let summary: String

    init(_ name: String, _ kind: SimulatedPeripheral.Kind, _ summary: String) {
        self.name = name
        self.kind = kind
        self.summary = summary
    }
}

extension Scenario {
    // Cuffs.
    public static let cuffLive = Scenario("live", .cuff, "one reading, taken just now")
    public static let cuffStored = Scenario("stored", .cuff, "five stored records, not in the order of their times")
    public static let cuffResendAll = Scenario("resend-all", .cuff, "three records, all sent again on each of three connects")
    public static let cuffClockUnset = Scenario("clock-unset", .cuff, "its clock was never set: clock and stamp are zeros")
    public static let cuffWrongYear = Scenario("wrong-year", .cuff, "its clock is twenty years ahead")
    public static let cuffNoTimestamp = Scenario("no-timestamp", .cuff, "two equal readings without a time stamp")
    public static let cuffKilopascal = Scenario("kilopascal", .cuff, "pressures in kPa")
    public static let cuffNaNMean = Scenario("nan-mean", .cuff, "no mean pressure: NaN, as Omron sends it")
    public static let cuffTwoUsers = Scenario("two-users", .cuff, "records of two users, and one of an unknown user")
    public static let cuffStatusBits = Scenario(
        "status-bits", .cuff, "irregular pulse and body movement, told in the status field")
    public static let cuffLostBefore = Scenario(
        "link-lost-before-confirmation", .cuff, "the link breaks before the confirmation can come")
    public static let cuffLostAfter = Scenario(
        "link-lost-after-confirmation", .cuff, "the link breaks after the first of three confirmations")
    public static let cuffGarbage = Scenario("garbage", .cuff, "bytes that are no PDUs, requests to the hub, then a reading")
    public static let cuffUndecodable = Scenario("undecodable", .cuff, "a record that is cut short, then a good one")
    public static let cuffIntermediate = Scenario("intermediate", .cuff, "cuff pressures during inflation, then the result")
    public static let cuffNoReading = Scenario("no-reading", .cuff, "connects and has nothing to tell")
    public static let cuffCaptured = Scenario("captured", .cuff, "records captured from real devices")
    public static let cuffDateTime = Scenario("date-time", .cuff, "a clock in 0x2A08 inside the pressure service, as A&D has it")
    public static let cuffClockRefused = Scenario("clock-refused", .cuff, "takes the time and answers error 0x80")
    public static let cuffGenerated = Scenario("generated", .cuff, "as many different records as are asked for")

    // Oximeters.
    public static let oximeterSpot = Scenario("spot", .oximeter, "one spot-check")
    public static let oximeterStored = Scenario(
        "stored", .oximeter, "five stored spot-checks, sent when the control point is asked")
    public static let oximeterEmpty = Scenario("empty", .oximeter, "an empty memory: the control point answers so")
    public static let oximeterClockUnset = Scenario("clock-unset", .oximeter, "a spot-check that says that its clock is not set")
    public static let oximeterStream = Scenario(
        "stream", .oximeter, "a stream that the device declares fully qualified in the end")
    public static let oximeterStreamMedian = Scenario(
        "stream-median", .oximeter, "a stream, unstable and then steady, that the device never qualifies")
    public static let oximeterFingerOut = Scenario("finger-out", .oximeter, "a stream without a finger: no reading")
    public static let oximeterCaptured = Scenario("captured", .oximeter, "a sample captured from a real device, again and again")
    public static let oximeterGenerated = Scenario("generated", .oximeter, "as many different spot-checks as are asked for")

    public static let all: [Scenario] = [
        cuffLive, cuffStored, cuffResendAll, cuffClockUnset, cuffWrongYear, cuffNoTimestamp, cuffKilopascal, cuffNaNMean,
        cuffTwoUsers,
        cuffStatusBits, cuffLostBefore, cuffLostAfter, cuffGarbage, cuffUndecodable, cuffIntermediate, cuffNoReading,
        cuffCaptured,
        cuffDateTime, cuffClockRefused, cuffGenerated, oximeterSpot, oximeterStored, oximeterEmpty, oximeterClockUnset,
        oximeterStream,
        oximeterStreamMedian, oximeterFingerOut, oximeterCaptured, oximeterGenerated,
    ]

    /// The scenario of that name, or `nil`.
    public static func named(_ name: String, kind: SimulatedPeripheral.Kind) -> Scenario? {
        all.first { $0.name == name && $0.kind == kind }
    }
}
