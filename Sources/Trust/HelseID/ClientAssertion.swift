import ExactJSON
import Vitals

/// The hub's proof to HelseID of who it is: `private_key_jwt` (RFC 7523, section 3; OpenID Connect Core 1.0, section 9).
///
/// ```text
/// header  {"alg":"PS256","kid":"...","typ":"client-authentication+jwt"}
/// claims  {"iss":client,"sub":client,"aud":issuer,"exp":T+10,"iat":T,"nbf":T,"jti":"...","assertion_details":{...}}
/// ```
///
/// Source: NHN, HelseID.Library 1.1.3, `ClientAssertionPayloadClaimsCreator`, `SigningTokenCreator`.
public enum ClientAssertion {
    public static let type = "client-authentication+jwt"
    /// The form's `client_assertion_type` (RFC 7523, section 2.2).
    public static let formType = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer"

    /// Not public: whoever calls must hold a synchronised clock, and ``HelseIDSession`` sees to it.
    static func make(
        _ client: HelseIDClient, issuedAt: Instant, identifier: TokenIdentifier, key: PrivateJWK
    ) throws(JWSError) -> String {
        let seconds = issuedAt.wholeSeconds
        var claims: [JSON.Member] = [
            .init("iss", .string(client.clientID)),
            .init("sub", .string(client.clientID)),
            .init("aud", .string(client.issuer)),
            .init("exp", .integer(seconds + client.assertionLifetime.components.seconds)),
            .init("iat", .integer(seconds)),
            .init("nbf", .integer(seconds)),
            .init("jti", .string(identifier.text)),
        ]
        if let details = client.organisation.assertionDetails { claims.append(.init("assertion_details", details)) }
        return try JWS.sign(
            .object(claims), header: [.init("kid", .string(key.keyIdentifier)), .init("typ", .string(type))], with: key)
    }
}
