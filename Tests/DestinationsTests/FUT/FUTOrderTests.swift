import Destinations
import ExactJSON
import Testing
import Vitals

/// Which order a reading answers. The cuff's act has pressures and a pulse, the oximeter's saturation and pulse; both are measured at
/// 2023-02-23T09:24:08Z.
@Suite struct FUTOrderTests {
    private let cuff = Samples.bloodPressure
    private var oximeter: Act { get throws { try Samples.named("oximeter-poor-signal").act } }

    private func order(_ act: Act, _ ordering: FUTOrdering, reading: Int = 0) throws -> FUTOrder {
        try #require(ordering.decide(act).first { $0.reading == act.readings[reading].id }).order
    }

    @Test(
        "A slot that contained the time of measurement, both ends included",
        arguments: [
            ("2023-02-23T08:00:00+00:00", "2023-02-23T12:00:00+00:00", true),
            ("2023-02-23T09:24:08+00:00", "2023-02-23T10:00:00+00:00", true),
            ("2023-02-23T09:00:00+00:00", "2023-02-23T09:24:08+00:00", true),
            ("2023-02-23T09:24:09+00:00", "2023-02-23T10:00:00+00:00", false),
            ("2023-02-23T09:00:00+00:00", "2023-02-23T09:24:07+00:00", false),
            // A moment has half an hour on either side.
            ("2023-02-23T09:00:00+00:00", "2023-02-23T09:00:00+00:00", true),
            ("2023-02-23T10:00:00+00:00", "2023-02-23T10:00:00+00:00", false),
        ])
    func slots(start: String, end: String, isIn: Bool) throws {
        let request = try FUTSamples.request("1", [FUTSamples.panel])
        let slot = try FUTSamples.slot(start, end)
        let ordering = FUTSamples.ordering(try FUTSamples.plan([request], [FUTSamples.item("1", slot)]))
        #expect(try order(cuff, ordering) == (isIn ? .resolved(request, slot) : .notOrdered(.outsideSlot)))
    }

    @Test("Among open slots the one that begins first")
    func firstSlot() throws {
        let request = try FUTSamples.request("1", [FUTSamples.panel])
        let (late, early) = (try FUTSamples.slot("2023-02-23T09:00:00Z"), try FUTSamples.slot("2023-02-23T07:00:00Z"))
        let ordering = FUTSamples.ordering(
            try FUTSamples.plan([request], [FUTSamples.item("1", late), FUTSamples.item("1", early)]))
        #expect(try order(cuff, ordering) == .resolved(request, early))
    }

    @Test("Requests without slots: ad hoc and unresolved", arguments: [FUTPlan.Timing.adhoc, .unresolved])
    func withoutSlots(timing: FUTPlan.Timing) throws {
        let request = try FUTSamples.request("1", [FUTSamples.panel])
        let ordering = FUTSamples.ordering(try FUTSamples.plan([request], [FUTSamples.item("1", timing: timing)]))
        #expect(try order(cuff, ordering) == (timing == .adhoc ? .adhoc(request) : .unresolved(request)))
    }

    @Test("Outside the slot: extra where the request takes it, by its own word or the answer's", arguments: [true, false])
    func extra(byItem: Bool) throws {
        let request = try FUTSamples.request("1", [FUTSamples.panel], extra: !byItem)
        let slot = try FUTSamples.slot("2023-02-23T18:00:00Z", "2023-02-23T20:00:00Z")
        let items = [FUTSamples.item("1", slot)] + (byItem ? [FUTSamples.item("1", timing: .extra)] : [])
        #expect(try order(cuff, FUTSamples.ordering(FUTSamples.plan([request], items))) == .extra(request))
    }

    @Test("Beyond what the slot asks for: extra where the plan allows it, else held", arguments: [true, false])
    func beyond(extra: Bool) throws {
        let request = try FUTSamples.request("1", [FUTSamples.panel], extra: extra)
        let slot = try FUTSamples.slot()
        let plan = try FUTSamples.plan([request], [FUTSamples.item("1", slot, requested: 2, submitted: 2)])
        #expect(try order(cuff, FUTSamples.ordering(plan)) == (extra ? .extra(request) : .beyondRequested(request, slot)))
    }

    @Test("What was invalidated leaves its place again")
    func invalidated() throws {
        let request = try FUTSamples.request("1", [FUTSamples.panel])
        let slot = try FUTSamples.slot()
        let plan = try FUTSamples.plan([request], [FUTSamples.item("1", slot, requested: 1, submitted: 1, invalidated: 1)])
        #expect(try order(cuff, FUTSamples.ordering(plan)) == .resolved(request, slot))
    }

    @Test(
        "This hub's own readings count until a plan counts them",
        arguments: [
            (nil as String?, false), ("2023-02-23T07:00:00Z", false), ("2023-02-23T05:00:00Z", true),
        ])
    func claims(delivered: String?, isOpen: Bool) throws {
        let request = try FUTSamples.request("1", [FUTSamples.panel])
        let slot = try FUTSamples.slot()
        let claim = FUTClaim(
            reading: SubjectID(rawValue: "other"), request: request.reference, slot: slot,
            delivered: try delivered.map(FUTSamples.at))
        let plan = try FUTSamples.plan([request], [FUTSamples.item("1", slot)])
        let expected: FUTOrder = isOpen ? .resolved(request, slot) : .beyondRequested(request, slot)
        #expect(try order(cuff, FUTSamples.ordering(plan, claims: [claim])) == expected)
        // Its own place is no obstacle when it is decided again.
        var own = claim
        own.reading = cuff.readings[0].id
        #expect(try order(cuff, FUTSamples.ordering(plan, claims: [own])) == .resolved(request, slot))
    }

    @Test("Held, with what is to be said of it")
    func reasons() throws {
        let slot = try FUTSamples.slot()
        let known = try FUTSamples.request("1", [FUTSamples.panel])
        let item = FUTSamples.item("1", slot)
        func held(_ plans: FUTPlan...) throws -> FUTOrder {
            try order(cuff, FUTOrdering(history: FUTPlanHistory(plans), settings: FUTSamples.settings))
        }
        #expect(try held() == .notOrdered(.planUnknown))
        #expect(try held(FUTSamples.plan([known], [item], from: "2023-02-24T00:00:00Z")) == .notOrdered(.planUnknown))
        let pulse = try FUTSamples.request("1", [FUTSamples.pulse])
        #expect(try held(FUTSamples.plan([pulse], [item])) == .notOrdered(.noRequest))
        let ended = try FUTSamples.request("1", [FUTSamples.panel], until: "2023-02-22T00:00:00Z")
        #expect(try held(FUTSamples.plan([ended], [item])) == .notOrdered(.outsidePeriod))
        let begun = try FUTSamples.request("1", [FUTSamples.panel], from: "2023-02-23T10:00:00Z")
        #expect(try held(FUTSamples.plan([begun], [item])) == .notOrdered(.outsidePeriod))
        let third = try FUTSamples.request("1", [FUTSamples.panel], version: "3", validFrom: "2023-02-23T10:00:00Z")
        #expect(try held(FUTSamples.plan([third], [])) == .notOrdered(.unknownVersion))
        let refreshed = try FUTSamples.plan([], [], fetched: "2023-02-23T11:00:00Z")
        #expect(try held(FUTSamples.plan([known], [item]), refreshed) == .notOrdered(.noLongerActive))
    }

    @Test("A plan that begins later never takes an earlier reading; one that is known too late still does")
    func r7_offeredAgain() throws {
        let slot = try FUTSamples.slot()
        let late = "2023-02-24T09:00:00Z"
        let newPlan = try FUTSamples.request("1", [FUTSamples.panel], validFrom: late, from: late)
        let window = (fetched: "2023-02-24T10:00:00Z", from: "2023-02-22T00:00:00Z")
        let after = try FUTSamples.plan([newPlan], [FUTSamples.item("1", slot)], fetched: window.fetched, from: window.from)
        #expect(try order(cuff, FUTSamples.ordering(after)) == .notOrdered(.outsidePeriod))
        // The hub was installed late, the request held already.
        let old = try FUTSamples.request("1", [FUTSamples.panel])
        let known = try FUTSamples.plan([old], [FUTSamples.item("1", slot)], fetched: window.fetched, from: window.from)
        #expect(try order(cuff, FUTSamples.ordering(known)) == .resolved(old, slot))
    }

    @Test("A version that has been replaced is answered by its own slots and its own number")
    func replacedVersion() throws {
        let (old, new) = (
            try FUTSamples.request("1", [FUTSamples.panel]),
            try FUTSamples.request("1", [FUTSamples.panel], version: "2", validFrom: "2023-02-23T10:00:00Z")
        )
        let slot = try FUTSamples.slot()
        let evening = try FUTSamples.slot("2023-02-23T18:00:00Z", "2023-02-23T20:00:00Z")
        let ordering = FUTSamples.ordering(
            try FUTSamples.plan([old], [FUTSamples.item("1", slot)]),
            try FUTSamples.plan([new], [FUTSamples.item("1", evening, version: "2")], fetched: "2023-02-23T11:00:00Z"))
        #expect(try order(cuff, ordering) == .resolved(old, slot))
    }

    @Test("What the newer plan counts under the older version fills the older slot")
    func countedUnderOldVersion() throws {
        let (old, new) = (
            try FUTSamples.request("1", [FUTSamples.panel]),
            try FUTSamples.request("1", [FUTSamples.panel], version: "2", validFrom: "2023-02-23T10:00:00Z")
        )
        let slot = try FUTSamples.slot()
        let ordering = FUTSamples.ordering(
            try FUTSamples.plan([old], [FUTSamples.item("1", slot)]),
            try FUTSamples.plan(
                [new], [FUTSamples.item("1", slot, requested: nil, submitted: 1)], fetched: "2023-02-23T11:00:00Z"))
        #expect(try order(cuff, ordering) == .beyondRequested(old, slot))
    }

    @Test("A cuff's pulse never fills the oximeter group's request, and the other way round")
    func deviceGroup() throws {
        let slot = try FUTSamples.slot()
        let ofOximeter = try FUTSamples.request("1", [FUTSamples.pulse], companions: [FUTSamples.saturation])
        let ofCuff = try FUTSamples.request("2", [FUTSamples.pulse], companions: [FUTSamples.panel])
        let alone = try FUTSamples.request("3", [FUTSamples.pulse])
        func plan(_ request: FUTPlan.Request, _ id: String) throws -> FUTOrdering {
            FUTSamples.ordering(try FUTSamples.plan([request], [FUTSamples.item(id, slot)]))
        }
        #expect(try order(cuff, plan(ofOximeter, "1"), reading: 1) == .notOrdered(.otherDeviceGroup))
        #expect(try order(oximeter, plan(ofOximeter, "1"), reading: 1) == .resolved(ofOximeter, slot))
        #expect(try order(cuff, plan(ofCuff, "2"), reading: 1) == .resolved(ofCuff, slot))
        #expect(try order(oximeter, plan(ofCuff, "2"), reading: 1) == .notOrdered(.otherDeviceGroup))
        #expect(try order(cuff, plan(alone, "3"), reading: 1) == .resolved(alone, slot))
        #expect(try order(oximeter, plan(alone, "3"), reading: 1) == .resolved(alone, slot))
    }

    @Test("Where two plans ask, an open slot goes first, then ad hoc, then unresolved, then extra")
    func precedence() throws {
        let slot = try FUTSamples.slot()
        let requests = try (1...4).map { try FUTSamples.request("\($0)", [FUTSamples.panel], extra: $0 == 1) }
        var items = [
            FUTSamples.item("1", timing: .extra), FUTSamples.item("2", timing: .unresolved), FUTSamples.item("3", timing: .adhoc),
            FUTSamples.item("4", slot),
        ]
        let expected: [FUTOrder] = [
            .resolved(requests[3], slot), .adhoc(requests[2]), .unresolved(requests[1]), .extra(requests[0]),
        ]
        for order in expected {
            let present = Set(items.compactMap { $0.request.split(separator: "/").last.map(String.init) })
            let plan = try FUTSamples.plan(
                requests.filter { request in present.contains { request.reference.hasSuffix("/" + $0) } }, items)
            #expect(try self.order(cuff, FUTSamples.ordering(plan)) == order)
            items.removeLast()
        }
    }

    @Test("Single pressures that are ordered take the pressure reading apart; the panel goes before them")
    func singlePressures() throws {
        let slot = try FUTSamples.slot()
        let (systolic, diastolic) = (
            try FUTSamples.request("1", [FUTSamples.systolic]), try FUTSamples.request("2", [FUTSamples.diastolic])
        )
        let items = [FUTSamples.item("1", slot), FUTSamples.item("2", slot)]
        let decisions = FUTSamples.ordering(try FUTSamples.plan([systolic, diastolic], items)).decide(cuff)
        #expect(decisions.map(\.role) == [.systolic, .diastolic, .pulseRate])
        #expect(decisions[0].order == .resolved(systolic, slot))
        // One reading is never twice in what is sent together.
        let targets = FUTTarget.targets(of: decisions, patient: FUTSamples.patient, device: nil)
        #expect(targets.map { $0.orders.map(\.role) } == [[.systolic], [.diastolic]])
        let panel = try FUTSamples.request("3", [FUTSamples.panel])
        let both = try FUTSamples.plan([systolic, diastolic, panel], items + [FUTSamples.item("3", slot)])
        #expect(FUTSamples.ordering(both).decide(cuff).map(\.role) == [.bloodPressure, .pulseRate])
    }

    @Test("What FUT has no code for stays here with that reason")
    func noCode() throws {
        let act = try Samples.named("oximeter-spot").act
        let decision = try #require(FUTSamples.ordering(try FUTSamples.plan([], [])).decide(act).last)
        #expect(decision.order == .notOrdered(.noCode))
        #expect(decision.role == nil)
        #expect(decision.order.heldReason == "no-code")
    }

    @Test("An act goes out by episode of care and resolved timing")
    func targets() throws {
        let slot = try FUTSamples.slot()
        let other = FUTSamples.careplan + "/EpisodeOfCare/2002"
        let pressure = try FUTSamples.request("1", [FUTSamples.panel])
        func targets(_ pulse: FUTPlan.Request, _ item: FUTPlan.Item) throws -> [FUTTarget] {
            let plan = try FUTSamples.plan([pressure, pulse], [FUTSamples.item("1", slot), item])
            return FUTTarget.targets(
                of: FUTSamples.ordering(plan).decide(cuff), patient: FUTSamples.patient, device: FUTSamples.device)
        }
        let together = try targets(FUTSamples.request("2", [FUTSamples.pulse]), FUTSamples.item("2", slot))
        #expect(together.map { $0.orders.count } == [2])
        #expect(together[0].device == FUTSamples.device)
        let elsewhere = try targets(FUTSamples.request("2", [FUTSamples.pulse], episode: other), FUTSamples.item("2", slot))
        #expect(elsewhere.map(\.episode) == [FUTSamples.episode, other])
        let adhoc = try targets(FUTSamples.request("2", [FUTSamples.pulse]), FUTSamples.item("2", timing: .adhoc))
        #expect(adhoc.map(\.timing) == [.resolved, .adhoc])
        #expect(adhoc[1].slot == nil)
    }

    @Test("A target survives its keeping")
    func kept() throws {
        for timing in FUTPlan.Timing.allCases {
            let target = try FUTSamples.target(cuff, timing: timing)
            #expect(FUTTarget(try JSON(parsing: target.json.bytes)) == target)
        }
        #expect(FUTTarget(["patient": "x"]) == nil)
    }
}
