public import ExactJSON
public import Vitals

/// The hub's keys for one client, with the overlap of a rotation.
///
/// ```text
/// generate            current
/// beginRotation       current, candidate           the candidate's public half is printed for registration
/// candidateRegistered current, candidate (tried)   a refusal of the candidate changes nothing: the current one still signs
/// accepted(candidate) current, previous            the candidate signs; the previous one stands by for a day
/// a day later         current
/// ```
///
/// No moment has no key that HelseID knows, whichever of registration and use comes first, and whenever power fails: what changes
/// is persisted before it is used.
public struct HelseIDKeys: Hashable, Sendable {
    /// How long the previous key stands by after the new one was taken. NHN's metadata, its own copy of our keys included, may be
    /// up to 24 h old (FK2), so that one of its machines may still know the previous key alone.
    public static let overlap = Duration.seconds(24 * 3_600)

    public private(set) var current: PrivateJWK
    public private(set) var candidate: PrivateJWK?
    /// Whether somebody registered the candidate: before that it would only be refused.
    public private(set) var isCandidateRegistered: Bool
    public private(set) var previous: PrivateJWK?
    /// When HelseID first took the current key after a rotation.
    public private(set) var acceptedAt: Instant?

    public init(current: PrivateJWK) {
        self.current = current
        isCandidateRegistered = false
    }

    public static func generate(_ algorithm: SignatureAlgorithm) throws(JWKError) -> HelseIDKeys {
        HelseIDKeys(current: try .generate(algorithm))
    }

    /// What is to be registered with the client at NHN: the candidate's public half, or the current one's.
    public var publicJWK: JSON { (candidate ?? current).publicKey.json }

    /// Makes the next key. One that was begun and never taken is replaced.
    public mutating func beginRotation(_ algorithm: SignatureAlgorithm) throws(JWKError) {
        candidate = try .generate(algorithm)
        isCandidateRegistered = false
    }

    /// Somebody registered the candidate: it is tried from now on. `false` where there is none.
    @discardableResult
    public mutating func candidateRegistered() -> Bool {
        guard candidate != nil else { return false }
        isCandidateRegistered = true
        return true
    }

    /// The rotation is called off.
    public mutating func dropCandidate() {
        candidate = nil
        isCandidateRegistered = false
    }

    /// Which keys to try for a token, in this order.
    func order(withCandidate: Bool) -> [PrivateJWK] {
        var keys: [PrivateJWK] = []
        if withCandidate, isCandidateRegistered, let candidate { keys.append(candidate) }
        keys.append(current)
        if let previous { keys.append(previous) }
        return keys
    }

    /// HelseID took this key. `true` where something is to be persisted.
    mutating func accepted(_ key: PrivateJWK, at now: Instant) -> Bool {
        if key == candidate {
            previous = current
            current = key
            dropCandidate()
            acceptedAt = now
            return true
        }
        if key == current, previous != nil, let acceptedAt, now - acceptedAt >= Self.overlap {
            previous = nil
            self.acceptedAt = nil
            return true
        }
        return false
    }
}

extension HelseIDKeys {
    /// For the sealed store: the keys with their private numbers.
    public var exported: Secret {
        get throws(JWKError) {
            var members: [JSON.Member] = [.init("current", try Self.json(current))]
            if let candidate {
                members.append(.init("candidate", try Self.json(candidate)))
                members.append(.init("candidateRegistered", .bool(isCandidateRegistered)))
            }
            if let previous { members.append(.init("previous", try Self.json(previous))) }
            if let acceptedAt { members.append(.init("acceptedAt", .integer(acceptedAt.milliseconds))) }
            return Secret(JSON.object(members).text)
        }
    }

    public init(_ exported: Secret) throws(JWKError) {
        let json = try Self.parse(exported.text)
        guard let current = json["current"] else { throw .missing("current") }
        self.init(current: try PrivateJWK(json: current))
        if let member = json["candidate"] { candidate = try PrivateJWK(json: member) }
        isCandidateRegistered = candidate != nil && json["candidateRegistered"]?.bool == true
        if let member = json["previous"] { previous = try PrivateJWK(json: member) }
        acceptedAt = json["acceptedAt"]?.integer.map { Instant(milliseconds: Int64($0)) }
    }

    private static func json(_ key: PrivateJWK) throws(JWKError) -> JSON { try parse(key.exported.text) }

    private static func parse(_ text: String) throws(JWKError) -> JSON {
        do {
            return try JSON(parsing: text)
        } catch {
            throw .json(offset: error.offset, expected: error.expected)
        }
    }
}
