import Bluetooth
import Catalogue
import ExactJSON
import HubAPI
import Journal
import Logging
import Protocols
import Testing
import Vitals

@testable import Gateway

/// What the hub keeps of its devices, between the configuration, a pairing and a return.
@Suite struct EquipmentTests {
    private struct StandingClock: Vitals.Clock {
        func now() -> ClockReading {
            ClockReading(
                wall: Instant(seconds: 1_795_262_400), offsetMinutes: 60, monotonic: MonotonicTime(milliseconds: 1_000),
                boot: BootID(rawValue: "boot"), source: .ntp)
        }
    }

    private let clock = StandingClock()
    private let catalogue: DeviceCatalogue
    private let cuff: DeviceAddress
    private let keys: BondKeys

    init() throws {
        catalogue = try DeviceCatalogue.loadOrExplain(nil)
        cuff = try #require(DeviceAddress("F0:0D:00:00:00:01/random"))
        let key = try #require(Key128(Array(repeating: 1, count: 16)))
        keys = BondKeys(
            longTermKeys: [LongTermKey(address: cuff, keyType: .unauthenticatedP256, isCentral: false, value: key)])
    }

    private func withJournal(_ body: (Journal) async throws -> Void) async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(
            JournalOptions(
                path: scratch.path + "/vitalgate.db", key: .credential(Array("a credential of 32 bytes or more".utf8)),
                ballastBytes: 0))
        try await body(journal)
        await journal.close()
    }

    private func pair(_ tx: Transaction, name: String?) throws -> Result<StoredDevice, OperationError> {
        let model = try #require(catalogue["and-ua-651ble"])
        return try tx.keepPaired(cuff, keys, adapter: "00:AA:01:00:00:42", model: model, name: name, by: "uid:0", at: clock.now())
    }

    @Test("R4 a device that the configuration names by its address is known to the radio, not proved, and the one that is paired")
    func r4_configuredAddress() async throws {
        try await withJournal { journal in
            let text = """
                [[device]]
                name = "kitchen"
                model = "and-ua-651ble"
                address = "F0:0D:00:00:00:01/random"
                """
            let device = try #require(Configuration.read(text.utf8, file: "x").configuration?.devices.first)
            let (catalogue, now) = (catalogue, clock.now().wall)
            try await journal.write { tx throws in
                try tx.addDevice(device, at: now)
                let devices = try RadioDevices.read(tx, catalogue: catalogue)
                #expect(devices.byAddress[cuff]?.name == "kitchen")
                #expect(devices.byAddress[cuff]?.state == .provisioning)
                #expect(devices.known.map(\.address) == [cuff])
                let paired = try pair(tx, name: nil).get()
                #expect(paired.name == "kitchen")
                #expect(try tx.devices().count == 1)
            }
        }
    }

    @Test("a device that was returned and is paired again may have its old name, and is a new one")
    func pairedAgain() async throws {
        try await withJournal { journal in
            try await journal.write { tx throws in
                let first = try pair(tx, name: "cuff").get()
                var record = try #require(try tx.device(id: first.id))
                record.state = .returned
                try tx.update(record)
                try tx.removeBond(device: first.id)
                let second = try pair(tx, name: "cuff").get()
                #expect(second.name == "cuff" && second.id != first.id)
                // A third, of another address, has to be called otherwise.
                let other = try #require(DeviceAddress("F0:0D:00:00:00:02/random"))
                let model = try #require(catalogue["and-ua-651ble"])
                guard
                    case .failure(let error) = try tx.keepPaired(
                        other, keys, adapter: "", model: model, name: "cuff", by: "uid:0", at: clock.now())
                else {
                    Issue.record("two devices of one name")
                    return
                }
                #expect(error.exitCode == 65)
                let chosen = try tx.keepPaired(other, keys, adapter: "", model: model, name: nil, by: "uid:0", at: clock.now())
                #expect(try chosen.get().name == "cuff-2")
            }
        }
    }

    @Test("a device that is heard many times has one line of it before each link")
    func foundOnce() async throws {
        try await withJournal { journal in
            let first = try await journal.write { tx throws in try pair(tx, name: "cuff").get().id }
            let log = DeviceLog(journal: journal, clock: clock, logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
            for _ in 0..<50 { log.note(.found, first, "-50 dBm") }
            log.note(.connected, first)
            for _ in 0..<50 { log.note(.found, first, "-50 dBm") }
            await log.flush()
            let kinds = try await journal.read { tx throws in try tx.log(device: first, limit: 99).map(\.kind) }
            #expect(kinds == [.found, .connected, .found])
        }
    }

    @Test(
        "what a technician does about a condition is a command with the device's own name",
        arguments: [
            (Condition.Code.bondLost, "`vitalgate devices verify kitchen`"),
            (.connectedNoReading, "`vitalgate devices show kitchen --log`"),
            (.unknownDevice, "`vitalgate devices forget kitchen`"),
            (.deviceError, "`vitalgate return kitchen`"), (.verificationOpen, "`vitalgate devices verify kitchen`"),
        ])
    func remedies(_ code: Condition.Code, _ command: String) {
        let condition = Condition(code, subject: "device/3", since: clock.now().wall, reason: "x")
        let told = condition.json(device: "kitchen")
        #expect(told["device"]?.string == "kitchen")
        #expect(told["remedy"]?.string?.contains(command) == true)
        #expect(told["remedy"]?.string?.contains("NAME") == false)
    }

    @Test("a stuck adapter is reset by the command that the condition names")
    func stuckAdapter() {
        let condition = Condition(.adapterStuck, subject: "adapter", since: clock.now().wall, reason: "x")
        #expect(condition.json(device: nil)["remedy"]?.string?.hasPrefix("Run `vitalgate adapter reset`.") == true)
        #expect(condition.json(device: nil)["device"] == nil)
    }
}
