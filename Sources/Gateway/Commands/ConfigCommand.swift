import ArgumentParser
import Catalogue
import ExactJSON

struct ConfigCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "config", abstract: "The configuration file.", subcommands: [Check.self], defaultSubcommand: Check.self)

    struct Check: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Find everything that is wrong with the configuration, by line and key.",
            discussion: "Ends with 78 where the daemon could not start with it, and with 0 where it could, warnings or not.")

        @Option(help: "The file.") var config = "/etc/vitalgate/vitalgate.toml"
        @Flag(help: "One JSON object.") var json = false

        func run() async throws {
            let reading = Configuration.read(fileAt: config)
            if json {
                Output.line(reading.json.text)
            } else {
                for problem in reading.problems { Output.line(problem.description) }
                if let configuration = reading.configuration {
                    for line in configuration.summary { Output.line(line) }
                }
                let (errors, warnings) = (reading.errors.count, reading.problems.count - reading.errors.count)
                Output.line(errors == 0 ? "ok, \(warnings) warnings" : "\(errors) errors, \(warnings) warnings")
            }
            // EX_CONFIG of sysexits.h.
            if !reading.errors.isEmpty { throw ExitCode(78) }
        }
    }
}
