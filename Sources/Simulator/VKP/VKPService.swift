public import ExactJSON
public import Vitals

/// A document that VKP took, for tests that count.
public struct VKPJournaled: Hashable, Sendable {
    /// Bundle.identifier.
    public var identifier: String
    public var municipality: String
    public var patient: String
    public var takenAt: Instant
    public var bundle: JSON

    public var composition: JSON? {
        bundle["entry"]?.array?.lazy.compactMap { $0["resource"] }.first { $0["resourceType"]?.string == "Composition" }
    }
}

/// Velferdsteknologisk knutepunkt: takes documents for municipalities' journals and is searched by POST.
///
/// A value without a socket. It takes the same document twice: nothing is published about duplicates. A search of journals finds
/// what has arrived there.
struct VKPService {
    private(set) var journal: [VKPJournaled] = []
    var proofs = HelseIDProofs()
    private var written: [VKPJournaled] = []

    /// What was taken since it was last asked.
    mutating func takeWritten() -> [VKPJournaled] {
        defer { written = [] }
        return written
    }

    static let codeSystem = "http://ehelse.no/fhir/CodeSystem/vkp-operation-outcome-v090"

    /// A code of vkp-operation-outcome.
    struct Refusal: Error {
        var code: String
        var text: String
        var status = 400

        init(_ code: String, _ text: String, status: Int = 400) {
            self.code = code
            self.text = text
            self.status = status
        }

        var answer: NHNAnswer { .outcome(status, "processing", text, coding: (VKPService.codeSystem, code)) }
    }

    /// - Parameter path: below `/epj/r4`.
    mutating func answer(_ call: NHNCall, _ path: [String], settings: NHNSettings, now: Instant) -> NHNAnswer {
        do throws(Refusal) {
            guard call.method == "POST" else { throw Refusal("1.2", "only POST", status: 405) }
            guard let municipality = path.first, settings.municipalities.contains(municipality) else {
                throw Refusal("2.2", "no such municipality")
            }
            switch Array(path.dropFirst()) {
            case ["bundle"]: return try take(call, municipality, settings, now)
            case ["composition", "_search"]:
                let patient = try patient(call, settings)
                let arrived = journal.filter {
                    $0.municipality == municipality && $0.patient == patient && $0.takenAt + settings.journalDelay <= now
                }
                return Self.searchset(arrived.compactMap(\.composition))
            case ["careplan", "_search"]:
                let patient = try patient(call, settings)
                return Self.searchset(
                    settings.carePlans.filter { $0["subject"]?["identifier"]?["value"]?.string == patient })
            default: throw Refusal("1.2", "no such resource", status: 404)
            }
        } catch {
            return error.answer
        }
    }

    /// The scope that a path asks for.
    static func scope(of path: [String]) -> String {
        switch path.dropFirst().first {
        case "composition": NHNSettings.Scope.compositionRead
        case "careplan": NHNSettings.Scope.carePlanRead
        default: NHNSettings.Scope.bundleWrite
        }
    }

    private func patient(_ call: NHNCall, _ settings: NHNSettings) throws(Refusal) -> String {
        let patients = FUTForm(call.text).fields.filter { $0.name == "patient.identifier" }
        guard call.contentType == "application/x-www-form-urlencoded", patients.count == 1 else {
            throw Refusal("2.3", "patient.identifier once, as a form")
        }
        let codes = (call.headers["servicecodes"] ?? "").split(separator: ",").map(String.init)
        guard !codes.isEmpty, codes.allSatisfy(["rt", "ta", "gps", "md", "dt", "dho"].contains) else {
            throw Refusal("1.3", "ServiceCodes")
        }
        return try person(patients[0].value, settings)
    }

    private func person(_ number: String, _ settings: NHNSettings) throws(Refusal) -> String {
        guard let person = try? NorwegianPersonNumber(number),
            !person.warnings.contains(.firstCheckDigit), !person.warnings.contains(.secondCheckDigit)
        else { throw Refusal("2.1", "no valid number of a person") }
        guard settings.served?.contains(person.digits) ?? true else { throw Refusal("1.3", "no active service") }
        return person.digits
    }

    private static func searchset(_ resources: [JSON]) -> NHNAnswer {
        NHNAnswer(
            status: 200,
            body: .fhir(
                .members([
                    "resourceType": "Bundle", "type": "searchset", "total": .integer(resources.count),
                    "entry": resources.isEmpty ? nil : .array(resources.map { ["resource": $0] }),
                ])))
    }

    // MARK: Documents

    private mutating func take(
        _ call: NHNCall, _ municipality: String, _ settings: NHNSettings, _ now: Instant
    ) throws(Refusal) -> NHNAnswer {
        guard let bundle = try? JSON(parsing: call.body), bundle["resourceType"]?.string == "Bundle",
            bundle["type"]?.string == "document", let identifier = bundle["identifier"]?["value"]?.string,
            bundle["timestamp"]?.string.flatMap({ Instant(iso8601: $0) }) != nil, let entries = bundle["entry"]?.array
        else { throw Refusal("2.4", "no document with identifier and timestamp") }
        let resources = entries.compactMap { $0["resource"] }
        guard let composition = resources.first, composition["resourceType"]?.string == "Composition",
            let issue = resources.first(where: { $0["resourceType"]?.string == "DetectedIssue" })
        else { throw Refusal("2.4", "a Composition first, and a DetectedIssue") }
        try Self.check(composition, issue, Set(entries.compactMap { $0["fullUrl"]?.string }))
        let numbers = Set(
            resources.map { ($0["subject"] ?? $0["patient"])?["identifier"]?["value"]?.string ?? "" })
        guard numbers.count == 1, let number = numbers.first else { throw Refusal("2.1", "one person throughout") }
        let one = VKPJournaled(
            identifier: identifier, municipality: municipality, patient: try person(number, settings), takenAt: now,
            bundle: bundle)
        journal.append(one)
        written.append(one)
        return NHNAnswer(status: 200)
    }

    /// What the profiles vkp-Composition and vkp-DetectedIssue require, and that the document is whole.
    private static func check(_ composition: JSON, _ issue: JSON, _ names: Set<String>) throws(Refusal) {
        func codes(_ concepts: JSON?, _ system: String) -> [String] {
            (concepts?.array ?? concepts.map { [$0] } ?? []).flatMap { $0["coding"]?.array ?? [] }.filter {
                $0["system"]?.string == "http://ehelse.no/fhir/CodeSystem/vkp-\(system)-v090"
            }.compactMap { $0["code"]?.string }
        }
        let categories = codes(composition["category"], "composition-category")
        guard !categories.isEmpty, categories.allSatisfy(["1", "2"].contains) else {
            throw Refusal("2.4", "Composition.category")
        }
        let events = (composition["event"]?.array ?? []).map { codes($0["code"], "composition-event") }
        guard events.allSatisfy({ $0.allSatisfy(["0", "1", "3", "4", "5", "6", "7", "8", "9", "10"].contains) && !$0.isEmpty })
        else { throw Refusal("2.4", "Composition.event.code") }
        guard let author = composition["author"]?[0], author["identifier"]?["value"]?.string != nil,
            author["display"]?.string != nil
        else { throw Refusal("2.4", "Composition.author") }
        // The services are 1 to 7, each with its alerts below it.
        guard codes(issue["code"], "alert-code").contains(where: { ("1"..."7").contains($0.prefix(1)) }) else {
            throw Refusal("2.4", "DetectedIssue.code")
        }
        let sections = (composition["section"]?.array ?? []).flatMap { $0["entry"]?.array ?? [] }
        let evidence = (issue["evidence"]?.array ?? []).flatMap { $0["detail"]?.array ?? [] }
        guard !sections.isEmpty, (sections + evidence).allSatisfy({ names.contains($0["reference"]?.string ?? "") }) else {
            throw Refusal("2.4", "a reference out of the document")
        }
    }
}
