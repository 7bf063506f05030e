import CBlueZ
import Glibc
import Protocols

/// The kernel's management channel: one datagram a command or event. Needs CAP_NET_ADMIN.
///
/// Source: BlueZ's mgmt-api document; `HCI_CHANNEL_CONTROL` of `net/bluetooth/hci_sock.c`.
enum ManagementSocket {
    static func open() throws(BearerError) -> Int32 {
        let descriptor = socket(
            AF_BLUETOOTH, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue), BTPROTO_HCI)
        guard descriptor >= 0 else { throw .system(call: "socket", code: errno) }
        var address = sockaddr_hci(
            hci_family: sa_family_t(AF_BLUETOOTH), hci_dev: UInt16(HCI_DEV_NONE), hci_channel: UInt16(HCI_CHANNEL_CONTROL))
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_hci>.size))
            }
        }
        guard bound == 0 else {
            let code = errno
            close(descriptor)
            throw .system(call: "bind", code: code)
        }
        return descriptor
    }

    /// Returns 0 or the error number.
    static func send(_ command: ManagementCommand, on descriptor: Int32) -> Int32 {
        let bytes = command.bytes
        while true {
            if write(descriptor, bytes, bytes.count) >= 0 { return 0 }
            if errno != EINTR { return errno }
        }
    }
}
