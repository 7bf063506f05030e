import ExactJSON
import Steward
import Vitals

/// The small values of sealed columns as JSON and back. `nil` where the JSON is none of ours.
enum JSONCoding {
    /// Fields as an array and not as text: a device may send month 0 or a year of five digits.
    static func json(_ local: LocalDateTime) -> JSON {
        .array([local.year, local.month, local.day, local.hour, local.minute, local.second].map { .integer($0) })
    }

    static func local(_ json: JSON) -> LocalDateTime? {
        guard let fields = json.array?.compactMap(\.integer), fields.count == 6 else { return nil }
        return LocalDateTime(
            year: fields[0], month: fields[1], day: fields[2], hour: fields[3], minute: fields[4], second: fields[5])
    }

    static func json(_ clock: ClockReading) -> JSON {
        .array([
            .integer(clock.wall.milliseconds), .integer(clock.offsetMinutes), .integer(clock.monotonic.milliseconds),
            .string(clock.boot.rawValue), .string(clock.source.rawValue),
        ])
    }

    static func clock(_ json: JSON) -> ClockReading? {
        guard let wall = json[0]?.integer, let offset = json[1]?.integer, let monotonic = json[2]?.integer,
            let boot = json[3]?.string, let source = json[4]?.string.flatMap(ClockSource.init(rawValue:))
        else { return nil }
        return ClockReading(
            wall: Instant(milliseconds: Int64(wall)), offsetMinutes: offset,
            monotonic: MonotonicTime(milliseconds: Int64(monotonic)), boot: BootID(rawValue: boot), source: source)
    }

    static func json(_ coincidence: ClockCoincidence) -> JSON { .array([json(coincidence.device), json(coincidence.hub)]) }

    static func coincidence(_ json: JSON) -> ClockCoincidence? {
        guard let device = json[0].flatMap(local), let hub = json[1].flatMap(clock) else { return nil }
        return ClockCoincidence(device: device, hub: hub)
    }

    static func json(_ verification: DeviceVerification) -> JSON {
        switch verification {
        case .open(let since): ["open": json(since)]
        case .proved(let at): ["proved": .integer(at.milliseconds)]
        case .endedUnproved(let from, let until): ["unproved": [.integer(from.milliseconds), .integer(until.milliseconds)]]
        }
    }

    static func verification(_ json: JSON) -> DeviceVerification? {
        if let since = json["open"].flatMap(clock) { return .open(since: since) }
        if let at = json["proved"].flatMap(instant) { return .proved(at: at) }
        guard let from = json["unproved"]?[0].flatMap(instant), let until = json["unproved"]?[1].flatMap(instant) else {
            return nil
        }
        return .endedUnproved(from: from, until: until)
    }

    static func instant(_ json: JSON) -> Instant? { json.integer.map { Instant(milliseconds: Int64($0)) } }

    static func json(_ identity: DeviceIdentity) -> JSON {
        .members([
            "manufacturer": identity.manufacturer.map { .string($0) },
            "model": identity.modelNumber.map { .string($0) },
            "serial": identity.serialNumber.map { .string($0) },
            "firmware": identity.firmwareRevision.map { .string($0) },
            "hardware": identity.hardwareRevision.map { .string($0) },
            "software": identity.softwareRevision.map { .string($0) },
            "systemID": identity.systemID.map { .string($0.hex) },
            "address": identity.address.map { .string($0) },
            "udi": identity.udi.map { .string($0) },
        ])
    }

    static func deviceIdentity(_ json: JSON) -> DeviceIdentity {
        DeviceIdentity(
            manufacturer: json["manufacturer"]?.string, modelNumber: json["model"]?.string, serialNumber: json["serial"]?.string,
            firmwareRevision: json["firmware"]?.string, hardwareRevision: json["hardware"]?.string,
            softwareRevision: json["software"]?.string, systemID: json["systemID"]?.string.flatMap { [UInt8](hex: $0) },
            address: json["address"]?.string, udi: json["udi"]?.string)
    }
}

// MARK: Sealed JSON

extension Transaction {
    func seal(_ json: JSON, _ table: String, _ column: String = "sealed", row: Int64) throws(JournalError) -> [UInt8] {
        try store.sealer.seal(json.bytes, table, column, row: row)
    }

    func open(_ sealed: [UInt8], _ table: String, _ column: String = "sealed", row: Int64) throws(JournalError) -> JSON {
        let bytes = try store.sealer.open(sealed, table, column, row: row)
        do throws(JSONError) {
            return try JSON(parsing: bytes)
        } catch {
            throw unreadable(table, column, row)
        }
    }

    func seal(_ text: String, _ table: String, _ column: String, row: Int64) throws(JournalError) -> [UInt8] {
        try store.sealer.seal(Array(text.utf8), table, column, row: row)
    }

    func openText(_ sealed: [UInt8], _ table: String, _ column: String, row: Int64) throws(JournalError) -> String {
        String(decoding: try store.sealer.open(sealed, table, column, row: row), as: UTF8.self)
    }

    /// It opened, so we wrote it: a later release, or a fault.
    func unreadable(_ table: String, _ column: String, _ row: Int64) -> JournalError {
        .fault("\(table).\(column) of row \(row) is not in a form that this release reads")
    }
}
