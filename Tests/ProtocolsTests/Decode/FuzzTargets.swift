import ExactJSON
import Protocols
import Vitals

/// What the fuzzer runs, one target per group of decoders, and the tests run on the kept corpus.
///
/// `Fuzz/fuzz.sh` compiles this file too. A broken promise ends in a trap, which is what the fuzzer looks for.
enum FuzzTarget: String, CaseIterable {
    case numbers, measurements, control, records, formats, json, att, nonin, sdp
    case managementEvent = "management-event"
    case advertisingData = "advertising-data"
    case hciMonitor = "hci-monitor"

    func run(_ input: [UInt8]) {
        switch self {
        case .numbers: Self.numbers(input)
        case .measurements: Self.measurements(input)
        case .control: Self.control(input)
        case .records: Self.records(input)
        case .formats: Self.formats(input)
        case .json: Self.json(input)
        case .att: Self.att(input)
        case .sdp: Self.sdp(input)
        case .managementEvent: Self.managementEvent(input)
        case .advertisingData: Self.advertisingData(input)
        case .nonin: Self.nonin(input)
        case .hciMonitor: Self.hciMonitor(input)
        }
    }

    private static func numbers(_ input: [UInt8]) {
        guard input.count >= 4 else { return }
        let small = SFloat(bits: UInt16(input[0]) | UInt16(input[1]) << 8)
        precondition(SFloat(small.value) == small)
        let large = Float32Decimal(bits: input[..<4].reduce(0) { $0 << 8 | UInt32($1) })
        precondition(Float32Decimal(large.value) == large)
        if case .number(let number) = large.value {
            _ = number.description
            if let fit = SFloat(number), case .number(let same) = fit.value { precondition(same.isNumericallyEqual(to: number)) }
        }
    }

    /// The first byte selects the characteristic.
    private static func measurements(_ input: [UInt8]) {
        guard let selector = input.first else { return }
        let value = Array(input.dropFirst())
        switch selector % 11 {
        case 0: roundTrip(BloodPressureMeasurement.self, value)
        case 1: roundTrip(IntermediateCuffPressure.self, value)
        case 2: roundTrip(EnhancedBloodPressureMeasurement.self, value)
        case 3: roundTrip(EnhancedIntermediateCuffPressure.self, value)
        case 4: roundTrip(PulseOximeterSpotCheck.self, value)
        case 5: roundTrip(PulseOximeterContinuous.self, value)
        case 6: roundTrip(WeightMeasurement.self, value)
        case 7: roundTrip(BodyCompositionMeasurement.self, value)
        case 8: roundTrip(TemperatureMeasurement.self, value)
        case 9: roundTrip(GlucoseMeasurement.self, value)
        default: roundTrip(GlucoseContext.self, value)
        }
    }

    private static func roundTrip<Value: MeasurementValue>(_ type: Value.Type, _ bytes: [UInt8]) {
        do throws(DecodeError) {
            let value = try Value(decoding: bytes)
            precondition(value.encoded == bytes)
            let measurement = value.measurement
            precondition(measurement == value.measurement)
            _ = measurement.json().bytes
            _ = measurement.readings
        } catch {
            precondition(error.bytes == bytes && error.offset <= bytes.count)
        }
    }

    private static func control(_ input: [UInt8]) {
        guard let selector = input.first else { return }
        let value = Array(input.dropFirst())
        switch selector % 11 {
        case 0: exact(RecordAccess.self, value)
        case 1: exact(UserControlPoint.self, value)
        case 2: exact(CurrentTime.self, value)
        case 3: exact(DateTime.self, value)
        case 4: exact(DateOfBirth.self, value)
        case 5: exact(SystemID.self, value)
        case 6: exact(CertificationData.self, value)
        case 7: exact(PlugAndPlayID.self, value)
        case 8: exact(UniqueDeviceIdentifier.self, value)
        case 9: exact(PulseOximeterFeatures.self, value)
        default: exact(BloodPressureFeature.self, value)
        }
    }

    private static func exact<Value: CharacteristicValue>(_ type: Value.Type, _ bytes: [UInt8]) {
        do throws(DecodeError) {
            let value = try Value(decoding: bytes)
            precondition(value.encoded == bytes)
        } catch {
            precondition(error.bytes == bytes && error.offset <= bytes.count)
        }
    }

    /// Segments, each behind a byte of length.
    private static func records(_ input: [UInt8]) {
        var rest = input[...]
        var segments: [[UInt8]] = []
        while let length = rest.popFirst() {
            segments.append(Array(rest.prefix(Int(length))))
            rest = rest.dropFirst(Int(length))
        }
        for checksum in [BloodPressureRecord.Checksum.detected, .present, .absent] {
            _ = (try? BloodPressureRecord(segments: segments, checksum: checksum))?.measurement.json().bytes
        }
    }

    /// The first byte selects the format of the decode command.
    private static func formats(_ input: [UInt8]) {
        guard let selector = input.first else { return }
        let entry = DecodeFormat.all[Int(selector) % DecodeFormat.all.count]
        _ = (try? DecodeFormat.decode(format: entry.name, bytes: Array(input.dropFirst())))?.text
    }

    /// What was read is written and read again as the same.
    private static func json(_ input: [UInt8]) {
        guard let value = try? JSON(parsing: input) else { return }
        // A large exponent is written in digits, more perhaps than the parser takes.
        guard let again = try? JSON(parsing: value.bytes) else { return }
        precondition(again.bytes == value.bytes)
        _ = value.prettyText
    }

    private static func att(_ input: [UInt8]) {
        guard let pdu = try? ATTPDU(decoding: input) else { return }
        precondition((try? ATTPDU(decoding: pdu.bytes)) == pdu)
    }

    /// As a PDU, as an element, and as answers to a lookup, each behind a byte of length.
    private static func sdp(_ input: [UInt8]) {
        if let pdu = try? SDPPDU(decoding: input) { precondition((try? SDPPDU(decoding: pdu.bytes)) == pdu) }
        if let element = try? SDPDataElement(decoding: input) {
            precondition((try? SDPDataElement(decoding: element.bytes)) == element)
        }
        var lookup = SDPSerialPortLookup()
        _ = lookup.start()
        var rest = input[...]
        while let length = rest.popFirst() {
            let step = lookup.receive(Array(rest.prefix(Int(length))))
            rest = rest.dropFirst(Int(length))
            if case .found(let channel, _) = step { precondition((1...30).contains(channel)) }
            guard case .send(let pdu) = step else { break }
            precondition((try? SDPPDU(decoding: pdu)) != nil)
        }
    }

    private static func managementEvent(_ input: [UInt8]) {
        if let command = try? ManagementCommand(decoding: input) { precondition(command.bytes == input) }
        let parameters = Array(input.dropFirst(6))
        _ = try? ManagementReply.indexList(parameters: parameters)
        _ = try? ManagementReply.connections(parameters: parameters)
        if let info = try? ControllerInfo(decoding: parameters) {
            precondition(info.bytes.count == ControllerInfo.byteCount)
        }
        do throws(ManagementError) {
            let event = try ManagementEvent(decoding: input)
            precondition((try? ManagementEvent(decoding: event.bytes)) == event)
            if case .deviceFound(_, _, _, _, let data) = event { advertisingData(data) }
        } catch {
            precondition(error.offset <= input.count)
        }
    }

    private static func advertisingData(_ input: [UInt8]) {
        let data = AdvertisingData(parsing: input)
        // Of two bytes or more each.
        precondition(data.services.count + data.solicitedServices.count <= input.count / 2)
        precondition(Set(data.services).count == data.services.count)
        precondition(data.manufacturerData.reduce(0) { $0 + $1.bytes.count } <= input.count)
        precondition(data.serviceData.reduce(0) { $0 + $1.bytes.count } <= input.count)
    }

    /// Datagrams of the monitor channel, each behind a byte of length, as one capture.
    private static func hciMonitor(_ input: [UInt8]) {
        var redaction = KeyRedaction()
        var rest = input[...]
        while let length = rest.popFirst() {
            let datagram = Array(rest.prefix(Int(length)))
            rest = rest.dropFirst(Int(length))
            do throws(DecodeError) {
                let record = try MonitorRecord(decoding: datagram)
                precondition(record.bytes == datagram)
                guard let kept = redaction.redact(record) else { continue }
                precondition(kept.payload.count == record.payload.count)
                precondition(zip(kept.payload, record.payload).allSatisfy { $0 == $1 || $0 == 0 })
                precondition(BTSnoop.record(kept, microseconds: 0, drops: 0).count == 24 + kept.payload.count)
            } catch {
                precondition(error.bytes == datagram && error.offset <= datagram.count)
            }
        }
    }

    /// The first byte selects the format of a serial stream and where it is cut in two.
    private static func nonin(_ input: [UInt8]) {
        guard let selector = input.first else { return }
        let format = NoninDataFormat.allCases[Int(selector) % NoninDataFormat.allCases.count]
        let bytes = input.dropFirst()
        var whole = NoninStream(format: format)
        let items = whole.append(bytes)
        var cut = NoninStream(format: format)
        let first = cut.append(bytes.prefix(Int(selector) / NoninDataFormat.allCases.count))
        precondition(first + cut.append(bytes.dropFirst(Int(selector) / NoninDataFormat.allCases.count)) == items)
        precondition(cut == whole)
        for item in items {
            switch item {
            case .frame(let frame): frameOfNonin(frame, format)
            case .reply(let reply): precondition((try? NoninReply(decoding: reply.encoded)) == reply)
            case .damaged(let frame): precondition((try? format.measurement(frame)) == nil)
            }
        }
        frameOfNonin(Array(bytes), format)
        if let command = try? NoninCommand(decoding: Array(bytes)) { precondition(command.encoded == Array(bytes)) }
        if let reply = try? NoninReply(decoding: Array(bytes)) { precondition(reply.encoded == Array(bytes)) }
    }

    private static func frameOfNonin(_ bytes: [UInt8], _ format: NoninDataFormat) {
        do throws(DecodeError) {
            let measurement = try format.measurement(bytes)
            _ = measurement.json().bytes
            let encoded =
                switch format {
                case .df13: try NoninSpotCheck(decoding: bytes).encoded
                case .df8: try NoninSample(decoding: bytes).encoded
                case .df2, .df7: try NoninWaveform(decoding: bytes, format: format).encoded
                }
            precondition(encoded == bytes)
        } catch {
            precondition(error.bytes == bytes && error.offset <= bytes.count)
        }
    }
}
