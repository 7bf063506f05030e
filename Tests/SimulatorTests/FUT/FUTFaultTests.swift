import ExactJSON
import Glibc
import HTTPMessage
import Simulator
import Testing

@Suite("FUT simulator: faults", .timeLimit(.minutes(1)))
struct FUTFaultTests {
    @Test(
        "faults of a submission that answer",
        arguments: [
            (FUTFault.status(503), 503, 0), (.status(429, retryAfter: 7), 429, 0), (.status(401), 401, 0),
            (.code("MEASUREMENT_SUBMITMEASUREMENT_TOO_FEW_ANSWERS"), 422, 0), (.code("SECURITY_USER_NOT_ALLOWED"), 403, 0),
            (.slow(.milliseconds(50)), 200, 1), (.garbage(stored: true), 200, 1), (.garbage(stored: false), 200, 0),
            (.entryRefused(0, code: "MEASUREMENT_SUBMITMEASUREMENT_INVALID_STATUS"), 200, 0),
        ])
    func answering(fault: FUTFault, status: Int, stored: Int) async throws {
        try await FUTRun.with(FUTRun.settings { _ in }) { run in
            let token = try await run.token()
            await run.state.set(FUTFaultPlan([FUTFaultRule(fault, path: "$submit-measurement", times: 1)]))
            let answer = await run.submit([run.observation()], token: token)
            #expect(answer.status == status)
            #expect(await run.state.observations().count == stored)
            let seen = try #require(await run.state.exchanges.last)
            #expect(seen.fault == fault)
            #expect(seen.citizen == "anna")
            #expect(seen.entries == 1)
            switch fault {
            case .status(429, _): #expect(answer.header("retry-after") == "7")
            case .code(let code): #expect(answer.errorCode == code)
            case .entryRefused:
                #expect(answer.json?["entry"]?[0]?["response"]?["status"]?.string == "422 Unprocessable Entity")
            default: break
            }
            #expect(await run.submit([run.observation(effective: "2026-11-25T09:00:00Z")], token: token).status == 200)
        }
    }

    @Test("hang and close, stored or not", arguments: [true, false])
    func silent(stored: Bool) async throws {
        try await FUTRun.with(FUTRun.settings { _ in }, timeout: .seconds(1)) { run in
            let token = try await run.token()
            let faults = FUTFaultPlan([
                FUTFaultRule(.hang(stored: stored), path: "$submit", times: 1),
                FUTFaultRule(.cut(stored: stored), path: "$submit", times: 1),
            ])
            await run.state.set(faults)
            #expect(await run.submit([run.observation()], token: token).isUnknown)
            #expect(await run.submit([run.observation()], token: token).isUnknown)
            #expect(await run.state.observations().count == (stored ? 2 : 0))
            #expect(await run.state.exchanges.suffix(2).allSatisfy { $0.status == nil })
        }
    }

    @Test("scripts over HTTP; at the realm a code is OAuth's; the ledger has a line for all")
    func script() async throws {
        let path = "/tmp/vitalgate-fut-\(getpid())-\(UInt32.random(in: 0...UInt32.max))"
        defer { unlink(path) }
        var options = FUTRun.settings { _ in }
        options.ledgerPath = path
        try await FUTRun.with(options) { run in
            let refresh = try await run.signIn()
            let script: JSON = [
                "rules": [["fault": "code", "code": "temporarily_unavailable", "path": "/token", "after": 1, "times": 1]]
            ]
            #expect(await run.control("faults", script).status == 200)
            let next = try #require(await run.refresh(refresh).json?["refresh_token"]?.string)
            #expect(await run.refresh(next).json?["error"]?.string == "temporarily_unavailable")
            let own = "\(run.endpoints.carePlan)/EpisodeOfCare/2001"
            let token = try #require(await run.refresh(next, episode: own).json?["access_token"]?.string)
            #expect(await run.submit([run.observation()], token: token).status == 200)
            #expect(await run.control("faults", ["rules": [["fault": "unheard-of"]]]).status == 400)
            let state = await run.get("\(run.endpoints.control)/state").json
            #expect(state?["observations"]?.integer == 1)
            #expect(state?["sessions"]?[0]?["generation"]?.integer == 3)

            let file = try #require(fopen(path, "r"))
            defer { fclose(file) }
            var buffer = [UInt8](repeating: 0, count: 100_000)
            let count = fread(&buffer, 1, buffer.count, file)
            let lines = try buffer.prefix(count).split(separator: 0x0A).map { try JSON(parsing: $0) }
            #expect(
                lines.map { $0["kind"]?.string } == [
                    "request", "grant", "request", "grant", "request", "request", "grant", "request", "resource", "request",
                ])
            #expect(lines[5]["code"]?.string == "temporarily_unavailable")
            #expect(lines[5]["fault"]?.string == "code")
            #expect(lines[6]["generation"]?.integer == 3)
            #expect(lines[8]["basedOn"]?.string == "3002")
            #expect(lines[8]["code"]?.string == "NPU03011")
        }
    }
}
