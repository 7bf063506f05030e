public import ExactJSON

/// A client as NHN's self-service has it.
public struct HelseIDClientRegistration: Hashable, Sendable {
    public var id: String
    public var scopes: Set<String>
    /// Public JWKs with a `kid` each.
    public var keys: [JSON]
    /// Whether it may have tokens that are bound to no key (VKP's published sample still has).
    public var allowsBearer: Bool
    /// A client for many organisations names one each time; each parent here has delegated to it in Altinn.
    public var tenants: Set<String>
    /// The claim `nhn:vkp/client/claims/vkp-id`: VKP knows the system of a municipality by it.
    public var vkpID: String?

    public init(
        id: String, scopes: Set<String>, keys: [JSON] = [], allowsBearer: Bool = false, tenants: Set<String> = [],
        vkpID: String? = nil
    ) {
        self.id = id
        self.scopes = scopes
        self.keys = keys
        self.allowsBearer = allowsBearer
        self.tenants = tenants
        self.vkpID = vkpID
    }
}

/// What a token was given for.
public struct HelseIDGrant: Hashable, Sendable {
    public var client: String
    public var scopes: Set<String>
    /// `kid` of the key that signed the assertion.
    public var keyIdentifier: String
    /// The thumbprint that the token is bound to; `nil` for a bearer token.
    public var boundTo: String?
    /// Organisation numbers of `assertion_details`.
    public var parent: String?
    public var child: String?
    public var vkpID: String?
}
