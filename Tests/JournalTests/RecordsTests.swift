import ExactJSON
import Steward
import Testing
import Vitals

@testable import Journal

@Suite("Records of the journal")
struct RecordsTests {
    @Test("A device keeps what was written, and its name is its own")
    func devices() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        let added = try await journal.write { tx throws in
            try tx.addDevice(name: "cuff", model: "and-ua-651ble", bearer: "socket:/x", state: .provisioning, at: at(1))
        }
        var changed = added
        changed.name = "cuff-2"
        changed.key = DeviceKey(rawValue: "key")
        changed.identity = DeviceIdentity(manufacturer: "A&D", serialNumber: "5140900123", systemID: [1, 2, 3, 4, 5, 6, 7, 8])
        changed.state = .verified
        changed.handleMap = [9, 8]
        changed.batteryPercent = 40
        changed.lastSeen = at(9)
        changed.security = .encrypted
        changed.verification = .open(since: clock(8))
        let wanted = changed
        try await journal.write { tx in try tx.update(wanted) }
        let found = try await journal.read { tx throws in
            [try tx.device(id: added.id), try tx.device(named: "cuff-2"), try tx.device(named: "cuff")]
        }
        #expect(found == [wanted, wanted, nil])
        let error = await journalError {
            try await journal.write { tx throws in
                _ = try tx.addDevice(name: "cuff-2", model: "m", bearer: "b", state: .provisioning, at: at(1))
            }
        }
        guard case .constraint = error else {
            Issue.record("\(String(describing: error))")
            return
        }
        #expect(try await journal.read { tx in try tx.devices() } == [wanted])
        await journal.close()
    }

    @Test("A returned device gives its name back, and is found by it until another has it")
    func returnedName() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            func add() throws(JournalError) -> DeviceRecord {
                try tx.addDevice(name: "cuff", model: "m", bearer: "bluetooth:x", state: .verified, at: at(1))
            }
            func giveBack(_ device: DeviceRecord) throws(JournalError) {
                var returned = device
                returned.state = .returned
                try tx.update(returned)
            }
            let first = try add()
            #expect(try tx.holder(of: "cuff")?.id == first.id)
            try giveBack(first)
            #expect(try tx.holder(of: "cuff") == nil)
            #expect(try tx.device(named: "cuff")?.id == first.id)
            let second = try add()
            #expect(try tx.device(named: "cuff")?.id == second.id)
            #expect(try tx.device(id: first.id)?.name == "cuff")
            try giveBack(second)
            #expect(try tx.device(named: "cuff")?.id == second.id)
            // Under an earlier release a returned device stood in the way of its name.
            try tx.run("UPDATE device SET name = ? WHERE id = ?", [tx.store.sealer.blind("device.name", "cuff"), second.id])
            #expect(try tx.holder(of: "cuff") == nil)
            let third = try add()
            #expect(try tx.devices().map(\.id) == [first.id, second.id, third.id])
            #expect(try tx.device(named: "cuff")?.id == third.id)
        }
        await journal.close()
    }

    @Test("R4 a device's row is opened again when it has changed, and only then; also where the change was rolled back")
    func r4_openedOnce() async throws {
        struct Undone: Error {}
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        let id = try await journal.write { tx throws in
            try tx.addDevice(name: "cuff", model: "m", bearer: "socket:/x", state: .provisioning, at: at(1)).id
        }
        @Sendable func battery(in tx: Transaction) throws(JournalError) -> Int? {
            guard let device = try tx.device(id: id) else { return nil }
            return device.batteryPercent
        }
        @Sendable func setBattery(_ percent: Int, in tx: Transaction) throws(JournalError) {
            guard var device = try tx.device(id: id) else { return }
            device.batteryPercent = percent
            try tx.update(device)
        }
        try await journal.write { tx throws in
            try setBattery(40, in: tx)
            #expect(try battery(in: tx) == 40)
            // What was opened is what is told while the row stands: the row's name is taken from it.
            let opened = try #require(tx.store.cache.devices[id])
            tx.store.cache.devices[id] = Store.OpenedRow(
                sealed: opened.sealed, json: opened.json.setting("name", to: .string("opened before")))
            #expect(try tx.device(id: id)?.name == "opened before")
            tx.store.cache.devices[id] = opened
        }
        await #expect(throws: (any Error).self) {
            try await journal.write { tx throws in
                try setBattery(50, in: tx)
                #expect(try battery(in: tx) == 50)
                throw Undone()
            }
        }
        #expect(try await journal.read { tx throws in try battery(in: tx) } == 40)
        // Another row's bytes are refused under this number, as ever.
        await #expect(throws: JournalError.self) {
            try await journal.write { tx throws in
                let other = try tx.addDevice(name: "other", model: "m", bearer: "socket:/y", state: .verified, at: at(1))
                try tx.run("UPDATE device SET sealed = (SELECT sealed FROM device WHERE id = ?) WHERE id = ?", [other.id, id])
                _ = try tx.device(id: id)
            }
        }
        await journal.close()
    }

    @Test("A transfer says when it began, when it ended and how")
    func transfers() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        let transfers = try await journal.write { tx throws in
            let fixture = try tx.fixture()
            try tx.endTransfer(fixture.transfer, outcome: "complete", at: clock(500, boot: "boot-2"))
            let second = try tx.beginTransfer(device: fixture.device, at: clock(900, source: .unsynchronised))
            return (try tx.lastTransfers(device: fixture.device, limit: 5), second)
        }
        #expect(transfers.0.map(\.id) == [transfers.1, transfers.1 - 1])
        #expect(transfers.0[0].ended == nil && transfers.0[0].began.source == .unsynchronised)
        #expect(transfers.0[1].ended == clock(500, boot: "boot-2") && transfers.0[1].outcome == "complete")
        await journal.close()
    }

    @Test("R2 a frame is stored as it arrived, and one that cannot be decoded waits")
    func r2_frames() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            let good = try tx.insertFrame(sampleFrame(1), device: fixture.device, transfer: fixture.transfer, word: .pending)
            let bad = try tx.insertFrame(
                sampleFrame(2), device: fixture.device, transfer: fixture.transfer, word: .none, decodeError: "too-short")
            #expect(try tx.frame(id: good)?.frame == sampleFrame(1))
            #expect(try tx.frame(id: good)?.word == .pending)
            #expect(try tx.lastFrame(device: fixture.device) == nil)
            try tx.setBase([1], frame: good)
            #expect(try tx.lastFrame(device: fixture.device)?.id == good)
            #expect(try tx.undecodedFrames(limit: 9).map(\.decodeError) == ["too-short"])
            #expect(try tx.counts().undecoded == 1)
            try tx.setDecodeError(nil, frame: bad)
            try tx.setDecodeError("length", frame: good)
            try tx.setWord(.sent, frame: good)
            #expect(try tx.undecodedFrames(limit: 9).map(\.id) == [good])
            #expect(try tx.undecodedFrames(after: good, limit: 9).isEmpty)
            #expect(try tx.frame(id: good)?.word == .sent)
            #expect(try tx.counts().undecoded == 1 && tx.counts().frames == 2)
        }
        await journal.close()
    }

    @Test("R2 a frame of a serial protocol keeps its format, as a frame and as a repeat", arguments: ["nonin-df13", ""])
    func r2_vendorFrames(_ format: String) async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            for bytes in [[], [2, 0, 0x0D], [UInt8](repeating: 1, count: 300)] as [[UInt8]] {
                let frame = Frame(source: .vendor(format: format), bytes: bytes, received: clock(1))
                let row = try tx.insertFrame(frame, device: fixture.device, transfer: fixture.transfer, word: .sent)
                #expect(try tx.frame(id: row)?.frame == frame)
                try tx.recordSuppressed(
                    frame: row, device: fixture.device, identity: identity(bytes.count), act: nil, at: at(2))
                #expect(try tx.suppressed(limit: 9).contains { $0.frame == frame })
            }
        }
        await journal.close()
    }

    @Test("An act comes back digit for digit, with an id for each reading")
    func acts() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            let act = try tx.sampleAct(7, fixture)
            #expect(act.readings.count == 2)
            #expect(try tx.act(id: act.id) == act)
            #expect(try tx.act(frame: act.frame) == act)
            #expect(try tx.act(subject: act.subject.rawValue) == act)
            #expect(try tx.act(subject: act.readings[1].subject.rawValue) == act)
            #expect(try tx.act(subject: String(act.readings[0].subject.rawValue.prefix(10))) == act)
            #expect(try tx.act(subject: String(act.subject.rawValue.prefix(5))) == nil)
            #expect(try tx.act(subject: "zzzzzzzz") == nil)
            #expect(act.subject.rawValue.count == 36 && act.subject.rawValue.split(separator: "-")[2].first == "8")
        }
        await journal.close()
    }

    @Test("R2 decoding again makes a revision: same ids, new readings added, none taken away")
    func r2_revision() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            let frame = try tx.insertFrame(sampleFrame(1), device: fixture.device, transfer: fixture.transfer, word: .sent)
            let first = try tx.insertAct(
                ActDraft(
                    device: fixture.device, frame: frame, transfer: fixture.transfer, identity: identity(1),
                    measurement: sampleMeasurement(pulse: false), state: .held(.timeUnknown), received: clock(1)))
            #expect(first.readings.count == 1 && first.effective == nil)
            var second = first
            second.measurement = sampleMeasurement(pulse: true)
            second.revision = 1
            second.state = .ready
            let updated = try tx.update(second)
            #expect(updated.readings.count == 2 && updated.readings[0] == first.readings[0] && updated.subject == first.subject)
            second.measurement = sampleMeasurement(pulse: false)
            try tx.update(second)
            second.measurement = sampleMeasurement(pulse: true)
            #expect(try tx.update(second).readings == updated.readings)
            #expect(try tx.counts().acts == ["ready": 1] && tx.counts().held.isEmpty)
        }
        await journal.close()
    }

    @Test("Acts are found by state, reason, device, boot and time, page by page")
    func actFilters() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            let other = try tx.fixture(name: "other")
            let ready = try tx.sampleAct(1, fixture)
            let clockHeld = try tx.sampleAct(2, fixture, state: .held(.hubClock), boot: "boot-2")
            let unassigned = try tx.sampleAct(3, other, state: .held(.unassigned), patient: nil)
            func ids(_ filter: ActFilter, after: Int64 = 0, limit: Int = 10) throws(JournalError) -> [Int64] {
                try tx.acts(filter, after: after, limit: limit).map(\.id)
            }
            #expect(try ids(ActFilter()) == [ready.id, clockHeld.id, unassigned.id])
            #expect(try ids(ActFilter(), after: ready.id, limit: 1) == [clockHeld.id])
            #expect(try ids(ActFilter(state: "ready")) == [ready.id])
            #expect(try ids(ActFilter(state: "held")) == [clockHeld.id, unassigned.id])
            #expect(try ids(ActFilter(heldReason: .unassigned)) == [unassigned.id])
            #expect(try ids(ActFilter(device: fixture.device)) == [ready.id, clockHeld.id])
            #expect(try ids(ActFilter(boot: BootID(rawValue: "boot-2"))) == [clockHeld.id])
            #expect(try ids(ActFilter(boot: BootID(rawValue: "never"))).isEmpty)
            #expect(try ids(ActFilter(since: at(2_500))) == [unassigned.id])
            #expect(try tx.acts(heldForHubClockInBoot: BootID(rawValue: "boot-2")).map(\.id) == [clockHeld.id])
            #expect(try tx.acts(heldForHubClockInBoot: BootID(rawValue: "boot-1")).isEmpty)
            #expect(try tx.counts().held == [.hubClock: 1, .unassigned: 1])
        }
        await journal.close()
    }

    @Test("Clock epochs and assignments keep their fields and ends")
    func epochsAndAssignments() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            let face = LocalDateTime(year: 2026, month: 0, day: 40, hour: 1, minute: 2, second: 3)
            var epoch = try tx.insertClockEpoch(
                device: fixture.device, deviceStart: nil, deviceLatest: face,
                coincidence: ClockCoincidence(device: face, hub: clock(3)), origin: .jump)
            #expect(try tx.clockEpochs(device: fixture.device) == [epoch])
            epoch.isClosed = true
            epoch.deviceStart = face
            try tx.update(epoch, device: fixture.device)
            #expect(try tx.clockEpochs(device: fixture.device) == [epoch])

            let draft = Assignment(
                id: 0, device: fixture.device, userIndex: 2, patient: PatientAlias(rawValue: "p"), from: at(10),
                recipients: [Assignment.Recipient(receiver: "phd", from: at(10))])
            var stored = try tx.insertAssignment(draft)
            #expect(try tx.assignment(id: stored.id) == stored)
            try tx.endAssignment(id: stored.id, at: at(99))
            try tx.setRecipientEnd(assignment: stored.id, receiver: "phd", until: at(50))
            try tx.addRecipient(Assignment.Recipient(receiver: "fut", from: at(20), until: at(30)), assignment: stored.id)
            stored.until = at(99)
            stored.recipients[0].until = at(50)
            stored.recipients.append(Assignment.Recipient(receiver: "fut", from: at(20), until: at(30)))
            #expect(try tx.assignments(device: fixture.device) == [stored])
            #expect(try tx.assignments() == [stored])

            let patient = PatientAlias(rawValue: "p")
            try tx.insertRefusal(patient: patient, receiver: "phd", at: at(1))
            try tx.insertRefusal(patient: patient, receiver: nil, at: at(2), until: at(3))
            #expect(
                try tx.refusals(patient: patient)
                    == [Refusal(receiver: "phd", from: at(1)), Refusal(receiver: nil, from: at(2), until: at(3))])
            try tx.removeRefusal(patient: patient, receiver: nil)
            #expect(try tx.refusals(patient: patient).map(\.receiver) == ["phd"])
        }
        await journal.close()
    }

    @Test("R10 a condition stands with its first since until it is cleared")
    func r10_conditions() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            #expect(try tx.raise(Condition(.batteryLow, subject: "cuff", since: at(1), reason: "12 percent")))
            #expect(try !tx.raise(Condition(.batteryLow, subject: "cuff", since: at(5), reason: "10 percent")))
            #expect(try tx.raise(Condition(.batteryLow, subject: "oximeter", since: at(3), reason: "5 percent")))
            #expect(
                try tx.conditions() == [
                    Condition(.batteryLow, subject: "cuff", since: at(1), reason: "10 percent"),
                    Condition(.batteryLow, subject: "oximeter", since: at(3), reason: "5 percent"),
                ])
            #expect(try tx.clear(.batteryLow, subject: "cuff"))
            #expect(try !tx.clear(.batteryLow, subject: "cuff"))
            #expect(try tx.conditions().count == 1)
        }
        await journal.close()
    }

    @Test("The audit log is a chain: an altered and a missing record are found")
    func auditChain() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        #expect(try await journal.verifyAuditChain())
        try await journal.write { tx throws in
            for number in 1...1_200 {
                try tx.audit(
                    at: at(Int64(number)), actor: "technician", action: "assign", subject: "act \(number)", detail: "why")
            }
        }
        #expect(try await journal.verifyAuditChain())
        let last = try await journal.read { tx in try tx.auditRecords(limit: 1) }
        #expect(
            last == [
                AuditRecord(id: 1_200, at: at(1_200), actor: "technician", action: "assign", subject: "act 1200", detail: "why")
            ])
        for change in ["UPDATE audit SET at = at + 1 WHERE id = 700", "DELETE FROM audit WHERE id = 300"] {
            let error = await journalError {
                try await journal.write { tx throws in
                    try tx.run(change)
                    // Looked at inside, then rolled back.
                    var link: AuditLink? = AuditLink()
                    for _ in 0..<3 { if let start = link { link = try tx.verifyChain(from: start, limit: 500) } }
                    #expect(link == nil)
                    throw JournalError.fault("roll back")
                }
            }
            #expect(error == .fault("roll back"))
        }
        #expect(try await journal.verifyAuditChain())
        await journal.close()
    }
}
