import Destinations
import Testing
import Vitals

/// When it may be said that nothing was measured. The slot is 08:00 to 12:00, with an hour of grace.
@Suite struct VKPAbsenceTests {
    private let slot: VKPSlot
    private let watch: VKPWatch
    private let now: Instant

    init() throws {
        slot = try VKPSamples.slot()
        let day = VKPWatch.Span(from: try VKPSamples.at("2023-02-23T00:00:00+01:00"), until: slot.closes)
        watch = VKPWatch(hub: [day], clock: [day], radio: [day], memoryRead: slot.end)
        now = slot.closes
    }

    private func says(_ change: (inout VKPWatch) -> Void = { _ in }, at time: Instant? = nil) -> VKPAbsence {
        var watch = watch
        change(&watch)
        return VKPAbsence(of: slot, watch: watch, now: time ?? now)
    }

    @Test("All was well and the memory was read after the slot: not measured")
    func notMeasured() { #expect(says() == .notMeasured) }

    @Test("Until the grace is over nothing is said")
    func wait() {
        for time in [slot.start - .seconds(60), slot.end, slot.closes - .milliseconds(1)] {
            #expect(says(at: time) == .wait(until: slot.closes))
        }
    }

    @Test("A reading in the slot is a measurement, wherever it is on its way, and at any time")
    func measured() {
        for time in [slot.start, slot.end] {
            #expect(says { $0.readings = [.init(.bloodPressure, time)] } == .measured)
        }
        #expect(says({ $0.readings = [.init(.bloodPressure, slot.start)] }, at: slot.start) == .measured)
        // Also where the hub was away afterwards.
        #expect(
            says {
                $0.readings = [.init(.bloodPressure, slot.start)]
                $0.hub = []
            } == .measured)
    }

    @Test("Another kind, or another time, is none")
    func other() {
        #expect(says { $0.readings = [.init(.pulseRate, slot.start)] } == .notMeasured)
        for time in [slot.start - .milliseconds(1), slot.end + .milliseconds(1)] {
            #expect(says { $0.readings = [.init(.bloodPressure, time)] } == .notMeasured)
        }
    }

    @Test(
        "A gap of a millisecond in hub, clock or radio, anywhere from the start to the end of the grace, and nothing is said",
        arguments: [VKPAbsence.Reason.hubAway, .clockUnsynchronised, .radioDown])
    func gaps(reason: VKPAbsence.Reason) {
        let (start, end) = (slot.start, slot.closes)
        let middle = slot.end + .seconds(60)
        let moment = Duration.milliseconds(1)
        func spans(_ spans: [(Instant, Instant)]) -> VKPAbsence {
            let spans = spans.map { VKPWatch.Span(from: $0.0, until: $0.1) }
            return says { watch in
                switch reason {
                case .hubAway: watch.hub = spans
                case .clockUnsynchronised: watch.clock = spans
                default: watch.radio = spans
                }
            }
        }
        #expect(spans([]) == .unknown(reason))
        #expect(spans([(start + moment, end)]) == .unknown(reason))
        #expect(spans([(start, end - moment)]) == .unknown(reason))
        #expect(spans([(start, middle), (middle + moment, end)]) == .unknown(reason))
        // Spans that touch or overlap, in any order, leave none.
        #expect(spans([(middle, end), (start, middle)]) == .notMeasured)
        #expect(spans([(start, end), (start, middle)]) == .notMeasured)
    }

    @Test("A memory that was not read since, or a device that keeps none: nothing is said")
    func memory() {
        #expect(says { $0.memoryRead = nil } == .unknown(.memoryNotRead))
        #expect(says { $0.memoryRead = slot.end - .milliseconds(1) } == .unknown(.memoryNotRead))
        #expect(says { $0.memoryRead = slot.closes + .seconds(86_400) } == .notMeasured)
    }

    @Test("Something of the device that is not placed might be the measurement")
    func unplaced() { #expect(says { $0.hasUnplaced = true } == .unknown(.unplaced)) }

    @Test("A slot that is none")
    func noSlot() {
        var slot = slot
        slot.kinds = []
        #expect(VKPAbsence(of: slot, watch: watch, now: now) == .unknown(.slot))
        slot = self.slot
        slot.end = slot.start - .seconds(1)
        #expect(VKPAbsence(of: slot, watch: watch, now: now) == .unknown(.slot))
    }
}
