import Glibc

/// The few calls on files that SQLite does not make itself.
///
/// None of them ever opens the database file while a connection has it: closing any descriptor of a file drops the process's
/// POSIX locks on it, and with them the exclusive lock.
enum FileSystem {
    static func exists(_ path: String) -> Bool {
        var status = stat()
        return stat(path, &status) == 0
    }

    /// Bytes of the file as the directory shows it; 0 where there is none.
    static func size(_ path: String) -> Int {
        var status = stat()
        return stat(path, &status) == 0 ? Int(status.st_size) : 0
    }

    /// Bytes that this user can still write on the file system of `path`.
    static func freeBytes(at path: String) -> Int? {
        var status = statvfs()
        guard statvfs(path, &status) == 0 else { return nil }
        return Int(clamping: UInt64(status.f_bavail) &* UInt64(status.f_frsize))
    }

    static func directory(of path: String) -> String {
        guard let slash = path.lastIndex(of: "/") else { return "." }
        return slash == path.startIndex ? "/" : String(path[..<slash])
    }

    static func randomBytes(_ count: Int) -> [UInt8] {
        var generator = SystemRandomNumberGenerator()
        return (0..<count).map { _ in UInt8.random(in: .min ... .max, using: &generator) }
    }

    /// The file's bytes, `nil` where there is none.
    static func read(_ path: String, atMost limit: Int, ownerOnly: Bool = false) throws(JournalError) -> [UInt8]? {
        let descriptor = open(path, O_RDONLY | O_CLOEXEC)
        guard descriptor >= 0 else {
            if errno == ENOENT { return nil }
            throw .keyMissing("\(path) cannot be read (errno \(errno)).")
        }
        defer { _ = Glibc.close(descriptor) }
        var status = stat()
        guard fstat(descriptor, &status) == 0 else { throw .keyMissing("\(path) cannot be read (errno \(errno)).") }
        if ownerOnly, status.st_mode & 0o077 != 0 { throw .keyExposed(path: path) }
        var bytes = [UInt8](repeating: 0, count: limit)
        var count = 0
        while count < limit {
            let got = bytes.withUnsafeMutableBytes { Glibc.read(descriptor, $0.baseAddress.map { $0 + count }, limit - count) }
            if got < 0, errno == EINTR { continue }
            guard got >= 0 else { throw .keyMissing("\(path) cannot be read (errno \(errno)).") }
            if got == 0 { break }
            count += got
        }
        return Array(bytes[..<count])
    }

    /// Writes a file that only its owner can read, durable under its name or not there at all.
    static func writeNew(_ bytes: [UInt8], to path: String) throws(JournalError) {
        let temporary = path + ".new"
        unlink(temporary)
        let descriptor = open(temporary, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .notWritable(path: path) }
        var written = 0
        while written < bytes.count {
            let count = bytes.withUnsafeBytes { write(descriptor, $0.baseAddress.map { $0 + written }, bytes.count - written) }
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { break }
            written += count
        }
        let isComplete = written == bytes.count && fsync(descriptor) == 0
        guard Glibc.close(descriptor) == 0, isComplete, rename(temporary, path) == 0 else {
            unlink(temporary)
            throw .notWritable(path: path)
        }
        synchroniseDirectory(of: path)
    }

    /// Makes an empty file with mode 0600 where there is none, so that SQLite gives its log the same mode.
    static func touch(_ path: String) throws(JournalError) {
        guard !exists(path) else { return }
        let descriptor = open(path, O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0o600)
        guard descriptor >= 0 else { throw .notWritable(path: path) }
        fsync(descriptor)
        _ = Glibc.close(descriptor)
        synchroniseDirectory(of: path)
    }

    /// Makes names that were added to or taken from a directory durable.
    static func synchroniseDirectory(of path: String) {
        let descriptor = open(directory(of: path), O_RDONLY | O_DIRECTORY | O_CLOEXEC)
        guard descriptor >= 0 else { return }
        fsync(descriptor)
        _ = Glibc.close(descriptor)
    }

    /// Overwrites a file and takes its name away. On flash the old blocks may survive: what counts is that they are a
    /// *wrapping* key whose wrapped keys are destroyed too.
    static func destroy(_ path: String) {
        let descriptor = open(path, O_WRONLY | O_CLOEXEC)
        if descriptor >= 0 {
            let zeros = [UInt8](repeating: 0, count: max(1, size(path)))
            _ = zeros.withUnsafeBytes { write(descriptor, $0.baseAddress, zeros.count) }
            fsync(descriptor)
            _ = Glibc.close(descriptor)
        }
        unlink(path)
        synchroniseDirectory(of: path)
    }
}
