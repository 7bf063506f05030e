import CCurl
import EventLoop

/// What a client holds of libcurl between requests. Loop's thread only, but for its end.
///
/// A class of its own so that it is let go of on the loop's thread wherever the client ends. (An `isolated deinit` of the client would
/// say it in one line, but Swift 6.3.1 ends with "circular reference" when another module is optimised as a whole.)
final class CurlHandles {
    private let loop: EventLoop
    var multi: CurlMulti?
    /// Handles that wait for use: their connections are the multi's, so few suffice.
    var idle: [UnsafeMutableRawPointer] = []
    var timer: EventLoop.TimerID?

    init(loop: EventLoop) { self.loop = loop }

    func cancelTimer() {
        if let timer { loop.cancel(timer) }
        timer = nil
    }

    func release() {
        cancelTimer()
        for handle in idle { curl_easy_cleanup(handle) }
        idle.removeAll()
        multi?.close()
        multi = nil
    }

    deinit {
        let (loop, timer) = (loop, timer)
        let handles = idle.map { UInt(bitPattern: $0) }
        let multi = multi.map { UInt(bitPattern: Unmanaged.passRetained($0).toOpaque()) }
        guard timer != nil || multi != nil || !handles.isEmpty else { return }
        loop.execute {
            if let timer { loop.cancel(timer) }
            for handle in handles { curl_easy_cleanup(UnsafeMutableRawPointer(bitPattern: handle)) }
            if let multi, let pointer = UnsafeRawPointer(bitPattern: multi) {
                Unmanaged<CurlMulti>.fromOpaque(pointer).takeRetainedValue().close()
            }
        }
    }
}
