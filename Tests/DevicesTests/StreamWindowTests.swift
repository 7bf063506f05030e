import Catalogue
import ExactJSON
import Protocols
import Testing
import Vitals

@testable import Devices

@Suite struct StreamWindowTests {
    let rule = Model.StreamRule(resultFlags: [.fullyQualified, .validated], medianSeconds: 10)

    static func frame(_ second: Int, _ spo2: UInt16, _ pulse: UInt16, status: UInt16 = 0x20, sensor: UInt32 = 0) -> Frame {
        let bytes = PulseOximeterContinuous(
            spo2: SFloat(bits: spo2), pulseRate: SFloat(bits: pulse), status: status, sensorStatus: sensor
        ).encoded
        return Frame(source: .gatt(characteristic: 0x2A5F, handle: 9), bytes: bytes, received: reading(second * 1_000))
    }

    private func take(_ frames: [Frame]) -> (StreamWindow, ended: Bool) {
        var window = StreamWindow(rule: rule)
        var ended = false
        for frame in frames { ended = window.take(frame, try? FrameDecoder.measurement(frame.source, frame.bytes)) || ended }
        return (window, ended)
    }

    @Test("The device's own flag makes the reading, and the last such sample")
    func declared() throws {
        let frames =
            (0..<12).map { Self.frame($0, 97, 60) } + [
                Self.frame(12, 95, 61, status: 0x120), Self.frame(13, 96, 62, status: 0x100),
            ]
        let reading = try #require(take(frames).0.reading())
        #expect(!reading.isDerived)
        #expect(reading.frames == [frames[13]])
        #expect(reading.measurement?.kind == .pulseOximetrySpot)
        #expect(reading.measurement?[.spo2]?.value == .number(96))
        #expect(reading.measurement?.projection.distinguishes == false)
    }

    @Test("Else the median of the last stable seconds, exact and marked derived")
    func median() throws {
        let noise = (0..<8).map { Self.frame($0, 80, 120, sensor: 1 << 4) }
        let steady = (8..<20).map { Self.frame($0, $0 < 14 ? 97 : 98, 60 + UInt16($0 % 2)) }
        let (window, _) = take(noise + steady)
        let reading = try #require(window.reading())
        #expect(reading.isDerived)
        // Seconds 9 to 19: eleven samples that cover ten seconds.
        #expect(reading.frames.count == 11)
        #expect(reading.measurement?[.spo2]?.value == .number(98))
        #expect(reading.measurement?[.pulseRate]?.value == .number(61))
        #expect(reading.measurement?.quantities.count == 2)
    }

    @Test(
        "A gap, an invalid or an unstable sample breaks the stretch",
        arguments: [
            StreamWindowTests.frame(6, 0x07FF, 0x07FF), StreamWindowTests.frame(6, 97, 60, sensor: 1 << 4),
            StreamWindowTests.frame(9, 97, 60), StreamWindowTests.frame(6, 97, 60, status: 1 << 14),
        ])
    func broken(_ breaker: Frame) {
        let first = breaker.received.monotonic.milliseconds > 6_500 ? 5 : 6
        let frames = (0..<first).map { Self.frame($0, 97, 60) } + [breaker] + (10..<15).map { Self.frame($0, 97, 60) }
        let (window, _) = take(frames)
        #expect(window.reading()?.measurement == nil)
        #expect(window.reading()?.frames.isEmpty == false)
    }

    @Test("An earlier stable stretch stands where the end is restless")
    func earlier() {
        let frames = (0..<12).map { Self.frame($0, 97, 60) } + (12..<15).map { Self.frame($0, 88, 99, status: 1 << 14) }
        #expect(take(frames).0.reading()?.measurement?[.spo2]?.value == .number(97))
    }

    @Test("Finger out ends it; values that the device calls invalid never count")
    func fingerOut() {
        let out = Self.frame(12, 0x07FF, 0x07FF, status: 1 << 13, sensor: 1 << 11)
        #expect(take([out]).ended)
        #expect(!take([Self.frame(0, 97, 60)]).ended)
        let demo = (0..<15).map { Self.frame($0, 97, 60, status: 1 << 10 | 1 << 8) }
        #expect(take(demo).0.reading()?.measurement == nil)
    }

    @Test(
        "Medians keep the digits",
        arguments: [
            (["97"], "97"), (["96", "97"], "96.5"), (["96", "98"], "97"), (["97.5", "97", "98"], "97.5"),
            (["97.5", "97"], "97.25"),
            (["97.5", "98.5"], "98.0"), (["98", "96", "97", "99"], "97.5"),
        ])
    func medians(_ numbers: [String], _ expected: String) {
        #expect(StreamWindow.median(numbers.compactMap { ExactDecimal($0) })?.description == expected)
    }

    @Test("Nothing has no median")
    func empty() {
        #expect(StreamWindow.median([]) == nil)
        #expect(StreamWindow(rule: rule).reading() == nil)
    }
}
