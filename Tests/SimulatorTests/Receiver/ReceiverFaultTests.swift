import ExactJSON
import Glibc
import HTTPMessage
import Simulator
import Testing

@Suite("FHIR receiver: faults", .timeLimit(.minutes(1)))
struct ReceiverFaultTests {
    private static func bundle(_ value: String = "a") -> JSON {
        transaction(create(observation(value)), create(observation(value + "2")))
    }

    @Test(
        "faults that answer",
        arguments: [
            (ReceiverFault.status(401), 401, 0), (.status(403), 403, 0), (.status(404), 404, 0), (.status(413), 413, 0),
            (.status(429, retryAfter: 7), 429, 0), (.status(503), 503, 0), (.entryFails(1), 422, 0), (.entryRefused(1), 200, 1),
            (.errorInside, 200, 0), (.redirect(302, location: "http://127.0.0.1:9/x"), 302, 0), (.garbage(stored: true), 200, 2),
            (.garbage(stored: false), 200, 0), (.slow(.milliseconds(50)), 200, 2),
        ])
    func answering(fault: ReceiverFault, status: Int, stored: Int) async throws {
        try await ReceiverExchange.with(.init(faults: .init([.request(1, fault)]))) { exchange in
            let outcome = await exchange.send(.post, "", Self.bundle())
            #expect(outcome.status == status)
            #expect(await exchange.receiver.state.resources().count == stored)
            let seen = try #require(await exchange.receiver.state.requests.first)
            #expect(seen.fault == fault)
            #expect(seen.status == status)
            #expect(seen.entries == 2)
            #expect(seen.written == stored)
            switch fault {
            case .status(429, _): #expect(outcome.header("retry-after") == "7")
            case .redirect: #expect(outcome.header("location") == "http://127.0.0.1:9/x")
            case .garbage: #expect(outcome.json == nil)
            case .errorInside: #expect(outcome.json?["resourceType"]?.string == "OperationOutcome")
            case .entryRefused:
                #expect(outcome.json?["entry"]?[1]?["response"]?["status"]?.string == "422 Unprocessable Entity")
            case .entryFails: #expect(outcome.json?["issue"]?[0]?["expression"]?[0]?.string == "Bundle.entry[1]")
            default: break
            }
            // Struck once; the next is served.
            #expect(await exchange.send(.post, "", Self.bundle("b")).status == 200)
            #expect(await exchange.receiver.state.resources().count == stored + 2)
        }
    }

    @Test(
        "faults that do not answer leave the sender not knowing",
        arguments: [
            (ReceiverFault.hang(stored: true), 2), (.hang(stored: false), 0), (.cut(stored: true), 2), (.cut(stored: false), 0),
        ])
    func silent(fault: ReceiverFault, stored: Int) async throws {
        try await ReceiverExchange.with(.init(faults: .init([.request(2, fault)])), timeout: .seconds(1)) { exchange in
            // On a kept connection, where libcurl itself would send again.
            #expect(await exchange.send(.get, "/Patient").status == 200)
            let outcome = await exchange.send(.post, "", Self.bundle())
            #expect(outcome.isUnknown)
            #expect(await exchange.receiver.state.resources().count == stored)
            #expect(await exchange.receiver.state.requests.count == 2)
            #expect(await exchange.receiver.state.requests.last?.status == nil)
        }
    }

    @Test("faults are set at run time over HTTP, and the counts read there")
    func runTime() async throws {
        try await ReceiverExchange.with { exchange in
            let script: JSON = ["seed": 3, "rules": [["fault": "status", "status": 503, "times": 2, "methods": ["POST"]]]]
            #expect(await exchange.send(.post, "/$fault", script).status == 204)
            #expect(await exchange.send(.get, "/Patient").status == 200)
            for expected in [503, 503, 200] { #expect(await exchange.send(.post, "", Self.bundle()).status == expected) }
            let state = await exchange.send(.get, "/$state").json
            #expect(state?["requests"]?.integer == 4)
            #expect(state?["resources"]?["Observation"]?.integer == 2)
            #expect(await exchange.send(.post, "/$fault", ["rules": [["fault": "unheard-of"]]]).status == 400)
            #expect(await exchange.send(.post, "/$fault", [:]).status == 204)
        }
    }

    @Test("half of the time 429 or 503, the same for the same seed")
    func overloaded() async throws {
        let runs = try await [7, 7, 8].asyncMap { seed in
            try await ReceiverExchange.with(.init(faults: .overloaded(percent: 50, seed: seed))) { exchange in
                var statuses: [Int?] = []
                for _ in 0..<60 { statuses.append(await exchange.send(.get, "/Patient").status) }
                return statuses
            }
        }
        #expect(runs[0] == runs[1])
        #expect(runs[0] != runs[2])
        #expect(Set(runs[0]) == [200, 429, 503])
        #expect((15...45).contains(runs[0].count { $0 == 200 }))
    }

    @Test("the ledger has a line for each resource and each request, on disk before the answer")
    func ledger() async throws {
        let path = "/tmp/vitalgate-ledger-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        defer { unlink(path) }
        try await ReceiverExchange.with(.init(ledgerPath: path, faults: .init([.request(2, .cut(stored: true))]))) { exchange in
            _ = await exchange.send(.post, "", Self.bundle())
            _ = await exchange.send(.post, "", transaction(create(observation("z"))))
            let file = try #require(fopen(path, "r"))
            defer { fclose(file) }
            var buffer = [UInt8](repeating: 0, count: 100_000)
            let count = fread(&buffer, 1, buffer.count, file)
            let lines = try buffer.prefix(count).split(separator: 0x0A).map { try JSON(parsing: $0) }
            #expect(lines.map { $0["kind"]?.string } == ["resource", "resource", "request", "resource", "request"])
            #expect(lines[0]["identifiers"]?[0]?.string == "urn:hub|a")
            #expect(lines[2]["entries"]?.integer == 2)
            #expect(lines[2]["status"]?.integer == 200)
            #expect(lines[4]["status"] == nil)
            #expect(lines[4]["fault"]?.string == "cut")
            #expect(lines[4]["written"]?.integer == 1)
        }
    }

    @Test("a ledger that cannot be opened and a port that is taken are errors")
    func startErrors() async throws {
        #expect(throws: ReceiverLedgerError.self) { try FHIRReceiver(.init(ledgerPath: "/nonexistent/ledger")) }
        try await ReceiverExchange.with { exchange in
            let port = try #require(Int(exchange.base.split(separator: ":")[2].prefix { $0.isNumber }))
            let second = try FHIRReceiver(.init(port: port))
            await #expect(throws: (any Error).self) { try await second.run() }
        }
    }
}

extension Array {
    func asyncMap<Result>(_ transform: (Element) async throws -> Result) async rethrows -> [Result] {
        var results: [Result] = []
        for element in self { results.append(try await transform(element)) }
        return results
    }
}
