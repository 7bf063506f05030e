public import ExactJSON
public import Vitals

/// The values within which a quantity needs no second look, both ends included: what a model is stated to measure, or a
/// programme's bounds.
public struct ValueRange: Hashable, Sendable {
    public var name: Quantity.Name
    public var unit: UCUM
    public var low: ExactDecimal
    public var high: ExactDecimal

    public init(name: Quantity.Name, unit: UCUM, low: ExactDecimal, high: ExactDecimal) {
        self.name = name
        self.unit = unit
        self.low = low
        self.high = high
    }

    /// Whether the quantity is this one and outside, compared exactly in the range's unit. A value that the device did not
    /// measure is not outside, and one in a unit that does not convert cannot be judged.
    public func excludes(_ quantity: Quantity) -> Bool {
        guard quantity.name == name, let number = quantity.converted(to: unit)?.value.number else { return false }
        return number.compare(low) < 0 || number.compare(high) > 0
    }
}

/// Advice to whoever reads the act (R4). An unlikely value is flagged and goes out: a dying patient's is unlikely too.
///
/// - Parameter ranges: the model's and the programme's together.
public func decideCautions(of measurement: Measurement, state: ActState, ranges: [ValueRange]) -> Set<Act.Caution> {
    var cautions: Set<Act.Caution> = []
    if measurement.quantities.contains(where: { quantity in ranges.contains { $0.excludes(quantity) } }) {
        cautions.insert(.unlikelyValue)
    }
    switch state {
    case .test: cautions.insert(.technicianTest)
    case .guest: cautions.insert(.guest)
    default: break
    }
    return cautions
}
