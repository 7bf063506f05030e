import CCurl
public import EventLoop
public import HTTPMessage

/// Sends requests over libcurl: HTTP/2 by ALPN, keep-alive, TLS 1.2 at least, mutual TLS, a proxy, or a Unix socket.
///
/// What it promises is the line between ``HTTPMessage/HTTPOutcome/notSent(_:)`` and `unknown`. libcurl calls us (its
/// `CURLOPT_PREREQFUNCTION`) when a connection stands, through proxy and TLS, and before it writes the first byte of the request.
/// What ends before that call was not sent. What ends after it may have been: the number of bytes that libcurl counts as written
/// cannot narrow it, since a failing TLS write may have put whole records on the wire that it does not count.
///
/// libcurl sends a request again by itself, up to five times, when a *reused* connection ends without an answer, also where the
/// request was written completely (seen with 7.88.1: a server that reads a POST and closes gets it a second time); on an HTTP/2
/// stream that was refused; and over HTTP/1.1 where the server asks for it. Each time it comes by the same call, and there
/// everything but a GET is stopped: `unknown`. It also sends again without `Expect` after a 417: we never send `Expect`.
///
/// On its own loop because libcurl, when an exchange is broken off during a name look-up, waits for the resolver's thread.
public actor HTTPClient {
    private let settings: HTTPClientSettings
    private let loop: EventLoop
    public nonisolated var unownedExecutor: UnownedSerialExecutor { loop.asUnownedSerialExecutor() }

    private let handles: CurlHandles
    private var exchanges: [UnsafeMutableRawPointer: Exchange] = [:]
    private static let maximumIdleHandles = 2
    private var lastID: UInt64 = 0
    private var isClosed = false

    public init(settings: HTTPClientSettings, loop: EventLoop) {
        self.settings = settings
        self.loop = loop
        handles = CurlHandles(loop: loop)
    }

    /// Ends what is on its way with `.cancelled` and lets go of every connection; later requests are `.notSent(.cancelled)`.
    ///
    /// To be called before the loop is stopped and the process ends: OpenSSL tidies up at exit, and a connection that is still
    /// open then is torn down under it.
    public func close() {
        isClosed = true
        for exchange in Array(exchanges.values) { cancel(exchange.id) }
        release()
    }

    /// Sends the request and waits for its complete answer. Redirects are answers (3xx), never followed.
    ///
    /// A header of the client's own (`content-length`, `transfer-encoding`, `connection`, `expect`) or one with a line break is
    /// refused as `.notSent(.other)`. Cancelling the task ends the exchange: `.notSent` or `.unknown` with `.cancelled`.
    public func send(_ request: HTTPRequest) async -> HTTPOutcome {
        await exchange(request, isStream: false, onHead: nil, onChunk: nil)
    }

    /// Sends the request and hands out the body of a 2xx answer as it comes, until the server ends it or the task is cancelled.
    /// Without a limit of time or size; an answer other than 2xx comes back whole.
    ///
    /// - Parameters:
    ///   - onHead: status and headers, before the first chunk. On the loop's thread.
    ///   - onChunk: bytes as they arrive, cut anywhere. On the loop's thread.
    public func stream(
        _ request: HTTPRequest, onHead: (@Sendable (HTTPResponse) -> Void)? = nil,
        onChunk: @escaping @Sendable ([UInt8]) -> Void
    ) async -> HTTPOutcome {
        await exchange(request, isStream: true, onHead: onHead, onChunk: onChunk)
    }

    private func exchange(
        _ request: HTTPRequest, isStream: Bool, onHead: (@Sendable (HTTPResponse) -> Void)?,
        onChunk: (@Sendable ([UInt8]) -> Void)?
    ) async -> HTTPOutcome {
        if Task.isCancelled || isClosed { return .notSent(HTTPFailure(.cancelled, "cancelled")) }
        lastID += 1
        let id = lastID
        let exchange = Exchange(
            id: id, isSafeToRepeat: request.method == .get, maximumBody: settings.maximumAnswer, onHead: onHead, onChunk: onChunk)
        let handle: UnsafeMutableRawPointer
        do throws(HTTPFailure) {
            handle = try prepare(request, exchange, isStream: isStream)
        } catch {
            return .notSent(error)
        }
        return await withTaskCancellationHandler {
            await withCheckedContinuation { continuation in
                exchange.continuation = continuation
                start(handle, exchange)
            }
        } onCancel: {
            // Runs on the loop after `start`, which does not suspend before.
            loop.execute { [weak self] in self?.assumeIsolated { $0.cancel(id) } }
        }
    }

    private func prepare(
        _ request: HTTPRequest, _ exchange: Exchange, isStream: Bool
    ) throws(HTTPFailure) -> UnsafeMutableRawPointer {
        let target = try Target(request.url, overUnixSocket: settings.unixSocket != nil)
        let lines = try HeaderLines(request)
        guard let handle = handles.idle.popLast() ?? curl_easy_init() else { throw HTTPFailure(.other, "out of memory") }
        var options = Options(handle)
        options.setCallbacks(exchange)
        options.set(settings, for: target, isStream: isStream)
        options.set(request, headers: try exchange.makeHeaderList(lines.lines))
        guard let problem = options.problem else {
            exchange.hosts = [target.host] + (settings.proxy.flatMap { Target.host(of: $0.url) }.map { [$0] } ?? [])
            exchange.usesProxy = settings.proxy != nil && settings.unixSocket == nil && !target.isLoopback
            return handle
        }
        keep(handle)
        throw problem
    }

    private func start(_ handle: UnsafeMutableRawPointer, _ exchange: Exchange) {
        handles.cancelTimer()
        do throws(HTTPFailure) {
            let multi = try openMulti()
            exchanges[handle] = exchange
            if !multi.add(handle) { finish(handle, CURLE_FAILED_INIT) }
        } catch {
            keep(handle)
            exchange.end(with: .notSent(error))
        }
    }

    private func openMulti() throws(HTTPFailure) -> CurlMulti {
        if let multi = handles.multi { return multi }
        let multi = try CurlMulti(loop: loop, maximumConnections: settings.maximumConnections) { [weak self] number, code in
            self?.assumeIsolated { client in
                if let handle = UnsafeMutableRawPointer(bitPattern: number) { client.finish(handle, code) }
            }
        }
        handles.multi = multi
        return multi
    }

    private func cancel(_ id: UInt64) {
        guard let (handle, exchange) = exchanges.first(where: { $0.value.id == id }) else { return }
        exchange.cancel()
        handles.multi?.remove(handle)
        finish(handle, CURLE_ABORTED_BY_CALLBACK)
    }

    /// The handle is no longer in the multi.
    private func finish(_ handle: UnsafeMutableRawPointer, _ code: CURLcode) {
        guard let exchange = exchanges.removeValue(forKey: handle) else { return }
        var status = 0
        var connections = 0
        _ = vg_info_long(handle, CURLINFO_RESPONSE_CODE, &status)
        _ = vg_info_long(handle, CURLINFO_NUM_CONNECTS, &connections)
        let ending = Ending(
            code: exchange.verdict(on: code),
            text: String(cString: exchange.errorText), mayBeSent: exchange.mayBeSent, hasAnswerBytes: exchange.hasAnswerBytes,
            isNewConnection: connections > 0, stop: exchange.stop, usesProxy: exchange.usesProxy, hosts: exchange.hosts)
        let answer = HTTPResponse(status: status, headers: exchange.headers, body: exchange.body)
        keep(handle)
        restIfIdle()
        exchange.end(with: ending.outcome ?? .answered(answer))
    }

    private func keep(_ handle: UnsafeMutableRawPointer) {
        guard handles.idle.count < Self.maximumIdleHandles else { return curl_easy_cleanup(handle) }
        // Credentials and pointers to the exchange go; what is learnt of connections is the multi's.
        curl_easy_reset(handle)
        handles.idle.append(handle)
    }

    /// Unused for a while, a client lets go of connections, TLS state, CA store and handles: months pass between two readings.
    private func restIfIdle() {
        guard exchanges.isEmpty else { return }
        handles.timer = loop.schedule(at: .now + settings.idleLifetime) { [weak self] in self?.assumeIsolated { $0.release() } }
    }

    private func release() {
        handles.release()
    }
}
