public import ExactJSON
public import Vitals

/// A JSON Web Token, read and not verified (RFC 7519; compact serialisation of RFC 7515 section 7.1).
///
/// ```text
/// base64url(header JSON) "." base64url(claims JSON) "." base64url(signature)
/// ```
///
/// Reading proves nothing of who wrote it: that is the signature's, or of the TLS connection on which it came straight from the
/// token endpoint (OpenID Connect Core 1.0, section 3.1.3.7, point 6).
public struct JWT: Hashable, Sendable {
    /// FUT's and HelseID's tokens are 1 to 4 KiB; a header line that servers commonly take ends at 8 or 16 KiB.
    public static let maximumLength = 16 * 1_024

    /// The JOSE header, an object that names its `alg`.
    public let header: JSON
    /// The claims, an object.
    public let claims: JSON
    /// The ASCII bytes that the signature is over: header and claims as they stood in the text, with the dot.
    public let signedBytes: [UInt8]
    public let signature: [UInt8]

    public init(parsing text: some StringProtocol) throws(JWTError) {
        let length = text.utf8.count
        guard length <= Self.maximumLength else { throw .tooLong(bytes: length) }
        let parts = text.split(separator: ".", maxSplits: 5, omittingEmptySubsequences: false)
        guard parts.count == 3 else { throw .parts(parts.count) }
        header = try Self.object(parts[0], .header)
        guard header["alg"]?.string?.isEmpty == false else { throw .algorithmMissing }
        claims = try Self.object(parts[1], .claims)
        do {
            signature = try Base64URL.decode(parts[2])
        } catch {
            throw .base64(.signature, error)
        }
        signedBytes = Array(text.utf8.prefix(parts[0].utf8.count + 1 + parts[1].utf8.count))
    }

    private static func object(_ part: some StringProtocol, _ name: JWTError.Part) throws(JWTError) -> JSON {
        let bytes: [UInt8]
        do {
            bytes = try Base64URL.decode(part)
        } catch {
            throw .base64(name, error)
        }
        let value: JSON
        do {
            value = try JSON(parsing: bytes)
        } catch {
            throw .json(name, error)
        }
        guard let members = value.object else { throw .notAnObject(name) }
        // RFC 7519 section 4: names are unique. Where one stands twice, two readers could see two different tokens.
        guard Set(members.map(\.key)).count == members.count else { throw .repeatedName(name) }
        return value
    }
}

/// What is wrong with a token; never with a byte of it.
public enum JWTError: Error, Hashable, Sendable {
    public enum Part: String, Hashable, Sendable {
        case header
        case claims
        case signature
    }

    case tooLong(bytes: Int)
    /// Three parts make a signed token; five would be an encrypted one (RFC 7516), which nothing here reads.
    case parts(Int)
    case base64(Part, Base64URLError)
    case json(Part, JSONError)
    case notAnObject(Part)
    case repeatedName(Part)
    case algorithmMissing
    /// A claim that is of another type than its definition says, or out of range.
    case claim(String, expected: String)
}

extension JWTError: CustomStringConvertible {
    public var description: String {
        switch self {
        case .tooLong(let bytes): "a token of \(bytes) bytes: at most \(JWT.maximumLength) are read"
        case .parts(let count): "a token of \(count)\(count > 5 ? " or more" : "") parts: a signed token has 3"
        case .base64(let part, let error): "the token's \(part.rawValue): \(error)"
        case .json(let part, let error): "the token's \(part.rawValue): \(error)"
        case .notAnObject(let part): "the token's \(part.rawValue) is no JSON object"
        case .repeatedName(let part): "the token's \(part.rawValue) names a member twice"
        case .algorithmMissing: "the token's header names no algorithm"
        case .claim(let name, let expected): "the token's claim \(name): expected \(expected)"
        }
    }
}

extension JWT {
    /// `alg` (RFC 7515 section 4.1.1).
    public var algorithm: String { header["alg"]?.string ?? "" }
    /// `kid` (RFC 7515 section 4.1.4).
    public var keyIdentifier: String? { header["kid"]?.string }

    /// A claim that is text; `nil` where it is not there.
    public func text(_ name: String) throws(JWTError) -> String? {
        guard let value = claims[name] else { return nil }
        guard let text = value.string else { throw .claim(name, expected: "a text") }
        return text
    }

    /// A NumericDate: seconds since 1970, a fraction allowed (RFC 7519 section 2), cut to milliseconds.
    public func instant(_ name: String) throws(JWTError) -> Instant? {
        guard let value = claims[name] else { return nil }
        guard let number = value.number, let milliseconds = number.wholeThousandths,
            (0...Self.latestMilliseconds).contains(milliseconds)
        else { throw .claim(name, expected: "seconds since 1970, before the year 10000") }
        return Instant(milliseconds: milliseconds)
    }

    /// 9999-12-31T23:59:59.999Z: later ones cannot be written as a date.
    private static let latestMilliseconds: Int64 = 253_402_300_799_999

    /// `aud`: one text or several (RFC 7519 section 4.1.3); none where the claim is not there.
    public var audience: [String] {
        get throws(JWTError) {
            guard let value = claims["aud"] else { return [] }
            if let one = value.string { return [one] }
            guard let several = value.array, case let texts = several.compactMap(\.string), texts.count == several.count else {
                throw .claim("aud", expected: "a text or several")
            }
            return texts
        }
    }
}

extension ExactDecimal {
    /// The number times 1000, cut towards zero; `nil` where that does not fit.
    fileprivate var wholeThousandths: Int64? {
        var result = mantissa
        var exponent = Int(exponent) + 3
        while exponent < 0, result != 0 {
            result /= 10
            exponent += 1
        }
        while exponent > 0, result != 0 {
            let (next, overflow) = result.multipliedReportingOverflow(by: 10)
            if overflow { return nil }
            result = next
            exponent -= 1
        }
        return result
    }
}

extension JWT: CustomStringConvertible, CustomDebugStringConvertible, CustomReflectable {
    /// The algorithm alone: the claims name a person, and the parts together are the token.
    public var description: String { "[token, \(algorithm.count <= 16 ? algorithm : "algorithm unknown")]" }
    public var debugDescription: String { description }
    public var customMirror: Mirror { Mirror(self, children: [Mirror.Child]()) }
}
