import Protocols
import Vitals

/// A stream of numbers that a seed determines: SplitMix64 (Steele, Lea, Flood, "Fast splittable pseudorandom number generators",
/// 2014).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64

    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}

/// Makes the records of a simulated device: plausible values from a seed, each a minute after the one before it, so that all
/// differ.
struct RecordFactory {
    private var generator: SeededGenerator
    /// The stamp of the next record, on the device's own clock; `nil` leaves records without a stamp.
    var stamp: LocalDateTime?

    init(seed: UInt64, firstStamp: LocalDateTime?) {
        generator = SeededGenerator(seed: seed)
        stamp = firstStamp
    }

    private mutating func nextStamp() -> LocalDateTime? {
        defer {
            if let stamp, stamp.isValid { self.stamp = LocalDateTime(secondsSince1970: stamp.secondsSince1970 + 60) }
        }
        return stamp
    }

    private mutating func number(_ range: ClosedRange<Int>) -> SFloat {
        SFloat(bits: UInt16(Int.random(in: range, using: &generator)))
    }

    /// Pressures in whole mmHg, pulse, stamp.
    mutating func bloodPressure(userID: UInt8? = nil, status: UInt16? = nil) -> BloodPressureMeasurement {
        let diastolic = Int.random(in: 58...98, using: &generator)
        let systolic = diastolic + Int.random(in: 28...68, using: &generator)
        // The usual estimate of a cuff's mean: a third of the way up from the diastolic.
        return BloodPressureMeasurement(
            systolic: SFloat(bits: UInt16(systolic)), diastolic: SFloat(bits: UInt16(diastolic)),
            mean: SFloat(bits: UInt16(diastolic + (systolic - diastolic) / 3)), timeStamp: nextStamp(),
            pulseRate: number(52...96),
            userID: userID, status: status)
    }

    /// Saturation in whole percent, pulse, stamp; marked fully qualified.
    mutating func spotCheck(fromStorage: Bool = false) -> PulseOximeterSpotCheck {
        PulseOximeterSpotCheck(
            spo2: number(93...99), pulseRate: number(52...96), timeStamp: nextStamp(),
            status: OximeterBits.fullyQualified | (fromStorage ? OximeterBits.fromStorage : 0), sensorStatus: 0)
    }

    mutating func sample(status: UInt16, sensorStatus: UInt32 = 0) -> [UInt8] {
        PulseOximeterContinuous(spo2: number(95...98), pulseRate: number(60...72), status: status, sensorStatus: sensorStatus)
            .encoded
    }
}

/// Bits of the oximeter's status fields (Pulse Oximeter Service 1.0.1).
enum OximeterBits {
    static let ongoing: UInt16 = 1 << 5
    static let earlyEstimate: UInt16 = 1 << 6
    static let fullyQualified: UInt16 = 1 << 8
    static let fromStorage: UInt16 = 1 << 9
    static let unavailable: UInt16 = 1 << 13
    static let poorSignal: UInt32 = 1 << 4
    static let unconnectedToUser: UInt32 = 1 << 11
}
