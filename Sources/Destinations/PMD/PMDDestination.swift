import ExactJSON
import FHIR
public import HTTPMessage
public import Vitals

/// Pasientens måledata of Norsk helsenett: a bundle of observations of one patient to the service's root, each stored and answered
/// for itself.
///
/// No idempotency is documented, so what may have arrived is searched for before it is sent again, a 5xx included. Every name in a
/// request is made of the readings' ids: the same items give the same bytes, and a second copy can be recognised.
///
/// Source: NHN, documentation of Pasientens måledata (June 2026); HL7 Norway, VkpObservation 0.5.1 and 0.5.2. They contradict each
/// other: ``PMDSettings`` has each point.
public struct PMDDestination: Destination {
    public let settings: ReceiverSettings
    public let pmd: PMDSettings

    public init(settings: ReceiverSettings, pmd: PMDSettings) {
        self.settings = settings
        self.pmd = pmd
    }

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

    /// What was delivered once more, as entered in error: an update under the server's id. A collection names no method; there the
    /// id and the identifier say which observation it is.
    public func correction(of act: DispatchAct, context: DispatchContext) throws(MappingError) -> DispatchDraft {
        try draft([act], context, isCorrection: true)
    }

    private func draft(
        _ acts: [DispatchAct], _ context: DispatchContext, isCorrection: Bool
    ) throws(MappingError) -> DispatchDraft {
        let subject = try NorwegianSubject(patientID: context.patientID)
        var entries: [PMDBundle.Entry] = []
        var items: [DispatchDraft.Entry] = []
        var references: [Int64: ServerReference] = [:]
        for due in acts {
            guard !due.items.isEmpty else { throw MappingError(.noReading, "nothing is due") }
            for item in due.items {
                guard let reading = due.act.readings.first(where: { $0.id == item.reading }) else {
                    throw MappingError(.noReading, "an item names a reading that the act does not have")
                }
                let observation = PMDObservation(
                    act: due.act, reading: reading, subject: subject, settings: pmd, rounding: settings.rounding)
                items.append(DispatchDraft.Entry(item: item.id, index: entries.count))
                if isCorrection {
                    let (entry, reference) = try retraction(observation, item)
                    entries.append(entry)
                    references[item.id] = reference
                } else {
                    entries.append(try entry(observation))
                }
            }
        }
        guard let latest = acts.map(\.act.effective).max(by: { $0.instant < $1.instant }), !entries.isEmpty else {
            throw MappingError(.noReading, "nothing is due")
        }
        let names = entries.map(\.fullURL).joined(separator: " ") + (isCorrection ? " retracted" : "")
        let bundle = PMDBundle(
            entries: entries, settings: pmd, identifier: StableUUID.text("pmd-bundle", names), timestamp: latest.description)
        return DispatchDraft(
            request: HTTPRequest(
                .post, settings.baseURL, headers: headers(Self.json, subject, correlation: StableUUID.text("pmd", names)),
                body: bundle.json.bytes),
            entries: items,
            memo: TransactionMemo(
                acts: acts.count, entries: entries.count, isCorrection: isCorrection, references: references
            ).json)
    }

    private func entry(_ observation: PMDObservation) throws(MappingError) -> PMDBundle.Entry {
        PMDBundle.Entry(
            fullURL: observation.name, resource: try observation.json(),
            request: pmd.method == .put
                ? .init(method: "PUT", url: "Observation/" + observation.reading.id.rawValue)
                : .init(method: "POST", url: "Observation"))
    }

    private func retraction(
        _ observation: PMDObservation, _ item: DispatchItem
    ) throws(MappingError) -> (PMDBundle.Entry, ServerReference) {
        guard let reference = item.serverReference, reference.reference.hasPrefix("Observation/") else {
            throw MappingError(.noServerReference, "it is not known where the receiver keeps the reading")
        }
        let id = String(reference.reference.dropFirst("Observation/".utf8.count))
        // A server that took a POST and did not say where it put it has it under an id of its own: only the identifier names it.
        let isNamed = pmd.method == .put || id != observation.reading.id.rawValue
        let url =
            isNamed
            ? reference.reference
            : "Observation?" + FHIRSearch.identifier(system: OwnIdentifier.system, value: observation.name)
        let entry = PMDBundle.Entry(
            fullURL: observation.name, resource: try observation.json(id: id, isRetraction: true),
            request: .init(method: "PUT", url: url))
        return (entry, reference)
    }

    private static let json = "application/fhir+json"

    private func headers(_ type: String, _ subject: NorwegianSubject?, correlation: String) -> [HTTPHeader] {
        var headers = [
            HTTPHeader("content-type", type), HTTPHeader("accept", Self.json), HTTPHeader("correlation-id", correlation),
        ]
        if pmd.sendsPersonHeader, let subject { headers.append(HTTPHeader("person-id", subject.value)) }
        return headers + pmd.headers
    }

    // MARK: Answers

    public func verdict(on outcome: HTTPOutcome, to draft: DispatchDraft, now: Instant) -> DispatchVerdict {
        PMDVerdict(draft: draft, now: now).verdict(on: outcome)
    }

    /// PMD documents no read by id: what stands there is searched for, as for a reconciliation.
    public func readBack(of item: Int64, at reference: ServerReference, in draft: DispatchDraft) -> HTTPRequest {
        inquiry(of: item, in: draft)?.request
            ?? HTTPRequest(.post, settings.baseURL + "/Observation/_search", headers: [HTTPHeader("accept", Self.json)])
    }

    public func verdict(
        onReadBack outcome: HTTPOutcome, of item: Int64, at reference: ServerReference, in draft: DispatchDraft, now: Instant
    ) -> DispatchVerdict {
        PMDVerdict(draft: draft, now: now).verdict(onSearch: outcome, of: item)
    }

    public func reconciliation(of draft: DispatchDraft) -> [Inquiry]? {
        draft.entries.compactMap { inquiry(of: $0.item, in: draft) }
    }

    public func verdict(onReconciliation outcome: HTTPOutcome, of item: Int64, in draft: DispatchDraft, now: Instant)
        -> DispatchVerdict
    {
        PMDVerdict(draft: draft, now: now).verdict(onSearch: outcome, of: item)
    }

    /// `POST Observation/_search` with a form of `patient.identifier`, `code` and `date`: the parameters that NHN documents; GET
    /// ones are not allowed, so the number stays in the body. The date leaves a minute on either side.
    private func inquiry(of item: Int64, in draft: DispatchDraft) -> Inquiry? {
        guard let observation = PMDBundle.resource(of: item, in: draft),
            let identifier = observation["subject"]?["identifier"], let system = identifier["system"]?.string,
            let value = identifier["value"]?.string, let coding = observation["code"]?["coding"]?[0],
            let codeSystem = coding["system"]?.string, let code = coding["code"]?.string,
            let time = observation["effectiveDateTime"]?.string.flatMap({ Instant(iso8601: $0) })
        else { return nil }
        let form = [
            FHIRSearch.token("patient.identifier", system: system, value: value),
            FHIRSearch.token("code", system: codeSystem, value: code),
            FHIRSearch.parameter("date", "ge\(time - .seconds(60))"), FHIRSearch.parameter("date", "le\(time + .seconds(60))"),
        ].joined(separator: "&")
        let correlation = StableUUID.text("pmd-search", observation["id"]?.string ?? "")
        return Inquiry(
            item: item,
            request: HTTPRequest(
                .post, settings.baseURL + "/Observation/_search",
                headers: headers(
                    "application/x-www-form-urlencoded", try? NorwegianSubject(patientID: value), correlation: correlation),
                body: Array(form.utf8)))
    }
}
