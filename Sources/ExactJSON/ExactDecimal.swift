/// An exact decimal number, `mantissa` × 10^`exponent`, as the wire sends it: no binary float between the device and
/// the receiver, and the number of digits kept (36.60 stays 36.60).
///
/// `==` compares digit for digit, so 97.5 and 97.50 differ; use ``isNumericallyEqual(to:)`` to compare values.
public struct ExactDecimal: Hashable, Sendable {
    public let mantissa: Int64
    /// Powers of ten, within ``exponentRange``.
    public let exponent: Int

    /// FLOAT-Type (IEEE 11073-20601) has a signed 8-bit exponent; nothing that we read or write goes beyond it.
    public static let exponentRange = -128...127

    public init(mantissa: Int64, exponent: Int = 0) {
        precondition(Self.exponentRange.contains(exponent), "exponent outside -128...127")
        self.mantissa = mantissa
        self.exponent = exponent
    }

    public init(_ integer: some BinaryInteger) {
        self.init(mantissa: Int64(integer), exponent: 0)
    }

    /// Reads `-12.50`, `7`, `1.2e3`; `nil` where the text is no decimal number or does not fit.
    public init?(_ text: some StringProtocol) {
        var mantissa: Int64 = 0
        var exponent = 0
        var bytes = Array(text.utf8)[...]
        let isNegative = bytes.first == UInt8(ascii: "-")
        if isNegative { bytes = bytes.dropFirst() }
        var digits = 0
        var places: Int?
        while let byte = bytes.first {
            if byte == UInt8(ascii: "."), places == nil, digits > 0 {
                places = 0
            } else if Self.isDigit(byte) {
                // Counted down where it is negative: Int64 reaches one further there.
                let digit = Int64(byte - UInt8(ascii: "0"))
                let (times, overflowTimes) = mantissa.multipliedReportingOverflow(by: 10)
                let (sum, overflowSum) =
                    isNegative ? times.subtractingReportingOverflow(digit) : times.addingReportingOverflow(digit)
                guard !overflowTimes, !overflowSum else { return nil }
                mantissa = sum
                digits += 1
                places = places.map { $0 + 1 }
            } else {
                break
            }
            bytes = bytes.dropFirst()
        }
        guard digits > 0, places != 0 else { return nil }
        exponent -= places ?? 0
        if let byte = bytes.first {
            guard byte == UInt8(ascii: "e") || byte == UInt8(ascii: "E") else { return nil }
            var rest = bytes.dropFirst()
            let isPowerNegative = rest.first == UInt8(ascii: "-")
            if isPowerNegative || rest.first == UInt8(ascii: "+") { rest = rest.dropFirst() }
            guard rest.allSatisfy(Self.isDigit), let power = Int(String(decoding: rest, as: UTF8.self)) else { return nil }
            let (shifted, overflow) = exponent.addingReportingOverflow(isPowerNegative ? -power : power)
            guard !overflow else { return nil }
            exponent = shifted
        }
        guard Self.exponentRange.contains(exponent) else { return nil }
        self.init(mantissa: mantissa, exponent: exponent)
    }

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// Whether both stand for the same number, whatever their digits.
    public func isNumericallyEqual(to other: ExactDecimal) -> Bool {
        let (left, right) = (normalised, other.normalised)
        return left == right
    }

    /// The same number without trailing zeros in its mantissa (zero is 0 × 10^0).
    public var normalised: ExactDecimal {
        guard mantissa != 0 else { return ExactDecimal(mantissa: 0) }
        var (mantissa, exponent) = (mantissa, exponent)
        while mantissa % 10 == 0, exponent < Self.exponentRange.upperBound {
            mantissa /= 10
            exponent += 1
        }
        return ExactDecimal(mantissa: mantissa, exponent: exponent)
    }

    /// The exact product, or `nil` where it does not fit.
    public func multiplied(by factor: ExactDecimal) -> ExactDecimal? {
        let (product, overflow) = mantissa.multipliedReportingOverflow(by: factor.mantissa)
        let power = exponent + factor.exponent
        guard !overflow, Self.exponentRange.contains(power) else { return nil }
        return ExactDecimal(mantissa: product, exponent: power)
    }

    /// Rounded half away from zero ("half up" for measured values) to a multiple of 10^`exponent`.
    ///
    /// A number that is already coarser is returned as it is: rounding adds no digits.
    public func rounded(toExponent target: Int) -> ExactDecimal {
        guard exponent < target else { return self }
        let shift = target - exponent
        // An Int64 has at most 19 digits: dropping 20 leaves nothing to round up from.
        guard shift <= 19 else { return ExactDecimal(mantissa: 0, exponent: target) }
        var rest = mantissa.magnitude
        var lastDropped: UInt64 = 0
        for _ in 0..<shift {
            lastDropped = rest % 10
            rest /= 10
        }
        if lastDropped >= 5 { rest += 1 }
        let rounded = Int64(rest)
        return ExactDecimal(mantissa: mantissa < 0 ? -rounded : rounded, exponent: target)
    }

    /// -1, 0 or 1 as this number is below, equal to or above the other.
    public func compare(_ other: ExactDecimal) -> Int {
        let (left, right) = (normalised, other.normalised)
        if left == right { return 0 }
        if (left.mantissa < 0) != (right.mantissa < 0) || left.mantissa == 0 || right.mantissa == 0 {
            return left.mantissa.signum() < right.mantissa.signum() ? -1 : 1
        }
        let sign = Int(left.mantissa.signum())
        let (leftDigits, rightDigits) = (left.magnitudeDigits, right.magnitudeDigits)
        let (leftSize, rightSize) = (leftDigits.count + left.exponent, rightDigits.count + right.exponent)
        if leftSize != rightSize { return leftSize < rightSize ? -sign : sign }
        for position in 0..<max(leftDigits.count, rightDigits.count) {
            let l = position < leftDigits.count ? leftDigits[position] : 0
            let r = position < rightDigits.count ? rightDigits[position] : 0
            if l != r { return l < r ? -sign : sign }
        }
        return 0
    }

    private var magnitudeDigits: [UInt8] { String(mantissa.magnitude).utf8.map { $0 - UInt8(ascii: "0") } }
}

extension ExactDecimal: CustomStringConvertible {
    /// Plain decimal notation with every digit kept: `36.60`, `120`, `0.0012`.
    public var description: String {
        if exponent >= 0 {
            guard mantissa != 0 else { return "0" }
            return String(mantissa) + String(repeating: "0", count: exponent)
        }
        var digits = String(mantissa.magnitude)
        let places = -exponent
        if digits.utf8.count <= places {
            digits = String(repeating: "0", count: places + 1 - digits.utf8.count) + digits
        }
        let point = digits.index(digits.endIndex, offsetBy: -places)
        return (mantissa < 0 ? "-" : "") + digits[..<point] + "." + digits[point...]
    }
}

extension ExactDecimal: ExpressibleByIntegerLiteral {
    public init(integerLiteral value: Int64) { self.init(mantissa: value) }
}
