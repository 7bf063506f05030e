import Destinations
import ExactJSON
import Testing
import Vitals

/// What a relay reads is what a hub wrote.
@Suite struct PHDReceptionTests {
    private static func destination(_ edition: PHDEdition) -> PHDDestination {
        PHDDestination(
            settings: ReceiverSettings(
                name: "relay", kind: .phd, baseURL: "https://relay.example.org/fhir", maximumActs: 8, phdEdition: edition))
    }

    private static func bundle(_ acts: [Act], _ edition: PHDEdition = .v2) throws -> JSON {
        try Samples.body(destination(edition).dispatch(of: acts.map { Samples.due($0) }, context: Samples.context))
    }

    private static var cuff: Act {
        var act = Samples.bloodPressure
        act.measurement.status = [.irregularPulse, .bodyMovement]
        act.cautions = [.unlikelyValue]
        act.batteryPercent = 71
        act.coincidence = ClockCoincidence(
            device: LocalDateTime(year: 2023, month: 2, day: 23, hour: 10, minute: 24, second: 25), hub: Samples.hub)
        return act
    }

    @Test(
        "R3 values, units, times, flags, device and identifiers come back as they were, in both editions",
        arguments: [PHDEdition.v1, .v2])
    func r3_roundTrip(edition: PHDEdition) throws {
        let act = Self.cuff
        let reception = try PHDReception(try Self.bundle([act], edition))
        let received = try #require(reception.acts.first)
        #expect(reception.acts.count == 1 && !received.isRetraction)
        #expect(received.measurement.kind == .bloodPressure)
        #expect(received.measurement.readings.map(\.kind) == act.readings.map(\.reading.kind))
        for (sent, found) in zip(act.readings, received.measurement.readings) {
            #expect(found.type == sent.reading.type)
            #expect(found.quantities.map(\.value) == sent.reading.quantities.map(\.value))
            #expect(found.quantities.map(\.unit) == sent.reading.quantities.map(\.unit))
            #expect(received.names[found.kind] == "urn:uuid:" + sent.id.rawValue)
        }
        #expect(received.measurement.status == act.measurement.status)
        #expect(received.effective == act.effective)
        #expect(received.cautions == [.unlikelyValue] && received.timeBasis == act.timeBasis)
        #expect(received.patient == Samples.context.patientID)
        #expect(received.device.systemID == act.device.systemID && received.device.serialNumber == act.device.serialNumber)
        // Without the padding that the device sends, as it went out.
        let maker = try #require(received.device.manufacturer)
        let model = try #require(received.device.modelNumber)
        #expect(act.device.manufacturer?.hasPrefix(maker) == true && act.device.modelNumber?.hasPrefix(model) == true)
        // What is sent again is the same (R3), and another act is another.
        #expect(
            try PHDReception(try Self.bundle([act], edition)).acts.first?.measurement.projection
                == received.measurement.projection)
    }

    @Test("two acts of one bundle stay two, each with its own readings")
    func twoActs() throws {
        let first = Self.cuff
        var second = first
        second.effective = MeasuredTime(first.effective.instant + .seconds(600), offsetMinutes: first.effective.offsetMinutes)
        second.readings = first.readings.map {
            .init(id: SubjectID(rawValue: "f" + $0.id.rawValue.dropFirst()), reading: $0.reading)
        }
        let acts = try PHDReception(try Self.bundle([first, second])).acts
        #expect(acts.map(\.effective) == [first.effective, second.effective])
        #expect(Set(acts.flatMap(\.names.values)).count == 4)
        #expect(acts[0].measurement.projection != acts[1].measurement.projection)
    }

    @Test("a heartbeat has nothing in it")
    func heartbeat() throws {
        let request = Self.destination(.v2).heartbeat(Samples.context.gateway)
        let reception = try PHDReception(try JSON(parsing: request.body))
        #expect(reception.acts.isEmpty && reception.entryCount == 1)
        #expect(request.url == "https://relay.example.org/fhir")
    }

    @Test("what is not known is refused whole: a code, a unit, a time, an identifier, a subject")
    func refused() throws {
        let good = try Self.bundle([Self.cuff]).text
        for (find, replace) in [
            ("\"150020\"", "\"999999\""), ("\"type\":\"transaction\"", "\"type\":\"batch\""),
            ("\"reference\":\"Patient/", "\"reference\":\"Group/"), ("\"effectiveDateTime\"", "\"effectiveWhen\""),
            ("\"urn:ietf:rfc:3986\"", "\"urn:else\""),
        ] {
            let changed = good.replacing(find, with: replace)
            #expect(changed != good)
            let broken = try JSON(parsing: changed)
            #expect(throws: PHDReception.Refusal.self) { try PHDReception(broken) }
        }
    }

    @Test("a bundle cut at any place, or with any member taken out, is read or refused, and nothing else")
    func mangled() throws {
        let text = try Self.bundle([Self.cuff]).text
        var read = 0
        for position in stride(from: 0, to: text.utf8.count, by: 37) {
            var bytes = Array(text.utf8)
            bytes[position] = UInt8(ascii: "0")
            guard let json = try? JSON(parsing: bytes) else { continue }
            if (try? PHDReception(json)) != nil { read += 1 }
        }
        #expect(read > 0)
    }
}
