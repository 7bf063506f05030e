import Glibc
import Testing

/// Bundles for the judges in `Tests/Judges`, which know nothing of this code.
@Suite struct SampleBundlesTests {
    @Test("Every sample is written for the judges where VITALGATE_SAMPLES names a folder", arguments: Samples.all.map(\.name))
    func samples(name: String) throws {
        let sample = try Samples.named(name)
        try write(Samples.draft(sample.act, claimed: sample.isClaimed).request.body, as: "\(name).json")
    }

    @Test("So is the retraction of one, with srv-N in place of what the receiver will call the Nth reading")
    func correction() throws {
        let sample = try Samples.named("blood-pressure-status")
        let draft = try Samples.destination.correction(of: Samples.due(sample.act, references: true), context: Samples.context)
        try write(draft.request.body, as: "\(sample.name).correction")
    }

    private func write(_ bytes: [UInt8], as name: String) throws {
        #expect(!bytes.isEmpty)
        guard let folder = getenv("VITALGATE_SAMPLES") else { return }
        let file = try #require(fopen(String(cString: folder) + "/" + name, "w"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }
}
