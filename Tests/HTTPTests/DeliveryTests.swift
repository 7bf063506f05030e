import HTTP
import HTTPMessage
import Testing

/// The line between "not sent" and "unknown": each proved by what a server read.
@Suite("HTTP: sent, not sent, unknown", .timeLimit(.minutes(1)))
struct DeliveryTests {
    @Test(
        "a request that was read completely and never answered is unknown, and was read once",
        arguments: [
            ("/cut", HTTPFailure.Kind.interrupted), ("/reset", .interrupted), ("/cut-in-head", .interrupted),
            ("/partial", .interrupted), ("/hang", .timeout),
        ])
    func readButNotAnswered(path: String, kind: HTTPFailure.Kind) async throws {
        let server = try await Server()
        let client = try Client { $0.requestTimeout = .milliseconds(700) }
        let outcome = await client.post(server.url(path))
        #expect(Short(outcome) == .unknown(kind))
        #expect(try await server.requests().count == 1)
    }

    @Test("a request that was read in part is unknown")
    func readInPart() async throws {
        let server = try await Server()
        let client = try Client()
        let body = String(repeating: "x", count: 8_000_000)
        #expect(Short(await client.post(server.url("/cut-in-body"), body)) == .unknown(.interrupted))
        #expect(try await server.requests().isEmpty)
    }

    @Test("a kept connection that ends after a POST does not make libcurl send the POST again")
    func reusedConnectionDies() async throws {
        let server = try await Server()
        let client = try Client()
        #expect(Short(await client.post(server.url("/second-is-cut"))) == .answered(200))
        let second = await client.post(server.url("/second-is-cut"))
        #expect(Short(second) == .unknown(.interrupted))
        #expect(try await server.requests().count == 2)
        // The next one has a fresh connection.
        #expect(Short(await client.post(server.url("/ok"))) == .answered(200))
    }

    @Test("control: libcurl does repeat a GET on a kept connection that ends")
    func reusedConnectionDiesUnderGet() async throws {
        let server = try await Server()
        let client = try Client()
        #expect(Short(await client.get(server.url("/second-is-cut"))) == .answered(200))
        #expect(Short(await client.get(server.url("/second-is-cut"))) == .answered(200))
        #expect(try await server.requests().count == 3)
    }

    @Test("a 417 does not make libcurl send a large POST again")
    func expectationFailed() async throws {
        let server = try await Server()
        let client = try Client()
        let outcome = await client.post(server.url("/status/417"), String(repeating: "x", count: 3_000_000))
        #expect(Short(outcome) == .answered(417))
        #expect(try await server.requests() == ["REQUEST POST /status/417 3000000"])
    }

    @Test("nobody listens: not sent")
    func refused() async throws {
        let port: Int
        do {
            let server = try await Server()
            port = server.port
        }
        let client = try Client()
        #expect(Short(await client.post("http://127.0.0.1:\(port)/ok")) == .notSent(.connect))
    }

    @Test("a name that does not exist: not sent")
    func unknownName() async throws {
        let client = try Client()
        let outcome = await client.post("https://receiver.invalid/fhir")
        #expect(Short(outcome) == .notSent(.resolve))
        #expect(outcome.failure?.message.contains("receiver") == false)
    }

    @Test("a server that accepts and never speaks TLS: not sent, within the connect time-out")
    func muteServer() async throws {
        let server = try await Server(#"{"mode": "mute"}"#)
        let client = try Client { $0.connectTimeout = .milliseconds(400) }
        let start = ContinuousClock.now
        #expect(Short(await client.post(server.secureURL("/ok"))) == .notSent(.timeout))
        #expect(ContinuousClock.now - start < .seconds(3))
    }

    @Test("a stalled answer ends before the whole time is over")
    func stalled() async throws {
        let server = try await Server()
        let client = try Client {
            $0.requestTimeout = .seconds(30)
            $0.stallTimeout = .seconds(1)
        }
        let start = ContinuousClock.now
        #expect(Short(await client.post(server.url("/hang"))) == .unknown(.timeout))
        #expect(ContinuousClock.now - start < .seconds(10))
    }

    @Test("cancelled before: not sent; cancelled while waiting for the answer: unknown")
    func cancelled() async throws {
        let server = try await Server()
        let client = try Client()
        let url = server.url("/hang")
        let waiting = Task { await client.post(url) }
        while try await server.requests().isEmpty {}
        let start = ContinuousClock.now
        waiting.cancel()
        #expect(Short(await waiting.value) == .unknown(.cancelled))
        #expect(ContinuousClock.now - start < .seconds(2))

        let early = Task {
            try? await Task.sleep(for: .seconds(60))
            return await client.post(url)
        }
        early.cancel()
        #expect(Short(await early.value) == .notSent(.cancelled))

        let mute = try await Server(#"{"mode": "mute"}"#)
        let connecting = Task { await client.post(mute.secureURL("/ok")) }
        while mute.connections() == 0 { try await Task.sleep(for: .milliseconds(5)) }
        connecting.cancel()
        #expect(Short(await connecting.value) == .notSent(.cancelled))
        #expect(try await server.requests().count == 1)
    }

    @Test("closing a client ends what is on its way, and nothing goes out after it")
    func closed() async throws {
        let server = try await Server()
        let client = try Client()
        let url = server.url("/hang")
        let waiting = Task { await client.post(url) }
        while try await server.requests().isEmpty {}
        await client.close()
        #expect(Short(await waiting.value) == .unknown(.cancelled))
        #expect(Short(await client.post(url)) == .notSent(.cancelled))
        #expect(try await server.requests().count == 1)
    }

    @Test("an answer that is no HTTP is unknown and its text stays out of the message")
    func garbage() async throws {
        let server = try await Server()
        let client = try Client()
        let outcome = await client.post(server.url("/garbage"))
        guard case .unknown(let failure) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(!failure.message.contains("this is not HTTP"))
    }

    @Test("an answer over the limit is unknown: it was sent", arguments: ["/big", "/big-chunked"])
    func tooLarge(path: String) async throws {
        let server = try await Server()
        let client = try Client { $0.maximumAnswer = 50_000 }
        #expect(Short(await client.post(server.url(path))) == .unknown(.tooLarge))
        #expect(Short(await client.post(server.url("/ok"))) == .answered(200))
    }
}
