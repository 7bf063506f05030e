import Glibc

/// Gives back the pages of code that only the start needed.
///
/// The daemon is one binary: reading the configuration, opening the journal and setting up every service touches some 20 MB of code, of which
/// serving needs a part. The pages are the file's own and clean; what is needed again comes from the page cache, at some microseconds each.
enum StartUpCode {
    static func release() {
        let maps = String(decoding: SmallFile.read("/proc/self/maps") ?? [], as: UTF8.self)
        for region in regions(maps: maps) {
            guard let start = UnsafeMutableRawPointer(bitPattern: region.lowerBound) else { continue }
            // Refused where a page is locked: then it stays.
            madvise(start, region.count, MADV_DONTNEED)
        }
    }

    /// Code that is mapped from files and cannot have been written to: `START-END r-xp OFFSET DEVICE INODE PATH` (proc(5)).
    static func regions(maps: String) -> [Range<UInt>] {
        maps.split(separator: "\n").compactMap { line in
            let fields = line.split(separator: " ", maxSplits: 5)
            guard fields.count == 6, fields[1] == "r-xp", fields[5].contains("/") else { return nil }
            let ends = fields[0].split(separator: "-").compactMap { UInt($0, radix: 16) }
            return ends.count == 2 && ends[0] < ends[1] ? ends[0]..<ends[1] : nil
        }
    }
}
