import Destinations
import Simulator
import Testing
import Vitals

@testable import Courier

/// The verdict table, over real HTTP, to what stands in the journal and at the receiver.
@Suite("R6 verdicts end to end", .serialized)
struct VerdictTests {
    struct Passing: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var fault: ReceiverFault
        /// POST requests that the receiver saw.
        var posts: Int
        /// The outcome was unknown: it was asked.
        var asks = false
        /// It waited for the clock: moved on by the test.
        var waits = false
    }

    @Test(
        "what passes in the end stands there once",
        arguments: [
            Passing(testDescription: "slow", fault: .slow(.milliseconds(200)), posts: 1),
            Passing(testDescription: "429 with Retry-After", fault: .status(429, retryAfter: 60), posts: 2, waits: true),
            Passing(testDescription: "429", fault: .status(429), posts: 2, waits: true),
            Passing(testDescription: "503", fault: .status(503), posts: 2, waits: true),
            Passing(testDescription: "503 with Retry-After", fault: .status(503, retryAfter: 60), posts: 2, waits: true),
            Passing(testDescription: "500", fault: .status(500), posts: 2, waits: true),
            Passing(testDescription: "408", fault: .status(408), posts: 2, waits: true),
            Passing(testDescription: "425", fault: .status(425), posts: 2, waits: true),
            Passing(testDescription: "409", fault: .status(409), posts: 2, asks: true),
            Passing(testDescription: "hang after storing", fault: .hang(stored: true), posts: 1, asks: true),
            Passing(testDescription: "hang before storing", fault: .hang(stored: false), posts: 2, asks: true),
            Passing(testDescription: "cut after storing", fault: .cut(stored: true), posts: 1, asks: true),
            Passing(testDescription: "cut before storing", fault: .cut(stored: false), posts: 2, asks: true),
            Passing(testDescription: "garbage after storing", fault: .garbage(stored: true), posts: 1, asks: true),
            Passing(testDescription: "garbage before storing", fault: .garbage(stored: false), posts: 2, asks: true),
        ])
    func passesOnce(_ row: Passing) async throws {
        try await Net.with { net in
            try await net.serving([ReceiverFaultRule(row.fault, times: 1, methods: ["POST"])]) { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                try await hub.running([net.receiver(server.base)]) { courier in
                    if row.waits {
                        await becomes { await server.requests().count == 1 }
                        // Nothing of it is burnt, and it is not sent again before its time.
                        try await becomes { try await hub.state(act) == .waiting }
                        try await hub.pump(courier) { try await hub.state(act) == .delivered }
                    } else {
                        try await hub.expect(act, .delivered)
                    }
                }
                #expect(await server.requests("POST").count == row.posts)
                let questions = await server.requests("GET").count
                #expect((questions > 0) == row.asks)
                #expect(try await server.copies(of: act, in: hub) == [1, 1])
                let references = try await hub.items(act).map { $0.serverReference?.prefix(12) }
                #expect(references == ["Observation/", "Observation/"])
                let outcomes = try await hub.attempts(act).map(\.outcome)
                #expect(!outcomes.contains(nil))
                #expect(try await hub.conditions().isEmpty)
            }
        }
    }

    struct Holding: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var fault: ReceiverFault
        var code = Condition.Code.receiverHeld
    }

    @Test(
        "what holds the channel burns nothing, and goes on when a person has mended it",
        arguments: [
            Holding(testDescription: "401", fault: .status(401), code: .signInNeeded),
            Holding(testDescription: "403", fault: .status(403)),
            Holding(testDescription: "404 on the base", fault: .status(404)),
            Holding(testDescription: "407", fault: .status(407)),
            Holding(testDescription: "418", fault: .status(418)),
            Holding(testDescription: "302", fault: .redirect(302, location: "http://127.0.0.1:9/elsewhere")),
            Holding(testDescription: "307 to itself", fault: .redirect(307, location: "/fhir")),
        ])
    func holds(_ row: Holding) async throws {
        try await Net.with { net in
            try await net.serving([ReceiverFaultRule(row.fault)]) { server in
                let hub = try await Hub.open()
                let acts = [try await hub.act(ago: .seconds(3_600)), try await hub.act(ago: .seconds(7_200), systolic: 131)]
                try await hub.running([net.receiver(server.base)]) { courier in
                    try await becomes { try await hub.channel()?.held != nil }
                    #expect(try await hub.channel()?.held?.code == row.code)
                    #expect(try await hub.conditions() == [row.code])
                    // Hours and rings change nothing: the channel is held, and a redirect is never followed.
                    for _ in 0..<5 {
                        hub.clock.advance(.seconds(3_600))
                        courier.ring()
                        try? await Task.sleep(for: .milliseconds(10))
                    }
                    #expect(await server.requests().count == 1)
                    for act in acts { #expect(try await hub.state(act) == .waiting) }
                    await server.set()
                    try await courier.release(receiver: "clinic")
                    for act in acts { try await hub.expect(act, .delivered) }
                    #expect(try await hub.conditions().isEmpty)
                }
                for act in acts { #expect(try await server.copies(of: act, in: hub) == [1, 1]) }
            }
        }
    }

    @Test("a hold outlives a restart")
    func holdOutlivesRestart() async throws {
        try await Net.with { net in
            try await net.serving([ReceiverFaultRule(.status(403))]) { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                try await hub.running([net.receiver(server.base)]) { _ in
                    try await becomes { try await hub.channel()?.held != nil }
                }
                let again = try await hub.reopened()
                try await again.running([net.receiver(server.base)]) { courier in
                    courier.ring()
                    try? await Task.sleep(for: .milliseconds(100))
                    #expect(await server.requests().count == 1)
                    await server.set()
                    try await courier.release(receiver: nil)
                    try await again.expect(act, .delivered)
                }
            }
        }
    }

    @Test("401: one new credential, then it goes on")
    func credentialRefreshed() async throws {
        try await Net.with { net in
            try await net.serving(token: "new") { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                let credential = TestCredential("old", renewals: ["new", "unused"])
                try await hub.running([net.receiver(server.base, credential: credential)]) { _ in
                    try await hub.expect(act, .delivered)
                }
                #expect(credential.refreshes == 1)
                #expect(await server.requests("POST").count == 2)
                #expect(try await server.copies(of: act, in: hub) == [1, 1])
                #expect(try await hub.conditions().isEmpty)
            }
        }
    }

    @Test("401 again after the new credential: a hold, and no item is burnt")
    func credentialRefused() async throws {
        try await Net.with { net in
            try await net.serving(token: "right") { server in
                let hub = try await Hub.open()
                let act = try await hub.act(ago: .seconds(3_600))
                let credential = TestCredential("old", renewals: ["also wrong", "right"])
                try await hub.running([net.receiver(server.base, credential: credential)]) { courier in
                    try await becomes { try await hub.conditions() == [.signInNeeded] }
                    #expect(credential.refreshes == 1)
                    #expect(try await hub.state(act) == .waiting)
                    #expect(await server.requests().count == 2)
                    // Signed in again: what waited goes.
                    try await courier.release(receiver: nil)
                    try await hub.expect(act, .delivered)
                }
            }
        }
    }

    struct Refusing: Sendable, CustomTestStringConvertible {
        var testDescription: String
        var fault: ReceiverFault
    }

    @Test(
        "what is refused for what it is stands in quarantine, and a replay delivers it",
        arguments: [
            Refusing(testDescription: "422 for one entry", fault: .entryFails(0)),
            Refusing(testDescription: "400", fault: .status(400)),
            Refusing(testDescription: "413 of a single act", fault: .status(413)),
            Refusing(testDescription: "200 with an error inside", fault: .errorInside),
        ])
    func refusedAndReplayed(_ row: Refusing) async throws {
        try await Net.with { net in
            try await net.serving([ReceiverFaultRule(row.fault, times: 1, methods: ["POST"])]) { server in
                let hub = try await Hub.open()
                let bad = try await hub.act(ago: .seconds(7_200))
                let good = try await hub.act(ago: .seconds(3_600), systolic: 131)
                try await hub.running([net.receiver(server.base)]) { courier in
                    // The next one passes: a refusal is the item's own.
                    try await hub.expect(good, .delivered)
                    let states = try await hub.items(bad).map(\.state)
                    #expect(states == [.quarantined, .quarantined])
                    #expect(try await hub.conditions() == [.quarantine])
                    #expect(try await server.copies(of: bad, in: hub) == [0, 0])
                    #expect(try await hub.attempts(bad).last?.status != nil)
                    try await hub.replay(bad)
                    courier.ring()
                    try await hub.expect(bad, .delivered)
                }
                #expect(try await server.copies(of: bad, in: hub) == [1, 1])
                #expect(try await hub.attempts(bad).count == 2)
            }
        }
    }

    @Test("an entry refused inside a 200 is that entry's alone")
    func entryRefusedInside() async throws {
        try await Net.with { net in
            let hub = try await Hub.open()
            let act = try await hub.act(ago: .seconds(3_600))
            // Where the reading's own entry stands in the request.
            let receiver = net.receiver("http://127.0.0.1:9")
            let clock = hub.clock
            let index = try await hub.journal.write { tx throws in
                guard
                    case .ready(let prepared) = try tx.prepare(
                        act: act, channel: "clinic", receiver: receiver, desk: receiver.desks.desk(for: Hub.patient),
                        now: clock.now()),
                    let entry = prepared.draft.entries.last
                else { throw TestFailure.noDispatch }
                try tx.discardAttempt(prepared.attempt)
                try tx.dropDispatch(id: prepared.dispatch)
                for item in prepared.items { try tx.setItem(item.id, state: .waiting) }
                return entry.index
            }
            try await net.serving([ReceiverFaultRule(.entryRefused(index), times: 1, methods: ["POST"])]) { server in
                try await hub.running([net.receiver(server.base)]) { _ in
                    try await becomes {
                        try await hub.items(act).map(\.state.rawValue).sorted() == ["delivered", "quarantined"]
                    }
                }
                #expect(try await server.copies(of: act, in: hub).sorted() == [0, 1])
            }
        }
    }

    @Test("ten acts refused alike hold the channel: the mapping is wrong, not the patients")
    func tenEqualRefusals() async throws {
        try await Net.with { net in
            try await net.serving([ReceiverFaultRule(.entryFails(0), methods: ["POST"])]) { server in
                let hub = try await Hub.open()
                var owed: [Int64] = []
                for number in 0..<12 {
                    owed.append(try await hub.act(ago: .seconds(Int64(86_400 - number * 600)), systolic: Int64(110 + number)))
                }
                let acts = owed
                try await hub.running([net.receiver(server.base)]) { _ in
                    try await becomes { try await hub.channel()?.held != nil }
                    try? await Task.sleep(for: .milliseconds(50))
                    #expect(await server.requests("POST").count == 10)
                    #expect(try await hub.conditions() == [.receiverHeld, .quarantine])
                    #expect(try await hub.state(acts[9]) == .quarantined)
                    for act in acts.suffix(2) { #expect(try await hub.state(act) == .waiting) }
                }
            }
        }
    }

    @Test("200 to a conditional create: equal values are delivered, different ones go to quarantine", arguments: [127, 128])
    func thereAlready(_ systolic: Int64) async throws {
        try await Net.with { net in
            try await net.serving { server in
                // Two hubs in one home tell of the same measurement of the same device.
                let (first, second) = (try await Hub.open(), try await Hub.open())
                let told = try await first.act(ago: .seconds(3_600))
                try await first.running([net.receiver(server.base)]) { _ in try await first.expect(told, .delivered) }
                let act = try await second.act(ago: .seconds(3_600), systolic: systolic)
                try await second.running([net.receiver(server.base)]) { _ in
                    try await becomes {
                        try await second.items(act).allSatisfy { $0.state == .delivered || $0.state == .quarantined }
                    }
                }
                let states = try await second.items(act).map(\.state)
                #expect(states == (systolic == 127 ? [.delivered, .delivered] : [.quarantined, .delivered]))
                // The pressures of both hubs are one resource.
                #expect(try await server.copies(of: act, in: second) == [0, 0])
                #expect(try await second.conditions() == (systolic == 127 ? [] : [.quarantine]))
            }
        }
    }

    @Test("an unknown outcome that cannot be asked about is a person's, or sent again, as the receiver's policy says")
    func cannotBeAsked() async throws {
        for policy in [ReceiverSettings.UncertainPolicy.hold, .resend] {
            try await Net.with { net in
                let rules = [
                    ReceiverFaultRule(.cut(stored: true), times: 1, methods: ["POST"]),
                    ReceiverFaultRule(.status(403), methods: ["GET"]),
                ]
                try await net.serving(rules) { server in
                    let hub = try await Hub.open()
                    let act = try await hub.act(ago: .seconds(3_600))
                    try await hub.running([net.receiver(server.base, uncertain: policy)]) { courier in
                        switch policy {
                        case .hold:
                            try await becomes { try await hub.conditions() == [.outcomeUnknown] }
                            try await hub.expect(act, .uncertain)
                            for _ in 0..<3 {
                                hub.clock.advance(.seconds(3_600))
                                courier.ring()
                                try? await Task.sleep(for: .milliseconds(10))
                            }
                            #expect(await server.requests("POST").count == 1)
                            #expect(try await hub.state(act) == .uncertain)
                        case .resend:
                            // Sent again: it was there, and reading it back is refused too. Nothing says that it is delivered.
                            await becomes { await server.requests("POST").count >= 2 }
                        }
                    }
                    #expect(try await server.copies(of: act, in: hub) == [1, 1])
                }
            }
        }
    }
}
