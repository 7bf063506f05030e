import Glibc
public import Vitals

extension AdapterFacts {
    /// Why the daemon must not, or cannot, run its radio on this machine. Each is a cause of its own with its own remedy.
    public enum Obstacle: Hashable, Sendable {
        case notInKernel
        case familyForbidden
        /// The error's number.
        case socketRefused(Int32)
        case noAdapter
        /// A dongle is plugged in, and no driver has taken it.
        case noDriver(USBIdentity)
        /// None of the configured addresses is among those found.
        case wantedNotThere(wanted: [String], found: [String])
        case firmwareMissing(FirmwareFailure)
        case hardBlocked(RadioSwitch)
        case softBlocked(RadioSwitch)
        case rightMissing(Rights.Capability)
        /// Two stacks on one adapter: it would confirm indications that we have not stored (R1).
        case bluetoothdRunning
    }

    /// The first thing to mend, for a hub that uses every adapter.
    public var obstacle: Obstacle? { obstacles().first }

    /// All that stands in the way, what has to be mended first in front.
    ///
    /// - Parameter wanted: the configured addresses; empty: any adapter will do.
    public func obstacles(wanting wanted: [String] = []) -> [Obstacle] {
        var obstacles: [Obstacle] = []
        switch socket {
        case .works: break
        // Nothing else can be seen or mended before.
        case .notInKernel: return [.notInKernel]
        case .forbidden: obstacles.append(.familyForbidden)
        case .refused(let code): obstacles.append(.socketRefused(code))
        }
        obstacles += missing(wanting: wanted)
        if let blocked = blocked(wanting: wanted) { obstacles.append(blocked) }
        if !rights.has(.netAdmin) { obstacles.append(.rightMissing(.netAdmin)) }
        if bluetoothd.isRunning { obstacles.append(.bluetoothdRunning) }
        return obstacles
    }

    /// The adapters that are meant; an adapter whose address is not known is none of the configured ones.
    func wantedAdapters(_ wanted: [String]) -> [Adapter] {
        guard !wanted.isEmpty else { return adapters }
        let wanted = Set(wanted.map { $0.uppercased() })
        return adapters.filter { adapter in adapter.address.map(wanted.contains) ?? false }
    }

    private func missing(wanting wanted: [String]) -> [Obstacle] {
        // One that was asked and has no address waits for its firmware.
        let isHalf = { (adapter: Adapter) in adapter.address == nil && adapter.isUp != nil }
        let failure = kernelLog.failures.first { failure in
            adapters.isEmpty || adapters.contains { $0.name == failure.adapter && isHalf($0) }
        }
        if let failure, adapters.allSatisfy(isHalf) { return [.firmwareMissing(failure)] }
        if adapters.isEmpty {
            // A switch of the machine takes the adapter off its bus: that is told instead, as blocked.
            if switches.contains(where: \.isBlocked) { return [] }
            return [undriven.first.map { .noDriver($0) } ?? .noAdapter]
        }
        // Where no address could be asked (no socket), that is the obstacle, and this one would be a guess.
        guard wantedAdapters(wanted).isEmpty, adapters.contains(where: { $0.isUp != nil }) else { return [] }
        return [.wantedNotThere(wanted: wanted, found: adapters.compactMap(\.address))]
    }

    /// The switch that leaves no adapter to work with.
    private func blocked(wanting wanted: [String]) -> Obstacle? {
        let meant = wantedAdapters(wanted)
        let inTheWay: [RadioSwitch]
        if adapters.isEmpty {
            inTheWay = switches.filter(\.isBlocked)
        } else {
            let blocked = meant.map { adapter in switches.first { $0.name == adapter.name && $0.isBlocked } }
            guard !blocked.contains(nil) else { return nil }
            inTheWay = blocked.compactMap(\.self)
        }
        // Hard first: to lift the soft one would change nothing yet.
        if let hard = inTheWay.first(where: \.isHardBlocked) { return .hardBlocked(hard) }
        return inTheWay.first.map { .softBlocked($0) }
    }
}

extension AdapterFacts.RadioSwitch {
    var isBlocked: Bool { isSoftBlocked || isHardBlocked }
}

extension AdapterFacts.Obstacle {
    public var condition: Condition.Code {
        switch self {
        case .notInKernel, .noAdapter, .noDriver, .wantedNotThere, .firmwareMissing: .adapterMissing
        case .familyForbidden, .socketRefused, .hardBlocked, .softBlocked, .rightMissing, .bluetoothdRunning: .adapterBlocked
        }
    }

    /// Whether the daemon itself can lift it, by the first rung of ``RecoveryLadder``.
    public var isLiftedByLadder: Bool { if case .softBlocked = self { true } else { false } }

    public var what: String {
        switch self {
        case .notInKernel: "This kernel has no Bluetooth."
        case .familyForbidden: "The daemon may not use Bluetooth sockets."
        case .socketRefused: "The kernel gives no Bluetooth socket."
        case .noAdapter: "There is no Bluetooth adapter."
        case .noDriver: "The Bluetooth dongle has no driver."
        case .wantedNotThere: "None of the configured adapters is there."
        case .firmwareMissing: "The Bluetooth adapter has no firmware."
        case .hardBlocked: "The radio is switched off by a switch of the machine."
        case .softBlocked: "The radio is switched off by software."
        case .rightMissing: "The right to manage the Bluetooth adapter is missing."
        case .bluetoothdRunning: "Another program owns the Bluetooth adapter."
        }
    }

    public var why: String {
        switch self {
        case .notInKernel: "It knows no AF_BLUETOOTH, and no module bluetooth is loaded or could be."
        case .familyForbidden: "The kernel has Bluetooth, and the service's sandbox refuses AF_BLUETOOTH."
        case .socketRefused(let code): "socket: \(String(cString: strerror(code)))."
        case .noAdapter: "The kernel lists none under /sys/class/bluetooth, and no Bluetooth dongle is on USB."
        case .noDriver(let identity): "USB \(identity) is plugged in, and the kernel has no driver for it or has not loaded it."
        case .wantedNotThere(let wanted, let found):
            "[bluetooth] adapters names \(wanted.joined(separator: ", ")); found: "
                + (found.isEmpty ? "none with an address" : found.joined(separator: ", ")) + "."
        case .firmwareMissing(let failure):
            "\(failure.adapter) asks for " + (failure.file.map { "the file \($0)" } ?? "a file that its driver does not name")
                + ", and it is not under /lib/firmware."
        case .hardBlocked(let radio): "rfkill\(radio.index) (\(radio.name)) is hard blocked; software cannot lift that."
        case .softBlocked(let radio): "rfkill\(radio.index) (\(radio.name)) is soft blocked."
        case .rightMissing(let capability): "The process does not have \(capability.name)."
        case .bluetoothdRunning:
            "bluetoothd is running: it opens the same channel to every device and confirms readings before they are stored."
        }
    }

    /// For a technician, in words and commands.
    public var remedy: String {
        switch self {
        case .notInKernel:
            "Load it (modprobe bluetooth btusb), or boot a kernel with it: on Debian, linux-image-amd64 and not a cloud kernel."
        case .familyForbidden:
            "Install the unit that comes with this release (RestrictAddressFamilies= with AF_BLUETOOTH), then systemctl daemon-reload and systemctl restart vitalgate."
        case .socketRefused: "Send this line to the makers, with the kernel's log: journalctl -k."
        case .noAdapter:
            "Plug a Bluetooth dongle in, or switch the built-in one on in the firmware setup; lsusb shows what is plugged in."
        case .noDriver: "modprobe btusb; if it stays, this kernel is too old for the dongle: use another one."
        case .wantedNotThere: "Plug the adapter in, or correct [bluetooth] adapters; without that key every adapter is used."
        case .firmwareMissing(let failure):
            "Install its package (" + Self.package(of: failure.file)
                + "), then pull the adapter out and put it in again, or restart the machine."
        case .hardBlocked: "Look for the switch or key for wireless on the machine, or its setting in the firmware setup."
        case .softBlocked: "vitalgate adapter reset, or: rfkill unblock bluetooth."
        case .rightMissing(let capability):
            "Run it as the service vitalgate.service, whose unit gives \(capability.name), or as root."
        case .bluetoothdRunning: "Take the adapter from it: vitalgate adapter claim."
        }
    }

    /// Debian's package that holds a firmware file, by its folder.
    static func package(of file: String?) -> String {
        switch file?.split(separator: "/").first {
        case "rtl_bt": "firmware-realtek"
        case "intel": "firmware-iwlwifi"
        case "qca", "ar3k": "firmware-atheros"
        case "mediatek", "mrvl": "firmware-misc-nonfree"
        case "brcm": "firmware-brcm80211; bluez-firmware for older ones"
        default: "firmware-misc-nonfree, or what the adapter's maker names"
        }
    }
}
