import ExactJSON
import FHIR
import Vitals

/// Names of VKP's journaling profiles (HL7Norway/Velferdsteknologi, VKP-R4, v090).
enum VKP {
    static let composition = "http://ehelse.no/fhir/StructureDefinition/vkp-Composition-v090"
    static let detectedIssue = "http://ehelse.no/fhir/StructureDefinition/vkp-DetectedIssue-v090"

    private static func coding(_ system: String, _ code: String, _ display: String) -> R4.Coding {
        R4.Coding("http://ehelse.no/fhir/CodeSystem/vkp-\(system)-v090", code, display)
    }

    static let category = coding("composition-category", "2", "Digital hjemmeoppfølging")
    static let reported = coding("alert-code", "5.2.1", "Måledata rapportert")
    static let notReported = coding("alert-code", "5.3.2", "Måling ikke rapportert")
    static let registered = coding("composition-event", "0", "hendelse meldt")
    static let compiled = coding("composition-section", "2", "sammenstilt tekst")
    /// The type that Simplifier's DHO guide fixes.
    static let type = R4.Coding("http://loinc.org", "34133-9", "Summary of episode note")
}

/// A document for the journal: Composition, DetectedIssue and, where something was measured, its Observations.
///
/// Everything in it is named by a hash of what it is about, so that the same document is the same bytes.
struct VKPDocument: Hashable, Sendable {
    enum Content: Hashable {
        case reported([JSON], text: String)
        case notReported(VKPSlot, offsetMinutes: Int)
    }

    /// `urn:uuid:`; Bundle.identifier, and the Composition's.
    var identifier: String
    var content: Content
    var subject: NorwegianSubject
    var author: VKPSettings.Author
    /// ISO 8601 with offset: when it was measured, or when the grace of the slot ended.
    var date: String
    var relation: Relation?

    enum Relation: Hashable {
        /// A late reading after "not reported".
        case followsUp(String)
        /// What was journaled was wrong.
        case retracts(String)

        var json: JSON {
            let (code, target) =
                switch self {
                case .followsUp(let target): ("appends", target)
                case .retracts(let target): ("replaces", target)
                }
            return ["code": .string(code), "targetIdentifier": VKPDocument.identifier(target)]
        }
    }

    static func name(of act: Act) -> String { "urn:uuid:" + StableUUID.text("vkp-document", act.id.rawValue) }
    static func retraction(of act: Act) -> String { "urn:uuid:" + StableUUID.text("vkp-retraction", act.id.rawValue) }
    /// The document that says of the slot that nothing was reported.
    static func name(of slot: VKPSlot) -> String { "urn:uuid:" + StableUUID.text("vkp-absence", slot.id) }

    static func identifier(_ value: String) -> JSON {
        ["system": .string(OwnIdentifier.system), "value": .string(value)]
    }

    private func part(_ name: String) -> String { "urn:uuid:" + StableUUID.text(identifier, name) }

    private var status: JSON { if case .retracts = relation { "entered-in-error" } else { "final" } }

    var json: JSON {
        let issue = part("issue")
        var entries: [JSON] = [
            ["fullUrl": .string(part("composition")), "resource": composition(issue)],
            ["fullUrl": .string(issue), "resource": detectedIssue],
        ]
        if case .reported(let observations, _) = content {
            entries += observations.map { observation in
                ["fullUrl": .string("urn:uuid:" + (observation["id"]?.string ?? "")), "resource": observation]
            }
        }
        return [
            "resourceType": "Bundle", "identifier": Self.identifier(identifier), "type": "document", "timestamp": .string(date),
            "entry": .array(entries),
        ]
    }

    private var alert: R4.Coding {
        switch content {
        case .reported: VKP.reported
        case .notReported: VKP.notReported
        }
    }

    private var title: String {
        if case .retracts = relation { return "Feilregistrert: " + (alert.display ?? "") }
        return alert.display ?? ""
    }

    private func composition(_ issue: String) -> JSON {
        .members([
            "resourceType": "Composition",
            "meta": ["profile": [.string(VKP.composition)]],
            "identifier": Self.identifier(identifier),
            "status": status,
            "type": PMDObservation.concept([VKP.type]),
            "category": [PMDObservation.concept([VKP.category])],
            "subject": subject.json,
            "date": .string(date),
            "author": [
                [
                    "identifier": ["system": .string(author.system), "value": .string(author.value)],
                    "display": .string(author.name),
                ]
            ],
            "title": .string(title),
            "relatesTo": relation.map { [$0.json] },
            "event": [["code": [PMDObservation.concept([VKP.registered])], "period": ["start": .string(date)]]],
            "section": [
                [
                    "title": .string(title),
                    "code": PMDObservation.concept([VKP.compiled]),
                    "text": [
                        "status": "additional",
                        "div": .string("<div xmlns=\"http://www.w3.org/1999/xhtml\">\(Self.escaped(text))</div>"),
                    ],
                    "entry": [["reference": .string(issue)]],
                ]
            ],
        ])
    }

    private var detectedIssue: JSON {
        var members: [JSON.Member] = [
            .init("resourceType", "DetectedIssue"), .init("meta", ["profile": [.string(VKP.detectedIssue)]]),
            .init("status", status), .init("code", PMDObservation.concept([alert])), .init("patient", subject.json),
        ]
        switch content {
        case .reported(let observations, _):
            members.append(.init("identifiedDateTime", .string(date)))
            let details = observations.map { ["reference": .string("urn:uuid:" + ($0["id"]?.string ?? ""))] as JSON }
            members.append(.init("evidence", [["detail": .array(details)]]))
        case .notReported(let slot, let offset):
            members.append(
                .init(
                    "identifiedPeriod",
                    [
                        "start": .string(slot.start.iso8601(offsetMinutes: offset)),
                        "end": .string(slot.end.iso8601(offsetMinutes: offset)),
                    ]))
        }
        return .object(members)
    }

    /// What the journal shows.
    private var text: String {
        switch content {
        case .reported(_, let text): text
        case .notReported(let slot, let offset):
            "Ingen måling mellom \(Self.words(slot.start, offset)) og \(Self.words(slot.end, offset)); "
                + "utstyrets minne er lest etterpå."
        }
    }

    private static func escaped(_ text: String) -> String {
        var result = ""
        for character in text {
            switch character {
            case "&": result += "&amp;"
            case "<": result += "&lt;"
            case ">": result += "&gt;"
            default: result.append(character)
            }
        }
        return result
    }
}

extension VKPDocument {
    /// `23.02.2023 kl. 08:00`, on the patient's clock.
    private static func words(_ instant: Instant, _ offsetMinutes: Int) -> String {
        let text = instant.iso8601(offsetMinutes: offsetMinutes)
        let date = text.prefix(10).split(separator: "-").reversed().joined(separator: ".")
        return "\(date) kl. \(text.dropFirst(11).prefix(5))"
    }

    /// `Blodtrykk 118/87 mmHg`: the numbers of an observation of ours, as they stand in it.
    static func words(_ kind: Reading.Kind, _ observation: JSON) -> String {
        let quantities: [JSON?] =
            if kind == .bloodPressure {
                ["8480-6", "8462-4"].map { code in
                    observation["component"]?.array?.first { component in
                        component["code"]?["coding"]?.array?.contains { $0["code"]?.string == code } ?? false
                    }?["valueQuantity"]
                }
            } else {
                [observation["valueQuantity"]]
            }
        let numbers = quantities.map { $0?["value"]?.number?.description ?? "?" }.joined(separator: "/")
        let unit = quantities.lazy.compactMap { $0?["unit"]?.string }.first ?? ""
        return "\(names[kind] ?? kind.rawValue) \(numbers) \(symbols[unit] ?? unit)"
    }

    /// Units as people write them.
    private static let symbols = [
        "mm[Hg]": "mmHg", "Cel": "°C", "[degF]": "°F", "[lb_av]": "lb", "[in_i]": "in", "kg/m2": "kg/m²",
    ]

    private static let names: [Reading.Kind: String] = [
        .bloodPressure: "Blodtrykk", .pulseRate: "Puls", .oxygenSaturation: "Oksygenmetning",
        .perfusionIndex: "Perfusjonsindeks", .bodyWeight: "Kroppsvekt", .bodyHeight: "Høyde", .bodyMassIndex: "KMI",
        .bodyFat: "Kroppsfett", .bodyTemperature: "Kroppstemperatur", .glucose: "Glukose",
    ]
}
