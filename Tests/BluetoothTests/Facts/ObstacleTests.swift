import Glibc
import Testing
import Vitals

@testable import Bluetooth

private typealias Facts = AdapterFacts
private let all = Facts.Rights(mask: .max)
private let dongle = Facts.USBIdentity(vendor: 0x0A12, product: 1, port: "1-1")
private let first = Facts.Adapter(index: 0, bus: .usb(dongle), address: "00:00:5E:00:53:01", isUp: true)
private let second = Facts.Adapter(index: 1, bus: .uart, address: "00:00:5E:00:53:02", isUp: false)
private let half = Facts.Adapter(index: 0, bus: .usb(dongle), address: nil, isUp: false)
private let file = FirmwareFailure(adapter: "hci0", file: "rtl_bt/a.bin")
private func radio(_ index: Int, _ name: String, soft: Bool = false, hard: Bool = false) -> Facts.RadioSwitch {
    Facts.RadioSwitch(index: index, name: name, isSoftBlocked: soft, isHardBlocked: hard)
}
private func good(_ change: (inout Facts) -> Void = { _ in }) -> Facts {
    var facts = Facts(socket: .works, adapters: [first], switches: [radio(0, "hci0")], rights: all)
    change(&facts)
    return facts
}

@Suite("what keeps the hub from its adapter") struct ObstacleTests {
    struct Case: Sendable, CustomTestStringConvertible {
        var name: String
        var facts: AdapterFacts
        var wanted: [String]
        var expected: [AdapterFacts.Obstacle]
        init(_ name: String, _ facts: AdapterFacts, wanted: [String] = [], _ expected: AdapterFacts.Obstacle...) {
            (self.name, self.facts, self.wanted, self.expected) = (name, facts, wanted, expected)
        }
        var testDescription: String { name }
    }

    static let cases: [Case] = [
        Case("all well", good()),
        Case(
            "kernel without Bluetooth hides the rest",
            good {
                $0.socket = .notInKernel; $0.bluetoothd.isRunning = true
            }, .notInKernel),
        Case("the sandbox", good { $0.socket = .forbidden }, .familyForbidden),
        Case("another error", good { $0.socket = .refused(ENOMEM) }, .socketRefused(ENOMEM)),
        Case(
            "no adapter",
            good {
                $0.adapters = []; $0.switches = []
            }, .noAdapter),
        Case(
            "a dongle without driver",
            good {
                $0.adapters = []; $0.switches = []; $0.undriven = [dongle]
            }, .noDriver(dongle)),
        Case(
            "no adapter, for a switch of the machine took it away",
            good {
                $0.adapters = []; $0.switches = [radio(2, "tpacpi_bluetooth_sw", soft: true)]
            },
            .softBlocked(radio(2, "tpacpi_bluetooth_sw", soft: true))),
        Case(
            "no adapter, for its firmware is missing",
            good {
                $0.adapters = []; $0.kernelLog = .read([file])
            }, .firmwareMissing(file)),
        Case(
            "an adapter without address, for its firmware is missing",
            good {
                $0.adapters = [half]; $0.kernelLog = .read([file])
            }, .firmwareMissing(file)),
        Case("firmware was missed, and the adapter works", good { $0.kernelLog = .read([file]) }),
        Case(
            "firmware of one of two is missing",
            good {
                $0.adapters = [half, second]; $0.kernelLog = .read([file])
            }),
        Case("soft blocked", good { $0.switches = [radio(0, "hci0", soft: true)] }, .softBlocked(radio(0, "hci0", soft: true))),
        Case(
            "hard and soft blocked: the hard one is told", good { $0.switches = [radio(0, "hci0", soft: true, hard: true)] },
            .hardBlocked(radio(0, "hci0", soft: true, hard: true))),
        Case(
            "one of two is blocked",
            good {
                $0.adapters = [first, second]; $0.switches = [radio(0, "hci0", soft: true)]
            }),
        Case(
            "the wanted one of two is blocked",
            good {
                $0.adapters = [first, second]; $0.switches = [radio(0, "hci0", hard: true)]
            }, wanted: ["00:00:5e:00:53:01"],
            .hardBlocked(radio(0, "hci0", hard: true))),
        Case(
            "the one that is not wanted is blocked",
            good {
                $0.adapters = [first, second]; $0.switches = [radio(0, "hci0", hard: true)]
            }, wanted: ["00:00:5E:00:53:02"]),
        Case(
            "another adapter than the wanted", good(), wanted: ["00:00:5E:00:53:09"],
            .wantedNotThere(wanted: ["00:00:5E:00:53:09"], found: ["00:00:5E:00:53:01"])),
        Case(
            "Wi-Fi's and the machine's switches are nobody's here",
            good { $0.switches = [radio(2, "tpacpi_bluetooth_sw", soft: true)] }),
        Case("no right", good { $0.rights = Facts.Rights(mask: 0) }, .rightMissing(.netAdmin)),
        Case("bluetoothd", good { $0.bluetoothd.isRunning = true }, .bluetoothdRunning),
        Case(
            "bluetoothd masked and still running",
            good { $0.bluetoothd = .init(isRunning: true, isInstalled: true, isMasked: true) }, .bluetoothdRunning),
        Case("bluetoothd installed", good { $0.bluetoothd.isInstalled = true }),
        Case(
            "several: in the order to mend them",
            good {
                $0.socket = .forbidden
                $0.switches = [radio(0, "hci0", hard: true)]
                $0.rights = Facts.Rights(mask: 0)
                $0.bluetoothd.isRunning = true
            }, .familyForbidden, .hardBlocked(radio(0, "hci0", hard: true)), .rightMissing(.netAdmin), .bluetoothdRunning),
        Case(
            "no address could be asked: nothing is guessed of the wanted one",
            good {
                $0.socket = .forbidden; $0.adapters = [Facts.Adapter(index: 0, bus: .uart)]
            }, wanted: ["00:00:5E:00:53:01"],
            .familyForbidden),
    ]

    @Test("each cause by itself", arguments: cases)
    func obstacles(_ given: Case) {
        #expect(given.facts.obstacles(wanting: given.wanted) == given.expected)
        if given.wanted.isEmpty { #expect(given.facts.obstacle == given.expected.first) }
    }

    @Test(
        "each has what, why and remedy of its own, and a condition",
        arguments: [
            .notInKernel, .familyForbidden, .socketRefused(ENOMEM), .noAdapter, .noDriver(dongle),
            .wantedNotThere(wanted: ["00:00:5E:00:53:01"], found: []), .firmwareMissing(file), .hardBlocked(radio(1, "hci0")),
            .softBlocked(radio(1, "hci0")), .rightMissing(.netAdmin), .bluetoothdRunning,
        ] as [AdapterFacts.Obstacle])
    func words(_ obstacle: AdapterFacts.Obstacle) {
        for text in [obstacle.what, obstacle.why, obstacle.remedy] { #expect(text.hasSuffix(".") && text.count > 12) }
        #expect([.adapterMissing, .adapterBlocked].contains(obstacle.condition))
        let isSoft = if case .softBlocked = obstacle { true } else { false }
        #expect(obstacle.isLiftedByLadder == isSoft)
    }

    @Test("conditions: nothing there is one thing, something in the way another")
    func conditions() {
        #expect(AdapterFacts.Obstacle.noAdapter.condition == .adapterMissing)
        #expect(AdapterFacts.Obstacle.firmwareMissing(file).condition == .adapterMissing)
        #expect(AdapterFacts.Obstacle.bluetoothdRunning.condition == .adapterBlocked)
        #expect(AdapterFacts.Obstacle.rightMissing(.netAdmin).condition == .adapterBlocked)
    }

    @Test(
        "the package that holds a firmware file",
        arguments: [
            ("rtl_bt/a.bin", "firmware-realtek"), ("intel/ibt-20-1-3.sfi", "firmware-iwlwifi"), ("qca/r.bin", "firmware-atheros"),
            ("mediatek/BT_RAM.bin", "firmware-misc-nonfree"),
        ])
    func package(_ file: String, _ package: String) {
        #expect(AdapterFacts.Obstacle.package(of: file) == package)
    }

    // MARK: Findings

    private func grades(_ facts: AdapterFacts, _ subject: AdapterFacts.Subject = .daemon) -> [AdapterFacts.Finding.Check:
        AdapterFacts.Finding.Grade]
    {
        Dictionary(uniqueKeysWithValues: facts.findings(rightsOf: subject).map { ($0.check, $0.grade) })
    }

    @Test("every check is there once, and what is not well has a remedy", arguments: cases)
    func findings(_ given: Case) {
        let findings = given.facts.findings(wanting: given.wanted)
        #expect(findings.map(\.check) == AdapterFacts.Finding.Check.allCases)
        #expect(findings.allSatisfy { $0.grade == .ok || $0.remedy?.isEmpty == false })
        // An obstacle is always told, and never without one.
        #expect(findings.contains { $0.grade == .failed } == !given.expected.isEmpty)
    }

    @Test("a good machine is well throughout")
    func well() {
        #expect(Set(grades(good()).values) == [.ok])
    }

    @Test("what deserves a warning")
    func warnings() {
        #expect(grades(good { $0.bluetoothd.isInstalled = true })[.bluetoothd] == .warning)
        #expect(grades(good { $0.bluetoothd = .init(isInstalled: true, isMasked: true) })[.bluetoothd] == .ok)
        #expect(grades(good { $0.kernelLog = .unreadable("/dev/kmsg: Operation not permitted") })[.firmware] == .warning)
        #expect(grades(good { $0.kernelLog = .read([file]) })[.firmware] == .warning)
        #expect(grades(good { $0.rights = .init(mask: 0) }, .command)[.permission] == .warning)
        #expect(grades(good { $0.rights = .init(mask: 0) }, .daemon)[.permission] == .failed)
        // Without CAP_NET_RAW the hub works, and its unit does not give it: that is no reason to warn.
        for subject in [AdapterFacts.Subject.command, .daemon] {
            let facts = good { $0.rights = .init(mask: 1 << 12) }
            #expect(grades(facts, subject)[.permission] == .ok)
            #expect(grades(facts, subject)[.capture] == .ok)
            #expect(facts.obstacle == nil)
        }
        let two = good {
            $0.adapters = [first, second]; $0.switches = [radio(0, "hci0", soft: true)]
        }
        #expect(grades(two)[.rfkill] == .warning)
    }

    @Test("where the kernel has none, the adapter's line says where to look")
    func hidden() {
        let findings = good {
            $0.socket = .notInKernel; $0.adapters = []
        }.findings()
        #expect(findings.first?.grade == .failed)
        #expect(findings.first?.remedy == AdapterFacts.Obstacle.notInKernel.remedy)
    }
}
