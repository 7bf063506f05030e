import Catalogue
import Destinations
import HTTPMessage
import Trust
import Vitals

extension ConfigurationReader {
    private typealias HelseID = Configuration.Receiver.Norway.HelseID

    /// The keys of receivers of kind `pmd` and `vkp`, which no other may have.
    func norway(_ section: Section, kind: Configuration.Receiver.Kind?) -> Configuration.Receiver.Norway? {
        let isNorwegian = kind == .pmd || kind == .vkp
        let helseID = helseID(section.section("helseid"), kind: kind)
        let pmd = pmd(section)
        let vkp = vkp(section, kind: kind)
        for key in Self.pmdKeys where kind != .pmd && section.has(key) {
            section.reject(key, why: "only a receiver of kind \"pmd\" has it", remedy: "Take it out, or set kind = \"pmd\".")
        }
        for key in ["journals", "author", "service_codes", "searches", "not_reported"] where kind != .vkp && section.has(key) {
            section.reject(key, why: "only a receiver of kind \"vkp\" has it", remedy: "Take it out, or set kind = \"vkp\".")
        }
        for key in ["helseid", "organisation"] where !isNorwegian && section.has(key) {
            section.reject(
                key, why: "only receivers of the kinds \"pmd\" and \"vkp\" have it",
                remedy: "Take it out, or set kind = \"pmd\".")
        }
        guard isNorwegian else { return nil }
        for key in ["token_file", "profile", "order"] where section.has(key) {
            section.reject(
                key, why: "a receiver behind HelseID has none: the hub proves who it is with a key", remedy: "Take it out.")
        }
        if section.has("maximum_acts") {
            section.reject(
                "maximum_acts", why: "each measurement is a request of its own here", remedy: "Take it out.")
        }
        if !section.has("helseid") {
            section.reject(
                "kind", why: "it takes nothing without a token of HelseID, and [receiver.helseid] is missing",
                remedy: "Add [receiver.helseid] with issuer, client and scopes, as in config/vitalgate.example.toml.")
        }
        guard let helseID else { return nil }
        return .init(helseID: helseID, service: kind == .pmd ? .pmd(pmd) : .vkp(vkp))
    }

    // MARK: HelseID

    private func helseID(_ section: Section, kind: Configuration.Receiver.Kind?) -> HelseID? {
        let isNorwegian = kind == .pmd || kind == .vkp
        let issuer = signInAddress(section, "issuer", required: isNorwegian, such: "https://helseid-sts.nhn.no")
        let client = section.string("client", required: isNorwegian, expected: "the client id from NHN's self-service")
        let scopes = section.strings("scopes", expected: "HelseID scopes such as \"nhn:vkp/api/user/bundle.write\"") ?? []
        let algorithm =
            section.string("algorithm", expected: "one of ES256, ES384, ES512, PS256, PS384, PS512")
            .flatMap { text -> SignatureAlgorithm? in
                if let known = SignatureAlgorithm(rawValue: text) { return known }
                section.reject(
                    "algorithm", why: "HelseID takes no such algorithm",
                    remedy: "Write one of \(SignatureAlgorithm.allCases.map { "\"\($0.rawValue)\"" }.joined(separator: ", ")).")
                return nil
            } ?? .ps256
        // VKP's published sample still sends bearer tokens.
        let token: HelseID.TokenType = section.word("token") ?? (kind == .vkp ? .bearer : .dpop)
        let parent = organisationNumber(section, "parent_organisation")
        let child = organisationNumber(section, "child_organisation")
        // NHN's library sends 10 s; HelseID refuses more than 60 s.
        let seconds = section.integer("assertion_seconds", in: 5...60, unit: "(seconds)") ?? 10
        let key = path(section, "key_file")
        if let key { secret(section, "key_file", key) }
        let authority = path(section, "ca_file")
        if let authority {
            present(section, "ca_file", authority)
            pem(section, "ca_file", authority, "CERTIFICATE")
        }
        // A VKP client is one system instance of one municipality, by NHN's rules.
        let holder: HelseID.Holder = section.word("key_holder") ?? (kind == .vkp ? .municipality : .hub)
        let isAllowed = section.boolean("allow_on_home_hub") ?? false
        section.finish()
        if isNorwegian, section.has("issuer") || section.has("client"), scopes.isEmpty {
            section.reject(
                "scopes", why: "a token without a scope opens nothing",
                remedy: "Write the scopes that NHN gave the client, such as [\"nhn:vkp/api/user/bundle.write\"].")
        }
        if kind == .pmd, token == .bearer {
            section.reject("token", why: "PMD takes only tokens that are bound to a key", remedy: "Write \"dpop\".")
        }
        let organisation: HelseIDOrganisation =
            if let parent { .multiTenant(parent: parent, child: child) } else if let child { .singleTenant(child: child) } else {
                .ofClient
            }
        protect(section, holder: holder, speaksForMany: parent != nil, isAllowed: isAllowed)
        guard let issuer, let client, !scopes.isEmpty else { return nil }
        return HelseID(
            issuer: issuer.text, client: client, scopes: scopes, algorithm: algorithm, organisation: organisation, token: token,
            assertionSeconds: seconds, keyFile: key, holder: holder,
            caFile: authority)
    }

    /// A key that speaks for more than this hub's patients does not belong where it can be carried away.
    private func protect(_ section: Section, holder: HelseID.Holder, speaksForMany: Bool, isAllowed: Bool) {
        let why: String? =
            switch holder {
            case .municipality: "the key speaks for every patient of a municipality, and a home hub can be carried away"
            case .organisation: "the key speaks for an organisation, and a home hub can be carried away"
            case .hub:
                speaksForMany ? "a client that names its parent organisation each time is no home hub's own" : nil
            }
        let key = section.has("key_holder") ? "key_holder" : speaksForMany && holder == .hub ? "parent_organisation" : "client"
        // An organisation's own service is where such a key belongs.
        if isRelay { return }
        switch (why, isAllowed) {
        case (let why?, false):
            section.reject(
                key, why: why,
                remedy:
                    "Let the organisation's own service hold it; or write allow_on_home_hub = true, if whoever answers for the "
                    + "key has decided so.")
        case (let why?, true):
            section.warn(
                "allow_on_home_hub", why: why, remedy: "Keep it only where whoever answers for the key has decided so.")
        case (nil, true):
            section.warn("allow_on_home_hub", why: "the key is the hub's own, and needs no leave", remedy: "Take it out.")
        case (nil, false): break
        }
    }

    private func organisationNumber(_ section: Section, _ key: String) -> NorwegianOrganisationNumber? {
        guard let text = section.string(key, expected: "an organisation number of nine digits") else { return nil }
        do throws(NorwegianNumberError) {
            return try NorwegianOrganisationNumber(text)
        } catch {
            section.reject(
                key, why: "it is no organisation number", remedy: "Write the nine digits of the register of legal entities.")
            return nil
        }
    }

    // MARK: PMD

    private static let pmdKeys = [
        "municipality", "organisation_name", "bundle", "method", "profiles", "hospital_profiles", "status", "person_header",
    ]

    private func pmd(_ section: Section) -> PMDSettings {
        let standard = PMDSettings()
        var municipality = section.string("municipality", expected: "a municipality number of four digits")
        if let text = municipality, !PMDSettings.isMunicipality(text) {
            section.reject(
                "municipality", why: "it is no municipality number", remedy: "Write four digits in quotes, such as \"0301\".")
            municipality = nil
        }
        let organisation = organisationNumber(section, "organisation")
        let name = section.string("organisation_name", expected: "the organisation's name")
        if name != nil, organisation == nil {
            section.reject(
                "organisation_name", why: "its number is missing", remedy: "Add organisation, the nine digits of the register.")
        }
        return PMDSettings(
            form: section.word("bundle") ?? standard.form, method: section.word("method") ?? standard.method,
            family: section.word("profiles") ?? standard.family,
            claimsNoDomain: section.boolean("hospital_profiles") ?? standard.claimsNoDomain,
            performer: organisation.map { .organisation($0, name: name) } ?? .none,
            status: section.word("status") ?? standard.status, municipality: municipality,
            sendsPersonHeader: section.boolean("person_header") ?? standard.sendsPersonHeader)
    }

    // MARK: VKP

    /// `nil`: switched off, or not complete.
    private func vkp(_ section: Section, kind: Configuration.Receiver.Kind?) -> VKPSettings? {
        let isVKP = kind == .vkp
        let isOn = section.boolean("journals") ?? false
        let codes = section.string("service_codes", expected: "VKP service codes such as \"dho\"") ?? "dho"
        let searches = section.boolean("searches") ?? false
        let saysNotReported = section.boolean("not_reported") ?? false
        let organisation = organisationNumber(section, "organisation")
        let author = author(section.section("author"), required: isVKP)
        guard isVKP else { return nil }
        if organisation == nil, !section.has("organisation") {
            section.reject(
                "kind", why: "VKP has an address for each municipality, and organisation is missing",
                remedy: "Add organisation, the municipality's organisation number.")
        }
        if !section.has("author") {
            section.reject(
                "kind", why: "VKP journals in somebody's name, and [receiver.author] is missing",
                remedy: "Add [receiver.author] with number and name of who answers for what is journaled.")
        }
        guard isOn else {
            section.warn(
                section.has("journals") ? "journals" : "kind", why: "journaling is switched off, so nothing is sent to VKP",
                remedy: "Write journals = true once the municipality has agreed to it, or leave the receiver out.")
            return nil
        }
        guard let organisation, let author else { return nil }
        return VKPSettings(
            organisation: organisation, author: author, serviceCodes: codes, searches: searches, saysNotReported: saysNotReported)
    }

    private func author(_ section: Section, required: Bool) -> VKPSettings.Author? {
        let number = section.string("number", required: required, expected: "the number of who answers for what is journaled")
        let name = section.string("name", required: required, expected: "the name of who answers for what is journaled")
        let system = section.string("system", expected: "the identifier system of the number") ?? VKPSettings.Author.hpr
        section.finish()
        guard let number, let name else { return nil }
        return .init(system: system, value: number, name: name)
    }
}
