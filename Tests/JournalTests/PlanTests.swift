import ExactJSON
import Steward
import Testing
import Vitals

@testable import Journal

@Suite("Query plans")
struct PlanTests {
    /// Tables that grow with the readings: no query of the daily work may walk through one of them.
    private static let growing = [
        "frame", "act", "reading", "item", "dispatch", "dispatch_entry", "attempt", "tombstone", "suppressed", "transfer",
        "claim", "audit", "device_log", "plan",
        "name",
    ]

    /// Counted once after the start, and kept up to date from then on.
    private static let allowed = ["count(*) FROM act", "count(*) FROM item", "count(*) FROM frame", "count(*) FROM suppressed"]

    @Test("Every statement finds its rows by an index, and pages come out of it in order")
    func indexes() async throws {
        let scratch = Scratch()
        let journal = try await Journal.open(scratch.options())
        try await journal.write { tx in try Self.check(tx) }
        await journal.close()
    }

    private static func check(_ tx: Transaction) throws(JournalError) {
        try exercise(tx)
        let statements = tx.store.database.preparedSQL.filter {
            ["SELECT", "UPDATE", "DELETE"].contains($0.prefix { !$0.isWhitespace })
        }
        #expect(statements.count > 70)
        for sql in statements {
            let plan = try tx.all("EXPLAIN QUERY PLAN " + sql) { row in row.text(3) }
            for step in plan {
                let words = step.split(separator: " ")
                let isWalk = words.first == "SCAN" && words.count > 1 && growing.contains(String(words[1]))
                // The latest rows by row id: a walk that ends after LIMIT rows.
                let isBounded = sql.contains("ORDER BY id DESC LIMIT") && !plan.contains { $0.contains("TEMP B-TREE") }
                // max(id) is one step at the end of the table.
                let isEnd = sql.hasPrefix("SELECT max(id) FROM")
                // An index of the few open attempts alone.
                let isPartial = step.contains("attempt_open")
                // Connections are some thousands a year, and this is asked for only as the disk fills.
                let isRare =
                    sql.hasPrefix("DELETE FROM transfer") || sql.contains("transfer WHERE ended IS NULL")
                    || sql.contains("FROM transfer JOIN frame") || sql.contains("FROM device_log ORDER BY id LIMIT")
                let isCount = allowed.contains(where: sql.contains) && step.contains("INDEX")
                #expect(!isWalk || isCount || isBounded || isEnd || isPartial || isRare, "\(sql)\n\(plan)")
                if sql.contains("INDEXED BY item_waiting") || sql.contains("GROUP BY") {
                    #expect(!step.contains("TEMP B-TREE"), "\(sql)\n\(plan)")
                }
            }
        }
    }

    /// Calls whatever asks or changes something.
    private static func exercise(_ tx: Transaction) throws(JournalError) {
        let fixture = try tx.fixture()
        let act = try tx.sampleAct(1, fixture)
        let items = try tx.sampleItems(act)
        try tx.update(act)
        _ = try tx.act(frame: 1)
        _ = try tx.act(subject: act.subject.rawValue)
        for filter in [
            ActFilter(), ActFilter(state: "held"), ActFilter(state: "ready"), ActFilter(device: 1),
            ActFilter(heldReason: .hubClock),
            ActFilter(boot: BootID(rawValue: "boot-1")), ActFilter(since: at(0)),
        ] { _ = try tx.acts(filter, limit: 5) }
        _ = try tx.undecodedFrames(limit: 5)
        _ = try tx.lastFrame(device: 1)
        try tx.setDecodeError("x", frame: 1)
        _ = try tx.identityState(identity(9))
        _ = try tx.equalCount(base: [1])
        _ = try tx.equalCount(base: [1], inTransfer: 1)
        try tx.recordSuppressed(frame: 1, device: 1, identity: identity(4), act: act.id, at: at(1))
        _ = try tx.suppressed(limit: 5)
        try tx.dropRepeatedFrames(transfer: 1)
        _ = try tx.lastTransfers(device: 1, limit: 2)
        for order in [QueueOrder.oldestFirst, .newestFirst] {
            _ = try tx.nextActs(channel: "phd/patient-1", limit: 5, order: order)
            _ = try tx.nextActs(channel: "phd/patient-1", limit: 5, after: ActCursor(effective: at(0), act: 0), order: order)
        }
        _ = try tx.channels(receiver: "phd")
        _ = try tx.waitingItems(act: act.id, channel: "phd/patient-1")
        for state in ItemState.allCases {
            _ = try tx.items(state: state, limit: 5)
            _ = try tx.items(state: state, receiver: "phd", limit: 5)
        }
        try tx.setItem(items[0].id, channel: "phd/patient-2")
        try tx.setItem(items[0].id, target: "somewhere")
        _ = try tx.placedItems(channel: "phd/patient-2", receiver: "phd", deliveredSince: at(0))
        _ = try tx.heldItems(channel: "phd/patient-2", receiver: "phd", limit: 5)
        try tx.insertPlan(["a": 1], channel: "phd/patient-2", fetched: at(1))
        _ = try tx.plans(channel: "phd/patient-2")
        try tx.removePlan(id: 1)
        try tx.setSignIn(
            SignInRecord(
                channel: "phd/patient-2", receiver: "phd", patient: PatientAlias(rawValue: "patient-2"), revision: 1, session: [:]
            ))
        _ = try tx.signIn(channel: "phd/patient-2")
        _ = try tx.signIns(receiver: "phd")
        let dispatch = try tx.insertDispatch(
            receiver: "phd", channel: "c", method: "POST", url: "u", headers: [], body: [],
            entries: [.init(item: items[0].id, index: 0)],
            memo: nil, created: at(1))
        _ = try tx.openDispatch(item: items[0].id)
        try tx.updateMemo(nil, dispatch: dispatch.id)
        try tx.dropDispatch(id: dispatch.id)
        let attempt = try tx.beginAttempt(dispatch: dispatch.id, receiver: "phd", at: clock(1))
        _ = try tx.openAttempts()
        try tx.endAttempt(attempt, outcome: "answered", status: 1, durationMilliseconds: 1, detail: "d", at: at(1))
        _ = try tx.attempts(item: items[0].id)
        _ = try tx.attempts(dispatch: dispatch.id)
        try tx.discardAttempt(99)
        _ = try tx.dropAttemptDetail(before: at(5), limit: 5)
        _ = try tx.dropTransfers(before: at(5), limit: 5)
        try tx.setBond(sampleBond(1))
        _ = try tx.bond(device: 1)
        _ = try tx.bonds()
        try tx.removeBond(device: 1)
        _ = try tx.transfer(id: 1)
        try tx.appendLog(
            Array(repeating: DeviceLogEntry(device: 1, kind: .note, at: clock(1)), count: Transaction.deviceLogLimit + 1))
        _ = try tx.log(device: 1, limit: 5)
        _ = try tx.dropDeviceLog(limit: 5)
        _ = try tx.purgeCandidates(deliveredBefore: at(5), limit: 5)
        _ = try tx.channel("c")
        _ = try tx.heldChannels()
        _ = try tx.claim(receiver: "phd", identifier: "i", reading: act.subject)
        try tx.audit(at: at(1), actor: "a", action: "b", subject: "c")
        _ = try tx.auditRecords(limit: 1)
        _ = try tx.verifyChain(from: AuditLink(), limit: 5)
        _ = try tx.counts()
        try tx.endOpenTransfers(outcome: "restart", at: clock(1))
        _ = try tx.acts(inTransfer: 1)
        for state in [nil, "ready", "held"] { _ = try tx.newestActs(state: state, limit: 5) }
        _ = try tx.openItems(device: 1)
        try tx.purge(acts: [act.id], outcome: "delivered", at: at(9))
    }
}
