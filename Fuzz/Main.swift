import Glibc

/// The entry of libFuzzer. `VITALGATE_FUZZ_TARGET` names the group of decoders.
private let target: FuzzTarget = {
    guard let name = getenv("VITALGATE_FUZZ_TARGET"), let target = FuzzTarget(rawValue: String(cString: name)) else {
        print("VITALGATE_FUZZ_TARGET must be one of \(FuzzTarget.allCases.map(\.rawValue))")
        exit(64)
    }
    return target
}()

@_cdecl("LLVMFuzzerTestOneInput")
public func fuzzOneInput(_ start: UnsafePointer<UInt8>?, _ count: Int) -> CInt {
    target.run(Array(UnsafeBufferPointer(start: start, count: count)))
    return 0
}
