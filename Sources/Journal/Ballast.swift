import Glibc

/// A file of allocated, unused blocks beside the database (R9): given away when the disk is full, so that the log can be
/// written back and retention can run, and taken again when there is room.
struct Ballast {
    let path: String
    let bytes: Int

    /// Room that must be left after taking the ballast, so that taking it does not itself fill the disk: 1 MiB.
    private static let margin = 1 << 20

    init(beside database: String, bytes: Int) {
        path = database + "-ballast"
        self.bytes = bytes
    }

    var isHeld: Bool { bytes == 0 || FileSystem.size(path) >= bytes }

    /// Whether the disk, and not a limit of the database's own, has run out: less is free than the ballast holds.
    var isDiskShort: Bool { (FileSystem.freeBytes(at: FileSystem.directory(of: path)) ?? 0) < max(bytes, Self.margin) }

    func release() {
        unlink(path)
    }

    /// Takes the blocks if there is room for them. Returns whether the ballast is in place.
    func restore() -> Bool {
        if isHeld { return true }
        guard let free = FileSystem.freeBytes(at: FileSystem.directory(of: path)), free >= bytes + Self.margin else {
            return false
        }
        let descriptor = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { return false }
        defer { _ = close(descriptor) }
        // Real blocks and not a hole; EOPNOTSUPP makes libc write zeros.
        guard posix_fallocate(descriptor, 0, off_t(bytes)) == 0 else {
            unlink(path)
            return false
        }
        return true
    }
}
