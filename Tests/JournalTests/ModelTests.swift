import Steward
import Testing
import Vitals

@testable import Journal

/// The journal beside a model of it in a few dictionaries, through random commands, rollbacks, reopens and crashes.
@Suite("The journal against a model")
struct ModelTests {
    struct Model: Equatable {
        struct Item: Equatable {
            var act: Int
            var receiver: String
            var state: ItemState
            var settled: Instant?
        }
        /// By number: the act's row.
        var acts: [Int: Int64] = [:]
        var purged: Set<Int> = []
        /// By row.
        var items: [Int64: Item] = [:]
        var conditions: Set<String> = []
    }

    struct RollBack: Error {}

    @Test("Random commands", arguments: Array(UInt64(1)...6))
    func commands(seed: UInt64) async throws {
        var scratch = Scratch()
        var journal = try await Journal.open(scratch.options())
        let fixture = try await journal.write { tx in try tx.fixture() }
        var model = Model()
        var random = Generator(seed: seed)
        for step in 0..<120 {
            switch Int.random(in: 0..<20, using: &random) {
            case 0..<16:
                let isRolledBack = Int.random(in: 0..<5, using: &random) == 0
                let (before, dice) = (model, random)
                do {
                    (model, random) = try await journal.write(.intake) { [model] tx in
                        var (next, dice) = (model, dice)
                        for _ in 0..<Int.random(in: 1...3, using: &dice) {
                            try Self.command(tx, fixture, step, &next, &dice)
                        }
                        if isRolledBack { throw RollBack() }
                        return (next, dice)
                    }
                    #expect(!isRolledBack)
                } catch {
                    #expect(isRolledBack, "seed \(seed) step \(step): \(error)")
                    model = before
                    _ = random.next()
                }
            case 16, 17:
                await journal.close()
                journal = try await Journal.open(scratch.options())
            default:
                // A crash: the files as they are, in another place.
                let next = Scratch()
                writeFile(contents(scratch.database), next.database)
                writeFile(contents(scratch.database + "-wal"), next.database + "-wal")
                await journal.close()
                scratch = next
                journal = try await Journal.open(scratch.options())
            }
            let expected = model
            try await journal.read { tx in try Self.compare(tx, expected, "seed \(seed) step \(step)") }
        }
        await journal.close()
    }

    private static func command(
        _ tx: Transaction, _ fixture: Fixture, _ step: Int, _ model: inout Model, _ dice: inout Generator
    ) throws {
        let now = at(Int64(step))
        switch Int.random(in: 0..<10, using: &dice) {
        case 0..<4:
            let number = Int.random(in: 1...40, using: &dice)
            switch try tx.identityState(identity(number)) {
            case .act(let id): #expect(model.acts[number] == id)
            case .tombstone: #expect(model.purged.contains(number))
            case .unknown:
                #expect(model.acts[number] == nil && !model.purged.contains(number))
                let act = try tx.sampleAct(number, fixture)
                model.acts[number] = act.id
                for receiver in ["phd", "fut"] where Bool.random(using: &dice) {
                    for item in try tx.sampleItems(act, receiver: receiver, channel: receiver) {
                        model.items[item.id] = Model.Item(act: number, receiver: receiver, state: .waiting)
                    }
                }
            }
        case 4..<8:
            guard let id = model.items.keys.sorted().randomElement(using: &dice),
                let state = ItemState.allCases.randomElement(using: &dice)
            else { return }
            try tx.setItem(id, state: state, at: now)
            model.items[id]?.state = state
            model.items[id]?.settled = state == .delivered || state == .withdrawn ? now : nil
        case 8:
            let acts = try tx.purgeCandidates(deliveredBefore: now, limit: 3)
            for id in acts {
                guard let number = model.acts.first(where: { $0.value == id })?.key else {
                    Issue.record("an act that is not there")
                    continue
                }
                let items = model.items.values.filter { $0.act == number }
                #expect(items.contains { $0.state == .delivered })
                #expect(items.allSatisfy { $0.settled.map { $0 < now } ?? false })
                model.acts[number] = nil
                model.purged.insert(number)
                model.items = model.items.filter { $0.value.act != number }
            }
            try tx.purge(acts: acts, outcome: "delivered", at: now)
        default:
            let name = "subject \(Int.random(in: 0..<4, using: &dice))"
            if Bool.random(using: &dice) {
                #expect(
                    try tx.raise(Condition(.quarantine, subject: name, since: now, reason: "r"))
                        == model.conditions.insert(name).inserted)
            } else {
                #expect(try tx.clear(.quarantine, subject: name) == (model.conditions.remove(name) != nil))
            }
        }
    }

    private static func compare(_ tx: Transaction, _ model: Model, _ place: String) throws {
        let counts = try tx.counts()
        #expect(counts.acts["ready"] ?? 0 == model.acts.count, "\(place)")
        for receiver in ["phd", "fut"] {
            for state in ItemState.allCases {
                let expected = model.items.values.count { $0.receiver == receiver && $0.state == state }
                #expect(counts.items[receiver]?[state] ?? 0 == expected, "\(place)")
                let found = try tx.items(state: state, receiver: receiver, limit: 500).map(\.id)
                #expect(
                    found == model.items.filter { $0.value.receiver == receiver && $0.value.state == state }.keys.sorted(),
                    "\(place)")
            }
            let queue = try tx.nextActs(channel: receiver, limit: 500).map(\.act)
            let numbers = Set(model.items.values.filter { $0.receiver == receiver && $0.state == .waiting }.map(\.act)).sorted()
            #expect(queue == numbers.compactMap { model.acts[$0] }, "\(place)")
            let waiting = model.items.values.count { $0.receiver == receiver && $0.state == .waiting }
            #expect(try tx.channels(receiver: receiver).first?.waiting ?? 0 == waiting, "\(place)")
        }
        // What is kept while running is what the tables say.
        let counted = try tx.countedTally()
        #expect(counted.frames == counts.frames && counted.suppressed == counts.suppressed, "\(place)")
        #expect(counted.acts.values.reduce(0, +) == model.acts.count, "\(place)")
        #expect(try tx.conditions().map(\.subject).sorted() == model.conditions.sorted(), "\(place)")
        for (number, id) in model.acts { #expect(try tx.act(id: id)?.identity == identity(number), "\(place)") }
        for number in model.purged { #expect(try tx.identityState(identity(number)) == .tombstone, "\(place)") }
    }
}
