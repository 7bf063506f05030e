import Destinations
import ExactJSON
import FHIR
import HTTPMessage
import Testing
import Vitals

func number(_ text: String) throws -> ExactDecimal { try #require(ExactDecimal(text)) }

/// Acts as the steward would hand them over, one for each thing that can be odd about one.
enum Samples {
    static let gateway = GatewayIdentity(
        systemID: [0xFE, 0xED, 0xDA, 0xDA, 0xDE, 0xAD, 0xBE, 0xEF], instance: "7b0c8f46-4f3c-4f0e-9d55-0d5f6c9e2a11",
        softwareVersion: "1.2.3")
    static let context = DispatchContext(patientID: "hub-7f3a", gateway: gateway)
    static let settings = ReceiverSettings(name: "phd", kind: .phd, baseURL: "https://fhir.example.org/r4/")
    static let destination = PHDDestination(settings: settings)
    static let now = Instant(seconds: 1_767_261_848)

    static let cuff = DeviceIdentity(
        manufacturer: "A&D Medical ", modelNumber: "UA-651BLE ", serialNumber: "5181000124", firmwareRevision: "BLP009_02_005 ",
        systemID: [0xC4, 0xF3, 0x12, 0xFF, 0xFE, 0x53, 0xF2, 0xC9], address: "C4:F3:12:53:F2:C9")
    static let oximeter = DeviceIdentity(
        manufacturer: "Nonin Medical, Inc.", modelNumber: "Model 3230", serialNumber: "502614118", firmwareRevision: "2.00",
        address: "00:1C:05:FF:4E:58")

    /// 2023-02-23 10:24:08 on the device's face: 730463048 s after 2000-01-01.
    static let deviceTime = LocalDateTime(year: 2023, month: 2, day: 23, hour: 10, minute: 24, second: 8)
    static let hub = ClockReading(
        wall: Instant(seconds: 1_677_144_274), offsetMinutes: 60, monotonic: MonotonicTime(milliseconds: 1),
        boot: BootID(rawValue: "b"),
        source: .ntp)

    static func pressures(
        _ systolic: MeasuredValue, _ diastolic: MeasuredValue, _ mean: MeasuredValue, unit: UCUM = .millimetreOfMercury,
        pulse: MeasuredValue? = .number(93)
    ) -> [Quantity] {
        [
            Quantity(.systolic, type: .systolic, value: systolic, unit: unit),
            Quantity(.diastolic, type: .diastolic, value: diastolic, unit: unit),
            Quantity(.mean, type: .meanArterialPressure, value: mean, unit: unit),
        ] + (pulse.map { [Quantity(.pulseRate, type: .pulseRateNonInvasive, value: $0, unit: .perMinute)] } ?? [])
    }

    static func act(
        _ measurement: Measurement, number: Int, device: DeviceIdentity = cuff, timeBasis: TimeBasis = .corrected,
        battery: Int? = nil,
        cautions: Set<Act.Caution> = [], coincidence: ClockCoincidence? = nil, isDerived: Bool = false
    ) -> Act {
        let digits = String(number)
        let tail = String(repeating: "0", count: 4 - digits.count) + digits
        var measurement = measurement
        // Times of their own, so that no two acts of one device have one identifier, except where that is the point.
        if number != 6, measurement.deviceTime == deviceTime {
            measurement.deviceTime?.second += number < 20 ? number - 1 : number - 20
        }
        let isOximeter = measurement.kind == .pulseOximetrySpot || measurement.kind == .pulseOximetryContinuous
        return Act(
            id: SubjectID(rawValue: "5d1f0a3e-9a50-4c6e-8f43-00000000\(tail)"), measurement: measurement,
            readings: measurement.readings.enumerated().map { position, reading in
                .init(id: SubjectID(rawValue: "5d1f0a3e-9a50-4c6e-8f43-0000000\(position + 1)\(tail)"), reading: reading)
            },
            effective: MeasuredTime(Instant(seconds: 1_677_144_248), offsetMinutes: 60), timeBasis: timeBasis, device: device,
            specialization: MDC(isOximeter ? 528_388 : 528_391), patient: PatientAlias(rawValue: "anna"), batteryPercent: battery,
            cautions: cautions, coincidence: coincidence, isDerived: isDerived)
    }

    static func measurement(
        _ quantities: [Quantity], kind: Measurement.Kind = .bloodPressure, time: LocalDateTime? = deviceTime,
        status: Set<StatusFlag> = [], isDeviceClockUnset: Bool = false
    ) -> Measurement {
        Measurement(
            kind: kind, quantities: quantities, deviceTime: time, status: status, isDeviceClockUnset: isDeviceClockUnset,
            projection: StoredProjection(codec: "test/1", bytes: [], distinguishes: true))
    }

    static let nan = MeasuredValue.special(.notANumber)

    static let bloodPressure = act(measurement(pressures(.number(118), .number(87), .number(99))), number: 1)

    static func spot(_ status: Set<StatusFlag> = [], time: LocalDateTime? = deviceTime, index: MeasuredValue? = nil)
        -> Measurement
    {
        measurement(
            [
                Quantity(
                    .spo2, type: .oxygenSaturation, value: .number(ExactDecimal(mantissa: 975, exponent: -1)), unit: .percent),
                Quantity(.pulseRate, type: .pulseRateOximeter, value: .number(61), unit: .perMinute),
            ] + (index.map { [Quantity(.perfusionIndex, type: .perfusionIndex, value: $0, unit: .percent)] } ?? []),
            kind: .pulseOximetrySpot, time: time, status: status)
    }

    static let kilopascal = act(
        measurement(
            pressures(
                .number(ExactDecimal(mantissa: 160, exponent: -1)), .number(ExactDecimal(mantissa: 107, exponent: -1)),
                .number(ExactDecimal(mantissa: 125, exponent: -1)), unit: .kilopascal)), number: 2)

    struct Sample: Sendable {
        var name: String
        var act: Act
        var isClaimed = false
    }

    static let all: [Sample] = bloodPressures + oximeters + others

    static func named(_ name: String) throws -> Sample { try #require(all.first { $0.name == name }) }

    private static let usual = measurement(pressures(.number(118), .number(87), .number(99)))

    private static let bloodPressures: [Sample] = [
        Sample(name: "blood-pressure", act: bloodPressure),
        Sample(name: "blood-pressure-kpa", act: kilopascal),
        Sample(name: "blood-pressure-no-mean", act: act(measurement(pressures(.number(120), .number(80), nan)), number: 3)),
        Sample(name: "blood-pressure-no-diastolic", act: act(measurement(pressures(.number(120), nan, nan)), number: 4)),
        Sample(
            name: "blood-pressure-live",
            act: act(measurement(pressures(.number(131), .number(84), nan), time: nil), number: 5, timeBasis: .received)),
        Sample(
            name: "blood-pressure-same-minute", act: act(measurement(pressures(.number(122), .number(81), nan)), number: 6),
            isClaimed: true),
        Sample(
            name: "blood-pressure-status",
            act: act(
                measurement(
                    pressures(.number(118), .number(87), .number(99)),
                    status: [.bodyMovement, .irregularPulse, .improperPosition]),
                number: 7)),
        Sample(
            name: "blood-pressure-unlikely",
            act: act(measurement(pressures(.number(250), .number(40), nan)), number: 8, cautions: [.unlikelyValue])),
        Sample(
            name: "blood-pressure-clock",
            act: act(
                usual, number: 9, battery: 95,
                coincidence: ClockCoincidence(
                    device: LocalDateTime(year: 2023, month: 2, day: 23, hour: 10, minute: 24, second: 25), hub: hub))),
        Sample(
            name: "blood-pressure-stated",
            act: act(
                measurement(pressures(.number(118), .number(87), .number(99)), isDeviceClockUnset: true), number: 10,
                timeBasis: .stated)),
        Sample(
            name: "blood-pressure-unknown-device", act: act(usual, number: 11, device: DeviceIdentity(), timeBasis: .local)),
        Sample(
            name: "blood-pressure-serial-only",
            act: act(usual, number: 12, device: DeviceIdentity(manufacturer: "Acme", modelNumber: "X", serialNumber: "1"))),
    ]

    private static let oximeters: [Sample] = [
        Sample(
            name: "oximeter-spot",
            act: act(
                spot([.validated], index: .number(ExactDecimal(mantissa: 42, exponent: -1))), number: 20, device: oximeter,
                battery: 80)),
        Sample(name: "oximeter-early", act: act(spot([.earlyEstimate, .questionable]), number: 21, device: oximeter)),
        Sample(name: "oximeter-poor-signal", act: act(spot([.poorSignal, .lowPerfusion]), number: 22, device: oximeter)),
        Sample(
            name: "oximeter-derived",
            act: act(spot(time: nil), number: 23, device: oximeter, timeBasis: .received, isDerived: true)),
    ]

    private static let others: [Sample] = [
        Sample(name: "weight", act: act(single(.weight, .bodyWeight, 7_400, .kilogram, .bodyWeight), number: 30)),
        Sample(
            name: "temperature",
            act: act(single(.temperature, .bodyTemperature, 3_660, .degreeCelsius, .bodyTemperature), number: 31)),
    ]

    private static func single(
        _ name: Quantity.Name, _ type: MDC, _ hundredths: Int64, _ unit: UCUM, _ kind: Measurement.Kind
    ) -> Measurement {
        measurement(
            [Quantity(name, type: type, value: .number(ExactDecimal(mantissa: hundredths, exponent: -2)), unit: unit)], kind: kind
        )
    }

    static func due(_ act: Act, claimed: Bool = false, references: Bool = false) -> DispatchAct {
        DispatchAct(
            act: act,
            items: act.readings.enumerated().map { position, reading in
                DispatchItem(
                    id: Int64(position + 1), reading: reading.id,
                    serverReference: references
                        ? ServerReference(reference: "Observation/srv-\(position + 1)", version: "3") : nil)
            }, claimedIdentifier: claimed)
    }

    static func draft(_ act: Act, claimed: Bool = false) throws -> DispatchDraft {
        try destination.dispatch(of: [due(act, claimed: claimed)], context: context)
    }

    static func body(_ draft: DispatchDraft) throws -> JSON { try JSON(parsing: draft.request.body) }
}

extension JSON {
    /// The resources of a Bundle's entries.
    var resources: [JSON] { (self["entry"]?.array ?? []).compactMap { $0["resource"] } }

    func observation(_ mdc: Int) -> JSON? {
        resources.first {
            $0["resourceType"]?.string == "Observation" && $0["code"]?["coding"]?[0]?["code"]?.string == String(mdc)
        }
    }

    func entry(_ mdc: Int) -> JSON? {
        self["entry"]?.array?.first { entry in
            entry["resource"]?["resourceType"]?.string == "Observation"
                && entry["resource"]?["code"]?["coding"]?[0]?["code"]?.string == String(mdc)
        }
    }

    func component(_ code: String) -> JSON? {
        self["component"]?.array?.first { component in
            component["code"]?["coding"]?.array?.contains { $0["code"]?.string == code } ?? false
        }
    }

    func identifier(_ system: String) -> String? {
        self["identifier"]?.array?.first { $0["system"]?.string == system }?["value"]?.string
    }
}

let phdIdentifier = "http://hl7.org/fhir/uv/phd/StructureDefinition/PhdBaseObservation"
let ownIdentifier = "urn:ietf:rfc:3986"
