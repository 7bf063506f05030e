import Trust

/// Keys made once for all tests: an RSA key costs a second.
enum KeySamples {
    static let keys: [SignatureAlgorithm: PrivateJWK] = Dictionary(
        uniqueKeysWithValues: SignatureAlgorithm.allCases.compactMap { algorithm in
            (try? PrivateJWK.generate(algorithm)).map { (algorithm, $0) }
        })

    static func key(_ algorithm: SignatureAlgorithm) throws -> PrivateJWK {
        guard let key = keys[algorithm] else { throw JWKError.notAKey }
        return key
    }
}
