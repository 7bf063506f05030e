import ArgumentParser
import ExactJSON
import Glibc
import HubAPI
import Vitals

extension AdapterCommand {
    struct Capture: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            commandName: "capture", abstract: "Record what goes over the radio, for a technician.",
            discussion: """
                Every packet between the machine's Bluetooth adapters and the hub: readings too, so it is health data. It is sealed \
                on disk, told as a condition while there is anything of it, ends by itself, and is deleted 24 hours after its end. \
                Keys of pairings are not in it. The daemon needs CAP_NET_RAW for it, which the drop-in vitalgate-capture.conf gives \
                its unit; where that is not installed, `start` says how.
                """,
            subcommands: [Start.self, Stop.self, Status.self, Export.self, Delete.self])
    }
}

extension AdapterCommand.Capture {
    struct Start: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Begin to record; it ends by itself.",
            discussion: "Who began it and why stands in the audit log. It ends early where 16 MB are recorded or the disk fills.")
        @Option(help: "After how many minutes it ends, 1 to 60.") var minutes = 10
        @Option(help: "Why, for the audit log; no name of a patient.") var reason: String
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.startCapture(minutes: minutes, reason: reason)) }
    }

    struct Stop: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "End the recording now and keep what there is.")
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.stopCapture) }
    }

    struct Status: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Whether one runs or is kept, since when, why, how large, and when it ends or goes.")
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.capture) }
    }

    struct Delete: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Delete what is kept, before its 24 hours are over.")
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.deleteCapture) }
    }

    struct Export: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Write what is kept to a file that Wireshark and btmon read (btsnoop).",
            discussion: """
                The file is not sealed: who can read it can read health data. It is made with mode 0600, must not be there yet, and is \
                yours to delete. The export stands in the audit log.
                """)
        @Argument(help: "The file to make.") var file: String
        @OptionGroup var control: ControlOptions

        func run() async throws {
            try await Output.ending {
                let client = try control.client()
                // Nothing is asked for, and audited, that cannot be written.
                guard access(file, F_OK) != 0 else { throw failure(EEXIST) }
                // Asked before the file is made: where there is no capture, there is to be no file.
                var piece = try await client.perform(.readCapture(from: 0))
                let descriptor = open(file, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
                guard descriptor >= 0 else { throw failure(errno) }
                defer { close(descriptor) }
                do {
                    var written = 0
                    while true {
                        guard let bytes = piece["hex"]?.string.flatMap({ [UInt8](hex: $0) }) else { throw misunderstood }
                        try write(bytes, to: descriptor)
                        written += bytes.count
                        guard let next = piece["next"]?.integer else { break }
                        if let all = piece["bytes"]?.integer, all > 0 { Output.progress("\(min(100, written * 100 / all)) %") }
                        piece = try await client.perform(.readCapture(from: next))
                    }
                    guard fsync(descriptor) == 0 else { throw failure(errno) }
                    let answer: JSON = ["file": .string(file), "bytes": .integer(written)]
                    if control.json { Output.line(answer.text) } else { Output.story(answer) }
                } catch {
                    // Half a file is none.
                    unlink(file)
                    throw error
                }
            }
        }

        private func write(_ bytes: [UInt8], to descriptor: Int32) throws(OperationError) {
            var rest = bytes[...]
            while !rest.isEmpty {
                let count = rest.withUnsafeBytes { Glibc.write(descriptor, $0.baseAddress, $0.count) }
                if count < 0, errno == EINTR { continue }
                guard count > 0 else { throw failure(errno) }
                rest = rest.dropFirst(count)
            }
        }

        private func failure(_ code: Int32) -> OperationError {
            OperationError(
                "The capture was not written to \(file).", why: "\(String(cString: strerror(code))).",
                remedy: code == EEXIST
                    ? "Name a file that is not there yet." : "Name a file where you may write and there is room.",
                exitCode: 73)
        }

        private var misunderstood: OperationError {
            OperationError(
                "The hub's answer was not understood.", why: "The command and the daemon may be of different releases.",
                remedy: "Restart the daemon after an update: systemctl restart vitalgate.", exitCode: 70)
        }
    }
}
