import Protocols
import Testing
import Vitals

@Suite struct ATTClientTests {
    let start = MonotonicTime(milliseconds: 1_000)

    @Test("One request at a time; the next leaves when the answer has come")
    func oneOutstanding() {
        var client = ATTClient()
        let (first, sent) = client.submit(.read(handle: 3), at: start)
        #expect(sent == [.send(.readRequest(handle: 3))])
        let (second, nothing) = client.submit(.write(handle: 4, value: [1]), at: start)
        #expect(nothing.isEmpty)
        let events = client.receive([0x0B, 9], at: start)
        #expect(events == [.answered(first, .success(.value([9]))), .send(.writeRequest(handle: 4, value: [1]))])
        #expect(client.receive([0x13], at: start) == [.answered(second, .success(.written))])
        #expect(!client.isBusy)
    }

    @Test("After 30 s without an answer the bearer is dead (Core Vol 3 Part F 3.3.3)")
    func transactionTimeout() {
        var client = ATTClient()
        let (first, _) = client.submit(.read(handle: 3), at: start)
        let (second, _) = client.submit(.read(handle: 4), at: start)
        #expect(client.deadline == MonotonicTime(milliseconds: 31_000))
        #expect(client.timer(at: MonotonicTime(milliseconds: 30_999)).isEmpty)
        #expect(
            client.timer(at: MonotonicTime(milliseconds: 31_000)) == [
                .answered(first, .failure(.timedOut)), .answered(second, .failure(.timedOut)),
            ])
        let (third, events) = client.submit(.exchangeMTU, at: start)
        #expect(events == [.answered(third, .failure(.timedOut))])
    }

    @Test("The MTU is the smaller of both and at least 23", arguments: [(10, 23), (23, 23), (185, 185), (600, 517)])
    func mtu(_ theirs: Int, _ agreed: Int) {
        var client = ATTClient()
        let (id, sent) = client.submit(.exchangeMTU, at: start)
        #expect(sent == [.send(.mtuRequest(517))])
        #expect(client.receive(ATTPDU.mtuResponse(UInt16(theirs)).bytes, at: start) == [.answered(id, .success(.mtu(agreed)))])
        #expect(client.mtu == agreed)
    }

    @Test("A long value is read in parts, a long one written in prepared parts")
    func longValues() {
        var client = ATTClient()
        let (read, _) = client.submit(.read(handle: 3), at: start)
        let part = [UInt8](repeating: 7, count: 22)
        #expect(client.receive([0x0B] + part, at: start) == [.send(.readBlobRequest(handle: 3, offset: 22))])
        #expect(client.receive([0x0D, 8], at: start) == [.answered(read, .success(.value(part + [8])))])

        // Exactly one PDU full: "attribute not long" to the second part ends it.
        let (full, _) = client.submit(.read(handle: 3), at: start)
        _ = client.receive([0x0B] + part, at: start)
        #expect(client.receive([0x01, 0x0C, 3, 0, 0x0B], at: start) == [.answered(full, .success(.value(part)))])

        let value = (0..<40).map { UInt8($0) }
        let (write, first) = client.submit(.write(handle: 5, value: value), at: start)
        #expect(first == [.send(.prepareWriteRequest(handle: 5, offset: 0, value: Array(value[..<18])))])
        let second = client.receive(
            ATTPDU.prepareWriteResponse(handle: 5, offset: 0, value: Array(value[..<18])).bytes, at: start)
        #expect(second == [.send(.prepareWriteRequest(handle: 5, offset: 18, value: Array(value[18..<36])))])
        _ = client.receive(ATTPDU.prepareWriteResponse(handle: 5, offset: 18, value: Array(value[18..<36])).bytes, at: start)
        let last = client.receive(ATTPDU.prepareWriteResponse(handle: 5, offset: 36, value: Array(value[36...])).bytes, at: start)
        #expect(last == [.send(.executeWriteRequest(writes: true))])
        #expect(client.receive([0x19], at: start) == [.answered(write, .success(.written))])
    }

    @Test("A wrong echo of a prepared part cancels the write")
    func wrongEcho() {
        var client = ATTClient()
        let (write, _) = client.submit(.write(handle: 5, value: [UInt8](repeating: 1, count: 30)), at: start)
        let echo = ATTPDU.prepareWriteResponse(handle: 5, offset: 0, value: [UInt8](repeating: 2, count: 18))
        #expect(client.receive(echo.bytes, at: start) == [.send(.executeWriteRequest(writes: false))])
        #expect(client.receive([0x19], at: start) == [.answered(write, .failure(.badResponse))])
    }

    @Test("Discovery finds services, characteristics and configurations")
    func discovery() {
        var client = ATTClient()
        let (id, sent) = client.submit(.discover, at: start)
        #expect(sent == [.send(.readByGroupTypeRequest(.all, type: .primaryService))])
        func answer(_ pdu: ATTPDU) -> [ATTClient.Event] { client.receive(pdu.bytes, at: start) }
        #expect(
            answer(.readByGroupTypeResponse([.init(range: HandleRange(1, 6), value: [0x10, 0x18])])) == [
                .send(.readByGroupTypeRequest(HandleRange(7, 0xFFFF), type: .primaryService))
            ])
        #expect(
            answer(.errorResponse(request: 0x10, handle: 7, code: .attributeNotFound)) == [
                .send(.readByTypeRequest(HandleRange(2, 6), type: .characteristicDeclaration))
            ])
        #expect(
            answer(
                .readByTypeResponse([
                    .init(handle: 2, value: [0x20, 3, 0, 0x35, 0x2A]), .init(handle: 5, value: [0x02, 6, 0, 0x49, 0x2A]),
                ])) == [.send(.readByTypeRequest(HandleRange(6, 6), type: .characteristicDeclaration))])
        #expect(
            answer(.errorResponse(request: 0x08, handle: 6, code: .attributeNotFound)) == [
                .send(.findInformationRequest(HandleRange(4, 4)))
            ])
        let map = HandleMap(services: [
            .init(
                type: 0x1810, range: HandleRange(1, 6),
                characteristics: [
                    .init(type: 0x2A35, properties: .indicate, value: 3, configuration: 4),
                    .init(type: 0x2A49, properties: .read, value: 6),
                ])
        ])
        #expect(answer(.findInformationResponse([.init(handle: 4, type: 0x2902)])) == [.answered(id, .success(.map(map)))])
    }

    @Test("A server whose handles do not rise ends discovery instead of asking for ever")
    func circularDiscovery() {
        var client = ATTClient()
        let (id, _) = client.submit(.discover, at: start)
        _ = client.receive(
            ATTPDU.readByGroupTypeResponse([.init(range: HandleRange(1, 6), value: [0x10, 0x18])]).bytes, at: start)
        let again = client.receive(
            ATTPDU.readByGroupTypeResponse([.init(range: HandleRange(1, 6), value: [0x10, 0x18])]).bytes, at: start)
        #expect(again == [.answered(id, .failure(.badResponse))])
    }

    @Test("R1 an indication is confirmed only when the caller says so, and once")
    func r1_confirmationWaitsForTheCaller() throws {
        var client = ATTClient()
        let events = client.receive([0x1D, 0x12, 0x00, 1], at: start)
        guard case .indicated(let id, handle: 0x12, value: [1]) = try #require(events.first) else {
            Issue.record("no indication")
            return
        }
        #expect(client.hasUnconfirmed)
        #expect(client.timer(at: MonotonicTime(milliseconds: 100_000)).isEmpty)
        #expect(client.confirm(id, at: start) == [.send(.confirmation), .confirmed([id])])
        #expect(client.confirm(id, at: start).isEmpty)
    }

    @Test("R1 a repeated indication is neither a second one nor a second confirmation")
    func r1_repeatedIndicationIsOne() throws {
        var client = ATTClient()
        guard case .indicated(let id, _, _) = try #require(client.receive([0x1D, 0x12, 0x00, 1], at: start).first) else { return }
        #expect(client.receive([0x1D, 0x12, 0x00, 1], at: start) == [.repeated(id)])
        // Another one while the first is unconfirmed, against the specification: no word until both may have it.
        guard case .indicated(let other, _, _) = try #require(client.receive([0x1D, 0x12, 0x00, 2], at: start).first) else {
            return
        }
        #expect(client.confirm(id, at: start).isEmpty)
        #expect(client.confirm(other, at: start) == [.send(.confirmation), .confirmed([id, other])])
    }

    @Test("R1 a repetition that came before the confirmation left is no second one, whenever it is looked at")
    func r1_lateLookAtARepetition() throws {
        var client = ATTClient()
        guard case .indicated(let id, _, _) = try #require(client.receive([0x1D, 0x12, 0x00, 1], at: start).first) else { return }
        _ = client.confirm(id, at: start + .seconds(35))
        #expect(client.receive([0x1D, 0x12, 0x00, 1], at: start + .seconds(30)) == [.repeated(id)])
        #expect(!client.hasUnconfirmed)
        guard case .indicated = try #require(client.receive([0x1D, 0x12, 0x00, 1], at: start + .seconds(36)).first) else {
            Issue.record("an equal record after the confirmation is another one")
            return
        }
    }

    @Test(
        "The small server side",
        arguments: [
            ([0x02, 0x17, 0x00], [0x03, 0x05, 0x02]),
            ([0x04, 0x01, 0x00, 0xFF, 0xFF], [0x01, 0x04, 0x01, 0x00, 0x0A]),
            ([0x06, 0x01, 0x00, 0xFF, 0xFF, 0x00, 0x28, 0x05, 0x18], [0x01, 0x06, 0x01, 0x00, 0x0A]),
            ([0x08, 0x00, 0x00, 0xFF, 0xFF, 0x03, 0x28], [0x01, 0x08, 0x00, 0x00, 0x01]),
            ([0x10, 0x01, 0x00, 0xFF, 0xFF, 0x00, 0x28], [0x01, 0x10, 0x01, 0x00, 0x0A]),
            ([0x0A, 0x03, 0x00], [0x01, 0x0A, 0x03, 0x00, 0x01]),
            ([0x12, 0x03, 0x00, 0x01], [0x01, 0x12, 0x03, 0x00, 0x01]),
            ([0x18, 0x01], [0x19]),
            ([0x20, 0x01], [0x01, 0x20, 0x00, 0x00, 0x06]),
            ([0x08, 0x01], [0x01, 0x08, 0x00, 0x00, 0x04]),
        ] as [([UInt8], [UInt8])])
    func serverSide(_ request: [UInt8], _ answer: [UInt8]) {
        var client = ATTClient()
        let sent = client.receive(request, at: start).compactMap { if case .send(let pdu) = $0 { pdu.bytes } else { nil } }
        #expect(sent == [answer])
    }

    @Test(
        "Commands are never answered, stray answers are counted",
        arguments: [
            [0x52, 0x01, 0x00], [0xD2, 0x01], [0x41, 0x00], [0x0B, 0x01], [0x01, 0x0A, 0x00, 0x00, 0x01], [0x21],
        ] as [[UInt8]])
    func silent(_ bytes: [UInt8]) {
        var client = ATTClient()
        let sent = client.receive(bytes, at: start).contains { if case .send = $0 { true } else { false } }
        #expect(!sent)
    }

    @Test("A broken answer fails its request, other garbage does not")
    func brokenAnswer() {
        var client = ATTClient()
        let (id, _) = client.submit(.discover, at: start)
        _ = client.receive([0x21, 0x00], at: start)
        #expect(client.isBusy)
        #expect(client.receive([0x11, 0x01, 0x00], at: start).last == .answered(id, .failure(.badResponse)))
        #expect(client.malformedCount == 2)
    }

    @Test("Random PDUs never trap, whatever is under way")
    func randomPDUs() {
        for _ in 0..<300 {
            var client = ATTClient()
            _ = client.submit(
                [.discover, .exchangeMTU, .read(handle: 3), .write(handle: 3, value: [UInt8](repeating: 1, count: 60))]
                    .randomElement() ?? .discover, at: start)
            for _ in 0..<60 {
                let opcode = ATTPDU.Opcode.allCases.randomElement()?.rawValue ?? 0
                let bytes = [opcode] + (0..<Int.random(in: 0...24)).map { _ in UInt8.random(in: 0...8) }
                for event in client.receive(bytes, at: start) {
                    if case .indicated(let id, _, _) = event { _ = client.confirm(id, at: start) }
                }
            }
        }
    }
}
