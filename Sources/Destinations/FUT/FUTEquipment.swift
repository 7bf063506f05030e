public import ExactJSON
public import HTTPMessage
public import Vitals

/// The patient's equipment as FUT's logistics (SSL) recorded it: DeviceUseStatements and the Devices they name.
///
/// Read only: the platform creates them when a delivery is reported. Matched by serial number, never by `Device.type`, which the
/// guide's own examples have wrong.
public struct FUTEquipment: Hashable, Sendable {
    /// A Device (ehealth-device). Keeps the resource: what this type does not name goes through unchanged.
    public struct Device: Hashable, Sendable {
        public let json: JSON

        /// `nil` where it is no Device with an id.
        public init?(_ json: JSON) {
            guard json["resourceType"]?.string == "Device" else { return nil }
            self.json = json
        }

        public var id: String? { json["id"]?.string }
        public var manufacturer: String? { json["manufacturer"]?.string }
        public var modelNumber: String? { json["modelNumber"]?.string }
        public var isActive: Bool { json["status"]?.string == "active" }

        /// Where a serial number may stand: the element, and the identifiers, one of which has it by the guide.
        public var serialNumbers: [String] {
            let identifiers = (json["identifier"]?.array ?? []).compactMap { $0["value"]?.string }
            return ([json["serialNumber"]?.string].compactMap { $0 } + identifiers).map(FUTEquipment.trimmed).filter {
                !$0.isEmpty
            }
        }
    }

    /// A DeviceUseStatement (ehealth-deviceusestatement). Keeps the resource.
    public struct Use: Hashable, Sendable {
        public let json: JSON

        public init?(_ json: JSON) {
            guard json["resourceType"]?.string == "DeviceUseStatement" else { return nil }
            self.json = json
        }

        public var patient: String? { json["subject"]?["reference"]?.string }
        public var device: String? { json["device"]?["reference"]?.string }
        public var carePlan: String? {
            json["extension"]?.array?.first {
                $0["url"]?.string == "http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-deviceusestatement-context"
            }?["valueReference"]?["reference"]?.string
        }

        /// Whether the patient has the device then: the statement is active and its period, where it has one, covers the moment.
        public func holds(at instant: Instant) -> Bool {
            guard json["status"]?.string == "active" else { return false }
            return json["timingPeriod"].flatMap(FUTPlan.Period.init)?.covers(instant) ?? true
        }
    }

    /// A device with the reference under which observations name it.
    public struct Assigned: Hashable, Sendable {
        /// Absolute.
        public var reference: String
        public var device: Device
        public var use: Use

        public init(reference: String, device: Device, use: Use) {
            self.reference = reference
            self.device = device
            self.use = use
        }
    }

    public var assigned: [Assigned]

    public init(_ assigned: [Assigned]) { self.assigned = assigned }

    /// The statements with their devices; a statement whose device was not read is left out.
    public init(uses: [Use], devices: [Device]) {
        assigned = uses.compactMap { use in
            guard let reference = use.device, let tail = FUTReference.tail(reference),
                let device = devices.first(where: { $0.id.map { "Device/" + $0 } == tail })
            else { return nil }
            return Assigned(reference: reference, device: device, use: use)
        }
    }

    // MARK: Questions

    public static func usesRequest(patient: String, settings: FUTSettings) -> HTTPRequest {
        let query = [FHIRSearch.parameter("patient", patient), "status=active", "_count=100"]
        return HTTPRequest(
            .get, settings.base(.device) + "/DeviceUseStatement?" + query.joined(separator: "&"), headers: FUT.questionHeaders)
    }

    /// All devices of the statements in one search; `nil` where none names one.
    public static func devicesRequest(of uses: [Use], settings: FUTSettings) -> HTTPRequest? {
        let ids = uses.compactMap { $0.device.flatMap(FUTReference.tail)?.dropFirst("Device/".utf8.count) }
        guard !ids.isEmpty else { return nil }
        return HTTPRequest(
            .get, settings.base(.device) + "/Device?_id=" + ids.joined(separator: ",") + "&_count=100",
            headers: FUT.questionHeaders)
    }

    /// The resources of a searchset.
    public static func uses(in searchset: JSON) -> [Use] { resources(searchset).compactMap(Use.init) }
    public static func devices(in searchset: JSON) -> [Device] { resources(searchset).compactMap(Device.init) }

    private static func resources(_ searchset: JSON) -> [JSON] {
        (searchset["entry"]?.array ?? []).compactMap { $0["resource"] }
    }

    // MARK: Matching

    /// The reference of the device that an act was measured with, at that time; `nil` where none or several have its serial number.
    public func reference(of identity: DeviceIdentity, at instant: Instant) -> String? {
        let matches = Set(
            assigned.filter { $0.use.holds(at: instant) && Self.isSame(identity, $0.device) }.map(\.reference))
        return matches.count == 1 ? matches.first : nil
    }

    /// Same serial number, and no other maker or model than the one that either names.
    static func isSame(_ identity: DeviceIdentity, _ device: Device) -> Bool {
        guard let serial = identity.serialNumber.map(trimmed), !serial.isEmpty, device.serialNumbers.contains(serial) else {
            return false
        }
        return agrees(identity.modelNumber, device.modelNumber)
    }

    /// Whether two model names can be of one model, as makers, catalogues and devices write them: by the words with a digit in them,
    /// hyphens and case apart, one of which may be part of the other ("Nonin 3230" and "Model 3230", "BF 720" and "BF720").
    private static func agrees(_ left: String?, _ right: String?) -> Bool {
        guard let left = left.map(words), let right = right.map(words), !left.isEmpty, !right.isEmpty else { return true }
        return left.contains { one in right.contains { $0.contains(one) || one.contains($0) } }
    }

    private static func words(_ name: String) -> [String] {
        let words = trimmed(name).lowercased().split(separator: " ").map { $0.filter { $0.isLetter || $0.isNumber } }
        let telling = words.filter { $0.contains(where: \.isNumber) }
        return (telling.isEmpty ? words : telling).filter { !$0.isEmpty }
    }

    static func trimmed(_ text: String) -> String {
        let isPadding: (Character) -> Bool = { $0 == " " || $0 == "\0" || $0 == "\t" }
        var rest = text[...]
        while let first = rest.first, isPadding(first) { rest.removeFirst() }
        while let last = rest.last, isPadding(last) { rest.removeLast() }
        return String(rest)
    }

    // MARK: Here and there

    /// How the hub's equipment and the receiver's record of it differ.
    public enum Difference: Hashable, Sendable {
        /// Assigned there, and not known here: not delivered, not paired, or lost.
        case onlyThere(reference: String)
        /// In use here, and not assigned there: its readings go out without a device.
        case onlyHere(DeviceIdentity)
        /// The same model with another serial number: exchanged here or recorded wrongly there.
        case otherSerial(DeviceIdentity, reference: String)
    }

    /// Holds both against each other, at a moment.
    public func compare(hub: [DeviceIdentity], at instant: Instant) -> [Difference] {
        var there = assigned.filter { $0.use.holds(at: instant) }
        var here: [DeviceIdentity] = []
        for identity in hub {
            if let match = there.firstIndex(where: { Self.isSame(identity, $0.device) }) {
                there.remove(at: match)
            } else {
                here.append(identity)
            }
        }
        var differences: [Difference] = []
        for identity in here {
            let sameModel = there.firstIndex { assigned in
                guard identity.modelNumber != nil, assigned.device.modelNumber != nil, !assigned.device.serialNumbers.isEmpty
                else {
                    return false
                }
                return Self.agrees(identity.modelNumber, assigned.device.modelNumber)
            }
            if let sameModel {
                differences.append(.otherSerial(identity, reference: there.remove(at: sameModel).reference))
            } else {
                differences.append(.onlyHere(identity))
            }
        }
        return differences + there.map { .onlyThere(reference: $0.reference) }
    }
}
