import ExactJSON
import Testing
import Trust
import Vitals

@Suite("Base64url and the reading of a token")
struct JWTTests {
    @Test(
        "RFC 4648 section 10, in the URL-safe form without padding",
        arguments: [
            ("", ""), ("f", "Zg"), ("fo", "Zm8"), ("foo", "Zm9v"), ("foob", "Zm9vYg"), ("fooba", "Zm9vYmE"),
            ("foobar", "Zm9vYmFy"),
        ])
    func vectors(plain: String, coded: String) throws {
        #expect(Base64URL.encode(Array(plain.utf8)) == coded)
        #expect(try Base64URL.decode(coded) == Array(plain.utf8))
    }

    @Test("Every byte value comes back, at every length")
    func roundTrip() throws {
        for length in 0...300 {
            let bytes = (0..<length).map { UInt8(truncatingIfNeeded: $0 &* 7 &+ length) }
            #expect(try Base64URL.decode(Base64URL.encode(bytes)) == bytes)
        }
    }

    @Test(
        "One value has one text: padding, other alphabets, stray bits and half characters are refused at their place",
        arguments: [("Zg==", 2), ("Zm9v\n", 4), ("Zm+v", 2), ("Zm/v", 2), ("Zh", 1), ("Zm9", 2), ("Z", 0), ("Zæ0", 1)])
    func strict(text: String, offset: Int) {
        #expect {
            try Base64URL.decode(text)
        } throws: {
            ($0 as? Base64URLError)?.offset == offset
        }
    }

    static func token(_ header: String, _ claims: String, signature: String = "c2ln") -> String {
        "\(Base64URL.encode(Array(header.utf8))).\(Base64URL.encode(Array(claims.utf8))).\(signature)"
    }

    @Test("Header, claims, what was signed, and the times and audiences of RFC 7519")
    func reading() throws {
        let text = Self.token(
            #"{"alg":"RS256","kid":"k1"}"#,
            #"{"iss":"https://example.test","aud":["a","b"],"exp":1764064800,"iat":1764064500.5,"nonce":"n"}"#)
        let token = try JWT(parsing: text)
        #expect(token.algorithm == "RS256")
        #expect(token.keyIdentifier == "k1")
        #expect(try token.text("iss") == "https://example.test")
        #expect(try token.audience == ["a", "b"])
        #expect(try token.instant("exp") == Instant(seconds: 1_764_064_800))
        #expect(try token.instant("iat") == Instant(milliseconds: 1_764_064_500_500))
        #expect(try token.instant("nbf") == nil)
        #expect(token.signature == Array("sig".utf8))
        #expect(String(decoding: token.signedBytes, as: UTF8.self) + ".c2ln" == text)
        #expect(try JWT(parsing: Self.token(#"{"alg":"none"}"#, #"{"aud":"one"}"#, signature: "")).audience == ["one"])
    }

    @Test("What is no token says what is wrong, and never with a byte of it")
    func malformed() throws {
        let header = #"{"alg":"RS256"}"#
        let cases: [(String, JWTError)] = [
            ("", .parts(1)),
            ("a.b", .parts(2)),
            ("a.b.c.d.e", .parts(5)),
            (String(repeating: "a", count: 16 * 1_024 + 1), .tooLong(bytes: 16_385)),
            (Self.token("[]", "{}"), .notAnObject(.header)),
            (Self.token(header, "7"), .notAnObject(.claims)),
            (Self.token("{}", "{}"), .algorithmMissing),
            (Self.token(#"{"alg":7}"#, "{}"), .algorithmMissing),
            (Self.token(header, #"{"sub":"a","sub":"b"}"#), .repeatedName(.claims)),
        ]
        for (text, expected) in cases {
            #expect(throws: expected) { try JWT(parsing: text) }
        }
        #expect(throws: JWTError.self) { try JWT(parsing: Self.token(header, "{")) }
        #expect(throws: JWTError.self) { try JWT(parsing: Self.token(header, "{}", signature: "***")) }
    }

    @Test(
        "A time that is none is refused",
        arguments: ["\"1764064800\"", "-1", "999999999999999", "1e100", "true", "null", "[]"])
    func times(value: String) throws {
        let token = try JWT(parsing: Self.token(#"{"alg":"RS256"}"#, #"{"exp":"# + value + "}"))
        #expect(throws: JWTError.claim("exp", expected: "seconds since 1970, before the year 10000")) { try token.instant("exp") }
    }

    @Test("Neither a secret nor a token shows itself")
    func r8_secretsAreNotShown() throws {
        let token = try JWT(parsing: Self.token(#"{"alg":"RS256"}"#, #"{"sub":"PLANTED"}"#))
        let secret = Secret("PLANTED")
        for shown in [
            "\(token)", "\(secret)", String(reflecting: token), String(reflecting: [secret]), dumped(token), dumped(secret),
        ] {
            #expect(!shown.contains("PLANTED"))
        }
        #expect(secret == Secret("PLANTED"))
        #expect(secret != Secret("PLANTEE"))
        #expect(secret != Secret("PLANTEDX"))
    }
}

func dumped(_ value: some Any) -> String {
    var out = ""
    dump(value, to: &out)
    return out
}
