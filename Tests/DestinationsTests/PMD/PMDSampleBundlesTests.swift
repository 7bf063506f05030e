import Destinations
import ExactJSON
import Glibc
import Testing
import Vitals

/// Bundles for the judges in `Tests/Judges/norway`, which know nothing of this code.
@Suite struct PMDSampleBundlesTests {
    @Test("Every sample is written in the current family, as a collection and as a batch", arguments: Samples.all.map(\.name))
    func current(name: String) throws {
        let act = try Samples.named(name).act
        try write(PMDSamples.draft(act, settings: PMDSettings(municipality: "0301")).request.body, as: "\(name).pmd")
        try write(PMDSamples.draft(act, settings: PMDSamples.put).request.body, as: "batch-\(name).pmd")
    }

    @Test("So is every one in the legacy family, and with an organisation as performer", arguments: Samples.all.map(\.name))
    func others(name: String) throws {
        let act = try Samples.named(name).act
        let legacy = PMDSettings(family: .legacy, claimsNoDomain: false)
        try write(PMDSamples.draft(act, settings: legacy).request.body, as: "legacy-\(name).pmd")
        let organisation = PMDSettings(performer: try PMDSamples.organisation(), municipality: "0301")
        try write(PMDSamples.draft(act, settings: organisation).request.body, as: "organisation-\(name).pmd")
    }

    @Test("So are glucose, height and body mass index, and a retraction")
    func further() throws {
        let readings: [(String, Quantity.Name, MDC, Measurement.Kind, Int64, UCUM)] = [
            ("glucose", .glucose, .glucoseCapillaryWholeBlood, .glucose, 63, .molePerLitre),
            ("height", .height, .bodyHeight, .bodyWeight, 1_780, .metre),
            ("body-mass-index", .bodyMassIndex, .bodyMassIndex, .bodyWeight, 24_100, .kilogramPerSquareMetre),
        ]
        for (index, (name, quantity, type, kind, value, unit)) in readings.enumerated() {
            let exponent = name == "glucose" ? -4 : -3
            let measurement = Samples.measurement(
                [Quantity(quantity, type: type, value: .number(ExactDecimal(mantissa: value, exponent: exponent)), unit: unit)],
                kind: kind)
            let act = Samples.act(measurement, number: 50 + index)
            for (prefix, settings) in [("", PMDSettings()), ("legacy-", PMDSettings(family: .legacy, claimsNoDomain: false))] {
                try write(PMDSamples.draft(act, settings: settings).request.body, as: "\(prefix)\(name).pmd")
            }
        }
        let correction = try PMDSamples.destination(PMDSamples.put).correction(
            of: Samples.due(Samples.bloodPressure, references: true), context: PMDSamples.context)
        try write(correction.request.body, as: "batch-retraction.pmd")
    }

    private func write(_ bytes: [UInt8], as name: String) throws {
        #expect(!bytes.isEmpty)
        guard let folder = getenv("VITALGATE_SAMPLES") else { return }
        let file = try #require(fopen(String(cString: folder) + "/" + name, "w"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }
}
