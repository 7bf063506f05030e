/// How this hub is known to HelseID, and for what it asks.
///
/// Everything that decides which token comes back is in it: two clients that are equal may share a token, two that differ never
/// (NHN's library caches under client key, scope, parent and child organisation).
public struct HelseIDClient: Hashable, Sendable {
    public enum TokenType: String, Hashable, Sendable, CaseIterable {
        /// PMD: bound to the hub's key.
        case dpop = "DPoP"
        /// VKP, whose published sample (April 2025) still sends it.
        case bearer = "Bearer"
    }

    /// `https://helseid-sts.nhn.no`, test `https://helseid-sts.test.nhn.no`. Also the assertion's audience.
    public var issuer: String
    public var clientID: String
    public var scopes: [String]
    public var organisation: HelseIDOrganisation
    public var tokenType: TokenType
    public var assertionLifetime: Duration

    /// NHN's library (1.1.3) sends 10 s; HelseID refuses more than 60 s.
    public static let defaultAssertionLifetime = Duration.seconds(10)
    public static let assertionLifetimes = Duration.seconds(5)...Duration.seconds(60)

    public init(
        issuer: String, clientID: String, scopes: [String], organisation: HelseIDOrganisation = .ofClient,
        tokenType: TokenType = .dpop, assertionLifetime: Duration = defaultAssertionLifetime
    ) {
        self.issuer = issuer
        self.clientID = clientID
        self.scopes = scopes
        self.organisation = organisation
        self.tokenType = tokenType
        self.assertionLifetime = min(
            max(assertionLifetime, Self.assertionLifetimes.lowerBound), Self.assertionLifetimes.upperBound)
    }

    /// Where the metadata is (OpenID Connect Discovery 1.0, section 4).
    public var metadataURL: String {
        issuer + (issuer.hasSuffix("/") ? "" : "/") + ".well-known/openid-configuration"
    }
}
