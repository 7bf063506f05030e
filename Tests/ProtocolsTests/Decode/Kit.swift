import Glibc
import Vitals

/// A generator whose run can be repeated: SplitMix64 (Steele, Lea and Flood, 2014).
struct SeededGenerator: RandomNumberGenerator {
    private var state: UInt64
    init(seed: UInt64) { state = seed }

    mutating func next() -> UInt64 {
        state &+= 0x9E37_79B9_7F4A_7C15
        var z = state
        z = (z ^ z >> 30) &* 0xBF58_476D_1CE4_E5B9
        z = (z ^ z >> 27) &* 0x94D0_49BB_1331_11EB
        return z ^ z >> 31
    }

    mutating func bytes(_ count: Int) -> [UInt8] { (0..<count).map { _ in UInt8.random(in: 0...255, using: &self) } }
    mutating func chance() -> Bool { next() & 1 == 0 }
    mutating func maybe<Value>(_ value: (inout SeededGenerator) -> Value) -> Value? { chance() ? value(&self) : nil }
}

/// A seed of its own for each run, printed; `VITALGATE_SEED` repeats one.
func freshGenerator(_ what: String) -> SeededGenerator {
    var seed = UInt64.random(in: 0...UInt64.max)
    if let text = getenv("VITALGATE_SEED"), let given = UInt64(String(cString: text)) { seed = given }
    print("\(what): VITALGATE_SEED=\(seed)")
    return SeededGenerator(seed: seed)
}

/// Files of the checkout, found from this file.
enum Checkout {
    static let root: String = {
        let file = #filePath
        let folder = file[..<(file.lastIndex(of: "/") ?? file.startIndex)]
        return folder + "/../../.."
    }()

    static func read(_ path: String) -> [UInt8]? {
        guard let file = fopen(root + "/" + path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&chunk, 1, chunk.count, file)
            if count == 0 { return bytes }
            bytes += chunk[..<count]
        }
    }

    /// The names in a folder, sorted; empty where there is none.
    static func list(_ path: String) -> [String] {
        guard let folder = opendir(root + "/" + path) else { return [] }
        defer { closedir(folder) }
        var names: [String] = []
        while let entry = readdir(folder) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
                pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }
}

func bytes(_ hex: String) -> [UInt8] { [UInt8](hex: hex) ?? [] }
