/// One observation of an act: the pressures together, the pulse, the saturation.
public struct Reading: Hashable, Sendable {
    public enum Kind: String, Hashable, Sendable, CaseIterable {
        case bloodPressure = "blood-pressure"
        case pulseRate = "pulse-rate"
        case oxygenSaturation = "oxygen-saturation"
        case perfusionIndex = "perfusion-index"
        case bodyWeight = "body-weight"
        case bodyHeight = "body-height"
        case bodyMassIndex = "body-mass-index"
        case bodyFat = "body-fat"
        case bodyTemperature = "body-temperature"
        case glucose = "glucose"
    }

    public var kind: Kind
    /// The MDC code of the observation; for a compound that of the whole.
    public var type: MDC
    /// One for a number, several for a compound; in the device's unit.
    public var quantities: [Quantity]

    public init(kind: Kind, type: MDC, quantities: [Quantity]) {
        self.kind = kind
        self.type = type
        self.quantities = quantities
    }
}

extension Measurement {
    /// The observations in it, in a fixed order. Empty where the frame is no result.
    ///
    /// A pulse that the cuff sends as NaN is no observation; pressures are one observation even where one of them is missing.
    public var readings: [Reading] {
        switch kind {
        case .bloodPressure:
            let pressures = [Quantity.Name.systolic, .diastolic, .mean].compactMap { self[$0] }
            return [Reading(kind: .bloodPressure, type: .bloodPressure, quantities: pressures)]
                + single(.pulseRate, as: .pulseRate)
        case .pulseOximetrySpot:
            return single(.spo2, as: .oxygenSaturation) + single(.pulseRate, as: .pulseRate)
                + single(.perfusionIndex, as: .perfusionIndex)
        case .bodyWeight:
            return single(.weight, as: .bodyWeight) + single(.height, as: .bodyHeight)
                + single(.bodyMassIndex, as: .bodyMassIndex)
        case .bodyComposition:
            return single(.bodyFat, as: .bodyFat) + single(.weight, as: .bodyWeight) + single(.height, as: .bodyHeight)
        case .bodyTemperature: return single(.temperature, as: .bodyTemperature)
        case .glucose: return single(.glucose, as: .glucose)
        case .cuffPressure, .pulseOximetryContinuous, .glucoseContext: return []
        }
    }

    private func single(_ name: Quantity.Name, as kind: Reading.Kind) -> [Reading] {
        guard let quantity = self[name], let type = quantity.type, quantity.value.number != nil else { return [] }
        return [Reading(kind: kind, type: type, quantities: [quantity])]
    }
}

/// The public id of a reading or an act: opaque, deterministic, stable over revisions.
///
/// Derived from the identity under a key of the hub's own, so that it tells nothing of the values.
public struct SubjectID: RawRepresentable, Hashable, Sendable, CustomStringConvertible {
    /// A UUID in lower case.
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
    public var description: String { rawValue }
}

/// A patient as this hub knows one: an alias and receiver identifiers, no name, address or birth date (R8).
public struct PatientAlias: RawRepresentable, Hashable, Sendable {
    public let rawValue: String
    public init(rawValue: String) { self.rawValue = rawValue }
}
