public import HTTPMessage
public import Vitals

/// One sign-in by authorization code with PKCE (RFC 6749 section 4.1, RFC 7636), for a person at a browser that may stand
/// anywhere.
///
/// ```text
/// url ──► browser ──► the person signs in ──► redirect with code, state, iss
///   awaiting ── receive(returned:) or receive(loopbackTarget:) ──► redeeming ── receive(_:at:) ──► finished
/// ```
///
/// Two ways bring the redirect here: a listener on 127.0.0.1 where the browser runs on the hub (RFC 8252 section 7.3), or the
/// person copies the address that the browser was sent to. Either is untrusted until its `state` is ours: before that an error
/// leaves the sign-in open, so that a stranger's page cannot end it; after that the sign-in has had its answer, whatever it was.
public struct AuthorizationCodeFlow: Sendable {
    private enum State: Sendable {
        case awaiting(state: Secret, nonce: Secret, pkce: PKCE)
        /// The code may be sent: it was not, or its request is under way since `askedAt`.
        case redeeming(HTTPRequest, nonce: Secret, askedAt: Instant?)
        case finished
    }

    /// How long the person has. MitID itself gives five minutes for one approval; three tries fit.
    public static let patience: Duration = .seconds(3 * 5 * 60)

    private let server: AuthorizationServer
    private let client: OAuthClient
    private let redirect: EndpointURL
    private let expiresAt: Instant
    private var state: State

    /// Where the person's browser goes. It holds `state` and `nonce`: to be shown to the person and written nowhere.
    public let url: Secret

    /// Source of randomness: the system's in the daemon.
    public init(
        server: AuthorizationServer, client: OAuthClient, redirect: EndpointURL, at now: Instant,
        using generator: inout some RandomNumberGenerator
    ) {
        self.server = server
        self.client = client
        self.redirect = redirect
        expiresAt = now + Self.patience
        let stateText = randomText(using: &generator)
        let nonceText = randomText(using: &generator)
        let pkce = PKCE(using: &generator)
        state = .awaiting(state: Secret(stateText), nonce: Secret(nonceText), pkce: pkce)
        let query = FormEncoding.encode([
            ("response_type", "code"), ("client_id", client.identifier), ("redirect_uri", redirect.text),
            ("scope", client.scopes.joined(separator: " ")), ("state", stateText), ("nonce", nonceText),
            ("code_challenge", pkce.challenge), ("code_challenge_method", "S256"),
        ])
        let endpoint = server.authorizationEndpoint
        // RFC 6749 section 3.1: a query that the endpoint has of its own stays.
        url = Secret(endpoint.text + (endpoint.query == nil ? "?" : "&") + query)
    }

    /// The address that the browser was sent to, as the person copied it.
    ///
    /// - Returns: the token request to send now.
    public mutating func receive(returned address: String, at now: Instant) throws(SignInError) -> HTTPRequest {
        // Space around a pasted text, and a fragment that a browser hangs on, are no part of the answer.
        let spaces: Set<Character> = [" ", "\t", "\n", "\r", "\r\n", "\u{A0}", "\u{FEFF}"]
        let text = address.drop(while: spaces.contains).prefix { $0 != "#" }
        let trimmed = String(text.reversed().drop(while: spaces.contains).reversed())
        let returned: EndpointURL
        do {
            returned = try EndpointURL(trimmed)
        } catch {
            throw .unreadableAddress
        }
        guard returned.origin == redirect.origin, returned.path == redirect.path else { throw .notTheRedirect }
        return try receive(query: returned.query ?? "", at: now)
    }

    /// A request that the listener on 127.0.0.1 got: the target of its request line and its `Host`.
    ///
    /// Only the exact path under the exact host and port is the redirect; a page of elsewhere that reaches the listener under
    /// another name (DNS rebinding) is not.
    ///
    /// - Returns: the token request to send now.
    public mutating func receive(
        loopbackTarget target: String, host: String, at now: Instant
    ) throws(SignInError) -> HTTPRequest {
        guard redirect.origin == "http://" + host.lowercased(), target.utf8.count <= EndpointURL.maximumLength else {
            throw .notTheRedirect
        }
        let path = target.prefix { $0 != "?" }
        guard path == redirect.path else { throw .notTheRedirect }
        return try receive(query: String(target.dropFirst(path.count + 1)), at: now)
    }

    private mutating func receive(query: String, at now: Instant) throws(SignInError) -> HTTPRequest {
        guard case .awaiting(let state, let nonce, let pkce) = state else { throw .alreadyAnswered }
        guard now < expiresAt else {
            self.state = .finished
            throw .expired
        }
        guard let answer = FormEncoding.decode(query) else { throw .unreadableAddress }
        guard answer["state"].map({ Secret($0) == state }) == true else { throw .wrongState }
        // Ours: from here on this sign-in has had its answer.
        self.state = .finished
        if let issuer = answer["iss"] {
            guard issuer == server.issuer else { throw .otherIssuer }
        } else if server.namesItselfInAnswers {
            throw .otherIssuer
        }
        switch (answer["code"], answer["error"]) {
        case (_?, _?): throw .contradiction
        case (nil, let error?): throw .refused(OAuthErrorCode(error))
        case (nil, nil), ("", nil): throw .codeMissing
        case (let code?, nil):
            let request = HTTPRequest.form(
                server.tokenEndpoint,
                [
                    ("grant_type", "authorization_code"), ("code", code), ("redirect_uri", redirect.text),
                    ("client_id", client.identifier), ("code_verifier", pkce.verifier.text),
                ])
            self.state = .redeeming(request, nonce: nonce, askedAt: now)
            return request
        }
    }

    /// The token request once more, after it could not be sent.
    public mutating func tokenRequest(at now: Instant) throws(SignInError) -> HTTPRequest {
        guard case .redeeming(let request, let nonce, nil) = state else { throw .outOfTurn }
        guard now < expiresAt else {
            state = .finished
            throw .expired
        }
        state = .redeeming(request, nonce: nonce, askedAt: now)
        return request
    }

    /// What became of the token request.
    public mutating func receive(_ outcome: HTTPOutcome, at now: Instant) throws(SignInError) -> SignIn {
        guard case .redeeming(let request, let nonce, let askedAt?) = state else { throw .outOfTurn }
        state = .finished
        switch outcome {
        case .notSent(let failure):
            state = .redeeming(request, nonce: nonce, askedAt: nil)
            throw .notSent(failure.kind)
        case .unknown:
            // Sent again, a code that was redeemed makes the server revoke what it granted (RFC 6749 section 4.1.2).
            throw .outcomeUnknown
        case .answered(let response):
            switch TokenAnswer(response) {
            case .refused(let code): throw .refused(code)
            case .unavailable(let status, _): throw .unavailable(status: status)
            case .unreadable(let error, _): throw .unreadable(error)
            case .granted(let tokens):
                return try SignIn(tokens, server: server, client: client, nonce: nonce, askedAt: askedAt, at: now)
            }
        }
    }
}

extension AuthorizationCodeFlow: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        switch state {
        case .awaiting: "[sign-in at \(server.issuer), awaiting the redirect]"
        case .redeeming: "[sign-in at \(server.issuer), redeeming the code]"
        case .finished: "[sign-in at \(server.issuer), finished]"
        }
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}
