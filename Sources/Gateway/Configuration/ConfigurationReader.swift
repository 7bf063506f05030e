public import Catalogue
import ExactJSON
import Vitals

extension Configuration {
    /// What a reading of the file gave.
    public struct Reading: Sendable {
        /// `nil` where there are errors.
        public var configuration: Configuration?
        /// Errors and warnings, by their line.
        public var problems: [Problem]

        public var errors: [Problem] { Problems(problems).errors }
    }

    /// Reads a configuration and finds everything that is wrong with it.
    ///
    /// - Parameters:
    ///   - text: TOML 1.0 in UTF-8, described by `config/vitalgate.schema.json`.
    ///   - file: how problems name it.
    ///   - files: what is known of the files that it names; `nil` looks at none.
    ///   - catalogue: the models by which `[[device]]` may call one; `nil`: the compiled-in ones with those of `hub.devices_directory`.
    public static func read(
        _ text: some Collection<UInt8>, file: String, files: (any FileInspector)? = nil, catalogue: DeviceCatalogue? = nil
    ) -> Reading {
        let sheet = Sheet(text, file: file)
        guard sheet.isReadable else { return Reading(configuration: nil, problems: sheet.problems) }
        var reader = ConfigurationReader(files: files, catalogue: catalogue)
        let configuration = reader.read(sheet.root)
        let problems = (sheet.problems + reader.catalogueProblems).sorted { ($0.place ?? .start) < ($1.place ?? .start) }
        let isGood = !problems.contains { $0.severity == .error }
        return Reading(configuration: isGood ? configuration : nil, problems: problems)
    }

    /// Reads a file; one that cannot be read is a problem of its own.
    public static func read(fileAt path: String, files: (any FileInspector)? = MachineFiles()) -> Reading {
        guard let text = TextFile.bytes(of: path) else {
            return Reading(
                configuration: nil,
                problems: [
                    Problem(
                        file: path, place: nil, key: nil, why: "the file cannot be read: \(SystemError.current)",
                        remedy: "Copy config/vitalgate.example.toml there, or name another file with --config.")
                ])
        }
        return read(text, file: path, files: files)
    }

    /// Reads a file for use.
    ///
    /// - Throws: all of its problems, where one of them is an error.
    public static func load(_ path: String) throws(Problems) -> Configuration {
        let reading = read(fileAt: path)
        guard let configuration = reading.configuration else { throw Problems(reading.problems) }
        return configuration
    }

    /// Every key that the file may have, as `receiver[].base`.
    public static var allKeys: Set<String> {
        let sheet = Sheet([], file: "")
        var reader = ConfigurationReader(files: nil, catalogue: DeviceCatalogue([]))
        _ = reader.read(sheet.root)
        return sheet.keys
    }
}

/// From tables to values. One function for each table of the file; the receivers' stand in an extension.
struct ConfigurationReader {
    let files: (any FileInspector)?
    var catalogue: DeviceCatalogue?
    var catalogueProblems: [Problem] = []
    /// The file is a relay's: keys of an organisation may live there.
    var isRelay = false

    mutating func read(_ root: Section) -> Configuration {
        var configuration = Configuration()
        configuration.hub = hub(root.section("hub"))
        configuration.keys = keys(root.section("keys"))
        configuration.storage = storage(root.section("storage"))
        configuration.clock = clock(root.section("clock"))
        configuration.programme = programme(root.section("programme"))
        configuration.bluetooth = bluetooth(root.section("bluetooth"))
        isRelay = root.has("relay")
        configuration.receivers = root.sections("receiver") { receiver($0) }
        configuration.relay = relay(root.section("relay"), receivers: configuration.receivers.map(\.name))
        if isRelay {
            if root.section("bluetooth").has("enabled"), configuration.bluetooth.isEnabled {
                root.section("bluetooth").reject(
                    "enabled", why: "a relay has no radio", remedy: "Take it out: [relay] switches the radio off.")
            }
            configuration.bluetooth.isEnabled = false
        }
        let catalogue = loadedCatalogue(configuration.hub)
        configuration.devices = root.sections("device") { device($0, catalogue: catalogue) }
        configuration.log = log(root.section("log"))
        configuration.test = test(root.section("test"))
        root.finish()
        unique(root, "receiver", configuration.receivers.map(\.name))
        unique(root, "device", configuration.devices.map(\.name))
        return configuration
    }

    // MARK: Hub, keys, storage

    private func hub(_ section: Section) -> Configuration.Hub {
        var hub = Configuration.Hub()
        if let path = path(section, "state_directory") {
            hub.stateDirectory = path
            directory(section, "state_directory", path, isWritten: true)
        }
        if let path = path(section, "control_socket") {
            hub.controlSocket = path
            // sun_path holds 108 bytes with the terminating zero (unix(7)).
            if path.utf8.count > 107 {
                section.reject(
                    "control_socket", why: "a Unix socket's path has at most 107 bytes", remedy: "Choose a shorter path.")
            }
        }
        if let text = section.string("system_id", expected: "an EUI-64 such as \"02-00-5e-ff-fe-00-53-01\"") {
            if let bytes = [UInt8](hex: text.filter { $0 != "-" && $0 != ":" }), bytes.count == 8 {
                hub.systemID = bytes
            } else {
                section.reject(
                    "system_id", why: "no EUI-64", remedy: "Write eight bytes as hex digits, such as \"02-00-5e-ff-fe-00-53-01\"."
                )
            }
        }
        if let path = path(section, "devices_directory") {
            hub.devicesDirectory = path
        }
        section.finish()
        return hub
    }

    private func keys(_ section: Section) -> Configuration.Keys {
        let credential = section.string("credential", expected: "the name of a systemd credential")
        let file = path(section, "file")
        section.finish()
        if let credential, credential.contains("/") || credential.hasPrefix(".") {
            section.reject(
                "credential", why: "it is a name and no path",
                remedy: "Write the name that LoadCredentialEncrypted= gives it, such as \"vitalgate-key\".")
        }
        guard let file else { return .credential(credential ?? "vitalgate-key") }
        if credential != nil {
            section.reject(
                "file", why: "keys.credential is given too, and only one can be the key", remedy: "Remove one of the two.")
        } else {
            section.warn(
                "file", why: "a key that lies on the same disk does not protect a stolen hub",
                remedy: "Use keys.credential with LoadCredentialEncrypted= in the unit (see README, Keys).")
        }
        secret(section, "file", file)
        return .file(file)
    }

    private func storage(_ section: Section) -> Configuration.Storage {
        let standard = Configuration.Storage()
        let storage = Configuration.Storage(
            ballastMegabytes: section.integer("ballast_megabytes", in: 1...1_024, unit: "(MB)") ?? standard.ballastMegabytes,
            lowMegabytes: section.integer("low_megabytes", in: 8...1_000_000, unit: "(MB)") ?? standard.lowMegabytes,
            fullMegabytes: section.integer("full_megabytes", in: 4...1_000_000, unit: "(MB)") ?? standard.fullMegabytes,
            retentionDeliveredDays: section.integer("retention_delivered_days", in: 1...36_500, unit: "(days)")
                ?? standard.retentionDeliveredDays,
            maximumPages: section.integer("max_pages", in: 16...1 << 30, unit: "(pages of 4096 bytes)"))
        if storage.fullMegabytes >= storage.lowMegabytes {
            section.reject(
                section.has("full_megabytes") ? "full_megabytes" : "low_megabytes",
                why:
                    "full (\(storage.fullMegabytes) MB) is not below low (\(storage.lowMegabytes) MB), so nobody would be warned in time",
                remedy: "Choose full_megabytes below low_megabytes.")
        }
        section.finish()
        return storage
    }

    // MARK: Clock, programme, log

    private func clock(_ section: Section) -> Configuration.Clock {
        let standard = Configuration.Clock()
        let clock = Configuration.Clock(
            isDeclared: section.boolean("declared") ?? standard.isDeclared,
            usesHTTPSDates: section.boolean("https_dates") ?? standard.usesHTTPSDates,
            unsynchronisedMinutes: section.integer("unsynchronised_minutes", in: 1...1_440, unit: "(minutes)")
                ?? standard.unsynchronisedMinutes,
            script: path(section, "script"))
        if clock.isDeclared {
            section.warn(
                "declared", why: "every reading is then dated by a clock that nothing vouches for",
                remedy: "Keep it only where the hub has a clock of its own that somebody looks after.")
        }
        if clock.script != nil {
            section.warn(
                "script", why: "the clock follows a file: for tests and the demo only",
                remedy: "Remove it on a hub that serves patients.")
        }
        section.finish()
        return clock
    }

    private func programme(_ section: Section) -> Configuration.Programme {
        var programme = Configuration.Programme()
        let own = section.sections("bound") { Model.Range(reading: $0) }
        // A bound of the programme stands in place of the standard one of its quantity.
        programme.bounds = programme.bounds.filter { standard in !own.contains { $0.name == standard.name } } + own
        if Set(own.map(\.name)).count != own.count {
            section.reject("bound", why: "a quantity has two bounds", remedy: "Give each quantity one [[programme.bound]].")
        }
        programme.absentConsent = section.word("absent_consent") ?? programme.absentConsent
        // DESIGN R4: at most 30 minutes from pairing to proof, guest mode at most 15.
        programme.verificationMinutes =
            section.integer("verification_minutes", in: 1...30, unit: "(minutes)") ?? programme.verificationMinutes
        programme.guestMinutes = section.integer("guest_minutes", in: 1...15, unit: "(minutes)") ?? programme.guestMinutes
        section.finish()
        return programme
    }

    private func bluetooth(_ section: Section) -> Configuration.Bluetooth {
        let standard = Configuration.Bluetooth()
        let isEnabled = section.boolean("enabled") ?? standard.isEnabled
        let adapters =
            section.list("adapters", expected: "Bluetooth addresses such as \"00:00:5E:00:53:01\"") { value -> String? in
                if case .string(let text) = value { Self.address(text) } else { nil }
            } ?? standard.adapters
        if Set(adapters).count != adapters.count {
            section.reject("adapters", why: "an address stands there twice", remedy: "Write each once.")
        }
        if !isEnabled, !adapters.isEmpty {
            section.warn(
                "adapters", why: "Bluetooth is switched off, so none of them is used",
                remedy: "Remove enabled = false, or the list.")
        }
        section.finish()
        return Configuration.Bluetooth(isEnabled: isEnabled, adapters: adapters)
    }

    private func log(_ section: Section) -> Configuration.Log {
        let standard = Configuration.Log()
        let log = Configuration.Log(
            level: section.word("level") ?? standard.level, format: section.word("format") ?? standard.format)
        section.finish()
        return log
    }

    private func test(_ section: Section) -> Configuration.Test {
        let test = Configuration.Test(allowsFaults: section.boolean("faults") ?? false)
        if test.allowsFaults {
            section.warn(
                "faults", why: "it breaks what the hub promises, for tests only",
                remedy: "Remove [test] on a hub that serves patients.")
        }
        section.finish()
        return test
    }

    // MARK: Relay

    private func relay(_ section: Section, receivers: [String]) -> Configuration.Relay? {
        let socket = path(section, "socket")
        let hubs = section.sections("hub") { hub -> Configuration.Relay.Hub? in
            let name = self.name(hub)
            let recipients = hub.strings("recipients", expected: "names of receivers") ?? []
            let silent = hub.integer("silent_minutes", in: 1...10_080, unit: "(minutes)") ?? 30
            hub.finish()
            if let unknown = recipients.first(where: { !receivers.contains($0) }) {
                hub.reject(
                    "recipients", why: "there is no receiver \"\(unknown)\"",
                    remedy: "Name one of: \(receivers.joined(separator: ", ")).")
            }
            guard let name else { return nil }
            return .init(name: name, recipients: recipients.isEmpty ? receivers : recipients, silentMinutes: silent)
        }
        section.finish()
        guard isRelay else { return nil }
        unique(section, "hub", hubs.map(\.name))
        return .init(socket: socket ?? "/run/vitalgate/relay.sock", hubs: hubs)
    }

    // MARK: Devices

    private mutating func loadedCatalogue(_ hub: Configuration.Hub) -> DeviceCatalogue {
        if let catalogue { return catalogue }
        do throws(Problems) {
            return try DeviceCatalogue.load(directory: hub.devicesDirectory)
        } catch {
            catalogueProblems += error.all
            return DeviceCatalogue([])
        }
    }

    private func device(_ section: Section, catalogue: DeviceCatalogue) -> Configuration.Device? {
        let name = name(section)
        let id = section.string("model", required: true, expected: "a catalogue entry such as \"generic-blood-pressure\"")
        let bearer = bearer(section)
        section.finish()
        guard let name, let id, let bearer else { return nil }
        guard let model = catalogue[id] else {
            // Without a catalogue its own problems are told, and not that nothing is in it.
            if catalogueProblems.isEmpty {
                section.reject(
                    "model", why: "no such entry", remedy: "Write one of \(catalogue.models.map(\.id).joined(separator: ", ")).")
            }
            return nil
        }
        return Configuration.Device(name: name, model: model, bearer: bearer)
    }

    private func bearer(_ section: Section) -> Configuration.Device.Bearer? {
        let bearer = section.string("bearer", expected: "\"socket:/path\"")
        let example = "\"00:00:5E:00:53:01/public\""
        let address = section.string("address", expected: "a Bluetooth address such as \(example)")
        switch (bearer, address) {
        case (nil, nil):
            section.reject(
                "address", why: "it is missing",
                remedy: "Add address = \(example), or bearer = \"socket:/path\" for a simulated device.")
            return nil
        case (_?, _?):
            section.reject("bearer", why: "address is given too", remedy: "Remove one of the two.")
            return nil
        case (let bearer?, nil):
            guard bearer.hasPrefix("socket:/"), bearer.utf8.count <= 107 + 7 else {
                section.reject(
                    "bearer", why: "no socket with an absolute path of at most 107 bytes", remedy: "Write \"socket:/path\".")
                return nil
            }
            return .socket(path: String(bearer.dropFirst(7)))
        case (nil, let address?):
            // The same six bytes are two devices in two kinds, so the kind is never guessed.
            guard let address = DeviceAddress(address) else {
                section.reject(
                    "address", why: "no Bluetooth address with its kind",
                    remedy: "Write it as `vitalgate scan` shows it: six bytes as hex digits, then /public, /random or "
                        + "/classic, such as \(example).")
                return nil
            }
            guard address.isIdentity else {
                section.reject(
                    "address", why: "it is a private address, which the device changes",
                    remedy: "Take the device out here, and pair it with `vitalgate pair`: the hub then learns its identity.")
                return nil
            }
            return .address(address)
        }
    }

    /// A Bluetooth address in capitals; `nil` where the text is none.
    private static func address(_ text: String) -> String? {
        let fields = text.split(separator: ":", omittingEmptySubsequences: false)
        guard fields.map(\.utf8.count) == [2, 2, 2, 2, 2, 2],
            fields.allSatisfy({ $0.allSatisfy { $0.isASCII && $0.isHexDigit } })
        else { return nil }
        return text.uppercased()
    }

    // MARK: What the tables share

    /// A name that stands in commands, logs and file names: lower-case letters, digits and dashes.
    func name(_ section: Section) -> String? {
        guard let name = section.string("name", required: true, expected: "a name such as \"regional-fhir\"") else { return nil }
        let isGood =
            name.utf8.count <= 40 && name.first != "-"
            && name.utf8.allSatisfy {
                $0.isDigit || $0 == UInt8(ascii: "-") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
            }
        guard isGood else {
            section.reject(
                "name", why: "it stands in commands and logs", remedy: "Write at most 40 lower-case letters, digits and dashes.")
            return nil
        }
        return name
    }

    private func unique(_ root: Section, _ key: String, _ names: [String]) {
        let twice = Dictionary(grouping: names, by: \.self).filter { $0.value.count > 1 }.keys.sorted()
        for name in twice {
            root.reject(key, why: "two of them are called \"\(name)\"", remedy: "Give each [[\(key)]] a name of its own.")
        }
    }

    /// An absolute path: a service has no working directory to speak of.
    func path(_ section: Section, _ key: String) -> String? {
        guard let path = section.string(key, expected: "an absolute path") else { return nil }
        guard path.hasPrefix("/"), !path.contains("\0") else {
            section.reject(
                key, why: "the path is not absolute", remedy: "Write it from the root, such as \"/etc/vitalgate/...\".")
            return nil
        }
        return path
    }
}

extension UInt8 {
    var isDigit: Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(self) }
}
