import ExactJSON
import Vitals

/// The guide's names and codes, and small pieces that several services write.
enum FUT {
    static let profiles = "http://ehealth.sundhed.dk/fhir/StructureDefinition"
    static let episodeExtension = "http://hl7.org/fhir/StructureDefinition/workflow-episodeOfCare"
    static let timingExtension = "\(profiles)/ehealth-resolved-timing"
    static let qualityExtension = "\(profiles)/ehealth-quality"
    static let timingSystem = "http://ehealth.sundhed.dk/cs/resolved-timing-type"
    static let systemTag = "http://ehealth.sundhed.dk/cs/ehealth-system"

    /// Value set observation-codes, its systems by the code's letters, with the UCUM unit of ConceptMap obs-code-to-ucum. The panel
    /// ZZ3170 has none: its values are components.
    static let units: [String: String] = [
        "DNK05472": "mm[Hg]", "DNK05473": "mm[Hg]", "NPU21692": "1/min", "NPU03011": "%", "NPU03804": "kg", "NPU08676": "Cel",
        "NPU03794": "m", "NPU27281": "kg/m2", "NPU02193": "mmol/L", "DNK05463": "mm[Hg]", "DNK05465": "mm[Hg]",
        "DNK05467": "mm[Hg]", "DNK05469": "mm[Hg]", "MCS88015": "L", "MCS88016": "L", "MCS88017": "{ratio}", "MCS88023": "%",
        "MCS88021": "{Number}", "MCS88137": "{Number}", "MCS88192": "/d", "MCS88193": "/wk", "MCS88194": "{Number}",
        "MCS88050": "1/30sec", "MCS88214": "1/60sec",
    ]
    static let panel = "ZZ3170"
    static let panelComponents = ["DNK05472", "DNK05473"]

    static func system(of code: String) -> String {
        if code.hasPrefix("ZZ") { return "urn:oid:1.2.208.176.2.4" }
        if code.hasPrefix("MCS") { return "urn:oid:1.2.208.184.100.8" }
        if code.hasPrefix("NPU") || code.hasPrefix("DNK") { return "urn:oid:1.2.208.176.2.1" }
        return "http://ehealth.sundhed.dk/cs/activitydefinition-code"
    }

    static func isObservationCode(_ code: String, system: String) -> Bool {
        (units[code] != nil || code == panel) && system == FUT.system(of: code)
    }

    static func reference(_ url: String) -> JSON { ["reference": .string(url)] }

    static func coded(_ system: String, _ code: String, display: String? = nil) -> JSON {
        ["coding": [.members(["system": .string(system), "code": .string(code), "display": display.map { .string($0) }])]]
    }

    static func meta(_ version: Int, _ changed: Instant, _ profile: String) -> JSON {
        [
            "versionId": .string(String(version)), "lastUpdated": .string(FUTTime.text(changed)), "source": "#simulator",
            "profile": [.string("\(profiles)/\(profile)")],
        ]
    }

    static func episodeReference(_ url: String) -> JSON { ["url": .string(episodeExtension), "valueReference": reference(url)] }

    static func statusHistory(_ profile: String, _ status: String, since: Instant) -> JSON {
        [
            "url": .string("\(profiles)/\(profile)-statusHistory"),
            "extension": [
                ["url": "status", "valueCodeableConcept": coded("http://hl7.org/fhir/request-status", status)],
                ["url": "period", "valuePeriod": ["start": .string(FUTTime.text(since))]],
            ],
        ]
    }

    /// The extensions of a resource with this url.
    static func extensions(_ resource: JSON, _ url: String) -> [JSON] {
        (resource["extension"]?.array ?? []).filter { $0["url"]?.string == url }
    }

    /// A searchset as HAPI FHIR writes it.
    static func searchset(
        _ matches: ArraySlice<(url: String, resource: JSON)>, total: Int, own: String, next: String?, now: Instant
    ) -> JSON {
        var links: [JSON] = [["relation": "self", "url": .string(own)]]
        if let next { links.append(["relation": "next", "url": .string(next)]) }
        return .members([
            "resourceType": "Bundle", "id": .string(randomName(12)), "meta": ["lastUpdated": .string(FUTTime.text(now))],
            "type": "searchset", "total": .integer(total), "link": .array(links),
            "entry": matches.isEmpty
                ? JSON?.none
                : .array(
                    matches.map { ["fullUrl": .string($0.url), "resource": $0.resource, "search": ["mode": "match"]] }),
        ])
    }
}
