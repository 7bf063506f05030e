import FHIR
import Vitals

/// The observations of one act, as entries of a transaction.
struct PHDObservations {
    struct Entry {
        var entry: PHDEntry
        var observation: R4.Observation
        /// The due item that it fulfils; `nil` for what goes along.
        var item: DispatchItem?
    }

    private let act: Act
    let due: DispatchAct
    let patientID: String
    let device: R4.Reference
    let gateway: R4.Reference
    let rounding: RoundingTable
    let edition: PHDEdition
    /// Status of readings and of what is derived from them; `nil` as measured.
    let forcedStatus: R4.Observation.Status?

    private let patient: R4.Reference
    private let effective: String
    private let notes: [String]
    private let interpretations: [R4.CodeableConcept]

    init(
        due: DispatchAct, patientID: String, device: R4.Reference, gateway: R4.Reference, rounding: RoundingTable,
        edition: PHDEdition, forcedStatus: R4.Observation.Status?
    ) {
        self.due = due
        self.patientID = patientID
        self.device = device
        self.gateway = gateway
        self.rounding = rounding
        self.edition = edition
        self.forcedStatus = forcedStatus
        act = due.act
        patient = R4.Reference("Patient/" + patientID)
        effective = act.effective.description
        notes = Self.notes(act)
        interpretations = Self.interpretations(act.measurement.status)
    }

    /// Everything that is due of this act, and what goes along with it.
    func entries() throws(MappingError) -> [Entry] {
        var entries: [Entry] = []
        let coincidence = coincidentTimeStamp()
        if forcedStatus == nil {
            if let coincidence { entries.append(coincidence) }
            if let battery = battery() { entries.append(battery) }
        }
        let clock = forcedStatus == nil ? coincidence?.entry.fullURL : nil
        for reading in act.readings {
            guard let item = due.items.first(where: { $0.reading == reading.id }) else { continue }
            let entry = try observation(reading, item: item, coincidence: clock)
            entries.append(entry)
            if let bits = statusBits(of: reading, derivedFrom: entry.entry.fullURL, coincidence: clock) { entries.append(bits) }
        }
        return entries
    }

    // MARK: Readings

    private func observation(
        _ identified: Act.IdentifiedReading, item: DispatchItem, coincidence: String?
    ) throws(MappingError) -> Entry {
        let reading = identified.reading
        let code = PHDObservationCode(reading)
        var value: R4.Observation.Value?
        var components: [R4.Observation.Component] = []
        if reading.kind == .bloodPressure {
            components = try pressures(reading)
        } else if let quantity = reading.quantities.first {
            value = try quantity.phdValue(in: code.unit, rounding: rounding)
        }
        let supplemental = supplementalTypes(of: reading)
        for type in supplemental {
            components.append(
                R4.Observation.Component(
                    PHD.concept(MDC(68_193), "MDC_ATTR_SUPPLEMENTAL_TYPES"), .concept(PHD.concept(type, "MDC_MODALITY_SPOT"))))
        }
        let identity = identity(of: identified.id, reading: reading, type: reading.type, supplemental: supplemental)
        let profile = PHD.profile + (reading.kind == .bloodPressure ? "PhdCompoundNumericObservation" : "PhdNumericObservation")
        return Entry(
            entry: identity.entry,
            observation: R4.Observation(
                profiles: [profile] + (code.baseProfile.map { [$0] } ?? []),
                extensions: extensions(coincidence),
                identifiers: identity.identifiers,
                status: forcedStatus ?? status,
                categories: code.isVitalSign ? [PHD.vitalSigns, edition.category] : [edition.category],
                code: code.code,
                subject: patient,
                effective: effective,
                value: value,
                interpretations: interpretations,
                notes: notes,
                method: act.isDerived ? Self.derivation : nil,
                device: device,
                derivedFrom: edition.derivedFromClock(coincidence),
                components: components),
            item: item)
    }

    private func pressures(_ reading: Reading) throws(MappingError) -> [R4.Observation.Component] {
        var components: [R4.Observation.Component] = []
        for (name, code, isRequired) in Self.pressures {
            if let quantity = reading.quantities.first(where: { $0.name == name }) {
                let value = try quantity.phdValue(in: code.unit, rounding: rounding)
                components.append(R4.Observation.Component(code.code, value))
            } else if isRequired {
                // The base profile wants both pressures, or a reason.
                components.append(R4.Observation.Component(code.code, .absent("unknown")))
            }
        }
        return components
    }

    private static let pressures: [(Quantity.Name, PHDObservationCode, isRequired: Bool)] = [
        (.systolic, .systolic, true), (.diastolic, .diastolic, true), (.mean, .mean, false),
    ]

    private func supplementalTypes(of reading: Reading) -> [MDC] {
        guard act.measurement.kind == .pulseOximetrySpot else { return [] }
        switch reading.kind {
        case .oxygenSaturation, .pulseRate: return [.modalitySpot]
        default: return []
        }
    }

    /// `preliminary` for what the device itself calls an early estimate or still going on.
    private var status: R4.Observation.Status {
        act.measurement.status.isDisjoint(with: [.earlyEstimate, .ongoing]) ? .final : .preliminary
    }

    /// The measurement status of the Bluetooth oximeter profile in the words that the IG binds.
    private static func interpretations(_ status: Set<StatusFlag>) -> [R4.CodeableConcept] {
        guard !status.isEmpty else { return [] }
        return interpretationCodes.compactMap { flag, code in
            status.contains(flag) ? R4.CodeableConcept(R4.Coding(PHD.measurementStatus, code)) : nil
        }
    }

    private static let interpretationCodes: [(StatusFlag, String)] = [
        (.questionable, "questionable"), (.earlyEstimate, "early-indication"), (.validated, "validated"),
    ]

    private static let derivation = R4.CodeableConcept(
        text: "Derived by the gateway from a stream of samples, by the stated rule of the device model")

    private static func notes(_ act: Act) -> [String] {
        var notes: [String] = []
        if act.cautions.contains(.unlikelyValue) { notes.append("Unlikely value: check value or person.") }
        switch act.timeBasis {
        case .local: notes.append("Time as the device's own clock shows it; the clock could not be checked.")
        case .stated: notes.append("Time stated by a person.")
        case .received, .corrected: break
        }
        return notes
    }

    // MARK: What goes along

    private func statusBits(of reading: Act.IdentifiedReading, derivedFrom source: String, coincidence: String?) -> Entry? {
        let code: R4.CodeableConcept
        let type: MDC
        let components: [R4.Observation.Component]
        switch reading.reading.kind {
        case .bloodPressure:
            (code, type) = (PHDStatusBits.bloodPressure, MDC(8_410_608))
            components = PHDStatusBits.components(
                act.measurement.status, PHDStatusBits.bloodPressureBits, edition: edition)
        case .oxygenSaturation:
            (code, type) = (PHDStatusBits.oximeter, MDC(150_604))
            components = PHDStatusBits.components(act.measurement.status, PHDStatusBits.oximeterBits, edition: edition)
        default: return nil
        }
        guard !components.isEmpty else { return nil }
        let identity = identity(
            of: SubjectID(rawValue: StableUUID.text("bits", reading.id.rawValue)), reading: nil, type: type, supplemental: [])
        return Entry(
            entry: identity.entry,
            observation: R4.Observation(
                profiles: [PHD.profile + "PhdBitsEnumerationObservation"], extensions: extensions(coincidence),
                identifiers: identity.identifiers, status: forcedStatus ?? status, categories: [edition.category], code: code,
                subject: patient, effective: effective, device: device,
                derivedFrom: edition.derivedFromClock(coincidence) + [R4.Reference(source)],
                components: components),
            item: nil)
    }

    /// The two clocks at one moment, so that the correction can be undone. One for all acts of a transfer.
    private func coincidentTimeStamp() -> Entry? {
        guard let coincidence = act.coincidence, coincidence.device.isValid else { return nil }
        let hub = coincidence.hub.measuredTime
        // The device's clock has no zone: the hub's offset at that moment makes it comparable.
        let face = MeasuredTime(
            Instant(seconds: coincidence.device.secondsSince1970 - Int64(hub.offsetMinutes) * 60),
            offsetMinutes: hub.offsetMinutes)
        let name = StableUUID.text("clock", device.reference, face.description, hub.description)
        return Entry(
            entry: PHDEntry(
                fullURL: "urn:uuid:" + name,
                ifNoneExist: FHIRSearch.identifier(system: OwnIdentifier.system, value: "urn:uuid:" + name)),
            observation: R4.Observation(
                profiles: [PHD.profile + "PhdCoincidentTimeStampObservation"],
                extensions: edition == .v1 ? extensions(nil) : [],
                identifiers: [R4.Identifier(system: OwnIdentifier.system, value: "urn:uuid:" + name)],
                code: PHD.concept(MDC(67_975), "MDC_ATTR_TIME_ABS"), subject: device, effective: hub.description,
                value: .dateTime(face.description), device: edition == .v1 ? device : gateway),
            item: nil)
    }

    /// The charge that the device reported in the transfer; its subject is the device.
    private func battery() -> Entry? {
        guard let percent = act.batteryPercent else { return nil }
        let time = act.coincidence?.hub.measuredTime ?? act.effective
        let name = StableUUID.text("battery", device.reference, String(percent), time.description)
        return Entry(
            entry: PHDEntry(
                fullURL: "urn:uuid:" + name,
                ifNoneExist: FHIRSearch.identifier(system: OwnIdentifier.system, value: "urn:uuid:" + name)),
            observation: R4.Observation(
                profiles: [PHD.profile + "PhdNumericObservation"], extensions: extensions(nil),
                identifiers: [R4.Identifier(system: OwnIdentifier.system, value: "urn:uuid:" + name)],
                categories: [edition.category], code: PHD.concept(.batteryCharge, "MDC_ATTR_VAL_BATT_CHARGE"), subject: device,
                effective: time.description, value: .quantity(R4.Quantity(.init(percent), unit: UCUM.percent.rawValue)),
                device: device),
            item: nil)
    }

    // MARK: Identity

    private func extensions(_ coincidence: String?) -> [R4.ReferenceExtension] {
        var extensions = [R4.ReferenceExtension(PHD.gatewayDevice, gateway)]
        if edition == .v2, let coincidence {
            extensions.append(R4.ReferenceExtension(PHD.coincidentTimeStamp, R4.Reference(coincidence)))
        }
        return extensions
    }

    /// Our own identifier always; the IG's where the device's time makes one and no other reading holds it. The conditional
    /// create goes by the IG's where there is one, so that another gateway's upload of the same reading is found too.
    private func identity(
        of id: SubjectID, reading: Reading?, type: MDC, supplemental: [MDC]
    ) -> (entry: PHDEntry, identifiers: [R4.Identifier]) {
        let own = R4.Identifier(system: OwnIdentifier.system, value: "urn:uuid:" + id.rawValue)
        var identifiers = [own]
        var search = FHIRSearch.identifier(system: OwnIdentifier.system, value: "urn:uuid:" + id.rawValue)
        if !due.claimedIdentifier, !act.measurement.isDeviceClockUnset,
            let value = edition.identifier(
                of: act, reading: reading, patientID: patientID, type: type, supplemental: supplemental)
        {
            identifiers.append(R4.Identifier(system: edition.identifierSystem, value: value))
            search = FHIRSearch.identifier(system: edition.identifierSystem, value: value)
        }
        return (PHDEntry(fullURL: "urn:uuid:" + id.rawValue, ifNoneExist: search), identifiers)
    }
}
