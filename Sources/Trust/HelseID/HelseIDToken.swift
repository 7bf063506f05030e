public import Vitals

/// An access token in memory, with the key that it is bound to. It is not persisted: a new one costs one request, a stored one
/// would be one more thing to steal.
public struct HelseIDToken: Hashable, Sendable {
    public let accessToken: Secret
    public let type: HelseIDClient.TokenType
    /// The key whose proofs go with it; after a rotation the previous one until the token ends.
    public let key: PrivateJWK
    /// From then on a new one is asked for.
    public let until: MonotonicTime

    /// When to stop using a token: `expires_in` after its *request* left, less a margin.
    ///
    /// The margin is what may pass between taking the token here and the API reading it:
    ///
    /// | Part | Seconds |
    /// |---|---|
    /// | name, TCP and TLS on a mobile line, one lost packet | 5 |
    /// | the API's clock ahead of HelseID's (the leeway of NHN's library) | 2 |
    /// | both times are whole seconds | 1 |
    /// | room | 2 |
    /// | sum | 10 |
    ///
    /// A token of less than 40 s gives a quarter of itself instead, or nothing would be left of a short one. More than a day is
    /// taken for a day.
    static func end(sentAt: MonotonicTime, expiresIn seconds: Int64) -> MonotonicTime {
        let lifetime = min(max(seconds, 0), 86_400) * 1_000
        return sentAt + .milliseconds(lifetime - min(10_000, lifetime / 4))
    }
}
