import CCurl
import HTTPMessage

/// Sets up a libcurl handle for one exchange.
struct Options {
    private let handle: UnsafeMutableRawPointer
    /// The first thing that libcurl refused.
    private(set) var problem: HTTPFailure?

    init(_ handle: UnsafeMutableRawPointer) { self.handle = handle }

    private mutating func check(_ code: CURLcode, _ kind: HTTPFailure.Kind) {
        guard code != CURLE_OK, problem == nil else { return }
        problem = HTTPFailure(kind, String(cString: curl_easy_strerror(code)))
    }

    private mutating func number(_ option: CURLoption, _ value: Int) { check(vg_easy_long(handle, option, value), .other) }

    private mutating func text(_ option: CURLoption, _ value: String?, _ kind: HTTPFailure.Kind = .other) {
        check(vg_easy_text(handle, option, value), kind)
    }

    private mutating func pem(_ pem: HTTPClientSettings.PEM, file: CURLoption, blob: CURLoption) {
        switch pem {
        case .file(let path): text(file, path, .credential)
        case .bytes(let bytes):
            check(bytes.withUnsafeBytes { vg_easy_blob(handle, blob, $0.baseAddress, $0.count) }, .credential)
        }
    }

    mutating func setCallbacks(_ exchange: Exchange) {
        let user = Unmanaged.passUnretained(exchange).toOpaque()
        _ = vg_easy_pointer(handle, CURLOPT_ERRORBUFFER, exchange.errorText)
        _ = vg_easy_pointer(handle, CURLOPT_WRITEDATA, user)
        _ = vg_easy_data(handle, CURLOPT_WRITEFUNCTION) { bytes, size, count, user in
            guard let user else { return 0 }
            let exchange = Unmanaged<Exchange>.fromOpaque(user).takeUnretainedValue()
            return exchange.receive(body: UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
        }
        _ = vg_easy_pointer(handle, CURLOPT_HEADERDATA, user)
        _ = vg_easy_data(handle, CURLOPT_HEADERFUNCTION) { bytes, size, count, user in
            guard let user else { return 0 }
            let exchange = Unmanaged<Exchange>.fromOpaque(user).takeUnretainedValue()
            return exchange.receive(headerLine: UnsafeRawBufferPointer(start: bytes, count: size * count)) ? size * count : 0
        }
        _ = vg_easy_pointer(handle, CURLOPT_PREREQDATA, user)
        check(
            vg_easy_before_request(handle) { user, _, _, _, _ in
                guard let user else { return CURL_PREREQFUNC_ABORT }
                let exchange = Unmanaged<Exchange>.fromOpaque(user).takeUnretainedValue()
                return exchange.beforeRequest() ? CURL_PREREQFUNC_OK : CURL_PREREQFUNC_ABORT
            }, .other)
    }

    mutating func set(_ settings: HTTPClientSettings, for target: Target, isStream: Bool) {
        number(CURLOPT_NOSIGNAL, 1)
        text(CURLOPT_PROTOCOLS_STR, "http,https")
        number(CURLOPT_HTTP_VERSION, vg_http_version_2_over_tls())
        number(CURLOPT_PIPEWAIT, 1)
        number(CURLOPT_TCP_KEEPALIVE, 1)
        number(CURLOPT_SSLVERSION, vg_tls_1_2_at_least())
        text(CURLOPT_USERAGENT, settings.userAgent)

        number(CURLOPT_CONNECTTIMEOUT_MS, settings.connectTimeout.wholeMilliseconds)
        if !isStream {
            number(CURLOPT_TIMEOUT_MS, settings.requestTimeout.wholeMilliseconds)
            if let stall = settings.stallTimeout {
                number(CURLOPT_LOW_SPEED_LIMIT, 1)
                number(CURLOPT_LOW_SPEED_TIME, max(1, Int(stall.components.seconds)))
            }
        }
        number(CURLOPT_MAXAGE_CONN, max(1, Int(settings.idleLifetime.components.seconds)))

        if let authorities = settings.authorities {
            // These alone: without the directory that Debian's libcurl would also look into.
            text(CURLOPT_CAPATH, nil)
            text(CURLOPT_CAINFO, nil)
            pem(authorities, file: CURLOPT_CAINFO, blob: CURLOPT_CAINFO_BLOB)
        }
        if let identity = settings.identity {
            pem(identity.certificate, file: CURLOPT_SSLCERT, blob: CURLOPT_SSLCERT_BLOB)
            pem(identity.key, file: CURLOPT_SSLKEY, blob: CURLOPT_SSLKEY_BLOB)
        }
        if let path = settings.unixSocket { text(CURLOPT_UNIX_SOCKET_PATH, path) }
        set(settings.unixSocket == nil && !target.isLoopback ? settings.proxy : nil, settings)
    }

    private mutating func set(_ proxy: HTTPClientSettings.Proxy?, _ settings: HTTPClientSettings) {
        // An empty text also shuts out http_proxy, https_proxy and no_proxy of the environment.
        text(CURLOPT_NOPROXY, "")
        guard let proxy else { return text(CURLOPT_PROXY, "") }
        guard proxy.url.hasPrefix("http://") || proxy.url.hasPrefix("https://"), !proxy.url.contains("@") else {
            if problem == nil { problem = HTTPFailure(.proxy, "the proxy is not http://host:port or https://host:port") }
            return
        }
        text(CURLOPT_PROXY, proxy.url, .proxy)
        number(CURLOPT_HTTPPROXYTUNNEL, 1)
        number(CURLOPT_SUPPRESS_CONNECT_HEADERS, 1)
        number(CURLOPT_PROXY_SSLVERSION, vg_tls_1_2_at_least())
        if let user = proxy.user { text(CURLOPT_PROXYUSERNAME, user, .proxy) }
        if let password = proxy.password { text(CURLOPT_PROXYPASSWORD, password, .proxy) }
        if let authorities = settings.authorities {
            text(CURLOPT_PROXY_CAPATH, nil)
            text(CURLOPT_PROXY_CAINFO, nil)
            pem(authorities, file: CURLOPT_PROXY_CAINFO, blob: CURLOPT_PROXY_CAINFO_BLOB)
        }
    }

    mutating func set(_ request: HTTPRequest, headers: UnsafeMutablePointer<curl_slist>?) {
        text(CURLOPT_URL, request.url, .invalidURL)
        switch request.method {
        case .get: number(CURLOPT_HTTPGET, 1)
        case .delete where request.body.isEmpty:
            number(CURLOPT_HTTPGET, 1)
            text(CURLOPT_CUSTOMREQUEST, request.method.rawValue)
        case .post, .put, .patch, .delete:
            number(CURLOPT_POST, 1)
            check(vg_easy_large(handle, CURLOPT_POSTFIELDSIZE_LARGE, request.body.count), .other)
            check(
                request.body.withUnsafeBytes { vg_easy_copied_body(handle, $0.baseAddress ?? UnsafeRawPointer(handle)) }, .other)
            if request.method != .post { text(CURLOPT_CUSTOMREQUEST, request.method.rawValue) }
        }
        check(vg_easy_headers(handle, headers), .other)
    }
}

extension Duration {
    /// For libcurl, where 0 means "no limit": at least 1.
    fileprivate var wholeMilliseconds: Int {
        let (seconds, attoseconds) = components
        return max(1, Int(clamping: seconds * 1_000 + attoseconds / 1_000_000_000_000_000))
    }
}
