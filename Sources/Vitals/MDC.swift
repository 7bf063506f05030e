/// A term of the IEEE 11073-10101 nomenclature as its 32-bit context-free code (partition × 65,536 + term).
///
/// The internal language for what was measured; receivers' own codes stand in `config/` and in their destination.
public struct MDC: RawRepresentable, Hashable, Sendable {
    public let rawValue: UInt32

    public init(rawValue: UInt32) { self.rawValue = rawValue }
    public init(_ code: UInt32) { rawValue = code }

    /// `urn:iso:std:iso:11073:10101`, the code system in FHIR (HL7 terminology).
    public static let system = "urn:iso:std:iso:11073:10101"
}

// Codes of IEEE 11073-10101 as the Bluetooth SIG "Personal Health Devices Transcoding" white paper and the HL7 PHD IG 2.0.0 use them.
extension MDC {
    /// MDC_PRESS_BLD_NONINV: the compound of the three pressures.
    public static let bloodPressure = MDC(150020)
    /// MDC_PRESS_BLD_NONINV_SYS
    public static let systolic = MDC(150021)
    /// MDC_PRESS_BLD_NONINV_DIA
    public static let diastolic = MDC(150022)
    /// MDC_PRESS_BLD_NONINV_MEAN
    public static let meanArterialPressure = MDC(150023)
    /// MDC_PRESS_CUFF: the pressure in the cuff while it inflates or deflates; never a result.
    public static let cuffPressure = MDC(150301)
    /// MDC_PULS_RATE_NON_INV: the pulse rate of a blood-pressure monitor.
    public static let pulseRateNonInvasive = MDC(149546)
    /// MDC_PULS_OXIM_PULS_RATE: the pulse rate of an oximeter.
    public static let pulseRateOximeter = MDC(149530)
    /// MDC_PULS_OXIM_SAT_O2
    public static let oxygenSaturation = MDC(150456)
    /// MDC_PULS_OXIM_PERF_REL: the oximeter's pulse amplitude index.
    public static let perfusionIndex = MDC(150488)
    /// MDC_MASS_BODY_ACTUAL
    public static let bodyWeight = MDC(188736)
    /// MDC_LEN_BODY_ACTUAL
    public static let bodyHeight = MDC(188740)
    /// MDC_BODY_FAT
    public static let bodyFat = MDC(188748)
    /// MDC_RATIO_MASS_BODY_LEN_SQ
    public static let bodyMassIndex = MDC(188752)
    /// MDC_TEMP_BODY
    public static let bodyTemperature = MDC(150364)
    /// MDC_ATTR_VAL_BATT_CHARGE
    public static let batteryCharge = MDC(67996)
    /// MDC_MODALITY_SPOT, a supplemental type of a spot-check SpO2.
    public static let modalitySpot = MDC(150588)
    /// MDC_MODALITY_FAST
    public static let modalityFast = MDC(150580)
    /// MDC_MODALITY_SLOW
    public static let modalitySlow = MDC(150584)
}
