import Catalogue
import Testing

@testable import Gateway

@Suite struct MalformedConfigurationTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var text: String
        var line: Int?
        var key: String?
        var why: String
        var value: String?
        init(_ text: String, line: Int?, key: String?, why: String, value: String? = nil) {
            self.text = text
            self.line = line
            self.key = key
            self.why = why
            self.value = value
        }
        var testDescription: String { "\(key ?? "syntax"): \(why)" }
    }

    static let receiver = "[[receiver]]\nname = \"a\"\nkind = \"phd\"\nbase = \"https://a.example\"\n"
    static let fut = "[[receiver]]\nname = \"a\"\nkind = \"fut\"\nbase = \"https://measurement.a.example/fhir\"\n"
    static let signIn = "[receiver.sign_in]\nissuer = \"https://a.example/realms/x\"\nclient = \"hub\"\n"
    static let pmd = "[[receiver]]\nname = \"a\"\nkind = \"pmd\"\nbase = \"https://pmd.a.example\"\n"
    static let vkp =
        "[[receiver]]\nname = \"a\"\nkind = \"vkp\"\nbase = \"https://vkp.a.example\"\norganisation = \"999999204\"\n"
    static let helseID =
        "[receiver.helseid]\nissuer = \"https://h.example\"\nclient = \"c\"\nscopes = [\"s\"]\n"
    static let device = "[[device]]\nname = \"a\"\nmodel = \"generic-blood-pressure\"\n"

    static let cases: [Case] = [
        Case("[hub", line: 1, key: nil, why: "not TOML"),
        Case("\n\nx = ", line: 3, key: nil, why: "expected a value"),
        Case("hub = 1", line: 1, key: "hub", why: "expected a table", value: "1"),
        Case("[hubb]\n", line: 1, key: "hubb", why: "no such key"),
        Case("[hub]\nstate_directory = 7", line: 2, key: "hub.state_directory", why: "found a whole number", value: "7"),
        Case(
            "[hub]\nstate_directory = \"var/lib\"", line: 2, key: "hub.state_directory", why: "not absolute", value: "\"var/lib\""
        ),
        Case("[hub]\nstate_directory = \"\"", line: 2, key: "hub.state_directory", why: "empty"),
        Case(
            "[hub]\ncontrol_socket = \"/\(String(repeating: "x", count: 120))\"", line: 2, key: "hub.control_socket", why: "107"),
        Case("[hub]\nsystem_id = \"0200\"", line: 2, key: "hub.system_id", why: "no EUI-64"),
        Case("[hub]\n# c\nstate_dir = \"/x\"", line: 3, key: "hub.state_dir", why: "no such key"),
        Case("[hub]\ndevices_directory = \"/nonexistent/devices\"", line: nil, key: nil, why: "No such file"),
        Case("[keys]\ncredential = \"a\"\nfile = \"/k\"", line: 3, key: "keys.file", why: "credential is given too"),
        Case("[keys]\ncredential = \"../a\"", line: 2, key: "keys.credential", why: "no path"),
        Case("[storage]\nretention_delivered_days = 0", line: 2, key: "storage.retention_delivered_days", why: "outside"),
        Case(
            "[storage]\nretention_delivered_days = 90.5", line: 2, key: "storage.retention_delivered_days",
            why: "found a decimal", value: "90.5"),
        Case("[storage]\nlow_megabytes = 32\nfull_megabytes = 64", line: 3, key: "storage.full_megabytes", why: "not below low"),
        Case("[storage]\nlow_megabytes = 16", line: 2, key: "storage.low_megabytes", why: "not below low"),
        Case("[clock]\ndeclared = \"yes\"", line: 2, key: "clock.declared", why: "expected true or false"),
        Case("[clock]\nscript = \"clock.toml\"", line: 2, key: "clock.script", why: "not absolute"),
        Case(
            "[programme]\nabsent_consent = \"never\"", line: 2, key: "programme.absent_consent", why: "no such word",
            value: "\"never\""),
        Case("[programme]\nverification_minutes = 45", line: 2, key: "programme.verification_minutes", why: "outside"),
        Case(
            "[[programme.bound]]\nquantity = \"systolic\"\nunit = \"mm[Hg]\"\nlow = 200\nhigh = 100", line: 5,
            key: "programme.bound[0].high", why: "not above low"),
        Case(
            "[[programme.bound]]\nquantity = \"sys\"\nunit = \"mm[Hg]\"\nlow = 1\nhigh = 2", line: 2,
            key: "programme.bound[0].quantity", why: "no such word"),
        Case("[bluetooth]\nenabled = 1", line: 2, key: "bluetooth.enabled", why: "expected true or false"),
        Case("[bluetooth]\nadapters = \"00:00:5E:00:53:01\"", line: 2, key: "bluetooth.adapters", why: "expected a list"),
        Case(
            "[bluetooth]\nadapters = [\"hci0\"]", line: 2, key: "bluetooth.adapters[0]", why: "Bluetooth addresses",
            value: "\"hci0\""),
        Case(
            "[bluetooth]\nadapters = [\"00:00:5e:00:53:01\",\n \"00:00:5E:00:53:01\"]", line: 2, key: "bluetooth.adapters",
            why: "twice"),
        Case("[bluetooth]\nadapter = \"hci0\"", line: 2, key: "bluetooth.adapter", why: "no such key"),
        Case("receiver = [1]", line: 1, key: "receiver[0]", why: "expected a table"),
        Case("[receiver]\nname = \"a\"", line: 1, key: "receiver", why: "expected a list of tables"),
        Case("[[receiver]]\nname = \"a\"\nkind = \"phd\"", line: 1, key: "receiver[0].base", why: "missing"),
        Case(
            "[[receiver]]\nname = \"A\"\nkind = \"phd\"\nbase = \"https://a\"", line: 2, key: "receiver[0].name",
            why: "commands and logs"),
        Case(
            "[[receiver]]\nname = \"a\"\nkind = \"kih\"\nbase = \"https://a\"", line: 3, key: "receiver[0].kind",
            why: "no such word"),
        Case(
            "[[receiver]]\nname = \"a\"\nkind = \"phd\"\nbase = \"http://example.org\"", line: 4, key: "receiver[0].base",
            why: "in the clear", value: "\"http://example.org\""),
        Case(
            "[[receiver]]\nname = \"a\"\nkind = \"phd\"\nbase = \"http://localhost\"", line: 4, key: "receiver[0].base",
            why: "in the clear"),
        Case(
            "[[receiver]]\nname = \"a\"\nkind = \"phd\"\nbase = \"ftp://a\"", line: 4, key: "receiver[0].base",
            why: "neither https nor http"),
        Case("[[receiver]]\nname = \"a\"\nkind = \"phd\"\nbase = \"a.example\"", line: 4, key: "receiver[0].base", why: "no URL"),
        Case("[[receiver]]\nname = \"a\"\nkind = \"phd\"\nbase = \"https://a:0\"", line: 4, key: "receiver[0].base", why: "port"),
        Case(
            "[[receiver]]\nname = \"a\"\nkind = \"phd\"\nbase = \"https://a?x=1\"", line: 4, key: "receiver[0].base",
            why: "no query"),
        Case(receiver + "token = \"s3cret\"", line: 5, key: "receiver[0].token", why: "no such key"),
        Case(receiver + "certificate_file = \"/c\"", line: 5, key: "receiver[0].certificate_file", why: "key is missing"),
        Case(receiver + "key_file = \"/c\"", line: 5, key: "receiver[0].key_file", why: "certificate is missing"),
        Case(receiver + "proxy = \"socks5://p\"", line: 5, key: "receiver[0].proxy", why: "neither"),
        Case(receiver + "proxy = \"https://p\"", line: 5, key: "receiver[0].proxy", why: "no address of a proxy"),
        Case(
            receiver + "[receiver.timeouts]\ntotal_seconds = 5", line: 6, key: "receiver[0].timeouts.total_seconds",
            why: "shorter"),
        Case(receiver + "[[receiver.rounding]]\nconverted = 0", line: 5, key: "receiver[0].rounding[0].unit", why: "missing"),
        Case(receiver + receiver, line: 1, key: "receiver", why: "called \"a\""),
        Case(fut, line: 3, key: "receiver[0].kind", why: "[receiver.sign_in] is missing"),
        Case(fut + "token_file = \"/t\"\n" + signIn, line: 5, key: "receiver[0].token_file", why: "citizens sign in"),
        Case(fut + "[receiver.sign_in]\nclient = \"a\"", line: 5, key: "receiver[0].sign_in.issuer", why: "missing"),
        Case(fut + "[receiver.sign_in]\nissuer = \"https://a\"", line: 5, key: "receiver[0].sign_in.client", why: "missing"),
        Case(
            fut + "[receiver.sign_in]\nissuer = \"http://a.example\"\nclient = \"a\"", line: 6,
            key: "receiver[0].sign_in.issuer", why: "in the clear"),
        Case(fut + signIn + "way = \"qr\"", line: 8, key: "receiver[0].sign_in.way", why: "no such word"),
        Case(fut + signIn + "way = \"paste\"", line: 8, key: "receiver[0].sign_in.way", why: "address that it returns to"),
        Case(
            fut + signIn + "way = \"loopback\"\nredirect = \"https://hub.example/c\"", line: 9,
            key: "receiver[0].sign_in.redirect", why: "able to listen"),
        Case(receiver + "codes_file = \"/c\"", line: 5, key: "receiver[0].codes_file", why: "kind \"fut\""),
        Case(receiver + signIn, line: 5, key: "receiver[0].sign_in", why: "kind \"fut\""),
        Case(pmd, line: 3, key: "receiver[0].kind", why: "[receiver.helseid] is missing"),
        Case(
            pmd + "municipality = \"Oslo\"\n" + helseID, line: 5, key: "receiver[0].municipality", why: "no municipality number"),
        Case(pmd + "organisation = \"12\"\n" + helseID, line: 5, key: "receiver[0].organisation", why: "no organisation number"),
        Case(
            pmd + "organisation_name = \"a\"\n" + helseID, line: 5, key: "receiver[0].organisation_name", why: "number is missing"
        ),
        Case(pmd + "token_file = \"/t\"\n" + helseID, line: 5, key: "receiver[0].token_file", why: "with a key"),
        Case(pmd + "maximum_acts = 2\n" + helseID, line: 5, key: "receiver[0].maximum_acts", why: "request of its own"),
        Case(pmd + "journals = true\n" + helseID, line: 5, key: "receiver[0].journals", why: "kind \"vkp\""),
        Case(pmd + helseID + "algorithm = \"RS256\"", line: 9, key: "receiver[0].helseid.algorithm", why: "no such algorithm"),
        Case(pmd + helseID + "token = \"bearer\"", line: 9, key: "receiver[0].helseid.token", why: "bound to a key"),
        Case(
            pmd + "[receiver.helseid]\nissuer = \"https://h.example\"\nclient = \"c\"", line: 5,
            key: "receiver[0].helseid.scopes", why: "opens nothing"),
        Case(
            pmd + helseID + "key_holder = \"organisation\"", line: 9, key: "receiver[0].helseid.key_holder",
            why: "carried away"),
        Case(
            pmd + helseID + "parent_organisation = \"999999204\"", line: 9, key: "receiver[0].helseid.parent_organisation",
            why: "no home hub's own"),
        Case(vkp + helseID + "allow_on_home_hub = true", line: 3, key: "receiver[0].kind", why: "[receiver.author] is missing"),
        Case(
            vkp + "[receiver.author]\nnumber = \"1\"\nname = \"a\"\n" + helseID, line: 11,
            key: "receiver[0].helseid.client", why: "every patient of a municipality"),
        Case(receiver + helseID, line: 5, key: "receiver[0].helseid", why: "kinds \"pmd\" and \"vkp\""),
        Case(receiver + "bundle = \"batch\"", line: 5, key: "receiver[0].bundle", why: "kind \"pmd\""),
        Case(device, line: 1, key: "device[0].address", why: "missing"),
        Case(device + "bearer = \"tcp:1\"", line: 4, key: "device[0].bearer", why: "no socket"),
        Case(device + "address = \"00:11\"", line: 4, key: "device[0].address", why: "no Bluetooth address"),
        // Six bytes alone are two devices, one public and one random: the kind is not guessed.
        Case(device + "address = \"00:00:5E:00:53:01\"", line: 4, key: "device[0].address", why: "with its kind"),
        Case(device + "address = \"40:00:5E:00:53:01/random\"", line: 4, key: "device[0].address", why: "private"),
        Case(
            device + "address = \"00:00:5e:00:53:01/public\"\nbearer = \"socket:/x\"", line: 5, key: "device[0].bearer",
            why: "address is given too"),
        Case(
            "[[device]]\nname = \"a\"\nmodel = \"omron\"\nbearer = \"socket:/x\"", line: 3, key: "device[0].model",
            why: "no such entry"),
        Case("[log]\nlevel = \"loud\"", line: 2, key: "log.level", why: "no such word"),
        Case("[log]\nformat = 1", line: 2, key: "log.format", why: "found a whole number"),
        Case("[test]\nfaults = 1", line: 2, key: "test.faults", why: "expected true or false"),
    ]

    @Test("each is an error with its line, key, value, reason and remedy", arguments: cases)
    func refused(_ given: Case) {
        let reading = Configuration.read(given.text.utf8, file: "vitalgate.toml")
        #expect(reading.configuration == nil)
        let found = reading.errors.first { $0.place?.line == given.line && $0.key == given.key && $0.why.contains(given.why) }
        #expect(found != nil, "\(reading.problems)")
        if let value = given.value { #expect(found?.value == value) }
        #expect(reading.problems.allSatisfy { !$0.remedy.isEmpty })
    }

    @Test("all problems of a file are told at once, by their line")
    func all() {
        let several = "[log]\nlevel = 1\nformat = 2\n[clock]\ndeclared = 3\n[[receiver]]\nname = 4\n"
        let problems = Configuration.read(several.utf8, file: "x").errors
        #expect(problems.map(\.place?.line) == [2, 3, 5, 6, 6, 7])
    }

    @Test("a key that is nearly right is suggested")
    func suggestion() {
        let problem = Configuration.read("[storage]\nlow_megabyte = 300".utf8, file: "x").errors.first
        #expect(problem?.remedy == "Did you mean low_megabytes?")
    }

    struct Warning: Sendable, CustomTestStringConvertible {
        var text: String
        var line: Int
        var key: String
        var why: String
        var testDescription: String { "\(key): \(why)" }
    }

    @Test(
        "what a person should look at is a warning, and the file can be used",
        arguments: [
            Warning(text: "[keys]\nfile = \"/k/good\"", line: 2, key: "keys.file", why: "stolen"),
            Warning(text: "[keys]\nfile = \"/k/open\"", line: 2, key: "keys.file", why: "mode 644"),
            Warning(text: "[keys]\nfile = \"/k/none\"", line: 2, key: "keys.file", why: "not there"),
            Warning(text: "[hub]\nstate_directory = \"/k/none\"", line: 2, key: "hub.state_directory", why: "not there"),
            Warning(text: "[hub]\nstate_directory = \"/k/shared\"", line: 2, key: "hub.state_directory", why: "mode 777"),
            Warning(text: receiver, line: 1, key: "receiver[0].ca_file", why: "any of the system's"),
            Warning(text: receiver, line: 4, key: "receiver[0].base", why: "who the hub is"),
            Warning(text: receiver + "token_file = \"/k/open\"", line: 5, key: "receiver[0].token_file", why: "mode 644"),
            Warning(text: receiver + "ca_file = \"/k/none\"", line: 5, key: "receiver[0].ca_file", why: "not there"),
            Warning(text: "[clock]\ndeclared = true", line: 2, key: "clock.declared", why: "nothing vouches"),
            Warning(text: "[clock]\nscript = \"/c\"", line: 2, key: "clock.script", why: "tests and the demo only"),
            Warning(text: "[test]\nfaults = true", line: 2, key: "test.faults", why: "tests only"),
        ])
    func warned(_ given: Warning) {
        let files = MadeUpFiles(known: [
            "/k/good": FileStatus(.file, mode: 0o600), "/k/open": FileStatus(.file, mode: 0o644),
            "/k/shared": FileStatus(.directory, mode: 0o777),
        ])
        let reading = Configuration.read(given.text.utf8, file: "x", files: files)
        #expect(reading.configuration != nil, "\(reading.problems)")
        #expect(
            reading.problems.contains {
                $0.severity == .warning && $0.place?.line == given.line && $0.key == given.key && $0.why.contains(given.why)
            },
            "\(reading.problems)")
    }

    @Test("a directory where a file should be is an error")
    func directory() {
        let files = MadeUpFiles(known: ["/k": FileStatus(.directory, mode: 0o700)])
        #expect(Configuration.read("[keys]\nfile = \"/k\"".utf8, file: "x", files: files).errors.first?.why == "it is no file")
    }

    @Test("a file that cannot be read is told with what to do")
    func absent() {
        let reading = Configuration.read(fileAt: "/nonexistent/vitalgate.toml")
        #expect(reading.configuration == nil)
        #expect(reading.errors.first?.why == "the file cannot be read: No such file or directory")
    }
}
