import CCurl
import HTTPMessage

/// A request's URL, looked at with the parser that will use it.
struct Target {
    let host: String
    let isLoopback: Bool

    /// - Throws: `invalidURL`. `https` is always allowed; `http` only to a literal loopback address (names can be made to point
    ///   elsewhere) or over a Unix socket.
    init(_ url: String, overUnixSocket: Bool) throws(HTTPFailure) {
        guard let parts = curl_url() else { throw HTTPFailure(.other, "out of memory") }
        defer { curl_url_cleanup(parts) }
        guard !url.utf8.contains(where: { $0 <= 0x20 || $0 == 0x7F }),
            curl_url_set(parts, CURLUPART_URL, url, UInt32(CURLU_DISALLOW_USER)) == CURLUE_OK,
            let scheme = Self.part(CURLUPART_SCHEME, of: parts), let host = Self.part(CURLUPART_HOST, of: parts), !host.isEmpty
        else { throw HTTPFailure(.invalidURL, "not an absolute URL, or one with a password inside") }
        self.host = host
        isLoopback = Self.isLiteralLoopback(host)
        switch scheme {
        case "https": break
        case "http" where overUnixSocket || isLoopback: break
        case "http": throw HTTPFailure(.invalidURL, "http:// is allowed only to 127.0.0.0/8 and [::1]; use https://")
        default: throw HTTPFailure(.invalidURL, "only https:// and http:// to loopback are spoken")
        }
    }

    /// The host of a URL that is not checked further.
    static func host(of url: String) -> String? {
        guard let parts = curl_url() else { return nil }
        defer { curl_url_cleanup(parts) }
        guard curl_url_set(parts, CURLUPART_URL, url, 0) == CURLUE_OK else { return nil }
        return part(CURLUPART_HOST, of: parts)
    }

    private static func part(_ part: CURLUPart, of parts: OpaquePointer) -> String? {
        var text: UnsafeMutablePointer<CChar>?
        guard curl_url_get(parts, part, &text, 0) == CURLUE_OK, let text else { return nil }
        defer { curl_free(text) }
        return String(cString: text)
    }

    /// libcurl has brought the many spellings of an IPv4 address into four decimal numbers by now.
    private static func isLiteralLoopback(_ host: String) -> Bool {
        if host == "[::1]" { return true }
        let fields = host.split(separator: ".", omittingEmptySubsequences: false)
        return fields.count == 4 && fields.allSatisfy { UInt8($0) != nil } && fields[0] == "127"
    }
}
