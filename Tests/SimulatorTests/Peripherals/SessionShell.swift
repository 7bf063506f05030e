import Bluetooth
import Devices
import EventLoop
import Glibc
import Protocols
import Synchronization
import Vitals

/// The smallest shell around a session: no database, every frame "committed" a moment after it came.
struct SessionShell: Sendable {
    struct Link: Sendable {
        var actions: [SessionAction] = []
        var results: [[UInt8]] { stored(.result) }
        func stored(_ role: FrameRole) -> [[UInt8]] {
            actions.compactMap { if case .store(_, let frame, role) = $0 { frame.bytes } else { nil } }
        }
        var streams: [StreamReading] { actions.compactMap { if case .storeStream(_, let reading) = $0 { reading } else { nil } } }
        var outcome: SessionOutcome? { actions.compactMap { if case .end(let outcome) = $0 { outcome } else { nil } }.first }
        var notes: [SessionNote] { actions.compactMap { if case .note(let note) = $0 { note } else { nil } } }
        var handleMap: [UInt8]? { actions.compactMap { if case .handleMap(let map) = $0 { map } else { nil } }.last }
        var hasIdentity: Bool { actions.contains { if case .identity = $0 { true } else { false } } }
        var clockSets: Int { actions.count { if case .clockSet = $0 { true } else { false } } }
    }

    private enum Event: Sendable {
        case pdu([UInt8], at: ClockReading)
        case committed(FrameToken)
        case wake(at: ClockReading)
        case ended
    }

    /// Commits are "refused" instead.
    var refuses = false
    /// Samples of a stream stand a second apart, however fast they come.
    private final class Time: Sendable {
        let samples = Mutex(0)
        let start = ContinuousClock.now
        func now() -> ClockReading {
            let elapsed = (ContinuousClock.now - start).milliseconds + Int64(samples.withLock { $0 }) * 1_000
            return ClockReading(
                wall: Instant(milliseconds: 1_795_258_800_000 + elapsed), offsetMinutes: 60,
                monotonic: MonotonicTime(milliseconds: elapsed), boot: BootID(rawValue: "test"), source: .ntp)
        }
    }

    /// The wall on which ``Time`` begins: 12:00 on 21 November 2026, an hour east of UTC.
    static let localTime = LocalDateTime(year: 2026, month: 11, day: 21, hour: 12, minute: 0, second: 0)

    func run(_ start: DeviceSession, on bearer: any Bearer) async -> Link {
        let time = Time()
        var session = start
        var link = Link()
        let (events, feed) = AsyncStream.makeStream(of: Event.self)
        await withDiscardingTaskGroup { group in
            group.addTask {
                for await pdu in bearer.incoming {
                    if pdu.first == 0x1B, pdu.count > 8 { time.samples.withLock { $0 += 1 } }
                    feed.yield(.pdu(pdu, at: time.now()))
                }
                feed.yield(.ended)
            }
            func perform(_ actions: [SessionAction]) async {
                for action in actions {
                    link.actions.append(action)
                    switch action {
                    case .send(let pdu): try? await bearer.send(pdu)
                    case .store(let token, _, _), .storeStream(let token, _):
                        group.addTask {
                            try? await Task.sleep(for: .milliseconds(1))
                            feed.yield(.committed(token))
                        }
                    case .identity: await perform(session.enrolled(at: time.now()))
                    case .wake(let at):
                        let pause = max(.zero, at - time.now().monotonic)
                        group.addTask {
                            try? await Task.sleep(for: pause)
                            feed.yield(.wake(at: time.now()))
                        }
                    case .end: await bearer.close()
                    default: break
                    }
                }
            }
            await perform(session.start(at: time.now()))
            loop: for await event in events {
                switch event {
                case .pdu(let pdu, let at): await perform(session.receive(pdu, at: at))
                case .committed(let token):
                    await perform(refuses ? session.refused(token, at: time.now()) : session.committed(token, at: time.now()))
                case .wake(let at): await perform(session.timer(at: at))
                case .ended:
                    await perform(session.linkEnded(at: time.now()))
                    break loop
                }
            }
            group.cancelAll()
        }
        return link
    }

    /// Two ends of a connected pair of `SOCK_SEQPACKET` descriptors.
    static func socketPair() throws -> (hub: Int32, device: Int32) {
        var ends: [Int32] = [-1, -1]
        guard socketpair(AF_UNIX, Int32(SOCK_SEQPACKET.rawValue), 0, &ends) == 0 else { throw PairError(code: errno) }
        return (ends[0], ends[1])
    }

    struct PairError: Error { var code: Int32 }
}
