import ExactJSON
import Vitals

/// What an access token is narrowed to, as full FHIR URLs.
struct FUTContext: Hashable {
    var organization: String?
    var careTeam: String?
    var patient: String?
    var episode: String?

    var isEmpty: Bool { self == FUTContext() }

    var json: JSON {
        .members([
            "organization_id": organization.map { .string($0) }, "care_team_id": careTeam.map { .string($0) },
            "patient_id": patient.map { .string($0) }, "episode_of_care_id": episode.map { .string($0) },
        ])
    }
}

/// Keycloak's realm `nemlogin`, without MitID: who is signed in, and with which tokens.
///
/// The error texts are Keycloak's as far as remembered. Tokens are ES256 here; Keycloak's default is RS256.
struct FUTRealm {
    struct Session {
        var citizen: String
        var client: String
        var scope: [String]
        var nonce: String?
        var started: Instant
        var used: Instant
        var isEnded = false
        /// Of the newest refresh token, and of the newest that was used.
        var generation = 0
        var usedGeneration = 0

        var isOffline: Bool { scope.contains("offline_access") }
    }

    struct RefreshToken {
        var session: String
        var generation: Int
        var uses = 0
    }

    struct AccessToken {
        var citizen: String
        var context: FUTContext
        var scope: [String]
        var expires: Instant
    }

    struct Code {
        var citizen: String
        var client: String
        var redirect: String
        var challenge: String
        var scope: [String]
        var nonce: String?
        var expires: Instant
        /// Set when it was used: a second use ends what the first began (RFC 6749, section 4.1.2).
        var session: String?
    }

    struct DeviceCode {
        enum Decision { case pending, approved(String), denied }
        var client: String
        var scope: [String]
        var challenge: String?
        var userCode: String
        var expires: Instant
        var interval: Int
        var polled: Instant?
        var decision = Decision.pending
    }

    /// What one request's handling may look at.
    struct Setting {
        var settings: FUTSettings
        var world: FUTWorld
        var endpoints: FUTEndpoints
        var now: Instant
        var fault: FUTFault?
    }

    let signer = FUTSigner()
    private(set) var sessions: [String: Session] = [:]
    private var refreshTokens: [String: RefreshToken] = [:]
    private var accessTokens: [String: AccessToken] = [:]
    private var codes: [String: Code] = [:]
    private(set) var deviceCodes: [String: DeviceCode] = [:]
    /// How often a refresh token came whose follower had been used already: its holder had lost that one.
    private(set) var staleTokens = 0
    /// For the ledger: what the token endpoint last granted.
    private(set) var granted: (grant: String, citizen: String, generation: Int)?

    /// The token's record, `nil` where it was never issued or is over. The services look at nothing else: a session's end shows only at
    /// the next refresh.
    func accessToken(_ text: String, at now: Instant) -> AccessToken? {
        accessTokens[text].flatMap { $0.expires > now ? $0 : nil }
    }

    /// A person or the realm ends a citizen's sessions. Returns how many.
    mutating func end(sessionsOf citizen: String) -> Int {
        let open = sessions.filter { $0.value.citizen == citizen && !$0.value.isEnded }.keys
        for key in open { sessions[key]?.isEnded = true }
        return open.count
    }

    /// Returns whether there was such a code, still undecided.
    mutating func decide(userCode: String, _ decision: DeviceCode.Decision) -> Bool {
        let wanted = userCode.uppercased().filter { $0 != "-" }
        guard let key = deviceCodes.first(where: { $0.value.userCode.filter { $0 != "-" } == wanted })?.key,
            case .pending = deviceCodes[key]?.decision
        else { return false }
        deviceCodes[key]?.decision = decision
        return true
    }

    mutating func takeGranted() -> (grant: String, citizen: String, generation: Int)? {
        defer { granted = nil }
        return granted
    }

    // MARK: Codes

    mutating func newCode(_ code: Code) -> String {
        let text = "\(randomName(16)).\(randomName(16))"
        codes[text] = code
        return text
    }

    mutating func newDeviceCode(_ code: DeviceCode) -> String {
        let text = randomName(32)
        deviceCodes[text] = code
        return text
    }

    // MARK: The token endpoint

    mutating func token(_ form: FUTForm, _ setting: Setting) -> FUTAnswer {
        granted = nil
        guard let client = form["client_id"], setting.settings.clients.contains(client) else {
            return .oauth("invalid_client", "Invalid client or Invalid client credentials", status: 401)
        }
        switch form["grant_type"] {
        case "authorization_code": return redeem(form, client, setting)
        case "refresh_token": return refresh(form, client, setting)
        case "urn:ietf:params:oauth:grant-type:device_code": return poll(form, client, setting)
        case nil: return .oauth("invalid_request", "Missing form parameter: grant_type")
        default: return .oauth("unsupported_grant_type", "Unsupported grant_type")
        }
    }

    private mutating func redeem(_ form: FUTForm, _ client: String, _ setting: Setting) -> FUTAnswer {
        guard let text = form["code"] else { return .oauth("invalid_request", "Missing parameter: code") }
        guard let code = codes[text] else { return .oauth("invalid_grant", "Code not valid") }
        if let session = code.session {
            sessions[session]?.isEnded = true
            return .oauth("invalid_grant", "Code not valid")
        }
        guard code.expires > setting.now else { return .oauth("invalid_grant", "Code is expired") }
        guard code.client == client else { return .oauth("invalid_grant", "Auth error: the code was given to another client") }
        guard code.redirect == form["redirect_uri"] else { return .oauth("invalid_grant", "Incorrect redirect_uri") }
        guard let verifier = form["code_verifier"] else {
            return .oauth("invalid_grant", "PKCE code verifier not specified")
        }
        guard Self.isVerifier(verifier), challenge(ofVerifier: verifier) == code.challenge else {
            return .oauth("invalid_grant", "PKCE verification failed: Code mismatch")
        }
        let session = begin(code.citizen, client, code.scope, nonce: code.nonce, setting)
        codes[text]?.session = session
        return issue(session, FUTContext(), "authorization_code", setting)
    }

    /// RFC 7636, section 4.1: 43 to 128 unreserved characters.
    private static func isVerifier(_ text: String) -> Bool {
        (43...128).contains(text.utf8.count) && percentEncoded(text) == text
    }

    private mutating func refresh(_ form: FUTForm, _ client: String, _ setting: Setting) -> FUTAnswer {
        guard let text = form["refresh_token"] else { return .oauth("invalid_request", "No refresh token") }
        guard let token = refreshTokens[text], var session = sessions[token.session] else {
            return .oauth("invalid_grant", "Invalid refresh token")
        }
        guard session.client == client else {
            return .oauth("invalid_grant", "Invalid refresh token. Token client and authorized client don't match")
        }
        guard !session.isEnded else {
            return .oauth("invalid_grant", session.isOffline ? "Offline user session not found" : "Session not active")
        }
        let idle = session.isOffline ? setting.settings.offlineIdle : setting.settings.refreshIdle
        guard setting.now < session.used + .seconds(idle),
            !session.isOffline || setting.now < session.started + .seconds(setting.settings.offlineLife)
        else { return .oauth("invalid_grant", session.isOffline ? "Offline session not active" : "Token is not active") }

        let context: FUTContext
        switch self.context(form, session.citizen, setting) {
        case .success(let allowed): context = allowed
        case .failure(let refusal): return .oauth("invalid_request", refusal.text)
        }
        if setting.settings.rotates {
            let allowed = setting.settings.allowsReuseOfLast ? 2 : 1
            guard token.uses < allowed, token.generation >= session.usedGeneration else {
                if token.generation < session.usedGeneration { staleTokens += 1 }
                if setting.settings.reuseEndsSession { sessions[token.session]?.isEnded = true }
                return .oauth(
                    "invalid_grant",
                    token.generation < session.usedGeneration ? "Stale token" : "Maximum allowed refresh token reuse exceeded")
            }
        }
        refreshTokens[text]?.uses += 1
        session.used = setting.now
        session.usedGeneration = max(session.usedGeneration, token.generation)
        sessions[token.session] = session
        return issue(token.session, context, "refresh_token", setting)
    }

    private struct Refusal: Error { var text: String }

    /// The parameters that standard libraries do not send; each only where it is set. A citizen may name himself, an active episode
    /// of his own, and who treats him in it.
    private func context(_ form: FUTForm, _ name: String, _ setting: Setting) -> Result<FUTContext, Refusal> {
        let context = FUTContext(
            organization: form["organization_id"], careTeam: form["care_team_id"], patient: form["patient_id"],
            episode: form["episode_of_care_id"])
        guard let citizen = setting.world.citizen(named: name) else { return .failure(Refusal(text: "no such user")) }
        let endpoints = setting.endpoints
        if let patient = context.patient, patient != "\(endpoints.patient)/Patient/\(citizen.patient)" {
            return .failure(Refusal(text: "patient_id is not allowed as context"))
        }
        let active = citizen.episodes.filter { $0.status == "active" }
        if let episode = context.episode,
            !active.contains(where: { "\(endpoints.carePlan)/EpisodeOfCare/\($0.id)" == episode })
        {
            return .failure(Refusal(text: "episode_of_care_id is not allowed as context"))
        }
        if let organization = context.organization,
            !active.contains(where: { "\(endpoints.organization)/Organization/\($0.organization)" == organization })
        {
            return .failure(Refusal(text: "organization_id is not allowed as context"))
        }
        if let careTeam = context.careTeam,
            !active.contains(where: { "\(endpoints.organization)/CareTeam/\($0.careTeam)" == careTeam })
        {
            return .failure(Refusal(text: "care_team_id is not allowed as context"))
        }
        return .success(context)
    }

    private mutating func poll(_ form: FUTForm, _ client: String, _ setting: Setting) -> FUTAnswer {
        guard setting.settings.offersDeviceGrant else {
            return .oauth("unauthorized_client", "Client is not allowed to initiate OAuth 2.0 Device Authorization Grant.")
        }
        guard let text = form["device_code"] else { return .oauth("invalid_request", "Missing parameter: device_code") }
        guard var code = deviceCodes[text], code.client == client else {
            return .oauth("invalid_grant", "Device code not valid")
        }
        let early = code.polled.map { setting.now < $0 + .seconds(code.interval) } ?? false
        code.polled = setting.now
        // RFC 8628, section 3.5: the interval grows by 5 s for this and all later requests.
        if early { code.interval += 5 }
        deviceCodes[text] = code
        guard code.expires > setting.now else { return .oauth("expired_token", "Device code is expired") }
        if early { return .oauth("slow_down", "Slow down") }
        switch code.decision {
        case .pending: return .oauth("authorization_pending", "The authorization request is still pending")
        case .denied: return .oauth("access_denied", "The end user denied the authorization request")
        case .approved(let citizen):
            if let expected = code.challenge {
                guard let verifier = form["code_verifier"], Self.isVerifier(verifier), challenge(ofVerifier: verifier) == expected
                else {
                    return .oauth("invalid_grant", "PKCE verification failed: Code mismatch")
                }
            }
            deviceCodes[text] = nil
            let session = begin(citizen, client, code.scope, nonce: nil, setting)
            return issue(session, FUTContext(), "device_code", setting)
        }
    }

    private mutating func begin(
        _ citizen: String, _ client: String, _ scope: [String], nonce: String?, _ setting: Setting
    ) -> String {
        let id = randomName(16)
        sessions[id] = Session(
            citizen: citizen, client: client, scope: scope, nonce: nonce, started: setting.now, used: setting.now)
        return id
    }

    private mutating func issue(_ id: String, _ context: FUTContext, _ grant: String, _ setting: Setting) -> FUTAnswer {
        guard var session = sessions[id], let citizen = setting.world.citizen(named: session.citizen) else {
            return .oauth("invalid_grant", "User not found")
        }
        session.generation += 1
        sessions[id] = session
        var told = setting.settings.accessLife
        var actual = told
        if case .tokenLife(let said, let meant) = setting.fault { (told, actual) = (said, meant) }
        let access = signer.sign(accessClaims(session, id, citizen, context, life: told, setting))
        accessTokens[access] = AccessToken(
            citizen: session.citizen, context: context, scope: session.scope, expires: setting.now + .seconds(actual))
        let refresh = randomName(96)
        refreshTokens[refresh] = RefreshToken(session: id, generation: session.generation)
        granted = (grant, session.citizen, session.generation)
        let isOpenID = session.scope.contains("openid")
        return FUTAnswer(
            status: 200, headers: [("cache-control", "no-store"), ("pragma", "no-cache")],
            body: .json(
                .members([
                    "access_token": .string(access), "expires_in": .integer(told),
                    // Keycloak says 0 of offline tokens.
                    "refresh_expires_in": .integer(session.isOffline ? 0 : setting.settings.refreshIdle),
                    "refresh_token": .string(refresh), "token_type": "Bearer",
                    "id_token": isOpenID
                        ? .string(signer.sign(identityClaims(session, id, citizen, life: told, setting))) : JSON?.none,
                    "not-before-policy": 0, "session_state": .string(id), "scope": .string(session.scope.joined(separator: " ")),
                ])))
    }

    private func accessClaims(
        _ session: Session, _ id: String, _ citizen: FUTCitizen, _ context: FUTContext, life: Int, _ setting: Setting
    ) -> JSON {
        let second = setting.now.milliseconds / 1_000
        return .members([
            "exp": .integer(second + Int64(life)), "iat": .integer(second),
            "auth_time": .integer(session.started.milliseconds / 1_000),
            "jti": .string(randomName(16)), "iss": .string(setting.endpoints.issuer), "aud": "account",
            "sub": .string("f:citizen:\(citizen.name)"), "typ": "Bearer", "azp": .string(session.client), "sid": .string(id),
            "realm_access": ["roles": .array(citizen.roles.sorted().map { .string($0) })],
            "scope": .string(session.scope.joined(separator: " ")), "user_type": .string(citizen.userType),
            "user_id": .string("\(setting.endpoints.patient)/Patient/\(citizen.patient)"),
            "context": context.isEmpty ? JSON?.none : context.json,
        ])
    }

    private func identityClaims(_ session: Session, _ id: String, _ citizen: FUTCitizen, life: Int, _ setting: Setting) -> JSON {
        let second = setting.now.milliseconds / 1_000
        let isForged = setting.fault == .forged("nonce")
        return .members([
            "exp": .integer(second + Int64(life)), "iat": .integer(second),
            "auth_time": .integer(session.started.milliseconds / 1_000),
            "jti": .string(randomName(16)), "iss": .string(setting.endpoints.issuer), "aud": .string(session.client),
            "sub": .string("f:citizen:\(citizen.name)"), "typ": "ID", "azp": .string(session.client),
            "nonce": session.nonce.map { .string(isForged ? "forged" : $0) }, "sid": .string(id),
            "user_type": .string(citizen.userType),
            "user_id": .string("\(setting.endpoints.patient)/Patient/\(citizen.patient)"),
        ])
    }

    /// RFC 7009: a refresh token ends its session, an access token itself; anything else is no error.
    mutating func revoke(_ token: String) {
        if let refresh = refreshTokens[token] { sessions[refresh.session]?.isEnded = true }
        accessTokens[token] = nil
    }
}
