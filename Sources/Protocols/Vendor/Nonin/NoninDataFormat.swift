import ExactJSON
public import Vitals

/// A serial data format of Nonin's oximeters, by its number in the maker's specifications.
public enum NoninDataFormat: UInt8, Hashable, Sendable, CaseIterable {
    /// 75 frames of 5 bytes a second, 8-bit waveform: ``NoninWaveform``.
    case df2 = 2
    /// The same with a 16-bit waveform.
    case df7 = 7
    /// 4 bytes a second: ``NoninSample``.
    case df8 = 8
    /// One packet for each spot-check, live or from memory: ``NoninSpotCheck``.
    case df13 = 13

    /// As ``Frame/Source/vendor(format:)`` names it.
    public var name: String { "nonin-df\(rawValue)" }

    public init?(name: String) {
        guard let format = Self.allCases.first(where: { $0.name == name }) else { return nil }
        self = format
    }

    /// The source of a frame in this format.
    public var source: Frame.Source { .vendor(format: name) }

    /// What a frame of this format says.
    public func measurement(_ bytes: [UInt8]) throws(DecodeError) -> Measurement {
        switch self {
        case .df2, .df7: try NoninWaveform(decoding: bytes, format: self).measurement
        case .df8: try NoninSample(decoding: bytes).measurement
        case .df13: try NoninSpotCheck(decoding: bytes).measurement
        }
    }
}

/// What the formats have in common.
enum Nonin {
    static let startOfText: UInt8 = 0x02
    static let endOfText: UInt8 = 0x03
    /// SpO2 of 127: no data.
    static let missingSpO2: UInt8 = 127
    /// Pulse rate of 511, all nine bits set: no data.
    static let missingPulse: UInt16 = 511

    /// The least significant byte of the sum.
    static func checksum(_ bytes: some Sequence<UInt8>) -> UInt8 { bytes.reduce(0, &+) }

    /// Nine bits as the streams send them: bits 8 and 7 in one byte, 6 to 0 in the other.
    static func pulse(high: UInt8, low: UInt8) -> UInt16 { UInt16(high & 0x03) << 7 | UInt16(low & 0x7F) }

    static func spo2(_ name: Quantity.Name, _ percent: UInt8) -> Quantity {
        Quantity(name, type: .oxygenSaturation, value: value(percent, missing: missingSpO2), unit: .percent)
    }

    static func pulse(_ name: Quantity.Name, _ rate: UInt16) -> Quantity {
        Quantity(name, type: .pulseRateOximeter, value: value(rate, missing: missingPulse), unit: .perMinute)
    }

    private static func value<Number: BinaryInteger>(_ number: Number, missing: Number) -> MeasuredValue {
        number == missing ? .special(.absent) : .number(ExactDecimal(number))
    }
}
