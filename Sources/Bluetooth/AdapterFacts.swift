/// What is known of a machine's Bluetooth without any right to manage it: read from files and from questions that the kernel
/// answers to everybody.
///
/// A value, so that what follows from it (``obstacles(wanting:)``, ``findings(wanting:)``) is decided without a machine.
public struct AdapterFacts: Hashable, Sendable {
    public var socket: Socket
    public var adapters: [Adapter]
    /// USB devices that call themselves Bluetooth controllers (class e0, subclass 01, protocol 01) and that no driver has taken.
    public var undriven: [USBIdentity]
    /// The kernel's switches for Bluetooth, of adapters and of the machine's maker.
    public var switches: [RadioSwitch]
    public var rights: Rights
    public var bluetoothd: Bluetoothd
    public var kernelLog: KernelLog
    public var kernel: Kernel

    public init(
        socket: Socket, adapters: [Adapter], undriven: [USBIdentity] = [], switches: [RadioSwitch] = [], rights: Rights,
        bluetoothd: Bluetoothd = Bluetoothd(), kernelLog: KernelLog = .read([]), kernel: Kernel = Kernel()
    ) {
        self.socket = socket
        self.adapters = adapters
        self.undriven = undriven
        self.switches = switches
        self.rights = rights
        self.bluetoothd = bluetoothd
        self.kernelLog = kernelLog
        self.kernel = kernel
    }

    /// What came of asking for a Bluetooth socket.
    public enum Socket: Hashable, Sendable {
        case works
        /// The kernel has no Bluetooth, or its module is not there to be loaded.
        case notInKernel
        /// The kernel has it, and this process may not use it: systemd's RestrictAddressFamilies= answers as a kernel without it.
        case forbidden
        /// The error's number.
        case refused(Int32)
    }

    public struct Adapter: Hashable, Sendable {
        /// hci0 has 0.
        public var index: Int
        public var bus: Bus
        /// `AA:BB:CC:DD:EE:FF`; `nil` while the controller has none, which is so before its firmware is loaded, or where it could not
        /// be asked.
        public var address: String?
        /// `nil` where it could not be asked.
        public var isUp: Bool?

        public var name: String { "hci\(index)" }

        public init(index: Int, bus: Bus, address: String? = nil, isUp: Bool? = nil) {
            self.index = index
            self.bus = bus
            self.address = address
            self.isUp = isUp
        }
    }

    public enum Bus: Hashable, Sendable {
        case usb(USBIdentity)
        /// A serial line: the soldered controllers of small boards.
        case uart
        case sdio
        /// /dev/vhci: a simulated controller.
        case virtual
        case other(String)
    }

    public struct USBIdentity: Hashable, Sendable {
        public var vendor: UInt16
        public var product: UInt16
        /// Its place in the tree of ports, such as `1-1.2`: the same after a reset.
        public var port: String

        public init(vendor: UInt16, product: UInt16, port: String) {
            self.vendor = vendor
            self.product = product
            self.port = port
        }
    }

    /// One entry of /sys/class/rfkill (Documentation/ABI/stable/sysfs-class-rfkill).
    public struct RadioSwitch: Hashable, Sendable {
        public var index: Int
        /// `hci0` for an adapter's own; the driver's name for a switch of the machine.
        public var name: String
        /// Switched off by software, and to be switched on by it.
        public var isSoftBlocked: Bool
        /// Switched off by a key, a slider or the firmware: software cannot.
        public var isHardBlocked: Bool

        public init(index: Int, name: String, isSoftBlocked: Bool, isHardBlocked: Bool) {
            self.index = index
            self.name = name
            self.isSoftBlocked = isSoftBlocked
            self.isHardBlocked = isHardBlocked
        }
    }

    /// The effective capabilities of a process.
    public struct Rights: Hashable, Sendable {
        public enum Capability: Int, Hashable, Sendable, CaseIterable {
            // linux/capability.h
            case netAdmin = 12
            case netRaw = 13

            public var name: String {
                switch self {
                case .netAdmin: "CAP_NET_ADMIN"
                case .netRaw: "CAP_NET_RAW"
                }
            }
        }

        /// One bit each.
        public var mask: UInt64
        public init(mask: UInt64) { self.mask = mask }
        public func has(_ capability: Capability) -> Bool { mask >> UInt64(capability.rawValue) & 1 == 1 }
    }

    public struct Bluetoothd: Hashable, Sendable {
        public var isRunning: Bool
        /// Its unit is there, so that udev starts it when an adapter appears.
        public var isInstalled: Bool
        /// Its unit is masked, so that nobody starts it.
        public var isMasked: Bool

        public init(isRunning: Bool = false, isInstalled: Bool = false, isMasked: Bool = false) {
            self.isRunning = isRunning
            self.isInstalled = isInstalled
            self.isMasked = isMasked
        }
    }

    public struct Kernel: Hashable, Sendable {
        /// Of the stable series that it was made from, such as 6.1.192; `nil` where it does not tell.
        public var version: [Int]?
        /// It has died under a process since the machine started: TAINT_DIE, bit 7 of /proc/sys/kernel/tainted
        /// (Documentation/admin-guide/tainted-kernels.rst).
        public var hasDied: Bool

        public init(version: [Int]? = nil, hasDied: Bool = false) {
            self.version = version
            self.hasDied = hasDied
        }

        /// Frees a link's channel twice: see `LinkCloser`. Begins with "L2CAP: Fix UAF in channel timeout by holding conn ref"; stands in the
        /// newest that was looked at (Debian's changelog of linux 6.1.192-2).
        public var freesLinksTwice: Bool {
            guard let version, version.count == 3 else { return false }
            return version[0] == 6 && version[1] == 1 && (187...192).contains(version[2])
        }
    }

    public enum KernelLog: Hashable, Sendable {
        case unreadable(String)
        case read([FirmwareFailure])

        public var failures: [FirmwareFailure] {
            if case .read(let failures) = self { failures } else { [] }
        }
    }
}

extension AdapterFacts.Adapter: CustomStringConvertible {
    public var description: String {
        let address = address.map { ", \($0)" } ?? ""
        return "\(name) (\(bus)\(address))"
    }
}

extension AdapterFacts.Bus: CustomStringConvertible {
    public var description: String {
        switch self {
        case .usb(let identity): "USB \(identity)"
        case .uart: "serial line"
        case .sdio: "SDIO"
        case .virtual: "simulated"
        case .other(let name): name
        }
    }
}

extension AdapterFacts.USBIdentity: CustomStringConvertible {
    public var description: String { "\(Self.hex(vendor)):\(Self.hex(product)) at port \(port)" }

    private static func hex(_ value: UInt16) -> String {
        let digits = String(value, radix: 16)
        return String(repeating: "0", count: 4 - digits.count) + digits
    }
}
