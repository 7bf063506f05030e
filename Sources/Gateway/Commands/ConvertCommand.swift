import ArgumentParser
import Destinations
import ExactJSON
import HubAPI
import Vitals

struct ConvertCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "convert", abstract: "A decoded reading to what a receiver would be sent. Nothing is sent.",
        discussion: """
            READING.json is what `vitalgate decode --json` prints, one object or one a line; - is standard input. Printed is \
            the request's body, byte for byte, one a line.

            An object may have a member "device" with manufacturer, modelNumber, serialNumber, firmwareRevision, \
            hardwareRevision, softwareRevision, systemID (16 hex digits), address (AA:BB:CC:DD:EE:FF) and udi. What the \
            profile requires and nobody says is sent as unknown (the data-absent-reason extension); a device without \
            systemID, address and serialNumber has an unknown identifier. Without --patient the subject is \
            Patient/unassigned. A device time is taken as local time; without one the time is now. With --config the \
            rounding of the first receiver of that kind holds.

            Ends with 64 for a destination that this release does not have, and with 65 for a reading that cannot be converted.
            """)

    @Option(help: "phd, fut, pmd, vkp or kih.") var destination: String
    @Option(help: "The configuration file.") var config: String?
    @Option(help: "The receiver's own id of the patient.") var patient = "unassigned"
    @Option(help: "The time of receipt, ISO 8601 with offset; now if it is not given.") var received: String?
    @Flag(help: "Indented, for people.") var pretty = false
    @Argument(help: "The file, or -.") var reading: String

    func run() async throws {
        try await Output.ending {
            let (kind, receiver) = try chosenDestination()
            let zone = LibcZone()
            let time = try receiptTime(zone)
            let gateway = GatewayIdentity(
                systemID: HubIdentity.systemID(try hub()),
                instance: HubIdentity.instance ?? "00000000-0000-8000-8000-000000000000",
                softwareVersion: Daemon.version)
            for json in try readings() {
                let body: [UInt8]
                do {
                    let act = try Conversion.act(reading: json, received: time, zone: zone)
                    body = try Conversion.request(
                        of: act, to: receiver, context: DispatchContext(patientID: patient, gateway: gateway)
                    ).body
                } catch let error as Conversion.InputError {
                    throw unusable(error.message, kind)
                } catch let error as MappingError {
                    throw unusable(error.message, kind)
                }
                let text = String(decoding: body, as: UTF8.self)
                Output.line(pretty ? (try? JSON(parsing: body))?.prettyText ?? text : text)
            }
        }
    }

    private func unusable(_ why: String, _ kind: DestinationKind) -> OperationError {
        OperationError(
            "The reading cannot be converted for \(kind.rawValue).", why: why,
            remedy: "Give a result as `vitalgate decode --json` prints it, and a patient id of letters, digits, - and .",
            exitCode: 65)
    }

    private func chosenDestination() throws(OperationError) -> (DestinationKind, any Destination) {
        let names = DestinationKind.allCases.map(\.rawValue).joined(separator: ", ")
        guard let kind = DestinationKind(rawValue: destination) else {
            throw OperationError(
                "There is no destination \(destination).", why: "the destinations are \(names)",
                remedy: "Choose --destination phd.",
                exitCode: 64)
        }
        let settings = try settings(kind)
        if kind == .fut, let receiver = try configured(kind), let fut = receiver.fut {
            return (kind, FUTDestination(settings: settings, fut: try fut.table(base: receiver.base)))
        }
        if let service = try configured(kind)?.norway?.service, let destination = service.destination(settings) {
            return (kind, destination)
        }
        guard let built = kind.destination(settings) else {
            if kind == .vkp {
                throw OperationError(
                    "Nothing can be converted for vkp.", why: "VKP journals in somebody's name, and nobody is named",
                    remedy: "Give --config with a receiver of kind \"vkp\" that has an author and journals = true.", exitCode: 64)
            }
            throw OperationError(
                "The destination \(kind.rawValue) is not built yet.", why: "this release delivers to phd, fut, pmd and vkp",
                remedy: "Choose --destination phd.", exitCode: 64)
        }
        return (kind, built)
    }

    private func configuration() throws(OperationError) -> Configuration? {
        guard let config else { return nil }
        guard let configuration = Configuration.read(fileAt: config).configuration else {
            throw OperationError(
                "The configuration cannot be used.", why: "it has errors, or is not there",
                remedy: "Run `vitalgate config check --config FILE`.", exitCode: 78)
        }
        return configuration
    }

    private func hub() throws(OperationError) -> Configuration.Hub { try configuration()?.hub ?? Configuration.Hub() }

    private func settings(_ kind: DestinationKind) throws(OperationError) -> ReceiverSettings {
        var table = RoundingTable.standard
        let receiver = try configured(kind)
        for rule in receiver?.rounding ?? [] { table.rules[rule.unit] = .init(converted: rule.converted, sent: rule.sent) }
        return ReceiverSettings(
            name: kind.rawValue, kind: kind, baseURL: receiver?.base ?? "https://receiver.invalid", rounding: table,
            phdEdition: receiver?.profile == .phd1 ? .v1 : .v2)
    }

    private func configured(_ kind: DestinationKind) throws(OperationError) -> Configuration.Receiver? {
        try configuration()?.receivers.first { $0.kind.rawValue == kind.rawValue }
    }

    private func receiptTime(_ zone: LibcZone) throws(OperationError) -> MeasuredTime {
        guard let received else { return MachineClock(zone: zone).now().measuredTime }
        guard let instant = Instant(iso8601: received) else {
            throw OperationError(
                "--received is no time.", why: "expected ISO 8601 with seconds and offset",
                remedy: "Write --received 2026-01-01T10:24:08+01:00.", exitCode: 64)
        }
        return MeasuredTime(instant, offsetMinutes: zone.offsetMinutes(at: instant))
    }

    /// One object, or one a line.
    private func readings() throws(OperationError) -> [JSON] {
        guard let bytes = SmallFile.read(reading == "-" ? "/dev/stdin" : reading) else {
            throw OperationError(
                "The reading's file cannot be read.", why: "it is not there, or not ours to read",
                remedy: "Give a file that `vitalgate decode --json` wrote, or -.", exitCode: 65)
        }
        if let whole = try? JSON(parsing: bytes) { return whole.array ?? [whole] }
        var readings: [JSON] = []
        for (number, line) in bytes.split(separator: UInt8(ascii: "\n")).enumerated() {
            do throws(JSONError) {
                readings.append(try JSON(parsing: line))
            } catch {
                throw OperationError(
                    "The reading's file is no JSON.", why: "line \(number + 1), \(error)",
                    remedy: "Give a file that `vitalgate decode --json` wrote.", exitCode: 65)
            }
        }
        guard !readings.isEmpty else {
            throw OperationError(
                "The reading's file is empty.", why: "no JSON in it", remedy: "Give a file that `vitalgate decode --json` wrote.",
                exitCode: 65)
        }
        return readings
    }
}
