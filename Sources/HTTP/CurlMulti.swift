import CCurl
import CLinux
import EventLoop
import HTTPMessage

/// libcurl's multi interface on an event loop: it says which sockets and which time it waits for, the loop tells it when.
///
/// Loop's thread only. Idle, it holds no connection: the owner closes it and makes a new one when needed.
final class CurlMulti {
    private let loop: EventLoop
    private let multi: UnsafeMutableRawPointer
    private let onDone: (UInt, CURLcode) -> Void
    private var timer: EventLoop.TimerID?
    private var sockets: Set<Int32> = []
    private var isClosed = false

    /// Process-wide, once. libcurl's own flag `threadsafe` (7.84 and later, with us) makes the call safe from any thread.
    private static let isReady = curl_global_init(vg_global_default()) == CURLE_OK

    /// - Parameter onDone: an easy handle, by its address, has ended. It is removed from this already.
    init(
        loop: EventLoop, maximumConnections: Int, onDone: @escaping (UInt, CURLcode) -> Void
    ) throws(HTTPFailure) {
        guard Self.isReady, let multi = curl_multi_init() else { throw HTTPFailure(.other, "libcurl does not start") }
        self.loop = loop
        self.multi = multi
        self.onDone = onDone
        let me = Unmanaged.passUnretained(self).toOpaque()
        _ = vg_multi_pointer(multi, CURLMOPT_SOCKETDATA, me)
        _ = vg_multi_pointer(multi, CURLMOPT_TIMERDATA, me)
        _ = vg_multi_socket(multi) { _, socket, what, user, _ in
            guard let user else { return -1 }
            return Unmanaged<CurlMulti>.fromOpaque(user).takeUnretainedValue().watch(socket, what) ? 0 : -1
        }
        _ = vg_multi_timer(multi) { _, milliseconds, user in
            guard let user else { return -1 }
            Unmanaged<CurlMulti>.fromOpaque(user).takeUnretainedValue().setTimer(milliseconds)
            return 0
        }
        _ = vg_multi_long(multi, CURLMOPT_MAX_HOST_CONNECTIONS, maximumConnections)
        _ = vg_multi_long(multi, CURLMOPT_MAXCONNECTS, maximumConnections)
    }

    /// Closes all connections. Every handle must have been removed.
    func close() {
        guard !isClosed else { return }
        isClosed = true
        curl_multi_cleanup(multi)
        setTimer(-1)
        for socket in sockets { loop.unwatch(socket) }
        sockets.removeAll()
    }

    func add(_ handle: UnsafeMutableRawPointer) -> Bool { curl_multi_add_handle(multi, handle) == CURLM_OK }

    /// Breaks the exchange off where it still runs.
    func remove(_ handle: UnsafeMutableRawPointer) { curl_multi_remove_handle(multi, handle) }

    private func watch(_ socket: curl_socket_t, _ what: Int32) -> Bool {
        if what == CURL_POLL_REMOVE {
            sockets.remove(socket)
            loop.unwatch(socket)
            return true
        }
        var events: EventLoop.Events = []
        if what & CURL_POLL_IN != 0 { events.insert(.readable) }
        if what & CURL_POLL_OUT != 0 { events.insert(.writable) }
        do {
            try loop.watch(socket, events) { [weak self] events in self?.act(socket, events) }
        } catch {
            return false
        }
        sockets.insert(socket)
        return true
    }

    private func act(_ socket: curl_socket_t, _ events: EventLoop.Events) {
        var mask: Int32 = 0
        if events.contains(.readable) { mask |= CURL_CSELECT_IN }
        if events.contains(.writable) { mask |= CURL_CSELECT_OUT }
        if !events.isDisjoint(with: [.error, .hangUp]) { mask |= CURL_CSELECT_ERR }
        advance(socket, mask)
    }

    private func setTimer(_ milliseconds: Int) {
        if let timer { loop.cancel(timer) }
        timer = nil
        guard milliseconds >= 0 else { return }
        timer = loop.schedule(at: .now + .milliseconds(milliseconds)) { [weak self] in
            guard let self else { return }
            timer = nil
            advance(vg_socket_timeout(), 0)
        }
    }

    private func advance(_ socket: curl_socket_t, _ mask: Int32) {
        var running: Int32 = 0
        curl_multi_socket_action(multi, socket, mask, &running)
        var left: Int32 = 0
        while !isClosed, let message = curl_multi_info_read(multi, &left) {
            guard message.pointee.msg == CURLMSG_DONE, let handle = message.pointee.easy_handle else { continue }
            let result = vg_message_result(message)
            curl_multi_remove_handle(multi, handle)
            onDone(UInt(bitPattern: handle), result)
        }
    }
}
