import FHIR
import Vitals

/// Names of the HL7 Personal Health Devices IG 2.0.0 (FHIR R4), `http://hl7.org/fhir/uv/phd`, and of the base vital-signs
/// profiles.
enum PHD {
    static let profile = "http://hl7.org/fhir/uv/phd/StructureDefinition/"
    static let base = "http://hl7.org/fhir/StructureDefinition/"

    static let gatewayDevice = "http://hl7.org/fhir/StructureDefinition/observation-gatewayDevice"
    static let coincidentTimeStamp = "http://hl7.org/fhir/uv/phd/StructureDefinition/CoincidentTimeStampReference"
    /// The system of the conditional-create identifier.
    static let identifierSystem = "http://hl7.org/fhir/uv/phd/StructureDefinition/PhdBaseObservation"
    static let measurementStatus = "http://hl7.org/fhir/uv/pocd/CodeSystem/measurement-status"
    static let loinc = "http://loinc.org"
    static let eui64 = "urn:oid:1.2.840.10004.1.1.1.0.0.1.0.0.1.2680"
    static let bluetoothAddress = "http://hl7.org/fhir/sid/eui-48/bluetooth"

    static let vitalSigns = R4.CodeableConcept(
        R4.Coding("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs"))

    static func coding(_ code: MDC, _ display: String? = nil) -> R4.Coding {
        R4.Coding(MDC.system, String(code.rawValue), display)
    }

    static func concept(_ code: MDC, _ display: String? = nil) -> R4.CodeableConcept { R4.CodeableConcept(coding(code, display)) }
}

/// How one kind of reading is coded for a PHD receiver.
struct PHDObservationCode {
    var code: R4.CodeableConcept
    /// The base vital-signs profile that it satisfies too.
    var baseProfile: String?
    var isVitalSign: Bool
    /// The unit that the profiles ask for; `nil` where the device's is one of several allowed.
    var unit: UCUM?

    init(
        _ mdc: MDC, _ display: String, loinc: [R4.Coding] = [], baseProfile: String? = nil, isVitalSign: Bool = true,
        unit: UCUM? = nil
    ) {
        code = R4.CodeableConcept(coding: [PHD.coding(mdc, display)] + loinc)
        self.baseProfile = baseProfile.map { PHD.base + $0 }
        self.isVitalSign = isVitalSign
        self.unit = unit
    }
}

extension PHDObservationCode {
    private static func loinc(_ code: String, _ display: String) -> R4.Coding { R4.Coding(PHD.loinc, code, display) }

    static let bloodPressure = PHDObservationCode(
        .bloodPressure, "MDC_PRESS_BLD_NONINV",
        loinc: [loinc("85354-9", "Blood pressure panel with all children optional")], baseProfile: "bp",
        unit: .millimetreOfMercury)
    static let systolic = PHDObservationCode(
        .systolic, "MDC_PRESS_BLD_NONINV_SYS", loinc: [loinc("8480-6", "Systolic blood pressure")], unit: .millimetreOfMercury)
    static let diastolic = PHDObservationCode(
        .diastolic, "MDC_PRESS_BLD_NONINV_DIA", loinc: [loinc("8462-4", "Diastolic blood pressure")], unit: .millimetreOfMercury)
    static let mean = PHDObservationCode(
        .meanArterialPressure, "MDC_PRESS_BLD_NONINV_MEAN", loinc: [loinc("8478-0", "Mean blood pressure")],
        unit: .millimetreOfMercury)
    static let pulseOfCuff = PHDObservationCode(
        .pulseRateNonInvasive, "MDC_PULS_RATE_NON_INV", loinc: [loinc("8867-4", "Heart rate")], baseProfile: "heartrate",
        unit: .perMinute)
    static let pulseOfOximeter = PHDObservationCode(
        .pulseRateOximeter, "MDC_PULS_OXIM_PULS_RATE", loinc: [loinc("8867-4", "Heart rate")], baseProfile: "heartrate",
        unit: .perMinute)
    static let saturation = PHDObservationCode(
        .oxygenSaturation, "MDC_PULS_OXIM_SAT_O2",
        loinc: [
            loinc("2708-6", "Oxygen saturation in Arterial blood"),
            loinc("59408-5", "Oxygen saturation in Arterial blood by Pulse oximetry"),
        ], baseProfile: "oxygensat", unit: .percent)
    static let perfusionIndex = PHDObservationCode(
        .perfusionIndex, "MDC_SAT_O2_QUAL", isVitalSign: false, unit: .percent)
    static let weight = PHDObservationCode(
        .bodyWeight, "MDC_MASS_BODY_ACTUAL", loinc: [loinc("29463-7", "Body weight")], baseProfile: "bodyweight")
    static let height = PHDObservationCode(
        .bodyHeight, "MDC_LEN_BODY_ACTUAL", loinc: [loinc("8302-2", "Body height")], baseProfile: "bodyheight")
    static let bodyMassIndex = PHDObservationCode(
        .bodyMassIndex, "MDC_RATIO_MASS_BODY_LEN_SQ", loinc: [loinc("39156-5", "Body mass index (BMI) [Ratio]")],
        baseProfile: "bmi", unit: .kilogramPerSquareMetre)
    static let bodyFat = PHDObservationCode(.bodyFat, "MDC_BODY_FAT", isVitalSign: false, unit: .percent)
    static let temperature = PHDObservationCode(
        .bodyTemperature, "MDC_TEMP_BODY", loinc: [loinc("8310-5", "Body temperature")], baseProfile: "bodytemp")

    /// The coding of a reading. Glucose has several MDC codes (by sample), so it takes the reading's own.
    init(_ reading: Reading) {
        switch reading.kind {
        case .bloodPressure: self = .bloodPressure
        case .pulseRate: self = reading.type == .pulseRateOximeter ? .pulseOfOximeter : .pulseOfCuff
        case .oxygenSaturation: self = .saturation
        case .perfusionIndex: self = .perfusionIndex
        case .bodyWeight: self = .weight
        case .bodyHeight: self = .height
        case .bodyMassIndex: self = .bodyMassIndex
        case .bodyFat: self = .bodyFat
        case .bodyTemperature: self = .temperature
        case .glucose:
            self.init(reading.type, "MDC_CONC_GLU", isVitalSign: false)
            code.coding = [PHD.coding(reading.type)]
        }
    }
}

/// Status bits as their own observation: which code of the IG's ASN1ToHL7 code system a flag is.
///
/// Blood pressure: 8410608.n, n as in the characteristic. Pulse oximeter: 150604.n counts from the other end than the Bluetooth
/// characteristic does (bit 0 of 2A5E's device and sensor status is 150604.15), hence by meaning.
enum PHDStatusBits {
    static let bloodPressure = PHD.concept(MDC(8_410_608), "MDC_BLOOD_PRESSURE_MEASUREMENT_STATUS")
    static let oximeter = PHD.concept(MDC(150_604), "MDC_PULS_OXIM_DEV_STATUS")

    static let bloodPressureBits: [(flag: StatusFlag, code: String, display: String)] = [
        (.bodyMovement, "8410608.0", "body-movement"),
        (.cuffTooLoose, "8410608.1", "cuff-too-loose"),
        (.irregularPulse, "8410608.2", "irregular-pulse"),
        (.pulseRateAboveRange, "8410608.3", "pulse-over-range-limit"),
        (.pulseRateBelowRange, "8410608.4", "pulse-under-range-limit"),
        (.improperPosition, "8410608.5", "improper-body-position"),
    ]

    static let oximeterBits: [(flag: StatusFlag, code: String, display: String)] = [
        (.sensorDisconnected, "150604.0", "sensor-disconnected"),
        (.sensorMalfunctioning, "150604.1", "sensor-malfunction"),
        (.sensorDisplaced, "150604.2", "sensor-displaced"),
        (.unknownSensor, "150604.3", "sensor-unsupported"),
        (.sensorUnconnectedToUser, "150604.4", "sensor-off"),
        (.sensorInterference, "150604.5", "sensor-interference"),
        (.signalAnalysisOngoing, "150604.6", "signal-searching"),
        (.questionablePulse, "150604.7", "signal-pulse-questionable"),
        (.nonpulsatileSignal, "150604.8", "signal-non-pulsatile"),
        (.erraticSignal, "150604.9", "signal-erratic"),
        (.lowPerfusion, "150604.10", "signal-low-perfusion"),
        (.poorSignal, "150604.11", "signal-poor"),
        (.inadequateSignal, "150604.12", "signal-inadequate"),
        (.signalProcessingIrregularity, "150604.13", "signal-processing-irregularity"),
        (.equipmentMalfunction, "150604.14", "device-equipment-malfunction"),
        (.extendedDisplayUpdate, "150604.15", "device-extended-update"),
    ]

    static func components(
        _ flags: Set<StatusFlag>, _ bits: [(flag: StatusFlag, code: String, display: String)], edition: PHDEdition
    ) -> [R4.Observation.Component] {
        guard !flags.isEmpty else { return [] }
        return bits.compactMap { bit in
            guard flags.contains(bit.flag) else { return nil }
            return R4.Observation.Component(
                R4.CodeableConcept(R4.Coding(edition.asn1ToHL7, bit.code, bit.display)), edition.setBit)
        }
    }
}
