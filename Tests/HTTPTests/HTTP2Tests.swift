import Glibc
import HTTP
import HTTPMessage
import Testing

/// nginx is the HTTP/2 server that Debian has; without it the test is skipped and says so.
private let nginx = ["/usr/sbin/nginx", "/usr/local/sbin/nginx"].first { (path: String) in access(path, X_OK) == 0 }

@Suite("HTTP: version 2", .timeLimit(.minutes(1)))
struct HTTP2Tests {
    @Test("by ALPN, many requests over one connection", .enabled(if: nginx != nil, "nginx is not installed"))
    func multiplexed() async throws {
        let certificates = try await Certificates.made.value
        // Behind it a server that reads the bodies: nginx itself answers before that, and resets the stream.
        let behind = try await Server()
        let directory = certificates.directory
        let port = 20_000 + Int(getpid()) % 20_000
        let configuration = """
            daemon off; master_process off; pid \(directory)/nginx.pid; error_log \(directory)/nginx.log;
            events { worker_connections 64; }
            http {
              access_log off;
              client_body_temp_path \(directory)/b; proxy_temp_path \(directory)/p; fastcgi_temp_path \(directory)/f;
              uwsgi_temp_path \(directory)/u; scgi_temp_path \(directory)/s;
              server {
                listen 127.0.0.1:\(port) ssl http2;
                ssl_certificate \(certificates.path("server")); ssl_certificate_key \(certificates.key("server"));
                location / {
                  add_header x-version $server_protocol; add_header x-connection $connection;
                  proxy_pass http://127.0.0.1:\(behind.port);
                }
              }
            }
            """
        let path = directory + "/nginx.conf"
        let file = try #require(fopen(path, "w"))
        fputs(configuration, file)
        fclose(file)
        let program = try Program([try #require(nginx), "-e", directory + "/nginx.log", "-c", path])
        let client = try Client(HTTPClientSettings(authorities: .file(certificates.path("authority"))))
        let url = "https://localhost:\(port)/ok"
        var first = await client.post(url)
        for _ in 0..<200 where first.response == nil {
            try await Task.sleep(for: .milliseconds(20))
            first = await client.post(url)
        }
        #expect(first.response?.header("x-version") == "HTTP/2.0")
        let outcomes = await withTaskGroup(of: HTTPOutcome.self) { group in
            for _ in 0..<50 { group.addTask { await client.post(url) } }
            return await group.reduce(into: []) { $0.append($1) }
        }
        #expect(outcomes.filter { $0.response?.status != 200 } == [])
        #expect(Set(outcomes.map { $0.response?.header("x-connection") }).count == 1)
        #expect(try await behind.requests().count == 51)
        withExtendedLifetime(program) {}
    }
}
