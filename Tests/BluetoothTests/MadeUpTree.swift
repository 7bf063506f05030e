import Bluetooth
import Glibc

/// A /sys, /proc, /dev and /etc that a test made up; removed with it.
final class MadeUpTree: Sendable {
    let root: String
    var tree: MachineTree { MachineTree(root: root) }

    init() {
        var template = Array("/tmp/vitalgate-tree-XXXXXX".utf8CString)
        root = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } ?? "/tmp/vitalgate-tree-none"
        }
    }

    deinit { if root.hasPrefix("/tmp/vitalgate-tree-") { Self.remove(root) } }

    private static func remove(_ path: String) {
        if let directory = opendir(path) {
            while let entry = readdir(directory) {
                let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
                guard name != ".", name != ".." else { continue }
                // A link to a folder is removed, and what it leads to is not looked into.
                if entry.pointee.d_type == DT_DIR { remove(path + "/" + name) } else { unlink(path + "/" + name) }
            }
            closedir(directory)
        }
        rmdir(path)
    }

    func folder(_ path: String) {
        var made = root
        for part in path.split(separator: "/") {
            made += "/" + part
            mkdir(made, 0o755)
        }
    }

    @discardableResult
    func file(_ path: String, _ text: String) -> Self {
        folder(path.split(separator: "/").dropLast().joined(separator: "/"))
        let descriptor = open(root + path, O_WRONLY | O_CREAT | O_TRUNC, 0o644)
        let bytes = Array(text.utf8)
        _ = write(descriptor, bytes, bytes.count)
        close(descriptor)
        return self
    }

    /// A link, its target written as the kernel does: relative, or absolute for a mask.
    func link(_ path: String, to target: String) {
        folder(path.split(separator: "/").dropLast().joined(separator: "/"))
        symlink(target, root + path)
    }

    func bytes(of path: String) -> [UInt8] {
        let descriptor = open(root + path, O_RDONLY)
        guard descriptor >= 0 else { return [] }
        defer { close(descriptor) }
        var buffer = [UInt8](repeating: 0, count: 256)
        return Array(buffer[..<max(0, read(descriptor, &buffer, buffer.count))])
    }

    // MARK: Pieces of a machine

    /// A dongle at a port, with or without a driver.
    func usb(port: String, vendor: String, product: String, adapter index: Int?, device number: Int = 4) {
        let device = "/sys/devices/pci0000:00/usb1/\(port)"
        let interface = "\(device)/\(port):1.0"
        file(device + "/idVendor", vendor + "\n").file(device + "/idProduct", product + "\n")
        file(device + "/busnum", "1\n").file(device + "/devnum", "\(number)\n")
        file(interface + "/bInterfaceClass", "e0\n").file(interface + "/bInterfaceSubClass", "01\n")
        file(interface + "/bInterfaceProtocol", "01\n")
        folder("/sys/bus/usb/devices")
        link("/sys/bus/usb/devices/\(port)", to: "../../../devices/pci0000:00/usb1/\(port)")
        link("/sys/bus/usb/devices/\(port):1.0", to: "../../../devices/pci0000:00/usb1/\(port)/\(port):1.0")
        folder("/dev/bus/usb/001")
        guard let index else { return }
        folder("/sys/bus/usb/drivers/btusb")
        link(interface + "/driver", to: "../../../../../bus/usb/drivers/btusb")
        link(interface + "/subsystem", to: "../../../../../bus/usb")
        folder(interface + "/bluetooth/hci\(index)")
        link(interface + "/bluetooth/hci\(index)/device", to: "../../../\(port):1.0")
        link("/sys/class/bluetooth/hci\(index)", to: "../../devices/pci0000:00/usb1/\(port)/\(port):1.0/bluetooth/hci\(index)")
    }

    func rfkill(_ index: Int, name: String, type: String = "bluetooth", soft: Bool = false, hard: Bool = false) {
        let path = "/sys/class/rfkill/rfkill\(index)"
        file(path + "/name", name + "\n").file(path + "/type", type + "\n")
        file(path + "/soft", soft ? "1\n" : "0\n").file(path + "/hard", hard ? "1\n" : "0\n")
    }
}

/// A kernel that answers as a test says.
struct MadeUpKernel: BluetoothQuestions {
    var socket: Int32 = 0
    var addresses: [Int: [UInt8]] = [:]
    var messages: [String]? = []

    func openSocket() -> Int32 { socket }
    func info(of index: Int) -> (address: [UInt8], isUp: Bool)? { addresses[index].map { ($0, true) } }
    func kernelMessages() -> Result<[String], BearerError> {
        messages.map { .success($0) } ?? .failure(.system(call: "/dev/kmsg", code: EPERM))
    }
}

struct Seeded: RandomNumberGenerator {
    var state: UInt64
    init(_ seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        // SplitMix64 (Steele, Lea, Flood 2014).
        state &+= 0x9E37_79B9_7F4A_7C15
        var mixed = state
        mixed = (mixed ^ (mixed >> 30)) &* 0xBF58_476D_1CE4_E5B9
        mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
        return mixed ^ (mixed >> 31)
    }
}
