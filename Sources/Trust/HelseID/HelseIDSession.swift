public import HTTPMessage
public import Vitals

/// From no token to a token and on, decided without a socket: ``next(_:using:)`` says what to do now, ``receive(_:_:using:)``
/// takes what came of it.
///
/// ```text
///                  clock not synchronised: .waitsForClock, from every state, whenever something would have to be signed
/// needsMetadata -> fetchingMetadata -> needsToken -> requesting -> have(token) -> (margin) needsToken ...
///                                                     |  ^ once: the same request with the server's nonce
///                                                     |  ^ once for each further key: candidate, current, previous
///                                                     v
///                                                   waiting(until, error) -> needsToken
/// ```
///
/// One session for each ``HelseIDClient``. What survives a restart is its ``keys`` alone, handed out by ``Action/persist(_:)``
/// whenever they change.
public struct HelseIDSession: Sendable {
    public enum Action: Hashable, Sendable {
        /// Send it, and give what came of it to ``receive(_:_:using:)``. One at a time.
        case send(HTTPRequest)
        /// A request is on its way.
        case awaitsAnswer
        case use(HelseIDToken)
        /// The hub's clock is not synchronised: nothing with a time in it is signed.
        case waitsForClock
        /// Ask ``next(_:using:)`` again then.
        case waits(until: MonotonicTime, because: HelseIDError)
        /// The keys changed: into the sealed store before anything else.
        case persist(HelseIDKeys)
    }

    private struct Attempt: Hashable {
        var keys: ArraySlice<PrivateJWK>
        var nonce: String?
        var isChallenged = false
        var sentAt: ClockReading
    }

    private enum State {
        case needsToken
        case fetchingMetadata(sentAt: ClockReading)
        case requesting(Attempt)
        case have(HelseIDToken)
        case waiting(until: MonotonicTime, HelseIDError)
    }

    public let client: HelseIDClient
    public private(set) var keys: HelseIDKeys
    private var state = State.needsToken
    private var metadata: (value: HelseIDMetadata, fetchedAt: MonotonicTime)?
    private var nonces = DPoPNonces()
    /// Failures in a row: the pauses grow with them.
    private var failures = 0
    /// The candidate was refused: not again before this.
    private var candidateNotBefore: MonotonicTime?

    public init(_ client: HelseIDClient, keys: HelseIDKeys) {
        self.client = client
        self.keys = keys
    }

    /// A refused candidate is tried again after 10 minutes: a person registers it in that order of time, and 144 refusals a day
    /// do no harm.
    static let candidatePause = Duration.seconds(600)

    /// The pause after the n-th failure in a row, n from 1.
    ///
    /// Nothing refused (no connection, 5xx): 5 s, 10, 20, ... up to 5 min, so that a hub is back soon after its line is.
    /// Refused: 1 min, 2, 4, ... up to 1 h, since a person must act and HelseID should not be asked for nothing.
    static func pause(failures: Int, isTransient: Bool) -> Duration {
        let steps = min(max(failures - 1, 0), 6)
        return isTransient ? min(.seconds(5 << steps), .seconds(300)) : min(.seconds(60 << steps), .seconds(3_600))
    }

    /// What to do to have a token.
    public mutating func next(_ clock: ClockReading, using generator: inout some RandomNumberGenerator) -> Action {
        switch state {
        case .fetchingMetadata, .requesting: return .awaitsAnswer
        case .have(let token):
            if clock.monotonic < token.until { return .use(token) }
            state = .needsToken
        case .waiting(let until, let error):
            if clock.monotonic < until { return .waits(until: until, because: error) }
            state = .needsToken
        case .needsToken: break
        }
        guard clock.isSynchronised else { return .waitsForClock }
        guard let metadata, clock.monotonic - metadata.fetchedAt < HelseIDMetadata.lifetime else {
            self.metadata = nil
            state = .fetchingMetadata(sentAt: clock)
            return .send(HTTPRequest(.get, client.metadataURL, headers: [HTTPHeader("accept", "application/json")]))
        }
        let withCandidate = candidateNotBefore.map { clock.monotonic >= $0 } ?? true
        return request(
            Attempt(keys: keys.order(withCandidate: withCandidate)[...], sentAt: clock), to: metadata.value, using: &generator)
    }

    /// The token is not taken any more, or something changed that it stands for: the next one is asked for at once.
    public mutating func dropToken() {
        if case .have = state { state = .needsToken }
    }

    /// What a person did (registered a key, mended a setting) may help: do not wait on.
    public mutating func retryNow() {
        guard case .waiting = state else { return }
        candidateNotBefore = nil
        state = .needsToken
    }

    /// Changes the keys: a rotation begun, registered or called off.
    public mutating func update(keys change: (inout HelseIDKeys) throws(JWKError) -> Void) throws(JWKError) -> Action {
        try change(&keys)
        candidateNotBefore = nil
        return .persist(keys)
    }

    /// Takes what came of a request of ``next(_:using:)``. What to persist comes first, the next step last.
    public mutating func receive(
        _ outcome: HTTPOutcome, _ clock: ClockReading, using generator: inout some RandomNumberGenerator
    ) -> [Action] {
        switch state {
        case .fetchingMetadata(let sentAt): return [receiveMetadata(outcome, sentAt, clock, using: &generator)]
        case .requesting(let attempt): return receiveToken(outcome, attempt, clock, using: &generator)
        case .needsToken, .have, .waiting: return [next(clock, using: &generator)]
        }
    }
}

// MARK: The metadata

extension HelseIDSession {
    private mutating func receiveMetadata(
        _ outcome: HTTPOutcome, _ sentAt: ClockReading, _ clock: ClockReading, using generator: inout some RandomNumberGenerator
    ) -> Action {
        switch outcome {
        case .notSent(let failure), .unknown(let failure): return fail(.unreachable(failure), clock)
        case .answered(let response):
            guard response.status == 200 else { return fail(Self.unexpected(response, expected: "a discovery document"), clock) }
            do {
                let value = try HelseIDMetadata(parsing: response.body, for: client, algorithm: keys.current.algorithm)
                metadata = (value, sentAt.monotonic)
            } catch {
                return fail(.metadata(error), clock)
            }
            state = .needsToken
            return next(clock, using: &generator)
        }
    }

    private static func unexpected(_ response: HTTPResponse, expected: String) -> HelseIDError {
        switch response.status {
        case 429, 500...599: .server(status: response.status)
        default: .malformedAnswer(status: response.status, expected: expected)
        }
    }

    private mutating func fail(_ error: HelseIDError, _ clock: ClockReading) -> Action {
        failures += 1
        // The endpoint may have moved: look it up again.
        if case .malformedAnswer = error { metadata = nil }
        let until = clock.monotonic + Self.pause(failures: failures, isTransient: error.isTransient)
        state = .waiting(until: until, error)
        return .waits(until: until, because: error)
    }
}

// MARK: The token

extension HelseIDSession {
    /// Asks for a token with the first key of the attempt. Every try has an assertion and a proof of its own: a `jti` counts once.
    private mutating func request(
        _ attempt: Attempt, to metadata: HelseIDMetadata, using generator: inout some RandomNumberGenerator
    ) -> Action {
        guard attempt.sentAt.isSynchronised else {
            state = .needsToken
            return .waitsForClock
        }
        var attempt = attempt
        let now = attempt.sentAt.wall
        guard let key = attempt.keys.first else { return fail(.key(.signing), attempt.sentAt) }
        do {
            let target: RequestTarget
            do { target = try RequestTarget(url: metadata.tokenEndpoint) } catch { throw HelseIDError.target(error) }
            attempt.nonce = attempt.nonce ?? nonces.nonce(for: target)
            var headers = [
                HTTPHeader("accept", "application/json"), HTTPHeader("content-type", "application/x-www-form-urlencoded"),
            ]
            let assertion: String
            do {
                assertion = try ClientAssertion.make(
                    client, issuedAt: now, identifier: TokenIdentifier(using: &generator), key: key)
                if client.tokenType == .dpop {
                    let proof = try DPoPProof.make(
                        method: "POST", target: target, issuedAt: now, identifier: TokenIdentifier(using: &generator),
                        nonce: attempt.nonce, key: key)
                    headers.append(HTTPHeader("dpop", proof))
                }
            } catch {
                throw HelseIDError.key(error)
            }
            let form = FormEncoding.encode([
                ("client_id", client.clientID), ("scope", client.scopes.joined(separator: " ")),
                ("client_assertion", assertion), ("client_assertion_type", ClientAssertion.formType),
                ("grant_type", "client_credentials"),
            ])
            state = .requesting(attempt)
            return .send(HTTPRequest(.post, metadata.tokenEndpoint, headers: headers, body: Array(form.utf8)))
        } catch let error as HelseIDError {
            return fail(error, attempt.sentAt)
        } catch {
            return fail(.key(.signing), attempt.sentAt)
        }
    }

    private mutating func receiveToken(
        _ outcome: HTTPOutcome, _ attempt: Attempt, _ clock: ClockReading, using generator: inout some RandomNumberGenerator
    ) -> [Action] {
        guard case .answered(let response) = outcome else {
            // Whether HelseID made a token that never came does not matter: nobody has it, and it ends by itself.
            switch outcome {
            case .notSent(let failure), .unknown(let failure): return [fail(.unreachable(failure), clock)]
            case .answered: return []
            }
        }
        guard let metadata, let key = attempt.keys.first else { return [fail(.key(.signing), clock)] }
        let given = (try? RequestTarget(url: metadata.value.tokenEndpoint)).flatMap { nonces.learn(from: response, of: $0) }
        let answer = HelseIDTokenAnswer(response)
        switch answer {
        case .token(let granted):
            do {
                let token = try accept(granted, key: key, attempt.sentAt.monotonic, clock.monotonic)
                failures = 0
                state = .have(token)
                let changed = keys.accepted(key, at: clock.wall)
                return (changed ? [.persist(keys)] : []) + [next(clock, using: &generator)]
            } catch {
                return [fail(error, clock)]
            }
        case .malformed(let expected): return [fail(Self.unexpected(response, expected: expected), clock)]
        case .refusal(let code, let description):
            let skew = ServerClock.skew(of: response, sentAt: attempt.sentAt.wall, receivedAt: clock.wall)
            if ServerClock.isSkewed(skew), HelseIDTokenAnswer.mayBeTime(code: code) {
                return [fail(.clockSkew(skew, code: HelseIDError.shortened(code)), clock)]
            }
            if HelseIDTokenAnswer.asksForNonce(code: code, given: given, isChallenged: attempt.isChallenged) {
                guard let given else { return [fail(.nonceMissing, clock)] }
                guard !attempt.isChallenged else { return [fail(.nonceLoop, clock)] }
                let again = Attempt(keys: attempt.keys, nonce: given, isChallenged: true, sentAt: clock)
                return [request(again, to: metadata.value, using: &generator)]
            }
            guard code == "invalid_client" else {
                return [fail(.refused(code: code, description: description), clock)]
            }
            if key == keys.candidate { candidateNotBefore = clock.monotonic + Self.candidatePause }
            let others = attempt.keys.dropFirst()
            guard others.isEmpty else {
                return [request(Attempt(keys: others, sentAt: clock), to: metadata.value, using: &generator)]
            }
            return [fail(.clientRefused(keyIdentifier: keys.current.keyIdentifier, description: description), clock)]
        }
    }

    private func accept(
        _ granted: HelseIDTokenAnswer.Granted, key: PrivateJWK, _ sentAt: MonotonicTime, _ receivedAt: MonotonicTime
    ) throws(HelseIDError) -> HelseIDToken {
        // NHN's library does not read `token_type`; where it is there it must be the one that was asked for (RFC 9449, section 5).
        if let type = granted.type, type.lowercased() != client.tokenType.rawValue.lowercased() { throw .tokenType(type) }
        let missing = granted.scopes.map { given in client.scopes.filter { !given.contains($0) } } ?? []
        guard missing.isEmpty else { throw .scopesRejected(missing) }
        // RFC 9449, section 6.1. A token that is no JWT shows its binding to the API alone.
        if client.tokenType == .dpop, let bound = try? JWT(parsing: granted.accessToken.text).claims["cnf"]?["jkt"]?.string,
            bound != key.publicKey.thumbprint
        {
            throw .tokenOfOtherKey
        }
        let until = HelseIDToken.end(sentAt: sentAt, expiresIn: granted.expiresIn)
        // Asking again at once would never end.
        guard until > receivedAt else { throw .malformedAnswer(status: 200, expected: "a token that outlives its own request") }
        return HelseIDToken(accessToken: granted.accessToken, type: client.tokenType, key: key, until: until)
    }
}

// MARK: At an API

extension HelseIDSession {
    public enum Authorisation: Hashable, Sendable {
        case ready(HTTPRequest)
        /// As in ``Action/waitsForClock``: a proof has a time in it.
        case waitsForClock
    }

    /// What an API's answer means for the token; what it means for the readings is the destination's to say.
    public enum APIAnswer: Hashable, Sendable {
        /// Nothing: the token was taken.
        case settled
        /// The same request again, authorised anew: the server wanted its nonce in the proof. Once.
        case sendAgain
        /// The token is not taken any more, and is dropped: one new one, then a hold.
        case needsNewToken
        case refused(HelseIDError)
    }

    /// The request with its credential. Every sending has a proof of its own, also of the same request again.
    public func authorise(
        _ request: HTTPRequest, with token: HelseIDToken, _ clock: ClockReading,
        using generator: inout some RandomNumberGenerator
    ) throws(HelseIDError) -> Authorisation {
        var request = request
        request.headers.removeAll { $0.name == "authorization" || $0.name == "dpop" }
        request.headers.append(HTTPHeader("authorization", "\(token.type.rawValue) \(token.accessToken.text)"))
        guard token.type == .dpop else { return .ready(request) }
        guard clock.isSynchronised else { return .waitsForClock }
        let target: RequestTarget
        do { target = try RequestTarget(url: request.url) } catch { throw .target(error) }
        do {
            let proof = try DPoPProof.make(
                method: request.method.rawValue, target: target, issuedAt: clock.wall,
                identifier: TokenIdentifier(using: &generator), accessToken: token.accessToken,
                nonce: nonces.nonce(for: target), key: token.key)
            request.headers.append(HTTPHeader("dpop", proof))
        } catch {
            throw .key(error)
        }
        return .ready(request)
    }

    /// Reads an API's answer. `isRepeated` says that this was already the sending after ``APIAnswer/sendAgain``.
    public mutating func receive(
        _ response: HTTPResponse, from url: String, sentAt: Instant, _ clock: ClockReading, isRepeated: Bool
    ) -> APIAnswer {
        let given = (try? RequestTarget(url: url)).flatMap { nonces.learn(from: response, of: $0) }
        guard response.status == 401 else { return .settled }
        if DPoPNonces.isChallenge(response) {
            guard given != nil else { return .refused(.nonceMissing) }
            return isRepeated ? .refused(.nonceLoop) : .sendAgain
        }
        let code = DPoPChallenge.error(in: response)
        let skew = ServerClock.skew(of: response, sentAt: sentAt, receivedAt: clock.wall)
        if ServerClock.isSkewed(skew) { return .refused(.clockSkew(skew, code: HelseIDError.shortened(code ?? "401"))) }
        if code == "invalid_dpop_proof" { return .refused(.refused(code: "invalid_dpop_proof", description: "")) }
        dropToken()
        return .needsNewToken
    }
}
