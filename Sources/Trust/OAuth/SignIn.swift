import HTTPMessage
public import Vitals

/// A public client at an authorization server (RFC 6749 section 2.1).
public struct OAuthClient: Hashable, Sendable {
    public var identifier: String
    public var scopes: [String]

    public init(identifier: String, scopes: [String]) {
        self.identifier = identifier
        self.scopes = scopes
    }
}

/// What a sign-in ends in: tokens that passed every check, not stored and not used yet.
public struct SignIn: Hashable, Sendable {
    public let tokens: TokenResponse
    public let issuer: String
    public let client: String
    /// `sub` of the id token; `nil` where `openid` was not asked for.
    public let subject: String?
    /// When the tokens were asked for: their lifetimes count from here, since the answer took its time.
    public let askedAt: Instant

    public init(tokens: TokenResponse, issuer: String, client: String, subject: String?, askedAt: Instant) {
        self.tokens = tokens
        self.issuer = issuer
        self.client = client
        self.subject = subject
        self.askedAt = askedAt
    }

    /// Checks the id token where `openid` was asked for.
    init(
        _ tokens: TokenResponse, server: AuthorizationServer, client: OAuthClient, nonce: Secret?, askedAt: Instant,
        at now: Instant
    ) throws(SignInError) {
        var subject: String?
        if client.scopes.contains("openid") {
            guard let idToken = tokens.idToken else { throw .idToken(.missing) }
            let checks = IDToken(
                issuer: server.issuer, client: client.identifier, nonce: nonce, accessToken: tokens.accessToken)
            do {
                subject = try checks.subject(of: idToken, at: now)
            } catch {
                throw .idToken(error)
            }
        }
        self.init(
            tokens: tokens, issuer: server.issuer, client: client.identifier, subject: subject, askedAt: askedAt)
    }
}

extension SignIn: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Without the subject, which is a person's.
    public var description: String { "[sign-in at \(issuer)]" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}

extension HTTPRequest {
    /// A form to a server of ours; the answer is to be JSON and kept by nobody on the way.
    static func form(_ url: EndpointURL, _ parameters: [(name: String, value: String)]) -> HTTPRequest {
        HTTPRequest(
            .post, url.text,
            headers: [
                HTTPHeader("accept", "application/json"), HTTPHeader("cache-control", "no-store"),
                HTTPHeader("content-type", "application/x-www-form-urlencoded"),
            ],
            body: Array(FormEncoding.encode(parameters).utf8))
    }
}
