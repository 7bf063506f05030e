import Crypto
import EventLoop
import ExactJSON
import HTTP
import HTTPMessage
import Simulator
import Testing
import Vitals

/// A running FUT simulator and a client that knows its dance.
struct FUTRun {
    let simulator: FUTSimulator
    let endpoints: FUTEndpoints
    let client: HTTPClient

    var state: FUTState { simulator.state }
    static let redirect = "http://127.0.0.1:4711/callback"
    static let verifier = "a-verifier-that-is-long-enough-for-rfc-7636-0123"

    /// Runs `body` against a simulator of its own, which ends after it.
    static func with<Result: Sendable>(
        _ options: FUTSimulator.Options = .init(), timeout: Duration = .seconds(20),
        _ body: @Sendable (FUTRun) async throws -> Result
    ) async throws -> Result {
        let simulator = try FUTSimulator(options)
        let loop = try EventLoop(name: "fut-test")
        defer { loop.stop() }
        var settings = HTTPClientSettings()
        settings.requestTimeout = timeout
        let client = HTTPClient(settings: settings, loop: loop)
        let (origins, source) = AsyncStream<String>.makeStream()
        return try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask {
                defer { source.finish() }
                try await simulator.run { source.yield($0) }
            }
            guard let origin = await origins.first(where: { _ in true }) else {
                try await group.waitForAll()
                throw CancellationError()
            }
            let result = try await body(
                FUTRun(simulator: simulator, endpoints: FUTEndpoints(origin: origin), client: client))
            group.cancelAll()
            return result
        }
    }

    static func settings(_ change: (inout FUTSettings) -> Void) -> FUTSimulator.Options {
        var settings = FUTSettings()
        settings.approves = "anna"
        change(&settings)
        return FUTSimulator.Options(settings: settings)
    }

    // MARK: Requests

    func get(_ url: String, token: String? = nil) async -> HTTPOutcome {
        await client.send(
            HTTPRequest(.get, url, headers: token.map { [HTTPHeader("authorization", "Bearer \($0)")] } ?? [], body: []))
    }

    func send(
        _ method: HTTPRequest.Method = .post, _ url: String, _ body: JSON, token: String? = nil,
        type: String = "application/fhir+json"
    ) async -> HTTPOutcome {
        var headers = [HTTPHeader("content-type", type)]
        if let token { headers.append(HTTPHeader("authorization", "Bearer \(token)")) }
        return await client.send(HTTPRequest(method, url, headers: headers, body: body.bytes))
    }

    func form(_ path: String, _ fields: KeyValuePairs<String, String>) async -> HTTPOutcome {
        let text = fields.map { "\($0)=\(Self.encoded($1))" }.joined(separator: "&")
        return await client.send(
            HTTPRequest(
                .post, "\(endpoints.issuer)/\(path)", headers: [HTTPHeader("content-type", "application/x-www-form-urlencoded")],
                body: Array(text.utf8)))
    }

    func control(_ path: String, _ body: JSON) async -> HTTPOutcome { await send(.post, "\(endpoints.control)/\(path)", body) }

    static func encoded(_ text: String) -> String {
        text.utf8.map { byte in
            let character = Character(UnicodeScalar(byte))
            return character.isLetter || character.isNumber || "-._~".contains(character)
                ? String(character) : "%" + (byte < 16 ? "0" : "") + String(byte, radix: 16)
        }.joined()
    }

    static func challenge(_ verifier: String = verifier) -> String {
        var text = ""
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")
        var bits = SHA256.hash(data: Array(verifier.utf8)).flatMap { byte in (0..<8).map { Int(byte >> (7 - $0)) & 1 } }
        while bits.count % 6 != 0 { bits.append(0) }
        for start in stride(from: 0, to: bits.count, by: 6) {
            text.append(alphabet[bits[start..<start + 6].reduce(0) { $0 * 2 + $1 }])
        }
        return text
    }

    // MARK: Sign-in

    /// The address to which the realm sends the browser, with its fields.
    func authorize(_ changes: [String: String?] = [:]) async -> (status: Int?, fields: [String: String], address: String) {
        var fields: [String: String?] = [
            "client_id": "vitalgate", "redirect_uri": Self.redirect, "response_type": "code", "state": "s1", "nonce": "n1",
            "scope": "openid profile offline_access", "code_challenge": Self.challenge(), "code_challenge_method": "S256",
        ]
        for (name, value) in changes { fields.updateValue(value, forKey: name) }
        let query = fields.compactMap { name, value in value.map { "\(name)=\(Self.encoded($0))" } }.joined(separator: "&")
        let outcome = await get("\(endpoints.issuer)/protocol/openid-connect/auth?\(query)")
        let address = outcome.header("location") ?? ""
        var found: [String: String] = [:]
        for pair in address.split(separator: "?").last?.split(separator: "&") ?? [] {
            let parts = pair.split(separator: "=", maxSplits: 1)
            if parts.count == 2 { found[String(parts[0])] = String(parts[1]) }
        }
        return (outcome.status, found, address)
    }

    func redeem(_ code: String, verifier: String = verifier, redirect: String = redirect) async -> HTTPOutcome {
        await form(
            "protocol/openid-connect/token",
            [
                "grant_type": "authorization_code", "client_id": "vitalgate", "code": code, "redirect_uri": redirect,
                "code_verifier": verifier,
            ])
    }

    func refresh(_ token: String, patient: String? = nil, episode: String? = nil) async -> HTTPOutcome {
        var text = "grant_type=refresh_token&client_id=vitalgate&refresh_token=\(Self.encoded(token))"
        if let patient { text += "&patient_id=\(Self.encoded(patient))" }
        if let episode { text += "&episode_of_care_id=\(Self.encoded(episode))" }
        return await client.send(
            HTTPRequest(
                .post, "\(endpoints.issuer)/protocol/openid-connect/token",
                headers: [HTTPHeader("content-type", "application/x-www-form-urlencoded")], body: Array(text.utf8)))
    }

    /// The first refresh token of a citizen (the one that the settings approve).
    func signIn() async throws -> String {
        let code = try #require(await authorize().fields["code"])
        return try #require(await redeem(code).json?["refresh_token"]?.string)
    }

    /// An access token in the context of the episode.
    func token(patient: String = "1001", episode: String? = "2001") async throws -> String {
        let answer = await refresh(
            try await signIn(), patient: "\(endpoints.patient)/Patient/\(patient)",
            episode: episode.map { "\(endpoints.carePlan)/EpisodeOfCare/\($0)" })
        return try #require(answer.json?["access_token"]?.string)
    }

    // MARK: Measurements

    func observation(
        _ code: String = "NPU03011", value: JSON = 96, request: String = "3002", version: String = "1",
        timing: String = "Resolved",
        patient: String = "1001", episode: String = "2001", effective: String = "2026-11-25T08:14:03+01:00"
    ) -> JSON {
        let units = [
            "NPU03011": ("%", "%"), "NPU21692": ("1/min", "1/min"), "DNK05472": ("mmHg", "mm[Hg]"),
            "DNK05473": ("mmHg", "mm[Hg]"),
        ]
        func quantity(_ code: String, _ value: JSON) -> JSON {
            let unit = units[code] ?? ("1", "1")
            return [
                "value": value, "unit": .string(unit.0), "system": "http://unitsofmeasure.org", "code": .string(unit.1),
            ]
        }
        func coded(_ system: String, _ code: String) -> JSON { ["coding": [["system": .string(system), "code": .string(code)]]] }
        let npu = "urn:oid:1.2.208.176.2.1"
        var parts: [JSON] = [["url": "serviceRequestVersionId", "valueId": .string(version)]]
        if timing == "Resolved" {
            parts.append(["url": "start", "valueDateTime": "2026-11-25T07:00:00+00:00"])
            parts.append(["url": "end", "valueDateTime": "2026-11-25T11:00:00+00:00"])
        }
        parts.append([
            "url": "type", "valueCodeableConcept": coded("http://ehealth.sundhed.dk/cs/resolved-timing-type", timing),
        ])
        let isPanel = code == "ZZ3170"
        return .members([
            "resourceType": "Observation",
            "meta": ["profile": ["http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-observation"]],
            "extension": [
                [
                    "url": "http://hl7.org/fhir/StructureDefinition/workflow-episodeOfCare",
                    "valueReference": ["reference": .string("\(endpoints.carePlan)/EpisodeOfCare/\(episode)")],
                ],
                [
                    "url": "http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-resolved-timing",
                    "extension": .array(parts),
                ],
            ],
            "identifier": [["system": "urn:hub", "value": .string("\(code)-\(effective)")]],
            "basedOn": [["reference": .string("\(endpoints.carePlan)/ServiceRequest/\(request)")]], "status": "final",
            "code": coded(isPanel ? "urn:oid:1.2.208.176.2.4" : npu, code),
            "subject": ["reference": .string("\(endpoints.patient)/Patient/\(patient)")],
            "effectivePeriod": ["start": .string(effective), "end": .string(effective)],
            "performer": [["reference": .string("\(endpoints.patient)/Patient/\(patient)")]],
            "valueQuantity": isPanel ? JSON?.none : quantity(code, value),
            "component": isPanel
                ? [
                    ["code": coded(npu, "DNK05472"), "valueQuantity": quantity("DNK05472", 128)],
                    ["code": coded(npu, "DNK05473"), "valueQuantity": quantity("DNK05473", 78)],
                ] : JSON?.none,
        ])
    }

    static func submission(_ resources: [JSON]) -> JSON {
        let entries = resources.enumerated().map { index, resource -> JSON in
            [
                "fullUrl": .string("urn:uuid:00000000-0000-4000-8000-00000000000\(index)"), "resource": resource,
                "request": ["method": "POST", "url": resource["resourceType"] ?? .null],
            ]
        }
        return [
            "resourceType": "Parameters",
            "parameter": [
                [
                    "name": "measurement",
                    "resource": ["resourceType": "Bundle", "type": "transaction", "entry": .array(entries)],
                ]
            ],
        ]
    }

    func submit(_ resources: [JSON], token: String) async -> HTTPOutcome {
        await send(.post, "\(endpoints.measurement)/$submit-measurement", Self.submission(resources), token: token)
    }

    func procedures(token: String, patient: String = "1001", extra: Bool = false) async -> HTTPOutcome {
        let now = await state.now
        return await send(
            .post, "\(endpoints.carePlan)/$get-patient-procedures",
            [
                "resourceType": "Parameters",
                "parameter": [
                    ["name": "patient", "valueReference": ["reference": .string("\(endpoints.patient)/Patient/\(patient)")]],
                    ["name": "start", "valueDateTime": .string((now - .seconds(2 * 86_400)).description)],
                    ["name": "end", "valueDateTime": .string((now + .seconds(7 * 86_400)).description)],
                    ["name": "extra", "valueBoolean": .bool(extra)],
                ],
            ], token: token)
    }
}

extension HTTPOutcome {
    /// The guide's error code.
    var errorCode: String? { json?["issue"]?[0]?["details"]?["coding"]?[0]?["code"]?.string }

    /// The text of a `Parameters` row's part in an answer of `$get-patient-procedures`.
    var rows: [[String: JSON]] {
        let parameters = json?["entry"]?.array?.first { $0["resource"]?["resourceType"]?.string == "Parameters" }?["resource"]
        return (parameters?["parameter"]?.array ?? []).map { item in
            var row: [String: JSON] = [:]
            for part in item["part"]?.array ?? [] {
                row[part["name"]?.string ?? ""] = part.object?.first { $0.key.hasPrefix("value") }?.value ?? .null
            }
            return row
        }
    }
}
