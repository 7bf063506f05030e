import Catalogue
import Courier
import ExactJSON
import HubAPI
import Intake
import Journal
import Steward
import Vitals

/// Does what people ask over the control socket.
struct Operations: HubOperations {
    let journal: Journal
    let courier: Courier
    let desk: Desk
    let roster: Roster
    /// `nil` where the radio is off.
    let radio: RadioService?
    let technician: Technician?
    let capture: CaptureService?
    let log: DeviceLog
    let citizens: Citizens
    /// Receivers behind HelseID.
    let helseIDs: [HelseIDReceiver]
    /// Of a relay.
    let hubs: [Configuration.Relay.Hub]
    /// Receivers that get nothing unless an assignment names them: what goes to a journal is decided one by one.
    let asked: [String]
    let alarm: SpaceAlarm
    let catalogue: DeviceCatalogue
    let clock: any Vitals.Clock
    let zone: any Zone

    func perform(_ operation: HubAPI.Operation, by actor: String) async throws(OperationError) -> JSON {
        let result: Result<JSON, OperationError>
        do throws(JournalError) {
            result = try await answer(operation, by: actor)
        } catch {
            throw OperationError(error)
        }
        return try result.get()
    }

    private func answer(_ operation: HubAPI.Operation, by actor: String) async throws(JournalError) -> Result<
        JSON, OperationError
    > {
        switch operation {
        case .status: return .success(try await status())
        case .devices: return .success(try await devices())
        case .device(let name): return try await device(name)
        case .deviceLog(let name, let limit): return try await deviceLog(name, limit)
        case .addDevice(let name, let model, let bearer): return try await add(name, model, bearer, actor)
        case .assign(let assign): return try await self.assign(assign, actor)
        case .returnDevice(let name, let abandon): return try await giveBack(name, abandon: abandon, actor)
        case .forgetDevice(let name): return try await giveBack(name, abandon: "forgotten", forgets: true, actor)
        case .readings(let limit, let state): return .success(try await readings(limit: limit, state: state))
        case .reading(let id): return try await story(id)
        case .assignReading(let id, let patient, let recipients, let at, let reason):
            return try await decided(
                desk.assign(
                    reading: id, patient: PatientAlias(rawValue: patient),
                    receivers: recipients.isEmpty ? standardReceivers : recipients, at: at, reason: reason,
                    actor: actor), id)
        case .rejectReading(let id, let reason):
            return try await decided(desk.reject(reading: id, reason: reason, actor: actor), id)
        case .retractReading(let id, let reason):
            return try await decided(desk.retract(reading: id, reason: reason, actor: actor), id)
        case .rebindReading(let id, let patient, let reason):
            return try await decided(
                desk.rebind(reading: id, patient: PatientAlias(rawValue: patient), reason: reason, actor: actor), id)
        case .outbox(let receiver, let state, let limit): return try await outbox(receiver, state, limit)
        case .outboxItem(let id): return try await outboxItem(Int64(id))
        case .retry(let item, let receiver): return try await retry(item.map(Int64.init), receiver, actor)
        case .quarantine(let item, let reason): return try await quarantine(Int64(item), reason, actor)
        case .suppressed(let limit): return .success(try await suppressed(limit))
        case .releaseSuppressed(let id): return try await release(suppressed: Int64(id), actor)
        case .refuse(let patient, let receiver): return .success(try await refuse(patient, receiver, true, actor))
        case .unrefuse(let patient, let receiver): return .success(try await refuse(patient, receiver, false, actor))
        case .declareClock: return try await declareClock(actor)
        case .rotateKeys: return try await rotateKeys(actor)
        case .wipeKeys(let confirm): return try await wipe(confirm)
        case .audit(let limit): return .success(try await audit(limit))
        case .beginScan(let seconds, let all): return await beginScan(seconds, all: all, actor)
        case .beginPairing(let pairing): return await beginPairing(pairing, actor)
        case .beginVerification(let name, let seconds): return try await beginVerification(name, seconds, actor)
        case .procedure(let id, let after): return await procedure(id, after: after)
        case .answerProcedure(let id, let text): return await answerProcedure(id, text)
        case .cancelProcedure(let id): return await cancelProcedure(id)
        case .resetAdapter: return await resetAdapter()
        case .startCapture(let minutes, let reason):
            return await withCapture { await $0.start(minutes: minutes, reason: reason, by: actor) }
        case .stopCapture: return await withCapture { await $0.stop(by: actor) }
        case .capture: return await withCapture { .success(await $0.status()) }
        case .readCapture(let from): return await withCapture { await $0.read(from: from, by: actor) }
        case .deleteCapture: return await withCapture { await $0.delete(by: actor) }
        case .signIns: return .success(try await citizensStanding())
        case .beginSignIn(let receiver, let patient, let way): return await beginSignIn(receiver, patient, way, actor)
        case .signIn(let id): return await signInProgress(id)
        case .answerSignIn(let id, let address, let host): return await answerSignIn(id, address, host)
        case .signOut(let receiver, let patient): return try await signOut(receiver, patient, actor)
        case .plan(let receiver, let patient): return try await plan(receiver, patient)
        case .equipment(let receiver, let patient): return try await equipment(receiver, patient)
        case .helseIDClients: return .success(try await helseIDClients())
        case .changeHelseIDKey(let receiver, let change): return try await changeHelseIDKey(receiver, change, actor)
        case .hubs: return .success(try await hubsStanding())
        case .notices(let limit): return .success(try await notices(limit))
        case .decideNotice(let id, let decision): return try await decideNotice(Int64(id), decision, actor)
        case .identify(let patient, let receiver, let identifier):
            return try await identify(patient, receiver, identifier, actor)
        }
    }

    /// Who receives where nobody is named.
    var standardReceivers: [String] { courier.names.filter { !asked.contains($0) } }

    // MARK: What is shared

    func missing(_ what: String, _ name: String) -> OperationError {
        OperationError(
            "There is no \(what) \"\(name)\".", why: "The hub does not know it.",
            remedy: "See `vitalgate \(what == "device" ? "devices list" : what == "reading" ? "readings list" : "outbox list")`.",
            exitCode: 65)
    }

    func refusal(_ what: String, _ why: String, _ remedy: String) -> OperationError {
        OperationError(what, why: why, remedy: remedy, exitCode: 65)
    }

    private func decided(_ decision: Desk.Decision, _ id: String) -> Result<JSON, OperationError> {
        courier.ring()
        switch decision {
        case .success(let act):
            return .success(["id": .string(act.subject.rawValue), "state": .string(act.state.name)])
        case .failure(let refused):
            let what = "The reading \(id) was left as it is."
            switch refused.refusal {
            case .noSuchReading: return .failure(missing("reading", id))
            case .timeNeeded:
                return .failure(
                    refusal(what, "It is not known when it was taken.", "Say it with --at 2026-01-31T08:00:00+01:00."))
            case .wrongState(let state):
                return .failure(
                    refusal(
                        what, "It is \(state.name), and that cannot be done with such a one.",
                        "See `vitalgate readings show \(id)`."))
            case .underWay:
                return .failure(
                    OperationError(
                        what, why: "A request about it is under way, or its outcome is unknown.",
                        remedy: "Try again in a minute; `vitalgate outbox list --state uncertain` shows what stays.", exitCode: 75
                    ))
            case .noSuchReceiver(let name):
                return .failure(
                    refusal(what, "There is no receiver \"\(name)\".", "Name one of: \(courier.names.joined(separator: ", "))."))
            }
        }
    }
}
