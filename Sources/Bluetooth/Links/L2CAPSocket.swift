import CBlueZ
import Glibc
import Vitals

/// L2CAP sockets on LE's fixed ATT channel: the calls, without waiting.
///
/// Source: the kernel's `net/bluetooth/l2cap_sock.c` (6.1).
enum L2CAPSocket {
    /// The fixed channel of ATT on LE (Core Vol 3 Part A 2.1).
    static let attributeChannel: UInt16 = 4

    /// Listens for every LE link of every adapter, also those that the kernel makes itself by auto-connect: what arrives between the
    /// link and our socket would be dropped otherwise.
    ///
    /// - Parameter kind: the adapter's own address type; a listener hears only links of its kind.
    static func listen(kind: DeviceAddress.Kind) throws(BearerError) -> Int32 {
        let descriptor = socket(
            AF_BLUETOOTH, Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_CLOEXEC.rawValue) | Int32(SOCK_NONBLOCK.rawValue),
            BTPROTO_L2CAP)
        guard descriptor >= 0 else { throw .system(call: "socket", code: errno) }
        var address = sockaddr_l2(nil, kind: kind, channel: attributeChannel)
        // Some ten devices may come at once; the queue holds them while one turn of the loop accepts.
        guard Self.bind(descriptor, &address) == 0, Glibc.listen(descriptor, 16) == 0 else {
            let code = errno
            Glibc.close(descriptor)
            throw .system(call: "bind or listen", code: code)
        }
        return descriptor
    }

    /// The next link that came: its descriptor, the peer and the adapter's own address; `nil` where none waits.
    static func accept(_ listener: Int32) -> (descriptor: Int32, peer: DeviceAddress, adapter: DeviceAddress)? {
        while true {
            var peer = sockaddr_l2()
            var size = socklen_t(MemoryLayout<sockaddr_l2>.size)
            let descriptor = withUnsafeMutablePointer(to: &peer) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { Glibc.accept(listener, $0, &size) }
            }
            guard descriptor >= 0 else {
                if errno == EINTR || errno == ECONNABORTED { continue }
                return nil
            }
            _ = fcntl(descriptor, F_SETFD, FD_CLOEXEC)
            var own = sockaddr_l2()
            size = socklen_t(MemoryLayout<sockaddr_l2>.size)
            let named = withUnsafeMutablePointer(to: &own) {
                $0.withMemoryRebound(to: sockaddr.self, capacity: 1) { getsockname(descriptor, $0, &size) }
            }
            guard named == 0, let peer = peer.address, let adapter = own.address else {
                Glibc.close(descriptor)
                continue
            }
            return (descriptor, peer, adapter)
        }
    }

    private static func bind(_ descriptor: Int32, _ address: inout sockaddr_l2) -> Int32 {
        withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                Glibc.bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_l2>.size))
            }
        }
    }
}

extension sockaddr_l2 {
    /// Fields are little-endian; `nil` is any address.
    init(_ address: DeviceAddress?, kind: DeviceAddress.Kind, channel: UInt16) {
        self.init()
        l2_family = sa_family_t(AF_BLUETOOTH)
        l2_cid = channel.littleEndian
        l2_bdaddr_type = kind.rawValue
        if let address { l2_bdaddr = bdaddr_t(address) }
    }

    var address: DeviceAddress? {
        DeviceAddress.Kind(rawValue: l2_bdaddr_type).flatMap { DeviceAddress(bytes: l2_bdaddr.bytes, kind: $0) }
    }
}

extension bdaddr_t {
    /// The kernel's form is the wire's: least significant byte first.
    init(_ address: DeviceAddress) {
        self.init()
        withUnsafeMutableBytes(of: &self) { $0.copyBytes(from: address.bytes) }
    }

    var bytes: [UInt8] { withUnsafeBytes(of: self) { Array($0) } }
}
