import ExactJSON
import FHIR
public import HTTPMessage
public import Vitals

/// Any FHIR R4 server that takes the HL7 Personal Health Devices IG, 2.0.0 or 1.1.0: one transaction with conditional creates.
///
/// Everything in it is created only where it does not exist, under an identifier of its own, so a request that is sent twice
/// takes effect once. The patient is referred to by the logical id that the receiver gave; no Patient resource is sent.
public struct PHDDestination: Destination {
    public let settings: ReceiverSettings

    public init(settings: ReceiverSettings) { self.settings = settings }

    // MARK: Requests

    public func dispatch(of acts: [DispatchAct], context: DispatchContext) throws(MappingError) -> DispatchDraft {
        guard acts.count <= settings.maximumActs else {
            throw MappingError(.tooManyActs, "\(acts.count) acts, at most \(settings.maximumActs)")
        }
        for due in acts {
            guard !due.act.measurement.isInvalid else {
                throw MappingError(.invalidMeasurement, "the device marks the measurement invalid")
            }
            guard due.act.cautions.isDisjoint(with: [.technicianTest, .guest]) else {
                throw MappingError(.notForChart, "a test's or a guest's reading")
            }
        }
        return try draft(acts, context, isCorrection: false)
    }

    /// The delivered observations and the status bits derived from them, once more, with status `entered-in-error`: an update of
    /// the version that we know, so that nobody's later change is overwritten unseen.
    ///
    /// `context` is that of the delivery: the patient in whose record it stands.
    public func correction(of act: DispatchAct, context: DispatchContext) throws(MappingError) -> DispatchDraft {
        try draft([act], context, isCorrection: true)
    }

    private func draft(
        _ acts: [DispatchAct], _ context: DispatchContext, isCorrection: Bool
    ) throws(MappingError) -> DispatchDraft {
        guard LogicalID.isValid(context.patientID) else {
            throw MappingError(.patientID, "the receiver's patient id is no FHIR logical id")
        }
        let gateway = PHGDeviceEntry(context.gateway, edition: settings.phdEdition)
        var entries = [
            R4.TransactionRequest.Entry(
                fullURL: gateway.entry.fullURL, resource: .device(gateway.device),
                method: .create(ifNoneExist: gateway.entry.ifNoneExist))
        ]
        var items: [DispatchDraft.Entry] = []
        var references: [Int64: ServerReference] = [:]
        for due in acts {
            let device = PHDDeviceEntry(due.act, edition: settings.phdEdition)
            if !entries.contains(where: { $0.fullURL == device.entry.fullURL }) {
                entries.append(
                    R4.TransactionRequest.Entry(
                        fullURL: device.entry.fullURL, resource: .device(device.device),
                        method: .create(ifNoneExist: device.entry.ifNoneExist)))
            }
            let observations = PHDObservations(
                due: due, patientID: context.patientID, device: device.reference, gateway: gateway.reference,
                rounding: settings.rounding, edition: settings.phdEdition, forcedStatus: isCorrection ? .enteredInError : nil)
            let before = items.count
            for observation in try observations.entries() {
                // Acts of one transfer share their clock and battery observations.
                if observation.item == nil, entries.contains(where: { $0.fullURL == observation.entry.fullURL }) { continue }
                if let item = observation.item {
                    items.append(DispatchDraft.Entry(item: item.id, index: entries.count))
                    references[item.id] = item.serverReference
                }
                entries.append(try isCorrection ? update(observation) : create(observation))
            }
            guard items.count - before == due.items.count, !due.items.isEmpty else {
                throw MappingError(.noReading, "an item names a reading that the act does not have")
            }
        }
        let memo = TransactionMemo(
            acts: acts.count, entries: entries.count, isCorrection: isCorrection, references: isCorrection ? references : [:])
        return DispatchDraft(
            request: HTTPRequest(
                .post, settings.baseURL, headers: Self.headers + [HTTPHeader("prefer", "return=minimal")],
                body: R4.TransactionRequest(entries).bytes),
            entries: items, memo: memo.json)
    }

    private func create(_ entry: PHDObservations.Entry) throws(MappingError) -> R4.TransactionRequest.Entry {
        R4.TransactionRequest.Entry(
            fullURL: entry.entry.fullURL, resource: .observation(entry.observation),
            method: .create(ifNoneExist: entry.entry.ifNoneExist))
    }

    private func update(_ entry: PHDObservations.Entry) throws(MappingError) -> R4.TransactionRequest.Entry {
        var observation = entry.observation
        let method: R4.TransactionRequest.Entry.Method
        if let item = entry.item {
            guard let reference = item.serverReference, reference.reference.hasPrefix("Observation/") else {
                throw MappingError(.noServerReference, "it is not known where the receiver keeps the reading")
            }
            observation.id = String(reference.reference.dropFirst("Observation/".utf8.count))
            method = .update(url: reference.reference, ifMatch: reference.version.map { "W/\"\($0)\"" })
        } else {
            method = .update(url: "Observation?" + (entry.entry.ifNoneExist ?? ""), ifMatch: nil)
        }
        return R4.TransactionRequest.Entry(fullURL: entry.entry.fullURL, resource: .observation(observation), method: method)
    }

    static let headers = [
        HTTPHeader("content-type", "application/fhir+json; charset=utf-8"), HTTPHeader("accept", "application/fhir+json"),
    ]
    private static let questionHeaders = [
        HTTPHeader("accept", "application/fhir+json"), HTTPHeader("cache-control", "no-cache"),
    ]

    // MARK: Answers

    public func verdict(on outcome: HTTPOutcome, to draft: DispatchDraft, now: Instant) -> DispatchVerdict {
        FHIRTransactionVerdict(draft: draft, now: now).verdict(on: outcome)
    }

    public func readBack(of item: Int64, at reference: ServerReference, in draft: DispatchDraft) -> HTTPRequest {
        HTTPRequest(.get, settings.baseURL + "/" + reference.reference, headers: Self.questionHeaders)
    }

    public func verdict(
        onReadBack outcome: HTTPOutcome, of item: Int64, at reference: ServerReference, in draft: DispatchDraft, now: Instant
    ) -> DispatchVerdict {
        FHIRTransactionVerdict(draft: draft, now: now).verdict(onReadBack: outcome, of: item, at: reference)
    }

    public func reconciliation(of draft: DispatchDraft) -> [Inquiry]? {
        let memo = TransactionMemo(draft.memo)
        let body = try? JSON(parsing: draft.request.body)
        return draft.entries.compactMap { entry in
            if memo.isCorrection {
                return memo.reference(of: entry.item).map {
                    Inquiry(item: entry.item, request: readBack(of: entry.item, at: $0, in: draft))
                }
            }
            guard let resource = body?["entry"]?[entry.index]?["resource"], let own = OwnIdentifier.value(in: resource) else {
                return nil
            }
            let search = FHIRSearch.identifier(system: OwnIdentifier.system, value: own)
            return Inquiry(
                item: entry.item,
                request: HTTPRequest(.get, settings.baseURL + "/Observation?" + search, headers: Self.questionHeaders))
        }
    }

    public func verdict(onReconciliation outcome: HTTPOutcome, of item: Int64, in draft: DispatchDraft, now: Instant)
        -> DispatchVerdict
    {
        FHIRTransactionVerdict(draft: draft, now: now).verdict(onReconciliation: outcome, of: item)
    }
}
