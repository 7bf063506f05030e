import Destinations
import ExactJSON
import HTTPMessage
import Testing
import Vitals

/// Documents for VKP as its destination makes them, and a slot around the samples' time, 2023-02-23 10:24:08 +01:00.
enum VKPSamples {
    static let base = "https://vkp.example.org/epj/r4"

    static func settings(searches: Bool = false) throws -> VKPSettings {
        VKPSettings(
            organisation: try NorwegianOrganisationNumber("999999204"),
            author: VKPSettings.Author(system: VKPSettings.Author.hpr, value: "999999999", name: "Kari <Prøve> Sykepleier"),
            searches: searches)
    }

    static func destination(searches: Bool = false) throws -> VKPDestination {
        VKPDestination(
            settings: ReceiverSettings(name: "vkp", kind: .vkp, baseURL: base + "/"), vkp: try settings(searches: searches))
    }

    static func context(_ target: VKPTarget? = nil) -> DispatchContext {
        DispatchContext(patientID: PMDSamples.person, gateway: Samples.gateway, target: target?.json)
    }

    static func draft(_ act: Act, target: VKPTarget? = nil) throws -> DispatchDraft {
        try destination().dispatch(of: [Samples.due(act)], context: context(target))
    }

    static func at(_ text: String) throws -> Instant { try #require(Instant(iso8601: text)) }

    static func slot() throws -> VKPSlot {
        VKPSlot(
            id: "plan-7/2023-02-23T08", kinds: [.bloodPressure], start: try at("2023-02-23T08:00:00+01:00"),
            end: try at("2023-02-23T12:00:00+01:00"))
    }

    static func absence() throws -> DispatchDraft {
        try destination().dispatch(notReported: slot(), item: 9, offsetMinutes: 60, context: context())
    }
}

extension JSON {
    func resource(_ type: String) -> JSON? { resources.first { $0["resourceType"]?.string == type } }
}
