import ExactJSON
import Vitals

/// The realm's addresses but the token endpoint's grants: discovery, sign-in, device sign-in, contexts.
extension FUTRealm {
    /// - Parameter steps: the path below `/auth/realms/nemlogin`.
    mutating func answer(_ call: FUTCall, _ steps: [String], _ setting: Setting) -> FUTAnswer {
        let place = steps.joined(separator: "/")
        if call.method == "POST", call.contentType != "application/x-www-form-urlencoded" {
            return .oauth("unsupported_media_type", "this needs application/x-www-form-urlencoded", status: 415)
        }
        let form = FUTForm(call.method == "POST" ? call.text : call.query)
        switch (call.method, place) {
        case ("GET", ".well-known/openid-configuration"):
            return FUTAnswer(status: 200, body: .json(Self.configuration(setting)))
        case ("GET", "protocol/openid-connect/certs"): return FUTAnswer(status: 200, body: .json(signer.keySet))
        case ("GET", "protocol/openid-connect/auth"): return authorize(form, citizen: setting.settings.approves, setting)
        case ("POST", "login-actions/authenticate"):
            return authorize(FUTForm(call.query), citizen: form["citizen"] ?? "", setting)
        case ("POST", "protocol/openid-connect/token"): return token(form, setting)
        case ("POST", "protocol/openid-connect/auth/device"): return beginDevice(form, setting)
        case ("GET", "device"): return Self.devicePage(form["user_code"] ?? "", setting)
        case ("POST", "device"): return decideOnPage(form, setting)
        case ("POST", "protocol/openid-connect/revoke"):
            revoke(form["token"] ?? "")
            return FUTAnswer(status: 200)
        case ("GET", "resource/ehealth-connect/contexts"): return contexts(call, setting)
        default: return .oauth("not_found", "Unable to find matching target resource method", status: 404)
        }
    }

    /// OpenID Connect Discovery 1.0, section 3; RFC 8414; RFC 8628, section 4.
    private static func configuration(_ setting: Setting) -> JSON {
        let base = "\(setting.endpoints.issuer)/protocol/openid-connect"
        let grants: [JSON] = ["authorization_code", "refresh_token"]
        return .members([
            "issuer": .string(setting.endpoints.issuer), "authorization_endpoint": .string("\(base)/auth"),
            "token_endpoint": .string("\(base)/token"), "jwks_uri": .string("\(base)/certs"),
            "revocation_endpoint": .string("\(base)/revoke"),
            "device_authorization_endpoint": setting.settings.offersDeviceGrant ? .string("\(base)/auth/device") : JSON?.none,
            "grant_types_supported": .array(
                grants + (setting.settings.offersDeviceGrant ? ["urn:ietf:params:oauth:grant-type:device_code"] : [])),
            "response_types_supported": ["code"], "response_modes_supported": ["query"], "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["ES256"],
            "scopes_supported": ["openid", "profile", "offline_access"],
            "token_endpoint_auth_methods_supported": ["none"], "code_challenge_methods_supported": ["S256"],
            "authorization_response_iss_parameter_supported": .bool(setting.settings.tellsIssuer),
        ])
    }

    // MARK: Authorization code

    /// RFC 6749, section 4.1, with PKCE (RFC 7636), which the realm demands.
    private mutating func authorize(_ form: FUTForm, citizen name: String?, _ setting: Setting) -> FUTAnswer {
        guard let client = form["client_id"], setting.settings.clients.contains(client) else {
            return .page("We are sorry...", "<p>Client not found.</p>", status: 400)
        }
        // To an address that is not registered nothing is sent, an error neither.
        guard let redirect = form["redirect_uri"], Self.isRegistered(redirect, setting.settings.redirects) else {
            return .page("We are sorry...", "<p>Invalid parameter: redirect_uri</p>", status: 400)
        }
        func back(_ fields: [(String, String?)]) -> FUTAnswer {
            var fields = fields
            let state = form["state"].map { setting.fault == .forged("state") ? "forged" : $0 }
            let issuer =
                setting.fault == .forged("iss") ? "https://elsewhere.example/auth/realms/nemlogin" : setting.endpoints.issuer
            fields += [("state", state), ("iss", setting.settings.tellsIssuer ? issuer : nil)]
            let query = fields.compactMap { name, value in value.map { "\(name)=\(percentEncoded($0))" } }.joined(separator: "&")
            return .redirect("\(redirect)\(redirect.contains("?") ? "&" : "?")\(query)")
        }
        guard form["response_type"] == "code" else {
            return back([("error", "unsupported_response_type"), ("error_description", "only code is offered")])
        }
        guard form["code_challenge_method"] == "S256", let challenge = form["code_challenge"], challenge.utf8.count == 43 else {
            return back([("error", "invalid_request"), ("error_description", "Missing parameter: code_challenge_method")])
        }
        guard let name else {
            if form["prompt"] == "none" { return back([("error", "login_required")]) }
            return Self.signInPage(form, setting)
        }
        guard let citizen = setting.world.citizen(named: name) else {
            return back([("error", "access_denied"), ("error_description", "the sign-in was declined")])
        }
        let code = newCode(
            Code(
                citizen: citizen.name, client: client, redirect: redirect, challenge: challenge, scope: Self.scope(form),
                nonce: form["nonce"], expires: setting.now + .seconds(60)))
        return back([("session_state", randomName(16)), ("code", code)])
    }

    static func scope(_ form: FUTForm) -> [String] { (form["scope"] ?? "").split(separator: " ").map(String.init) }

    /// Exactly, but for the port of a loopback address.
    static func isRegistered(_ redirect: String, _ registered: [String]) -> Bool {
        registered.contains(redirect) || registered.contains(withoutLoopbackPort(redirect))
    }

    private static func withoutLoopbackPort(_ address: String) -> String {
        for host in ["http://127.0.0.1", "http://[::1]"] where address.hasPrefix("\(host):") {
            let rest = address.dropFirst(host.count + 1)
            let port = rest.prefix { ("0"..."9").contains($0) }
            return "\(host)\(rest.dropFirst(port.count))"
        }
        return address
    }

    /// What MitID would be: a button for each citizen.
    private static func signInPage(_ form: FUTForm, _ setting: Setting) -> FUTAnswer {
        let query = form.fields.map { "\(percentEncoded($0.name))=\(percentEncoded($0.value))" }.joined(separator: "&")
        let action = "\(setting.endpoints.issuer)/login-actions/authenticate?\(query)"
        return .page(
            "Sign in (simulated)", "<form method=\"post\" action=\"\(FUTNarrative.escaped(action))\">\(buttons(setting))</form>")
    }

    private static func buttons(_ setting: Setting) -> String {
        setting.world.citizens.map { citizen in
            let name = FUTNarrative.escaped(citizen.name)
            return "<button name=\"citizen\" value=\"\(name)\">\(name)</button>"
        }.joined() + "<button name=\"citizen\" value=\"\">Decline</button>"
    }

    // MARK: Device authorization

    /// RFC 8628, section 3.1 and 3.2.
    private mutating func beginDevice(_ form: FUTForm, _ setting: Setting) -> FUTAnswer {
        guard let client = form["client_id"], setting.settings.clients.contains(client) else {
            return .oauth("invalid_client", "Invalid client or Invalid client credentials", status: 401)
        }
        guard setting.settings.offersDeviceGrant else {
            return .oauth("unauthorized_client", "Client is not allowed to initiate OAuth 2.0 Device Authorization Grant.")
        }
        if form["code_challenge"] != nil, form["code_challenge_method"] != "S256" {
            return .oauth("invalid_request", "Invalid parameter: code_challenge_method")
        }
        // Letters that no word is made of (RFC 8628, section 6.1).
        let letters = Array("BCDFGHJKLMNPQRSTVWXZ")
        let name = String((0..<8).map { _ in letters[Int.random(in: letters.indices)] })
        let userCode = "\(name.prefix(4))-\(name.suffix(4))"
        let decision: DeviceCode.Decision =
            setting.settings.approves.flatMap { setting.world.citizen(named: $0) }.map { .approved($0.name) } ?? .pending
        let code = newDeviceCode(
            DeviceCode(
                client: client, scope: Self.scope(form), challenge: form["code_challenge"], userCode: userCode,
                expires: setting.now + .seconds(setting.settings.deviceLife), interval: setting.settings.deviceInterval,
                decision: decision))
        let page = "\(setting.endpoints.issuer)/device"
        return FUTAnswer(
            status: 200, headers: [("cache-control", "no-store")],
            body: .json([
                "device_code": .string(code), "user_code": .string(userCode), "verification_uri": .string(page),
                "verification_uri_complete": .string("\(page)?user_code=\(userCode)"),
                "expires_in": .integer(setting.settings.deviceLife), "interval": .integer(setting.settings.deviceInterval),
            ]))
    }

    private static func devicePage(_ userCode: String, _ setting: Setting) -> FUTAnswer {
        .page(
            "Device sign-in (simulated)",
            "<form method=\"post\"><input name=\"user_code\" value=\"\(FUTNarrative.escaped(userCode))\">\(buttons(setting))</form>"
        )
    }

    private mutating func decideOnPage(_ form: FUTForm, _ setting: Setting) -> FUTAnswer {
        let citizen = form["citizen"].flatMap { setting.world.citizen(named: $0) }
        guard let userCode = form["user_code"], decide(userCode: userCode, citizen.map { .approved($0.name) } ?? .denied) else {
            return .page("Device sign-in (simulated)", "<p>Invalid code, please try again.</p>", status: 400)
        }
        return .page("Device sign-in (simulated)", citizen == nil ? "<p>Declined.</p>" : "<p>Device login successful.</p>")
    }

    // MARK: Contexts

    /// `care_teams`, `organizations` and `warning_details` are what FUT's reference client reads of the answer; ids are bare.
    private func contexts(_ call: FUTCall, _ setting: Setting) -> FUTAnswer {
        guard let token = call.bearer.flatMap({ accessToken($0, at: setting.now) }),
            let citizen = setting.world.citizen(named: token.citizen)
        else { return .oauth("invalid_token", "Token verification failed", status: 401) }
        var teams: [JSON] = []
        var organizations: [JSON] = []
        for episode in citizen.episodes where episode.status == "active" {
            let organization: JSON = [
                "id": .string(episode.organization), "name": .string("Simulated organization \(episode.organization)"),
                "roles": [],
            ]
            let team: JSON = [
                "id": .string(episode.careTeam), "name": .string("Simulated care team \(episode.careTeam)"),
                "affiliation": organization, "roles": [], "programs": [],
            ]
            if !organizations.contains(organization) { organizations.append(organization) }
            if !teams.contains(team) { teams.append(team) }
        }
        return FUTAnswer(
            status: 200,
            body: .json(["care_teams": .array(teams), "organizations": .array(organizations), "warning_details": []]))
    }
}
