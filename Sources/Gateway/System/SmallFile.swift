import Catalogue

/// A file of at most 64 KiB, such as those of /proc and /sys.
enum SmallFile {
    static func read(_ path: String) -> [UInt8]? { TextFile.bytes(of: path, limit: 1 << 16) }
}
