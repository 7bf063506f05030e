import ExactJSON
public import HTTPMessage
public import Vitals

/// Fælles Udbredelse af Telemedicin: one act per episode of care and resolved timing through `$submit-measurement`.
///
/// FUT documents no idempotency: no conditional create, no request id. What may have arrived is searched for before it is sent
/// again, a 5xx included, since a gateway in front of the service can fail after the service has stored.
public struct FUTDestination: Destination {
    public let settings: ReceiverSettings
    public let fut: FUTSettings
    /// How something delivered is taken back.
    public let retraction: Retraction

    public enum Retraction: String, Hashable, Sendable, CaseIterable {
        /// JSON Patch of the Observation's status.
        case patch
        /// `ClinicalImpression/$set-measurement-validity` at the task service, which citizens and clinicians may call.
        case validity
    }

    public init(settings: ReceiverSettings, fut: FUTSettings, retraction: Retraction = .patch) {
        self.settings = settings
        self.fut = fut
        self.retraction = retraction
    }

    public var correctsOneByOne: Bool { true }

    /// The name of a citizen's channel: the receiver's, and a number made of the alias, which logs and conditions may show.
    public static func channel(of receiver: String, for patient: PatientAlias) -> String {
        ReceiverSettings.channel(of: receiver, for: patient)
    }

    // MARK: Requests

    public func dispatch(of acts: [DispatchAct], context: DispatchContext) throws(MappingError) -> DispatchDraft {
        // The guide calls the operation one of single measurements and large batches misuse.
        guard let due = acts.first, acts.count == 1 else { throw MappingError(.tooManyActs, "\(acts.count) acts, one a request") }
        guard !due.act.measurement.isInvalid else {
            throw MappingError(.invalidMeasurement, "the device marks the measurement invalid")
        }
        guard due.act.cautions.isDisjoint(with: [.technicianTest, .guest]) else {
            throw MappingError(.notForChart, "a test's or a guest's reading")
        }
        let target = try target(context)
        guard !due.items.isEmpty else { throw MappingError(.noReading, "nothing is due") }
        var entries: [FUTSubmission.Entry] = []
        var items: [DispatchDraft.Entry] = []
        for item in due.items {
            guard let reading = due.act.readings.first(where: { $0.id == item.reading }) else {
                throw MappingError(.noReading, "an item names a reading that the act does not have")
            }
            guard let order = target.orders.first(where: { $0.reading == item.reading }) else {
                throw MappingError(.noTarget, "no request takes the reading")
            }
            let observation = FUTObservation(
                act: due.act, reading: reading, order: order, target: target, settings: fut, rounding: settings.rounding)
            items.append(DispatchDraft.Entry(item: item.id, index: entries.count))
            entries.append(FUTSubmission.Entry(fullURL: observation.name, resource: try observation.json()))
        }
        return DispatchDraft(
            request: HTTPRequest(
                .post, fut.base(.measurement) + "/$submit-measurement", headers: FUT.postHeaders,
                body: FUTSubmission(entries).json.bytes),
            entries: items, memo: TransactionMemo(acts: 1, entries: entries.count, isCorrection: false).json)
    }

    private func target(_ context: DispatchContext) throws(MappingError) -> FUTTarget {
        guard let json = context.target, let target = FUTTarget(json) else {
            throw MappingError(.noTarget, "it is not decided which request it answers")
        }
        if let fault = target.fault { throw MappingError(.noTarget, fault) }
        return target
    }

    /// The retraction of one delivered observation: FUT has no transaction for it.
    public func correction(of act: DispatchAct, context: DispatchContext) throws(MappingError) -> DispatchDraft {
        guard let item = act.items.first, act.items.count == 1 else {
            throw MappingError(.oneCorrection, "\(act.items.count) corrections, one a request")
        }
        guard let reference = item.serverReference, reference.reference.hasPrefix("Observation/") else {
            throw MappingError(.noServerReference, "it is not known where the receiver keeps the reading")
        }
        let memo = TransactionMemo(acts: 1, entries: 1, isCorrection: true, references: [item.id: reference])
        let request: HTTPRequest
        switch retraction {
        case .patch:
            let patch: JSON = [["op": "replace", "path": "/status", "value": "entered-in-error"]]
            request = HTTPRequest(
                .patch, fut.base(.measurement) + "/" + reference.reference,
                headers: [HTTPHeader("content-type", "application/json-patch+json"), FUT.accept], body: patch.bytes)
        case .validity:
            request = HTTPRequest(
                .post, fut.base(.task) + "/ClinicalImpression/$set-measurement-validity", headers: FUT.postHeaders,
                body: try invalidation(of: reference, target: target(context)).bytes)
        }
        return DispatchDraft(request: request, entries: [DispatchDraft.Entry(item: item.id, index: 0)], memo: memo.json)
    }

    /// A ClinicalImpression that invalidates a measurement and leaves its slot open again: what was wrong fulfils nothing.
    private func invalidation(of reference: ServerReference, target: FUTTarget) throws(MappingError) -> JSON {
        guard let version = reference.version else { throw MappingError(.noServerReference, "its version is not known") }
        let system = "http://ehealth.sundhed.dk/cs/clinicalimpression-"
        let profiles = "http://ehealth.sundhed.dk/fhir/StructureDefinition/ehealth-clinicalimpression"
        let measurement = fut.base(.measurement) + "/" + reference.reference
        let impression: JSON = [
            "resourceType": "ClinicalImpression",
            "meta": ["profile": [.string(profiles)]],
            "extension": [
                ["url": .string(fut.canonicals.episodeOfCare), "valueReference": FUT.reference(target.episode)],
                [
                    "url": .string(profiles + "-decision"),
                    "valueCodeableConcept": FUT.concept(FUTCoding(system + "decision-codes", "invalidated-is-not-fulfillment")),
                ],
            ],
            "status": "completed",
            "code": FUT.concept(FUTCoding(system + "codes", "MeasurementValidityUpdate")),
            "subject": FUT.reference(target.patient),
            "investigation": [
                [
                    "code": FUT.concept(FUTCoding(system + "investigation-item-codes", "item-for-investigation")),
                    "item": [FUT.reference(measurement + "/_history/" + version), FUT.reference(measurement)],
                ]
            ],
            "finding": [
                ["itemCodeableConcept": FUT.concept(FUTCoding(system + "finding-codes", "measurement-invalidated"))]
            ],
        ]
        return ["resourceType": "Parameters", "parameter": [["name": "clinicalImpression", "resource": impression]]]
    }

    /// A target of the form that a plan gives, for showing what would be sent: ids that no environment has, every reading ordered
    /// for its own time.
    public func sampleTarget(of act: Act, patientID: String) -> FUTTarget {
        let start = act.effective.instant - .seconds(3_600)
        let slot = [start, start + .seconds(7_200)].compactMap { FUTMoment($0.iso8601(offsetMinutes: 0)) }
        let orders = act.readings.enumerated().compactMap { position, identified -> FUTTarget.Order? in
            guard let role = identified.reading.kind.futRole else { return nil }
            return FUTTarget.Order(
                reading: identified.id, role: role, request: fut.base(.careplan) + "/ServiceRequest/sample-\(position + 1)",
                version: "1")
        }
        return FUTTarget(
            patient: fut.base(.patient) + "/Patient/" + patientID, episode: fut.base(.careplan) + "/EpisodeOfCare/sample",
            timing: slot.count == 2 ? .resolved : .adhoc, slot: slot.count == 2 ? FUTSlot(start: slot[0], end: slot[1]) : nil,
            orders: orders)
    }

    // MARK: Answers

    public func verdict(on outcome: HTTPOutcome, to draft: DispatchDraft, now: Instant) -> DispatchVerdict {
        FUTVerdict(draft: draft, now: now).verdict(on: outcome)
    }

    public func readBack(of item: Int64, at reference: ServerReference, in draft: DispatchDraft) -> HTTPRequest {
        HTTPRequest(.get, fut.base(.measurement) + "/" + reference.reference, headers: FUT.questionHeaders)
    }

    public func verdict(
        onReadBack outcome: HTTPOutcome, of item: Int64, at reference: ServerReference, in draft: DispatchDraft, now: Instant
    ) -> DispatchVerdict {
        FUTVerdict(draft: draft, now: now).verdict(onRead: outcome, of: item, at: reference)
    }

    public func reconciliation(of draft: DispatchDraft) -> [Inquiry]? {
        let memo = TransactionMemo(draft.memo)
        return draft.entries.compactMap { entry in
            if memo.isCorrection {
                return memo.reference(of: entry.item).map {
                    Inquiry(item: entry.item, request: readBack(of: entry.item, at: $0, in: draft))
                }
            }
            return FUTSubmission.resource(of: entry.item, in: draft).flatMap(search).map {
                Inquiry(item: entry.item, request: $0)
            }
        }
    }

    /// `Observation?patient&based-on&code&date`: the parameters that the measurement service lists. The date leaves a minute on
    /// either side; what is found is compared to the second.
    private func search(_ observation: JSON) -> HTTPRequest? {
        guard let patient = observation["subject"]?["reference"]?.string,
            let request = observation["basedOn"]?[0]?["reference"]?.string,
            let coding = observation["code"]?["coding"]?[0].flatMap(FUTCoding.init),
            let time = FUTSubmission.time(of: observation)
        else { return nil }
        let query = [
            FHIRSearch.parameter("patient", patient), FHIRSearch.parameter("based-on", request),
            FHIRSearch.token("code", system: coding.system, value: coding.code),
            FHIRSearch.parameter("date", "ge\(time - .seconds(60))"), FHIRSearch.parameter("date", "le\(time + .seconds(60))"),
            "_count=100",
        ]
        return HTTPRequest(
            .get, fut.base(.measurement) + "/Observation?" + query.joined(separator: "&"), headers: FUT.questionHeaders)
    }

    public func verdict(onReconciliation outcome: HTTPOutcome, of item: Int64, in draft: DispatchDraft, now: Instant)
        -> DispatchVerdict
    {
        FUTVerdict(draft: draft, now: now).verdict(onReconciliation: outcome, of: item)
    }
}
