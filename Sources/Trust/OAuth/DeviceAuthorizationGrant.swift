import ExactJSON
public import HTTPMessage
public import Vitals

/// One sign-in by device code (RFC 8628): the hub shows a short code and an address, the person signs in on a phone, and the hub
/// asks the server now and then whether they have.
///
/// ```text
/// requesting ── receive ──► waiting ── tick ──► polling ── receive ──► waiting | finished
/// ```
///
/// PKCE goes along although RFC 8628 does not know it: Keycloak refuses a device grant without where the client is set to
/// require PKCE (keycloak/keycloak issue 9710), and a server that does not know it passes over it (RFC 6749 section 3.2).
public struct DeviceAuthorizationGrant: Sendable {
    private enum State: Sendable {
        case requesting(askedAt: Instant?)
        case waiting(Waiting, until: Instant)
        case polling(Waiting, askedAt: Instant)
        case finished
    }

    private struct Waiting: Sendable {
        var deviceCode: Secret
        var interval: Duration
        var expiresAt: Instant
    }

    /// What the person is shown.
    public struct Invitation: Hashable, Sendable {
        /// Short, for typing. For the person's eyes, and for no log: who types it in signs this hub in.
        public let userCode: Secret
        /// Where to type it.
        public let verificationAddress: EndpointURL
        /// The address with the code in it, for a QR code; not every server offers it.
        public let completeAddress: Secret?
        public let expiresAt: Instant
    }

    public enum Step: Hashable, Sendable {
        case show(Invitation)
        /// Ask with ``DeviceAuthorizationGrant/tick(at:)`` then.
        case wait(until: Instant)
        case send(HTTPRequest)
        case signedIn(SignIn)
    }

    /// RFC 8628 section 3.2: where the server names no interval.
    static let standardInterval: Duration = .seconds(5)
    /// RFC 8628 section 3.5: what `slow_down` adds, for all further requests.
    static let slowDownStep: Duration = .seconds(5)
    /// Where the server cannot be reached the interval doubles (section 3.5) up to this: a code lives for 10 to 30 minutes, and a
    /// person who has just signed in waits no longer than a minute.
    static let longestInterval: Duration = .seconds(60)

    private let server: AuthorizationServer
    private let client: OAuthClient
    private let endpoint: EndpointURL
    private let pkce: PKCE
    private var state: State = .requesting(askedAt: nil)

    public init(
        server: AuthorizationServer, client: OAuthClient, using generator: inout some RandomNumberGenerator
    ) throws(SignInError) {
        guard let endpoint = server.deviceAuthorizationEndpoint else { throw .deviceGrantNotOffered }
        self.server = server
        self.client = client
        self.endpoint = endpoint
        pkce = PKCE(using: &generator)
    }

    /// What to do now: ask for a code, wait, or ask whether the person has signed in.
    public mutating func tick(at now: Instant) throws(SignInError) -> Step {
        switch state {
        case .requesting(nil):
            state = .requesting(askedAt: now)
            return .send(
                .form(
                    endpoint,
                    [
                        ("client_id", client.identifier), ("scope", client.scopes.joined(separator: " ")),
                        ("code_challenge", pkce.challenge), ("code_challenge_method", "S256"),
                    ]))
        case .waiting(let waiting, let until):
            guard now < waiting.expiresAt else {
                state = .finished
                throw .expired
            }
            guard now >= until else { return .wait(until: until) }
            state = .polling(waiting, askedAt: now)
            return .send(
                .form(
                    server.tokenEndpoint,
                    [
                        ("grant_type", "urn:ietf:params:oauth:grant-type:device_code"),
                        ("device_code", waiting.deviceCode.text), ("client_id", client.identifier),
                        ("code_verifier", pkce.verifier.text),
                    ]))
        case .requesting, .polling, .finished: throw .outOfTurn
        }
    }

    /// What became of the request that was sent last.
    public mutating func receive(_ outcome: HTTPOutcome, at now: Instant) throws(SignInError) -> Step {
        switch state {
        case .requesting(let askedAt?): try invitation(outcome, askedAt: askedAt)
        case .polling(let waiting, let askedAt): try polled(outcome, waiting, askedAt: askedAt, at: now)
        case .requesting, .waiting, .finished: throw .outOfTurn
        }
    }

    private mutating func invitation(_ outcome: HTTPOutcome, askedAt: Instant) throws(SignInError) -> Step {
        // A code that nobody was shown harms nobody: whatever went wrong, the request may be made again.
        state = .requesting(askedAt: nil)
        switch outcome {
        case .notSent(let failure), .unknown(let failure): throw .notSent(failure.kind)
        case .answered(let response):
            guard response.status == 200 else {
                if case .refused(let code) = TokenAnswer(response) { throw .refused(code) }
                throw .unavailable(status: response.status)
            }
            let (invitation, waiting) = try Self.read(response.body, askedAt: askedAt)
            state = .waiting(waiting, until: askedAt + waiting.interval)
            return .show(invitation)
        }
    }

    /// RFC 8628 section 3.2.
    private static func read(_ body: [UInt8], askedAt: Instant) throws(SignInError) -> (Invitation, Waiting) {
        let fields: Fields
        do {
            fields = try Fields(body)
        } catch {
            throw .unreadable(error)
        }
        let expiresAt = askedAt + fields.expiresIn
        do {
            let invitation = Invitation(
                userCode: fields.userCode, verificationAddress: try EndpointURL(fields.verificationAddress),
                completeAddress: try fields.completeAddress.map { text throws(EndpointURLError) in
                    Secret(try EndpointURL(text).text)
                },
                expiresAt: expiresAt)
            return (invitation, Waiting(deviceCode: fields.deviceCode, interval: fields.interval, expiresAt: expiresAt))
        } catch {
            throw .verificationAddress(error)
        }
    }

    private struct Fields {
        let deviceCode: Secret
        let userCode: Secret
        let verificationAddress: String
        let completeAddress: String?
        let expiresIn: Duration
        let interval: Duration

        init(_ body: [UInt8]) throws(TokenResponseError) {
            let json = try TokenResponse.object(body)
            guard let deviceCode = try TokenResponse.secret("device_code", in: json) else { throw .missing("device_code") }
            guard let userCode = try TokenResponse.text("user_code", in: json), (1...64).contains(userCode.utf8.count) else {
                throw .missing("user_code")
            }
            guard let address = try TokenResponse.text("verification_uri", in: json) else { throw .missing("verification_uri") }
            guard let expiresIn = try TokenResponse.seconds("expires_in", in: json), expiresIn > .zero else {
                throw .missing("expires_in")
            }
            self.deviceCode = deviceCode
            self.userCode = Secret(userCode)
            verificationAddress = address
            completeAddress = try TokenResponse.text("verification_uri_complete", in: json)
            self.expiresIn = expiresIn
            // 0 would be a busy loop.
            interval = max(try TokenResponse.seconds("interval", in: json) ?? standardInterval, .seconds(1))
        }
    }

    private mutating func polled(
        _ outcome: HTTPOutcome, _ waiting: Waiting, askedAt: Instant, at now: Instant
    ) throws(SignInError) -> Step {
        state = .finished
        var waiting = waiting
        switch outcome {
        case .notSent, .unknown: waiting.interval = Self.doubled(waiting.interval)
        case .answered(let response):
            switch TokenAnswer(response) {
            case .granted(let tokens):
                return .signedIn(
                    try SignIn(tokens, server: server, client: client, nonce: nil, askedAt: askedAt, at: now))
            case .unreadable(let error, _): throw .unreadable(error)
            case .refused(.authorizationPending): break
            case .refused(.slowDown): waiting.interval += Self.slowDownStep
            case .refused(.expiredToken): throw .expired
            case .refused(let code): throw .refused(code)
            case .unavailable(_, let retryAfter):
                waiting.interval = Self.doubled(waiting.interval)
                if let retryAfter { waiting.interval = max(waiting.interval, min(retryAfter, Self.longestInterval)) }
            }
        }
        let until = now + waiting.interval
        guard until < waiting.expiresAt else { throw .expired }
        state = .waiting(waiting, until: until)
        return .wait(until: until)
    }

    private static func doubled(_ interval: Duration) -> Duration { max(interval, min(interval * 2, longestInterval)) }
}

extension DeviceAuthorizationGrant: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        switch state {
        case .requesting: "[device sign-in at \(server.issuer), asking for a code]"
        case .waiting, .polling: "[device sign-in at \(server.issuer), awaiting the person]"
        case .finished: "[device sign-in at \(server.issuer), finished]"
        }
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}

extension DeviceAuthorizationGrant.Step: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// A request holds codes, in its body.
    public var description: String {
        switch self {
        case .show: "show the code"
        case .wait(let until): "wait until \(until)"
        case .send: "send"
        case .signedIn: "signed in"
        }
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}
