import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

@Suite struct FUTObservationTests {
    @Test("A blood pressure is one panel with two components; the mean is not sent; the pulse is an observation of its own")
    func bloodPressure() throws {
        let draft = try FUTSamples.draft(Samples.bloodPressure)
        #expect(draft.request.method == .post)
        #expect(draft.request.url == "https://measurement.test001.ehealth.sundhed.dk/fhir/$submit-measurement")
        #expect(draft.entries == [.init(item: 1, index: 0), .init(item: 2, index: 1)])
        let observations = try FUTSamples.observations(draft)
        #expect(observations.map(\.codeText) == ["ZZ3170", "NPU21692"])
        let panel = observations[0]
        #expect(panel["valueQuantity"] == nil)
        #expect(panel["component"]?.array?.map(\.codeText) == ["DNK05472", "DNK05473"])
        #expect(
            panel["component"]?[0]?["valueQuantity"]
                == ["value": 118, "unit": "mmHg", "system": "http://unitsofmeasure.org", "code": "mm[Hg]"])
        #expect(
            observations[1]["valueQuantity"]
                == ["value": 93, "unit": "1/min", "system": "http://unitsofmeasure.org", "code": "1/min"])
        #expect(!draft.request.body.contains(Array("150023".utf8)))
        #expect(try !FUTSamples.observations("blood-pressure").contains { $0.text.contains(":99") })
    }

    @Test("Patient, performer, request, episode and device are absolute references")
    func references() throws {
        for observation in try FUTSamples.observations("blood-pressure") {
            #expect(observation["subject"]?["reference"]?.string == FUTSamples.patient)
            #expect(observation["performer"] == [["reference": .string(FUTSamples.patient)]])
            #expect(observation["device"]?["reference"]?.string == FUTSamples.device)
            #expect(observation["basedOn"]?.array?.count == 1)
            #expect(
                observation["basedOn"]?[0]?["reference"]?.string?.hasPrefix(FUTSamples.careplan + "/ServiceRequest/300") == true)
            #expect(
                observation.futExtension("workflow-episodeOfCare")?["valueReference"]?["reference"]?.string == FUTSamples.episode)
            #expect(observation["status"]?.string == "final")
        }
    }

    @Test("A resolved timing copies the server's slot; the others have none", arguments: FUTPlan.Timing.allCases)
    func timing(timing: FUTPlan.Timing) throws {
        let act = Samples.bloodPressure
        let observations = try FUTSamples.observations(FUTSamples.draft(act, target: FUTSamples.target(act, timing: timing)))
        let parts = try #require(observations[0].futExtension("ehealth-resolved-timing")?["extension"]?.array)
        let slot = timing == .resolved ? ["start", "end"] : []
        #expect(parts.compactMap { $0["url"]?.string } == ["serviceRequestVersionId"] + slot + ["type"])
        #expect(parts.first?["valueId"]?.string == "2")
        #expect(parts.last?["valueCodeableConcept"]?["coding"]?[0]?["code"]?.string == timing.rawValue)
        if timing == .resolved { #expect(parts[1]["valueDateTime"]?.string == "2023-02-23T08:00:00+00:00") }
    }

    @Test("The true time with its offset, as a period of no length or as a moment", arguments: FUTSettings.EffectiveForm.allCases)
    func effective(form: FUTSettings.EffectiveForm) throws {
        var settings = FUTSamples.settings
        settings.effective = form
        let destination = FUTDestination(settings: FUTSamples.receiver, fut: settings)
        let observation = try FUTSamples.observations(FUTSamples.draft(Samples.bloodPressure, destination: destination))[0]
        let time: JSON? = "2023-02-23T10:24:08+01:00"
        #expect(observation["effectivePeriod"] == (form == .period ? .members(["start": time, "end": time]) : JSON?.none))
        #expect(observation["effectiveDateTime"] == (form == .dateTime ? time : nil))
    }

    @Test("Quality, identifier and notes can be left out")
    func leftOut() throws {
        var settings = FUTSamples.settings
        let full = try FUTSamples.observations("blood-pressure-status")[0]
        #expect(full.futExtension("ehealth-quality")?.text.contains("automatically-transferred") == true)
        #expect(full["identifier"]?[0]?["system"]?.string == ownIdentifier)
        #expect(!full.noteTexts.isEmpty)
        settings.sendsQuality = false
        settings.sendsIdentifier = false
        settings.sendsNotes = false
        let destination = FUTDestination(settings: FUTSamples.receiver, fut: settings)
        let act = try Samples.named("blood-pressure-status").act
        let bare = try FUTSamples.observations(FUTSamples.draft(act, destination: destination))[0]
        #expect(bare.futExtension("ehealth-quality") == nil)
        #expect(bare["identifier"] == nil)
        #expect(bare["note"] == nil)
        #expect(settings.place(of: .irregularPulse) == .none)
    }

    @Test("No device quality and no reference range is ever sent: the platform adds both")
    func neverSent() throws {
        for sample in Samples.all where sample.act.readings.contains(where: { $0.reading.kind != .perfusionIndex }) {
            let text = try String(decoding: FUTSamples.draft(sample.act).request.body, as: UTF8.self)
            #expect(!text.contains("DMQ"))
            #expect(!text.contains("referenceRange"))
            #expect(!text.contains(":null"))
            #expect(!text.contains("150320"))
            #expect(!text.contains("meta\":{\"tag"))
        }
    }

    struct Number: Sendable {
        var kind: Measurement.Kind
        var quantity: Quantity
        var expected: String
        var unit: String
        init(
            _ kind: Measurement.Kind, _ name: Quantity.Name, _ type: MDC, _ value: String, _ unit: UCUM, _ expected: String,
            _ to: String
        ) {
            self.kind = kind
            quantity = Quantity(name, type: type, value: .number(ExactDecimal(value) ?? 0), unit: unit)
            self.expected = expected
            self.unit = to
        }
    }

    @Test(
        "Number forms: whole for integer codes, half away from zero; the device's digits for decimal ones; converted ones rounded",
        arguments: [
            Number(.bloodPressure, .systolic, .systolic, "118.0", .millimetreOfMercury, "118", "mm[Hg]"),
            Number(.bloodPressure, .systolic, .systolic, "118.5", .millimetreOfMercury, "119", "mm[Hg]"),
            Number(.bloodPressure, .systolic, .systolic, "16.0", .kilopascal, "120", "mm[Hg]"),
            Number(.pulseOximetrySpot, .spo2, .oxygenSaturation, "97.5", .percent, "97.5", "%"),
            Number(.pulseOximetrySpot, .spo2, .oxygenSaturation, "97", .percent, "97", "%"),
            Number(.pulseOximetrySpot, .pulseRate, .pulseRateOximeter, "61.4", .perMinute, "61", "1/min"),
            Number(.bodyWeight, .weight, .bodyWeight, "74.00", .kilogram, "74.00", "kg"),
            Number(.bodyWeight, .weight, .bodyWeight, "163.1", .pound, "73.98", "kg"),
            Number(.bodyTemperature, .temperature, .bodyTemperature, "36.60", .degreeCelsius, "36.60", "Cel"),
            Number(.bodyTemperature, .temperature, .bodyTemperature, "98.6", .degreeFahrenheit, "37.0", "Cel"),
            Number(.bodyTemperature, .temperature, .bodyTemperature, "101.3", .degreeFahrenheit, "38.5", "Cel"),
            Number(.bodyTemperature, .temperature, .bodyTemperature, "30.2", .degreeFahrenheit, "-1.0", "Cel"),
        ])
    func numbers(number: Number) throws {
        let act = Samples.act(Samples.measurement([number.quantity], kind: number.kind), number: 40)
        let observation = try FUTSamples.observations(FUTSamples.draft(act))[0]
        let value = observation["valueQuantity"] ?? observation["component"]?[0]?["valueQuantity"]
        #expect(value?["value"]?.number?.description == number.expected)
        #expect(value?["code"]?.string == number.unit)
    }

    @Test("A pressure that the cuff could not measure is there without a value, with a reason of FUT's set")
    func missingPressure() throws {
        let panel = try FUTSamples.observations("blood-pressure-no-diastolic")[0]
        let diastolic = try #require(panel["component"]?[1])
        #expect(diastolic["valueQuantity"] == nil)
        #expect(diastolic["dataAbsentReason"]?["coding"]?[0]?["code"]?.string == "error")
    }

    @Test("A unit without conversion is refused here")
    func noConversion() throws {
        let quantity = Quantity(.weight, type: .bodyWeight, value: .number(1), unit: UCUM("[stone_av]"))
        let act = Samples.act(Samples.measurement([quantity], kind: .bodyWeight), number: 41)
        let error = try #require(throws: MappingError.self) { try FUTSamples.draft(act) }
        #expect(error.code == .unit)
    }

    @Test(
        "r4: an unlikely value goes out and says so; tests and guests reach no chart; what the device calls invalid is not sent")
    func r4_chart() throws {
        #expect(
            try FUTSamples.observations("blood-pressure-unlikely")[0].noteTexts == [
                "Usædvanlig værdi: kontrollér værdi og person."
            ])
        for caution in [Act.Caution.technicianTest, .guest] {
            var act = Samples.bloodPressure
            act.cautions = [caution]
            #expect(try #require(throws: MappingError.self) { try FUTSamples.draft(act) }.code == .notForChart)
        }
        var act = Samples.bloodPressure
        act.measurement.status = [.invalid]
        #expect(try #require(throws: MappingError.self) { try FUTSamples.draft(act) }.code == .invalidMeasurement)
    }

    @Test("r5: a time that is not the hub's own says so")
    func r5_time() throws {
        #expect(try FUTSamples.observations("blood-pressure-stated")[0].noteTexts == ["Tidspunktet er oplyst af en person."])
        #expect(
            try FUTSamples.observations("blood-pressure-unknown-device")[0].noteTexts.first?.hasPrefix("Tidspunktet er udstyrets")
                == true)
        #expect(try FUTSamples.observations("oximeter-derived")[0].noteTexts.first?.hasPrefix("Værdien er udledt") == true)
    }

    @Test("A device that FUT does not know is named in words, and no reference is made up")
    func unknownDevice() throws {
        let act = Samples.bloodPressure
        let observation = try FUTSamples.observations(FUTSamples.draft(act, target: FUTSamples.target(act, device: nil)))[0]
        #expect(observation["device"] == nil)
        #expect(observation.noteTexts == ["Udstyret er ikke registreret på borgeren i FUT: A&D Medical UA-651BLE 5181000124"])
    }

    /// Where each bit reaches staff: `true` in words on the observation, `false` nowhere; `nil` where nothing is sent at all.
    static let places: [(StatusFlag, Bool?)] = [
        (.bodyMovement, true), (.cuffTooLoose, true), (.irregularPulse, true), (.pulseRateAboveRange, true),
        (.pulseRateBelowRange, true), (.improperPosition, true),
        (.ongoing, true), (.earlyEstimate, true), (.validated, false), (.fullyQualified, false), (.fromStorage, false),
        (.demonstration, nil), (.testing, nil), (.calibrating, nil), (.unavailable, nil), (.questionable, true), (.invalid, nil),
        (.extendedDisplayUpdate, false), (.equipmentMalfunction, nil), (.signalProcessingIrregularity, true),
        (.inadequateSignal, true), (.poorSignal, true), (.lowPerfusion, true), (.erraticSignal, true),
        (.nonpulsatileSignal, true),
        (.questionablePulse, true), (.signalAnalysisOngoing, false), (.sensorInterference, nil), (.sensorUnconnectedToUser, nil),
        (.unknownSensor, nil), (.sensorDisplaced, nil), (.sensorMalfunctioning, nil), (.sensorDisconnected, nil),
        (.batteryLow, false), (.sampleInsufficient, false), (.stripInsertionError, false), (.stripTypeIncorrect, false),
        (.resultTooHigh, false), (.resultTooLow, false), (.temperatureTooHigh, false), (.temperatureTooLow, false),
        (.readInterrupted, false), (.generalFault, true), (.timeFault, true), (.controlSolution, nil),
    ]

    @Test("Every status bit has its place, or is known to have none", arguments: places)
    func statusBit(flag: StatusFlag, isSaid: Bool?) throws {
        var act = Samples.bloodPressure
        act.measurement.status = [flag]
        switch FUTSamples.settings.place(of: flag) {
        case .note(let text):
            #expect(isSaid == true)
            for observation in try FUTSamples.observations(FUTSamples.draft(act)) { #expect(observation.noteTexts == [text]) }
        case .none:
            #expect(isSaid == false)
            for observation in try FUTSamples.observations(FUTSamples.draft(act)) { #expect(observation["note"] == nil) }
        case .neverSent:
            #expect(isSaid == nil)
            #expect(throws: MappingError.self) { try FUTSamples.draft(act) }
        }
    }

    @Test("The table of status bits has each bit once")
    func allBits() {
        #expect(Set(Self.places.map(\.0)) == Set(StatusFlag.allCases))
        #expect(Self.places.count == StatusFlag.allCases.count)
    }

    @Test("The same act and target give the same bytes")
    func frozen() throws {
        #expect(try FUTSamples.draft(Samples.bloodPressure) == FUTSamples.draft(Samples.bloodPressure))
    }

    @Test("Without a target, or with one that FUT would refuse, nothing is made")
    func noTarget() throws {
        let act = Samples.bloodPressure
        let good = try FUTSamples.target(act)
        func code(_ target: FUTTarget?) throws -> MappingError.Code {
            try #require(throws: MappingError.self) {
                try FUTSamples.destination.dispatch(of: [FUTSamples.due(act, target: good)], context: FUTSamples.context(target))
            }.code
        }
        #expect(try code(nil) == .noTarget)
        var other = good
        other.orders.removeLast()
        #expect(try code(other) == .noTarget)
        other = good
        other.patient = "Patient/1001"
        #expect(try code(other) == .noTarget)
        other = good
        other.patient = FUTSamples.patient + "/_history/1"
        #expect(try code(other) == .noTarget)
        other = good
        other.episode = FUTSamples.patient
        #expect(try code(other) == .noTarget)
        other = good
        other.device = "urn:uuid:5"
        #expect(try code(other) == .noTarget)
        other = good
        other.slot = nil
        #expect(try code(other) == .noTarget)
        other = good
        other.timing = .adhoc
        #expect(try code(other) == .noTarget)
        other = good
        other.orders[0].version = "a b"
        #expect(try code(other) == .noTarget)
    }

    @Test("One act a request")
    func oneAct() throws {
        let target = try FUTSamples.target(Samples.bloodPressure)
        let due = FUTSamples.due(Samples.bloodPressure, target: target)
        let error = try #require(throws: MappingError.self) {
            try FUTSamples.destination.dispatch(of: [due, due], context: FUTSamples.context(target))
        }
        #expect(error.code == .tooManyActs)
    }

    @Test("The published request is read and written back unchanged")
    func published() throws {
        let example = try Published.example("POST_submit-measurement.request")
        #expect(FUTSubmission(example)?.json == example)
        #expect(FUTSubmission(try Published.example("POST_submit-measurement.response")) == nil)
    }

    @Test("Single pressures go out as plain observations under names of their own")
    func singlePressures() throws {
        let act = Samples.bloodPressure
        var target = try FUTSamples.target(act)
        var names: Set<String> = []
        for role in [FUTCode.Role.systolic, .diastolic] {
            target.orders = [.init(reading: act.readings[0].id, role: role, request: target.orders[0].request, version: "1")]
            let observation = try FUTSamples.observations(FUTSamples.draft(act, target: target))[0]
            #expect(observation.codeText == (role == .systolic ? "DNK05472" : "DNK05473"))
            #expect(observation["valueQuantity"]?["value"]?.integer == (role == .systolic ? 118 : 87))
            #expect(observation["component"] == nil)
            names.insert(observation["identifier"]?[0]?["value"]?.string ?? "")
        }
        #expect(names.count == 2)
    }

    @Test("What decode prints becomes what FUT would be sent, with a sample of a plan")
    func conversion() throws {
        let reading = try JSON(
            parsing: """
                {"kind":"pulse-oximetry-spot","spo2":97,"pulseRate":61,"perfusionIndex":4.2,"deviceTime":"2023-02-23T10:24:08",
                "device":{"manufacturer":"Nonin","modelNumber":"3230","serialNumber":"502614118"}}
                """)
        let act = try Conversion.act(
            reading: reading, received: MeasuredTime(FUTSamples.measured, offsetMinutes: 60), zone: FixedZone(minutes: 60))
        let destination = try #require(
            DestinationKind.fut.destination(ReceiverSettings(name: "fut", kind: .fut, baseURL: "https://receiver.invalid")))
        let request = try Conversion.request(
            of: act, to: destination, context: DispatchContext(patientID: "unassigned", gateway: Samples.gateway))
        #expect(request.url == "https://measurement.devenvcgi.ehealth.sundhed.dk/fhir/$submit-measurement")
        let observations = try #require(FUTSubmission(JSON(parsing: request.body))).entries.map(\.resource)
        #expect(observations.map(\.codeText) == ["NPU03011", "NPU21692"])
        #expect(observations[0]["subject"]?["reference"]?.string?.hasSuffix("/Patient/unassigned") == true)
        #expect(observations[0].noteTexts.last?.hasSuffix("Nonin 3230 502614118") == true)
    }
}
