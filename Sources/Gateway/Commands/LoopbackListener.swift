import Glibc
import HubAPI

/// Takes a browser's return from a sign-in on 127.0.0.1 (RFC 8252 section 7.3): a request line and its `Host`, nothing else.
final class LoopbackListener {
    struct Request {
        var target: String
        var host: String
    }

    private let descriptor: Int32
    private var connection: Int32 = -1

    /// A browser's request for an address with a code fits many times.
    private static let mostBytes = 16_384

    /// - Parameter redirect: `http://127.0.0.1:PORT/PATH`.
    init(_ redirect: String) throws(OperationError) {
        func refused(_ why: String) -> OperationError {
            OperationError(
                "Nothing can listen for the browser.", why: why, remedy: "Mend sign_in.redirect, or use --way paste.",
                exitCode: 69)
        }
        let prefix = "http://127.0.0.1:"
        guard redirect.hasPrefix(prefix), let port = UInt16(redirect.dropFirst(prefix.utf8.count).prefix { $0.isNumber }) else {
            throw refused("The redirect address \(redirect) is none of 127.0.0.1 with a port.")
        }
        descriptor = socket(AF_INET, Int32(SOCK_STREAM.rawValue) | Int32(SOCK_CLOEXEC.rawValue), 0)
        var address = sockaddr_in()
        address.sin_family = sa_family_t(AF_INET)
        address.sin_port = port.bigEndian
        address.sin_addr.s_addr = UInt32(0x7F00_0001).bigEndian
        var yes: Int32 = 1
        setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &yes, socklen_t(MemoryLayout<Int32>.size))
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_in>.size))
            }
        }
        guard descriptor >= 0, bound == 0, listen(descriptor, 4) == 0 else {
            let why = String(cString: strerror(errno))
            close(descriptor)
            throw refused("127.0.0.1:\(port): \(why).")
        }
    }

    deinit {
        if connection >= 0 { close(connection) }
        close(descriptor)
    }

    /// Waits for the next request that can be read. Looked for five times a second: a person does not notice.
    func next(until seconds: Int) async throws(OperationError) -> Request {
        for _ in 0..<seconds * 5 {
            var poll = pollfd(fd: descriptor, events: Int16(POLLIN), revents: 0)
            if Glibc.poll(&poll, 1, 0) > 0, let request = take() { return request }
            try? await Task.sleep(for: .milliseconds(200))
        }
        throw OperationError(
            "The browser did not come back.", why: "Nobody signed in within \(seconds / 60) minutes.", remedy: "Begin again.",
            exitCode: 75)
    }

    private func take() -> Request? {
        if connection >= 0 { close(connection) }
        connection = accept(descriptor, nil, nil)
        guard connection >= 0 else { return nil }
        var patience = timeval(tv_sec: 2, tv_usec: 0)
        setsockopt(connection, SOL_SOCKET, SO_RCVTIMEO, &patience, socklen_t(MemoryLayout<timeval>.size))
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 4_096)
        while bytes.count < Self.mostBytes, !String(decoding: bytes, as: UTF8.self).contains("\r\n\r\n") {
            let count = recv(connection, &piece, piece.count, 0)
            guard count > 0 else { break }
            bytes += piece[..<count]
        }
        // "\r\n" is one Character.
        let lines = String(decoding: bytes, as: UTF8.self).split(separator: "\r\n")
        let words = lines.first?.split(separator: " ") ?? []
        guard words.count == 3, words[0] == "GET",
            let host = lines.dropFirst().first(where: { $0.lowercased().hasPrefix("host:") })
        else {
            reply("This is no page.")
            return nil
        }
        return Request(target: String(words[1]), host: String(host.dropFirst(5).drop { $0 == " " }))
    }

    /// Answers the request that was taken last.
    func reply(_ text: String) {
        guard connection >= 0 else { return }
        let page = "<!doctype html><meta charset=\"utf-8\"><title>vitalgate</title><p>\(text)</p>"
        let answer = Array(
            """
            HTTP/1.1 200 OK\r\ncontent-type: text/html; charset=utf-8\r\ncontent-length: \(page.utf8.count)\r\n\
            cache-control: no-store\r\nreferrer-policy: no-referrer\r\nconnection: close\r\n\r\n\(page)
            """.utf8)
        _ = send(connection, answer, answer.count, Int32(MSG_NOSIGNAL))
        close(connection)
        connection = -1
    }
}
