import Protocols
import Testing

@Suite struct SDPSerialPortLookupTests {
    /// Serial Port on channel 5, as Bumble 0.0.236 writes the answer.
    static let lists = grouped(
        "352b 3529 090001 3503191101 090004 350c 3503190100 3505190003 0805 090100 250b53657269616c20506f7274")

    static func answer(_ part: [UInt8], _ transaction: UInt16 = 1, _ continuation: [UInt8] = []) -> [UInt8] {
        SDPPDU.serviceSearchAttributeResponse(transaction: transaction, part: part, continuation: continuation).bytes
    }

    static func lookup(_ lists: [UInt8]) -> SDPSerialPortLookup.Step {
        var lookup = SDPSerialPortLookup()
        _ = lookup.start()
        return lookup.receive(answer(lists))
    }

    /// A record with this protocol list.
    static func record(
        _ protocols: SDPDataElement, classes: [BluetoothUUID] = [0x1101], name: SDPDataElement? = nil
    ) -> SDPDataElement {
        .sequence(
            [.unsigned(UInt16(0x0001)), .sequence(classes.map { .uuid($0) }), .unsigned(UInt16(0x0004)), protocols]
                + (name.map { [.unsigned(UInt16(0x0100)), $0] } ?? []))
    }

    static func stack(_ channel: SDPDataElement) -> SDPDataElement {
        .sequence([.sequence([.uuid(0x0100)]), .sequence([.uuid(0x0003), channel])])
    }

    @Test("One request, one answer")
    func simple() {
        var lookup = SDPSerialPortLookup()
        #expect(lookup.start() == grouped("06 0001 0013 3503191101 0288 3509 090001 090004 090100 00"))
        #expect(lookup.receive(Self.answer(Self.lists)) == .found(channel: 5, name: "Serial Port"))
        #expect(lookup.receive(Self.answer(Self.lists)) == .failed(.notWaiting))
    }

    @Test("An answer in parts of any size is the same answer", arguments: 1...45)
    func parts(_ size: Int) {
        var lookup = SDPSerialPortLookup()
        var request = lookup.start()
        var rest = Self.lists[...]
        var transaction: UInt16 = 1
        while true {
            let part = Array(rest.prefix(size))
            rest = rest.dropFirst(size)
            let continuation: [UInt8] = rest.isEmpty ? [] : [0xC0, UInt8(rest.count)]
            let step = lookup.receive(Self.answer(part, transaction, continuation))
            guard case .send(let next) = step else {
                #expect(step == .found(channel: 5, name: "Serial Port"))
                #expect(rest.isEmpty)
                return
            }
            transaction += 1
            #expect(next != request)
            request = next
            #expect(
                (try? SDPPDU(decoding: next))
                    == .serviceSearchAttributeRequest(
                        transaction: transaction, services: [0x1101], maximumByteCount: 648, attributes: [1, 4, 0x100],
                        continuation: continuation))
        }
    }

    @Test("Records: the first that is of the class and has a channel")
    func records() {
        let other = Self.record(Self.stack(.unsigned(UInt8(9))), classes: [0x1124])
        let noChannel = Self.record(.sequence([.sequence([.uuid(0x0100)])]))
        let right = Self.record(Self.stack(.unsigned(UInt8(3))), classes: [0x1234, 0x1101])
        #expect(Self.lookup(SDPDataElement.sequence([other, noChannel, right]).bytes) == .found(channel: 3, name: nil))
        #expect(Self.lookup(SDPDataElement.sequence([other, noChannel]).bytes) == .none)
        #expect(Self.lookup(SDPDataElement.sequence([]).bytes) == .none)
    }

    @Test("A lookup of another service finds that one")
    func otherService() {
        let vendor = BluetoothUUID.long(high: 1, low: 2)
        var lookup = SDPSerialPortLookup(service: vendor)
        _ = lookup.start()
        let record = Self.record(Self.stack(.unsigned(UInt8(7))), classes: [vendor])
        #expect(lookup.receive(Self.answer(SDPDataElement.sequence([record]).bytes)) == .found(channel: 7, name: nil))
    }

    @Test("The channel is a number of 1 to 30, of whatever width", arguments: [0, 1, 30, 31, 255])
    func channels(_ channel: UInt8) {
        for element in [
            SDPDataElement.unsigned(channel), .unsigned(UInt16(channel)), .unsigned(UInt128(channel), width: .sixteen),
        ] {
            let step = Self.lookup(SDPDataElement.sequence([Self.record(Self.stack(element))]).bytes)
            #expect(step == ((1...30).contains(channel) ? .found(channel: channel, name: nil) : .none))
        }
    }

    @Test("Of several protocol stacks the first with RFCOMM")
    func alternatives() {
        let stacks = SDPDataElement.alternative([
            .sequence([.sequence([.uuid(0x0100), .unsigned(UInt16(0x1001))])]), Self.stack(.unsigned(UInt8(11))),
            Self.stack(.unsigned(UInt8(12))),
        ])
        #expect(Self.lookup(SDPDataElement.sequence([Self.record(stacks)]).bytes) == .found(channel: 11, name: nil))
        let nested = SDPDataElement.alternative([.alternative([Self.stack(.unsigned(UInt8(1)))])])
        #expect(Self.lookup(SDPDataElement.sequence([Self.record(nested)]).bytes) == .none)
    }

    @Test("Odd records are passed over: no list, no pairs, no channel, a channel that is none, a name that is none")
    func oddRecords() {
        let odd: [SDPDataElement] = [
            .null, .sequence([.unsigned(UInt16(1))]), .sequence([.unsigned(UInt8(1)), .null]), Self.record(.null),
            Self.record(.sequence([.null, .sequence([])])), Self.record(.sequence([.sequence([.uuid(0x0003)])])),
            Self.record(Self.stack(.signed(5, width: .one))), Self.record(Self.stack(.text([5]))),
        ]
        #expect(Self.lookup(SDPDataElement.sequence(odd).bytes) == .none)
        for name: SDPDataElement in [.null, .text([]), .text([0, 0x41])] {
            let record = Self.record(Self.stack(.unsigned(UInt8(2))), name: name)
            #expect(Self.lookup(SDPDataElement.sequence(odd + [record]).bytes) == .found(channel: 2, name: nil))
        }
    }

    @Test("What ends a lookup, and ends it for good")
    func failures() {
        let cases: [([UInt8], SDPError)] = [
            (SDPPDU.errorResponse(transaction: 1, .insufficientResources).bytes, .refused(.insufficientResources)),
            (Self.answer(Self.lists, 2), .wrongTransaction(expected: 1, found: 2)),
            (grouped("03 0001 0000"), .unexpected(pdu: 0x03)),
            (grouped("06 0001 0013 3503191101 0288 3509 090001 090004 090100 00"), .unexpected(pdu: 0x06)),
            (Self.answer([UInt8](repeating: 0, count: 649)), .tooLong(limit: 648)),
            ([], .malformed(.tooShort, offset: 0, message: "expected a PDU, found nothing")),
            (Self.answer([0x08, 0x01]), .malformed(.invalidValue, offset: 0, message: "expected a sequence of attribute lists")),
        ]
        for (pdu, error) in cases {
            var lookup = SDPSerialPortLookup()
            _ = lookup.start()
            #expect(lookup.receive(pdu) == .failed(error))
            #expect(lookup.receive(Self.answer(Self.lists)) == .failed(.notWaiting))
        }
        var idle = SDPSerialPortLookup()
        #expect(idle.receive(Self.answer(Self.lists)) == .failed(.notWaiting))
        guard case .failed(.malformed) = Self.lookup(Array(Self.lists.dropLast())) else {
            Issue.record("lists cut short were taken")
            return
        }
    }

    @Test("A server that never ends is left, whether it sends nothing or much", arguments: [0, 1, 648])
    func endless(_ size: Int) {
        var lookup = SDPSerialPortLookup()
        _ = lookup.start()
        var transaction: UInt16 = 1
        var steps = 0
        while case .send = lookup.receive(Self.answer([UInt8](repeating: 0x35, count: size), transaction, [1])) {
            transaction += 1
            steps += 1
            guard steps < 1_000 else {
                Issue.record("still going on")
                return
            }
        }
        #expect(steps == (size == 648 ? 25 : 63))
    }

    @Test("Random answers never trap")
    func random() {
        var generator = freshGenerator("SDP lookup")
        for _ in 0..<10_000 {
            var lists = Self.lists
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                lists[Int.random(in: 0..<lists.count, using: &generator)] = generator.number()
            }
            _ = Self.lookup(lists)
            var lookup = SDPSerialPortLookup()
            _ = lookup.start()
            _ = lookup.receive(generator.bytes(Int.random(in: 0...60, using: &generator)))
        }
    }
}
