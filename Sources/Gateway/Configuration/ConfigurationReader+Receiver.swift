import Catalogue
import Vitals

extension ConfigurationReader {
    func receiver(_ section: Section) -> Configuration.Receiver? {
        let name = name(section)
        let kind: Configuration.Receiver.Kind? = section.word("kind", required: true)
        let base = base(section)
        let profile: Configuration.Receiver.Profile = section.word("profile") ?? .phd2
        var authentication = Configuration.Receiver.Authentication.none
        if let file = path(section, "token_file") {
            secret(section, "token_file", file)
            authentication = .bearer(tokenFile: file)
        }
        let authority = path(section, "ca_file")
        if let authority {
            present(section, "ca_file", authority)
            pem(section, "ca_file", authority, "CERTIFICATE")
        }
        // FUT's and Norway's token servers and services need not have one authority, and stand on the public ones.
        if kind == .phd, let base, base.scheme == "https", authority == nil {
            section.warn(
                "ca_file", why: "any of the system's authorities may vouch for the receiver",
                remedy: "Name the one authority that issues the receiver's certificate, if there is one.")
        }
        let certificate = certificate(section)
        let proxy = proxy(section)
        let timeouts = timeouts(section.section("timeouts"))
        let unknown: Configuration.Receiver.UnknownOutcome = section.word("unknown_outcome") ?? .hold
        let order: Configuration.Receiver.Order = section.word("order") ?? .freshFirst
        // One act that is refused refuses the whole transaction, which then has to be split: few is better than fast.
        let acts = section.integer("maximum_acts", in: 1...50, unit: "(acts)") ?? 1
        let heartbeat = section.integer("heartbeat_minutes", in: 1...1_440, unit: "(minutes)")
        if kind != .phd, section.has("heartbeat_minutes") {
            section.reject(
                "heartbeat_minutes", why: "only a relay, a receiver of kind \"phd\", listens for it", remedy: "Take it out.")
        }
        let rounding = section.sections("rounding") { self.rounding($0) }
        let fut = fut(section, kind: kind)
        let norway = norway(section, kind: kind)
        section.finish()
        if kind == .fut, let base, !base.text.hasSuffix("/fhir") {
            section.warn(
                "base", why: "the measurement service's base usually ends with /fhir",
                remedy: "Write it as \"https://measurement.ENVIRONMENT.ehealth.sundhed.dk/fhir\".")
        }
        if kind == .phd, authentication == .none, certificate == nil, let base, !base.isLoopback {
            section.warn(
                "base", why: "neither token_file nor certificate_file tells the receiver who the hub is",
                remedy: "Add the one that the receiver's operator gave you.")
        }
        guard let name, let kind, let base else { return nil }
        return Configuration.Receiver(
            name: name, kind: kind, base: base.text, profile: profile, authentication: authentication, caFile: authority,
            certificate: certificate, proxy: proxy, timeouts: timeouts, unknownOutcome: unknown, order: order,
            maximumActs: acts, rounding: rounding, heartbeatMinutes: heartbeat, fut: fut, norway: norway)
    }

    /// The keys of a receiver of kind `fut`, which no other may have.
    private func fut(_ section: Section, kind: Configuration.Receiver.Kind?) -> Configuration.Receiver.FUT? {
        let codes = path(section, "codes_file")
        if let codes { present(section, "codes_file", codes) }
        let retraction: Configuration.Receiver.FUT.Retraction = section.word("retraction") ?? .patch
        let signIn = section.section("sign_in")
        let isFUT = kind == .fut
        let issuer = signInAddress(
            signIn, "issuer", required: isFUT, such: "https://saml.ENVIRONMENT.ehealth.sundhed.dk/auth/realms/nemlogin")
        let client = signIn.string("client", required: isFUT, expected: "the client id that FUT registered")
        let way: Configuration.Receiver.FUT.SignInWay = signIn.word("way") ?? .deviceCode
        let redirect = signInAddress(signIn, "redirect", required: false, such: "http://127.0.0.1:4711/callback")
        let idle = signIn.integer("idle_days", in: 1...1_200, unit: "(days)") ?? 30
        let maximum = signIn.integer("maximum_days", in: 1...3_650, unit: "(days)")
        signIn.finish()
        if isFUT, !section.has("sign_in") {
            section.reject(
                "kind", why: "FUT takes readings only from a citizen who signed in, and [receiver.sign_in] is missing",
                remedy: "Add [receiver.sign_in] with issuer and client, as in config/vitalgate.example.toml.")
        }
        guard isFUT else {
            let why = "only a receiver of kind \"fut\" has it"
            for key in ["codes_file", "retraction", "sign_in"] where section.has(key) {
                section.reject(key, why: why, remedy: "Take it out, or set kind = \"fut\".")
            }
            return nil
        }
        for key in ["token_file", "profile", "maximum_acts", "order"] where section.has(key) {
            section.reject(
                key,
                why:
                    "a receiver of kind \"fut\" has none: citizens sign in, and each measurement goes alone, in the order of their times",
                remedy: "Take it out.")
        }
        if way != .deviceCode, redirect == nil {
            signIn.reject(
                signIn.has("redirect") ? "redirect" : "way", why: "a sign-in by browser needs the address that it returns to",
                remedy: "Add redirect, exactly as FUT registered it for the client.")
        }
        if way == .loopback, let redirect, !redirect.isLoopback {
            signIn.reject(
                "redirect", why: "the hub itself must be able to listen there",
                remedy: "Write http://127.0.0.1:PORT/PATH, or choose way = \"paste\".")
        }
        guard let issuer, let client else { return nil }
        return .init(
            codesFile: codes, retraction: retraction, issuer: issuer.text, client: client, way: way, redirect: redirect?.text,
            idleDays: idle, maximumDays: maximum)
    }

    func signInAddress(_ section: Section, _ key: String, required: Bool, such example: String) -> WebAddress? {
        guard let text = section.string(key, required: required, expected: "a URL such as \"\(example)\"") else { return nil }
        do throws(WebAddress.Fault) {
            let address = try WebAddress(text)
            if address.scheme == "https" || address.isLoopback { return address }
            section.reject(
                key, why: "http:// would send a sign-in in the clear",
                remedy: "Write https://; http:// is taken only to 127.0.0.1 or [::1].")
        } catch {
            section.reject(key, why: error.why, remedy: "Write a URL such as \"\(example)\".", isSecret: text.contains("@"))
        }
        return nil
    }

    private func base(_ section: Section) -> WebAddress? {
        guard let text = section.string("base", required: true, expected: "a URL such as \"https://fhir.example.org/r4\"") else {
            return nil
        }
        let address: WebAddress
        do throws(WebAddress.Fault) {
            address = try WebAddress(text)
        } catch {
            section.reject(
                "base", why: error.why, remedy: "Write a URL such as \"https://fhir.example.org/r4\".",
                isSecret: text.contains("@"))
            return nil
        }
        guard address.scheme == "https" || address.isLoopback else {
            section.reject(
                "base", why: "http:// would send health data in the clear",
                remedy: "Write https://; http:// is taken only to 127.0.0.1 or [::1].")
            return nil
        }
        return address
    }

    private func proxy(_ section: Section) -> String? {
        guard let text = section.string("proxy", expected: "\"http://host:port\"") else { return nil }
        do throws(WebAddress.Fault) {
            let address = try WebAddress(text)
            if address.scheme == "http", address.path.isEmpty { return text }
            section.reject(
                "proxy", why: "no address of a proxy", remedy: "Write \"http://host:port\": TLS goes through it to the receiver.")
        } catch {
            section.reject("proxy", why: error.why, remedy: "Write \"http://host:port\".", isSecret: text.contains("@"))
        }
        return nil
    }

    private func certificate(_ section: Section) -> Configuration.Receiver.ClientCertificate? {
        let certificate = path(section, "certificate_file")
        let key = path(section, "key_file")
        if let certificate {
            present(section, "certificate_file", certificate)
            pem(section, "certificate_file", certificate, "CERTIFICATE")
        }
        if let key {
            secret(section, "key_file", key)
            pem(section, "key_file", key, "PRIVATE KEY")
        }
        switch (certificate, key) {
        case (let certificate?, let key?): return .init(certificateFile: certificate, keyFile: key)
        case (nil, nil): return nil
        case (_?, nil):
            section.reject(
                "certificate_file", why: "its key is missing", remedy: "Add key_file, the PEM file of the private key.")
        case (nil, _?):
            section.reject(
                "key_file", why: "its certificate is missing", remedy: "Add certificate_file, the PEM file of the certificate.")
        }
        return nil
    }

    private func timeouts(_ section: Section) -> Configuration.Receiver.Timeouts {
        let standard = Configuration.Receiver.Timeouts()
        let timeouts = Configuration.Receiver.Timeouts(
            connect: section.integer("connect_seconds", in: 1...300, unit: "(seconds)") ?? standard.connect,
            answer: section.integer("answer_seconds", in: 1...3_600, unit: "(seconds)") ?? standard.answer,
            total: section.integer("total_seconds", in: 1...7_200, unit: "(seconds)") ?? standard.total,
            settle: section.integer("settle_seconds", in: 0...3_600, unit: "(seconds)") ?? standard.settle)
        if timeouts.total < max(timeouts.connect, timeouts.answer) {
            section.reject(
                section.has("total_seconds") ? "total_seconds" : "answer_seconds",
                why: "the whole (\(timeouts.total) s) is shorter than one of its parts",
                remedy: "Choose total_seconds above connect_seconds and answer_seconds.")
        }
        section.finish()
        return timeouts
    }

    private func rounding(_ section: Section) -> Configuration.Receiver.Rounding? {
        let unit = section.string("unit", required: true, expected: "a UCUM code such as \"mm[Hg]\"")
        let converted = section.integer("converted", in: 0...6, unit: "(digits)")
        let sent = section.integer("sent", in: 0...6, unit: "(digits)")
        section.finish()
        guard let unit else { return nil }
        return .init(unit: UCUM(unit), converted: converted, sent: sent)
    }
}
