import ExactJSON
import Glibc
import Steward
import Testing
import Vitals

@testable import Journal

/// A directory that goes when the test is over.
final class Scratch: Sendable {
    let path: String

    init() {
        var template = Array("/tmp/vitalgate-journal-XXXXXX".utf8CString)
        path = template.withUnsafeMutableBufferPointer { buffer in
            buffer.baseAddress.flatMap { mkdtemp($0) }.map { String(cString: $0) } ?? "/tmp"
        }
    }

    deinit { removeTree(path) }

    var database: String { path + "/journal.sqlite" }
    var keyFile: String { path + "/key" }

    func options(ballast: Int = 0, pages: Int? = nil, key: KeySource? = nil) -> JournalOptions {
        JournalOptions(
            path: database, key: key ?? .credential(Array("a credential of 32 bytes or more".utf8)), ballastBytes: ballast,
            busyMilliseconds: 20, maxPageCount: pages)
    }
}

func removeTree(_ path: String) {
    guard path.hasPrefix("/tmp/vitalgate-journal-"), let directory = opendir(path) else { return }
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) {
            $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { unlink(path + "/" + name) }
    }
    closedir(directory)
    rmdir(path)
}

/// The file's bytes. Never of an open journal whose lock is still needed: closing drops the process's locks on it.
func contents(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "rb") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    var chunk = [UInt8](repeating: 0, count: 1 << 16)
    while true {
        let count = fread(&chunk, 1, chunk.count, file)
        if count == 0 { return bytes }
        bytes += chunk[..<count]
    }
}

func writeFile(_ bytes: [UInt8], _ path: String, mode: mode_t = 0o600) {
    guard let file = fopen(path, "wb") else { return }
    _ = fwrite(bytes, 1, bytes.count, file)
    fclose(file)
    chmod(path, mode)
}

// MARK: Samples

func clock(_ milliseconds: Int64, boot: String = "boot-1", source: ClockSource = .ntp) -> ClockReading {
    ClockReading(
        wall: Instant(milliseconds: 1_767_000_000_000 + milliseconds), offsetMinutes: 60,
        monotonic: MonotonicTime(milliseconds: milliseconds), boot: BootID(rawValue: boot), source: source)
}

func at(_ milliseconds: Int64) -> Instant { clock(milliseconds).wall }

func sampleMeasurement(_ systolic: Int64 = 127, pulse: Bool = true) -> Measurement {
    var quantities = [
        Quantity(
            .systolic, type: .systolic, value: .number(ExactDecimal(mantissa: systolic * 10, exponent: -1)),
            unit: .millimetreOfMercury),
        Quantity(.diastolic, type: .diastolic, value: .number(79), unit: .millimetreOfMercury),
        Quantity(.mean, type: .meanArterialPressure, value: .special(.notANumber), unit: .millimetreOfMercury),
    ]
    if pulse { quantities.append(Quantity(.pulseRate, type: .pulseRateNonInvasive, value: .number(69), unit: .perMinute)) }
    return Measurement(
        kind: .bloodPressure, quantities: quantities,
        deviceTime: LocalDateTime(year: 2026, month: 1, day: 2, hour: 8, minute: 43, second: 0), userIndex: 1, statusBits: 4,
        status: [.irregularPulse],
        projection: StoredProjection(
            codec: "2a35/1", bytes: [1, 2, 3, UInt8(truncatingIfNeeded: systolic)], distinguishes: true),
        warnings: ["reserved bits set"])
}

func sampleFrame(_ number: UInt8 = 1, _ milliseconds: Int64 = 0) -> Frame {
    Frame(source: .gatt(characteristic: 0x2A35, handle: 0x0010), bytes: [0x1E, 0x7F, number], received: clock(milliseconds))
}

/// A bond with a key of each kind.
func sampleBond(_ device: Int64, seed: UInt8 = 1) -> BondRecord {
    BondRecord(
        device: device, adapter: "00:1B:DC:00:00:01", address: "C0:26:DA:00:00:02/public",
        longTermKeys: [[UInt8](repeating: seed, count: 36), [UInt8](repeating: seed + 1, count: 36)],
        identityResolvingKey: [UInt8](repeating: seed + 2, count: 23), linkKey: [UInt8](repeating: seed + 3, count: 25),
        security: .encrypted, bonded: at(7))
}

func identity(_ number: Int, ordinal: Int = 0) -> ReadingIdentity {
    ReadingIdentity(base: (0..<32).map { UInt8(truncatingIfNeeded: number >> ($0 % 4 * 8)) ^ UInt8($0) }, ordinal: ordinal)
}

struct Fixture: Sendable {
    var device: Int64
    var transfer: Int64
}

extension Transaction {
    func fixture(name: String = "cuff") throws(JournalError) -> Fixture {
        let device = try addDevice(name: name, model: "generic", bearer: "socket:/x", state: .verified, at: at(0))
        return Fixture(device: device.id, transfer: try beginTransfer(device: device.id, at: clock(0)))
    }

    /// An act with its frame.
    @discardableResult
    func sampleAct(
        _ number: Int, _ fixture: Fixture, state: ActState = .ready, ordinal: Int = 0, boot: String = "boot-1",
        patient: String? = "patient-1"
    ) throws(JournalError) -> ActRecord {
        let milliseconds = Int64(number) * 1_000
        let frame = try insertFrame(
            sampleFrame(UInt8(truncatingIfNeeded: number), milliseconds), device: fixture.device, transfer: fixture.transfer,
            word: .sent)
        return try insertAct(
            ActDraft(
                device: fixture.device, frame: frame, transfer: fixture.transfer, identity: identity(number, ordinal: ordinal),
                measurement: sampleMeasurement(Int64(100 + number % 100)), state: state,
                effective: MeasuredTime(at(milliseconds), offsetMinutes: 60), timeBasis: .corrected,
                patient: patient.map { PatientAlias(rawValue: $0) }, cautions: [.unlikelyValue],
                coincidence: ClockCoincidence(
                    device: LocalDateTime(year: 2026, month: 1, day: 2, hour: 8, minute: 43, second: 1), hub: clock(5)),
                batteryPercent: 80, received: clock(milliseconds, boot: boot)))
    }

    @discardableResult
    func sampleItems(
        _ act: ActRecord, receiver: String = "phd", channel: String = "phd/patient-1"
    ) throws(JournalError) -> [ItemRecord] {
        var items: [ItemRecord] = []
        for reading in act.readings {
            let item = try insertItem(
                act: act.id, reading: reading, kind: .observation, receiver: receiver, channel: channel,
                effective: act.effective?.instant ?? at(0), created: at(0))
            if let item { items.append(item) }
        }
        return items
    }
}

/// The error that a body throws; fails the test where it throws none.
func journalError<T>(
    _ body: () async throws -> T, sourceLocation: SourceLocation = #_sourceLocation
) async -> JournalError? {
    do {
        _ = try await body()
        Issue.record("no error", sourceLocation: sourceLocation)
    } catch {
        return error as? JournalError
    }
    return nil
}
