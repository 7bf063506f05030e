import Bluetooth
import Catalogue
import ExactJSON
import HubAPI
import Journal
import Vitals

// What a technician asks of the radio.

extension Operations {
    /// How long an answer to "what is new" may take: half of a minute would look like a hang to whoever watches the socket.
    private static let patience = Duration.seconds(10)

    func beginScan(_ seconds: Int, all: Bool, _ actor: String) async -> Result<JSON, OperationError> {
        await begin(ScanProcedure(seconds: seconds, showsAll: all), by: actor)
    }

    func beginPairing(_ pairing: HubAPI.Operation.Pairing, _ actor: String) async -> Result<JSON, OperationError> {
        let what = "The device was not paired."
        var model: Model?
        if let id = pairing.model {
            guard let found = catalogue[id] else {
                return .failure(
                    refusal(
                        what, "The catalogue has no model \"\(id)\".",
                        "Use one of: \(catalogue.models.map(\.id).joined(separator: ", "))."))
            }
            model = found
        }
        if let name = pairing.name, !DeviceRecord.isName(name) {
            return .failure(refusal(what, "\"\(name)\" is no name for one.", "Use a-z, 0-9 and dashes, 40 at most."))
        }
        var passkey: UInt32?
        if let text = pairing.passkey {
            guard case .passkey(let digits)? = PairingWindow.Question.passkey.answer(text) else {
                return .failure(
                    refusal(what, "\"\(text)\" is no passkey.", "Give the six digits that the device shows."))
            }
            passkey = digits
        }
        var pin: [UInt8]?
        if let text = pairing.pin {
            guard case .pin(let digits)? = PairingWindow.Question.pin.answer(text) else {
                return .failure(refusal(what, "The PIN is empty or too long.", "Give 1 to 16 characters."))
            }
            pin = digits
        }
        let procedure = PairingProcedure(wanted: pairing.device, model: model, passkey: passkey, pin: pin)
        return await begin(procedure, name: pairing.name, by: actor)
    }

    func beginVerification(
        _ name: String, _ seconds: Int, _ actor: String
    ) async throws(JournalError) -> Result<JSON, OperationError> {
        guard let radio else { return .failure(.noAdapter) }
        let now = clock.now()
        let found = try await journal.write { tx -> DeviceRecord? in
            guard let device = try tx.device(named: name), device.state != .returned else { return nil }
            // A device that patients use is looked at without a verification: its readings stay theirs.
            guard device.state == .provisioning, device.bluetoothAddress != nil else { return device }
            return try tx.beginVerification(device: device.id, at: now)
        }
        guard let device = found else { return .failure(missing("device", name)) }
        guard device.bluetoothAddress != nil, let model = catalogue[device.model] else {
            return .failure(
                refusal(
                    "There is nothing to verify.", "The device \(name) is not reached by radio.",
                    "Name a device that was paired with `vitalgate pair`; `vitalgate devices list` shows them."))
        }
        let procedure = VerificationProcedure(
            device: StoredDevice(id: device.id, name: device.name), model: model, seconds: seconds,
            isConnected: radio.isConnected(device.id))
        return await begin(procedure, device: StoredDevice(id: device.id, name: device.name), by: actor)
    }

    func procedure(_ id: Int, after: Int) async -> Result<JSON, OperationError> {
        guard let json = await technician?.progress(of: id, after: after, patience: Self.patience) else {
            return .failure(ended)
        }
        return .success(json)
    }

    func answerProcedure(_ id: Int, _ text: String) async -> Result<JSON, OperationError> {
        await technician?.answer(id, text) == true ? .success(["id": .integer(id)]) : .failure(ended)
    }

    func cancelProcedure(_ id: Int) async -> Result<JSON, OperationError> {
        await technician?.cancel(id) == true ? .success(["id": .integer(id)]) : .failure(ended)
    }

    private func begin(
        _ procedure: some Procedure, device: StoredDevice? = nil, name: String? = nil, by actor: String
    ) async -> Result<JSON, OperationError> {
        guard let technician else {
            return .failure(
                OperationError(
                    "The hub's radio is off.", why: "Its configuration says [bluetooth] enabled = false.",
                    remedy: "Set it to true, then: systemctl restart vitalgate.", exitCode: 78))
        }
        do throws(OperationError) {
            return .success(["id": .integer(try await technician.begin(procedure, device: device, name: name, by: actor))])
        } catch {
            return .failure(error)
        }
    }

    private var ended: OperationError {
        OperationError(
            "That is over.", why: "The scan, pairing or verification has ended, or the daemon was restarted.",
            remedy: "Begin it again.", exitCode: 75)
    }
}

extension DeviceRecord {
    /// Whether people can type it: a-z, 0-9 and dashes, 40 at most.
    static func isName(_ name: String) -> Bool {
        (1...40).contains(name.utf8.count)
            && name.utf8.allSatisfy { (0x61...0x7A).contains($0) || (0x30...0x39).contains($0) || $0 == 0x2D }
    }
}
