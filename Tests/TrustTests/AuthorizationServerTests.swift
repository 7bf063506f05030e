import ExactJSON
import HTTPMessage
import Testing
import Trust
import Vitals

@Suite("Authorization server, its addresses and answers")
struct AuthorizationServerTests {
    @Test("Keycloak's document is read, and asked for at its place")
    func document() throws {
        let server = try server()
        #expect(server.tokenEndpoint.text == issuer + "/protocol/openid-connect/token")
        #expect(server.deviceAuthorizationEndpoint?.text == issuer + "/protocol/openid-connect/auth/device")
        #expect(server.namesItselfInAnswers)
        #expect(try AuthorizationServer.discovery(issuer: issuer).url == issuer + "/.well-known/openid-configuration")
        #expect(
            try AuthorizationServer.discovery(issuer: "http://127.0.0.1:8080/realms/x/").url
                == "http://127.0.0.1:8080/realms/x/.well-known/openid-configuration")
        #expect(throws: AuthorizationServerError.endpoint("issuer", .notProtected)) {
            try AuthorizationServer.discovery(issuer: "http://saml.test.invalid/realms/x")
        }
        #expect(throws: AuthorizationServerError.endpoint("issuer", .query)) {
            try AuthorizationServer.discovery(issuer: issuer + "?a=b")
        }
    }

    @Test("A document that cannot be trusted is refused by what is wrong with it")
    func untrusted() throws {
        let cases: [(String, JSON, AuthorizationServerError)] = [
            ("issuer", .string(issuer + "/"), .otherIssuer),
            ("issuer", 7, .otherIssuer),
            ("token_endpoint", 7, .missing("token_endpoint")),
            ("token_endpoint", "http://saml.test.invalid/token", .endpoint("token_endpoint", .notProtected)),
            ("token_endpoint", "ftp://saml.test.invalid/token", .endpoint("token_endpoint", .scheme)),
            ("authorization_endpoint", "https://a@saml.test.invalid/", .endpoint("authorization_endpoint", .host)),
            ("jwks_uri", "https://saml.test.invalid:0/", .endpoint("jwks_uri", .port)),
            (
                "device_authorization_endpoint", "https://saml.test.invalid/#a",
                .endpoint("device_authorization_endpoint", .fragment)
            ),
            ("code_challenge_methods_supported", ["plain"], .withoutPKCE),
            ("code_challenge_methods_supported", nil, .withoutPKCE),
        ]
        for (name, value, expected) in cases {
            #expect(throws: expected) { try server(issuer, [name: value]) }
        }
        for name in ["authorization_endpoint", "token_endpoint"] {
            guard case .object(let members) = discoveryDocument() else { return }
            let document = JSON.object(members.filter { $0.key != name })
            #expect(throws: AuthorizationServerError.missing(name)) {
                try AuthorizationServer(parsing: document.bytes, issuer: issuer)
            }
        }
        #expect(throws: AuthorizationServerError.self) { try AuthorizationServer(parsing: Array("<html>".utf8), issuer: issuer) }
        #expect(throws: AuthorizationServerError.tooLong(bytes: 300_000)) {
            try AuthorizationServer(parsing: [UInt8](repeating: 0x20, count: 300_000), issuer: issuer)
        }
    }

    @Test("Addresses are taken apart in one way only")
    func addresses() throws {
        let plain = try EndpointURL("https://Example.test:443/a/b?c=d?e")
        #expect(plain.origin == "https://example.test")
        #expect(plain.path == "/a/b")
        #expect(plain.query == "c=d?e")
        #expect(try EndpointURL("http://127.0.0.1:8123").origin == "http://127.0.0.1:8123")
        #expect(try EndpointURL("http://127.0.0.1:8123").path == "/")
        #expect(try EndpointURL("http://[::1]:80/x").origin == "http://[::1]")
        let refused: [(String, EndpointURLError)] = [
            ("http://localhost/", .notProtected), ("http://127.0.0.1.test.invalid/", .notProtected),
            ("http://127.0.0.1@test.invalid/", .host), ("https://test.invalid\\@other/", .character),
            ("https:///path", .host), ("https://", .host), ("https://a b/", .character), ("https://ø.test/", .character),
            ("https://a:/", .port), ("https://a:70000/", .port), ("https://a:+80/", .port), ("HTTPS://a/", .scheme),
            ("https://a/\u{0}", .character), ("https://" + String(repeating: "a", count: 9_000), .tooLong),
        ]
        for (text, expected) in refused {
            #expect(throws: expected, "\(text.prefix(40))") { try EndpointURL(text) }
        }
    }

    @Test("A grant is read exactly")
    func grant() throws {
        let body: JSON = [
            "access_token": "a", "token_type": "bEaReR", "expires_in": 300, "refresh_token": "r", "refresh_expires_in": 0,
            "id_token": "i", "scope": "openid offline_access", "session_state": "x",
        ]
        let response = try TokenResponse(parsing: body.bytes)
        #expect(response.accessToken == Secret("a"))
        #expect(response.kind == .bearer)
        #expect(response.expiresIn == .seconds(300))
        #expect(response.refreshToken == Secret("r"))
        #expect(response.refreshExpiresIn == nil)
        #expect(response.scopes == ["openid", "offline_access"])
        #expect(response.idToken == Secret("i"))
        let least = try TokenResponse(parsing: (["access_token": "a", "token_type": "DPoP"] as JSON).bytes)
        #expect(least.kind == .dpop)
        #expect(least.expiresIn == nil)
        #expect(least.refreshToken == nil)
        let bounded = try TokenResponse(parsing: body.setting("refresh_expires_in", to: 1_800).bytes)
        #expect(bounded.refreshExpiresIn == .seconds(1_800))
    }

    @Test("A grant that is none says what is wrong")
    func noGrant() throws {
        let good: JSON = ["access_token": "a", "token_type": "Bearer"]
        let whole = "whole seconds, at most ten years"
        let printable = "1 to 16384 printable ASCII characters"
        let cases: [(JSON, TokenResponseError)] = [
            ([], .notAnObject),
            (["token_type": "Bearer"], .missing("access_token")),
            (["access_token": "a"], .missing("token_type")),
            (good.setting("token_type", to: "mac"), .tokenType),
            (good.setting("access_token", to: 7), .invalid("access_token", expected: "a text")),
            (good.setting("access_token", to: ""), .invalid("access_token", expected: printable)),
            (good.setting("access_token", to: "a\r\nb"), .invalid("access_token", expected: printable)),
            (good.setting("refresh_token", to: "é"), .invalid("refresh_token", expected: printable)),
            (good.setting("expires_in", to: "300"), .invalid("expires_in", expected: whole)),
            (good.setting("expires_in", to: -1), .invalid("expires_in", expected: whole)),
            (good.setting("expires_in", to: 0), .invalid("expires_in", expected: "at least one second")),
            (
                good.setting("expires_in", to: .number(ExactDecimal(mantissa: 3005, exponent: -1))),
                .invalid("expires_in", expected: whole)
            ),
            (good.setting("refresh_expires_in", to: 999_999_999_999), .invalid("refresh_expires_in", expected: whole)),
        ]
        for (body, expected) in cases {
            #expect(throws: expected) { try TokenResponse(parsing: body.bytes) }
        }
        #expect(throws: TokenResponseError.repeatedName) {
            try TokenResponse(parsing: Array(#"{"access_token":"a","access_token":"b","token_type":"Bearer"}"#.utf8))
        }
        #expect(throws: TokenResponseError.tooLong(bytes: 70_000)) {
            try TokenResponse(parsing: [UInt8](repeating: 0x20, count: 70_000))
        }
    }

    @Test("Answers by what to do next: a proxy's refusal is not the server's")
    func answers() throws {
        func read(_ status: Int, _ body: String, _ headers: [HTTPHeader] = []) -> TokenAnswer {
            TokenAnswer(HTTPResponse(status: status, headers: headers, body: Array(body.utf8)))
        }
        #expect(read(400, #"{"error":"invalid_grant"}"#) == .refused(.invalidGrant))
        #expect(read(401, #"{"error":"invalid_client"}"#) == .refused(.invalidClient))
        #expect(read(400, #"{"error":"not_of_the_rfc"}"#) == .refused(.other("not_of_the_rfc")))
        #expect(read(400, #"{"error":"PLANTED token"}"#) == .refused(.unnamed))
        #expect(read(400, "<html>") == .unavailable(status: 400, retryAfter: nil))
        #expect(read(403, "{}") == .unavailable(status: 403, retryAfter: nil))
        #expect(read(503, #"{"error":"invalid_grant"}"#) == .unavailable(status: 503, retryAfter: nil))
        #expect(read(429, "", [HTTPHeader("retry-after", "17")]) == .unavailable(status: 429, retryAfter: .seconds(17)))
        #expect(read(429, "", [HTTPHeader("retry-after", "-1")]) == .unavailable(status: 429, retryAfter: nil))
        #expect(read(302, "") == .unavailable(status: 302, retryAfter: nil))
        #expect(
            read(200, #"{"refresh_token":"r"}"#) == .unreadable(.missing("access_token"), refreshToken: Secret("r")))
        guard case .unreadable(_, nil) = read(200, "<html>") else {
            Issue.record("a page is no grant")
            return
        }
    }
}
