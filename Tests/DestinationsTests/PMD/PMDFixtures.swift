import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

/// Requests to PMD as its destination makes them. People are synthetic (Tenor's series), organisations are nobody's.
enum PMDSamples {
    static let person = "01819540094"
    static let dNumber = "41819540088"
    static let personSystem = "urn:oid:2.16.578.1.12.4.1.4.1"
    static let context = DispatchContext(patientID: person, gateway: Samples.gateway)
    static let root = "https://pmd.example.org"

    static func organisation() throws -> PMDSettings.Performer {
        .organisation(try NorwegianOrganisationNumber("999999204"), name: "Eksempel kommune")
    }

    static func destination(_ pmd: PMDSettings = PMDSettings(), acts: Int = 4) -> PMDDestination {
        PMDDestination(
            settings: ReceiverSettings(name: "pmd", kind: .pmd, baseURL: root + "/", maximumActs: acts), pmd: pmd)
    }

    static func draft(_ acts: Act..., settings: PMDSettings = PMDSettings()) throws -> DispatchDraft {
        var item: Int64 = 0
        let due = acts.map { act in
            DispatchAct(
                act: act,
                items: act.readings.map { reading in
                    item += 1
                    return DispatchItem(id: item, reading: reading.id)
                })
        }
        return try destination(settings).dispatch(of: due, context: context)
    }

    static func observation(_ name: String, settings: PMDSettings = PMDSettings(), at index: Int = 0) throws -> JSON {
        let body = try Samples.body(draft(Samples.named(name).act, settings: settings))
        return try #require(body["entry"]?[index]?["resource"])
    }

    static let batch = PMDSettings(form: .batch)
    static let put = PMDSettings(form: .batch, method: .put)
}

extension JSON {
    /// The texts of `system|code` of its own code.
    var codes: [String] {
        (self["code"]?["coding"]?.array ?? []).compactMap { coding in
            coding["system"]?.string.flatMap { system in coding["code"]?.string.map { "\(system)|\($0)" } }
        }
    }

    var profiles: [String] { (self["meta"]?["profile"]?.array ?? []).compactMap(\.string) }
}
