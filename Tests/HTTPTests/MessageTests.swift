import HTTP
import HTTPMessage
import Synchronization
import Testing

@Suite("HTTP: requests and answers", .timeLimit(.minutes(1)))
struct MessageTests {
    @Test("status, headers in lower case and trimmed, and body")
    func answer() async throws {
        let server = try await Server()
        let response = try #require(await Client().get(server.url("/ok")).response)
        #expect(response.status == 200)
        #expect(response.body == Array("hello".utf8))
        #expect(response.header("x-answer") == "a b")
        #expect(response.header("empty") == "")
    }

    @Test("an interim answer is not the answer")
    func interim() async throws {
        let server = try await Server()
        let response = try #require(await Client().get(server.url("/interim")).response)
        #expect(response.status == 200)
        #expect(response.header("link") == nil)
        #expect(response.body == Array("final".utf8))
    }

    @Test(
        "method, body and headers arrive as given",
        arguments: [
            HTTPRequest.Method.post, .put, .patch, .delete,
        ])
    func request(method: HTTPRequest.Method) async throws {
        let server = try await Server()
        let client = try Client()
        let headers = [HTTPHeader("if-none-exist", "identifier=a|b"), HTTPHeader("x-empty", "")]
        let outcome = await client.http.send(HTTPRequest(method, server.url("/echo"), headers: headers, body: Array("body".utf8)))
        let text = String(decoding: try #require(outcome.response).body, as: UTF8.self)
        #expect(text.contains(#""method": "\#(method.rawValue)""#))
        #expect(text.contains(#""body": "body""#))
        #expect(text.contains(#""if-none-exist": "identifier=a|b""#))
        #expect(text.contains(#""x-empty": """#))
        #expect(text.contains(#""content-length": "4""#))
        #expect(!text.contains("form-urlencoded"))
        #expect(!text.contains(#""expect""#))
    }

    @Test("an empty POST has a length of zero and is no GET")
    func emptyBody() async throws {
        let server = try await Server()
        let client = try Client()
        let outcome = await client.http.send(HTTPRequest(.post, server.url("/echo")))
        let text = String(decoding: try #require(outcome.response).body, as: UTF8.self)
        #expect(text.contains(#""method": "POST""#))
        #expect(text.contains(#""content-length": "0""#))
    }

    @Test("a redirect is an answer, not a second request")
    func redirect() async throws {
        let server = try await Server()
        let client = try Client()
        let outcome = await client.get(server.url("/redirect"))
        #expect(Short(outcome) == .answered(302))
        #expect(outcome.response?.header("location") == "/ok")
        #expect(try await server.requests().count == 1)
    }

    @Test(
        "URLs that are never spoken to",
        arguments: [
            "http://receiver.example/fhir", "http://localhost/fhir", "http://10.0.0.1/", "http://127.0.0.1.example/",
            "http://[::2]/", "ftp://127.0.0.1/", "file:///etc/passwd", "https://user:secret@receiver.example/",
            "receiver.example",
            "", "https://", "https://a b/", "http://127.0.0.1/\r\nx: y",
        ])
    func refusedURLs(url: String) async throws {
        #expect(Short(await (try Client()).get(url)) == .notSent(.invalidURL))
    }

    @Test(
        "headers that would change the message are refused",
        arguments: [
            HTTPHeader("x", "a\r\ny: b"), HTTPHeader("x\n", "a"), HTTPHeader("", "a"), HTTPHeader("x y", "a"),
            HTTPHeader("Content-Length", "3"), HTTPHeader("transfer-encoding", "chunked"), HTTPHeader("x", "a\0b"),
        ])
    func refusedHeaders(header: HTTPHeader) async throws {
        let server = try await Server()
        let client = try Client()
        let outcome = await client.http.send(HTTPRequest(.get, server.url("/ok"), headers: [header]))
        #expect(Short(outcome) == .notSent(.other))
        #expect(try await server.requests().isEmpty)
    }

    @Test("one connection carries many requests, and several at a time share the allowed few")
    func connections() async throws {
        let server = try await Server()
        let client = try Client { $0.maximumConnections = 3 }
        for _ in 0..<10 { #expect(Short(await client.post(server.url("/ok"))) == .answered(200)) }
        #expect(server.connections() == 1)
        await withTaskGroup { group in
            for _ in 0..<30 { group.addTask { #expect(Short(await client.post(server.url("/ok"))) == .answered(200)) } }
        }
        #expect(server.connections() <= 3)
        #expect(try await server.requests().count == 40)
    }

    @Test("an idle client closes its connections")
    func idle() async throws {
        let server = try await Server()
        let client = try Client { $0.idleLifetime = .milliseconds(100) }
        #expect(Short(await client.get(server.url("/ok"))) == .answered(200))
        try await Task.sleep(for: .milliseconds(300))
        #expect(Short(await client.get(server.url("/ok"))) == .answered(200))
        #expect(server.connections() == 2)
    }

    @Test("a stream hands out its chunks as they come and ends with the server")
    func stream() async throws {
        let server = try await Server()
        let client = try Client { $0.requestTimeout = .milliseconds(20) }
        let received = Mutex<[UInt8]>([])
        let status = Mutex(0)
        let outcome = await client.http.stream(HTTPRequest(.get, server.url("/events"))) { head in
            status.withLock { $0 = head.status }
        } onChunk: { chunk in
            received.withLock { $0 += chunk }
        }
        #expect(Short(outcome) == .answered(200))
        #expect(outcome.response?.body.isEmpty == true)
        #expect(received.withLock { String(decoding: $0, as: UTF8.self) } == "0\n1\n2\n")
        #expect(status.withLock { $0 } == 200)
    }

    @Test("a stream ends when its task is cancelled")
    func streamCancelled() async throws {
        let server = try await Server()
        let client = try Client()
        let url = server.url("/events-for-ever")
        let (chunks, source) = AsyncStream<Void>.makeStream()
        let streaming = Task { await client.http.stream(HTTPRequest(.get, url)) { _ in source.yield() } }
        for await _ in chunks.prefix(3) {}
        streaming.cancel()
        #expect(Short(await streaming.value) == .unknown(.cancelled))
    }

    @Test("a stream's refusal comes back whole")
    func streamRefused() async throws {
        let server = try await Server()
        let client = try Client()
        let outcome = await client.http.stream(HTTPRequest(.get, server.url("/status/403"))) { _ in
            Issue.record("a chunk of a refusal")
        }
        #expect(Short(outcome) == .answered(403))
        #expect(outcome.response?.body == Array("{}".utf8))
    }

    @Test("http:// over a Unix socket, whatever the host")
    func unixSocket() async throws {
        let path = try await Certificates.made.value.directory + "/control.socket"
        let server = try await Server(#"{"mode": "http", "unix": "\#(path)"}"#)
        let client = try Client(HTTPClientSettings(unixSocket: path))
        #expect(Short(await client.get("http://control/ok")) == .answered(200))
        #expect(try await server.requests() == ["REQUEST GET /ok 0"])
        let nobody = try Client(HTTPClientSettings(unixSocket: path + ".none"))
        #expect(Short(await nobody.get("http://control/ok")) == .notSent(.connect))
    }
}
