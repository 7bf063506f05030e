import ExactJSON
import HTTPMessage
import Testing
import Trust
import Vitals

/// A hub with one session, a disk, a network and a server, all of which fail as chance has it; and what must hold all the while.
private struct World {
    var course: FUTCourse
    let contexts: [FUTContext]
    /// In the order of asking; some of it may be on disk when the power goes.
    var saving: [FUTSession.Record] = []
    var underWay: [(request: HTTPRequest, exchange: Int)] = []
    /// The refresh token that came with an access token.
    var companion: [Secret: String] = [:]
    var persisted: Set<String> = []
    var newestReceived: String?
    var wasEnded = false
    var uses = 0
    var lapses = 0
    var kills = 0

    init(using random: inout SeededGenerator) throws {
        contexts = [.none, try FUTSessionTests.context(), try FUTContext(episodeOfCare: episode + "8")]
        course = try FUTCourse()
        course.model.isRotating = Int.random(in: 0..<4, using: &random) > 0
        course.model.reuse = Int.random(in: 0...2, using: &random)
        course.model.endsOnReuse = .random(using: &random)
    }

    mutating func signIn() throws {
        let signIn = try course.signIn()
        note(signIn.tokens)
        act(try course.session.signIn(signIn, at: course.now))
    }

    private mutating func note(_ tokens: TokenResponse) {
        guard let refreshToken = tokens.refreshToken?.text else { return }
        companion[tokens.accessToken] = refreshToken
        newestReceived = refreshToken
    }

    mutating func act(_ actions: [FUTSession.Action]) {
        for action in actions {
            switch action {
            case .persist(let record): saving.append(record)
            case .send(let request, let exchange):
                #expect(underWay.isEmpty, "one refresh at a time")
                #expect(form(request)["refresh_token"] == course.storedToken, "what is sent is what is on disk")
                guard case .granted(let grant) = course.disk?.content, grant.unansweredSince != nil else {
                    Issue.record("sent unannounced")
                    continue
                }
                underWay.append((request, exchange))
            case .use(let token):
                uses += 1
                #expect(persisted.contains(companion[token.secret] ?? "?"), "used before its refresh token was durable")
            case .signInNeeded: break
            case .contextRefused, .clientRefused: Issue.record("\(action)")
            case .wait: break
            }
        }
    }

    /// The disk is done with the oldest record, well or not; what failed may be there all the same.
    mutating func disk(fails: Bool, using random: inout SeededGenerator) {
        guard !saving.isEmpty else { return }
        let record = saving.removeFirst()
        if !fails || .random(using: &random) { store(record) }
        act(
            fails
                ? course.session.persistFailed(record.revision, at: course.now)
                : course.session.persisted(record.revision, at: course.now))
        if !fails, saving.isEmpty, case .signedIn = course.session.standing {
            #expect(course.storedToken == newestReceived, "the newest token is the one on disk")
        }
    }

    private mutating func store(_ record: FUTSession.Record) {
        // Through its text, as the real one.
        guard let json = try? JSON(parsing: record.json.bytes), let stored = try? FUTSession.Record(json) else {
            Issue.record("a record that does not come back")
            return
        }
        course.disk = stored
        if let token = course.storedToken { persisted.insert(token) }
    }

    mutating func network(using random: inout SeededGenerator) {
        guard let (request, exchange) = underWay.popLast() else { return }
        let outcome: HTTPOutcome
        switch Int.random(in: 0..<10, using: &random) {
        case 0: outcome = .notSent(broken)
        case 1: outcome = .unknown(broken)
        case 2:
            _ = course.model.token(request, at: course.now)
            outcome = .unknown(broken)
        case 3: outcome = answer(503, [:])
        case 4:
            _ = course.model.token(request, at: course.now)
            outcome = answer(502, [:])
        default: outcome = course.model.token(request, at: course.now)
        }
        receive(outcome, of: exchange)
    }

    mutating func receive(_ outcome: HTTPOutcome, of exchange: Int) {
        if case .answered(let response) = outcome, case .granted(let tokens) = TokenAnswer(response) { note(tokens) }
        act(course.session.receive(outcome, of: exchange, at: course.now))
        if case .lapsed = course.session.standing {
            lapses += 1
            #expect(outcome == refusal("invalid_grant"), "nothing else ends a sign-in")
            // What is on disk until the lapse is.
            #expect(course.storedToken.map(course.model.accepts) == false, "ended with a good token on disk")
        }
    }

    /// The power goes: some of what was being written is on disk, some requests reach the server, no answer comes.
    mutating func kill(using random: inout SeededGenerator) throws {
        kills += 1
        for record in saving.prefix(Int.random(in: 0...saving.count, using: &random)) { store(record) }
        for (request, _) in underWay where .random(using: &random) { _ = course.model.token(request, at: course.now) }
        saving = []
        underWay = []
        newestReceived = course.storedToken
        try course.restart()
    }

    mutating func wait(_ seconds: Int) {
        course.now = course.now + .seconds(seconds)
        act(course.session.tick(at: course.now))
    }

    mutating func step(using random: inout SeededGenerator) throws {
        switch Int.random(in: 0..<100, using: &random) {
        case 0..<25: act(course.session.need(contexts[Int.random(in: 0..<3, using: &random)], at: course.now))
        case 25..<50: disk(fails: Int.random(in: 0..<8, using: &random) == 0, using: &random)
        case 50..<75: network(using: &random)
        case 75..<88: wait(Int.random(in: 1...400, using: &random))
        case 88..<90: wait(Int.random(in: 1...10, using: &random) * 86_400)
        case 90..<96: try kill(using: &random)
        case 96:
            course.model.endSignIn()
            wasEnded = true
        default:
            switch course.session.standing {
            case .signedOut, .lapsed: try signIn()
            case .signedIn, .refreshing: break
            }
        }
    }

    /// From now on disk and network do as they should: the session comes to rest.
    mutating func settle(using random: inout SeededGenerator) {
        // Past every access token's life: an end that only the server knows of shows itself at a refresh, not before.
        wait(400)
        act(course.session.need(contexts[1], at: course.now))
        for _ in 0..<40 {
            while !saving.isEmpty { disk(fails: false, using: &random) }
            if let (request, exchange) = underWay.popLast() {
                receive(course.model.token(request, at: course.now), of: exchange)
            } else {
                wait(100)
            }
        }
    }
}

@Suite("A citizen's FUT session through every mishap")
struct FUTSessionProperties {
    @Test("The newest token that was stored is never lost while it is good, and nothing is used that was not stored")
    func randomCourses() throws {
        var random = SeededGenerator("FUT session")
        var uses = 0
        var lapses = 0
        var kills = 0
        for _ in 0..<1_000 {
            var world = try World(using: &random)
            try world.signIn()
            for _ in 0..<Int.random(in: 5...120, using: &random) { try world.step(using: &random) }
            world.settle(using: &random)
            switch world.course.session.standing {
            case .signedIn: #expect(world.course.storedToken.map(world.course.model.accepts) == true)
            case .lapsed: #expect(world.lapses > 0)
            case .signedOut: #expect(world.course.disk?.content == nil, "signed out only where nothing ever was stored")
            case .refreshing: Issue.record("not at rest")
            }
            if !world.course.model.isRotating, !world.wasEnded {
                #expect(world.lapses == 0, "where tokens are not replaced, no mishap of ours ends a sign-in")
            }
            uses += world.uses
            lapses += world.lapses
            kills += world.kills
        }
        print("FUT session: \(uses) tokens used, \(lapses) lapses, \(kills) power cuts")
        #expect(uses > 1_000)
        #expect(lapses > 100)
        #expect(kills > 1_000)
    }
}
