import Catalogue
import ExactJSON
import Protocols
import Vitals

/// A continuous oximeter stream on its way to one reading.
///
/// The newest sample that carries one of the rule's result flags is the reading. Else it is the median of the last stable stretch
/// that covered the rule's seconds. A stable sample has both numbers and no mark of the device's against them; a gap or any other
/// sample breaks the stretch.
struct StreamWindow {
    /// PLXS sends about once a second; three missing in a row are a break.
    static let longestGap = Duration.seconds(3)
    /// Kept of a stream that never was stable, to show what came.
    static let keptUnstable = 16

    private struct Sample {
        var frame: Frame
        var measurement: Measurement
        var spo2: ExactDecimal
        var pulse: ExactDecimal
    }

    private let rule: Model.StreamRule
    private var declared: Sample?
    private var stretch: [Sample] = []
    private var stable: [Sample] = []
    private var recent: [Frame] = []

    init(rule: Model.StreamRule) { self.rule = rule }

    var isEmpty: Bool { recent.isEmpty }
    /// Whether it has come to a number that may count.
    var hasReading: Bool { declared != nil || !stable.isEmpty }

    /// Takes the next sample. Returns `true` where the device says that its sensor has left the person: the stream has ended.
    mutating func take(_ frame: Frame, _ measurement: Measurement?) -> Bool {
        recent.append(frame)
        if recent.count > Self.keptUnstable { recent.removeFirst() }
        guard let measurement, !measurement.isInvalid, let spo2 = measurement[.spo2]?.value.number,
            let pulse = measurement[.pulseRate]?.value.number
        else {
            stretch.removeAll()
            return measurement?.status.isDisjoint(with: [.sensorUnconnectedToUser, .sensorDisconnected]) == false
        }
        let sample = Sample(frame: frame, measurement: measurement, spo2: spo2, pulse: pulse)
        if !measurement.status.isDisjoint(with: rule.resultFlags) { declared = sample }
        guard measurement.status.isDisjoint(with: Self.unstable) else {
            stretch.removeAll()
            return false
        }
        if let last = stretch.last, frame.received.monotonic - last.frame.received.monotonic > Self.longestGap {
            stretch.removeAll()
        }
        stretch.append(sample)
        settle(at: frame.received.monotonic)
        return false
    }

    /// Marks that make a number unfit for a median although the device does not call it invalid. Low perfusion is not among them.
    private static let unstable: Set<StatusFlag> = [
        .earlyEstimate, .questionable, .signalProcessingIrregularity, .inadequateSignal, .poorSignal, .erraticSignal,
        .nonpulsatileSignal,
        .questionablePulse, .signalAnalysisOngoing,
    ]

    /// Keeps no more of the stretch than the rule's seconds, and remembers it once it covers them.
    private mutating func settle(at now: MonotonicTime) {
        let length = Duration.seconds(rule.medianSeconds)
        guard let first = stretch.first, now - first.frame.received.monotonic >= length else { return }
        while stretch.count > 1, now - stretch[1].frame.received.monotonic >= length { stretch.removeFirst() }
        stable = stretch
    }

    /// The stream as one reading; `nil` where nothing came.
    func reading() -> StreamReading? {
        guard !isEmpty else { return nil }
        if let declared {
            return StreamReading(
                frames: [declared.frame], measurement: Self.spot(declared.measurement, derived: false), isDerived: false)
        }
        guard let last = stable.last, let spo2 = Self.median(stable.map(\.spo2)), let pulse = Self.median(stable.map(\.pulse))
        else {
            return StreamReading(frames: recent, measurement: nil, isDerived: false)
        }
        var measurement = last.measurement
        measurement.quantities = measurement.quantities.compactMap { quantity in
            var median = quantity
            switch quantity.name {
            case .spo2: median.value = .number(spo2)
            case .pulseRate: median.value = .number(pulse)
            default: return nil
            }
            return median
        }
        // One sample with little perfusion is enough to say so of them all; other marks belong to their sample.
        measurement.status = stable.contains { $0.measurement.status.contains(.lowPerfusion) } ? [.lowPerfusion] : []
        measurement.statusBits = nil
        measurement.sensorStatusBits = nil
        return StreamReading(frames: stable.map(\.frame), measurement: Self.spot(measurement, derived: true), isDerived: true)
    }

    private static func spot(_ sample: Measurement, derived: Bool) -> Measurement {
        var spot = sample
        spot.kind = .pulseOximetrySpot
        // The device keeps nothing of a stream: the numbers are all that could come again (R3).
        let bytes: [UInt8] = [derived ? 1 : 0] + canonical(sample[.spo2]) + canonical(sample[.pulseRate])
        spot.projection = StoredProjection(codec: "stream/1", bytes: bytes, distinguishes: false)
        return spot
    }

    private static func canonical(_ quantity: Quantity?) -> [UInt8] {
        guard let number = quantity?.value.number else { return [] }
        return Array("\(number.mantissa)e\(number.exponent);".utf8)
    }

    /// Exact: of an even count the mean of the two in the middle, which may have a digit more than they.
    static func median(_ numbers: [ExactDecimal]) -> ExactDecimal? {
        let sorted = numbers.sorted { $0.compare($1) < 0 }
        guard let high = sorted.dropFirst(sorted.count / 2).first else { return nil }
        if sorted.count % 2 == 1 { return high }
        let low = sorted[sorted.count / 2 - 1]
        if low == high { return high }
        guard let sum = sum(low, high) else { return low }
        if sum.mantissa % 2 == 0 { return ExactDecimal(mantissa: sum.mantissa / 2, exponent: sum.exponent) }
        return sum.multiplied(by: ExactDecimal(mantissa: 5, exponent: -1)) ?? low
    }

    private static func sum(_ left: ExactDecimal, _ right: ExactDecimal) -> ExactDecimal? {
        let exponent = min(left.exponent, right.exponent)
        guard let first = mantissa(left, at: exponent), let second = mantissa(right, at: exponent) else { return nil }
        let (sum, overflow) = first.addingReportingOverflow(second)
        return overflow ? nil : ExactDecimal(mantissa: sum, exponent: exponent)
    }

    private static func mantissa(_ number: ExactDecimal, at exponent: Int) -> Int64? {
        var mantissa = number.mantissa
        for _ in 0..<(number.exponent - exponent) {
            let (product, overflow) = mantissa.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            mantissa = product
        }
        return mantissa
    }
}
