import EventLoop
import Protocols
import Synchronization
import Testing

@testable import Bluetooth

@Suite("what the monitor keeps of what it hears") struct RadioMonitorTests {
    private static let acl = MonitorRecord(.aclReceived, index: 0, payload: [0x40, 0x20, 7, 0, 3, 0, 4, 0, 0x1D, 1, 2])

    private func monitor() throws -> (RadioMonitor, EventLoop) {
        let loop = try EventLoop(name: "test")
        return (RadioMonitor(loop: loop), loop)
    }

    @Test("records follow each other in order, with their times, and without keys")
    func records() async throws {
        let (monitor, loop) = try monitor()
        let key = MonitorRecord(
            .command, index: 0, payload: [0x1A, 0x20, 18, 0x40, 0] + [UInt8](repeating: 0xAB, count: 16))
        await monitor.hear(Self.acl.bytes, at: 1)
        await monitor.hear(key.bytes, at: 2)
        // No records: a kind of a later kernel, half a datagram, and what is not kept.
        await monitor.hear([40, 0, 0, 0, 0, 0], at: 3)
        await monitor.hear(Array(Self.acl.bytes.dropLast()), at: 3)
        await monitor.hear(MonitorRecord(.vendorDiagnosis, index: 0, payload: [1]).bytes, at: 3)
        let chunk = try #require(await monitor.take())
        var redacted = key
        redacted.payload.replaceSubrange(5..., with: [UInt8](repeating: 0, count: 16))
        #expect(chunk.records == 2)
        #expect(
            chunk.bytes == BTSnoop.record(Self.acl, microseconds: 1, drops: 0)
                + BTSnoop.record(redacted, microseconds: 2, drops: 0))
        #expect(await monitor.take() == nil)
        loop.stop()
    }

    @Test("blocks are bounded, and so is what waits: what is lost is counted in the records after it")
    func bounds() async throws {
        let (monitor, loop) = try monitor()
        let large = MonitorRecord(.isoReceived, index: 0, payload: [UInt8](repeating: 1, count: 10_000))
        for _ in 0..<200 { await monitor.hear(large.bytes, at: 0) }
        #expect(await monitor.drops > 0)
        var (bytes, records) = (0, 0)
        while let chunk = await monitor.take() {
            #expect(chunk.bytes.count <= CaptureCourse.blockBytes)
            bytes += chunk.bytes.count
            records += chunk.records
        }
        #expect(bytes <= 1 << 20)
        let drops = await monitor.drops
        #expect(records + Int(drops) == 200)
        await monitor.hear(Self.acl.bytes, at: 0)
        #expect(await monitor.take()?.bytes == BTSnoop.record(Self.acl, microseconds: 0, drops: drops))
        loop.stop()
    }

    @Test("a machine that does not let us says so, and one that does is listened to until it is stopped")
    func start() async throws {
        let (monitor, loop) = try monitor()
        do throws(BearerError) {
            try await monitor.start {}
            await monitor.stop()
            #expect(await monitor.failure == nil)
        } catch {
            guard case .system(_, let code) = error else { return }
            #expect(code != 0)
        }
        loop.stop()
    }
}
