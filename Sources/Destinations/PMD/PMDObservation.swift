import ExactJSON
import FHIR
import Vitals

/// The Observation of one reading for a Norwegian receiver.
///
/// `issued` is left out (the same reading gives the same bytes); so are `method` (the required set of blood pressure has no code
/// for a cuff that measures by oscillation) and `bodySite` (no cuff says it).
struct PMDObservation {
    var act: Act
    var reading: Act.IdentifiedReading
    var subject: NorwegianSubject
    var settings: PMDSettings
    var rounding: RoundingTable

    /// The name of its entry and the value of its identifier: the same whenever it is made.
    var name: String { "urn:uuid:" + reading.id.rawValue }

    /// - Parameter isRetraction: the same once more, as entered in error.
    func json(id: String? = nil, isRetraction: Bool = false) throws(MappingError) -> JSON {
        let code = PMDCode(reading.reading)
        let profiles = settings.profiles(of: code)
        let status = isRetraction ? "entered-in-error" : settings.status.rawValue
        var members: [JSON.Member] = [.init("resourceType", "Observation"), .init("id", .string(id ?? reading.id.rawValue))]
        if !profiles.isEmpty { members.append(.init("meta", ["profile": .array(profiles.map { .string($0) })])) }
        members.append(.init("identifier", [["system": .string(OwnIdentifier.system), "value": .string(name)]]))
        members.append(.init("status", .string(status)))
        if code.isVitalSign { members.append(.init("category", [PMDObservation.concept(Self.vitalSigns)])) }
        members.append(.init("code", Self.concept(code.coding)))
        members.append(.init("subject", subject.json))
        members.append(.init("effectiveDateTime", .string(act.effective.description)))
        if case .organisation(let number, let name) = settings.performer {
            members.append(.init("performer", [Self.organisation(number, name)]))
        }
        if reading.reading.kind == .bloodPressure {
            if let notes { members.append(notes) }
            members.append(device)
            members.append(.init("component", .array(try pressures())))
        } else {
            guard let quantity = reading.reading.quantities.first else {
                throw MappingError(.noReading, "the reading has no value")
            }
            members.append(Self.member(try quantity.phdValue(in: code.unit, rounding: rounding)))
            if let notes { members.append(notes) }
            members.append(device)
        }
        return .object(members)
    }

    // MARK: Values

    /// Both pressures; one that the cuff could not measure is there with the reason instead of a value.
    private func pressures() throws(MappingError) -> [JSON] {
        var components: [JSON] = []
        for (name, code, isRequired) in Self.pressures {
            let value: R4.Observation.Value
            if let quantity = reading.reading.quantities.first(where: { $0.name == name }) {
                value = try quantity.phdValue(in: code.unit, rounding: rounding)
            } else if isRequired {
                value = .absent("unknown")
            } else {
                continue
            }
            // A mean that was not measured is nothing to tell: no profile asks for it.
            if case .absent = value, !isRequired { continue }
            components.append(.object([.init("code", Self.concept(code.coding)), Self.member(value)]))
        }
        return components
    }

    private static let pressures: [(Quantity.Name, PMDCode, isRequired: Bool)] = [
        (.systolic, .systolic, true), (.diastolic, .diastolic, true), (.mean, .mean, false),
    ]

    private static func member(_ value: R4.Observation.Value) -> JSON.Member {
        switch value {
        case .quantity(let quantity): .init("valueQuantity", quantity.json)
        case .absent(let reason):
            .init("dataAbsentReason", concept([R4.Coding(R4.Observation.Value.dataAbsentReason, reason)]))
        case .concept(let concept): .init("valueCodeableConcept", Self.concept(concept.coding))
        case .boolean(let value): .init("valueBoolean", .bool(value))
        case .dateTime(let text): .init("valueDateTime", .string(text))
        }
    }

    // MARK: Who and with what

    private static let vitalSigns = [
        R4.Coding("http://terminology.hl7.org/CodeSystem/observation-category", "vital-signs", "Vital Signs")
    ]

    static func concept(_ coding: [R4.Coding]) -> JSON { ["coding": .array(coding.map(\.json))] }

    static func organisation(_ number: NorwegianOrganisationNumber, _ name: String?) -> JSON {
        .members([
            "type": "Organization",
            "identifier": ["system": .string(NorwegianOrganisationNumber.system), "value": .string(number.digits)],
            "display": name.map { .string($0) },
        ])
    }

    /// By what is printed on it; a device without a serial number by its name alone.
    private var device: JSON.Member {
        let identity = act.device
        let display = [identity.manufacturer, identity.modelNumber].compactMap { $0.map(FUTEquipment.trimmed) }
        return .init(
            "device",
            .members([
                "type": "Device",
                "identifier": identity.serialNumber.map {
                    ["system": .string(settings.deviceSystem), "value": .string(FUTEquipment.trimmed($0))]
                },
                "display": .string(display.isEmpty ? "Ukjent utstyr" : display.joined(separator: " ")),
            ]))
    }

    // MARK: In words

    private var notes: JSON.Member? {
        guard settings.sendsNotes else { return nil }
        var notes: [String] = []
        if act.cautions.contains(.unlikelyValue) { notes.append("Uvanlig verdi: kontroller verdi og person.") }
        switch act.timeBasis {
        case .local: notes.append("Tidspunktet er utstyrets eget; klokken kunne ikke kontrolleres.")
        case .stated: notes.append("Tidspunktet er oppgitt av en person.")
        case .received, .corrected: break
        }
        if act.isDerived { notes.append("Verdien er utledet av en løpende måling etter modellens faste regel.") }
        for flag in StatusFlag.allCases where act.measurement.status.contains(flag) {
            if let text = Self.statusNotes[flag] { notes.append(text) }
        }
        return notes.isEmpty ? nil : .init("note", .array(notes.map { ["text": .string($0)] }))
    }

    private static let statusNotes: [StatusFlag: String] = [
        .bodyMovement: "Blodtrykksmåleren registrerte bevegelse under målingen.",
        .cuffTooLoose: "Blodtrykksmåleren meldte at mansjetten satt for løst.",
        .irregularPulse: "Blodtrykksmåleren registrerte uregelmessig puls.",
        .pulseRateAboveRange: "Pulsen lå over blodtrykksmålerens måleområde.",
        .pulseRateBelowRange: "Pulsen lå under blodtrykksmålerens måleområde.",
        .improperPosition: "Blodtrykksmåleren meldte feil målestilling.",
        .earlyEstimate: "Oksymeteret kaller verdien et tidlig anslag.",
        .questionable: "Oksymeteret kaller målingen usikker.",
        .signalProcessingIrregularity: "Oksymeteret meldte uregelmessig signalbehandling.",
        .inadequateSignal: "Oksymeteret meldte utilstrekkelig signal.",
        .poorSignal: "Oksymeteret meldte dårlig signal.",
        .lowPerfusion: "Oksymeteret meldte lav perfusjon.",
        .erraticSignal: "Oksymeteret meldte ustabilt signal.",
        .nonpulsatileSignal: "Oksymeteret meldte signal uten puls.",
        .questionablePulse: "Oksymeteret kaller pulsen usikker.",
        .ongoing: "Målingen var ikke avsluttet da verdien ble sendt.",
        .timeFault: "Utstyret meldte feil i klokken.",
        .generalFault: "Utstyret meldte en feil.",
    ]
}

extension R4.Quantity {
    var json: JSON {
        .members([
            "extension": original.map {
                [["url": .string(Self.translation), "valueQuantity": R4.Quantity($0.value, unit: $0.unit).json]]
            },
            "value": .number(value), "unit": .string(unit), "system": .string(Self.system), "code": .string(unit),
        ])
    }
}
