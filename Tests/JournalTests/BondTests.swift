import Testing
import Vitals

@testable import Journal

@Suite("Bonds and links")
struct BondTests {
    @Test("R8 a bond is kept whole, replaced by the next pairing, and gone when it is removed, from the disk too")
    func r8_bond() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        let devices = try await journal.write { tx throws in
            [try tx.fixture(name: "a").device, try tx.fixture(name: "b").device]
        }
        try await journal.write { tx throws in
            #expect(try tx.bond(device: devices[0]) == nil && tx.bonds() == [])
            try tx.setBond(sampleBond(devices[1], seed: 9))
            try tx.setBond(sampleBond(devices[0]))
            #expect(try tx.bonds() == [sampleBond(devices[0]), sampleBond(devices[1], seed: 9)])
            var again = sampleBond(devices[0], seed: 50)
            again.identityResolvingKey = nil
            again.linkKey = nil
            again.longTermKeys = []
            again.security = .authenticated
            try tx.setBond(again)
            #expect(try tx.bond(device: devices[0]) == again)
        }
        let sealed = try await journal.read { tx throws in
            try #require(
                try tx.first("SELECT sealed FROM bond WHERE device = ?", [devices[1]]) { row throws(JournalError) in row.blob(0) }
            )
        }
        try await journal.checkpoint()
        try await journal.write { tx throws in
            #expect(try tx.removeBond(device: devices[1]))
            #expect(try !tx.removeBond(device: devices[1]))
            #expect(try tx.bonds().map(\.device) == [devices[0]])
        }
        try await journal.checkpoint()
        await journal.close()
        let disk = contents(scratch.database)
        let secret = sealed[17..<33]
        #expect(!disk.indices.dropLast(16).contains { disk[$0] == secret[17] && disk[$0..<$0 + 16].elementsEqual(secret) })
    }

    @Test("R8 however a bond is printed, no byte of its keys is in the text")
    func r8_bondIsNotPrinted() {
        var bond = sampleBond(1)
        bond.longTermKeys = [[UInt8](repeating: 0xA7, count: 36)]
        bond.identityResolvingKey = [UInt8](repeating: 0xA7, count: 23)
        bond.linkKey = [UInt8](repeating: 0xA7, count: 25)
        var dumped = ""
        dump(bond, to: &dumped)
        let texts = ["\(bond)", "\([bond])", String(reflecting: bond), String(describing: Optional(bond)), dumped]
        for text in texts {
            #expect(!text.contains("167") && !text.lowercased().contains("a7") && !text.contains("C0:26"), "\(text)")
        }
        #expect("\(bond)".contains("1 long term keys"))
    }

    @Test("A key of the wrong length is refused before the kernel has to refuse all of them")
    func keyLengths() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        let device = try await journal.write { tx in try tx.fixture().device }
        var bonds = [sampleBond(device), sampleBond(device), sampleBond(device)]
        bonds[0].longTermKeys.append([1])
        bonds[1].identityResolvingKey?.append(1)
        bonds[2].linkKey = []
        for bond in bonds {
            guard case .fault = await journalError({ try await journal.write { tx in try tx.setBond(bond) } }) else {
                Issue.record("\(bond)")
                continue
            }
        }
        #expect(try await journal.read { tx in try tx.bonds() } == [])
        await journal.close()
    }

    @Test("R4 a device's verification is kept in each of its states")
    func r4_verificationIsKept() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            var device = try tx.addDevice(name: "cuff", model: "m", bearer: "b", state: .provisioning, at: at(0))
            let states: [DeviceVerification?] = [
                .open(since: clock(5, source: .unsynchronised)), .proved(at: at(6)), .endedUnproved(from: at(1), until: at(9)),
                nil,
            ]
            for state in states {
                device.verification = state
                try tx.update(device)
                #expect(try tx.device(id: device.id) == device)
            }
        }
        await journal.close()
    }

    @Test("R2 each reading has the security of the link over which it came", arguments: [nil] + LinkSecurity.allCases)
    func r2_securityOfAReading(_ security: LinkSecurity?) async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            let transfer = try tx.beginTransfer(device: fixture.device, at: clock(1), security: security)
            let act = try tx.sampleAct(1, Fixture(device: fixture.device, transfer: transfer))
            try tx.endTransfer(transfer, outcome: "peer-ended", endReason: "remote user terminated", at: clock(2))
            let found = try #require(try tx.act(id: act.id))
            let link = try #require(try tx.transfer(id: found.transfer))
            #expect(link.security == security)
            #expect(link.outcome == "peer-ended" && link.endReason == "remote user terminated")
            #expect(try tx.lastTransfers(device: fixture.device, limit: 1) == [link])
            #expect(try tx.transfer(id: 99) == nil)
        }
        await journal.close()
    }

    @Test("The security of links is ordered by what an attacker is kept from")
    func order() {
        #expect(LinkSecurity.allCases.sorted() == [.none, .encrypted, .authenticated, .local])
        #expect(LinkSecurity.allCases.map(\.rawValue) == ["local", "none", "encrypted", "authenticated"])
    }

    @Test(
        "A device's place by radio is its address and the address's type",
        arguments: [
            ("bluetooth:C0:26:DA:00:00:02/public", "C0:26:DA:00:00:02/public"),
            ("bluetooth:c0:26:da:00:00:02/random", "c0:26:da:00:00:02/random"), ("bluetooth:C0:26:DA:00:00:02", nil),
            ("bluetooth:C0:26:DA:00:00:02/", nil), ("bluetooth:C0:26:DA:00:00/public", nil), ("bluetooth:", nil),
            ("bluetooth:/public", nil), ("bluetooth:C0:26:DA:00:00:0X/public", nil), ("bluetooth:C026DA000002/public", nil),
            ("bluetooth:C0:26:DA:00:00:02/public/x", nil), ("socket:/x", nil), ("", nil),
        ] as [(String, String?)])
    func address(_ bearer: String, _ expected: String?) {
        let device = DeviceRecord(id: 1, name: "a", model: "m", bearer: bearer, state: .verified, enrolled: at(0))
        #expect(device.bluetoothAddressText == expected)
    }
}
