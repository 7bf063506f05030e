import ArgumentParser
import ExactJSON
import Glibc
import HubAPI
import Vitals

struct HelseIDCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "helseid", abstract: "The hub's keys at Norway's HelseID; the private halves never leave the hub.",
        discussion: """
            register makes the first key and prints the public half (JWK) for NHN's self-service. A rotation: rotate makes the next key and \
            prints it, the present one goes on; registered says that somebody registered it, and it is tried from then on; the present \
            one stands by until HelseID has taken the next, and a day longer. abandon calls a rotation off.
            """,
        subcommands: [List.self, Register.self, Rotate.self, Registered.self, Abandon.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "The clients and which keys they have.")
        @OptionGroup var control: ControlOptions
        func run() async throws {
            try await control.perform(
                .helseIDClients,
                columns: [
                    ("RECEIVER", "receiver"), ("CLIENT", "client"), ("KEY", "key"), ("NEXT", "candidate"),
                    ("PREVIOUS", "previous"),
                ])
        }
    }

    /// A receiver whose client is meant.
    struct Client: ParsableArguments {
        @Argument(help: "The receiver's configured name.") var receiver: String
        @OptionGroup var control: ControlOptions

        /// - Parameter printsKey: the public half is what the caller wants.
        func change(_ change: String, printsKey: Bool) async throws {
            try await Output.ending {
                let answer = try await control.client().perform(.changeHelseIDKey(receiver: receiver, change: change))
                if printsKey, !control.json {
                    Output.line((answer["jwk"] ?? .null).text)
                } else if control.json {
                    Output.line(answer.text)
                } else {
                    Output.line("Done. The key in use: \(answer["key"]?.string ?? "none").")
                }
            }
        }
    }

    struct Register: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the client's key, where there is none, and print its public half (JWK).")
        @OptionGroup var client: Client
        func run() async throws { try await client.change("generate", printsKey: true) }
    }

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Make the next key beside the one in use, and print its public half (JWK).")
        @OptionGroup var client: Client
        func run() async throws { try await client.change("rotate", printsKey: true) }
    }

    struct Registered: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Say that the key is registered: the hub tries it at once.")
        @OptionGroup var client: Client
        func run() async throws { try await client.change("registered", printsKey: false) }
    }

    struct Abandon: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Drop the next key; the one in use goes on.")
        @OptionGroup var client: Client
        func run() async throws { try await client.change("abandon", printsKey: false) }
    }
}

struct IdentifyCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "identify", abstract: "Say by which number a receiver knows a patient: typed twice, or scanned twice.",
        discussion: """
            The number is read from standard input, two lines, so that it stands in no history and no list of processes. It is kept \
            sealed and goes nowhere but into the body of a request to that receiver.
            """)
    @Argument(help: "The patient's opaque id, as in `vitalgate assign`.") var patient: String
    @Option(help: "The receiver's configured name.") var receiver: String
    @Flag(help: "Forget the number; readings wait from then on.") var forget = false
    @OptionGroup var control: ControlOptions

    func run() async throws {
        try await Output.ending {
            let what = "The patient's identifier was left as it is."
            var number = ""
            if !forget {
                Output.progress("The number:")
                let first = readLine(), again: String?
                Output.progress("Once more:")
                again = readLine()
                guard let first, let again, !Self.bare(first).isEmpty else {
                    throw OperationError(what, why: "Two lines were expected.", remedy: "Type the number twice.", exitCode: 65)
                }
                guard Self.bare(first) == Self.bare(again) else {
                    throw OperationError(
                        what, why: "The two differ.", remedy: "Type it again, both times as it stands on the card.", exitCode: 65)
                }
                number = Self.bare(first)
            }
            let answer = try await control.client().perform(
                .identify(patient: patient, receiver: receiver, identifier: number))
            guard !control.json else { return Output.line(answer.text) }
            Output.line(forget ? "Forgotten." : "Kept. What waited for it leaves now.")
            for warning in answer["warnings"]?.array ?? [] {
                if let code = warning.string { Output.line("Look again at the number: \(Self.words[code] ?? code).") }
            }
        }
    }

    /// Without the spaces that people write between the parts.
    private static func bare(_ text: String) -> String { text.filter { !$0.isWhitespace } }

    private static let words = [
        "first-check-digit": "its first check digit is wrong", "second-check-digit": "its second check digit is wrong",
        "date": "it begins with no date", "synthetic": "it is a synthetic person's, never in production",
    ]
}

struct HubsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "hubs", abstract: "Of a relay: the hubs, and when each was heard last.")
    @OptionGroup var control: ControlOptions
    func run() async throws {
        try await control.perform(
            .hubs, columns: [("HUB", "hub"), ("STATE", "state"), ("HEARD", "heard"), ("RECIPIENTS", "recipients")])
    }
}
