import Glibc
import Synchronization
import Testing

@testable import Bluetooth

/// Calls that end as a test says, and one that hangs until it is let go.
private final class MadeUpControls: AdapterControls {
    let calls = Mutex<[String]>([])
    let down: Int32
    let up: Int32
    let usb: Int32
    let hangs: Bool
    let isLetGo = Atomic(false)
    let whenReset: @Sendable () -> Void

    init(down: Int32 = 0, up: Int32 = 0, usb: Int32 = 0, hangs: Bool = false, whenReset: @escaping @Sendable () -> Void = {}) {
        (self.down, self.up, self.usb, self.hangs, self.whenReset) = (down, up, usb, hangs, whenReset)
    }

    func interface(_ index: Int, isUp: Bool) -> Int32 {
        calls.withLock { $0.append("\(isUp ? "up" : "down") hci\(index)") }
        return isUp ? up : down
    }

    func settle() {}

    func usbReset(_ node: String) -> Int32 {
        calls.withLock { $0.append("reset \(node.suffix(20))") }
        while hangs, !isLetGo.load(ordering: .acquiring) { usleep(1_000) }
        whenReset()
        return usb
    }
}

@Suite("adapter surgery") struct AdapterSurgeryTests {
    @Test("an rfkill event is eight bytes: index, Bluetooth, change, not soft, not hard")
    func event() {
        #expect(AdapterSurgery.unblocking(7).count == 8)
        #expect(Array(AdapterSurgery.unblocking(7).suffix(4)) == [2, 2, 0, 0])
        let index = AdapterSurgery.unblocking(0x0102).prefix(4).reversed().reduce(UInt32(0)) { $0 << 8 | UInt32($1) }
        #expect(UInt32(littleEndian: index) == UInt32(0x0102).littleEndian || UInt32(bigEndian: index) == 0x0102)
    }

    @Test("what is not soft blocked is not unblocked, and the reason is told")
    func nothingToUnblock() async {
        let machine = MadeUpTree()
        let surgery = AdapterSurgery(tree: machine.tree, controls: MadeUpControls())
        #expect(await surgery.rfkillUnblock(adapter: 0) == .notApplicable("hci0 has no switch"))
        machine.rfkill(3, name: "hci0")
        machine.rfkill(4, name: "hci1", hard: true)
        machine.rfkill(5, name: "phy0", type: "wlan", soft: true)
        #expect(await surgery.rfkillUnblock(adapter: 0) == .notApplicable("rfkill3 is not blocked"))
        #expect(await surgery.rfkillUnblock(adapter: 1) == .failed("rfkill4 is hard blocked: software cannot lift that"))
    }

    @Test("a soft block is lifted by one event on /dev/rfkill")
    func unblocks() async throws {
        let machine = MadeUpTree()
        machine.rfkill(3, name: "hci0", soft: true)
        machine.file("/dev/rfkill", "")
        let surgery = AdapterSurgery(tree: machine.tree, controls: MadeUpControls())
        async let outcome = surgery.rfkillUnblock(adapter: 0)
        // The kernel's part: the state follows the event.
        while machine.bytes(of: "/dev/rfkill").count < 8 { try await Task.sleep(for: .milliseconds(5)) }
        machine.rfkill(3, name: "hci0")
        #expect(await outcome == .succeeded)
        #expect(machine.bytes(of: "/dev/rfkill") == AdapterSurgery.unblocking(3))
    }

    @Test("without /dev/rfkill the switch's own file is written; a block that stays is a failure")
    func unblocksByFile() async {
        let machine = MadeUpTree()
        machine.rfkill(3, name: "hci0", soft: true)
        let surgery = AdapterSurgery(tree: machine.tree, controls: MadeUpControls())
        #expect(await surgery.rfkillUnblock(adapter: 0) == .succeeded)
        machine.rfkill(3, name: "hci0", soft: true)
        machine.file("/dev/rfkill", "")
        #expect(await surgery.rfkillUnblock(adapter: 0) == .failed("rfkill3 stays soft blocked: somebody blocks it again"))
    }

    @Test(
        "down, then up; each failure says which",
        arguments: [
            (0, 0, RecoveryLadder.Outcome.succeeded, 2), (0, EALREADY, .succeeded, 2),
            (EPERM, 0, .failed("down: Operation not permitted"), 1),
            (0, ERFKILL, .failed("up: the radio is blocked by rfkill"), 2),
            (0, ETIMEDOUT, .failed("up: Connection timed out"), 2),
        ] as [(Int32, Int32, RecoveryLadder.Outcome, Int)])
    func downUp(_ down: Int32, _ up: Int32, _ expected: RecoveryLadder.Outcome, _ calls: Int) async {
        let controls = MadeUpControls(down: down, up: up)
        let outcome = await AdapterSurgery(tree: MadeUpTree().tree, controls: controls).interfaceDownUp(adapter: 1)
        #expect(outcome == expected)
        #expect(controls.calls.withLock(\.self) == Array(["down hci1", "up hci1"].prefix(calls)))
    }

    @Test("the dongle behind the adapter is reset, and found again on its port under another index")
    func usb() async {
        let machine = MadeUpTree()
        machine.usb(port: "1-1.2", vendor: "0a12", product: "0001", adapter: 0, device: 14)
        let controls = MadeUpControls(whenReset: {
            unlink(machine.root + "/sys/class/bluetooth/hci0")
            machine.usb(port: "1-1.2", vendor: "0a12", product: "0001", adapter: 1, device: 14)
        })
        let (outcome, index) = await AdapterSurgery(tree: machine.tree, controls: controls).usbReset(adapter: 0)
        #expect(outcome == .succeeded)
        #expect(index == 1)
        #expect(controls.calls.withLock(\.self) == ["reset /dev/bus/usb/001/014"])
    }

    @Test("a controller that is not on USB is not reset; a refusal names the file")
    func notUSB() async {
        let machine = MadeUpTree()
        machine.folder("/sys/devices/virtual/bluetooth/hci0")
        machine.link("/sys/class/bluetooth/hci0", to: "../../devices/virtual/bluetooth/hci0")
        machine.usb(port: "1-3", vendor: "0a12", product: "0001", adapter: 1)
        let surgery = AdapterSurgery(tree: machine.tree, controls: MadeUpControls(usb: EACCES))
        #expect(await surgery.usbReset(adapter: 0).outcome == .notApplicable("hci0 is not on USB"))
        #expect(await surgery.usbReset(adapter: 9).outcome == .notApplicable("hci9 is not on USB"))
        #expect(await surgery.usbReset(adapter: 1).outcome == .failed("/dev/bus/usb/001/004: Permission denied"))
    }

    @Test("a call that hangs in the kernel is left alone when its time is over, and not made a second time beside it")
    func hangs() async throws {
        let machine = MadeUpTree()
        machine.usb(port: "1-1", vendor: "0a12", product: "0001", adapter: 0)
        let controls = MadeUpControls(hangs: true)
        let surgery = AdapterSurgery(tree: machine.tree, controls: controls)
        // Cancelling ends the waiting as the limit does, in less time.
        let waiting = Task { await surgery.usbReset(adapter: 0).outcome }
        while controls.calls.withLock(\.isEmpty) { try await Task.sleep(for: .milliseconds(2)) }
        waiting.cancel()
        #expect(await waiting.value == .failed("it has not ended after 15 s"))
        #expect(await surgery.usbReset(adapter: 0).outcome == .failed("an earlier one still hangs in the kernel"))
        #expect(controls.calls.withLock(\.count) == 1)
        controls.isLetGo.store(true, ordering: .releasing)
        while await surgery.usbReset(adapter: 0).outcome != .succeeded { try await Task.sleep(for: .milliseconds(2)) }
    }

    @Test("an adapter that does not come back is not waited for longer than asked")
    func noReturn() async {
        let machine = MadeUpTree()
        let surgery = AdapterSurgery(tree: machine.tree, controls: MadeUpControls())
        #expect(await surgery.adapter(onPort: "1-1", within: .milliseconds(120)) == nil)
        machine.usb(port: "1-1", vendor: "0a12", product: "0001", adapter: 2)
        #expect(await surgery.adapter(onPort: "1-1", within: .zero) == 2)
    }

    @Test("the parts of a USB reset fit into its rung")
    func limits() {
        #expect(AdapterSurgery.UsbReset.call + AdapterSurgery.UsbReset.index <= RecoveryLadder.Rung.usbReset.limit)
    }
}
