import Catalogue
import Glibc

/// What is known of a file that the configuration names. A protocol, so that tests need no files.
public protocol FileInspector: Sendable {
    /// `nil` where it does not exist or cannot be looked at.
    func status(of path: String) -> FileStatus?
    /// Whether the text stands in the file; `nil` where it cannot be read.
    func holds(_ text: String, in path: String) -> Bool?
}

extension FileInspector {
    public func holds(_ text: String, in path: String) -> Bool? { nil }
}

public struct FileStatus: Hashable, Sendable {
    public enum Kind: Hashable, Sendable { case file, directory, other }
    public var kind: Kind
    /// The permission bits.
    public var mode: UInt32
    public init(_ kind: Kind, mode: UInt32) {
        self.kind = kind
        self.mode = mode
    }
}

public struct MachineFiles: FileInspector {
    public init() {}

    public func status(of path: String) -> FileStatus? {
        var status = stat()
        guard stat(path, &status) == 0 else { return nil }
        let kind: FileStatus.Kind =
            switch status.st_mode & S_IFMT {
            case S_IFREG: .file
            case S_IFDIR: .directory
            default: .other
            }
        return FileStatus(kind, mode: status.st_mode & 0o7777)
    }
}

extension MachineFiles {
    public func holds(_ text: String, in path: String) -> Bool? {
        // A bundle of every public authority is some 250 kB.
        TextFile.bytes(of: path, limit: 1 << 20).map { String(decoding: $0, as: UTF8.self).contains(text) }
    }
}

/// The last error of the C library, in words.
enum SystemError {
    static var current: String { String(cString: strerror(errno)) }
}

extension ConfigurationReader {
    /// A file that must be there when the daemon starts. Only a warning: it may come with the next step of an installation.
    @discardableResult
    func present(_ section: Section, _ key: String, _ path: String) -> FileStatus? {
        guard let files else { return nil }
        guard let status = files.status(of: path) else {
            section.warn(
                key, why: "the file is not there, or may not be looked at",
                remedy: "Put it there, readable for the service's user only.")
            return nil
        }
        guard status.kind == .file else {
            section.reject(key, why: "it is no file", remedy: "Name the file itself.")
            return nil
        }
        return status
    }

    /// A file in PEM form: the client would find out at the first delivery, and a technician has gone by then.
    func pem(_ section: Section, _ key: String, _ path: String, _ what: String) {
        guard files?.holds("\(what)-----", in: path) == false else { return }
        section.reject(
            key, why: "there is no \(what) in \(path) (PEM)",
            remedy: "Put it there in PEM form: it has a line that ends with \(what)-----.")
    }

    /// A file that holds a secret: others may not read it.
    func secret(_ section: Section, _ key: String, _ path: String) {
        guard let status = present(section, key, path), status.mode & 0o077 != 0 else { return }
        section.warn(
            key, why: "others than its owner may read it (mode \(String(status.mode, radix: 8)))",
            remedy: "Run: chmod 0600 \(path)")
    }

    func directory(_ section: Section, _ key: String, _ path: String, isWritten: Bool) {
        guard let files else { return }
        guard let status = files.status(of: path) else {
            section.warn(
                key, why: "the directory is not there yet",
                remedy: "systemd creates it (StateDirectory=); otherwise create it, mode 0700.")
            return
        }
        if status.kind != .directory {
            section.reject(key, why: "it is no directory", remedy: "Name a directory.")
        } else if isWritten, status.mode & 0o022 != 0 {
            section.warn(
                key, why: "others may write into it (mode \(String(status.mode, radix: 8)))", remedy: "Run: chmod 0700 \(path)")
        }
    }
}
