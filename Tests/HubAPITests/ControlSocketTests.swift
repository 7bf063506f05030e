import ExactJSON
import Glibc
import HubAPI
import Testing

@Suite("the control socket", .serialized)
struct ControlSocketTests {
    @Test("an operation goes through, with the peer's user id for the audit")
    func goesThrough() async throws {
        let recorder = Recorder(.success(["answer": 42]))
        try await Control.with(recorder) { control in
            for operation in [HubAPI.Operation.status, .device(name: "cuff"), .retry(item: 3, receiver: nil)] {
                let answer = await control.ask("/v1/" + operation.name, operation.parameters.bytes)
                #expect(answer?.status == 200)
                #expect(answer?.json?["answer"]?.integer == 42)
            }
        }
        #expect(recorder.asked == [.status, .device(name: "cuff"), .retry(item: 3, receiver: nil)])
        #expect(Set(recorder.actors) == ["uid:\(getuid())"])
    }

    @Test("only its owner and group may speak to it")
    func mode() async throws {
        try await Control.with(Recorder()) { control in
            var status = stat()
            #expect(stat(control.path, &status) == 0)
            #expect(status.st_mode & 0o777 == 0o660)
        }
    }

    @Test("a refusal comes back whole")
    func refusal() async throws {
        let error = OperationError("what", why: "why", remedy: "do", exitCode: 75)
        try await Control.with(Recorder(.failure(error))) { control in
            let answer = await control.ask("/v1/status", "{}")
            #expect((400..<500).contains(answer?.status ?? 0))
            #expect(answer?.json.flatMap { OperationError(json: $0) } == error)
        }
    }

    @Test(
        "what is not understood does nothing and ends nothing",
        arguments: [
            "{", "[1", "\u{0}", "{\"name\": \"a\" \"b\"}", "nonsense", "\"text\"", String(repeating: "[", count: 10_000),
            "{\"name\": 1}",
        ])
    func malformedBodies(_ body: String) async throws {
        let recorder = Recorder()
        try await Control.with(recorder) { control in
            let answer = await control.ask("/v1/device", body)
            #expect((400..<500).contains(answer?.status ?? 0))
            #expect(answer?.json.flatMap { OperationError(json: $0) }?.exitCode == 64)
            #expect(await control.ask("/v1/status", "")?.status == 200)
        }
        #expect(recorder.asked == [.status])
    }

    @Test("another method or path is no operation")
    func otherPaths() async throws {
        let recorder = Recorder()
        try await Control.with(recorder) { control in
            #expect(await control.ask("/v1/status", [], method: .get)?.status ?? 0 >= 400)
            #expect(await control.ask("/v2/status", "{}")?.status ?? 0 >= 400)
            #expect(await control.ask("/v1/no-such-thing", "{}")?.status ?? 0 >= 400)
            #expect(await control.ask("/v1/../v1/status", "{}") != nil)
        }
        #expect(recorder.asked.allSatisfy { $0 == .status })
    }

    @Test("a body without end is refused")
    func oversize() async throws {
        let recorder = Recorder()
        try await Control.with(recorder) { control in
            let long = Array("{\"name\": \"".utf8) + [UInt8](repeating: 0x61, count: 4 << 20) + Array("\"}".utf8)
            let answer = await control.ask("/v1/device", long)
            #expect(answer?.status == nil || (400..<500).contains(answer?.status ?? 0))
            #expect(await control.ask("/v1/status", "{}")?.status == 200)
        }
        #expect(recorder.asked == [.status])
    }

    @Test("a socket left behind by a dead daemon is taken over")
    func staleSocket() async throws {
        let recorder = Recorder()
        try await Control.with(recorder, prepare: Self.leaveSocket) { control in
            #expect(await control.ask("/v1/status", "{}")?.status == 200)
        }
        #expect(recorder.asked == [.status])
    }

    /// Binds a socket there and forgets it, as a killed process does.
    private static func leaveSocket(_ path: String) {
        let descriptor = socket(AF_UNIX, Int32(SOCK_STREAM.rawValue), 0)
        var address = sockaddr_un()
        address.sun_family = sa_family_t(AF_UNIX)
        withUnsafeMutableBytes(of: &address.sun_path) { $0.copyBytes(from: Array(path.utf8)) }
        let bound = withUnsafePointer(to: &address) {
            $0.withMemoryRebound(to: sockaddr.self, capacity: 1) {
                bind(descriptor, $0, socklen_t(MemoryLayout<sockaddr_un>.size))
            }
        }
        #expect(bound == 0)
        close(descriptor)
    }
}
