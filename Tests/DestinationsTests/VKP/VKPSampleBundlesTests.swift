import Destinations
import Glibc
import Testing
import Vitals

/// Documents for the judges in `Tests/Judges/norway`, which know nothing of this code.
@Suite struct VKPSampleBundlesTests {
    @Test("Every sample is written as a document", arguments: Samples.all.map(\.name))
    func samples(name: String) throws {
        try write(VKPSamples.draft(Samples.named(name).act).request.body, as: "\(name).vkp")
    }

    @Test("So are a slot without a measurement, the late reading after it, and a retraction")
    func others() throws {
        try write(VKPSamples.absence().request.body, as: "not-reported.vkp")
        let late = try VKPSamples.draft(Samples.bloodPressure, target: VKPTarget(late: VKPSamples.slot()))
        try write(late.request.body, as: "late.vkp")
        let retraction = try VKPSamples.destination().correction(
            of: Samples.due(Samples.bloodPressure, references: true), context: VKPSamples.context())
        try write(retraction.request.body, as: "retraction.vkp")
    }

    private func write(_ bytes: [UInt8], as name: String) throws {
        #expect(!bytes.isEmpty)
        guard let folder = getenv("VITALGATE_SAMPLES") else { return }
        let file = try #require(fopen(String(cString: folder) + "/" + name, "w"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }
}
