import EventLoop
import Glibc
import Synchronization
import Testing

@testable import Bluetooth

@Suite("a bearer over a socket, and who closes it", .timeLimit(.minutes(1)))
struct SocketBearerTests {
    private static let request: [UInt8] = [0x02, 0x05, 0x02]
    private static let answer: [UInt8] = [0x03, 0x41, 0x00]

    /// The bearer's end and the peer's end of one link.
    private func link(_ loop: EventLoop, closer: LinkCloser? = nil) async throws -> (bearer: SocketBearer, peer: Int32) {
        var ends: [Int32] = [0, 0]
        try #require(socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &ends) == 0)
        let end = ends[0]
        let bearer = SocketBearer(unwatched: end, loop: loop, closer: closer)
        try await Self.begin(bearer)
        return (bearer, ends[1])
    }

    private static func begin(_ bearer: isolated SocketBearer) throws { try bearer.begin() }

    /// What the peer reads next; empty at the end of the link.
    private func read(_ peer: Int32) async throws -> [UInt8] {
        var bytes = [UInt8](repeating: 0, count: 64)
        while true {
            let count = recv(peer, &bytes, bytes.count, Int32(MSG_DONTWAIT))
            if count >= 0 || errno != EAGAIN { return Array(bytes[..<max(0, count)]) }
            try await Task.sleep(for: .milliseconds(2))
        }
    }

    @Test("the first request is answered: the answer stays for the session") func greeted() async throws {
        let loop = try EventLoop(name: "greeted")
        defer { loop.stop() }
        let (bearer, peer) = try await link(loop)
        async let greeting: Void = bearer.greet(Self.request, atMost: .seconds(30))
        #expect(try await read(peer) == Self.request)
        #expect(send(peer, Self.answer, Self.answer.count, 0) == Self.answer.count)
        await greeting
        var incoming = bearer.incoming.makeAsyncIterator()
        #expect(await incoming.next() == Self.answer)
        // Who has spoken is not greeted again.
        await bearer.greet(Self.request, atMost: .seconds(30))
        await bearer.close()
        #expect(try await read(peer) == [])
        close(peer)
    }

    @Test("a peer that does not answer is waited for as long as was said") func silent() async throws {
        let loop = try EventLoop(name: "silent")
        defer { loop.stop() }
        let (bearer, peer) = try await link(loop)
        let began = ContinuousClock.now
        await bearer.greet(Self.request, atMost: .milliseconds(200))
        #expect(ContinuousClock.now - began >= .milliseconds(200))
        await bearer.close()
        close(peer)
    }

    @Test("a link that ends is not waited for") func ended() async throws {
        let loop = try EventLoop(name: "ended")
        defer { loop.stop() }
        let (bearer, peer) = try await link(loop)
        async let greeting: Void = bearer.greet(Self.request, atMost: .seconds(600))
        #expect(try await read(peer) == Self.request)
        close(peer)
        await greeting
        await #expect(throws: BearerError.closed) { try await bearer.send(Self.request) }
    }

    @Test("a radio link is closed by a thread of its own, and that is no fault") func closedApart()
        async throws
    {
        let loop = try EventLoop(name: "apart")
        defer { loop.stop() }
        let faults = Flag()
        let closer = LinkCloser(loop: loop, patience: .milliseconds(300)) { faults.raise() }
        let (bearer, peer) = try await link(loop, closer: closer)
        await bearer.close()
        #expect(try await read(peer) == [])
        try await Task.sleep(for: .milliseconds(600))
        #expect(!faults.isRaised)
        close(peer)
    }

    @Test("a thread that does not come back from a close is told of, and the loop goes on (R10)") func r10_closeThatNeverReturns()
        async throws
    {
        let loop = try EventLoop(name: "stuck")
        defer { loop.stop() }
        let faults = Flag()
        let gate = Flag()
        let closer = LinkCloser(
            loop: loop, patience: .milliseconds(50),
            close: { descriptor in
                while !gate.isRaised { usleep(1_000) }
                Glibc.close(descriptor)
            }
        ) { faults.raise() }
        let (bearer, peer) = try await link(loop, closer: closer)
        await bearer.close()
        while !faults.isRaised { try await Task.sleep(for: .milliseconds(10)) }
        // The loop serves others meanwhile.
        let (other, otherPeer) = try await link(loop)
        try await other.send(Self.request)
        #expect(try await read(otherPeer) == Self.request)
        await other.close()
        gate.raise()
        #expect(try await read(peer) == [])
        close(peer)
        close(otherPeer)
    }
}

private final class Flag: Sendable {
    private let value = Atomic(false)
    var isRaised: Bool { value.load(ordering: .acquiring) }
    func raise() { value.store(true, ordering: .releasing) }
}
