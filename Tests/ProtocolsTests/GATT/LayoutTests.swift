import Protocols
import Testing
import Vitals

/// The layout of each measurement, stated here a second time: what each flag bit adds.
struct Layout: CustomTestStringConvertible, Sendable {
    let name: String
    let flagBytes: Int
    /// Bytes with no flag set.
    let base: Int
    /// Bytes that a flag adds.
    let fields: [Int: Int]
    let roundTrip: @Sendable ([UInt8]) throws(DecodeError) -> (encoded: [UInt8], measurement: Measurement)

    var testDescription: String { name }

    init<Value: MeasurementValue>(_ type: Value.Type, flagBytes: Int = 1, base: Int, fields: [Int: Int]) {
        name = type.uuid.hex4
        self.flagBytes = flagBytes
        self.base = base
        self.fields = fields
        roundTrip = { bytes throws(DecodeError) in
            let value = try Value(decoding: bytes)
            return (value.encoded, value.measurement)
        }
    }

    func length(flags: Int) -> Int { fields.reduce(base) { flags & 1 << $1.key != 0 ? $0 + $1.value : $0 } }

    static let all: [Layout] = [
        Layout(BloodPressureMeasurement.self, base: 7, fields: [1: 7, 2: 2, 3: 1, 4: 2]),
        Layout(IntermediateCuffPressure.self, base: 7, fields: [1: 7, 2: 2, 3: 1, 4: 2]),
        Layout(EnhancedBloodPressureMeasurement.self, base: 7, fields: [1: 4, 2: 2, 3: 1, 4: 2, 5: 4]),
        Layout(EnhancedIntermediateCuffPressure.self, base: 7, fields: [1: 4, 2: 2, 3: 1, 4: 2, 5: 4]),
        Layout(PulseOximeterSpotCheck.self, base: 5, fields: [0: 7, 1: 2, 2: 3, 3: 2]),
        Layout(PulseOximeterContinuous.self, base: 5, fields: [0: 4, 1: 4, 2: 2, 3: 3, 4: 2]),
        Layout(WeightMeasurement.self, base: 3, fields: [1: 7, 2: 1, 3: 4]),
        Layout(
            BodyCompositionMeasurement.self, flagBytes: 2, base: 4,
            fields: [1: 7, 2: 1, 3: 2, 4: 2, 5: 2, 6: 2, 7: 2, 8: 2, 9: 2, 10: 2, 11: 2]),
        Layout(TemperatureMeasurement.self, base: 5, fields: [1: 7, 2: 1]),
        Layout(GlucoseMeasurement.self, base: 10, fields: [0: 2, 1: 3, 3: 2]),
        Layout(GlucoseContext.self, base: 3, fields: [0: 3, 1: 1, 2: 1, 3: 3, 4: 3, 6: 2, 7: 1]),
    ]

    /// Every combination of flags; of 16 bits, every combination of the defined ones and some of the reserved.
    var allFlags: [Int] { flagBytes == 1 ? Array(0..<256) : Array(0..<8_192) + [0x2000, 0x4001, 0x8002, 0xE003, 0xFFFF] }

    func frame(flags: Int, fill: (Int) -> [UInt8]) -> [UInt8] {
        let head = flagBytes == 1 ? [UInt8(flags)] : [UInt8(flags & 0xFF), UInt8(flags >> 8)]
        return head + fill(length(flags: flags) - flagBytes)
    }
}

@Suite("Layouts of the measurements")
struct LayoutTests {
    @Test("Every combination of flags has one length; any other is an error that keeps the bytes", arguments: Layout.all)
    func everyFlagCombination(_ layout: Layout) {
        for flags in layout.allFlags {
            let frame = layout.frame(flags: flags) { [UInt8](repeating: 0, count: $0) }
            do throws(DecodeError) {
                let (encoded, _) = try layout.roundTrip(frame)
                if encoded != frame { Issue.record("flags \(flags) not encoded as decoded") }
            } catch {
                Issue.record("flags \(flags): \(error)")
            }
            do throws(DecodeError) {
                _ = try layout.roundTrip(frame + [0])
                Issue.record("flags \(flags): a byte too many was accepted")
            } catch {
                if error.code != .lengthMismatch || error.offset != frame.count || error.bytes != frame + [0] {
                    Issue.record("flags \(flags): \(error)")
                }
            }
        }
    }

    @Test("Every truncation is too short, at an offset inside the frame", arguments: Layout.all)
    func everyTruncation(_ layout: Layout) {
        var generator = freshGenerator("truncations of \(layout.name)")
        for flags in layout.flagBytes == 1 ? layout.allFlags : [0, 0x1FFF, 0x0398, 0x0AAA, 0x1555, 0xFFFF] {
            let frame = layout.frame(flags: flags) { generator.bytes($0) }
            for length in 0..<frame.count {
                do throws(DecodeError) {
                    _ = try layout.roundTrip(Array(frame[..<length]))
                    Issue.record("flags \(flags): \(length) of \(frame.count) bytes accepted")
                } catch {
                    if error.code != .tooShort || error.offset > length || error.bytes.count != length {
                        Issue.record("flags \(flags): \(error)")
                    }
                }
            }
        }
    }

    @Test("Random fields are encoded as they were decoded", arguments: Layout.all)
    func randomFields(_ layout: Layout) {
        var generator = freshGenerator("round trips of \(layout.name)")
        for _ in 0..<2_000 {
            let flags = Int.random(in: 0..<(layout.flagBytes == 1 ? 256 : 65_536), using: &generator)
            let frame = layout.frame(flags: flags) { generator.bytes($0) }
            do throws(DecodeError) {
                let (encoded, measurement) = try layout.roundTrip(frame)
                if encoded != frame { Issue.record("not encoded as decoded: flags \(flags)") }
                _ = measurement.json().bytes
            } catch {
                Issue.record("flags \(flags): \(error)")
            }
        }
    }
}
