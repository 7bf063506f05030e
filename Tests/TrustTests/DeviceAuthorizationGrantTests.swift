import ExactJSON
import HTTPMessage
import Testing
import Trust
import Vitals

@Suite("Sign-in by device code")
struct DeviceAuthorizationGrantTests {
    struct Course {
        var model = ModelServer()
        var grant: DeviceAuthorizationGrant
        var now = start

        init() throws {
            var generator = SeededGenerator(seed: 1)
            grant = try DeviceAuthorizationGrant(server: try server(), client: client, using: &generator)
        }

        mutating func request() throws -> HTTPRequest {
            guard case .send(let request) = try grant.tick(at: now) else { throw SignInError.outOfTurn }
            return request
        }

        /// Up to the code shown.
        mutating func begin(interval: Int? = nil) throws -> DeviceAuthorizationGrant.Invitation {
            let outcome = model.deviceAuthorization(try request(), interval: interval)
            guard case .show(let invitation) = try grant.receive(outcome, at: now) else { throw SignInError.outOfTurn }
            return invitation
        }

        /// Waits for the interval, which must be this long, and asks.
        mutating func poll(after expected: Duration) throws -> HTTPRequest {
            guard case .wait(let until) = try grant.tick(at: now + expected - .milliseconds(1)) else {
                throw SignInError.outOfTurn
            }
            now = now + expected
            #expect(until == now)
            return try request()
        }
    }

    @Test("Code shown, pending, slower, signed in")
    func course() throws {
        var course = try Course()
        let first = try course.request()
        #expect(first.url == issuer + "/protocol/openid-connect/auth/device")
        #expect(form(first)["client_id"] == clientIdentifier)
        #expect(form(first)["scope"] == "openid profile offline_access")
        #expect(form(first)["code_challenge_method"] == "S256")
        let begun = course.model.deviceAuthorization(first)
        guard case .show(let invitation) = try course.grant.receive(begun, at: start) else {
            Issue.record("nothing to show")
            return
        }
        #expect(invitation.userCode.text == "\(planted)-AB")
        #expect(invitation.verificationAddress.text == issuer + "/device")
        #expect(invitation.completeAddress?.text == issuer + "/device?user_code=\(planted)-AB")
        #expect(invitation.expiresAt == start + .seconds(600))

        let poll = try course.poll(after: .seconds(5))
        #expect(form(poll)["grant_type"] == "urn:ietf:params:oauth:grant-type:device_code")
        #expect(form(poll)["device_code"] != nil)
        #expect(form(poll)["code_verifier"]?.utf8.count == 43)
        #expect(throws: SignInError.outOfTurn) { try course.grant.tick(at: course.now) }
        let pending = course.model.token(poll, at: course.now)
        #expect(pending == refusal("authorization_pending"))
        #expect(try course.grant.receive(pending, at: course.now) == .wait(until: course.now + .seconds(5)))
        _ = try course.poll(after: .seconds(5))
        #expect(try course.grant.receive(refusal("slow_down"), at: course.now) == .wait(until: course.now + .seconds(10)))
        _ = try course.poll(after: .seconds(10))
        #expect(try course.grant.receive(refusal("slow_down"), at: course.now) == .wait(until: course.now + .seconds(15)))
        let last = try course.poll(after: .seconds(15))
        course.model.approveDevices()
        let outcome = course.model.token(last, at: course.now)
        guard case .signedIn(let signIn) = try course.grant.receive(outcome, at: course.now) else {
            Issue.record("not signed in")
            return
        }
        #expect(signIn.tokens.refreshToken != nil)
        #expect(throws: SignInError.outOfTurn) { try course.grant.tick(at: course.now) }
        #expect(throws: SignInError.outOfTurn) { try course.grant.receive(outcome, at: course.now) }
    }

    @Test("The server's interval counts; none is five seconds, and zero is one")
    func interval() throws {
        for (given, expected) in [(nil, 5), (7, 7), (0, 1)] as [(Int?, Int)] {
            var course = try Course()
            _ = try course.begin(interval: given)
            #expect(try course.grant.tick(at: start) == .wait(until: start + .seconds(expected)))
        }
    }

    @Test("An unreachable or failing server is asked half as often each time, and the sign-in stands")
    func unreachable() throws {
        var course = try Course()
        _ = try course.begin()
        var interval = 5
        for outcome in [
            .unknown(broken), .notSent(broken), answer(503, [:]), answer(502, [:]), .unknown(broken), .unknown(broken),
        ] as [HTTPOutcome] {
            _ = try course.poll(after: .seconds(interval))
            interval = min(interval * 2, 60)
            #expect(try course.grant.receive(outcome, at: course.now) == .wait(until: course.now + .seconds(interval)))
        }
        let request = try course.poll(after: .seconds(60))
        course.model.approveDevices()
        let outcome = course.model.token(request, at: course.now)
        #expect(throws: Never.self) { try course.grant.receive(outcome, at: course.now) }
    }

    @Test("What ends it: denied, expired there, expired here, refused, unreadable")
    func ends() throws {
        let cases: [(HTTPOutcome, SignInError)] = [
            (refusal("access_denied"), .refused(.accessDenied)),
            (refusal("expired_token"), .expired),
            (refusal("invalid_grant"), .refused(.invalidGrant)),
            (refusal("invalid_client", status: 401), .refused(.invalidClient)),
            (answer(200, [:]), .unreadable(.missing("access_token"))),
            (answer(200, ["access_token": "a", "token_type": "Bearer"]), .idToken(.missing)),
        ]
        for (outcome, expected) in cases {
            var course = try Course()
            _ = try course.begin()
            _ = try course.poll(after: .seconds(5))
            #expect(throws: expected) { try course.grant.receive(outcome, at: course.now) }
            #expect(throws: SignInError.outOfTurn) { try course.grant.tick(at: course.now) }
        }
        var late = try Course()
        _ = try late.begin()
        #expect(throws: SignInError.expired) { try late.grant.tick(at: start + .seconds(600)) }
        var last = try Course()
        _ = try last.begin()
        last.now = start + .seconds(597)
        _ = try last.request()
        #expect(throws: SignInError.expired) { try last.grant.receive(refusal("authorization_pending"), at: last.now) }
    }

    @Test("A beginning that failed may be begun again; a realm without the grant says so at once")
    func beginning() throws {
        let cases: [(HTTPOutcome, SignInError)] = [
            (.unknown(broken), .notSent(.interrupted)),
            (answer(500, [:]), .unavailable(status: 500)),
            (refusal("unauthorized_client"), .refused(.unauthorizedClient)),
            (answer(200, [:]), .unreadable(.missing("device_code"))),
            (
                answer(
                    200, ["device_code": "d", "user_code": "u", "verification_uri": "http://evil.test/", "expires_in": 600]),
                .verificationAddress(.notProtected)
            ),
            (
                answer(200, ["device_code": "d", "user_code": "u", "verification_uri": "https://a.test/"]),
                .unreadable(.missing("expires_in"))
            ),
        ]
        var course = try Course()
        #expect(throws: SignInError.outOfTurn) { try course.grant.receive(.unknown(broken), at: start) }
        for (outcome, expected) in cases {
            _ = try course.request()
            #expect(throws: expected) { try course.grant.receive(outcome, at: start) }
        }
        #expect(throws: Never.self) { try course.begin() }
        guard case .object(let members) = discoveryDocument() else { return }
        let without = JSON.object(members.filter { $0.key != "device_authorization_endpoint" })
        let server = try AuthorizationServer(parsing: without.bytes, issuer: issuer)
        #expect(throws: SignInError.deviceGrantNotOffered) {
            var generator = SeededGenerator(seed: 1)
            return try DeviceAuthorizationGrant(server: server, client: client, using: &generator)
        }
    }
}
