/// A term of the IEEE 11073-10101 nomenclature as its 32-bit context-free code (partition × 65,536 + term).
///
/// The internal language for what was measured; receivers' own codes stand in their destination.
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
    /// MDC_PRESS_CUFF: the pressure in the cuff while it inflates or deflates; never a result. (150301 is MDC_PRESS_CUFF_SYS.)
    public static let cuffPressure = MDC(150300)
    /// MDC_PULS_RATE_NON_INV: the pulse rate of a blood-pressure monitor.
    public static let pulseRateNonInvasive = MDC(149546)
    /// MDC_PULS_OXIM_PULS_RATE: the pulse rate of an oximeter.
    public static let pulseRateOximeter = MDC(149530)
    /// MDC_PULS_OXIM_SAT_O2
    public static let oxygenSaturation = MDC(150456)
    /// MDC_SAT_O2_QUAL: the oximeter's pulse amplitude index (so coded in the PHD IG 2.0.0's continuous oximeter example).
    public static let perfusionIndex = MDC(150320)
    /// MDC_MASS_BODY_ACTUAL
    public static let bodyWeight = MDC(188736)
    /// MDC_LEN_BODY_ACTUAL
    public static let bodyHeight = MDC(188740)
    /// MDC_BODY_FAT
    public static let bodyFat = MDC(188748)
    /// MDC_BASAL_METABOLISM
    public static let basalMetabolism = MDC(188768)
    /// MDC_BODY_MUSCLE
    public static let musclePercentage = MDC(188772)
    /// MDC_MASS_BODY_MUSCLE
    public static let muscleMass = MDC(188776)
    /// MDC_MASS_BODY_FAT_FREE
    public static let fatFreeMass = MDC(188756)
    /// MDC_MASS_BODY_SOFT_LEAN
    public static let softLeanMass = MDC(188760)
    /// MDC_BODY_WATER
    public static let bodyWater = MDC(188764)
    /// MDC_BODY_ELECTRICAL_IMPEDANCE
    public static let impedance = MDC(188780)
    /// MDC_RATIO_MASS_BODY_LEN_SQ
    public static let bodyMassIndex = MDC(188752)
    /// MDC_TEMP_BODY
    public static let bodyTemperature = MDC(150364)
    /// MDC_CONC_GLU_GEN: glucose, no word of the sample.
    public static let glucose = MDC(160020)
    /// MDC_CONC_GLU_CAPILLARY_WHOLEBLOOD
    public static let glucoseCapillaryWholeBlood = MDC(160184)
    /// MDC_CONC_GLU_CAPILLARY_PLASMA
    public static let glucoseCapillaryPlasma = MDC(160188)
    /// MDC_CONC_GLU_VENOUS_WHOLEBLOOD
    public static let glucoseVenousWholeBlood = MDC(160192)
    /// MDC_CONC_GLU_VENOUS_PLASMA
    public static let glucoseVenousPlasma = MDC(160196)
    /// MDC_CONC_GLU_ARTERIAL_WHOLEBLOOD
    public static let glucoseArterialWholeBlood = MDC(160200)
    /// MDC_CONC_GLU_ARTERIAL_PLASMA
    public static let glucoseArterialPlasma = MDC(160204)
    /// MDC_CONC_GLU_CONTROL
    public static let glucoseControlSolution = MDC(160208)
    /// MDC_CONC_GLU_ISF
    public static let glucoseInterstitialFluid = MDC(160212)
    /// MDC_CONC_GLU_UNDETERMINED_WHOLEBLOOD
    public static let glucoseUndeterminedWholeBlood = MDC(160364)
    /// MDC_CONC_GLU_UNDETERMINED_PLASMA
    public static let glucoseUndeterminedPlasma = MDC(160368)
    /// MDC_ATTR_VAL_BATT_CHARGE
    public static let batteryCharge = MDC(67996)
    /// MDC_MODALITY_SPOT, a supplemental type of a spot-check SpO2.
    public static let modalitySpot = MDC(150588)
    /// MDC_MODALITY_FAST
    public static let modalityFast = MDC(150580)
    /// MDC_MODALITY_SLOW
    public static let modalitySlow = MDC(150584)
}
