import ExactJSON
import HTTPMessage
import Testing
import Trust
import Vitals

@Suite("No secret shows itself")
struct SecretTests {
    /// Printed, interpolated inside something else, and dumped.
    private func shown(_ value: some Any) -> String {
        "\(value)" + String(reflecting: value) + "\([value])" + String(describing: Optional.some(value)) + dumped(value)
            + dumped(["k": value])
    }

    private func expectNoSecret(_ value: some Any, sourceLocation: SourceLocation = #_sourceLocation) {
        let text = shown(value)
        for secret in [planted, patient, episode, token([:])] {
            #expect(!text.contains(secret), "\(type(of: value))", sourceLocation: sourceLocation)
        }
    }

    @Test("In no sign-in, at any step")
    func r8_signIns() throws {
        var course = try AuthorizationCodeFlowTests.Course()
        expectNoSecret(course.flow)
        let state = parameters(course.flow.url.text.drop { $0 != "?" })["state"] ?? "?"
        #expect(!shown(course.flow).contains(state))
        let request = try course.flow.receive(returned: course.returned, at: start)
        let verifier = form(request)["code_verifier"] ?? "?"
        #expect(!shown(course.flow).contains(verifier))
        expectNoSecret(course.flow)
        let signIn = try course.flow.receive(course.model.token(request, at: start), at: start)
        expectNoSecret(signIn)
        expectNoSecret(signIn.tokens)
        expectNoSecret(course.flow)
        expectNoSecret(try EndpointURL("https://a.test/x?code=" + planted))

        var device = try DeviceAuthorizationGrantTests.Course()
        expectNoSecret(device.grant)
        let step = try device.grant.tick(at: start)
        expectNoSecret(step)
        guard case .send(let first) = step else { return }
        let shownStep = try device.grant.receive(device.model.deviceAuthorization(first), at: start)
        expectNoSecret(shownStep)
        if case .show(let invitation) = shownStep { expectNoSecret(invitation) }
        expectNoSecret(device.grant)
    }

    @Test("In no session, record, action or token")
    func r8_session() throws {
        var course = try FUTCourse()
        let signIn = try course.signIn()
        let stored = try course.session.signIn(signIn, at: start)
        expectNoSecret(stored)
        expectNoSecret(course.session)
        course.run(stored)
        expectNoSecret(try #require(course.disk))
        expectNoSecret(try #require(course.disk).content)
        if case .granted(let grant) = course.disk?.content { expectNoSecret(grant) }
        let token = try #require(course.used.first)
        expectNoSecret(token)
        expectNoSecret(FUTSession.Action.use(token))
        expectNoSecret(try FUTClaims(of: token.secret))
        let context = try FUTSessionTests.context()
        expectNoSecret(context)
        let sending = course.need(context)
        expectNoSecret(sending)
        expectNoSecret(course.session)
        guard case .send(let request, let exchange)? = sending.first else { return }
        let securing = course.session.receive(course.model.token(request, at: start), of: exchange, at: start)
        expectNoSecret(securing)
        expectNoSecret(course.session)
        expectNoSecret(FUTSession.Action.contextRefused(context, .server(.other("x"))))
        var settings = try FUTCourse.settings()
        settings.citizen = patient
        expectNoSecret(settings)
    }

    @Test("In no error, whatever a server or a person sends")
    func r8_errors() throws {
        func caught(_ body: () throws -> Void) {
            do {
                try body()
                Issue.record("no error")
            } catch {
                expectNoSecret(error)
            }
        }
        let bodies = [
            planted, "{\"\(planted)\":", "[\"\(planted)\"]", "{\"access_token\":\"\(planted)\\u0000\",\"token_type\":\"Bearer\"}",
            "{\"access_token\":\"\(planted)\",\"token_type\":\"\(planted)\"}", "{\"\(planted)\":1,\"\(planted)\":2}",
        ].map { Array($0.utf8) }
        for body in bodies {
            caught { _ = try TokenResponse(parsing: body) }
            caught { _ = try AuthorizationServer(parsing: body, issuer: issuer) }
            caught { _ = try JWT(parsing: String(decoding: body, as: UTF8.self)) }
            caught { _ = try FUTSession.Record(JSON.string(String(decoding: body, as: UTF8.self))) }
            expectNoSecret(TokenAnswer(HTTPResponse(status: 200, body: body)))
            expectNoSecret(TokenAnswer(HTTPResponse(status: 400, body: body)))
        }
        expectNoSecret(TokenAnswer(HTTPResponse(status: 400, body: Array("{\"error\":\"\(planted)\"}".utf8))))
        let addresses = [
            "http://127.0.0.1:8765/signed-in?error=\(planted)", "http://127.0.0.1:8765/\(planted)?code=\(planted)",
            "\(planted) \(planted)", "http://127.0.0.1:8765/signed-in?state=\(planted)&code=\(planted)",
        ]
        for address in addresses {
            var course = try AuthorizationCodeFlowTests.Course()
            caught { _ = try course.flow.receive(returned: address, at: start) }
        }
        for (name, value) in [("error", planted), ("iss", planted)] {
            var course = try AuthorizationCodeFlowTests.Course()
            let address = name == "error" ? course.altered("code", nil) + "&error=\(value)" : course.altered(name, value)
            caught { _ = try course.flow.receive(returned: address, at: start) }
        }
        var refused = try AuthorizationCodeFlowTests.Course()
        _ = try refused.flow.receive(returned: refused.returned, at: start)
        caught { _ = try refused.flow.receive(refusal("invalid_grant"), at: start) }
    }

    @Test("Every error has a sentence")
    func sentences() {
        let errors: [any CustomStringConvertible] =
            [
                SignInError.notTheRedirect, SignInError.unreadableAddress, SignInError.wrongState, SignInError.otherIssuer,
                SignInError.contradiction, SignInError.codeMissing, SignInError.alreadyAnswered, SignInError.outOfTurn,
                SignInError.expired, SignInError.refused(.accessDenied), SignInError.notSent(.tls), SignInError.outcomeUnknown,
                SignInError.unavailable(status: 503), SignInError.unreadable(.notAnObject), SignInError.idToken(.nonce),
                SignInError.deviceGrantNotOffered, SignInError.verificationAddress(.scheme), FUTSignInError.otherCitizen,
            ]
        let texts = errors.map(\.description)
        #expect(Set(texts).count == texts.count)
        #expect(SignInError.refused(.accessDenied).description.contains("access_denied"))
        #expect(SignInError.refused(.other("x_y")).description.contains("x_y"))
    }
}
