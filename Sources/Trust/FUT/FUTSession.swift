public import HTTPMessage
public import Vitals

/// One citizen's sign-in at FUT, kept alive by its refresh token: what to send, what to make durable, which token may be used.
///
/// The constraint that shapes it: a realm may replace the refresh token at each use and take the old one no more. So a new token
/// is the only way back in from the moment the server sends it, and is on disk before anything else happens with the answer; and
/// since the power may go between sending and storing, that a refresh was begun is on disk before it is sent.
///
/// ```text
/// signedIn ── need ──► announcing ── persisted ──► refreshing ── receive ──► securing ── persisted ──► signedIn, .use
///                 .persist(refreshing)         .send                  .persist(new token)
/// ```
///
/// One refresh at a time: a second need waits for the first. No broken network, failing server or wrong clock ends a sign-in: the
/// server's `invalid_grant` does, and a token of somebody else. Each citizen has a session of their own, and knows nothing of the others'.
public struct FUTSession: Sendable {
    public struct Settings: Hashable, Sendable {
        public var server: AuthorizationServer
        public var client: String
        /// The absolute URL of the Patient whose session this is, where the configuration knows it: nobody else's tokens are
        /// taken, so that a spouse who signs in on the wrong page does not send under the other's name.
        public var citizen: String?
        /// How long an offline token lives unused. FUT's documents say 120 days in one place and 30 in another; the shorter
        /// warns early where it is wrong, the longer would warn too late.
        public var idle: Duration = .seconds(30 * 86_400)
        /// How long after the sign-in the token ends at the latest, used or not; `nil` where the realm sets no end.
        public var maximum: Duration?
        /// How long before the end patient and organisation are told.
        public var warningAhead: Duration = .seconds(14 * 86_400)

        public init(server: AuthorizationServer, client: String, citizen: String? = nil) {
            self.server = server
            self.client = client
            self.citizen = citizen
        }
    }

    public enum Action: Hashable, Sendable {
        /// Make it durable, in the order given, then say ``FUTSession/persisted(_:at:)`` or ``FUTSession/persistFailed(_:at:)``.
        case persist(Record)
        /// Send it, then say ``FUTSession/receive(_:of:at:)`` with the number.
        case send(HTTPRequest, exchange: Int)
        case use(FUTAccessToken)
        /// There is no token for this context; the sign-in stands.
        case contextRefused(FUTContext, ContextRefusal)
        /// The server does not take this client: the configuration or the registration is wrong; the sign-in stands.
        case clientRefused(OAuthErrorCode)
        /// Nothing to do until then: call ``FUTSession/tick(at:)``.
        case wait(until: Instant)
        /// `nil`: nobody ever signed in here, or they signed out.
        case signInNeeded(Lapse?)
    }

    public enum ContextRefusal: Error, Hashable, Sendable {
        case server(OAuthErrorCode)
        /// The token that came is not for what was asked.
        case notGranted
        /// The token that came cannot be carried as a bearer.
        case notBearer
        case unreadable(TokenResponseError)
    }

    /// Where the sign-in stands, for page and `status`.
    public enum Standing: Hashable, Sendable {
        case signedOut
        case signedIn
        case refreshing(since: Instant)
        case lapsed(Lapse)
    }

    private enum State: Sendable {
        case signedOut
        case signedIn(Grant)
        /// That a refresh begins is on its way to disk.
        case announcing(Grant, FUTContext, since: Instant)
        case refreshing(Grant, FUTContext, since: Instant)
        /// The new refresh token is on its way to disk; what came with it waits.
        case securing(Grant, FUTContext, Result<FUTAccessToken, ContextRefusal>, since: Instant)
        case lapsed(Lapse, citizen: String?)
    }

    private struct Saving: Sendable {
        var record: Record
        /// `nil` while the shell is at it.
        var retryAt: Instant?
    }

    /// FUT's access tokens live so long (FUT wiki, token page); used where an answer does not say.
    static let standardLifetime: Duration = .seconds(300)
    /// 5 s, doubled at each failure in a row, up to 5 min: at 30 days of idle time there is no hurry, and a patient whose
    /// reading waits sees it leave within five minutes of the server's return.
    static let shortestDelay: Duration = .seconds(5)
    static let longestDelay: Duration = .seconds(5 * 60)
    /// Where the server refuses the client somebody must mend it, which takes longer than a server's restart.
    static let clientRefusedDelay: Duration = .seconds(15 * 60)

    private let settings: Settings
    private var state: State
    private var revision: Int
    private var exchange = 0
    private var saving: Saving?
    private var accessTokens: [FUTContext: FUTAccessToken] = [:]
    /// Contexts that somebody needs a token for, in the order of asking.
    private var wanted: [FUTContext] = []
    private var failures = 0
    private var notBefore: Instant?

    /// - Parameter record: what is on disk; `nil` where nothing is.
    public init(_ record: Record?, settings: Settings, at now: Instant) {
        self.settings = settings
        revision = record?.revision ?? 0
        switch record?.content {
        case nil, .signedOut: state = .signedOut
        case .lapsed(let lapse, let citizen): state = .lapsed(lapse, citizen: citizen)
        case .granted(let grant):
            let isOurs = record?.issuer == settings.server.issuer && record?.client == settings.client
            state = isOurs ? .signedIn(grant) : .lapsed(Lapse(.otherServer, since: now), citizen: grant.citizen)
        }
    }

    public var standing: Standing {
        switch state {
        case .signedOut: .signedOut
        case .signedIn: .signedIn
        case .announcing(_, _, let since), .refreshing(_, _, let since), .securing(_, _, _, let since): .refreshing(since: since)
        case .lapsed(let lapse, _): .lapsed(lapse)
        }
    }

    private var grant: Grant? {
        switch state {
        case .signedIn(let grant), .announcing(let grant, _, _), .refreshing(let grant, _, _), .securing(let grant, _, _, _):
            grant
        case .signedOut, .lapsed: nil
        }
    }
}

// MARK: Signing in and out

extension FUTSession {
    /// A sign-in that succeeded. It takes the place of the one before, whatever that is at; on an error that one stays.
    public mutating func signIn(_ signIn: SignIn, at now: Instant) throws(FUTSignInError) -> [Action] {
        guard signIn.issuer == settings.server.issuer, signIn.client == settings.client else { throw .otherServer }
        guard let refreshToken = signIn.tokens.refreshToken else { throw .notOffline }
        guard signIn.tokens.kind == .bearer else { throw .notBearer }
        let claims = try? FUTClaims(of: signIn.tokens.accessToken)
        if let type = claims?.userType, type != "PATIENT" { throw .notACitizen }
        if let expected = settings.citizen ?? knownCitizen {
            guard let user = claims?.user else { throw .citizenUnknown }
            guard user == expected else { throw .otherCitizen }
        }
        let grant = Grant(
            refreshToken: refreshToken, citizen: claims?.user, signedInAt: now, lastUsedAt: now,
            refreshExpiresAt: signIn.tokens.refreshExpiresIn.map { signIn.askedAt + $0 })
        accessTokens = [:]
        settle()
        return secure(
            grant, .none, .success(accessToken(signIn.tokens, .none, claims, askedAt: signIn.askedAt)), since: now)
    }

    /// Whose session this has been; who signed out set it free.
    private var knownCitizen: String? {
        if case .lapsed(_, let citizen) = state { citizen } else { grant?.citizen }
    }

    /// Forgets the tokens.
    public mutating func signOut() -> [Action] {
        state = .signedOut
        forget()
        return [persist(.signedOut)]
    }
}

// MARK: Tokens

extension FUTSession {
    /// Somebody is about to send a request that needs a token for this context: `.use` comes now, or later.
    public mutating func need(_ context: FUTContext, at now: Instant) -> [Action] {
        switch state {
        case .signedOut: return [.signInNeeded(nil)]
        case .lapsed(let lapse, _): return [.signInNeeded(lapse)]
        case .signedIn, .announcing, .refreshing, .securing:
            if let token = accessTokens[context], token.isFresh(at: now) { return [.use(token)] }
            if !wanted.contains(context) { wanted.append(context) }
            return proceed(at: now)
        }
    }

    /// A service refused this token (401): the next need fetches another.
    public mutating func accessRefused(_ token: FUTAccessToken) {
        if accessTokens[token.context] == token { accessTokens[token.context] = nil }
    }

    /// Time has passed.
    public mutating func tick(at now: Instant) -> [Action] {
        if let saving, let retryAt = saving.retryAt {
            guard isDue(retryAt, at: now) else { return [.wait(until: retryAt)] }
            self.saving?.retryAt = nil
            return [.persist(saving.record)]
        }
        // A grant that nobody needs for a while is used all the same, ten times within the time in which it would lapse.
        if case .signedIn(let grant) = state, wanted.isEmpty, now >= grant.lastUsedAt + settings.idle / 10 { wanted = [.none] }
        return proceed(at: now)
    }

    /// Begins the next refresh where one is wanted, none is under way and the time has come.
    private mutating func proceed(at now: Instant) -> [Action] {
        guard case .signedIn(let grant) = state, let context = wanted.first else { return [] }
        if let notBefore, !isDue(notBefore, at: now) { return [.wait(until: notBefore)] }
        notBefore = nil
        state = .announcing(grant, context, since: now)
        var announced = grant
        announced.unansweredSince = grant.unansweredSince ?? now
        return [persist(.granted(announced))]
    }

    /// A time that is further off than any delay of ours was set by a clock that has been put back since.
    private func isDue(_ time: Instant, at now: Instant) -> Bool { now >= time || time - now > Self.clientRefusedDelay }

    private func request(_ grant: Grant, _ context: FUTContext) -> HTTPRequest {
        .form(
            settings.server.tokenEndpoint,
            [
                ("grant_type", "refresh_token"), ("refresh_token", grant.refreshToken.text), ("client_id", settings.client),
            ] + context.parameters)
    }

    private func accessToken(
        _ tokens: TokenResponse, _ context: FUTContext, _ claims: FUTClaims?, askedAt: Instant
    ) -> FUTAccessToken {
        FUTAccessToken(
            secret: tokens.accessToken, context: context, askedAt: askedAt,
            lifetime: tokens.expiresIn ?? claims?.lifetime ?? Self.standardLifetime)
    }
}

// MARK: The disk's word

extension FUTSession {
    private mutating func persist(_ content: Record.Content) -> Action {
        revision += 1
        let record = Record(revision: revision, issuer: settings.server.issuer, client: settings.client, content: content)
        saving = Saving(record: record, retryAt: nil)
        return .persist(record)
    }

    private mutating func secure(
        _ grant: Grant, _ context: FUTContext, _ result: Result<FUTAccessToken, ContextRefusal>, since: Instant
    ) -> [Action] {
        state = .securing(grant, context, result, since: since)
        return [persist(.granted(grant))]
    }

    /// The record with this number is durable.
    public mutating func persisted(_ revision: Int, at now: Instant) -> [Action] {
        guard revision == saving?.record.revision else { return [] }
        saving = nil
        switch state {
        case .announcing(let grant, let context, _):
            exchange += 1
            state = .refreshing(grant, context, since: now)
            return [.send(request(grant, context), exchange: exchange)]
        case .securing(let grant, let context, let result, _):
            state = .signedIn(grant)
            switch result {
            case .success(let token) where token.isFresh(at: now):
                wanted.removeAll { $0 == context }
                accessTokens[context] = token
                return [.use(token)] + proceed(at: now)
            case .success:
                // It took so long to store that it is past its use. Who still wants one waits for the next.
                return wanted.isEmpty ? [] : postpone(grant, at: now, asked: nil)
            case .failure(let refusal):
                wanted.removeAll { $0 == context }
                return [.contextRefused(context, refusal)] + proceed(at: now)
            }
        case .signedOut, .signedIn, .refreshing, .lapsed: return []
        }
    }

    /// The record with this number could not be made durable, as far as is known.
    public mutating func persistFailed(_ revision: Int, at now: Instant) -> [Action] {
        guard revision == saving?.record.revision else { return [] }
        if case .announcing(let grant, _, _) = state {
            // Nothing was sent: the refresh begins anew.
            saving = nil
            return postpone(grant, at: now, asked: nil)
        }
        // What is not on disk yet stays here and is written again: the token in it has no other place.
        failures += 1
        let retryAt = now + delay
        saving?.retryAt = retryAt
        return [.wait(until: retryAt)]
    }
}

// MARK: The server's word

extension FUTSession {
    /// What became of the request with this number; of any other than the one under way it is passed over.
    public mutating func receive(_ outcome: HTTPOutcome, of exchange: Int, at now: Instant) -> [Action] {
        guard exchange == self.exchange, case .refreshing(let grant, let context, let since) = state else { return [] }
        var unanswered = grant
        unanswered.unansweredSince = grant.unansweredSince ?? since
        switch outcome {
        case .notSent: return postpone(grant, at: now, asked: nil)
        case .unknown: return postpone(unanswered, at: now, asked: nil)
        case .answered(let response):
            switch TokenAnswer(response) {
            case .granted(let tokens): return granted(tokens, grant, context, askedAt: since, at: now)
            case .refused(let code): return refused(code, grant, unanswered, context, at: now)
            case .unavailable(let status, let retryAfter):
                // 429: the server counted the request and looked no further (RFC 6585 section 4).
                return postpone(status == 429 ? grant : unanswered, at: now, asked: retryAfter)
            case .unreadable(_, nil): return postpone(unanswered, at: now, asked: nil)
            case .unreadable(let error, let refreshToken?):
                failures += 1
                notBefore = now + delay
                return secure(
                    renewed(grant, refreshToken, since, expiresAt: nil), context, .failure(.unreadable(error)), since: since)
            }
        }
    }

    private mutating func granted(
        _ tokens: TokenResponse, _ grant: Grant, _ context: FUTContext, askedAt: Instant, at now: Instant
    ) -> [Action] {
        let claims = try? FUTClaims(of: tokens.accessToken)
        if let user = claims?.user, let citizen = grant.citizen, user != citizen { return lapse(.otherCitizen, grant, at: now) }
        settle()
        var renewed = renewed(
            grant, tokens.refreshToken ?? grant.refreshToken, askedAt,
            expiresAt: tokens.refreshExpiresIn.map { askedAt + $0 })
        renewed.citizen = grant.citizen ?? claims?.user
        let result: Result<FUTAccessToken, ContextRefusal> =
            if tokens.kind != .bearer {
                .failure(.notBearer)
            } else if let claims, !claims.covers(context) {
                .failure(.notGranted)
            } else {
                .success(accessToken(tokens, context, claims, askedAt: askedAt))
            }
        return secure(renewed, context, result, since: askedAt)
    }

    private func renewed(_ grant: Grant, _ refreshToken: Secret, _ usedAt: Instant, expiresAt: Instant?) -> Grant {
        Grant(
            refreshToken: refreshToken, citizen: grant.citizen, signedInAt: grant.signedInAt, lastUsedAt: usedAt,
            refreshExpiresAt: expiresAt)
    }

    private mutating func refused(
        _ code: OAuthErrorCode, _ grant: Grant, _ unanswered: Grant, _ context: FUTContext, at now: Instant
    ) -> [Action] {
        switch code {
        case .invalidGrant: return lapse(grant.unansweredSince == nil ? .refused : .answerLost, grant, at: now)
        case .serverError, .temporarilyUnavailable: return postpone(unanswered, at: now, asked: nil)
        case .invalidClient, .unauthorizedClient, .unsupportedGrantType:
            state = .signedIn(grant)
            let until = now + Self.clientRefusedDelay
            notBefore = until
            return [.clientRefused(code), .wait(until: until)]
        default:
            // The rest is about what was asked for, and that is the context.
            settle()
            state = .signedIn(grant)
            wanted.removeAll { $0 == context }
            return [.contextRefused(context, .server(code))] + proceed(at: now)
        }
    }

    private mutating func lapse(_ reason: Lapse.Reason, _ grant: Grant, at now: Instant) -> [Action] {
        let lapse = Lapse(reason, since: now)
        state = .lapsed(lapse, citizen: grant.citizen)
        forget()
        return [persist(.lapsed(lapse, citizen: grant.citizen)), .signInNeeded(lapse)]
    }

    /// Back to waiting, with what was wanted still wanted.
    private mutating func postpone(_ grant: Grant, at now: Instant, asked: Duration?) -> [Action] {
        state = .signedIn(grant)
        failures += 1
        let until = now + max(delay, min(asked ?? .zero, Self.clientRefusedDelay))
        notBefore = until
        return [.wait(until: until)]
    }

    private var delay: Duration {
        // Doubled six times, 5 s are beyond 5 min.
        min(Self.shortestDelay * (1 << min(max(failures - 1, 0), 6)), Self.longestDelay)
    }

    private mutating func settle() {
        failures = 0
        notBefore = nil
    }

    private mutating func forget() {
        accessTokens = [:]
        wanted = []
        settle()
    }
}

// MARK: The end that comes

extension FUTSession {
    /// When the sign-in ends if nothing is done, as far as is known.
    public var lapsesAt: Instant? {
        guard let grant else { return nil }
        return [grant.lastUsedAt + settings.idle, grant.refreshExpiresAt, settings.maximum.map { grant.signedInAt + $0 }]
            .compactMap { $0 }.min()
    }

    /// The end, where it is near enough to tell patient and organisation.
    public func warningDue(now: Instant) -> Instant? {
        lapsesAt.flatMap { now >= $0 - settings.warningAhead ? $0 : nil }
    }
}

/// Why a sign-in that succeeded is not taken: nothing of it is kept.
public enum FUTSignInError: Error, Hashable, Sendable, CustomStringConvertible {
    case otherServer
    case notOffline
    case notBearer
    case notACitizen
    case citizenUnknown
    case otherCitizen

    public var description: String {
        switch self {
        case .otherServer: "the sign-in is of another server or client than this receiver's"
        case .notOffline: "the server gave no refresh token: the client must be allowed the scope offline_access"
        case .notBearer: "the server gave a token that only its holder's key can use"
        case .notACitizen: "the person signed in as staff: a citizen must sign in here"
        case .citizenUnknown: "the token does not say whose it is, and this sign-in is one patient's"
        case .otherCitizen: "somebody else than this patient signed in"
        }
    }
}

extension FUTSession: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String {
        switch standing {
        case .signedOut: "[FUT session, signed out]"
        case .signedIn: "[FUT session, signed in]"
        case .refreshing: "[FUT session, refreshing]"
        case .lapsed(let lapse): "[FUT session, lapsed, \(lapse.reason.rawValue)]"
        }
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}

extension FUTSession.Settings: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Without the citizen.
    public var description: String { "[FUT session settings, \(server.issuer)]" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}

extension FUTSession.Action: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// A request holds the refresh token, in its body.
    public var description: String {
        switch self {
        case .persist(let record): "persist \(record)"
        case .send(_, let exchange): "send exchange \(exchange)"
        case .use(let token): "use \(token) for \(token.context)"
        case .contextRefused(let context, let refusal): "refused \(context): \(refusal)"
        case .clientRefused(let code): "client refused: \(code)"
        case .wait(let until): "wait until \(until)"
        case .signInNeeded(let lapse): "sign-in needed" + (lapse.map { ": \($0.reason.rawValue)" } ?? "")
        }
    }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}
