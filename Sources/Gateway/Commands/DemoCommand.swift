import ArgumentParser
import HubAPI

struct DemoCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "demo", abstract: "The whole way of a reading on simulated devices: no hardware, no root, no network.",
        discussion: """
            Starts the daemon, cuffs, oximeters and a FHIR receiver as processes of their own, switches the receiver off, kills the \
            daemon in the middle of a transfer, starts it again, and counts: nothing lost, nothing doubled. With --country dk: two \
            spouses sign in at a simulated FUT, which takes what their plans ask for. With --country no: the hub makes and rotates its \
            key at a simulated HelseID, and delivers to simulated PMD and VKP.
            """)

    @Flag(help: "End by itself when every scripted reading has its final state; exit 0 only if all are as scripted.") var once =
        false
    @Flag(help: "Print the summary as one JSON object and nothing else.") var json = false
    @Option(help: "A country's receivers: dk or no. Without it, a plain FHIR server.") var country: String?
    @Option(help: "Where to keep the state; a new directory under /tmp if left out.") var state: String?
    @Option(help: "The base of a FHIR R4 server of yours on loopback, in place of the built-in one.") var receiver: String?

    func run() async throws {
        try await Output.ending {
            ChildProcess.endWithUs()
            let options = Demo.Options(once: once || json, json: json, state: state, receiver: receiver)
            let isAsScripted: Bool
            switch country {
            case nil: isAsScripted = try await Demo(options).run()
            case "dk": isAsScripted = try await DenmarkDemo(options).run()
            case "no": isAsScripted = try await NorwayDemo(options).run()
            case let country?:
                throw OperationError(
                    "There is no demo for \"\(country)\" in this release.",
                    why: "It speaks to plain FHIR R4 servers, to FUT, PMD and VKP.",
                    remedy: "Use --country dk or --country no, or leave it out.", exitCode: 64)
            }
            guard isAsScripted else { throw ExitCode(1) }
        }
    }
}
