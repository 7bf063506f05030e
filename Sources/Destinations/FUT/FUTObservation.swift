import ExactJSON
import FHIR
public import Vitals

/// The ehealth-observation of one reading.
///
/// Source: guide 8.0.0 and 10.0.0, StructureDefinition ehealth-observation (both the same). Mean pressure, perfusion index, battery
/// and the coincident clocks have no code at FUT and are not sent; reference ranges are the platform's to add; DMQ, the device's
/// quality, is derived by the platform, and a second one is refused (MORE_THAN_ONE_DEVICE_QUALITY).
struct FUTObservation {
    var act: Act
    var reading: Act.IdentifiedReading
    var order: FUTTarget.Order
    var target: FUTTarget
    var settings: FUTSettings
    var rounding: RoundingTable

    /// The name of its entry and the value of its identifier. A reading that goes out as two single pressures has two.
    var name: String {
        switch order.role {
        case .systolic, .diastolic: "urn:uuid:" + StableUUID.text("fut", reading.id.rawValue, order.role.rawValue)
        default: "urn:uuid:" + reading.id.rawValue
        }
    }

    func json() throws(MappingError) -> JSON {
        guard let code = settings.codes[order.role] else { throw MappingError(.noCode, "FUT has no code for it") }
        let canonicals = settings.canonicals
        let time = JSON.string(act.effective.description)
        // Typed, since a bare nil beside a JSON value is JSON's null.
        let moment: JSON? = settings.effective == .dateTime ? .some(time) : .none
        let period: JSON? = settings.effective == .period ? .some(["start": time, "end": time]) : .none
        let identifier: JSON? =
            settings.sendsIdentifier ? .some([["system": .string(OwnIdentifier.system), "value": .string(name)]]) : .none
        var value: JSON?
        var components: [JSON] = []
        switch order.role {
        case .bloodPressure: components = try pressures()
        case .systolic, .diastolic: value = try self.value(order.role == .systolic ? .systolic : .diastolic, code)
        default: value = try reading.reading.quantities.first?.futValue(code, rounding: rounding)
        }
        guard value != nil || !components.isEmpty else { throw MappingError(.noReading, "the reading has no such value") }
        return .members([
            "resourceType": "Observation",
            "meta": ["profile": [.string(canonicals.observationProfile)]],
            "extension": .array(extensions),
            "identifier": identifier,
            "basedOn": [FUT.reference(order.request)],
            "status": "final",
            "code": FUT.concept(code.coding),
            "subject": FUT.reference(target.patient),
            "effectiveDateTime": moment,
            "effectivePeriod": period,
            "performer": [FUT.reference(target.patient)],
            "valueQuantity": value,
            "note": notes.isEmpty ? nil : .array(notes.map { ["text": .string($0)] }),
            "device": target.device.map(FUT.reference),
            "component": components.isEmpty ? nil : .array(components),
        ])
    }

    // MARK: Values

    private func value(_ name: Quantity.Name, _ code: FUTCode) throws(MappingError) -> JSON? {
        guard let quantity = reading.reading.quantities.first(where: { $0.name == name }) else { return nil }
        return try quantity.futValue(code, rounding: rounding)
    }

    /// Both pressures; one that the cuff could not measure is there without a value, with the only reason in FUT's set that fits.
    private func pressures() throws(MappingError) -> [JSON] {
        var components: [JSON] = []
        for (name, role) in [(Quantity.Name.systolic, FUTCode.Role.systolic), (.diastolic, .diastolic)] {
            guard let code = settings.codes[role] else {
                throw MappingError(.noCode, "the table has no \(role.rawValue) pressure")
            }
            let quantity = reading.reading.quantities.first { $0.name == name }
            if let quantity, quantity.value.number != nil {
                components.append(
                    ["code": FUT.concept(code.coding), "valueQuantity": try quantity.futValue(code, rounding: rounding)])
            } else {
                components.append(
                    [
                        "code": FUT.concept(code.coding),
                        "dataAbsentReason": FUT.concept(FUTCoding(R4.Observation.Value.dataAbsentReason, "error")),
                    ])
            }
        }
        return components
    }

    // MARK: Extensions

    private var extensions: [JSON] {
        let canonicals = settings.canonicals
        var timing: [JSON] = [["url": "serviceRequestVersionId", "valueId": .string(order.version)]]
        if let slot = target.slot {
            timing.append(["url": "start", "valueDateTime": .string(slot.start.text)])
            timing.append(["url": "end", "valueDateTime": .string(slot.end.text)])
        }
        let type = FUTCoding(canonicals.resolvedTimingType, target.timing.rawValue)
        timing.append(["url": "type", "valueCodeableConcept": FUT.concept(type)])
        var extensions: [JSON] = [
            ["url": .string(canonicals.episodeOfCare), "valueReference": FUT.reference(target.episode)],
            ["url": .string(canonicals.resolvedTiming), "extension": .array(timing)],
        ]
        if settings.sendsQuality {
            extensions.append([
                "url": .string(canonicals.quality),
                "extension": [
                    ["url": "qualityType", "valueCodeableConcept": FUT.concept(FUTCoding(canonicals.qualityTypes, "UQ"))],
                    [
                        "url": "qualityCode",
                        "valueCodeableConcept": FUT.concept(FUTCoding(canonicals.usageQuality, "automatically-transferred")),
                    ],
                ],
            ])
        }
        return extensions
    }

    // MARK: In words

    private var notes: [String] {
        guard settings.sendsNotes else { return [] }
        var notes: [String] = []
        func say(_ note: FUTSettings.Note) { if let text = settings.notes[note] { notes.append(text) } }
        if act.cautions.contains(.unlikelyValue) { say(.unlikelyValue) }
        switch act.timeBasis {
        case .local: say(.localTime)
        case .stated: say(.statedTime)
        case .received, .corrected: break
        }
        if act.isDerived { say(.derived) }
        for flag in StatusFlag.allCases where act.measurement.status.contains(flag) {
            if case .note(let text) = settings.place(of: flag) { notes.append(text) }
        }
        if target.device == nil, let serial = act.device.serialNumber, let text = settings.notes[.unknownDevice] {
            let parts = [act.device.manufacturer, act.device.modelNumber, serial].compactMap { $0 }
            notes.append(([text] + parts.map(FUTEquipment.trimmed)).joined(separator: " "))
        }
        return notes
    }
}

/// Where a status bit reaches staff at FUT.
public enum FUTStatusPlace: Hashable, Sendable {
    /// In words, on each observation of the act: FUT has no code, element or quality for any of them.
    case note(String)
    /// The measurement is not sent at all: the device itself says that it is none.
    case neverSent
    /// There is none. It stays in the hub's own record of the reading.
    case none
}

extension FUTSettings {
    /// The place of a status bit. Situation quality (SQ) has no place for any: its codes say what a person saw to be right
    /// (sitting, armrest), not what a device found wrong.
    public func place(of flag: StatusFlag) -> FUTStatusPlace {
        if flag.makesInvalid { return .neverSent }
        guard sendsNotes, let text = statusNotes[flag] else { return .none }
        return .note(text)
    }
}
