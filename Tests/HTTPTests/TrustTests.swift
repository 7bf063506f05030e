import Glibc
import HTTP
import HTTPMessage
import Testing

@Suite("HTTP: whom it trusts", .timeLimit(.minutes(1)))
struct TrustTests {
    private func settings(_ certificates: Certificates) -> HTTPClientSettings {
        HTTPClientSettings(authorities: .file(certificates.path("authority")))
    }

    @Test("the right certificate: answered, with the authority from a file and from memory")
    func rightCertificate() async throws {
        let certificates = try await Certificates.made.value
        let server = try await Server(certificates.tls("server"))
        #expect(Short(await (try Client(settings(certificates))).post(server.secureURL("/ok"))) == .answered(200))
        let memory = HTTPClientSettings(authorities: .bytes(try certificates.bytes(certificates.path("authority"))))
        #expect(Short(await (try Client(memory)).post(server.secureURL("/ok", host: "127.0.0.1"))) == .answered(200))
    }

    @Test("a wrong certificate is not spoken to", arguments: ["unknown", "elsewhere", "expired"])
    func wrongCertificate(name: String) async throws {
        let certificates = try await Certificates.made.value
        let server = try await Server(certificates.tls(name))
        let outcome = await (try Client(settings(certificates))).post(server.secureURL("/ok"))
        #expect(Short(outcome) == .notSent(.certificate))
        #expect(outcome.failure?.message.contains("localhost") == false)
        #expect(try await server.requests().isEmpty)
    }

    @Test("without an authority of its own the client trusts the system's, not the test's")
    func systemAuthorities() async throws {
        let certificates = try await Certificates.made.value
        let server = try await Server(certificates.tls("server"))
        #expect(Short(await (try Client()).post(server.secureURL("/ok"))) == .notSent(.certificate))
    }

    @Test("TLS 1.1 is refused")
    func oldTLS() async throws {
        let certificates = try await Certificates.made.value
        let server = try await Server(certificates.tls("server", #", "maximum": "1.1""#))
        #expect(Short(await (try Client(settings(certificates))).post(server.secureURL("/ok"))) == .notSent(.tls))
        #expect(try await server.requests().isEmpty)
    }

    @Test("a server that speaks no TLS at all")
    func noTLS() async throws {
        let server = try await Server()
        let outcome = await (try Client()).post(server.secureURL("/ok"))
        #expect(Short(outcome) == .notSent(.tls))
        #expect(try await server.requests().isEmpty)
    }

    @Test("mutual TLS: our certificate and key from files and from memory", arguments: ["1.2", "1.3"])
    func ownCertificate(version: String) async throws {
        let certificates = try await Certificates.made.value
        let clients = #", "maximum": "\#(version)", "clients": "\#(certificates.path("authority"))""#
        let server = try await Server(certificates.tls("server", clients))
        var settings = settings(certificates)
        settings.identity = certificates.identity("client")
        #expect(Short(await (try Client(settings)).post(server.secureURL("/ok"))) == .answered(200))
        settings.identity = HTTPClientSettings.Identity(
            certificate: .bytes(try certificates.bytes(certificates.path("client"))),
            key: .bytes(try certificates.bytes(certificates.key("client"))))
        #expect(Short(await (try Client(settings)).post(server.secureURL("/ok"))) == .answered(200))
        #expect(try await server.requests().count == 2)
    }

    @Test(
        "mutual TLS: a certificate of somebody else, or none, is refused before the request is read",
        arguments: [
            ("1.2", "intruder"), ("1.3", "intruder"), ("1.2", nil), ("1.3", nil),
        ])
    func ownCertificateRefused(version: String, name: String?) async throws {
        let certificates = try await Certificates.made.value
        let clients = #", "maximum": "\#(version)", "clients": "\#(certificates.path("authority"))""#
        let server = try await Server(certificates.tls("server", clients))
        var settings = settings(certificates)
        settings.identity = name.map { certificates.identity($0) }
        let outcome = await (try Client(settings)).post(server.secureURL("/ok"))
        let allowed: [Short] =
            switch (version, name) {
            // No alert of its own for "none" before TLS 1.3: a general handshake failure.
            case ("1.2", nil): [.notSent(.certificate), .notSent(.tls)]
            case ("1.2", _): [.notSent(.certificate)]
            // We have written already, and the reset that answers that may overtake the alert: then nobody told us.
            default: [.notSent(.certificate), .unknown(.interrupted)]
            }
        #expect(allowed.contains(Short(outcome)), "\(outcome)")
        #expect(try await server.requests().isEmpty)
    }

    @Test("files of our own that are missing or no PEM are our credential's fault")
    func badFiles() async throws {
        let certificates = try await Certificates.made.value
        let server = try await Server(certificates.tls("server"))
        var settings = settings(certificates)
        settings.identity = .init(certificate: .file("/nonexistent.pem"), key: .file("/nonexistent.key"))
        #expect(Short(await (try Client(settings)).post(server.secureURL("/ok"))) == .notSent(.credential))
        settings.identity = .init(certificate: .bytes(Array("no".utf8)), key: .bytes(Array("no".utf8)))
        #expect(Short(await (try Client(settings)).post(server.secureURL("/ok"))) == .notSent(.credential))
        // A key that is not the certificate's.
        settings.identity = .init(certificate: .file(certificates.path("client")), key: .file(certificates.key("server")))
        #expect(Short(await (try Client(settings)).post(server.secureURL("/ok"))) == .notSent(.credential))
        #expect(
            Short(await (try Client(HTTPClientSettings(authorities: .file("/nonexistent.pem")))).post(server.secureURL("/ok")))
                == .notSent(.credential))
    }

    @Test("a key in memory does not show in a description")
    func redacted() {
        let settings = HTTPClientSettings(
            identity: .init(certificate: .file("/c"), key: .bytes(Array("SECRETKEY".utf8))),
            proxy: .init("http://proxy:1", user: "u", password: "SECRETPASSWORD"))
        #expect(!"\(settings)".contains("SECRET"))
        #expect(!String(describing: settings.proxy).contains("SECRET"))
    }
}

@Suite("HTTP: through a proxy", .timeLimit(.minutes(1)))
struct ProxyTests {
    @Test("CONNECT, with and without credentials")
    func connect() async throws {
        let certificates = try await Certificates.made.value
        let server = try await Server(certificates.tls("server"))
        let proxy = try await Server(#"{"mode": "proxy"}"#)
        var settings = HTTPClientSettings(authorities: .file(certificates.path("authority")))
        settings.proxy = .init("http://127.0.0.1:\(proxy.port)")
        #expect(Short(await (try Client(settings)).post(server.secureURL("/ok"))) == .answered(200))
        #expect(try await proxy.requests() == ["REQUEST CONNECT localhost:\(server.port) 0"])

        let strict = try await Server(#"{"mode": "proxy", "password": "hub:pass"}"#)
        settings.proxy = .init("http://127.0.0.1:\(strict.port)", user: "hub", password: "pass")
        #expect(Short(await (try Client(settings)).post(server.secureURL("/ok"))) == .answered(200))
        settings.proxy = .init("http://127.0.0.1:\(strict.port)", user: "hub", password: "wrong")
        #expect(Short(await (try Client(settings)).post(server.secureURL("/ok"))) == .notSent(.proxy))
        #expect(try await server.requests().count == 2)
    }

    @Test("a proxy that refuses, hangs, is not there or is not named rightly: not sent")
    func failing() async throws {
        let certificates = try await Certificates.made.value
        let server = try await Server(certificates.tls("server"))
        let refusing = try await Server(#"{"mode": "proxy", "refuse": "502"}"#)
        let mute = try await Server(#"{"mode": "mute"}"#)
        let gone = try await Server().port
        for (url, kind) in [
            ("http://127.0.0.1:\(refusing.port)", HTTPFailure.Kind.proxy), ("http://127.0.0.1:\(gone)", .proxy),
            ("http://127.0.0.1:\(mute.port)", .timeout), ("http://proxy.invalid:1", .proxy), ("ftp://127.0.0.1", .proxy),
            ("http://u:p@127.0.0.1", .proxy),
        ] {
            var settings = HTTPClientSettings(authorities: .file(certificates.path("authority")))
            settings.proxy = .init(url)
            let client = try Client(settings) { $0.connectTimeout = .milliseconds(500) }
            #expect(Short(await client.post(server.secureURL("/ok"))) == .notSent(kind), "\(url)")
        }
        #expect(try await server.requests().isEmpty)
    }

    @Test("loopback in the clear never goes to the proxy")
    func loopback() async throws {
        let server = try await Server()
        let proxy = try await Server(#"{"mode": "proxy"}"#)
        let client = try Client(HTTPClientSettings(proxy: .init("http://127.0.0.1:\(proxy.port)")))
        #expect(Short(await client.post(server.url("/ok"))) == .answered(200))
        #expect(try await proxy.requests().isEmpty)
    }

    /// In a process of its own: changing the environment is no business of a thread among others.
    @Test("a proxy of the environment is not used")
    func environment() async {
        await #expect(processExitsWith: .success) {
            for name in ["http_proxy", "https_proxy", "all_proxy"] { setenv(name, "http://127.0.0.1:9", 1) }
            let certificates = try await Certificates.made.value
            let server = try await Server(certificates.tls("server"))
            let client = try Client(HTTPClientSettings(authorities: .file(certificates.path("authority"))))
            #expect(Short(await client.post(server.secureURL("/ok"))) == .answered(200))
            await client.close()
        }
    }
}
