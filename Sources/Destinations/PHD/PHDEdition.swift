import ExactJSON
import FHIR
import Vitals

/// The editions of the Personal Health Devices IG that receivers take.
///
/// 1.1.0 (tag 8ce1cc0f) is the form of DK Core's example of a cuff. Identifiers of the two never match: a receiver that changes its
/// edition does not know again what it has, except by our own identifier.
public enum PHDEdition: String, Hashable, Sendable, CaseIterable {
    case v2 = "2.0.0"
    case v1 = "1.1.0"
}

extension PHDEdition {
    /// CodeSystem PhdObservationCategories.
    var category: R4.CodeableConcept {
        R4.CodeableConcept(
            R4.Coding("http://hl7.org/fhir/uv/phd/CodeSystem/PhdObservationCategories", self == .v1 ? "phd-observation" : "phd"))
    }

    var asn1ToHL7: String {
        self == .v1 ? "http://hl7.org/fhir/uv/phd/CodeSystem/ASN1ToHL7" : "http://terminology.hl7.org/CodeSystem/ASN1ToHL7"
    }

    var deviceIdentifiers: String {
        self == .v1
            ? "http://hl7.org/fhir/uv/phd/CodeSystem/ContinuaDeviceIdentifiers"
            : "http://terminology.hl7.org/CodeSystem/ContinuaDeviceIdentifiers"
    }

    /// A bit that is set: a code of HL7 v2's table 0136 in 1.1.0, a boolean since.
    var setBit: R4.Observation.Value {
        self == .v1
            ? .concept(R4.CodeableConcept(R4.Coding("http://terminology.hl7.org/CodeSystem/v2-0136", "Y", "Yes")))
            : .boolean(true)
    }

    /// The clock observation that a reading refers to: among what it is derived from in 1.1.0, by an extension since.
    func derivedFromClock(_ coincidence: String?) -> [R4.Reference] {
        guard self == .v1, let coincidence else { return [] }
        return [R4.Reference(coincidence)]
    }

    /// The System ID of a device. 1.1.0 requires one: of a device that tells only its address it is the EUI-64 that the IEEE makes
    /// of an EUI-48, FF-FE in its middle.
    func systemID(of identity: DeviceIdentity) -> [UInt8]? {
        if let systemID = identity.systemID, systemID.count == 8 { return systemID }
        guard self == .v1, let address = identity.address.flatMap({ [UInt8](address: $0) }) else { return nil }
        return Array(address[..<3]) + [0xFF, 0xFE] + Array(address[3...])
    }

    /// In 1.1.0 it has neither system nor type.
    var identifierSystem: String? { self == .v1 ? nil : PHD.identifierSystem }

    /// The identifier of the conditional create. `reading` is `nil` for status bits.
    func identifier(of act: Act, reading: Reading?, patientID: String, type: MDC, supplemental: [MDC]) -> String? {
        switch self {
        case .v2:
            PHDIdentifier.value(
                device: act.device, patientID: patientID, type: type, time: act.measurement.deviceTime, supplemental: supplemental
            )
        case .v1:
            PHDIdentifier.valueOfFirstEdition(
                of: act, reading: reading, patientID: patientID, type: type, supplemental: supplemental)
        }
    }
}

extension PHDIdentifier {
    /// `device-patient-type-value-unit-timestamp-supplemental`, the form of DK Core's example of a cuff.
    ///
    /// A compound has value and unit of each of its numbers in turn, the unit as MDC code; a number has its unit in UCUM; bits have the
    /// field's value with MDER's numbering and no unit. The time is the device's own, to the hundredth. The patient is the receiver's
    /// logical id, where DK Core has national id and its system: no national id is on the hub or in a URL.
    static func valueOfFirstEdition(
        of act: Act, reading: Reading?, patientID: String, type: MDC, supplemental: [MDC]
    ) -> String? {
        guard let time = act.measurement.deviceTime, time.isValid,
            let device = PHDEdition.v1.systemID(of: act.device)?.capitalHex()
        else { return nil }
        var parts = [device, patientID, String(type.rawValue)]
        if let reading {
            for quantity in reading.quantities {
                guard let number = quantity.value.number else { continue }
                let isCompound = reading.kind == .bloodPressure
                guard let unit = isCompound ? compoundUnit(quantity.unit) : numericUnit(quantity) else { return nil }
                // As in the resource that a repeat would make: 118, not 118.0.
                parts += [number.normalised.description, unit]
            }
        } else {
            parts.append(String(mderBits(act)))
        }
        let text = time.description.filter { $0 != "-" && $0 != ":" }
        parts.append(text + ".00")
        return (parts + supplemental.map { String($0.rawValue) }).joined(separator: "-")
    }

    /// MDC_DIM_MMHG and MDC_DIM_KILO_PASCAL.
    private static func compoundUnit(_ unit: UCUM) -> String? {
        switch unit {
        case .millimetreOfMercury: "266016"
        case .kilopascal: "265987"
        default: nil
        }
    }

    private static func numericUnit(_ quantity: Quantity) -> String? {
        quantity.name == .pulseRate ? "{beat}/min" : quantity.unit.rawValue
    }

    /// The 16 bits of a status, the first of which is the highest: irregular pulse, bit 2, is 8192.
    private static func mderBits(_ act: Act) -> Int {
        let isCuff = act.measurement.kind == .bloodPressure
        let bits = isCuff ? PHDStatusBits.bloodPressureBits : PHDStatusBits.oximeterBits
        return bits.reduce(0) { sum, bit in
            guard act.measurement.status.contains(bit.flag),
                let number = bit.code.split(separator: ".").last.flatMap({ Int($0) }),
                (0..<16).contains(number)
            else { return sum }
            return sum | 1 << (15 - number)
        }
    }
}
