import ExactJSON
import Glibc
import Steward
import Testing
import Vitals

@testable import Journal

@Suite("Sealing")
struct SealingTests {
    /// High-entropy words in every field that is not to be read from the disk.
    struct Markers {
        var words: [String] = []
        var generator = Generator(seed: 20_261_121)
        mutating func word(_ name: String) -> String {
            let word =
                name + String((0..<20).map { _ in "abcdefghijkmnpqrstuvwxyz23456789".randomElement(using: &generator) ?? "x" })
            words.append(word)
            return word
        }
    }

    @Test("R8 nothing that a patient or a device is known by stands on the disk in clear, as text, hex or base64")
    func r8_sealedAtRest() async throws {
        let scratch = Scratch()
        var markers = Markers()
        let name = markers.word("device")
        let serial = markers.word("serial")
        let patient = markers.word("patient")
        let receiver = markers.word("receiver")
        let channel = markers.word("channel")
        let text = markers.word("text")
        let boot = markers.word("boot")
        let frameBytes = Array(markers.word("bytes").utf8)
        // 20 bytes of each are of chance, and each is as long as the kernel's record.
        let longTermKey = markers.word("long term key of")
        let bond = BondRecord(
            device: 1, adapter: markers.word("adapter"), address: markers.word("address"),
            longTermKeys: [Array(longTermKey.utf8)], identityResolvingKey: Array(markers.word("irk").utf8),
            linkKey: Array(markers.word("lnkey").utf8), security: .authenticated, bonded: at(1))
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx throws in
            var device = try tx.addDevice(name: name, model: text, bearer: text, state: .verified, at: at(0))
            device.identity.serialNumber = serial
            device.key = DeviceKey(rawValue: serial)
            try tx.update(device)
            let transfer = try tx.beginTransfer(device: device.id, at: clock(0, boot: boot))
            try tx.endTransfer(transfer, outcome: text, at: clock(1, boot: boot))
            let frame = Frame(source: .gatt(characteristic: 0x2A35, handle: 3), bytes: frameBytes, received: clock(1, boot: boot))
            let row = try tx.insertFrame(frame, device: device.id, transfer: transfer, word: .sent, decodeError: text)
            var measurement = sampleMeasurement()
            measurement.warnings = [text]
            let act = try tx.insertAct(
                ActDraft(
                    device: device.id, frame: row, transfer: transfer, identity: ReadingIdentity(base: frameBytes, ordinal: 0),
                    measurement: measurement, state: .ready, effective: MeasuredTime(at(1), offsetMinutes: 60),
                    patient: PatientAlias(rawValue: patient), received: clock(1, boot: boot)))
            let items = try tx.sampleItems(act, receiver: receiver, channel: channel)
            try tx.setItem(items[0].id, state: .delivered, reason: text, serverReference: text, at: at(2))
            let dispatch = try tx.insertDispatch(
                receiver: receiver, channel: channel, method: "POST", url: "https://example.org/\(text)", headers: [[text]],
                body: Array(text.utf8), entries: [], memo: .string(text), created: at(1))
            let attempt = try tx.beginAttempt(dispatch: dispatch.id, receiver: receiver, at: clock(2, boot: boot))
            try tx.endAttempt(attempt, outcome: "answered", status: 200, durationMilliseconds: 1, detail: text, at: at(3))
            try tx.setChannel(
                ChannelRecord(
                    channel: channel, receiver: receiver, held: .init(code: .receiverHeld, reason: text, since: at(1)),
                    failures: 1,
                    failureKind: text))
            try tx.recordSuppressed(frame: frame, device: device.id, identity: identity(4), act: nil, at: at(3))
            _ = try tx.insertAssignment(
                Assignment(
                    id: 0, device: device.id, userIndex: nil, patient: PatientAlias(rawValue: patient), from: at(0),
                    recipients: [.init(receiver: receiver, from: at(0))]))
            try tx.insertRefusal(patient: PatientAlias(rawValue: patient), receiver: receiver, at: at(1))
            try tx.raise(Condition(.quarantine, subject: name, since: at(1), reason: text))
            try tx.audit(at: at(1), actor: text, action: text, subject: name, detail: text)
            _ = try tx.claim(receiver: receiver, identifier: serial, reading: act.subject)
            try tx.setBond(bond)
            try tx.appendLog([DeviceLogEntry(device: device.id, kind: .note, at: clock(1, boot: boot), detail: text)])
            device.verification = .open(since: clock(1, boot: boot))
            try tx.update(device)
            let next = try tx.beginTransfer(device: device.id, at: clock(4, boot: boot), security: .encrypted)
            try tx.endTransfer(next, outcome: text, endReason: text, at: clock(5, boot: boot))
        }
        let log = contents(scratch.database + "-wal")
        await journal.close()
        let disk = log + contents(scratch.database)
        #expect(disk.count > 100_000)
        for marker in markers.words {
            #expect(leaks(marker, in: disk) == nil, "\(marker.prefix(6))...")
        }
        // The search itself finds what is planted.
        #expect(leaks(name, in: disk + Array("x\(name)".utf8)) == "text")
        #expect(leaks(name, in: disk + Array(Array(name.utf8).hex.utf8)) == "hex")
        #expect(leaks(name, in: disk + Array(base64(Array("xy\(name)z".utf8)).utf8)) == "base64")
    }

    /// How a marker stands in the bytes, `nil` where it does not.
    private func leaks(_ marker: String, in bytes: [UInt8]) -> String? {
        let raw = Array(marker.utf8)
        if contains(bytes, raw) { return "text" }
        if contains(bytes, Array(raw.hex.utf8)) || contains(bytes, Array(raw.hex.uppercased().utf8)) { return "hex" }
        // Base64 of a text in the midst of others: one of three alignments, without the characters at its edges.
        for lead in 0..<3 {
            let encoded = Array(base64([UInt8](repeating: 0, count: lead) + raw).utf8)
            if contains(bytes, Array(encoded[4..<encoded.count - 4])) { return "base64" }
        }
        return nil
    }

    private func contains(_ bytes: [UInt8], _ pattern: [UInt8]) -> Bool {
        guard let first = pattern.first else { return true }
        return bytes.withUnsafeBufferPointer { haystack in
            var position = 0
            while position + pattern.count <= haystack.count {
                if haystack[position] == first,
                    haystack[position..<position + pattern.count].elementsEqual(pattern)
                {
                    return true
                }
                position += 1
            }
            return false
        }
    }

    private func base64(_ bytes: [UInt8]) -> String {
        let alphabet = Array("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/")
        var text = ""
        for start in stride(from: 0, to: bytes.count, by: 3) {
            let group = bytes[start..<min(start + 3, bytes.count)]
            let bits = group.enumerated().reduce(0) { $0 | Int($1.element) << (16 - 8 * $1.offset) }
            for place in 0..<4 { text.append(place <= group.count ? alphabet[bits >> (18 - 6 * place) & 63] : "=") }
        }
        return text
    }

    @Test("R8 a wrong key, a missing key and an exposed key file are told apart, and change nothing")
    func r8_keys() async throws {
        let scratch = Scratch()
        let options = scratch.options(key: .file(scratch.keyFile))
        let journal = try await Journal.open(options)
        try await journal.write { tx in _ = try tx.fixture() }
        #expect(journal.keyProtection == .file)
        await journal.close()
        let key = contents(scratch.keyFile)
        #expect(key.count == 32)
        var status = stat()
        stat(scratch.keyFile, &status)
        #expect(status.st_mode & 0o777 == 0o600)
        stat(scratch.database, &status)
        #expect(status.st_mode & 0o777 == 0o600)

        #expect(await journalError { try await Journal.open(scratch.options()) } == .keyWrong)
        chmod(scratch.keyFile, 0o640)
        let exposed = await journalError { try await Journal.open(options) }
        #expect(exposed == .keyExposed(path: scratch.keyFile) && exposed?.exitCode == 77)
        unlink(scratch.keyFile)
        let missing = await journalError { try await Journal.open(options) }
        #expect(missing == .keyMissing("There is no key file at \(scratch.keyFile).") && missing?.exitCode == 78)
        #expect(!FileSystem.exists(scratch.keyFile))
        let short = await journalError { try await Journal.open(scratch.options(key: .credential([1, 2, 3]))) }
        #expect(short == .keyMissing("The key has 3 bytes; it needs at least 16."))
        writeFile(key, scratch.keyFile)
        let again = try await Journal.open(options)
        #expect(try await again.read { tx in try tx.devices().count } == 1)
        await again.close()
    }

    @Test("R8 a systemd credential is read from its directory")
    func r8_credential() async {
        await #expect(processExitsWith: .success) {
            let scratch = Scratch()
            unsetenv("CREDENTIALS_DIRECTORY")
            guard try KeySource.systemdCredential(named: "key") == nil else { exit(1) }
            setenv("CREDENTIALS_DIRECTORY", scratch.path, 1)
            guard try KeySource.systemdCredential(named: "key") == nil else { exit(2) }
            writeFile(Array("0123456789abcdef0123".utf8), scratch.path + "/key", mode: 0o400)
            guard try KeySource.systemdCredential(named: "key") == .credential(Array("0123456789abcdef0123".utf8)) else {
                exit(3)
            }
            exit(0)
        }
    }

    @Test(
        "R8 rotation: the old key opens nothing, ids stay, old values are read, new ones have the new data key"
    )
    func r8_rotation() async throws {
        let scratch = Scratch()
        let new = KeySource.credential(Array("another credential, also long enough".utf8))
        let journal = try await Journal.open(scratch.options())
        let act = try await journal.write { tx in try tx.sampleAct(1, try tx.fixture()) }
        try await journal.rotate(to: new, newDataKey: true)
        let later = try await journal.write { tx throws in
            try tx.sampleAct(2, Fixture(device: act.device, transfer: act.transfer))
        }
        let versions = try await journal.read { tx throws in
            try tx.all("SELECT sealed FROM act ORDER BY id") { row in row.blob(0)[4] }
        }
        #expect(versions == [1, 2])
        await journal.close()
        #expect(await journalError { try await Journal.open(scratch.options()) } == .keyWrong)
        let again = try await Journal.open(scratch.options(key: new))
        #expect(try await again.read { tx in try tx.acts(limit: 9) } == [act, later])
        #expect(try await again.read { tx in try tx.identityState(act.identity) } == .act(act.id))
        await again.close()
    }

    @Test("R8 after wiping nothing opens, with the old key neither, and the wrapped keys are on no page")
    func r8_wipe() async throws {
        let scratch = Scratch()
        let options = scratch.options(key: .file(scratch.keyFile))
        let journal = try await Journal.open(options)
        try await journal.write { tx in _ = try tx.sampleAct(1, try tx.fixture()) }
        let wrapped = try await journal.read { tx in try tx.all("SELECT wrapped FROM key") { row in row.blob(0) } }
        let key = contents(scratch.keyFile)
        try await journal.wipe()
        #expect(await journal.state == .wiped)
        #expect(!FileSystem.exists(scratch.keyFile))
        guard case .keyMissing = await journalError({ try await journal.read { tx in try tx.devices() } }) else {
            Issue.record("read after wipe")
            return
        }
        let disk = contents(scratch.database) + contents(scratch.database + "-wal")
        #expect(wrapped.count == 2)
        for bytes in wrapped { #expect(!contains(disk, Array(bytes[12..<28]))) }
        writeFile(key, scratch.keyFile)
        guard case .keyMissing = await journalError({ try await Journal.open(options) }) else {
            Issue.record("opened after wipe")
            return
        }
    }

    @Test("R8 a sealed value that is altered or moved to another row, column or table does not open")
    func r8_moved() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        let acts = try await journal.write { tx throws in
            let fixture = try tx.fixture()
            return [try tx.sampleAct(1, fixture), try tx.sampleAct(2, fixture)]
        }
        let changes = [
            "UPDATE act SET sealed = (SELECT sealed FROM act AS other WHERE other.id = \(acts[1].id)) WHERE id = \(acts[0].id)",
            "UPDATE act SET sealed = (SELECT sealed FROM frame WHERE id = 1) WHERE id = \(acts[0].id)",
            // One byte, to another than it is.
            """
            UPDATE act SET sealed = CAST(substr(sealed, 1, 40) || iif(substr(sealed, 41, 1) = x'00', x'01', x'00')
            || substr(sealed, 42) AS BLOB) WHERE id = \(acts[0].id)
            """,
            // The schema number is authenticated too.
            "UPDATE act SET sealed = CAST(substr(sealed, 1, 2) || x'07' || substr(sealed, 4) AS BLOB) WHERE id = \(acts[0].id)",
            "UPDATE act SET sealed = x'01' WHERE id = \(acts[0].id)",
        ]
        for change in changes {
            let error = await journalError {
                try await journal.write { tx throws in
                    try tx.run(change)
                    _ = try tx.act(id: acts[0].id)
                }
            }
            #expect(error == .sealBroken(table: "act", column: "sealed", row: acts[0].id), "\(change)")
        }
        await journal.close()
    }
}

/// SplitMix64: the same numbers for the same seed, on every machine.
struct Generator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }
    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ (z >> 30)) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ (z >> 27)) &* 0x94D0_49BB_1331_11EB
        return z ^ (z >> 31)
    }
}
