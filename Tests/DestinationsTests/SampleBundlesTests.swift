import Glibc
import Testing

/// Bundles for the judges in `Tests/Judges`, which know nothing of this code.
@Suite struct SampleBundlesTests {
    @Test("Every sample is written for the judges where VITALGATE_SAMPLES names a folder", arguments: Samples.all.map(\.name))
    func write(name: String) throws {
        let sample = try Samples.named(name)
        let bytes = try Samples.draft(sample.act, claimed: sample.isClaimed).request.body
        #expect(!bytes.isEmpty)
        guard let folder = getenv("VITALGATE_SAMPLES") else { return }
        let path = String(cString: folder) + "/\(name).json"
        let file = try #require(fopen(path, "w"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }
}
