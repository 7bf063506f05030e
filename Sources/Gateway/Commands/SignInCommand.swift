import ArgumentParser
import ExactJSON
import Glibc
import HubAPI

struct SignInCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "sign-in", abstract: "Citizens' sign-ins at receivers that take readings from nobody else.",
        subcommands: [List.self, Begin.self, Out.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Who is signed in, and until when.")
        @OptionGroup var control: ControlOptions
        func run() async throws {
            try await control.perform(
                .signIns,
                columns: [
                    ("RECEIVER", "receiver"), ("PATIENT", "patient"), ("STATE", "state"), ("ENDS", "ends"), ("REASON", "reason"),
                ])
        }
    }

    struct Begin: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Sign a citizen in; the citizen needs a browser, here or on any phone.",
            discussion: """
                device-code: shows a code and an address, and waits until the citizen has typed it in. loopback: shows an address \
                for a browser on this machine, and takes the answer on 127.0.0.1. paste: shows an address for a browser anywhere, \
                and reads the address that it was sent to from standard input. Which one holds without --way stands in the \
                configuration. Ends with 75 where the sign-in did not come about: begin again.
                """)
        @Argument(help: "The receiver's configured name.") var receiver: String
        @Option(help: "The patient's opaque id, as in `vitalgate assign`.") var patient: String
        @Option(help: "device-code, loopback or paste.") var way: String?
        @OptionGroup var control: ControlOptions

        func run() async throws {
            try await Output.ending {
                let client = try control.client()
                let begun = try await client.perform(.beginSignIn(receiver: receiver, patient: patient, way: way))
                guard let id = begun["id"]?.integer, let address = begun["address"]?.string else {
                    throw Self.failed("The hub's answer is not understood.")
                }
                if control.json { Output.line(begun.text) }
                let answer: JSON
                switch begun["way"]?.string {
                case "loopback": answer = try await loopback(client, id, address, begun["redirect"]?.string ?? "")
                case "paste": answer = try await paste(client, id, address)
                default:
                    tell("Go to \(address) on any phone or computer and type in: \(begun["userCode"]?.string ?? "")")
                    if let complete = begun["completeAddress"]?.string { tell("Or open: \(complete)") }
                    answer = try await follow(client, id)
                }
                guard answer["state"]?.string == "signed-in" else {
                    throw Self.failed(answer["reason"]?.string ?? "It was not answered in time.")
                }
                Output.line(control.json ? answer.text : "Signed in. What waited for it leaves now.")
            }
        }

        private static func failed(_ why: String) -> OperationError {
            OperationError("The citizen is not signed in.", why: why, remedy: "Begin again.", exitCode: 75)
        }

        private func tell(_ text: String) { if !control.json { Output.line(text) } }

        /// Asks once a second until the citizen has signed in or the time is over; the hub keeps the server's own pace.
        private func follow(_ client: ControlClient, _ id: Int) async throws(OperationError) -> JSON {
            while true {
                let answer = try await client.perform(.signIn(id: id))
                guard answer["state"]?.string == "waiting" else { return answer }
                try? await Task.sleep(for: .seconds(1))
            }
        }

        private func paste(_ client: ControlClient, _ id: Int, _ address: String) async throws(OperationError) -> JSON {
            tell("Open this address in a browser and sign in:\n\(address)\n")
            tell("Then copy the whole address that the browser was sent to (the page itself may not open), and paste it here:")
            guard let returned = readLine() else { throw Self.failed("Nothing was pasted.") }
            return try await client.perform(.answerSignIn(id: id, address: returned, host: nil))
        }

        private func loopback(
            _ client: ControlClient, _ id: Int, _ address: String, _ redirect: String
        ) async throws(OperationError) -> JSON {
            let listener = try LoopbackListener(redirect)
            tell("Open this address in a browser on this machine and sign in:\n\(address)")
            while true {
                let request = try await listener.next(until: 15 * 60)
                let answer = try await client.perform(.answerSignIn(id: id, address: request.target, host: request.host))
                let state = answer["state"]?.string
                listener.reply(
                    state == "signed-in" ? "You are signed in. You can close this page." : "This page did not sign you in.")
                // A stranger's page or the browser's icon: the right one is still to come.
                if state == "signed-in" { return answer }
                let standing = try await client.perform(.signIn(id: id))
                guard standing["state"]?.string == "waiting" else { return standing }
            }
        }
    }

    struct Out: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget a citizen's sign-in: nothing of theirs leaves any more.")
        @Argument(help: "The receiver's configured name.") var receiver: String
        @Option(help: "The patient's opaque id.") var patient: String
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.signOut(receiver: receiver, patient: patient)) }
    }
}

struct PlanCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "plan", abstract: "What a receiver asks of a patient, and when: two days back and a week ahead.")
    @Argument(help: "The receiver's configured name.") var receiver: String
    @Option(help: "The patient's opaque id.") var patient: String
    @OptionGroup var control: ControlOptions
    func run() async throws {
        try await control.perform(
            .plan(receiver: receiver, patient: patient),
            columns: [
                ("FROM", "start"), ("UNTIL", "end"), ("WHAT", "activity"), ("ASKED", "requested"), ("HAS", "submitted"),
            ])
    }
}

struct EquipmentCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "equipment",
        abstract:
            "How a patient's devices here and in a receiver's records differ: there alone, here alone, another serial number.",
        discussion:
            "Of what differs nothing is withheld: a reading of a device that the receiver does not know goes out without it.")
    @Argument(help: "The receiver's configured name.") var receiver: String
    @Option(help: "The patient's opaque id.") var patient: String
    @OptionGroup var control: ControlOptions
    func run() async throws {
        try await control.perform(
            .equipment(receiver: receiver, patient: patient),
            columns: [
                ("DIFFERENCE", "difference"), ("DEVICE", "device"), ("SERIAL", "serialNumber"), ("THERE", "reference"),
            ])
    }
}
