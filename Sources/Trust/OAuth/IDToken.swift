import Crypto
import Vitals

/// The checks of an id token that came straight from the token endpoint (OpenID Connect Core 3.1.3.7).
///
/// Its signature is not one of them: TLS to the token endpoint vouches for the issuer there (point 6).
struct IDToken {
    let issuer: String
    let client: String
    /// `nil`: none was sent, and none is asked for (the device grant has no place for one).
    let nonce: Secret?
    let accessToken: Secret

    /// How far the hub's clock and the server's may differ: synchronised ones are within a second; a minute forgives a hub that
    /// has only just set its clock.
    static let clockTolerance: Duration = .seconds(60)

    /// The subject, once everything holds.
    func subject(of text: Secret, at now: Instant) throws(IDTokenError) -> String {
        let token: JWT
        let claims: Claims
        do {
            token = try JWT(parsing: text.text)
            claims = try Claims(token)
        } catch {
            throw .unreadable(error)
        }
        guard token.algorithm.lowercased() != "none", !token.signature.isEmpty else { throw .unsigned }
        // RFC 7515 section 4.1.11: what is critical and not understood may not be let pass.
        guard token.header["crit"] == nil else { throw .critical }
        guard claims.issuer == issuer else { throw .issuer }
        guard claims.audience.contains(client) else { throw .audience }
        guard claims.authorizedParty == client || (claims.authorizedParty == nil && claims.audience.count == 1) else {
            throw .authorizedParty
        }
        guard let subject = claims.subject, !subject.isEmpty else { throw .subject }
        guard let expiresAt = claims.expiresAt, now < expiresAt + Self.clockTolerance else { throw .expired }
        guard let issuedAt = claims.issuedAt, issuedAt <= now + Self.clockTolerance else { throw .issuedInTheFuture }
        if let nonce {
            guard claims.nonce.map({ Secret($0) == nonce }) == true else { throw .nonce }
        }
        if let hash = claims.accessTokenHash, token.algorithm.hasSuffix("256") {
            // The left half of the hash that the signature uses (3.1.3.6).
            let digest = Array(SHA256.hash(data: Array(accessToken.text.utf8)))
            guard hash == Base64URL.encode(digest.prefix(16)) else { throw .accessTokenHash }
        }
        return subject
    }

    private struct Claims {
        let issuer: String?
        let audience: [String]
        let authorizedParty: String?
        let subject: String?
        let nonce: String?
        let accessTokenHash: String?
        let expiresAt: Instant?
        let issuedAt: Instant?

        init(_ token: JWT) throws(JWTError) {
            issuer = try token.text("iss")
            audience = try token.audience
            authorizedParty = try token.text("azp")
            subject = try token.text("sub")
            nonce = try token.text("nonce")
            accessTokenHash = try token.text("at_hash")
            expiresAt = try token.instant("exp")
            issuedAt = try token.instant("iat")
        }
    }
}
