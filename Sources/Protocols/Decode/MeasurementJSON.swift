public import ExactJSON
public import Vitals

extension Measurement {
    /// The measurement as `vitalgate decode` prints it: every key of its kind, `null` where absent, the device's digits and unit.
    ///
    /// - Parameter details: what the characteristic says beyond a ``Measurement``, such as a sample's location.
    public func json(details: [JSON.Member] = []) -> JSON {
        var members: [JSON.Member] = [.init("kind", .string(kind.rawValue))]
        if let unit = quantities.first?.unit {
            members.append(.init("unit", .string(unit.rawValue)))
        } else {
            members.append(.init("unit", nil))
        }
        for name in kind.names { members.append(.init(name.rawValue, self[name].json)) }
        members += [
            .init("deviceTime", (isDeviceClockUnset ? nil : deviceTime).json),
            .init("deviceTimeAsSent", deviceTime.json),
            .init("deviceClockUnset", .bool(isDeviceClockUnset)),
            .init("userIndex", userIndex.json),
            .init("sequence", sequence.json),
            .init("timeOffsetMinutes", timeOffsetMinutes.json),
            .init("status", .array(statusInBitOrder.map { .string($0.rawValue) })),
            .init("statusBits", statusBits.json),
            .init("sensorStatusBits", sensorStatusBits.json),
        ]
        members += details
        members += [
            .init("warnings", .array(warnings.map { .string($0) })),
            .init("values", .array(quantities.map(\.json))),
        ]
        return .object(members)
    }

    /// The flags as their bits stand in the fields: measurement status first, sensor status after it.
    private var statusInBitOrder: [StatusFlag] {
        // The cases stand in bit order but for glucose, whose bit 1 it shares with the oximeter.
        let order = kind == .glucose ? GlucoseMeasurement.statusTable.map(\.flag) + [.controlSolution] : StatusFlag.allCases
        return order.filter(status.contains)
    }
}

extension Measurement.Kind {
    /// The quantities that have a key of their own in the JSON of this kind, present or not.
    var names: [Quantity.Name] {
        switch self {
        case .bloodPressure: [.systolic, .diastolic, .mean, .pulseRate]
        case .cuffPressure: [.cuffPressure, .pulseRate]
        case .pulseOximetrySpot: [.spo2, .pulseRate, .perfusionIndex]
        case .pulseOximetryContinuous:
            [.spo2, .pulseRate, .spo2Fast, .pulseRateFast, .spo2Slow, .pulseRateSlow, .perfusionIndex]
        case .bodyWeight: [.weight, .bodyMassIndex, .height]
        case .bodyComposition:
            [
                .bodyFat, .basalMetabolism, .musclePercentage, .muscleMass, .fatFreeMass, .softLeanMass, .bodyWaterMass,
                .impedance,
                .weight, .height,
            ]
        case .bodyTemperature: [.temperature]
        case .glucose: [.glucose]
        case .glucoseContext: []
        }
    }
}

extension Quantity {
    /// One element of `values`. `special` says why there is no number.
    fileprivate var json: JSON {
        let special: JSON = if case .special(let why) = value { .string(why.rawValue) } else { nil }
        return [
            "name": .string(name.rawValue),
            "mdc": type.map { .integer($0.rawValue) } ?? nil,
            "value": value.json,
            "unit": .string(unit.rawValue),
            "special": special,
        ]
    }
}

extension Quantity? {
    fileprivate var json: JSON { self?.value.json ?? .null }
}

extension MeasuredValue {
    var json: JSON { number.map { .number($0) } ?? .null }
}

extension LocalDateTime? {
    var json: JSON { map { .string($0.description) } ?? .null }
}

extension Optional where Wrapped: BinaryInteger {
    var json: JSON { map { .integer($0) } ?? .null }
}

extension String? {
    var json: JSON { map { .string($0) } ?? .null }
}

extension [String] {
    var json: JSON { .array(map { .string($0) }) }
}
