import ArgumentParser
import Glibc
import HubAPI
import Logging

struct RunCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "run", abstract: "The daemon: takes readings and delivers them until it is stopped (SIGTERM).")

    @Option(name: .long, help: "The configuration file.")
    var config = "/etc/vitalgate/vitalgate.toml"

    @Option(name: .long, help: "How to log: auto, journal, json or text. Default: that of the configuration.")
    var log: String?

    func run() async throws {
        try await Output.ending {
            var loaded = try Configuration.loadOrExplain(config)
            if let log {
                guard let format = Configuration.Log.Format(rawValue: log) else {
                    throw OperationError(
                        "The daemon was not started.", why: "--log \(log) is no format.",
                        remedy: "Use auto, journal, json or text.", exitCode: 64)
                }
                loaded.log.format = format
            }
            LogOutput.start(loaded.log)
            do {
                try await Daemon(loaded).run()
            } catch let error as OperationError {
                throw error
            } catch {
                throw OperationError(
                    "The daemon ended.", why: "\(error)", remedy: "See its log; the service manager starts it again.",
                    exitCode: 70)
            }
        }
    }
}
