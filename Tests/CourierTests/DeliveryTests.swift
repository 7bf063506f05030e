import Destinations
import HTTPMessage
import Journal
import Simulator
import Steward
import Synchronization
import Testing
import Vitals

@testable import Courier

@Suite("R6 R7 delivery", .serialized)
struct DeliveryTests {
    // MARK: R6

    @Test("R6 one receiver hangs, the other gets everything at once")
    func r6_oneHangsOtherDelivers() async throws {
        try await Net.with { net in
            try await net.serving([ReceiverFaultRule(.hang(stored: false))]) { dead in
                try await net.serving { alive in
                    let hub = try await Hub.open(receivers: ["clinic", "research"])
                    var owed: [Int64] = []
                    for number in 0..<5 {
                        owed.append(
                            try await hub.act(
                                ago: .seconds(Int64(3_600 + number * 60)), systolic: Int64(120 + number),
                                to: ["clinic", "research"]))
                    }
                    let acts = owed
                    let receivers = [
                        net.receiver(dead.base, timeout: .seconds(60)), net.receiver(alive.base, name: "research"),
                    ]
                    try await hub.running(receivers) { _ in
                        for act in acts { try await hub.expect(act, .delivered, at: "research") }
                        // The other's first request is still under way.
                        #expect(await dead.requests().count == 1)
                        let states = Set(try await hub.items(acts[4], "clinic").map(\.state))
                        #expect(states.isSubset(of: [.sending, .waiting]))
                    }
                }
            }
        }
    }

    @Test("R6 a bad act steps aside after its failure and delays no other; the fifth failure is a condition")
    func r6_badActStepsAside() async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                let bad = try await hub.act(ago: .seconds(9_000))
                let items = Set(try await hub.items(bad).map(\.id))
                var others: [Int64] = []
                for number in 0..<4 {
                    others.append(try await hub.act(ago: .seconds(Int64(8_000 - number * 100)), systolic: Int64(130 + number)))
                }
                let good = others
                let failing = Mutex(true)
                let tries = Mutex(0)
                let receiver = net.receiver(server.base) { base in
                    FailingDestination(base: base) { draft in
                        guard !items.isDisjoint(with: draft.entries.map(\.item)), failing.withLock({ $0 }) else { return false }
                        tries.withLock { $0 += 1 }
                        return true
                    }
                }
                try await hub.running([receiver]) { courier in
                    // The clock stands: nothing waits for a pause of the bad one's.
                    for act in good { try await hub.expect(act, .delivered) }
                    #expect(try await hub.state(bad) == .waiting)
                    #expect(tries.withLock { $0 } == 1)
                    try await hub.pump(courier, by: .seconds(60)) { try await hub.conditions().contains(.itemFailing) }
                    #expect(tries.withLock { $0 } >= 5)
                    // A newer one goes by it without a wait of its own.
                    let late = try await hub.act(ago: .seconds(60), systolic: 140)
                    courier.ring()
                    try await hub.expect(late, .delivered)
                    failing.withLock { $0 = false }
                    try await hub.pump(courier, by: .seconds(60)) { try await hub.state(bad) == .delivered }
                    #expect(try await hub.conditions().isEmpty)
                }
            }
        }
    }

    @Test("R6 a receiver that cannot be reached leaves one row, no attempts, and after 15 minutes a condition")
    func r6_unreachable() async throws {
        try await Net.with { net in
            let hub = try await Hub.open()
            let act = try await hub.act(ago: .seconds(3_600))
            // A port that was free a moment ago: nobody listens.
            let base = try await net.serving { $0.base }
            try await hub.running([net.receiver(base)]) { courier in
                try await becomes { try await hub.channel()?.failures == 1 }
                #expect(try await hub.conditions().isEmpty)
                try await hub.pump(courier, by: .seconds(60)) { (try await hub.channel()?.failures ?? 0) >= 8 }
                try await hub.pump(courier, by: .seconds(600)) { try await hub.conditions() == [.receiverUnreachable] }
                let row = try await hub.channel()
                #expect(row?.failureKind == "connect")
                #expect(row?.held == nil)
                #expect(try await hub.attempts(act).isEmpty)
                try await becomes { try await hub.state(act) == .waiting }
            }
        }
    }

    @Test("R6 two bad acts at the head do not keep the others from their turn")
    func r6_twoBadActs() async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                let bad = [try await hub.act(ago: .seconds(9_000)), try await hub.act(ago: .seconds(8_900), systolic: 128)]
                let items = Set(try await hub.items(bad[0]).map(\.id) + hub.items(bad[1]).map(\.id))
                let good = try await hub.act(ago: .seconds(8_000), systolic: 130)
                let receiver = net.receiver(server.base) { base in
                    FailingDestination(base: base) { draft in !items.isDisjoint(with: draft.entries.map(\.item)) }
                }
                try await hub.running([receiver]) { courier in
                    try await hub.pump(courier, by: .milliseconds(500)) { try await hub.state(good) == .delivered }
                }
                let turn = try await hub.attempts(good)[0].id
                for act in bad {
                    let before = try await hub.attempts(act).count { $0.id < turn }
                    #expect(before == 1)
                }
            }
        }
    }

    @Test("R6 a receiver that answers 500 to everything for a quarter of an hour is a condition, and no act is blamed")
    func r6_failsOnAll() async throws {
        try await Net.with { net in
            try await net.serving([ReceiverFaultRule(.status(500))]) { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                try await hub.running([net.receiver(server.base)]) { courier in
                    try await hub.pump(courier, by: .seconds(120)) { try await hub.conditions() == [.receiverUnreachable] }
                    await server.set()
                    try await hub.pump(courier, by: .seconds(120)) { try await hub.state(act) == .delivered }
                    #expect(try await hub.conditions().isEmpty)
                }
            }
        }
    }

    @Test("R6 when an unreachable receiver is there again, the condition goes")
    func r6_reachableAgain() async throws {
        try await Net.with { net in
            let hub = try await Hub.open()
            let act = try await hub.act(ago: .seconds(3_600))
            let clock = hub.clock
            try await hub.journal.write { tx in
                let first = clock.now().wall - .seconds(2_000)
                try tx.setChannel(
                    ChannelRecord(
                        channel: "clinic", receiver: "clinic", failures: 9, firstFailure: first, lastFailure: first,
                        failureKind: "connect"))
                try tx.raise(Condition(.receiverUnreachable, subject: "clinic", since: first, reason: "connect"))
            }
            try await net.serving { server in
                try await hub.running([net.receiver(server.base)]) { _ in try await hub.expect(act, .delivered) }
            }
            #expect(try await hub.conditions().isEmpty)
            #expect(try await hub.channel()?.failures == 0)
        }
    }

    @Test("R6 a fresh act goes ahead of the backlog, which goes oldest first")
    func r6_freshFirst() async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                var owed: [Int64] = []
                for days in [3, 5, 1, 4, 2] {
                    owed.append(try await hub.act(ago: .seconds(Int64(days) * 86_400), systolic: Int64(120 + days)))
                }
                let backlog = owed
                let fresh = try await hub.act(ago: .seconds(60), systolic: 140)
                try await hub.running([net.receiver(server.base)]) { _ in
                    for act in backlog + [fresh] { try await hub.expect(act, .delivered) }
                }
                var started: [(Int64, Int64)] = []
                for act in backlog + [fresh] { started.append((try await hub.attempts(act)[0].id, act)) }
                let order = started.sorted { $0.0 < $1.0 }.map(\.1)
                #expect(order == [fresh, backlog[1], backlog[3], backlog[0], backlog[4], backlog[2]])
            }
        }
    }

    @Test("R6 the attempt is on disk before its first byte leaves")
    func r6_attemptBeforeFirstByte() async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                let seen = Mutex<[Bool]>([])
                // Asked for right before the request goes to libcurl.
                let credential = LookingCredential {
                    let open = (try? await hub.journal.read { tx in try tx.openAttempts() }) ?? []
                    let states = (try? await hub.items(act).map(\.state)) ?? []
                    let requests = await server.requests().count
                    seen.withLock { $0.append(open.count == 1 && states.allSatisfy { $0 == .sending } && requests == 0) }
                }
                try await hub.running([net.receiver(server.base, credential: credential)]) { _ in
                    try await hub.expect(act, .delivered)
                }
                #expect(seen.withLock { $0 } == [true])
            }
        }
    }

    @Test("R6 a month offline, then a receiver that is overloaded half the time: all delivered, none twice")
    func r6_monthOffline() async throws {
        try await Net.with { net in
            let rules = [ReceiverFaultRule(.status(429, retryAfter: 1), .status(503), percent: 50)]
            try await net.serving(rules, seed: 7) { server in
                let hub = try await Hub.open()
                var acts: [Int64] = []
                for number in 0..<40 {
                    acts.append(
                        try await hub.act(ago: .seconds(Int64(30 * 86_400 - number * 64_800)), systolic: Int64(110 + number % 50))
                    )
                }
                let all = acts
                try await hub.running([net.receiver(server.base)]) { courier in
                    try await hub.pump(courier, by: .seconds(900), within: .seconds(30)) {
                        try await hub.journal.read { tx in try tx.counts() }.items["clinic"]?[.delivered] == all.count * 2
                    }
                }
                for act in acts { #expect(try await server.copies(of: act, in: hub) == [1, 1]) }
                let stored = await server.requests("POST").count { $0.written > 0 }
                #expect(stored == acts.count)
            }
        }
    }

    // MARK: R5

    @Test("R5 while the hub's clock is not synchronised nothing leaves")
    func r5_unsynchronised() async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                hub.clock.setSource(.unsynchronised)
                try await hub.running([net.receiver(server.base)]) { courier in
                    for _ in 0..<5 {
                        courier.ring()
                        try? await Task.sleep(for: .milliseconds(20))
                    }
                    #expect(await server.requests().isEmpty)
                    #expect(try await hub.attempts(act).isEmpty)
                    hub.clock.setSource(.ntp)
                    courier.ring()
                    try await hub.expect(act, .delivered)
                }
            }
        }
    }

    // MARK: Crashes

    @Test("a crash with a request under way: asked before it is sent again", arguments: [true, false])
    func crashWhileSending(_ hadArrived: Bool) async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                let (receiver, clock) = (net.receiver(server.base), hub.clock)
                let request = try await hub.journal.write { tx throws in
                    guard
                        case .ready(let prepared) = try tx.prepare(
                            act: act, channel: "clinic", receiver: receiver, desk: receiver.desks.desk(for: Hub.patient),
                            now: clock.now())
                    else { throw TestFailure.noDispatch }
                    return prepared.draft.request
                }
                if hadArrived { _ = await net.client().send(request) }
                #expect(try await hub.state(act) == .sending)

                let after = try await hub.reopened()
                try await after.running([net.receiver(server.base)]) { _ in try await after.expect(act, .delivered) }
                let methods = await server.requests().map(\.method)
                #expect(methods == (hadArrived ? ["POST", "GET", "GET"] : ["GET", "GET", "POST"]))
                #expect(try await server.copies(of: act, in: after) == [1, 1])
                let outcomes = try await after.attempts(act).map(\.outcome)
                #expect(outcomes == (hadArrived ? ["unknown"] : ["unknown", "answered"]))
            }
        }
    }

    @Test("a crash while an unknown outcome is being asked about: asked again")
    func crashWhileUncertain() async throws {
        try await Net.with { net in
            let rules = [
                ReceiverFaultRule(.cut(stored: true), times: 1, methods: ["POST"]),
                ReceiverFaultRule(.status(503), methods: ["GET"]),
            ]
            try await net.serving(rules) { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                try await hub.running([net.receiver(server.base)]) { _ in
                    await becomes { await !server.requests("GET").isEmpty }
                }
                try await hub.expect(act, .uncertain)
                await server.set()
                let after = try await hub.reopened()
                try await after.running([net.receiver(server.base)]) { _ in try await after.expect(act, .delivered) }
                #expect(await server.requests("POST").count == 1)
                #expect(try await server.copies(of: act, in: after) == [1, 1])
            }
        }
    }

    @Test("the frozen request is sent again byte for byte")
    func frozenRequest() async throws {
        try await Net.with { net in
            try await net.serving([ReceiverFaultRule(.status(503), times: 1)]) { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                try await hub.running([net.receiver(server.base)]) { courier in
                    try await hub.pump(courier) { try await hub.state(act) == .delivered }
                }
                let dispatches = Set(try await hub.attempts(act).map(\.dispatch))
                #expect(dispatches.count == 1)
                #expect(try await hub.attempts(act).map(\.status) == [503, 200])
            }
        }
    }

    @Test("R3 two acts of the same device minute are two at the receiver")
    func r3_sameMinute() async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                hub.clock.advance(.seconds(1))
                let (first, second) = (
                    try await hub.act(at: TestClock.noon - .seconds(3_600)),
                    try await hub.act(at: TestClock.noon - .seconds(3_600), systolic: 140)
                )
                try await hub.running([net.receiver(server.base)]) { _ in
                    try await hub.expect(first, .delivered)
                    try await hub.expect(second, .delivered)
                }
                for act in [first, second] { #expect(try await server.copies(of: act, in: hub) == [1, 1]) }
            }
        }
    }

    // MARK: Corrections

    @Test(
        "R4 a delivered reading that was taken back stands as entered in error at the receiver, also after an unknown outcome",
        arguments: [true, false])
    func r4_correction(_ isCut: Bool) async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                try await hub.running([net.receiver(server.base)]) { courier in
                    try await hub.expect(act, .delivered)
                    if isCut { await server.set(ReceiverFaultRule(.cut(stored: true), times: 1, methods: ["POST"])) }
                    // As the desk leaves it.
                    let delivered = try await hub.items(act)
                    let now = hub.clock.now().wall
                    try await hub.journal.write { tx in
                        guard var record = try tx.act(id: act) else { return }
                        record.state = .retracted
                        record = try tx.update(record)
                        for item in delivered {
                            guard let reading = record.readings.first(where: { $0.id == item.reading }),
                                let correction = try tx.insertItem(
                                    act: act, reading: reading, kind: .correction, receiver: item.receiver, channel: item.channel,
                                    effective: item.effective, created: now)
                            else { continue }
                            try tx.setItem(correction.id, state: .waiting, serverReference: item.serverReference)
                        }
                    }
                    courier.ring()
                    try await becomes {
                        let corrections = try await hub.items(act).filter { $0.kind == .correction }
                        return corrections.count == 2 && !corrections.contains { $0.state != .delivered }
                    }
                }
                #expect(try await server.copies(of: act, in: hub) == [1, 1])
                let subjects = Set(try await hub.items(act).map { "urn:uuid:" + $0.readingSubject.rawValue })
                for resource in await server.fhir.state.resources("Observation") {
                    let isOurs = (resource["identifier"]?.array ?? []).contains { subjects.contains($0["value"]?.string ?? "") }
                    if isOurs { #expect(resource["status"]?.string == "entered-in-error") }
                }
                let posts = await server.requests("POST").count
                #expect(posts == 2)
            }
        }
    }

    // MARK: R7

    @Test("R7 a refusal recorded before the sending withdraws what waits, and the audit says so")
    func r7_refusal() async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                let clock = hub.clock
                try await hub.journal.write { tx in
                    try tx.insertRefusal(patient: Hub.patient, receiver: "clinic", at: clock.now().wall)
                }
                try await hub.running([net.receiver(server.base)]) { _ in try await hub.expect(act, .withdrawn) }
                #expect(try await hub.items(act).map(\.reason) == ["refused", "refused"])
                #expect(await server.requests().isEmpty)
                #expect(try await hub.audit().contains("withhold"))
            }
        }
    }

    @Test("R7 a refusal while the receiver is away acts at once: nothing leaves when it is back")
    func r7_refusalWhileWaiting() async throws {
        try await Net.with { net in
            try await net.serving([ReceiverFaultRule(.status(503), times: 1)]) { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                let clock = hub.clock
                try await hub.running([net.receiver(server.base)]) { courier in
                    await becomes { await server.requests().count == 1 }
                    try await hub.journal.write { tx in
                        try tx.insertRefusal(patient: Hub.patient, receiver: nil, at: clock.now().wall)
                    }
                    try await hub.pump(courier) { try await hub.state(act) == .withdrawn }
                }
                #expect(await server.requests().count == 1)
                #expect(try await server.copies(of: act, in: hub) == [0, 0])
            }
        }
    }

    @Test("R7 a recipient period that does not cover the effective time is no entitlement", arguments: [true, false])
    func r7_recipientPeriod(_ covers: Bool) async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                let (assignment, until) = (hub.assignment, hub.clock.now().wall - .seconds(covers ? 1_800 : 7_200))
                try await hub.journal.write { tx in
                    try tx.setRecipientEnd(assignment: assignment, receiver: "clinic", until: until)
                }
                try await hub.running([net.receiver(server.base)]) { _ in
                    try await hub.expect(act, covers ? .delivered : .withdrawn)
                }
                let requests = await server.requests().count
                #expect((requests > 0) == covers)
            }
        }
    }

    @Test("R7 a reading that was taken back before it was sent never leaves")
    func r7_retracted() async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                try await hub.journal.write { tx in
                    guard var record = try tx.act(id: act) else { return }
                    record.state = .retracted
                    try tx.update(record)
                }
                try await hub.running([net.receiver(server.base)]) { _ in try await hub.expect(act, .withdrawn) }
                #expect(await server.requests().isEmpty)
            }
        }
    }

    @Test("R7 the release of each act stands in the audit log")
    func r7_audited() async throws {
        try await Net.with { net in
            try await net.serving { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                try await hub.running([net.receiver(server.base)]) { _ in try await hub.expect(act, .delivered) }
                #expect(try await hub.audit() == ["release"])
            }
        }
    }
}
