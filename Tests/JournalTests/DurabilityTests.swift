import Glibc
import Steward
import Testing
import Vitals

@testable import Journal

@Suite("Durability of the journal")
struct DurabilityTests {
    @Test("R1 every setting is asserted on the open connection, and stays so after a reopen")
    func r1_settingsAreAsserted() async throws {
        let scratch = Scratch()
        for _ in 0..<2 {
            let journal = try await Journal.open(scratch.options())
            try await journal.verifySettings()
            try await journal.write { tx throws in
                #expect(try tx.pragma("journal_mode") == "wal")
                #expect(try tx.pragma("synchronous") == "2")
                #expect(try tx.pragma("locking_mode") == "exclusive")
                #expect(try tx.pragma("secure_delete") == "1")
                #expect(try tx.pragma("temp_store") == "2")
                #expect(try tx.pragma("foreign_keys") == "1")
                #expect(try tx.pragma("wal_autocheckpoint") == "0")
            }
            await journal.close()
        }
    }

    @Test(
        "R1 a lowered setting is refused",
        arguments: [
            ("synchronous", "OFF"), ("synchronous", "NORMAL"), ("secure_delete", "OFF"), ("temp_store", "FILE"),
            ("foreign_keys", "OFF"),
            ("wal_autocheckpoint", "1000"), ("locking_mode", "NORMAL"), ("cache_size", "-20000"),
        ])
    func r1_loweredSettingIsRefused(setting: String, value: String) throws {
        let scratch = Scratch()
        let store = try Store(scratch.options(), key: scratch.options().key)
        try store.database.execute("PRAGMA \(setting) = \(value)")
        #expect {
            try Pragmas.verify(Pragmas.harmless + Pragmas.log, of: store.database)
        } throws: { error in
            guard case .unsafe(setting, _, _) = error as? JournalError else { return false }
            return true
        }
        store.database.close()
    }

    @Test("R1 what write returned is in the files, without a close")
    func r1_committedIsOnDisk() async throws {
        let (scratch, copy) = (Scratch(), Scratch())
        let journal = try await Journal.open(scratch.options())
        let act = try await journal.write(.intake) { tx throws in
            let act = try tx.sampleAct(1, try tx.fixture())
            try tx.sampleItems(act)
            return act
        }
        // As after a power cut: the files as they are, and nobody has closed anything.
        writeFile(contents(scratch.database), copy.database)
        writeFile(contents(scratch.database + "-wal"), copy.database + "-wal")
        let survivor = try await Journal.open(copy.options())
        #expect(try await survivor.read { tx in try tx.act(id: act.id) } == act)
        #expect(try await survivor.read { tx in try tx.items(act: act.id).count } == 2)
        await survivor.close()
        await journal.close()
    }

    @Test("A body that throws leaves no trace")
    func rollback() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        struct Stop: Error {}
        let error = await journalError {
            try await journal.write { tx throws in
                let act = try tx.sampleAct(1, try tx.fixture())
                try tx.sampleItems(act)
                throw Stop()
            }
        }
        #expect(error == .fault("a transaction's body threw Stop"))
        try await journal.write { tx throws in
            #expect(try tx.devices().isEmpty && tx.counts().frames == 0)
            // The names that were rolled back are made again.
            try tx.sampleItems(try tx.sampleAct(1, try tx.fixture()))
            #expect(try tx.nextActs(channel: "phd/patient-1", limit: 9).count == 1)
        }
        await journal.close()
    }

    @Test("Reading does not write")
    func readOnly() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        let error = await journalError { try await journal.read { tx in _ = try tx.fixture() } }
        #expect(error == .fault("a change inside Journal.read"))
        await journal.close()
    }

    @Test("A second daemon is told that the journal is locked, and can have it afterwards")
    func locked() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        let error = await journalError { try await Journal.open(scratch.options()) }
        #expect(error == .locked(path: scratch.database))
        #expect(error?.exitCode == 75)
        await journal.close()
        await #expect(throws: JournalError.closed) { try await journal.read { _ in } }
        try await Journal.open(scratch.options()).close()
    }

    @Test("A directory that is not there, and a file that is no database")
    func unusablePaths() async throws {
        let scratch = Scratch()
        let missing = await journalError {
            try await Journal.open(JournalOptions(path: scratch.path + "/no/x", key: scratch.options().key))
        }
        #expect(missing == .notWritable(path: scratch.path + "/no/x") && missing?.exitCode == 73)
        writeFile(Array("this is no database, and long enough to be looked at as one".utf8), scratch.database)
        guard case .corrupt = await journalError({ try await Journal.open(scratch.options()) }) else {
            Issue.record("not found corrupt")
            return
        }
    }

    @Test("Every error says what, why and what to do, and has an exit code of sysexits")
    func errorTexts() {
        let sqlite = SQLiteError(extendedCode: 1034, message: "disk I/O error", systemCode: 5, operation: "commit")
        let errors: [JournalError] = [
            .full(path: "p"), .io(sqlite), .locked(path: "p"), .corrupt(path: "p", detail: "d"),
            .schemaTooNew(found: 2, supported: 1),
            .keyMissing("k"), .keyWrong, .keyExposed(path: "p"), .notWritable(path: "p"), .constraint(sqlite),
            .unsafe(setting: "synchronous", expected: "2", found: "1"), .sealBroken(table: "act", column: "sealed", row: 1),
            .closed,
            .fault("f"),
        ]
        for error in errors {
            #expect(!error.what.isEmpty && !error.why.isEmpty && !error.remedy.isEmpty)
            #expect([70, 73, 74, 75, 77, 78].contains(error.exitCode))
        }
        #expect("\(sqlite)" == "SQLITE_IOERR (1034), errno 5 in commit: disk I/O error")
    }

    @Test("R1 a failed write poisons the connection: reopened and checked, then on")
    func r1_ioErrorPoisons() async {
        await #expect(processExitsWith: .success) {
            signal(SIGXFSZ, SIG_IGN)
            let scratch = Scratch()
            let journal = try await Journal.open(scratch.options())
            let first = try await journal.write { tx in try tx.sampleAct(1, try tx.fixture()) }
            try await journal.checkpoint()
            // No file may grow: the next frame of the log fails with EFBIG, which SQLite reports as an I/O error.
            var limit = rlimit()
            getrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let before = limit.rlim_cur
            limit.rlim_cur = 0
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let error = await journalError {
                try await journal.write(.intake) { tx throws in
                    try tx.sampleAct(2, Fixture(device: first.device, transfer: first.transfer))
                }
            }
            guard case .io(let failure) = error, case .failed = await journal.state else { exit(1) }
            guard failure.primaryCode == 10 else { exit(2) }
            // While the disk fails nothing is accepted.
            let again = await journalError { try await journal.write { tx in try tx.fixture(name: "another") } }
            guard case .io = again else { exit(3) }
            limit.rlim_cur = before
            setrlimit(__rlimit_resource_t(RLIMIT_FSIZE.rawValue), &limit)
            let ids = try await journal.write { tx throws in
                try tx.sampleAct(3, Fixture(device: first.device, transfer: first.transfer))
                return try tx.acts(limit: 9).map(\.measurement)
            }
            guard ids == [sampleMeasurement(101), sampleMeasurement(103)], await journal.state == .open else { exit(4) }
            try await journal.verifySettings()
            await journal.close()
            exit(0)
        }
    }

    @Test("R1 a body that swallows a failure of the disk cannot commit the rest")
    func r1_swallowedFailure() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options(pages: 90))
        let error = await journalError {
            try await journal.write { tx throws in
                let fixture = try tx.fixture()
                for number in 0..<10_000 {
                    do { try tx.sampleAct(number, fixture) } catch { break }
                }
            }
        }
        #expect(error == .full(path: scratch.database))
        #expect(try await journal.read { tx in try tx.devices() }.isEmpty)
        await journal.close()
    }

    @Test("A page that was altered on the disk is found when the connection is checked")
    func corruptPage() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            for number in 0..<200 { try tx.sampleAct(number, fixture) }
        }
        await journal.close()
        var bytes = contents(scratch.database)
        for position in 4_096 * 30..<4_096 * 31 { bytes[position] ^= 0x5A }
        writeFile(bytes, scratch.database)
        let store = try? Store(scratch.options(), key: scratch.options().key)
        #expect {
            guard let store else { throw JournalError.corrupt(path: "", detail: "") }
            try store.check()
        } throws: { error in
            guard case .corrupt = error as? JournalError else { return false }
            return true
        }
        store?.database.close()
    }

    @Test("An idle journal writes its log back by itself")
    func idleCheckpoint() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            let fixture = try tx.fixture()
            for number in 0..<300 { try tx.sampleAct(number, fixture) }
        }
        #expect(try await journal.pendingFrames() >= 64)
        for _ in 0..<40 where try await journal.pendingFrames() > 0 { try await Task.sleep(for: .milliseconds(50)) }
        #expect(try await journal.pendingFrames() == 0)
        await journal.close()
    }
}

extension Transaction {
    func pragma(_ name: String) throws(JournalError) -> String? {
        try first("PRAGMA \(name)") { row in row.optionalText(0) } ?? nil
    }
}

extension Journal {
    func pendingFrames() throws(JournalError) -> Int {
        try read { tx in tx.store.database.pendingFrames }
    }
}
