import Glibc

/// The machine's files, from another root in tests: /sys, /proc, /dev and /etc are looked at through it.
public struct MachineTree: Hashable, Sendable {
    /// What stands before every path; empty for the machine itself.
    public var root: String

    public init(root: String = "") { self.root = root }

    /// A small file's text, at most `limit` bytes of it.
    func text(_ path: String, limit: Int = 1 << 16) -> String? {
        let descriptor = open(root + path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
        guard descriptor >= 0 else { return nil }
        defer { close(descriptor) }
        var bytes: [UInt8] = []
        var chunk = [UInt8](repeating: 0, count: 4_096)
        while bytes.count < limit {
            let count = read(descriptor, &chunk, chunk.count)
            if count < 0, errno == EINTR { continue }
            guard count > 0 else { return count == 0 ? String(decoding: bytes, as: UTF8.self) : nil }
            bytes += chunk[..<count]
        }
        return String(decoding: bytes.prefix(limit), as: UTF8.self)
    }

    /// A text of one line, without what stands around it.
    func line(_ path: String) -> String? {
        text(path, limit: 4_096).map { text in
            String(text.drop(while: \.isWhitespace).reversed().drop(while: \.isWhitespace).reversed())
        }
    }

    /// What is in a directory, sorted; nothing where it cannot be read.
    func names(in directory: String) -> [String] {
        guard let stream = opendir(root + directory) else { return [] }
        defer { closedir(stream) }
        var names: [String] = []
        while let entry = readdir(stream) {
            let name = withUnsafeBytes(of: &entry.pointee.d_name) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
            if !name.hasPrefix(".") { names.append(name) }
        }
        return names.sorted()
    }

    func exists(_ path: String) -> Bool { access(root + path, F_OK) == 0 }

    /// The path, below this root, that all links of `path` lead to.
    func resolved(_ path: String) -> String? {
        guard let top = Self.real(root.isEmpty ? "/" : root), let real = Self.real(root + path) else { return nil }
        guard top != "/" else { return real }
        return real.hasPrefix(top + "/") ? String(real.dropFirst(top.utf8.count)) : nil
    }

    /// Where one link points, as it is written.
    func link(_ path: String) -> String? {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = readlink(root + path, &buffer, buffer.count)
        return count < 0 ? nil : String(decoding: buffer.prefix(count).map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    private static func real(_ path: String) -> String? {
        guard let text = realpath(path, nil) else { return nil }
        defer { free(text) }
        return String(cString: text)
    }
}
