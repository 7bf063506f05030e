public import ExactJSON
public import HTTPMessage
public import Vitals

/// A decoded reading, as `vitalgate decode --json` prints it, to what a receiver would be sent. No state, no network.
public enum Conversion {
    /// What is missing or wrong in the JSON; names the member, never its value.
    public struct InputError: Error, Hashable, Sendable {
        public var message: String
        public init(_ message: String) { self.message = message }
    }

    /// The act that such a reading would be, with an id made of its own content.
    ///
    /// The device may be described by a member `device` with `manufacturer`, `modelNumber`, `serialNumber`, `firmwareRevision`,
    /// `hardwareRevision`, `softwareRevision`, `systemID` (16 hex digits), `address`, `udi`. What is not there is sent as
    /// "unknown" where the profile requires it.
    ///
    /// - Parameters:
    ///   - received: the hub's time, taken where the device sent no valid time of its own.
    ///   - zone: where the device's clock is taken to hang.
    public static func act(reading json: JSON, received: MeasuredTime, zone: any Zone) throws(InputError) -> Act {
        let measurement = try measurement(json)
        let id = StableUUID.text("reading", json.text)
        let readings = measurement.readings
        guard !readings.isEmpty else {
            throw InputError("a \(measurement.kind.rawValue) frame is no result: no receiver is told of it")
        }
        let local = measurement.isDeviceClockUnset ? nil : measurement.deviceTime
        let instants = local.map { $0.isValid ? zone.instants(showing: $0) : [] } ?? []
        return Act(
            id: SubjectID(rawValue: id), measurement: measurement,
            readings: readings.enumerated().map { position, reading in
                Act.IdentifiedReading(id: SubjectID(rawValue: StableUUID.text("reading", id, String(position))), reading: reading)
            },
            effective: instants.first ?? received, timeBasis: instants.isEmpty ? .received : .local,
            device: device(json["device"]),
            specialization: specialization(measurement.kind), patient: PatientAlias(rawValue: "convert"),
            batteryPercent: json["batteryPercent"]?.integer)
    }

    static func measurement(_ json: JSON) throws(InputError) -> Measurement {
        guard let name = json["kind"]?.string else {
            throw InputError("no member \"kind\": expected what `vitalgate decode --json` prints")
        }
        guard let kind = Measurement.Kind(rawValue: name) else { throw InputError("\"kind\" is none of a measurement") }
        var deviceTime: LocalDateTime?
        if let time = json["deviceTime"], time != .null {
            guard let read = time.string.flatMap({ LocalDateTime($0) }) else {
                throw InputError("\"deviceTime\" is not of the form 2020-01-20T08:43:00")
            }
            deviceTime = read
        }
        var status: Set<StatusFlag> = []
        for flag in json["status"]?.array ?? [] {
            guard let known = flag.string.flatMap({ StatusFlag(rawValue: $0) }) else {
                throw InputError("\"status\" holds an unknown flag")
            }
            status.insert(known)
        }
        let quantities = try quantities(json, kind)
        guard !quantities.isEmpty else { throw InputError("no quantity of a \(name) in it") }
        return Measurement(
            kind: kind, quantities: quantities, deviceTime: deviceTime, timeOffsetMinutes: json["timeOffsetMinutes"]?.integer,
            sequence: json["sequence"]?.integer, userIndex: json["userIndex"]?.integer,
            statusBits: json["statusBits"]?.integer.flatMap { UInt32(exactly: $0) },
            sensorStatusBits: json["sensorStatusBits"]?.integer.flatMap { UInt32(exactly: $0) }, status: status,
            isDeviceClockUnset: false,
            projection: StoredProjection(codec: "convert/1", bytes: [], distinguishes: deviceTime != nil))
    }

    /// The named quantities; code and unit of each from `values` where it stands there.
    private static func quantities(_ json: JSON, _ kind: Measurement.Kind) throws(InputError) -> [Quantity] {
        var quantities: [Quantity] = []
        for name in Quantity.Name.allCases {
            guard let member = json[name.rawValue] else { continue }
            let type = type(of: name, in: kind, values: json["values"])
            let entry = (json["values"]?.array ?? []).first { entry in
                entry["name"]?.string == name.rawValue
                    || (type != nil && entry["mdc"]?.integer == type.map { Int($0.rawValue) })
            }
            let value: MeasuredValue
            switch member {
            case .number(let number): value = .number(number)
            case .null:
                // `decode` writes a key for every field that the format has; `values` tells those that the frame had.
                if json["values"] != nil, entry == nil { continue }
                value = .special(entry?["special"]?.string.flatMap { SpecialValue(rawValue: $0) } ?? .notANumber)
            default: throw InputError("\"\(name.rawValue)\" is neither a number nor null")
            }
            let unit = entry?["unit"]?.string ?? (isPressure(name) ? json["unit"]?.string : nil) ?? defaultUnit(name)
            quantities.append(Quantity(name, type: type, value: value, unit: UCUM(unit)))
        }
        return quantities
    }

    private static func isPressure(_ name: Quantity.Name) -> Bool {
        name == .systolic || name == .diastolic || name == .mean || name == .cuffPressure
    }

    private static func type(of name: Quantity.Name, in kind: Measurement.Kind, values: JSON?) -> MDC? {
        switch name {
        case .systolic: .systolic
        case .diastolic: .diastolic
        case .mean: .meanArterialPressure
        case .cuffPressure: .cuffPressure
        case .pulseRate: kind == .bloodPressure ? .pulseRateNonInvasive : .pulseRateOximeter
        case .spo2: .oxygenSaturation
        case .perfusionIndex: .perfusionIndex
        case .weight: .bodyWeight
        case .height: .bodyHeight
        case .bodyMassIndex: .bodyMassIndex
        case .bodyFat: .bodyFat
        case .temperature: .bodyTemperature
        // The code depends on the sample (whole blood, plasma), so only the decoder knows it.
        case .glucose: (values?[0]?["mdc"]?.integer).flatMap { UInt32(exactly: $0) }.map { MDC($0) }
        case .spo2Fast, .pulseRateFast, .spo2Slow, .pulseRateSlow, .basalMetabolism, .musclePercentage, .muscleMass, .fatFreeMass,
            .softLeanMass, .bodyWaterMass, .impedance:
            nil
        }
    }

    private static func defaultUnit(_ name: Quantity.Name) -> String {
        switch name {
        case .systolic, .diastolic, .mean, .cuffPressure: UCUM.millimetreOfMercury.rawValue
        case .pulseRate, .pulseRateFast, .pulseRateSlow: UCUM.perMinute.rawValue
        case .spo2, .spo2Fast, .spo2Slow, .perfusionIndex, .bodyFat, .musclePercentage: UCUM.percent.rawValue
        case .weight, .muscleMass, .fatFreeMass, .softLeanMass, .bodyWaterMass: UCUM.kilogram.rawValue
        case .height: UCUM.metre.rawValue
        case .bodyMassIndex: UCUM.kilogramPerSquareMetre.rawValue
        case .temperature: UCUM.degreeCelsius.rawValue
        case .glucose: UCUM.molePerLitre.rawValue
        case .basalMetabolism: UCUM.kilojoule.rawValue
        case .impedance: UCUM.ohm.rawValue
        }
    }

    private static func specialization(_ kind: Measurement.Kind) -> MDC {
        switch kind {
        case .bloodPressure, .cuffPressure: MDC(528_391)
        case .pulseOximetrySpot, .pulseOximetryContinuous: MDC(528_388)
        case .bodyTemperature: MDC(528_392)
        case .bodyWeight: MDC(528_399)
        case .glucose, .glucoseContext: MDC(528_401)
        case .bodyComposition: MDC(528_404)
        }
    }

    private static func device(_ json: JSON?) -> DeviceIdentity {
        DeviceIdentity(
            manufacturer: json?["manufacturer"]?.string, modelNumber: json?["modelNumber"]?.string,
            serialNumber: json?["serialNumber"]?.string, firmwareRevision: json?["firmwareRevision"]?.string,
            hardwareRevision: json?["hardwareRevision"]?.string, softwareRevision: json?["softwareRevision"]?.string,
            systemID: json?["systemID"]?.string.flatMap { [UInt8](hex: $0) }, address: json?["address"]?.string,
            udi: json?["udi"]?.string)
    }

    /// The request that a receiver of this kind would be sent for the act. Where it depends on a plan of the receiver's, the
    /// context's target says what was ordered; without one it is a sample.
    public static func request(
        of act: Act, to destination: any Destination, context: DispatchContext
    ) throws(MappingError) -> HTTPRequest {
        var context = context
        var readings = act.readings
        if let fut = destination as? FUTDestination {
            // What FUT has no code for is not sent; a plan would say the rest.
            readings.removeAll { $0.reading.kind.futRole == nil }
            context.target = context.target ?? fut.sampleTarget(of: act, patientID: context.patientID).json
        }
        let items = readings.enumerated().map { DispatchItem(id: Int64($0.offset), reading: $0.element.id) }
        return try destination.dispatch(of: [DispatchAct(act: act, items: items)], context: context).request
    }
}
