import Courier
import ExactJSON
import HubAPI
import Journal
import Vitals

/// Citizens' sign-ins and plans.
extension Operations {
    func citizensStanding() async throws(JournalError) -> JSON {
        var rows: [JSON] = []
        for (receiver, _) in citizens.receivers {
            for citizen in try await receiver.everybody() {
                let standing = try await citizen.standing()
                rows.append(
                    .members([
                        "receiver": .string(receiver.settings.name), "patient": .string(citizen.patient.rawValue),
                        "channel": .string(citizen.channel), "state": .string(standing.state),
                        "reason": standing.reason.map { .string($0) }, "ends": standing.ends.map { .string("\($0)") },
                    ]))
            }
        }
        return .array(rows)
    }

    func beginSignIn(
        _ name: String, _ patient: String, _ wanted: String?, _ actor: String
    ) async -> Result<JSON, OperationError> {
        let what = "No sign-in was begun."
        guard let (receiver, standard) = citizens.receivers.first(where: { $0.receiver.settings.name == name }) else {
            return .failure(noCitizens(what, name))
        }
        var way = standard
        if let wanted {
            guard let known = FUTSignIns.Way(rawValue: wanted) else {
                return .failure(
                    refusal(
                        what, "There is no way \"\(wanted)\".",
                        "Use one of: \(FUTSignIns.Way.allCases.map(\.rawValue).joined(separator: ", "))."))
            }
            way = known
        }
        do throws(FUTSignInFailure) {
            let invitation = try await citizens.signIns.begin(
                way, at: receiver, for: PatientAlias(rawValue: patient), actor: actor)
            return .success(
                .members([
                    "id": .integer(invitation.id), "way": .string(invitation.way.rawValue),
                    "address": .string(invitation.address),
                    "userCode": invitation.userCode.map { .string($0.text) },
                    "completeAddress": invitation.completeAddress.map { .string($0.text) },
                    "redirect": invitation.redirect.map { .string($0) }, "expires": .string("\(invitation.expires)"),
                ]))
        } catch {
            return .failure(
                OperationError(
                    what, why: error.description, remedy: "Check the network and [receiver.sign_in], then try again.",
                    exitCode: 75))
        }
    }

    func signInProgress(_ id: Int) async -> Result<JSON, OperationError> {
        told(await citizens.signIns.progress(of: id), id)
    }

    func answerSignIn(_ id: Int, _ address: String, _ host: String?) async -> Result<JSON, OperationError> {
        told(await citizens.signIns.answer(id, address: address, host: host), id)
    }

    private func told(_ progress: FUTSignIns.Progress?, _ id: Int) -> Result<JSON, OperationError> {
        switch progress {
        case .waiting(let until): .success(["state": "waiting", "until": .string("\(until)")])
        case .signedIn: .success(["state": "signed-in"])
        case .failed(let reason): .success(["state": "failed", "reason": .string(reason)])
        case nil:
            .failure(
                refusal(
                    "There is no sign-in \(id).", "It was not begun here, or ended long ago.",
                    "Begin one: `vitalgate sign-in begin`."))
        }
    }

    func signOut(_ name: String, _ patient: String, _ actor: String) async throws(JournalError) -> Result<JSON, OperationError> {
        guard let (receiver, _) = citizens.receivers.first(where: { $0.receiver.settings.name == name }) else {
            return .failure(noCitizens("Nobody was signed out.", name))
        }
        let citizen = receiver.citizen(PatientAlias(rawValue: patient))
        try await citizen.signOut()
        let now = clock.now().wall
        try await journal.write { tx in try tx.audit(at: now, actor: actor, action: "sign-out", subject: citizen.channel) }
        return .success(["state": "signed-out"])
    }

    /// The slots of two days back and a week ahead, as last fetched.
    func plan(_ name: String, _ patient: String) async throws(JournalError) -> Result<JSON, OperationError> {
        guard let (receiver, _) = citizens.receivers.first(where: { $0.receiver.settings.name == name }) else {
            return .failure(noCitizens("No plan was listed.", name))
        }
        let now = clock.now().wall
        let due = try await receiver.citizen(PatientAlias(rawValue: patient))
            .schedule(from: now - .seconds(2 * 86_400), to: now + .seconds(7 * 86_400))
        return .success(
            .array(
                due.map { slot in
                    [
                        "activity": .string(slot.activity), "start": .string("\(slot.start)"), "end": .string("\(slot.end)"),
                        "requested": .integer(slot.requested), "submitted": .integer(slot.submitted),
                        "fulfilled": .bool(slot.isFulfilled),
                    ]
                }))
    }

    /// What is assigned to the patient here, held against what the receiver's logistics recorded.
    func equipment(_ name: String, _ patient: String) async throws(JournalError) -> Result<JSON, OperationError> {
        let what = "The equipment was not compared."
        guard let (receiver, _) = citizens.receivers.first(where: { $0.receiver.settings.name == name }) else {
            return .failure(noCitizens(what, name))
        }
        let alias = PatientAlias(rawValue: patient)
        let now = clock.now().wall
        let here = try await journal.read { tx -> [DeviceRecord] in
            try tx.devices().filter { device in
                try tx.assignments(device: device.id).contains { $0.patient == alias && $0.until.map { now < $0 } ?? true }
            }
        }
        guard let differences = receiver.citizen(alias).differences(of: here.map(\.identity), at: now) else {
            return .failure(
                OperationError(
                    what, why: "The receiver's record of it was not read since the daemon's start.",
                    remedy: "Look whether the citizen is signed in (`vitalgate sign-in list`), and try again in a minute.",
                    exitCode: 75))
        }
        return .success(
            .array(
                differences.map { difference in
                    let (kind, identity, reference): (String, DeviceIdentity?, String?) =
                        switch difference {
                        case .onlyThere(let reference): ("only-there", nil, reference)
                        case .onlyHere(let identity): ("only-here", identity, nil)
                        case .otherSerial(let identity, let reference): ("other-serial", identity, reference)
                        }
                    let device = identity.flatMap { identity in here.first { $0.identity == identity } }
                    return .members([
                        "difference": .string(kind), "device": device.map { .string($0.name) },
                        "serialNumber": identity?.serialNumber.map { .string($0) }, "reference": reference.map { .string($0) },
                    ])
                }))
    }

    private func noCitizens(_ what: String, _ name: String) -> OperationError {
        let names = citizens.receivers.map(\.receiver.settings.name).joined(separator: ", ")
        return refusal(
            what, "No receiver \"\(name)\" asks citizens to sign in.",
            names.isEmpty ? "Configure one of kind \"fut\"." : "Name one of: \(names).")
    }
}
