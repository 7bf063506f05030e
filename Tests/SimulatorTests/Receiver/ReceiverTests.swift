import ExactJSON
import HTTPMessage
import Simulator
import Testing

@Suite("FHIR receiver", .timeLimit(.minutes(1)))
struct ReceiverTests {
    @Test("a transaction stores its entries, gives them ids and resolves the references between them")
    func transactionReferences() async throws {
        try await ReceiverExchange.with { exchange in
            let bundle = transaction(
                create(["resourceType": "Patient", "identifier": [["system": "urn:p", "value": "1"]]], url: "urn:uuid:a"),
                create(observation("x", subject: "urn:uuid:a"), url: "urn:uuid:b"),
                create(observation("y", subject: "Patient?identifier=urn:q|2")))
            // The condition matches nothing yet.
            #expect(await exchange.send(.post, "", bundle).status == 412)
            #expect(await exchange.receiver.state.resources().isEmpty)

            let good = transaction(
                create(["resourceType": "Patient", "identifier": [["system": "urn:p", "value": "1"]]], url: "urn:uuid:a"),
                create(observation("x", subject: "urn:uuid:a"), url: "urn:uuid:b"))
            let outcome = await exchange.send(.post, "", good)
            #expect(outcome.status == 200)
            #expect(outcome.json?["type"]?.string == "transaction-response")
            let entries = try #require(outcome.json?["entry"]?.array)
            #expect(entries.allSatisfy { $0["response"]?["status"]?.string == "201 Created" })
            let location = try #require(entries[1]["response"]?["location"]?.string)
            #expect(location.hasPrefix("Observation/") && location.hasSuffix("/_history/1"))
            let stored = await exchange.receiver.state.resources("Observation")
            let patient = try #require(await exchange.receiver.state.resources("Patient").first?["id"]?.string)
            #expect(stored.first?["subject"]?["reference"]?.string == "Patient/\(patient)")

            #expect(await exchange.send(.post, "", transaction(create(observation("z", subject: "urn:uuid:none")))).status == 400)
            let later = transaction(create(observation("y", subject: "Patient?identifier=urn:p|1")))
            #expect(await exchange.send(.post, "", later).status == 200)
            let second = await exchange.receiver.state.resources("Observation")[1]
            #expect(second["subject"]?["reference"]?.string == "Patient/\(patient)")
        }
    }

    @Test("a conditional create sent again finds the first, and references go to it")
    func conditionalCreate() async throws {
        try await ReceiverExchange.with { exchange in
            let bundle = transaction(create(observation("a"), url: "urn:uuid:1", ifNoneExist: "identifier=urn:hub|a"))
            let first = await exchange.send(.post, "", bundle).json?["entry"]?[0]?["response"]
            let again = await exchange.send(.post, "", bundle).json?["entry"]?[0]?["response"]
            #expect(first?["status"]?.string == "201 Created")
            #expect(again?["status"]?.string == "200 OK")
            #expect(first?["location"] == again?["location"])
            #expect(await exchange.receiver.state.counts() == ["Observation": 1])
            // By header, percent-encoded.
            let header = [HTTPHeader("if-none-exist", "identifier=urn%3Ahub%7Ca")]
            #expect(await exchange.send(.post, "/Observation", observation("a"), headers: header).status == 200)
            let other = [HTTPHeader("if-none-exist", "identifier=urn:hub|b")]
            let created = await exchange.send(.post, "/Observation", observation("b"), headers: other)
            #expect(created.status == 201)
            #expect(created.header("location")?.hasPrefix("/fhir/Observation/") == true)
            // Two of one identifier: the condition cannot choose.
            #expect(await exchange.send(.post, "/Observation", observation("b")).status == 201)
            #expect(await exchange.send(.post, "/Observation", observation("b"), headers: other).status == 412)
            let twice = transaction(
                create(observation("c"), ifNoneExist: "identifier=urn:hub|c"),
                create(observation("c"), ifNoneExist: "identifier=urn:hub|c"))
            #expect(await exchange.send(.post, "", twice).status == 400)
            // A condition that is not understood must not create.
            let strange = [HTTPHeader("if-none-exist", "code=1")]
            #expect(await exchange.send(.post, "/Observation", observation("d"), headers: strange).status == 400)
        }
    }

    @Test("a transaction with one bad entry stores nothing; a batch stores the others")
    func atomicity() async throws {
        try await ReceiverExchange.with { exchange in
            let bad: JSON = ["resourceType": "Observation", "status": "nonsense", "code": ["text": "x"]]
            let outcome = await exchange.send(.post, "", transaction(create(observation("a")), create(bad)))
            #expect(outcome.status == 422)
            #expect(outcome.json?["resourceType"]?.string == "OperationOutcome")
            #expect(outcome.json?["issue"]?[0]?["expression"]?[0]?.string == "Bundle.entry[1]")
            #expect(await exchange.receiver.state.resources().isEmpty)
            let batch = await exchange.send(.post, "", transaction(create(observation("a")), create(bad), type: "batch"))
            #expect(batch.status == 200)
            #expect(batch.json?["entry"]?[1]?["response"]?["status"]?.string == "422 Unprocessable Entity")
            #expect(await exchange.receiver.state.resources().count == 1)
        }
    }

    @Test("search by identifier and _id, read, update and patch with a version, numbers kept to the digit")
    func interactions() async throws {
        try await ReceiverExchange.with { exchange in
            let body = observation("a").setting("valueQuantity", to: ["value": try JSON(parsing: "36.60")])
            let created = await exchange.send(.post, "/Observation", body)
            let id = try #require(created.json?["id"]?.string)
            let found = await exchange.send(.get, "/Observation?identifier=urn:hub%7Ca")
            #expect(found.json?["total"]?.integer == 1)
            #expect(found.json?["entry"]?[0]?["resource"]?["valueQuantity"]?["value"]?.number?.description == "36.60")
            #expect(await exchange.send(.get, "/Observation?identifier=a").json?["total"]?.integer == 1)
            #expect(await exchange.send(.get, "/Observation?identifier=%7Ca").json?["total"]?.integer == 0)
            #expect(await exchange.send(.get, "/Observation?_id=\(id),999").json?["total"]?.integer == 1)
            #expect(await exchange.send(.get, "/Observation?subject=Patient/p1").json?["total"]?.integer == 1)
            #expect(await exchange.send(.get, "/Observation?code=x").status == 400)
            #expect(await exchange.send(.get, "/Observation/999").status == 404)

            let read = await exchange.send(.get, "/Observation/\(id)")
            #expect(read.header("etag") == "W/\"1\"")
            let patch: JSON = [
                ["op": "test", "path": "/status", "value": "final"],
                ["op": "replace", "path": "/status", "value": "entered-in-error"],
            ]
            let wrong = [HTTPHeader("if-match", "W/\"7\"")]
            let right = [HTTPHeader("if-match", "W/\"1\"")]
            let type = "application/json-patch+json"
            #expect(await exchange.send(.patch, "/Observation/\(id)", patch, headers: wrong, type: type).status == 412)
            #expect(await exchange.send(.patch, "/Observation/\(id)", patch).status == 415)
            let patched = await exchange.send(.patch, "/Observation/\(id)", patch, headers: right, type: type)
            #expect(patched.status == 200)
            #expect(patched.json?["status"]?.string == "entered-in-error")
            #expect(patched.header("etag") == "W/\"2\"")
            // Its test no longer holds.
            #expect(await exchange.send(.patch, "/Observation/\(id)", patch, type: type).status == 422)

            let update = observation("b").setting("id", to: .string(id))
            #expect(await exchange.send(.put, "/Observation/\(id)", update, headers: right).status == 412)
            #expect(await exchange.send(.put, "/Observation/\(id)", update).status == 200)
            #expect(await exchange.send(.get, "/Observation?identifier=urn:hub%7Ca").json?["total"]?.integer == 0)
            #expect(await exchange.send(.put, "/Device/own", ["resourceType": "Device", "id": "own"]).status == 201)
            #expect(await exchange.send(.put, "/Device/own", ["resourceType": "Device", "id": "other"]).status == 400)
        }
    }

    @Test("what is no FHIR is refused with an OperationOutcome")
    func refusals() async throws {
        var options = FHIRReceiver.Options()
        options.maximumBody = 2_000
        try await ReceiverExchange.with(options) { exchange in
            #expect(await exchange.send(.get, "/metadata").json?["fhirVersion"]?.string == "4.0.1")
            #expect(await exchange.send(.post, "", ["resourceType": "Patient"]).status == 400)
            #expect(await exchange.send(.post, "", transaction(), type: "text/plain").status == 415)
            #expect(await exchange.send(.post, "/Observation", ["resourceType": "Patient"]).status == 400)
            #expect(await exchange.send(.delete, "/Observation/1").status == 405)
            let large = observation(String(repeating: "x", count: 3_000))
            let outcome = await exchange.send(.post, "/Observation", large)
            #expect(outcome.status == 413)
            #expect(outcome.json?["issue"]?[0]?["code"]?.string == "too-long")
            let broken = HTTPRequest(
                .post, exchange.base, headers: [HTTPHeader("content-type", "application/fhir+json")], body: Array("{".utf8))
            #expect(await exchange.client.send(broken).status == 400)
            #expect(await exchange.client.send(HTTPRequest(.get, exchange.base + "elsewhere")).status == 404)
        }
    }

    @Test("a token is asked for")
    func token() async throws {
        try await ReceiverExchange.with(.init(token: "t0ken")) { exchange in
            let outcome = await exchange.send(.post, "", transaction())
            #expect(outcome.status == 401)
            #expect(outcome.header("www-authenticate") == "Bearer")
            let headers = [HTTPHeader("authorization", "Bearer t0ken")]
            #expect(await exchange.send(.post, "", transaction(), headers: headers).status == 200)
            #expect(await exchange.send(.get, "/metadata").status == 200)
        }
    }
}
