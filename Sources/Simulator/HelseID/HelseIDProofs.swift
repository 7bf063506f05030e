import ExactJSON
import Vitals

/// Why a request is not believed: an error of OAuth with words for whoever looks for it.
struct HelseIDFault: Error, Hashable {
    var code: String
    var text: String

    init(_ code: String, _ text: String) {
        self.code = code
        self.text = text
    }

    static func proof(_ text: String) -> HelseIDFault { HelseIDFault("invalid_dpop_proof", text) }
}

/// One server's memory of what it has seen, and its nonces: HelseID has one, each API one of its own.
struct HelseIDProofs {
    /// Until when a `jti` counts as used.
    private var used: [String: Instant] = [:]
    private var nonce: (text: String, since: Instant)?

    /// NHN's sample API: a proof is good for a second, and clocks may differ by five.
    static let lifetime = Duration.seconds(1)
    static let skew = Duration.seconds(5)

    mutating func use(_ identifier: String?, until: Instant, now: Instant, or fault: HelseIDFault) throws(HelseIDFault) {
        used = used.filter { $0.value > now }
        guard let identifier, identifier.utf8.count >= 16, used.updateValue(until, forKey: identifier) == nil else { throw fault }
    }

    /// The nonce that a proof has to carry now; a new one when the last is too old.
    mutating func currentNonce(lifetime: Duration, now: Instant) -> String {
        if let nonce, now - nonce.since < lifetime { return nonce.text }
        let text = randomName(18)
        nonce = (text, now)
        return text
    }

    /// Forgets the nonce: the next proof is challenged.
    mutating func dropNonce() { nonce = nil }

    /// Checks a proof as RFC 9449, section 4.3, lists it, in its order. Returns the thumbprint of its key.
    ///
    /// - Parameters:
    ///   - url: without query, as the request came.
    ///   - nonceLifetime: `nil` where none is asked for.
    mutating func check(
        _ headers: [String], method: String, url: String, token: String?, nonceLifetime: Duration?, now: Instant
    ) throws(HelseIDFault) -> String {
        guard headers.count == 1 else { throw .proof("\(headers.count) DPoP headers") }
        guard let proof = HelseIDJWT(headers[0]) else { throw .proof("no JWT") }
        guard proof.header["typ"]?.string == "dpop+jwt" else { throw .proof("typ") }
        guard let algorithm = proof.header["alg"]?.string, HelseIDJWT.algorithms.contains(algorithm) else { throw .proof("alg") }
        guard let key = proof.header["jwk"], let thumbprint = HelseIDJWT.thumbprint(of: key) else { throw .proof("jwk") }
        guard key["d"] == nil, key["p"] == nil, key["k"] == nil else { throw .proof("a private key") }
        guard proof.isSigned(by: key) else { throw .proof("signature") }
        let claims = proof.claims
        guard claims["htm"]?.string == method else { throw .proof("htm") }
        guard claims["htu"]?.string == url else { throw .proof("htu") }
        guard let seconds = claims["iat"]?.integer else { throw .proof("iat") }
        let made = Instant(seconds: Int64(seconds))
        guard made <= now + Self.skew else { throw .proof("iat is ahead") }
        // Whole seconds: what was made at 12:00:00.9 says 12:00:00.
        guard now - made < Self.lifetime + Self.skew + .seconds(1) else { throw .proof("iat is stale") }
        guard claims["ath"]?.string == token.map(HelseIDJWT.hash) else { throw .proof("ath") }
        if let nonceLifetime {
            guard claims["nonce"]?.string == currentNonce(lifetime: nonceLifetime, now: now) else {
                throw HelseIDFault("use_dpop_nonce", "nonce")
            }
        }
        try use(claims["jti"]?.string, until: made + .seconds(60), now: now, or: .proof("jti"))
        return thumbprint
    }
}
