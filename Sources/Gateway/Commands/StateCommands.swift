import ArgumentParser
import ExactJSON
import HubAPI
import Vitals

// Commands that ask the running daemon: each builds one operation and prints the answer.

struct StatusCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status", abstract: "Is it well, what waits, which conditions stand.")
    @OptionGroup var control: ControlOptions
    func run() async throws { try await control.perform(.status) }
}

struct DevicesCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "devices", abstract: "The devices that the hub knows.",
        subcommands: [List.self, Show.self, Add.self, Verify.self, Forget.self], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "All devices, a line each.")
        @OptionGroup var control: ControlOptions
        func run() async throws {
            try await control.perform(
                .devices,
                columns: [
                    ("NAME", "name"), ("MODEL", "model"), ("STATE", "state"), ("BATTERY", "batteryPercent"),
                    ("LAST SEEN", "lastSeen"),
                    ("PATIENTS", "patients"),
                ])
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "All that is known of one device.",
            discussion: """
                With --log: what happened with it, the newest last, a line each: when, how long after the link's beginning by the \
                hub's monotonic clock, what, and codes or reasons.
                """)
        @Argument(help: "The device's name.") var device: String
        @Flag(help: "What happened with it, in place of what is known of it.") var log = false
        @Option(help: "With --log: at most so many entries.") var limit = 200
        @OptionGroup var control: ControlOptions

        func run() async throws {
            guard log else {
                try await control.perform(.device(name: device))
                return
            }
            try await Output.ending {
                let entries = try await control.client().perform(.deviceLog(name: device, limit: limit)).array ?? []
                for entry in entries { Output.line(control.json ? entry.text : Self.line(entry)) }
                if entries.isEmpty, !control.json { Output.line("none") }
            }
        }

        /// `2026-01-31T08:00:00.250Z     +0.250 s  subscribed    2a35`.
        private static func line(_ entry: JSON) -> String {
            func padded(_ text: String, _ width: Int, left: Bool = false) -> String {
                let space = String(repeating: " ", count: max(0, width - text.count))
                return left ? space + text : text + space
            }
            // Widths: a time with milliseconds; ten minutes to the millisecond; the longest kind.
            return [
                padded(entry["at"]?.string ?? "-", 24),
                padded(entry["linkMilliseconds"]?.integer.map { "+\(seconds($0)) s" } ?? "-", 10, left: true),
                padded(entry["kind"]?.string ?? "-", 12), entry["detail"]?.string ?? "",
            ].joined(separator: "  ").trimmingTrailingSpaces()
        }

        private static func seconds(_ milliseconds: Int) -> String {
            let fraction = String(1_000 + milliseconds % 1_000).dropFirst()
            return "\(milliseconds / 1_000).\(fraction)"
        }
    }

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Add a device that is reached without pairing, on a socket.",
            discussion: "Such as a simulated one (`vitalgate simulate`). A Bluetooth device is paired instead: `vitalgate pair`.")
        @Argument(help: "A name for it, such as `cuff`.") var device: String
        @Option(help: "Its entry of the catalogue, such as `and-ua-651ble`.") var model: String
        @Option(help: "Where it is reached, such as `socket:/run/cuff.sock`.") var bearer: String
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.addDevice(name: device, model: model, bearer: bearer)) }
    }

    struct Forget: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Forget a device and the key of its pairing. Its readings stay.",
            discussion: "To use it again, pair it again; its name is free.")
        @Argument(help: "The device's name.") var device: String
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.forgetDevice(name: device)) }
    }
}

struct AssignCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "assign", abstract: "Say who uses a device and who may be told.",
        discussion: "Readings that were held because nobody was assigned are bound where the period covers their time.")
    @Argument(help: "The device's name.") var device: String
    @Option(help: "The patient's opaque id at the receivers, such as `hub-7f3a`. Never a national id.") var patient: String
    @Option(help: "The user's slot on a device for several.") var user: Int?
    @Option(help: "A receiver by its configured name; repeat for several. All of them if left out.") var recipient: [String] = []
    @Option(help: "From when, with zone: 2026-01-31T08:00:00+01:00. Now if left out.") var from: String?
    @Option(help: "Until when; open if left out.") var until: String?
    @OptionGroup var control: ControlOptions

    func run() async throws {
        let assign = Operation.Assign(
            device: device, patient: patient, user: user, recipients: recipient, from: try moment(from, "--from"),
            until: try moment(until, "--until"))
        try await control.perform(.assign(assign))
    }
}

/// A time with zone from the command line.
func moment(_ text: String?, _ option: String) throws -> Instant? {
    guard let text else { return nil }
    guard let instant = Instant(iso8601: text) else {
        throw ValidationError("\(option) \(text) is no time with zone: write it as 2026-01-31T08:00:00+01:00")
    }
    return instant
}

struct ReturnCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "return", abstract: "Take a device back from its patient.",
        discussion:
            "Refused while readings of it are not delivered, unless they are abandoned with a reason (they stay on the hub).")
    @Argument(help: "The device's name.") var device: String
    @Option(help: "Return it although readings wait, and why.") var abandon: String?
    @OptionGroup var control: ControlOptions
    func run() async throws { try await control.perform(.returnDevice(name: device, abandon: abandon)) }
}

struct ReadingsCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "readings", abstract: "The readings on the hub, and a person's decisions about them.",
        subcommands: [
            List.self, Show.self, Assign.self, Reject.self, Retract.self, Rebind.self, Suppressed.self, Release.self,
        ], defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Readings, the newest first.")
        @Option(help: "At most so many.") var limit = 100
        @Option(help: "Only those that are ready, held, invalid, test, guest, rejected or retracted.") var state: String?
        @OptionGroup var control: ControlOptions
        func run() async throws {
            try await control.perform(
                .readings(limit: limit, state: state),
                columns: [
                    ("ID", "id"), ("KIND", "kind"), ("EFFECTIVE", "effective"), ("DEVICE", "device"), ("STATE", "state"),
                    ("REASON", "reason"), ("DELIVERY", "delivery"),
                ])
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "The whole story of one reading: raw bytes, clocks, decoding, decisions, every attempt.")
        @Argument(help: "The reading's id, or its first characters.") var id: String
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.reading(id: id)) }
    }

    struct Assign: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Say whose a held reading is, and if need be when it was taken.")
        @Argument(help: "The reading's id.") var id: String
        @Option(help: "The patient's opaque id.") var patient: String
        @Option(help: "A receiver by name; repeat for several. All of them if left out.") var recipient: [String] = []
        @Option(help: "When it was taken, with zone: 2026-01-31T08:00:00+01:00.") var at: String?
        @Option(help: "Why; kept in the audit log.") var reason: String?
        @OptionGroup var control: ControlOptions
        func run() async throws {
            try await control.perform(
                .assignReading(
                    id: id, patient: patient, recipients: recipient, at: try moment(at, "--at"), reason: reason))
        }
    }

    struct Reject: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Decide that a reading is nobody's: kept, never sent.")
        @Argument(help: "The reading's id.") var id: String
        @Option(help: "Why; kept in the audit log.") var reason = "none given"
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.rejectReading(id: id, reason: reason)) }
    }

    struct Retract: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take a delivered reading back at every receiver that has it.")
        @Argument(help: "The reading's id.") var id: String
        @Option(help: "Why; kept in the audit log.") var reason = "none given"
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.retractReading(id: id, reason: reason)) }
    }

    struct Rebind: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Give a reading to another patient: retracted where it was delivered, sent anew for the right one.")
        @Argument(help: "The reading's id.") var id: String
        @Option(help: "The right patient's opaque id.") var patient: String
        @Option(help: "Why; kept in the audit log.") var reason = "none given"
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.rebindReading(id: id, patient: patient, reason: reason)) }
    }

    struct Suppressed: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Repeats that were not made readings.")
        @Option(help: "At most so many.") var limit = 100
        @OptionGroup var control: ControlOptions
        func run() async throws {
            try await control.perform(
                .suppressed(limit: limit),
                columns: [
                    ("NUMBER", "number"), ("DEVICE", "device"), ("READING", "reading"), ("TIMES", "count"), ("LAST", "last"),
                ])
        }
    }

    struct Release: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Make a suppressed repeat a reading of its own after all.")
        @Argument(help: "Its number in `readings suppressed`.") var number: Int
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.releaseSuppressed(id: number)) }
    }
}

struct OutboxCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "outbox", abstract: "What is owed to the receivers.",
        subcommands: [List.self, Show.self, Retry.self, Quarantine.self, Notices.self, Notice.self],
        defaultSubcommand: List.self)

    struct List: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "What waits, was delivered, is uncertain or quarantined.")
        @Option(help: "Only this receiver.") var destination: String?
        @Option(help: "Only those waiting, sending, delivered, uncertain, quarantined, held or withdrawn.") var state: String?
        @Option(help: "At most so many.") var limit = 100
        @OptionGroup var control: ControlOptions
        func run() async throws {
            try await control.perform(
                .outbox(receiver: destination, state: state, limit: limit),
                columns: [
                    ("ITEM", "item"), ("READING", "reading"), ("RECEIVER", "receiver"), ("KIND", "kind"), ("STATE", "state"),
                    ("REASON", "reason"), ("EFFECTIVE", "effective"),
                ])
        }
    }

    struct Show: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "One item with every attempt and the receiver's answers.")
        @Argument(help: "The item's number.") var item: Int
        @Option(help: "Only if it is this receiver's.") var destination: String?
        @OptionGroup var control: ControlOptions
        func run() async throws {
            try await control.require(item, of: destination)
            try await control.perform(.outboxItem(id: item))
        }
    }

    struct Retry: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Send quarantined items again and open held channels.",
            discussion: "Without an item: all of the destination, or of every one.")
        @Argument(help: "The item's number.") var item: Int?
        @Option(help: "Only this receiver.") var destination: String?
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.retry(item: item, receiver: destination)) }
    }

    struct Notices: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "What VKP was told, or is to be told, of times in which nothing was measured.")
        @Option(help: "At most so many.") var limit = 100
        @OptionGroup var control: ControlOptions
        func run() async throws {
            try await control.perform(
                .notices(limit: limit),
                columns: [
                    ("NOTICE", "notice"), ("PATIENT", "patient"), ("FROM", "from"), ("UNTIL", "until"), ("STATE", "state"),
                    ("REASON", "reason"),
                ])
        }
    }

    struct Notice: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Decide about a notice that is uncertain or quarantined.",
            discussion: "told: it stands in the journal there. again: it does not, and is told once more. drop: it is not told.")
        @Argument(help: "The notice's number.") var notice: Int
        @Argument(help: "told, again or drop.") var decision: String
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.decideNotice(id: notice, decision: decision)) }
    }

    struct Quarantine: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Set an item aside: kept, not sent until retried.")
        @Argument(help: "The item's number.") var item: Int
        @Option(help: "Why; kept in the audit log.") var reason = "set aside by a person"
        @Option(help: "Only if it is this receiver's.") var destination: String?
        @OptionGroup var control: ControlOptions
        func run() async throws {
            try await control.require(item, of: destination)
            try await control.perform(.quarantine(item: item, reason: reason))
        }
    }
}

struct RefusalCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "refusal", abstract: "A patient's refusal that a receiver is told; acts at once.",
        subcommands: [Add.self, Remove.self])

    struct Add: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Record a refusal.")
        @Option(help: "The patient's opaque id.") var patient: String
        @Option(help: "The receiver's name.") var recipient: String
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.refuse(patient: patient, receiver: recipient)) }
    }

    struct Remove: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Take a refusal back.")
        @Option(help: "The patient's opaque id.") var patient: String
        @Option(help: "The receiver's name.") var recipient: String
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.unrefuse(patient: patient, receiver: recipient)) }
    }
}

struct KeysCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "keys", abstract: "The keys that seal the data at rest.", subcommands: [Rotate.self, Wipe.self])

    struct Rotate: AsyncParsableCommand {
        static let configuration = CommandConfiguration(abstract: "Begin a new data key; what is sealed stays readable.")
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.rotateKeys) }
    }

    struct Wipe: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Destroy the keys: nothing on this hub can be read ever again.")
        @Option(help: "Say `destroy-all-readings` to mean it.") var confirm: String
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.wipeKeys(confirm: confirm)) }
    }
}

struct ClockCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "clock", abstract: "The hub's clock.", subcommands: [Declare.self])

    struct Declare: AsyncParsableCommand {
        static let configuration = CommandConfiguration(
            abstract: "Declare the hub's clock good where no time server can be reached; audited.")
        @OptionGroup var control: ControlOptions
        func run() async throws { try await control.perform(.declareClock) }
    }
}

struct AuditCommand: AsyncParsableCommand {
    static let configuration = CommandConfiguration(commandName: "audit", abstract: "Who did what, newest first.")
    @Option(help: "At most so many.") var limit = 100
    @OptionGroup var control: ControlOptions
    func run() async throws {
        try await control.perform(
            .audit(limit: limit), columns: [("AT", "at"), ("ACTOR", "actor"), ("ACTION", "action"), ("SUBJECT", "subject")])
    }
}
