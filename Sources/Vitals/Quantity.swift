public import ExactJSON

/// A measured value: a number, or the device's own word that there is none.
public enum MeasuredValue: Hashable, Sendable {
    case number(ExactDecimal)
    case special(SpecialValue)

    /// The number, or `nil` where the device sent none.
    public var number: ExactDecimal? { if case .number(let value) = self { value } else { nil } }
}

/// The special values of SFLOAT-Type and FLOAT-Type (IEEE 11073-20601, annex F.7), and a field that a format marks "no value".
public enum SpecialValue: String, Hashable, Sendable, CaseIterable {
    /// NaN: not a number; the usual "not measured".
    case notANumber = "nan"
    /// NRes: not at this resolution.
    case notAtThisResolution = "nres"
    case positiveInfinity = "+inf"
    case negativeInfinity = "-inf"
    case reserved = "reserved"
    /// The format's own "no value" outside the float types, such as 0xFFFF in a weight.
    case absent = "absent"
}

/// One number of a measurement: what, how much, in which unit.
public struct Quantity: Hashable, Sendable {
    /// The role within the measurement, as the command line and the journal name it.
    public enum Name: String, Hashable, Sendable, CaseIterable {
        case systolic, diastolic, mean, cuffPressure, pulseRate
        case spo2, spo2Fast, pulseRateFast, spo2Slow, pulseRateSlow, perfusionIndex
        case weight, bodyMassIndex, height, temperature, glucose
        case bodyFat, basalMetabolism, musclePercentage, muscleMass, fatFreeMass, softLeanMass, bodyWaterMass, impedance
    }

    public var name: Name
    /// The IEEE 11073-10101 code, or `nil` where the nomenclature has none that we know.
    public var type: MDC?
    public var value: MeasuredValue
    /// The unit as the device sent it; receivers get theirs by ``converted(to:)``.
    public var unit: UCUM

    public init(_ name: Name, type: MDC?, value: MeasuredValue, unit: UCUM) {
        self.name = name
        self.type = type
        self.value = value
        self.unit = unit
    }

    /// This quantity in another unit, exact and not yet rounded; `nil` where no conversion is known.
    ///
    /// 1 kPa = 7.50062 mm[Hg] (NIST SP 811, appendix B.8: 1 mmHg = 133.3224 Pa, six digits).
    public func converted(to target: UCUM) -> Quantity? {
        if unit == target { return self }
        guard case .number(let number) = value else {
            var other = self
            other.unit = target
            return other
        }
        let factor: ExactDecimal
        switch (unit, target) {
        case (.kilopascal, .millimetreOfMercury): factor = ExactDecimal(mantissa: 750_062, exponent: -5)
        // 1 lb = 0.45359237 kg, exact (NIST SP 811, appendix B.8).
        case (.pound, .kilogram): factor = ExactDecimal(mantissa: 45_359_237, exponent: -8)
        default: return nil
        }
        guard let product = number.multiplied(by: factor) else { return nil }
        var other = self
        other.value = .number(product)
        other.unit = target
        return other
    }
}
