import Destinations
import ExactJSON
import Journal
import Simulator
import Steward
import Testing
import Vitals

@testable import Courier

/// "Measurement not reported" from the care plan and the watch. One after the other: tests beside it measure time.
@Suite("VKP: not reported", .serialized) struct NotReportedTests {
    private typealias Scene = NorwayScene

    private struct UTC: Zone {
        func offsetMinutes(at instant: Instant) -> Int { 0 }
    }

    /// A slot of two hours on either side of a moment five and a half hours ago, which closed half an hour or more ago.
    private struct Course: Sendable {
        let scene: Scene
        let watchman: VKPWatchman
        let now: Instant
        let start: Instant
        let end: Instant

        func watch(
            _ parts: [WatchedPart] = WatchedPart.allCases, from: Instant? = nil, until: Instant? = nil
        ) async throws {
            let (first, last) = (from ?? start - .seconds(60), until ?? now)
            try await scene.journal.write { tx in
                for part in parts { try tx.extendWatch(part, from: first, until: last) }
            }
        }

        /// The device brings all it has.
        func readMemory(ago: Duration = .seconds(60), outcome: String = "peer-ended") async throws {
            let device = try #require(scene.devices[Scene.anna]).device
            var began = scene.clock.now()
            began.wall = began.wall - ago
            let reading = began
            try await scene.journal.write { tx in
                try tx.endTransfer(try tx.beginTransfer(device: device, at: reading), outcome: outcome, at: reading)
            }
        }

        func notices() async throws -> [String] {
            let channel = ReceiverSettings.channel(of: "vkp", for: Scene.anna)
            return try await scene.journal.read { tx in try tx.notices(channel: channel).map(\.state.rawValue) }
        }

        /// Code of the alert of each document in the journal, and what it relates to.
        func journal() async -> [String] {
            await scene.state.journal().map { document in
                let resources = (document.bundle["entry"]?.array ?? []).compactMap { $0["resource"] }
                let issue = resources.first { $0["resourceType"]?.string == "DetectedIssue" }
                let relation = resources.first?["relatesTo"]?[0]
                return [
                    issue?["code"]?["coding"]?[0]?["code"]?.string, relation?["code"]?.string,
                    relation?["targetIdentifier"]?["value"]?.string,
                ].compactMap(\.self).joined(separator: " ")
            }
        }
    }

    private static func with(
        keepsMemory: Bool = true, measures: Set<Reading.Kind> = [.bloodPressure, .pulseRate],
        whenUncertain: ReceiverSettings.UncertainPolicy = .hold, _ body: @escaping @Sendable (Course) async throws -> Void
    ) async throws {
        try await Scene.with(timeout: .milliseconds(500), whenUncertain: whenUncertain) { scene in
            let now = scene.clock.now().wall
            let moment = Instant(seconds: now.milliseconds / 1_000 - 5 * 3_600 - 1_800)
            var settings = await scene.state.currentSettings()
            settings.carePlans = [
                [
                    "resourceType": "CarePlan", "identifier": [["value": "5f0c5e3a-7d57-4a34-8f0f-3c8f5f3d1a01"]],
                    "status": "active",
                    "subject": ["identifier": ["value": .string(try #require(Scene.numbers[Scene.anna]))]],
                    "activity": [
                        [
                            "detail": [
                                "code": ["coding": [["system": "http://snomed.info/sct", "code": "75367002"]]],
                                "status": "scheduled", "scheduledTiming": ["event": [.string("\(moment)")]],
                            ]
                        ]
                    ],
                ]
            ]
            await scene.state.set(settings)
            let watchman = try #require(
                VKPWatchman(scene.receivers[1], journal: scene.journal, clock: scene.clock, zone: UTC()) { _ in
                    .init(measures: measures, keepsMemory: keepsMemory)
                })
            try await body(
                Course(
                    scene: scene, watchman: watchman, now: now, start: moment - .seconds(7_200), end: moment + .seconds(7_200)))
        }
    }

    @Test("hub, clock and radio well throughout and the memory read since: it is said, once")
    func said() async throws {
        try await Self.with { course in
            try await course.watch()
            try await course.readMemory()
            for _ in 0..<3 { try await course.watchman.lookAfter() }
            #expect(await course.journal() == ["5.3.2"])
            #expect(try await course.notices() == ["delivered"])
            #expect(
                try await course.scene.journal.read { tx in try tx.auditRecords(limit: 9) }.contains {
                    $0.action == "not-reported"
                })
        }
    }

    @Test(
        "never for a part that was away for a moment, a memory not read since, a link that broke, or a device without memory",
        arguments: ["hub", "clock", "radio", "memory", "broken", "forgetful", "other kind"])
    func neverSaid(what: String) async throws {
        try await Self.with(
            keepsMemory: what != "forgetful", measures: what == "other kind" ? [.oxygenSaturation] : [.bloodPressure]
        ) { course in
            for part in WatchedPart.allCases {
                if part.rawValue == what {
                    try await course.watch([part], until: course.end - .seconds(61))
                    try await course.watch([part], from: course.end)
                } else {
                    try await course.watch([part])
                }
            }
            try await course.readMemory(
                ago: what == "memory" ? course.now - course.end + .seconds(60) : .seconds(60),
                outcome: what == "broken" ? "link-lost" : "peer-ended")
            try await course.watchman.lookAfter()
            #expect(await course.scene.state.journal().isEmpty)
            #expect(try await course.notices().isEmpty)
        }
    }

    @Test("a reading in the slot is a measurement, however far it came; one that is not placed keeps it open")
    func measured() async throws {
        try await Self.with { course in
            try await course.watch()
            try await course.readMemory()
            let act = try await course.scene.pressure(ago: course.now - course.end + .seconds(600), to: [])
            try await course.watchman.lookAfter()
            #expect(try await course.notices().isEmpty)
            // Taken from the patient again, and not placed elsewhere yet.
            try await course.scene.journal.write { tx throws in
                guard var record = try tx.act(id: act) else { throw TestFailure.noDispatch }
                record.state = .held(.unassigned)
                record.patient = nil
                _ = try tx.update(record)
            }
            try await course.watchman.lookAfter()
            #expect(await course.scene.state.journal().isEmpty)
        }
    }

    @Test("R7 a patient who refused, and a receiver that is not entitled to that time, are not spoken of")
    func r7_entitled() async throws {
        try await Self.with { course in
            try await course.watch()
            try await course.readMemory()
            try await course.scene.journal.write { tx in
                try tx.insertRefusal(patient: Scene.anna, receiver: "vkp", at: course.start - .seconds(60))
            }
            try await course.watchman.lookAfter()
            #expect(await course.scene.state.journal().isEmpty)
        }
    }

    @Test("a reading that comes late makes a document that follows the notice up")
    func late() async throws {
        try await Self.with { course in
            try await course.watch()
            try await course.readMemory()
            try await course.watchman.lookAfter()
            let told = try #require(await course.scene.state.journal().first).identifier
            let act = try await course.scene.pressure(ago: course.now - course.end + .seconds(600), to: ["vkp"])
            let other = try await course.scene.pressure(ago: .seconds(30), to: ["vkp"])
            try await course.scene.running { courier in
                try await course.scene.expect(act, ["delivered", "delivered"], courier)
                try await course.scene.expect(other, ["delivered", "delivered"], courier)
            }
            let journal = await course.journal()
            #expect(journal.first == "5.3.2" && Set(journal.dropFirst()) == ["5.2.1 appends \(told)", "5.2.1"])
        }
    }

    @Test("what was not told yet when the reading came is not told any more")
    func overtaken() async throws {
        try await Self.with { course in
            try await course.watch()
            try await course.readMemory()
            await course.scene.state.set(NHNFaultPlan([NHNFaultRule(.status(429), path: "/bundle", times: 1)]))
            try await course.watchman.lookAfter()
            #expect(try await course.notices() == ["waiting"])
            let act = try await course.scene.pressure(ago: course.now - course.end + .seconds(600), to: ["vkp"])
            try await course.scene.running { courier in
                try await course.scene.expect(act, ["delivered", "delivered"], courier)
            }
            try await course.watchman.lookAfter()
            #expect(await course.journal() == ["5.2.1"])
            #expect(try await course.notices() == ["withdrawn"])
        }
    }

    @Test("an answer that never came, or a daemon that ended in the middle: a person's, never said twice")
    func unknownOutcome() async throws {
        try await Self.with { course in
            try await course.watch()
            try await course.readMemory()
            await course.scene.state.set(NHNFaultPlan([NHNFaultRule(.cut(stored: true), path: "/bundle", times: 1)]))
            for _ in 0..<2 { try await course.watchman.lookAfter() }
            #expect(await course.journal() == ["5.3.2"])
            #expect(try await course.notices() == ["uncertain"])
            #expect(try await course.scene.conditions().map(\.code) == [.outcomeUnknown])
            // As a crash leaves it.
            let channel = ReceiverSettings.channel(of: "vkp", for: Scene.anna)
            try await course.scene.journal.write { tx throws in
                guard var notice = try tx.notices(channel: channel).first else { throw TestFailure.noDispatch }
                notice.state = .sending
                try tx.setNotice(notice)
            }
            try await course.watchman.lookAfter()
            #expect(await course.journal() == ["5.3.2"])
            #expect(try await course.notices() == ["uncertain"])
        }
    }

    @Test("VKP down, or the plan not told: nothing is said now, and it is said when it can be")
    func laterOn() async throws {
        try await Self.with { course in
            try await course.watch()
            try await course.readMemory()
            await course.scene.state.set(NHNFaultPlan([NHNFaultRule(.status(503), path: "/careplan", times: 1)]))
            try await course.watchman.lookAfter()
            #expect(await course.scene.state.journal().isEmpty)
            course.scene.clock.setSource(.unsynchronised)
            try await course.watchman.lookAfter()
            #expect(await course.scene.state.journal().isEmpty)
            course.scene.clock.setSource(.ntp)
            try await course.watchman.lookAfter()
            #expect(await course.journal() == ["5.3.2"])
        }
    }
}
