import ExactJSON
import FHIR
import Vitals

/// Names of Pasientens måledata (PMD) and of the profiles that it stores.
enum PMD {
    static func current(_ tail: String) -> String {
        "http://hl7.no/fhir/vkpobservation/StructureDefinition/vkp-Observation" + tail
    }

    static let legacy = "http://ehelse.no/fhir/StructureDefinition/vkp-Observation-v090"
    static let noDomain = "http://hl7.no/fhir/no-domain/vitalsigns/StructureDefinition/no-domain-VitalSigns-Observation-"
    static let requestBundle = "http://hl7.no/fhir/vkpobservation/StructureDefinition/pmd-Bundle-Observation"
    /// Echoes the entry in an answer (VkpObservation 0.5.1).
    static let entryID = "http://hl7.no/fhir/vkpobservation/StructureDefinition/PmdBundleResponseEntryIdExtension"
    static let bundleIdentifier = "https://www.nhn.no/komlink/bundle-identifier"
    static let municipality =
        "https://register.geonorge.no/sosi-kodelister/inndelinger/inndelingsbase/kommunenummer"
    static let snomed = "http://snomed.info/sct"
    /// Norsk laboratoriekodeverk.
    static let npu = "urn:oid:2.16.578.1.12.4.1.1.7280"
}

/// How one kind of reading is coded for PMD: LOINC first, then SNOMED CT of VKP and of no-domain, NPU, and the device's own MDC
/// code. All slicings of `code.coding` are open, so that all of them conform to all profiles.
///
/// LOINC and MDC as ``PHDObservationCode`` has them. SNOMED CT and NPU: VkpObservation 0.5.1, its snapshots and examples;
/// no-domain-VitalSigns 0.9.0.
struct PMDCode {
    /// The profile of one kind, by its name in each family: the hosts of the legacy ones differ from file to file.
    struct Profile: Hashable {
        var current: String
        var legacy: String

        static let bloodPressure = Profile(
            current: "Bloodpressure", legacy: "http://ehelse.no/fhir/StructureDefinition/vkp-Observation-Bloodpressure-v090")

        static func vitalSign(_ name: String) -> Profile {
            Profile(current: name, legacy: "http://hl7.no/fhir/StructureDefinition/vkp-Observation-\(name)-v090")
        }
    }

    var coding: [R4.Coding]
    /// The unit that the profiles ask for; `nil` where the device's is one of several allowed.
    var unit: UCUM?
    var isVitalSign: Bool
    /// `nil`: the generic vkp-Observation.
    var profile: Profile?
    /// The last part of the no-domain profile's name.
    var noDomain: String?

    private init(
        _ base: PHDObservationCode, _ others: [R4.Coding] = [], profile: Profile? = nil, noDomain: String? = nil
    ) {
        let isMDC = { (coding: R4.Coding) in coding.system == MDC.system }
        coding = base.code.coding.filter { !isMDC($0) } + others + base.code.coding.filter(isMDC)
        unit = base.unit
        isVitalSign = base.isVitalSign
        self.profile = profile
        self.noDomain = noDomain
    }

    private static func snomed(_ code: String, _ display: String? = nil) -> R4.Coding { R4.Coding(PMD.snomed, code, display) }

    init(_ reading: Reading) {
        let base = PHDObservationCode(reading)
        switch reading.kind {
        case .bloodPressure:
            self.init(base, [Self.snomed("75367002")], profile: .bloodPressure, noDomain: "bloodpressure")
        case .pulseRate:
            // VKP counts a pulse as a heart rate; no-domain tells the two apart.
            self.init(
                base, [Self.snomed("364075005", "Heart rate"), Self.snomed("78564009")], profile: .vitalSign("Heartrate"),
                noDomain: "pulse")
        case .oxygenSaturation:
            self.init(
                base, [Self.snomed("431314004", "Peripheral oxygen saturation (observable entity)")],
                profile: .vitalSign("Oxygensat"), noDomain: "oxygensaturation")
        case .bodyWeight:
            self.init(
                base, [Self.snomed("27113001", "Body weight (observable entity)")], profile: .vitalSign("Bodyweight"),
                noDomain: "bodyweight")
        case .bodyTemperature:
            // Both profiles name the code of a core temperature for whatever thermometer; a home one does not say where it measured.
            self.init(
                base, [Self.snomed("276885007", "Core body temperature (observable entity)")], profile: .vitalSign("Bodytemp"),
                noDomain: "bodytemp")
        case .bodyHeight: self.init(base, [Self.snomed("1153637007")], noDomain: "bodyheight")
        case .glucose:
            self.init(base)
            // The published codes are of an amount of substance in blood, so no plasma, no interstitial fluid, no mass.
            guard Self.wholeBlood.contains(reading.type), reading.quantities.first?.unit == .molePerLitre else { return }
            coding.insert(
                contentsOf: [
                    R4.Coding(PHD.loinc, "15074-8", "Glucose [Moles/volume] in Blood"),
                    Self.snomed("434912009", "Blood glucose concentration (observable entity)"),
                    R4.Coding(PMD.npu, "NPU02187", "B—Glucose"),
                ], at: 0)
        // Neither publication has SNOMED CT codes of these.
        case .bodyMassIndex, .bodyFat, .perfusionIndex: self.init(base)
        }
    }

    private static let wholeBlood: Set<MDC> = [
        .glucoseCapillaryWholeBlood, .glucoseVenousWholeBlood, .glucoseArterialWholeBlood,
    ]

    // Components of a blood pressure: VKP's code, then no-domain's. Mean pressure is not profiled in VKP.
    static let systolic = PMDCode(.systolic, [snomed("271649006"), snomed("4471000202106")])
    static let diastolic = PMDCode(.diastolic, [snomed("271650006"), snomed("4481000202108")])
    static let mean = PMDCode(.mean, [snomed("4501000202102")])
}

extension R4.Coding {
    var json: JSON { .members(["system": .string(system), "code": .string(code), "display": display.map { .string($0) }]) }
}
