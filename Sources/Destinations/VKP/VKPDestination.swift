import ExactJSON
import FHIR
public import HTTPMessage
public import Vitals

/// Velferdsteknologisk knutepunkt: a document for a municipality's journal for each act, or for a slot in which nothing was measured.
///
/// VKP brokers to the journal and says no more than that it took the document; it names it by no id of its own. No idempotency is
/// documented: Bundle.identifier and every name in it are the same whenever the document is made.
public struct VKPDestination: Destination {
    public let settings: ReceiverSettings
    public let vkp: VKPSettings

    public init(settings: ReceiverSettings, vkp: VKPSettings) {
        self.settings = settings
        self.vkp = vkp
    }

    private var base: String { settings.baseURL + "/" + vkp.organisation.digits }

    // MARK: Requests

    public func dispatch(of acts: [DispatchAct], context: DispatchContext) throws(MappingError) -> DispatchDraft {
        guard let due = acts.first, acts.count == 1 else {
            throw MappingError(.tooManyActs, "\(acts.count) acts, one a document")
        }
        guard !due.act.measurement.isInvalid else {
            throw MappingError(.invalidMeasurement, "the device marks the measurement invalid")
        }
        guard due.act.cautions.isDisjoint(with: [.technicianTest, .guest]) else {
            throw MappingError(.notForChart, "a test's or a guest's reading")
        }
        let relation = context.target.flatMap { VKPTarget($0).followsUp }.map(VKPDocument.Relation.followsUp)
        return try draft(due, context, name: VKPDocument.name(of: due.act), relation: relation)
    }

    /// A document that replaces the earlier one, as entered in error: VKP documents no other way to take something back.
    public func correction(of act: DispatchAct, context: DispatchContext) throws(MappingError) -> DispatchDraft {
        try draft(
            act, context, name: VKPDocument.retraction(of: act.act), relation: .retracts(VKPDocument.name(of: act.act)))
    }

    private func draft(
        _ due: DispatchAct, _ context: DispatchContext, name: String, relation: VKPDocument.Relation?
    ) throws(MappingError) -> DispatchDraft {
        let subject = try NorwegianSubject(patientID: context.patientID)
        guard !due.items.isEmpty else { throw MappingError(.noReading, "nothing is due") }
        var isRetraction = false
        if case .retracts = relation { isRetraction = true }
        var observations: [JSON] = []
        var words: [String] = []
        for item in due.items {
            guard let reading = due.act.readings.first(where: { $0.id == item.reading }) else {
                throw MappingError(.noReading, "an item names a reading that the act does not have")
            }
            let observation = try PMDObservation(
                act: due.act, reading: reading, subject: subject, settings: vkp.observations, rounding: settings.rounding
            ).json(isRetraction: isRetraction)
            observations.append(observation)
            words.append(VKPDocument.words(reading.reading.kind, observation))
        }
        let document = VKPDocument(
            identifier: name, content: .reported(observations, text: words.joined(separator: "; ")), subject: subject,
            author: vkp.author, date: due.act.effective.description, relation: relation)
        return draft(
            document, items: due.items.map(\.id), isCorrection: isRetraction,
            references: isRetraction ? due.items.compactMap { item in item.serverReference.map { (item.id, $0) } } : [])
    }

    /// The document that nothing was measured in a slot, for one item. Only after ``VKPAbsence`` said so.
    ///
    /// - Parameter offsetMinutes: of the hub's zone at the slot, for the times in it.
    public func dispatch(
        notReported slot: VKPSlot, item: Int64, offsetMinutes: Int, context: DispatchContext
    ) throws(MappingError) -> DispatchDraft {
        let document = VKPDocument(
            identifier: VKPDocument.name(of: slot), content: .notReported(slot, offsetMinutes: offsetMinutes),
            subject: try NorwegianSubject(patientID: context.patientID), author: vkp.author,
            date: slot.closes.iso8601(offsetMinutes: offsetMinutes), relation: nil)
        return draft(document, items: [item], isCorrection: false, references: [])
    }

    private func draft(
        _ document: VKPDocument, items: [Int64], isCorrection: Bool, references: [(Int64, ServerReference)]
    ) -> DispatchDraft {
        DispatchDraft(
            request: HTTPRequest(
                .post, base + "/bundle",
                headers: [HTTPHeader("content-type", "application/fhir+json"), HTTPHeader("accept", "application/fhir+json")],
                body: document.json.bytes),
            // All of them stand or fall with the document.
            entries: items.map { DispatchDraft.Entry(item: $0, index: 0) },
            memo: TransactionMemo(
                acts: 1, entries: 1, isCorrection: isCorrection,
                references: Dictionary(references, uniquingKeysWith: { first, _ in first })
            ).json)
    }

    // MARK: Answers

    public func verdict(on outcome: HTTPOutcome, to draft: DispatchDraft, now: Instant) -> DispatchVerdict {
        VKPVerdict(draft: draft, now: now).verdict(on: outcome)
    }

    public func readBack(of item: Int64, at reference: ServerReference, in draft: DispatchDraft) -> HTTPRequest {
        search(draft) ?? HTTPRequest(.post, base + "/composition/_search", headers: searchHeaders)
    }

    public func verdict(
        onReadBack outcome: HTTPOutcome, of item: Int64, at reference: ServerReference, in draft: DispatchDraft, now: Instant
    ) -> DispatchVerdict {
        VKPVerdict(draft: draft, now: now).verdict(onSearch: outcome, of: item)
    }

    public func reconciliation(of draft: DispatchDraft) -> [Inquiry]? {
        guard vkp.searches, let search = search(draft) else { return nil }
        return draft.entries.map { Inquiry(item: $0.item, request: search) }
    }

    public func verdict(onReconciliation outcome: HTTPOutcome, of item: Int64, in draft: DispatchDraft, now: Instant)
        -> DispatchVerdict
    {
        VKPVerdict(draft: draft, now: now).verdict(onSearch: outcome, of: item)
    }

    private var searchHeaders: [HTTPHeader] {
        [
            HTTPHeader("content-type", "application/x-www-form-urlencoded"), HTTPHeader("accept", "application/fhir+json"),
            HTTPHeader("servicecodes", vkp.serviceCodes),
        ]
    }

    /// `POST composition/_search` with the patient's bare number, as the sample sends it, and a day on either side.
    private func search(_ draft: DispatchDraft) -> HTTPRequest? {
        let composition = (try? JSON(parsing: draft.request.body))?["entry"]?[0]?["resource"]
        guard let number = composition?["subject"]?["identifier"]?["value"]?.string,
            let date = composition?["date"]?.string.flatMap({ Instant(iso8601: $0) })
        else { return nil }
        return search("composition", patient: number, from: date - .seconds(86_400), until: date + .seconds(86_400))
    }

    private func search(_ resource: String, patient: String, from: Instant, until: Instant) -> HTTPRequest {
        let form = [
            FHIRSearch.parameter("patient.identifier", patient), FHIRSearch.parameter("date", "ge\(from)"),
            FHIRSearch.parameter("date", "le\(until)"),
        ].joined(separator: "&")
        return HTTPRequest(.post, base + "/\(resource)/_search", headers: searchHeaders, body: Array(form.utf8))
    }

    /// What was ordered for the patient: `POST careplan/_search`; ``VKPCarePlan`` reads the answer.
    public func carePlans(
        patientID: String, from: Instant, until: Instant
    ) throws(MappingError) -> HTTPRequest {
        search("careplan", patient: try NorwegianSubject(patientID: patientID).value, from: from, until: until)
    }
}
