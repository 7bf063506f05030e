public import ExactJSON
public import Vitals

/// SFLOAT-Type: a decimal in 16 bits, 4 of exponent (-8...7) and 12 of mantissa, both two's complement.
///
/// The whole 16-bit value is special or not: 0x07FF is NaN, but 0xF7FF is 204.7 and 0xFFFF is -0.1.
/// Source: ISO/IEEE 11073-20601:2014, annex F; little-endian in GATT, big-endian in 20601.
public struct SFloat: Hashable, Sendable {
    public let bits: UInt16

    @inline(__always)
    public init(bits: UInt16) { self.bits = bits }

    public static let notANumber = SFloat(bits: 0x07FF)
    public static let notAtThisResolution = SFloat(bits: 0x0800)
    public static let positiveInfinity = SFloat(bits: 0x07FE)
    public static let negativeInfinity = SFloat(bits: 0x0802)
    public static let reserved = SFloat(bits: 0x0801)

    public var mantissa: Int { Int(Int16(bitPattern: bits << 4) >> 4) }
    public var exponent: Int { Int(Int16(bitPattern: bits) >> 12) }

    /// What it says, with the digits that the device sent.
    public var value: MeasuredValue {
        switch bits {
        case 0x07FE...0x0802: .special(Self.special(bits))
        default: .number(ExactDecimal(mantissa: Int64(mantissa), exponent: exponent))
        }
    }

    private static func special(_ bits: UInt16) -> SpecialValue {
        switch bits {
        case 0x07FF: .notANumber
        case 0x0800: .notAtThisResolution
        case 0x07FE: .positiveInfinity
        case 0x0802: .negativeInfinity
        default: .reserved
        }
    }

    /// The number in its own digits where they fit, else the same number in other digits, else `nil`.
    public init?(_ decimal: ExactDecimal) {
        guard
            let fit = FloatLayout.fit(
                decimal, mantissa: -2_048...2_047, exponent: -8...7, isTaken: { $1 == 0 && ($0 >= 2_046 || $0 <= -2_046) })
        else { return nil }
        bits = UInt16(bitPattern: Int16(fit.mantissa)) & 0x0FFF | UInt16(truncatingIfNeeded: fit.exponent) << 12
    }

    /// `nil` for a number that does not fit, and for ``SpecialValue/absent``, which is no SFLOAT.
    public init?(_ value: MeasuredValue) {
        switch value {
        case .number(let decimal): self.init(decimal)
        case .special(.notANumber): self = .notANumber
        case .special(.notAtThisResolution): self = .notAtThisResolution
        case .special(.positiveInfinity): self = .positiveInfinity
        case .special(.negativeInfinity): self = .negativeInfinity
        case .special(.reserved): self = .reserved
        case .special(.absent): return nil
        }
    }
}

extension SFloat: ExpressibleByIntegerLiteral {
    /// For numbers written in the source: -2045...2045, or with trailing zeros.
    public init(integerLiteral value: Int64) {
        guard let exact = SFloat(ExactDecimal(mantissa: value)) else {
            preconditionFailure("a literal that has no SFLOAT")
        }
        self = exact
    }
}

/// FLOAT-Type: a decimal in 32 bits, 8 of exponent and 24 of mantissa, both two's complement.
///
/// As with ``SFloat`` the whole value is special or not. Source: ISO/IEEE 11073-20601:2014, annex F.
public struct Float32Decimal: Hashable, Sendable {
    public let bits: UInt32

    public init(bits: UInt32) { self.bits = bits }

    public static let notANumber = Float32Decimal(bits: 0x007F_FFFF)
    public static let notAtThisResolution = Float32Decimal(bits: 0x0080_0000)
    public static let positiveInfinity = Float32Decimal(bits: 0x007F_FFFE)
    public static let negativeInfinity = Float32Decimal(bits: 0x0080_0002)
    public static let reserved = Float32Decimal(bits: 0x0080_0001)

    public var mantissa: Int { Int(Int32(bitPattern: bits << 8) >> 8) }
    public var exponent: Int { Int(Int32(bitPattern: bits) >> 24) }

    public var value: MeasuredValue {
        switch bits {
        case 0x007F_FFFF: .special(.notANumber)
        case 0x0080_0000: .special(.notAtThisResolution)
        case 0x007F_FFFE: .special(.positiveInfinity)
        case 0x0080_0002: .special(.negativeInfinity)
        case 0x0080_0001: .special(.reserved)
        default: .number(ExactDecimal(mantissa: Int64(mantissa), exponent: exponent))
        }
    }

    /// The number in its own digits where they fit, else the same number in other digits, else `nil`.
    public init?(_ decimal: ExactDecimal) {
        guard
            let fit = FloatLayout.fit(
                decimal, mantissa: -0x80_0000...0x7F_FFFF, exponent: -128...127,
                isTaken: { $1 == 0 && ($0 >= 0x7F_FFFE || $0 <= -0x7F_FFFE) })
        else { return nil }
        bits = UInt32(bitPattern: Int32(fit.mantissa)) & 0x00FF_FFFF | UInt32(truncatingIfNeeded: fit.exponent) << 24
    }

    /// `nil` for a number that does not fit, and for ``SpecialValue/absent``, which is no FLOAT.
    public init?(_ value: MeasuredValue) {
        switch value {
        case .number(let decimal): self.init(decimal)
        case .special(.notANumber): self = .notANumber
        case .special(.notAtThisResolution): self = .notAtThisResolution
        case .special(.positiveInfinity): self = .positiveInfinity
        case .special(.negativeInfinity): self = .negativeInfinity
        case .special(.reserved): self = .reserved
        case .special(.absent): return nil
        }
    }
}

enum FloatLayout {
    /// Mantissa and exponent within the ranges that stand for the number: its own first, then with fewer trailing zeros, then
    /// with more.
    static func fit(
        _ decimal: ExactDecimal, mantissa: ClosedRange<Int64>, exponent: ClosedRange<Int>, isTaken: (Int64, Int) -> Bool
    ) -> (mantissa: Int64, exponent: Int)? {
        func fits(_ m: Int64, _ e: Int) -> Bool { mantissa.contains(m) && exponent.contains(e) && !isTaken(m, e) }

        if fits(decimal.mantissa, decimal.exponent) { return (decimal.mantissa, decimal.exponent) }
        if decimal.mantissa == 0 { return (0, min(max(decimal.exponent, exponent.lowerBound), exponent.upperBound)) }
        var (m, e) = (decimal.mantissa, decimal.exponent)
        while m % 10 == 0, e < exponent.upperBound {
            (m, e) = (m / 10, e + 1)
            if fits(m, e) { return (m, e) }
        }
        (m, e) = (decimal.mantissa, decimal.exponent)
        while e > exponent.lowerBound {
            let (next, overflow) = m.multipliedReportingOverflow(by: 10)
            guard !overflow, mantissa.contains(next) else { return nil }
            (m, e) = (next, e - 1)
            if fits(m, e) { return (m, e) }
        }
        return nil
    }
}
