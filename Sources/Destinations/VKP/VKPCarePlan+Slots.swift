import ExactJSON
public import Vitals

extension VKPCarePlan {
    /// When something was ordered, and what of the plan cannot be told.
    public struct Schedule: Hashable, Sendable {
        /// In order of their starts.
        public var slots: [VKPSlot]
        /// Activities that order a measurement at a time that is not understood: nothing is ever said of them.
        public var unreadable: [String]

        public init(slots: [VKPSlot], unreadable: [String]) {
            self.slots = slots
            self.unreadable = unreadable
        }
    }

    /// The slots of the plan's measurements that begin in a window; none of a plan or an activity that is not active.
    ///
    /// Read of R4's Timing: `event`; `repeat` with `timeOfDay`, each day or on `dayOfWeek`; once a day without a time, which is the
    /// whole day. A Period is one slot. All else (`when`, `offset`, `count`, other periods) is not guessed.
    ///
    /// - Parameters:
    ///   - zone: the patient's; times of day are of it.
    ///   - tolerance: how long before and after an ordered moment a measurement counts as the one ordered.
    public func schedule(
        from: Instant, until: Instant, zone: any Zone, tolerance: Duration = .seconds(7_200), grace: Duration = .seconds(3_600)
    ) -> Schedule {
        var schedule = Schedule(slots: [], unreadable: [])
        guard isActive else { return schedule }
        for (index, activity) in activities.enumerated() {
            let kinds = Set(activity.codes.compactMap { Self.kinds[$0] })
            guard !kinds.isEmpty, Self.isOpen(activity.status) else { continue }
            let name = "\(id)/\(index)"
            guard let spans = Self.spans(activity.scheduled, from: from, until: until, zone: zone, tolerance: tolerance) else {
                schedule.unreadable.append(name)
                continue
            }
            for span in spans where from <= span.from && span.from < until && isInPlan(span) {
                schedule.slots.append(
                    VKPSlot(id: "\(name)/\(span.from)", kinds: kinds, start: span.from, end: span.until, grace: grace))
            }
        }
        schedule.slots.sort { ($0.start, $0.id) < ($1.start, $1.id) }
        return schedule
    }

    private func isInPlan(_ span: VKPWatch.Span) -> Bool {
        (start.map { $0 <= span.until } ?? true) && (end.map { span.from <= $0 } ?? true)
    }

    private static func isOpen(_ status: String?) -> Bool {
        status == "scheduled" || status == "in-progress" || status == "not-started"
    }

    private static func spans(
        _ scheduled: JSON?, from: Instant, until: Instant, zone: any Zone, tolerance: Duration
    ) -> [VKPWatch.Span]? {
        guard let scheduled else { return nil }
        if let start = scheduled["start"]?.string, let end = scheduled["end"]?.string {
            guard let start = Instant(iso8601: start), let end = Instant(iso8601: end) else { return nil }
            return [VKPWatch.Span(from: start, until: end)]
        }
        var spans: [VKPWatch.Span] = []
        func add(_ moment: Instant) { spans.append(VKPWatch.Span(from: moment - tolerance, until: moment + tolerance)) }
        for event in scheduled["event"]?.array ?? [] {
            guard let moment = event.string.flatMap({ Instant(iso8601: $0) }) else { return nil }
            add(moment)
        }
        guard let rule = scheduled["repeat"] else { return spans.isEmpty ? nil : spans }
        guard let days = Days(rule) else { return nil }
        // A day more on either side: local days and the tolerance reach over the window's ends.
        let first = (from.milliseconds / 1_000 - 2 * 86_400) / 86_400
        let last = (until.milliseconds / 1_000 + 2 * 86_400) / 86_400
        for day in first...max(first, last) where days.has(day) {
            func moment(_ seconds: Int64) -> Instant? {
                zone.instants(showing: LocalDateTime(secondsSince1970: day * 86_400 + seconds)).first?.instant
            }
            if days.times.isEmpty {
                // A whole local day, of 23 to 25 hours.
                guard let start = moment(0), let end = moment(86_400) else { continue }
                spans.append(VKPWatch.Span(from: start, until: end - .milliseconds(1)))
            }
            // A time that the clocks skip in spring is no time of that day.
            for time in days.times { if let moment = moment(time) { add(moment) } }
        }
        guard let bounds = rule["boundsPeriod"] else { return spans }
        let start = bounds["start"]?.string.flatMap { Instant(iso8601: $0) }
        let end = bounds["end"]?.string.flatMap { Instant(iso8601: $0) }
        guard (bounds["start"] == nil) == (start == nil), (bounds["end"] == nil) == (end == nil) else { return nil }
        return spans.filter { span in (start.map { $0 <= span.until } ?? true) && (end.map { span.from <= $0 } ?? true) }
    }

    /// The days of a `repeat`, and the times on them.
    private struct Days {
        /// Seconds since local midnight.
        var times: [Int64]
        /// Monday is 0; empty for every day.
        private var weekdays: Set<Int64>

        private static let names: [String: Int64] = ["mon": 0, "tue": 1, "wed": 2, "thu": 3, "fri": 4, "sat": 5, "sun": 6]
        private static let known: Set<String> = [
            "boundsPeriod", "timeOfDay", "dayOfWeek", "frequency", "period", "periodUnit",
        ]

        /// `nil` for a rule that is not understood in full.
        init?(_ rule: JSON) {
            guard (rule.object ?? []).allSatisfy({ Self.known.contains($0.key) }) else { return nil }
            times = []
            for time in rule["timeOfDay"]?.array ?? [] {
                let parts = (time.string ?? "").split(separator: ":").compactMap { Int64($0) }
                guard parts.count == 3, (0..<24).contains(parts[0]), (0..<60).contains(parts[1]), (0..<60).contains(parts[2])
                else { return nil }
                times.append(parts[0] * 3_600 + parts[1] * 60 + parts[2])
            }
            weekdays = []
            for day in rule["dayOfWeek"]?.array ?? [] {
                guard let number = day.string.flatMap({ Self.names[$0] }) else { return nil }
                weekdays.insert(number)
            }
            let period = rule["period"]?.number
            switch rule["periodUnit"]?.string {
            case nil: guard period == nil, rule["frequency"] == nil, !(times.isEmpty && weekdays.isEmpty) else { return nil }
            case "d":
                // Several times a day without saying when has no slots.
                guard period?.isNumericallyEqual(to: 1) ?? false, (rule["frequency"]?.integer ?? 1) == max(1, times.count) else {
                    return nil
                }
            case "wk":
                guard period?.isNumericallyEqual(to: 1) ?? false, !weekdays.isEmpty,
                    (rule["frequency"]?.integer ?? weekdays.count) == weekdays.count * max(1, times.count)
                else { return nil }
            default: return nil
            }
        }

        /// - Parameter day: since 1970-01-01, a Thursday.
        func has(_ day: Int64) -> Bool { weekdays.isEmpty || weekdays.contains((day + 3) % 7) }
    }

    /// What is measured, by the codes that ``PMDCode`` sends.
    private static let kinds: [String: Reading.Kind] = {
        let loinc: [(String, Reading.Kind)] = [
            ("85354-9", .bloodPressure), ("8480-6", .bloodPressure), ("8462-4", .bloodPressure), ("8867-4", .pulseRate),
            ("2708-6", .oxygenSaturation), ("59408-5", .oxygenSaturation), ("29463-7", .bodyWeight), ("8302-2", .bodyHeight),
            ("39156-5", .bodyMassIndex), ("8310-5", .bodyTemperature), ("15074-8", .glucose),
        ]
        let snomed: [(String, Reading.Kind)] = [
            ("75367002", .bloodPressure), ("364075005", .pulseRate), ("78564009", .pulseRate), ("431314004", .oxygenSaturation),
            ("27113001", .bodyWeight), ("1153637007", .bodyHeight), ("276885007", .bodyTemperature), ("434912009", .glucose),
        ]
        return Dictionary(
            loinc.map { ("\(PHD.loinc)|\($0.0)", $0.1) } + snomed.map { ("\(PMD.snomed)|\($0.0)", $0.1) },
            uniquingKeysWith: { first, _ in first })
    }()
}
