public import ExactJSON
public import HTTPMessage
public import Vitals

/// What a FUT access token is narrowed to: absolute URLs of resources (FUT wiki, "Switching Context").
///
/// A citizen's `$submit-measurement` needs the episode of care; an episode brings its patient along.
///
/// The realm also lists contexts to choose from (`resource/ehealth-connect/contexts`). That is not asked: what is published of its answer
/// is a clinician's organisations and care teams. A citizen's patient is the channel's and the episode is the plan's, and a token for
/// another than was asked for is refused (R4).
public struct FUTContext: Hashable, Sendable {
    public let organization: String?
    public let careTeam: String?
    public let patient: String?
    public let episodeOfCare: String?

    /// The token as the sign-in gives it, narrowed to nothing.
    public static let none = FUTContext(unchecked: [nil, nil, nil, nil])

    public init(
        organization: String? = nil, careTeam: String? = nil, patient: String? = nil, episodeOfCare: String? = nil
    ) throws(EndpointURLError) {
        for url in [organization, careTeam, patient, episodeOfCare] { if let url { _ = try EndpointURL(url) } }
        self.init(unchecked: [organization, careTeam, patient, episodeOfCare])
    }

    private init(unchecked urls: [String?]) {
        organization = urls[0]
        careTeam = urls[1]
        patient = urls[2]
        episodeOfCare = urls[3]
    }

    /// By the names of the form and of the token's `context` claim, which are the same.
    var parameters: [(name: String, value: String)] {
        [
            ("organization_id", organization), ("care_team_id", careTeam), ("patient_id", patient),
            ("episode_of_care_id", episodeOfCare),
        ].compactMap { name, value in value.map { (name, $0) } }
    }
}

extension FUTContext: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// Which kinds it names; the ids are a patient's.
    public var description: String { "[context: \(parameters.map(\.name).joined(separator: ", "))]" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}

/// The claims of a FUT access token that the hub looks at, to notice a token of somebody else or for something else. What the
/// token allows is the server's to say.
public struct FUTClaims: Hashable, Sendable {
    /// `PATIENT`, `PRACTITIONER`, `SYSTEM`, `SSL`, `RELATED_PERSON`.
    public let userType: String?
    /// For a citizen the absolute URL of their Patient.
    public let user: String?
    /// The object `context`.
    public let context: JSON?
    /// `exp` less `iat`: a lifetime needs no clock of ours.
    public let lifetime: Duration?

    public init(of accessToken: Secret) throws(JWTError) {
        let token = try JWT(parsing: accessToken.text)
        userType = try token.text("user_type")
        user = try token.text("user_id")
        context = token.claims["context"]
        if let expiresAt = try token.instant("exp"), let issuedAt = try token.instant("iat") {
            lifetime = expiresAt - issuedAt
        } else {
            lifetime = nil
        }
    }

    /// Whether the token is for everything that was asked for; it may be for more, since an episode brings its patient.
    func covers(_ wanted: FUTContext) -> Bool {
        wanted.parameters.allSatisfy { context?[$0.name]?.string == $0.value }
    }
}

extension FUTClaims: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "[claims]" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}

/// An access token that may be used: the refresh token that came with it is durable.
public struct FUTAccessToken: Hashable, Sendable {
    public let secret: Secret
    public let context: FUTContext
    let askedAt: Instant
    let lifetime: Duration

    /// RFC 6750 section 2.1.
    public var header: HTTPHeader { HTTPHeader("authorization", "Bearer " + secret.text) }

    /// How long before its end a token is no longer handed out.
    ///
    /// 60 s, the longest that a request may take, + 30 s in which it waits for a free connection. That leaves 210 of FUT's 300 s.
    static let margin: Duration = .seconds(60 + 30)

    /// Whether it lasts long enough to begin a request.
    public func isFresh(at now: Instant) -> Bool {
        // A short token is used for two thirds of its life; a clock that was set back says nothing of a token's age.
        now >= askedAt && now < askedAt + lifetime - min(Self.margin, lifetime / 3)
    }
}

extension FUTAccessToken: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    public var description: String { "[access token]" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}
