import ArgumentParser
import ExactJSON
import Glibc
import HubAPI
import Simulator

struct SimulateCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "simulate", abstract: "A simulated device or receiver, for demo, tests and technicians.",
        subcommands: [Cuff.self, Oximeter.self, FHIRServer.self, FUT.self, NHN.self])

    struct Device: ParsableArguments {
        @Option(help: "What it does; see --list.") var scenario: String?
        @Option(help: "The Unix SEQPACKET socket on which it listens while it has something to tell.") var socket: String?
        @Option(help: "Determines its identity and values.") var seed: UInt64 = 1
        @Option(help: "How many records, for the scenario `generated`.") var count = 10
        @Option(name: .customLong("per-link"), help: "At most so many of them on one link.") var perLink: Int?
        @Option(help: "How many times faster than a real device.") var speed = 1
        @Option(help: "A file to which it appends what it sent and what was confirmed to it.") var ledger: String?
        @Flag(help: "End when everything was told.") var ends = false
        @Flag(help: "List the scenarios.") var list = false

        func run(_ kind: SimulatedPeripheral.Kind, default standard: Scenario) async throws {
            if list {
                for scenario in Scenario.all where scenario.kind == kind { Output.line("\(scenario.name): \(scenario.summary)") }
                return
            }
            try await Output.ending {
                guard let known = scenario.map({ Scenario.named($0, kind: kind) }) ?? standard else {
                    throw OperationError(
                        "There is no scenario \"\(scenario ?? "")\" for this device.", why: "The simulator does not know it.",
                        remedy: "See `vitalgate simulate \(kind.rawValue) --list`.", exitCode: 64)
                }
                let path = socket ?? "/tmp/vitalgate-\(kind.rawValue).sock"
                Output.progress("Listening on \(path) as \"\(known.name)\": \(known.summary). Ctrl-C ends it.")
                do {
                    let device = try SimulatedPeripheral(
                        kind: kind, scenario: known,
                        options: .init(
                            seed: seed, speed: max(1, speed), count: count, recordsPerLink: perLink ?? .max, ledger: ledger,
                            endsWhenDelivered: ends))
                    try await device.serve(socketPath: path)
                } catch {
                    throw OperationError(
                        "The simulated device cannot run.", why: "\(error).", remedy: "Name another path: --socket PATH.",
                        exitCode: 73)
                }
            }
        }
    }

    struct Cuff: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "A blood-pressure monitor that speaks real ATT PDUs.")
        @OptionGroup var device: Device
        func run() async throws { try await device.run(.cuff, default: .cuffLive) }
    }

    struct Oximeter: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "A pulse oximeter that speaks real ATT PDUs.")
        @OptionGroup var device: Device
        func run() async throws { try await device.run(.oximeter, default: .oximeterSpot) }
    }

    struct FHIRServer: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "receiver", abstract: "A FHIR R4 receiver on loopback that fails as it is told.",
            discussion: "Prints its base URL. POST a fault script to /$fault; GET /$state counts.")
        @Option(help: "The port; 0 for any free one.") var port = 0
        @Option(help: "A file to which it appends each request and each stored resource.") var ledger: String?
        @Option(help: "A file with a fault script (JSON).") var faults: String?
        @Option(help: "The bearer token that it asks for.") var token: String?

        func run() async throws {
            try await Output.ending {
                var plan = ReceiverFaultPlan.none
                if let faults {
                    do {
                        guard let bytes = SmallFile.read(faults) else {
                            throw OperationError(
                                "The fault script cannot be read.", why: "\(faults): \(String(cString: strerror(errno))).",
                                remedy: "Check the path.", exitCode: 65)
                        }
                        plan = try ReceiverFaultPlan(try JSON(parsing: bytes))
                    } catch let error as OperationError {
                        throw error
                    } catch {
                        throw OperationError(
                            "The fault script is not understood.", why: "\(error)",
                            remedy: "See the help of `simulate receiver`.",
                            exitCode: 65)
                    }
                }
                do {
                    let receiver = try FHIRReceiver(.init(port: port, token: token, ledgerPath: ledger, faults: plan))
                    try await receiver.run { Output.line($0) }
                } catch {
                    throw OperationError(
                        "The receiver cannot run.", why: "\(error)", remedy: "Name another port: --port 0 takes any free one.",
                        exitCode: 73)
                }
            }
        }
    }

    struct FUT: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "fut", abstract: "Denmark's FUT on loopback: sign-in, plans, measurements and devices of two citizens.",
            discussion: """
                Prints its origin; the realm is at /auth/realms/nemlogin, the services at /careplan/fhir, /measurement/fhir and \
                /device/fhir. It fails as it is told: POST a script to /control/faults. GET /control/state counts, POST \
                /control/device approves a device's sign-in, POST /control/citizen changes a plan.
                """)
        @Option(help: "The port; 0 for any free one.") var port = 0
        @Option(help: "A file to which it appends each request, each grant and each stored resource.") var ledger: String?
        @Option(help: "A directory that gets the body of each submission as it came, one file each.") var keepRequests: String?
        @Option(help: "A file with a fault script (JSON).") var faults: String?
        @Option(help: "A file with settings (JSON), such as {\"rotates\": true, \"allowsReuseOfLast\": false}.") var settings:
            String?
        @Option(help: "A file with a list (JSON) of citizens and their plans, instead of the two that live here.") var world:
            String?
        @Option(help: "Signs in this citizen without asking.") var approve: String?
        @Option(help: "A further redirect address that is registered; a loopback address's port is free.") var redirect:
            [String] = []

        func run() async throws {
            try await Output.ending {
                var options = FUTSimulator.Options(port: port, ledgerPath: ledger, requestsDirectory: keepRequests)
                if let settings { try SimulatorFile.read(settings, "settings file") { try options.settings.change($0) } }
                if let approve { options.settings.approves = approve }
                options.settings.redirects += redirect
                if let faults { try SimulatorFile.read(faults, "fault script") { options.faults = try FUTFaultPlan($0) } }
                if let world { try SimulatorFile.read(world, "list of citizens") { options.world = try FUTWorld($0) } }
                do {
                    let simulator = try FUTSimulator(options)
                    try await simulator.run { Output.line($0) }
                } catch {
                    throw OperationError(
                        "The simulated FUT cannot run.", why: "\(error)",
                        remedy: "Name another port: --port 0 takes any free one.",
                        exitCode: 73)
                }
            }
        }
    }

    struct NHN: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "nhn", abstract: "Norway's HelseID, Pasientens måledata and VKP on loopback.",
            discussion: """
                Prints its origin; HelseID is at /helseid, PMD at /pmd, VKP at /vkp/epj/r4/ORGANISATION. It fails as it is told: POST a \
                script to /control/faults. GET /control/state counts, POST /control/clients and /control/keys register a client and \
                its keys, POST /control/settings changes how it behaves.
                """)
        @Option(help: "The port; 0 for any free one.") var port = 0
        @Option(help: "A file to which it appends each request, each observation and each document.") var ledger: String?
        @Option(help: "A file with a fault script (JSON).") var faults: String?
        @Option(help: "A file with settings (JSON), such as {\"nonces\": \"everywhere\"}.") var settings: String?

        func run() async throws {
            try await Output.ending {
                var options = NHNSimulator.Options(port: port, ledgerPath: ledger)
                if let settings { try SimulatorFile.read(settings, "settings file") { try options.settings.change($0) } }
                if let faults { try SimulatorFile.read(faults, "fault script") { options.faults = try NHNFaultPlan($0) } }
                do {
                    let simulator = try NHNSimulator(options)
                    try await simulator.run { Output.line($0) }
                } catch {
                    throw OperationError(
                        "The simulated NHN cannot run.", why: "\(error)",
                        remedy: "Name another port: --port 0 takes any free one.", exitCode: 73)
                }
            }
        }
    }
}

/// What a simulated country is told in a file.
enum SimulatorFile {
    static func read(_ path: String, _ what: String, _ use: (JSON) throws -> Void) throws {
        guard let bytes = SmallFile.read(path) else {
            throw OperationError(
                "The \(what) cannot be read.", why: "\(path): \(String(cString: strerror(errno))).",
                remedy: "Check the path.",
                exitCode: 65)
        }
        do {
            try use(try JSON(parsing: bytes))
        } catch {
            throw OperationError(
                "The \(what) is not understood.", why: "\(error)", remedy: "See the help of `vitalgate simulate`.", exitCode: 65)
        }
    }
}
