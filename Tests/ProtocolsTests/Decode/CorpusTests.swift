import Testing

@Suite("Fuzzing corpus")
struct CorpusTests {
    @Test("Every input that the fuzzer was given or found goes through its decoder", arguments: FuzzTarget.allCases)
    func replay(_ target: FuzzTarget) {
        let folder = "Fuzz/corpus/\(target.rawValue)"
        let names = Checkout.list(folder)
        #expect(!names.isEmpty)
        for name in names { target.run(Checkout.read("\(folder)/\(name)") ?? []) }
    }
}
