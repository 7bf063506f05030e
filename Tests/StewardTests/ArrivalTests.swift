import Steward
import Testing
import Vitals

/// A store as far as R3 needs one: a model of the journal, with each stored frame's word.
struct Shelf: ArrivalFacts {
    struct Stored {
        var base: [UInt8]
        var bytes: [UInt8]
        var transfer: Int
        var isWordSent: Bool
    }

    private(set) var frames: [Stored] = []
    private(set) var known: Set<ReadingIdentity> = []
    private(set) var acts: [ReadingIdentity] = []
    var suppressed = 0
    var possible = 0
    var transfer = 0

    func isKnown(_ identity: ReadingIdentity) -> Bool { known.contains(identity) }
    func equalInTransfer(_ base: [UInt8]) -> Int {
        frames.count { $0.transfer == transfer && $0.base == base && $0.isWordSent }
    }
    func equalEver(_ base: [UInt8]) -> Int { known.count { $0.base == base } }
    func lastFrame() -> LastFrame? { frames.last.map { LastFrame(bytes: $0.bytes, isWordSent: $0.isWordSent) } }

    /// Intake's transaction.
    @discardableResult
    mutating func store(_ record: Measurement, isModelKnown: Bool = true) -> ArrivalDecision {
        let bytes = record.projection.bytes
        let decision = decideArrival(of: record, bytes: bytes, from: cuff, isModelKnown: isModelKnown, facts: self)
        frames.append(
            Stored(base: decision.identity.base, bytes: bytes, transfer: transfer, isWordSent: false))
        switch decision {
        case .new(let identity):
            known.insert(identity)
            acts.append(identity)
        case .possibleDuplicate(let identity):
            known.insert(identity)
            acts.append(identity)
            possible += 1
        case .repeated: suppressed += 1
        }
        return decision
    }

    mutating func wordSent() { frames[frames.count - 1].isWordSent = true }

    /// Retention: acts and frames go, the tombstones (`known`) stay.
    mutating func purge() {
        acts = []
        frames = []
    }
}

@Suite struct ArrivalTests {
    let morning = record([0x02, 1], stamp: face("2026-05-04T07:30:00"))
    let unstamped = record([0x00, 1], distinguishes: false)

    @Test("R3 the same record sent again is one reading")
    func r3_sameRecordSentAgainIsOneReading() {
        var shelf = Shelf()
        let first = shelf.store(morning)
        shelf.wordSent()
        shelf.transfer = 1
        let second = shelf.store(morning)
        #expect(second == .repeated(first.identity))
        #expect(shelf.acts.count == 1)
    }

    @Test("R3 equal records of one transfer count up, and again so when the memory comes again")
    func r3_sameMinuteReadings() {
        var shelf = Shelf()
        var seen: [[ArrivalDecision]] = []
        for transfer in 0..<3 {
            shelf.transfer = transfer
            seen.append(
                (0..<3).map { _ in
                    defer { shelf.wordSent() }
                    return shelf.store(morning)
                })
        }
        #expect(seen[0].map(\.identity.ordinal) == [0, 1, 2])
        #expect(shelf.acts.count == 3)
        #expect(seen[1] == seen[0].map { .repeated($0.identity) })
        #expect(seen[2] == seen[1])
    }

    @Test("R3 an indication that comes twice on one link, because it had no word, is one record")
    func r3_repeatedWithoutWordInOneTransfer() {
        var shelf = Shelf()
        let first = shelf.store(morning)
        #expect(shelf.store(morning) == .repeated(first.identity))
        shelf.wordSent()
        #expect(shelf.store(morning).identity.ordinal == 1)
    }

    @Test("R3 a purged memory that is sent again adds nothing")
    func r3_memorySentAgainAfterPurge() {
        var shelf = Shelf()
        for _ in 0..<2 {
            shelf.store(morning)
            shelf.wordSent()
        }
        shelf.purge()
        shelf.transfer = 1
        for _ in 0..<2 {
            shelf.store(morning)
            shelf.wordSent()
        }
        #expect(shelf.acts.isEmpty)
        #expect(shelf.suppressed == 2)
    }

    @Test("R3 without stamp and sequence: a repeat only of the last frame, and only while its word is not known to be sent")
    func r3_withoutStampOnlyTheLastUnconfirmedIsARepeat() {
        var shelf = Shelf()
        let first = shelf.store(unstamped)
        shelf.transfer = 1
        #expect(shelf.store(unstamped) == .repeated(first.identity))
        shelf.wordSent()
        shelf.transfer = 2
        let second = shelf.store(unstamped)
        #expect(second == .new(ReadingIdentity(base: first.identity.base, ordinal: 1)))
        // Another frame in between: not the last any more, so not a repeat, word or no word.
        shelf.store(record([0x00, 2], distinguishes: false))
        #expect(shelf.store(unstamped).identity.ordinal == 2)
        #expect(shelf.acts.count == 4)
    }

    @Test("R3 without stamp and sequence, after a purge: the tombstones still count")
    func r3_withoutStampAfterPurge() {
        var shelf = Shelf()
        shelf.store(unstamped)
        shelf.wordSent()
        shelf.purge()
        #expect(shelf.store(unstamped).identity.ordinal == 1)
    }

    @Test("R3 an unknown model's equal frame is a possible duplicate, for a person")
    func r3_possibleDuplicateOfAnUnknownModel() {
        var shelf = Shelf()
        let first = shelf.store(unstamped, isModelKnown: false)
        #expect(first == .new(ReadingIdentity(base: first.identity.base, ordinal: 0)))
        shelf.wordSent()
        let second = shelf.store(unstamped, isModelKnown: false)
        #expect(second == .possibleDuplicate(ReadingIdentity(base: first.identity.base, ordinal: 1)))
        shelf.wordSent()
        shelf.store(record([0x00, 2], distinguishes: false), isModelKnown: false)
        #expect(shelf.store(unstamped, isModelKnown: false).identity.ordinal == 2)
        #expect(shelf.possible == 1)
    }

    @Test("R3 a from-storage bit that changes on the repeat does not make a reading")
    func r3_lastFrameByItsBase() {
        struct Facts: ArrivalFacts {
            let base: [UInt8]
            func isKnown(_ identity: ReadingIdentity) -> Bool { identity.ordinal == 0 }
            func equalInTransfer(_ base: [UInt8]) -> Int { 0 }
            func equalEver(_ base: [UInt8]) -> Int { 1 }
            func lastFrame() -> LastFrame? { LastFrame(bytes: [0x00, 1], base: base, isWordSent: false) }
        }
        let base = ReadingIdentity.base(of: unstamped, from: cuff)
        let decision = decideArrival(
            of: unstamped, bytes: [0x80, 1], from: cuff, isModelKnown: true, facts: Facts(base: base))
        #expect(decision == .repeated(ReadingIdentity(base: base, ordinal: 0)))
    }

    @Test("R3 a failing store fails the decision")
    func r3_factsThatFail() {
        struct Broken: Error {}
        struct Facts: ArrivalFacts {
            func isKnown(_ identity: ReadingIdentity) throws(Broken) -> Bool { throw Broken() }
            func equalInTransfer(_ base: [UInt8]) throws(Broken) -> Int { 0 }
            func equalEver(_ base: [UInt8]) throws(Broken) -> Int { throw Broken() }
            func lastFrame() throws(Broken) -> LastFrame? { nil }
        }
        for record in [morning, unstamped] {
            #expect(throws: Broken.self) {
                try decideArrival(of: record, bytes: [], from: cuff, isModelKnown: true, facts: Facts())
            }
        }
    }
}

@Suite struct ArrivalProperties {
    /// A memory with many equal records: few stamps, few values.
    static func memory(_ count: Int, using generator: inout SeededGenerator) -> [Measurement] {
        (0..<count).map { _ in
            let minute = Int.random(in: 0..<3, using: &generator)
            return record(
                [0x02, UInt8(minute), UInt8.random(in: 0..<2, using: &generator)], stamp: face("2026-05-04T07:3\(minute):00"))
        }
    }

    @Test("R3 the order in which a memory is sent does not change the set of identities")
    func r3_orderDoesNotMatter() {
        var generator = SeededGenerator("R3 order")
        for _ in 0..<200 {
            let memory = Self.memory(Int.random(in: 0..<12, using: &generator), using: &generator)
            var (one, other) = (Shelf(), Shelf())
            for record in memory {
                one.store(record)
                one.wordSent()
            }
            for record in memory.shuffled(using: &generator) {
                other.store(record)
                other.wordSent()
            }
            #expect(Set(one.acts) == Set(other.acts), "seed \(generator.seed)")
            #expect(one.acts.count == memory.count, "seed \(generator.seed)")
        }
    }

    /// Where the link or the hub dies in the handling of one record.
    enum Death: CaseIterable { case beforeCommit, beforeWord, afterWord, afterMark, never }

    @Test("R3 a memory sent again after a crash at any point never makes a second reading, and in the end lacks none")
    func r3_resendAfterACrash() {
        var generator = SeededGenerator("R3 crash, whole memory")
        for _ in 0..<300 {
            let memory = Self.memory(Int.random(in: 1..<8, using: &generator), using: &generator)
            var shelf = Shelf()
            for attempt in 0..<8 {
                shelf.transfer = attempt
                // The last attempt succeeds, as the patient takes the next reading and the cuff sends everything again.
                let dying = attempt < 7 ? Int.random(in: 0..<memory.count, using: &generator) : memory.count
                for (position, record) in memory.shuffled(using: &generator).enumerated() {
                    let death = position == dying ? Death.allCases.randomElement(using: &generator) ?? .never : .never
                    if death == .beforeCommit { break }
                    shelf.store(record)
                    if death == .beforeWord || death == .afterWord { break }
                    shelf.wordSent()
                    if death == .afterMark { break }
                }
                #expect(shelf.acts.count <= memory.count, "seed \(generator.seed)")
            }
            #expect(shelf.acts.count == memory.count, "seed \(generator.seed)")
        }
    }

    @Test(
        "R3 no stamp, no sequence: a resend after a crash makes no second reading; only a word sent and not marked can hide one"
    )
    func r3_resendWithoutStampAfterACrash() {
        var generator = SeededGenerator("R3 crash, no stamp")
        for _ in 0..<300 {
            var shelf = Shelf()
            let measured = 12
            var sentUnmarked = 0
            for _ in 0..<measured {
                let measurement = record([0x00, UInt8.random(in: 0..<2, using: &generator)], distinguishes: false)
                // The cuff sends it until it gets the word.
                var confirmed = false
                while !confirmed {
                    shelf.transfer += 1
                    let death = Death.allCases.randomElement(using: &generator) ?? .never
                    if death == .beforeCommit { continue }
                    shelf.store(measurement)
                    if death == .beforeWord { continue }
                    confirmed = true
                    if death == .afterWord { sentUnmarked += 1 } else { shelf.wordSent() }
                }
            }
            #expect(shelf.acts.count <= measured, "seed \(generator.seed)")
            #expect(shelf.acts.count + sentUnmarked >= measured, "seed \(generator.seed)")
            #expect(shelf.acts.count + shelf.suppressed >= measured, "seed \(generator.seed): lost without a trace")
        }
    }
}
