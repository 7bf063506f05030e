import ExactJSON
import Vitals

extension Quantity {
    /// The value as FUT's code wants it.
    ///
    /// An *integer* code gets a whole number, rounded half away from zero. A *decimal* code gets the device's own digits where the
    /// device sent the unit of the code, and at most the table's decimals where the value was converted; a rule of the receiver's
    /// own table of roundings goes before both.
    func futValue(_ code: FUTCode, rounding: RoundingTable) throws(MappingError) -> JSON {
        guard let unit = code.unit else { throw MappingError(.unit, "the code has no unit of its own") }
        guard case .number(let sent) = value else { throw MappingError(.invalidMeasurement, "no number") }
        let isOwnUnit = Self.isSame(self.unit, UCUM(unit.code))
        guard let number = isOwnUnit ? sent : converted(sent, to: unit.code) else {
            throw MappingError(.unit, "no conversion from \(self.unit.rawValue)")
        }
        let rule = rounding.rules[UCUM(unit.code)]
        let decimals: Int? =
            switch code.valueType {
            case .integer: 0
            case .decimal: isOwnUnit ? rule?.sent : rule?.converted ?? code.convertedDecimals
            }
        return [
            "value": .number(decimals.map { number.rounded(toExponent: -$0) } ?? number), "unit": .string(unit.symbol),
            "system": .string(UCUM.system), "code": .string(unit.code),
        ]
    }

    /// `/min` and `1/min` are one unit in two spellings of UCUM; FUT takes the second.
    private static func isSame(_ left: UCUM, _ right: UCUM) -> Bool {
        left == right || Set([left.rawValue, right.rawValue]) == ["/min", "1/min"]
    }

    private func converted(_ number: ExactDecimal, to target: String) -> ExactDecimal? {
        switch (unit, target) {
        // 1 in = 0.0254 m, exact (NIST SP 811, appendix B.8).
        case (.inch, "m"): return number.multiplied(by: ExactDecimal(mantissa: 254, exponent: -4))
        case (.degreeFahrenheit, "Cel"): return Self.celsius(fahrenheit: number)
        default: return converted(to: UCUM(target))?.value.number
        }
    }

    /// (F - 32) · 5/9, to six decimals: the quotient has no last digit, and no thermometer resolves the seventh.
    private static func celsius(fahrenheit: ExactDecimal) -> ExactDecimal? {
        guard fahrenheit.exponent <= 0, fahrenheit.exponent >= -6 else { return nil }
        var scale: Int64 = 1
        for _ in 0..<(-fahrenheit.exponent) { scale *= 10 }
        let (shifted, overflow) = fahrenheit.mantissa.subtractingReportingOverflow(32 * scale)
        let (product, overflowProduct) = shifted.multipliedReportingOverflow(by: 5_000_000)
        guard !overflow, !overflowProduct else { return nil }
        return ExactDecimal(mantissa: product / (9 * scale), exponent: -6)
    }
}
