import Glibc
import Steward
import Testing
import Vitals

@testable import Journal

/// Measurements, not promises: run with `VITALGATE_MEASURE=1` on the disk that is asked about (`VITALGATE_MEASURE=/path`).
@Suite("Measurements of the journal", .enabled(if: getenv("VITALGATE_MEASURE") != nil), .serialized)
struct MeasureTests {
    private func timed(_ body: () async throws -> Void) async rethrows -> Double {
        let start = ContinuousClock.now
        try await body()
        let (seconds, attoseconds) = (ContinuousClock.now - start).components
        return Double(seconds) * 1_000 + Double(attoseconds) / 1e15
    }

    private func summary(_ name: String, _ milliseconds: [Double]) {
        let sorted = milliseconds.sorted()
        func at(_ part: Double) -> Double { (sorted[Int(Double(sorted.count - 1) * part)] * 100).rounded() / 100 }
        print("\(name): p50 \(at(0.5)) p99 \(at(0.99)) max \(at(1)) ms, \(sorted.count) times")
    }

    /// Kilobytes of memory of this process's own.
    private func anonymousMemory() -> Int {
        let status = String(decoding: contents("/proc/self/status"), as: UTF8.self)
        let line = status.split(separator: "\n").first { $0.hasPrefix("RssAnon") }
        return line.flatMap { Int($0.filter(\.isNumber)) } ?? 0
    }

    @Test("Intake commits beside a bare append and fdatasync, with the log written back as it comes")
    func commits() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options(ballast: 1 << 20))
        let fixture = try await journal.write { tx in try tx.fixture() }
        var commits: [Double] = []
        var bytes = 0
        for number in 1...1_500 {
            let before = try await journal.pendingFrames()
            commits.append(
                try await timed {
                    try await journal.write(.intake) { tx in
                        let act = try tx.sampleAct(number, fixture)
                        try tx.sampleItems(act)
                    }
                })
            let written = try await journal.pendingFrames() - before
            if written > 0 { bytes = written * 4_120 }
        }
        summary("intake commit", commits)
        print("bytes of the log per commit: \(bytes)")
        let descriptor = open(scratch.path + "/bare", O_WRONLY | O_CREAT, 0o600)
        let block = [UInt8](repeating: 7, count: bytes)
        var bare: [Double] = []
        for _ in 0..<500 {
            bare.append(
                await timed {
                    _ = write(descriptor, block, block.count)
                    fdatasync(descriptor)
                })
        }
        close(descriptor)
        summary("bare append and fdatasync", bare)
        summary("log written back", [try await timed { try await journal.checkpoint() }])
        await journal.close()
    }

    @Test("100,000 readings queued")
    func backlog() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options(ballast: 1 << 20))
        let fixture = try await journal.write { tx in try tx.fixture() }
        print("RssAnon empty: \(anonymousMemory()) kB")
        let filling = try await timed {
            for block in 0..<1_000 {
                try await journal.write { tx in
                    for number in 1...50 { try tx.sampleItems(try tx.sampleAct(block * 50 + number, fixture)) }
                }
            }
        }
        print("filled with 50,000 acts of 2 readings in \(filling) ms; \(try await journal.storage())")
        print("RssAnon with the backlog: \(anonymousMemory()) kB")
        await journal.close()
        let again = try await Journal.open(scratch.options(ballast: 1 << 20))
        print("RssAnon reopened: \(anonymousMemory()) kB")
        summary("first counts", [try await timed { _ = try await again.read { tx in try tx.counts() } }])
        print("RssAnon after the first counts: \(anonymousMemory()) kB")
        var times: [String: [Double]] = [:]
        for round in 0..<100 {
            times["counts", default: []].append(try await timed { _ = try await again.read { tx in try tx.counts() } })
            times["channels", default: []].append(
                try await timed { _ = try await again.read { tx in try tx.channels(receiver: "phd") } })
            times["nextActs", default: []].append(
                try await timed { _ = try await again.read { tx in try tx.nextActs(channel: "phd/patient-1", limit: 10) } })
            times["next act and its items", default: []].append(
                try await timed {
                    _ = try await again.read { tx throws in
                        for next in try tx.nextActs(channel: "phd/patient-1", limit: 1, order: .newestFirst) {
                            _ = try tx.act(id: next.act)
                            _ = try tx.waitingItems(act: next.act, channel: "phd/patient-1")
                        }
                    }
                })
            times["intake commit", default: []].append(
                try await timed {
                    _ = try await again.write(.intake) { tx in
                        try tx.sampleItems(try tx.sampleAct(60_000 + round, fixture))
                    }
                })
        }
        for (name, values) in times { summary("with the backlog, " + name, values) }
        print("RssAnon after use: \(anonymousMemory()) kB")
        let purge = try await timed {
            try await again.write { tx in
                for act in try tx.acts(limit: 200) {
                    for item in try tx.items(act: act.id) { try tx.setItem(item.id, state: .delivered, at: at(1)) }
                }
            }
        }
        print("200 acts delivered in one transaction: \(purge) ms")
        // Intake beside a long purge.
        let purging = Task { try await again.purgeDelivered(before: at(2), limit: 200, at: at(9)) }
        var beside: [Double] = []
        for number in 0..<30 {
            beside.append(
                try await timed {
                    _ = try await again.write(.intake) { tx in try tx.sampleAct(70_000 + number, fixture) }
                })
        }
        summary("intake commit beside a purge", beside)
        print("purged \(try await purging.value)")
        await again.close()
    }
}
