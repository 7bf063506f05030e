import EventLoop
import Glibc
import Synchronization

/// Closes the sockets of radio links, each on a thread that nobody needs afterwards.
///
/// Linux 6.1.187 to 6.1.192 (Debian 12) free a link's HCI channel twice when the socket of a lost link is closed: the L2CAP channel keeps the
/// connection alive since "Fix UAF in channel timeout by holding conn ref", `l2cap_conn_free` deletes `conn->hchan`, and `hci_conn_cleanup` has
/// done so when the link was lost. The fault ends the thread that closes, and with it whatever that thread served. Every unfragmented PDU of
/// the peer hides it, for `l2cap_recv_acldata` returns without giving its reference back, and the connection is then never freed; so it meets
/// links that are lost before the peer has spoken, and those of a peer that speaks in fragments.
///
/// Source: Debian's `linux-source-6.1` 6.1.192-2, `net/bluetooth/l2cap_core.c` and `hci_conn.c`; seen in the radio rig.
final class LinkCloser: Sendable {
    /// A close waits for an RCU grace period, some 10 ms; one that is not back after 500 times that has ended with its thread.
    static let patience = Duration.seconds(5)
    /// A thread that makes one system call needs little stack; glibc's least is 16 KiB.
    private static let stack = 64 * 1_024

    private let loop: EventLoop
    private let patience: Duration
    private let close: @Sendable (Int32) -> Void
    private let failed: @Sendable () -> Void

    /// - Parameters:
    ///   - close: another stands for a kernel that takes a fault.
    ///   - failed: called on the loop when a thread did not come back.
    init(
        loop: EventLoop, patience: Duration = LinkCloser.patience,
        close: @escaping @Sendable (Int32) -> Void = { Glibc.close($0) },
        failed: @escaping @Sendable () -> Void
    ) {
        self.loop = loop
        self.patience = patience
        self.close = close
        self.failed = failed
    }

    /// For callers on the loop. The descriptor is the closer's from here on.
    func close(_ descriptor: Int32) {
        let job = Job { [close] in close(descriptor) }
        guard job.start(stack: Self.stack) else {
            // No thread to be had: the loop's own, which is better than a link that never ends.
            close(descriptor)
            return
        }
        _ = loop.schedule(at: .now + patience) { [failed] in if !job.isDone { failed() } }
    }

    private final class Job: Sendable {
        private let work: @Sendable () -> Void
        private let done = Atomic(false)

        init(_ work: @escaping @Sendable () -> Void) { self.work = work }

        var isDone: Bool { done.load(ordering: .acquiring) }

        func start(stack: Int) -> Bool {
            var attributes = pthread_attr_t()
            pthread_attr_init(&attributes)
            defer { pthread_attr_destroy(&attributes) }
            pthread_attr_setstacksize(&attributes, stack)
            pthread_attr_setdetachstate(&attributes, Int32(PTHREAD_CREATE_DETACHED))
            var thread = pthread_t()
            let context = Unmanaged.passRetained(self)
            let code = pthread_create(
                &thread, &attributes,
                { context in
                    guard let context else { return nil }
                    // Not given back before the call returns: where it never does, this is lost with its thread.
                    let job = Unmanaged<Job>.fromOpaque(context).takeRetainedValue()
                    job.work()
                    job.done.store(true, ordering: .releasing)
                    return nil
                }, context.toOpaque())
            if code != 0 { context.release() }
            return code == 0
        }
    }
}
