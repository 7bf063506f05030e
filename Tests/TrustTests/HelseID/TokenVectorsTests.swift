import ExactJSON
import Glibc
import HTTPMessage
import Testing
import Trust
import Vitals

/// Requests as the hub would send them, for the judge `Tests/Judges/trust/judge_tokens.py`, which knows nothing of this code. The
/// keys in them are made for the run and worth nothing.
@Suite("Vectors for the judge of tokens") struct TokenVectorsTests {
    @Test(
        "Token and API requests of every algorithm are written where VITALGATE_VECTORS names a folder",
        arguments: SignatureAlgorithm.allCases)
    func vectors(algorithm: SignatureAlgorithm) throws {
        let parent = try NorwegianOrganisationNumber("123456785")
        let child = try NorwegianOrganisationNumber("987654325")
        let organisation: HelseIDOrganisation =
            switch algorithm {
            case .es256, .ps256: .ofClient
            case .es384, .ps384: .singleTenant(child: child)
            case .es512: .multiTenant(parent: parent, child: nil)
            case .ps512: .multiTenant(parent: parent, child: child)
            }
        var scene = try HelseIDSessionTests.Scene(algorithm, organisation: organisation)
        scene.server.nonce = "eyJ7S_zG.eyJH0-Z.HX4w-7v"
        let token = try scene.token()
        let requests = scene.sent.filter { $0.method == .post }
        #expect(requests.count == 2)
        for (request, step) in zip(requests, ["first", "with-nonce"]) {
            try write(
                [
                    "kind": "token", "request": Self.json(request), "issuer": .string(scene.session.client.issuer),
                    "client": .string(scene.session.client.clientID),
                    "scopes": .array(scene.session.client.scopes.map(JSON.string)),
                    "nonce": step == "first" ? nil : .string("eyJ7S_zG.eyJH0-Z.HX4w-7v"),
                    "details": scene.session.client.organisation.assertionDetails,
                ], of: scene, token.key, as: "token-\(algorithm.rawValue)-\(step)")
        }
        let request = HTTPRequest(
            .post, "https://pmd.test.nhn.no/Observation/_search?code=85354-9#now",
            headers: [HTTPHeader("content-type", "application/x-www-form-urlencoded")])
        guard case .ready(let ready) = try scene.session.authorise(request, with: token, scene.clock, using: &scene.generator)
        else {
            throw HelseIDSessionTests.Unexpected()
        }
        try write(
            ["kind": "api", "request": Self.json(ready), "token": .string(token.accessToken.text)],
            of: scene, token.key, as: "api-\(algorithm.rawValue)")
    }

    private static func json(_ request: HTTPRequest) -> JSON {
        .members([
            "method": .string(request.method.rawValue), "url": .string(request.url),
            "headers": .object(request.headers.map { JSON.Member($0.name, .string($0.value)) }),
            "body": .string(String(decoding: request.body, as: UTF8.self)),
        ])
    }

    private func write(
        _ members: KeyValuePairs<String, JSON?>, of scene: HelseIDSessionTests.Scene, _ key: PrivateJWK, as name: String
    ) throws {
        var vector = JSON.members(members)
        vector = vector.setting("now", to: .integer(scene.clock.wall.milliseconds / 1_000))
        vector = vector.setting("publicKey", to: scene.session.keys.publicJWK)
        vector = vector.setting("privateKey", to: try JSON(parsing: key.exported.text))
        vector = vector.setting("thumbprint", to: .string(key.publicKey.thumbprint))
        guard let folder = getenv("VITALGATE_VECTORS") else { return }
        let file = try #require(fopen(String(cString: folder) + "/" + name + ".json", "w"))
        defer { fclose(file) }
        let bytes = Array(vector.prettyText.utf8)
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }
}
