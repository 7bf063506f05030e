import Glibc
import Steward
import Testing
import Vitals

@testable import Journal

@Suite("Migrations")
struct MigrationTests {
    private static let later = Migrations.supported + 1

    /// A database as a later release would leave it when it is killed: with its last words still in the log.
    private func laterRelease(_ sql: String, minimumReader: Int, in scratch: Scratch) async throws {
        let origin = Scratch()
        let journal = try await Journal.open(origin.options())
        try await journal.write { tx in try tx.sampleAct(1, try tx.fixture()) }
        await journal.close()
        let database = try Database(path: origin.database, busyMilliseconds: 0)
        try database.execute(
            "\(sql); UPDATE meta SET value = \(minimumReader) WHERE name = 'min_reader'; PRAGMA user_version = \(Self.later)")
        writeFile(contents(origin.database), scratch.database)
        writeFile(contents(origin.database + "-wal"), scratch.database + "-wal")
        database.close()
    }

    @Test("A new journal has the schema of this release, and opening it again changes nothing")
    func current() async throws {
        let scratch = Scratch()
        try await Journal.open(scratch.options()).close()
        let before = contents(scratch.database)
        #expect(before[60..<64].elementsEqual([0, 0, 0, UInt8(Migrations.supported)]))
        try await Journal.open(scratch.options()).close()
        #expect(contents(scratch.database) == before)
    }

    @Test("A later schema that this release cannot read ends with 78, and no byte is touched")
    func tooNew() async throws {
        let scratch = Scratch()
        try await laterRelease("CREATE TABLE news (id INTEGER PRIMARY KEY)", minimumReader: Self.later, in: scratch)
        let (database, log) = (contents(scratch.database), contents(scratch.database + "-wal"))
        #expect(log.count > 32)
        let error = await journalError { try await Journal.open(scratch.options()) }
        #expect(error == .schemaTooNew(found: Self.later, supported: Migrations.supported))
        #expect(error?.exitCode == 78)
        #expect(contents(scratch.database) == database)
        #expect(contents(scratch.database + "-wal") == log)
        #expect(!FileSystem.exists(scratch.database + "-shm") && !FileSystem.exists(scratch.database + "-journal"))
    }

    @Test("The release before reads and writes an expanded schema that allows it")
    func expanded() async throws {
        let scratch = Scratch()
        try await laterRelease(
            "ALTER TABLE act ADD COLUMN news INTEGER NOT NULL DEFAULT 7; CREATE TABLE news (id INTEGER PRIMARY KEY)",
            minimumReader: 1,
            in: scratch)
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let first = try tx.acts(limit: 9)
            #expect(first.count == 1)
            try tx.sampleAct(2, Fixture(device: first[0].device, transfer: first[0].transfer))
            #expect(try tx.integer("SELECT sum(news) FROM act") == 14)
        }
        await journal.close()
        // The later release finds its number again.
        #expect(contents(scratch.database)[60..<64].elementsEqual([0, 0, 0, UInt8(Self.later)]))
    }

    @Test(
        "R8 a database of schema 1 with data becomes one of this release: the old reads as before, the new is empty and can be written"
    )
    func r8_fromSchema1() async throws {
        let scratch = Scratch()
        writeFile(contents("\(Self.folder)/schema-1.sqlite"), scratch.database)
        #expect(contents(scratch.database)[60..<64].elementsEqual([0, 0, 0, 1]))
        let journal = try await Journal.open(scratch.options(key: Self.goldenKey))
        let device = try #require(try await journal.read { tx in try tx.devices().first })
        #expect(device.state == .verified && device.security == nil && device.verification == nil)
        try await journal.read { tx throws in
            #expect(try tx.integer("PRAGMA user_version") == Int64(Migrations.supported))
            #expect(try tx.integer("SELECT value FROM meta WHERE name = 'min_reader'") == 1)
            let act = try #require(try tx.acts(limit: 1).first)
            let transfer = try #require(try tx.transfer(id: act.transfer))
            #expect(transfer.security == nil && transfer.endReason == nil && transfer.outcome == "complete")
            #expect(try tx.bonds() == [] && tx.log(device: device.id, limit: 9) == [])
        }
        try await journal.write { tx throws in
            // As the release before writes it: without the column.
            try tx.run(
                """
                INSERT INTO transfer (id, device, began, began_offset, began_monotonic, began_boot, began_clock)
                SELECT 99, device, began, began_offset, began_monotonic, began_boot, began_clock FROM transfer LIMIT 1
                """)
            #expect(try tx.transfer(id: 99)?.security == nil)
            try tx.setBond(sampleBond(device.id))
            try tx.appendLog([DeviceLogEntry(device: device.id, kind: .found, at: clock(1))])
            #expect(try tx.log(device: device.id, limit: 9).count == 1)
        }
        #expect(try await journal.verifyAuditChain())
        await journal.close()
    }

    // MARK: Golden databases

    /// Every table of a golden database, from fixed samples.
    private static func fill(_ tx: Transaction) throws(JournalError) {
        let fixture = try tx.fixture(name: "golden cuff")
        let held = try tx.sampleAct(1, fixture, state: .held(.timeUnknown))
        let act = try tx.sampleAct(2, fixture)
        let items = try tx.sampleItems(act)
        try tx.setItem(items[0].id, state: .delivered, reason: "equal", serverReference: "Observation/1/_history/1", at: at(9))
        let dispatch = try tx.insertDispatch(
            receiver: "phd", channel: "phd/patient-1", method: "POST", url: "https://example.org/fhir", headers: [["A", "b"]],
            body: Array("{}".utf8), entries: items.map { DispatchRecord.Entry(item: $0.id, index: 0) }, memo: ["m": 1],
            created: at(3))
        let attempt = try tx.beginAttempt(dispatch: dispatch.id, receiver: "phd", at: clock(4))
        try tx.endAttempt(attempt, outcome: "answered", status: 200, durationMilliseconds: 12, detail: "detail", at: at(5))
        try tx.setChannel(
            ChannelRecord(
                channel: "phd/patient-1", receiver: "phd", held: .init(code: .signInNeeded, reason: "401", since: at(6)),
                failures: 2,
                firstFailure: at(5), lastFailure: at(6), failureKind: "dns"))
        _ = try tx.insertAssignment(
            Assignment(
                id: 0, device: fixture.device, userIndex: 1, patient: PatientAlias(rawValue: "patient-1"), from: at(0),
                until: at(99),
                recipients: [.init(receiver: "phd", from: at(0))]))
        try tx.insertRefusal(patient: PatientAlias(rawValue: "patient-1"), receiver: nil, at: at(1))
        _ = try tx.insertClockEpoch(
            device: fixture.device, deviceStart: nil,
            deviceLatest: LocalDateTime(year: 2026, month: 1, day: 1, hour: 0, minute: 0, second: 0),
            coincidence: ClockCoincidence(
                device: LocalDateTime(year: 2026, month: 1, day: 1, hour: 0, minute: 0, second: 0), hub: clock(1)), origin: .first
        )
        try tx.recordSuppressed(frame: held.frame, device: fixture.device, identity: held.identity, act: held.id, at: at(8))
        let purged = try tx.sampleAct(3, fixture)
        try tx.purge(acts: [purged.id], outcome: "delivered", at: at(9))
        try tx.raise(Condition(.batteryLow, subject: "golden cuff", since: at(1), reason: "12 percent"))
        try tx.audit(at: at(1), actor: "technician", action: "assign", subject: "1", detail: "why")
        _ = try tx.claim(receiver: "phd", identifier: "id", reading: act.subject)
        try tx.endTransfer(fixture.transfer, outcome: "complete", at: clock(10))
        try fillSchema2(tx, fixture.device)
        try fillSchema3(tx, held)
        try fillSchema4(tx)
    }

    private static func fillSchema4(_ tx: Transaction) throws(JournalError) {
        try tx.setClientKeys(["current": "golden"], of: "https://issuer.example hub")
        try tx.setIdentifier("01819540094", of: PatientAlias(rawValue: "patient-1"), at: "pmd")
        try tx.extendWatch(.clock, from: at(1), until: at(7))
        try tx.heard(hub: "hub-1", at: at(4))
        try tx.setRelayed("urn:uuid:1", of: "hub-1", act: 2)
        _ = try tx.insertNotice(
            channel: "vkp/0a1b2c3d", patient: PatientAlias(rawValue: "patient-1"), slotID: "slot", slot: ["id": "slot"],
            starts: at(2), ends: at(3))
    }

    private static func fillSchema3(_ tx: Transaction, _ act: ActRecord) throws(JournalError) {
        try tx.setSignIn(
            SignInRecord(
                channel: "fut/0a1b2c3d", receiver: "fut", patient: PatientAlias(rawValue: "patient-1"), revision: 4,
                session: ["status": "signed-in", "refreshToken": "golden"]))
        try tx.insertPlan(["version": 1], channel: "fut/0a1b2c3d", fetched: at(15))
        let item = try tx.insertItem(
            act: act.id, reading: act.readings[0], kind: .observation, receiver: "fut", channel: "fut/0a1b2c3d",
            effective: at(1), created: at(2))
        if let item {
            try tx.setItem(item.id, target: "{}")
            try tx.setItem(item.id, state: .held, reason: "no-request")
        }
    }

    private static func fillSchema2(_ tx: Transaction, _ id: Int64) throws(JournalError) {
        guard var device = try tx.device(id: id) else { return }
        device.security = .encrypted
        device.verification = .open(since: clock(3))
        try tx.update(device)
        let transfer = try tx.beginTransfer(device: id, at: clock(11), security: .authenticated)
        try tx.endTransfer(transfer, outcome: "link-lost", endReason: "connection timeout", at: clock(12))
        try tx.setBond(sampleBond(id))
        try tx.appendLog(
            DeviceLogEntry.Kind.allCases.map { DeviceLogEntry(device: id, kind: $0, at: clock(13), detail: "detail") }
                + [DeviceLogEntry(device: id, kind: .disconnected, at: clock(14))])
    }

    /// What a record is printed as, without the fields that a later schema added and this record does not have.
    private static func plain(_ record: some Any) -> String {
        ["security", "verification", "endReason"].reduce("\(record)") { $0.replacing(", \($1): nil", with: "") }
    }

    /// All that the public operations tell of a journal.
    private static func digest(_ tx: Transaction) throws(JournalError) -> [String] {
        var lines: [String] = []
        let devices = try tx.devices()
        lines += devices.map(plain)
        for device in devices {
            lines += try tx.lastTransfers(device: device.id, limit: 9).map(plain)
            lines += try tx.clockEpochs(device: device.id).map { "\($0)" }
            if let frame = try tx.lastFrame(device: device.id) { lines.append("\(frame)") }
        }
        for bond in try tx.bonds() {
            let keys = bond.longTermKeys + [bond.identityResolvingKey, bond.linkKey].compactMap(\.self)
            lines.append("\(bond) \(bond.adapter) \(bond.address) \(keys.map(\.hex)) \(bond.bonded)")
        }
        for device in devices { lines += try tx.log(device: device.id, limit: 99).map { "\($0)" } }
        for record in try tx.signIns(receiver: "fut") {
            lines.append("\(record) \(record.patient.rawValue) \(record.session.text)")
            lines += try tx.plans(channel: record.channel).map { "\($0.id) \($0.plan.text)" }
            lines += try tx.heldItems(channel: record.channel, receiver: "fut", limit: 9).map { "\($0)" }
        }
        if let keys = try tx.clientKeys(of: "https://issuer.example hub") {
            let number = try tx.identifier(of: PatientAlias(rawValue: "patient-1"), at: "pmd")
            lines.append("\(keys.text) \(number ?? "none")")
            lines += try tx.watch(.clock, from: at(0), until: at(9)).map { "\($0.lowerBound) \($0.upperBound)" }
            lines += try tx.notices(channel: "vkp/0a1b2c3d").map { "\($0)" }
            lines.append("\(try tx.hubs()) \(try tx.relayedAct("urn:uuid:1", of: "hub-1") ?? 0)")
        }
        for act in try tx.acts(limit: 99) {
            // A set prints in an order of its own.
            var plain = act
            plain.measurement.status = []
            plain.cautions = []
            lines.append("\(plain) \(act.measurement.status.map(\.rawValue).sorted()) \(act.cautions.map(\.rawValue).sorted())")
            for item in try tx.items(act: act.id) {
                lines.append("\(item)")
                lines += try tx.attempts(item: item.id).map { "\($0)" }
                if let dispatch = try tx.openDispatch(item: item.id) { lines.append("\(dispatch)") }
            }
        }
        lines += try tx.channelRecords().map { "\($0)" }
        lines += try tx.assignments().map { "\($0)" }
        lines += try tx.refusals(patient: PatientAlias(rawValue: "patient-1")).map { "\($0)" }
        lines += try tx.suppressed(limit: 9).map { "\($0)" }
        lines += try tx.conditions().map { "\($0)" }
        lines += try tx.auditRecords(limit: 9).map { "\($0)" }
        lines.append("purged: \(try tx.identityState(identity(3)))")
        let stranger = SubjectID(rawValue: "00000000-0000-8000-8000-000000000001")
        if let act = try tx.acts(limit: 99).last {
            lines.append("claimed: \(try !tx.claim(receiver: "phd", identifier: "id", reading: stranger)) \(act.subject)")
        }
        let counts = try tx.counts()
        lines.append("\(counts.acts.sorted { $0.key < $1.key }) \(counts.frames) \(counts.suppressed)")
        return lines
    }

    private static var folder: String {
        let file = #filePath
        return file[..<(file.lastIndex(of: "/") ?? file.startIndex)] + "/Golden"
    }

    private static let goldenKey = KeySource.credential(Array("the key of the golden databases, no secret".utf8))

    /// With `VITALGATE_WRITE_GOLDEN=1` writes the database of the present schema: once, when a release is made.
    @Test("The golden database of each release opens, and everything in it reads as it was written", arguments: [1, 2, 3, 4])
    func golden(schema: Int) async throws {
        let path = "\(Self.folder)/schema-\(schema).sqlite"
        if getenv("VITALGATE_WRITE_GOLDEN") != nil, schema == Migrations.supported {
            let origin = Scratch()
            let journal = try await Journal.open(origin.options(key: Self.goldenKey))
            try await journal.write { tx in try Self.fill(tx) }
            let digest = try await journal.read { tx in try Self.digest(tx) }
            await journal.close()
            writeFile(contents(origin.database), path, mode: 0o644)
            writeFile(Array((digest.joined(separator: "\n") + "\n").utf8), "\(Self.folder)/schema-\(schema).txt", mode: 0o644)
        }
        let scratch = Scratch()
        writeFile(contents(path), scratch.database)
        let journal = try await Journal.open(scratch.options(key: Self.goldenKey))
        let digest = try await journal.read { tx in try Self.digest(tx) }
        let expected = String(decoding: contents("\(Self.folder)/schema-\(schema).txt"), as: UTF8.self)
        #expect(digest.joined(separator: "\n") + "\n" == expected)
        #expect(digest.count > 20)
        #expect(try await journal.verifyAuditChain())
        // And it can be written.
        try await journal.write { tx in try tx.sampleAct(50, try tx.fixture(name: "new")) }
        await journal.close()
    }
}
