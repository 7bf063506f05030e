import Bluetooth
import HubAPI
import Testing

@testable import Gateway

@Suite("claiming and releasing the adapter") struct AdapterOwnershipTests {
    private static let running = AdapterFacts.Bluetoothd(isRunning: true, isInstalled: true)

    private static func situation(
        isRoot: Bool = true, isSystemd: Bool = true, _ bluetoothd: AdapterFacts.Bluetoothd = .init()
    ) -> AdapterOwnership.Situation { .init(isRoot: isRoot, isSystemd: isSystemd, bluetoothd: bluetoothd) }

    @Test("with systemd the service is masked and stopped, or unmasked, whatever is there", arguments: [.init(), running])
    func systemd(_ bluetoothd: AdapterFacts.Bluetoothd) {
        let situation = Self.situation(bluetoothd)
        #expect(AdapterOwnership.claim.step(in: situation) == .success(.systemctl(["mask", "--now", "bluetooth.service"])))
        #expect(AdapterOwnership.release.step(in: situation) == .success(.systemctl(["unmask", "bluetooth.service"])))
    }

    @Test(
        "what cannot be done says so with its code",
        arguments: [
            (.claim, situation(isRoot: false), 77), (.release, situation(isRoot: false), 77),
            (.claim, situation(isRoot: false, isSystemd: false, running), 77), (.claim, situation(isSystemd: false, running), 69),
            (.claim, situation(isSystemd: false), nil), (.release, situation(isSystemd: false, running), nil),
        ] as [(AdapterOwnership, AdapterOwnership.Situation, Int?)])
    func refused(_ ownership: AdapterOwnership, _ situation: AdapterOwnership.Situation, _ code: Int?) {
        switch ownership.step(in: situation) {
        case .success(.nothing): #expect(code == nil)
        case .success(let step): Issue.record("\(step)")
        case .failure(let error):
            #expect(error.exitCode == code)
            #expect(![error.what, error.why, error.remedy].contains { $0.isEmpty || $0.contains("\n") })
        }
    }

    @Test("afterwards it is looked at whether that holds")
    func check() {
        let masked = AdapterFacts.Bluetoothd(isRunning: false, isInstalled: true, isMasked: true)
        #expect(throws: Never.self) { try AdapterOwnership.claim.check(masked) }
        #expect(throws: Never.self) { try AdapterOwnership.release.check(Self.running) }
        #expect(throws: OperationError.self) { try AdapterOwnership.claim.check(Self.running) }
        #expect(throws: OperationError.self) { try AdapterOwnership.release.check(masked) }
    }

    @Test("doctor gives every finding a line of its own, with the same grade and words")
    func doctor() {
        let facts = AdapterFacts(
            socket: .works, adapters: [], rights: .init(mask: .max), bluetoothd: Self.running, kernelLog: .unreadable("x"))
        let checks = Checkup.bluetooth(facts.findings())
        #expect(
            checks.map(\.name) == [
                "adapter", "bluetooth-kernel", "bluetooth-permission", "bluetooth-capture", "rfkill", "bluetoothd", "firmware",
            ])
        #expect(checks.map(\.result) == [.failed, .ok, .ok, .ok, .ok, .failed, .warning])
        #expect(checks.filter { $0.result != .ok }.allSatisfy { $0.remedy?.isEmpty == false })
        #expect(Checkup.bluetooth(Configuration.Bluetooth(isEnabled: false, adapters: [])).isEmpty)
    }
}
