import Destinations
import ExactJSON
import Testing
import Vitals

/// What was ordered, as slots. The window is the week from Monday 2023-02-20, at +01:00.
@Suite struct VKPScheduleTests {
    private static let pressure = "http://loinc.org|85354-9"

    private static func plan(
        _ scheduled: String?, code: String = "85354-9", status: String = "scheduled", plan: String = "active",
        period: String = "{}"
    ) throws -> VKPCarePlan {
        let detail = """
            {"status":"\(status)","code":{"coding":[{"system":"http://loinc.org","code":"\(code)"}]}\
            \(scheduled.map { "," + $0 } ?? "")}
            """
        let answer = """
            {"resourceType":"Bundle","entry":[{"resource":{"resourceType":"CarePlan","id":"7","status":"\(plan)","period":\(period),\
            "activity":[{"detail":\(detail)}]}}]}
            """
        return try #require(VKPCarePlan.plans(in: JSON(parsing: answer))?.first)
    }

    private static func schedule(_ plan: VKPCarePlan, zone: any Zone = FixedZone(minutes: 60)) throws -> VKPCarePlan.Schedule {
        plan.schedule(
            from: try VKPSamples.at("2023-02-20T00:00:00+01:00"), until: try VKPSamples.at("2023-02-27T00:00:00+01:00"),
            zone: zone)
    }

    /// Start and end of each slot.
    private static func slots(_ timing: String) throws -> [String] {
        let schedule = try schedule(plan("\"scheduledTiming\":{\(timing)}"))
        #expect(schedule.unreadable.isEmpty)
        return schedule.slots.map { "\($0.start.iso8601(offsetMinutes: 60)) \($0.end.iso8601(offsetMinutes: 60))" }
    }

    @Test("Each day at a time: two hours on either side of it")
    func daily() throws {
        let slots = try Self.slots(#""repeat":{"timeOfDay":["08:00:00"],"frequency":1,"period":1,"periodUnit":"d"}"#)
        #expect(slots.count == 7)
        #expect(slots.first == "2023-02-20T06:00:00+01:00 2023-02-20T10:00:00+01:00")
        #expect(slots.last == "2023-02-26T06:00:00+01:00 2023-02-26T10:00:00+01:00")
        #expect(
            try Self.slots(#""repeat":{"timeOfDay":["08:00:00","20:00:00"],"frequency":2,"period":1,"periodUnit":"d"}"#).count
                == 14)
    }

    @Test("On days of the week")
    func weekly() throws {
        let slots = try Self.slots(
            #""repeat":{"timeOfDay":["08:00:00"],"dayOfWeek":["mon","thu"],"frequency":2,"period":1,"periodUnit":"wk"}"#)
        #expect(slots.map { $0.prefix(10) } == ["2023-02-20", "2023-02-23"])
        #expect(try Self.slots(#""repeat":{"dayOfWeek":["sun"]}"#) == ["2023-02-26T00:00:00+01:00 2023-02-26T23:59:59.999+01:00"])
    }

    @Test("Once a day without a time is the whole day; an event is a moment; a period is itself")
    func others() throws {
        let whole = try Self.slots(#""repeat":{"frequency":1,"period":1,"periodUnit":"d"}"#)
        #expect(whole.count == 7)
        #expect(whole.first == "2023-02-20T00:00:00+01:00 2023-02-20T23:59:59.999+01:00")
        #expect(
            try Self.slots(#""event":["2023-02-21T12:00:00+01:00"]"#) == ["2023-02-21T10:00:00+01:00 2023-02-21T14:00:00+01:00"])
        let period = try Self.schedule(
            Self.plan(#""scheduledPeriod":{"start":"2023-02-21T00:00:00+01:00","end":"2023-02-22T00:00:00+01:00"}"#))
        #expect(period.slots.count == 1)
        #expect(period.slots.first?.kinds == [.bloodPressure])
    }

    @Test("Bounds of the timing and the plan's own period")
    func bounds() throws {
        let bounded = try Self.slots(
            #""repeat":{"boundsPeriod":{"start":"2023-02-22T00:00:00+01:00","end":"2023-02-23T23:00:00+01:00"},"timeOfDay":["08:00:00"]}"#
        )
        #expect(bounded.map { $0.prefix(10) } == ["2023-02-22", "2023-02-23"])
        let plan = try Self.plan(
            #""scheduledTiming":{"repeat":{"timeOfDay":["08:00:00"]}}"#, period: #"{"end":"2023-02-21T00:00:00+01:00"}"#)
        #expect(try Self.schedule(plan).slots.count == 1)
    }

    @Test(
        "What is not understood in full is said to be so, and gives no slot",
        arguments: [
            nil, #""scheduledString":"hver morgen""#, #""scheduledTiming":{"repeat":{"when":["MORN"]}}"#,
            #""scheduledTiming":{"repeat":{"frequency":3,"period":1,"periodUnit":"d"}}"#,
            #""scheduledTiming":{"repeat":{"frequency":1,"period":2,"periodUnit":"d"}}"#,
            #""scheduledTiming":{"repeat":{"frequency":1,"period":1,"periodUnit":"h"}}"#,
            #""scheduledTiming":{"repeat":{"timeOfDay":["25:00:00"]}}"#, #""scheduledTiming":{"repeat":{"dayOfWeek":["lun"]}}"#,
            #""scheduledTiming":{"repeat":{"timeOfDay":["08:00:00"],"count":3}}"#,
            #""scheduledTiming":{"repeat":{"timeOfDay":["08:00:00"],"boundsPeriod":{"start":"2023"}}}"#,
            #""scheduledTiming":{"repeat":{}}"#, #""scheduledTiming":{"event":["2023-02-21"]}"#,
        ] as [String?])
    func unreadable(scheduled: String?) throws {
        let schedule = try Self.schedule(Self.plan(scheduled))
        #expect(schedule == VKPCarePlan.Schedule(slots: [], unreadable: ["7/0"]))
    }

    @Test("A plan that is not active, an activity that is over, and what is no measurement of ours order nothing")
    func nothing() throws {
        let timing = #""scheduledTiming":{"repeat":{"timeOfDay":["08:00:00"]}}"#
        let none = VKPCarePlan.Schedule(slots: [], unreadable: [])
        #expect(try Self.schedule(Self.plan(timing, plan: "revoked")) == none)
        #expect(try Self.schedule(Self.plan(timing, status: "cancelled")) == none)
        #expect(try Self.schedule(Self.plan(timing, code: "74465-6")) == none)
    }

    @Test("The same order has the same slots in every window")
    func identity() throws {
        let plan = try Self.plan(#""scheduledTiming":{"repeat":{"timeOfDay":["08:00:00"]}}"#)
        let week = try Self.schedule(plan).slots
        let day = plan.schedule(
            from: try VKPSamples.at("2023-02-23T00:00:00+01:00"), until: try VKPSamples.at("2023-02-24T00:00:00+01:00"),
            zone: FixedZone(minutes: 60)
        ).slots
        #expect(day.count == 1)
        #expect(week.contains(day[0]))
        #expect(Set(week.map(\.id)).count == 7)
    }

    /// The hour from 02:00 is not there on 2023-02-23.
    private struct Spring: Zone {
        func offsetMinutes(at instant: Instant) -> Int { instant.milliseconds < 1_677_114_000_000 ? 60 : 120 }
    }

    @Test("A time that the clocks skip is no slot of that day, and a whole day is as long as it is")
    func summerTime() throws {
        let skipped = try Self.plan(#""scheduledTiming":{"repeat":{"timeOfDay":["02:30:00"]}}"#)
        let days = try Self.schedule(skipped, zone: Spring()).slots.map { slot in
            let zone = Spring().offsetMinutes(at: slot.end)
            return String(slot.start.iso8601(offsetMinutes: zone).prefix(10).suffix(2))
        }
        #expect(days == ["20", "21", "22", "24", "25", "26", "27"])
        let whole = try Self.plan(#""scheduledTiming":{"repeat":{"frequency":1,"period":1,"periodUnit":"d"}}"#)
        let lengths = try Self.schedule(whole, zone: Spring()).slots.map { ($0.end - $0.start).components.seconds / 3_600 }
        // Rounded down, from a millisecond less; from then on a day begins an hour before the window's midnight.
        #expect(lengths == [23, 23, 23, 22, 23, 23, 23, 23])
    }
}
