import Destinations
import ExactJSON
import Glibc
import Testing
import Vitals

/// Submissions for the judges in `Tests/Judges/fut`, which know nothing of this code.
@Suite struct FUTSampleBundlesTests {
    @Test("Every sample is written for the judges where VITALGATE_SAMPLES names a folder", arguments: Samples.all.map(\.name))
    func samples(name: String) throws {
        let act = try Samples.named(name).act
        try write(FUTSamples.draft(act).request.body, as: "\(name).fut")
    }

    @Test("So is each kind of timing, and what goes out without a device", arguments: FUTPlan.Timing.allCases)
    func timings(timing: FUTPlan.Timing) throws {
        let act = Samples.bloodPressure
        let target = try FUTSamples.target(act, device: nil, timing: timing)
        try write(FUTSamples.draft(act, target: target).request.body, as: "timing-\(timing.rawValue.lowercased()).fut")
    }

    @Test("So is the other form of time, and a single pressure")
    func forms() throws {
        var settings = FUTSamples.settings
        settings.effective = .dateTime
        let destination = FUTDestination(settings: FUTSamples.receiver, fut: settings)
        let act = Samples.bloodPressure
        try write(FUTSamples.draft(act, destination: destination).request.body, as: "date-time.fut")
        var target = try FUTSamples.target(act)
        target.orders = [.init(reading: act.readings[0].id, role: .systolic, request: target.orders[0].request, version: "1")]
        try write(FUTSamples.draft(act, target: target).request.body, as: "systolic.fut")
    }

    private func write(_ bytes: [UInt8], as name: String) throws {
        #expect(!bytes.isEmpty)
        guard let folder = getenv("VITALGATE_SAMPLES") else { return }
        let file = try #require(fopen(String(cString: folder) + "/" + name, "w"))
        defer { fclose(file) }
        #expect(fwrite(bytes, 1, bytes.count, file) == bytes.count)
    }
}
