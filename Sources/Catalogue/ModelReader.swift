import ExactJSON
public import Vitals

extension Model {
    /// Reads one catalogue entry.
    ///
    /// - Parameters:
    ///   - text: TOML 1.0 in UTF-8, described by `devices/schema.json`.
    ///   - id: the file's name without ending.
    ///   - file: how problems name it.
    /// - Throws: everything that is wrong in it.
    public init(toml text: some Collection<UInt8>, id: String, file: String) throws(Problems) {
        let sheet = Sheet(text, file: file)
        let model = sheet.isReadable ? Model.read(sheet.root, id: id) : nil
        guard let model, !sheet.problems.contains(where: { $0.severity == .error }) else { throw Problems(sheet.problems) }
        self = model
    }

    /// Every key that an entry may have, as `session.command[].bytes`.
    public static var keys: Set<String> {
        let sheet = Sheet([], file: "")
        _ = read(sheet.root, id: "")
        return sheet.keys
    }

    static func read(_ root: Section, id: String) -> Model? {
        let manufacturer = root.string("manufacturer", expected: "the maker's name in quotes")
        let name = root.string("name", required: true, expected: "the model's name in quotes")
        let driver: Driver? = root.word("driver", required: true)
        let transport: Transport = root.word("transport") ?? .le
        let specialization = root.integer(
            "specialization", in: 528_384...528_799, required: true, unit: "(MDC_DEV_SPEC_PROFILE_*)")
        let acknowledges: Acknowledgement? = root.word("acknowledges", required: true)
        let users: Users? = root.word("users", required: true)
        let records: Records? = root.word("records", required: true)
        let unencrypted = root.boolean("allows_unencrypted_link") ?? false
        let match = match(root.section("match"))
        let clock = clock(root.section("clock"), driver: driver ?? .bloodPressure)
        let session = session(root.section("session"))
        let stream = stream(root, driver: driver)
        let ranges = root.sections("range") { Range(reading: $0) }
        let pairing = pairing(root.section("pairing"), transport: transport, allowsUnencryptedLink: unencrypted)
        let connection = connection(root.section("connection"))
        root.finish()

        if let driver, let specialization, driver.specialization.rawValue != UInt32(specialization) {
            root.reject(
                "specialization", why: "the driver \(driver.rawValue) is for \(driver.specialization.rawValue)",
                remedy: "Write \(driver.specialization.rawValue), or another driver.")
        }
        if let driver, driver.transport != transport {
            root.reject(
                root.has("transport") ? "transport" : "driver",
                why: "the driver \(driver.rawValue) speaks over \(driver.transport.rawValue)",
                remedy: "Write transport = \"\(driver.transport.rawValue)\", or another driver.")
        }
        if let driver, let acknowledges, let only = driver.onlyAcknowledgement, acknowledges != only {
            root.reject(
                "acknowledges", why: "the driver \(driver.rawValue) gives its word otherwise",
                remedy: "Write \"\(only.rawValue)\", or another driver.")
        }
        if transport == .classicSerial, root.has("connection") {
            root.reject("connection", why: "only a link over LE has these parameters", remedy: "Remove the table.")
        }
        guard let name, let driver, let specialization, let acknowledges, let users, let records else { return nil }
        return Model(
            id: id, manufacturer: manufacturer, name: name, driver: driver, transport: transport, match: match,
            specialization: MDC(UInt32(specialization)), acknowledges: acknowledges, clock: clock, users: users,
            records: records, session: session, stream: stream, ranges: ranges, allowsUnencryptedLink: unencrypted,
            pairing: pairing, connection: connection)
    }

    private static func match(_ section: Section) -> Match {
        let match = Match(
            namePrefixes: section.strings("name_prefixes") ?? [],
            services: section.list("services", expected: "16-bit UUIDs") { uuid($0) } ?? [],
            manufacturerCompany: section.integer("manufacturer_company", in: 0...0xFFFF).map { UInt16($0) },
            manufacturer: section.string("manufacturer"), modelNumbers: section.strings("model_numbers") ?? [])
        section.finish()
        return match
    }

    private static func clock(_ section: Section, driver: Driver) -> Clock {
        let clock = Clock(
            read: clock(section, "read", driver), write: clock(section, "write", driver),
            writesOnEveryConnect: section.boolean("writes_on_every_connect") ?? false,
            liveWithoutStamp: section.boolean("live_without_stamp") ?? true)
        if clock.writesOnEveryConnect, clock.write == nil {
            section.reject(
                "writes_on_every_connect", why: "the clock has no characteristic to write to",
                remedy: "Add clock.write, or remove this key.")
        }
        section.finish()
        return clock
    }

    private static func clock(_ section: Section, _ key: String, _ driver: Driver) -> UInt16? {
        guard let number = section.integer(key, in: 0...0xFFFF) else { return nil }
        guard driver.clocks.numbers.contains(number) else {
            section.reject(key, why: "no clock of the driver \(driver.rawValue)", remedy: "Write \(driver.clocks.words).")
            return nil
        }
        return UInt16(number)
    }

    private static func session(_ section: Section) -> Session {
        let standard = Session()
        let steps = section.list("steps", expected: "of " + Session.Step.allCases.map(\.rawValue).joined(separator: ", ")) {
            if case .string(let text) = $0 { Session.Step(rawValue: text) } else { nil }
        }
        let commands = section.sections("command") { command($0) }
        if let steps, Set(steps).count != steps.count {
            section.reject("steps", why: "a step stands in it twice", remedy: "Name each step once.")
        }
        if let steps, !steps.contains(.subscribe) {
            section.reject("steps", why: "without subscribe no reading arrives", remedy: "Add \"subscribe\".")
        }
        if !commands.isEmpty, steps?.contains(.commands) != true {
            section.reject("command", why: "steps does not say when it is written", remedy: "Add \"commands\" to session.steps.")
        }
        let session = Session(
            steps: steps ?? standard.steps,
            settleMilliseconds: section.integer("settle_milliseconds", in: 0...5_000) ?? standard.settleMilliseconds,
            quietMilliseconds: section.integer("quiet_milliseconds", in: 100...60_000) ?? standard.quietMilliseconds,
            cooldownSeconds: section.integer("cooldown_seconds", in: 0...600) ?? standard.cooldownSeconds,
            disconnects: section.word("disconnects") ?? standard.disconnects, commands: commands)
        section.finish()
        return session
    }

    private static func command(_ section: Section) -> Session.Command? {
        let characteristic = section.string(
            "characteristic", required: true, expected: "a 128-bit UUID in lower case with dashes")
        let text = section.string("bytes", required: true, expected: "hex digits such as \"02 00 e1\"")
        section.finish()
        guard let characteristic, let text else { return nil }
        guard isLongUUID(characteristic) else {
            section.reject(
                "characteristic", why: "no 128-bit UUID",
                remedy: "Write it in lower case with dashes, such as \"233bf001-5a34-1b6d-975c-000d5690abe4\".")
            return nil
        }
        // 20 bytes: what an ATT write carries at the smallest MTU (23 octets less 3).
        guard let bytes = [UInt8](hex: text), (1...20).contains(bytes.count) else {
            section.reject(
                "bytes", why: "no hex digits of 1 to 20 bytes", remedy: "Write two hex digits a byte, such as \"02 00 e1\".")
            return nil
        }
        return Session.Command(characteristic: characteristic, bytes: bytes)
    }

    private static func stream(_ root: Section, driver: Driver?) -> StreamRule? {
        let section = root.section("stream")
        let flags = section.list("result_flags", required: true, expected: "status flags such as \"fully-qualified\"") {
            if case .string(let text) = $0 { StatusFlag(rawValue: text) } else { nil }
        }
        let median = section.integer("median_seconds", in: 3...120)
        section.finish()
        guard root.has("stream"), let flags else { return nil }
        if let driver, driver != .pulseOximeter {
            root.reject("stream", why: "the driver \(driver.rawValue) has no stream", remedy: "Remove the table.")
        }
        return StreamRule(resultFlags: flags, medianSeconds: median ?? 10)
    }

    private static func uuid(_ value: TOMLValue) -> UInt16? {
        if case .integer(let number) = value { UInt16(exactly: number) } else { nil }
    }

    private static func isLongUUID(_ text: String) -> Bool {
        let fields = text.split(separator: "-", omittingEmptySubsequences: false)
        return fields.map(\.utf8.count) == [8, 4, 4, 4, 12] && text == text.lowercased()
            && fields.allSatisfy { $0.utf8.allSatisfy { Character(UnicodeScalar($0)).isHexDigit } }
    }
}

extension Model.Driver {
    /// What a device with this driver is (IEEE 11073-10101, MDC_DEV_SPEC_PROFILE_BP and MDC_DEV_SPEC_PROFILE_PULS_OXIM).
    public var specialization: MDC {
        switch self {
        case .bloodPressure: MDC(528_391)
        case .pulseOximeter, .noninSerial: MDC(528_388)
        }
    }

    /// The only transport that it can speak over.
    var transport: Model.Transport {
        switch self {
        case .bloodPressure, .pulseOximeter: .le
        case .noninSerial: .classicSerial
        }
    }

    /// How its clock can be named, with the words for a person.
    fileprivate var clocks: (numbers: Set<Int>, words: String) {
        switch self {
        // The two whose layout the clock codec knows.
        case .bloodPressure, .pulseOximeter: ([0x2A2B, 0x2A08], "0x2A2B (Current Time) or 0x2A08 (Date Time)")
        case .noninSerial: ([0x72], "0x72 (the command of its clock)")
        }
    }

    /// What its session can give as the word that a reading is durable; `nil`: as the model says.
    fileprivate var onlyAcknowledgement: Acknowledgement? {
        switch self {
        case .bloodPressure, .pulseOximeter: nil
        case .noninSerial: .response
        }
    }
}

extension Model.Range {
    /// A `[[range]]` of a catalogue entry or a `[[programme.bound]]` of a configuration: quantity, unit, low and high, both inclusive.
    public init?(reading section: Section) {
        let name: Quantity.Name? = section.word("quantity", required: true)
        let unit = section.string("unit", required: true, expected: "a UCUM code such as \"mm[Hg]\"")
        let low = section.decimal("low", required: true)
        let high = section.decimal("high", required: true)
        section.finish()
        guard let name, let unit, let low, let high else { return nil }
        if low.compare(high) >= 0 {
            section.reject(
                "high", why: "it is not above low (\(low))", remedy: "Write the lower bound in low and the higher in high.")
            return nil
        }
        self.init(name: name, unit: UCUM(unit), low: low, high: high)
    }
}
