public import ExactJSON
import FHIR
public import HTTPMessage
public import Vitals

/// The acts of a PHD transaction bundle that a hub sent, read back: what a relay takes in.
///
/// It reads what ``PHDDestination`` writes, in both editions: readings by their MDC codes, status bits and notes that belong to them, the
/// device. What goes along and names nothing that a receiver is told (clocks, batteries, the gateway) is passed over. A reading that it does not
/// know is refused and with it the bundle: half of a transaction is none.
public struct PHDReception: Hashable, Sendable {
    public struct Received: Hashable, Sendable {
        /// The hub's own identifier (`urn:uuid:`) of each reading, and where it stands in the bundle.
        public var names: [Reading.Kind: String]
        public var positions: [Int]
        /// The resources of the readings, as they came.
        public var resources: [JSON]
        /// It takes something back that was sent before.
        public var isRetraction: Bool
        /// The hub's name of the patient.
        public var patient: String
        public var device: DeviceIdentity
        public var measurement: Measurement
        public var effective: MeasuredTime
        public var timeBasis: TimeBasis
        public var cautions: Set<Act.Caution>
        public var isDerived: Bool
    }

    public struct Refusal: Error, Hashable, Sendable {
        /// Without health data.
        public var reason: String
    }

    public var acts: [Received]
    /// Of the bundle, what goes along included.
    public var entryCount: Int

    public init(_ bundle: JSON) throws(Refusal) {
        guard bundle["resourceType"]?.string == "Bundle", bundle["type"]?.string == "transaction" else {
            throw Refusal(reason: "no transaction bundle")
        }
        let entries = bundle["entry"]?.array ?? []
        entryCount = entries.count
        var groups: [(key: [String], members: [Member])] = []
        for (position, entry) in entries.enumerated() {
            guard let resource = entry["resource"], resource["resourceType"]?.string == "Observation" else { continue }
            guard let member = try Member(resource, position: position, entry: entry) else { continue }
            // Acts of one device at one moment cannot be told apart by it; a second of a kind begins another.
            if let index = groups.lastIndex(where: { $0.key == member.key }),
                !groups[index].members.contains(where: { $0.kind == member.kind })
            {
                groups[index].members.append(member)
            } else {
                groups.append((member.key, [member]))
            }
        }
        acts = []
        for group in groups { acts.append(try Self.act(group.members, entries: entries)) }
    }

    /// One reading of an act.
    private struct Member {
        var resource: JSON
        var position: Int
        var fullURL: String
        var name: String
        var kind: Reading.Kind
        var type: MDC
        var isRetraction: Bool

        /// Equal for the readings of one act.
        var key: [String] {
            ["device", "subject"].map { resource[$0]?["reference"]?.string ?? "" }
                + [resource["effectiveDateTime"]?.string ?? "", isRetraction ? "retraction" : ""]
        }

        init?(_ resource: JSON, position: Int, entry: JSON) throws(Refusal) {
            guard let code = PHDReception.code(resource["code"]) else {
                throw Refusal(reason: "an observation without an MDC code")
            }
            if PHDReception.passedOver.contains(code) { return nil }
            guard let kind = PHDReception.kinds[code] else {
                throw Refusal(reason: "an observation with the code \(code.rawValue)")
            }
            guard let name = OwnIdentifier.value(in: resource) else {
                throw Refusal(reason: "an observation without an identifier of the hub's")
            }
            self.resource = resource
            self.position = position
            self.kind = kind
            self.name = name
            type = code
            fullURL = entry["fullUrl"]?.string ?? name
            isRetraction = resource["status"]?.string == "entered-in-error"
        }
    }

    private static func act(_ members: [Member], entries: [JSON]) throws(Refusal) -> Received {
        guard let first = members.first, let subject = first.resource["subject"]?["reference"]?.string,
            subject.hasPrefix("Patient/")
        else { throw Refusal(reason: "an observation of nobody") }
        guard let text = first.resource["effectiveDateTime"]?.string, let effective = time(text) else {
            throw Refusal(reason: "an observation without a time")
        }
        var quantities: [Quantity] = []
        for member in members { quantities += try self.quantities(of: member) }
        let measured = kind(of: members.map(\.type))
        let urls = Set(members.map(\.fullURL))
        var status = flags(of: first.resource["interpretation"])
        for entry in entries {
            let sources = (entry["resource"]?["derivedFrom"]?.array ?? []).compactMap { $0["reference"]?.string }
            guard sources.contains(where: urls.contains) else { continue }
            for component in entry["resource"]?["component"]?.array ?? [] {
                for coding in component["code"]?["coding"]?.array ?? [] {
                    if let flag = coding["code"]?.string.flatMap({ bits[$0] }) { status.insert(flag) }
                }
            }
        }
        let names = members.map(\.name).sorted()
        let measurement = Measurement(
            kind: measured, quantities: quantities, status: status,
            projection: StoredProjection(
                codec: "phd-bundle/1", bytes: Array(names.joined(separator: " ").utf8), distinguishes: true))
        let kinds = Set(measurement.readings.map(\.kind))
        guard kinds == Set(members.map(\.kind)) else { throw Refusal(reason: "readings that make no measurement together") }
        let notes = (first.resource["note"]?.array ?? []).compactMap { $0["text"]?.string }
        return Received(
            names: Dictionary(members.map { ($0.kind, $0.name) }, uniquingKeysWith: { first, _ in first }),
            positions: members.map(\.position), resources: members.map(\.resource), isRetraction: first.isRetraction,
            patient: String(subject.dropFirst("Patient/".utf8.count)),
            device: device(first.resource["device"]?["reference"]?.string, entries: entries), measurement: measurement,
            effective: effective, timeBasis: basis(notes),
            cautions: notes.contains { $0.hasPrefix("Unlikely value") } ? [.unlikelyValue] : [],
            isDerived: first.resource["method"]?["text"]?.string?.hasPrefix("Derived by the gateway") ?? false)
    }

    /// The hub's own identifier of a resource, `urn:uuid:`.
    public static func name(_ resource: JSON) -> String? { OwnIdentifier.value(in: resource) }

    // MARK: Parts

    private static func basis(_ notes: [String]) -> TimeBasis {
        if notes.contains(where: { $0.hasPrefix("Time as the device's own clock") }) { return .local }
        return notes.contains { $0.hasPrefix("Time stated") } ? .stated : .corrected
    }

    static func code(_ concept: JSON?) -> MDC? {
        for coding in concept?["coding"]?.array ?? [] where coding["system"]?.string == MDC.system {
            if let code = coding["code"]?.string.flatMap({ UInt32($0) }) { return MDC(code) }
        }
        return nil
    }

    private static func quantities(of member: Member) throws(Refusal) -> [Quantity] {
        func quantity(_ name: Quantity.Name, _ type: MDC, _ json: JSON) throws(Refusal) -> Quantity {
            guard let value = json["valueQuantity"] else {
                return Quantity(name, type: type, value: .special(.notANumber), unit: .millimetreOfMercury)
            }
            guard let number = value["value"]?.number, let unit = value["code"]?.string else {
                throw Refusal(reason: "a quantity without number or unit")
            }
            return Quantity(name, type: type, value: .number(number), unit: UCUM(unit))
        }
        guard member.kind == .bloodPressure else {
            guard let name = names[member.kind] else { throw Refusal(reason: "a reading without a value") }
            return [try quantity(name, member.type, member.resource)]
        }
        var quantities: [Quantity] = []
        for component in member.resource["component"]?.array ?? [] {
            guard let code = code(component["code"]), let name = pressures[code] else { continue }
            quantities.append(try quantity(name, code, component))
        }
        return quantities
    }

    private static func kind(of types: [MDC]) -> Measurement.Kind {
        for type in types {
            switch type {
            case .bloodPressure, .pulseRateNonInvasive: return .bloodPressure
            case .oxygenSaturation, .pulseRateOximeter, .perfusionIndex: return .pulseOximetrySpot
            case .bodyTemperature: return .bodyTemperature
            case .bodyFat: return .bodyComposition
            case .bodyWeight, .bodyHeight, .bodyMassIndex: continue
            default: return .glucose
            }
        }
        return .bodyWeight
    }

    private static func time(_ text: String) -> MeasuredTime? {
        guard let instant = Instant(iso8601: text) else { return nil }
        let tail = text.suffix(6)
        guard let sign = tail.first, sign == "+" || sign == "-", let hours = Int(tail.dropFirst().prefix(2)),
            let minutes = Int(tail.suffix(2))
        else { return MeasuredTime(instant, offsetMinutes: 0) }
        return MeasuredTime(instant, offsetMinutes: (sign == "-" ? -1 : 1) * (hours * 60 + minutes))
    }

    private static func flags(of interpretations: JSON?) -> Set<StatusFlag> {
        let known: [String: StatusFlag] = [
            "questionable": .questionable, "early-indication": .earlyEstimate, "validated": .validated,
        ]
        return Set(
            (interpretations?.array ?? []).flatMap { $0["coding"]?.array ?? [] }.compactMap {
                $0["code"]?.string.flatMap { known[$0] }
            })
    }

    private static func device(_ reference: String?, entries: [JSON]) -> DeviceIdentity {
        guard let resource = entries.first(where: { $0["fullUrl"]?.string == reference })?["resource"] else {
            return DeviceIdentity()
        }
        var identity = DeviceIdentity(
            manufacturer: resource["manufacturer"]?.string, modelNumber: resource["modelNumber"]?.string,
            serialNumber: resource["serialNumber"]?.string)
        for identifier in resource["identifier"]?.array ?? [] {
            let value = identifier["value"]?.string ?? ""
            switch identifier["system"]?.string {
            case PHD.eui64: identity.systemID = [UInt8](hex: value.filter { $0 != "-" })
            case PHD.bluetoothAddress: identity.address = value.replacing("-", with: ":").uppercased()
            default: continue
            }
        }
        for version in resource["version"]?.array ?? [] {
            let value = version["value"]?.string
            switch code(version["type"])?.rawValue {
            case 531_974: identity.hardwareRevision = value
            case 531_975: identity.softwareRevision = value
            case 531_976: identity.firmwareRevision = value
            default: continue
            }
        }
        return identity
    }

    // MARK: Codes

    /// Clock, battery and the status bits, which are read with what they belong to.
    private static let passedOver: Set<MDC> = [MDC(67_975), .batteryCharge, MDC(8_410_608), MDC(150_604)]

    private static let kinds: [MDC: Reading.Kind] = [
        .bloodPressure: .bloodPressure, .pulseRateNonInvasive: .pulseRate, .pulseRateOximeter: .pulseRate,
        .oxygenSaturation: .oxygenSaturation, .perfusionIndex: .perfusionIndex, .bodyWeight: .bodyWeight,
        .bodyHeight: .bodyHeight, .bodyMassIndex: .bodyMassIndex, .bodyFat: .bodyFat, .bodyTemperature: .bodyTemperature,
        .glucose: .glucose, .glucoseCapillaryWholeBlood: .glucose, .glucoseCapillaryPlasma: .glucose,
        .glucoseVenousWholeBlood: .glucose, .glucoseVenousPlasma: .glucose, .glucoseArterialWholeBlood: .glucose,
        .glucoseArterialPlasma: .glucose, .glucoseInterstitialFluid: .glucose, .glucoseUndeterminedWholeBlood: .glucose,
        .glucoseUndeterminedPlasma: .glucose,
    ]

    private static let names: [Reading.Kind: Quantity.Name] = [
        .pulseRate: .pulseRate, .oxygenSaturation: .spo2, .perfusionIndex: .perfusionIndex, .bodyWeight: .weight,
        .bodyHeight: .height, .bodyMassIndex: .bodyMassIndex, .bodyFat: .bodyFat, .bodyTemperature: .temperature,
        .glucose: .glucose,
    ]

    private static let pressures: [MDC: Quantity.Name] = [
        .systolic: .systolic, .diastolic: .diastolic, .meanArterialPressure: .mean,
    ]

    private static let bits: [String: StatusFlag] = Dictionary(
        (PHDStatusBits.bloodPressureBits + PHDStatusBits.oximeterBits).map { ($0.code, $0.flag) },
        uniquingKeysWith: { first, _ in first })
}

extension PHDDestination {
    /// A transaction with the gateway's own entry and nothing else: a receiver has it already, and a relay hears that the hub lives.
    public func heartbeat(_ gateway: GatewayIdentity) -> HTTPRequest {
        let own = PHGDeviceEntry(gateway, edition: settings.phdEdition)
        return HTTPRequest(
            .post, settings.baseURL, headers: Self.headers,
            body: R4.TransactionRequest([
                R4.TransactionRequest.Entry(
                    fullURL: own.entry.fullURL, resource: .device(own.device),
                    method: .create(ifNoneExist: own.entry.ifNoneExist))
            ]).bytes)
    }
}
