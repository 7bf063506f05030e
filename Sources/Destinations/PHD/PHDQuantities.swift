import ExactJSON
import FHIR
import Vitals

extension Quantity {
    /// The value as the receiver wants it: its unit, its decimals, the device's own number kept where either changed it.
    ///
    /// - Parameter target: the unit that the profile asks for; `nil` keeps the device's.
    func phdValue(in target: UCUM?, rounding: RoundingTable) throws(MappingError) -> R4.Observation.Value {
        guard let converted = inUnit(target ?? Self.baseProfileUnit(unit)) else {
            throw MappingError(.unit, "no conversion from \(unit.rawValue)")
        }
        switch converted.value {
        case .special(let special): return .absent(special.dataAbsentReason)
        case .number(let number):
            let rule = rounding.rules[converted.unit]
            let decimals = converted.unit == unit ? rule?.sent : rule?.converted
            let value = decimals.map { number.rounded(toExponent: -$0) } ?? number
            var original: R4.Quantity.Original?
            if let sent = self.value.number, converted.unit != unit || !value.isNumericallyEqual(to: sent) {
                original = R4.Quantity.Original(value: sent, unit: unit.rawValue)
            }
            return .quantity(R4.Quantity(value, unit: converted.unit.rawValue, original: original))
        }
    }

    /// Units that the base profiles do not list, with the exact decimal shift to one that they do.
    private func inUnit(_ target: UCUM) -> Quantity? {
        guard case .number(let number) = value, let shift = Self.shifts[unit], shift.to == target else {
            return converted(to: target)
        }
        var other = self
        other.unit = target
        other.value = .number(ExactDecimal(mantissa: number.mantissa, exponent: number.exponent + shift.powerOfTen))
        return other
    }

    /// 1 m = 100 cm; 1 kg/L = 10^5 mg/dL; 1 mol/L = 10^3 mmol/L.
    private static let shifts: [UCUM: (to: UCUM, powerOfTen: Int)] = [
        .metre: (UCUM("cm"), 2), .kilogramPerLitre: (UCUM("mg/dL"), 5), .molePerLitre: (UCUM("mmol/L"), 3),
    ]

    private static func baseProfileUnit(_ unit: UCUM) -> UCUM { shifts[unit]?.to ?? unit }
}

extension SpecialValue {
    /// A code of `http://terminology.hl7.org/CodeSystem/data-absent-reason`, as the IG maps the special values.
    var dataAbsentReason: String {
        switch self {
        case .notANumber: "not-a-number"
        case .positiveInfinity: "positive-infinity"
        case .negativeInfinity: "negative-infinity"
        case .notAtThisResolution, .reserved: "error"
        case .absent: "unknown"
        }
    }
}
