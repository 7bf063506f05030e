import CBlueZ
import CLinux
import Glibc

/// A question to the kernel that needs no file; another answers in tests.
public protocol BluetoothQuestions: Sendable {
    /// Opens a raw HCI socket and closes it; the error's number, or 0.
    func openSocket() -> Int32
    /// The address, least significant byte first, and whether it is up; `nil` where the kernel does not say.
    func info(of index: Int) -> (address: [UInt8], isUp: Bool)?
    /// The kernel's messages, the oldest first, at most a mebibyte; the reason where they may not be read.
    func kernelMessages() -> Result<[String], BearerError>
}

extension AdapterFacts {
    /// Looks at the machine. Takes milliseconds, and blocks for them.
    ///
    /// - Parameter process: whose rights are meant; `nil`: those of this thread, which may have dropped some.
    public static func read(
        tree: MachineTree = MachineTree(), kernel: some BluetoothQuestions = KernelQuestions(), process: Int? = nil
    ) -> AdapterFacts {
        AdapterFacts(
            socket: socket(code: kernel.openSocket(), isInKernel: isInKernel(tree)),
            adapters: adapters(tree, kernel), undriven: undriven(tree), switches: switches(tree),
            rights: rights(status: tree.text("/proc/\(process.map(String.init) ?? "thread-self")/status") ?? ""),
            bluetoothd: bluetoothd(tree), kernelLog: kernelLog(kernel), kernel: kernelFacts(tree))
    }

    // MARK: Kernel

    /// The module's folder is there also where it is built in, and the class where anything of it runs.
    static func isInKernel(_ tree: MachineTree) -> Bool {
        tree.exists("/sys/module/bluetooth") || tree.exists("/sys/class/bluetooth")
    }

    static func socket(code: Int32, isInKernel: Bool) -> Socket {
        switch code {
        case 0: .works
        // The same number from a kernel without Bluetooth and from a seccomp filter of systemd.
        case EAFNOSUPPORT, EPROTONOSUPPORT: isInKernel ? .forbidden : .notInKernel
        case EACCES, EPERM: .forbidden
        default: .refused(code)
        }
    }

    static func kernelFacts(_ tree: MachineTree) -> Kernel {
        let taint = tree.line("/proc/sys/kernel/tainted").flatMap { UInt64($0) } ?? 0
        return Kernel(version: stableVersion(tree.line("/proc/version") ?? ""), hasDied: taint >> 7 & 1 == 1)
    }

    /// The stable release in a line of /proc/version. Debian's release name says only 6.1.0-56, and its version string the rest:
    /// `Linux version 6.1.0-56-amd64 (…) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-…)`.
    static func stableVersion(_ line: String) -> [Int]? {
        let words = line.split(separator: " ")
        let debian = words.firstIndex(of: "Debian").map { words[$0...].dropFirst().first ?? "" }
        guard let word = debian ?? words.dropFirst(2).first else { return nil }
        let numbers = word.prefix { $0.isNumber || $0 == "." }.split(separator: ".").map { Int($0) }
        let known = numbers.compactMap { $0 }
        return known.count == numbers.count && !known.isEmpty ? known : nil
    }

    static func kernelLog(_ kernel: some BluetoothQuestions) -> KernelLog {
        switch kernel.kernelMessages() {
        case .success(let messages): .read(FirmwareFailure.failures(in: messages))
        case .failure(let error): .unreadable("\(error)")
        }
    }

    /// The text of one record of /dev/kmsg: `priority,sequence,microseconds,flags;text`, then lines of properties that begin with a
    /// blank (Documentation/ABI/testing/dev-kmsg).
    static func message(kmsg record: some Collection<UInt8>) -> String? {
        guard let semicolon = record.firstIndex(of: UInt8(ascii: ";")) else { return nil }
        let text = record[record.index(after: semicolon)...].prefix { $0 != UInt8(ascii: "\n") }
        return String(decoding: text, as: UTF8.self)
    }

    // MARK: Adapters

    static func adapters(_ tree: MachineTree, _ kernel: some BluetoothQuestions) -> [Adapter] {
        // Beside hci0 the class holds a node hci0:64 for each link.
        tree.names(in: "/sys/class/bluetooth").compactMap(index(ofAdapter:)).sorted().map { index in
            let info = kernel.info(of: index)
            return Adapter(
                index: index, bus: bus(tree, index), address: info.flatMap { address($0.address) }, isUp: info?.isUp)
        }
    }

    static func index(ofAdapter name: String) -> Int? {
        guard name.hasPrefix("hci"), case let digits = name.dropFirst(3), !digits.isEmpty,
            digits.allSatisfy({ $0.isASCII && $0.isNumber })
        else { return nil }
        return Int(digits)
    }

    /// As people write it, most significant byte first; `nil` where the controller has none yet.
    static func address(_ bytes: [UInt8]) -> String? {
        guard bytes.count == 6, bytes.contains(where: { $0 != 0 }) else { return nil }
        return bytes.reversed().map { ($0 < 16 ? "0" : "") + String($0, radix: 16, uppercase: true) }.joined(separator: ":")
    }

    static func bus(_ tree: MachineTree, _ index: Int) -> Bus {
        let path = "/sys/class/bluetooth/hci\(index)"
        guard tree.exists(path + "/device") else {
            return tree.resolved(path)?.contains("/virtual/") == true ? .virtual : .other("unknown bus")
        }
        if let usb = usbDevice(tree, adapter: index), let identity = identity(tree, usbDevice: usb) { return .usb(identity) }
        switch tree.resolved(path + "/device/subsystem")?.split(separator: "/").last {
        // serdev for a controller of the device tree, tty for one attached by hand (btattach).
        case "serial", "tty": return .uart
        case "sdio", "mmc": return .sdio
        case let name?: return .other(String(name))
        case nil: return .other("unknown bus")
        }
    }

    /// The folder of the USB device behind an adapter: `device` leads to the interface, and the device is one above.
    static func usbDevice(_ tree: MachineTree, adapter index: Int) -> String? {
        guard let interface = tree.resolved("/sys/class/bluetooth/hci\(index)/device"),
            let slash = interface.lastIndex(of: "/"), tree.exists(interface + "/bInterfaceClass")
        else { return nil }
        let device = String(interface[..<slash])
        return tree.exists(device + "/idVendor") ? device : nil
    }

    static func identity(_ tree: MachineTree, usbDevice path: String) -> USBIdentity? {
        guard let vendor = tree.line(path + "/idVendor").flatMap({ UInt16($0, radix: 16) }),
            let product = tree.line(path + "/idProduct").flatMap({ UInt16($0, radix: 16) }),
            let port = path.split(separator: "/").last
        else { return nil }
        return USBIdentity(vendor: vendor, product: product, port: String(port))
    }

    static func undriven(_ tree: MachineTree) -> [USBIdentity] {
        let folder = "/sys/bus/usb/devices"
        var found: [USBIdentity] = []
        // Interfaces are called 1-1.2:1.0, devices 1-1.2.
        for name in tree.names(in: folder) where name.contains(":") {
            let path = "\(folder)/\(name)"
            // Wireless controller, RF controller, Bluetooth programming interface (USB-IF, Defined Class Codes).
            guard tree.line(path + "/bInterfaceClass") == "e0", tree.line(path + "/bInterfaceSubClass") == "01",
                tree.line(path + "/bInterfaceProtocol") == "01", !tree.exists(path + "/driver"),
                let identity = identity(tree, usbDevice: "\(folder)/\(name.prefix { $0 != ":" })")
            else { continue }
            if !found.contains(identity) { found.append(identity) }
        }
        return found
    }

    // MARK: Switches

    static func switches(_ tree: MachineTree) -> [RadioSwitch] {
        tree.names(in: "/sys/class/rfkill").compactMap { name -> RadioSwitch? in
            let path = "/sys/class/rfkill/\(name)"
            guard name.hasPrefix("rfkill"), let index = Int(name.dropFirst(6)), tree.line(path + "/type") == "bluetooth",
                let soft = tree.line(path + "/soft"), let hard = tree.line(path + "/hard")
            else { return nil }
            return RadioSwitch(
                index: index, name: tree.line(path + "/name") ?? name, isSoftBlocked: soft == "1", isHardBlocked: hard == "1")
        }.sorted { $0.index < $1.index }
    }

    // MARK: Processes

    /// From the text of /proc/PID/status: `CapEff:` and sixteen hex digits (proc(5)). No rights where it is not there.
    static func rights(status: String) -> Rights {
        for line in status.split(separator: "\n") where line.hasPrefix("CapEff:") {
            let digits = line.dropFirst(7).filter { !$0.isWhitespace }
            if let mask = UInt64(digits, radix: 16) { return Rights(mask: mask) }
        }
        return Rights(mask: 0)
    }

    static func bluetoothd(_ tree: MachineTree) -> Bluetoothd {
        // A service with ProtectProc=invisible sees no other user's processes, but the control group of the unit, which is there and
        // populated while a process of it is (cgroup-v2.rst, cgroup.events).
        let events = tree.text("/sys/fs/cgroup/system.slice/bluetooth.service/cgroup.events") ?? ""
        let isPopulated = events.split(separator: "\n").contains("populated 1")
        let masks = ["/etc/systemd/system", "/run/systemd/system"].map { tree.link($0 + "/bluetooth.service") }
        let isInstalled = ["/etc", "/usr/lib", "/lib"].contains { folder in
            let unit = folder + "/systemd/system/bluetooth.service"
            return tree.exists(unit) && tree.link(unit) != "/dev/null"
        }
        return Bluetoothd(
            isRunning: isPopulated || !processes(tree, named: "bluetoothd").isEmpty, isInstalled: isInstalled,
            isMasked: masks.contains("/dev/null"))
    }

    /// Processes by the kernel's name of them, the lowest first.
    static func processes(_ tree: MachineTree, named name: String) -> [Int] {
        tree.names(in: "/proc").compactMap { Int($0) }.filter { tree.line("/proc/\($0)/comm") == name }.sorted()
    }

    /// The running daemon, `vitalgate run`.
    public static func daemon(tree: MachineTree = MachineTree()) -> Int? {
        processes(tree, named: "vitalgate").first { process in
            // Arguments end with a zero each.
            tree.text("/proc/\(process)/cmdline")?.split(separator: "\0").dropFirst().first == "run"
        }
    }
}

/// The machine's own kernel.
public struct KernelQuestions: BluetoothQuestions {
    public init() {}

    public func openSocket() -> Int32 {
        let descriptor = Self.socket()
        guard descriptor >= 0 else { return errno }
        close(descriptor)
        return 0
    }

    public func info(of index: Int) -> (address: [UInt8], isUp: Bool)? {
        let descriptor = Self.socket()
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var address = [UInt8](repeating: 0, count: 6)
        var isUp: Int32 = 0
        guard vitalgate_hci_info(descriptor, Int32(clamping: index), &address, &isUp) == 0 else { return nil }
        return (address, isUp == 1)
    }

    public func kernelMessages() -> Result<[String], BearerError> {
        // Each read gives one record, and EAGAIN after the last; EPIPE where the buffer has gone on, and the next read goes on there.
        let descriptor = open("/dev/kmsg", O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return .failure(.system(call: "/dev/kmsg", code: errno)) }
        defer { close(descriptor) }
        var messages: [String] = []
        // CONSOLE_EXT_LOG_MAX, the longest record.
        var record = [UInt8](repeating: 0, count: 8_192)
        var left = 1 << 20
        while left > 0 {
            let count = read(descriptor, &record, record.count)
            if count < 0 {
                if errno == EINTR || errno == EPIPE {
                    left -= 1
                    continue
                }
                return errno == EAGAIN ? .success(messages) : .failure(.system(call: "/dev/kmsg", code: errno))
            }
            if count == 0 { break }
            left -= count
            if let message = AdapterFacts.message(kmsg: record[..<count]) { messages.append(message) }
        }
        return .success(messages)
    }

    /// A raw HCI socket, bound to nothing: whom the questions are about is in each of them.
    static func socket() -> Int32 {
        Glibc.socket(AF_BLUETOOTH, Int32(SOCK_RAW.rawValue) | Int32(SOCK_CLOEXEC.rawValue), BTPROTO_HCI)
    }
}
