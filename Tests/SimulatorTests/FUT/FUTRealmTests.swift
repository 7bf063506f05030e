import Crypto
import ExactJSON
import HTTPMessage
import Simulator
import Testing
import Vitals

@Suite("FUT simulator: the realm", .timeLimit(.minutes(1)))
struct FUTRealmTests {
    private static func error(_ outcome: HTTPOutcome) -> String? { outcome.json?["error"]?.string }

    @Test("code with PKCE: state and issuer come back, the tokens are signed with the published key")
    func codeGrant() async throws {
        try await FUTRun.with(FUTRun.settings { _ in }) { run in
            let configuration = await run.get("\(run.endpoints.issuer)/.well-known/openid-configuration").json
            #expect(configuration?["issuer"]?.string == run.endpoints.issuer)
            #expect(configuration?["device_authorization_endpoint"] != nil)
            let answer = await run.authorize()
            #expect(answer.status == 302)
            #expect(answer.address.hasPrefix("\(FUTRun.redirect)?"))
            #expect(answer.fields["state"] == "s1")
            #expect(answer.fields["iss"] == FUTRun.encoded(run.endpoints.issuer).uppercasedEscapes)
            let code = try #require(answer.fields["code"])
            let tokens = try #require(await run.redeem(code).json)
            #expect(tokens["expires_in"]?.integer == 300)
            #expect(tokens["refresh_expires_in"]?.integer == 0)
            let access = try #require(tokens["access_token"]?.string)
            let parts = access.split(separator: ".").map(String.init)
            #expect(parts.count == 3)
            let said = try claims(access)
            #expect(said["user_type"]?.string == "PATIENT")
            #expect(said["user_id"]?.string == "\(run.endpoints.patient)/Patient/1001")
            #expect(said["context"] == nil)
            let key = await run.get("\(run.endpoints.issuer)/protocol/openid-connect/certs").json?["keys"]?[0]
            let point = try #require(bytes("\(key?["x"]?.string ?? "")")) + #require(bytes("\(key?["y"]?.string ?? "")"))
            let raw = try #require(bytes(parts[2]))
            let signature = try P256.Signing.ECDSASignature(rawRepresentation: raw)
            let isRight = try P256.Signing.PublicKey(rawRepresentation: point).isValidSignature(
                signature, for: Array("\(parts[0]).\(parts[1])".utf8))
            #expect(isRight)
            #expect(try claims(tokens["id_token"]?.string)["nonce"]?.string == "n1")
        }
    }

    @Test("what is wrong with a sign-in is refused")
    func codeRefusals() async throws {
        try await FUTRun.with(FUTRun.settings { _ in }) { run in
            // Nothing is sent to an address that is not registered.
            #expect(await run.authorize(["redirect_uri": "http://127.0.0.1:1/elsewhere"]).status == 400)
            #expect(await run.authorize(["redirect_uri": "http://127.0.0.1:1/callback"]).status == 302)
            #expect(await run.authorize(["client_id": "stranger"]).status == 400)
            #expect(await run.authorize(["code_challenge": nil]).fields["error"] == "invalid_request")
            #expect(await run.authorize(["code_challenge_method": "plain"]).fields["error"] == "invalid_request")
            #expect(await run.authorize(["response_type": "token"]).fields["error"] == "unsupported_response_type")

            let other = try #require(await run.authorize().fields["code"])
            let wrong = await run.redeem(other, verifier: String(repeating: "x", count: 50))
            #expect(Self.error(wrong) == "invalid_grant")
            #expect(Self.error(await run.redeem(other, redirect: "http://127.0.0.1:1/callback")) == "invalid_grant")
            let late = try #require(await run.authorize().fields["code"])
            await run.state.advance(by: .seconds(61))
            #expect(Self.error(await run.redeem(late)) == "invalid_grant")

            // A code that comes twice ends what its first use began.
            let code = try #require(await run.authorize().fields["code"])
            let refresh = try #require(await run.redeem(code).json?["refresh_token"]?.string)
            #expect(Self.error(await run.redeem(code)) == "invalid_grant")
            #expect(Self.error(await run.refresh(refresh)) == "invalid_grant")
        }
    }

    @Test("without approval there is a page, and its button signs in")
    func page() async throws {
        try await FUTRun.with { run in
            #expect(await run.authorize().status == 200)
            #expect(await run.authorize(["prompt": "none"]).fields["error"] == "login_required")
            let query =
                "client_id=vitalgate&redirect_uri=\(FUTRun.encoded(FUTRun.redirect))&response_type=code&state=s2&scope=openid"
                + "&code_challenge=\(FUTRun.challenge())&code_challenge_method=S256"
            let answer = await run.form("login-actions/authenticate?\(query)", ["citizen": "bent"])
            #expect(answer.status == 302)
            #expect(answer.header("location")?.contains("state=s2") == true)
            let declined = await run.form("login-actions/authenticate?\(query)", ["citizen": ""])
            #expect(declined.header("location")?.contains("error=access_denied") == true)
        }
    }

    @Test("what comes back can be forged, for tests of whoever asked", arguments: ["state", "iss"])
    func forged(what: String) async throws {
        try await FUTRun.with(FUTRun.settings { _ in }) { run in
            await run.state.set(FUTFaultPlan([FUTFaultRule(.forged(what), path: "/auth", times: 1)]))
            let first = await run.authorize()
            let second = await run.authorize()
            #expect(first.fields[what] != second.fields[what])
            #expect(first.fields["code"] != nil)
        }
    }

    @Test("device grant: pending, too fast, approved; declined; expired; not offered")
    func deviceGrant() async throws {
        try await FUTRun.with { run in
            func begin() async throws -> (device: String, user: String) {
                let answer = await run.form(
                    "protocol/openid-connect/auth/device", ["client_id": "vitalgate", "scope": "openid offline_access"])
                #expect(answer.json?["interval"]?.integer == 5)
                #expect(answer.json?["verification_uri_complete"]?.string?.contains("user_code=") == true)
                return (
                    try #require(answer.json?["device_code"]?.string), try #require(answer.json?["user_code"]?.string)
                )
            }
            func poll(_ code: String) async -> HTTPOutcome {
                await run.form(
                    "protocol/openid-connect/token",
                    [
                        "grant_type": "urn:ietf:params:oauth:grant-type:device_code", "client_id": "vitalgate",
                        "device_code": code,
                    ])
            }
            let first = try await begin()
            #expect(Self.error(await poll(first.device)) == "authorization_pending")
            #expect(Self.error(await poll(first.device)) == "slow_down")
            await run.state.advance(by: .seconds(6))
            // The interval has grown to 10 s.
            #expect(Self.error(await poll(first.device)) == "slow_down")
            await run.state.advance(by: .seconds(20))
            #expect(Self.error(await poll(first.device)) == "authorization_pending")
            #expect(
                await run.control("device", ["user_code": .string(first.user.lowercased()), "citizen": "bent"]).status == 200)
            await run.state.advance(by: .seconds(20))
            #expect(await poll(first.device).json?["refresh_token"]?.string != nil)
            #expect(Self.error(await poll(first.device)) == "invalid_grant")
            #expect(await run.state.sessions().map(\.citizen) == ["bent"])

            let second = try await begin()
            #expect(await run.form("device", ["user_code": second.user]).status == 200)
            #expect(Self.error(await poll(second.device)) == "access_denied")

            let third = try await begin()
            await run.state.advance(by: .seconds(601))
            #expect(Self.error(await poll(third.device)) == "expired_token")

            var settings = await run.state.currentSettings()
            settings.offersDeviceGrant = false
            await run.state.set(settings)
            let refused = await run.form("protocol/openid-connect/auth/device", ["client_id": "vitalgate"])
            #expect(Self.error(refused) == "unauthorized_client")
            let configuration = await run.get("\(run.endpoints.issuer)/.well-known/openid-configuration").json
            #expect(configuration?["device_authorization_endpoint"] == nil)
        }
    }

    @Test("rotation: a used token is refused and ends the session; with reuse of the last it survives one lost answer")
    func rotation() async throws {
        try await FUTRun.with(FUTRun.settings { _ in }) { run in
            let first = try await run.signIn()
            let second = try #require(await run.refresh(first).json?["refresh_token"]?.string)
            #expect(second != first)
            #expect(Self.error(await run.refresh(first)) == "invalid_grant")
            #expect(Self.error(await run.refresh(second)) == "invalid_grant")
        }
        try await FUTRun.with(FUTRun.settings { $0.allowsReuseOfLast = true }) { run in
            let first = try await run.signIn()
            #expect(await run.refresh(first).status == 200)
            let third = try #require(await run.refresh(first).json?["refresh_token"]?.string)
            let fourth = try #require(await run.refresh(third).json?["refresh_token"]?.string)
            #expect(await run.refresh(fourth).status == 200)
            #expect(Self.error(await run.refresh(first)) == "invalid_grant")
        }
        try await FUTRun.with(FUTRun.settings { $0.rotates = false }) { run in
            let first = try await run.signIn()
            for _ in 0..<3 { #expect(await run.refresh(first).status == 200) }
        }
    }

    @Test("an answer that is lost has used the token up all the same")
    func lostAnswer() async throws {
        try await FUTRun.with(FUTRun.settings { _ in }) { run in
            let first = try await run.signIn()
            await run.state.set(FUTFaultPlan([FUTFaultRule(.cut(stored: true), path: "/token", times: 1)]))
            #expect(await run.refresh(first).isUnknown)
            #expect(await run.state.sessions().first?.generation == 2)
            #expect(Self.error(await run.refresh(first)) == "invalid_grant")
        }
    }

    @Test("lifetimes: 30 minutes idle, 30 days with offline_access, access tokens 300 s or as told wrongly")
    func lifetimes() async throws {
        try await FUTRun.with(FUTRun.settings { _ in }) { run in
            let code = try #require(await run.authorize(["scope": "openid"]).fields["code"])
            let short = await run.redeem(code)
            #expect(short.json?["refresh_expires_in"]?.integer == 1_800)
            let refresh = try #require(short.json?["refresh_token"]?.string)
            let offline = try await run.signIn()
            await run.state.advance(by: .seconds(1_801))
            #expect(Self.error(await run.refresh(refresh)) == "invalid_grant")
            let next = try #require(await run.refresh(offline).json?["refresh_token"]?.string)
            await run.state.advance(by: .seconds(30 * 86_400 + 1))
            #expect(Self.error(await run.refresh(next)) == "invalid_grant")

            let token = try await run.token()
            #expect(await run.procedures(token: token).status == 200)
            await run.state.advance(by: .seconds(301))
            let expired = await run.procedures(token: token)
            #expect(expired.status == 401)
            #expect(expired.header("www-authenticate")?.contains("invalid_token") == true)
            await run.state.set(FUTFaultPlan([FUTFaultRule(.tokenLife(told: 300, actual: 0), path: "/token")]))
            #expect(await run.procedures(token: try await run.token()).status == 401)
        }
    }

    @Test("one citizen's lapse is not the other's; revocation ends a session")
    func lapse() async throws {
        try await FUTRun.with(FUTRun.settings { _ in }) { run in
            let anna = try await run.signIn()
            _ = await run.control("settings", ["approves": "bent"])
            let bent = try await run.signIn()
            #expect(await run.control("sessions", ["end": "anna"]).json?["ended"]?.integer == 1)
            #expect(Self.error(await run.refresh(anna)) == "invalid_grant")
            let next = try #require(await run.refresh(bent).json?["refresh_token"]?.string)
            #expect(await run.form("protocol/openid-connect/revoke", ["client_id": "vitalgate", "token": next]).status == 200)
            #expect(Self.error(await run.refresh(next)) == "invalid_grant")
        }
    }

    @Test("the context is a citizen's own or none; a refused one uses nothing up")
    func context() async throws {
        try await FUTRun.with(FUTRun.settings { _ in }) { run in
            let first = try await run.signIn()
            let other = "\(run.endpoints.carePlan)/EpisodeOfCare/2002"
            #expect(Self.error(await run.refresh(first, episode: other)) == "invalid_request")
            #expect(Self.error(await run.refresh(first, patient: "\(run.endpoints.patient)/Patient/1002")) == "invalid_request")
            let own = "\(run.endpoints.carePlan)/EpisodeOfCare/2001"
            let answer = await run.refresh(first, patient: "\(run.endpoints.patient)/Patient/1001", episode: own)
            let token = try #require(answer.json?["access_token"]?.string)
            let said = try claims(token)
            #expect(said["context"]?["episode_of_care_id"]?.string == own)
            let contexts = await run.get("\(run.endpoints.issuer)/resource/ehealth-connect/contexts", token: token)
            #expect(contexts.json?["care_teams"]?[0]?["affiliation"]?["id"]?.string == "9001")
            #expect(await run.get("\(run.endpoints.issuer)/resource/ehealth-connect/contexts").status == 401)
        }
    }
}

/// What a JWT says, unchecked.
func claims(_ token: String?) throws -> JSON {
    let parts = try #require(token).split(separator: ".")
    let payload = try #require(bytes(String(parts[1])))
    return try JSON(parsing: payload)
}

/// Base64url without padding (RFC 4648).
func bytes(_ text: String) -> [UInt8]? {
    let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
    var (pending, count, result) = (UInt32(0), 0, [UInt8]())
    for character in text {
        guard let value = alphabet.firstIndex(of: character) else { return nil }
        pending = pending << 6 | UInt32(value)
        count += 6
        if count >= 8 {
            count -= 8
            result.append(UInt8(truncatingIfNeeded: pending >> UInt32(count)))
        }
    }
    return result
}

extension String {
    /// `%3a` and `%3A` say the same.
    var uppercasedEscapes: String {
        var result = ""
        var left = 0
        for character in self {
            if character == "%" { left = 3 }
            result.append(contentsOf: left > 0 ? character.uppercased() : String(character))
            left = max(0, left - 1)
        }
        return result
    }
}
