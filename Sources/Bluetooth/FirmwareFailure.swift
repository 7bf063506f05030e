/// A firmware file that a Bluetooth driver did not get, as the kernel's log tells it.
public struct FirmwareFailure: Hashable, Sendable {
    /// `hci0`.
    public var adapter: String
    /// Below /lib/firmware, such as `rtl_bt/rtl8761bu_fw.bin`; `nil` where the driver does not name it.
    public var file: String?

    public init(adapter: String, file: String?) {
        self.adapter = adapter
        self.file = file
    }

    /// At most so many are kept: a driver that tries for ever says the same for ever.
    static let most = 8

    /// Reads what the kernel and the Bluetooth drivers say of firmware out of messages, the oldest first.
    ///
    /// Two shapes: the firmware loader's own (`bluetooth hci0: Direct firmware load for FILE failed with error -2`, Debian's kernels
    /// `firmware: failed to load FILE (-2)`), and the drivers' (`Bluetooth: hci0: ...`), each in its own words; btrtl, btintel, btbcm,
    /// btqca and btmtk say "firmware", "patch" or "rampatch" with "failed", "failure" or "not found".
    /// Source: drivers/base/firmware_loader/main.c and drivers/bluetooth/ of the kernel.
    static func failures(in messages: some Sequence<String>) -> [FirmwareFailure] {
        var found: [FirmwareFailure] = []
        for message in messages {
            guard let failure = FirmwareFailure(message: message) else { continue }
            // A driver's words follow the loader's, which name the file.
            if failure.file == nil, found.contains(where: { $0.adapter == failure.adapter }) { continue }
            if found.contains(failure) { continue }
            found.removeAll { $0.adapter == failure.adapter && $0.file == nil }
            found.append(failure)
        }
        return Array(found.suffix(most))
    }

    init?(message: String) {
        let words = message.split(separator: " ").map(String.init)
        guard let adapter = words.first(where: { $0.hasPrefix("hci") && $0.hasSuffix(":") })?.dropLast(),
            adapter.count > 3, adapter.dropFirst(3).allSatisfy(\.isNumber)
        else { return nil }
        let text = message.lowercased()
        let isOfBluetooth = text.hasPrefix("bluetooth hci") || text.hasPrefix("bluetooth: hci")
        let isOfFirmware = ["firmware", "rampatch", "patch"].contains { text.contains($0) }
        let isFailure = ["failed", "failure", "not found"].contains { text.contains($0) }
        guard isOfBluetooth, isOfFirmware, isFailure else { return nil }
        self.adapter = String(adapter)
        file = words.lazy.map { $0.filter { !"'\",:;()".contains($0) } }.first { Self.isFile($0) }
    }

    /// A path below /lib/firmware: a folder and a name.
    private static func isFile(_ word: String) -> Bool {
        let parts = word.split(separator: "/", omittingEmptySubsequences: false)
        return parts.count >= 2 && parts.allSatisfy { !$0.isEmpty }
            && word.utf8.allSatisfy { $0.isFileCharacter || $0 == UInt8(ascii: "/") }
    }
}

extension UInt8 {
    fileprivate var isFileCharacter: Bool {
        switch self {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "0")...UInt8(ascii: "9"),
            UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"), UInt8(ascii: "+"):
            true
        default: false
        }
    }
}
