import ExactJSON
import Vitals

/// Measurements as JSON for sealed columns: short keys, and back digit for digit.
///
/// A number is the text `mantissa` `e` `exponent`: written as a JSON number 5 × 10² would come back as 500 × 10⁰, which is the
/// same value with more digits.
enum MeasurementCoding {
    static func json(_ measurement: Measurement) -> JSON {
        .members([
            "k": .string(measurement.kind.rawValue),
            "q": .array(measurement.quantities.map(json)),
            "t": measurement.deviceTime.map(JSONCoding.json),
            "o": measurement.timeOffsetMinutes.map { .integer($0) },
            "n": measurement.sequence.map { .integer($0) },
            "u": measurement.userIndex.map { .integer($0) },
            "sb": measurement.statusBits.map { .integer($0) },
            "ss": measurement.sensorStatusBits.map { .integer($0) },
            "s": measurement.status.isEmpty ? nil : .array(measurement.status.map(\.rawValue).sorted().map { .string($0) }),
            "cu": measurement.isDeviceClockUnset ? true : nil,
            "pc": .string(measurement.projection.codec),
            "pb": .string(measurement.projection.bytes.hex),
            "pd": measurement.projection.distinguishes ? true : nil,
            "w": measurement.warnings.isEmpty ? nil : .array(measurement.warnings.map { .string($0) }),
        ])
    }

    static func measurement(_ json: JSON) -> Measurement? {
        guard let kind = json["k"]?.string.flatMap(Measurement.Kind.init(rawValue:)), let encoded = json["q"]?.array,
            let codec = json["pc"]?.string, let projected = json["pb"]?.string.flatMap({ [UInt8](hex: $0) })
        else { return nil }
        let quantities = encoded.compactMap(quantity)
        guard quantities.count == encoded.count else { return nil }
        let status = json["s"]?.array ?? []
        let flags = status.compactMap { $0.string.flatMap(StatusFlag.init(rawValue:)) }
        guard flags.count == status.count else { return nil }
        return Measurement(
            kind: kind, quantities: quantities, deviceTime: json["t"].flatMap(JSONCoding.local),
            timeOffsetMinutes: json["o"]?.integer, sequence: json["n"]?.integer, userIndex: json["u"]?.integer,
            statusBits: json["sb"]?.integer.flatMap { UInt32(exactly: $0) },
            sensorStatusBits: json["ss"]?.integer.flatMap { UInt32(exactly: $0) }, status: Set(flags),
            isDeviceClockUnset: json["cu"]?.bool ?? false,
            projection: StoredProjection(codec: codec, bytes: projected, distinguishes: json["pd"]?.bool ?? false),
            warnings: (json["w"]?.array ?? []).compactMap(\.string))
    }

    private static func json(_ quantity: Quantity) -> JSON {
        let value: String
        switch quantity.value {
        case .number(let number): value = "\(number.mantissa)e\(number.exponent)"
        case .special(let special): value = special.rawValue
        }
        return .array([
            .string(quantity.name.rawValue), quantity.type.map { .integer($0.rawValue) } ?? .null, .string(value),
            .string(quantity.unit.rawValue),
        ])
    }

    private static func quantity(_ json: JSON) -> Quantity? {
        guard let name = json[0]?.string.flatMap(Quantity.Name.init(rawValue:)), let text = json[2]?.string,
            let unit = json[3]?.string
        else { return nil }
        let type = json[1]?.integer.flatMap { UInt32(exactly: $0) }.map { MDC($0) }
        return value(text).map { Quantity(name, type: type, value: $0, unit: UCUM(unit)) }
    }

    private static func value(_ text: String) -> MeasuredValue? {
        if let special = SpecialValue(rawValue: text) { return .special(special) }
        let parts = text.split(separator: "e", maxSplits: 1)
        guard parts.count == 2, let mantissa = Int64(parts[0]), let exponent = Int(parts[1]),
            ExactDecimal.exponentRange.contains(exponent)
        else { return nil }
        return .number(ExactDecimal(mantissa: mantissa, exponent: exponent))
    }
}
