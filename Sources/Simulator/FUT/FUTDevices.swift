import ExactJSON
import Vitals

/// The device service, as a citizen may read it: what was lent to him.
struct FUTDevices {
    var access: FUTAccess

    func answer(_ call: FUTCall) throws(FUTError) -> FUTAnswer {
        guard call.method == "GET", (3...4).contains(call.steps.count), ["Device", "DeviceUseStatement"].contains(call.steps[2])
        else {
            throw FUTError("GENERAL_VALIDATION_ERROR", "Validation error: not offered here.", status: 405)
        }
        let type = call.steps[2]
        if call.steps.count == 3 { return try search(type, call) }
        try access.need("\(type).read", for: type)
        let id = call.steps[3]
        guard let found = resources(type).first(where: { $0.resource["id"]?.string == id }) else {
            if type == "Device", access.setting.world.citizens.contains(where: { $0.devices.contains { $0.id == id } }) {
                throw FUTError(
                    "DEVICE_WRONG_PATIENT_CONTEXT",
                    "User with patient context can only interact with devices that has been issued to the patient or not issued to anyone "
                        + "yet", status: 403)
            }
            throw FUTError.notFound(type, id)
        }
        return FUTAnswer(status: 200, headers: [("etag", "W/\"1\"")], body: .fhir(found.resource))
    }

    private func search(_ type: String, _ call: FUTCall) throws(FUTError) -> FUTAnswer {
        try access.need("\(type).search", for: type)
        let search = try FUTSearch(
            call.query,
            known: type == "Device"
                ? ["_id", "identifier", "manufacturer", "model", "status", "type"]
                : ["_id", "patient", "subject", "device", "status"])
        if type == "DeviceUseStatement" { try access.needOwn(search["patient"] ?? search["subject"]) }
        let matches = resources(type).filter { match in
            let resource = match.resource
            return search.holds("_id") { $0 == resource["id"]?.string }
                && search.holds("status") { $0 == resource["status"]?.string }
                && search.holds("device") { FUTAccess.matches($0, resource["device"]?["reference"]?.string ?? "") }
                && search.holds("manufacturer") { resource["manufacturer"]?.string?.hasPrefix($0) ?? false }
                && search.holds("model") { resource["modelNumber"]?.string?.hasPrefix($0) ?? false }
                && search.holds("type") { wanted in
                    FUTSearch.token(wanted, "http://snomed.info/sct", resource["type"]?["coding"]?[0]?["code"]?.string ?? "")
                }
                && search.holds("identifier") { wanted in
                    ReceiverQuery.identifiers(of: resource).contains { FUTSearch.token(wanted, $0.system, $0.value) }
                }
        }
        return search.page(matches, call, at: access.endpoints.device, access.setting)
    }

    private func resources(_ type: String) -> [(url: String, resource: JSON)] {
        access.citizen.devices.map { device in
            type == "Device"
                ? (access.url(ofDevice: device.id), self.device(device))
                : ("\(access.endpoints.device)/DeviceUseStatement/\(device.use)", use(device))
        }
    }

    private func device(_ device: FUTDevice) -> JSON {
        [
            "resourceType": "Device", "id": .string(device.id), "meta": FUT.meta(1, device.since, "ehealth-device"),
            "extension": [["url": .string("\(FUT.profiles)/ehealth-device-privatelyOwned"), "valueBoolean": false]],
            "identifier": [
                ["system": "http://ehealth.sundhed.dk/id/device-identifier", "value": .string(device.serial)]
            ],
            "status": "active", "manufacturer": .string(device.manufacturer), "serialNumber": .string(device.serial),
            "modelNumber": .string(device.model), "type": FUT.coded("http://snomed.info/sct", device.type),
            "owner": FUT.reference("\(access.endpoints.organization)/Organization/9001"),
        ]
    }

    private func use(_ device: FUTDevice) -> JSON {
        let plan = access.citizen.episodes.first?.carePlan
        return .members([
            "resourceType": "DeviceUseStatement", "id": .string(device.use),
            "meta": FUT.meta(1, device.since, "ehealth-deviceusestatement"),
            "extension": plan.map { plan in
                [
                    [
                        "url": .string("\(FUT.profiles)/ehealth-deviceusestatement-context"),
                        "valueReference": FUT.reference(access.url(ofPlan: plan)),
                    ]
                ]
            }, "status": .string(device.status), "subject": FUT.reference(access.patient),
            "timingPeriod": ["start": .string(FUTTime.text(device.since))],
            "device": FUT.reference(access.url(ofDevice: device.id)),
        ])
    }
}
