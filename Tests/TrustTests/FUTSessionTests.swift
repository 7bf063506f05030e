import ExactJSON
import HTTPMessage
import Testing
import Trust
import Vitals

/// A session with a disk and a server that do as they should, one step at a time.
struct FUTCourse {
    var model = ModelServer()
    var session: FUTSession
    var disk: FUTSession.Record?
    var now = start
    var used: [FUTAccessToken] = []

    static func settings() throws -> FUTSession.Settings {
        FUTSession.Settings(server: try server(), client: clientIdentifier)
    }

    /// Nobody signed in.
    init(_ settings: FUTSession.Settings? = nil) throws {
        session = FUTSession(nil, settings: try settings ?? Self.settings(), at: start)
    }

    /// Signed in, and all of it stored.
    static func signedIn(_ settings: FUTSession.Settings? = nil) throws -> FUTCourse {
        var course = try FUTCourse(settings)
        course.run(try course.session.signIn(try course.signIn(), at: course.now))
        return course
    }

    mutating func signIn() throws -> SignIn {
        var generator = SeededGenerator(seed: UInt64(now.milliseconds))
        var flow = AuthorizationCodeFlow(
            server: try server(), client: client, redirect: try EndpointURL(AuthorizationCodeFlowTests.redirect), at: now,
            using: &generator)
        let request = try flow.receive(returned: model.authorize(flow.url.text), at: now)
        return try flow.receive(model.token(request, at: now), at: now)
    }

    /// Stores what is to be stored and uses what may be used; the other actions are the test's.
    @discardableResult
    mutating func run(_ actions: [FUTSession.Action]) -> [FUTSession.Action] {
        var rest = actions
        var left: [FUTSession.Action] = []
        while !rest.isEmpty {
            switch rest.removeFirst() {
            case .persist(let record):
                disk = record
                rest += session.persisted(record.revision, at: now)
            case .use(let token): used.append(token)
            case let action: left.append(action)
            }
        }
        return left
    }

    mutating func need(_ context: FUTContext) -> [FUTSession.Action] { run(session.need(context, at: now)) }

    /// The outcome of the exchange under way; what is to be done then.
    mutating func receive(_ outcome: HTTPOutcome, of exchange: Int) -> [FUTSession.Action] {
        run(session.receive(outcome, of: exchange, at: now))
    }

    /// A whole refresh that succeeds.
    mutating func refresh(_ context: FUTContext) {
        for case .send(let request, let exchange) in need(context) {
            #expect(receive(model.token(request, at: now), of: exchange).isEmpty)
        }
    }

    /// The power goes and comes back.
    mutating func restart() throws { session = FUTSession(disk, settings: try Self.settings(), at: now) }

    var storedToken: String? {
        if case .granted(let grant) = disk?.content { grant.refreshToken.text } else { nil }
    }
}

@Suite("A citizen's FUT session")
struct FUTSessionTests {
    static func context() throws -> FUTContext { try FUTContext(patient: patient, episodeOfCare: episode) }

    /// The request of the one refresh that these actions begin.
    private func sent(_ actions: [FUTSession.Action]) throws -> (request: HTTPRequest, exchange: Int) {
        guard actions.count == 1, case .send(let request, let exchange) = actions[0] else {
            throw SignInError.outOfTurn
        }
        return (request, exchange)
    }

    @Test("A sign-in is stored before its token is used")
    func signingIn() throws {
        var course = try FUTCourse()
        #expect(course.session.need(.none, at: start) == [.signInNeeded(nil)])
        let signIn = try course.signIn()
        let actions = try course.session.signIn(signIn, at: start)
        guard actions.count == 1, case .persist(let record) = actions[0], case .granted(let grant) = record.content else {
            Issue.record("not stored first")
            return
        }
        #expect(grant.refreshToken == signIn.tokens.refreshToken)
        #expect(grant.citizen == patient)
        #expect(course.session.need(.none, at: start).isEmpty)
        #expect(course.session.standing == .refreshing(since: start))
        guard case .use(let token)? = course.session.persisted(record.revision, at: start).first else {
            Issue.record("not used after")
            return
        }
        #expect(token.secret == signIn.tokens.accessToken)
        #expect(token.header == HTTPHeader("authorization", "Bearer " + token.secret.text))
        #expect(course.session.standing == .signedIn)
        #expect(course.session.need(.none, at: start) == [.use(token)])
    }

    @Test("A refresh: announced on disk, sent, the new token on disk, then used")
    func refreshing() throws {
        var course = try FUTCourse.signedIn()
        let context = try Self.context()
        let before = course.storedToken
        let announcing = course.session.need(context, at: course.now)
        guard announcing.count == 1, case .persist(let announced) = announcing[0], case .granted(let grant) = announced.content
        else {
            Issue.record("not announced")
            return
        }
        #expect(grant.unansweredSince == start)
        #expect(grant.refreshToken.text == before)
        let (request, exchange) = try sent(course.session.persisted(announced.revision, at: start))
        #expect(request.url == issuer + "/protocol/openid-connect/token")
        #expect(
            form(request) == [
                "grant_type": "refresh_token", "refresh_token": before ?? "", "client_id": clientIdentifier,
                "patient_id": patient, "episode_of_care_id": episode,
            ])
        let securing = course.session.receive(course.model.token(request, at: start), of: exchange, at: start)
        guard securing.count == 1, case .persist(let renewed) = securing[0], case .granted(let next) = renewed.content else {
            Issue.record("not secured")
            return
        }
        #expect(next.refreshToken.text != before)
        #expect(next.unansweredSince == nil)
        guard case .use(let token)? = course.session.persisted(renewed.revision, at: start).first else {
            Issue.record("not used")
            return
        }
        #expect(token.context == context)
        #expect(try FUTClaims(of: token.secret).user == patient)
        #expect(try FUTClaims(of: token.secret).userType == "PATIENT")
        #expect(try FUTClaims(of: token.secret).context?["episode_of_care_id"]?.string == episode)
        #expect(try FUTClaims(of: token.secret).lifetime == .seconds(300))
    }

    @Test("A token of 300 s is used for 210 s, then renewed ahead of the need")
    func aheadOfNeed() throws {
        var course = try FUTCourse.signedIn()
        course.refresh(.none)
        course.now = start + .milliseconds(209_999)
        #expect(course.need(.none).isEmpty)
        #expect(course.used.count == 3)
        course.now = start + .seconds(210)
        _ = try sent(course.need(.none))
    }

    @Test("A clock that was set back says nothing of a token's age")
    func clockSetBack() throws {
        var course = try FUTCourse.signedIn()
        course.now = start - .seconds(3_600)
        _ = try sent(course.need(.none))
        var waiting = try FUTCourse.signedIn()
        let (_, exchange) = try sent(waiting.need(try Self.context()))
        #expect(waiting.receive(.unknown(broken), of: exchange) == [.wait(until: start + .seconds(5))])
        waiting.now = start - .seconds(3_600)
        _ = try sent(waiting.run(waiting.session.tick(at: waiting.now)))
    }

    @Test("One refresh at a time: a second need waits, and follows")
    func oneAtATime() throws {
        var course = try FUTCourse.signedIn()
        let first = try Self.context()
        let second = try FUTContext(episodeOfCare: episode + "8")
        let (request, exchange) = try sent(course.need(first))
        #expect(course.need(first).isEmpty)
        #expect(course.need(second).isEmpty)
        #expect(course.session.tick(at: course.now).isEmpty)
        let next = try sent(course.receive(course.model.token(request, at: course.now), of: exchange))
        #expect(form(next.request)["episode_of_care_id"] == episode + "8")
        #expect(form(next.request)["refresh_token"] == course.storedToken)
        #expect(course.receive(course.model.token(next.request, at: course.now), of: next.exchange).isEmpty)
        #expect(course.used.map(\.context) == [.none, first, second])
    }

    @Test("No failure of network or server ends a sign-in; each waits twice as long, five minutes at most")
    func failures() throws {
        var course = try FUTCourse.signedIn()
        let context = try Self.context()
        var (request, exchange) = try sent(course.need(context))
        let outcomes: [(HTTPOutcome, Int)] = [
            (.notSent(broken), 5), (.unknown(broken), 10), (answer(503, [:]), 20), (answer(400, []), 40),
            (refusal("server_error"), 80), (refusal("temporarily_unavailable"), 160),
            (answer(429, [:], [HTTPHeader("retry-after", "600")]), 600),
            (answer(503, [:], [HTTPHeader("retry-after", "999999")]), 900), (answer(200, [:]), 300), (answer(404, [:]), 300),
        ]
        for (outcome, seconds) in outcomes {
            #expect(course.receive(outcome, of: exchange) == [.wait(until: course.now + .seconds(seconds))])
            #expect(course.session.standing == .signedIn)
            #expect(course.need(context) == [.wait(until: course.now + .seconds(seconds))])
            course.now = course.now + .seconds(seconds)
            (request, exchange) = try sent(course.run(course.session.tick(at: course.now)))
        }
        #expect(course.receive(course.model.token(request, at: course.now), of: exchange).isEmpty)
        #expect(course.used.last?.context == context)
        // A success counts from the beginning again.
        course.now = course.now + .seconds(250)
        (_, exchange) = try sent(course.need(context))
        #expect(course.receive(.notSent(broken), of: exchange) == [.wait(until: course.now + .seconds(5))])
    }

    @Test("invalid_grant ends it, on disk too, and the token with it")
    func refusedGrant() throws {
        var course = try FUTCourse.signedIn()
        course.model.endSignIn()
        let context = try Self.context()
        let (request, exchange) = try sent(course.need(context))
        let lapse = FUTSession.Lapse(.refused, since: start)
        #expect(course.receive(course.model.token(request, at: start), of: exchange) == [.signInNeeded(lapse)])
        #expect(course.session.standing == .lapsed(lapse))
        #expect(course.disk?.content == .lapsed(lapse, citizen: patient))
        #expect(course.disk?.json.text.contains(planted) == false)
        try course.restart()
        #expect(course.need(context) == [.signInNeeded(lapse)])
        #expect(course.session.tick(at: start + .seconds(86_400 * 100)).isEmpty)
        course.run(try course.session.signIn(try course.signIn(), at: start))
        #expect(course.session.standing == .signedIn)
    }

    @Test(
        "The power goes between sending and storing: the old token is tried; it is the realm's to say",
        arguments: [true, false])
    func killedDuringRefresh(realmPermitsReuse: Bool) throws {
        var course = try FUTCourse.signedIn()
        course.model.reuse = realmPermitsReuse ? 1 : 0
        let context = try Self.context()
        let (request, _) = try sent(course.need(context))
        _ = course.model.token(request, at: start)
        try course.restart()
        let old = course.storedToken
        let (again, exchange) = try sent(course.need(context))
        #expect(form(again)["refresh_token"] == old)
        let left = course.receive(course.model.token(again, at: start), of: exchange)
        if realmPermitsReuse {
            #expect(left.isEmpty)
            #expect(course.used.last?.context == context)
            #expect(course.storedToken.map(course.model.accepts) == true)
        } else {
            #expect(left == [.signInNeeded(FUTSession.Lapse(.answerLost, since: start))])
            #expect(course.need(context) == left)
        }
    }

    @Test("An answer that was lost on the way is told apart from a sign-in that ended")
    func lostAnswer() throws {
        var course = try FUTCourse.signedIn()
        let (request, exchange) = try sent(course.need(try Self.context()))
        _ = course.model.token(request, at: start)
        #expect(course.receive(.unknown(broken), of: exchange) == [.wait(until: start + .seconds(5))])
        course.now = start + .seconds(5)
        let next = try sent(course.run(course.session.tick(at: course.now)))
        #expect(
            course.receive(course.model.token(next.request, at: course.now), of: next.exchange)
                == [.signInNeeded(FUTSession.Lapse(.answerLost, since: course.now))])
        // A request that never left is no such thing.
        var unsent = try FUTCourse.signedIn()
        let first = try sent(unsent.need(try Self.context()))
        _ = unsent.receive(.notSent(broken), of: first.exchange)
        unsent.model.endSignIn()
        unsent.now = start + .seconds(5)
        let second = try sent(unsent.run(unsent.session.tick(at: unsent.now)))
        #expect(
            unsent.receive(unsent.model.token(second.request, at: unsent.now), of: second.exchange)
                == [.signInNeeded(FUTSession.Lapse(.refused, since: unsent.now))])
    }

    @Test("Where the realm does not rotate, the token stays; so it does where the answer has none")
    func withoutRotation() throws {
        var course = try FUTCourse.signedIn()
        course.model.isRotating = false
        let before = course.storedToken
        course.refresh(try Self.context())
        #expect(course.storedToken == before)
        let (_, exchange) = try sent(course.need(try FUTContext(careTeam: "https://a.test/CareTeam/1")))
        let claims: JSON = ["context": ["care_team_id": "https://a.test/CareTeam/1"]]
        let bare = answer(200, ["access_token": .string(token(claims)), "token_type": "Bearer"])
        #expect(course.receive(bare, of: exchange).isEmpty)
        #expect(course.storedToken == before)
        #expect(course.used.count == 3)
    }

    @Test("A context that is not granted is refused to who asked; the sign-in and the newest token stand")
    func refusedContext() throws {
        let context = try Self.context()
        func granted(_ claims: JSON, kind: String = "Bearer") -> HTTPOutcome {
            answer(
                200, ["access_token": .string(token(claims)), "token_type": .string(kind), "refresh_token": "newest"])
        }
        let cases: [(HTTPOutcome, FUTSession.ContextRefusal, isRotated: Bool)] = [
            (refusal("invalid_request"), .server(.invalidRequest), false),
            (refusal("access_denied", status: 403), .server(.accessDenied), false),
            (refusal("invalid_scope"), .server(.invalidScope), false),
            (granted(["user_id": .string(patient)]), .notGranted, true),
            (granted(["context": ["patient_id": .string(patient)]]), .notGranted, true),
            (
                granted(["context": ["patient_id": .string(patient), "episode_of_care_id": .string(episode + "8")]]),
                .notGranted, true
            ),
            (granted([:], kind: "DPoP"), .notBearer, true),
            (answer(200, ["refresh_token": "newest"]), .unreadable(.missing("access_token")), true),
        ]
        for (outcome, expected, isRotated) in cases {
            var course = try FUTCourse.signedIn()
            let before = course.storedToken
            let (_, exchange) = try sent(course.need(context))
            #expect(course.receive(outcome, of: exchange) == [.contextRefused(context, expected)])
            #expect(course.session.standing == .signedIn)
            #expect(course.storedToken == (isRotated ? "newest" : before))
            #expect(course.used.count == 1)
        }
        // An opaque token is taken at the server's word.
        var opaque = try FUTCourse.signedIn()
        let (_, exchange) = try sent(opaque.need(context))
        let outcome = answer(200, ["access_token": "opaque", "token_type": "Bearer", "refresh_token": "newest"])
        #expect(opaque.receive(outcome, of: exchange).isEmpty)
        #expect(opaque.used.last?.secret == Secret("opaque"))
    }

    @Test(
        "A client that is refused is the technician's business, and the sign-in stands",
        arguments: [
            ("invalid_client", OAuthErrorCode.invalidClient), ("unauthorized_client", .unauthorizedClient),
            ("unsupported_grant_type", .unsupportedGrantType),
        ])
    func refusedClient(name: String, code: OAuthErrorCode) throws {
        var course = try FUTCourse.signedIn()
        let (_, exchange) = try sent(course.need(try Self.context()))
        let until = start + .seconds(15 * 60)
        #expect(course.receive(refusal(name, status: 401), of: exchange) == [.clientRefused(code), .wait(until: until)])
        #expect(course.session.standing == .signedIn)
        #expect(course.session.tick(at: until - .seconds(1)) == [.wait(until: until)])
        course.now = until
        _ = try sent(course.run(course.session.tick(at: until)))
    }

    @Test("Nobody else's tokens are taken, and what stood before still stands")
    func r4_otherPerson() throws {
        var expecting = try FUTCourse.settings()
        expecting.citizen = patient
        var course = try FUTCourse.signedIn(expecting)
        let before = course.disk
        course.model.citizen = otherPatient
        let theirs = try course.signIn()
        #expect(throws: FUTSignInError.otherCitizen) { try course.session.signIn(theirs, at: start) }
        #expect(course.session.standing == .signedIn)
        #expect(course.disk == before)

        // Without a word in the configuration, whoever signed in first; who signs out sets the session free.
        var first = try FUTCourse.signedIn()
        #expect(throws: FUTSignInError.otherCitizen) { try first.session.signIn(theirs, at: start) }
        first.run(first.session.signOut())
        #expect(first.session.standing == .signedOut)
        #expect(first.disk?.content == .signedOut)
        #expect(throws: Never.self) { try first.session.signIn(theirs, at: start) }

        // After a lapse too.
        var lapsed = try FUTCourse.signedIn()
        lapsed.model.endSignIn()
        let (request, exchange) = try sent(lapsed.need(try Self.context()))
        _ = lapsed.receive(lapsed.model.token(request, at: start), of: exchange)
        try lapsed.restart()
        #expect(throws: FUTSignInError.otherCitizen) { try lapsed.session.signIn(theirs, at: start) }

        // A refresh that answers for somebody else is not used, and is the end.
        var swapped = try FUTCourse.signedIn()
        swapped.model.citizen = otherPatient
        let swap = try sent(swapped.need(try Self.context()))
        #expect(
            swapped.receive(swapped.model.token(swap.request, at: start), of: swap.exchange)
                == [.signInNeeded(FUTSession.Lapse(.otherCitizen, since: start))])
        #expect(swapped.used.count == 1)
    }

    @Test("A sign-in that cannot serve is not taken")
    func unusableSignIn() throws {
        func signIn(
            _ claims: JSON? = ["user_type": "PATIENT", "user_id": .string(patient)], refresh: Bool = true,
            kind: String = "Bearer", issuer: String = issuer, client: String = clientIdentifier
        ) throws -> SignIn {
            let body = JSON.members([
                "access_token": .string(claims.map { token($0) } ?? "opaque"), "token_type": .string(kind),
                "refresh_token": refresh ? "r" : nil,
            ])
            return SignIn(
                tokens: try TokenResponse(parsing: body.bytes), issuer: issuer, client: client, subject: nil, askedAt: start)
        }
        var expecting = try FUTCourse.settings()
        expecting.citizen = patient
        let cases: [(SignIn, FUTSignInError?)] = [
            (try signIn(), nil),
            (try signIn(refresh: false), .notOffline),
            (try signIn(kind: "DPoP"), .notBearer),
            (try signIn(["user_type": "PRACTITIONER", "user_id": .string(patient)]), .notACitizen),
            (try signIn([:]), .citizenUnknown),
            (try signIn(nil), .citizenUnknown),
            (try signIn(issuer: "https://evil.test"), .otherServer),
            (try signIn(client: "other"), .otherServer),
        ]
        for (signIn, expected) in cases {
            var course = try FUTCourse(expecting)
            if let expected {
                #expect(throws: expected) { try course.session.signIn(signIn, at: start) }
                #expect(course.session.standing == .signedOut)
            } else {
                #expect(throws: Never.self) { try course.session.signIn(signIn, at: start) }
            }
        }
        // Where nobody is expected, an opaque token is taken.
        var open = try FUTCourse()
        let opaque = try signIn(nil)
        #expect(throws: Never.self) { try open.session.signIn(opaque, at: start) }
    }

    @Test("Tokens go to nobody but the server and client that they are of")
    func otherServer() throws {
        let course = try FUTCourse.signedIn()
        for (issuer, client) in [("https://other.test/realms/x", clientIdentifier), (issuer, "other")] {
            let settings = FUTSession.Settings(server: try server(issuer), client: client)
            var session = FUTSession(course.disk, settings: settings, at: start)
            let lapse = FUTSession.Lapse(.otherServer, since: start)
            #expect(session.need(.none, at: start) == [.signInNeeded(lapse)])
        }
    }

    @Test("A word that comes too late is passed over")
    func lateWords() throws {
        var course = try FUTCourse.signedIn()
        let (request, exchange) = try sent(course.need(try Self.context()))
        let late = course.model.token(request, at: start)
        #expect(course.session.receive(late, of: exchange + 1, at: start).isEmpty)
        // The person signs in anew meanwhile: the old refresh's answer is of no more use.
        let actions = try course.session.signIn(try course.signIn(), at: start)
        #expect(course.session.persisted(1, at: start).isEmpty)
        #expect(course.session.persistFailed(1, at: start).isEmpty)
        #expect(course.session.receive(late, of: exchange, at: start).isEmpty)
        let begun = course.run(actions)
        #expect(course.session.receive(late, of: exchange, at: start).isEmpty)
        // What was wanted before is fetched with the new token.
        let next = try sent(begun)
        #expect(form(next.request)["refresh_token"] == course.storedToken)
        #expect(course.receive(course.model.token(next.request, at: start), of: next.exchange).isEmpty)
    }

    @Test("A disk that fails: nothing is sent unannounced, nothing is used unstored, and it is written again")
    func diskFails() throws {
        var course = try FUTCourse.signedIn()
        let context = try Self.context()
        guard case .persist(let announced)? = course.session.need(context, at: start).first else { return }
        #expect(course.session.persistFailed(announced.revision, at: start) == [.wait(until: start + .seconds(5))])
        #expect(course.session.persisted(announced.revision, at: start).isEmpty)
        course.now = start + .seconds(5)
        let (request, exchange) = try sent(course.run(course.session.tick(at: course.now)))
        let outcome = course.model.token(request, at: course.now)
        guard case .persist(let renewed)? = course.session.receive(outcome, of: exchange, at: course.now).first else { return }
        var seconds = 5
        for _ in 0..<4 {
            let until = course.now + .seconds(seconds)
            #expect(course.session.persistFailed(renewed.revision, at: course.now) == [.wait(until: until)])
            #expect(course.need(context).isEmpty)
            #expect(course.session.tick(at: until - .milliseconds(1)) == [.wait(until: until)])
            course.now = until
            #expect(course.session.tick(at: until) == [.persist(renewed)])
            seconds *= 2
        }
        #expect(course.used.count == 1)
        #expect(course.run([.persist(renewed)]).isEmpty)
        #expect(course.used.count == 2)
    }

    @Test("A token that took too long to store is not used; another is fetched, without haste")
    func slowDisk() throws {
        var course = try FUTCourse.signedIn()
        let context = try Self.context()
        let (request, exchange) = try sent(course.need(context))
        let actions = course.session.receive(course.model.token(request, at: start), of: exchange, at: start)
        course.now = start + .seconds(400)
        #expect(course.run(actions) == [.wait(until: course.now + .seconds(5))])
        #expect(course.used.count == 1)
        course.now = course.now + .seconds(5)
        let next = try sent(course.run(course.session.tick(at: course.now)))
        #expect(course.receive(course.model.token(next.request, at: course.now), of: next.exchange).isEmpty)
        #expect(course.used.last?.context == context)
    }

    @Test("A token that a service refused is not handed out again")
    func refusedAccess() throws {
        var course = try FUTCourse.signedIn()
        let token = try #require(course.used.first)
        course.session.accessRefused(token)
        _ = try sent(course.need(.none))
    }

    @Test("A grant that nobody needs is used ten times within its idle time")
    func keptAlive() throws {
        var course = try FUTCourse.signedIn()
        #expect(course.session.tick(at: start + .seconds(3 * 86_400 - 1)).isEmpty)
        course.now = start + .seconds(3 * 86_400)
        let (request, exchange) = try sent(course.run(course.session.tick(at: course.now)))
        #expect(course.receive(course.model.token(request, at: course.now), of: exchange).isEmpty)
        #expect(course.session.lapsesAt == course.now + .seconds(30 * 86_400))
    }

    @Test("The warning comes 14 days ahead of whichever end is nearest")
    func warning() throws {
        let day: Int64 = 86_400
        func session(idle: Int64, maximum: Int64? = nil, expires: Int64? = nil) throws -> FUTSession {
            var settings = try FUTCourse.settings()
            settings.idle = .seconds(idle * day)
            settings.maximum = maximum.map { .seconds($0 * day) }
            let grant = FUTSession.Grant(
                refreshToken: Secret("r"), citizen: nil, signedInAt: start - .seconds(100 * day), lastUsedAt: start,
                refreshExpiresAt: expires.map { start + .seconds($0 * day) })
            let record = FUTSession.Record(revision: 1, issuer: issuer, client: clientIdentifier, content: .granted(grant))
            return FUTSession(record, settings: settings, at: start)
        }
        let cases: [(FUTSession, Int64)] = [
            (try session(idle: 30), 30), (try session(idle: 120), 120), (try session(idle: 120, maximum: 160), 60),
            (try session(idle: 120, expires: 40), 40), (try session(idle: 30, maximum: 1_200, expires: 400), 30),
        ]
        for (session, days) in cases {
            let end = start + .seconds(days * day)
            #expect(session.lapsesAt == end)
            #expect(session.warningDue(now: end - .seconds(14 * day) - .milliseconds(1)) == nil)
            #expect(session.warningDue(now: end - .seconds(14 * day)) == end)
        }
        let signedOut = try FUTCourse()
        #expect(signedOut.session.warningDue(now: start) == nil)
    }

    @Test("What is on disk comes back as it was")
    func records() throws {
        func record(_ content: FUTSession.Record.Content) -> FUTSession.Record {
            FUTSession.Record(revision: 7, issuer: issuer, client: clientIdentifier, content: content)
        }
        var grant = FUTSession.Grant(refreshToken: Secret("r"), citizen: nil, signedInAt: start, lastUsedAt: start)
        var contents: [FUTSession.Record.Content] = [.signedOut, .granted(grant)]
        grant.citizen = patient
        grant.refreshExpiresAt = start + .milliseconds(1_234)
        grant.unansweredSince = start + .milliseconds(1)
        contents.append(.granted(grant))
        for reason in FUTSession.Lapse.Reason.allCases {
            contents.append(.lapsed(FUTSession.Lapse(reason, since: start), citizen: patient))
            #expect(!reason.sentence.isEmpty)
        }
        for content in contents {
            let stored = record(content).json.bytes
            #expect(try FUTSession.Record(try JSON(parsing: stored)) == record(content))
        }
        #expect(record(.granted(grant)).json["status"] == "refreshing")

        let good = record(.granted(grant)).json
        let broken: [(String, JSON)] = [
            ("format", 2), ("revision", -1), ("issuer", ""), ("client", nil), ("status", "unknown"), ("refreshToken", 7),
            ("signedInAt", "yesterday"), ("lastUsedAt", nil), ("refreshExpiresAt", ""), ("since", 1),
        ]
        for (member, value) in broken {
            #expect(throws: FUTRecordError.self, "\(member)") { try FUTSession.Record(good.setting(member, to: value)) }
        }
        let lapsed = record(.lapsed(FUTSession.Lapse(.refused, since: start), citizen: nil)).json
        #expect(throws: FUTRecordError.self) { try FUTSession.Record(lapsed.setting("reason", to: "none")) }
        #expect(throws: FUTRecordError.self) { try FUTSession.Record([]) }
    }

    @Test("A context names resources absolutely")
    func relativeContext() {
        #expect(throws: EndpointURLError.scheme) { try FUTContext(episodeOfCare: "EpisodeOfCare/7") }
    }
}
