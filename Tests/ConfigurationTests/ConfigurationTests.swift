import Catalogue
import Destinations
import ExactJSON
import Testing
import Trust
import Vitals

@testable import Gateway

/// A file of the project, from this file's own place.
func projectFile(_ name: String) throws -> [UInt8] {
    let path = #filePath.split(separator: "/").dropLast(3).reduce("") { $0 + "/" + $1 } + "/" + name
    return try #require(TextFile.bytes(of: path), "cannot read \(path)")
}

/// Files that a test made up.
struct MadeUpFiles: FileInspector {
    var known: [String: FileStatus]
    func status(of path: String) -> FileStatus? { known[path] }
}

@Suite struct ConfigurationTests {
    @Test("the example is read without an error, and its values are the ones in it")
    func example() throws {
        let reading = Configuration.read(try projectFile("config/vitalgate.example.toml"), file: "example.toml")
        #expect(reading.problems == [])
        let configuration = try #require(reading.configuration)
        #expect(configuration.keys == .credential("vitalgate-key"))
        let receiver = try #require(configuration.receivers.first)
        #expect(receiver.base == "https://fhir.example.org/r4")
        #expect(receiver.authentication == .bearer(tokenFile: "/etc/vitalgate/regional-fhir.token"))
        #expect(receiver.rounding == [.init(unit: .millimetreOfMercury, converted: 0, sent: nil)])
        #expect(receiver.fut == nil)
        #expect(configuration.receivers.map(\.kind) == [.phd, .fut, .pmd])
        let fut = configuration.receivers[1]
        #expect(fut.kind == .fut && fut.base == "https://measurement.devenvcgi.ehealth.sundhed.dk/fhir")
        #expect(fut.fut?.issuer == "https://saml.devenvcgi.ehealth.sundhed.dk/auth/realms/nemlogin")
        #expect(fut.fut?.way == .deviceCode && fut.fut?.idleDays == 30 && fut.fut?.maximumDays == nil)
        let norway = try #require(configuration.receivers[2].norway)
        #expect(norway.service == .pmd(PMDSettings(municipality: "0301")))
        #expect(norway.helseID.issuer == "https://helseid-sts.test.nhn.no" && norway.helseID.algorithm == .ps256)
        #expect(norway.helseID.organisation == .ofClient && norway.helseID.holder == .hub && norway.helseID.keyFile == nil)
        #expect(configuration.devices.map(\.bearer) == [.socket(path: "/run/vitalgate/cuff.sock")])
        #expect(configuration.devices.first?.model.id == "and-ua-651ble")
    }

    @Test("each default in the example's comments is the default")
    func defaults() throws {
        // What is uncommented must change nothing but the keys that contradict each other or name things of one's own.
        let text = String(decoding: try projectFile("config/vitalgate.example.toml"), as: UTF8.self)
        let own = [
            "system_id", "devices_directory", "file", "max_pages", "script", "certificate_file", "key_file", "proxy", "sent",
            "address", "codes_file", "redirect", "maximum_days", "organisation", "organisation_name", "child_organisation",
            "parent_organisation", "ca_file", "heartbeat_minutes",
        ]
        let uncommented = text.split(separator: "\n", omittingEmptySubsequences: false).map { line -> Substring in
            let body = line.dropFirst(2)
            let key = body.prefix { $0.isLetter || $0 == "_" }
            let isKey = line.hasPrefix("# ") && !key.isEmpty && body.dropFirst(key.count).hasPrefix(" = ")
            return isKey && !own.contains(String(key)) ? body : line
        }.joined(separator: "\n").replacing("# [test]", with: "[test]")
        let plain = Configuration.read(text.utf8, file: "x").configuration
        let whole = Configuration.read(uncommented.utf8, file: "x")
        #expect(whole.problems == [])
        #expect(uncommented != text)
        #expect(whole.configuration == plain)
    }

    @Test("an empty file is a hub with every default")
    func empty() throws {
        let configuration = try #require(Configuration.read([UInt8](), file: "x").configuration)
        #expect(configuration == Configuration())
        #expect(configuration.storage.retentionDeliveredDays == 90)
        #expect(configuration.hub.controlSocket == "/run/vitalgate/control.sock")
    }

    @Test("the schema has exactly the keys that the loader reads, and the example names each")
    func schema() throws {
        let schema = try JSON(parsing: try projectFile("config/vitalgate.schema.json"))
        #expect(schemaKeys(schema).symmetricDifference(Configuration.allKeys) == [])
        #expect(schemaWords(schema, "quantity") == Set(Quantity.Name.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "level") == Set(Configuration.Log.Level.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "format") == Set(Configuration.Log.Format.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "unknown_outcome") == Set(Configuration.Receiver.UnknownOutcome.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "order") == Set(Configuration.Receiver.Order.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "profile") == Set(Configuration.Receiver.Profile.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "way") == Set(Configuration.Receiver.FUT.SignInWay.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "retraction") == Set(Configuration.Receiver.FUT.Retraction.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "bundle") == Set(PMDSettings.Form.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "method") == Set(PMDSettings.Method.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "profiles") == Set(PMDSettings.Family.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "status") == Set(PMDSettings.Status.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "algorithm") == Set(SignatureAlgorithm.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "token") == Set(Configuration.Receiver.Norway.HelseID.TokenType.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "key_holder") == Set(Configuration.Receiver.Norway.HelseID.Holder.allCases.map(\.rawValue)))
        #expect(schemaWords(schema, "kind") == Set(Configuration.Receiver.Kind.allCases.map(\.rawValue)))
        let example = String(decoding: try projectFile("config/vitalgate.example.toml"), as: UTF8.self)
        for key in Configuration.allKeys {
            let last = key.split(separator: ".").last.map(String.init) ?? key
            #expect(example.contains(last), "the example does not name \(key)")
        }
    }

    @Test("VKP is off until it is switched on, and the key of a municipality needs leave on a home hub")
    func vkp() throws {
        let text = """
            [[receiver]]
            name = "vkp"
            kind = "vkp"
            base = "https://vkp.example/epj/r4"
            organisation = "999999204"
            SWITCH
            [receiver.author]
            number = "999999999"
            name = "Kari Prøve"
            [receiver.helseid]
            issuer = "https://helseid.example"
            client = "c"
            scopes = ["nhn:vkp/api/user/bundle.write"]
            child_organisation = "999999204"
            LEAVE
            """
        func read(_ switching: String, _ leave: String) -> Configuration.Reading {
            Configuration.read(
                text.replacing("SWITCH", with: switching).replacing("LEAVE", with: leave).utf8, file: "x")
        }
        let refused = read("journals = true", "")
        #expect(refused.errors.map(\.key) == ["receiver[0].helseid.client"])
        #expect(refused.errors.first?.why.contains("every patient of a municipality") == true)
        let off = read("", "allow_on_home_hub = true")
        #expect(off.errors.isEmpty && off.problems.map(\.key) == ["receiver[0].kind", "receiver[0].helseid.allow_on_home_hub"])
        #expect(off.configuration?.receivers.first?.norway?.service == .vkp(nil))
        let on = read("journals = true", "allow_on_home_hub = true")
        #expect(on.problems.map(\.key) == ["receiver[0].helseid.allow_on_home_hub"])
        let norway = try #require(on.configuration?.receivers.first?.norway)
        #expect(norway.helseID.token == .bearer && norway.helseID.holder == .municipality)
        #expect(norway.helseID.organisation == .singleTenant(child: try NorwegianOrganisationNumber("999999204")))
        guard case .vkp(let vkp?) = norway.service else {
            Issue.record("no VKP")
            return
        }
        #expect(vkp.author == .init(system: VKPSettings.Author.hpr, value: "999999999", name: "Kari Prøve") && !vkp.searches)
    }

    @Test("a relay has no radio, and the key of an organisation belongs there")
    func relay() throws {
        let text = """
            RADIO
            [relay]
            [[relay.hub]]
            name = "hub-1"
            silent_minutes = 10
            [[relay.hub]]
            name = "hub-2"
            recipients = ["pmd"]
            [[receiver]]
            name = "pmd"
            kind = "pmd"
            base = "https://pmd.example"
            [receiver.helseid]
            issuer = "https://helseid.example"
            client = "c"
            scopes = ["s"]
            key_holder = "organisation"
            parent_organisation = "999999204"
            """
        let good = Configuration.read(text.replacing("RADIO", with: "").utf8, file: "x")
        #expect(good.problems == [])
        let configuration = try #require(good.configuration)
        #expect(!configuration.bluetooth.isEnabled)
        let relay = try #require(configuration.relay)
        #expect(relay.socket == "/run/vitalgate/relay.sock")
        #expect(
            relay.hubs == [
                .init(name: "hub-1", recipients: ["pmd"], silentMinutes: 10),
                .init(name: "hub-2", recipients: ["pmd"], silentMinutes: 30),
            ])
        let radio = Configuration.read(text.replacing("RADIO", with: "[bluetooth]\nenabled = true").utf8, file: "x")
        #expect(radio.errors.map(\.key) == ["bluetooth.enabled"])
        let unknown = text.replacing("RADIO", with: "").replacing("[\"pmd\"]", with: "[\"phd\"]")
        #expect(Configuration.read(unknown.utf8, file: "x").errors.map(\.key) == ["relay.hub[1].recipients"])
        let twice = text.replacing("RADIO", with: "").replacing("hub-2", with: "hub-1")
        #expect(Configuration.read(twice.utf8, file: "x").errors.map(\.key) == ["relay.hub"])
        // On a hub the same key is refused.
        let home = text.split(separator: "[[receiver]]").last.map { "[[receiver]]" + $0 } ?? ""
        #expect(Configuration.read(home.utf8, file: "x").errors.map(\.key) == ["receiver[0].helseid.key_holder"])
    }

    @Test("a bound of the programme stands in place of the standard one of its quantity")
    func bounds() throws {
        let text = "[[programme.bound]]\nquantity = \"spo2\"\nunit = \"%\"\nlow = 88.50\nhigh = 100\n"
        let bounds = try #require(Configuration.read(text.utf8, file: "x").configuration).programme.bounds
        #expect(bounds.filter { $0.name == .spo2 }.map(\.low.description) == ["88.50"])
        #expect(bounds.count == Configuration.Programme.standardBounds.count)
    }

    @Test("Bluetooth is on and uses every adapter; a list of addresses is read in capitals")
    func bluetooth() throws {
        let standard = try #require(Configuration.read([UInt8](), file: "x").configuration)
        #expect(standard.bluetooth == Configuration.Bluetooth(isEnabled: true, adapters: []))
        #expect(standard.summary.contains("bluetooth  every adapter"))
        let text = "[bluetooth]\nadapters = [\"00:00:5e:00:53:0a\", \"00:00:5E:00:53:02\"]\n"
        let chosen = Configuration.read(text.utf8, file: "x")
        #expect(chosen.problems == [])
        #expect(chosen.configuration?.bluetooth.adapters == ["00:00:5E:00:53:0A", "00:00:5E:00:53:02"])
        #expect(chosen.json.text.contains(#""bluetooth":{"enabled":true,"adapters":["00:00:5E:00:53:0A","00:00:5E:00:53:02"]}"#))
        let off = Configuration.read("[bluetooth]\nenabled = false\nadapters = [\"00:00:5E:00:53:02\"]".utf8, file: "x")
        #expect(off.configuration?.bluetooth.isEnabled == false)
        #expect(off.problems.map(\.key) == ["bluetooth.adapters"])
    }

    @Test("a device's Bluetooth address is read with its kind, and named as the radio names it")
    func deviceAddress() throws {
        let text = "[[device]]\nname = \"cuff\"\nmodel = \"and-ua-651ble\"\naddress = \"f0:0d:00:00:00:01/Random\"\n"
        let reading = Configuration.read(text.utf8, file: "x")
        #expect(reading.problems == [])
        let bearer = try #require(reading.configuration?.devices.first?.bearer)
        #expect(bearer == .address(try #require(DeviceAddress("F0:0D:00:00:00:01/random"))))
        #expect("\(bearer)" == "bluetooth:F0:0D:00:00:00:01/random")
    }

    @Test("R8 what is understood names where secrets are and never what they are, and no problem shows one")
    func r8_noSecretIsShown() {
        let text = """
            [keys]
            token = "marker-7Qx"
            password = "marker-7Qx"
            [[receiver]]
            name = "a"
            kind = "phd"
            base = "https://user:marker-7Qx@example.org"
            proxy = "http://user:marker-7Qx@example.org"
            api_key = "marker-7Qx"
            """
        let reading = Configuration.read(text.utf8, file: "x")
        #expect(reading.errors.count == 5)
        #expect(!reading.json.text.contains("marker-7Qx"))
        #expect(!reading.problems.map(\.description).joined().contains("marker-7Qx"))
    }

    @Test(
        "a URL is split as the courier needs it",
        arguments: [
            ("https://a.example/", "https://a.example", false),
            ("HTTPS://a.example:8443/r4//", "https://a.example:8443/r4", false),
            ("http://127.0.0.1:80/fhir", "http://127.0.0.1:80/fhir", true), ("http://[::1]:8080", "http://[::1]:8080", true),
            ("http://127.9.9.9", "http://127.9.9.9", true), ("http://localhost", "http://localhost", false),
            ("http://127.0.0.1.example.org", "http://127.0.0.1.example.org", false),
            ("http://0127.0.0.1", "http://0127.0.0.1", true),
        ])
    func address(_ text: String, _ expected: String, _ isLoopback: Bool) throws {
        let address = try WebAddress(text)
        #expect(address.text == expected)
        #expect(address.isLoopback == isLoopback)
    }
}
