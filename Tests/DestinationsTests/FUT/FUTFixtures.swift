import Destinations
import ExactJSON
import Glibc
import HTTPMessage
import Testing
import Vitals

/// The published data in `Tests/Judges/fut/published`.
enum Published {
    static let folder = String(
        #filePath.prefix(upTo: #filePath.range(of: "/DestinationsTests/")?.lowerBound ?? #filePath.endIndex))

    static func text(_ path: String) throws -> String {
        let file = try #require(fopen(folder + "/" + path, "r"), "no \(path)")
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            if count == 0 { break }
            bytes += buffer[..<count]
        }
        return String(decoding: bytes, as: UTF8.self)
    }

    static func example(_ name: String) throws -> JSON {
        try JSON(parsing: text("Judges/fut/published/examples/\(name).json"))
    }

    /// Each line's first word, without comments.
    static func errorCodes() throws -> [String] {
        try text("Judges/fut/published/error-codes.txt").split(separator: "\n").filter { !$0.hasPrefix("#") }
            .compactMap { $0.split(separator: " ").first.map(String.init) }
    }
}

extension String {
    /// Where the text stands first; the standard library alone has no search for a text.
    func range(of text: String) -> Range<String.Index>? { firstRange(of: text) }
}

/// A made-up patient, plan and cuff at FUT. Thursday 23 February 2023; the sample acts are measured at 09:24:08Z.
enum FUTSamples {
    static let settings = FUTSettings.published(environment: "test001")
    static let receiver = ReceiverSettings(
        name: "fut", kind: .fut, baseURL: "https://measurement.test001.ehealth.sundhed.dk/fhir")
    static let destination = FUTDestination(settings: receiver, fut: settings)
    static let careplan = "https://careplan.test001.ehealth.sundhed.dk/fhir"
    static let patient = "https://patient.test001.ehealth.sundhed.dk/fhir/Patient/1001"
    static let episode = careplan + "/EpisodeOfCare/2001"
    static let plan = careplan + "/CarePlan/2101"
    static let device = "https://device.test001.ehealth.sundhed.dk/fhir/Device/4001"
    static let measured = Instant(seconds: 1_677_144_248)

    static let npu = "urn:oid:1.2.208.176.2.1"
    static let panel = FUTCoding("urn:oid:1.2.208.176.2.4", "ZZ3170")
    static let systolic = FUTCoding(npu, "DNK05472")
    static let diastolic = FUTCoding(npu, "DNK05473")
    static let pulse = FUTCoding(npu, "NPU21692")
    static let saturation = FUTCoding(npu, "NPU03011")

    static func at(_ text: String) throws -> Instant { try #require(Instant(iso8601: text)) }
    static func moment(_ text: String) throws -> FUTMoment { try #require(FUTMoment(text)) }

    static func slot(_ start: String = "2023-02-23T08:00:00+00:00", _ end: String = "2023-02-23T12:00:00+00:00") throws -> FUTSlot
    {
        FUTSlot(start: try moment(start), end: try moment(end))
    }

    static func request(
        _ id: String, _ codings: [FUTCoding], version: String = "1", validFrom: String? = "2023-01-08T09:05:00+00:00",
        episode: String = FUTSamples.episode, extra: Bool = false, active: Bool = true,
        from: String? = "2023-01-08T09:05:00+00:00",
        until: String? = nil, companions: [FUTCoding] = []
    ) throws -> FUTPlan.Request {
        FUTPlan.Request(
            reference: careplan + "/ServiceRequest/" + id, version: version, validFrom: try validFrom.map(at), codings: codings,
            episode: episode, carePlan: plan, includesExtra: extra, isActive: active,
            bounds: FUTPlan.Period(from: try from.map(at), until: try until.map(at)), companions: companions)
    }

    static func item(
        _ id: String, _ slot: FUTSlot? = nil, timing: FUTPlan.Timing = .resolved, version: String = "1", requested: Int? = 1,
        submitted: Int? = nil, invalidated: Int? = nil
    ) -> FUTPlan.Item {
        FUTPlan.Item(
            carePlan: plan, request: careplan + "/ServiceRequest/" + id, version: version, activity: "Aktivitet \(id)",
            start: slot?.start, end: slot?.end, totalSubmitted: submitted,
            occurrencesRequested: timing == .resolved ? requested : nil, totalInvalidated: invalidated, timing: timing)
    }

    static func plan(
        _ requests: [FUTPlan.Request], _ items: [FUTPlan.Item], fetched: String = "2023-02-23T06:00:00Z",
        from: String = "2023-02-21T00:00:00Z", until: String = "2023-03-02T00:00:00Z"
    ) throws -> FUTPlan {
        FUTPlan(
            patient: patient, fetched: try at(fetched), window: FUTPlan.Period(from: try at(from), until: try at(until)),
            requests: requests, items: items)
    }

    static func ordering(_ plans: FUTPlan..., claims: [FUTClaim] = []) -> FUTOrdering {
        FUTOrdering(history: FUTPlanHistory(plans), claims: claims, settings: settings)
    }

    /// Every reading of the act ordered for a slot, as its own request.
    static func target(_ act: Act, device: String? = FUTSamples.device, timing: FUTPlan.Timing = .resolved) throws -> FUTTarget {
        let roles: [Reading.Kind: FUTCode.Role] = [
            .bloodPressure: .bloodPressure, .pulseRate: .pulseRate, .oxygenSaturation: .oxygenSaturation,
            .bodyWeight: .bodyWeight, .bodyTemperature: .bodyTemperature,
        ]
        let orders = act.readings.enumerated().compactMap { position, reading in
            roles[reading.reading.kind].map {
                FUTTarget.Order(
                    reading: reading.id, role: $0, request: careplan + "/ServiceRequest/300\(position + 1)", version: "2")
            }
        }
        return FUTTarget(
            patient: patient, episode: episode, device: device, timing: timing, slot: timing == .resolved ? try slot() : nil,
            orders: orders)
    }

    static func context(_ target: FUTTarget?) -> DispatchContext {
        DispatchContext(patientID: "1001", gateway: Samples.gateway, target: target?.json)
    }

    static func due(_ act: Act, target: FUTTarget) -> DispatchAct {
        DispatchAct(
            act: act,
            items: target.orders.enumerated().map { DispatchItem(id: Int64($0.offset + 1), reading: $0.element.reading) })
    }

    static func draft(
        _ act: Act, target: FUTTarget? = nil, destination: FUTDestination = FUTSamples.destination
    ) throws -> DispatchDraft {
        let target = try target ?? self.target(act)
        return try destination.dispatch(of: [due(act, target: target)], context: context(target))
    }

    static func observations(_ draft: DispatchDraft) throws -> [JSON] {
        try #require(FUTSubmission(JSON(parsing: draft.request.body))).entries.map(\.resource)
    }

    static func observations(_ name: String) throws -> [JSON] { try observations(draft(Samples.named(name).act)) }
}

extension JSON {
    var codeText: String? { self["code"]?["coding"]?[0]?["code"]?.string }

    func futExtension(_ tail: String) -> JSON? {
        self["extension"]?.array?.first { $0["url"]?.string?.hasSuffix(tail) ?? false }
    }

    var noteTexts: [String] { (self["note"]?.array ?? []).compactMap { $0["text"]?.string } }
}
