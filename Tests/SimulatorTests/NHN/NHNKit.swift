import Crypto
import Destinations
import EventLoop
import ExactJSON
import Glibc
import HTTP
import HTTPMessage
import Simulator
import Testing
import Trust
import Vitals

/// A running simulator of NHN's services and a client of them.
struct NHNRun {
    let simulator: NHNSimulator
    let endpoints: NHNEndpoints
    let client: HTTPClient

    var state: NHNState { simulator.state }

    /// Runs `body` against a simulator of its own, which ends after it.
    static func with<Result: Sendable>(
        _ settings: NHNSettings = NHNSettings(), timeout: Duration = .seconds(20),
        _ body: @Sendable (NHNRun) async throws -> Result
    ) async throws -> Result {
        let simulator = try NHNSimulator(NHNSimulator.Options(settings: settings))
        let loop = try EventLoop(name: "nhn-test")
        defer { loop.stop() }
        var settings = HTTPClientSettings()
        settings.requestTimeout = timeout
        let client = HTTPClient(settings: settings, loop: loop)
        let (origins, source) = AsyncStream<String>.makeStream()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { source.finish() }
                try await simulator.run { source.yield($0) }
            }
            guard let origin = await origins.first(where: { _ in true }) else {
                try await group.waitForAll()
                throw CancellationError()
            }
            let result = try await body(
                NHNRun(simulator: simulator, endpoints: NHNEndpoints(origin: origin), client: client))
            group.cancelAll()
            return result
        }
    }

    func registered(
        _ key: JSON, id: String = "hub", allowsBearer: Bool = false, tenants: Set<String> = []
    ) async {
        await state.register(
            HelseIDClientRegistration(
                id: id, scopes: NHNSettings.Scope.all, keys: [key], allowsBearer: allowsBearer, tenants: tenants,
                vkpID: "supplier-1-999999204"))
    }
}

/// The hub's own way to a token and to an API: ``HelseIDSession`` drives it.
struct NHNHub {
    var session: HelseIDSession
    let run: NHNRun
    /// By how much its clock is wrong.
    var skew = Duration.zero
    /// Keys that were to be persisted.
    var persisted: [HelseIDKeys] = []
    private var generator = SystemRandomNumberGenerator()

    init(
        _ run: NHNRun, scopes: [String] = [NHNSettings.Scope.pmdWrite, NHNSettings.Scope.pmdRead],
        type: HelseIDClient.TokenType = .dpop, algorithm: SignatureAlgorithm = .es256, registers: Bool = true,
        organisation: HelseIDOrganisation = .ofClient
    ) async throws {
        let keys = try HelseIDKeys.generate(algorithm)
        self.run = run
        session = HelseIDSession(
            HelseIDClient(
                issuer: run.endpoints.issuer, clientID: "hub", scopes: scopes, organisation: organisation, tokenType: type),
            keys: keys)
        if registers { await run.registered(keys.publicJWK, allowsBearer: type == .bearer) }
    }

    var clock: ClockReading {
        var time = timespec()
        clock_gettime(CLOCK_MONOTONIC, &time)
        let monotonic = MonotonicTime(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
        clock_gettime(CLOCK_REALTIME, &time)
        let wall = Instant(milliseconds: Int64(time.tv_sec) * 1_000 + Int64(time.tv_nsec) / 1_000_000)
        return ClockReading(
            wall: wall + skew, offsetMinutes: 60, monotonic: monotonic, boot: BootID(rawValue: "b"), source: .ntp)
    }

    mutating func token() async throws -> HelseIDToken {
        var actions = [session.next(clock, using: &generator)]
        while true {
            for case .persist(let keys) in actions { persisted.append(keys) }
            switch actions.last {
            case .send(let request):
                let outcome = await run.client.send(request)
                actions = session.receive(outcome, clock, using: &generator)
            case .use(let token): return token
            case .waits(_, let error): throw error
            case .waitsForClock, .awaitsAnswer, .persist, nil: throw CancellationError()
            }
        }
    }

    /// With a token and a proof; once more where the API challenges it.
    mutating func send(_ request: HTTPRequest) async throws -> HTTPOutcome {
        for isRepeated in [false, true] {
            let token = try await token()
            let sentAt = clock.wall
            guard case .ready(let ready) = try session.authorise(request, with: token, clock, using: &generator) else {
                throw CancellationError()
            }
            let outcome = await run.client.send(ready)
            guard case .answered(let response) = outcome else { return outcome }
            switch session.receive(response, from: ready.url, sentAt: sentAt, clock, isRepeated: isRepeated) {
            case .sendAgain: continue
            case .settled, .needsNewToken: return outcome
            case .refused(let error): throw error
            }
        }
        throw CancellationError()
    }
}

/// Requests made by hand with a key of the test's own, so that each part can be wrong.
struct NHNForger {
    let key = P256.Signing.PrivateKey()

    var jwk: JSON {
        let point = Array(key.publicKey.rawRepresentation)
        return [
            "kty": "EC", "crv": "P-256", "x": .string(Base64URL.encode(Array(point.prefix(32)))),
            "y": .string(Base64URL.encode(Array(point.suffix(32)))),
        ]
    }

    var registered: JSON { jwk.setting("kid", to: "k1").setting("alg", to: "ES256") }

    func sign(_ header: [String: JSON], _ claims: [String: JSON]) throws -> String {
        func members(_ object: [String: JSON]) -> JSON {
            .object(object.sorted { $0.key < $1.key }.filter { $0.value != .null }.map { JSON.Member($0.key, $0.value) })
        }
        let input = [members(header), members(claims)].map { Base64URL.encode($0.bytes) }.joined(separator: ".")
        let signature = try key.signature(for: Array(input.utf8))
        return input + "." + Base64URL.encode(Array(signature.rawRepresentation))
    }

    static func identifier() -> JSON { .string((0..<32).map { _ in String(Int.random(in: 0...9)) }.joined()) }

    static func seconds(_ offset: Int64 = 0) -> JSON {
        var time = timespec()
        clock_gettime(CLOCK_REALTIME, &time)
        return .integer(Int64(time.tv_sec) + offset)
    }

    /// `null` takes a member away.
    func assertion(issuer: String, header: [String: JSON] = [:], claims: [String: JSON] = [:]) throws -> String {
        try sign(
            ["alg": "ES256", "kid": "k1", "typ": "client-authentication+jwt"].merging(header) { $1 },
            [
                "iss": "hub", "sub": "hub", "aud": .string(issuer), "iat": Self.seconds(), "nbf": Self.seconds(),
                "exp": Self.seconds(10), "jti": Self.identifier(),
            ].merging(claims) { $1 })
    }

    func proof(url: String, header: [String: JSON] = [:], claims: [String: JSON] = [:]) throws -> String {
        try sign(
            ["alg": "ES256", "typ": "dpop+jwt", "jwk": jwk].merging(header) { $1 },
            ["htm": "POST", "htu": .string(url), "iat": Self.seconds(), "jti": Self.identifier()].merging(claims) { $1 })
    }
}

extension HTTPOutcome {
    var nhnError: String? {
        guard case .answered(let response) = self else { return nil }
        return (try? JSON(parsing: response.body))?["error_description"]?.string
    }

    var challenge: String? {
        guard case .answered(let response) = self else { return nil }
        return response.header("www-authenticate")
    }
}
