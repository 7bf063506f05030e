import Destinations
import ExactJSON
import Glibc
import Journal
import Simulator
import Testing
import Trust
import Vitals

@testable import Courier

@Suite("FUT: from the plan to the answer") struct FUTDeliveryTests {
    private typealias Scene = FUTScene

    @Test("what the plan asks for goes to its slot, and a cuff's pulse never fills the oximeter's request")
    func ordered() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            let cuff = try await scene.pressure(Scene.anna)
            let oximeter = try await scene.saturation(Scene.anna)
            try await scene.running { courier in
                try await scene.expect(cuff, ["delivered", "held other-device-group"], courier)
                try await scene.expect(oximeter, ["delivered", "delivered"], courier)
            }
            #expect(await scene.stored(Scene.anna).sorted() == ["3001 Resolved", "3003 Resolved", "3004 Resolved"])
            // What nobody ordered is no condition: every cuff would raise one with each measurement.
            #expect(try await scene.conditions().isEmpty)
        }
    }

    @Test("beyond what the slot asks for: extra where the plan allows it, else held")
    func beyond() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            try await scene.running { courier in
                for (index, systolic) in [Int64(120), 121, 122].enumerated() {
                    let act = try await scene.pressure(Scene.anna, ago: .seconds(300 - index), systolic: systolic)
                    courier.ring()
                    try await scene.expect(act, ["delivered", "held other-device-group"], courier)
                }
                let first = try await scene.saturation(Scene.anna, ago: .seconds(120))
                courier.ring()
                try await scene.expect(first, ["delivered", "delivered"], courier)
                let second = try await scene.saturation(Scene.anna, ago: .seconds(110))
                courier.ring()
                try await scene.expect(second, ["held beyond-requested", "held beyond-requested"], courier)
            }
            #expect(
                await scene.stored(Scene.anna).filter { $0.hasPrefix("3001") } == [
                    "3001 Resolved", "3001 Resolved", "3001 Extra",
                ])
        }
    }

    @Test("nobody ordered it: offered again when a request comes whose period covers it, and to no other")
    func offeredAgain() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            let old = try await scene.saturation(Scene.bent, ago: .seconds(3_600), spo2: 95)
            try await scene.running { courier in
                try await scene.expect(old, ["held no-request", "held no-request"], courier)
                // From now on, so that nothing measured before may answer it.
                try await scene.state.change(
                    ["citizen": "bent", "episodes": [["id": "2002", "requests": [["id": "3012", "code": "NPU03011"]]]]])
                scene.clock.advance(.seconds(5))
                let new = try await scene.saturation(Scene.bent, ago: .seconds(0), spo2: 97)
                // Ten minutes on, the plan is old.
                scene.clock.advance(.seconds(601))
                await scene.state.advance(by: .seconds(601))
                courier.ring()
                try await scene.expect(new, ["delivered", "held no-request"], courier)
                try await scene.expect(old, ["held outside-period", "held no-request"], courier)
                // An episode that began long ago asks for it too.
                try await scene.state.change(
                    try JSON(
                        parsing:
                            #"{"citizen":"bent","episodes":[{"id":"2003","since":-43200,"requests":[{"id":"3021","code":"NPU03011","timing":"adhoc"}]}]}"#
                    ))
                let next = try await scene.pressure(Scene.bent, ago: .seconds(0))
                scene.clock.advance(.seconds(601))
                await scene.state.advance(by: .seconds(601))
                courier.ring()
                try await scene.expect(next, ["delivered", "held no-request"], courier)
                try await scene.expect(old, ["delivered", "held no-request"], courier)
            }
            #expect(await scene.stored(Scene.bent).sorted() == ["3011 Adhoc", "3012 Adhoc", "3021 Adhoc"])
        }
    }

    @Test("the plan moved on meanwhile: decided anew by a plan that is fetched anew")
    func reassigned() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            let first = try await scene.pressure(Scene.bent, ago: .seconds(300))
            try await scene.running { courier in
                try await scene.expect(first, ["delivered", "held no-request"], courier)
                // Paused by staff; the hub's plan is a minute old and says active.
                try await scene.state.change(
                    ["citizen": "bent", "episodes": [["id": "2002", "requests": [["id": "3011", "status": "on-hold"]]]]])
                let second = try await scene.pressure(Scene.bent, ago: .seconds(200), systolic: 131)
                courier.ring()
                try await scene.expect(second, ["held no-longer-active", "held no-request"], courier)
                #expect(await scene.stored(Scene.bent) == ["3011 Adhoc"])
            }
        }
    }

    @Test("what a version that the hub never saw may have ordered is a person's, and what came before the plan is not guessed")
    func unknownVersion() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            // Changed by staff after the measurement: the plan that can be fetched shows version 2 alone.
            let act = try await scene.pressure(Scene.bent, ago: .seconds(600))
            try await scene.state.change(
                ["citizen": "bent", "episodes": [["id": "2002", "requests": [["id": "3011", "activity": "Blodtryk"]]]]])
            try await scene.running { courier in
                try await scene.expect(act, ["quarantined unknown-version", "held no-request"], courier)
            }
            #expect(try await scene.conditions().map(\.code) == [.quarantine])
            #expect(await scene.state.observations().isEmpty)
        }
    }

    @Test("R6 a backlog of days goes out in the order of its times, with a plan of each time")
    func r6_backlog() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            var acts: [Int64] = []
            for days in [20, 9, 3, 1] {
                acts.append(try await scene.pressure(Scene.bent, ago: .seconds(days * 86_400), systolic: 120 + Int64(days)))
            }
            let waiting = acts
            try await scene.running { courier in
                for act in waiting { try await scene.expect(act, ["delivered", "held no-request"], courier) }
            }
            let times = await scene.state.observations().map(\.effective)
            #expect(times.count == 4 && times == times.sorted())
        }
    }

    @Test("a refusal as outdated that the newest plan contradicts is a person's")
    func contradiction() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            let code = "MEASUREMENT_SUBMITMEASUREMENT_INVALID_RESOLVED_TIMING"
            await scene.state.set(FUTFaultPlan([FUTFaultRule(.code(code), path: "$submit-measurement")]))
            let act = try await scene.pressure(Scene.bent)
            try await scene.running { courier in
                try await scene.expect(act, ["quarantined invalid-resolved-timing", "held no-request"], courier)
            }
            let submissions = await scene.state.exchanges.filter { $0.path.hasSuffix("$submit-measurement") }
            #expect(submissions.count == 2 || submissions.count == 1)
            let plans = await scene.state.exchanges.filter { $0.path.hasSuffix("$get-patient-procedures") }
            #expect(plans.count >= 2)
        }
    }

    @Test("an answer that was lost is searched for, over a restart too", arguments: [true, false])
    func lostAnswer(stored: Bool) async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            let act = try await scene.pressure(Scene.anna)
            await scene.state.set(
                FUTFaultPlan([FUTFaultRule(.cut(stored: stored), path: "$submit-measurement", times: 1)]))
            try await scene.running { courier in
                let isLost = try await eventually { try await scene.standing(act).first?.hasPrefix("uncertain") ?? false }
                #expect(isLost)
            }
            let after = try await scene.reopened()
            try await after.running { courier in
                try await after.expect(act, ["delivered", "held other-device-group"], courier)
            }
            #expect(await after.stored(Scene.anna) == ["3001 Resolved"])
            #expect(await after.state.exchanges.contains { $0.method == "GET" && $0.path.hasSuffix("/Observation") })
        }
    }

    @Test("a device that FUT's logistics recorded is named, by its serial number; another is told in words")
    func devices() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            try await scene.state.change(
                try JSON(
                    parsing: #"""
                        {"citizen": "anna", "devices": [
                            {"id": "4001", "manufacturer": "sim", "model": "SIM", "serial": "S-1001-cuff"},
                            {"id": "4009", "manufacturer": "sim", "model": "UC-352", "serial": "W-1"}]}
                        """#))
            // She has them from now on.
            scene.clock.advance(.seconds(5))
            let cuff = try await scene.pressure(Scene.anna, ago: .seconds(0))
            let oximeter = try await scene.saturation(Scene.anna, ago: .seconds(0))
            try await scene.running { courier in
                try await scene.expect(cuff, ["delivered", "held other-device-group"], courier)
                try await scene.expect(oximeter, ["delivered", "delivered"], courier)
            }
            let stored = await scene.state.observations()
            let pressure = try #require(stored.first { $0.request == "3001" })
            #expect(pressure.resource["device"]?["reference"]?.string == "\(scene.endpoints.device)/Device/4001")
            let saturation = try #require(stored.first { $0.request == "3003" })
            #expect(saturation.resource["device"] == nil)
            #expect(saturation.resource["note"]?.array?.isEmpty == false)
            let here = try await scene.journal.read { tx in
                try tx.devices().filter { $0.name.hasPrefix("1001") }.map(\.identity)
            }
            let differences = try #require(
                scene.citizens.citizen(Scene.anna).differences(of: here, at: scene.clock.now().wall))
            #expect(differences.count == 2)
            #expect(differences.contains(.onlyThere(reference: "\(scene.endpoints.device)/Device/4009")))
        }
    }

    @Test("a delivered reading that was wrong is marked so, one request each", arguments: FUTDestination.Retraction.allCases)
    func retracted(way: FUTDestination.Retraction) async throws {
        try await FUTScene.with(retraction: way) { scene in
            try await scene.signInBoth()
            let act = try await scene.saturation(Scene.anna)
            try await scene.running { courier in
                try await scene.expect(act, ["delivered", "delivered"], courier)
                try await scene.journal.write { tx in
                    guard let record = try tx.act(id: act) else { return }
                    for item in try tx.items(act: act) {
                        guard let reading = record.readings.first(where: { $0.id == item.reading }) else { continue }
                        let correction = try tx.insertItem(
                            act: act, reading: reading, kind: .correction, receiver: item.receiver, channel: item.channel,
                            target: item.target, effective: item.effective, created: item.created)
                        if let correction {
                            try tx.setItem(correction.id, state: .waiting, serverReference: item.serverReference)
                        }
                    }
                }
                courier.ring()
                try await scene.expect(act, ["delivered", "delivered", "delivered", "delivered"], courier)
            }
            #expect(await scene.stored(Scene.anna).isEmpty)
            let stored = await scene.state.observations()
            #expect(stored.count == 2 && stored.allSatisfy(\.isInvalidated))
            // Each once: the impression's answer does not show the measurement, which is read before anything is sent again.
            let patches = await scene.state.exchanges.filter { $0.method == "PATCH" && $0.status == 200 }
            let impressions = await scene.state.exchanges.filter { $0.path.hasSuffix("$set-measurement-validity") }
            #expect(patches.count == (way == .patch ? 2 : 0))
            #expect(impressions.map(\.status) == (way == .validity ? [200, 200] : []))
        }
    }

    @Test("R4 a plan that tells of another patient holds the channel, is not kept, and sends nothing")
    func r4_anothersPlan() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            await scene.state.set(
                FUTFaultPlan([FUTFaultRule(.forged("patient"), path: "$get-patient-procedures", times: 1)]))
            let act = try await scene.pressure(Scene.anna)
            try await scene.running { courier in
                try await scene.expectHeld(Scene.anna, .wrongPatient, courier)
                #expect(try await scene.standing(act) == ["waiting", "waiting"])
                #expect(try await scene.conditions().map(\.code) == [.wrongPatient])
                let (anna, bent) = (scene.channel(Scene.anna), scene.channel(Scene.bent))
                let plans = try await scene.journal.read { tx in (try tx.plans(channel: anna), try tx.plans(channel: bent)) }
                #expect(plans.0.isEmpty && plans.1.isEmpty)
                #expect(await scene.state.observations().isEmpty)
                // A hold on one patient's channel is none on the other's.
                let spouse = try await scene.pressure(Scene.bent)
                courier.ring()
                try await scene.expect(spouse, ["delivered", "held no-request"], courier)
                // A person looked into it: the plan is fetched anew, and is hers.
                try await courier.release(receiver: "fut")
                try await scene.expect(act, ["delivered", "held other-device-group"], courier)
            }
            #expect(await scene.stored(Scene.anna) == ["3001 Resolved"])
            #expect(await scene.stored(Scene.bent) == ["3011 Adhoc"])
        }
    }

    @Test("R8 neither token nor plan stands in the clear on the disk")
    func r8_sealed() async throws {
        try await FUTScene.with { scene in
            try await scene.signInBoth()
            let act = try await scene.pressure(Scene.anna)
            try await scene.running { courier in
                try await scene.expect(act, ["delivered", "held other-device-group"], courier)
            }
            let channel = scene.channel(Scene.anna)
            let (record, plans) = try await scene.journal.read { tx in
                (try tx.signIn(channel: channel), try tx.plans(channel: channel))
            }
            let token = try #require(record?.session["refreshToken"]?.string)
            #expect(plans.count == 1)
            #expect("\(try #require(record))".contains(token) == false)
            await scene.journal.close()
            var bytes: [UInt8] = []
            for name in ["/journal.db", "/journal.db-wal"] { bytes += contents(of: scene.scratch.path + name) }
            let text = String(decoding: bytes, as: UTF8.self)
            #expect(bytes.count > 10_000)
            for secret in [token, "ServiceRequest/3001", "EpisodeOfCare/2001", "Patient/1001"] { #expect(!text.contains(secret)) }
        }
    }

    private func contents(of path: String) -> [UInt8] {
        guard let file = fopen(path, "r") else { return [] }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while case let count = fread(&piece, 1, piece.count, file), count > 0 { bytes += piece[..<count] }
        return bytes
    }
}
