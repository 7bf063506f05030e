import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

@Suite struct FUTEquipmentTests {
    private let now = FUTSamples.measured

    private func device(_ id: String, model: String? = "UA-651BLE", serial: String?, identifier: String? = nil) throws
        -> FUTEquipment.Device
    {
        try #require(
            FUTEquipment.Device(
                .members([
                    "resourceType": "Device", "id": .string(id), "status": "active",
                    "identifier": identifier.map {
                        [["system": "http://ehealth.sundhed.dk/id/device-identifier", "value": .string($0)]]
                    },
                    "manufacturer": "A&D", "serialNumber": serial.map { .string($0) }, "modelNumber": model.map { .string($0) },
                    // The guide's own examples carry the oximeter's type on a cuff.
                    "type": ["coding": [["system": "http://snomed.info/sct", "code": "59181002"]]],
                ])))
    }

    private func use(_ id: String, status: String = "active", period: JSON? = nil) throws -> FUTEquipment.Use {
        try #require(
            FUTEquipment.Use(
                .members([
                    "resourceType": "DeviceUseStatement", "id": .string("u" + id), "status": .string(status),
                    "subject": ["reference": .string(FUTSamples.patient)], "timingPeriod": period,
                    "device": ["reference": .string(FUTSamples.settings.base(.device) + "/Device/" + id)],
                ])))
    }

    private func reference(_ id: String) -> String { FUTSamples.settings.base(.device) + "/Device/" + id }

    @Test(
        "The published resources go through unchanged",
        arguments: [
            "GET_Device.response", "POST_Device.request", "POST_Device.response", "POST_DeviceUseStatement.request",
            "POST_DeviceUseStatement.response",
        ])
    func published(name: String) throws {
        let example = try Published.example(name)
        #expect((FUTEquipment.Device(example)?.json ?? FUTEquipment.Use(example)?.json) == example)
    }

    @Test("The published searches are read")
    func searches() throws {
        let uses = FUTEquipment.uses(in: try Published.example("GET_DeviceUseStatement_search.response"))
        #expect(uses.compactMap(\.device).map { $0.split(separator: "/").last } == ["30", "32"])
        #expect(uses.compactMap(\.carePlan).count == 2)
        #expect(uses.allSatisfy { $0.patient?.hasSuffix("/Patient/69127") == true })
        #expect(try uses.map { $0.holds(at: try FUTSamples.at("2024-03-01T00:00:00Z")) } == [true, false])
        let devices = FUTEquipment.devices(in: try Published.example("GET_Device_search.response"))
        #expect(devices.map(\.id) == ["144", "146"])
        #expect(devices.allSatisfy { $0.isActive && $0.serialNumbers.isEmpty && $0.manufacturer != nil })
    }

    @Test("What is asked: the active statements of the patient, then their devices in one search")
    func requests() throws {
        #expect(
            FUTEquipment.usesRequest(patient: FUTSamples.patient, settings: FUTSamples.settings).url
                == "https://device.test001.ehealth.sundhed.dk/fhir/DeviceUseStatement"
                + "?patient=https://patient.test001.ehealth.sundhed.dk/fhir/Patient/1001&status=active&_count=100")
        #expect(
            FUTEquipment.devicesRequest(of: [try use("1"), try use("2")], settings: FUTSamples.settings)?.url
                == "https://device.test001.ehealth.sundhed.dk/fhir/Device?_id=1,2&_count=100")
        #expect(FUTEquipment.devicesRequest(of: [], settings: FUTSamples.settings) == nil)
    }

    @Test("A device is found by its serial number, not by its type")
    func match() throws {
        let equipment = FUTEquipment(
            uses: [try use("1"), try use("2")],
            devices: [
                try device("1", serial: "5181000124 "), try device("2", model: "3230", serial: nil, identifier: "502614118"),
            ])
        #expect(equipment.reference(of: Samples.cuff, at: now) == reference("1"))
        #expect(equipment.reference(of: Samples.oximeter, at: now) == reference("2"))
        #expect(equipment.reference(of: DeviceIdentity(modelNumber: "UA-651BLE"), at: now) == nil)
        // The same number on another model is another device.
        #expect(equipment.reference(of: DeviceIdentity(modelNumber: "UA-767", serialNumber: "5181000124"), at: now) == nil)
    }

    @Test("r4: a device that the patient did not have then, or that stands there twice, is no reference")
    func r4_notThen() throws {
        let cuff = try device("1", serial: "5181000124")
        for use in [
            try use("1", status: "completed"), try use("1", period: ["start": "2023-03-01T00:00:00Z"]),
            try use("1", period: ["end": "2023-02-01T00:00:00Z"]),
        ] {
            #expect(FUTEquipment(uses: [use], devices: [cuff]).reference(of: Samples.cuff, at: now) == nil)
        }
        let twice = FUTEquipment(uses: [try use("1"), try use("2")], devices: [cuff, try device("2", serial: "5181000124")])
        #expect(twice.reference(of: Samples.cuff, at: now) == nil)
        // Two statements of one device are one device.
        let again = FUTEquipment(uses: [try use("1"), try use("1")], devices: [cuff])
        #expect(again.reference(of: Samples.cuff, at: now) == reference("1"))
    }

    @Test("Here and there")
    func compare() throws {
        let equipment = FUTEquipment(
            uses: [try use("1"), try use("2"), try use("3")],
            devices: [
                try device("1", serial: "5181000124"), try device("2", model: "Nonin 3230", serial: "777"),
                try device("3", model: "UC-352BLE", serial: "9"),
            ])
        let scale = DeviceIdentity(manufacturer: "Beurer", modelNumber: "BF 720", serialNumber: "1")
        #expect(
            equipment.compare(hub: [Samples.cuff, Samples.oximeter, scale], at: now) == [
                .otherSerial(Samples.oximeter, reference: reference("2")), .onlyHere(scale),
                .onlyThere(reference: reference("3")),
            ])
        #expect(
            equipment.compare(hub: [], at: now).count == 3)
        #expect(FUTEquipment([]).compare(hub: [scale], at: now) == [.onlyHere(scale)])
    }

    @Test("What an answer to a question means")
    func answers() throws {
        let now = Samples.now
        #expect(FUTAnswer(Answers.response(200, "{}"), now: now) == .resource([:]))
        #expect(FUTAnswer(Answers.response(401), now: now) == .verdict(.refreshCredential))
        #expect(
            FUTAnswer(Answers.response(500), now: now)
                == .verdict(.serverFailure(status: 500, reason: "the receiver answered 500")))
        let wrong = FUTVerdictTests.outcome("DEVICE_WRONG_PATIENT_CONTEXT").text
        guard case .verdict(.holdChannel(.wrongPatient, _)) = FUTAnswer(Answers.response(403, wrong), now: now) else {
            Issue.record("a wrong patient was not noticed")
            return
        }
        for (status, body) in [
            (403, ""), (404, ""), (200, "<html>"), (422, FUTVerdictTests.outcome("GENERAL_VALIDATION_ERROR").text),
        ] {
            guard case .refused = FUTAnswer(Answers.response(status, body), now: now) else {
                Issue.record("\(status)")
                continue
            }
        }
    }
}
