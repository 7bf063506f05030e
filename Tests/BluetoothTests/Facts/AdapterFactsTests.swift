import Glibc
import Testing

@testable import Bluetooth

@Suite("facts about the machine's Bluetooth") struct AdapterFactsTests {
    @Test(
        "the effective rights are a mask in /proc/PID/status",
        arguments: [
            ("Name:\tx\nCapPrm:\t0000000000000000\nCapEff:\t0000000000001000\nCapBnd:\t000001ffffffffff\n", true, false),
            ("CapEff:\t000001ffffffffff\n", true, true), ("CapEff:\t0000000000002000\n", false, true),
            ("CapEff:\t0000000000000000\n", false, false), ("CapEff:\tzz\n", false, false), ("CapPrm:\tffff\n", false, false),
            ("", false, false),
        ])
    func rights(_ status: String, _ admin: Bool, _ raw: Bool) {
        let rights = AdapterFacts.rights(status: status)
        #expect(rights.has(.netAdmin) == admin)
        #expect(rights.has(.netRaw) == raw)
    }

    @Test(
        "a refused socket: the kernel without Bluetooth and the service's sandbox answer alike, and are told apart",
        arguments: [
            (0, true, .works), (0, false, .works), (EAFNOSUPPORT, false, .notInKernel), (EAFNOSUPPORT, true, .forbidden),
            (EPROTONOSUPPORT, false, .notInKernel), (EPERM, true, .forbidden), (EACCES, false, .forbidden),
            (ENOMEM, true, .refused(ENOMEM)),
        ] as [(Int32, Bool, AdapterFacts.Socket)])
    func socket(_ code: Int32, _ isInKernel: Bool, _ expected: AdapterFacts.Socket) {
        #expect(AdapterFacts.socket(code: code, isInKernel: isInKernel) == expected)
    }

    @Test(
        "adapters of the class, not the links beside them",
        arguments: [("hci0", 0), ("hci12", 12), ("hci0:64", nil), ("hci", nil), ("hcix", nil), ("rfkill0", nil), ("hci-1", nil)]
            as [(String, Int?)])
    func names(_ name: String, _ index: Int?) {
        #expect(AdapterFacts.index(ofAdapter: name) == index)
    }

    @Test(
        "an address, most significant byte first; none while it is zero",
        arguments: [
            ([0x01, 0x53, 0x00, 0x5E, 0x00, 0xAA], "AA:00:5E:00:53:01"), ([0, 0, 0, 0, 0, 0], nil), ([1, 2, 3], nil), ([], nil),
        ] as [([UInt8], String?)])
    func address(_ bytes: [UInt8], _ text: String?) {
        #expect(AdapterFacts.address(bytes) == text)
    }

    @Test(
        "the stable release of a kernel, which Debian's release name hides",
        arguments: [
            (
                "Linux version 6.1.0-56-amd64 (debian-kernel@lists.debian.org) (gcc-12 (Debian 12.2.0-14+deb12u1) 12.2.0, GNU ld) #1 SMP PREEMPT_DYNAMIC Debian 6.1.192-2 (2026-11-01)",
                [6, 1, 192], true
            ),
            ("Linux version 6.1.0-47-amd64 (x) #1 SMP Debian 6.1.170-3 (2026-05-01)", [6, 1, 170], false),
            ("Linux version 6.1.187 (builder@host) #1 SMP", [6, 1, 187], true),
            ("Linux version 6.12.41+deb13-arm64 (x) #1 SMP Debian 6.12.41-1 (2025-08-12)", [6, 12, 41], false),
            ("Linux version 6.18.5 (x) #1", [6, 18, 5], false), ("Linux version", nil, false), ("", nil, false),
        ] as [(String, [Int]?, Bool)])
    func stableVersion(_ line: String, _ version: [Int]?, _ isFaulty: Bool) {
        #expect(AdapterFacts.stableVersion(line) == version)
        #expect(AdapterFacts.Kernel(version: version).freesLinksTwice == isFaulty)
    }

    @Test(
        "a record of /dev/kmsg",
        arguments: [
            ("6,339,5140900,-;NET: Registered PF_BLUETOOTH\n SUBSYSTEM=net\n DEVICE=+net:x\n", "NET: Registered PF_BLUETOOTH"),
            ("3,1,2,c;a;b", "a;b"), ("6,1,2,-;", ""), ("no record", nil), ("", nil),
        ] as [(String, String?)])
    func record(_ record: String, _ message: String?) {
        #expect(AdapterFacts.message(kmsg: Array(record.utf8)) == message)
    }

    @Test(
        "what the kernel and its drivers say of missing firmware",
        arguments: [
            (
                "bluetooth hci0: Direct firmware load for rtl_bt/rtl8761bu_fw.bin failed with error -2", "hci0",
                "rtl_bt/rtl8761bu_fw.bin"
            ),
            ("bluetooth hci1: firmware: failed to load intel/ibt-20-1-3.sfi (-2)", "hci1", "intel/ibt-20-1-3.sfi"),
            ("Bluetooth: hci0: RTL: firmware file rtl_bt/rtl8761bu_fw not found", "hci0", "rtl_bt/rtl8761bu_fw"),
            ("Bluetooth: hci0: Failed to load Intel firmware file intel/ibt-11-5.sfi (-2)", "hci0", "intel/ibt-11-5.sfi"),
            ("Bluetooth: hci0: BCM: Patch brcm/BCM20702A1-0a5c-21e8.hcd not found", "hci0", "brcm/BCM20702A1-0a5c-21e8.hcd"),
            (
                "Bluetooth: hci0: failed to request rampatch file: qca/rampatch_usb_00000302.bin (-2)", "hci0",
                "qca/rampatch_usb_00000302.bin"
            ),
            ("Bluetooth: hci0: Failed to load firmware file (-2)", "hci0", nil),
        ] as [(String, String, String?)])
    func firmware(_ message: String, _ adapter: String, _ file: String?) {
        #expect(FirmwareFailure(message: message) == FirmwareFailure(adapter: adapter, file: file))
    }

    @Test(
        "what is no such message",
        arguments: [
            "", "hci0:", "Bluetooth: hci0: RTL: fw version 0xdfc6d922",
            "iwlwifi 0000:00:14.3: Direct firmware load for iwlwifi-cc.ucode failed with error -2",
            "Bluetooth: hci0: Found device firmware: intel/ibt-20-1-3.sfi", "Bluetooth: hci0: command 0x0c03 tx timeout",
            "usb 1-1: device firmware changed", "Bluetooth: hcix: firmware failed", "somebody wrote hci0: firmware failed",
            "Bluetooth: hci0: Reading Intel version command failed (-110)",
        ])
    func noFirmware(_ message: String) {
        #expect(FirmwareFailure(message: message) == nil)
    }

    @Test("a file is named once, its driver's own words add nothing, and eight are kept")
    func failures() {
        let messages = [
            "Bluetooth: hci1: Failed to load firmware file (-2)",
            "bluetooth hci0: Direct firmware load for rtl_bt/a.bin failed with error -2", "Bluetooth: hci0: firmware failed",
            "bluetooth hci0: Direct firmware load for rtl_bt/a.bin failed with error -2",
        ]
        #expect(
            FirmwareFailure.failures(in: messages) == [
                FirmwareFailure(adapter: "hci1", file: nil), FirmwareFailure(adapter: "hci0", file: "rtl_bt/a.bin"),
            ])
        let many = (0..<1_000).map { "bluetooth hci0: firmware: failed to load rtl_bt/\($0).bin (-2)" }
        #expect(FirmwareFailure.failures(in: many).map(\.file) == (992..<1_000).map { "rtl_bt/\($0).bin" })
    }

    @Test(
        "a whole machine: a dongle, a serial controller, a simulated one, a dongle without driver, switches, a masked bluetoothd")
    func machine() {
        let machine = MadeUpTree()
        machine.usb(port: "1-1.2", vendor: "0a12", product: "0001", adapter: 0)
        machine.usb(port: "1-3", vendor: "0bda", product: "a728", adapter: nil, device: 5)
        machine.folder("/sys/devices/platform/serial0-0/bluetooth/hci1")
        machine.folder("/sys/bus/serial")
        machine.link("/sys/devices/platform/serial0-0/subsystem", to: "../../../bus/serial")
        machine.link("/sys/devices/platform/serial0-0/bluetooth/hci1/device", to: "../../../serial0-0")
        machine.link("/sys/class/bluetooth/hci1", to: "../../devices/platform/serial0-0/bluetooth/hci1")
        machine.folder("/sys/devices/virtual/bluetooth/hci2")
        machine.link("/sys/class/bluetooth/hci2", to: "../../devices/virtual/bluetooth/hci2")
        machine.link("/sys/class/bluetooth/hci0:64", to: "../../devices/virtual/bluetooth/hci2")
        machine.rfkill(0, name: "phy0", type: "wlan", soft: true)
        machine.rfkill(10, name: "hci0", soft: true)
        machine.rfkill(2, name: "tpacpi_bluetooth_sw", hard: true)
        machine.file("/proc/thread-self/status", "CapEff:\t0000000000001000\n")
        machine.file("/proc/77/comm", "vitalgate\n").file("/proc/77/cmdline", "/usr/bin/vitalgate\0run\0--config\0x\0")
        machine.file("/proc/77/status", "CapEff:\t0000000000000000\n")
        machine.file("/proc/76/comm", "vitalgate\n").file("/proc/76/cmdline", "vitalgate\0doctor\0")
        machine.file("/usr/lib/systemd/system/bluetooth.service", "[Unit]\n")
        machine.link("/etc/systemd/system/bluetooth.service", to: "/dev/null")
        let kernel = MadeUpKernel(
            addresses: [0: [1, 0x53, 0, 0x5E, 0, 0], 1: [0, 0, 0, 0, 0, 0]],
            messages: ["bluetooth hci1: Direct firmware load for brcm/x.hcd failed with error -2"])
        let facts = AdapterFacts.read(tree: machine.tree, kernel: kernel)
        #expect(
            facts.adapters == [
                .init(
                    index: 0, bus: .usb(.init(vendor: 0x0A12, product: 1, port: "1-1.2")), address: "00:00:5E:00:53:01",
                    isUp: true),
                .init(index: 1, bus: .uart, address: nil, isUp: true), .init(index: 2, bus: .virtual, address: nil, isUp: nil),
            ])
        #expect(facts.undriven == [.init(vendor: 0x0BDA, product: 0xA728, port: "1-3")])
        #expect(
            facts.switches == [
                .init(index: 2, name: "tpacpi_bluetooth_sw", isSoftBlocked: false, isHardBlocked: true),
                .init(index: 10, name: "hci0", isSoftBlocked: true, isHardBlocked: false),
            ])
        #expect(facts.rights.has(.netAdmin))
        #expect(facts.bluetoothd == .init(isRunning: false, isInstalled: true, isMasked: true))
        #expect(facts.kernelLog == .read([.init(adapter: "hci1", file: "brcm/x.hcd")]))
        #expect(facts.socket == .works)
        let daemon = AdapterFacts.daemon(tree: machine.tree)
        #expect(daemon == 77)
        #expect(!AdapterFacts.read(tree: machine.tree, kernel: kernel, process: daemon).rights.has(.netAdmin))
        #expect(facts.adapters[0].description == "hci0 (USB 0a12:0001 at port 1-1.2, 00:00:5E:00:53:01)")
    }

    @Test("bluetoothd is found by its process, or by its unit's control group where processes are hidden")
    func running() {
        let machine = MadeUpTree()
        #expect(AdapterFacts.bluetoothd(machine.tree) == .init())
        machine.file("/proc/412/comm", "bluetoothd\n")
        #expect(AdapterFacts.bluetoothd(machine.tree).isRunning)
        let hidden = MadeUpTree()
        let events = "/sys/fs/cgroup/system.slice/bluetooth.service/cgroup.events"
        hidden.file(events, "populated 1\nfrozen 0\n")
        #expect(AdapterFacts.bluetoothd(hidden.tree).isRunning)
        hidden.file(events, "populated 0\nfrozen 0\n")
        #expect(!AdapterFacts.bluetoothd(hidden.tree).isRunning)
    }

    @Test("an empty machine has nothing, and says so")
    func empty() {
        let facts = AdapterFacts.read(tree: MadeUpTree().tree, kernel: MadeUpKernel(socket: EAFNOSUPPORT, messages: nil))
        #expect(facts.socket == .notInKernel)
        #expect(facts.adapters.isEmpty && facts.undriven.isEmpty && facts.switches.isEmpty)
        #expect(facts.kernelLog == .unreadable("/dev/kmsg: Operation not permitted"))
    }

    @Test("this machine is looked at without an error")
    func thisMachine() {
        let facts = AdapterFacts.read()
        #expect(facts.findings().count == AdapterFacts.Finding.Check.allCases.count)
    }
}
