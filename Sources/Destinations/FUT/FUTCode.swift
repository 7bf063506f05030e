import Vitals

/// A code of a code system, without display: FUT asks for system and code and for no display (guide, General Guidance).
public struct FUTCoding: Hashable, Sendable {
    public var system: String
    public var code: String

    public init(_ system: String, _ code: String) {
        self.system = system
        self.code = code
    }
}

/// How one kind of value is coded at FUT: code, unit and number form.
public struct FUTCode: Hashable, Sendable {
    /// What of an act it is the code of. Neither mean pressure nor perfusion index is here: FUT has no code for them. Glucose is
    /// not either: the guide's only one (NPU02193) is of fasting plasma, and no meter says whether the patient fasted.
    public enum Role: String, Hashable, Sendable, CaseIterable {
        case bloodPressure = "blood-pressure"
        case systolic
        case diastolic
        case pulseRate = "pulse-rate"
        case oxygenSaturation = "oxygen-saturation"
        case bodyWeight = "body-weight"
        case bodyHeight = "body-height"
        case bodyMassIndex = "body-mass-index"
        case bodyTemperature = "body-temperature"
    }

    /// The value type of the code (ConceptMap `conceptmap-obs-code-to-value-type`).
    public enum ValueType: String, Hashable, Sendable, CaseIterable {
        case integer, decimal
    }

    public struct Unit: Hashable, Sendable {
        /// UCUM (ConceptMap `conceptmap-obs-code-to-ucum`).
        public var code: String
        /// What people read (ConceptMap `conceptmap-ucum-to-printsymbol`, CodeSystem supplement of print symbols).
        public var symbol: String

        public init(_ code: String, _ symbol: String) {
            self.code = code
            self.symbol = symbol
        }
    }

    public var coding: FUTCoding
    /// `nil` for the panel, which has components.
    public var unit: Unit?
    public var valueType: ValueType
    /// At most so many decimals of a value that was converted into the unit; what the device sent in it keeps its digits.
    public var convertedDecimals: Int

    public init(_ coding: FUTCoding, unit: Unit? = nil, valueType: ValueType = .decimal, convertedDecimals: Int = 0) {
        self.coding = coding
        self.unit = unit
        self.valueType = valueType
        self.convertedDecimals = convertedDecimals
    }
}

extension FUTCode {
    static let npu = "urn:oid:1.2.208.176.2.1"
    static let sks = "urn:oid:1.2.208.176.2.4"

    /// The published table, guide 10.0.2 (the same codes and units as 8.0.0).
    static let published: [Role: FUTCode] = [
        .bloodPressure: FUTCode(FUTCoding(sks, "ZZ3170")),
        .systolic: FUTCode(FUTCoding(npu, "DNK05472"), unit: Unit("mm[Hg]", "mmHg"), valueType: .integer),
        .diastolic: FUTCode(FUTCoding(npu, "DNK05473"), unit: Unit("mm[Hg]", "mmHg"), valueType: .integer),
        .pulseRate: FUTCode(FUTCoding(npu, "NPU21692"), unit: Unit("1/min", "1/min"), valueType: .integer),
        .oxygenSaturation: FUTCode(FUTCoding(npu, "NPU03011"), unit: Unit("%", "%"), convertedDecimals: 1),
        .bodyWeight: FUTCode(FUTCoding(npu, "NPU03804"), unit: Unit("kg", "kg"), convertedDecimals: 2),
        .bodyHeight: FUTCode(FUTCoding(npu, "NPU03794"), unit: Unit("m", "m"), convertedDecimals: 3),
        .bodyMassIndex: FUTCode(FUTCoding(npu, "NPU27281"), unit: Unit("kg/m2", "kg/m2"), valueType: .integer),
        .bodyTemperature: FUTCode(FUTCoding(npu, "NPU08676"), unit: Unit("Cel", "°C"), convertedDecimals: 1),
    ]
}

extension Reading.Kind {
    /// The role of the whole reading; `nil` where FUT has no code.
    var futRole: FUTCode.Role? {
        switch self {
        case .bloodPressure: .bloodPressure
        case .pulseRate: .pulseRate
        case .oxygenSaturation: .oxygenSaturation
        case .bodyWeight: .bodyWeight
        case .bodyHeight: .bodyHeight
        case .bodyMassIndex: .bodyMassIndex
        case .bodyTemperature: .bodyTemperature
        case .perfusionIndex, .bodyFat, .glucose: nil
        }
    }
}
