public import ArgumentParser

/// The one executable's root: `vitalgate SUBCOMMAND`.
public struct Vitalgate: AsyncParsableCommand {
    public static let configuration = CommandConfiguration(
        commandName: "vitalgate",
        abstract: "The personal health gateway: takes readings from home monitors and delivers each of them once.",
        discussion: """
            Exit codes follow sysexits: 0 done, 1 not all of it could be done, 64 usage, 65 bad input, 69 a service is not \
            reachable, 70 our fault, 73/74 cannot write, 75 try again later, 77 not permitted, 78 configuration.
            """,
        groupedSubcommands: [
            CommandGroup(name: "Daemon and demo:", subcommands: [RunCommand.self, DemoCommand.self, SimulateCommand.self]),
            CommandGroup(
                name: "Diagnosis:",
                subcommands: [
                    StatusCommand.self, DoctorCommand.self, AdapterCommand.self, DecodeCommand.self, ConvertCommand.self,
                    ConfigCommand.self,
                ]),
            CommandGroup(
                name: "Equipment and delivery:",
                subcommands: [
                    ScanCommand.self, PairCommand.self, DevicesCommand.self, AssignCommand.self, ReturnCommand.self,
                    ReadingsCommand.self, OutboxCommand.self, SignInCommand.self, PlanCommand.self, EquipmentCommand.self,
                    HelseIDCommand.self, IdentifyCommand.self, HubsCommand.self, RefusalCommand.self, KeysCommand.self,
                    ClockCommand.self,
                    AuditCommand.self, BenchCommand.self,
                ]),
        ])

    public init() {}
}
