import Protocols
import Vitals

/// One record in a simulated device's memory.
struct SimulatedRecord: Hashable {
    /// Its place in the script, from 1: the name under which the ledger tells of it.
    var number: Int
    /// The value of the result characteristic, as it goes over the air.
    var bytes: [UInt8]
}

/// What a simulated device has in its memory and how it behaves.
struct PeripheralScript {
    enum Clock: Hashable {
        /// Seconds that its face is ahead of the hub's.
        case running(ahead: Int64)
        /// Every field 0 until it is set.
        case unset
    }

    enum LinkLoss: Hashable {
        /// Right after the indication has left.
        case beforeConfirmation
        /// Right after the confirmation has come.
        case afterConfirmation
    }

    /// Sent in this order.
    var records: [SimulatedRecord] = []
    /// The whole memory is sent on every link, also what was confirmed.
    var keepsConfirmed = false
    /// Links that end in order before the device has nothing more to say; 1 unless it repeats itself.
    var links = 1
    /// Records a link at most; the rest on the next.
    var recordsPerLink = Int.max
    var clock = Clock.running(ahead: 0)
    /// Notified before the first record of a link (2A36).
    var intermediates: [[UInt8]] = []
    /// Whole PDUs sent when the link is up, none of them of use.
    var garbage: [[UInt8]] = []
    /// On the first link.
    var linkLoss: LinkLoss?
    /// Records wait for a Record Access Control Point request.
    var waitsForRequest = false
    /// Notified one a second when 2A5F is subscribed to.
    var stream: [[UInt8]] = []
    /// The hub's write to the clock is answered with this code although it is taken.
    var clockWriteError: ATTErrorCode?
    /// 2A08 inside the blood pressure service in place of 2A2B in its own.
    var usesDateTime = false
}
