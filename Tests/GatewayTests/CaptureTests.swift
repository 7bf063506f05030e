import Bluetooth
import EventLoop
import ExactJSON
import Glibc
import HubAPI
import Logging
import Protocols
import Synchronization
import Testing
import Vitals

@testable import Gateway
@testable import Journal

@Suite("a technician's capture of the radio") struct CaptureTests {
    /// A clock that stands until it is moved.
    private final class HandClock: Vitals.Clock {
        private let seconds = Mutex<Int64>(0)
        func move(_ by: Int64) { seconds.withLock { $0 += by } }
        func now() -> ClockReading {
            let seconds = seconds.withLock { $0 }
            return ClockReading(
                wall: Instant(seconds: 1_795_262_400 + seconds), offsetMinutes: 60,
                monotonic: MonotonicTime(milliseconds: seconds * 1_000),
                boot: BootID(rawValue: "boot"), source: .ntp)
        }
    }

    /// The service beside a kernel that is a socket pair.
    private struct Bench {
        let scratch: Scratch
        let journal: Journal
        let service: CaptureService
        let clock: HandClock
        let alarm = SpaceAlarm()
        let loops: [EventLoop]
        /// The kernel's end; -1 while nobody listens.
        let kernel: Descriptor

        final class Descriptor: Sendable {
            private let number = Mutex<Int32>(-1)
            var value: Int32 { number.withLock { $0 } }
            func set(_ value: Int32) { number.withLock { $0 = value } }
        }

        init(_ scratch: Scratch = Scratch(), clock: HandClock = HandClock(), refusal: Int32? = nil, lowBytes: Int = 0)
            async throws
        {
            self.scratch = scratch
            self.clock = clock
            let kernel = Descriptor()
            self.kernel = kernel
            journal = try await Journal.open(
                JournalOptions(
                    path: scratch.path + "/vitalgate.db", key: .credential(Array("a credential of 32 bytes or more".utf8)),
                    ballastBytes: 0))
            loops = [try EventLoop(name: "test-radio"), try EventLoop(name: "test-files")]
            let monitor = RadioMonitor(loop: loops[0]) {
                if let refusal { return .failure(.system(call: "bind", code: refusal)) }
                var ends: [Int32] = [0, 0]
                let kind = Int32(SOCK_SEQPACKET.rawValue) | Int32(SOCK_NONBLOCK.rawValue) | Int32(SOCK_CLOEXEC.rawValue)
                guard socketpair(AF_UNIX, kind, 0, &ends) == 0 else { return .failure(.system(call: "socketpair", code: errno)) }
                kernel.set(ends[1])
                return .success(ends[0])
            }
            service = CaptureService(
                journal: journal, monitor: monitor, lowBytes: lowBytes, alarm: alarm, clock: clock, files: loops[1],
                logger: Logger(label: "test") { _ in SwiftLogNoOpLogHandler() })
        }

        /// Runs the service beside a body.
        func run(_ body: @Sendable () async throws -> Void) async throws {
            try await withThrowingTaskGroup(of: Void.self) { group in
                group.addTask { try await service.run() }
                do {
                    try await body()
                } catch {
                    group.cancelAll()
                    throw error
                }
                group.cancelAll()
                try await group.waitForAll()
            }
        }

        func close() async {
            await journal.close()
            for loop in loops { loop.stop() }
            if kernel.value >= 0 { Glibc.close(kernel.value) }
        }

        func send(_ records: [MonitorRecord]) {
            for record in records {
                let bytes = record.bytes
                while write(kernel.value, bytes, bytes.count) < 0, errno == EAGAIN { usleep(1_000) }
            }
        }

        func state() async -> String? { await service.status()["state"]?.string }

        func conditions() async throws -> [Condition.Code] {
            try await journal.read { tx in try tx.conditions().map(\.code) }
        }

        func audit() async throws -> [String] {
            try await journal.read { tx in
                try tx.auditRecords(limit: 100).reversed().map { "\($0.actor) \($0.action) \($0.detail ?? "-")" }
            }
        }

        func export() async throws -> [UInt8] {
            var (offset, bytes): (Int?, [UInt8]) = (0, [])
            while let from = offset {
                let piece = try await service.read(from: from, by: "uid:7").get()
                bytes += [UInt8](hex: try #require(piece["hex"]?.string)) ?? []
                offset = piece["next"]?.integer
            }
            return bytes
        }
    }

    enum Interruption: CaseIterable {
        /// The daemon was stopped.
        case stopped
        /// It crashed, and of the last block some bytes are there, or bytes that are not its own, or zeros.
        case cut, garbled, zeroed
    }

    private static let marker = Array("blood pressure 127/79".utf8)

    private static func acl(_ payload: [UInt8]) -> MonitorRecord {
        let l2cap = [UInt8(payload.count), 0, 4, 0] + payload
        return MonitorRecord(.aclReceived, index: 0, payload: [0x40, 0x20, UInt8(l2cap.count), 0] + l2cap)
    }

    private static let key = MonitorRecord(
        .command, index: 0, payload: [0x1A, 0x20, 18, 0x40, 0] + [UInt8](repeating: 0xAB, count: 16))

    @Test("it is announced, sealed, ended, exported and deleted, each with who and why in the audit log")
    func wholeCourse() async throws {
        let bench = try await Bench()
        try await bench.run { () async throws in
            #expect(await bench.state() == "none")
            _ = try await bench.service.start(minutes: 10, reason: "cuff is not heard", by: "uid:7").get()
            #expect(await bench.state() == "running")
            #expect(try await bench.conditions() == [.captureRunning])
            bench.send([Self.acl(Self.marker), Self.key])
            #expect(try await eventually { await bench.service.status()["records"]?.integer == 2 })
            // While it runs it is neither read nor deleted, nor is a second one begun.
            for error in [
                await bench.service.read(from: 0, by: "uid:8"), await bench.service.delete(by: "uid:8"),
                await bench.service.start(minutes: 1, reason: "x", by: "uid:8"),
            ] {
                guard case .failure(let error) = error else {
                    Issue.record("not refused")
                    continue
                }
                #expect(error.exitCode == 75)
            }
            _ = try await bench.service.stop(by: "uid:7").get()
            #expect(try await bench.conditions() == [.captureKept])
            let file = try await bench.export()
            #expect(file.starts(with: BTSnoop.header))
            #expect(file.count == 16 + 24 + Self.acl(Self.marker).payload.count + 24 + Self.key.payload.count)
            #expect(String(decoding: file, as: UTF8.self).contains("blood pressure 127/79"))
            // The key's bytes stand at the end; elsewhere its byte may be a part of a time.
            #expect(Array(file.suffix(16)) == [UInt8](repeating: 0, count: 16))
            // Nothing of it on disk in the clear.
            for name in ["vitalgate.db-wal", "capture.sealed"] {
                #expect(!text(bench.scratch.path + "/" + name).contains("127/79"), "\(name)")
            }
            _ = try await bench.service.delete(by: "uid:7").get()
            #expect(try await bench.conditions() == [])
            #expect(access(bench.scratch.path + "/capture.sealed", F_OK) != 0)
            #expect(
                try await bench.audit() == [
                    "uid:7 capture-start 10 min: cuff is not heard", "uid:7 capture-stop a person stopped it",
                    "uid:7 capture-export -",
                    "uid:7 capture-delete a person said so",
                ])
        }
        await bench.close()
    }

    @Test("it ends by itself after its minutes, and goes by itself after its day")
    func byItself() async throws {
        let bench = try await Bench()
        try await bench.run { () async throws in
            _ = try await bench.service.start(minutes: 1, reason: "x", by: "uid:7").get()
            bench.clock.move(59)
            bench.send([Self.acl([1])])
            #expect(try await eventually { await bench.service.status()["records"]?.integer == 1 })
            #expect(await bench.state() == "running")
            bench.clock.move(1)
            #expect(try await eventually { await bench.state() == "kept" })
            #expect(try await bench.conditions() == [.captureKept])
        }
        // The daemon is started again, a day later.
        bench.clock.move(86_400)
        await bench.close()
        let later = try await Bench(bench.scratch, clock: bench.clock)
        try await later.run { () async throws in
            #expect(await later.state() == "kept")
            #expect(await later.service.status()["reason"]?.string == "x")
            #expect(try await eventually { await later.state() == "none" })
            #expect(try await later.conditions() == [])
            #expect(try await later.audit().last == "hub capture-delete kept for its time")
        }
        await later.close()
    }

    @Test("one that the end of the daemon interrupted has ended, and what was written is there", arguments: Interruption.allCases)
    func interrupted(_ interruption: Interruption) async throws {
        let scratch = Scratch()
        let first = try await Bench(scratch)
        if interruption == .stopped {
            try await first.run { () async throws in
                _ = try await first.service.start(minutes: 60, reason: "x", by: "uid:7").get()
                first.send([Self.acl([1]), Self.acl([2])])
                #expect(try await eventually { await first.service.status()["records"]?.integer == 2 })
            }
        } else {
            // As a crash leaves it: a beginning, records, and half a block.
            let now = first.clock.now().wall
            try await first.journal.write { tx in
                try tx.raise(Condition(.captureRunning, subject: "adapter", since: now, reason: "x"))
            }
            let writer = try await first.journal.makeSpool("capture", limit: 1 << 20, on: first.loops[1])
            _ = try await writer.append(kind: 1, Array(#"{"by":"uid:7","why":"x","minutes":60}"#.utf8))
            for number in 1...2 as ClosedRange<UInt8> {
                _ = try await writer.append(kind: 2, BTSnoop.record(Self.acl([number]), microseconds: 0, drops: 0))
            }
            let whole = await writer.count
            _ = try await writer.append(kind: 2, [1, 2, 3])
            await writer.close()
            let path = scratch.path + "/capture.sealed"
            switch interruption {
            case .stopped: break
            case .cut: #expect(truncate(path, off_t(whole + 7)) == 0)
            case .garbled:
                let descriptor = open(path, O_WRONLY)
                #expect(pwrite(descriptor, [UInt8](repeating: 0, count: 10), 10, off_t(whole + 10)) == 10)
                close(descriptor)
            case .zeroed:
                #expect(truncate(path, off_t(whole)) == 0)
                #expect(truncate(path, off_t(whole + 4_096)) == 0)
            }
        }
        await first.close()
        let second = try await Bench(scratch)
        try await second.run { () async throws in
            #expect(await second.state() == "kept")
            #expect(await second.service.status()["records"]?.integer == 2)
            #expect(await second.service.status()["endedBecause"]?.string == "the daemon ended")
            #expect(try await second.conditions() == [.captureKept])
            #expect(try await second.export().count == 16 + 2 * (24 + 9))
        }
        await second.close()
        let third = try await Bench(scratch)
        try await third.run { () async throws in #expect(await third.state() == "kept") }
        #expect(try await third.audit().filter { $0.contains("capture-stop") } == ["hub capture-stop the daemon ended"])
        await third.close()
    }

    @Test("R9 it is not begun on a disk that fills, and goes first from one that does")
    func r9_storage() async throws {
        let bench = try await Bench()
        try await bench.run { () async throws in
            _ = try await bench.service.start(minutes: 10, reason: "x", by: "uid:7").get()
            await bench.service.drop(why: "the disk filled up")
            #expect(await bench.state() == "none")
            #expect(access(bench.scratch.path + "/capture.sealed", F_OK) != 0)
            bench.alarm.condition = Condition(.storageLow, subject: "hub", since: bench.clock.now().wall, reason: "x")
            guard case .failure(let error) = await bench.service.start(minutes: 1, reason: "x", by: "uid:7") else {
                Issue.record("begun")
                return
            }
            #expect(error.exitCode == 75)
        }
        await bench.close()
        let small = try await Bench(lowBytes: .max)
        try await small.run { () async throws in
            guard case .failure(let error) = await small.service.start(minutes: 1, reason: "x", by: "uid:7") else {
                Issue.record("begun")
                return
            }
            #expect(error.exitCode == 75)
            #expect(try await small.conditions() == [])
        }
        await small.close()
    }

    @Test("it ends where its file is full")
    func full() async throws {
        let bench = try await Bench()
        try await bench.run { () async throws in
            _ = try await bench.service.start(minutes: 60, reason: "x", by: "uid:7").get()
            let large = MonitorRecord(.isoReceived, index: 0, payload: [UInt8](repeating: 1, count: 60_000))
            while await bench.state() == "running" {
                bench.send([large])
                try await Task.sleep(for: .milliseconds(2))
            }
            #expect(await bench.service.status()["endedBecause"]?.string == "its file was full")
            var status = stat()
            #expect(stat(bench.scratch.path + "/capture.sealed", &status) == 0)
            #expect(status.st_size <= CaptureCourse.mostBytes + 1_000)
            #expect(status.st_size > CaptureCourse.mostBytes - 200_000)
        }
        await bench.close()
    }

    @Test("a spool that does not open is deleted, and told")
    func unreadable() async throws {
        let scratch = Scratch()
        _ = scratch.write("no spool at all, and long enough for one", to: "capture.sealed")
        let bench = try await Bench(scratch)
        try await bench.run { () async throws in #expect(await bench.state() == "none") }
        #expect(access(scratch.path + "/capture.sealed", F_OK) != 0)
        #expect(try await bench.audit().last?.hasPrefix("hub capture-delete it could not be read") == true)
        await bench.close()
    }

    @Test("what the kernel refuses is told with its reason", arguments: [(EPERM, 77), (EACCES, 77), (EAFNOSUPPORT, 69)])
    func refused(_ code: Int32, _ exitCode: Int) async throws {
        let bench = try await Bench(refusal: code)
        try await bench.run { () async throws in
            guard case .failure(let error) = await bench.service.start(minutes: 1, reason: "x", by: "uid:7") else {
                Issue.record("begun")
                return
            }
            #expect(error.exitCode == exitCode)
            #expect(error.why.contains("CAP_NET_RAW") == (exitCode == 77))
            // What to do is a command that can be pasted: it installs the drop-in and starts the daemon with it.
            #expect(error.remedy.contains("vitalgate-capture.conf") == (exitCode == 77))
            #expect(error.remedy.contains("systemctl restart vitalgate") == (exitCode == 77))
            #expect(![error.what, error.why, error.remedy].contains { $0.isEmpty || $0.contains("\n") })
            #expect(try await bench.conditions() == [])
            #expect(try await bench.audit() == [])
            for error in [
                await bench.service.stop(by: "x"), await bench.service.delete(by: "x"),
                await bench.service.read(from: 0, by: "x"),
            ] {
                guard case .failure(let error) = error else {
                    Issue.record("not refused")
                    continue
                }
                #expect(error.exitCode == 65)
            }
        }
        await bench.close()
    }
}
